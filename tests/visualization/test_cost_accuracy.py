"""Accuracy against cost: the front, and names that stay readable."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.transforms import Bbox

from tlcourse import visualization as viz
from tlcourse.evaluation import Estimate


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def draw(points, **options):
    return viz.cost_accuracy(points, xlabel="multiply-adds (G)", ylabel="top-1 (%)", **options)


def test_the_line_joins_the_points_that_nothing_beats():
    points = {"a": (1.0, 0.7), "beaten": (2.0, 0.6), "b": (4.0, 0.8), "equal": (8.0, 0.8)}
    line = draw(points, percent=True).lines[0]
    np.testing.assert_allclose(line.get_xydata(), [[1, 70], [4, 80]])


def test_every_point_is_named_once_and_an_estimate_has_its_bar():
    points = {"a": (1.0, Estimate(0.7, 0.6, 0.8, 5)), "b": (4.0, 0.8)}
    ax = draw(points, highlight=["b"])
    assert [text.get_text() for text in ax.texts] == ["a", "b"]
    bar = [line for line in ax.lines if list(line.get_ydata()) == [0.6, 0.8]]
    assert len(bar) == 1
    assert ax.texts[1].get_color() == viz.PALETTE["orange"]
    assert ax.get_xscale() == "log" and "multiply-adds" in ax.get_xlabel()


def test_names_of_neighbours_do_not_cover_each_other():
    points = {f"backbone-{i}": (1 + 0.05 * i, 0.75 + 0.001 * (i % 3)) for i in range(6)}
    ax = draw(points | {"far-away": (20.0, 0.8)}, percent=True)
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


def test_names_do_not_cover_the_bar_of_a_neighbour():
    low, high = Estimate(0.65, 0.6, 0.9, 5), Estimate(0.85, 0.6, 0.9, 5)
    points = {"one-on-the-left": (2.0, low), "one-on-the-right": (2.4, high)}
    ax = draw(points | {"far-left": (0.1, 0.5), "far-right": (50.0, 0.9)})
    bars = [
        ax.transData.transform(line.get_xydata()) for line in ax.lines if len(line.get_xydata()) > 1
    ]
    bars = [Bbox(ends).padded(1) for ends in bars[1:]]  # the first is the front
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(bars) == 2
    assert not any(box.overlaps(bar) for box, bar in itertools.product(boxes, bars))


def test_names_stay_inside_the_frame():
    ax = draw({"a-very-long-name-of-a-backbone": (1.0, 0.5), "another-very-long-name": (50.0, 0.6)})
    frame = ax.get_window_extent()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)


def test_it_draws_where_it_is_told():
    _, ax = plt.subplots()
    assert draw({"a": (1.0, 0.5)}, ax=ax) is ax
