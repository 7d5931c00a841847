"""The data sets that are downloaded once: verified before anyone sees them, converted, cached."""

import gzip
import importlib.util
import math
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pooch
import requests

from tlcourse import config
from tlcourse.data.medical import read_medmnist
from tlcourse.data.unpickle import read_batch

ATTEMPTS = 3
TIMEOUT = 30  # seconds without an answer
PARTS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True)
class Download:
    """What to download and how to read it.

    Attributes:
        hosts: addresses of the folder with the files; the next is tried when one fails.
        files: hash by file name.
        read: from the folder that holds the files to `(x_train, y_train, x_test, y_test)`.
        algorithm: of the hashes, "sha256" or "md5".
        query: what the address of a file ends in, after its name.
    """

    hosts: tuple[str, ...]
    files: dict[str, str]
    read: Callable[[Path], tuple[np.ndarray, ...]]
    algorithm: str = "sha256"
    query: str = ""

    def checksums(self) -> str:
        """The hashes as `sha256sum` and `md5sum` print them."""
        return "\n".join(f"{known}  {file}" for file, known in self.files.items())


def read_fashion_mnist(folder: Path):
    """The four idx files of Fashion-MNIST as arrays."""
    return tuple(
        _read_idx(folder / f"{part}-{kind}-ubyte.gz")
        for part in ("train", "t10k")
        for kind in ("images-idx3", "labels-idx1")
    )


def _read_idx(path: Path) -> np.ndarray:
    """An idx file of bytes: two zeros, the type 8, how many axes, their lengths, the values.

    Source: http://yann.lecun.com/exdb/mnist/ describes the format.
    """
    with gzip.open(path) as file:
        data = file.read()
    axes = data[3]
    shape = tuple(int(n) for n in np.frombuffer(data, ">i4", axes, 4))
    values = np.frombuffer(data, "u1", offset=4 + 4 * axes)
    if data[:3] != b"\0\0\x08" or values.size != math.prod(shape):
        raise ValueError(f"{path.name} is not a whole idx file of bytes")
    return values.reshape(*shape, 1) if axes == 3 else values


def read_cifar10(folder: Path):
    """The six batches in the archive of CIFAR-10 as arrays, channels last."""
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    batches = {}
    with tarfile.open(folder / "cifar-10-python.tar.gz") as archive:
        # Members are read, never extracted: no path in the archive reaches the disk.
        for member in archive:
            name = member.name.removeprefix("cifar-10-batches-py/")
            if name in names:
                batch = read_batch(archive.extractfile(member).read(), name)
                x = batch["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
                batches[name] = x, np.array(batch["labels"], "int64")
    train = [batches[name] for name in names[:-1]]
    return (
        np.concatenate([x for x, _ in train]),
        np.concatenate([y for _, y in train]),
        *batches["test_batch"],
    )


def _medmnist(name: str, md5: str) -> Download:
    file = f"{name}.npz"
    return Download(
        hosts=("https://zenodo.org/records/10519652/files/",),
        files={file: md5},
        read=lambda folder: read_medmnist(folder / file),
        algorithm="md5",
        query="?download=1",
    )


# The hashes of Fashion-MNIST are those of the files whose MD5 sums its README prints; the hash of
# CIFAR-10 is the one in `keras/src/datasets/cifar10.py`. Addresses and hashes of MedMNIST are those
# of the table in `medmnist/info.py` of the package medmnist 3.0.2, which gives MD5 and nothing
# else. MD5 finds damage, but somebody could forge a file for it; so it matters that these files are
# read as arrays of numbers, from which nothing is run.
DOWNLOADS = {
    "fashion_mnist": Download(
        hosts=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        files={
            "train-images-idx3-ubyte.gz": (
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
            ),
            "train-labels-idx1-ubyte.gz": (
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
            ),
            "t10k-images-idx3-ubyte.gz": (
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
            ),
            "t10k-labels-idx1-ubyte.gz": (
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
            ),
        },
        read=read_fashion_mnist,
    ),
    "cifar10": Download(
        hosts=("https://www.cs.toronto.edu/~kriz/",),
        files={
            "cifar-10-python.tar.gz": (
                "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
            ),
        },
        read=read_cifar10,
    ),
    "bloodmnist": _medmnist("bloodmnist", "7053d0359d879ad8a5505303e11de1dc"),
    "pneumoniamnist": _medmnist("pneumoniamnist", "28209eda62fecd6e6a2d98b1501bb15f"),
}


def converted(name: str) -> Path:
    """Where the arrays of a downloaded data set lie, or will lie: an uncompressed npz.

    The name carries the hash of the files it was made from.
    """
    key = next(iter(DOWNLOADS[name].files.values()))[:12]
    return config.cache_dir("data") / f"{name}-{key}.npz"


def is_known(name: str, path: Path) -> bool:
    """Whether a file is the one that a download of this name would bring."""
    known = DOWNLOADS[name].files.get(path.name)
    return known == pooch.file_hash(str(path), alg=DOWNLOADS[name].algorithm)


def is_cached(name: str) -> bool:
    """Whether a data set can be loaded without the network."""
    folder = config.cache_dir("data", name)
    return converted(name).is_file() or all(
        (folder / file).is_file() for file in DOWNLOADS[name].files
    )


def fetch(name: str) -> Path:
    """Download, verify and convert a data set, unless that has been done.

    Args:
        name: a key of `DOWNLOADS`.

    Returns:
        The path of the npz with the arrays `x_train`, `y_train`, `x_test`, `y_test`.

    Raises:
        FileNotFoundError: no host could be reached.
        ValueError: every host sent something else than the known files; nothing is kept.
    """
    path = converted(name)
    if not path.is_file():
        download = DOWNLOADS[name]
        folder = config.cache_dir("data", name)
        for file in download.files:
            _fetch_file(name, download, folder, file)
        arrays = dict(zip(PARTS, download.read(folder), strict=True))
        with config.atomic_path(path) as partial, partial.open("wb") as file:
            np.savez(file, **arrays)
    return path


def read(name: str) -> tuple[np.ndarray, ...]:
    """The four arrays of a downloaded data set, fetched if need be."""
    path = fetch(name)
    try:
        return _read_npz(path)
    except Exception:
        # Damaged on the disk, in whatever way: it can be made again from the verified files.
        path.unlink(missing_ok=True)
        return _read_npz(fetch(name))


def _read_npz(path: Path) -> tuple[np.ndarray, ...]:
    with np.load(path, allow_pickle=False) as arrays:
        return tuple(arrays[part] for part in PARTS)


def _fetch_file(name: str, download: Download, folder: Path, file: str) -> None:
    errors = []
    for host in download.hosts:
        store = pooch.create(
            folder,
            host,
            registry={file: f"{download.algorithm}:{download.files[file]}"},
            urls={file: f"{host}{file}{download.query}"},
            retry_if_failed=ATTEMPTS - 1,
        )
        has_tqdm = importlib.util.find_spec("tqdm") is not None
        downloader = pooch.HTTPDownloader(progressbar=has_tqdm, timeout=TIMEOUT)
        try:
            store.fetch(file, downloader=downloader)
            return
        except (requests.exceptions.RequestException, OSError, ValueError) as error:
            errors.append(error)
    routes = (
        f'work with one that comes with the install ("animals", "mnist", "digits"), or put '
        f"{name}.npz into a folder and name the folder in TLCOURSE_DATA"
    )
    if any(type(error) is ValueError for error in errors):
        raise ValueError(
            f"{name}: what arrived as {file} is not the known file (its {download.algorithm} "
            f"differs), so it was thrown away; try again later, {routes}."
        ) from errors[-1]
    raise FileNotFoundError(
        f"{name} is not on this machine and {file} could not be downloaded "
        f"({_reason(errors[-1])}); connect to the internet once, {routes}."
    ) from errors[-1]


def _reason(error: Exception) -> str:
    """A few words on what went wrong, for a reader and not for a debugger."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"the host answered {response.status_code}"
    if isinstance(error, requests.exceptions.Timeout):
        return f"no answer within {TIMEOUT} s"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "no connection"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return type(error).__name__
