"""How far apart are two domains? Measured on features, without any labels of classes."""

import numpy as np

from tlcourse.adaptation.aligning import checked_pair
from tlcourse.training.head import fit_head


def proxy_a_distance(source: np.ndarray, target: np.ndarray, seed: int = 0) -> float:
    """How well a linear classifier tells the domains apart: `2 (1 - 2 error)`, from 0 to 2.

    It is fitted on one half of each domain and judged on the other. Near 0 the features do not
    give the domain away; 2 means that every image does, and then nothing further apart can show.

    Args:
        source: features `(N, D)`, N of 4 or more.
        target: features `(M, D)`, M of 4 or more. The larger set is cut to the smaller one.
        seed: of the halves.

    Raises:
        ValueError: shapes that do not fit, features that are not finite, or too few examples.

    Source: Ben-David and others, 2007 (Analysis of representations for domain adaptation).

    Example:
        >>> left, right = np.zeros((8, 2)), np.ones((8, 2))
        >>> proxy_a_distance(left, right)
        2.0
    """
    source, target = checked_pair(source, target)
    count = min(len(source), len(target))
    if count < 4:
        raise ValueError(f"The smaller domain has {count} examples; give 4 or more of each.")
    rng = np.random.default_rng(seed)
    halves = [
        np.array_split(features[rng.permutation(len(features))[:count]], 2)
        for features in (source, target)
    ]
    (fit_s, test_s), (fit_t, test_t) = halves
    head = fit_head(np.concatenate([fit_s, fit_t]), np.repeat([0, 1], [len(fit_s), len(fit_t)]))
    truth = np.repeat([0, 1], [len(test_s), len(test_t)])
    error = 1 - head.accuracy(np.concatenate([test_s, test_t]), truth)
    return float(np.clip(2 * (1 - 2 * error), 0, 2))


def mmd(source: np.ndarray, target: np.ndarray, width: float | None = None) -> float:
    """Squared maximum mean discrepancy with a Gaussian kernel: how far apart two clouds lie.

    The estimate is unbiased: for two samples of one distribution it is 0 on average, and so a
    little below 0 about half of the time.

    Args:
        source: features `(N, D)`, N of 2 or more.
        target: features `(M, D)`, M of 2 or more.
        width: of the kernel `exp(-d² / (2 width²))`; None for the median distance between all
            examples. Comparisons across targets need one width for all of them.

    Raises:
        ValueError: shapes that do not fit, features that are not finite, a width that is not
            positive, or examples that are all equal.

    Source: Gretton and others, 2012 (JMLR 13), equation 3.

    Example:
        >>> left, right = np.array([[0.0], [0.0]]), np.array([[9.0], [9.0]])
        >>> round(mmd(left, right, width=1.0), 6)
        2.0
    """
    source, target = checked_pair(source, target)
    both = np.concatenate([source, target])
    squares = _squared_distances(both)
    if width is None:
        width = _median(squares)
    if not width > 0:
        raise ValueError(
            f"The kernel's width is {width}; give one above 0 (all examples may be equal)."
        )
    kernel = np.exp(-squares / (2 * width**2))
    n, m = len(source), len(target)
    within_s = (kernel[:n, :n].sum() - n) / (n * (n - 1))
    within_t = (kernel[n:, n:].sum() - m) / (m * (m - 1))
    return float(within_s + within_t - 2 * kernel[:n, n:].mean())


def median_distance(features: np.ndarray) -> float:
    """The median distance between two examples `(N, D)`: the usual width of the kernel."""
    return _median(_squared_distances(np.asarray(features, float)))


def _median(squares: np.ndarray) -> float:
    return float(np.sqrt(np.median(squares[np.triu_indices(len(squares), 1)])))


def _squared_distances(features: np.ndarray) -> np.ndarray:
    centred = features - features.mean(axis=0)
    lengths = (centred**2).sum(axis=1)
    found = np.maximum(lengths[:, None] + lengths - 2 * centred @ centred.T, 0)
    np.fill_diagonal(found, 0)
    return found


def drift(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """How far each feature's mean moved, in standard deviations that it has in the source.

    Args:
        source: features `(N, D)`, N of 2 or more.
        target: features `(M, D)`, M of 2 or more.

    Returns:
        `(D,)`, with its sign. A feature that is constant in the source is counted in units of
        the median feature's deviation.

    Raises:
        ValueError: shapes that do not fit, or features that are not finite.

    Example:
        >>> drift(np.array([[0.0], [2.0]]), np.array([[4.0], [4.0]])).tolist()
        [3.0]
    """
    source, target = checked_pair(source, target)
    deviation = source.std(axis=0)
    varies = deviation > 1e-6 * max(deviation.max(), 1e-300)
    unit = np.median(deviation[varies]) if varies.any() else 1.0
    return (target.mean(axis=0) - source.mean(axis=0)) / np.where(varies, deviation, unit)
