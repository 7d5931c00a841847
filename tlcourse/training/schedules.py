"""What a schedule does to the rate in fact, before anything is trained with it."""

from collections.abc import Callable

import numpy as np


def preview(schedule: Callable, epochs: int, learning_rate: float) -> list[float]:
    """The rate of each epoch as `keras.callbacks.LearningRateScheduler` would set it.

    The callback calls `schedule(epoch, rate)` with the rate that is set at that moment, so what a
    function returned in one epoch is what it is given in the next. Only if it refuses a second
    argument is it called with the epoch alone.

    Args:
        schedule: the function meant for the callback.
        epochs: how many to look at.
        learning_rate: the optimizer's at the start.

    Returns:
        The rates, `epochs` of them.

    Example:
        >>> preview(lambda epoch, rate=1.0: rate / 2, 4, 1.0)
        [0.5, 0.25, 0.125, 0.0625]
    """
    rates = []
    for epoch in range(epochs):
        try:
            # The optimizer keeps its rate as a float32.
            learning_rate = schedule(epoch, float(np.float32(learning_rate)))
        except TypeError:
            learning_rate = schedule(epoch)
        rates.append(float(learning_rate))
    return rates


def check_schedule(schedule: Callable, epochs: int, learning_rate: float) -> str | None:
    """Find out whether a callback's function would compound against its author's will.

    The sign is a second argument with a default. Called by hand with the epoch alone, the function
    gives the curve that was meant; Keras puts the current rate in the default's place, and the
    factors multiply from epoch to epoch. A function whose second argument has no default asks for
    the current rate, as Keras' own example does, and is left alone.

    Args:
        schedule, epochs, learning_rate: as in `preview`.

    Returns:
        One sentence about the first epoch that differs, or None if there is none.

    Example:
        >>> print(check_schedule(lambda epoch, start=0.1: start * 0.5**epoch, 9, 0.1))
        Epoch 2 is meant to have a rate of 0.025 and will have 0.0125: Keras passes the current \
rate as the second argument, so the factors multiply; let the function take the epoch alone.
        >>> check_schedule(lambda epoch: 0.1 * 0.5**epoch, 9, 0.1)
    """
    try:
        meant = [float(schedule(epoch)) for epoch in range(epochs)]
    except TypeError:
        return None
    actual = preview(schedule, epochs, learning_rate)
    for epoch, (want, have) in enumerate(zip(meant, actual, strict=True)):
        if not np.isclose(want, have, rtol=1e-4, atol=0):
            return (
                f"Epoch {epoch} is meant to have a rate of {want:.3g} and will have {have:.3g}: "
                "Keras passes the current rate as the second argument, so the factors multiply; "
                "let the function take the epoch alone."
            )
    return None
