"""How well would a backbone transfer? Scores from one pass over the target, without training."""

import numpy as np
import scipy


def log_me(features, labels) -> float:
    """LogME: the log evidence per image of a linear model from features to labels.

    For each class, its labels as 0 and 1 are explained by a linear model whose weights and noise
    are normal; weights are integrated out, and their two precisions are those that make the labels
    most probable. Evidence rewards a fit and charges for its complexity, so that, unlike training
    accuracy, it does not rise with the number of features alone. The best ratio of the two
    precisions is searched for directly, over 18 decades, since the usual fixed-point iteration can
    creep where there are more features than images. The score does not change with the scale of
    the features; it may be above zero, for it is the logarithm of a density.

    Args:
        features: finite floats `(N, D)`, such as those of `features.extract`.
        labels: class numbers `(N,)`, integers, of at least two classes.

    Returns:
        The mean over classes of the log evidence per image. Higher promises better transfer;
        compare backbones on the same images only.

    Raises:
        ValueError: shapes that do not fit, values that are not finite, or fewer than two classes.
        TypeError: labels that are not integers.

    Example:
        >>> labels = np.array([0, 0, 1, 1])
        >>> right, wrong = [[2.0], [2.1], [-2.0], [-2.1]], [[2.0], [-2.0], [2.1], [-2.1]]
        >>> log_me(right, labels) > log_me(wrong, labels)
        True

    Source: You et al., LogME, 2021 (https://arxiv.org/abs/2102.11005).
    """
    features, _, hot = _checked(features, labels)
    total = len(features)
    strength, inside = _along(features, hot)
    outside = np.maximum(hot.sum(axis=0) - inside.sum(axis=0), 0.0)
    scale = strength.max(initial=0.0) or 1.0

    def evidence(log_ratio, column):
        """Log evidence at ratios of the prior's to the noise's precision, the best noise given."""
        shrunk = strength / (scale * np.exp(np.atleast_1d(log_ratio))[:, None])
        left_over = (inside[:, column] / (1 + shrunk)).sum(axis=1) + outside[column]
        fit = np.log(2 * np.pi * np.maximum(left_over, np.finfo(float).tiny) / total) + 1
        return -0.5 * (total * fit + np.log1p(shrunk).sum(axis=1))

    grid = np.log(10.0) * np.linspace(-12, 6, 91)
    found = []
    for column in range(hot.shape[1]):
        values = evidence(grid, column)
        best = int(values.argmax())
        near = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
        finer = scipy.optimize.minimize_scalar(
            lambda point, column=column: -evidence(point, column)[0], bounds=near, method="bounded"
        )
        found.append(max(values[best], -finer.fun))
    return float(np.mean(found) / total)


def leep(source_probabilities, labels) -> float:
    """LEEP: the mean log likelihood of the labels, read off what the source's classifier says.

    The classifier of the source is run on the target's images. From its answers follows how often
    each target class comes with each source class, and from that a predictor of target classes
    that needs no training. It sees the classes of the source, not the features: a backbone without
    its classifier has no LEEP.

    Args:
        source_probabilities: `(N, Z)`, from 0 to 1, each row of sum 1, such as those of
            `models.source_probabilities`.
        labels: class numbers `(N,)`, integers, of at least two classes.

    Returns:
        The score, at most 0, which means that source classes decide the target's. It is minus the
        entropy of the labels if the answers say nothing about them. Higher promises better
        transfer.

    Raises:
        ValueError: rows that are no probabilities, shapes that do not fit, or fewer than two
            classes.
        TypeError: labels that are not integers.

    Example:
        >>> leep([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]], [0, 0, 1, 1])
        0.0

    Source: Nguyen et al., LEEP, 2020 (https://arxiv.org/abs/2002.12462).
    """
    answers, numbers, hot = _checked(source_probabilities, labels, "The source probabilities")
    if answers.min() < 0 or np.abs(answers.sum(axis=1) - 1).max() > 1e-3:
        raise ValueError(
            f"The rows of the source probabilities sum to between {answers.sum(axis=1).min():.3g} "
            f"and {answers.sum(axis=1).max():.3g}; LEEP wants probabilities, after the softmax."
        )
    joint = hot.T @ answers
    ever = joint.sum(axis=0)
    target_given_source = np.divide(joint, ever, out=np.zeros_like(joint), where=ever > 0)
    likelihoods = (answers * target_given_source[numbers]).sum(axis=1)
    # An answer that is exactly 1 comes back as 1 plus a rounding error.
    return float(np.minimum(np.log(likelihoods), 0.0).mean())


def h_score(features, labels, shrink: bool = True) -> float:
    """H-score: how far the class means lie apart, measured in the spread of the features.

    It is the trace of the inverse covariance of the features times the covariance of their class
    means: large where classes differ in directions in which images otherwise vary little.

    Args:
        features: finite floats `(N, D)`.
        labels: class numbers `(N,)`, integers, of at least two classes.
        shrink: draw the covariance towards a sphere as far as Ledoit and Wolf's formula says, and
            scale the means' covariance in proportion. Without it, as in the first paper, the score
            of any features is the number of classes minus one as soon as there are as many
            features as images: it then says nothing, and says it with a high number.

    Returns:
        The score, from 0 to the number of classes minus one. Higher promises better transfer.

    Raises:
        ValueError: shapes that do not fit, values that are not finite, or fewer than two classes.
        TypeError: labels that are not integers.

    Example:
        >>> features = [[1.0, 5.0], [1.0, -5.0], [-1.0, 5.0], [-1.0, -5.0]]
        >>> round(h_score(features, [0, 0, 1, 1], shrink=False), 6)
        1.0

    Source: Bao et al., 2019 (https://doi.org/10.1109/ICIP.2019.8803726); shrinkage by Ibrahim et
    al., 2021 (https://arxiv.org/abs/2110.06893).
    """
    features, _, hot = _checked(features, labels)
    centred = features - features.mean(axis=0)
    # Rows of root-share times mean, so that their product with themselves is the covariance.
    means = hot.T @ centred / np.sqrt(hot.sum(axis=0) * len(features))[:, None]
    if not centred.any():
        return 0.0
    if not shrink:
        return float((_along(centred, hot)[1] / hot.sum(axis=0)).sum())
    from sklearn.covariance import ledoit_wolf

    covariance, share = ledoit_wolf(centred, assume_centered=True)
    if share == 1:
        return 0.0
    # `scipy.linalg.solve` would spend most of its time on estimating the condition number.
    solved = scipy.linalg.cho_solve(scipy.linalg.cho_factor(covariance), means.T)
    return float((1 - share) * (means.T * solved).sum())


def knn_probe(features, labels, k: int = 5) -> float:
    """Accuracy of the nearest neighbours in feature space, each image left out in turn.

    It has nothing to fit and needs no validation set, for an image is never its own neighbour.

    Args:
        features: finite floats `(N, D)`.
        labels: class numbers `(N,)`, integers, of at least two classes.
        k: how many neighbours vote, by cosine similarity; of classes with equal votes, that of the
            nearest neighbour wins.

    Returns:
        Share of images whose neighbours name their class, 0 to 1.

    Raises:
        ValueError: shapes that do not fit, values that are not finite, fewer than two classes, or
            a `k` that is not a whole number from 1 to N - 1.
        TypeError: labels that are not integers.

    Example:
        >>> knn_probe([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]], [0, 0, 1, 1], k=1)
        1.0

    Source: Cover and Hart, 1967; as a score of transferability, Sorkhei et al., 2025
    (https://arxiv.org/abs/2503.18528).
    """
    features, numbers, hot = _checked(features, labels)
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k < len(features):
        raise ValueError(
            f"k is {k!r}; give a whole number from 1 to {len(features) - 1}, for each of the "
            f"{len(features)} images has that many neighbours."
        )
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=k, metric="cosine").fit(features)
    neighbours = search.kneighbors(return_distance=False)
    # Each place adds less than the ones before it together, so that ties go to the nearest.
    votes = (1 + 1e-3 * 0.5 ** np.arange(k))[:, None] * hot[neighbours]
    return float((votes.sum(axis=1).argmax(axis=1) == numbers).mean())


def _along(features: np.ndarray, hot: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How strong each axis of the features is, and the squared part of each column along it.

    Axes come from the smaller of the two products of the features with themselves, which is much
    quicker than a singular value decomposition; those below the precision of a product are left
    out.
    """
    wide = features.shape[0] <= features.shape[1]
    strength, axes = scipy.linalg.eigh(features @ features.T if wide else features.T @ features)
    kept = strength > 1e-12 * strength[-1]
    along = axes[:, kept].T @ (hot if wide else features.T @ hot)
    return strength[kept], along**2 if wide else along**2 / strength[kept, None]


def _checked(values, labels, what: str = "The features") -> tuple:
    """Values as float64, labels as class numbers without gaps, and these as columns of 0 and 1."""
    values, labels = np.asarray(values, dtype=np.float64), np.asarray(labels)
    if values.ndim != 2 or labels.shape != values.shape[:1] or not values.size:
        raise ValueError(
            f"{what} have shape {values.shape} and the labels {labels.shape}; they have to be "
            "(N, D) and (N,), one row per image."
        )
    if labels.dtype.kind not in "iu":
        raise TypeError(f"The labels are {labels.dtype}; give class numbers, which are integers.")
    if not np.isfinite(values).all():
        raise ValueError(
            f"{what} hold a value that is not finite; look for it with np.isfinite before scoring."
        )
    classes, numbers = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"All labels are {classes[0]}; a score of transferability compares at least two "
            "classes."
        )
    return values, numbers, np.eye(len(classes))[numbers]
