"""Every plot of the course. Each returns its `Axes` or `Figure`; none calls `plt.show()`.

Colours are those of Okabe and Ito, which people with any common colour vision can tell apart; sizes
are for a projector at the back of a room.
"""

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator
from matplotlib.transforms import Bbox

from tlcourse.evaluation import Decision, Estimate, Reliability, mean_interval

# Source: Okabe and Ito, Color Universal Design, 2008 (https://jfly.uni-koeln.de/color/).
PALETTE = {
    "blue": "#0072B2",
    "orange": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "amber": "#E69F00",
    "grey": "#595959",
}
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def style() -> None:
    """Set Matplotlib's defaults for the course: large type, thin frame, safe colours."""
    plt.rcParams.update(
        {
            "figure.figsize": (8, 4.5),
            "figure.dpi": 100,
            "figure.constrained_layout.use": True,
            "font.size": 13,
            "axes.titlesize": 14,
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.alpha": 0.25,
            "lines.linewidth": 2.2,
            "lines.markersize": 7,
            "legend.frameon": False,
            "axes.prop_cycle": plt.cycler(color=list(PALETTE.values())),
        }
    )


def image_grid(
    images: Sequence[np.ndarray],
    titles: Sequence[str] | None = None,
    columns: int = 10,
    title: str | None = None,
) -> Figure:
    """Show images side by side, as they are: raw pixels from 0 to 255, not stretched.

    Args:
        images: uint8 or float images 0-255, `(H, W, 1)` or `(H, W, 3)`, of any sizes.
        titles: a caption for each, or None.
        columns: images in a row.
        title: a title for the whole figure.
    """
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    width = 1.25 if titles is None else max(1.25, 0.1 * max(map(len, titles)))
    figure, axes = plt.subplots(
        rows, columns, figsize=(width * columns, (width + 0.3) * rows), squeeze=False
    )
    for axis in axes.flat:
        axis.axis("off")
    for i, (axis, image) in enumerate(zip(axes.flat, images, strict=False)):
        image = np.clip(np.asarray(image), 0, 255).astype("uint8")
        axis.imshow(image, cmap="gray", vmin=0, vmax=255)
        if titles is not None:
            axis.set_title(titles[i], fontsize=10, loc="center")
    if title:
        figure.suptitle(title)
    return figure


def curves(
    x: Sequence[float],
    lines: Mapping[str, Sequence],
    *,
    xlabel: str,
    ylabel: str,
    title: str | None = None,
    log_x: bool = False,
    log_y: bool = False,
    percent: bool = False,
    committed: Mapping[str, Sequence] | None = None,
    colors: Mapping[str, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Lines over a shared axis, each with the interval of its seeds and its name at its end.

    Args:
        x: positions `(P,)`.
        lines: name to values `(P,)`, or `(seeds, P)` for a mean with a 95 % interval.
        xlabel, ylabel: with units.
        log_x: a logarithmic axis with plain numbers.
        log_y: a logarithmic axis, for positive values.
        percent: values are shares and are shown in percent.
        committed: name to values `(runs, P)` of the committed runs, drawn as a pale band behind.
        colors: name to a key of `PALETTE`.
        ax: where to draw; a new figure if None.
    """
    ax = ax or plt.figure().add_subplot()
    factor = 100 if percent else 1
    names = list(PALETTE)
    ends = []
    for i, (name, values) in enumerate(lines.items()):
        color = PALETTE[(colors or {}).get(name, names[i % len(names)])]
        if committed and name in committed:
            low, _, high = _band(committed[name], factor)
            ax.fill_between(x, low, high, color=color, alpha=0.13, linewidth=0)
        low, mean, high = _band(values, factor)
        marker = _MARKERS[i % len(_MARKERS)]
        if np.isfinite(low).all():
            ax.errorbar(x, mean, [mean - low, high - mean], color=color, marker=marker, capsize=3)
        else:
            ax.plot(x, mean, color=color, marker=marker)
        ends.append((float(mean[-1]), name, color))
    if log_x:
        ax.set_xscale("log")
        ax.set_xticks(list(x), [f"{v:,.0f}" if v >= 1 else f"{v:g}" for v in x])
        ax.minorticks_off()
    if log_y:
        ax.set_yscale("log")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if title:
        ax.set_title(title)
    _name_at_end(ax, x[-1], ends)
    return ax


def _band(values, factor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values = np.atleast_2d(np.asarray(values, dtype=float)) * factor
    found = [mean_interval(column) for column in values.T]
    return tuple(np.array([getattr(e, k) for e in found]) for k in ("low", "mean", "high"))


def _name_at_end(ax: Axes, x: float, ends: list[tuple[float, str, str]]) -> None:
    """Write each line's name beside its end, moved apart where they would overlap."""
    ax.margins(x=0.04)
    # Overlap is a matter of the picture, so on a logarithmic axis it is measured in logarithms.
    log = ax.get_yscale() == "log"
    low, high = np.log10(ax.get_ylim()) if log else ax.get_ylim()
    gap = 0.075 * (high - low)
    placed = -np.inf
    for y, name, color in sorted(ends):
        placed = max(np.log10(y) if log else y, placed + gap)
        ax.annotate(
            name, (x, 10**placed if log else placed), xytext=(10, 0), color=color,
            textcoords="offset points", va="center", annotation_clip=False, fontweight="bold",
        )  # fmt: skip


def dots(
    estimates: Mapping[str, Estimate | float],
    *,
    xlabel: str,
    title: str | None = None,
    percent: bool = False,
    log_x: bool = False,
    baseline: float | None = None,
    highlight: Sequence[str] = (),
    ax: Axes | None = None,
) -> Axes:
    """One row per name, a dot at its value and a bar for its interval; the first name on top.

    Args:
        estimates: name to a number or an `Estimate`.
        xlabel: with units.
        percent: values are shares and are shown in percent.
        log_x: a logarithmic axis.
        baseline: a vertical line to compare with, such as chance.
        highlight: names drawn in orange.
        ax: where to draw; a new figure if None.
    """
    ax = ax or plt.figure(figsize=(8, 0.9 + 0.48 * len(estimates))).add_subplot()
    factor = 100 if percent else 1
    for row, (name, value) in enumerate(estimates.items()):
        color = PALETTE["orange" if name in highlight else "blue"]
        mean = value.mean if isinstance(value, Estimate) else float(value)
        if isinstance(value, Estimate) and np.isfinite(value.low):
            ax.plot([value.low * factor, value.high * factor], [row, row], color=color)
        ax.plot(mean * factor, row, "o", color=color)
        text = f"{mean * factor:z.0f} %" if percent else f"{mean:,.3g}"
        ax.annotate(
            text, (mean * factor, row), xytext=(0, 7), textcoords="offset points", ha="center",
            fontsize=11,
        )  # fmt: skip
    if baseline is not None:
        ax.axvline(baseline * factor, color=PALETTE["grey"], linestyle="--", linewidth=1.2)
    if log_x:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.minorticks_off()
    ax.set_yticks(range(len(estimates)), list(estimates))
    ax.set_ylim(len(estimates) - 0.5, -0.7)
    ax.grid(axis="y", visible=False)
    ax.set(xlabel=xlabel)
    if title:
        ax.set_title(title)
    return ax


def paired_dots(
    rows: Mapping[str, Mapping[str, Estimate | float]],
    *,
    xlabel: str,
    title: str | None = None,
    percent: bool = False,
    committed: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
    colors: Mapping[str, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """One row per name, a dot for each of its series, joined by a thin line; the first on top.

    Args:
        rows: name to series to a number or an `Estimate`; every row with the same series.
        xlabel: with units.
        percent: values are shares and are shown in percent.
        committed: name to series to the values of the committed runs, drawn as a pale band behind.
        colors: series to a key of `PALETTE`.
        ax: where to draw; a new figure if None.
    """
    ax = ax or plt.figure(figsize=(9, 1.6 + 0.45 * len(rows))).add_subplot()
    factor = 100 if percent else 1
    names = list(PALETTE)
    for row, (name, series) in enumerate(rows.items()):
        means = [v.mean if isinstance(v, Estimate) else float(v) for v in series.values()]
        ends = [min(means) * factor, max(means) * factor]
        ax.plot(ends, [row, row], color=PALETTE["grey"], linewidth=0.8, zorder=1)
        for i, (label, mean) in enumerate(zip(series, means, strict=True)):
            color = PALETTE[(colors or {}).get(label, names[i % len(names)])]
            past = ((committed or {}).get(name) or {}).get(label)
            if past:
                low, _, high = _band(np.asarray(past)[:, None], factor)
                width = [high[0] - low[0]] if np.isfinite(low[0]) else [0.0]
                ax.barh(row, width, 0.55, left=low[:1], color=color, alpha=0.15, zorder=0)
            value = series[label]
            # A little apart, so that one series does not hide another.
            place = row + 0.2 * (i - (len(series) - 1) / 2)
            if isinstance(value, Estimate) and np.isfinite(value.low):
                ax.plot([value.low * factor, value.high * factor], [place, place], color=color)
            marker = _MARKERS[i % len(_MARKERS)]
            shown = label if row == 0 else None
            ax.plot(mean * factor, place, marker, color=color, label=shown, linestyle="none")
    ax.set_yticks(range(len(rows)), list(rows))
    ax.set_ylim(len(rows) - 0.5, -0.6)
    ax.grid(axis="y", visible=False)
    ax.set(xlabel=xlabel)
    if title:
        ax.set_title(title)
    ax.figure.legend(loc="outside lower center", ncols=len(next(iter(rows.values()))))
    return ax


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
        color, marker = colors[i % len(colors)], _MARKERS[i % len(_MARKERS)]
        # Past the last colour they come again, hollow.
        fill = color if i < len(colors) else "white"
        for past in (committed or {}).get(name, ()):
            px, py = 100 * np.asarray(past, dtype=float).T
            ax.plot(px, py, marker, color=color, alpha=0.2, markersize=5, linestyle="none")
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
    for name, (cost, score) in points.items():
        color = PALETTE["orange" if name in highlight else "blue"]
        if isinstance(score, Estimate) and np.isfinite(score.low):
            ax.plot([cost, cost], [score.low * factor, score.high * factor], color=color)
        ax.plot(cost, means[name] * factor, "o", color=color)
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.minorticks_off()
    ax.margins(x=0.12, y=0.12)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if title:
        ax.set_title(title)
    _name_points(ax, {n: (points[n][0], means[n] * factor) for n in points}, highlight)
    return ax


def _name_points(ax: Axes, places: Mapping[str, tuple[float, float]], highlight) -> None:
    """Write each point's name where it covers neither another point nor another name."""
    # Places are compared in pixels, which are known only once the axes have their final limits.
    ax.figure.draw_without_rendering()
    dots = ax.transData.transform(list(places.values()))
    taken = [Bbox.from_extents(x - 5, y - 5, x + 5, y + 5) for x, y in dots]
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


def transfer_against_scratch(
    sizes: Sequence[int],
    targets: Sequence[str],
    transfer: Mapping[str, Sequence],
    scratch: Mapping[str, Sequence],
    past: Callable[[str, str], Sequence],
) -> Figure:
    """One panel per target: two learning curves, over bands of the committed runs.

    Args:
        sizes: numbers of labels `(P,)`.
        targets: names of datasets, in the order of the panels.
        transfer, scratch: dataset to accuracies `(seeds, P)`; a dataset may be missing from both.
        past: from ("transfer" or "scratch", dataset) to committed accuracies `(runs, P)`, maybe
            none.
    """
    figure, axes = plt.subplots(
        1, len(targets), figsize=(4.1 * len(targets), 4.3), sharey=True, squeeze=False
    )
    ways = {"transfer": (transfer, "blue", "o"), "scratch": (scratch, "orange", "s")}
    for ax, target in zip(axes.flat, targets, strict=True):
        for way, (found, color, marker) in ways.items():
            committed = past(way, target)
            if len(committed) > 1:
                low, mean, high = _band(committed, 100)
                ax.fill_between(sizes, low, high, color=PALETTE[color], alpha=0.2, linewidth=0)
                ax.plot(sizes, mean, color=PALETTE[color], linewidth=1, linestyle=":")
            if target in found:
                _, mean, _ = _band(found[target], 100)
                ax.plot(sizes, mean, color=PALETTE[color], marker=marker, label=way)
        ax.set_xscale("log")
        ax.set_xticks(list(sizes), [f"{n:,}" for n in sizes])
        ax.minorticks_off()
        ax.set(xlabel="labels", title=target if target in transfer else f"{target} (committed)")
    axes[0, 0].set(ylabel="test accuracy (%)", ylim=(0, 100))
    drawn = next((ax for ax in axes.flat if ax.get_legend_handles_labels()[0]), None)
    if drawn is not None:
        drawn.legend(loc="lower right")
    return figure


def reliability_diagram(
    models: Mapping[str, Reliability],
    *,
    title: str | None = None,
    colors: Mapping[str, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """How often a model is right over how sure it is; on the dashed line the two are the same.

    Below the line a model is too sure. A mark's area grows with the images in its bin, and its bar
    is the 95 % interval of the accuracy.

    Args:
        models: name to what `evaluation.reliability` found.
        colors: name to a key of `PALETTE`.
        ax: where to draw; a new figure if None.
    """
    ax = ax or plt.figure(figsize=(6, 5.6)).add_subplot()
    ax.plot([0, 100], [0, 100], color=PALETTE["grey"], linestyle="--", linewidth=1.2)
    names = list(PALETTE)
    for i, (name, found) in enumerate(models.items()):
        color = PALETTE[(colors or {}).get(name, names[i % len(names)])]
        mean, low, high = (
            np.array([100 * getattr(share, end) for share in found.accuracy])
            for end in ("mean", "low", "high")
        )
        # An interval of Wilson's may exclude its own share by a rounding error at 0 and at 1.
        bars = np.maximum([mean - low, high - mean], 0)
        ax.errorbar(
            100 * found.confidence, mean, bars, color=color, linestyle="none", elinewidth=1.1,
            alpha=0.7, zorder=2,
        )  # fmt: skip
        sizes = 25 + 275 * found.counts / found.counts.sum()
        label = f"{name}: ECE {100 * found.ece:.1f} points"
        marker = _MARKERS[i % len(_MARKERS)]
        ax.scatter(100 * found.confidence, mean, sizes, color, marker=marker, label=label, zorder=3)
    left = 100 * min(found.confidence.min() for found in models.values())
    ax.set(
        xlabel="confidence: probability of the answer (%)", ylabel="accuracy of these answers (%)",
        xlim=(max(0, left - 5), 102), ylim=(-2, 102),
    )  # fmt: skip
    for handle in ax.figure.legend(loc="outside lower center").legend_handles:
        handle.set_sizes([60])
    if title:
        ax.set_title(title)
    return ax


def gains(decision: Decision, *, percent: bool = True, ax: Axes | None = None) -> Axes:
    """What transfer gains over each baseline, beside the band of gains that are not worthwhile.

    Args:
        decision: from `evaluation.should_transfer`.
        percent: scores are shares, and gains are shown in percentage points.
        ax: where to draw; a new figure if None.
    """
    factor, unit = (100, "percentage points") if percent else (1, "unit of the scores")
    rows = {
        f"over {each.baseline}": Estimate(
            *(factor * end for end in (each.gain.mean, each.gain.low, each.gain.high)), each.gain.n
        )
        for each in decision.evidence
    }
    ax = ax or plt.figure(figsize=(8, 1.6 + 0.55 * len(rows))).add_subplot()
    dots(rows, xlabel=f"gain of transfer ({unit})", title=decision.verdict, baseline=0, ax=ax)
    band = decision.worthwhile * factor
    ax.axvspan(-band, band, color=PALETTE["grey"], alpha=0.15, linewidth=0, zorder=0)
    return ax
