import numpy as np
import pytest
from scipy import special
from sklearn.calibration import calibration_curve

from tlcourse.evaluation import (
    accuracy_of_the_surest,
    ece_by_chance,
    fit_temperature,
    negative_log_likelihood,
    reliability,
    soften,
)


def world(n, sharpness=1.0, classes=5, seed=0):
    """Probabilities whose logits are `sharpness` times those that the labels are drawn from."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(n, classes))
    truth = special.softmax(logits, axis=1)
    labels = (truth.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return special.softmax(sharpness * logits, axis=1), labels


def test_bins_hold_what_can_be_counted_on_fingers():
    # Three answers at 0.9 of which two are right, one at 0.6 that is wrong.
    probabilities = [[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.6, 0.4]]
    found = reliability(probabilities, [0, 1, 1, 1], bins=10)
    assert found.counts.tolist() == [1, 3]
    assert found.confidence == pytest.approx([0.6, 0.9])
    assert [share.mean for share in found.accuracy] == pytest.approx([0, 2 / 3])
    assert found.gaps == pytest.approx([0.6, 0.9 - 2 / 3])
    assert found.ece == pytest.approx((1 * 0.6 + 3 * (0.9 - 2 / 3)) / 4)
    assert found.overconfidence == pytest.approx((0.6 + 3 * 0.9) / 4 - 0.5)


@pytest.mark.parametrize(("binning", "theirs"), [("width", "uniform"), ("count", "quantile")])
def test_bins_agree_with_scikit_learn(binning, theirs):
    probabilities, labels = world(600)
    found = reliability(probabilities, labels, 10, binning)
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    shares, means = calibration_curve(correct, confidence, n_bins=10, strategy=theirs)
    assert found.confidence == pytest.approx(means, abs=1e-9)
    assert [share.mean for share in found.accuracy] == pytest.approx(shares, abs=1e-9)


def test_gaps_that_cancel_in_the_mean_do_not_cancel_in_the_error():
    probabilities = [[0.9, 0.1]] * 2 + [[0.6, 0.4]] * 2
    found = reliability(probabilities, [0, 1, 0, 0], bins=10)  # 0.9 half right, 0.6 all right
    assert found.ece == pytest.approx(0.4)
    assert found.overconfidence == pytest.approx(0, abs=1e-9)


def test_complete_certainty_falls_into_the_last_bin():
    assert reliability([[1.0, 0.0], [0.95, 0.05]], [0, 0], bins=10).counts.tolist() == [2]


def test_a_perfect_model_shows_an_error_that_chance_explains_and_a_sharp_one_does_not():
    for n in (200, 2000):
        chance = ece_by_chance(world(n)[0])
        found = [reliability(*world(n, seed=seed)).ece for seed in range(40)]
        assert np.mean(found) == pytest.approx(chance.mean, rel=0.1)
        assert reliability(*world(n, sharpness=3)).ece > chance.high
    assert ece_by_chance(world(200)[0]).mean > 2 * ece_by_chance(world(2000)[0]).mean


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 3.0])
def test_the_temperature_that_was_put_in_is_found_again(sharpness):
    assert fit_temperature(*world(20_000, sharpness)) == pytest.approx(sharpness, rel=0.03)


def test_the_temperature_mends_other_images_and_changes_no_answer():
    temperature = fit_temperature(*world(1000, sharpness=3, seed=1))
    probabilities, labels = world(2000, sharpness=3, seed=2)
    mended = soften(probabilities, temperature)
    assert reliability(mended, labels).ece < 0.4 * reliability(probabilities, labels).ece
    assert negative_log_likelihood(mended, labels) < negative_log_likelihood(probabilities, labels)
    assert (mended.argmax(axis=1) == probabilities.argmax(axis=1)).all()
    assert np.allclose(mended.sum(axis=1), 1)


def test_probabilities_of_zero_do_no_harm():
    probabilities = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], np.float32)
    temperature = fit_temperature(probabilities, [0, 1, 1])
    assert np.isfinite(temperature) and temperature > 10
    assert (soften(probabilities, temperature) > 0.05).all()


def test_one_leaves_and_heat_levels():
    probabilities, _ = world(50)
    assert soften(probabilities, 1) == pytest.approx(probabilities, abs=1e-9)
    assert soften(probabilities, 1e6) == pytest.approx(np.full((50, 5), 0.2), abs=1e-4)


def test_no_mistake_no_temperature():
    with pytest.raises(ValueError, match="All 2 answers are right"):
        fit_temperature([[0.9, 0.1], [0.2, 0.8]], [0, 1])


def test_handing_over_the_unsure_helps_only_if_the_measure_knows():
    rng = np.random.default_rng(0)
    correct = rng.random(1000) < 0.8
    knowing = accuracy_of_the_surest(~correct, correct, [0.5, 0.8, 0.9, 1])
    right = correct.mean()
    assert knowing == pytest.approx([1, min(1, right / 0.8), right / 0.9, right])
    blind = accuracy_of_the_surest(np.zeros(1000), correct, [0.1, 0.5, 1])
    assert blind == pytest.approx([right] * 3)
    assert accuracy_of_the_surest(correct, correct, [0.1])[0] == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: reliability([[0.9, 0.1]], [0], bins=0), "Got 0 bins"),
        (lambda: reliability([[0.9, 0.1]], [0], binning="area"), "'area'; write at least 1, by wi"),
        (lambda: reliability([[9.0, -8.0]], [0]), "give probabilities"),
        (lambda: fit_temperature([[3.0, 1.0]], [0]), "sum to 4"),
        (lambda: soften([[0.5, 0.5]], 0), "temperature is 0"),
        (lambda: soften([[0.5, 0.5]], np.nan), "temperature is nan"),
        (lambda: accuracy_of_the_surest([1, 2], [1]), "do not match"),
        (lambda: accuracy_of_the_surest([np.nan], [1]), "not finite"),
        (lambda: accuracy_of_the_surest([1], [1], [0]), "above 0 up to 1"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
