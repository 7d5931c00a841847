"""CORAL: give the source features the mean and covariance of the target's."""

import numpy as np


def coral(source: np.ndarray, target: np.ndarray, ridge: float = 1.0) -> np.ndarray:
    """Whiten the source features and colour them again with the target's covariance.

    A head that is then trained on them, with the source's labels, meets target features that have
    the same second moments. No target label is used, and no gradient step is made.

    Args:
        source: features `(N, D)`, N of 2 or more.
        target: features `(M, D)`, M of 2 or more.
        ridge: added to both covariances' diagonals, in units of the features' mean variance. It
            keeps directions in which there is hardly any variance from being blown up; the paper's
            value is 1, for features of unit variance. With 0, both sets need full rank, and the
            covariances agree exactly.

    Returns:
        The source features, aligned, float32 `(N, D)`.

    Raises:
        ValueError: shapes that do not fit, features that are not finite, a negative ridge, or
            ridge 0 where a covariance has no full rank.

    Source: Sun, Feng and Saenko, 2016 (https://arxiv.org/abs/1511.05547), equation 3, with the
    means aligned as well.

    Example:
        >>> source, target = np.array([[-1.0], [1.0]]), np.array([[3.0], [9.0]])
        >>> coral(source, target, ridge=0).ravel().tolist()
        [3.0, 9.0]
    """
    source, target = checked_pair(source, target)
    if not ridge >= 0:
        raise ValueError(f"The ridge is {ridge}; give 0 or more, such as 1.")
    whiten = _power(_covariance(source, ridge), -0.5)
    colour = _power(_covariance(target, ridge), 0.5)
    aligned = (source - source.mean(axis=0)) @ whiten @ colour + target.mean(axis=0)
    return aligned.astype("float32")


def checked_pair(source, target) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of features of one width, as float64.

    Raises:
        ValueError: they are not, hold fewer than two examples, or something that is not finite.
    """
    source, target = np.asarray(source, float), np.asarray(target, float)
    if source.ndim != 2 or target.ndim != 2 or source.shape[1] != target.shape[1]:
        raise ValueError(
            f"The features have shapes {source.shape} and {target.shape}; give (N, D) and (M, D)."
        )
    if min(len(source), len(target)) < 2:
        raise ValueError(
            f"There are {len(source)} source and {len(target)} target examples; give 2 or more."
        )
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise ValueError("The features hold values that are not finite; look for NaN in the model.")
    return source, target


def _covariance(features: np.ndarray, ridge: float) -> np.ndarray:
    found = np.atleast_2d(np.cov(features, rowvar=False))
    return found + ridge * np.diag(found).mean() * np.eye(len(found))


def _power(covariance: np.ndarray, exponent: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    if exponent < 0 and values[0] <= 1e-10 * max(values[-1], 1e-300):
        raise ValueError(
            "The source features' covariance has no full rank, so it cannot be inverted; give a "
            "ridge above 0, or more examples than features."
        )
    return (vectors * np.maximum(values, 0) ** exponent) @ vectors.T
