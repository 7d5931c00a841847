"""A few examples of the old task, kept to be seen again."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Memory:
    """Examples of the old task, or inputs like its own that nobody has labelled.

    Attributes:
        x: inputs `(N, ...)`.
        y: class numbers `(N,)`; None if there are none. Then it serves distillation alone.

    Raises:
        ValueError: it is empty, or inputs and labels do not match.
    """

    x: np.ndarray
    y: np.ndarray | None = None

    def __post_init__(self):
        if len(self.x) == 0:
            raise ValueError(
                "The replay memory is empty; keep at least one old example, or train without one."
            )
        if self.y is not None and np.shape(self.y) != (len(self.x),):
            raise ValueError(
                f"{len(self.x)} old inputs do not match labels of shape {np.shape(self.y)}."
            )

    def __len__(self) -> int:
        return len(self.x)


def remember(x: np.ndarray, y: np.ndarray, size: int, seed: int = 0) -> Memory:
    """Keep a few old examples, every class in turn.

    Args:
        x: inputs `(N, ...)` of the old task.
        y: class numbers `(N,)`.
        size: how many to keep, from 1 to N.
        seed: which ones.

    Returns:
        The `Memory`, with labels, copies.

    Raises:
        ValueError: a size that cannot be kept, or inputs and labels that do not match.

    Example:
        >>> memory = remember(np.arange(6), np.array([0, 0, 0, 0, 1, 1]), size=4)
        >>> sorted(memory.y.tolist())
        [0, 0, 1, 1]
    """
    everything = Memory(np.asarray(x), np.asarray(y))
    if not 1 <= size <= len(everything):
        raise ValueError(
            f"A memory of {size} was asked of {len(everything)} old examples; "
            f"give a size from 1 to {len(everything)}."
        )
    order = np.random.default_rng(seed).permutation(len(everything))
    # The first of each class, then the second of each, and so on.
    turn = np.empty(len(order), int)
    for label in np.unique(everything.y):
        same = everything.y[order] == label
        turn[same] = np.arange(same.sum())
    chosen = order[np.argsort(turn, kind="stable")][:size]
    return Memory(everything.x[chosen], everything.y[chosen])


def schedule(examples: int, draws: int, seed: int) -> np.ndarray:
    """Which example each draw takes: all in random order, again and again. int64 `(draws,)`."""
    rng = np.random.default_rng(seed)
    passes = -(-draws // examples)
    return np.concatenate([rng.permutation(examples) for _ in range(passes)])[:draws]
