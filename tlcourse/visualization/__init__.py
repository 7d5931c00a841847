"""Every plot of the course. Each returns its `Axes` or `Figure`; none calls `plt.show()`.

Colours are those of Okabe and Ito, which people with any common colour vision can tell apart; sizes
are for a projector at the back of a room.
"""

import matplotlib.pyplot as plt

from tlcourse.visualization.lines import curves, transfer_against_scratch
from tlcourse.visualization.look import PALETTE, style
from tlcourse.visualization.marks import dots, paired_dots
from tlcourse.visualization.pictures import image_grid
from tlcourse.visualization.trades import cost_accuracy, tradeoff
from tlcourse.visualization.verdicts import gains, reliability_diagram

__all__ = [
    "PALETTE",
    "cost_accuracy",
    "curves",
    "dots",
    "gains",
    "image_grid",
    "paired_dots",
    "plt",
    "reliability_diagram",
    "style",
    "tradeoff",
    "transfer_against_scratch",
]
