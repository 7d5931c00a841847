"""A softmax head, fitted on frozen features."""

import warnings
from dataclasses import dataclass

import keras
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tlcourse.evaluation import accuracy

# Picked once, on validation images of animals and MNIST at 50, 250 and 1,000 labels: the best or
# within one point of it everywhere. A floor of 0 loses up to ten points on MNIST.
HEAD_C = 0.1
HEAD_FLOOR = 1.0


@dataclass(frozen=True)
class Head:
    """A softmax layer fitted on frozen features.

    Attributes:
        kernel: float32 `(D, classes)`.
        bias: float32 `(classes,)`.
    """

    kernel: np.ndarray
    bias: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Scores before the softmax, `(N, classes)`."""
        return features @ self.kernel + self.bias

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Class probabilities `(N, classes)`, float32."""
        scores = self.logits(features)
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        return scores / scores.sum(axis=1, keepdims=True)

    def accuracy(self, features: np.ndarray, labels: np.ndarray) -> float:
        """Share of correct predictions."""
        return accuracy(self.logits(features), labels)


def fit_head(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int | None = None,
    C: float = HEAD_C,
    floor: float = HEAD_FLOOR,
) -> Head:
    """Fit a head on frozen features by logistic regression.

    The problem is convex: there is one best head, no learning rate, no epochs and no seed.
    Features are standardised first, those that hardly vary less than the rest, and the scaling is
    folded into the weights afterwards, so that the head fits behind the backbone as it is.

    Args:
        features: float `(N, D)`.
        labels: class numbers `(N,)` from 0.
        classes: how many there are; by default the highest label plus one.
        C: inverse strength of the L2 penalty.
        floor: the least that a feature is divided by, as a share of the median feature's standard
            deviation. With 0, a feature that hardly ever fires in these images is stretched as if
            it mattered like any other, and gets weights in the hundreds: other images, or
            fine-tuning, that make it fire are then decided by it. 1 stretches none beyond the
            median.

    Returns:
        The `Head`.

    Raises:
        ValueError: shapes that do not fit, a class without an example, or a floor below zero.

    Example:
        >>> head = fit_head(np.array([[-1.0], [-2.0], [1.0], [2.0]]), np.array([0, 0, 1, 1]))
        >>> head.accuracy(np.array([[-3.0], [3.0]]), np.array([0, 1]))
        1.0
    """
    features, labels = np.asarray(features), np.asarray(labels)
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        raise ValueError(
            f"Features of shape {features.shape} and labels of shape {labels.shape} do not fit; "
            "they have to be (N, D) and (N,)."
        )
    classes = int(labels.max()) + 1 if classes is None else classes
    missing = sorted(set(range(classes)) - set(labels.tolist()))
    if missing:
        raise ValueError(
            f"Class {missing[0]} has no example among the {len(labels)} labels; "
            "every class needs at least one."
        )
    if not floor >= 0:
        raise ValueError(f"floor is {floor}; give a share of the median deviation, 0 or more.")
    scaler = StandardScaler().fit(features)
    if floor:
        scaler.scale_ = np.maximum(scaler.scale_, floor * np.median(np.sqrt(scaler.var_)))
    fitted = LogisticRegression(C=C, max_iter=300, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted.fit(scaler.transform(features), labels)
    kernel, bias = fitted.coef_.T, fitted.intercept_
    if classes == 2:
        # Two classes share one score; a softmax over (0, score) says the same.
        kernel, bias = np.hstack([0 * kernel, kernel]), np.array([0.0, bias[0]])
    kernel = kernel / scaler.scale_[:, None]
    bias = bias - scaler.mean_ @ kernel
    return Head(kernel.astype("float32"), bias.astype("float32"))


def set_head(model: keras.Model, head: Head) -> None:
    """Put a fitted head into the layer "head" of a model from `build_classifier`, in place.

    Raises:
        ValueError: the model has no such layer, or it is of another size.
    """
    try:
        layer = model.get_layer("head")
    except ValueError:
        raise ValueError(f"{model.name} has no layer named 'head' to put the head into.") from None
    if tuple(layer.kernel.shape) != head.kernel.shape:
        raise ValueError(
            f"The model's head is {tuple(layer.kernel.shape)}, the fitted one {head.kernel.shape}; "
            "the number of features and of classes have to agree."
        )
    layer.set_weights([head.kernel, head.bias])
