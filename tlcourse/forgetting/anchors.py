"""Hold weights near where they were: L2-SP, and elastic weight consolidation (EWC)."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras import ops

from tlcourse import multitask
from tlcourse.forgetting.fishers import _Squares, functional
from tlcourse.multitask import compile_outputs


class Anchor(keras.layers.Layer):
    """Half the squared distance of some weights from where they were: ½ Σ F (w − w₀)².

    With F = 1 everywhere it is L2-SP; with the Fisher information of the old task it is EWC. Where
    the weights were is a copy, not a reference, and no gradient flows into it.

    The layer puts the penalty out as `(N, 1)`, once for each example, so that it becomes an output
    of the model with a loss of its own, `penalty`, and a strength that `fit` takes as sample
    weight. Nothing has to be compiled again for another strength, other importances or another
    anchor.

    Args:
        weights: the variables to hold, of layers that stay in use.
        name: the layer's name.

    Raises:
        ValueError: there are none.

    Source: Li et al., 2018 (https://arxiv.org/abs/1802.01483) for L2-SP; Kirkpatrick et al., 2017
    (https://arxiv.org/abs/1612.00796) for EWC.
    """

    def __init__(self, weights: Sequence, name: str = "anchor"):
        super().__init__(name=name, trainable=False, dtype="float32")
        weights = list(weights)
        if not weights:
            raise ValueError("There are no weights to hold; unfreeze a part of the trunk first.")
        # Behind a function, or Keras would take the weights for this layer's own.
        self._held = lambda: weights
        self._start = [self._copy(weight, f"start_{i}") for i, weight in enumerate(weights)]
        self._importance = [self._copy(weight, f"f_{i}") for i, weight in enumerate(weights)]
        self.reset()
        self.set_importance(None)

    def _copy(self, weight, name):
        return self.add_weight(weight.shape, "zeros", trainable=False, name=name)

    def call(self, inputs):
        total = 0.0
        for weight, start, importance in zip(
            self._held(), self._start, self._importance, strict=True
        ):
            total += ops.sum(importance * ops.square(weight - start))
        return ops.zeros_like(inputs[:, :1]) + 0.5 * total

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1)

    def reset(self) -> None:
        """Hold the weights where they are now."""
        for weight, start in zip(self._held(), self._start, strict=True):
            # Through NumPy, for a copy: JAX trains no two variables that share one array.
            start.assign(ops.convert_to_numpy(weight))

    def set_importance(self, importance: Mapping[str, np.ndarray] | None) -> None:
        """Weigh each weight's distance.

        Args:
            importance: arrays by the path of the weight, as from `fisher`; None for 1 everywhere.

        Raises:
            ValueError: a held weight is not in it, has another shape, or a value below zero.
                Nothing was changed then.
        """
        arrays = []
        for weight in self._held():
            value = np.ones(weight.shape) if importance is None else importance.get(weight.path)
            if value is None or np.shape(value) != tuple(weight.shape):
                raise ValueError(
                    f"The importances hold no array of shape {tuple(weight.shape)} for "
                    f"{weight.path!r}; take the Fisher of the model whose weights are held."
                )
            if not (np.asarray(value) >= 0).all():
                raise ValueError(f"An importance of {weight.path!r} is below zero; none may be.")
            arrays.append(value)
        for variable, value in zip(self._importance, arrays, strict=True):
            variable.assign(value)


def anchored(model: keras.Model, tasks: Sequence[str] | None = None) -> tuple:
    """A model with one more output, "anchor": how far its trunk has moved.

    Args:
        model: with a dict of outputs, as from `multitask.share_trunk`.
        tasks: the tasks whose shared, trainable weights are held; all by default.

    Returns:
        `(model, anchor)`: a model around the same layers, and its `Anchor`.

    Raises:
        ValueError: the tasks share no trunk, or all of it is frozen.
    """
    anchor = Anchor(multitask.shared_weights(model, tasks))
    any_output = next(iter(model.output.values()))
    return keras.Model(model.input, {**model.output, "anchor": anchor(any_output)}), anchor


def penalty(y_true, y_pred):
    """The loss of an output that is a penalty already."""
    return ops.mean(y_pred, axis=-1)


def penalty_gradient(model: keras.Model, x: np.ndarray) -> float:
    """The largest gradient of a model's penalties alone: of its regularizers and of its "anchor".

    A penalty can have the right value and no gradient. Then it prevents nothing, and no loss curve
    shows it. Ask after the weights have moved: at the anchor itself the gradient is zero anyway.

    Args:
        model: with regularizers, or a dict of outputs of which one is "anchor".
        x: a few inputs `(N, ...)`.

    Returns:
        The largest absolute gradient over all trainable weights. Zero after the weights have
        moved means that the penalty is not connected. No weight is changed.

    Raises:
        ValueError: the model has nothing trainable.
    """
    model = functional(model)
    outputs = model.output if isinstance(model.output, dict) else {"output": model.output}
    part = keras.Model(model.input, outputs, name="penalties")
    if not part.trainable_variables:
        raise ValueError("Nothing in the model is trainable, so no penalty can have a gradient.")
    squares = _Squares()
    compile_outputs(part, squares, dict.fromkeys(outputs, penalty))
    zeros = {name: np.zeros((len(x), *out.shape[1:]), "float32") for name, out in outputs.items()}
    weights = {name: np.full(len(x), float(name == "anchor"), "float32") for name in outputs}
    part.fit(x, zeros, sample_weight=weights, batch_size=len(x), verbose=0)
    return max(float(np.sqrt(v.max())) for v in squares.found(part.trainable_variables, 1).values())
