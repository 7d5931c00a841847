import numpy as np
import pytest

from tlcourse.evaluation import should_transfer

NOISE = np.array([0.01, -0.01, 0.005, -0.005, 0.0])
HIGH, LOW = 0.9 + NOISE, 0.8 + NOISE[::-1]


def test_a_clear_gain_over_every_baseline():
    found = should_transfer(HIGH, {"small CNN": LOW, "random weights": LOW - 0.1})
    assert found.verdict == "transfer" and "every baseline" in found.reason
    gains = [each.gain.mean for each in found.evidence]
    assert gains == pytest.approx([0.1, 0.2])


def test_one_baseline_that_is_better_is_enough():
    found = should_transfer(LOW, {"small CNN": HIGH, "random weights": LOW - 0.1})
    assert found.verdict == "do not transfer" and "small CNN scores higher" in found.reason


def test_a_gain_of_two_points_on_one_run_decides_nothing():
    found = should_transfer([0.87], {"small CNN": [0.85]})
    assert found.verdict == "undecided" and "one seed" in found.reason
    assert found.seeds_needed is None and "one run" in str(found)


def test_a_gain_within_the_noise_is_undecided_and_says_how_many_seeds_it_takes():
    rng = np.random.default_rng(0)

    def gains(seeds, mean=0.03, deviation=0.04):
        drawn = rng.normal(size=seeds)
        return mean + deviation * (drawn - drawn.mean()) / drawn.std(ddof=1)

    def decide(seeds):
        same = np.full(seeds, 0.8)
        return should_transfer(same + gains(seeds), {"small CNN": same})

    found = decide(5)
    assert found.verdict == "undecided" and found.seeds_needed > 5
    assert f"About {found.seeds_needed} seeds" in str(found)
    assert decide(found.seeds_needed).verdict == "transfer"
    assert decide(found.seeds_needed - 1).verdict == "undecided"


def test_a_sure_gain_that_is_too_small_is_no_difference():
    found = should_transfer(LOW + 0.004, {"small CNN": LOW})
    assert found.verdict == "no difference" and "let the cost decide" in found.reason
    assert should_transfer(LOW + 0.004, {"small CNN": LOW}, worthwhile=0.001).verdict == "transfer"


def test_equal_accuracy_at_a_fraction_of_the_cost_is_worth_it():
    baselines, seconds = {"small CNN": LOW}, {"transfer": 10.0, "small CNN": 100.0}
    assert should_transfer(LOW + 0.001, baselines, seconds=seconds).verdict == "transfer"
    dear = {"transfer": 100.0, "small CNN": 10.0}
    assert should_transfer(LOW + 0.001, baselines, seconds=dear).verdict == "do not transfer"
    alike = {"transfer": 10.0, "small CNN": 11.0}
    assert should_transfer(LOW + 0.001, baselines, seconds=alike).verdict == "no difference"


def test_cheap_does_not_make_up_for_worse_nor_dear_undo_better():
    cheap, dear = ({"transfer": t, "small CNN": 10.0} for t in (1.0, 100.0))
    assert should_transfer(LOW, {"small CNN": HIGH}, seconds=cheap).verdict == "do not transfer"
    assert should_transfer(HIGH, {"small CNN": LOW}, seconds=dear).verdict == "transfer"


def test_costs_that_vary_too_much_are_not_clearly_lower():
    varied = {"transfer": [1.0, 30.0, 2.0, 40.0, 1.0], "small CNN": [20.0, 20.0, 20.0, 20.0, 20.0]}
    found = should_transfer(LOW + 0.001, {"small CNN": LOW}, seconds=varied)
    assert found.evidence[0].cost.mean < 0.5 and found.verdict == "no difference"


def test_beating_one_baseline_is_not_beating_the_other():
    noisy = 0.88 + np.array([0.06, -0.05, 0.04, -0.06, 0.03])
    found = should_transfer(HIGH, {"small CNN": LOW, "wide CNN": noisy})
    assert found.verdict == "undecided" and "over wide CNN allows" in found.reason


@pytest.mark.parametrize("baselines", [1, 4])
def test_equal_methods_are_rarely_told_apart(baselines):
    """Best of several baselines by luck is not better: at most one wrong answer in twenty."""
    rng = np.random.default_rng(0)
    verdicts = [
        should_transfer(
            rng.normal(0.8, 0.02, 5),
            {str(i): rng.normal(0.8, 0.02, 5) for i in range(baselines)},
            worthwhile=0.0,
        ).verdict
        for _ in range(400)
    ]
    wrong = [verdict in ("transfer", "do not transfer") for verdict in verdicts]
    assert np.mean(wrong) < 0.065


def test_a_gain_on_these_few_images_need_not_be_one_on_others():
    rng = np.random.default_rng(0)
    a, b = np.ones((5, 40)), np.ones((5, 40))
    b[:, :2] = 0  # two images of forty, in every seed
    scores = should_transfer(a.mean(axis=1), {"small CNN": b.mean(axis=1)})
    images = should_transfer(a, {"small CNN": b})
    assert scores.verdict == "transfer" and images.verdict == "undecided"
    assert images.seeds_needed is None  # more seeds would not help; more images would
    b = rng.random((5, 40)) < 0.3
    assert should_transfer(a, {"small CNN": b}).verdict == "transfer"


def test_one_seed_with_its_answers_is_one_seed():
    found = should_transfer(np.ones((1, 40)), {"small CNN": np.zeros((1, 40))})
    assert found.verdict == "undecided" and "one seed" in found.reason


def test_it_prints_its_evidence():
    found = should_transfer(HIGH, {"small CNN": LOW}, seconds={"transfer": 1, "small CNN": 4})
    assert str(found).splitlines()[0] == "transfer: it gains more than 0.01 over every baseline."
    assert "gain over small CNN: 0.1 [" in str(found) and "0.25 (one run) times" in str(found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"baselines": {}}, "There is no baseline"),
        ({"baselines": {"a": [0.5]}}, r"shapes \(5,\) and \(1,\)"),
        ({"worthwhile": -0.1}, "worthwhile is -0.1"),
        ({"worthwhile": np.nan}, "worthwhile is nan"),
        ({"cheaper": 2}, "cheaper is 2"),
        ({"seconds": {"a": 1.0}}, "nothing for transfer"),
        ({"seconds": {"a": 1.0, "transfer": 0.0}}, "above 0"),
        ({"transfer": [np.nan] * 5}, "not finite"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(change, message):
    call = {"transfer": HIGH, "baselines": {"a": LOW}, **change}
    with pytest.raises(ValueError, match=message):
        should_transfer(call.pop("transfer"), call.pop("baselines"), **call)
