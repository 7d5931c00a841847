import numpy as np
import pytest
from scipy import stats

from tlcourse.evaluation import (
    crossed_difference,
    mcnemar,
    noise_floor,
    paired_bootstrap,
    paired_difference,
)


def test_pairing_removes_what_both_sides_share():
    rng = np.random.default_rng(0)
    luck = rng.normal(scale=10, size=6)
    difference = paired_difference(luck + 1, luck)
    assert difference.low == pytest.approx(1) and difference.high == pytest.approx(1)


def test_pairs_need_partners():
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        paired_difference([1, 2], [1, 2, 3])


def crossed_world(rng, seeds, images, by_seed, by_image, by_answer):
    return (
        rng.normal(0, by_seed, (seeds, 1))
        + rng.normal(0, by_image, (1, images))
        + rng.normal(0, by_answer, (seeds, images))
    )


@pytest.mark.parametrize("sizes", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.2, 1, 1), (0.05, 0.1, 1)])
def test_an_interval_over_seeds_and_images_covers_both(sizes):
    rng = np.random.default_rng(0)
    zeros = np.zeros((5, 60))
    runs = [crossed_difference(crossed_world(rng, 5, 60, *sizes), zeros) for _ in range(500)]
    assert 0.92 <= np.mean([run.low < 0 < run.high for run in runs])


def test_seeds_alone_or_images_alone_claim_too_much():
    """The control: where both vary, an interval over one of them misses zero too often."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(300):
        world = crossed_world(rng, 5, 60, 0.05, 1, 0.5)
        zeros = np.zeros(5)
        covered.append(paired_difference(world.mean(axis=1), zeros).low < 0)
        covered[-1] &= paired_difference(world.mean(axis=1), zeros).high > 0
    assert np.mean(covered) < 0.75


def test_where_only_seeds_differ_it_is_students_interval():
    a = np.repeat([[0.1], [0.2], [0.4]], 50, axis=1)
    found, plain = crossed_difference(a, 0 * a), paired_difference(a[:, 0], [0, 0, 0])
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), rel=1e-6)


def test_mcnemar_counts_and_is_the_coin_that_it_says():
    a = [1] * 10 + [1] * 6 + [0] * 1 + [0] * 3
    b = [1] * 10 + [0] * 6 + [1] * 1 + [0] * 3
    found = mcnemar(a, b)
    assert (found.both, found.only_a, found.only_b, found.neither) == (10, 6, 1, 3)
    assert found.p == pytest.approx(2 * (1 + 7) / 2**7)  # 6 or 7 of 7 coins, either way round
    assert mcnemar(b, a).p == pytest.approx(found.p)


def test_models_that_agree_everywhere_do_not_differ():
    assert mcnemar([1, 0, 1], [1, 0, 1]).p == 1


def test_equal_models_are_told_apart_no_more_often_than_promised():
    rng = np.random.default_rng(0)
    found = [mcnemar(rng.random(200) < 0.8, rng.random(200) < 0.8).p for _ in range(500)]
    assert np.mean(np.array(found) < 0.05) < 0.06


def test_the_bootstrap_draws_the_same_images_on_both_sides():
    luck = np.random.default_rng(0).normal(scale=100, size=50)
    found = paired_bootstrap(luck + 1, luck)
    assert found.low == pytest.approx(1) and found.high == pytest.approx(1)


def test_the_bootstrap_is_near_students_interval_and_takes_any_statistic():
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 1, 400), rng.normal(0, 1, 400)
    found, plain = paired_bootstrap(a, b), paired_difference(a, b)
    assert found.mean == pytest.approx(plain.mean)
    assert found.high - found.low == pytest.approx(plain.high - plain.low, rel=0.1)
    rows = np.stack([a, b], axis=1)
    spread = paired_bootstrap(rows, rows[:, ::-1], lambda drawn: drawn[:, 0].std())
    assert spread.low < 0 < spread.high and spread.n == 400


def test_the_noise_floor_holds_the_difference_of_two_more_runs():
    scores = [0.80, 0.82, 0.84, 0.86, 0.88]
    expected = stats.t.ppf(0.975, 4) * np.sqrt(2) * np.std(scores, ddof=1)
    assert noise_floor(scores).high == pytest.approx(expected)
    rng = np.random.default_rng(0)
    floors = [noise_floor(rng.normal(size=5)).high for _ in range(2000)]
    differences = np.abs(rng.normal(size=2000) - rng.normal(size=2000))
    assert np.mean(differences < floors) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: crossed_difference([1, 0], [1, 0]), r"\(2,\) and \(2,\); give \(seeds, images\)"),
        (lambda: crossed_difference([[1, 0]], [[1, 0]]), "two of each at least"),
        (lambda: crossed_difference(np.full((2, 2), np.nan), np.eye(2)), "diverged"),
        (lambda: mcnemar([1], [1, 0]), r"\(1,\) and \(2,\); give one per image"),
        (lambda: mcnemar([3, 1], [3, 0]), "predictions == labels"),
        (lambda: mcnemar([], []), "one per image"),
        (lambda: paired_bootstrap([1], [1, 2]), "one row per image"),
        (lambda: noise_floor([0.5]), "two finite scores or more"),
        (lambda: noise_floor([0.5, np.inf]), "two finite scores or more"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_best_epoch_of_one_beside_the_last_of_the_other_makes_a_gain_of_nothing():
    rng = np.random.default_rng(0)
    runs, epochs, images = 500, 20, 500
    validation, last_test = (
        rng.binomial(images, 0.8, size) / images for size in ((runs, epochs), runs)
    )
    # Every epoch of both is as good as every other: the largest of twenty draws lies 1.87
    # standard deviations above their mean.
    gain = (validation.max(axis=1) - last_test).mean()
    assert gain == pytest.approx(1.867 * np.sqrt(0.8 * 0.2 / images), abs=0.003)
    assert abs((validation[:, -1] - last_test).mean()) < 0.003
