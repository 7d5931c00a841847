"""Across domains: how far apart two are, and what brings them together without target labels."""

from tlcourse.adaptation.adversarial import Adversary
from tlcourse.adaptation.aligning import coral
from tlcourse.adaptation.channels import adapt_channels, channel_kernel
from tlcourse.adaptation.digits import on_photographs
from tlcourse.adaptation.gaps import drift, mmd, proxy_a_distance
from tlcourse.adaptation.normalising import adapt_batch_norm
from tlcourse.adaptation.reversal import GradientReversal, ramp
from tlcourse.adaptation.rotations import Rotations, quarter_turns
from tlcourse.adaptation.selecting import information

__all__ = [
    "Adversary",
    "GradientReversal",
    "Rotations",
    "adapt_batch_norm",
    "adapt_channels",
    "channel_kernel",
    "coral",
    "drift",
    "information",
    "mmd",
    "on_photographs",
    "proxy_a_distance",
    "quarter_turns",
    "ramp",
]
