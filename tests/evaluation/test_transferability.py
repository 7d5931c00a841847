"""Scores of transferability: closed forms, brute force, and what a wrong formula would miss."""

import numpy as np
import pytest
from scipy import optimize, stats

from tlcourse.evaluation import h_score, knn_probe, leep, log_me


def toy(images=40, width=6, classes=3, signal=1.0, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    centres = rng.normal(size=(classes, width))
    return rng.normal(size=(images, width)) + signal * centres[labels], labels


def brute_evidence(features, target):
    """The log evidence by its definition: a normal density, maximised over both precisions."""

    def loss(logs):
        alpha, beta = np.exp(np.clip(logs, -30, 30))
        covariance = np.eye(len(target)) / beta + features @ features.T / alpha
        return -stats.multivariate_normal.logpdf(target, cov=covariance)

    starts = [(a, b) for a in (-4.0, 0.0, 4.0) for b in (0.0, 3.0)]
    return max(-optimize.minimize(loss, s, method="Nelder-Mead").fun for s in starts)


@pytest.mark.parametrize("width", [3, 30])
def test_log_me_is_the_evidence_by_its_definition(width):
    features, labels = toy(images=20, width=width, classes=3)
    by_class = [brute_evidence(features, (labels == c).astype(float)) for c in range(3)]
    assert log_me(features, labels) == pytest.approx(np.mean(by_class) / 20, abs=2e-4)


def test_log_me_rises_with_the_signal_and_charges_for_useless_features():
    features, labels = toy(signal=1.0)
    stronger, _ = toy(signal=3.0)
    padded = np.hstack([features, np.random.default_rng(1).normal(size=(40, 30))])
    assert log_me(stronger, labels) > log_me(features, labels) > log_me(padded, labels)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_log_me_does_not_change_with_the_scale_of_the_features(scale):
    features, labels = toy(width=60)
    assert log_me(scale * features, labels) == pytest.approx(log_me(features, labels), abs=1e-6)


def test_log_me_of_features_that_say_nothing_is_that_of_a_constant_guess():
    labels = np.array([0, 1, 1, 1])
    share = np.array([1, 3]) / 4  # the mean square of a column of 0 and 1 is its share
    expected = np.mean(-0.5 * (np.log(2 * np.pi * share) + 1))
    assert log_me(np.zeros((4, 2)), labels) == pytest.approx(expected)


@pytest.mark.parametrize("images", [5, 50])
def test_log_me_stays_finite_where_the_labels_are_fitted_exactly(images):
    labels = np.arange(images) % 2
    exact = np.eye(2)[labels] * 3
    assert np.isfinite(log_me(exact, labels))
    assert log_me(exact, labels) > log_me(toy(images, classes=2)[0], labels)


def test_leep_of_certain_answers_is_minus_the_conditional_entropy():
    # Source class 0 comes with target classes 0, 0, 1; source class 1 with target class 1 only.
    source, labels = np.eye(2)[[0, 0, 0, 1]], [0, 0, 1, 1]
    expected = (2 * np.log(2 / 3) + np.log(1 / 3) + np.log(1)) / 4
    assert leep(source, labels) == pytest.approx(expected)


def test_leep_of_empty_answers_is_minus_the_entropy_of_the_labels():
    labels = np.array([0, 0, 0, 1])
    expected = 0.75 * np.log(0.75) + 0.25 * np.log(0.25)
    assert leep(np.full((4, 5), 0.2), labels) == pytest.approx(expected)


def test_leep_does_the_papers_sums():
    rng = np.random.default_rng(0)
    source, labels = rng.dirichlet(np.ones(4), 12), np.arange(12) % 3
    total = 0.0
    for i in range(12):
        likelihood = 0.0
        for z in range(4):
            joint = sum(source[j, z] for j in range(12) if labels[j] == labels[i])
            likelihood += joint / source[:, z].sum() * source[i, z]
        total += np.log(likelihood)
    assert leep(source, labels) == pytest.approx(total / 12)


def test_leep_passes_over_source_classes_that_no_image_has():
    source, labels = np.eye(2)[[0, 0, 1, 1]], [0, 0, 1, 1]
    assert leep(np.hstack([source, np.zeros((4, 7))]), labels) == leep(source, labels) == 0.0


def test_h_score_is_the_trace_by_its_definition():
    features, labels = toy(images=60, width=4)
    centred = features - features.mean(axis=0)
    means = np.stack([centred[labels == c].mean(axis=0) for c in range(3)])[labels]
    between, within = means.T @ means / 60, centred.T @ centred / 60
    expected = np.trace(np.linalg.inv(within) @ between)
    assert h_score(features, labels, shrink=False) == pytest.approx(expected)


def test_shrunk_h_score_is_the_second_papers_and_close_to_the_first_with_many_images():
    from sklearn.covariance import ledoit_wolf

    features, labels = toy(images=60, width=4)
    centred = features - features.mean(axis=0)
    means = np.stack([centred[labels == c].mean(axis=0) for c in range(3)])[labels]
    covariance, share = ledoit_wolf(centred)
    expected = np.trace((1 - share) * np.linalg.inv(covariance) @ (means.T @ means / 60))
    assert h_score(features, labels) == pytest.approx(expected)
    many, their = toy(images=6000, width=4)
    assert h_score(many, their) == pytest.approx(h_score(many, their, shrink=False), rel=0.01)


def test_without_shrinkage_h_score_praises_noise_once_features_are_as_many_as_images():
    noise = np.random.default_rng(0).normal(size=(30, 50))
    labels = np.arange(30) % 3
    assert h_score(noise, labels, shrink=False) == pytest.approx(2.0)
    features, _ = toy(images=30, width=50)
    assert h_score(noise, labels) < 0.5 * h_score(features, labels)


def test_h_score_of_constant_features_is_zero():
    assert h_score(np.ones((4, 3)), [0, 0, 1, 1]) == 0.0


def test_an_image_is_not_its_own_neighbour():
    features = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1], [0.1, 1.0]])
    assert knn_probe(features, [0, 1, 1, 0], k=1) == 0.0


def test_neighbours_vote_and_a_tie_goes_to_the_nearest():
    angles = np.radians([0, 1, 3, 90, 91, 93])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labels = [0, 0, 1, 1, 1, 1]
    # Image 0 sees classes 0 and 1 with one vote each, the nearer one first; image 2 sees 0 and 0.
    assert knn_probe(features, labels, k=2) == pytest.approx(5 / 6)


@pytest.mark.parametrize("score", [log_me, h_score, knn_probe, leep])
def test_order_of_images_and_names_of_classes_do_not_matter(score):
    features, labels = toy()
    if score is leep:
        features = np.exp(features) / np.exp(features).sum(axis=1, keepdims=True)
    order = np.random.default_rng(0).permutation(len(labels))
    again = score(features[order], np.array([40, 7, 12])[labels][order])
    assert again == pytest.approx(score(features, labels))


@pytest.mark.parametrize("score", [log_me, h_score, knn_probe, leep])
@pytest.mark.parametrize(
    ("features", "labels", "error", "message"),
    [
        (np.ones((4, 2)), [0, 1], ValueError, "one row per image"),
        (np.ones(4), [0, 1, 0, 1], ValueError, r"\(N, D\)"),
        (np.ones((0, 2)), [], ValueError, "one row per image"),
        (np.ones((4, 2)), [1, 1, 1, 1], ValueError, "All labels are 1"),
        (np.full((4, 2), np.nan), [0, 1, 0, 1], ValueError, "not finite"),
        (np.ones((4, 2)), [0.0, 1.0, 0.0, 1.0], TypeError, "integers"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(score, features, labels, error, message):
    with pytest.raises(error, match=message) as caught:
        score(features, labels)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_logits_are_no_probabilities():
    with pytest.raises(ValueError, match="after the softmax"):
        leep([[3.0, -1.0], [0.0, 2.0]], [0, 1])


@pytest.mark.parametrize("k", [0, 4, 2.0, True])
def test_there_are_only_so_many_neighbours(k):
    with pytest.raises(ValueError, match="from 1 to 3"):
        knn_probe(np.eye(4), [0, 1, 0, 1], k=k)
