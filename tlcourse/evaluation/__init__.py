"""Is it working? Scores, calibration, and comparisons that are paired and know their noise."""

from tlcourse.evaluation.calibration import (
    Reliability,
    accuracy_of_the_surest,
    ece_by_chance,
    fit_temperature,
    reliability,
    soften,
)
from tlcourse.evaluation.comparisons import paired_difference
from tlcourse.evaluation.corruptions import CORRUPTIONS, corrupt
from tlcourse.evaluation.efficiency import labels_saved
from tlcourse.evaluation.estimates import (
    Estimate,
    bootstrap_interval,
    mean_interval,
    share_interval,
)
from tlcourse.evaluation.scores import accuracy, brier, negative_log_likelihood, top_k_accuracy

__all__ = [
    "CORRUPTIONS",
    "Estimate",
    "Reliability",
    "accuracy",
    "accuracy_of_the_surest",
    "bootstrap_interval",
    "brier",
    "corrupt",
    "ece_by_chance",
    "fit_temperature",
    "labels_saved",
    "mean_interval",
    "negative_log_likelihood",
    "paired_difference",
    "reliability",
    "share_interval",
    "soften",
    "top_k_accuracy",
]
