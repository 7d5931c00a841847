"""Which strategy, how much frozen, which learning rate: recommended, unless you say otherwise."""

from dataclasses import dataclass

from tlcourse import freezing
from tlcourse.freezing.recommending import EVERYTHING, FEATURE_EXTRACTION, LAST_BLOCKS

AUTO = "auto"
STRATEGIES = (AUTO, FEATURE_EXTRACTION, LAST_BLOCKS, EVERYTHING)


@dataclass(frozen=True)
class Plan:
    """What a training will do.

    Attributes:
        strategy: "feature extraction", "fine-tune the last blocks" or "fine-tune everything".
        fraction: share of the backbone's parameters that is frozen, 0 to 1.
        learning_rate: of Adam, in fine-tuning.
        reasons: why, one sentence each.
    """

    strategy: str
    fraction: float
    learning_rate: float
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        tuned = self.strategy != FEATURE_EXTRACTION
        rate = f", Adam at {self.learning_rate:.1e} after the head is fitted" if tuned else ""
        return "\n".join(
            [
                f"Plan: {self.strategy}, {self.fraction:.0%} of the backbone frozen{rate}.",
                *(f"- {reason}" for reason in self.reasons),
            ]
        )


def make_plan(
    labels: int,
    similarity: str,
    strategy: str = AUTO,
    fraction: float | None = None,
    learning_rate: float | None = None,
) -> Plan:
    """Fill in what was left open, by `freezing.recommend`.

    Args:
        labels: labelled pictures to train on.
        similarity: "low", "medium" or "high", as in `freezing.recommend`.
        strategy: one of `STRATEGIES`.
        fraction: share of the backbone to freeze, or None.
        learning_rate: of fine-tuning, or None.

    Raises:
        ValueError: an unknown strategy, a share outside 0 to 1, a strategy and a share that
            contradict each other, or a rate that is not above 0.

    Example:
        >>> make_plan(100, "high").strategy
        'feature extraction'
        >>> make_plan(100, "high", LAST_BLOCKS).fraction
        0.9
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"The strategy is {strategy!r}; write one of {', '.join(STRATEGIES)}.")
    if fraction is not None and not 0 <= fraction <= 1:
        raise ValueError(f"The fraction is {fraction!r}; write one from 0.0 to 1.0.")
    if learning_rate is not None and not learning_rate > 0:
        raise ValueError(f"The learning rate is {learning_rate}; it has to be above zero.")
    advice = freezing.recommend(labels, similarity)
    own = {FEATURE_EXTRACTION: 1.0, EVERYTHING: 0.0}
    if fraction is None:
        # Last blocks are neither all nor none, whatever is advised for the other strategies.
        some = min(max(advice.fraction, 0.5), 0.9)
        fraction = advice.fraction if strategy == AUTO else own.get(strategy, some)
    implied = {share: name for name, share in own.items()}.get(float(fraction), LAST_BLOCKS)
    if strategy not in (AUTO, implied):
        raise ValueError(
            f"The strategy {strategy!r} and the fraction {fraction} contradict each other; "
            "give one of them."
        )
    low, high = advice.learning_rates if implied == FEATURE_EXTRACTION else (1e-5, 1e-4)
    told = strategy != AUTO or fraction != advice.fraction
    reasons = ("You chose the strategy.",) if told else advice.reasons
    if not told and similarity == "low":
        reasons += (
            "Compare it with training.train_from_scratch before you trust it: with a similarity "
            "this low transfer may lose.",
        )
    return Plan(implied, float(fraction), learning_rate or (low * high) ** 0.5, reasons)
