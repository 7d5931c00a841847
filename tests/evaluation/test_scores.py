import numpy as np
import pytest
from sklearn import metrics

from tlcourse.evaluation import accuracy, brier, negative_log_likelihood, top_k_accuracy


@pytest.fixture
def answers():
    rng = np.random.default_rng(0)
    return rng.dirichlet(np.ones(7), 300), rng.integers(0, 7, 300)


def test_accuracy_takes_scores_or_classes():
    scores = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    assert accuracy(scores, [1, 0, 0]) == pytest.approx(2 / 3)
    assert accuracy(scores.argmax(1), [1, 0, 0]) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="3 predictions do not match 2 labels"):
        accuracy(scores, [1, 0])


@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k_agrees_with_scikit_learn_where_nothing_is_equal(answers, k):
    expected = metrics.top_k_accuracy_score(answers[1], answers[0], k=k)
    assert top_k_accuracy(*answers, k=k) == pytest.approx(expected)


def test_top_1_is_accuracy(answers):
    assert top_k_accuracy(*answers, k=1) == pytest.approx(accuracy(*answers))


def test_a_model_that_says_the_same_of_every_class_gets_what_guessing_gets():
    same = np.full((20, 10), 0.1)
    assert top_k_accuracy(same, np.arange(20) % 10) == pytest.approx(0.5)


def test_five_guesses_among_ten_classes_are_right_half_the_time_by_chance():
    rng = np.random.default_rng(0)
    found = top_k_accuracy(rng.random((4000, 10)), rng.integers(0, 10, 4000))
    assert found == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(("classes", "k"), [(5, 5), (3, 5), (10, 0)])
def test_as_many_guesses_as_classes_are_refused(classes, k):
    with pytest.raises(ValueError, match=f"top {k} of {classes} classes says nothing"):
        top_k_accuracy(np.zeros((2, classes)), [0, 1], k)


def test_likelihood_and_brier_agree_with_scikit_learn(answers):
    probabilities, labels = answers
    known = list(range(7))
    assert negative_log_likelihood(*answers) == pytest.approx(
        metrics.log_loss(labels, probabilities, labels=known)
    )
    assert brier(*answers) == pytest.approx(
        metrics.brier_score_loss(labels, probabilities, labels=known, scale_by_half=False)
    )


def test_a_sure_mistake_is_punished_without_becoming_infinite():
    sure = [[1.0, 0.0]]
    assert negative_log_likelihood(sure, [1]) == pytest.approx(12 * np.log(10))
    assert brier(sure, [1]) == 2 and brier(sure, [0]) == 0


@pytest.mark.parametrize("score", [negative_log_likelihood, brier])
@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([[2.0, -1.0]], [0], "sum to 1 up to 1 and their lowest value is -1; give probabilities"),
        ([[0.5, 0.2]], [0], "sum to 0.7"),
        ([[np.nan, 1.0]], [0], "give probabilities"),
        ([[0.5, 0.5]], [2], "classes 0 to 1"),
        ([[0.5, 0.5]], [0.0], "whole numbers"),
        ([[0.5, 0.5]], [0, 1], r"\(1, 2\) and labels \(2,\) do not match"),
        (np.zeros((0, 2)), np.zeros(0, int), "do not match"),
    ],
)
def test_what_is_no_probability_is_refused(score, scores, labels, message):
    with pytest.raises(ValueError, match=message):
        score(scores, labels)


def test_half_precision_is_good_enough():
    thirds = np.full((4, 3), 1 / 3, np.float16)
    assert negative_log_likelihood(thirds, [0, 1, 2, 0]) == pytest.approx(np.log(3), abs=1e-6)
