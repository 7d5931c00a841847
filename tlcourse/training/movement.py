"""How far training moved the weights of a model, and the features that it computes."""

from dataclasses import dataclass
from typing import NamedTuple

import keras
import numpy as np

from tlcourse.freezing import snapshots, structure


class Change(NamedTuple):
    """How far some weights moved.

    Attributes:
        relative: length of the change over length of what was there; 0 means nowhere, 1 as far as
            if everything had been set to zero.
        rms: root mean square of the change, in the unit of the weights: of one step of plain SGD
            the rate times the gradient's, of Adam's first step about the rate.
    """

    relative: float
    rms: float


@dataclass(frozen=True)
class Movement:
    """How far a model's trainable weights moved.

    Attributes:
        backbone: all of the backbone that was trainable.
        parts: each block and each layer outside the backbone that was trainable.
    """

    backbone: Change
    parts: dict[str, Change]


def weights_moved(model: keras.Model, before: snapshots.Snapshot) -> Movement:
    """How far the weights moved that were trainable when the snapshot was taken.

    Args:
        model: the model of the snapshot, trained since.
        before: from `freezing.snapshot`.

    Raises:
        ValueError: the snapshot is of another model, or nothing was trainable.
    """
    snapshots.check_same_model(model, before)
    if not before.trainable:
        raise ValueError("Nothing was trainable at the snapshot; unfreeze a part before it.")
    parts = structure.take_apart(model)
    # Of each weight: the squared length of its change, that of what it was, and how many it holds.
    sums: dict[int, np.ndarray] = {}
    for path, weight in snapshots.by_path(model).items():
        if path in before.trainable:
            was = before.values[path].astype(float)
            with np.errstate(all="ignore"):
                moved = snapshots.value(weight) - was
                sums[id(weight)] = np.array([np.vdot(moved, moved), np.vdot(was, was), was.size])

    def change(weights) -> Change | None:
        pairs = [sums[id(weight)] for weight in weights if id(weight) in sums]
        if not pairs:
            return None
        moved, was, size = np.sum(pairs, axis=0)
        with np.errstate(all="ignore"):
            return Change(float(np.sqrt(moved / was)), float(np.sqrt(moved / size)))

    named = [(block.name, block.weights) for block in parts.blocks]
    named += [(layer.name, layer.weights) for layer in parts.rest]
    found = {name: change(weights) for name, weights in named}
    whole = change([weight for block in parts.blocks for weight in block.weights])
    return Movement(
        whole or Change(0.0, 0.0), {name: moved for name, moved in found.items() if moved}
    )


def features_moved(now: np.ndarray, before: np.ndarray) -> float:
    """How far an image's features moved: the mean over images of their change, over their length.

    Args:
        now: features `(N, D)` of some images after training.
        before: those of the same images before.

    Returns:
        0 if they are as they were; 1 if they moved as far as they were long.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> features_moved(np.array([[3.0, 0.0], [0.0, 2.0]]), np.array([[3.0, 4.0], [0.0, 2.0]]))
        0.4
    """
    now, before = np.asarray(now, float), np.asarray(before, float)
    if now.shape != before.shape or now.ndim != 2:
        raise ValueError(
            f"The features have shapes {now.shape} and {before.shape}; give those of the same "
            "images, (N, D) both times."
        )
    lengths = np.maximum(np.linalg.norm(before, axis=1), 1e-12)
    return float((np.linalg.norm(now - before, axis=1) / lengths).mean())
