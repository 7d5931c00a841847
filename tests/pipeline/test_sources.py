"""What can be learned from, and what is refused in one sentence."""

import numpy as np
import pytest

from tlcourse.pipeline import sources


def opened(tmp_path, pictures, labels=None, names=None, fraction=0.25):
    return sources.open_source(
        pictures, labels, names, size=16, fraction=fraction, seed=0, work=tmp_path
    )


def everything(source):
    """All pictures and labels of a source, in an order of their own."""
    both = [
        (rows.read(np.arange(len(rows))), rows.labels) for rows in (source.train, source.held_out)
    ]
    x, y = (np.concatenate(parts) for parts in zip(*both, strict=True))
    order = np.lexsort((*x.reshape(len(x), -1).T[:5], y))
    return x[order], y[order]


def stream(x, y, batch=None):
    tf = pytest.importorskip("tensorflow")
    found = tf.data.Dataset.from_tensor_slices((x, y))
    return found.batch(batch) if batch else found


def test_arrays_folder_and_stream_give_the_same_pictures(tmp_path, pictures, folder):
    x, y = pictures(30)
    expected = everything(opened(tmp_path, x, y))
    given = [folder(30), stream(x, y), stream(x, y, batch=7).shuffle(3)]
    for i, other in enumerate(given):
        found = everything(opened(tmp_path / str(i), other))
        for a, b in zip(found, expected, strict=True):
            assert (a == b).all()


def test_a_share_of_each_class_is_kept_apart(tmp_path, pictures):
    x, y = pictures(60)
    source = opened(tmp_path, x, y)
    assert np.bincount(source.held_out.labels).tolist() == [5, 5, 5]
    assert len(source.train) == 45
    again = opened(tmp_path, x, y)
    assert (again.held_out.read([0, 1]) == source.held_out.read([0, 1])).all()
    assert len(opened(tmp_path, x, y, fraction=0).held_out) == 0


def test_exact_copies_stay_on_one_side(tmp_path, pictures):
    x, y = pictures(30)
    x, y = np.concatenate([x] * 3), np.concatenate([y] * 3)
    source = opened(tmp_path, x, y)
    marks = [sources.digests(r.read(np.arange(len(r)))) for r in (source.train, source.held_out)]
    assert len(marks[1]) and not set(marks[0].tolist()) & set(marks[1].tolist())


def test_digests_know_a_picture_whatever_its_type(pictures):
    x, _ = pictures(3)
    assert (sources.digests(x) == sources.digests(x.astype("float32"))).all()
    assert len(set(sources.digests(x).tolist())) == 3


def test_labels_may_be_names_or_one_hot(tmp_path, pictures):
    x, y = pictures(6)
    assert opened(tmp_path, x, np.array(["b", "a", "c"])[y]).class_names == ("a", "b", "c")
    source = opened(tmp_path, x, np.eye(3)[y], fraction=0)
    assert source.train.labels.tolist() == y.tolist()
    assert opened(tmp_path, x, y[:, None], names=["x", "y", "z"]).class_names == ("x", "y", "z")


def test_the_key_follows_the_pictures(tmp_path, pictures, folder):
    x, y = pictures(12)
    changed = x.copy()
    changed[3, 0, 0, 0] ^= 1
    assert opened(tmp_path, x, y).key == opened(tmp_path, x, y).key
    assert opened(tmp_path, x, y).key != opened(tmp_path, changed, y).key
    place = folder(12)
    before = opened(tmp_path, place).key
    next(place.rglob("*.png")).unlink()
    assert opened(tmp_path, place).key != before


GOOD = np.zeros((4, 8, 8, 3), "uint8")


@pytest.mark.parametrize(
    "x, y, error, message",
    [
        ([np.zeros((8, 8, 3)), np.zeros((9, 8, 3))], [0, 1], ValueError, "have 2 sizes"),
        (GOOD[..., 0], [0, 1, 0, 1], ValueError, r"give \(N, H, W, 1\) for grey"),
        (GOOD.astype(complex), [0, 1, 0, 1], TypeError, "dtype complex128"),
        (GOOD, None, ValueError, "come with labels"),
        (GOOD, [0, 1, 0], ValueError, "4 pictures do not match 3 labels"),
        (GOOD, [0, 1.5, 0, 1], ValueError, "no class numbers"),
        (GOOD, [0, np.nan, 0, 1], ValueError, "no class numbers"),
        (GOOD, [0, -1, 0, 1], ValueError, "no class numbers"),
        (GOOD, np.zeros((4, 2)), ValueError, r"shape \(4, 2\); give one class number"),
    ],
)
def test_arrays_that_cannot_be_learned_from(tmp_path, x, y, error, message):
    with np.errstate(invalid="ignore"), pytest.raises(error, match=message):
        opened(tmp_path, x, y)


def test_names_have_to_cover_the_labels(tmp_path):
    with pytest.raises(ValueError, match="reach 1, but there are 1 class names"):
        opened(tmp_path, GOOD, [0, 1, 0, 1], ["only"])
    with pytest.raises(ValueError, match="label 'dog' is none of the classes cat, cow"):
        opened(tmp_path, GOOD, ["cat", "dog", "cow", "cat"], ["cat", "cow"])


@pytest.mark.parametrize(
    "labels, names, message",
    [
        ([0, 0, 1], "ab", "'b' has one picture; every class needs at least two"),
        ([0, 0, 2, 2], "abc", "'b' has no picture"),
        ([0, 1, 2], "abc", "and 2 more classes"),
        ([0, 0], "a", "one class only"),
    ],
)
def test_a_class_needs_two_pictures(labels, names, message):
    with pytest.raises(ValueError, match=message):
        sources.require_two_of_each(np.array(labels), list(names))


def test_pixels_have_to_be_raw():
    sources.checked(GOOD)
    for bad, message in ((np.nan, "not finite"), (-1, "already prepared"), (300, "beyond 255")):
        x = np.full((2, 8, 8, 3), 100.0)
        x[1, 2, 3, 0] = bad
        with pytest.raises(ValueError, match=message):
            sources.checked(x)


def test_streams_that_cannot_be_learned_from(tmp_path, pictures):
    tf = pytest.importorskip("tensorflow")
    x, y = pictures(6)
    for number, (bad, message) in enumerate(
        [
            (stream(x, y).repeat(), "has no end"),
            (tf.data.Dataset.from_tensor_slices(x), "does not hold .pictures, labels."),
            (stream(x, y).take(0), "is empty"),
            (stream(x.astype("float32") * np.nan, y), "not finite"),
            (
                stream(x, y).map(
                    lambda a, b: (a[: 8 + tf.cast(b, "int32")], b)
                ),
                "several sizes",
            ),
            (
                stream(x, y).map(lambda a, b: (a[: 8 + tf.cast(b, "int32")], b)).batch(2),
                "failed after 0 pictures .*tf.image.resize",
            ),
        ]
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            opened(tmp_path / str(number), bad)
    with pytest.raises(ValueError, match="leave labels out"):
        opened(tmp_path, stream(x, y), y)


def test_a_stream_is_read_once(tmp_path, pictures):
    x, y = pictures(9)
    first = opened(tmp_path, stream(x, y))
    again = opened(tmp_path, stream(255 - x, y))
    assert (first.train.read([0]) == again.train.read([0])).all()
