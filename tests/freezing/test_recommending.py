import re

import pytest

from tlcourse.freezing import freeze, recommend

SIZES = (1, 100, 249, 250, 400, 800, 2_499, 2_500, 7_000, 20_000, 1_000_000)
SIMILARITIES = ("low", "medium", "high")
STRATEGIES = {
    "feature extraction",
    "fine-tune the last blocks",
    "fine-tune everything",
    "train from scratch as well",
}


@pytest.mark.parametrize("size", SIZES)
def test_every_similarity_gets_its_own_advice_at_every_size(size):
    advice = {(r.strategy, r.fraction) for r in (recommend(size, s) for s in SIMILARITIES)}
    assert len(advice) == 3


def test_more_labels_and_less_similarity_never_freeze_more():
    share = {(n, s): recommend(n, s).fraction for n in SIZES for s in SIMILARITIES}
    for small, large in zip(SIZES, SIZES[1:], strict=False):
        assert all(share[small, s] >= share[large, s] for s in SIMILARITIES)
    for n in SIZES:
        assert share[n, "low"] <= share[n, "medium"] <= share[n, "high"]


def test_all_strategies_occur_and_no_other():
    assert {recommend(n, s).strategy for n in SIZES for s in SIMILARITIES} == STRATEGIES


def test_from_scratch_is_suggested_where_transfer_may_hurt():
    assert {recommend(n, "low").strategy for n in SIZES} == {"train from scratch as well"}


def test_fine_tuning_starts_slower_than_a_new_head():
    assert recommend(5_000, "medium").learning_rates[1] < recommend(50, "high").learning_rates[0]


def test_it_says_that_it_is_a_start_and_that_measuring_decides():
    text = str(recommend(600, "medium"))
    assert text.startswith("Start with: fine-tune the last blocks")
    assert "Only a starting point" in text
    assert text.endswith("measuring decides.")
    assert re.search(r"Adam from 1e-5 to 1e-4", text)
    assert recommend(600, "medium").reasons


@pytest.mark.parametrize("n_labels", [0, -5, 2.5, True, "100"])
def test_a_number_of_labels_is_a_whole_number(n_labels):
    with pytest.raises(ValueError, match="whole number"):
        recommend(n_labels, "low")


@pytest.mark.parametrize("similarity", ["High", "none", 0.5, None])
def test_similarity_has_three_words(similarity):
    with pytest.raises(ValueError, match="low, medium, high"):
        recommend(100, similarity)


@pytest.mark.parametrize(("labels", "similarity"), [(100, "high"), (1_000, "medium"), (9, "low")])
def test_it_freezes_what_it_says_and_never_the_head(classifier, labels, similarity):
    advice, model = recommend(labels, similarity), classifier()
    result = advice.apply(model)
    assert (
        result.backbone_trainable
        == freeze(classifier(), fraction=advice.fraction).backbone_trainable
    )
    assert model.get_layer("head").trainable_weights
    # By hand: 64 + 66 + 92 parameters, of which whole blocks are frozen up to the share.
    frozen = [row.block for row in result.rows if row.in_backbone and not row.trainable]
    assert (
        frozen
        == {1.0: ["stem", "block1", "top"], 0.5: ["stem"], 0.75: ["stem", "block1"]}[
            advice.fraction
        ]
    )


def test_a_wrapper_is_no_obstacle(classifier, wrapper):
    model = classifier(call=lambda base, x: wrapper(base)(x))
    assert recommend(100_000, "medium").apply(model).share > 0.6
