import keras
import numpy as np
import pytest

from tlcourse import training


def intended(epoch, initial_rate=1e-5):
    """Five epochs of warm-up, fifteen of plateau, then halved every five."""
    if epoch < 5:
        return initial_rate * (epoch + 1) / 5
    return initial_rate * 0.5 ** max(0, (epoch - 15) // 5)


def in_fit(schedule, epochs, rate):
    """The rates that Keras itself sets."""
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.compile(keras.optimizers.SGD(rate), "mse")
    callback = keras.callbacks.LearningRateScheduler(schedule)
    fitted = model.fit(np.ones((4, 1)), np.ones(4), epochs=epochs, callbacks=[callback], verbose=0)
    return fitted.history["learning_rate"]


SCHEDULES = [
    intended,
    lambda epoch: intended(epoch),
    lambda epoch, rate: rate * 0.9,
    lambda epoch, **kwargs: 1e-3,
]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_preview_is_what_keras_sets(schedule):
    expected = in_fit(schedule, 12, 1e-5)
    assert training.preview(schedule, 12, 1e-5) == pytest.approx(expected, rel=1e-5)


def test_factors_multiply_and_are_found():
    found = training.preview(intended, 6, 1e-5)
    assert found[5] == pytest.approx(1e-5 * 0.2 * 0.4 * 0.6 * 0.8)
    sentence = training.check_schedule(intended, 6, 1e-5)
    assert sentence.startswith("Epoch 1 is meant to have a rate of 4e-06 and will have 8e-07")


@pytest.mark.parametrize("schedule", SCHEDULES[1:])
def test_what_is_meant_is_left_alone(schedule):
    assert training.check_schedule(schedule, 30, 1e-5) is None


def test_a_default_that_differs_from_the_optimizers_rate_is_found():
    assert "Epoch 0" in training.check_schedule(intended, 6, 1e-3)
