"""What a model is made of: its backbone, the backbone's blocks, and everything else."""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import keras
from keras import layers

BatchNorm = layers.BatchNormalization

# The families that people mean by one word. Keras has no public base class for convolutions, and
# DepthwiseConv2D is not a Conv2D.
_BY_FAMILY = {
    "conv": tuple(
        getattr(layers, f"{kind}{rank}")
        for kind, ranks in (
            ("Conv", ("1D", "2D", "3D", "1DTranspose", "2DTranspose", "3DTranspose")),
            ("DepthwiseConv", ("1D", "2D")),
            ("SeparableConv", ("1D", "2D")),
        )
        for rank in ranks
    ),
    "dense": (layers.Dense, layers.EinsumDense),
    "attention": (
        layers.Attention,
        layers.AdditiveAttention,
        layers.MultiHeadAttention,
        layers.GroupQueryAttention,
    ),
    "norm": (
        BatchNorm,
        layers.LayerNormalization,
        layers.GroupNormalization,
        layers.UnitNormalization,
    ),
}
FAMILIES = tuple(_BY_FAMILY)
_FEATURE_MAKERS = _BY_FAMILY["conv"] + _BY_FAMILY["attention"]
_FOLLOWERS = (*_BY_FAMILY["norm"], layers.Normalization, layers.Rescaling)
_POOLING = (
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.GlobalMaxPooling3D,
    layers.Flatten,
)
_TANGLED = 100  # layers; the largest module of one tensor in and one out has about 40
# How the builders of keras.applications and of this course write a block into layer names.
_BLOCK_NAME = re.compile(
    r"(?:^|(?<=_))"
    r"(block(?:35|17|8)_\d+|(?:conv\d+_|stage_?\d+_|downsampling_)?block_?\d+[a-z]?"
    r"|expanded_conv(?:_\d+)?|pool\d+)(?=_|$)"
)


@dataclass(frozen=True)
class Block:
    """Neighbouring layers that are frozen together, such as a residual block or a conv and its BN.

    Attributes:
        name: the part of the layer names that they share, such as "block3b" or "conv4_block1".
        layers: the layers, from input to output.
    """

    name: str
    layers: tuple

    @property
    def weights(self) -> list:
        """The variables of the block, each once."""
        return distinct(weight for layer in self.layers for weight in layer.weights)

    @property
    def parameters(self) -> int:
        """How many numbers the block holds, statistics of BatchNormalization included."""
        return count(self.weights)


@dataclass(frozen=True)
class Structure:
    """A model taken apart.

    Attributes:
        model: the whole.
        backbone: the model that holds the backbone; the whole itself if it is flat.
        nested: whether the backbone is a model of its own inside the whole.
        blocks: the backbone's blocks with weights, from input to output.
        rest: the layers with weights outside the backbone, the head among them.
    """

    model: keras.Model
    backbone: keras.Model
    nested: bool
    blocks: tuple[Block, ...]
    rest: tuple

    @property
    def batch_norms(self) -> list[BatchNorm]:
        """Every BatchNormalization of the backbone, also inside composite layers."""
        return [layer for layer in self.backbone_layers if isinstance(layer, BatchNorm)]

    @property
    def backbone_layers(self) -> list:
        """Every layer of the backbone at every depth, without the models that contain them."""
        found = (inner for block in self.blocks for layer in block.layers for inner in walk(layer))
        return distinct(layer for layer in found if not isinstance(layer, keras.Model))


def take_apart(model: keras.Model) -> Structure:
    """Find the backbone, its blocks and the rest of a model.

    Raises:
        TypeError: it is not a Keras model.
        ValueError: there is no backbone, there are several, or it has no weights yet.
    """
    backbone = find_backbone(model)
    inside = _segments(backbone)
    if backbone is model:
        inside = _before_pooling(inside)
    blocks = _blocks(inside)
    if not blocks:
        raise ValueError(
            f"The backbone {backbone.name!r} has no weights yet; call the model on a batch, or "
            "give it an Input with a shape, before freezing."
        )
    held = {id(weight) for block in blocks for weight in block.weights}
    rest = [
        leaf
        for leaf in leaves(model)
        if leaf.weights and not any(id(weight) in held for weight in leaf.weights)
    ]
    return Structure(model, backbone, backbone is not model, tuple(blocks), tuple(distinct(rest)))


def find_backbone(model: keras.Model) -> keras.Model:
    """Find the model that holds the backbone.

    It is the one nested model with convolutions or attention, however deep it lies, also inside
    a wrapper layer. In a flat model, where backbone and head share one list of layers, and for a
    bare backbone, it is the model itself.

    Args:
        model: any Keras model.

    Returns:
        The backbone, the same object that the model uses.

    Raises:
        TypeError: it is not a Keras model.
        ValueError: nothing in it looks like a backbone, or several parts do.

    Example:
        >>> inputs = keras.Input((8, 8, 3))
        >>> base = keras.Model(inputs, layers.Conv2D(4, 3)(inputs), name="base")
        >>> pooled = layers.GlobalAveragePooling2D()
        >>> find_backbone(keras.Sequential([base, pooled, layers.Dense(2)])).name
        'base'
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"This is a {type(model).__name__}, not a keras.Model; give the model that you train, "
            "such as the one that `build_classifier` returns."
        )
    if not _makers(model):
        raise ValueError(
            f"Model {model.name!r} has no convolution and no attention, so it has no backbone; "
            "build one with `tlcourse.models.build_classifier`, or give the model that holds it."
        )
    candidates = [inner for inner in _outermost_models(model) if _makers(inner)]
    within = sum(len(_makers(inner)) for inner in candidates)
    # More of them lie beside the nested models than in them: those are blocks of a flat backbone.
    if not candidates or len(_makers(model)) > 2 * within:
        return model
    if len(candidates) == 1:
        return find_backbone(candidates[0]) if _descends(candidates[0]) else candidates[0]
    raise ValueError(
        f"Model {model.name!r} holds several models that could be the backbone "
        f"({', '.join(inner.name for inner in candidates)}); give the one you mean, for example "
        f"`model.get_layer({candidates[0].name!r})`."
    )


def _descends(model) -> bool:
    """Whether a nested model is a wrapper around one other, not a backbone made of models."""
    inner = [part for part in _outermost_models(model) if _makers(part)]
    return len(inner) == 1 and 2 * len(_makers(inner[0])) >= len(_makers(model))


def children(layer) -> list:
    """The layers directly inside a layer, a wrapper or a model, from input to output."""
    return list(layer._flatten_layers(include_self=False, recursive=False))


def walk(layer) -> Iterator:
    """A layer and every layer inside it, at every depth."""
    yield layer
    for child in children(layer):
        yield from walk(child)


def leaves(layer) -> list:
    """The layers that hold no model: what freezing switches one by one."""
    if any(isinstance(inner, keras.Model) for inner in walk(layer)):
        return [leaf for child in children(layer) for leaf in leaves(child)]
    return [layer]


def distinct(items: Iterable) -> list:
    """The items in order, each object once."""
    return list({id(item): item for item in items}.values())


def count(weights: Iterable) -> int:
    """How many numbers some variables hold together."""
    return sum(int(keras.ops.size(weight)) for weight in weights)


def by_design(layer) -> list:
    """The variables that training can change, frozen or not; statistics are not among them."""
    return distinct(weight for inner in walk(layer) for weight in inner._trainable_variables)


def family(name: str) -> tuple:
    """The layer classes that one of `FAMILIES` stands for."""
    return _BY_FAMILY[name]


def similar(name: str, names: Iterable[str], limit: int = 5) -> list[str]:
    """The names that a mistaken one may have meant, best first."""
    names = list(dict.fromkeys(names))
    holding = [other for other in names if name and name.lower() in other.lower()]
    close = difflib.get_close_matches(name, names, n=limit, cutoff=0.5)
    return list(dict.fromkeys(holding + close))[:limit]


def _makers(layer) -> list:
    """The convolutions and attention layers in a layer: what only a backbone has many of."""
    return distinct(inner for inner in walk(layer) if isinstance(inner, _FEATURE_MAKERS))


def _outermost_models(layer) -> list[keras.Model]:
    found = []
    for child in children(layer):
        found += [child] if isinstance(child, keras.Model) else _outermost_models(child)
    return distinct(found)


def _segments(model) -> list[list]:
    """The model's layers, parted wherever a single tensor carries everything from input to output.

    A residual block or an Inception module stays whole: beside its main path runs another one.
    """
    nodes_by_depth = getattr(model, "_nodes_by_depth", None)
    if not nodes_by_depth:  # Sequential or subclassed: the order of definition is all there is.
        return [[layer] for layer in children(model)]
    nodes = [
        node for depth in sorted(nodes_by_depth, reverse=True) for node in nodes_by_depth[depth]
    ]
    position = {id(node): i for i, node in enumerate(nodes)}
    last_use, together = list(range(len(nodes))), list(range(len(nodes)))
    for i, node in enumerate(nodes):
        for parent in node.parent_nodes:
            last_use[position[id(parent)]] = i
            if isinstance(node.operation, _FOLLOWERS) and getattr(parent.operation, "weights", ()):
                together[position[id(parent)]] = i
    segments = _part(nodes, last_use, together, tensors=1)
    # Each cell of NASNet reads the two cells before it: nowhere does one tensor carry everything.
    if max(map(len, segments)) > _TANGLED:
        segments = _part(nodes, last_use, together, tensors=2)
    return segments


def _part(nodes: list, last_use: list[int], together: list[int], tensors: int) -> list[list]:
    """Part nodes, in order, wherever no more than so many tensors are needed later.

    A kernel and the normalisation that reads it stay together.
    """
    segments: list[list] = [[]]
    needed: list[int] = []
    whole_until = 0
    for i, node in enumerate(nodes):
        if isinstance(node.operation, keras.Layer):
            segments[-1].append(node.operation)
        needed = [last for last in (*needed, last_use[i]) if last > i]
        whole_until = max(whole_until, together[i])
        if len(needed) <= tensors and whole_until <= i:
            segments.append([])
    return [segment for segment in segments if segment]


def _before_pooling(segments: list[list]) -> list[list]:
    """The part of a flat model before its features are pooled into a vector: without its head."""
    for i, segment in enumerate(segments):
        if len(segment) == 1 and isinstance(segment[0], _POOLING):
            return segments[:i]
    return segments


def _blocks(segments: Iterable[list]) -> list[Block]:
    """Merge segments into blocks: what shares a block's name, and what follows a layer's kernel."""
    groups: list[tuple[str | None, list]] = []
    pending: list = []
    for label, members in (part for segment in segments for part in _labelled(segment)):
        weighted = [layer for layer in members if layer.weights]
        follows = all(isinstance(layer, _FOLLOWERS) for layer in weighted) and label is None
        if groups and (not weighted or follows or (label and label == groups[-1][0])):
            groups[-1][1].extend(members)
        elif not weighted or follows:
            pending += members
        else:
            groups.append((label, pending + members))
            pending = []
    if pending and any(layer.weights for layer in pending):
        groups.append((None, pending))
    return [Block(label or _name(members), tuple(distinct(members))) for label, members in groups]


def _labelled(segment: list) -> list[tuple[str | None, list]]:
    """A segment by the block names in it; one part if there is at most one name."""
    labels = [_label(layer) for layer in segment]
    present = list(dict.fromkeys(label for label in labels if label))
    if len(present) <= 1:
        return [(present[0] if present else None, segment)]
    parts: dict[str, list] = {label: [] for label in present}
    current = present[0]
    for layer, label in zip(segment, labels, strict=True):
        current = label or current
        parts[current].append(layer)
    return list(parts.items())


def _label(layer) -> str | None:
    match = _BLOCK_NAME.search(layer.name) if layer.weights else None
    return match.group(1) if match else None


def _name(members: list) -> str:
    """A name for a block without one: its only kernel's, or that of the layer that joins it."""
    weighted = [layer for layer in members if layer.weights]
    kernels = [layer for layer in weighted if not isinstance(layer, _FOLLOWERS)] or weighted
    if len(kernels) == 1:
        return kernels[0].name.removesuffix("_conv")
    joins = [m for m in members if isinstance(m, layers.Add | layers.Concatenate)]
    return (joins or kernels)[-1].name
