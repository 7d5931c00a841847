"""Choose what training may change, see what it does change, and catch the silent mistakes."""

from tlcourse.freezing.checks import audit
from tlcourse.freezing.findings import Audit, Finding
from tlcourse.freezing.gradients import Gradient, gradient_scores, rescale_block
from tlcourse.freezing.only import train_only
from tlcourse.freezing.recommending import Recommendation, recommend
from tlcourse.freezing.reports import Report, report, trainable_share
from tlcourse.freezing.select import freeze, freeze_batch_norm, unfreeze
from tlcourse.freezing.snapshots import Snapshot, snapshot
from tlcourse.freezing.structure import find_backbone

__all__ = [
    "Audit",
    "Finding",
    "Gradient",
    "Recommendation",
    "Report",
    "Snapshot",
    "audit",
    "find_backbone",
    "freeze",
    "freeze_batch_norm",
    "gradient_scores",
    "recommend",
    "report",
    "rescale_block",
    "snapshot",
    "train_only",
    "trainable_share",
    "unfreeze",
]
