import dataclasses
import hashlib
import io
import os
import zipfile

import numpy as np
import pytest

from tlcourse import data
from tlcourse.data import download

GOOD = {
    "x_train": np.arange(6 * 28 * 28, dtype="int64").reshape(6, 28, 28).astype("uint8"),
    "y_train": np.array([0, 1, 2, 0, 1, 2], "uint8"),
    "x_test": np.zeros((3, 28, 28), "uint8"),
    "y_test": np.array([[0], [1], [2]]),
    "class_names": np.array(["a", "b", "c"]),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    path = tmp_path / "mine"
    path.mkdir()
    monkeypatch.setenv("TLCOURSE_DATA", str(path))
    return path


def write(folder, name="fashion_mnist", **changes):
    arrays = {**GOOD, **changes}
    np.savez(folder / f"{name}.npz", **{key: a for key, a in arrays.items() if a is not None})
    return folder / f"{name}.npz"


def test_every_data_set_has_a_card():
    assert list(data.DATASETS) == [
        "animals", "mnist", "digits", "photos", "fashion_mnist", "cifar10", "bloodmnist",
        "pneumoniamnist",
    ]  # fmt: skip
    for name, card in data.DATASETS.items():
        assert card.name == name
        assert card.licence and card.source
        assert all(len(line.split()[0]) == 64 for line in card.sha256.splitlines())
        assert all(len(line.split()[0]) == 32 for line in card.md5.splitlines())
        assert bool(card.sha256) != bool(card.md5)


def test_embedded_ones_are_available_and_the_others_are_not_yet():
    assert {name for name in data.DATASETS if data.available(name)} == {
        name for name, card in data.DATASETS.items() if card.offline
    }


def test_fetching_an_embedded_one_names_its_file():
    assert data.fetch("mnist").name == "mnist_5k.csv.gz"
    assert data.fetch("photos").is_file()


def test_own_npz_wins(folder):
    path = write(folder)
    assert data.available("fashion_mnist")
    assert data.fetch("fashion_mnist") == path
    loaded = data.load("fashion_mnist")
    assert loaded.x_train.shape == (6, 28, 28, 1)
    np.testing.assert_array_equal(loaded.x_train[..., 0], GOOD["x_train"])
    assert loaded.y_train.dtype == np.int64
    assert loaded.y_test.tolist() == [0, 1, 2]
    assert loaded.class_names == ("a", "b", "c")
    assert str(path) in loaded.card.source
    assert loaded.card.shape == (28, 28, 1)


def test_own_npz_wins_over_an_embedded_one(folder):
    write(folder, "digits")
    assert data.load("digits").class_names == ("a", "b", "c")


def test_own_npz_may_be_new_and_in_colour(folder):
    rgb = np.zeros((6, 4, 5, 3), "uint8")
    write(folder, "flowers", x_train=rgb, x_test=rgb[:3])
    assert data.load("flowers").x_train.shape == (6, 4, 5, 3)


def test_photos_are_no_npz(folder):
    write(folder, "photos")
    assert "chelsea" in data.load("photos").names


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_test": None}, "incomplete.*x_test"),
        ({"class_names": None}, "incomplete.*class_names"),
        ({"class_names": np.array(["a", 1, None], dtype=object)}, "cannot be read.*text only"),
        ({"x_train": np.array([None] * 6)}, "cannot be read"),
        ({"class_names": np.arange(3)}, "class_names is int64"),
        ({"class_names": np.array([], dtype="U1")}, "class_names"),
        ({"class_names": np.array(["a", "b"])}, "from 0 to 2, and class_names names 2"),
        ({"x_train": GOOD["x_train"] / 255}, "x_train is float64.*give uint8"),
        ({"x_train": np.zeros((6, 28), "uint8")}, "x_train is uint8"),
        ({"x_test": np.zeros((3, 28, 28, 4), "uint8")}, "x_test is uint8"),
        ({"x_test": np.zeros((3, 28, 27), "uint8")}, "give both one size"),
        ({"x_test": np.zeros((0, 28, 28), "uint8")}, "holds no images"),
        ({"y_train": np.zeros(5, int)}, "5 labels for 6 images"),
        ({"y_train": np.zeros(6)}, "y_train is float64"),
        ({"y_train": np.eye(6, dtype=int)}, "y_train is int64"),
        ({"y_train": np.array([0, 1, -1, 0, 1, 2])}, "from -1 to 2"),
    ],
)
def test_a_wrong_npz_ends_in_one_sentence(folder, changes, message):
    path = write(folder, **changes)
    with pytest.raises(ValueError, match=message) as caught:
        data.load("fashion_mnist")
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text


def test_a_damaged_npz_ends_in_one_sentence_wherever_the_damage_is(folder):
    path = write(folder)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(20):
        place = int(rng.integers(len(whole) - 200))
        path.write_bytes(whole[:place] + b"\xff" * 100 + whole[place + 100 :])
        with pytest.raises(ValueError, match="fashion_mnist.npz") as caught:
            data.load("fashion_mnist")
        assert "\n" not in str(caught.value)


# The parts of a file of MedMNIST, with the shapes and types of its authors.
MEDICAL = {
    "train_images": np.arange(6 * 28 * 28, dtype="int64").reshape(6, 28, 28).astype("uint8"),
    "train_labels": np.array([[0], [1], [1], [0], [1], [1]], "uint8"),
    "val_images": np.zeros((2, 28, 28), "uint8"),
    "val_labels": np.zeros((2, 1), "uint8"),
    "test_images": np.ones((3, 28, 28), "uint8"),
    "test_labels": np.array([[1], [1], [0]], "uint8"),
}


def write_medical(folder, name="pneumoniamnist", **changes):
    arrays = {**MEDICAL, **changes}
    np.savez(folder / f"{name}.npz", **{key: a for key, a in arrays.items() if a is not None})
    return folder / f"{name}.npz"


def test_a_file_of_medmnist_is_read_as_it_is(folder):
    path = write_medical(folder)
    assert data.available("pneumoniamnist")
    loaded = data.load("pneumoniamnist")
    assert loaded.x_train.shape == (6, 28, 28, 1)
    np.testing.assert_array_equal(loaded.x_train[..., 0], MEDICAL["train_images"])
    assert loaded.y_train.dtype == np.int64
    assert loaded.y_train.tolist() == [0, 1, 1, 0, 1, 1]
    assert loaded.y_test.tolist() == [1, 1, 0]
    assert loaded.class_names == ("normal", "pneumonia")
    # It is not the publisher's file, so it does not get the publisher's card.
    assert str(path) in loaded.card.source and loaded.card.licence == "not stated"


def test_the_publishers_own_file_gets_its_data_card(folder, monkeypatch):
    path = write_medical(folder)
    found = hashlib.md5(path.read_bytes()).hexdigest()
    known = dataclasses.replace(download.DOWNLOADS["pneumoniamnist"], files={path.name: found})
    monkeypatch.setitem(download.DOWNLOADS, "pneumoniamnist", known)
    card = data.load("pneumoniamnist").card
    assert card is data.DATASETS["pneumoniamnist"]
    assert card.licence == "CC BY 4.0" and "Not intended for clinical use" in str(card)


def test_medical_images_in_our_own_keys_work_too(folder):
    write(folder, "bloodmnist", x_train=np.zeros((6, 28, 28, 3), "uint8"),
          x_test=np.zeros((3, 28, 28, 3), "uint8"))  # fmt: skip
    assert data.load("bloodmnist").class_names == ("a", "b", "c")


def test_another_collection_of_medmnist_has_numbers_for_names(folder):
    write_medical(folder, "breastmnist")
    assert data.load("breastmnist").class_names == ("0", "1")


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("pneumoniamnist", {"test_labels": None}, "incomplete.*test_labels"),
        ("pneumoniamnist", {"train_labels": np.full((6, 1), 2, "uint8")}, "from 2 to 2"),
        ("chestmnist", {"train_labels": np.zeros((6, 14), "uint8")}, r"y_train is uint8 \(6, 14\)"),
        ("organmnist3d", {"train_images": np.zeros((6, 28, 28, 28), "uint8")}, "give uint8 pixels"),
        ("breastmnist", {"test_labels": np.full((3, 1), 2**40)}, "names 6 classes"),
        ("breastmnist", {"train_labels": np.array([["a"]] * 6)}, "cannot be"),
    ],
)
def test_a_wrong_file_of_medmnist_ends_in_one_sentence(folder, name, changes, message):
    path = write_medical(folder, name, **changes)
    with pytest.raises(ValueError, match=message) as caught:
        data.load(name)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut"])
def test_something_else_by_that_name_is_no_npz(folder, content):
    (folder / "cifar10.npz").write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read"):
        data.load("cifar10")


def test_a_single_array_by_that_name_is_no_npz(folder):
    with (folder / "cifar10.npz").open("wb") as file:
        np.save(file, np.arange(3))
    with pytest.raises(ValueError, match="cannot be read"):
        data.load("cifar10")


def test_a_pickle_in_an_npz_never_runs(folder, tmp_path):
    class Runs:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'owned'}",)

    hostile = io.BytesIO()
    np.save(hostile, np.array([Runs()], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(folder / "cifar10.npz", "w") as archive:
        for key in GOOD:
            archive.writestr(f"{key}.npy", hostile.getvalue())
    with pytest.raises(ValueError, match="cannot be read"):
        data.load("cifar10")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("name", ["imagenet", "", "Animals", "../mine/fashion_mnist"])
def test_an_unknown_name_lists_the_known_ones(folder, name):
    write(folder)
    for call in (data.load, data.available, data.fetch):
        with pytest.raises(ValueError, match="give one of animals, mnist"):
            call(name)
