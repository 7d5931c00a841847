import numpy as np
import pytest

from tlcourse.evaluation import CORRUPTIONS, corrupt


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), dtype=np.uint8)


@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_shape_type_and_range_stay_and_the_input_too(images, kind, dtype):
    images = images.astype(dtype)
    before = images.copy()
    found = corrupt(images, kind, 5)
    assert (found.shape, found.dtype) == (images.shape, images.dtype)
    assert 0 <= found.min() <= found.max() <= 255
    assert np.array_equal(images, before) and not np.array_equal(found, before)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_one_call_says_what_the_next_one_says(images, kind):
    assert np.array_equal(corrupt(images, kind, 3, seed=1), corrupt(images, kind, 3, seed=1))


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_a_higher_severity_changes_more(images, kind):
    smooth = corrupt(images, "blur", 2).astype(float)
    changes = [np.abs(corrupt(smooth, kind, s) - smooth).mean() for s in (1, 3, 5)]
    assert changes[0] < changes[1] < changes[2]


def test_blur_spreads_a_point_evenly_and_keeps_its_light():
    point = np.zeros((1, 29, 29, 1), "float32")
    point[0, 14, 14] = 200
    found = corrupt(point, "blur", 2)[0, :, :, 0]
    assert found.sum() == pytest.approx(200, rel=1e-3)
    assert np.allclose(found, found.T) and np.allclose(found, found[::-1], atol=1e-4)
    deviation = np.sqrt((found.sum(0) / 200 * (np.arange(29) - 14) ** 2).sum())
    assert deviation == pytest.approx(2 * 29 / 56, rel=0.02)


def test_blur_grows_with_the_image():
    def width(side):
        edge = np.zeros((1, side, side, 1), "float32")
        edge[:, :, side // 2 :] = 255
        row = corrupt(edge, "blur", 3)[0, side // 2, :, 0]
        return ((row > 25) & (row < 230)).sum() / side

    assert width(112) == pytest.approx(width(56), abs=0.02)


def test_noise_has_the_deviation_it_says_and_follows_its_seed():
    grey = np.full((1, 100, 100, 3), 127.0)
    found = corrupt(grey, "noise", 1)
    assert (found - grey).std() == pytest.approx(20, rel=0.03)
    assert not np.array_equal(found[..., 0], found[..., 1])
    assert not np.array_equal(found, corrupt(grey, "noise", 1, seed=1))


def test_shear_moves_rows_in_proportion_and_the_middle_not_at_all():
    line = np.zeros((1, 21, 21, 1), "float32")
    line[0, :, 10] = 100
    found = corrupt(line, "shear", 5)[0, :, :, 0]  # half a pixel a row
    centres = (found * np.arange(21)).sum(1) / found.sum(1)
    assert np.allclose(centres - 10, -0.5 * (np.arange(21) - 10))


def test_images_and_channels_do_not_mix():
    images = np.zeros((2, 28, 28, 2), np.uint8)
    images[1, :, :, 1] = 200
    for kind in ("blur", "shear"):
        found = corrupt(images, kind, 5)
        assert (found[1, :, :, 1] == 200).all() and found.sum() == images.sum(dtype=int)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "fog"}, "kind is 'fog'; write one of blur, noise, shear"),
        ({"severity": 6}, "severity is 6; write a whole number from 1 to 5"),
        ({"severity": True}, "severity is True"),
        ({"images": np.zeros((28, 28, 1))}, r"shape \(28, 28, 1\); corrupt wants \(N, H, W, C\)"),
        ({"images": np.full((1, 8, 8, 1), -1.0)}, "from -1 to -1; corrupt wants raw pixels"),
        ({"images": np.full((1, 8, 8, 1), np.nan)}, "corrupt wants raw pixels"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(images, change, message):
    with pytest.raises(ValueError, match=message):
        corrupt(**{"images": images, "kind": "blur", "severity": 3, **change})
