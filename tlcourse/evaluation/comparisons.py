"""Is one way better than another? Differences that are paired."""

from collections.abc import Sequence

import numpy as np

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
