"""Compile a classifier, train it and keep what happened."""

import time
import weakref
from dataclasses import dataclass, field

import keras
import numpy as np

from tlcourse import devices
from tlcourse.freezing import structure
from tlcourse.training.rates import are_numbers, each, optimizer_for


def compile_classifier(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
    """Compile for class numbers and probabilities, ready for the first step."""
    devices.begin_fits_sooner()
    devices.end_fits_at_once()
    # TensorFlow traces a step a second time if variables are made in it; so they are made here, the
    # metric's by giving an object in place of a name. It halves the wait before the first step.
    optimizer.build(model.trainable_variables)
    model.compile(
        optimizer,
        "sparse_categorical_crossentropy",
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
    )


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


class _Draws(keras.callbacks.Callback):
    """Puts a generator back to where it was before the step was made."""

    def __init__(self, state, restore):
        super().__init__()
        self._state, self._restore = state, restore

    def on_train_begin(self, logs=None):
        self._restore(self._state)


def same_draws() -> list[keras.callbacks.Callback]:
    """Callbacks for `fit` that make a training independent of whether its step is made for it.

    On PyTorch and on JAX, Keras makes a step from stand-ins, and draws for them from the generator
    that also gives the order of the examples, and on PyTorch the dropouts.
    """
    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        return [_Draws(torch.get_rng_state(), torch.set_rng_state)]
    return [_Draws(np.random.get_state(), np.random.set_state)] if backend == "jax" else []


def train(
    model: keras.Model,
    x: np.ndarray,
    y: np.ndarray,
    *,
    epochs: int,
    learning_rate,
    batch_size: int = 32,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    optimizer="adam",
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
    shuffle: bool = True,
    stage: str = "training",
) -> History:
    """Compile a classifier anew and train what is trainable in it.

    Compiling anew is what makes a change of `trainable` count; it also starts the optimizer from
    rest. A step that was compiled here before serves again where nothing but the rate differs, and
    the optimizer starts from rest then, too.

    Args:
        model: from raw pixels to probabilities.
        x: raw pixels `(N, H, W, C)`, 0-255.
        y: class numbers `(N,)`.
        epochs: passes over the data, 1 or more.
        learning_rate: a positive number, a `keras.optimizers.schedules` schedule, or a mapping from
            parts of the model to either, as in `layer_wise`.
        batch_size: images in one step.
        validation: `(x, y)` to score after each epoch, or None.
        optimizer: any name that `keras.optimizers.get` knows, or an optimizer to copy.
        callbacks: Keras callbacks.
        shuffle: whether each epoch draws an order of its own; False takes the examples as they lie.
        stage: the name under which the history keeps this part.

    Returns:
        The `History`.

    Raises:
        ValueError: a rate or a number of epochs that is not positive, labels beyond the model's
            classes, nothing to train, or batches that several devices cannot share equally.
    """
    check_task(model, x, y, epochs)
    _check_shares(len(x), batch_size)
    # TensorFlow scores an odd image where it fits; JAX cannot.
    if validation is not None and keras.backend.backend() == "jax":
        _check_shares(len(validation[0]), batch_size)
    draws = same_draws()
    _compile_or_reset(model, optimizer, learning_rate)
    clock = _Clock()
    found = model.fit(
        x,
        y,
        epochs=epochs,
        batch_size=batch_size,
        validation_data=validation,
        callbacks=[*draws, clock, *callbacks],
        shuffle=shuffle,
        verbose=0,
    )
    _steps[model].function = model.train_function
    curves = {name: [float(v) for v in values] for name, values in found.history.items()}
    return History({**curves, "seconds": clock.seconds}, {stage: 0})


def check_task(model: keras.Model, x: np.ndarray, y: np.ndarray, epochs: int) -> None:
    """Refuse what `train` cannot train, before anything is changed."""
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


def _check_shares(images: int, batch_size: int) -> None:
    """Refuse batches of which some devices would get more than others, under `devices.spread`.

    Their images would weigh less, so the result would not be that of one device.
    """
    shares = devices.sharing()
    for batch in (min(batch_size, images), images % batch_size):
        if batch % shares:
            raise ValueError(
                f"{images} images in batches of {batch_size} make a batch of {batch}, which "
                f"{shares} devices cannot share equally; give {images - batch % shares} images, or "
                f"a batch_size that {shares} divides, or train outside devices.spread()."
            )


@dataclass
class _Step:
    """A compiled training step, and what has to be the same for it to serve again."""

    settings: tuple
    initial: list[np.ndarray]  # the optimizer's variables, at rest
    function: object = None


_steps: "weakref.WeakKeyDictionary[keras.Model, _Step]" = weakref.WeakKeyDictionary()


def _compile_or_reset(model: keras.Model, optimizer, rate) -> None:
    """Compile, or bring the step of the last training to rest if a new one would be its equal.

    A new step takes seconds to make, as long as training on a hundred images.
    """
    new = optimizer_for(model, optimizer, rate)
    # A schedule is part of the step itself, so such a step serves only once.
    plain = are_numbers(rate)
    settings = (*_settings(new), fingerprint(model)) if plain else ()
    step = _steps.get(model)
    # `function` is another one, or none, as soon as anybody else has compiled the model.
    if plain and step and step.settings == settings and step.function is model.train_function:
        for variable, value in zip(model.optimizer.variables, step.initial, strict=True):
            variable.assign(np.broadcast_to(value, variable.shape))
        for inner, wanted in zip(each(model.optimizer), each(new), strict=True):
            inner.learning_rate = float(keras.ops.convert_to_numpy(wanted.learning_rate))
        return
    compile_classifier(model, new)
    initial = [_constant_or_whole(variable) for variable in new.variables] if plain else []
    _steps[model] = _Step(settings, initial)


def _settings(optimizer) -> tuple:
    """What an optimizer has built into a step: all but its rates."""
    # Keras numbers the names it makes up itself; those of parts are ours and say what is whose.
    names = tuple(inner.name for inner in each(optimizer)) if len(each(optimizer)) > 1 else ()
    without = {"learning_rate": None, "name": None}
    return names, *(
        (type(inner), repr({**inner.get_config(), **without})) for inner in each(optimizer)
    )


def fingerprint(model: keras.Model) -> tuple:
    """What a compiled function has built in: layers, their settings, regularizers, what trains.

    A layer that cannot say how it is set gives a fingerprint that equals no other.
    """
    seen = []
    for layer in structure.walk(model):
        try:
            settings = None if isinstance(layer, keras.Model) else repr(layer.get_config())
        except NotImplementedError:
            settings = object()
        seen.append((id(layer), layer.trainable, settings))
    return (*seen, *((id(v), id(v.regularizer), v.trainable) for v in model.variables))


def _constant_or_whole(variable) -> np.ndarray:
    value = keras.ops.convert_to_numpy(variable)
    first = value.reshape(-1)[:1]
    return first.reshape(()) if (value == first).all() else value
