import numpy as np
import pytest
from PIL import Image

from tlcourse import data
from tlcourse.data import photos


@pytest.fixture(scope="module")
def loaded():
    return data.load("photos")


def test_photographs_are_in_colour(loaded):
    assert loaded.names == tuple(photos.PHOTOS)
    for name, image in zip(loaded.names, loaded.images, strict=True):
        assert image.dtype == np.uint8, name
        assert image.ndim == 3 and image.shape[2] == 3, name
        assert (image[..., 0] != image[..., 2]).mean() > 0.5, name


def test_labels_and_licences_are_given_for_each(loaded):
    assert len(loaded.labels) == len(loaded.names) == loaded.card.test
    assert loaded.labels[loaded.names.index("coffee")] == 967
    assert loaded.labels[loaded.names.index("astronaut")] is None
    for name in loaded.names:
        assert f"{name}: " in loaded.card.licence
        assert f"{name}: " in loaded.card.notes


def test_the_first_crop_is_the_centre(loaded):
    x, photo_index = loaded.crops(50, per_photo=3, seed=5)
    i = loaded.names.index("chelsea")
    image = loaded.images[i]
    height, width, _ = image.shape
    left = (width - height) // 2
    centre = Image.fromarray(image[:, left : left + height]).resize((50, 50), Image.BICUBIC)
    np.testing.assert_array_equal(x[photo_index == i][0], np.asarray(centre))


def test_crops_come_photograph_by_photograph(loaded):
    x, photo_index = loaded.crops(32, per_photo=4)
    count = len(loaded.names)
    assert x.shape == (4 * count, 32, 32, 3)
    assert x.dtype == np.uint8
    assert photo_index.tolist() == np.repeat(np.arange(count), 4).tolist()


def test_a_seed_gives_one_set_of_crops_and_more_only_add(loaded):
    few, index_few = loaded.crops(16, per_photo=3, seed=1)
    many, index_many = loaded.crops(16, per_photo=6, seed=1)
    other, _ = loaded.crops(16, per_photo=3, seed=2)
    for i in range(len(loaded.names)):
        np.testing.assert_array_equal(few[index_few == i], many[index_many == i][:3])
    assert (few != other).any()


def test_random_crops_hold_the_subject_at_a_fair_scale():
    flips = []
    for name, photo in photos.PHOTOS.items():
        shape = (400, 700, 3)
        boxes = photos._boxes(shape, photo.centre, 200, np.random.default_rng(0))
        for (left, top, right, bottom), flip in list(boxes)[1:]:
            assert right - left == bottom - top, name
            assert 0.6 * 400 - 1 <= right - left <= 400, name
            assert 0 <= left and right <= 700 and 0 <= top and bottom <= 400, name
            assert left <= photo.centre[0] * 700 <= right, name
            assert top <= photo.centre[1] * 400 <= bottom, name
            flips.append(flip)
    assert set(flips) == {1, -1}
    assert 0.4 < flips.count(-1) / len(flips) < 0.6


def test_crops_do_not_change_the_photographs(loaded):
    before = [image.copy() for image in loaded.images]
    x, _ = loaded.crops(32)
    x[:] = 0
    for image, copy in zip(loaded.images, before, strict=True):
        np.testing.assert_array_equal(image, copy)


@pytest.mark.parametrize("arguments", [{"size": 0}, {"size": 8, "per_photo": 0}])
def test_empty_crops_are_refused(loaded, arguments):
    with pytest.raises(ValueError, match="1 or more of each"):
        loaded.crops(**arguments)


def test_another_file_is_refused(monkeypatch, tmp_path):
    real = photos.package_file

    def replaced(package, name):
        path = real(package, name)
        if path.name != "coffee.png":
            return path
        Image.new("RGB", (8, 8)).save(tmp_path / "coffee.png")
        return tmp_path / "coffee.png"

    monkeypatch.setattr(photos, "package_file", replaced)
    with pytest.raises(ValueError, match="not the ones that their data card describes"):
        data.load("photos")


def test_the_page_shows_every_photograph(loaded):
    assert loaded._repr_html_().count("<img") == len(loaded.names)
    assert "chelsea" in repr(loaded)
