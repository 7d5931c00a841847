"""The rows, values and bands of `visualization.paired_dots`."""

import matplotlib
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from tlcourse import visualization as viz
from tlcourse.evaluation import Estimate

ROWS = {
    "first": {"a": Estimate(0.5, 0.4, 0.6, 9), "b": 0.1},
    "second": {"a": 0.3, "b": 0.2},
}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def points(ax):
    return sorted(
        (float(line.get_ydata()[0]), round(float(line.get_xdata()[0]), 6))
        for line in ax.get_lines()
        if line.get_marker() not in ("None", "", None)
    )


def test_a_dot_for_each_value_in_percent_and_the_first_row_on_top():
    ax = viz.paired_dots(ROWS, xlabel="x", percent=True)
    assert points(ax) == [(-0.1, 50), (0.1, 10), (0.9, 30), (1.1, 20)]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["first", "second"]
    assert ax.yaxis_inverted()


def test_the_interval_is_drawn_and_each_series_named_once():
    ax = viz.paired_dots(ROWS, xlabel="x")
    assert any(list(line.get_xdata()) == [0.4, 0.6] for line in ax.get_lines())
    (legend,) = ax.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]


def test_committed_runs_make_a_band_only_where_there_are_any():
    ax = viz.paired_dots(ROWS, xlabel="x", committed={"second": {"a": [0.2, 0.4], "b": []}})
    (band,) = ax.patches
    assert band.get_x() < 0.2 and band.get_x() + band.get_width() > 0.4
    mark = 0.9  # of the first of two series in the second row
    assert band.get_y() < mark < band.get_y() + band.get_height() < 1.1


def test_the_band_of_a_share_ends_where_shares_end():
    past = {"first": {"a": [0.1, 0.9], "b": [-0.1, 0.9]}}
    ax = viz.paired_dots(ROWS, xlabel="x", percent=True, committed=past)
    share, difference = ax.patches
    assert share.get_x() == 0 and share.get_x() + share.get_width() == 100
    assert difference.get_x() < 0
    assert ax.get_xlim()[0] < min(share.get_x(), difference.get_x())  # none is cut by the frame
