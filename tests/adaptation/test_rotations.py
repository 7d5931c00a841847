import keras
import numpy as np
import pytest
from keras import layers

from tlcourse.adaptation import Rotations, quarter_turns


def classifier():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 1))
    x = layers.Dense(16, "relu", name="hidden")(layers.Flatten()(inputs))
    return keras.Model(inputs, layers.Dense(3, "softmax", name="head")(x), name="toy")


@pytest.fixture
def tops():
    """Bright on top: the side that is bright says how an image was turned."""
    x = np.random.default_rng(0).integers(60, size=(80, 6, 6, 1)).astype("float32")
    x[:, :2] += 180
    return x / 255


def test_a_quarter_turn_is_counter_clockwise_and_four_are_none():
    x = np.arange(8).reshape(2, 2, 2, 1)
    assert quarter_turns(x, np.array([1, 2]))[0, ..., 0].tolist() == [[1, 3], [0, 2]]
    assert quarter_turns(x, np.array([1, 2]))[1, ..., 0].tolist() == [[7, 6], [5, 4]]
    assert (quarter_turns(x, np.array([4, 0])) == x).all()


def test_learns_what_is_to_be_learned_and_nothing_from_meaningless_names(tops):
    found = Rotations(classifier())
    found.learn(tops, steps=150, learning_rate=3e-3)
    assert found.accuracy(tops).mean() > 0.95
    found.learn(tops, steps=150, learning_rate=3e-3, meaningless=True)
    assert found.accuracy(tops).mean() < 0.45


def test_an_image_without_orientation_cannot_be_named(tops):
    found = Rotations(classifier())
    found.learn(tops, steps=20)
    same = np.ones((2, 6, 6, 1))
    assert found.accuracy(same) == pytest.approx([0.25, 0.25])


def test_trains_the_models_own_features_and_leaves_its_head(tops):
    model = classifier()
    before = {layer.name: layer.get_weights() for layer in model.layers}
    Rotations(model).learn(tops, steps=3)
    after = {layer.name: layer.get_weights() for layer in model.layers}
    assert (before["hidden"][0] != after["hidden"][0]).any()
    assert (before["head"][0] == after["head"][0]).all()


def test_each_time_starts_from_the_same_place(tops):
    found, ends = Rotations(classifier()), []
    for _ in range(2):
        found.learn(tops, steps=5, seed=2)
        ends.append(found.turned.get_weights())
    assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(*ends, strict=True))


@pytest.fixture
def off_centre():
    """Dots without any orientation, all one pixel above the middle of the picture."""
    x = np.zeros((60, 9, 9, 1), "float32")
    x[:, 3, 4] = np.random.default_rng(0).uniform(0.5, 1, (60, 1))
    return x


def test_a_place_gives_the_turn_away_unless_it_is_shifted(off_centre):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((9, 9, 1))
    x = layers.Dense(16, "relu", name="hidden")(layers.Flatten()(inputs))
    found = Rotations(keras.Model(inputs, layers.Dense(3, "softmax", name="head")(x)))
    found.learn(off_centre, steps=150, learning_rate=0.01)
    assert found.accuracy(off_centre).mean() > 0.95
    found.learn(off_centre, steps=150, learning_rate=0.01, jitter=4)
    assert found.accuracy(off_centre, jitter=4).mean() < 0.5


@pytest.mark.parametrize("jitter", [-1, 1.5, True])
def test_refuses_a_jitter_that_is_none(tops, jitter):
    with pytest.raises(ValueError, match="jitter is .*whole number of pixels"):
        Rotations(classifier()).learn(tops, steps=1, jitter=jitter)


def test_refuses_images_that_are_not_square():
    with pytest.raises(ValueError, match="only square ones"):
        quarter_turns(np.zeros((2, 4, 6, 1)), np.array([0, 1]))


@pytest.mark.parametrize("turns", [np.array([0]), np.array([0.0, 1.0])])
def test_refuses_turns_that_do_not_match(turns):
    with pytest.raises(ValueError, match="2 images do not match turns"):
        quarter_turns(np.zeros((2, 4, 4, 1)), turns)


def test_refuses_no_steps(tops):
    with pytest.raises(ValueError, match="0 steps of 64"):
        Rotations(classifier()).learn(tops, steps=0)
    with pytest.raises(ValueError, match="learning rate is 0; it has to be above zero"):
        Rotations(classifier()).learn(tops, steps=1, learning_rate=0)


def test_refuses_features_that_are_maps():
    inputs = keras.Input((4, 4, 1))
    maps = layers.Conv2D(2, 1, name="maps")(inputs)
    with pytest.raises(ValueError, match="'maps' gives shape"):
        Rotations(keras.Model(inputs, layers.Flatten()(maps)), features="maps")


def test_after_the_pretext_the_classifier_still_has_to_be_compiled(tops):
    model = classifier()
    Rotations(model).learn(tops, steps=2)
    with pytest.raises(ValueError, match="compile"):
        model.fit(tops, np.zeros(len(tops)), verbose=0)
