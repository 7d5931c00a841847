"""One row for each way, a mark for each value."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator

from tlcourse.evaluation import Estimate
from tlcourse.visualization.look import MARKERS, PALETTE, band


def dots(
    estimates: Mapping[str, Estimate | float],
    *,
    xlabel: str,
    title: str | None = None,
    percent: bool = False,
    unit: str = "%",
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
        unit: what stands behind each value then; "points" for differences.
        log_x: a logarithmic axis.
        baseline: a vertical line to compare with, such as chance.
        highlight: names drawn in orange.
        ax: where to draw; a new figure if None.
    """
    ax = ax or plt.figure(figsize=(8, 0.9 + 0.48 * len(estimates))).add_subplot()
    factor = 100 if percent else 1
    means = [v.mean if isinstance(v, Estimate) else float(v) for v in estimates.values()]
    # Rows that lie within a few points would be named alike without a decimal.
    decimals = 1 if 0 < max(means) - min(means) < 0.1 else 0
    for row, ((name, value), mean) in enumerate(zip(estimates.items(), means, strict=True)):
        color = PALETTE["orange" if name in highlight else "blue"]
        if isinstance(value, Estimate) and np.isfinite(value.low):
            ax.plot([value.low * factor, value.high * factor], [row, row], color=color)
        ax.plot(mean * factor, row, "o", color=color)
        text = f"{mean * factor:z.{decimals}f} {unit}" if percent else _short(mean)
        ax.annotate(
            text, (mean * factor, row), xytext=(0, 7), textcoords="offset points", ha="center",
            fontsize=11,
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"},
        )  # fmt: skip
    if baseline is not None:
        ax.axvline(baseline * factor, color=PALETTE["grey"], linestyle="--", linewidth=1.2)
    if log_x:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.minorticks_off()
    # A value is wider than its dot, and stays within the frame.
    ax.margins(x=0.12)
    ax.set_yticks(range(len(estimates)), list(estimates))
    ax.set_ylim(len(estimates) - 0.5, -0.7)
    ax.grid(axis="y", visible=False)
    ax.set(xlabel=xlabel)
    if title:
        ax.set_title(title)
    return ax


def _short(value: float) -> str:
    """Three digits, and never an exponent for a number that people count."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.3g}"


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
    ax.use_sticky_edges = False  # a band that ends in the frame looks cut off
    factor = 100 if percent else 1
    names = list(PALETTE)
    step = min(0.2, 0.8 / len(next(iter(rows.values()))))
    for row, (name, series) in enumerate(rows.items()):
        means = [v.mean if isinstance(v, Estimate) else float(v) for v in series.values()]
        ends = [min(means) * factor, max(means) * factor]
        ax.plot(ends, [row, row], color=PALETTE["grey"], linewidth=0.8, zorder=1)
        for i, (label, mean) in enumerate(zip(series, means, strict=True)):
            color = PALETTE[(colors or {}).get(label, names[i % len(names)])]
            # A little apart, so that one series does not hide another.
            place = row + step * (i - (len(series) - 1) / 2)
            past = ((committed or {}).get(name) or {}).get(label)
            if past:
                low, _, high = np.concatenate(band(np.asarray(past)[:, None], percent))
                if np.isfinite(low):
                    height = 0.55 if len(series) == 1 else step
                    ax.barh(place, high - low, height, left=low, color=color, alpha=0.2, zorder=0)
            value = series[label]
            if isinstance(value, Estimate) and np.isfinite(value.low):
                ax.plot([value.low * factor, value.high * factor], [place, place], color=color)
            marker = MARKERS[i % len(MARKERS)]
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
