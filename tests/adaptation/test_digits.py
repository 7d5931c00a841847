import numpy as np
import pytest

from tlcourse import data
from tlcourse.adaptation import on_photographs


@pytest.fixture(scope="module")
def photos():
    return data.load("photos")


def test_black_shows_the_photograph_and_white_its_negative(photos):
    black, white = (np.full((3, 28, 28, 1), value, "uint8") for value in (0, 255))
    patch = on_photographs(black, photos)
    assert patch.shape == (3, 28, 28, 3) and patch.dtype == np.uint8
    assert (on_photographs(white, photos) == 255 - patch).all()


def test_grey_is_the_absolute_difference(photos):
    black, grey = (np.full((2, 28, 28, 1), value, "uint8") for value in (0, 100))
    patch = on_photographs(black, photos).astype(int)
    assert (on_photographs(grey, photos) == abs(patch - 100)).all()


def test_patches_differ_between_digits_and_follow_the_seed(photos):
    black = np.zeros((4, 28, 28, 1), "uint8")
    one = on_photographs(black, photos, seed=1)
    assert len({patch.tobytes() for patch in one}) == 4
    assert (one == on_photographs(black, photos, seed=1)).all()
    assert (one != on_photographs(black, photos, seed=2)).any()


def test_without_strength_the_digits_remain(photos):
    digits = np.random.default_rng(0).integers(256, size=(2, 28, 28, 1), dtype="uint8")
    assert (on_photographs(digits, photos, strength=0.0) == digits).all()


@pytest.mark.parametrize(
    "digits, said",
    [
        (np.zeros((2, 28, 28), "uint8"), r"uint8 \(2, 28, 28\)"),
        (np.zeros((2, 28, 28, 3), "uint8"), r"\(2, 28, 28, 3\)"),
        (np.zeros((2, 28, 28, 1)), "float64"),
        (np.zeros((2, 400, 28, 1), "uint8"), "321 is the most"),
    ],
)
def test_refuses_what_are_no_digits(photos, digits, said):
    with pytest.raises(ValueError, match=said):
        on_photographs(digits, photos)


def test_refuses_a_strength_beyond_one(photos):
    with pytest.raises(ValueError, match="strength is 2"):
        on_photographs(np.zeros((1, 28, 28, 1), "uint8"), photos, strength=2)
