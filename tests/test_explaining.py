"""Class activation maps against answers that are known by construction."""

import keras
import numpy as np
import pytest
from keras import layers

from tlcourse import explaining


def finder(extra=False):
    """Channel 0 passes red on and channel 1 green; class 0 reads channel 0, class 1 channel 1."""
    inputs = layers.Input((4, 4, 3))
    base = keras.Model(inputs, layers.Conv2D(2, 1, use_bias=False, name="stem_conv")(inputs))
    base.get_layer("stem_conv").kernel.assign(np.eye(3, 2).reshape(1, 1, 3, 2))
    images = layers.Input((4, 4, 3))
    x = layers.GlobalAveragePooling2D(name="pooling")(base(images))
    if extra:
        x = layers.Dense(2, use_bias=False, kernel_initializer="identity", name="hidden")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    model = keras.Model(images, layers.Dense(2, "softmax", name="head")(x))
    model.get_layer("head").kernel.assign([[2.0, -1.0], [-1.0, 2.0]])
    return model


def spots():
    """Red in the upper left corner, green in the lower right one."""
    image = np.zeros((1, 4, 4, 3), "float32")
    image[0, 0, 0, 0], image[0, 3, 3, 1] = 5, 4
    return image


def test_each_class_lights_its_own_spot():
    for label, place in ((0, (0, 0)), (1, (3, 3))):
        found = explaining.grad_cam(finder(), spots(), label)
        expected = np.zeros((1, 4, 4))
        expected[0][place] = 1
        assert found.dtype == np.float32 and (found == expected).all()


def test_left_open_it_explains_the_answer():
    assert explaining.grad_cam(finder(), spots())[0, 0, 0] == 1
    both = explaining.grad_cam(finder(), np.repeat(spots(), 2, axis=0), [0, 1], batch_size=1)
    assert (both[0, 0, 0], both[1, 3, 3]) == (1, 1)


def test_no_evidence_is_an_empty_map():
    assert (explaining.grad_cam(finder(), np.zeros((1, 4, 4, 3), "float32")) == 0).all()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="needs gradients")
def test_the_short_cut_is_the_gradient():
    model = finder()
    images = np.random.default_rng(0).normal(size=(3, 4, 4, 3)).astype("float32")
    to_maps, _ = explaining.split_at_maps(model)
    maps = np.array(to_maps(images))
    classes = np.array([0, 1, 0])
    found = explaining.class_gradients(model, maps, classes)
    expected = np.array(model.get_layer("head").kernel).T[classes] / 16
    assert found == pytest.approx(np.broadcast_to(expected[:, None, None], found.shape), abs=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="needs gradients")
def test_another_head_is_explained_by_its_gradients():
    # The hidden layer passes its inputs on, so the answer is that of the plain head.
    images = np.random.default_rng(1).normal(size=(3, 4, 4, 3)).astype("float32")
    plain = explaining.grad_cam(finder(), images, 1)
    assert explaining.grad_cam(finder(extra=True), images, 1) == pytest.approx(plain, abs=1e-5)


def test_what_cannot_be_explained(monkeypatch):
    with pytest.raises(ValueError, match="classes 0 to 1"):
        explaining.grad_cam(finder(), spots(), 2)
    inputs = layers.Input((4, 4, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 1)(inputs))
    flat = keras.Model(inputs, layers.Dense(2)(pooled))
    with pytest.raises(ValueError, match="no nested backbone"):
        explaining.grad_cam(flat, spots())
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="with TensorFlow only; use a head of Global"):
        explaining.grad_cam(finder(extra=True), spots(), 0)


def test_the_overlay_dims_what_is_not_lit():
    white = np.full((1, 4, 4, 3), 200, "uint8")
    lit = np.zeros((1, 2, 2))
    assert (explaining.overlay(white, lit, strength=0.5) == 100).all()
    assert (explaining.overlay(white, lit + 1) == 200).all()


def test_hiding_covers_that_many_of_the_marked_pixels_and_no_others():
    images = np.full((2, 4, 4, 3), 100, "uint8")
    images[:, 0, 0] = 20
    maps = np.zeros((2, 4, 4))
    maps[:, 0, 0] = 1
    covered = explaining.hide(images, maps, 1 / 16, fill=7)
    assert (covered[:, 0, 0] == 7).all() and (covered == 7).sum() == 6
    assert (covered[:, 1:] == 100).all() and (images[:, 0, 0] == 20).all()
    unlit = explaining.hide(images, maps, 15 / 16, lit=False, fill=7)
    assert (unlit[:, 0, 0] == 20).all() and (unlit == 7).sum() == 2 * 15 * 3


def test_each_image_is_covered_with_its_own_mean():
    images = np.stack([np.full((4, 4, 1), value, "uint8") for value in (10, 200)])
    assert (explaining.hide(images, np.ones((2, 2, 2)), 0.5) == images).all()
    images[:, 0] = 50
    covered = explaining.hide(images, np.ones((2, 2, 2)), 1.0)
    assert [np.unique(image).tolist() for image in covered] == [[20], [162]]


def test_where_a_map_is_flat_lots_are_drawn_and_again_the_same_ones():
    images, flat = np.full((1, 20, 20, 1), 100, "uint8"), np.zeros((1, 5, 5))
    covered = explaining.hide(images, flat, 0.5, fill=0)
    assert (covered == 0).sum() == 200 and 50 < (covered[:, :10] == 0).sum() < 150
    assert (explaining.hide(images, flat, 0.5, fill=0) == covered).all()


@pytest.mark.parametrize(("share", "maps"), [(1.5, np.ones((1, 2, 2))), (0.5, np.ones((2, 2, 2)))])
def test_what_cannot_be_hidden(share, maps):
    with pytest.raises(ValueError, match="give 0 to 1"):
        explaining.hide(np.zeros((1, 4, 4, 3)), maps, share)
