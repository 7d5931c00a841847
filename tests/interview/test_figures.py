"""Figures for cards: drawn from the committed runs, and as bytes that stay."""

import pytest

from tlcourse import visualization as viz
from tlcourse.interview import figures


@pytest.mark.parametrize("name", figures.FIGURES)
def test_a_figure_is_drawn_and_closed(name):
    before = viz.plt.get_fignums()
    found = figures.png(name)
    assert found.startswith(b"\x89PNG") and len(found) > 5_000
    assert viz.plt.get_fignums() == before


def test_the_same_runs_give_the_same_bytes():
    assert figures.png("passes") == figures.png("passes")
