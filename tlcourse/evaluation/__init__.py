"""Is it working? Scores, calibration, and comparisons that are paired and know their noise.

SciPy's parts are loaded when they are first used, and so is scikit-learn. So who only reads the
ledger, such as a worker of `tlcourse run`, does without 90 MB.
"""

from tlcourse.evaluation.calibration import (
    Reliability,
    accuracy_of_the_surest,
    ece_by_chance,
    fit_temperature,
    reliability,
    soften,
)
from tlcourse.evaluation.comparisons import (
    McNemar,
    crossed_difference,
    mcnemar,
    noise_floor,
    paired_bootstrap,
    paired_difference,
)
from tlcourse.evaluation.corruptions import CORRUPTIONS, corrupt
from tlcourse.evaluation.deciding import Against, Decision, should_transfer
from tlcourse.evaluation.efficiency import (
    LabelsSaved,
    Needed,
    epochs_needed,
    labels_needed,
    labels_saved,
    labels_saved_over_seeds,
)
from tlcourse.evaluation.estimates import (
    Estimate,
    bootstrap_interval,
    mean_interval,
    share_interval,
)
from tlcourse.evaluation.scores import accuracy, brier, negative_log_likelihood, top_k_accuracy
from tlcourse.evaluation.transferability import h_score, knn_probe, leep, log_me

__all__ = [
    "Against",
    "CORRUPTIONS",
    "Decision",
    "Estimate",
    "LabelsSaved",
    "McNemar",
    "Needed",
    "Reliability",
    "accuracy",
    "accuracy_of_the_surest",
    "bootstrap_interval",
    "brier",
    "corrupt",
    "crossed_difference",
    "ece_by_chance",
    "epochs_needed",
    "fit_temperature",
    "h_score",
    "knn_probe",
    "labels_needed",
    "labels_saved",
    "labels_saved_over_seeds",
    "leep",
    "log_me",
    "mcnemar",
    "mean_interval",
    "negative_log_likelihood",
    "noise_floor",
    "paired_bootstrap",
    "paired_difference",
    "reliability",
    "share_interval",
    "should_transfer",
    "soften",
    "top_k_accuracy",
]
