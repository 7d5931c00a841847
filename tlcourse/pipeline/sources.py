"""Arrays, `tf.data` and image folders as one thing: labelled pictures, read when asked for."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tlcourse import data as catalogue
from tlcourse import preprocessing
from tlcourse.data.folder import Report
from tlcourse.pipeline.disk import RowFile

CHUNK = 256  # pictures in memory at a time


@dataclass(frozen=True, eq=False)
class Rows:
    """Labelled pictures, or what was computed from them.

    Attributes:
        labels: class numbers int64 `(N,)`.
        shape: of one of them.
        read: from positions to an array `(len(positions), *shape)`.
    """

    labels: np.ndarray
    shape: tuple[int, ...]
    read: Callable[[Sequence[int]], np.ndarray]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, positions: np.ndarray) -> "Rows":
        """Some of them, in that order."""
        return replace(
            self,
            labels=self.labels[positions],
            read=lambda chosen: self.read(positions[np.asarray(chosen)]),
        )

    def chunks(self, start: int = 0) -> Iterator[np.ndarray]:
        """All of them from `start` on, a few at a time, in order."""
        for first in range(start, len(self), CHUNK):
            yield self.read(np.arange(first, min(first + CHUNK, len(self))))


@dataclass(frozen=True, eq=False)
class Source:
    """Pictures to train on and to validate on.

    Attributes:
        train: to learn from.
        held_out: to validate on; empty if nothing was kept apart.
        class_names: in the order of the class numbers.
        about: where they come from, in words.
        key: changes with the pictures.
        report: what an image folder repaired and refused; None for other sources.
    """

    train: Rows
    held_out: Rows
    class_names: tuple[str, ...]
    about: str
    key: str
    report: Report | None = None


def open_source(
    pictures, labels, class_names, *, size: int, fraction: float, seed: int, work: Path
) -> Source:
    """Make a `Source` of whatever was given.

    Args:
        pictures: arrays `(N, H, W, C)`, a `tf.data.Dataset`, the path of an image folder, or an
            `ImageFolder`.
        labels: of arrays; None for the others, which bring theirs.
        class_names: None for the folder's own, or for the labels themselves.
        size: side in pixels to which pictures of a folder are cut and resized.
        fraction: share of each class to keep apart.
        seed: which.
        work: folder for what has to be on disk.

    Raises:
        TypeError, ValueError, FileNotFoundError: what cannot be learned from, in one sentence.
    """
    if isinstance(pictures, str | Path):
        pictures = catalogue.image_folder(pictures, (size, size), fraction, seed)
    if isinstance(pictures, catalogue.ImageFolder):
        if labels is not None:
            raise ValueError("An image folder has its labels in its folders; leave labels out.")
        return _of_folder(pictures)
    if is_stream(pictures):
        if labels is not None:
            raise ValueError("A tf.data stream holds (pictures, labels); leave labels out.")
        rows, class_names = _spool(pictures, class_names, work / "pictures")
        about, key = "a tf.data stream", repr(pictures.element_spec)
        marks = _digests_of(rows)
    else:
        rows, class_names = _of_arrays(pictures, labels, class_names)
        about = "arrays"
        marks = _digests_of(rows)
        key = hashlib.blake2b(marks.tobytes() + rows.labels.tobytes(), digest_size=16).hexdigest()
    kept_apart = _held_out(rows.labels, marks, fraction, seed)
    return Source(
        rows.take(np.flatnonzero(~kept_apart)),
        rows.take(np.flatnonzero(kept_apart)),
        class_names,
        about,
        key,
    )


def is_stream(pictures) -> bool:
    """Whether it is a `tf.data.Dataset`; asking for its class would import TensorFlow."""
    return hasattr(pictures, "element_spec") and hasattr(pictures, "as_numpy_iterator")


def digests(pictures: np.ndarray) -> np.ndarray:
    """A number for each picture that its exact copies share, uint64 `(N,)`."""
    marks = (
        hashlib.blake2b(np.ascontiguousarray(picture, "float32"), digest_size=8).digest()
        for picture in pictures
    )
    return np.frombuffer(b"".join(marks), "uint64")


def _digests_of(rows: Rows) -> np.ndarray:
    return np.concatenate([digests(chunk) for chunk in rows.chunks()])


def checked(pictures: np.ndarray) -> np.ndarray:
    """The pictures, if they are raw pixels 0-255.

    Raises:
        TypeError, ValueError: they are not.
    """
    if pictures.dtype != np.uint8:
        preprocessing.preprocess(preprocessing.to_rgb(pictures), "identity")
    return pictures


def as_pictures(pictures) -> np.ndarray:
    """An array `(N, H, W, C)` of what was given as one.

    Raises:
        TypeError, ValueError: pictures of several sizes, or another number of dimensions.
    """
    try:
        array = np.asarray(pictures)
    except ValueError:
        array = np.empty(0, object)
    if array.dtype == object:
        sizes = sorted({np.shape(picture) for picture in pictures})
        raise ValueError(
            f"The pictures have {len(sizes)} sizes, such as {' and '.join(map(str, sizes[:2]))}; "
            "bring them to one with preprocessing.resize, or give them as an image folder."
        )
    if array.dtype.kind not in "uif":
        raise TypeError(
            f"The pictures have dtype {array.dtype}; give numbers, uint8 or float, from 0 to 255."
        )
    if array.ndim != 4 or array.shape[-1] not in (1, 3) or 0 in array.shape:
        raise ValueError(
            f"The pictures have shape {array.shape}; give (N, H, W, 1) for grey, which "
            "x[..., None] makes of (N, H, W), or (N, H, W, 3) for RGB."
        )
    return array


def class_numbers(labels, class_names) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class numbers int64 `(N,)` and the names they stand for.

    Args:
        labels: class numbers from 0, names, or one-hot rows.
        class_names: None for the names themselves in alphabetical order, or "0", "1", ….

    Raises:
        ValueError: labels that are none of these, or a class without a picture.
    """
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] > 1 and _one_hot(labels):
        class_names = class_names or [str(number) for number in range(labels.shape[1])]
        labels = labels.argmax(axis=1)
    labels = labels.ravel() if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.ndim != 1 or len(labels) == 0:
        raise ValueError(
            f"The labels have shape {labels.shape}; give one class number for each picture, (N,)."
        )
    if labels.dtype.kind in "USO":
        texts = [str(label) for label in labels]
        names = tuple(class_names or sorted(set(texts)))
        if unknown := sorted(set(texts) - set(names)):
            raise ValueError(f"The label {unknown[0]!r} is none of the classes {', '.join(names)}.")
        numbers = np.array([names.index(text) for text in texts], "int64")
    else:
        numbers = labels.astype("int64")
        if (numbers != labels).any() or numbers.min() < 0:
            raise ValueError("The labels are no class numbers; give whole numbers from 0.")
        names = tuple(class_names or (str(number) for number in range(int(numbers.max()) + 1)))
        if numbers.max() >= len(names):
            raise ValueError(
                f"The labels reach {numbers.max()}, but there are {len(names)} class names; the "
                f"highest label has to be {len(names) - 1}."
            )
    return numbers, names


def _one_hot(labels: np.ndarray) -> bool:
    return bool((labels.sum(axis=1) == 1).all() and np.isin(labels, (0, 1)).all())


def require_two_of_each(labels: np.ndarray, class_names: Sequence[str], least: int = 2) -> None:
    """Refuse classes that cannot be learned, or not be both learned and checked.

    Raises:
        ValueError: fewer than two classes, or a class with too few pictures.
    """
    if len(class_names) < 2:
        raise ValueError("There is one class only; give pictures of two or more.")
    counts = np.bincount(labels, minlength=len(class_names))
    short = [(name, n) for name, n in zip(class_names, counts, strict=True) if n < least]
    if short:
        name, count = short[0]
        has = "one picture" if count == 1 else "no picture"
        others = f", and {len(short) - 1} more classes too few" if len(short) > 1 else ""
        wants = "two, one to learn from and one to check with" if least > 1 else "one to learn from"
        raise ValueError(
            f"The class {name!r} has {has}{others}; every class needs at least {wants}, so add "
            "some or leave the class out."
        )


def _of_folder(folder: catalogue.ImageFolder) -> Source:
    def rows(split):
        files = folder.files(split)

        def read(positions):
            chosen = [files[i] for i in positions]
            return np.stack(list(catalogue.read_pictures(chosen, folder.image_size)))

        return Rows(folder.labels(split), (*folder.image_size, 3), read)

    files = [*folder.files("train"), *folder.files("validation")]
    listed = [(str(path.relative_to(folder.path)), path.stat().st_size) for path in files]
    key = hashlib.blake2b(repr(listed).encode("utf-8", "replace"), digest_size=16).hexdigest()
    about = f"the image folder {folder.path.name}"
    return Source(rows("train"), rows("validation"), folder.class_names, about, key, folder.report)


def _of_arrays(pictures, labels, class_names) -> tuple[Rows, tuple[str, ...]]:
    if labels is None:
        raise ValueError("Arrays of pictures come with labels; give fit(x, y).")
    x = as_pictures(pictures)
    numbers, names = class_numbers(labels, class_names)
    if len(x) != len(numbers):
        raise ValueError(f"{len(x)} pictures do not match {len(numbers)} labels.")
    return Rows(numbers, x.shape[1:], lambda positions: x[np.asarray(positions)]), names


def stream_batches(stream, labelled: bool) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """The batches of a `tf.data.Dataset`, as arrays; single elements become batches of one.

    Raises:
        ValueError: it has no end, holds something else, or fails on the way.
    """
    if int(stream.cardinality()) == -1:
        raise ValueError("The tf.data stream has no end; leave out .repeat().")
    iterator, count = stream.as_numpy_iterator(), 0
    while True:
        try:
            element = next(iterator)
        except StopIteration:
            return
        except Exception as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(
                f"The tf.data stream failed after {count} pictures ({reason}); mend what it reads, "
                "or bring pictures of several sizes to one with tf.image.resize."
            ) from error
        parts = element if isinstance(element, tuple) else (element,)
        if len(parts) not in ((2,) if labelled else (1, 2)) or not hasattr(parts[0], "ndim"):
            wanted = "(pictures, labels)" if labelled else "pictures"
            raise ValueError(f"The tf.data stream does not hold {wanted}; map it to that.")
        x, y = np.asarray(parts[0]), np.asarray(parts[1]) if len(parts) == 2 else None
        if x.ndim == 3 and x.shape[-1] in (1, 3):
            x, y = x[None], None if y is None else y[None]
        count += len(x)
        yield x, y


def _spool(stream, class_names, folder: Path) -> tuple[Rows, tuple[str, ...]]:
    """Write a stream to disk once: its order may differ in each pass, that of a file cannot."""
    names = class_names or getattr(stream, "class_names", None)
    folder.mkdir(parents=True, exist_ok=True)
    about = folder / "about.json"
    if not about.exists():
        found, labels, file = None, [], None
        for x, y in stream_batches(stream, labelled=True):
            x = checked(as_pictures(x))
            if file is None:
                found = {
                    "shape": x.shape[1:],
                    "dtype": "uint8" if x.dtype == "uint8" else "float32",
                }
                file = RowFile(folder / "rows", **found)
                file.keep(0)
            if x.shape[1:] != file.shape:
                raise ValueError(
                    f"The tf.data stream holds pictures of several sizes, such as {file.shape} and "
                    f"{x.shape[1:]}; bring them to one with tf.image.resize."
                )
            file.append(x)
            labels.append(y)
        if file is None:
            raise ValueError("The tf.data stream is empty; there is nothing to learn from.")
        numbers, names = class_numbers(np.concatenate(labels), names)
        found |= {"labels": numbers.tolist(), "class_names": list(names)}
        about.write_text(json.dumps(found))
    found = json.loads(about.read_text())
    file = RowFile(folder / "rows", found["shape"], found["dtype"])
    return (
        Rows(np.array(found["labels"], "int64"), file.shape, file.read),
        tuple(found["class_names"]),
    )


def _held_out(labels: np.ndarray, marks: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Which pictures to keep apart, bool `(N,)`; copies of one picture stay on one side."""
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels) if fraction else ():
        members = np.flatnonzero(labels == label)
        wanted = max(1, round(fraction * len(members)))
        different = rng.permutation(np.unique(marks[members]))
        for mark in different[1:]:  # each class keeps something to learn from
            copies = members[marks[members] == mark]
            if chosen[members].sum() + len(copies) <= wanted:
                chosen[copies] = True
    return chosen
