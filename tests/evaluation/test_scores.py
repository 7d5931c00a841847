import numpy as np
import pytest

from tlcourse.evaluation import accuracy


def test_accuracy_takes_scores_or_classes():
    scores = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    assert accuracy(scores, [1, 0, 0]) == pytest.approx(2 / 3)
    assert accuracy(scores.argmax(1), [1, 0, 0]) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="3 predictions do not match 2 labels"):
        accuracy(scores, [1, 0])
