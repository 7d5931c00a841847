"""Learn what another model says: distillation, and learning without forgetting."""

import keras
from keras import ops

_TINY = 1e-30  # below any probability that float32 can still tell from zero by its logarithm


def soften(probabilities, temperature: float):
    """Probabilities at a higher temperature: nearer to each other, in the same order.

    Args:
        probabilities: `(N, classes)`.
        temperature: above zero; 1 changes nothing.

    Returns:
        A tensor `(N, classes)` of what a softmax would say of logits divided by the temperature.

    Raises:
        ValueError: a temperature that is not above zero.

    Example:
        >>> [round(float(p), 3) for p in soften([[0.9, 0.1]], 2.0)[0]]
        [0.75, 0.25]
    """
    if not temperature > 0:
        raise ValueError(f"The temperature is {temperature}; it has to be above zero.")
    probabilities = ops.maximum(ops.convert_to_tensor(probabilities, "float32"), _TINY)
    return ops.softmax(ops.log(probabilities) / temperature)


@keras.saving.register_keras_serializable("tlcourse")
class Distillation(keras.losses.Loss):
    """How far a student's probabilities are from a teacher's: T² · KL(teacher ‖ student).

    Both are softened by the temperature T first, so that what the teacher says of the unlikely
    classes counts, too. Softening divides the gradient by about T², which the factor makes up for;
    so the temperature can change without changing how much the loss weighs.

    The targets are the teacher's probabilities, as `predict` gives them, computed once. If the
    teacher is the model itself before training and the images are those of the new task, this is
    learning without forgetting (LwF). It is an ordinary loss with ordinary sample weights, one for
    each output; `keras.distillation.Distiller` runs the teacher in every step, wants logits, and
    ignores sample weights.

    Args:
        temperature: above zero.
        scaled: False to leave the factor T² out.

    Raises:
        ValueError: a temperature that is not above zero.

    Source: Hinton et al., 2015 (https://arxiv.org/abs/1503.02531); Li and Hoiem, 2016
    (https://arxiv.org/abs/1606.09282).
    """

    def __init__(
        self,
        temperature: float = 2.0,
        scaled: bool = True,
        reduction="sum_over_batch_size",
        name="distillation",
        **kwargs,
    ):
        super().__init__(name=name, reduction=reduction, **kwargs)
        if not temperature > 0:
            raise ValueError(f"The temperature is {temperature}; it has to be above zero.")
        self.temperature, self.scaled = float(temperature), bool(scaled)

    def call(self, y_true, y_pred):
        teacher = soften(y_true, self.temperature)
        student = soften(y_pred, self.temperature)
        apart = ops.log(ops.maximum(teacher, _TINY)) - ops.log(ops.maximum(student, _TINY))
        factor = self.temperature**2 if self.scaled else 1.0
        return factor * ops.sum(teacher * apart, axis=-1)

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature, "scaled": self.scaled}
