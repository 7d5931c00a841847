"""What gradients say of a block, and a network that says the same with other gradients."""

import math
import numbers
from typing import NamedTuple

import keras
import numpy as np
from keras import layers, ops

from tlcourse.freezing import snapshots, structure


class Gradient(NamedTuple):
    """Four ways to turn the gradients of one block into one number.

    Attributes:
        mean: mean of the absolute gradients, what tutorials plot.
        relative: length of the gradient over length of the weights.
        effect: sum of |weight × gradient|, how much the loss changes to first order if every
            weight changes by the same percentage.
        agreement: mean over weights of the squared mean gradient over the mean squared one, over
            batches: 1 if all batches agree, about one over their number if they do by chance.
    """

    mean: float
    relative: float
    effect: float
    agreement: float


def gradient_scores(
    model: keras.Model, x: np.ndarray, y: np.ndarray, batch_size: int = 32
) -> dict[str, Gradient]:
    """Score every part that is trainable now by its gradients; nothing is changed.

    The first two scores depend on how large the weights happen to be. A kernel in front of a
    normalisation can be multiplied by any factor without changing what the network says, see
    `rescale_block`; its gradient is divided by that factor. The last two do not depend on it.

    Args:
        model: from raw pixels to probabilities. BatchNormalization runs in inference mode.
        x: raw pixels `(N, H, W, C)`, two batches or more; images beyond whole batches are left out.
        y: class numbers `(N,)`.
        batch_size: images whose gradient counts as one measurement.

    Returns:
        For each block and each layer outside the backbone with trainable weights, a `Gradient`
        of the mean cross-entropy.

    Raises:
        ValueError: nothing is trainable, the model has no head, or there are fewer than two
            batches.

    Source: Lee et al., 2023 (https://arxiv.org/abs/2210.11466), choose rates and layers by the
    relative gradient, and by a signal-to-noise ratio r; the agreement is r / (1 + r), which stays
    finite where batches happen to agree.
    """
    parts = structure.take_apart(model)
    variables = model.trainable_variables
    if len(model.output_shape) != 2:
        raise ValueError(
            f"{model.name!r} ends in maps of shape {model.output_shape}, which no label fits; pool "
            "them and put a head on, as build_classifier does."
        )
    if not variables:
        raise ValueError("Nothing is trainable, so there are no gradients; call unfreeze first.")
    batches = len(x) // batch_size
    if batches < 2:
        raise ValueError(
            f"{len(x)} images make {batches} batches of {batch_size}; give two batches or more."
        )
    total, squares = [0.0] * len(variables), [0.0] * len(variables)
    for start in range(0, batches * batch_size, batch_size):
        part = slice(start, start + batch_size)
        for i, gradient in enumerate(_gradients(model, variables, x[part], y[part])):
            total[i], squares[i] = total[i] + gradient, squares[i] + gradient**2
    place = {id(variable): i for i, variable in enumerate(variables)}
    scores = {}
    for name, weights in _named(parts):
        known = [weight for weight in weights if id(weight) in place]
        if known:
            where = [place[id(weight)] for weight in known]
            mean = np.concatenate([total[i].ravel() for i in where]) / batches
            square = np.concatenate([squares[i].ravel() for i in where]) / batches
            values = np.concatenate([snapshots.value(w).ravel() for w in known]).astype(float)
            scores[name] = _score(values, mean, square)
    return scores


def _named(parts: structure.Structure) -> list:
    named = [(block.name, block.weights) for block in parts.blocks]
    return named + [(layer.name, layer.weights) for layer in parts.rest]


def _score(weights: np.ndarray, gradient: np.ndarray, square: np.ndarray) -> Gradient:
    # A weight behind a unit that no image switches on has no gradient in any batch.
    ratio = np.divide(gradient**2, square, out=np.zeros_like(gradient), where=square > 0)
    return Gradient(
        float(np.abs(gradient).mean()),
        float(np.linalg.norm(gradient) / max(np.linalg.norm(weights), 1e-12)),
        float(np.abs(weights * gradient).sum()),
        float(ratio.mean()),
    )


def _gradients(model, variables, x, y) -> list[np.ndarray]:
    """Gradients of the mean cross-entropy, float64, one for each variable."""
    x, y = ops.convert_to_tensor(x), ops.convert_to_tensor(y)

    def loss(probabilities):
        return ops.mean(keras.losses.sparse_categorical_crossentropy(y, probabilities))

    # Keras has no gradient of its own that runs on every backend.
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = loss(model(x, training=False))
        found = tape.gradient(value, [variable.value for variable in variables])
    elif backend == "jax":
        import jax

        fixed = [variable.value for variable in model.non_trainable_variables]

        def of(trained):
            return loss(model.stateless_call(trained, fixed, x, training=False)[0])

        found = jax.grad(of)([variable.value for variable in variables])
    else:
        import torch

        tensors = [variable.value for variable in variables]
        value = loss(model(x, training=False))
        found = torch.autograd.grad(value, tensors, allow_unused=True)
    return [
        np.zeros(variable.shape) if gradient is None else _array(gradient)
        for variable, gradient in zip(variables, found, strict=True)
    ]


def _array(gradient) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(ops.convert_to_tensor(gradient)), dtype=float)


def rescale_block(model: keras.Model, name: str, factor: float) -> int:
    """Multiply a block's kernels in place, such that the network says exactly what it said.

    Every convolution that feeds a BatchNormalization directly is multiplied, and so are the
    stored mean and deviation that divide its output: in inference mode, and so in fine-tuning
    with BatchNormalization frozen, the function is the same, but for rounding. The gradients of
    those kernels are divided by the factor. It is for experiments, not for work.

    Args:
        model: a built Keras model with a functional backbone.
        name: a block of the backbone, as `report` shows it.
        factor: 1 or more.

    Returns:
        How many kernels were multiplied.

    Raises:
        ValueError: no block has that name, it has no such convolution, or the factor is below 1.
    """
    if (
        isinstance(factor, bool)
        or not isinstance(factor, numbers.Real)
        or not 1 <= factor < math.inf
    ):
        raise ValueError(f"The factor is {factor!r}; give a number, 1 or more.")
    parts = structure.take_apart(model)
    block = next((block for block in parts.blocks if block.name == name), None)
    if block is None:
        names = [block.name for block in parts.blocks]
        close = structure.similar(str(name), names) or names
        raise ValueError(
            f"No block of the backbone {parts.backbone.name!r} is named {name!r}; nothing was "
            f"changed; try {', '.join(close)}."
        )
    pairs = [(_feeds(layer), layer) for layer in block.layers]
    pairs = [(conv, norm) for conv, norm in pairs if conv is not None]
    if not pairs:
        raise ValueError(
            f"Block {name!r} has no convolution that feeds a BatchNormalization directly; "
            "nothing was changed."
        )
    for conv, norm in pairs:
        for weight in conv.trainable_variables + conv.non_trainable_variables:
            weight.assign(weight * factor)
        norm.moving_mean.assign(norm.moving_mean * factor)
        # Keras divides by sqrt(variance + epsilon): it is that root that has to grow.
        variance = (norm.moving_variance + norm.epsilon) * factor**2 - norm.epsilon
        norm.moving_variance.assign(variance)
    return len(pairs)


def _feeds(norm):
    """The linear convolution whose output goes into a BatchNormalization and nowhere else."""
    if not isinstance(norm, structure.BatchNorm):
        return None
    source = norm.input._keras_history.operation
    linear = getattr(source, "activation", None) is keras.activations.linear
    # A model that was cut has the same two layers in the graph of each part.
    alone = all(node.operation is norm for node in source._outbound_nodes)
    convolution = isinstance(source, (layers.Conv2D, layers.DepthwiseConv2D))
    return source if convolution and linear and alone else None
