"""The points and paths of `visualization.tradeoff`."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from tlcourse import visualization as viz


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def marks(ax):
    return [line for line in ax.get_lines() if line.get_marker() not in ("None", "", None)]


def test_points_in_percent_and_each_way_named_once():
    ax = viz.tradeoff(
        {"one": [(0.5, 0.2)], "path": [(0.1, 0.3), (0.2, 0.4)]}, xlabel="x", ylabel="y"
    )
    found = sorted((float(m.get_xdata()[0]), float(m.get_ydata()[0])) for m in marks(ax))
    assert np.allclose(found, [(10, 30), (20, 40), (50, 20)])
    assert ax.get_legend_handles_labels()[1] == ["one", "path"]


def test_marks_grow_along_a_path():
    ax = viz.tradeoff({"path": [(0.1, 0.3), (0.2, 0.4), (0.3, 0.5)]}, xlabel="x", ylabel="y")
    sizes = [m.get_markersize() for m in marks(ax)]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1]


def test_more_ways_than_colours_are_told_apart():
    ways = {str(i): [(0.1, 0.1)] for i in range(9)}
    ax = viz.tradeoff(ways, xlabel="x", ylabel="y")
    seen = {(m.get_color(), m.get_marker(), str(m.get_markerfacecolor())) for m in marks(ax)}
    assert len(seen) == 9


def test_committed_runs_are_pale_and_behind():
    past = {"one": [[(0.1, 0.2)], [(0.3, 0.4)]]}
    ax = viz.tradeoff({"one": [(0.5, 0.2)]}, committed=past, xlabel="x", ylabel="y")
    pale = [m for m in marks(ax) if m.get_alpha() is not None and m.get_alpha() < 0.5]
    assert [float(m.get_xdata()[0]) for m in pale] == [10, 30]
