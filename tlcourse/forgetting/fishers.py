"""How much each weight matters for what a model says: the diagonal of the Fisher information."""

import keras
import numpy as np
from keras import ops

from tlcourse.freezing import structure
from tlcourse.multitask import MISSING, _output, compile_outputs

FROM_THE_MODEL = ("expected", "sampled")


def fisher(
    model: keras.Model,
    x: np.ndarray,
    task: str | None = None,
    labels="sampled",
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """The diagonal of the Fisher information of a classifier's trainable weights.

    It is the mean, over examples and over labels as the model itself would draw them, of the
    squared gradient of the log probability of the label. The gradient is squared for each example
    by itself: squared after averaging over a batch, most of it is gone.

    It runs `fit` with an optimizer that only adds up squares, so it works on every backend of
    Keras, and no weight changes.

    Args:
        model: to probabilities `(N, classes)`, or with a dict of such outputs.
        x: inputs `(N, ...)` of the task that is to be kept.
        task: which output, if there are several.
        labels: "sampled" draws one label for each example from the model's own probabilities;
            "expected" takes the mean over all labels, exactly, at a cost of `classes` steps an
            example; an array `(N,)` of true labels gives the empirical Fisher, another quantity,
            which vanishes where the model fits its labels.
        seed: of the drawn labels.

    Returns:
        A float32 array for each trainable weight that the task depends on, by the weight's path.

    Raises:
        ValueError: no labels, a label that is missing or no class, no inputs, nothing trainable,
            a layer that draws at random, or weights with penalties of their own.

    Source: Martens, 2014 (https://arxiv.org/abs/1412.1193) and Kunstner et al., 2019
    (https://arxiv.org/abs/1905.12558) on the true and the empirical Fisher.
    """
    model = functional(model)
    output = model.output if task is None else _output(model, task)
    if isinstance(output, dict):
        raise ValueError(f"The model has the tasks {', '.join(output)}; say whose Fisher you want.")
    # A model of its own around the same layers: the caller's compiled state stays as it is.
    part = keras.Model(model.input, {"task": output}, name="fisher")
    _check(part, x)
    x, y, weight = _labelled(part, np.asarray(x), labels, seed)
    squares = _Squares()
    compile_outputs(part, squares, {"task": "sparse_categorical_crossentropy"})
    part.fit(
        x, {"task": y}, sample_weight={"task": weight}, batch_size=1, shuffle=False,
        verbose=0,
    )  # fmt: skip
    # An example may take several steps, with weights that are 1 together once they are squared.
    return squares.found(part.trainable_variables, (weight**2).sum())


def functional(model: keras.Model) -> keras.Model:
    """The model itself, or one around a Sequential, which keeps its outputs in a model inside."""
    if isinstance(model, keras.Sequential):
        return keras.Model(model.inputs[0], model.outputs[0])
    return model


def _check(part: keras.Model, x) -> None:
    if len(x) == 0:
        raise ValueError("There are no inputs to estimate the Fisher from; give at least one.")
    if not part.trainable_variables:
        raise ValueError("Nothing that the task depends on is trainable, so it has no Fisher.")
    for layer in structure.walk(part):
        moving = isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
        if moving or (not isinstance(layer, keras.Model) and layer._seed_generators):
            raise ValueError(
                f"{layer.name!r} behaves differently in training, so the gradients would not be "
                "those of the model that predicts; freeze or remove it."
            )
    if any(variable.regularizer is not None for variable in part.trainable_variables):
        raise ValueError(
            "The model has weight penalties, whose gradients would be squared along; "
            "take the Fisher of the model without them."
        )


def _labelled(part, x, labels, seed):
    """Inputs, labels and weights, so that each step's gradient is one to be squared."""
    classes = part.output["task"].shape[-1]
    if labels is None:
        raise ValueError(
            'The Fisher got no labels (None); write labels="sampled" to draw them from the model, '
            "which needs no labelled data, or give the true ones for the empirical Fisher."
        )
    if isinstance(labels, str):
        if labels not in FROM_THE_MODEL:
            raise ValueError(
                f"labels is {labels!r}; write {' or '.join(map(repr, FROM_THE_MODEL))}, or give an "
                "array of true labels."
            )
        said = part.predict(x, verbose=0)["task"].astype("float64")
        said /= said.sum(axis=1, keepdims=True)
        if labels == "expected":
            # The gradient times the root of the probability: squared, it is weighted by it.
            repeated = np.repeat(np.arange(len(x)), classes)
            return x[repeated], np.tile(np.arange(classes), len(x)), np.sqrt(said.ravel())
        chance = np.random.default_rng(seed).uniform(size=(len(x), 1))
        drawn = (said.cumsum(axis=1) < chance).sum(axis=1)
        return x, np.minimum(drawn, classes - 1), np.ones(len(x))
    labels = np.asarray(labels)
    if labels.shape != (len(x),):
        raise ValueError(f"{len(x)} inputs do not match labels of shape {labels.shape}.")
    if (labels == MISSING).any():
        raise ValueError(
            f"{int((labels == MISSING).sum())} of {len(labels)} labels are missing; leave those "
            'examples out, or write labels="sampled", which needs none.'
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"Labels run from {labels.min()} to {labels.max()}; a task of {classes} classes wants "
            f"0 to {classes - 1}."
        )
    return x, labels, np.ones(len(x))


class _Squares(keras.optimizers.Optimizer):
    """Adds up squared gradients and moves nothing."""

    def __init__(self):
        super().__init__(learning_rate=1.0, name="squares")

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self._sums = [
            self.add_variable_from_reference(variable, name="sum") for variable in variables
        ]

    def update_step(self, gradient, variable, learning_rate):
        total = self._sums[self._get_variable_index(variable)]
        self.assign_add(total, ops.square(ops.cast(gradient, total.dtype)))

    def found(self, variables, count: float) -> dict[str, np.ndarray]:
        """The sums divided by a count, by the path of the weight."""
        return {
            variable.path: ops.convert_to_numpy(total) / np.float32(count)
            for variable, total in zip(variables, self._sums, strict=True)
        }
