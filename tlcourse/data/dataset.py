"""What a data set is: arrays, class names and the card that says where they come from."""

import base64
import hashlib
import html
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class DataCard:
    """Where a data set comes from, under which licence, and how to know it is the right one.

    Attributes:
        name: what `data.load` takes.
        source: the package or address that publishes it.
        licence: of the data, as its publisher states it.
        shape: `(height, width, channels)` of an image; None where images differ.
        classes: how many there are.
        train, test: how many images each part holds.
        sha256: of the arrays as loaded; for photographs, of their files one after the other; for
            a download, of its files, one `hash  file` a line; empty if its publisher gives another.
        offline: True if it comes with the install.
        notes: what was done to it, and what to beware of.
        md5: of the files of a download, where its publisher gives nothing better.
    """

    name: str
    source: str
    licence: str
    shape: tuple[int | None, int | None, int]
    classes: int
    train: int
    test: int
    sha256: str
    offline: bool
    notes: str = ""
    md5: str = ""

    def _rows(self) -> list[tuple[str, str]]:
        size = "×".join("any" if n is None else str(n) for n in self.shape)
        rows = [
            ("source", self.source),
            ("licence", self.licence),
            ("images", f"{self.train:,} to train, {self.test:,} to test; {size}, 0–255"),
            ("classes", f"{self.classes:,}"),
            ("offline", "comes with the install" if self.offline else "downloaded once, cached"),
            ("sha256", self.sha256),
            ("md5", self.md5),
            ("notes", self.notes),
        ]
        return [(key, value) for key, value in rows if value]

    def __str__(self) -> str:
        indent = "\n" + " " * 9
        lines = [f"{key:<8} {value.replace(chr(10), indent)}" for key, value in self._rows()]
        return "\n".join([self.name, *lines])

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th style='text-align:left;vertical-align:top'>{key}</th>"
            f"<td style='text-align:left;overflow-wrap:anywhere'>"
            f"{html.escape(value).replace(chr(10), '<br>')}</td></tr>"
            for key, value in self._rows()
        )
        return f"<table><caption>Data card: {html.escape(self.name)}</caption>{cells}</table>"


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Images with labels, split once and for all into a part to train and a part to test.

    Attributes:
        name: what `data.load` was given.
        x_train, x_test: uint8 `(N, H, W, C)`, raw pixels 0–255, C = 1 (grey) or 3 (RGB).
        y_train, y_test: int64 `(N,)`, positions in `class_names`.
        class_names: one for each class.
        card: source, licence, hash and notes.

    Example:
        >>> x, y = np.arange(8, dtype="uint8").reshape(8, 1, 1, 1), np.array([0, 1] * 4)
        >>> toy = Dataset("toy", x, y, x[:2], y[:2], ("even", "odd"), card_of("toy", x, y, x, y))
        >>> toy
        Dataset('toy': 8 to train, 2 to test, 1×1×1, 2 classes)
        >>> toy.subset(4, seed=0)[1].tolist().count(0)
        2
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]
    card: DataCard

    def subset(self, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """`n` labelled images from the training part, every class in its share.

        With one seed the subsets are nested: the first 50 images of `subset(100, seed)` are
        `subset(50, seed)`, so that a learning curve only ever adds labels.

        Args:
            n: how many images, from one for each class to all of the training part.
            seed: a whole number, 0 or more; which images are drawn, and their order.

        Returns:
            `(x, y)`: uint8 `(n, H, W, C)` and int64 `(n,)`, copies, in random order.

        Raises:
            ValueError: `n` is smaller than the number of classes or larger than the training part.
            TypeError: `n` is not a whole number.
        """
        if isinstance(n, bool) or not isinstance(n, int | np.integer):
            raise TypeError(f"n is {n!r}; it counts images, so give a whole number such as 100.")
        classes, total = len(np.unique(self.y_train)), len(self.y_train)
        if not classes <= n <= total:
            raise ValueError(
                f"A subset of {n:,} images was asked of {self.name}; give n between {classes} "
                f"(one for each class) and {total:,} (all that there is to train on)."
            )
        chosen = _stratified_order(self.y_train, seed)[:n]
        return self.x_train[chosen], self.y_train[chosen]

    def __repr__(self) -> str:
        size = "×".join(map(str, self.x_train.shape[1:]))
        return (
            f"Dataset({self.name!r}: {len(self.x_train):,} to train, {len(self.x_test):,} to test, "
            f"{size}, {len(self.class_names)} classes)"
        )

    def _repr_html_(self, shown: int = 12) -> str:
        first = {name: np.argmax(self.y_train == i) for i, name in enumerate(self.class_names)}
        names = list(first)[:shown]
        figures = gallery([self.x_train[first[name]] for name in names], names, width=56)
        return f"<p><code>{html.escape(repr(self))}</code></p>{figures}"


def _stratified_order(labels: np.ndarray, seed: int) -> np.ndarray:
    """An order of all examples whose every beginning holds the classes in their shares.

    One example of each class comes first; after them, the k-th of n_c examples of class c comes
    at k / n_c, and ties are broken at random.
    """
    rng = np.random.default_rng(seed)
    place = np.empty(len(labels))
    for label in np.unique(labels):
        of_class = rng.permutation(np.flatnonzero(labels == label))
        place[of_class] = (np.arange(len(of_class)) + 0.5) / len(of_class)
        place[of_class[0]] = 0
    return np.lexsort((rng.random(len(labels)), place))


def gallery(images, names, width: int) -> str:
    """Images in a row with their names, as HTML that needs no files."""
    figures = ""
    for image, name in zip(images, names, strict=True):
        buffer = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "PNG")
        source = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
        figures += (
            "<figure style='display:inline-block;margin:4px;text-align:center'>"
            f"<img alt='{html.escape(name)}' width='{width}' src='{source}'>"
            f"<figcaption>{html.escape(name)}</figcaption></figure>"
        )
    return f"<div>{figures}</div>"


def content_hash(*arrays: np.ndarray) -> str:
    """The sha256 of arrays' shapes, dtypes and values, in hex, the same on every machine."""
    digest = hashlib.sha256()
    for array in arrays:
        little_endian = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        digest.update(f"{array.shape}{little_endian.dtype.str}".encode())
        digest.update(little_endian.data)
    return digest.hexdigest()


def card_of(name, x_train, y_train, x_test, y_test, *, source="in memory", notes="") -> DataCard:
    """The card of arrays that nobody has published: what can be read off them."""
    return DataCard(
        name=name,
        source=source,
        licence="not stated",
        shape=x_train.shape[1:],
        classes=len(np.unique(np.concatenate([y_train, y_test]))),
        train=len(x_train),
        test=len(x_test),
        sha256=content_hash(x_train, y_train, x_test, y_test),
        offline=True,
        notes=notes,
    )
