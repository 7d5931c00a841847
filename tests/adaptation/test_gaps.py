import numpy as np
import pytest

from tlcourse.adaptation import drift, mmd, proxy_a_distance
from tlcourse.adaptation.gaps import median_distance


def cloud(n, shift=0.0, seed=0, dims=6):
    return np.random.default_rng(seed).normal(shift, 1, (n, dims))


class TestProxyADistance:
    def test_two_where_everything_gives_the_domain_away(self):
        assert proxy_a_distance(cloud(60), cloud(60, 9.0, seed=1)) == 2.0

    def test_near_zero_where_nothing_does(self):
        assert proxy_a_distance(cloud(800), cloud(800, seed=1)) < 0.25

    def test_is_judged_on_examples_that_it_was_not_fitted_on(self):
        """With more features than examples a classifier fits anything, and proves nothing."""
        found = [
            proxy_a_distance(cloud(40, dims=200, seed=s), cloud(40, dims=200, seed=s + 50), seed=s)
            for s in range(8)
        ]
        assert np.mean(found) < 0.5

    def test_equal_numbers_of_both_are_used(self):
        assert proxy_a_distance(cloud(2000), cloud(40, seed=1)) < 1.2

    def test_refuses_too_few(self):
        with pytest.raises(ValueError, match="4 or more"):
            proxy_a_distance(cloud(3), cloud(9))


class TestMmd:
    def test_zero_on_average_for_samples_of_one_distribution(self):
        found = np.array([mmd(cloud(30, seed=s), cloud(40, seed=s + 500)) for s in range(200)])
        error = found.std() / np.sqrt(len(found))
        assert abs(found.mean()) < 3 * error
        assert found.min() < 0 < found.max()

    def test_grows_with_the_distance(self):
        found = [mmd(cloud(50), cloud(50, shift, seed=1), width=3.0) for shift in (0.0, 0.5, 2.0)]
        assert found[0] < found[1] < found[2]

    def test_a_known_case(self):
        """Within: one pair at distance 1 each. Across: the four distances 2, 3, 1 and 2."""
        k = lambda d: np.exp(-(d**2) / 2)  # noqa: E731
        expected = 2 * k(1) - 2 * (2 * k(2) + k(3) + k(1)) / 4
        found = mmd(np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]]), width=1.0)
        assert found == pytest.approx(expected)

    def test_the_width_is_the_median_distance(self):
        points = np.array([[0.0], [1.0], [3.0]])  # distances 1, 2, 3
        assert median_distance(points) == pytest.approx(2.0)

    def test_refuses_a_width_that_is_none(self):
        with pytest.raises(ValueError, match="above 0"):
            mmd(np.zeros((3, 2)), np.zeros((3, 2)))
        with pytest.raises(ValueError, match="width is -1"):
            mmd(cloud(3), cloud(3), width=-1)


class TestDrift:
    def test_in_deviations_of_the_source_with_its_sign(self):
        source = np.array([[0.0, 10.0], [2.0, 30.0]])
        assert drift(source, source + [3.0, -5.0]) == pytest.approx([3.0, -0.5])

    def test_a_constant_feature_is_counted_in_units_of_the_others(self):
        source = np.array([[0.0, 7.0], [4.0, 7.0]])
        assert drift(source, source + [0.0, 1.0]) == pytest.approx([0.0, 0.5])


@pytest.mark.parametrize("measure", [proxy_a_distance, mmd, drift])
def test_refuses_features_that_do_not_fit(measure):
    with pytest.raises(ValueError, match="shapes"):
        measure(np.zeros((5, 2)), np.zeros((5, 3)))
    with pytest.raises(ValueError, match="not finite"):
        measure(np.full((5, 2), np.inf), np.zeros((5, 2)))
