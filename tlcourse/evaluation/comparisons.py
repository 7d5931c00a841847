"""Is one way better than another? Differences that are paired."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from tlcourse.evaluation.estimates import Estimate, mean_interval


def paired_difference(a: Sequence[float], b: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Interval of `a - b` where the two values at one place share a seed and its data.

    Pairing removes what both share, such as a lucky draw of the labels, so that it needs fewer
    seeds than comparing two separate intervals.

    Args:
        a, b: one value per seed, in the same order of seeds.
        confidence: between 0 and 1.

    Raises:
        ValueError: different lengths.

    Example:
        >>> str(paired_difference([0.9, 0.8, 0.7], [0.8, 0.7, 0.6]))
        '0.1 [0.1, 0.1]'
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(
            f"Paired values need one value per seed on each side; got shapes {a.shape} and "
            f"{b.shape}."
        )
    return mean_interval(a - b, confidence)


def crossed_difference(a, b, confidence: float = 0.95) -> Estimate:
    """Interval of `a - b` that covers another seed and other test images, both at once.

    `paired_difference` of accuracies covers another seed on the very same test images, and
    `mcnemar` other images for the very same two models. A reader will have neither.

    Args:
        a, b: whether each answer is right, or any score of it, `(seeds, images)`: two seeds and
            two images at least, the same ones in the same order on both sides.
        confidence: between 0 and 1.

    Returns:
        An `Estimate` whose `n` is the number of seeds.

    Raises:
        ValueError: shapes that differ, a single seed or image, or values that are not finite.

    Source: the mean of a two-way random layout (Searle, Casella and McCulloch, Variance Components,
    1992): the variances over seeds and over images are added, and their common part is taken off
    once. Degrees of freedom after Satterthwaite, 1946.

    Example:
        >>> str(crossed_difference([[1, 1, 0, 1], [1, 1, 1, 0]], [[1, 0, 0, 1], [1, 0, 1, 0]]))
        '0.25 [-0.546, 1.05]'
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape or a.ndim != 2 or min(a.shape) < 2:
        raise ValueError(
            f"Got shapes {a.shape} and {b.shape}; give (seeds, images) on both sides, two of each "
            "at least."
        )
    difference = a - b
    if not np.isfinite(difference).all():
        raise ValueError("A score is not finite; find the run that diverged before comparing.")
    seeds, images = difference.shape
    over_seeds, over_images = difference.mean(axis=1), difference.mean(axis=0)
    mean = difference.mean()
    # What is left when the means of seeds and images are taken off belongs to single answers.
    rest = difference - over_seeds[:, None] - over_images[None] + mean
    parts = np.array([over_seeds.var(ddof=1) / seeds, over_images.var(ddof=1) / images])
    common = (rest**2).sum() / ((seeds - 1) * (images - 1)) / (seeds * images)
    variance = max(parts.sum() - common, parts.max())
    if variance == 0:
        return Estimate(float(mean), float(mean), float(mean), seeds, confidence)
    freedom = parts.sum() ** 2 / (parts**2 / (seeds - 1, images - 1)).sum()
    spread = float(np.sqrt(variance) * scipy.stats.t.ppf((1 + confidence) / 2, freedom))
    return Estimate(float(mean), float(mean - spread), float(mean + spread), seeds, confidence)


@dataclass(frozen=True)
class McNemar:
    """Two models on the same images, counted by who was right.

    Attributes:
        both, only_a, only_b, neither: numbers of images.
        p: how often a difference at least as large would come up if the two were equally good;
            two-sided and exact.
    """

    both: int
    only_a: int
    only_b: int
    neither: int
    p: float

    def __str__(self) -> str:
        return f"only a is right: {self.only_a}, only b: {self.only_b}, p = {self.p:.2g}"


def mcnemar(a, b) -> McNemar:
    """Ask whether two trained models differ on the images where one is right and the other wrong.

    Images on which they agree say nothing about which is better. It speaks of these two models: a
    new seed makes other models, so it cannot tell whether the *method* is better.

    Args:
        a, b: whether each answer is right `(N,)`, bool, in the same order of images.

    Raises:
        ValueError: shapes that differ, or values other than right and wrong.

    Source: McNemar, 1947; exact by the binomial distribution; Dietterich, 1998
    (doi:10.1162/089976698300017197), for comparing classifiers that were trained once.

    Example:
        >>> print(mcnemar([True] * 9 + [False], [False] * 8 + [True, True]))
        only a is right: 8, only b: 1, p = 0.039
    """
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise ValueError(
            f"Got answers of shapes {a.shape} and {b.shape}; give one per image on both sides."
        )
    if not (np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all()):
        raise ValueError("Write whether each answer is right: predictions == labels on both sides.")
    a, b = a.astype(bool), b.astype(bool)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    p = scipy.stats.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    return McNemar(int((a & b).sum()), only_a, only_b, int((~a & ~b).sum()), float(p))


def paired_bootstrap(
    a,
    b,
    statistic: Callable[[np.ndarray], float] = np.mean,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Percentile bootstrap of `statistic(a) - statistic(b)`: each draw takes the same images twice.

    For differences that are no mean over images, such as those of two calibration errors.

    Args:
        a, b: what the statistic needs of each image `(N, …)`, in the same order of images.
        statistic: from drawn rows of `a`, and of `b`, to a number.
        confidence: between 0 and 1.
        resamples: how many bootstrap samples.
        seed: of the resampling.

    Raises:
        ValueError: different numbers of images, or none.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13.

    Example:
        >>> str(paired_bootstrap([1.0, 2.0, 5.0], [0.0, 1.0, 4.0]))
        '1 [1, 1]'
    """
    a, b = np.asarray(a), np.asarray(b)
    if not a.ndim or not b.ndim or len(a) != len(b) or not len(a):
        raise ValueError(
            f"Got shapes {a.shape} and {b.shape}; give one row per image on both sides."
        )
    rng = np.random.default_rng(seed)
    drawn = (rng.integers(len(a), size=len(a)) for _ in range(resamples))
    found = [statistic(a[rows]) - statistic(b[rows]) for rows in drawn]
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    difference = statistic(a) - statistic(b)
    return Estimate(float(difference), float(low), float(high), len(a), confidence)


def noise_floor(scores: Sequence[float], confidence: float = 0.95) -> Estimate:
    """How far apart two runs of one and the same method come out, by nothing but their seeds.

    A gain that one run shows over one other run means nothing within these ends.

    Args:
        scores: of one method `(seeds,)`, two or more.
        confidence: share of such pairs that lie within the ends.

    Returns:
        An `Estimate` around 0: the prediction interval of the difference of two more runs,
        computed as if scores were normally distributed.

    Raises:
        ValueError: fewer than two scores, or one that is not finite.

    Example:
        >>> str(noise_floor([0.80, 0.82, 0.84, 0.86, 0.88]))
        '0 [-0.124, 0.124]'
    """
    scores = np.asarray(scores, dtype=float).ravel()
    if len(scores) < 2 or not np.isfinite(scores).all():
        raise ValueError(
            f"Got scores {scores.tolist()}; noise shows between two finite scores or more."
        )
    spread = (
        np.sqrt(2) * scores.std(ddof=1) * scipy.stats.t.ppf((1 + confidence) / 2, len(scores) - 1)
    )
    return Estimate(0.0, -float(spread), float(spread), len(scores), confidence)
