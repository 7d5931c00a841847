import math

import numpy as np
import pytest

from tlcourse.evaluation import (
    Estimate,
    accuracy,
    bootstrap_interval,
    labels_saved,
    mean_interval,
    paired_difference,
)


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


def test_pairing_removes_what_both_sides_share():
    rng = np.random.default_rng(0)
    luck = rng.normal(scale=10, size=6)
    difference = paired_difference(luck + 1, luck)
    assert difference.low == pytest.approx(1) and difference.high == pytest.approx(1)


def test_pairs_need_partners():
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        paired_difference([1, 2], [1, 2, 3])


def test_accuracy_takes_scores_or_classes():
    scores = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    assert accuracy(scores, [1, 0, 0]) == pytest.approx(2 / 3)
    assert accuracy(scores.argmax(1), [1, 0, 0]) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="3 predictions do not match 2 labels"):
        accuracy(scores, [1, 0])


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


def test_labels_saved_is_read_off_the_curves():
    sizes = [10, 100, 1000]
    assert labels_saved(sizes, [0.5, 0.7, 0.9], [0.3, 0.5, 0.7]) == pytest.approx(10)
    assert labels_saved(sizes, [0.3, 0.5, 0.7], [0.5, 0.7, 0.9]) == pytest.approx(0.1)
    assert labels_saved(sizes, [0.5, 0.6, 0.7], [0.5, 0.6, 0.7]) == pytest.approx(1)


def test_labels_saved_interpolates_on_a_log_axis():
    # Scratch reaches 0.6 halfway between 10 and 1,000 on the axis: at 100.
    assert labels_saved([10, 1000], [0.6, 0.6], [0.4, 0.8]) == pytest.approx(10)


def test_an_estimate_prints_short():
    assert str(Estimate(0.12345, 0.1, 0.2, 5)) == "0.123 [0.1, 0.2]"
