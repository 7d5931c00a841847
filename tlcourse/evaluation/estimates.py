"""Numbers with their intervals: a mean over seeds, a share of images, any statistic."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy


@dataclass(frozen=True)
class Estimate:
    """A mean with its confidence interval.

    Attributes:
        mean: the point estimate, in the unit of the values.
        low, high: ends of the interval; not-a-number if there was a single value.
        n: number of independent values behind it.
        confidence: how often an interval made this way covers the truth.
    """

    mean: float
    low: float
    high: float
    n: int
    confidence: float = 0.95

    def __str__(self) -> str:
        if not np.isfinite(self.low):
            return f"{self.mean:.3g} (one run)"
        return f"{self.mean:.3g} [{self.low:.3g}, {self.high:.3g}]"


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Mean and Student-t interval of independent values, such as one accuracy per seed.

    Args:
        values: one number per independent run, at least one.
        confidence: between 0 and 1.

    Returns:
        An `Estimate`. With one value the interval is unknown, and its ends are not-a-number.

    Raises:
        ValueError: no values, or values that are not finite.

    Example:
        >>> str(mean_interval([0.8, 0.9, 1.0]))
        '0.9 [0.652, 1.15]'
    """
    array = np.asarray(values, dtype=float).ravel()
    if array.size == 0:
        raise ValueError("There is nothing to average; give at least one value.")
    if not np.isfinite(array).all():
        raise ValueError("A value is not finite; find the run that diverged before averaging.")
    mean = float(array.mean())
    if array.size == 1:
        return Estimate(mean, float("nan"), float("nan"), 1, confidence)
    spread = scipy.stats.sem(array) * scipy.stats.t.ppf((1 + confidence) / 2, array.size - 1)
    return Estimate(mean, float(mean - spread), float(mean + spread), array.size, confidence)


def share_interval(hits: int, total: int, confidence: float = 0.95) -> Estimate:
    """A share, such as the accuracy of one model on one test set, with its Wilson interval.

    It covers the choice of the images, not that of the training: another seed is another model.
    Unlike mean ± 2 standard errors it stays within 0 and 1 and is right for 0 or all hits.

    Args:
        hits: how many, from 0 to `total`.
        total: of how many, 1 or more.
        confidence: between 0 and 1.

    Raises:
        ValueError: there is nothing to count, or more hits than images.

    Example:
        >>> str(share_interval(95, 100))
        '0.95 [0.888, 0.978]'

    Source: Wilson, 1927, as implemented in SciPy.
    """
    if not 0 <= hits <= total or total < 1:
        raise ValueError(f"{hits} of {total} is no share; count at least one image.")
    found = scipy.stats.binomtest(hits, total).proportion_ci(confidence, method="wilson")
    return Estimate(hits / total, float(found.low), float(found.high), total, confidence)


def bootstrap_interval(
    values: Sequence[float],
    groups: Sequence[int] | None = None,
    statistic: Callable[[np.ndarray], float] = np.mean,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Percentile bootstrap interval; whole groups are drawn where values of a group are alike.

    Crops of one photograph are not independent: with `groups`, photographs are drawn, not crops.

    Args:
        values: numbers `(N,)`.
        groups: `(N,)` group number of each value, or None if every value stands alone.
        statistic: what to estimate, from an array to a number.
        confidence: between 0 and 1.
        resamples: how many bootstrap samples.
        seed: seed of the resampling.

    Returns:
        An `Estimate` whose `n` is the number of groups.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13.

    Example:
        >>> str(bootstrap_interval([1.0, 1.0, 1.0]))
        '1 [1, 1]'
    """
    values = np.asarray(values, dtype=float)
    groups = np.arange(len(values)) if groups is None else np.asarray(groups)
    if len(values) == 0 or len(values) != len(groups):
        raise ValueError(
            f"Got {len(values)} values and {len(groups)} group numbers; give one each."
        )
    members = [values[groups == group] for group in np.unique(groups)]
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(members), size=(resamples, len(members)))
    if len(members) == len(values):
        # Joining hundreds of arrays of one value, thousands of times, would take longer than a fit.
        alone = np.concatenate(members)
        found = [statistic(alone[row]) for row in drawn]
    else:
        found = [statistic(np.concatenate([members[i] for i in row])) for row in drawn]
    tail = (1 - confidence) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return Estimate(float(statistic(values)), float(low), float(high), len(members), confidence)
