"""Where files go, which profile runs, and the one seed function. Imports no TensorFlow."""

import atexit
import contextlib
import functools
import gc
import hashlib
import importlib.util
import json
import logging
import os
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import pooch

from tlcourse import devices

PROFILES = ("quick", "full")
# Keras has more backends; the others predict and do not train.
BACKENDS = ("tensorflow", "jax", "torch")


def cache_dir(*parts: str) -> Path:
    """The folder for what can be made again, created if need be.

    It is the folder that the environment variable `TLCOURSE_CACHE` names, otherwise the user's
    cache folder of the operating system.

    Args:
        parts: names of folders below it.

    Example:
        >>> cache_dir("features").name
        'features'
    """
    root = Path(os.environ.get("TLCOURSE_CACHE") or pooch.os_cache("tlcourse"))
    path = root.joinpath(*parts)
    path.mkdir(parents=True, exist_ok=True)
    return path


def data_dir() -> Path | None:
    """The reader's own folder of `NAME.npz` datasets, named by `TLCOURSE_DATA`, or None."""
    named = os.environ.get("TLCOURSE_DATA")
    return Path(named).expanduser() if named else None


def home_dir() -> Path:
    """The folder for what cannot be made again, such as a reader's progress, created if need be.

    It is the folder that the environment variable `TLCOURSE_HOME` names, otherwise the user's data
    folder of the operating system. Clearing the caches leaves it alone.
    """
    path = Path(os.environ.get("TLCOURSE_HOME") or platformdirs.user_data_dir("tlcourse", False))
    path = path.expanduser()
    path.mkdir(parents=True, exist_ok=True)
    return path


def cache_limit() -> int:
    """How many bytes the folder of frozen features may take.

    Returns:
        What the environment variable `TLCOURSE_CACHE_LIMIT` says in gigabytes, otherwise 2 GB; with
        0, nothing is kept.

    Raises:
        ValueError: it is set to something else.
    """
    said = os.environ.get("TLCOURSE_CACHE_LIMIT") or "2"
    try:
        limit = int(float(said) * 1e9)
    except (ValueError, OverflowError):
        limit = -1
    if limit < 0:
        raise ValueError(
            f"TLCOURSE_CACHE_LIMIT is {said!r}; write gigabytes, such as 2 or 0.5, or 0 to keep "
            "no features."
        )
    return limit


def file_key(path: str | Path) -> str:
    """A short key of what a file holds; it is read again only if its size or date changes."""
    stat = Path(path).stat()
    return _content_key(Path(path), stat.st_size, stat.st_mtime_ns)


@functools.cache
def _content_key(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Write a file under a temporary name and move it into place when it is complete.

    A reader never sees a half-written file, an interrupted writer leaves none behind, and two
    writers at once leave the work of one of them.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with atomic_path(target) as partial:
        ...     _ = partial.write_text("done")
        >>> target.read_text()
        'done'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}-{uuid.uuid4().hex}{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def progress(items, label: str, total: int | None = None):
    """Go through `items` behind a progress bar that appears after two seconds and then vanishes.

    A headless run has one bar of its own for all chapters, and stored outputs must not hold
    hundreds of states of another, so there this one stays silent.

    Args:
        items: what to go through.
        label: what is being done, in one or two words.
        total: how many items, if `items` has no length.
    """
    from tqdm import tqdm

    headless = "TLCOURSE_LEDGER" in os.environ or "PYTEST_CURRENT_TEST" in os.environ
    return tqdm(items, label, total=total, leave=False, delay=2, file=sys.stdout, disable=headless)


def backend() -> str:
    """The backend that Keras uses, or will use once it is imported.

    Returns:
        "tensorflow", "jax" or "torch": what `KERAS_BACKEND` names, otherwise what Keras' own
        settings file names, otherwise TensorFlow.

    Raises:
        ValueError: the one that is named is none of the three, or is not installed.
    """
    if keras := sys.modules.get("keras"):
        return keras.backend.backend()
    settings = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "keras.json"
    source, name = "KERAS_BACKEND", os.environ.get("KERAS_BACKEND")
    if not name:
        source, name = str(settings), "tensorflow"
        with contextlib.suppress(OSError, ValueError):  # Keras does without a broken file, too.
            name = json.loads(settings.read_text()).get("backend", name)
    if name not in BACKENDS:
        raise ValueError(
            f"{source} names {name!r} as the backend of Keras; write tensorflow, jax or torch."
        )
    if importlib.util.find_spec(name) is None:
        extra = "" if name == "tensorflow" else f"[{name}]"
        raise ValueError(
            f"{source} names {name} as the backend of Keras, and it is not installed; run "
            f"`pip install -c constraints.txt -e '.{extra}'` in your clone, or name another."
        )
    return name


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and the Keras backend.

    On one machine, one seed gives one result, bit for bit, on a CPU. Another processor, another
    version of TensorFlow or a GPU gives other last digits, and training amplifies them.

    Raises:
        ValueError: the backend that Keras is to use is not installed.
    """
    backend()
    with _quiet_stderr():
        import keras

    keras.utils.set_random_seed(seed)


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Drop what C++ libraries print past Python, such as TensorFlow's search for a GPU.

    Python's own errors and warnings go another way and are not lost.
    """
    try:
        kept = os.dup(2)
    except OSError:
        # No stderr at all, as under pythonw: nothing to drop.
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@dataclass(frozen=True)
class Run:
    """Which chapter runs, at which size, from which seed.

    Attributes:
        chapter: two digits, such as "01".
        profile: "quick" for a laptop, "full" for a GPU or a patient reader.
        seed: every random choice of the run follows from it.
    """

    chapter: str
    profile: str = "quick"
    seed: int = 0

    def choose(self, *, quick, full):
        """The value for this run's profile.

        Example:
            >>> Run("01", "quick").choose(quick=[50, 250], full=[50, 100, 250])
            [50, 250]
        """
        return {"quick": quick, "full": full}[self.profile]

    def seeds(self, count: int) -> list[int]:
        """`count` seeds that no run with another `seed` shares.

        Example:
            >>> Run("01", seed=2).seeds(3)
            [2000, 2001, 2002]
        """
        return [self.seed * 1000 + i for i in range(count)]


_current: Run | None = None


def begin(chapter: str, profile: str = "quick", seed: int = 0) -> Run:
    """Start a chapter: check the parameters, seed everything, and remember the run for claims.

    Args:
        chapter: two digits, such as "01".
        profile: "quick" or "full". It changes data, sizes, epochs and seeds, nothing else.
        seed: a whole number, 0 or more.

    Returns:
        The `Run`, which chooses sizes and seeds.

    Raises:
        ValueError: an unknown profile, a negative seed, a backend that is not installed, or a
            precision that is unknown, see `devices.precision_for`.
    """
    global _current
    if profile not in PROFILES:
        raise ValueError(f"PROFILE is {profile!r}; write one of {', '.join(PROFILES)}.")
    if not isinstance(seed, int) or seed < 0:
        raise ValueError(f"SEED is {seed!r}; write a whole number, 0 or more.")
    set_seed(seed)
    devices.begin_fits_sooner()
    devices.end_fits_at_once()
    if backend() == "tensorflow":
        # Tracing makes objects by the million, and nearly all of them stay: to search them for
        # cyclic garbage is a tenth of it. With PyTorch, batches lie in cycles and would pile up.
        gc.set_threshold(20_000)
    # Nor are they worth a search when the process ends; that took two seconds of each chapter.
    atexit.register(gc.freeze)
    if devices.asked_for_mixed():
        import keras

        keras.config.set_dtype_policy(devices.precision_for(chapter, profile))
    logging.getLogger("tensorflow").addFilter(_worth_telling)
    _current = Run(chapter, profile, seed)
    return _current


def _worth_telling(message: logging.LogRecord) -> bool:
    """A chapter predicts with many models; TensorFlow takes them for one that is compiled anew."""
    return "triggered tf.function retracing" not in message.getMessage()


def current_run() -> Run | None:
    """The run that `begin` started, or None outside a chapter."""
    return _current
