"""What a network costs and sees, counted from its layers: multiply-adds and receptive field."""

import math
from dataclasses import dataclass, replace

import keras
from keras import layers

_CONVOLUTIONS = (
    layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.DepthwiseConv1D, layers.DepthwiseConv2D,
    layers.SeparableConv1D, layers.SeparableConv2D,
)  # fmt: skip
_TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
_POOLING = (
    layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D,
    layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D,
)  # fmt: skip
_SEES_EVERYTHING = (
    layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D,
    layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D, layers.GlobalMaxPooling3D,
    layers.Flatten,
)  # fmt: skip
_ENLARGES = (*_TRANSPOSED, layers.UpSampling1D, layers.UpSampling2D, layers.UpSampling3D)


@dataclass(frozen=True)
class Field:
    """The part of the input that one position of a feature map depends on.

    Attributes:
        height, width: its sides in pixels of the model's input; infinite where a layer, such as
            global pooling, has joined all positions.
        stride: how many pixels of the input, down and across, lie between two neighbouring
            positions of the map.
        gated: whether each position is also scaled by a summary of the whole image, as
            squeeze-and-excitation does. Strictly the field is then the whole image; the sides
            leave these gates out.
    """

    height: float
    width: float
    stride: tuple[int, int]
    gated: bool = False


_EVERYTHING = Field(math.inf, math.inf, (1, 1))


def multiply_adds(model: keras.Model) -> int:
    """Multiplications, each with its addition, that one image costs: what papers call MAdds.

    Each number of a kernel is used once at every position of the output, so that a convolution,
    depthwise or not, and a dense layer cost their kernel's size times the positions. Biases,
    normalisation, activations, pooling and additions are left out, as is usual: together they are
    a few per cent of the arithmetic, though not always of the time. Papers that write FLOPs mean
    this number or its double.

    Args:
        model: functional or Sequential, with a fixed input size; it may hold other models.

    Raises:
        TypeError: it is not a Keras model.
        ValueError: an open input size, or a layer whose work cannot be counted so.

    Example:
        >>> multiply_adds(keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3)]))
        3888

    Source: the convention of MobileNetV2's tables (https://arxiv.org/abs/1801.04381).
    """
    return sum(work_by_layer(model).values())


def work_by_layer(model: keras.Model) -> dict[str, int]:
    """Multiply-adds of each layer that has any, by name, from input to output.

    Args:
        model: as in `multiply_adds`. A layer of a model inside it is named `outer/inner`; a layer
            that is used twice counts twice.

    Raises:
        TypeError, ValueError: as in `multiply_adds`.
    """
    found: dict[str, int] = {}
    for node in _nodes(model):
        layer = node.operation
        if isinstance(layer, keras.Model):
            for name, work in work_by_layer(layer).items():
                name = f"{layer.name}/{name}"
                found[name] = found.get(name, 0) + work
        elif work := _work(node):
            found[layer.name] = found.get(layer.name, 0) + work
    return found


def receptive_field(model: keras.Model) -> Field:
    """The receptive field of a model's last feature map, from kernel sizes, strides and dilations.

    A layer with kernel `k`, dilation `d` and stride `s` on a map of stride `j` adds `d (k - 1) j`
    pixels and multiplies the stride by `s`. Where branches meet, the widest counts. It is an upper
    bound of what a position can see: what weighs in practice lies in the middle of it, and beyond
    the border of the image there is only padding.

    Args:
        model: functional or Sequential, headless, with one input; it may hold other models.

    Returns:
        A `Field`, in pixels of the model's input.

    Raises:
        TypeError: it is not a Keras model.
        ValueError: a layer that enlarges its map, or several inputs or outputs.

    Example:
        >>> chain = [layers.Conv2D(4, 3, strides=2), layers.Conv2D(4, 3)]
        >>> receptive_field(keras.Sequential([keras.Input((32, 32, 3)), *chain]))
        Field(height=7, width=7, stride=(2, 2), gated=False)

    Source: Araujo, Norris and Sim, Computing Receptive Fields of Convolutional Neural Networks,
    2019 (https://distill.pub/2019/computing-receptive-fields/); effective fields are smaller, Luo
    et al., 2016 (https://arxiv.org/abs/1701.04128).
    """
    return _field(model, Field(1, 1, (1, 1)))


def _nodes(model: keras.Model) -> list:
    """The calls that make up a model, from input to output."""
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"This is a {type(model).__name__}, not a keras.Model; give a model, such as the one "
            "that `load_backbone` returns."
        )
    graph = getattr(model, "_functional", None) or model
    by_depth = getattr(graph, "_nodes_by_depth", None)
    if not by_depth:
        raise ValueError(
            f"Model {model.name!r} does not say how its layers follow one another; give a "
            "functional model, or a Sequential one with an Input."
        )
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def _work(node) -> int:
    layer = node.operation
    if isinstance(layer, layers.Dense):
        kernels = [layer.kernel]
    elif isinstance(layer, (layers.SeparableConv1D, layers.SeparableConv2D)):
        kernels = [layer.depthwise_kernel, layer.pointwise_kernel]
    elif isinstance(layer, (*_CONVOLUTIONS, *_TRANSPOSED)):
        kernels = [layer.kernel]
    else:
        if any(len(weight.shape) > 1 for weight in getattr(layer, "weights", ())):
            raise ValueError(
                f"Layer {layer.name!r} is a {type(layer).__name__}, whose multiply-adds are not "
                "counted here; give a network of convolutions and dense layers."
            )
        return 0
    # A transposed convolution uses its kernel once at every position of its input.
    tensors = node.input_tensors if isinstance(layer, _TRANSPOSED) else node.output_tensors
    shape = tensors[0].shape
    channels_first = getattr(layer, "data_format", None) == "channels_first"
    positions = shape[2:] if channels_first else shape[1:-1]
    if None in positions:
        raise ValueError(
            f"Layer {layer.name!r} gives shape {tuple(shape)}, whose sides are open; build the "
            "model for one image size, such as `load_backbone(name, input_shape=(224, 224, 3))`."
        )
    return math.prod(positions) * sum(math.prod(kernel.shape) for kernel in kernels)


def _field(model: keras.Model, start: Field) -> Field:
    nodes = _nodes(model)
    inputs = [node for node in nodes if node.is_input]
    graph = getattr(model, "_functional", None) or model
    if len(inputs) != 1 or len(graph.outputs) != 1:
        raise ValueError(
            f"Model {model.name!r} has {len(inputs)} inputs and {len(graph.outputs)} outputs; a "
            "receptive field is that of one map in one image."
        )
    known = {id(tensor): start for tensor in inputs[0].output_tensors}
    for node in nodes:
        if not node.is_input:
            reached = _reach(node.operation, _join([known[id(t)] for t in node.input_tensors]))
            known |= {id(tensor): reached for tensor in node.output_tensors}
    return known[id(graph.outputs[0])]


def _join(fields: list[Field]) -> Field:
    """What a layer sees through all its inputs; a summary of everything only gates a map."""
    maps = [field for field in fields if field.height < math.inf]
    if not maps:
        return _EVERYTHING
    return Field(
        max(field.height for field in maps),
        max(field.width for field in maps),
        max(field.stride for field in maps),
        len(maps) < len(fields) or any(field.gated for field in maps),
    )


def _reach(layer, seen: Field) -> Field:
    if isinstance(layer, keras.Model):
        return _field(layer, seen)
    if isinstance(layer, _SEES_EVERYTHING) or seen.height == math.inf:
        return _EVERYTHING
    if isinstance(layer, _ENLARGES):
        raise ValueError(
            f"Layer {layer.name!r} is a {type(layer).__name__}, which enlarges its map; give the "
            "part of the network before it."
        )
    if isinstance(layer, _CONVOLUTIONS):
        kernel, dilation = layer.kernel_size, layer.dilation_rate
    elif isinstance(layer, _POOLING):
        kernel, dilation = layer.pool_size, (1, 1)
    else:
        return seen
    # One pair also for a sequence, whose only axis is taken for both.
    (kh, kw), (dh, dw), (sh, sw) = (
        (value[0], value[-1]) if isinstance(value, tuple | list) else (value, value)
        for value in (kernel, dilation, layer.strides)
    )
    jh, jw = seen.stride
    return replace(
        seen,
        height=seen.height + dh * (kh - 1) * jh,
        width=seen.width + dw * (kw - 1) * jw,
        stride=(jh * sh, jw * sw),
    )
