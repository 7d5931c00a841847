import keras
import numpy as np
import pytest
from keras import layers

from tlcourse.adaptation import GradientReversal, ramp


def value(tensor):
    return keras.ops.convert_to_numpy(tensor)


def gradient_in_front(reversal, training_steps=1, rate=1.0):
    """What one step of plain SGD on the sum of the output does to a weight before the reversal."""
    inputs = keras.Input((1,))
    before = layers.Dense(1, use_bias=False, kernel_initializer="ones", name="before")
    model = keras.Model(inputs, reversal(before(inputs)))
    # The mean absolute distance from zero of a positive output has the gradient 1.
    model.compile(keras.optimizers.SGD(rate), "mean_absolute_error")
    found = []
    for _ in range(training_steps):
        was = value(before.kernel).item()
        model.fit(np.ones((1, 1)), np.zeros((1, 1)), verbose=0)
        found.append((was - value(before.kernel).item()) / rate)
    return found


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0, 2.0])
def test_the_gradient_is_minus_the_strength(strength):
    assert gradient_in_front(GradientReversal(strength)) == pytest.approx([-strength], abs=1e-6)


def test_the_strength_can_change_in_a_compiled_step():
    inputs = keras.Input((1,))
    before = layers.Dense(1, use_bias=False, kernel_initializer="ones")
    reversal = GradientReversal(1.0)
    model = keras.Model(inputs, reversal(before(inputs)))
    model.compile(keras.optimizers.SGD(1.0), "mean_absolute_error")
    moved = []
    for strength in (1.0, 0.25):
        reversal.start(strength)
        was = value(before.kernel).item()
        model.fit(np.ones((1, 1)), np.zeros((1, 1)), verbose=0)
        moved.append(value(before.kernel).item() - was)
    assert moved == pytest.approx([1.0, 0.25])


def test_values_pass_unchanged_to_the_last_bit():
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32") * 1e6
    assert (value(GradientReversal(0.7)(x)) == x).all()


def test_the_ramp_is_the_published_one_and_advances_in_training_only():
    reversal = GradientReversal(2.0, ramp_steps=4)
    reversal(np.ones((1, 1)), training=False)
    assert value(reversal.step) == 0
    found = gradient_in_front(reversal, training_steps=6, rate=0.01)
    p = np.array([0, 0.25, 0.5, 0.75, 1, 1])
    assert found == pytest.approx(-2 * (2 / (1 + np.exp(-10 * p)) - 1), abs=2e-4)


def test_the_ramp_starts_at_zero_and_ends_nearly_at_one():
    assert float(ramp(0.0)) == 0
    assert 0.9999 < float(ramp(1.0)) < 1


def test_is_saved_with_its_settings():
    copy = GradientReversal.from_config(GradientReversal(0.3, 12, name="r").get_config())
    assert (value(copy.strength), value(copy.ramp_steps)) == (np.float32(0.3), 12)


@pytest.mark.parametrize("bad", [(-1.0, 0), (float("nan"), 0), (float("inf"), 0)])
def test_refuses_a_strength_that_is_none(bad):
    with pytest.raises(ValueError, match="The strength is .*; give 0 or more"):
        GradientReversal(*bad)


@pytest.mark.parametrize("steps", [-1, 2.5])
def test_refuses_steps_that_are_none(steps):
    with pytest.raises(ValueError, match="ramp_steps is .*whole number"):
        GradientReversal(1.0, steps)
