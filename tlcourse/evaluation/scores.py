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
