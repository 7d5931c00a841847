"""What all figures share: colours, marks, sizes."""

import matplotlib.pyplot as plt
import numpy as np

from tlcourse.evaluation import mean_interval

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
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


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


def band(values, percent: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Low end, mean and high end of the interval of each column of `(seeds, P)` values.

    In percent, shares stay within 0 and 100, which the interval of a few runs may not know.
    Differences of shares, some of them negative, are left alone.
    """
    values = np.atleast_2d(np.asarray(values, dtype=float)) * (100 if percent else 1)
    found = [mean_interval(column) for column in values.T]
    ends = np.array([[e.low, e.mean, e.high] for e in found]).T
    return tuple(np.clip(ends, 0, 100) if percent and values.min() >= 0 else ends)
