"""Rows kept in a file, so that memory stays flat, and what to say when the disk is full."""

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_FULL = (errno.ENOSPC, errno.EDQUOT)


class RowFile:
    """Arrays of one shape and dtype in a file, appended in order and read in any order.

    Only what is asked for is in memory. After a kill the file holds the rows written before it; a
    row that was cut off counts for nothing.

    Args:
        path: of the file.
        shape: of one row.
        dtype: of its numbers.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype):
        self.path, self.shape, self.dtype = Path(path), tuple(shape), np.dtype(dtype)
        self.row_bytes = int(np.prod(self.shape, dtype="int64")) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.path.stat().st_size // self.row_bytes if self.path.exists() else 0

    def keep(self, rows: int) -> None:
        """Cut the file after so many rows."""
        with self.path.open("ab") as file:
            file.truncate(rows * self.row_bytes)

    def append(self, rows: np.ndarray) -> None:
        """Add rows `(n, *shape)` at the end."""
        with full_disk_in_words(self.path), self.path.open("ab") as file:
            file.write(np.ascontiguousarray(rows, self.dtype).data)

    def read(self, positions) -> np.ndarray:
        """The rows at some positions, `(len(positions), *shape)`."""
        rows = np.empty((len(positions), *self.shape), self.dtype)
        with self.path.open("rb", buffering=0) as file:
            for i, position in enumerate(positions):
                file.seek(int(position) * self.row_bytes)
                file.readinto(rows[i : i + 1])
        return rows


@contextlib.contextmanager
def full_disk_in_words(path: Path) -> Iterator[None]:
    """Say in one sentence that the disk is full, and where.

    Raises:
        OSError: in the place of the one that says so in its own words.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        # HDF5 hands on the words of the operating system without its number.
        if getattr(error, "errno", None) in _FULL or "No space left" in str(error):
            free = shutil.disk_usage(Path(path).parent).free
            raise OSError(
                f"The disk is full: {path} could not be written ({free / 1e6:.0f} MB are free); "
                "make room and start the same again, which goes on from the last complete step."
            ) from error
        raise


def require_room(folder: Path, needed: int, what: str) -> None:
    """Refuse before the work what would fail at its end.

    Raises:
        OSError: fewer bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            f"{what} need {needed / 1e6:,.0f} MB and {folder} has {free / 1e6:,.0f} MB free; make "
            "room there, or choose another place."
        )
