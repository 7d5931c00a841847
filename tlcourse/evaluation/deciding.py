"""Should you transfer? A decision with its evidence, which may be that there is not enough."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from tlcourse.evaluation.comparisons import crossed_difference, paired_difference
from tlcourse.evaluation.estimates import Estimate, mean_interval

TRANSFER = "transfer"
DO_NOT = "do not transfer"
NO_DIFFERENCE = "no difference"
UNDECIDED = "undecided"
_MOST_SEEDS = 1000


@dataclass(frozen=True)
class Against:
    """Transfer against one baseline.

    Attributes:
        baseline: its name.
        gain: score of transfer minus that of the baseline, with the interval that a claim about
            *every* baseline needs.
        strict: the same with the wider interval that a claim about *some* baseline needs, because
            the one out of several that looks best has had several chances.
        cost: seconds of transfer divided by those of the baseline, with its interval; or None.
    """

    baseline: str
    gain: Estimate
    strict: Estimate
    cost: Estimate | None = None

    def __str__(self) -> str:
        cost = "" if self.cost is None else f", {self.cost} times the seconds"
        return f"gain over {self.baseline}: {self.gain}{cost}"


@dataclass(frozen=True)
class Decision:
    """Whether to transfer, and why.

    Attributes:
        verdict: "transfer", "do not transfer", "no difference" (shown to be smaller than what is
            worthwhile) or "undecided" (not shown to be anything).
        reason: one sentence.
        evidence: transfer against each baseline.
        worthwhile: the smallest gain that counts.
        seeds_needed: where undecided, how many seeds would decide if means and spread stayed as
            they are; None if nobody can say, or no number of seeds would.
    """

    verdict: str
    reason: str
    evidence: tuple[Against, ...]
    worthwhile: float
    seeds_needed: int | None = None

    def __str__(self) -> str:
        more = ""
        if self.seeds_needed:
            more = f" About {self.seeds_needed} seeds would decide if the means stay."
        lines = [f"{self.verdict}: {self.reason}{more}", *(f"  {each}" for each in self.evidence)]
        return "\n".join(lines)

    __repr__ = __str__


def should_transfer(
    transfer,
    baselines: Mapping[str, Sequence],
    *,
    worthwhile: float = 0.01,
    seconds: Mapping[str, float | Sequence[float]] | None = None,
    cheaper: float = 0.5,
    confidence: float = 0.95,
) -> Decision:
    """Decide from paired runs whether transfer is better than every fair baseline.

    Fair means: the same labels, seed for seed, the same test images, and as much tuning. A small
    network that is tuned asks whether transfer is worth it; the same backbone with random weights
    asks what the pretrained weights, and nothing else, are worth.

    The rules, in this order, all by intervals and none by a single number:

    1. "transfer": against every baseline it gains more than `worthwhile`, or loses no more than
       that and is clearly cheaper.
    2. "do not transfer": some baseline is better by more than `worthwhile`, or transfer gains no
       more than that over it and is clearly dearer.
    3. "no difference": transfer loses no more than `worthwhile` against any baseline, and gains no
       more than that over some.
    4. "undecided": anything else, a single seed among it.

    Args:
        transfer: scores where higher is better, `(seeds,)`; or whether each answer is right,
            `(seeds, images)`, if the decision is to hold for other test images, too.
        baselines: name to scores of the same shape, in the same order of seeds.
        worthwhile: the smallest gain that you would change your mind for, in the unit of the
            scores, 0 or more. Write it down before you look at the scores.
        seconds: "transfer" and each baseline's name to what a run costs, a number or one for each
            seed; None if cost does not count. Seconds of one machine, measured while it did
            nothing else.
        cheaper: the part of the other's seconds that counts as clearly cheaper, between 0 and 1.
        confidence: between 0 and 1.

    Returns:
        A `Decision`.

    Raises:
        ValueError: no baseline, shapes that differ, or seconds that miss a name.

    Source: rules 1 and 3 are an intersection-union test (Berger, 1982), where every comparison has
    to hold and none needs a correction; rule 2 is corrected after Bonferroni. Not losing more than
    a margin, and being equal within it: Schuirmann, 1987.

    Example:
        >>> print(should_transfer([0.90, 0.91, 0.89], {"small CNN": [0.80, 0.82, 0.80]}).verdict)
        transfer
        >>> print(should_transfer([0.82], {"small CNN": [0.80]}).verdict)
        undecided
    """
    transfer = np.asarray(transfer, dtype=float)
    if not baselines:
        raise ValueError("There is no baseline; without one nobody can say what transfer gains.")
    if not (np.isfinite(worthwhile) and worthwhile >= 0 and 0 < cheaper < 1):
        raise ValueError(
            f"worthwhile is {worthwhile} and cheaper is {cheaper}; write 0 or more, and a part "
            "between 0 and 1."
        )
    if seconds is not None and (missing := {"transfer", *baselines} - set(seconds)):
        raise ValueError(f"seconds holds nothing for {', '.join(sorted(missing))}; give all costs.")
    evidence = tuple(
        Against(
            name,
            _gain(transfer, scores, confidence),
            _gain(transfer, scores, 1 - (1 - confidence) / len(baselines)),
            None if seconds is None else _cost_ratio(seconds["transfer"], seconds[name]),
        )
        for name, scores in baselines.items()
    )
    verdict, reason = _judge(evidence, worthwhile, cheaper)
    needed = None
    if verdict == UNDECIDED and transfer.ndim == 1:
        spreads = {name: transfer - np.asarray(scores) for name, scores in baselines.items()}
        needed = _seeds_needed(spreads.values(), worthwhile, evidence[0].strict.confidence)
    return Decision(verdict, reason, evidence, worthwhile, needed)


def _gain(transfer: np.ndarray, scores, confidence: float) -> Estimate:
    scores = np.asarray(scores, dtype=float)
    if transfer.ndim == 2 and len(transfer) > 1:
        return crossed_difference(transfer, scores, confidence)
    if transfer.ndim == 2 and transfer.shape == scores.shape:
        transfer, scores = transfer.mean(axis=1), scores.mean(axis=1)
    return paired_difference(transfer, scores, confidence)


def _cost_ratio(ours, theirs) -> Estimate:
    ours, theirs = (np.atleast_1d(np.asarray(cost, dtype=float)) for cost in (ours, theirs))
    if not all((np.isfinite(cost) & (cost > 0)).all() for cost in (ours, theirs)):
        raise ValueError("Seconds must be above 0; measure each run from its start to its end.")
    if len(ours) != len(theirs):
        # One of them is a single measurement, which can be paired with nothing.
        ours, theirs = np.atleast_1d(ours.mean()), np.atleast_1d(theirs.mean())
    logs = mean_interval(np.log(ours) - np.log(theirs))
    return Estimate(*np.exp([logs.mean, logs.low, logs.high]).tolist(), logs.n)


def _judge(evidence: Sequence[Against], worthwhile: float, cheaper: float) -> tuple[str, str]:
    """Verdict and reason. A comparison with not-a-number is false, so one seed decides nothing."""
    ahead = [each for each in evidence if each.gain.low > worthwhile]
    cheap = [
        each for each in evidence if each.gain.low > -worthwhile and _cheap(each.cost, cheaper)
    ]
    margin = f"{worthwhile:g}"
    if len(ahead) == len(evidence):
        return TRANSFER, f"it gains more than {margin} over every baseline."
    if all(each in ahead or each in cheap for each in evidence):
        names = _names(each for each in evidence if each not in ahead)
        return TRANSFER, f"it loses no more than {margin} against {names}, and costs far less."
    behind = [each for each in evidence if each.strict.high < -worthwhile]
    if behind:
        return DO_NOT, f"{_names(behind)} scores higher by more than {margin}."
    dear = [each for each in evidence if each.strict.high < worthwhile and _dear(each, cheaper)]
    if dear:
        return DO_NOT, f"it gains no more than {margin} over {_names(dear)}, and costs far more."
    alike = [each for each in evidence if each.strict.high < worthwhile]
    if alike and all(each.gain.low > -worthwhile for each in evidence):
        return NO_DIFFERENCE, f"it is within {margin} of {_names(alike)}; let the cost decide."
    if any(each.gain.n < 2 for each in evidence):
        return UNDECIDED, "one seed shows no noise, so nothing can be told from it."
    open_ones = _names(each for each in evidence if each not in ahead)
    return UNDECIDED, f"the interval of the gain over {open_ones} allows more than one answer."


def _cheap(cost: Estimate | None, cheaper: float) -> bool:
    # A single measurement has no interval; its own value then has to do.
    return cost is not None and (cost.high if np.isfinite(cost.high) else cost.mean) < cheaper


def _dear(each: Against, cheaper: float) -> bool:
    cost = each.cost
    return cost is not None and (cost.low if np.isfinite(cost.low) else cost.mean) > 1 / cheaper


def _names(evidence) -> str:
    return " and ".join(each.baseline for each in evidence)


def _seeds_needed(spreads, worthwhile: float, confidence: float) -> int | None:
    """Seeds after which every interval would end before the nearest end of the margin."""
    most = 2
    for differences in spreads:
        if len(differences) < 2:
            return None
        distance = min(abs(differences.mean() - end) for end in (worthwhile, -worthwhile))
        deviation = differences.std(ddof=1)
        seeds = np.arange(2, _MOST_SEEDS + 1)
        widths = scipy.stats.t.ppf((1 + confidence) / 2, seeds - 1) * deviation / np.sqrt(seeds)
        enough = seeds[widths < distance]
        if not len(enough):
            return None
        most = max(most, int(enough[0]))
    return most
