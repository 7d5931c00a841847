"""Is it working? Means with intervals, and comparisons that are paired."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, stats


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
    spread = stats.sem(array) * stats.t.ppf((1 + confidence) / 2, array.size - 1)
    return Estimate(mean, float(mean - spread), float(mean + spread), array.size, confidence)


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


def accuracy(predictions, labels) -> float:
    """Share of correct predictions.

    Args:
        predictions: class numbers `(N,)` or class scores `(N, classes)`.
        labels: class numbers `(N,)`.

    Raises:
        ValueError: the two do not have the same number of rows.

    Example:
        >>> accuracy([[0.9, 0.1], [0.4, 0.6]], [0, 0])
        0.5
    """
    predictions, labels = np.asarray(predictions), np.asarray(labels)
    if predictions.ndim == 2:
        predictions = predictions.argmax(axis=1)
    if predictions.shape != labels.shape:
        raise ValueError(
            f"{len(predictions)} predictions do not match {len(labels)} labels; "
            "both need one row per image."
        )
    return float((predictions == labels).mean())


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


def labels_saved(
    sizes: Sequence[int], transfer: Sequence[float], scratch: Sequence[float]
) -> float:
    """How many times more labels training from scratch needs for the accuracy of transfer.

    The ratio is read off two learning curves, on a logarithmic axis, at the highest accuracy that
    both curves reach.

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
    return round(_first_size(sizes, scratch, target) / _first_size(sizes, transfer, target), 6)


def _first_size(sizes, curve, target: float) -> float:
    """The first size at which a curve reaches an accuracy, between sizes on a log axis."""
    logs, curve = np.log10(np.asarray(sizes, dtype=float)), np.asarray(curve, dtype=float)
    after = int(np.argmax(curve >= target))
    if after == 0:
        return float(sizes[0])
    before = after - 1
    share = (target - curve[before]) / (curve[after] - curve[before])
    return float(10 ** (logs[before] + share * (logs[after] - logs[before])))


CORRUPTIONS = ("blur", "noise", "shear")


def corrupt(images: np.ndarray, kind: str, severity: int = 3, seed: int = 0) -> np.ndarray:
    """Change images in a way that training did not show: a test of robustness.

    Blur and shear grow with the side of the image, so that a severity looks alike at every size.

    Args:
        images: raw pixels 0-255, uint8 or float, `(N, H, W, C)`.
        kind: "blur", Gaussian; "noise", Gaussian, on every pixel and channel alone; or "shear",
            each row moved sideways in proportion to its height, edges repeated.
        severity: from 1, slight, to 5, hard. At 3, on 28 pixels: a blur of deviation 1.5 pixels,
            noise of deviation 60 grey levels, and a shear of 0.3 pixels a row.
        seed: of the noise; the others draw nothing.

    Returns:
        New images of the same shape and dtype, within 0-255.

    Raises:
        ValueError: another kind, severity or shape, or values outside 0-255.

    Source: the idea, and five severities, from Hendrycks and Dietterich, 2019
    (https://arxiv.org/abs/1903.12261); the sizes are our own, for small images.

    Example:
        >>> white = np.full((1, 8, 8, 1), 255, np.uint8)
        >>> int(corrupt(white, "blur").min())
        255
    """
    images = np.asarray(images)
    if kind not in CORRUPTIONS:
        raise ValueError(f"kind is {kind!r}; write one of {', '.join(CORRUPTIONS)}.")
    if isinstance(severity, bool) or severity not in (1, 2, 3, 4, 5):
        raise ValueError(f"severity is {severity!r}; write a whole number from 1 to 5.")
    if images.ndim != 4:
        raise ValueError(f"The images have shape {images.shape}; corrupt wants (N, H, W, C).")
    if images.size and not 0 <= images.min() <= images.max() <= 255:
        raise ValueError(
            f"The pixels reach from {images.min():g} to {images.max():g}; corrupt wants raw "
            "pixels, 0 to 255."
        )
    pixels = images.astype(np.float32)
    height, width = images.shape[1:3]
    if kind == "blur":
        sigma = severity * min(height, width) / 56
        pixels = ndimage.gaussian_filter(pixels, (0, sigma, sigma, 0), mode="nearest")
    elif kind == "noise":
        pixels = pixels + np.random.default_rng(seed).normal(0, 20 * severity, pixels.shape)
    else:
        slope = 0.1 * severity
        matrix = np.eye(4)
        matrix[2, 1] = slope
        offset = (0, 0, -slope * (height - 1) / 2, 0)
        pixels = ndimage.affine_transform(pixels, matrix, offset, order=1, mode="nearest")
    pixels = np.clip(pixels, 0, 255)
    if np.issubdtype(images.dtype, np.integer):
        pixels = np.round(pixels)
    return pixels.astype(images.dtype)
