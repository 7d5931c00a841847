"""The part of chapter 08 on medical images, which no stored notebook runs: its cells on toy files.

The pixels are noise around one grey level for each class, so every way has to read them.
"""

import functools
import socket
from pathlib import Path
from types import SimpleNamespace

import jupytext
import matplotlib.pyplot as plt
import numpy as np
import pytest

from tlcourse import config, data, evaluation, features, models, training
from tlcourse import visualization as viz

CHAPTER = Path(__file__).resolve().parents[1] / "notebooks" / "scripts" / "08_crossing_domains.py"
SHAPES = {"pneumoniamnist": (2, (28, 28)), "bloodmnist": (8, (28, 28, 3))}


def cells() -> list[str]:
    """The code between the heading of this part and the next one."""
    found, inside = [], False
    for cell in jupytext.read(CHAPTER).cells:
        if cell.cell_type == "markdown":
            headings = [line for line in cell.source.splitlines() if line.startswith("#")]
            inside = "### Medical images" in headings or (inside and not headings)
        elif inside:
            found.append(cell.source)
    return found


def toy_file(folder, name):
    classes, pixels = SHAPES[name]
    rng = np.random.default_rng(0)
    parts = {}
    for part, n in {"train": 32, "val": 8, "test": 40}.items():
        labels = np.arange(n) % classes
        level = 20 + 200 * labels // (classes - 1)
        images = level.reshape(-1, *[1] * len(pixels)) + rng.integers(-8, 9, (n, *pixels))
        parts[f"{part}_images"] = images.astype("uint8")
        parts[f"{part}_labels"] = labels[:, None].astype("uint8")
    np.savez_compressed(folder / f"{name}.npz", **parts)


class FewLabels(config.Run):
    """The full profile with toy numbers of labels and seeds."""

    def choose(self, *, quick, full):
        return (16,) if full[0] == 50 else super().choose(quick=quick, full=full)

    def seeds(self, count):
        return super().seeds(2)


@pytest.fixture
def names(tmp_path, monkeypatch):
    """What the cells before this part have imported and made, in the full profile."""
    folder = tmp_path / "mine"
    folder.mkdir()
    monkeypatch.setenv("TLCOURSE_DATA", str(folder))
    # Nothing here may reach the network, and the data of an earlier download must not count.
    monkeypatch.setattr("tlcourse.data.download.is_cached", lambda name: False)
    # The last block is enough to see that the model trains, and compiles in a tenth of the time.
    monkeypatch.setattr(training, "fine_tune", functools.partial(training.fine_tune, last=1))
    short = functools.partial(training.train_from_scratch, steps=20)
    monkeypatch.setattr(training, "train_from_scratch", short)
    recorded = {}
    return SimpleNamespace(
        folder=folder,
        recorded=recorded,
        space={
            "run": FewLabels("08", "full"),
            "claims": SimpleNamespace(record=lambda key, **values: recorded.update({key: values})),
            "config": config, "data": data, "evaluation": evaluation, "features": features,
            "models": models, "np": np, "training": training, "viz": viz,
        },
    )  # fmt: skip


def run_cells(names):
    for source in cells():
        exec(compile(source, "cell", "exec"), names.space)


def test_the_part_has_its_cells():
    assert len(cells()) == 4 and "def three_ways" in cells()[1]


def test_every_way_is_compared_on_every_set(names, capsys):
    for name in SHAPES:
        toy_file(names.folder, name)
    run_cells(names)
    plt.close("all")
    rows = names.recorded["08-medical"]["rows"]
    assert set(rows) == {"pneumoniamnist, 16 labels", "bloodmnist, 16 labels"}
    for ways in rows.values():
        assert list(ways) == ["frozen features", "fine-tuned", "from scratch"]
        assert all(len(values) == 2 for values in ways.values())
    assert min(rows["pneumoniamnist, 16 labels"]["frozen features"]) == 1.0
    assert min(rows["pneumoniamnist, 16 labels"]["fine-tuned"]) == 1.0
    said = capsys.readouterr().out
    assert "bloodmnist: the commonest class makes 12.5% of the test images" in said
    assert said.count("points over scratch") == 4 and "skipped" not in said


def test_without_the_files_and_the_network_the_full_profile_says_so_and_goes_on(
    names, capsys, monkeypatch, tmp_path
):
    monkeypatch.setenv("TLCOURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)

    def refuse(*_, **__):
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    run_cells(names)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and names.recorded == {}
    for line, name in zip(lines, SHAPES, strict=True):
        assert line.startswith(f"skipped: {name} is not on this machine")
        assert "TLCOURSE_DATA" in line and '"animals"' in line


def test_a_damaged_file_is_skipped_too(names, capsys):
    for name in SHAPES:
        (names.folder / f"{name}.npz").write_bytes(b"not a zip")
    run_cells(names)
    assert capsys.readouterr().out.count("skipped: ") == 2


def test_the_quick_profile_says_in_one_line_that_it_does_not_run(names, capsys):
    names.space["run"] = config.Run("08", "quick")
    run_cells(names)
    assert capsys.readouterr().out == (
        "not run: the quick profile downloads nothing, and medical images are not embedded\n"
    )
    assert names.recorded == {}
