import os
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

from tlcourse import config, store
from tlcourse.cli import storage
from tlcourse.store import Shelf, keys_of


@pytest.fixture
def items():
    return np.random.default_rng(0).integers(0, 256, (8, 5, 5, 1)).astype("uint8")


@pytest.fixture(autouse=True)
def usual_limit(monkeypatch):
    monkeypatch.delenv("TLCOURSE_CACHE_LIMIT", raising=False)


def sums(items, asked=None):
    """A way to compute rows that remembers what it was asked for."""

    def compute(missing):
        if asked is not None:
            asked.append(list(missing))
        return items[missing].reshape(len(missing), -1).astype("float32")[:, :6]

    return compute


def complete(folder, items, asked=None):
    return Shelf(folder).complete(keys_of(items), sums(items, asked))


def forget(monkeypatch):
    """As a process that has just started."""
    monkeypatch.setattr(store, "_known", {})


def age(path, seconds):
    before = time.time() - seconds
    os.utime(path, (before, before))


def test_only_what_is_missing_is_computed_and_each_item_once(tmp_path, items):
    asked = []
    complete(tmp_path, items[[2, 3, 2]], asked)
    found = complete(tmp_path, items[[5, 3, 5, 2, 7]], asked)
    assert asked == [[0, 1], [0, 4]]
    np.testing.assert_array_equal(found, sums(items)([5, 3, 5, 2, 7]))


def test_rows_outlive_the_process(tmp_path, items, monkeypatch):
    complete(tmp_path, items)
    forget(monkeypatch)
    asked = []
    np.testing.assert_array_equal(
        complete(tmp_path, items[::-1], asked), sums(items)(range(8))[::-1]
    )
    assert asked == []


def test_a_key_changes_with_a_single_bit(items):
    other = items.copy()
    other[4, 2, 2, 0] ^= 1
    same = [a == b for a, b in zip(keys_of(items), keys_of(other), strict=True)]
    assert same == [True] * 4 + [False] + [True] * 3


@pytest.mark.parametrize("fresh", [True, False])
def test_damage_anywhere_costs_a_computation_and_no_more(tmp_path, items, monkeypatch, fresh):
    complete(tmp_path, items)
    (path,) = tmp_path.glob("*.npz")
    whole = path.read_bytes()
    wrong = [whole[:cut] for cut in (0, 1, 100, len(whole) - 5)]
    for position in range(0, len(whole), 7):
        flipped = bytearray(whole)
        flipped[position] ^= 0x41
        wrong.append(bytes(flipped))
    for content in wrong:
        path.write_bytes(content)
        if fresh:
            forget(monkeypatch)
        np.testing.assert_array_equal(complete(tmp_path, items), sums(items)(range(8)))
        assert path.read_bytes()[:2] == b"PK"


def test_a_damaged_file_is_replaced(tmp_path, items, monkeypatch):
    complete(tmp_path, items)
    (path,) = tmp_path.glob("*.npz")
    path.write_bytes(path.read_bytes()[:-200])
    forget(monkeypatch)
    asked = []
    complete(tmp_path, items, asked)
    complete(tmp_path, items, asked)
    assert asked == [list(range(8))] and zipfile.is_zipfile(path)


WRITER = """
import sys, time
import numpy as np
from pathlib import Path
from tlcourse.store import Shelf, keys_of
folder, start = Path(sys.argv[1]), int(sys.argv[2])
items = np.arange(400 * 9, dtype="int64").reshape(400, 9)
(folder / f"ready-{start}").touch()
while len(list(folder.glob("ready-*"))) < 2:
    time.sleep(0.001)
for i in range(60):
    own = items[(np.arange(40) * (start + 1) + i * 5) % 400]
    found = Shelf(folder / "rows").complete(keys_of(own), lambda missing: own[missing] * 2)
    assert (found == own * 2).all()
"""


def test_two_processes_write_and_read_at_once(tmp_path):
    # So small a limit that each deletes what the other one reads, as far as it is old enough.
    code = "from tlcourse import store; store.GRACE = 0\n" + WRITER
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), str(start)],
            stderr=subprocess.PIPE,
            env=os.environ | {"TLCOURSE_CACHE_LIMIT": "0.00002"},
        )  # fmt: skip
        for start in (0, 1)
    ]
    said = [process.communicate(timeout=120)[1].decode() for process in running]
    assert said == ["", ""]
    assert not list((tmp_path / "rows").glob(".*"))
    assert sum(path.stat().st_size for path in (tmp_path / "rows").iterdir()) < 60_000


def test_the_files_that_were_not_used_for_longest_go_first(tmp_path, items):
    paths = []
    for i in range(4):
        complete(tmp_path / "a", items[i : i + 1])
        paths += set((tmp_path / "a").glob("*.npz")) - set(paths)
    for path, seconds in zip(paths, (4000, 3000, 2000, 1000), strict=True):
        age(path, seconds)
    size = paths[0].stat().st_size
    complete(tmp_path / "a", items[:1])  # the oldest is used again
    assert store.trim(tmp_path, 2 * size) == 2 * size
    assert [path.exists() for path in paths] == [True, False, False, True]


def test_what_is_written_or_used_right_now_stays(tmp_path):
    for name, seconds in (("used.npz", 5), (".writing.npz", 3000), (".left.npz", 3 * 24 * 3600)):
        (tmp_path / name).write_bytes(bytes(100))
        age(tmp_path / name, seconds)
    (tmp_path / "old.npz").write_bytes(bytes(100))
    age(tmp_path / "old.npz", 3000)
    assert store.trim(tmp_path, 0) == 200
    assert sorted(path.name for path in tmp_path.iterdir()) == [".writing.npz", "used.npz"]


def test_what_is_no_shelf_stays(tmp_path, items):
    for name in ("notes.txt", ".lock"):
        (tmp_path / name).write_bytes(bytes(100))
        age(tmp_path / name, 3 * 24 * 3600)
    assert store.trim(tmp_path, 0) == 0
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_vanishes_meanwhile_is_passed_over(tmp_path, items, monkeypatch):
    complete(tmp_path / "a", items)
    complete(tmp_path / "b", items)
    scandir = os.scandir

    def gone(path):
        if str(path).endswith("b"):
            raise FileNotFoundError(path)
        return scandir(path)

    for path in tmp_path.rglob("*.npz"):
        age(path, 1000)
    size = next((tmp_path / "a").glob("*.npz")).stat().st_size
    monkeypatch.setattr(os, "scandir", gone)
    assert store.trim(tmp_path, 0) == size


def test_a_write_keeps_all_kinds_together_below_the_limit(tmp_path, items, monkeypatch):
    monkeypatch.setenv("TLCOURSE_CACHE_LIMIT", "0.000002")
    for i, kind in enumerate("abcdef"):
        complete(tmp_path / kind, items[i : i + 1])
        for path in tmp_path.rglob("*.npz"):
            age(path, 1000 - i)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.npz")) < 3000
    assert list((tmp_path / "f").glob("*.npz"))


def test_with_a_limit_of_zero_nothing_is_kept(tmp_path, items, monkeypatch):
    monkeypatch.setenv("TLCOURSE_CACHE_LIMIT", "0")
    np.testing.assert_array_equal(complete(tmp_path, items), sums(items)(range(8)))
    assert not list(tmp_path.rglob("*"))


def test_a_folder_that_takes_nothing_is_no_reason_to_stop(tmp_path, items):
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="computes it again"):
        found = complete(tmp_path / "file", items)
    np.testing.assert_array_equal(found, sums(items)(range(8)))


def test_an_error_while_computing_leaves_nothing(tmp_path, items):
    with pytest.raises(ZeroDivisionError):
        Shelf(tmp_path / "a").complete(keys_of(items), lambda missing: 1 / 0)
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize(
    ("said", "limit"), [("", 2_000_000_000), ("0.5", 500_000_000), ("0", 0)]
)  # fmt: skip
def test_the_limit_is_in_gigabytes(monkeypatch, said, limit):
    monkeypatch.setenv("TLCOURSE_CACHE_LIMIT", said)
    assert config.cache_limit() == limit


@pytest.mark.parametrize("said", ["2GB", "-1", "inf", "nan"])
def test_a_limit_that_is_no_size_is_refused_in_a_sentence(monkeypatch, said):
    monkeypatch.setenv("TLCOURSE_CACHE_LIMIT", said)
    with pytest.raises(ValueError, match="write gigabytes, such as 2 or 0.5"):
        config.cache_limit()


def test_clearing_takes_all_rows_even_under_a_running_notebook(tmp_path, items, monkeypatch):
    monkeypatch.setenv("TLCOURSE_CACHE", str(tmp_path))
    shelf, asked = Shelf(config.cache_dir("features", "kind")), []
    for _ in range(2):
        shelf.complete(keys_of(items), sums(items, asked))
        assert storage.clear_caches() > 0
        assert not list(tmp_path.rglob("*.npz"))
    assert asked == [list(range(8))] * 2
