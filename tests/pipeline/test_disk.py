import errno

import numpy as np
import pytest

from tlcourse.pipeline.disk import RowFile, full_disk_in_words, require_room


def test_rows_come_back_in_any_order(tmp_path):
    file = RowFile(tmp_path / "rows", (2, 3), "float32")
    rows = np.arange(24, dtype="float32").reshape(4, 2, 3)
    file.append(rows[:3])
    file.append(rows[3:])
    assert len(file) == 4
    assert (file.read([3, 0, 3]) == rows[[3, 0, 3]]).all()
    assert file.read([]).shape == (0, 2, 3)


def test_single_numbers_are_rows_too(tmp_path):
    file = RowFile(tmp_path / "rows", (), "uint64")
    file.append(np.array([5, 2**63], "uint64"))
    assert file.read([1, 0]).tolist() == [2**63, 5]


def test_a_row_that_was_cut_off_counts_for_nothing(tmp_path):
    file = RowFile(tmp_path / "rows", (4,), "float32")
    file.append(np.ones((2, 4)))
    with file.path.open("ab") as raw:
        raw.write(b"half")
    assert len(file) == 2
    file.keep(len(file))
    file.append(np.full((1, 4), 7))
    assert file.read([2])[0].tolist() == [7, 7, 7, 7]


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "x"), RuntimeError("file write failed: No space left on device")],
)
def test_a_full_disk_is_one_sentence(tmp_path, error):
    with pytest.raises(OSError, match=r"The disk is full: .*model.* MB are free.*goes on from"):
        with full_disk_in_words(tmp_path / "model"):
            raise error


def test_other_errors_pass(tmp_path):
    with pytest.raises(PermissionError):
        with full_disk_in_words(tmp_path / "model"):
            raise PermissionError(errno.EACCES, "no")


def test_room_is_asked_for_before_the_work(tmp_path):
    require_room(tmp_path, 1, "The features")
    with pytest.raises(OSError, match=r"The features need .* MB free; make room"):
        require_room(tmp_path, 10**18, "The features")
