import numpy as np
import pytest

from tlcourse.evaluation import paired_difference


def test_pairing_removes_what_both_sides_share():
    rng = np.random.default_rng(0)
    luck = rng.normal(scale=10, size=6)
    difference = paired_difference(luck + 1, luck)
    assert difference.low == pytest.approx(1) and difference.high == pytest.approx(1)


def test_pairs_need_partners():
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        paired_difference([1, 2], [1, 2, 3])
