import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from tlcourse import visualization as viz
from tlcourse.evaluation import Estimate, reliability, should_transfer


@pytest.fixture(autouse=True)
def close():
    viz.style()
    yield
    plt.close("all")


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_images_are_shown_as_they_are_not_stretched():
    dark = np.full((8, 8, 1), 10, "uint8")
    figure = viz.image_grid([dark, dark[..., [0, 0, 0]]], ["a", "b"], columns=5)
    assert len(figure.axes) == 2
    assert figure.axes[0].images[0].get_clim() == (0, 255)
    assert figure.axes[0].images[0].get_array().max() == 10


def test_values_beyond_the_range_are_cut_not_wrapped():
    figure = viz.image_grid([np.array([[[-5.0, 300.0, 7.0]]])])
    assert figure.axes[0].images[0].get_array().ravel().tolist() == [0, 255, 7]


def test_curves_name_their_lines_and_show_intervals_over_seeds():
    ax = viz.curves(
        [50, 100], {"one": [0.5, 0.6], "many": [[0.4, 0.5], [0.6, 0.7]]},
        xlabel="labels", ylabel="accuracy (%)", log_x=True, percent=True,
    )  # fmt: skip
    assert set(texts(ax)) == {"one", "many"}
    assert len(ax.containers) == 1
    assert ax.get_xlabel() == "labels" and ax.get_xscale() == "log"


def test_names_at_the_ends_do_not_overlap():
    lines = {f"line {i}": [0.5, 0.5] for i in range(4)}
    ax = viz.curves([0, 1], lines, xlabel="x", ylabel="y")
    heights = sorted(text.xy[1] for text in ax.texts)
    low, high = ax.get_ylim()
    assert np.diff(heights).min() >= 0.07 * (high - low)


@pytest.mark.parametrize("log_y", [False, True])
def test_names_at_the_ends_stay_beside_the_frame_in_the_order_of_the_lines(log_y):
    lines = {"low": [1, 2], "high": [1, 9.9], "higher": [1, 10], "middle": [1, 9.8]}
    ax = viz.curves([0, 1], lines, xlabel="x", ylabel="y", log_y=log_y)
    places = {text.get_text(): text.xy[1] for text in ax.texts}
    assert places["low"] == pytest.approx(2)
    assert places["middle"] < places["high"] < places["higher"] <= ax.get_ylim()[1] * (1 + 1e-9)


def test_dots_put_the_first_name_on_top_and_draw_intervals():
    ax = viz.dots({"a": Estimate(0.5, 0.4, 0.6, 5), "b": 0.25}, xlabel="share (%)", percent=True)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    low, high = ax.get_ylim()
    assert low > high
    assert texts(ax) == ["50 %", "25 %"]
    assert ax.lines[0].get_xdata().tolist() == [40, 60]


def test_minus_zero_is_zero():
    assert texts(viz.dots({"a": -0.001, "b": 0.2}, xlabel="x", percent=True))[0] == "0 %"


def test_a_target_without_a_run_shows_the_committed_ones():
    def past(way, target):
        return [[0.5, 0.6], [0.6, 0.7]] if target == "cifar10" else []

    run = {"animals": [[0.5, 0.9]]}
    figure = viz.transfer_against_scratch([50, 250], ["cifar10", "animals"], run, run, past)
    committed, live = figure.axes
    assert committed.get_title(loc="left") == "cifar10 (committed)"
    assert len(committed.collections) == 2 and not live.collections
    assert live.get_legend() is not None


def test_colours_are_told_apart_without_hue():
    luminance = [
        np.dot([0.299, 0.587, 0.114], matplotlib.colors.to_rgb(color))
        for color in (viz.PALETTE["blue"], viz.PALETTE["amber"])
    ]
    assert abs(luminance[0] - luminance[1]) > 0.2


def test_a_reliability_diagram_shows_bins_their_intervals_and_the_error():
    found = reliability([[0.9, 0.1]] * 10 + [[0.6, 0.4]] * 10, [0] * 14 + [1] * 6, bins=10)
    ax = viz.reliability_diagram({"before": found})
    assert (ax.lines[0].get_xydata() == [[0, 0], [100, 100]]).all()
    places = ax.collections[-1].get_offsets()
    assert places.data == pytest.approx(np.array([[60, 40], [90, 100]]))
    (text,) = ax.figure.legends[0].get_texts()
    assert text.get_text() == f"before: ECE {100 * found.ece:.1f} points" and found.ece > 0.1


def test_a_bin_with_more_images_has_a_larger_mark():
    found = reliability([[0.9, 0.1]] * 30 + [[0.6, 0.4]] * 10, [0] * 40, bins=10)
    ax = viz.reliability_diagram({"model": found})
    sizes = ax.collections[-1].get_sizes()
    assert sizes[1] - 25 == pytest.approx(3 * (sizes[0] - 25))


def test_gains_are_drawn_in_points_beside_what_is_not_worthwhile():
    high, low = [0.90, 0.91, 0.89], [0.80, 0.82, 0.80]
    decision = should_transfer(high, {"small CNN": low}, worthwhile=0.02)
    ax = viz.gains(decision)
    assert ax.get_title(loc="left") == "transfer"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["over small CNN"]
    assert texts(ax) == [f"{100 * decision.evidence[0].gain.mean:,.3g}"]
    (band,) = ax.patches
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((-2, 2))


def test_names_at_the_ends_of_lines_stay_apart_on_a_logarithmic_axis():
    lines = {"a": [1e-3, 1e3], "b": [1e-3, 1e-3], "c": [1e-3, 1.01e-3]}
    ax = viz.curves([0, 1], lines, xlabel="x", ylabel="y", log_y=True)
    places = {text.get_text(): text.xy[1] for text in ax.texts}
    assert places["a"] == pytest.approx(1e3) and places["b"] == pytest.approx(1e-3)
    assert 2 < places["c"] / places["b"] < 10


def test_shares_that_lie_close_are_named_with_a_decimal():
    close = viz.dots({"one": 0.871, "other": 0.874}, xlabel="accuracy, %", percent=True)
    apart = viz.dots({"one": 0.871, "other": 0.574}, xlabel="accuracy, %", percent=True)
    assert [text.get_text() for text in close.texts] == ["87.1 %", "87.4 %"]
    assert [text.get_text() for text in apart.texts] == ["87 %", "57 %"]


def test_a_thousand_has_no_exponent():
    assert texts(viz.dots({"a": 1046.2, "b": 0.0512}, xlabel="ms")) == ["1,046", "0.0512"]
