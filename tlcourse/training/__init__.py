"""Train: a head on frozen features, a whole model, or first the one and then the other."""

from tlcourse.training.finetune import CACHE_BYTES, cached_prefix, fine_tune
from tlcourse.training.head import HEAD_C, Head, fit_head, set_head
from tlcourse.training.loop import History, compile_classifier, train
from tlcourse.training.movement import Change, Movement, features_moved, weights_moved
from tlcourse.training.rates import decayed, layer_wise, rates_of
from tlcourse.training.schedules import check_schedule, preview
from tlcourse.training.scratch import (
    SCRATCH_BATCH,
    SCRATCH_RATE,
    SCRATCH_STEPS,
    backbone_from_scratch,
    train_from_scratch,
)
from tlcourse.training.stages import (
    gradient_sent_back,
    overweighted,
    progressive,
    reset_head,
    two_stage,
)
from tlcourse.training.sweep import sweep

__all__ = [
    "CACHE_BYTES",
    "HEAD_C",
    "SCRATCH_BATCH",
    "SCRATCH_RATE",
    "SCRATCH_STEPS",
    "Change",
    "Head",
    "History",
    "Movement",
    "backbone_from_scratch",
    "cached_prefix",
    "check_schedule",
    "compile_classifier",
    "decayed",
    "features_moved",
    "fine_tune",
    "fit_head",
    "gradient_sent_back",
    "layer_wise",
    "overweighted",
    "preview",
    "progressive",
    "rates_of",
    "reset_head",
    "set_head",
    "sweep",
    "train",
    "train_from_scratch",
    "two_stage",
    "weights_moved",
]
