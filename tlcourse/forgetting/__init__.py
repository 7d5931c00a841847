"""What a model forgets when it learns something new, and what prevents it."""

from tlcourse.forgetting.anchors import Anchor, anchored, penalty_gradient
from tlcourse.forgetting.distilling import Distillation, soften
from tlcourse.forgetting.fishers import fisher
from tlcourse.forgetting.interpolating import interpolate
from tlcourse.forgetting.newtask import NewTask
from tlcourse.forgetting.replaying import Memory, remember

__all__ = [
    "Anchor",
    "Distillation",
    "Memory",
    "NewTask",
    "anchored",
    "fisher",
    "interpolate",
    "penalty_gradient",
    "remember",
    "soften",
]
