import pytest

from tlcourse.evaluation import labels_saved


def test_labels_saved_is_read_off_the_curves():
    sizes = [10, 100, 1000]
    assert labels_saved(sizes, [0.5, 0.7, 0.9], [0.3, 0.5, 0.7]) == pytest.approx(10)
    assert labels_saved(sizes, [0.3, 0.5, 0.7], [0.5, 0.7, 0.9]) == pytest.approx(0.1)
    assert labels_saved(sizes, [0.5, 0.6, 0.7], [0.5, 0.6, 0.7]) == pytest.approx(1)


def test_labels_saved_interpolates_on_a_log_axis():
    # Scratch reaches 0.6 halfway between 10 and 1,000 on the axis: at 100.
    assert labels_saved([10, 1000], [0.6, 0.6], [0.4, 0.8]) == pytest.approx(10)
