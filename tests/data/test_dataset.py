import numpy as np
import pytest

from tlcourse.data.dataset import DataCard, Dataset, card_of, content_hash, gallery


def toy(counts=(50, 30, 20)):
    y = np.repeat(np.arange(len(counts)), counts).astype("int64")
    x = np.arange(len(y), dtype="uint8").reshape(-1, 1, 1, 1)
    names = tuple(f"class {i}" for i in range(len(counts)))
    return Dataset("toy", x, y, x[:2], y[:2], names, card_of("toy", x, y, x[:2], y[:2]))


def test_subsets_hold_every_class_in_its_share():
    _, y = toy().subset(50, seed=1)
    assert np.bincount(y).tolist() == [25, 15, 10]


@pytest.mark.parametrize("n", [3, 10, 33, 100])
def test_subsets_hold_n_different_images_and_every_class(n):
    data = toy()
    x, y = data.subset(n, seed=1)
    assert x.shape == (n, 1, 1, 1)
    assert len(set(x.ravel().tolist())) == n
    assert set(y.tolist()) == {0, 1, 2}
    np.testing.assert_array_equal(data.y_train[x.ravel()], y)


def test_balanced_classes_stay_balanced():
    _, y = toy((100,) * 5).subset(50, seed=3)
    assert np.bincount(y).tolist() == [10] * 5


def test_a_rare_class_is_in_the_smallest_subset():
    data = toy((200, 1))
    assert all(1 in data.subset(2, seed)[1] for seed in range(20))


def test_subsets_are_nested():
    data = toy()
    large = data.subset(80, seed=4)
    small = data.subset(20, seed=4)
    for part, whole in zip(small, large, strict=True):
        np.testing.assert_array_equal(part, whole[:20])


def test_a_seed_gives_one_subset_and_another_seed_another():
    data = toy()
    first, again, other = (data.subset(20, seed)[0].ravel().tolist() for seed in (0, 0, 1))
    assert first == again
    assert set(first) != set(other)


def test_subsets_are_shuffled():
    _, y = toy((50, 50)).subset(100, seed=0)
    runs = 1 + np.count_nonzero(np.diff(y))
    assert runs > 30


def test_a_subset_is_a_copy():
    data = toy()
    x, _ = data.subset(100, seed=0)
    x[:] = 7
    assert len(np.unique(data.x_train)) == 100


@pytest.mark.parametrize("n", [0, 2, 101, -5])
def test_a_subset_of_an_impossible_size_says_what_is_possible(n):
    with pytest.raises(ValueError, match=r"between 3 .* and 100"):
        toy().subset(n, seed=0)


@pytest.mark.parametrize("n", [10.0, "10", None, True])
def test_a_subset_counts_images(n):
    with pytest.raises(TypeError, match="whole number"):
        toy().subset(n, seed=0)


def test_content_hash_sees_values_shapes_and_types():
    a = np.arange(6, dtype="uint8")
    different = [a, a[::-1], a.reshape(2, 3), a.astype("int64")]
    assert len({content_hash(b) for b in different}) == 4
    assert content_hash(a) == content_hash(a.copy())
    assert content_hash(a.astype(">i4")) == content_hash(a.astype("<i4"))
    assert content_hash(a, a) != content_hash(a)


def test_the_repr_is_one_short_line():
    assert repr(toy()) == "Dataset('toy': 100 to train, 2 to test, 1×1×1, 3 classes)"


def test_the_html_shows_one_image_of_each_class():
    page = toy()._repr_html_()
    assert page.count("<img") == 3
    assert "class 2" in page


def test_the_html_of_many_classes_stays_short():
    assert toy((2,) * 100)._repr_html_().count("<img") == 12


def test_names_are_escaped():
    image = np.zeros((2, 2, 3), "uint8")
    assert "<script>" not in gallery([image], ["<script>"], 10)


def test_a_card_renders_all_it_knows():
    card = DataCard(
        "toy", "a <shop>", "MIT", (None, None, 3), 2, 1234, 10, "ab  one\ncd  two", False, "Beware."
    )
    text, page = str(card), card._repr_html_()
    for fact in ("toy", "MIT", "1,234", "any×any×3", "downloaded once", "cd  two", "Beware."):
        assert fact in text
        assert fact in page
    assert "a <shop>" in text
    assert "a &lt;shop&gt;" in page
