"""Lines with intervals, over labels, rates or depth."""

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from tlcourse.visualization.look import MARKERS, PALETTE, band


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
    names = list(PALETTE)
    ends = []
    for i, (name, values) in enumerate(lines.items()):
        color = PALETTE[(colors or {}).get(name, names[i % len(names)])]
        if committed and name in committed:
            low, _, high = band(committed[name], percent)
            ax.fill_between(x, low, high, color=color, alpha=0.13, linewidth=0)
        low, mean, high = band(values, percent)
        marker = MARKERS[i % len(MARKERS)]
        if np.isfinite(low).all():
            ax.errorbar(x, mean, [mean - low, high - mean], color=color, marker=marker, capsize=3)
        else:
            ax.plot(x, mean, color=color, marker=marker)
        ends.append((float(mean[-1]), name, color))
    if log_x:
        ax.set_xscale("log")
        ax.set_xticks(list(x), [f"{v:,.0f}" if v >= 1 else f"{v:g}" for v in x])
        ax.minorticks_off()
    elif all(float(value).is_integer() for value in x):
        # Nobody takes half a step, or half an epoch; a few places are named themselves.
        few = len(x) <= 6
        ax.xaxis.set_major_locator(FixedLocator(list(x)) if few else MaxNLocator(integer=True))
    if log_y:
        ax.set_yscale("log")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if title:
        ax.set_title(title)
    _name_at_end(ax, x[-1], ends)
    return ax


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
                low, mean, high = band(committed, percent=True)
                ax.fill_between(sizes, low, high, color=PALETTE[color], alpha=0.2, linewidth=0)
                ax.plot(sizes, mean, color=PALETTE[color], linewidth=1, linestyle=":")
            if target in found:
                _, mean, _ = band(found[target], percent=True)
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


def _name_at_end(ax: Axes, x: float, ends: list[tuple[float, str, str]]) -> None:
    """Write each line's name beside its end, moved apart where they would overlap."""
    ax.margins(x=0.04)
    # Overlap is a matter of the picture, so on a logarithmic axis it is measured in logarithms.
    log = ax.get_yscale() == "log"
    low, high = np.log10(ax.get_ylim()) if log else ax.get_ylim()
    ends = sorted(ends)
    heights = np.array([y for y, _, _ in ends])
    heights = np.log10(heights) if log else heights
    slots = 0.075 * (high - low) * np.arange(len(ends))
    places = np.maximum.accumulate(heights - slots) + slots
    # What that pushes out of the frame at the top comes back in, with those below it.
    places = np.minimum(places, high - slots[::-1])
    for place, (_, name, color) in zip(places, ends, strict=True):
        ax.annotate(
            name, (x, 10**place if log else place), xytext=(10, 0), color=color,
            textcoords="offset points", va="center", annotation_clip=False, fontweight="bold",
        )  # fmt: skip
