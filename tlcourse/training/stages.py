"""Train in stages: first the head, then what is behind it."""

import time
from collections.abc import Sequence

import keras
import numpy as np

from tlcourse.freezing import structure
from tlcourse.training.finetune import fine_tune
from tlcourse.training.head import HEAD_C, HEAD_FLOOR, Head, fit_head, set_head
from tlcourse.training.loop import History, check_task

HEAD_STARTS = ("random", "zero")


def two_stage(
    model: keras.Model,
    x: np.ndarray,
    y: np.ndarray,
    *,
    epochs: int,
    learning_rate=1e-5,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    C: float = HEAD_C,
    floor: float = HEAD_FLOOR,
    **fine_tuning,
) -> History:
    """Fit the head on the frozen backbone's features, then fine-tune.

    A random head sends the backbone gradients that say more of the head than of the images; a
    fitted one sends small ones that say what is still wrong.

    Args:
        model: from `build_classifier`, with a Dense softmax layer "head".
        x: raw pixels `(N, H, W, C)`, 0-255.
        y: class numbers `(N,)`.
        epochs: passes of fine-tuning, 1 or more.
        learning_rate: of fine-tuning, as in `fine_tune`.
        validation: `(x, y)` to score after the head and after each epoch, or None.
        C, floor: as in `fit_head`.
        fine_tuning: whatever else `fine_tune` takes.

    Returns:
        The `History`: stage "head" is one entry, the fitted head; then stage "fine-tuning".

    Raises:
        ValueError: the model has no layer "head", or as in `fit_head` and `fine_tune`.

    Source: Kumar et al., 2022 (https://arxiv.org/abs/2202.10054), call it LP-FT.
    """
    _check(model, x, y, [epochs], [learning_rate])
    first = _head_stage(model, x, y, validation, C, floor)
    settings = {"epochs": epochs, "learning_rate": learning_rate, "validation": validation}
    return first.then(fine_tune(model, x, y, **settings, **fine_tuning))


def progressive(
    model: keras.Model,
    x: np.ndarray,
    y: np.ndarray,
    *,
    stages: Sequence[int] = (1, 3, 5),
    epochs: int | Sequence[int] = 1,
    learning_rate=1e-5,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    C: float = HEAD_C,
    floor: float = HEAD_FLOOR,
    **fine_tuning,
) -> History:
    """Fit the head, then open the backbone stage by stage, from its output towards its input.

    Each stage unfreezes more blocks than the one before it, compiles anew and starts the optimizer
    from rest. Every BatchNormalization of the backbone stays frozen throughout.

    Args:
        model: from `build_classifier`, with a Dense softmax layer "head".
        x: raw pixels `(N, H, W, C)`, 0-255.
        y: class numbers `(N,)`.
        stages: how many of the last blocks each stage trains; rising.
        epochs: passes in each stage, one number for all or one for each.
        learning_rate: one for all stages or one for each; a number or a schedule.
        validation: `(x, y)` to score after the head and after each epoch, or None.
        C, floor: as in `fit_head`.
        fine_tuning: whatever else `fine_tune` takes.

    Returns:
        The `History`, with the stages "head", "last 1 blocks", "last 3 blocks", and so on.

    Raises:
        ValueError: stages that do not rise or that the backbone has not, a list with another number
            of entries than there are stages, or as in `two_stage`. The model is then as it was.

    Source: Howard and Ruder, 2018 (https://arxiv.org/abs/1801.06146), call it gradual unfreezing.
    """
    for name in ("last", "until", "stage"):
        if name in fine_tuning:
            raise ValueError(f"progressive got {name}; say with stages what each stage trains.")
    stages = list(stages)
    blocks = len(structure.take_apart(model).blocks)
    rising = all(a < b for a, b in zip(stages, stages[1:], strict=False))
    if not stages or not rising or not 1 <= stages[0] <= stages[-1] <= blocks:
        raise ValueError(
            f"The stages are {stages}; give rising numbers of last blocks from 1 to {blocks}, such "
            f"as {[min(n, blocks) for n in (1, 3) if n <= blocks]}."
        )
    every = _for_each_stage("epochs", epochs, stages)
    rates = _for_each_stage("learning_rate", learning_rate, stages)
    _check(model, x, y, every, rates)
    history = _head_stage(model, x, y, validation, C, floor)
    for last, passes, rate in zip(stages, every, rates, strict=True):
        settings = {"epochs": passes, "learning_rate": rate, "validation": validation}
        name = f"last {last} blocks"
        history = history.then(
            fine_tune(model, x, y, last=last, stage=name, **settings, **fine_tuning)
        )
    return history


def _for_each_stage(name: str, value, stages: list[int]) -> list:
    if not isinstance(value, list | tuple):
        return [value] * len(stages)
    if len(value) != len(stages):
        raise ValueError(
            f"{name} has {len(value)} entries for {len(stages)} stages; give one for each, or a "
            "single number."
        )
    return list(value)


def _check(model: keras.Model, x, y, epochs: list, rates: list) -> None:
    """Refuse before anything is changed what fine-tuning would refuse after the head is fitted."""
    _head_layer(model)
    for passes in epochs:
        check_task(model, x, y, passes)
    for rate in rates:
        if isinstance(rate, int | float) and not rate > 0:
            raise ValueError(f"The learning rate is {rate}; it has to be above zero.")


def _head_layer(model: keras.Model) -> keras.layers.Layer:
    try:
        return model.get_layer("head")
    except ValueError:
        raise ValueError(f"{model.name} has no layer named 'head' to put the head into.") from None


def _head_stage(model: keras.Model, x, y, validation, C: float, floor: float) -> History:
    """Fit the head and put it into the model; the history of that is one entry."""
    start = time.perf_counter()
    to_features = keras.Model(model.input, _head_layer(model).input)
    found = to_features.predict(x, verbose=0)
    head = fit_head(found, y, model.output_shape[-1], C, floor)
    set_head(model, head)
    curves = _scores(head, found, y)
    if validation is not None:
        scores = _scores(head, to_features.predict(validation[0], verbose=0), validation[1])
        curves |= {f"val_{name}": values for name, values in scores.items()}
    return History({**curves, "seconds": [time.perf_counter() - start]}, {"head": 0})


def _scores(head: Head, features: np.ndarray, labels: np.ndarray) -> dict[str, list[float]]:
    likely = head.probabilities(features)[np.arange(len(labels)), labels]
    loss = float(-np.log(np.maximum(likely, 1e-7)).mean())
    return {"loss": [loss], "accuracy": [head.accuracy(features, labels)]}


def reset_head(model: keras.Model, start: str = "random", seed: int = 0) -> None:
    """Put an untrained head into the layer "head" of a model, in place.

    Args:
        model: from `build_classifier`, with a Dense softmax layer "head".
        start: "random", the uniform weights of Glorot and Bengio that Keras starts a Dense layer
            with; or "zero", all weights 0, so that every class is equally likely for any image.
        seed: of the random weights.

    Raises:
        ValueError: another start, or the model has no layer "head".

    Source: a zero head is how BiT starts fine-tuning, Kolesnikov et al., 2020
    (https://arxiv.org/abs/1912.11370).
    """
    if start not in HEAD_STARTS:
        raise ValueError(f"start is {start!r}; write one of {', '.join(HEAD_STARTS)}.")
    inputs, classes = (int(n) for n in _head_layer(model).kernel.shape)
    limit = np.sqrt(6 / (inputs + classes)) if start == "random" else 0.0
    kernel = np.random.default_rng(seed).uniform(-limit, limit, (inputs, classes))
    set_head(model, Head(kernel.astype("float32"), np.zeros(classes, "float32")))


def gradient_sent_back(head: Head, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What a head tells the backbone: the gradient of each image's loss by its features.

    It is the error, probabilities minus the one-hot label, times the kernel. Nothing else reaches
    the backbone, so with a kernel of zeros the backbone gets a gradient of exactly zero, and with
    hardly any error it gets hardly any.

    Args:
        head: the softmax layer, as `fit_head` gives it or `Head(*layer.get_weights())` reads it.
        features: pooled features `(N, D)`.
        labels: class numbers `(N,)`.

    Returns:
        float32 `(N, D)`.

    Example:
        >>> zero = Head(np.zeros((3, 2), "float32"), np.zeros(2, "float32"))
        >>> float(np.abs(gradient_sent_back(zero, np.ones((4, 3)), np.array([0, 1, 0, 1]))).max())
        0.0
    """
    error = head.probabilities(features)
    error[np.arange(len(labels)), labels] -= 1
    return (error @ head.kernel.T).astype("float32")


def overweighted(head: Head, times: float = 50.0) -> np.ndarray:
    """The features whose weights are many times as long as those of the median feature.

    Divide a feature that hardly ever fires by its own tiny deviation, fit, and fold the division
    back: its weights are huge. On the images of the fit nothing shows. As soon as another image, or
    fine-tuning, makes the feature fire, the head says what this one feature says.

    Args:
        head: a fitted head.
        times: how many times the median length is too long.

    Returns:
        Their indices, the heaviest first; empty if there are none.

    Raises:
        ValueError: `times` is not above 1.

    Example:
        >>> kernel = np.ones((5, 2), "float32")
        >>> kernel[3] = 400
        >>> overweighted(Head(kernel, np.zeros(2, "float32"))).tolist()
        [3]
    """
    if not times > 1:
        raise ValueError(f"times is {times}; give a number above 1.")
    lengths = np.linalg.norm(head.kernel, axis=1)
    heaviest = np.argsort(-lengths)
    return heaviest[lengths[heaviest] > times * np.median(lengths)]
