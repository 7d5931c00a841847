"""Learning rates: one for the whole model, or one for each block."""

import math
import numbers
from collections.abc import Mapping

import keras
from keras.optimizers.schedules import LearningRateSchedule

from tlcourse.freezing import select, structure

# Howard and Ruder, 2018, found that it "works well" for language models.
DECAY = 2.6


def optimizer_for(model: keras.Model, optimizer, learning_rate) -> keras.optimizers.Optimizer:
    """A new optimizer at rest, with one rate or with one for each block.

    Args:
        model: a built model; only looked at for rates by block.
        optimizer: a name that `keras.optimizers.get` knows, or an optimizer, whose settings are
            copied and whose state is not.
        learning_rate: a positive number, a `keras.optimizers.schedules` schedule, or a mapping as
            in `layer_wise`.

    Raises:
        ValueError: a rate that is not positive, or as in `layer_wise`.
    """
    if isinstance(learning_rate, Mapping):
        return layer_wise(model, learning_rate, optimizer)
    _check_rate(learning_rate)
    return _copy(optimizer, learning_rate)


def layer_wise(model: keras.Model, rates: Mapping, optimizer="adam"):
    """An optimizer with a learning rate of its own for each part of a model.

    Parts are matched by what they are, not by a piece of their name: `"top"` is the block of that
    name, never every layer with "top" in its name. Each part has an optimizer of its own inside,
    named after it, so that a callback's log tells them apart.

    Args:
        model: a built model; what trains in it has to be settled already.
        rates: from the name of a block ("block6a"), a stage ("block6"), a layer of the backbone or
            a layer outside it ("head") to a positive number or a Keras schedule. Together they
            have to cover all that is trainable, each part once.
        optimizer: as in `optimizer_for`, the same for every part.

    Returns:
        A `keras.optimizers.MultiOptimizer`. It saves and loads with the model. It has no
        `learning_rate` of its own; see `rates_of`.

    Raises:
        ValueError: a name matches nothing or nothing trainable, two names claim the same part,
            something trainable has no rate, or a rate is not positive.

    Example:
        >>> from keras import layers
        >>> inputs = keras.Input((8, 8, 3))
        >>> maps = layers.Conv2D(2, 3, name="stem_conv")(inputs)
        >>> base = keras.Model(inputs, layers.Conv2D(2, 3, name="top_conv")(maps))
        >>> scores = layers.Dense(2, name="head")(layers.Flatten()(base(inputs)))
        >>> model = keras.Model(inputs, scores)
        >>> model.compile(layer_wise(model, {"stem": 1e-5, "top": 1e-4, "head": 1e-3}))
        >>> rates_of(model)
        {'stem': 1e-05, 'top': 0.0001, 'head': 0.001}

    Source: Howard and Ruder, 2018 (https://arxiv.org/abs/1801.06146), "discriminative".
    """
    if not rates:
        raise ValueError("rates is empty; give one for each part that trains.")
    parts = structure.take_apart(model)
    trained = {id(weight): weight for weight in model.trainable_weights}
    owner: dict[int, str] = {}
    for name, rate in rates.items():
        _check_rate(rate, name)
        found = [weight for weight in _weights_of(parts, name) if id(weight) in trained]
        if not found:
            raise ValueError(f"{name!r} is frozen, so a rate would do nothing; leave it out.")
        for weight in found:
            if id(weight) in owner:
                raise ValueError(
                    f"{owner[id(weight)]!r} and {name!r} both hold {weight.path}; "
                    "each part can have one rate."
                )
            owner[id(weight)] = name
    free = [name for name, own in _parts(parts) if any(_free(w, trained, owner) for w in own)]
    if free:
        raise ValueError(f"No rate is given for {', '.join(free)}; every part that trains has one.")
    inner = {name: _copy(optimizer, rate, name) for name, rate in rates.items()}
    by_path = {trained[weight].path: inner[name] for weight, name in owner.items()}
    first = next(iter(inner.values()))
    return keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(first, by_path))


def decayed(model: keras.Model, rate: float, factor: float = DECAY) -> dict[str, float]:
    """Rates by block that fall from the head down: each block's is smaller than the next one's.

    Args:
        model: a built model; frozen blocks get none.
        rate: of what lies outside the backbone, the head above all; the last block has
            `rate / factor`.
        factor: how many times smaller a block's rate is than that of the part above it.

    Returns:
        From each part that trains, input to output, to its rate; for `layer_wise`.

    Raises:
        ValueError: a rate or factor that is not positive, or nothing to train.

    Source: Howard and Ruder, 2018 (https://arxiv.org/abs/1801.06146), with a factor of 2.6.
    """
    _check_rate(rate)
    if not (isinstance(factor, numbers.Real) and 0 < factor < math.inf):
        raise ValueError(f"The factor is {factor!r}; it has to be above zero, as 2.6 is.")
    parts = structure.take_apart(model)
    trained = {id(weight) for weight in model.trainable_weights}
    if not trained:
        raise ValueError("Nothing in the model is trainable; unfreeze a part before training.")
    moving = [name for name, own in _parts(parts) if any(id(weight) in trained for weight in own)]
    outside = {layer.name for layer in parts.rest}
    blocks = [name for name in moving if name not in outside]
    found = {name: rate / factor ** (len(blocks) - i) for i, name in enumerate(blocks)}
    return found | {name: rate for name in moving if name in outside}


def rates_of(model: keras.Model) -> dict[str, float]:
    """The rate that each part of a compiled model trains with, as the optimizer has it now.

    It reads the optimizer, not the code that was meant to set it up. So it shows a name that
    matched too much, and a callback that overwrote every rate.

    Args:
        model: a compiled model, its optimizer built, as `compile_classifier`, `train` or a first
            `fit` leaves it.

    Returns:
        From each block or layer that trains, input to output, to its rate.

    Raises:
        ValueError: the model was never compiled, or its optimizer has not seen it yet; or one
            block trains with several rates.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        raise ValueError(
            f"{model.name!r} was never compiled, so no part of it has a rate; compile it first."
        )
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    rate = {
        id(weight): float(keras.ops.convert_to_numpy(inner.learning_rate))
        for inner in each(optimizer)
        for weight in getattr(inner, "_trainable_variables", ())
    }
    found = {}
    for name, own in _parts(structure.take_apart(model)):
        several = sorted({rate[id(weight)] for weight in own if id(weight) in rate})
        if len(several) > 1:
            raise ValueError(
                f"{name!r} trains with several rates, {', '.join(f'{r:g}' for r in several)}; "
                "give a block one rate."
            )
        if several:
            found[name] = float(f"{several[0]:.6g}")  # as it was before it became a float32
    return found


def are_numbers(learning_rate) -> bool:
    """Whether a rate, or every rate of a mapping, is a plain number and not a schedule."""
    all_of_it = learning_rate.values() if isinstance(learning_rate, Mapping) else [learning_rate]
    return all(isinstance(rate, numbers.Real) for rate in all_of_it)


def each(optimizer) -> list[keras.optimizers.Optimizer]:
    """The optimizers inside a `MultiOptimizer`, or the one that it is."""
    return list(getattr(optimizer, "optimizers", [optimizer]))


def _check_rate(rate, name: str | None = None) -> None:
    if isinstance(rate, LearningRateSchedule):
        return
    if not (isinstance(rate, numbers.Real) and 0 < rate < math.inf):
        of = f" of {name!r}" if name else ""
        raise ValueError(
            f"The learning rate{of} is {rate!r}; it has to be above zero, such as 1e-4."
        )


def _copy(optimizer, rate, name: str | None = None) -> keras.optimizers.Optimizer:
    settings = keras.optimizers.get(optimizer)
    config = settings.get_config()
    rate = rate if isinstance(rate, LearningRateSchedule) else float(rate)
    return type(settings)(**{**config, "learning_rate": rate, "name": name or config["name"]})


def _weights_of(parts: structure.Structure, name: str) -> list:
    for layer in parts.rest:
        if layer.name == name:
            return layer.weights
    try:
        found = select.layers_named(parts, name)
    except ValueError as error:
        outside = ", ".join(layer.name for layer in parts.rest)
        raise ValueError(f"{error} Outside the backbone there is {outside or 'nothing'}.") from None
    return [weight for layer in found for weight in layer.weights]


def _parts(parts: structure.Structure) -> list[tuple[str, list]]:
    """Each block, then each layer outside the backbone, with its weights."""
    blocks = [(block.name, block.weights) for block in parts.blocks]
    return blocks + [(layer.name, layer.weights) for layer in parts.rest]


def _free(weight, trained: dict, owner: dict) -> bool:
    return id(weight) in trained and id(weight) not in owner
