"""A folder of very many pictures, read from the disk batch by batch."""

import io
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.measuring import AT_MOST, FASTER, Goal, Row, Unequal, fresh, peak_memory
from tlcourse import data

SIDE, CLASSES, BATCH = 96, 10, 32
BYTES = SIDE * SIDE * 3  # of one picture in memory
_MEGABYTE = 1 << 20
# Two decoders of JPEG do not agree to the last level, and less in colour than in brightness.
_TOLERANCE = 2.0


@dataclass(frozen=True)
class Sizes:
    """How much is measured; the largest number is made, and the smaller ones are parts of it."""

    counts: tuple[int, ...]
    distinct: int
    rounds: int
    apart: bool  # each run in a process of its own, which alone shows its memory


FULL = Sizes(counts=(1_000, 10_000, 100_000), distinct=500, rounds=3, apart=True)
SMOKE = Sizes(counts=(40, 120), distinct=20, rounds=2, apart=False)


def rows(sizes: Sizes) -> list[Row]:
    """Images per second at the middle size, side by side; memory at every size."""
    with tempfile.TemporaryDirectory() as place:
        folders = {count: Path(place) / str(count) for count in sizes.counts}
        for count, folder in folders.items():
            write(folder, count, sizes.distinct)
        run = fresh if sizes.apart else _here
        middle = folders[sizes.counts[-2]]
        pairs = [(run(course, middle), run(keras_today, middle)) for _ in range(sizes.rounds)]
        found = {count: run(course, folder) for count, folder in folders.items()}
        today = run(keras_today, folders[sizes.counts[-1]])
    return [
        _side_by_side(sizes, pairs),
        _largest(sizes, found[sizes.counts[-1]], today),
        _scan(sizes, found[sizes.counts[-1]]),
        *(_peak(count, found[count]) for count in sizes.counts),
        _growth(sizes, found),
    ]


def _here(function: Callable[[Path], dict], folder: Path) -> dict:
    return function(folder)


def write(folder: Path, count: int, distinct: int) -> None:
    """Write JPEG files into class folders: crops of the embedded photographs, each many times.

    Each file has a comment of its own, so that no two are copies of each other byte by byte.
    """
    photos = data.load("photos")
    pictures, _ = photos.crops(SIDE, per_photo=-(-distinct // len(photos.images)))
    crops = []
    for picture in pictures[:distinct]:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=90)
        crops.append(buffer.getvalue())
    for label in range(CLASSES):
        (folder / f"class{label}").mkdir(parents=True)
    for i in range(count):
        # The number of a crop says its class, so that no picture lies in two.
        crop = crops[i % distinct]
        comment = b"%08d" % i
        marker = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        name = folder / f"class{i % distinct % CLASSES}" / f"{i:06d}.jpg"
        name.write_bytes(crop[:2] + marker + crop[2:])


def course(folder: Path) -> dict:
    """Look at a folder and stream it once, as `tlcourse train` would."""
    import keras  # noqa: F401  its memory is not the folder's

    with peak_memory() as grown:
        start = time.perf_counter()
        pictures = data.image_folder(folder, (SIDE, SIDE), validation_fraction=0.0)
        looked = time.perf_counter() - start
        stream = pictures.stream("train", BATCH, shuffle=False)
        found = _timed(stream[i] for i in range(len(stream)))
    return {**found, "looking": len(pictures.files()) / looked, "bytes": grown()}


def keras_today(folder: Path) -> dict:
    """Stream a folder once with Keras' own function."""
    import keras

    with peak_memory() as grown:
        batches = keras.utils.image_dataset_from_directory(
            folder, image_size=(SIDE, SIDE), batch_size=BATCH, shuffle=False, verbose=False
        )
        found = _timed((np.asarray(x), np.asarray(y)) for x, y in batches)
    return {**found, "bytes": grown()}


def _timed(batches) -> dict:
    """Rates of ten parts of a stream, and what tells one stream from another."""
    seen, marks, labels, means = 0, [(0, time.perf_counter())], [], []
    for x, y in batches:
        seen += len(x)
        labels.append(y)
        means.append(x.mean(axis=(1, 2)))
        marks.append((seen, time.perf_counter()))
    chosen = [marks[i] for i in np.linspace(0, len(marks) - 1, 11).round().astype(int)]
    rates = [
        (b - a) / (end - start)
        for (a, start), (b, end) in zip(chosen, chosen[1:], strict=False)
        if b > a
    ]
    seconds = marks[-1][1] - marks[0][1]
    return {
        "rates": rates,
        "rate": seen / seconds,
        "labels": np.concatenate(labels).astype(int),
        "means": np.concatenate(means),
    }


def _side_by_side(sizes: Sizes, pairs) -> Row:
    return Row(
        f"streaming a folder of {sizes.counts[-2]:,} pictures",
        "image_folder(...).stream",
        [ours["rate"] for ours, _ in pairs],
        unit="images/s",
        other="keras.utils.image_dataset_from_directory",
        other_runs=[theirs["rate"] for _, theirs in pairs],
        ratio=FASTER,
        equal=_equal(*pairs[0]),
        note=f"JPEG of {SIDE} px, {sizes.distinct} different crops of photographs written again "
        "and again, the files in the system's cache. Each run in a fresh process.",
    )


def _largest(sizes: Sizes, ours: dict, theirs: dict) -> Row:
    return Row(
        f"streaming a folder of {sizes.counts[-1]:,} pictures",
        "image_folder(...).stream",
        ours["rates"],
        unit="images/s",
        other="keras.utils.image_dataset_from_directory",
        other_runs=theirs["rates"],
        ratio=FASTER,
        equal=_equal(ours, theirs),
        note="One pass on each side; the runs are its ten parts.",
    )


def _scan(sizes: Sizes, ours: dict) -> Row:
    return Row(
        f"looking at each of {sizes.counts[-1]:,} pictures before training",
        "image_folder",
        [ours["looking"]],
        unit="images/s",
        note="Once per folder: every file is decoded, so that a broken one is met now. The other "
        "side does not do it. One run.",
    )


def _peak(count: int, found: dict) -> Row:
    return Row(
        f"memory, looking at and streaming {count:,} pictures",
        "image_folder(...).stream",
        [found["bytes"] / _MEGABYTE],
        unit="MiB",
        note=f"Memory is counted above the libraries; {count:,} pictures themselves take "
        f"{count * BYTES / _MEGABYTE:,.0f} MiB.",
    )


def _growth(sizes: Sizes, found: dict[int, dict]) -> Row:
    few, many = sizes.counts[-2], sizes.counts[-1]
    further = max(0.0, (found[many]["bytes"] - found[few]["bytes"]) / (many - few))
    return Row(
        f"memory for each further picture, from {few:,} to {many:,}",
        "image_folder(...).stream",
        [further],
        unit="bytes",
        goal=Goal(AT_MOST, 1024),
        note=f"A path, a label and a hash are kept; the picture has {BYTES:,} bytes.",
    )


def _equal(ours: dict, theirs: dict) -> str:
    """In words, that both streams gave the same pictures and labels.

    Raises:
        Unequal: they did not.
    """
    if not np.array_equal(ours["labels"], theirs["labels"]):
        raise Unequal("The two streams give other labels, or another order.")
    largest = float(np.abs(ours["means"] - theirs["means"]).max())
    words = f"the same labels; a channel's mean differs by at most {largest:.2g} of 255"
    if not largest <= _TOLERANCE:
        raise Unequal(f"The two streams give other pictures: {words}.")
    return words
