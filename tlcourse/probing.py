"""Cut a backbone at each of its blocks: what do images look like there, to a head?"""

from collections.abc import Sequence

import keras
import numpy as np

from tlcourse import config, preprocessing
from tlcourse.features import BATCH, filled_up
from tlcourse.freezing import structure
from tlcourse.models import load_backbone, table


def cut(backbone, block: str, size: int = 96, *, weights="imagenet") -> keras.Model:
    """The part of a backbone up to the end of one block: a smaller backbone.

    Args:
        backbone: a key of `BACKBONES`, or Keras' own spelling.
        block: name of the block, as `freezing.report` lists them.
        size: height and width in pixels of the model-ready images.
        weights: "imagenet", or None for random ones.

    Returns:
        A frozen model from model-ready images `(N, size, size, 3)` to the maps of that block,
        `(N, h, w, channels)`. `models.multiply_adds` says what it costs.

    Raises:
        ValueError: an unknown backbone or block, or a size below the minimum.
        FileNotFoundError: weights that are neither embedded nor cached, without a network.
    """
    network = load_backbone(backbone, weights, (size, size, 3))
    (maps,) = _ends(network, [block]).values()
    part = keras.Model(network.input, maps, name=f"{network.name}_to_{block}")
    part.trainable = False
    return part


def cut_features(
    images: np.ndarray,
    backbone: str = "efficientnet-lite0",
    size: int = 96,
    *,
    blocks: Sequence[str] | None = None,
    grid: int = 1,
    weights: str | None = "imagenet",
    interpolation: str = "bilinear",
) -> dict[str, np.ndarray]:
    """Features of images at every block of a frozen backbone, from one pass over the images.

    Fit a head on each (`training.fit_head`) to see at which depth a target is served best.

    Args:
        images: raw pixels 0-255, uint8 or float, `(N, H, W, 1)` or `(N, H, W, 3)` in RGB order.
        backbone, size, weights: as in `cut`.
        blocks: names of blocks; None for all.
        grid: the map of a block is averaged over `grid` by `grid` fields, or over as many as it
            has positions. 1, the mean over all positions, is what a classifier gets from the last
            block; early blocks have few channels, and more fields let them say where, too.
        interpolation: how to resize, as `preprocessing.resize` names it.

    Returns:
        float32 features `(N, D)` by block, from the first block to the last. With `grid=1` those
        of the last are what `features.extract` gives.

    Raises:
        ValueError: images of another shape or range, or as in `cut`.
        FileNotFoundError: as in `cut`.

    Source: Alain and Bengio, Understanding intermediate layers using linear classifier probes,
    2016 (https://arxiv.org/abs/1610.01644).
    """
    facts = table.lookup(backbone)
    if isinstance(grid, bool) or not isinstance(grid, int) or grid < 1:
        raise ValueError(f"The grid is {grid!r}; give a whole number of fields a side, 1 or more.")
    images = np.asarray(images)
    preprocessing.to_rgb(images[:1])
    if images.dtype != np.uint8:
        preprocessing.preprocess(preprocessing.to_rgb(images), "identity")
    network = load_backbone(facts, weights, (size, size, 3))
    network.trainable = False
    ends = _ends(network, blocks)
    model = keras.Model(network.input, [_pooled(maps, grid) for maps in ends.values()])
    ready = preprocessing.Preprocess(facts.name, size=size, interpolation=interpolation)
    found: dict[str, list[np.ndarray]] = {name: [] for name in ends}
    for i in config.progress(range(0, len(images), BATCH), "cuts"):
        batch = keras.ops.convert_to_numpy(ready(images[i : i + BATCH]))
        outputs = model.predict_on_batch(filled_up(batch))
        outputs = outputs if isinstance(outputs, list) else [outputs]
        for parts, output in zip(found.values(), outputs, strict=True):
            parts.append(np.asarray(output)[: len(batch)])
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _ends(network: keras.Model, blocks: Sequence[str] | None) -> dict:
    """What each block, or each that is named, gives on: its tensor by name, in order."""
    last = {block.name: block.layers[-1] for block in structure.take_apart(network).blocks}
    for name in blocks or ():
        if name not in last:
            near = structure.similar(name, last) or list(last)
            raise ValueError(
                f"{network.name} has no block {name!r}; did you mean {' or '.join(near[:3])}?"
            )
    if blocks is not None and not len(blocks):
        raise ValueError("There is no block to cut at; name one, or leave out `blocks` for all.")
    # A model inside the backbone has an output of its own; what counts is the one in this graph.
    given = {
        id(node.operation): node.output_tensors[0]
        for nodes in network._nodes_by_depth.values()
        for node in nodes
    }
    return {n: given[id(layer)] for n, layer in last.items() if blocks is None or n in blocks}


def _pooled(maps, grid: int):
    height, width = maps.shape[1:3]
    fields = min(grid, height), min(grid, width)
    if fields == (1, 1):
        return keras.layers.GlobalAveragePooling2D()(maps)
    return keras.layers.Flatten()(keras.layers.AdaptiveAveragePooling2D(fields)(maps))
