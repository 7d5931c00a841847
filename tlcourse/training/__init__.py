"""Train: a head on frozen features, a whole model, or first the one and then the other."""

from tlcourse.training.finetune import CACHE_BYTES, cached_prefix, fine_tune
from tlcourse.training.head import HEAD_C, Head, fit_head, set_head
from tlcourse.training.loop import History, compile_classifier, train
from tlcourse.training.scratch import (
    SCRATCH_BATCH,
    SCRATCH_RATE,
    SCRATCH_STEPS,
    train_from_scratch,
)
from tlcourse.training.stages import two_stage

__all__ = [
    "CACHE_BYTES",
    "HEAD_C",
    "SCRATCH_BATCH",
    "SCRATCH_RATE",
    "SCRATCH_STEPS",
    "Head",
    "History",
    "cached_prefix",
    "compile_classifier",
    "fine_tune",
    "fit_head",
    "set_head",
    "train",
    "train_from_scratch",
    "two_stage",
]
