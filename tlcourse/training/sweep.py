"""Train the same model from the same start at one rate after the other."""

from collections.abc import Iterable, Iterator, Mapping

import keras
import numpy as np

from tlcourse import config
from tlcourse.training.loop import History, check_task, train
from tlcourse.training.rates import optimizer_for


def sweep(
    model: keras.Model,
    x: np.ndarray,
    y: np.ndarray,
    rates: Iterable,
    *,
    epochs: int,
    seed: int = 0,
    batch_size: int = 32,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    optimizer="adam",
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
) -> Iterator[tuple[float | Mapping, History]]:
    """Train at each rate in turn, every time from the same weights and with the same batches.

    Before each run the weights, the momentum and the number of steps go back to where they began,
    so that a run does not depend on the runs before it. The training step is compiled once as long
    as only numbers change, so a run costs no more than its steps.

    Args:
        model: from inputs to probabilities, for example the suffix that `cached_prefix` gives.
        x: its inputs `(N, …)`.
        y: class numbers `(N,)`.
        rates: each as `train` takes it: a number, a schedule, or a mapping from parts to either.
        epochs, batch_size, validation, optimizer, callbacks: as in `train`.
        seed: of the order of images, the same for each rate.

    Yields:
        `(rate, history)`, while the model holds what training at that rate made of it. After the
        loop, and also if it is left early, the model has its first weights again.

    Raises:
        ValueError: no rates, or as in `train`; it is raised before anything is trained.

    Example:
        >>> inputs = keras.Input((1,))
        >>> model = keras.Model(inputs, keras.layers.Dense(2, "softmax", name="head")(inputs))
        >>> x, y = np.array([[-1.0], [1.0]] * 8), np.array([0, 1] * 8)
        >>> [rate for rate, history in sweep(model, x, y, [0.01, 0.1], epochs=1)]
        [0.01, 0.1]
    """
    rates = list(rates)
    if not rates:
        raise ValueError("There are no rates to sweep; give at least one.")
    check_task(model, x, y, epochs)
    for rate in rates:
        optimizer_for(model, optimizer, rate)
    return _runs(
        model, x, y, rates, seed, epochs=epochs, batch_size=batch_size, validation=validation,
        optimizer=optimizer, callbacks=callbacks, stage="sweep",
    )  # fmt: skip


def _runs(model, x, y, rates, seed, **settings):
    start = model.get_weights()
    try:
        for rate in rates:
            model.set_weights(start)
            config.set_seed(seed)
            yield rate, train(model, x, y, learning_rate=rate, **settings)
    finally:
        model.set_weights(start)
