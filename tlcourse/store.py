"""Rows kept on disk under what they were computed from, in a folder of bounded size."""

import contextlib
import hashlib
import io
import os
import sys
import time
import warnings
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

import tlcourse
from tlcourse import config, devices

# A file that was used this many seconds ago may still be in use, and stays.
GRACE = 60
# What a killed writer left behind is cleared away after a day; no writer takes as long.
ABANDONED = 24 * 3600


def keys_of(items: np.ndarray) -> list[bytes]:
    """A key of 16 bytes for each item of an array `(N, …)`, that changes with its content.

    Example:
        >>> one, other, again = keys_of(np.array([[1, 2], [1, 3], [1, 2]]))
        >>> one == again, one == other
        (True, False)
    """
    return [hashlib.blake2b(np.ascontiguousarray(item), digest_size=16).digest() for item in items]


def engine() -> list:
    """What has to be the same here for a network to compute the same, the network aside.

    Returns:
        Versions of the course, of Keras and of its backend, the dtype policy and the GPUs.
    """
    import keras

    backend = config.backend()
    version = getattr(sys.modules.get(backend), "__version__", None)
    policy = keras.config.dtype_policy().name
    return [tlcourse.__version__, keras.__version__, backend, version, policy, devices.gpus()]


class Shelf:
    """Rows of one kind in a folder: each is found by its key, whoever computed it.

    A call writes one file with what nobody had computed before. Files are moved into place when
    they are complete and never change, so several processes may share a folder.

    Args:
        folder: where the files lie; all rows in it have the same shape and dtype. It shares the
            folder above it with other shelves, and with nothing else that ends in `.npz`: all of
            them together are kept below `config.cache_limit`, and what was not used for longest
            is deleted.

    Example:
        >>> import tempfile
        >>> shelf, items = Shelf(Path(tempfile.mkdtemp()) / "squares"), np.array([3, 5])
        >>> shelf.complete(keys_of(items), lambda missing: items[missing] ** 2)
        array([ 9, 25])
        >>> shelf.complete(keys_of(items[::-1]), lambda missing: 1 / 0)
        array([25,  9])
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)

    def complete(self, keys: list[bytes], compute: Callable[[list[int]], np.ndarray]) -> np.ndarray:
        """The rows of all keys, in their order; those that are not here are computed and kept.

        Args:
            keys: as `keys_of` gives them, at least one.
            compute: from positions in `keys` to their rows, `(len(positions), …)`. It is asked for
                each missing key once.
        """
        rows = self._find(set(keys))
        first: dict[bytes, int] = {}
        for position, key in enumerate(keys):
            if key not in rows:
                first.setdefault(key, position)
        if first:
            computed = compute(list(first.values()))
            self._keep(list(first), computed)
            rows |= zip(first, computed, strict=True)
        return np.stack([rows[key] for key in keys])

    def _find(self, wanted: set[bytes]) -> dict[bytes, np.ndarray]:
        found: dict[bytes, np.ndarray] = {}
        for path in sorted(self.folder.glob("[!.]*.npz")):
            here = wanted - found.keys()
            if not here:
                break
            # Damage shows in many ways; and another process may delete the file at any time.
            try:
                keys = _keys_in(path)
                here &= keys.keys()
                if here:
                    rows = _member(path, "rows")
                    found |= {key: rows[keys[key]].copy() for key in here}
                    with contextlib.suppress(OSError):
                        os.utime(path)
            except Exception:
                _known.pop(path, None)
                with contextlib.suppress(OSError):
                    path.unlink()
        return found

    def _keep(self, keys: list[bytes], rows: np.ndarray) -> None:
        limit = config.cache_limit()
        if not limit:
            return
        path = self.folder / f"{hashlib.blake2b(b''.join(keys), digest_size=16).hexdigest()}.npz"
        try:
            with config.atomic_path(path) as partial, partial.open("wb") as file:
                np.savez(file, keys=np.frombuffer(b"".join(keys), "uint8"), rows=rows)
        except OSError as error:
            # On Windows a file that is being read cannot be replaced; then its work is there.
            if not path.exists():
                warnings.warn(
                    f"{self.folder} could not take what was computed ({error}); the next run "
                    "computes it again.",
                    stacklevel=2,
                )
        trim(self.folder.parent, limit)


# Which rows a file holds. A file never changes, so it is asked once.
_known: dict[Path, dict[bytes, int]] = {}


def _keys_in(path: Path) -> dict[bytes, int]:
    if path not in _known:
        together = _member(path, "keys").tobytes()
        keys = (together[i : i + 16] for i in range(0, len(together), 16))
        _known[path] = {key: row for row, key in enumerate(keys)}
    return _known[path]


def _member(path: Path, name: str) -> np.ndarray:
    # The checksum of the archive is compared before NumPy looks at a byte of it.
    with zipfile.ZipFile(path) as archive:
        return np.load(io.BytesIO(archive.read(f"{name}.npy")))


def trim(folder: Path, limit: int) -> int:
    """Delete the `.npz` files of a folder that were not used for longest, until the rest fits.

    Files that are being written, or were used within the last minute, stay; so the folder may be
    larger than its limit for a while. Files of other kinds stay, and do not count.

    Args:
        folder: whose files to look at, those in folders below it included.
        limit: bytes.

    Returns:
        How many bytes were freed.
    """
    now, kept, freed = time.time(), [], 0
    for path, stat in _files(folder):
        if not path.name.startswith("."):
            kept.append((stat.st_mtime, stat.st_size, path))
        elif now - stat.st_mtime > ABANDONED:
            freed += _delete(path, stat.st_size)
    total = sum(size for _, size, _ in kept)
    for used, size, path in sorted(kept):
        if total <= limit or now - used < GRACE:
            break
        gone = _delete(path, size)
        total, freed = total - gone, freed + gone
    return freed


def _files(folder: Path) -> Iterable[tuple[Path, os.stat_result]]:
    # Another process may have deleted a folder, or a file, since it was listed: `walk` goes on.
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                if name.endswith(".npz"):
                    yield Path(place, name), Path(place, name).stat()


def _delete(path: Path, size: int) -> int:
    try:
        path.unlink()
    except OSError:  # on Windows, a file that is open
        return 0
    return size
