"""Choose what is frozen: by block, by share, by type or by name."""

import numbers
from collections.abc import Sequence

import keras

from tlcourse.freezing import reports, structure
from tlcourse.freezing.structure import Structure

BATCH_NORM = ("frozen", "trainable")
MEASURES = ("parameters", "layers")


def freeze(
    model: keras.Model,
    *,
    until: str | None = None,
    fraction: float | None = None,
    types=None,
    names: str | Sequence[str] | None = None,
    by: str = "parameters",
    batch_norm: str = "frozen",
) -> reports.Report:
    """Freeze the backbone, or the part of it that you name; the rest becomes trainable.

    The call sets the whole state and does not depend on the one before: what you do not name is
    trainable afterwards, and so is everything outside the backbone, the head above all. If an
    argument is wrong, nothing is changed. Give one of `until`, `fraction`, `types` and `names`,
    or none to freeze the whole backbone.

    Every BatchNormalization of the backbone stays frozen, also in unfrozen blocks. Otherwise it
    would normalise with the statistics of each small batch and overwrite those it was trained
    with, whatever the learning rate.

    Args:
        model: a built Keras model with a backbone, nested or flat.
        until: freeze from the input up to and including this block ("block3b"), stage ("block3"
            means block3a, block3b, …; "conv4" means conv4_block1, …) or the block that holds this
            layer ("block3b_dwconv"). Names are exact: "block4" never means "conv3_block4".
        fraction: freeze as many blocks from the input as hold at most this share of the backbone,
            from 0.0 (none) to 1.0 (all). It is a float; 1 is refused, as it could mean one layer.
        types: layer types to freeze: "conv" (depthwise, separable and transposed ones too),
            "dense", "attention", "norm", the name of a layer class, a class, or a list of these.
        names: blocks, stages or single layers to freeze, one name or a list.
        by: what `fraction` counts: "parameters", or "layers" with weights.
        batch_norm: "frozen", or "trainable" to let BatchNormalization follow its block.

    Returns:
        The `Report` of what is trainable now, and whether the model has to be compiled again.

    Raises:
        TypeError: the model is no Keras model, or the fraction is no float.
        ValueError: a name or type matches nothing (with the closest ones), a name matches several
            separate parts, the fraction lies outside 0 to 1, or more than one choice is given.

    Example:
        >>> from keras import layers
        >>> inputs = keras.Input((8, 8, 3))
        >>> maps = layers.Conv2D(4, 3, name="stem_conv")(inputs)
        >>> maps = layers.Conv2D(4, 3, name="top_conv")(maps)
        >>> print(freeze(keras.Model(inputs, maps), until="stem"))
        block  parameters   share  trainable  BatchNormalization
        -----  ----------  ------  ---------  ------------------
        stem          112   43.1%          0  -
        top           148   56.9%        148  -
        all           260  100.0%        148  -
        Trainable: 148 of 260 parameters (56.9%); in the backbone 148 of 260 (56.9%).
    """
    choices = {"until": until, "fraction": fraction, "types": types, "names": names}
    given = [key for key, value in choices.items() if value is not None]
    if len(given) > 1:
        raise ValueError(f"freeze got {' and '.join(given)}; give one of them.")
    check_choice("batch_norm", batch_norm, BATCH_NORM)
    check_choice("by", by, MEASURES)
    parts = structure.take_apart(model)
    if until is not None:
        frozen = _layers_of(parts.blocks[: _span(parts, until)[1]])
    elif fraction is not None:
        frozen = _layers_of(_first_blocks(parts, fraction, by))
    elif types is not None:
        frozen = _of_types(parts, types)
    elif names is not None:
        frozen = layers_named(parts, names)
    else:
        frozen = _layers_of(parts.blocks)
    return apply(parts, frozen, batch_norm)


def unfreeze(
    model: keras.Model,
    *,
    last: int | None = None,
    from_: str | None = None,
    batch_norm: str = "frozen",
) -> reports.Report:
    """Make the last blocks of the backbone trainable and freeze those before them.

    It is `freeze` counted from the other end, with the same care: the head is trainable
    afterwards, and BatchNormalization stays frozen unless you say otherwise.

    Args:
        model: a built Keras model with a backbone.
        last: how many blocks, counted from the backbone's output, 1 or more.
        from_: the first trainable block, stage or layer, named as in `freeze`.
        batch_norm: "frozen", or "trainable" to let BatchNormalization follow its block.
            With neither `last` nor `from_` the whole backbone becomes trainable.

    Returns:
        The `Report` of what is trainable now.

    Raises:
        TypeError: the model is no Keras model.
        ValueError: a name matches nothing, `last` is not a number of blocks, or both are given.
    """
    if last is not None and from_ is not None:
        raise ValueError("unfreeze got last and from_; give one of them.")
    check_choice("batch_norm", batch_norm, BATCH_NORM)
    parts = structure.take_apart(model)
    first = 0
    if from_ is not None:
        first = _span(parts, from_)[0]
    elif last is not None:
        if isinstance(last, bool) or not isinstance(last, numbers.Integral):
            raise ValueError(f"last is {last!r}; give a whole number of blocks.")
        if not 1 <= last <= len(parts.blocks):
            raise ValueError(
                f"last is {last}; the backbone has {len(parts.blocks)} blocks, so give 1 to "
                f"{len(parts.blocks)}, or call freeze(model) to unfreeze none."
            )
        first = len(parts.blocks) - int(last)
    return apply(parts, _layers_of(parts.blocks[:first]), batch_norm)


def freeze_batch_norm(model: keras.Model) -> reports.Report:
    """Freeze every BatchNormalization of the backbone and leave everything else as it is.

    In Keras a frozen BatchNormalization uses its stored statistics during training and keeps
    them. Call it after unfreezing by hand, because `backbone.trainable = True` undoes it.

    Args:
        model: a built Keras model with a backbone.

    Returns:
        The `Report` of what is trainable now.

    Raises:
        TypeError, ValueError: as in `report`.
    """
    parts = structure.take_apart(model)
    for norm in parts.batch_norms:
        norm.trainable = False
    return reports.of(parts)


def apply(parts: Structure, frozen: list, batch_norm: str) -> reports.Report:
    """Freeze these layers, make everything else trainable, and report."""
    # On TensorFlow, setting True where it is True already is skipped and inner layers stay frozen.
    parts.model.trainable = False
    parts.model.trainable = True
    if parts.nested and _covers(frozen, parts):
        parts.backbone.trainable = False
    for layer in structure.walk(parts.model):
        if getattr(layer, "lora_enabled", False):  # True undid what enable_lora had frozen
            getattr(layer, "_kernel", getattr(layer, "_embeddings", None)).trainable = False
    for layer in frozen:
        layer.trainable = False
    if batch_norm == "frozen":
        for norm in parts.batch_norms:
            norm.trainable = False
    return reports.of(parts)


def _covers(frozen: list, parts: Structure) -> bool:
    chosen = {id(layer) for layer in frozen}
    return all(id(layer) in chosen for block in parts.blocks for layer in block.layers)


def _layers_of(blocks) -> list:
    return [layer for block in blocks for layer in block.layers]


def _first_blocks(parts: Structure, fraction, by: str):
    if isinstance(fraction, numbers.Integral) or not isinstance(fraction, numbers.Real):
        raise TypeError(
            f"The fraction is {fraction!r}; write a float from 0.0 (freeze nothing) to 1.0 (freeze "
            "the whole backbone)."
        )
    if not 0 <= fraction <= 1:
        raise ValueError(f"The fraction is {fraction!r}; write one from 0.0 to 1.0.")
    sizes = [block.parameters if by == "parameters" else _weighted(block) for block in parts.blocks]
    budget = fraction * sum(sizes) * (1 + 1e-9)  # 0.1 + 0.2 is a little more than 0.3
    taken = 0
    while taken < len(sizes) and sum(sizes[: taken + 1]) <= budget:
        taken += 1
    return parts.blocks[:taken]


def _weighted(block) -> int:
    inner = structure.distinct(part for layer in block.layers for part in structure.leaves(layer))
    return sum(bool(layer.weights) for layer in inner)


def _of_types(parts: Structure, types) -> list:
    chosen = []
    for wanted in types if isinstance(types, list | tuple | set | frozenset) else [types]:
        found = [layer for layer in parts.backbone_layers if _is_type(layer, wanted)]
        if not found:
            present = sorted({type(layer).__name__ for layer in parts.backbone_layers})
            word = wanted if isinstance(wanted, str) else getattr(wanted, "__name__", repr(wanted))
            close = structure.similar(word, [name for name in present if name != word]) or present
            raise ValueError(
                f"No layer of the backbone {parts.backbone.name!r} is of type {word!r}; nothing "
                f"was changed; try {', '.join(close)}."
            )
        chosen += found
    if not chosen:
        raise ValueError("types is empty; name at least one layer type.")
    return chosen


def _is_type(layer, wanted) -> bool:
    if wanted in structure.FAMILIES:
        return isinstance(layer, structure.family(wanted))
    if isinstance(wanted, str):
        return any(base.__name__ == wanted for base in type(layer).__mro__)
    return isinstance(wanted, type) and isinstance(layer, wanted)


def layers_named(parts: Structure, names) -> list:
    """The layers that one name, or each of several, of a block, stage or layer stands for."""
    by_name = {layer.name: layer for layer in parts.backbone_layers}
    chosen = []
    for name in [names] if isinstance(names, str) else names:
        if name in by_name and not any(block.name == name for block in parts.blocks):
            chosen.append(by_name[name])
        else:
            start, stop = _span(parts, name)
            chosen += _layers_of(parts.blocks[start:stop])
    if not chosen:
        raise ValueError("names is empty; name at least one block, stage or layer.")
    return chosen


def _span(parts: Structure, name: str) -> tuple[int, int]:
    """The blocks `[start, stop)` that the name of a block, a stage or a layer stands for."""
    if not isinstance(name, str):
        raise TypeError(f"The name is {name!r}; give the name of a block, a stage or a layer.")
    blocks = parts.blocks
    found = [i for i, block in enumerate(blocks) if block.name == name]
    found = found or [i for i, block in enumerate(blocks) if _holds(block, name)]
    found = found or [i for i, block in enumerate(blocks) if _in_stage(block.name, name)]
    if found and found[-1] - found[0] + 1 == len(found):
        return found[0], found[-1] + 1
    if found:
        raise ValueError(
            f"The name {name!r} stands for blocks that do not lie side by side "
            f"({', '.join(blocks[i].name for i in found)}); name one of them."
        )
    if any(layer.name == name for layer in parts.rest):
        raise ValueError(
            f"The layer {name!r} lies outside the backbone, which is all that freezing touches; "
            f"set `model.get_layer({name!r}).trainable = False` if you mean it."
        )
    own = [block.name for block in blocks]
    close = structure.similar(name, own)
    close = close or structure.similar(name, [layer.name for layer in parts.backbone_layers])
    advice = f"did you mean {', '.join(close)}?" if close else f"its blocks are {', '.join(own)}."
    raise ValueError(
        f"No block, stage or layer of the backbone {parts.backbone.name!r} is named {name!r}; "
        f"nothing was changed; {advice}"
    )


def _holds(block, name: str) -> bool:
    return any(inner.name == name for layer in block.layers for inner in structure.walk(layer))


def _in_stage(block: str, stage: str) -> bool:
    """Whether a stage's name, such as "block4" or "conv4", begins a block's and goes on right."""
    following = block.removeprefix(stage)[:1] if block.startswith(stage) and stage else ""
    # After a digit another digit is another number: "conv1" is no part of "conv10".
    return following == "_" or (following.isalpha() and stage[-1:].isdigit())


def check_choice(argument: str, value, allowed) -> None:
    """Refuse a value that is none of those allowed."""
    if value not in allowed:
        raise ValueError(f"{argument} is {value!r}; write {' or '.join(map(repr, allowed))}.")
