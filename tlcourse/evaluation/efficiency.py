"""How many labels, and how many epochs, does transfer save?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tlcourse.evaluation.estimates import Estimate, mean_interval


def labels_saved(
    sizes: Sequence[int], transfer: Sequence[float], scratch: Sequence[float]
) -> float:
    """How many times more labels training from scratch needs for the accuracy of transfer.

    The ratio is read off two learning curves, on a logarithmic axis, at the highest accuracy that
    both curves reach. `labels_saved_over_seeds` adds the interval and says where it is a bound.

    Args:
        sizes: numbers of labels, rising.
        transfer, scratch: accuracy at each size.

    Returns:
        The ratio `N_scratch / N_transfer`; below 1, transfer needs more labels. Where the better
        curve has passed the common accuracy at its first size already, the ratio is a bound: the
        truth is further from 1.

    Example:
        >>> labels_saved([100, 1000, 10000], [0.7, 0.8, 0.9], [0.6, 0.7, 0.8])
        10.0
    """
    target = min(max(transfer), max(scratch))
    needed = [labels_needed(sizes, curve, target).labels for curve in (scratch, transfer)]
    return round(needed[0] / needed[1], 6)


@dataclass(frozen=True)
class Needed:
    """How many labels reach an accuracy, as far as a curve can tell.

    Attributes:
        labels: the number; for a bound, the first or the last size of the curve.
        bound: "" if it was reached between two sizes; "at most" if the first size reaches it
            already; "more than" if none does.
    """

    labels: float
    bound: str = ""

    def __str__(self) -> str:
        return f"{self.bound or 'about'} {self.labels:,.0f} labels"


def labels_needed(sizes: Sequence[int], curve: Sequence[float], target: float) -> Needed:
    """Read off a learning curve how many labels reach an accuracy, and never stay silent.

    Args:
        sizes: numbers of labels `(P,)`, rising.
        curve: accuracy at each size `(P,)`.
        target: the accuracy that is wanted.

    Returns:
        `Needed`: where the curve first reaches the target, on a straight line between two sizes
        over a logarithmic axis.

    Raises:
        ValueError: sizes that do not rise, or do not match the curve.

    Example:
        >>> for target in (0.5, 0.75, 0.95):
        ...     print(labels_needed([100, 1000], [0.7, 0.8], target))
        at most 100 labels
        about 316 labels
        more than 1,000 labels
    """
    sizes, curve = np.asarray(sizes, dtype=float), np.asarray(curve, dtype=float)
    if sizes.shape != curve.shape or sizes.ndim != 1 or not len(sizes):
        raise ValueError(
            f"Got {sizes.shape} sizes and {curve.shape} accuracies; give one accuracy per size."
        )
    if not (np.isfinite(curve).all() and sizes[0] > 0 and (np.diff(sizes) > 0).all()):
        raise ValueError("Sizes must rise from above 0, and every accuracy must be a number.")
    reached = curve >= target
    if not reached.any():
        return Needed(float(sizes[-1]), "more than")
    after = int(np.argmax(reached))
    if after == 0:
        return Needed(float(sizes[0]), "at most")
    before = after - 1
    share = (target - curve[before]) / (curve[after] - curve[before])
    logs = np.log10(sizes)
    return Needed(float(10 ** (logs[before] + share * (logs[after] - logs[before]))))


@dataclass(frozen=True)
class LabelsSaved:
    """How many times more labels training from scratch needs, over seeds.

    Attributes:
        ratio: geometric mean of the seeds with its interval.
        ratios: of each seed.
        bounds: of each seed: "" if both curves cross the common accuracy between two sizes; "at
            least" or "at most" if one has passed it at its first size, so that the truth is above
            or below; "unknown" if both have.
    """

    ratio: Estimate
    ratios: tuple[float, ...]
    bounds: tuple[str, ...]

    @property
    def bound(self) -> str:
        """What holds of all seeds: "", "at least", "at most" or "unknown"."""
        found = set(self.bounds) - {""}
        return "unknown" if len(found) > 1 else next(iter(found), "")

    def __str__(self) -> str:
        return f"{self.bound} {self.ratio} times the labels".lstrip()


def labels_saved_over_seeds(
    sizes: Sequence[int], transfer, scratch, confidence: float = 0.95
) -> LabelsSaved:
    """The ratio of `labels_saved` for each seed, their geometric mean, and its interval.

    Ratios are averaged by their logarithms: 10 times more and 10 times fewer are no saving.

    Args:
        sizes: numbers of labels `(P,)`, rising.
        transfer, scratch: accuracies `(seeds, P)`; the two curves of a row share a seed, and each
            row is read at the highest accuracy that both of its curves reach.
        confidence: between 0 and 1.

    Raises:
        ValueError: shapes that do not fit.

    Example:
        >>> curves = [[0.7, 0.8, 0.9]] * 3, [[0.6, 0.7, 0.8]] * 3
        >>> print(labels_saved_over_seeds([100, 1000, 10000], *curves))
        10 [10, 10] times the labels
    """
    transfer, scratch = np.asarray(transfer, dtype=float), np.asarray(scratch, dtype=float)
    if transfer.shape != scratch.shape or transfer.ndim != 2 or not len(transfer):
        raise ValueError(
            f"Got curves of shapes {transfer.shape} and {scratch.shape}; give (seeds, sizes) twice."
        )
    ratios, bounds = [], []
    for ours, theirs in zip(transfer, scratch, strict=True):
        target = min(ours.max(), theirs.max())
        few, many = (labels_needed(sizes, curve, target) for curve in (ours, theirs))
        ratios.append(many.labels / few.labels)
        bounds.append(_BOUNDS[bool(few.bound), bool(many.bound)])
    logs = mean_interval(np.log(ratios), confidence)
    ratio = Estimate(*np.exp([logs.mean, logs.low, logs.high]).tolist(), logs.n, confidence)
    return LabelsSaved(ratio, tuple(ratios), tuple(bounds))


# By whether transfer, and whether scratch, has passed the accuracy at its first size.
_BOUNDS = {
    (False, False): "",
    (True, False): "at least",
    (False, True): "at most",
    (True, True): "unknown",
}


def epochs_needed(
    curve: Sequence[float], target: float | None = None, share: float = 0.95
) -> int | None:
    """The first epoch that reaches an accuracy, counted from 1.

    Two curves that end at different heights are compared at one `target`. Left open, each is
    measured against its own end, which says how early it settles, not how soon it is good.

    Args:
        curve: validation accuracy after each epoch.
        target: the accuracy that is wanted; `share` of the last value if None.
        share: used without a target.

    Returns:
        The epoch, or None if none reaches it.

    Raises:
        ValueError: there is no epoch.

    Example:
        >>> epochs_needed([0.5, 0.7, 0.8], target=0.7), epochs_needed([0.5, 0.7, 0.8], target=0.9)
        (2, None)
    """
    curve = np.asarray(curve, dtype=float)
    if curve.ndim != 1 or not len(curve):
        raise ValueError("There is no epoch; give the accuracy after each one.")
    reached = curve >= (share * curve[-1] if target is None else target)
    return int(np.argmax(reached)) + 1 if reached.any() else None
