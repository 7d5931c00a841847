"""Train from scratch, the fair baselines of transfer: a small network, and the same backbone."""

import functools
import hashlib

import keras
import numpy as np

from tlcourse import config, devices, freezing, store
from tlcourse.models import build_classifier, small_cnn
from tlcourse.training.loop import compile_classifier, same_draws

# Picked once, on validation images of animals and MNIST at 50, 250 and 1,000 labels.
SCRATCH_STEPS = 300
SCRATCH_BATCH = 32
SCRATCH_RATE = 3e-3


def train_from_scratch(
    x: np.ndarray, y: np.ndarray, classes: int, seed: int = 0, steps: int = SCRATCH_STEPS
) -> keras.Model:
    """Train the small network from scratch, by the recipe that transfer has to beat.

    The same number of gradient steps is taken whatever the number of images, because few images
    need as many steps as many do; the rate rises briefly and falls along a cosine. A network that
    was trained before from the same images, labels and seed is taken from the cache, so do not time
    this function.

    Args:
        x: raw pixels `(N, H, W, C)`, 0-255.
        y: class numbers `(N,)`.
        classes: how many there are.
        seed: of the initial weights and of the order of images.
        steps: gradient steps of 32 images each.

    Returns:
        The trained model, from raw pixels to probabilities.
    """
    # Compiling a step takes as long as 300 of them, so one trainer serves all runs of a kind.
    trainer = _trainer(classes, tuple(x.shape[1:]), steps, keras.config.dtype_policy().name)
    config.set_seed(seed)
    model = small_cnn(classes, x.shape[1:])

    def train(_) -> np.ndarray:
        _copy(model, trainer)
        for variable in trainer.optimizer.variables:
            variable.assign(keras.ops.zeros(variable.shape, variable.dtype))
        _fit(trainer, x, y, seed, steps)
        return _values(trainer)[None]

    shelf = store.Shelf(config.cache_dir("networks", _kind(model, x, y, steps)))
    taught = b"".join(store.keys_of([x, y, np.array(seed)]))
    (values,) = shelf.complete([hashlib.blake2b(taught, digest_size=16).digest()], train)
    _set_values(model, values)
    compile_classifier(model, keras.optimizers.Adam(SCRATCH_RATE))
    return model


@functools.lru_cache(maxsize=2)
def _trainer(classes: int, image_shape: tuple, steps: int, precision: str) -> keras.Model:
    """A small network whose compiled step is used again; its weights are nobody's."""
    model = small_cnn(classes, image_shape)
    compile_classifier(model, keras.optimizers.Adam(_schedule(steps, SCRATCH_RATE)))
    if keras.backend.backend() == "tensorflow":
        # To start a step this small takes a good part of it. Twenty at once are the same steps.
        model.steps_per_execution = 20
    return model


def _copy(source: keras.Model, target: keras.Model) -> None:
    """Weights, statistics and the states of dropouts."""
    for ours, theirs in zip(target.variables, source.variables, strict=True):
        ours.assign(theirs)


def _kind(model: keras.Model, x: np.ndarray, y: np.ndarray, steps: int) -> str:
    """What two trainings have to share to end alike, but for images, labels and the seed."""
    layers = [layer.get_config() for layer in model.layers]
    recipe = steps, SCRATCH_BATCH, SCRATCH_RATE, x.dtype.str, y.dtype.str, devices.sharing()
    said = repr((layers, recipe, store.engine()))
    return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()


def _values(model: keras.Model) -> np.ndarray:
    """Weights, statistics and the states of dropouts, in a type that holds all of them exactly."""
    parts = [keras.ops.convert_to_numpy(v).astype("float64").ravel() for v in model.variables]
    return np.concatenate(parts)


def _set_values(model: keras.Model, values: np.ndarray) -> None:
    ends = np.cumsum([int(np.prod(v.shape)) for v in model.variables])
    for variable, part in zip(model.variables, np.split(values, ends[:-1]), strict=True):
        variable.assign(part.reshape(variable.shape).astype(variable.dtype))


def _schedule(steps: int, rate: float) -> keras.optimizers.schedules.LearningRateSchedule:
    warmup = steps // 10
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=rate, warmup_steps=warmup
    )


def _fit(model: keras.Model, x: np.ndarray, y: np.ndarray, seed: int, steps: int) -> None:
    # One long epoch of repeated images: an epoch of two steps costs more to start than to run.
    rng = np.random.default_rng(seed)
    passes = -(-steps * SCRATCH_BATCH // len(x))
    order = np.concatenate([rng.permutation(len(x)) for _ in range(passes)])
    order = order[: steps * SCRATCH_BATCH]
    model.fit(
        x[order],
        y[order],
        batch_size=SCRATCH_BATCH,
        callbacks=same_draws(),
        shuffle=False,
        verbose=0,
    )


def backbone_from_scratch(
    x: np.ndarray,
    y: np.ndarray,
    classes: int,
    seed: int = 0,
    steps: int = SCRATCH_STEPS,
    *,
    backbone: str = "efficientnet-lite0",
    size: int = 96,
    learning_rate: float = SCRATCH_RATE,
) -> keras.Model:
    """Train the architecture of a backbone from random weights: the control of pretraining.

    A small network asks whether transfer is worth it. This one asks what the pretrained weights,
    and nothing else, are worth. It gets the recipe of `train_from_scratch`, and everything in it is
    trained, BatchNormalization included.

    Args:
        x, y, classes, seed, steps: as in `train_from_scratch`.
        backbone: a key of `models.BACKBONES`.
        size: side in pixels that images are resized to inside the model.
        learning_rate: the highest one of the schedule.

    Returns:
        The trained model, from raw pixels to probabilities.
    """
    config.set_seed(seed)
    model = build_classifier(classes, backbone, x.shape[1:], size, weights=None)
    freezing.unfreeze(model, batch_norm="trainable")
    for layer in freezing.find_backbone(model).layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # As in `small_cnn`: at Keras' 0.99 a few hundred steps are too few for its statistics.
            layer.momentum = 0.9
    compile_classifier(model, keras.optimizers.Adam(_schedule(steps, learning_rate)))
    _fit(model, x, y, seed, steps)
    return model
