"""The files of MedMNIST: small medical images, in parts, as their authors publish them."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

# Of the three parts that a file holds, the validation part is left out: the course draws its own
# validation images from the training part.
KEYS = ("train_images", "train_labels", "test_images", "test_labels")
NAMES = ("bloodmnist", "pneumoniamnist")


def is_medmnist(keys: Iterable[str]) -> bool:
    """Whether an npz with these arrays was made by the authors of MedMNIST."""
    return KEYS[0] in keys


def read_medmnist(path: Path) -> tuple[np.ndarray, ...]:
    """The training and the test part of a file of MedMNIST.

    Args:
        path: an npz with `train_images`, `train_labels`, `test_images` and `test_labels`.

    Returns:
        `(x_train, y_train, x_test, y_test)`: uint8 `(N, H, W, C)`, grey with C = 1, and whole
        numbers `(N,)`.

    Raises:
        KeyError: a part is missing.

    Source: https://github.com/MedMNIST/MedMNIST, `medmnist/dataset.py`.
    """
    with np.load(path, allow_pickle=False) as stored:
        x_train, y_train, x_test, y_test = (stored[key] for key in KEYS)
    images = (x[..., None] if x.ndim == 3 else x for x in (x_train, x_test))
    # Labels are stored as (N, 1), because some of the collections have several for an image.
    labels = (y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y for y in (y_train, y_test))
    x_train, x_test = images
    y_train, y_test = labels
    return x_train, y_train, x_test, y_test
