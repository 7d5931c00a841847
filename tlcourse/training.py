"""Train: a head on frozen features, a whole model, or first the one and then the other."""

import itertools
import time
import warnings
from dataclasses import dataclass, field

import keras
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tlcourse import config, freezing
from tlcourse.evaluation import accuracy
from tlcourse.freezing import structure
from tlcourse.models import small_cnn

# Picked once, on validation images of animals, MNIST, Fashion-MNIST and CIFAR-10 at 50 to 3,000
# labels: the best or within one point of it everywhere.
HEAD_C = 0.1


@dataclass(frozen=True)
class Head:
    """A softmax layer fitted on frozen features.

    Attributes:
        kernel: float32 `(D, classes)`.
        bias: float32 `(classes,)`.
    """

    kernel: np.ndarray
    bias: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Scores before the softmax, `(N, classes)`."""
        return features @ self.kernel + self.bias

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Class probabilities `(N, classes)`, float32."""
        scores = self.logits(features)
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        return scores / scores.sum(axis=1, keepdims=True)

    def accuracy(self, features: np.ndarray, labels: np.ndarray) -> float:
        """Share of correct predictions."""
        return accuracy(self.logits(features), labels)


def fit_head(
    features: np.ndarray, labels: np.ndarray, classes: int | None = None, C: float = HEAD_C
) -> Head:
    """Fit a head on frozen features by logistic regression.

    The problem is convex: there is one best head, no learning rate, no epochs and no seed.
    Features are standardised first, and the scaling is folded into the weights afterwards, so that
    the head fits behind the backbone as it is.

    Args:
        features: float `(N, D)`.
        labels: class numbers `(N,)` from 0.
        classes: how many there are; by default the highest label plus one.
        C: inverse strength of the L2 penalty.

    Returns:
        The `Head`.

    Raises:
        ValueError: shapes that do not fit, or a class without an example.

    Example:
        >>> head = fit_head(np.array([[-1.0], [-2.0], [1.0], [2.0]]), np.array([0, 0, 1, 1]))
        >>> head.accuracy(np.array([[-3.0], [3.0]]), np.array([0, 1]))
        1.0
    """
    features, labels = np.asarray(features), np.asarray(labels)
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        raise ValueError(
            f"Features of shape {features.shape} and labels of shape {labels.shape} do not fit; "
            "they have to be (N, D) and (N,)."
        )
    classes = int(labels.max()) + 1 if classes is None else classes
    missing = sorted(set(range(classes)) - set(labels.tolist()))
    if missing:
        raise ValueError(
            f"Class {missing[0]} has no example among the {len(labels)} labels; "
            "every class needs at least one."
        )
    scaler = StandardScaler().fit(features)
    fitted = LogisticRegression(C=C, max_iter=300, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted.fit(scaler.transform(features), labels)
    kernel, bias = fitted.coef_.T, fitted.intercept_
    if classes == 2:
        # Two classes share one score; a softmax over (0, score) says the same.
        kernel, bias = np.hstack([0 * kernel, kernel]), np.array([0.0, bias[0]])
    kernel = kernel / scaler.scale_[:, None]
    bias = bias - scaler.mean_ @ kernel
    return Head(kernel.astype("float32"), bias.astype("float32"))


def set_head(model: keras.Model, head: Head) -> None:
    """Put a fitted head into the layer "head" of a model from `build_classifier`, in place.

    Raises:
        ValueError: the model has no such layer, or it is of another size.
    """
    try:
        layer = model.get_layer("head")
    except ValueError:
        raise ValueError(f"{model.name} has no layer named 'head' to put the head into.") from None
    if tuple(layer.kernel.shape) != head.kernel.shape:
        raise ValueError(
            f"The model's head is {tuple(layer.kernel.shape)}, the fitted one {head.kernel.shape}; "
            "the number of features and of classes have to agree."
        )
    layer.set_weights([head.kernel, head.bias])


def compile_classifier(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
    """Compile for class numbers and probabilities, in the way that is fastest where it runs.

    Keras compiles with XLA by default. On a CPU that takes longer to start and runs slower, so it
    is left to accelerators; `benchmarks/` holds the comparison.
    """
    on_tensorflow_cpu = keras.backend.backend() == "tensorflow" and not _has_gpu()
    # TensorFlow traces a step a second time if variables are made in it; so they are made here, the
    # metric's by giving an object in place of a name. It halves the wait before the first step.
    optimizer.build(model.trainable_variables)
    model.compile(
        optimizer,
        "sparse_categorical_crossentropy",
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
        jit_compile=False if on_tensorflow_cpu else "auto",
    )


def _has_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


@dataclass
class History:
    """What happened in training, epoch by epoch.

    Attributes:
        curves: a list per quantity: "loss", "accuracy" and, with validation data, "val_loss" and
            "val_accuracy"; and "seconds", the time of each epoch.
        stages: at which epoch each stage began, by name.
    """

    curves: dict[str, list[float]] = field(default_factory=dict)
    stages: dict[str, int] = field(default_factory=dict)

    @property
    def epochs(self) -> int:
        return len(self.curves.get("loss", []))

    def __getitem__(self, name: str) -> list[float]:
        return self.curves[name]

    def then(self, other: "History") -> "History":
        """This history followed by another one; what only one of them has is left out."""
        shared = [name for name in self.curves if name in other.curves]
        stages = {name: self.epochs + start for name, start in other.stages.items()}
        return History(
            {name: self.curves[name] + other.curves[name] for name in shared},
            {**self.stages, **stages},
        )


class _Clock(keras.callbacks.Callback):
    """Times the training part of each epoch."""

    def __init__(self):
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()

    def on_test_begin(self, logs=None):
        self._end_of_training = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        end = getattr(self, "_end_of_training", None) or time.perf_counter()
        self.seconds.append(end - self._start)
        self._end_of_training = None


def train(
    model: keras.Model,
    x: np.ndarray,
    y: np.ndarray,
    *,
    epochs: int,
    learning_rate,
    batch_size: int = 32,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    optimizer: str = "adam",
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
    stage: str = "training",
) -> History:
    """Compile a classifier anew and train what is trainable in it.

    Compiling anew is what makes a change of `trainable` count; it also starts the optimizer from
    rest.

    Args:
        model: from raw pixels to probabilities.
        x: raw pixels `(N, H, W, C)`, 0-255.
        y: class numbers `(N,)`.
        epochs: passes over the data, 1 or more.
        learning_rate: a positive number or a `keras.optimizers.schedules` schedule.
        batch_size: images in one step.
        validation: `(x, y)` to score after each epoch, or None.
        optimizer: any name that `keras.optimizers.get` knows.
        callbacks: Keras callbacks.
        stage: the name under which the history keeps this part.

    Returns:
        The `History`.

    Raises:
        ValueError: a rate or a number of epochs that is not positive, labels beyond the model's
            classes, or nothing to train.
    """
    if isinstance(learning_rate, int | float) and not learning_rate > 0:
        raise ValueError(f"The learning rate is {learning_rate}; it has to be above zero.")
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}; train for at least one.")
    if len(x) != len(y):
        raise ValueError(f"{len(x)} images do not match {len(y)} labels.")
    classes = model.output_shape[-1]
    if int(np.max(y)) >= classes or int(np.min(y)) < 0:
        raise ValueError(
            f"Labels run from {np.min(y)} to {np.max(y)}; a model of {classes} classes wants "
            f"0 to {classes - 1}."
        )
    if not model.trainable_variables:
        raise ValueError("Nothing in the model is trainable; unfreeze a part before training.")
    optimizer = keras.optimizers.get(optimizer)
    optimizer.learning_rate = learning_rate
    compile_classifier(model, optimizer)
    clock = _Clock()
    found = model.fit(
        x,
        y,
        epochs=epochs,
        batch_size=batch_size,
        validation_data=validation,
        callbacks=[clock, *callbacks],
        verbose=0,
    )
    curves = {name: [float(v) for v in values] for name, values in found.history.items()}
    return History({**curves, "seconds": clock.seconds}, {stage: 0})


# Activations above this are not kept in memory: 2 GiB, a quarter of a small laptop.
CACHE_BYTES = 2 << 30


def cached_prefix(model: keras.Model, x: np.ndarray) -> tuple[keras.Model, np.ndarray]:
    """Compute the frozen first part of a model once, and give the rest as a model of its own.

    The rest shares its layers with the model: training it on the activations trains the model, and
    costs only what the trainable blocks cost. The result is that of plain fine-tuning, because a
    frozen part, BatchNormalization included, says the same of an image in every epoch.

    Args:
        model: from raw pixels to probabilities, with a nested backbone whose first blocks are
            frozen, as `freezing.freeze` and `freezing.unfreeze` leave it.
        x: raw pixels `(N, H, W, C)`, 0-255.

    Returns:
        `(suffix, activations)`: the uncompiled rest, and its inputs float32 `(N, h, w, channels)`.

    Raises:
        ValueError: the first block is trainable, or the frozen part holds something that differs
            from epoch to epoch.
    """
    prefix, suffix = _split(model)
    return suffix, prefix.predict(x, verbose=0)


def _split(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """The frozen first part and the rest, cut where a single tensor carries everything."""
    parts = structure.take_apart(model)
    call = _call_of(parts)
    trained = {id(weight) for weight in model.trainable_weights}
    frozen = list(
        itertools.takewhile(
            lambda block: not any(id(weight) in trained for weight in block.weights), parts.blocks
        )
    )
    for block in reversed(frozen):
        cut = block.layers[-1].output
        try:
            late = keras.Model(cut, parts.backbone.output)
        except ValueError:  # a second tensor crosses here
            continue
        early = keras.Model(parts.backbone.input, cut)
        prefix = keras.Model(model.input, early(call.input_tensors[0]), name="prefix")
        _refuse_what_varies(prefix)
        inputs = keras.Input(cut.shape[1:], name="activations")
        outputs = keras.Model(call.output_tensors[0], model.output)(late(inputs))
        return prefix, keras.Model(inputs, outputs, name=f"{model.name}-suffix")
    raise ValueError(
        f"The first block of {parts.backbone.name!r}, {parts.blocks[0].name}, is trainable, so "
        "there is nothing to compute only once; call train(model, …), or freeze the first blocks."
    )


def _call_of(parts: structure.Structure):
    """The place in the model's graph where its backbone is called."""
    for nodes in getattr(parts.model, "_nodes_by_depth", {}).values():
        for node in nodes:
            if parts.nested and node.operation is parts.backbone:
                return node
    raise ValueError(
        f"{parts.model.name!r} has no nested backbone to cut; build the model with "
        "build_classifier, or call train(model, …)."
    )


def _refuse_what_varies(prefix: keras.Model) -> None:
    for layer in structure.walk(prefix):
        if isinstance(layer, keras.Model):
            continue
        if layer.trainable and (
            layer.trainable_weights or isinstance(layer, keras.layers.BatchNormalization)
        ):
            raise ValueError(
                f"{layer.name!r} lies in the frozen part and still changes in training; freeze it, "
                "or call train(model, …)."
            )
        if layer._seed_generators:
            raise ValueError(
                f"{layer.name!r} lies in the frozen part and draws at random in every epoch, so "
                "its output cannot be kept; call train(model, …)."
            )


def fine_tune(
    model: keras.Model,
    x: np.ndarray,
    y: np.ndarray,
    *,
    last: int | None = None,
    until: str | None = None,
    epochs: int,
    learning_rate=1e-5,
    batch_size: int = 32,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    optimizer: str = "adam",
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
    cache: bool = True,
    stage: str = "fine-tuning",
) -> History:
    """Unfreeze the last blocks or the whole backbone, compile anew and train.

    Every BatchNormalization of the backbone stays frozen. What stays frozen at the front is
    computed once where that is exact, see `cached_prefix`, and fits into memory.

    Args:
        model: from raw pixels to probabilities, its head fitted already; see `two_stage`.
        x: raw pixels `(N, H, W, C)`, 0-255.
        y: class numbers `(N,)`.
        last: how many blocks to train, counted from the backbone's output; or
        until: the last block or stage to stay frozen. With neither, everything trains.
        epochs: passes over the data, 1 or more.
        learning_rate: a positive number or a schedule.
        batch_size, validation, optimizer, callbacks, stage: as in `train`.
        cache: False to run the frozen part again in every step.

    Returns:
        The `History`. Its "seconds" are those of the epochs, without the one pass before them.

    Raises:
        ValueError: as in `freezing.unfreeze`, `freezing.freeze` and `train`.
    """
    if last is not None and until is not None:
        raise ValueError("fine_tune got last and until; give one of them.")
    if until is None:
        freezing.unfreeze(model, last=last)
    else:
        freezing.freeze(model, until=until)
    settings = {
        "epochs": epochs,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "callbacks": callbacks,
        "stage": stage,
    }
    split = _worthwhile_split(model, len(x)) if cache else None
    if split is None:
        return train(model, x, y, validation=validation, **settings)
    prefix, suffix = split
    if validation is not None:
        validation = (prefix.predict(validation[0], verbose=0), validation[1])
    history = train(suffix, prefix.predict(x, verbose=0), y, validation=validation, **settings)
    # The model is left as if it had been trained itself: compiled, with the same optimizer.
    compile_classifier(model, suffix.optimizer)
    return history


def _worthwhile_split(model: keras.Model, images: int):
    """The two parts of the model, or None where caching would be inexact or too large."""
    try:
        prefix, suffix = _split(model)
    except ValueError:
        return None
    sides = prefix.output_shape[1:]
    fits = None not in sides and 4 * images * int(np.prod(sides)) <= CACHE_BYTES
    return (prefix, suffix) if fits else None


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
