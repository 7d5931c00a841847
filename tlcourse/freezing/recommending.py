"""Where to start: one table from label count and similarity to a strategy, with its reasons."""

import numbers
from dataclasses import dataclass

import keras

from tlcourse.freezing import reports, select

SIMILARITIES = ("low", "medium", "high")
FEATURE_EXTRACTION = "feature extraction"
LAST_BLOCKS = "fine-tune the last blocks"
EVERYTHING = "fine-tune everything"
FROM_SCRATCH = "train from scratch as well"

# Upper ends of the sizes, in labelled images. They are steps of a factor of ten, not thresholds.
FEW, SOME = 250, 2_500
_SIZES = ("few", "some", "many")

# Strategy, and the share of the backbone's parameters to freeze in the transfer run. Along a row
# less is frozen as the similarity falls, down a column as labels are added.
_TABLE = {
    ("few", "high"): (FEATURE_EXTRACTION, 1.0),
    ("few", "medium"): (LAST_BLOCKS, 0.9),
    ("few", "low"): (FROM_SCRATCH, 0.75),
    ("some", "high"): (LAST_BLOCKS, 0.9),
    ("some", "medium"): (LAST_BLOCKS, 0.5),
    ("some", "low"): (FROM_SCRATCH, 0.25),
    ("many", "high"): (LAST_BLOCKS, 0.5),
    ("many", "medium"): (EVERYTHING, 0.0),
    ("many", "low"): (FROM_SCRATCH, 0.0),
}
_BY_SIZE = {
    "few": "With few labels every trainable parameter is one that can be fitted to chance.",
    "some": "There are labels enough to adapt some blocks, hardly the whole backbone.",
    "many": "There are labels enough to adapt most of the backbone.",
}
_BY_SIMILARITY = {
    "high": "The classes and the look of the images are close to the source's, so the features "
    "fit as they are, and fine-tuning has little to add.",
    "medium": "The features fit in part: the early blocks as they are, the late ones after some "
    "adapting.",
    "low": "The features may not fit at all, and then transfer hurts: a small network from "
    "scratch is the comparison that shows it.",
}


@dataclass(frozen=True, repr=False)
class Recommendation:
    """A starting point for one data set.

    Attributes:
        strategy: "feature extraction", "fine-tune the last blocks", "fine-tune everything" or
            "train from scratch as well" (beside the transfer run, not in its place).
        fraction: what to give to `freeze(model, fraction=…)` in the transfer run, 0 to 1.
        learning_rates: lowest and highest rate to start from with Adam: of the new head if the
            backbone is frozen, else of the fine-tuning after the head has been trained.
        reasons: why, one sentence each.
        uncertainty: what this rule cannot know.
    """

    strategy: str
    fraction: float
    learning_rates: tuple[float, float]
    reasons: tuple[str, ...]
    uncertainty: str

    def apply(self, model: keras.Model) -> reports.Report:
        """Freeze the recommended share of a model's backbone, counted in parameters.

        Raises:
            TypeError, ValueError: as in `freeze`.
        """
        return select.freeze(model, fraction=self.fraction)

    def __str__(self) -> str:
        low, high = (f"{rate:.0e}".replace("e-0", "e-") for rate in self.learning_rates)
        return "\n".join(
            [
                f"Start with: {self.strategy}, freeze(model, fraction={self.fraction}), Adam from "
                f"{low} to {high}.",
                *(f"- {reason}" for reason in self.reasons),
                f"Only a starting point: {self.uncertainty}",
            ]
        )

    __repr__ = __str__


def recommend(n_labels: int, similarity: str) -> Recommendation:
    """Suggest where to start, and say why and how unsure that is.

    Args:
        n_labels: labelled training images of the target, 1 or more.
        similarity: of the target to what the backbone was trained on, in look and in classes:
            "low" (digits, spectrograms), "medium" (drawings, satellite images) or "high"
            (photographs of things).

    Returns:
        A `Recommendation`. Strategy or share differ for each similarity at every size.

    Raises:
        ValueError: the number is not a whole number from 1 up, or the similarity is none of the
            three.

    Example:
        >>> recommend(100, "high").strategy
        'feature extraction'
        >>> recommend(100_000, "medium").strategy
        'fine-tune everything'

    Source: the directions are those of Yosinski et al., 2014 (https://arxiv.org/abs/1411.1792) and
    of Kornblith et al., 2019 (https://arxiv.org/abs/1805.08974). The borders are our own choice.
    """
    if isinstance(n_labels, bool) or not isinstance(n_labels, numbers.Integral) or n_labels < 1:
        raise ValueError(f"n_labels is {n_labels!r}; give a whole number of images, 1 or more.")
    if similarity not in SIMILARITIES:
        raise ValueError(
            f"The similarity is {similarity!r}; write one of {', '.join(SIMILARITIES)}."
        )
    size = _SIZES[(n_labels >= FEW) + (n_labels >= SOME)]
    strategy, fraction = _TABLE[size, similarity]
    frozen = strategy == FEATURE_EXTRACTION
    rate = (
        "A new head on a frozen backbone takes an ordinary learning rate."
        if frozen
        else "Pretrained weights are destroyed by an ordinary learning rate under Adam; train the "
        "head on the frozen backbone first, then go on with a small one and BatchNormalization "
        "frozen."
    )
    return Recommendation(
        strategy,
        fraction,
        (1e-3, 1e-2) if frozen else (1e-5, 1e-4),
        (_BY_SIZE[size], _BY_SIMILARITY[similarity], rate),
        f"sizes change at {FEW:,} and {SOME:,} images, which are round numbers and no thresholds, "
        "and similarity is a guess until it is measured. Run feature extraction first, it costs "
        "one pass over the images, then compare over several seeds on images kept apart: "
        "measuring decides.",
    )
