"""Gradient reversal: forwards nothing happens, backwards the gradient changes its sign."""

import keras
from keras import ops


def ramp(progress):
    """The published schedule of the reversal: `2 / (1 + exp(-10 p)) - 1`, from 0 to nearly 1.

    Args:
        progress: how much of the training is done, from 0 to 1; a number or a tensor.

    Source: Ganin and Lempitsky, 2015 (https://arxiv.org/abs/1409.7495), section 4.

    Example:
        >>> [round(float(ramp(p)), 3) for p in (0.0, 0.1, 0.5, 1.0)]
        [0.0, 0.462, 0.987, 1.0]
    """
    return 2.0 / (1.0 + ops.exp(-10.0 * progress)) - 1.0


@keras.saving.register_keras_serializable(package="tlcourse")
class GradientReversal(keras.layers.Layer):
    """The identity, whose gradient is multiplied by minus the strength.

    What comes after the layer learns to minimise a loss; what comes before it learns to maximise
    the same loss. It is written with `stop_gradient`, so that it is the same on TensorFlow, JAX
    and PyTorch, and its strength is a weight, so that a compiled step need not be made anew.

    Args:
        strength: the factor, 0 or more; with 0 no gradient passes at all.
        ramp_steps: over how many training steps the strength rises along `ramp`; 0 for at once.

    Raises:
        ValueError: a strength below zero, or a number of steps that is none.

    Source: Ganin and Lempitsky, 2015 (https://arxiv.org/abs/1409.7495).

    Example:
        >>> layer = GradientReversal(0.5)
        >>> keras.ops.convert_to_numpy(layer(keras.ops.ones((1, 2)))).tolist()
        [[1.0, 1.0]]
    """

    def __init__(self, strength: float = 1.0, ramp_steps: int = 0, **kwargs):
        super().__init__(**kwargs)
        _check(strength, ramp_steps)
        self._first = (float(strength), int(ramp_steps))
        for name, value in zip(("strength", "ramp_steps", "step"), (*self._first, 0), strict=True):
            weight = self.add_weight(
                shape=(), initializer=keras.initializers.Constant(value), trainable=False,
                dtype="float32", name=name,
            )  # fmt: skip
            setattr(self, name, weight)
        self.built = True

    def start(self, strength: float, ramp_steps: int = 0) -> None:
        """Begin a training: set the strength, and let its ramp start from zero.

        Raises:
            ValueError: as for the layer.
        """
        _check(strength, ramp_steps)
        self.strength.assign(float(strength))
        self.ramp_steps.assign(float(ramp_steps))
        self.step.assign(0.0)

    def now(self):
        """The strength at this step, a scalar tensor."""
        progress = ops.minimum(self.step / ops.maximum(self.ramp_steps, 1.0), 1.0)
        return self.strength * ops.where(self.ramp_steps > 0, ramp(progress), 1.0)

    def call(self, x, training=None):
        strength = ops.cast(self.now(), x.dtype)
        if training:
            self.step.assign(self.step + 1.0)
        kept = ops.stop_gradient(x)
        # The difference is zero, so that not even a rounding changes the value.
        return kept - strength * (x - kept)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        strength, steps = self._first
        return super().get_config() | {"strength": strength, "ramp_steps": steps}


def _check(strength, ramp_steps) -> None:
    if not 0 <= strength < float("inf"):
        raise ValueError(f"The strength is {strength}; give 0 or more, such as 1.")
    if ramp_steps != int(ramp_steps) or ramp_steps < 0:
        raise ValueError(f"ramp_steps is {ramp_steps}; give a whole number, 0 for no ramp.")
