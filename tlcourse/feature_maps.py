"""What does each layer pass on? Feature maps of flat and of nested models."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from tlcourse.freezing import structure


def feature_maps(
    model: keras.Model,
    images: np.ndarray,
    layers: Sequence[str] | None = None,
    batch_size: int = 32,
) -> dict[str, np.ndarray]:
    """Run images through a model and keep what some layers of its backbone give.

    A nested backbone's layers belong to another graph than the model's input, so that
    `keras.Model(model.input, layer.output)` fails, or shows the backbone and not its preprocessing.
    Here the images pass through everything that the model puts before its backbone.

    Args:
        model: a built Functional or Sequential model, flat or with a nested backbone.
        images: what the model takes, `(N, H, W, C)`.
        layers: names of layers of the backbone that give maps; None for the last one at each
            resolution, from fine to coarse.
        batch_size: images in one step.

    Returns:
        Layer name to float32 `(N, h, w, channels)`, from input to output.

    Raises:
        ValueError: no such layer, one that gives no map, or a backbone that the model calls out of
            sight.

    Example:
        >>> inputs = keras.Input((4, 4, 3))
        >>> x = keras.layers.Conv2D(2, 1, name="fine")(inputs)
        >>> model = keras.Model(inputs, keras.layers.Conv2D(5, 2, 2, name="coarse")(x))
        >>> found = feature_maps(model, np.zeros((1, 4, 4, 3), "float32"))
        >>> {name: maps.shape for name, maps in found.items()}
        {'fine': (1, 4, 4, 2), 'coarse': (1, 2, 2, 5)}
    """
    backbone = structure.find_backbone(model)
    available = _maps(backbone)
    chosen = list(_last_at_each_size(available) if layers is None else layers)
    for name in chosen:
        if name not in available:
            near = structure.similar(name, available) or list(_last_at_each_size(available))
            raise ValueError(
                f"{backbone.name!r} has no layer {name!r} that gives feature maps; write one such "
                f"as {', '.join(near)}."
            )
    chosen.sort(key=list(available).index)
    inside = keras.Model(backbone.inputs, [available[name] for name in chosen])
    before = None if backbone is model else _before(model, backbone)
    found = []
    for start in range(0, len(images), batch_size):
        batch = ops.convert_to_tensor(images[start : start + batch_size])
        if before is not None:
            batch = before(batch, training=False)
        given = inside(batch, training=False)
        given = given if isinstance(given, (list, tuple)) else [given]
        found.append([np.asarray(ops.convert_to_numpy(maps), "float32") for maps in given])
    joined = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return dict(zip(chosen, joined, strict=True))


def _maps(backbone: keras.Model) -> dict:
    """Layer name to its feature map in the backbone's graph, from input to output."""
    graph = getattr(backbone, "_functional", None) or backbone  # a Sequential model holds its graph
    found = {}
    for _, nodes in sorted(getattr(graph, "_nodes_by_depth", {}).items(), reverse=True):
        for node in nodes:
            given = node.output_tensors
            is_input = isinstance(node.operation, keras.layers.InputLayer)
            if len(given) == 1 and len(given[0].shape) == 4 and not is_input:
                found[node.operation.name] = given[0]
    return found


def _last_at_each_size(available: dict) -> list[str]:
    last = {}
    for name, maps in available.items():
        last.pop(maps.shape[1:3], None)
        last[maps.shape[1:3]] = name
    return list(last.values())


def _before(model: keras.Model, backbone: keras.Model) -> keras.Model:
    graph = getattr(model, "_functional", None) or model
    for nodes in getattr(graph, "_nodes_by_depth", {}).values():
        for node in nodes:
            if node.operation is backbone:
                return keras.Model(model.inputs, node.input_tensors[0])
    raise ValueError(
        f"{model.name!r} calls its backbone {backbone.name!r} out of sight of its own graph; give "
        "the backbone itself, with prepared images."
    )


def liveliest(maps: np.ndarray, count: int = 8) -> np.ndarray:
    """The channels that differ most between places and images, liveliest first.

    The first channels of a layer are in no order: what they show is an accident.

    Args:
        maps: of one layer `(N, h, w, channels)`.
        count: how many, at most as many as there are.

    Returns:
        Channel numbers `(count,)`.

    Example:
        >>> liveliest(np.array([[[[0.0, 5.0, 1.0]], [[0.0, -5.0, 2.0]]]]), 2).tolist()
        [1, 2]
    """
    spread = np.asarray(maps, "float64").std(axis=(0, 1, 2))
    return np.argsort(-spread, kind="stable")[:count]


def silent_share(maps: np.ndarray) -> float:
    """Share of the channels that say the same at every place of every image: they do no work here.

    Args:
        maps: of one layer `(N, h, w, channels)`.

    Example:
        >>> silent_share(np.array([[[[0.0, 5.0]], [[0.0, -5.0]]]]))
        0.5
    """
    return float((np.ptp(np.asarray(maps), axis=(0, 1, 2)) == 0).mean())


def as_images(maps: np.ndarray, channels: Sequence[int]) -> list[np.ndarray]:
    """Channels of one image as grey pictures, for `visualization.image_grid`.

    Each channel is stretched on its own from black, its lowest value, to white, its highest:
    pictures of two channels do not compare in brightness. A silent channel is black.

    Args:
        maps: of one image `(h, w, channels)`.
        channels: which ones to show.

    Returns:
        One uint8 `(h, w, 1)` for each.

    Example:
        >>> as_images(np.array([[[0.0], [0.5], [1.0]]]), [0])[0].ravel().tolist()
        [0, 128, 255]
    """
    maps = np.asarray(maps, "float64")[..., list(channels)]
    low, spread = maps.min(axis=(0, 1)), np.ptp(maps, axis=(0, 1))
    stretched = 255 * (maps - low) / np.where(spread > 0, spread, 1)
    return [np.round(stretched[..., [i]]).astype("uint8") for i in range(len(channels))]
