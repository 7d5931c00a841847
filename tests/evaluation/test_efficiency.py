import numpy as np
import pytest

from tlcourse.evaluation import (
    epochs_needed,
    labels_needed,
    labels_saved,
    labels_saved_over_seeds,
)

SIZES = [10, 100, 1000]


def test_labels_saved_is_read_off_the_curves():
    assert labels_saved(SIZES, [0.5, 0.7, 0.9], [0.3, 0.5, 0.7]) == pytest.approx(10)
    assert labels_saved(SIZES, [0.3, 0.5, 0.7], [0.5, 0.7, 0.9]) == pytest.approx(0.1)
    assert labels_saved(SIZES, [0.5, 0.6, 0.7], [0.5, 0.6, 0.7]) == pytest.approx(1)


def test_labels_saved_interpolates_on_a_log_axis():
    # Scratch reaches 0.6 halfway between 10 and 1,000 on the axis: at 100.
    assert labels_saved([10, 1000], [0.6, 0.6], [0.4, 0.8]) == pytest.approx(10)


@pytest.mark.parametrize(
    ("curve", "said"),
    [
        ([0.9, 0.9, 0.9], "at most 10 labels"),
        ([0.1, 0.1, 0.1], "more than 1,000 labels"),
        ([0.1, 0.7, 0.9], "about 316 labels"),
        ([0.8, 0.1, 0.1], "at most 10 labels"),
        ([0.1, 0.8, 0.1], "about 100 labels"),
    ],
)
def test_the_best_case_and_the_failure_do_not_look_alike(curve, said):
    assert str(labels_needed(SIZES, curve, 0.8)) == said


def test_ratios_are_averaged_by_their_logarithms():
    up, down = [0.5, 0.7, 0.9], [0.3, 0.5, 0.7]
    found = labels_saved_over_seeds(SIZES, [up, down], [down, up])
    assert found.ratio.mean == pytest.approx(1)
    assert found.ratios == pytest.approx((10, 0.1))
    assert found.ratio.low * found.ratio.high == pytest.approx(1) and found.ratio.n == 2


def test_every_seed_counts_as_labels_saved_counts_it():
    rng = np.random.default_rng(0)
    transfer, scratch = (np.sort(rng.random((4, 3)), axis=1) for _ in range(2))
    found = labels_saved_over_seeds(SIZES, transfer, scratch)
    alone = [labels_saved(SIZES, t, s) for t, s in zip(transfer, scratch, strict=True)]
    assert found.ratios == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize(
    ("transfer", "scratch", "bound"),
    [
        ([0.5, 0.7, 0.9], [0.3, 0.5, 0.7], ""),
        ([0.8, 0.8, 0.9], [0.3, 0.5, 0.7], "at least"),
        ([0.3, 0.5, 0.7], [0.8, 0.8, 0.9], "at most"),
        ([0.7, 0.7, 0.7], [0.7, 0.7, 0.7], "unknown"),
    ],
)
def test_a_bound_is_called_one(transfer, scratch, bound):
    found = labels_saved_over_seeds(SIZES, [transfer], [scratch])
    assert found.bound == bound and str(found).startswith(bound)


def test_bounds_of_two_kinds_leave_nothing_to_say():
    over, under = [0.8, 0.8, 0.9], [0.3, 0.5, 0.7]
    assert labels_saved_over_seeds(SIZES, [over, under], [under, over]).bound == "unknown"
    within = [0.5, 0.7, 0.9]
    assert labels_saved_over_seeds(SIZES, [over, within], [under, under]).bound == "at least"


def test_one_seed_has_a_ratio_and_no_interval():
    found = labels_saved_over_seeds(SIZES, [[0.5, 0.7, 0.9]], [[0.3, 0.5, 0.7]])
    assert found.ratio.mean == pytest.approx(10) and np.isnan(found.ratio.low)


def test_epochs_are_counted_from_one_and_never_is_not_the_first():
    assert epochs_needed([0.9, 0.8], target=0.9) == 1
    assert epochs_needed([0.1, 0.5, 0.9], target=0.5) == 2
    assert epochs_needed([0.1, 0.2], target=0.5) is None
    assert epochs_needed([0.1, 0.94, 0.96, 1.0]) == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: labels_needed([10, 100], [0.5], 0.5), "one accuracy per size"),
        (lambda: labels_needed([100, 10], [0.5, 0.6], 0.5), "Sizes must rise"),
        (lambda: labels_needed([0, 10], [0.5, 0.6], 0.5), "from above 0"),
        (lambda: labels_needed([10], [np.nan], 0.5), "must be a number"),
        (lambda: labels_saved_over_seeds(SIZES, [0.1, 0.2, 0.3], [0.1, 0.2, 0.3]), "twice"),
        (lambda: epochs_needed([]), "no epoch"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
