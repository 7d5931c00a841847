"""Choose a model or a setting for a target that has no labels."""

import numpy as np


def information(probabilities: np.ndarray) -> float:
    """How much a model's answers say about the images, in nats, from 0 to log(classes).

    The entropy of the mean answer, less the mean entropy of the answers: high if the model is sure
    of each image and still uses every class. It needs no labels. It trusts that the classes are
    about equally frequent, and it cannot tell sure and right from sure and wrong.

    Args:
        probabilities: of the target's images, `(N, classes)`, rows that sum to 1.

    Raises:
        ValueError: another shape, or rows that do not sum to 1.

    Source: Bridle, Heading and MacKay, 1991 (Unsupervised classifiers, mutual information and
    "phantom targets"); compared as a way of choosing by Musgrave and others, 2022
    (https://arxiv.org/abs/2208.07360).

    Example:
        >>> bool(np.isclose(information(np.eye(4)), np.log(4)))
        True
        >>> information(np.full((3, 2), 0.5))
        0.0
    """
    probabilities = np.asarray(probabilities, float)
    if probabilities.ndim != 2 or not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3):
        raise ValueError(
            f"Probabilities of shape {probabilities.shape} whose rows do not all sum to 1; give "
            "what a softmax says, (N, classes)."
        )
    return float(_entropy(probabilities.mean(axis=0)) - _entropy(probabilities).mean())


def _entropy(p: np.ndarray) -> np.ndarray:
    return -(p * np.log(np.maximum(p, 1e-12))).sum(axis=-1)
