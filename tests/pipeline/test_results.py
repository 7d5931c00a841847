import numpy as np
import pytest

from tlcourse.evaluation import share_interval
from tlcourse.pipeline.results import Predictions, score

SHARES = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.25, 0.5, 0.25]])


def test_scores_counted_by_hand():
    found = score(SHARES, np.array([0, 1, 1, 0]), ("a", "b", "c"), seen=2)
    assert found.accuracy == share_interval(2, 4) and found.n == 4
    assert found.confusion.tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert {name: value.mean for name, value in found.recall.items()} == {"a": 0.5, "b": 0.5}
    expected = -np.log([0.8, 0.7, 0.3, 0.25]).mean()
    assert found.log_loss.mean == pytest.approx(expected)
    assert "2 of these pictures were trained on" in str(found)
    kept = found.as_dict()
    assert kept["accuracy"]["n"] == 4 and kept["recall of a"]["mean"] == 0.5


def test_predictions_have_names_and_a_table():
    found = Predictions(SHARES, ("a", "b", "<c>"), ("1.png", "2.png", "3.png", "4.png"))
    assert found.names == ["a", "b", "a", "b"] and found.labels.tolist() == [0, 1, 0, 1]
    assert str(found).splitlines()[0] == "1.png  0.800  a"
    many = Predictions(np.tile([[0, 0, 1.0]], (30, 1)), ("a", "b", "<c>"), ("<x>",) * 30)
    assert len(str(many).splitlines()) == 21 and "10 more" in str(many)
    assert "<c>" not in many._repr_html_() and "<x>" not in many._repr_html_()
