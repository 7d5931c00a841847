"""Two quantities against each other, the points named."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator
from matplotlib.transforms import Bbox

from tlcourse.evaluation import Estimate
from tlcourse.visualization.look import MARKERS, PALETTE


def tradeoff(
    paths: Mapping[str, Sequence[tuple[float, float]]],
    *,
    xlabel: str,
    ylabel: str,
    title: str | None = None,
    committed: Mapping[str, Sequence[Sequence[tuple[float, float]]]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Two shares against each other, in percent: a point or a path for each way of training.

    Args:
        paths: name to its points `(x, y)`, shares from 0 to 1; several, as for rising strengths,
            are joined by a line on which the marks grow.
        xlabel, ylabel: with units.
        committed: name to the paths of the committed runs, drawn as pale marks behind.
        ax: where to draw; a new figure if None.
    """
    ax = ax or plt.figure(figsize=(9, 5.5)).add_subplot()
    colors = list(PALETTE.values())
    for i, (name, points) in enumerate(paths.items()):
        color, marker = colors[i % len(colors)], MARKERS[i % len(MARKERS)]
        # Past the last colour they come again, hollow.
        fill = color if i < len(colors) else "white"
        for past in (committed or {}).get(name, ()):
            px, py = 100 * np.asarray(past, dtype=float).T
            ax.plot(
                px, py, marker, color=color, markerfacecolor=fill, alpha=0.3, markersize=5,
                linestyle="none",
            )  # fmt: skip
        x, y = 100 * np.asarray(points, dtype=float).T
        ax.plot(x, y, color=color, linewidth=1.2)
        for j in range(len(x)):
            label = name if j == len(x) - 1 else None
            ax.plot(
                x[j], y[j], marker, color=color, markerfacecolor=fill, linestyle="none",
                markersize=8 + 2 * j - (len(x) - 1), label=label,
            )  # fmt: skip
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if title:
        ax.set_title(title)
    ax.figure.legend(loc="outside right upper")
    return ax


def cost_accuracy(
    points: Mapping[str, tuple[float, Estimate | float]],
    *,
    xlabel: str,
    ylabel: str,
    title: str | None = None,
    percent: bool = False,
    highlight: Sequence[str] = (),
    ax: Axes | None = None,
) -> Axes:
    """Accuracy against cost, each point with its name; a line joins those that nothing beats.

    A point is beaten if another one costs no more and scores no less. Up and to the left is better.

    Args:
        points: name to cost, above 0, and to a score or an `Estimate` of it.
        xlabel: the cost, with its unit; its axis is logarithmic.
        ylabel: the score.
        percent: scores are shares and are shown in percent.
        highlight: names drawn in orange.
        ax: where to draw; a new figure if None.
    """
    ax = ax or plt.figure(figsize=(9, 5.2)).add_subplot()
    factor = 100 if percent else 1
    means = {n: s.mean if isinstance(s, Estimate) else float(s) for n, (_, s) in points.items()}
    front, best = [], -np.inf
    for name in sorted(points, key=lambda name: (points[name][0], -means[name])):
        if means[name] > best:
            best = means[name]
            front.append((points[name][0], best * factor))
    ax.plot(*zip(*front, strict=True), color=PALETTE["grey"], linewidth=1.2, zorder=1)
    ax.set_xscale("log")
    bars = []
    for name, (cost, score) in points.items():
        color = PALETTE["orange" if name in highlight else "blue"]
        if isinstance(score, Estimate) and np.isfinite(score.low):
            bars.append([(cost, score.low * factor), (cost, score.high * factor)])
            ax.plot(*zip(*bars[-1], strict=True), color=color)
        ax.plot(cost, means[name] * factor, "o", color=color)
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.minorticks_off()
    ax.margins(x=0.12, y=0.12)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if title:
        ax.set_title(title)
    _name_points(ax, {n: (points[n][0], means[n] * factor) for n in points}, bars, highlight)
    return ax


def _name_points(ax: Axes, places: Mapping[str, tuple[float, float]], bars, highlight) -> None:
    """Write each point's name where it covers no point, no bar and no other name."""
    # Places are compared in pixels, which are known only once the axes have their final limits.
    ax.figure.draw_without_rendering()
    dots = ax.transData.transform(list(places.values()))
    taken = [Bbox.from_extents(x - 5, y - 5, x + 5, y + 5) for x, y in dots]
    for (x, low), (_, high) in map(ax.transData.transform, bars):
        taken.append(Bbox.from_extents(x - 3, low, x + 3, high))
    frame = ax.get_window_extent()
    halo = [withStroke(linewidth=3, foreground="white")]
    around = [(9, 0), (-9, 0), (0, 12), (0, -12), (8, 11), (8, -11), (-8, 11), (-8, -11)]
    around += [(0, 26), (0, -26), (20, 22), (20, -22), (-20, 22), (-20, -22)]
    sides = {1: "left", 0: "center", -1: "right"}
    for name, place in places.items():
        covered = []
        for offset in around:
            text = ax.annotate(
                name, place, xytext=offset, textcoords="offset points", va="center", fontsize=11,
                ha=sides[int(np.sign(offset[0]))], path_effects=halo,
                color=PALETTE["orange" if name in highlight else "grey"],
            )  # fmt: skip
            box = text.get_window_extent()
            outside = box.x0 < frame.x0 or box.x1 > frame.x1 or not frame.overlaps(box)
            covered.append((sum(map(box.overlaps, taken)) + outside, len(covered), text, box))
            if not covered[-1][0]:
                break
        # Where none is free, the place that covers least.
        _, _, kept, box = min(covered, key=lambda found: found[:2])
        for _, _, text, _ in covered:
            if text is not kept:
                text.remove()
        taken.append(box)
