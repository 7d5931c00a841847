import numpy as np
import pytest

from tlcourse.adaptation import coral


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(2, 5, 5))
    return rng.normal(size=(200, 5)) @ mix[0] + 1, rng.normal(size=(300, 5)) @ mix[1] - 4


def test_mean_and_covariance_become_the_targets(features):
    source, target = features
    aligned = coral(source, target, ridge=0)
    assert np.allclose(aligned.mean(axis=0), target.mean(axis=0), atol=1e-4)
    assert np.allclose(np.cov(aligned.T), np.cov(target.T), atol=1e-3)


def test_a_known_case():
    """Independent features of deviation 1 and 2, to deviation 3 and 1: each is stretched."""
    corners = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    aligned = coral(corners * [1, 2], corners * [3, 1] + [10, 0], ridge=0)
    assert np.allclose(aligned, corners * [3, 1] + [10, 0], atol=1e-5)


def test_domains_that_agree_stay_as_they_are(features):
    source, _ = features
    assert np.allclose(coral(source, source), source, atol=1e-4)


def test_the_ridge_spares_directions_without_variance(features):
    source, target = features
    flat = np.column_stack([source, np.zeros(len(source))])
    aligned = coral(flat, np.column_stack([target, np.ones(len(target))]))
    assert np.isfinite(aligned).all() and np.allclose(aligned[:, 5], 1, atol=1e-5)
    with pytest.raises(ValueError, match="no full rank.*ridge above 0"):
        coral(flat, flat, ridge=0)


@pytest.mark.parametrize(
    "source, target, said",
    [
        (np.zeros((4, 2)), np.zeros((4, 3)), r"shapes \(4, 2\) and \(4, 3\)"),
        (np.zeros(4), np.zeros(4), r"\(N, D\) and \(M, D\)"),
        (np.zeros((1, 2)), np.zeros((4, 2)), "2 or more"),
        (np.full((4, 2), np.nan), np.zeros((4, 2)), "not finite"),
    ],
)
def test_refuses_what_does_not_fit(source, target, said):
    with pytest.raises(ValueError, match=said):
        coral(source, target)


def test_refuses_a_negative_ridge(features):
    with pytest.raises(ValueError, match="ridge is -1"):
        coral(*features, ridge=-1)
