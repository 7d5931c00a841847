"""Choose what training may change, see what it does change, and catch the silent mistakes."""

from tlcourse.freezing.reports import Report, report, trainable_share
from tlcourse.freezing.select import freeze, freeze_batch_norm, unfreeze
from tlcourse.freezing.structure import find_backbone

__all__ = [
    "Report",
    "find_backbone",
    "freeze",
    "freeze_batch_norm",
    "report",
    "trainable_share",
    "unfreeze",
]
