"""Rows in batches for Keras, in an order that follows from the seed and the epoch alone."""

import keras
import numpy as np

from tlcourse.pipeline.sources import Rows


class Batches(keras.utils.PyDataset):
    """Batches of `(x, y)`, read when Keras asks for them.

    Keras would shuffle with Python's own random numbers, whose state a killed process takes with
    it. Here the order of an epoch is a function of the seed and of the epoch's number, so a
    training that goes on in another process sees what it would have seen. Give `fit` the argument
    `shuffle=False`.

    Args:
        rows: pictures or activations, with labels.
        size: rows in a batch; the last one may be smaller.
        seed: the order follows from it; None for the order of the rows.
    """

    def __init__(self, rows: Rows, size: int = 32, seed: int | None = None):
        super().__init__(workers=1)
        self.rows, self.size, self.seed = rows, size, seed
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Set the order of an epoch."""
        self.order = np.arange(len(self.rows))
        if self.seed is not None:
            self.order = np.random.default_rng([self.seed, epoch]).permutation(len(self.rows))

    def __len__(self) -> int:
        return -(-len(self.rows) // self.size)

    def __getitem__(self, index: int):
        chosen = self.order[index * self.size : (index + 1) * self.size]
        return self.rows.read(chosen).astype("float32"), self.rows.labels[chosen]
