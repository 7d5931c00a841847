"""Is it working? Means with intervals, and comparisons that are paired."""

from tlcourse.evaluation.comparisons import paired_difference
from tlcourse.evaluation.corruptions import CORRUPTIONS, corrupt
from tlcourse.evaluation.efficiency import labels_saved
from tlcourse.evaluation.estimates import (
    Estimate,
    bootstrap_interval,
    mean_interval,
    share_interval,
)
from tlcourse.evaluation.scores import accuracy

__all__ = [
    "CORRUPTIONS",
    "Estimate",
    "accuracy",
    "bootstrap_interval",
    "corrupt",
    "labels_saved",
    "mean_interval",
    "paired_difference",
    "share_interval",
]
