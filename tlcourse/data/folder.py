"""Your own pictures: one folder for each class, and a report of every file that is not plain."""

import collections
import hashlib
import html
import io
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from PIL import Image, ImageOps, UnidentifiedImageError

SPLITS = ("train", "validation")
OUTCOMES = ("refused", "repaired", "noted")
_WORKERS = min(8, os.cpu_count() or 1)
_CHUNK = 256
_ORIENTATION = 0x0112  # the EXIF tag


@dataclass(frozen=True)
class Finding:
    """One thing that the scan has to say about one file or folder.

    Attributes:
        file: its path below the scanned folder.
        outcome: "repaired" (used, after a change), "refused" (not used) or "noted" (used as is).
        what: the change, or the reason.
    """

    file: str
    outcome: str
    what: str


@dataclass(frozen=True, eq=False)
class Report:
    """Everything that was repaired, refused or noted in a folder of pictures.

    Printing shows counts by kind with examples; `findings` holds every line.
    """

    used: int
    findings: tuple[Finding, ...]

    def of(self, outcome: str) -> list[Finding]:
        """The findings of one outcome: "repaired", "refused" or "noted"."""
        return [finding for finding in self.findings if finding.outcome == outcome]

    def _rows(self, examples: int = 3) -> list[tuple[str, str, int, str]]:
        kinds: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
        for finding in self.findings:
            kinds[finding.outcome, finding.what.split(":")[0]].append(finding.file)
        return [
            (
                outcome,
                kind,
                len(files),
                ", ".join(files[:examples]) + ", …" * (len(files) > examples),
            )
            for (outcome, kind), files in sorted(
                kinds.items(), key=lambda item: (OUTCOMES.index(item[0][0]), -len(item[1]))
            )
        ]

    def __str__(self) -> str:
        counts = ", ".join(f"{len(self.of(outcome)):,} {outcome}" for outcome in OUTCOMES)
        lines = [f"{self.used:,} pictures used; findings: {counts}"]
        for outcome, kind, count, files in self._rows():
            lines.append(f"  {outcome:<8} {count:>6,}  {kind}: {files}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("outcome", "what", "files", "examples"))
        body = "".join(
            f"<tr><td>{outcome}</td><td style='text-align:left'>{html.escape(kind)}</td>"
            f"<td>{count:,}</td><td style='text-align:left'>{html.escape(files)}</td></tr>"
            for outcome, kind, count, files in self._rows()
        )
        return f"<p>{self.used:,} pictures used.</p><table><tr>{head}</tr>{body}</table>"


class ImageFolder:
    """Pictures in one folder per class, checked, split, and read when they are asked for.

    Attributes:
        path: the folder.
        class_names: its sub-folders in alphabetical order.
        image_size: `(height, width)` that every picture is brought to.
        report: what was repaired, refused or noted.
    """

    def __init__(self, path: Path, class_names, image_size, parts, report: Report):
        self.path = path
        self.class_names = tuple(class_names)
        self.image_size = image_size
        self.report = report
        self._parts: dict[str, list[tuple[Path, int]]] = parts

    def files(self, split: str = "train") -> list[Path]:
        """The files of a split, in the order of `labels(split)` and `arrays(split)`."""
        return [path for path, _ in self._part(split)]

    def labels(self, split: str = "train") -> np.ndarray:
        """int64 `(N,)`, positions in `class_names`."""
        return np.array([label for _, label in self._part(split)], "int64")

    def arrays(self, split: str = "train") -> tuple[np.ndarray, np.ndarray]:
        """All pictures of a split at once.

        Args:
            split: "train" or "validation".

        Returns:
            `(x, y)`: uint8 `(N, height, width, 3)`, RGB 0–255, and int64 `(N,)`.

        Raises:
            ValueError: an unknown split; they would not fit into memory (use `stream`); or a file
                has changed since the folder was read.
        """
        part = self._part(split)
        shape = (len(part), *self.image_size, 3)
        needed, free = int(np.prod(shape, dtype=object)), _free_memory()
        if needed > free:
            raise ValueError(
                f"The {len(part):,} pictures of {split!r} need {needed / 2**30:.1f} GiB and "
                f"{free / 2**30:.1f} GiB of memory are free; use .stream({split!r}), or a smaller "
                "image_size."
            )
        x = np.empty(shape, "uint8")
        for i, image in enumerate(self._read(part)):
            x[i] = image
        return x, self.labels(split)

    def stream(
        self,
        split: str = "train",
        batch_size: int = 32,
        seed: int = 0,
        shuffle: bool | None = None,
    ):
        """Batches for `model.fit` and `model.predict`, read from disk one at a time.

        Args:
            split: "train" or "validation".
            batch_size: pictures in a batch; the last batch may be smaller.
            seed: the order of every epoch follows from it.
            shuffle: a new order for each epoch. None means yes for "train" and no for
                "validation"; say False when predictions must line up with `labels(split)`.

        Returns:
            A `keras.utils.PyDataset` of `(x, y)`: float32 `(batch, height, width, 3)`, raw RGB
            0–255, and int64 `(batch,)`.

        Raises:
            ValueError: an unknown split, an empty one, or a batch size below 1.
        """
        part = self._part(split)
        if not part:
            raise ValueError(f"The split {split!r} of {self.path} is empty, so it has no batches.")
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; give 1 or more.")
        import keras

        shuffled = split == "train" if shuffle is None else shuffle
        read = self._read

        class Stream(keras.utils.PyDataset):
            def __init__(self):
                super().__init__(workers=1)
                self.epoch = 0
                self.order = self._new_order()

            def _new_order(self):
                if not shuffled:
                    return np.arange(len(part))
                return np.random.default_rng([seed, self.epoch]).permutation(len(part))

            def __len__(self):
                return -(-len(part) // batch_size)

            def __getitem__(self, index):
                batch = [part[i] for i in self.order[index * batch_size :][:batch_size]]
                x = np.stack(list(read(batch))).astype("float32")
                return x, np.array([label for _, label in batch], "int64")

            def on_epoch_end(self):
                self.epoch += 1
                self.order = self._new_order()

        return Stream()

    def _part(self, split: str) -> list[tuple[Path, int]]:
        if split not in self._parts:
            raise ValueError(f"There is no split {split!r}; give 'train' or 'validation'.")
        return self._parts[split]

    def _read(self, part) -> Iterator[np.ndarray]:
        """The pictures of a part, a few decoded ahead, never all in memory."""
        pictures = read_pictures([path for path, _ in part], self.image_size)
        for path, _ in part:
            try:
                picture = next(pictures)
            except (ValueError, FileNotFoundError) as error:
                raise ValueError(
                    f"{path} could be read when the folder was scanned and cannot be now "
                    f"({str(error).rstrip('.')}); call image_folder again."
                ) from error
            yield picture

    def __repr__(self) -> str:
        height, width = self.image_size
        counts = ", ".join(f"{len(self._parts[split]):,} {split}" for split in SPLITS)
        return (
            f"ImageFolder({str(self.path)!r}: {counts}, {height}×{width}, "
            f"{len(self.class_names)} classes)"
        )

    def _repr_html_(self) -> str:
        classes = len(self.class_names)
        counts = {s: np.bincount(self.labels(s), minlength=classes) for s in SPLITS}
        rows = "".join(
            f"<tr><td style='text-align:left'>{html.escape(name)}</td>"
            + "".join(f"<td>{counts[split][i]:,}</td>" for split in SPLITS)
            + "</tr>"
            for i, name in enumerate(self.class_names)
        )
        return (
            f"<p><code>{html.escape(repr(self))}</code></p><table><tr><th>class</th>"
            f"<th>train</th><th>validation</th></tr>{rows}</table>{self.report._repr_html_()}"
        )


def image_folder(
    path: str | Path,
    image_size: tuple[int, int] = (96, 96),
    validation_fraction: float = 0.2,
    seed: int = 0,
) -> ImageFolder:
    """Look at every picture below `path/CLASS/`, repair what can be, refuse the rest, and say so.

    Every file is decoded once, so that a broken one is met now and not in the third epoch. Only
    names, labels and hashes are kept. A picture is brought to `image_size` by cutting the middle
    out in the wanted proportions and resizing it (bicubic).

    | repaired | how |
    |---|---|
    | EXIF rotation | applied |
    | RGBA, transparent palette | composited on white |
    | palette, CMYK, grey, black and white | converted to RGB |
    | 16 bits a channel | rescaled from 0–65535 to 0–255 |
    | animation, several pages | first frame used |

    Refused are unreadable, truncated, empty, hidden and oversized files, what is no image, 32-bit
    pixels (they have no fixed range), what lies outside a class folder, and pictures that lie in
    two classes. Exact copies within a class are used and kept on one side of the split, since a
    picture in both would be a leak.

    Args:
        path: a folder with one sub-folder for each class; pictures may lie deeper in it.
        image_size: `(height, width)` in pixels.
        validation_fraction: share of each class that goes to "validation", 0 or more, below 1.
        seed: a whole number, 0 or more; which pictures go there.

    Returns:
        An `ImageFolder`. Print its `report` before you train.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it is no folder, it holds fewer than two classes with usable pictures, or an
            argument is out of range.
    """
    root = Path(path).expanduser()
    if not root.exists():
        raise FileNotFoundError(f"There is no folder {root}; give one with a sub-folder per class.")
    if not root.is_dir():
        raise ValueError(f"{root} is a file; give the folder with a sub-folder for each class.")
    if len(np.shape(image_size)) != 1 or len(image_size) != 2 or min(image_size) < 1:
        raise ValueError(f"image_size is {image_size}; give (height, width), both 1 or more.")
    if not 0 <= validation_fraction < 1:
        raise ValueError(
            f"validation_fraction is {validation_fraction}; give 0 or more and less than 1."
        )
    candidates, findings = _candidates(root)
    usable, inspected = _inspect_all(root, candidates)
    findings += inspected
    usable, contradictions = _without_contradictions(root, usable)
    findings += contradictions
    class_names = sorted({name for _, name, _ in usable})
    for name in sorted(set(candidates) - set(class_names)):
        findings.append(Finding(name, "noted", "class left out, no usable picture in it"))
    report = Report(len(usable), tuple(findings))
    if len(class_names) < 2:
        raise ValueError(_too_few_classes(root, class_names, report))
    parts, notes = _split(root, usable, class_names, validation_fraction, seed)
    report = Report(len(usable), (*findings, *notes))
    return ImageFolder(root, class_names, tuple(image_size), parts, report)


def _shown(path: Path, root: Path) -> str:
    """A path below the root, in characters that can be printed everywhere."""
    return str(path.relative_to(root)).encode("utf-8", "replace").decode()


def _candidates(root: Path) -> tuple[dict[str, list[Path]], list[Finding]]:
    """The files of every class folder, in a stable order, and what lies elsewhere."""
    candidates, findings = {}, []

    def refuse(path, what):
        findings.append(Finding(_shown(Path(path), root), "refused", what))

    for entry in sorted(root.iterdir()):
        if entry.name.startswith("."):
            refuse(entry, "hidden")
        elif not entry.is_dir():
            refuse(entry, "lies outside a class folder")
        else:
            candidates[entry.name] = sorted(_files_below(entry, refuse))
    return candidates, findings


def _files_below(folder: Path, refuse) -> Iterator[Path]:
    def unreadable(error):
        refuse(error.filename, "no permission to read it")

    for place, folders, files in os.walk(folder, onerror=unreadable):
        for name in folders.copy():
            path = Path(place, name)
            if name.startswith(".") or path.is_symlink():
                refuse(path, "hidden" if name.startswith(".") else "link to a folder, not followed")
                folders.remove(name)
        for name in files:
            path = Path(place, name)
            if name.startswith("."):
                refuse(path, "hidden")
            else:
                yield path


def _inspect_all(root: Path, candidates: dict[str, list[Path]]):
    """Decode every candidate once: `(path, class, hash)` of the usable ones, and findings."""
    from rich.progress import track

    usable, findings = [], []
    entries = [(path, name) for name, files in candidates.items() for path in files]
    starts = range(0, len(entries), _CHUNK)
    with warnings.catch_warnings(), ThreadPoolExecutor(_WORKERS) as pool:
        # Pillow warns of what the report says.
        warnings.simplefilter("ignore")
        for start in track(
            starts, "Looking at every picture", transient=True, disable=len(starts) < 8
        ):
            chunk = entries[start : start + _CHUNK]
            for (path, name), (digest, repairs, refusal) in zip(
                chunk, pool.map(lambda entry: _inspect(entry[0]), chunk), strict=True
            ):
                file = _shown(path, root)
                if refusal:
                    findings.append(Finding(file, "refused", refusal))
                else:
                    usable.append((path, name, digest))
                    findings += [Finding(file, "repaired", repair) for repair in repairs]
    return usable, findings


def _inspect(path: Path) -> tuple[bytes, list[str], str]:
    """The hash of a file's bytes, what has to be repaired, and why it is refused, if it is."""
    try:
        if not path.is_file():
            return b"", [], "no regular file: a broken link, a device or a pipe"
        data = path.read_bytes()
        if not data:
            return b"", [], "empty, zero bytes"
        _, repairs = _open_rgb(data, at_least=64)
        return hashlib.sha256(data).digest(), repairs, ""
    except Exception as error:
        return b"", [], _refusal(error)


def _refusal(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image that Pillow reads"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {Image.MAX_IMAGE_PIXELS:,} pixels; save it smaller"
    if isinstance(error, _UnknownRangeError):
        return str(error)
    if "truncated" in str(error).lower() or isinstance(error, EOFError):
        return "truncated, the file ends early"
    return f"damaged: {str(error) or type(error).__name__}"


class _UnknownRangeError(ValueError):
    """Pixels of a type whose range nobody can know."""


def _open_rgb(data: bytes, at_least: int) -> tuple[Image.Image, list[str]]:
    """Decode a picture to RGB, 8 bits a channel, and say what that took.

    `at_least` lets a JPEG be decoded at a fraction of its size, no side shorter than that.
    """
    repairs = []
    with Image.open(io.BytesIO(data)) as image:
        if image.width * image.height > Image.MAX_IMAGE_PIXELS:
            raise Image.DecompressionBombError
        if getattr(image, "n_frames", 1) > 1:
            repairs.append("several frames or pages, first one used")
            image.seek(0)
        has_16_bits = image.mode.startswith("I;16") or any(
            ";16" in str(tile[3]) and "BGR;16" not in str(tile[3]) for tile in image.tile
        )
        image.draft(None, (at_least, at_least))
        image.load()
        if _orientation(image) in range(2, 9):
            repairs.append("EXIF rotation applied")
            image = ImageOps.exif_transpose(image)
        else:
            image = image.copy()
    if has_16_bits:
        repairs.append("16 bits a channel rescaled from 0–65535 to 0–255")
    if image.mode.startswith("I;16"):
        image = Image.fromarray(np.round(np.asarray(image) / 257).astype("uint8"))
    if image.mode in ("I", "F"):
        raise _UnknownRangeError("32-bit pixels have no fixed range; save it with 8 or 16 bits")
    if image.has_transparency_data:
        repairs.append("transparency composited on white")
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    elif image.mode != "RGB":
        names = {"P": "palette", "L": "grey", "1": "black and white"}
        repairs.append(f"{names.get(image.mode, image.mode)} converted to RGB")
        image = image.convert("RGB")
    return image, repairs


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:
        # Broken EXIF is no reason to lose the picture.
        return 1


def read_pictures(paths: Sequence[str | Path], image_size=(96, 96)) -> Iterator[np.ndarray]:
    """Read picture files just as `image_folder` does, a few decoded ahead, never all in memory.

    A model meets the pictures it is asked about in the form of those it learned from: the same
    repairs, the same cut, the same resizing.

    Args:
        paths: the files.
        image_size: `(height, width)` in pixels.

    Yields:
        uint8 `(height, width, 3)`, RGB 0–255, one for each path, in order.

    Raises:
        FileNotFoundError: a file is not there.
        ValueError: a file is no picture, or a damaged one.
    """
    with ThreadPoolExecutor(_WORKERS) as pool:
        for start in range(0, len(paths), _CHUNK):
            chunk = [Path(path) for path in paths[start : start + _CHUNK]]
            yield from pool.map(lambda path: _load(path, image_size), chunk)


def _load(path: Path, image_size: tuple[int, int]) -> np.ndarray:
    """One picture as uint8 `(height, width, 3)`."""
    height, width = image_size
    try:
        # Twice the size, so that decoding a JPEG at a fraction of its own leaves no trace.
        image, _ = _open_rgb(path.read_bytes(), at_least=2 * max(image_size))
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {path}.") from None
    except Exception as error:
        raise ValueError(f"{path} cannot be read: {_refusal(error)}.") from error
    return np.asarray(ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC))


def _without_contradictions(root: Path, usable):
    """Drop pictures that lie in two classes: whichever label is right, one of them is wrong."""
    classes = collections.defaultdict(set)
    for _, name, digest in usable:
        classes[digest].add(name)
    kept, findings = [], []
    for path, name, digest in usable:
        if len(classes[digest]) == 1:
            kept.append((path, name, digest))
        else:
            others = ", ".join(sorted(classes[digest] - {name}))
            what = f"the same picture lies in another class: {others}"
            findings.append(Finding(_shown(path, root), "refused", what))
    return kept, findings


def _split(root: Path, usable, class_names, fraction: float, seed: int):
    """The entries of each split, and notes. Exact copies always go to one side."""
    copies: dict[str, dict[bytes, list[Path]]] = {name: {} for name in class_names}
    for path, name, digest in usable:
        copies[name].setdefault(digest, []).append(path)
    rng = np.random.default_rng(seed)
    parts, notes = {split: [] for split in SPLITS}, []
    for label, name in enumerate(class_names):
        groups = list(copies[name].values())
        wanted = max(1, round(fraction * sum(map(len, groups)))) if fraction else 0
        held_out = 0
        for turn, position in enumerate(rng.permutation(len(groups)), start=1):
            group = groups[position]
            # Each class keeps something to train on, whatever the fraction.
            goes_out = turn < len(groups) and held_out + len(group) <= wanted
            held_out += len(group) * goes_out
            side = SPLITS[goes_out]
            parts[side] += [(path, label) for path in group]
            first, *others = (_shown(path, root) for path in group)
            notes += [
                Finding(file, "noted", f"exact copy, kept on one side: of {first}, in {side}")
                for file in others
            ]
        if fraction and not held_out:
            notes.append(Finding(name, "noted", "too few pictures in the class to validate on"))
    return {split: sorted(part) for split, part in parts.items()}, notes


def _too_few_classes(root: Path, class_names, report: Report) -> str:
    refused = len(report.of("refused"))
    found = "no class" if not class_names else f"one class, {class_names[0]!r},"
    loose = [f for f in report.findings if f.what == "lies outside a class folder"]
    if len(loose) == len(report.findings) and loose and not class_names:
        return (
            f"{root} holds {len(loose):,} files and no sub-folder; move the pictures into one "
            "sub-folder for each class."
        )
    reasons = collections.Counter(f.what for f in report.of("refused")).most_common(1)
    because = f" ({refused:,} files were refused, most often: {reasons[0][0]})" if reasons else ""
    return (
        f"{root} holds {found} with usable pictures{because}; give at least two sub-folders, one "
        "for each class."
    )


def _free_memory() -> int:
    return psutil.virtual_memory().available
