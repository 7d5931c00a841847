"""Train a small network from scratch, the baseline of transfer."""

import keras
import numpy as np

from tlcourse import config
from tlcourse.models import small_cnn
from tlcourse.training.loop import compile_classifier

# Picked once, on validation images of animals and MNIST at 50, 250 and 1,000 labels.
SCRATCH_STEPS = 300
SCRATCH_BATCH = 32
SCRATCH_RATE = 3e-3


def train_from_scratch(
    x: np.ndarray, y: np.ndarray, classes: int, seed: int = 0, steps: int = SCRATCH_STEPS
) -> keras.Model:
    """Train the small network from scratch, by the recipe that transfer has to beat.

    The same number of gradient steps is taken whatever the number of images, because few images
    need as many steps as many do; the rate rises briefly and falls along a cosine.

    Args:
        x: raw pixels `(N, H, W, C)`, 0-255.
        y: class numbers `(N,)`.
        classes: how many there are.
        seed: of the initial weights and of the order of images.
        steps: gradient steps of 32 images each.

    Returns:
        The trained model, from raw pixels to probabilities.
    """
    config.set_seed(seed)
    model = small_cnn(classes, x.shape[1:])
    # One long epoch of repeated images: an epoch of two steps costs more to start than to run.
    rng = np.random.default_rng(seed)
    passes = -(-steps * SCRATCH_BATCH // len(x))
    order = np.concatenate([rng.permutation(len(x)) for _ in range(passes)])
    order = order[: steps * SCRATCH_BATCH]
    warmup = steps // 10
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=SCRATCH_RATE, warmup_steps=warmup
    )
    compile_classifier(model, keras.optimizers.Adam(rate))
    model.fit(x[order], y[order], batch_size=SCRATCH_BATCH, shuffle=False, verbose=0)
    return model
