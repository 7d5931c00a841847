"""What a backbone wants of its inputs, how to give it, and how to notice that it got less."""

from tlcourse.models.scaling import MODES, Preprocess

__all__ = ["MODES", "Preprocess"]
