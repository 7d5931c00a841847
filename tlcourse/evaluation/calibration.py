"""Is a model as often right as it says? Reliability, and the temperature that mends it.

Everything here takes probabilities. Logits become probabilities by `scipy.special.softmax`.
"""

from dataclasses import dataclass

import numpy as np
import scipy

from tlcourse.evaluation.estimates import Estimate, share_interval
from tlcourse.evaluation.scores import checked

BINNINGS = ("width", "count")
_COLDEST, _HOTTEST = 0.01, 100.0


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often a model was right, by how sure it was. Bins without an image are left out.

    Attributes:
        confidence: mean of the highest probability in each bin `(B,)`.
        accuracy: share of correct answers in each bin, with Wilson's interval.
        counts: images in each bin `(B,)`.
    """

    confidence: np.ndarray
    accuracy: tuple[Estimate, ...]
    counts: np.ndarray

    @property
    def gaps(self) -> np.ndarray:
        """Confidence minus accuracy `(B,)`: above 0 the model is too sure."""
        return self.confidence - np.array([share.mean for share in self.accuracy])

    @property
    def ece(self) -> float:
        """Expected calibration error: the mean size of the gaps, each weighted by its images."""
        return float(np.average(np.abs(self.gaps), weights=self.counts))

    @property
    def overconfidence(self) -> float:
        """Mean confidence minus accuracy, all images together; below 0 the model is too modest."""
        return float(np.average(self.gaps, weights=self.counts))

    def __str__(self) -> str:
        return f"ECE {self.ece:.3f}, confidence minus accuracy {self.overconfidence:+.3f}"


def reliability(probabilities, labels, bins: int = 15, binning: str = "width") -> Reliability:
    """Sort images by the probability of the predicted class and compare with the truth.

    Args:
        probabilities: `(N, classes)`, each row sums to 1.
        labels: class numbers `(N,)`.
        bins: how many, 1 or more.
        binning: "width", bins of equal width from 0 to 1, as in the papers; or "count", bins of
            equally many images, which is steadier where nearly all images are in the last bin.

    Raises:
        ValueError: rows that are no probabilities, no bins, or another binning.

    Source: Guo et al., 2017 (https://arxiv.org/abs/1706.04599), with 15 bins of equal width.

    Example:
        >>> print(reliability([[0.9, 0.1], [0.9, 0.1]], [0, 1]))
        ECE 0.400, confidence minus accuracy +0.400
    """
    probabilities, labels = checked(probabilities, labels)
    confidence = probabilities.max(axis=1)
    place = _bins(confidence, bins, binning)
    correct = probabilities.argmax(axis=1) == labels
    used = np.unique(place)
    return Reliability(
        np.array([confidence[place == i].mean() for i in used]),
        tuple(
            share_interval(int(correct[place == i].sum()), int((place == i).sum())) for i in used
        ),
        np.array([(place == i).sum() for i in used]),
    )


def _bins(confidence: np.ndarray, bins: int, binning: str) -> np.ndarray:
    if bins < 1 or binning not in BINNINGS:
        raise ValueError(
            f"Got {bins} bins by {binning!r}; write at least 1, by {' or '.join(BINNINGS)}."
        )
    if binning == "width":
        return np.minimum((confidence * bins).astype(int), bins - 1)
    order = np.argsort(confidence, kind="stable")
    place = np.empty(len(confidence), int)
    for i, members in enumerate(np.array_split(order, bins)):
        place[members] = i
    return place


def ece_by_chance(
    probabilities, bins: int = 15, binning: str = "width", draws: int = 500, seed: int = 0
) -> Estimate:
    """The calibration error that a model with these probabilities would show if it were perfect.

    The error is never negative, so chance only adds to it: the fewer images, the more. Truths are
    drawn from the model's own probabilities. Only an error above the interval tells that the model
    is miscalibrated.

    Args:
        probabilities: `(N, classes)`, each row sums to 1.
        bins, binning: as in `reliability`.
        draws: how many times the truths are drawn.
        seed: of the draws.

    Returns:
        Mean and range of the central 95 % of the draws; `n` is the number of images.

    Source: consistency resampling, Bröcker and Smith, 2007 (doi:10.1175/WAF993.1).

    Example:
        >>> str(ece_by_chance([[1.0, 0.0]] * 5))
        '0 [0, 0]'
    """
    probabilities, _ = checked(probabilities, np.zeros(len(probabilities), int))
    confidence = probabilities.max(axis=1)
    place = _bins(confidence, bins, binning)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        surplus = confidence - (rng.random(len(confidence)) < confidence)
        # The weight of a bin cancels against the mean in it.
        found.append(np.abs(np.bincount(place, surplus)).sum() / len(confidence))
    low, high = np.quantile(found, [0.025, 0.975])
    return Estimate(float(np.mean(found)), float(low), float(high), len(confidence))


def fit_temperature(probabilities, labels) -> float:
    """Find the one number that makes a model as sure as it should be.

    Every logit is divided by it, which changes no answer: above 1 the model becomes less sure,
    below 1 surer. It is the number at which the labels are most likely. Fit it on validation
    images, which neither trained the model nor test it.

    Args:
        probabilities: of validation images `(N, classes)`, each row sums to 1. Logarithms of
            probabilities serve as logits: they differ by a constant that the softmax ignores.
        labels: their class numbers `(N,)`.

    Returns:
        The temperature, from 0.01 to 100.

    Raises:
        ValueError: rows that are no probabilities, or no answer is wrong, so that no certainty
            would be too much.

    Source: Guo et al., 2017 (https://arxiv.org/abs/1706.04599).

    Example:
        >>> says_nine_in_ten = [[0.9, 0.1]] * 5
        >>> right_in_four_of_five = fit_temperature(says_nine_in_ten, [0, 0, 0, 0, 1])
        >>> soften([[0.9, 0.1]], right_in_four_of_five).round(3).tolist()
        [[0.8, 0.2]]
    """
    probabilities, labels = checked(probabilities, labels)
    if (probabilities.argmax(axis=1) == labels).all():
        raise ValueError(
            f"All {len(labels)} answers are right, so every certainty would do; give more "
            "validation images, some of which the model gets wrong."
        )
    logits = _logits(probabilities)
    rows = np.arange(len(labels))

    def loss(log_temperature):
        return -scipy.special.log_softmax(logits / np.exp(log_temperature), axis=1)[
            rows, labels
        ].mean()

    ends = np.log([_COLDEST, _HOTTEST])
    found = scipy.optimize.minimize_scalar(
        loss, bounds=ends, method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(found.x))


def soften(probabilities, temperature: float) -> np.ndarray:
    """The probabilities after every logit is divided by a temperature.

    Args:
        probabilities: `(N, classes)`, each row sums to 1.
        temperature: above 0; 1 changes nothing.

    Returns:
        New probabilities, float64 `(N, classes)`.

    Raises:
        ValueError: rows that are no probabilities, or a temperature that is not above 0.

    Example:
        >>> soften([[0.8, 0.2]], 2).round(3).tolist()
        [[0.667, 0.333]]
    """
    probabilities, _ = checked(probabilities, np.zeros(len(probabilities), int))
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; write a number above 0.")
    return scipy.special.softmax(_logits(probabilities) / temperature, axis=1)


def _logits(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))


def accuracy_of_the_surest(uncertainty, correct, shares=(0.25, 0.5, 0.75, 1.0)) -> np.ndarray:
    """Accuracy of the answers that are kept when the least sure ones are handed to a person.

    A measure of uncertainty is worth something if this rises as fewer answers are kept; two
    measures are compared on the same answers.

    Args:
        uncertainty: `(N,)`, higher is less sure, such as one minus the highest probability, the
            entropy, or the mutual information of Monte Carlo dropout.
        correct: whether each answer is right `(N,)`.
        shares: of the images that are kept, above 0 up to 1.

    Returns:
        Accuracy at each share, float64. Images that are equally unsure count in equal parts, so
        that an uncertainty that is the same everywhere gives the accuracy of all.

    Raises:
        ValueError: different lengths, uncertainties that are not finite, or another share.

    Example:
        >>> accuracy_of_the_surest([0.1, 0.2, 0.3, 0.9], [True, True, True, False]).tolist()
        [1.0, 1.0, 1.0, 0.75]
    """
    uncertainty, correct = np.asarray(uncertainty, float), np.asarray(correct, float)
    if uncertainty.ndim != 1 or uncertainty.shape != correct.shape or not len(correct):
        raise ValueError(
            f"Uncertainties {uncertainty.shape} and answers {correct.shape} do not match; give one "
            "of each per image."
        )
    if not np.isfinite(uncertainty).all():
        raise ValueError("An uncertainty is not finite; give a number for each image.")
    shares = np.asarray(shares, float)
    if not ((shares > 0) & (shares <= 1)).all():
        raise ValueError(f"Got shares {shares.tolist()}; write numbers above 0 up to 1.")
    values, place = np.unique(uncertainty, return_inverse=True)
    # Within a tie every image has the mean correctness of the tie.
    expected = (np.bincount(place, correct) / np.bincount(place))[place]
    kept = np.concatenate([[0], np.cumsum(expected[np.argsort(uncertainty, kind="stable")])])
    counts = shares * len(correct)
    return np.interp(counts, np.arange(len(kept)), kept) / counts
