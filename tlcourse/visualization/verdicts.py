"""Whether probabilities and decisions can be trusted."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from tlcourse.evaluation import Decision, Estimate, Reliability
from tlcourse.visualization.look import MARKERS, PALETTE
from tlcourse.visualization.marks import dots


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
        marker = MARKERS[i % len(MARKERS)]
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
