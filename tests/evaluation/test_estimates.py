import math

import numpy as np
import pytest

from tlcourse.evaluation import Estimate, bootstrap_interval, mean_interval, share_interval


def test_the_interval_is_students():
    # t(0.975, 4 degrees) = 2.776; the standard error of 1..5 is sqrt(2.5 / 5).
    found = mean_interval([1, 2, 3, 4, 5])
    assert found.mean == 3
    assert found.high - 3 == pytest.approx(2.776 * math.sqrt(0.5), abs=1e-3)
    assert found.high - 3 == pytest.approx(3 - found.low)


def test_an_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    runs = [mean_interval(rng.normal(size=5)) for _ in range(1000)]
    assert 0.93 < np.mean([run.low < 0 < run.high for run in runs]) < 0.97


def test_one_value_has_no_interval():
    found = mean_interval([0.5])
    assert found.mean == 0.5 and math.isnan(found.low) and "one run" in str(found)


@pytest.mark.parametrize(("values", "what"), [([], "nothing"), ([1, math.nan], "not finite")])
def test_bad_values_are_refused(values, what):
    with pytest.raises(ValueError, match=what):
        mean_interval(values)


def test_crops_of_one_photograph_do_not_narrow_the_interval():
    photos = np.array([0.0, 1.0, 0.0, 1.0])
    crops, group = np.repeat(photos, 50), np.repeat(np.arange(4), 50)
    alone, grouped = bootstrap_interval(crops), bootstrap_interval(crops, group)
    assert grouped.n == 4 and alone.n == 200
    assert grouped.high - grouped.low > 5 * (alone.high - alone.low)


def test_bootstrap_repeats_with_its_seed_and_counts_groups():
    values = np.random.default_rng(0).normal(size=30)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1)
    with pytest.raises(ValueError, match="give one each"):
        bootstrap_interval(values, groups=[0, 1])


def test_an_estimate_prints_short():
    assert str(Estimate(0.12345, 0.1, 0.2, 5)) == "0.123 [0.1, 0.2]"


def test_a_share_has_wilson_s_interval():
    found = share_interval(8, 10)
    assert (found.mean, found.n) == (0.8, 10)
    # By the formula of Wilson, 1927, with z = 1.959964.
    assert (found.low, found.high) == pytest.approx((0.49016, 0.94331), abs=1e-5)
    assert share_interval(10, 10).high == 1
    assert 0 < share_interval(10, 10).low < 1


@pytest.mark.parametrize("hits, total", [(0, 0), (3, 2), (-1, 2)])
def test_a_share_of_nothing_is_refused(hits, total):
    with pytest.raises(ValueError, match="no share"):
        share_interval(hits, total)
