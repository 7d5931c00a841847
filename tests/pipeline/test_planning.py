import pytest

from tlcourse import freezing
from tlcourse.pipeline.planning import make_plan

FE, LAST, ALL = "feature extraction", "fine-tune the last blocks", "fine-tune everything"


@pytest.mark.parametrize("labels", [10, 1_000, 100_000])
@pytest.mark.parametrize("similarity", ["low", "medium", "high"])
def test_left_open_it_is_what_freezing_recommends(labels, similarity):
    plan, advice = make_plan(labels, similarity), freezing.recommend(labels, similarity)
    assert plan.fraction == advice.fraction
    if advice.strategy in (FE, LAST, ALL):
        assert plan.strategy == advice.strategy
    assert plan.reasons[: len(advice.reasons)] == advice.reasons
    assert ("from_scratch" in plan.reasons[-1]) == (similarity == "low")


def test_few_labels_of_similar_pictures_fit_a_head_alone():
    assert make_plan(100, "high").strategy == FE


@pytest.mark.parametrize(
    "told, expected",
    [
        ({"strategy": FE}, (FE, 1.0)),
        ({"strategy": ALL}, (ALL, 0.0)),
        ({"strategy": LAST}, (LAST, 0.9)),
        ({"fraction": 0.3}, (LAST, 0.3)),
        ({"fraction": 0.0}, (ALL, 0.0)),
        ({"fraction": 1.0}, (FE, 1.0)),
    ],
)
def test_what_you_say_wins(told, expected):
    plan = make_plan(100, "high", **told)
    assert (plan.strategy, plan.fraction) == expected


def test_the_learning_rate_is_within_the_advice_or_yours():
    low, high = freezing.recommend(1_000, "high").learning_rates
    assert low < make_plan(1_000, "high").learning_rate < high
    assert make_plan(1_000, "high", learning_rate=0.5).learning_rate == 0.5


@pytest.mark.parametrize(
    "told, message",
    [
        ({"strategy": "finetune"}, "strategy is 'finetune'; write one of"),
        ({"fraction": 2.0}, "fraction is 2.0"),
        ({"learning_rate": 0}, "above zero"),
        ({"strategy": FE, "fraction": 0.5}, "contradict each other"),
    ],
)
def test_bad_wishes_are_refused(told, message):
    with pytest.raises(ValueError, match=message):
        make_plan(100, "high", **told)
