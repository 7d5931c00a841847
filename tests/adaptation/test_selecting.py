import numpy as np
import pytest

from tlcourse.adaptation import information


def test_sure_and_balanced_is_best_and_sure_of_one_class_is_worth_nothing():
    one = np.zeros((6, 3))
    one[:, 1] = 1
    assert information(np.eye(3)) == pytest.approx(np.log(3))
    assert information(one) == pytest.approx(0, abs=1e-9)
    assert information(np.full((6, 3), 1 / 3)) == pytest.approx(0, abs=1e-9)


def test_cannot_tell_right_from_wrong():
    answers = np.eye(4)
    assert information(answers) == information(answers[::-1])


@pytest.mark.parametrize("bad", [np.ones(4), np.ones((2, 3)), np.full((2, 2), np.nan)])
def test_refuses_what_are_no_probabilities(bad):
    with pytest.raises(ValueError, match="sum to 1"):
        information(bad)
