"""How good are the answers of one model?"""

import numpy as np


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


def top_k_accuracy(scores, labels, k: int = 5) -> float:
    """Share of images whose class is among the k highest scores.

    Blind guessing reaches `k / classes`: 0.005 for the top 5 of ImageNet's 1,000 classes, 0.5 of
    ten. Where scores are equal, their order is drawn by lot, and the mean over all draws counts: a
    model that says the same of every class gets what guessing gets, not 1.

    Args:
        scores: class scores `(N, classes)`.
        labels: class numbers `(N,)`.
        k: how many guesses an image gets, fewer than there are classes.

    Raises:
        ValueError: as many guesses as classes, or rows that do not match.

    Example:
        >>> top_k_accuracy([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], [1, 2], k=2)
        0.5
    """
    scores, labels = _matching(scores, labels)
    if not 1 <= k < scores.shape[1]:
        raise ValueError(
            f"The top {k} of {scores.shape[1]} classes says nothing, because every answer would "
            "count as right or as wrong; ask for fewer than there are classes, and at least 1."
        )
    own = scores[np.arange(len(labels)), labels][:, None]
    above, equal = (scores > own).sum(axis=1), (scores == own).sum(axis=1)
    return float(np.clip((k - above) / equal, 0, 1).mean())


def negative_log_likelihood(probabilities, labels) -> float:
    """Mean of minus the logarithm of the true class's probability, in nats; lower is better.

    It is the cross-entropy that training lowers. It punishes one sure mistake more than many
    unsure ones: probabilities below 1e-12 count as 1e-12, which costs 27.6. Saying "equally
    likely" of every class scores log(classes).

    Args:
        probabilities: `(N, classes)`, each row sums to 1.
        labels: class numbers `(N,)`.

    Raises:
        ValueError: rows that are no probabilities, or do not match.

    Example:
        >>> round(negative_log_likelihood([[0.5, 0.5]], [0]), 4)
        0.6931
    """
    probabilities, labels = checked(probabilities, labels)
    own = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(own, 1e-12)).mean())


def brier(probabilities, labels) -> float:
    """Mean squared distance from the truth, which is 1 for one class; 0 is best, 2 is worst.

    Unlike the log-likelihood it is bounded, so that no single image decides it.

    Args:
        probabilities: `(N, classes)`, each row sums to 1.
        labels: class numbers `(N,)`.

    Raises:
        ValueError: rows that are no probabilities, or do not match.

    Source: Brier, 1950, for any number of classes: the sum over the classes, not halved.

    Example:
        >>> brier([[0.5, 0.5]], [0])
        0.5
    """
    probabilities, labels = checked(probabilities, labels)
    truth = np.eye(probabilities.shape[1])[labels]
    return float(((probabilities - truth) ** 2).sum(axis=1).mean())


def checked(probabilities, labels) -> tuple[np.ndarray, np.ndarray]:
    """Float64 probabilities and class numbers that fit each other.

    Raises:
        ValueError: rows that are no probabilities, or do not match.
    """
    probabilities, labels = _matching(probabilities, labels)
    sums = probabilities.sum(axis=1)
    # Half precision keeps three digits; anything further off is a logit or several labels.
    if not (probabilities.min() >= 0 and np.abs(sums - 1).max() <= 5e-3):
        raise ValueError(
            f"The rows sum to {sums.min():.4g} up to {sums.max():.4g} and their lowest value is "
            f"{probabilities.min():.4g}; give probabilities, such as scipy.special.softmax(logits, "
            "axis=1)."
        )
    return probabilities / sums[:, None], labels


def _matching(scores, labels) -> tuple[np.ndarray, np.ndarray]:
    scores, labels = np.asarray(scores, dtype=float), np.asarray(labels)
    if scores.ndim != 2 or labels.ndim != 1 or len(scores) != len(labels) or not len(labels):
        raise ValueError(
            f"Scores {scores.shape} and labels {labels.shape} do not match; give one row of class "
            "scores and one class number per image."
        )
    if labels.dtype.kind not in "iu" or not 0 <= labels.min() <= labels.max() < scores.shape[1]:
        raise ValueError(
            f"There are scores for classes 0 to {scores.shape[1] - 1}; write each label as one of "
            "these whole numbers."
        )
    return scores, labels
