"""Choosing a backbone: the ranking follows the rule that it prints."""

import math

import pytest

from tlcourse.models import BACKBONES, choose_backbone, choosing
from tlcourse.models.choosing import LIMITS, PRICE_OF_DOUBLING, PRIORITIES

ALL = list(BACKBONES.values())


def test_each_priority_puts_first_what_it_says():
    assert choose_backbone("accuracy").ranking[0].top1 == max(b.top1 for b in ALL)
    assert choose_backbone("speed").ranking[0].multiply_adds == min(b.multiply_adds for b in ALL)
    small = choose_backbone("size").ranking[0].headless_parameters
    assert small == min(b.headless_parameters for b in ALL)


def test_balanced_pays_its_price_for_twice_the_work():
    ranking = choose_backbone("balanced").ranking
    scores = [b.top1 - PRICE_OF_DOUBLING * math.log2(b.multiply_adds) for b in ranking]
    assert scores == sorted(scores, reverse=True)
    # Nothing that is beaten in both can come first.
    assert not any(
        b.top1 >= ranking[0].top1 and b.multiply_adds < ranking[0].multiply_adds for b in ALL
    )


@pytest.mark.parametrize(("price", "name"), [(0.01, "convnext-base"), (0.04, "mobilenet-v3-small")])
def test_the_price_decides_what_is_balanced(monkeypatch, price, name):
    monkeypatch.setattr(choosing, "PRICE_OF_DOUBLING", price)
    assert choose_backbone("balanced").name == name


@pytest.mark.parametrize("priority", PRIORITIES)
def test_everything_is_ranked_once_and_the_name_is_the_first(priority):
    choice = choose_backbone(priority)
    assert sorted(b.name for b in choice.ranking) == sorted(BACKBONES)
    assert choice.name == choice.ranking[0].name


@pytest.mark.parametrize(
    ("budget", "keeps"),
    [
        ({"megabytes": 20}, lambda b: b.headless_parameters * 4 <= 20 * 2**20),
        ({"parameters": 5e6}, lambda b: b.headless_parameters <= 5e6),
        ({"multiply_adds": 1e9}, lambda b: b.multiply_adds <= 1e9),
        ({"top1": 0.8}, lambda b: b.top1 >= 0.8),
        ({"top1": 0.75, "megabytes": 20}, lambda b: b.headless_parameters * 4 <= 20 * 2**20
         and b.top1 >= 0.75),
    ],
)  # fmt: skip
def test_a_budget_is_kept_and_leaves_out_nothing_else(budget, keeps):
    assert {b.name for b in choose_backbone("speed", budget).ranking} == {
        b.name for b in ALL if keeps(b)
    }


def test_a_classifier_that_is_thrown_away_does_not_count():
    """VGG16 takes 528 MB with its classifier, of which a new task takes over a tenth."""
    names = [b.name for b in choose_backbone("size", {"megabytes": 60}).ranking]
    assert "vgg16" in names and BACKBONES["vgg16"].parameters * 4 > 500 * 2**20


def test_offline_means_weights_that_come_with_the_course():
    choice = choose_backbone("accuracy", offline=True)
    assert {b.name for b in choice.ranking} == {b.name for b in ALL if b.embedded}
    assert choice.name == "efficientnet-lite2"
    assert "come with the course" in str(choice)


def test_it_prints_its_reasons_its_ranking_and_its_doubt():
    text = str(choose_backbone("accuracy", {"megabytes": 30}))
    assert text.startswith("Start with: ")
    assert "megabytes <= 30" in text and "downloaded once" in text
    assert "Only a starting point" in text and text.count("top-1") == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"priority": "interpretable"}, "write one of accuracy, balanced, speed, size"),
        ({"priority": None}, "priority is None"),
        ({"budget": {"milliseconds": 5}}, "write one of " + ", ".join(LIMITS)),
        ({"budget": {"megabytes": 0}}, "above 0"),
        ({"budget": {"megabytes": "20"}}, "above 0"),
        ({"budget": {"megabytes": float("nan")}}, "above 0"),
        ({"budget": {"top1": 75}}, "share from 0 to 1"),
        ({"budget": 20}, "by name"),
        ({"budget": {"megabytes": 1}}, "loosen a limit"),
        ({"budget": {"top1": 0.8}, "offline": True}, "No backbone offline"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        choose_backbone(**arguments)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)
