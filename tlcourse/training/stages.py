"""Train in stages: first the head, then what is behind it."""

import time

import keras
import numpy as np

from tlcourse.training.finetune import fine_tune
from tlcourse.training.head import HEAD_C, Head, fit_head, set_head
from tlcourse.training.loop import History


def two_stage(
    model: keras.Model,
    x: np.ndarray,
    y: np.ndarray,
    *,
    epochs: int,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    C: float = HEAD_C,
    **fine_tuning,
) -> History:
    """Fit the head on the frozen backbone's features, then fine-tune.

    A random head sends random gradients into the backbone; a fitted one does not.

    Args:
        model: from `build_classifier`, with a Dense softmax layer "head".
        x: raw pixels `(N, H, W, C)`, 0-255.
        y: class numbers `(N,)`.
        epochs: passes of fine-tuning, 1 or more.
        validation: `(x, y)` to score after the head and after each epoch, or None.
        C: as in `fit_head`.
        fine_tuning: whatever else `fine_tune` takes.

    Returns:
        The `History`: stage "head" is one entry, the fitted head; then stage "fine-tuning".

    Raises:
        ValueError: the model has no layer "head", or as in `fit_head` and `fine_tune`.

    Source: Kumar et al., 2022 (https://arxiv.org/abs/2202.10054), call it LP-FT.
    """
    start = time.perf_counter()
    if not any(layer.name == "head" for layer in model.layers):
        raise ValueError(f"{model.name} has no layer named 'head' to put the head into.")
    to_features = keras.Model(model.input, model.get_layer("head").input)
    found = to_features.predict(x, verbose=0)
    head = fit_head(found, y, model.output_shape[-1], C)
    set_head(model, head)
    curves = _scores(head, found, y)
    if validation is not None:
        scores = _scores(head, to_features.predict(validation[0], verbose=0), validation[1])
        curves |= {f"val_{name}": values for name, values in scores.items()}
    first = History({**curves, "seconds": [time.perf_counter() - start]}, {"head": 0})
    return first.then(fine_tune(model, x, y, epochs=epochs, validation=validation, **fine_tuning))


def _scores(head: Head, features: np.ndarray, labels: np.ndarray) -> dict[str, list[float]]:
    likely = head.probabilities(features)[np.arange(len(labels)), labels]
    loss = float(-np.log(np.maximum(likely, 1e-7)).mean())
    return {"loss": [loss], "accuracy": [head.accuracy(features, labels)]}
