"""Train a few named parts and nothing else: surgical fine-tuning."""

from collections.abc import Sequence

import keras

from tlcourse.freezing import reports, select, structure


def train_only(
    model: keras.Model, names: str | Sequence[str], batch_norm: str = "frozen"
) -> reports.Report:
    """Make the parts that you name trainable and freeze everything else, the head too.

    `freeze` and `unfreeze` always cut between front and back and leave the head trainable. This
    one takes any part: the first block for images that look different, the last for classes that
    mean something else. Like `freeze` it sets the whole state, and a wrong name changes nothing.

    Args:
        model: a built Keras model with a backbone, nested or flat.
        names: blocks, stages or layers of the backbone, named as in `freeze`; or layers outside
            it, such as "head". One name or a list.
        batch_norm: "frozen", or "trainable" to let BatchNormalization follow its block.

    Returns:
        The `Report` of what is trainable now.

    Raises:
        TypeError: it is not a Keras model, or a name is no text.
        ValueError: a name matches nothing, or there is none.

    Example:
        >>> from keras import layers
        >>> inputs = keras.Input((8, 8, 3))
        >>> maps = layers.Conv2D(4, 3, name="stem_conv")(inputs)
        >>> maps = layers.Conv2D(4, 3, name="top_conv")(maps)
        >>> train_only(keras.Model(inputs, maps), "stem").backbone_trainable
        112

    Source: Lee et al., 2023 (https://arxiv.org/abs/2210.11466).
    """
    select.check_choice("batch_norm", batch_norm, select.BATCH_NORM)
    parts = structure.take_apart(model)
    outside = {layer.name: layer for layer in parts.rest}
    chosen: set[int] = set()
    for name in [names] if isinstance(names, str) else names:
        found = [outside[name]] if name in outside else select.layers_named(parts, [name])
        chosen.update(id(layer) for layer in found)
    if not chosen:
        raise ValueError("names is empty; name at least one block, stage or layer.")
    everything = [layer for block in parts.blocks for layer in block.layers] + list(parts.rest)
    frozen = [part for layer in everything for part in _all_but(layer, chosen)]
    return select.apply(parts, frozen, batch_norm)


def _all_but(layer, chosen: set[int]) -> list:
    """The parts of a layer that are not chosen; the layer itself if nothing in it is."""
    if id(layer) in chosen:
        return []
    if any(id(inner) in chosen for inner in structure.walk(layer)):
        return [part for child in structure.children(layer) for part in _all_but(child, chosen)]
    return [layer]
