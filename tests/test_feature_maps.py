"""Feature maps of models whose layers do something that can be computed by hand."""

import keras
import numpy as np
import pytest
from keras import layers

from tlcourse import feature_maps as fm
from tlcourse import models

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3)).astype("float32")


def doubling(name="base"):
    """Twice the image, then the mean of each four pixels of it, in two layers each."""
    inputs = layers.Input((8, 8, 3))
    x = layers.Conv2D(3, 1, use_bias=False, name="twice")(inputs)
    x = layers.BatchNormalization(name="norm", epsilon=0)(x)
    x = layers.AveragePooling2D(2, name="mean")(x)
    model = keras.Model(inputs, layers.ReLU(name="positive")(x), name=name)
    model.get_layer("twice").kernel.assign(2 * np.eye(3).reshape(1, 1, 3, 3))
    return model


def nested():
    inputs = layers.Input((8, 8, 3))
    x = layers.Rescaling(1 / 255, name="preprocessing")(inputs)
    x = layers.GlobalAveragePooling2D()(doubling()(x))
    return keras.Model(inputs, layers.Dense(2, name="head")(x))


def sequential():
    base = doubling()
    return keras.Sequential(
        [layers.Input((8, 8, 3)), layers.Rescaling(1 / 255), base, layers.Flatten()]
    )


@pytest.mark.parametrize("build", [nested, sequential])
def test_images_pass_through_what_lies_before_the_backbone(build):
    found = fm.feature_maps(build(), IMAGES, ["twice", "positive"], batch_size=2)
    assert list(found) == ["twice", "positive"]
    assert found["twice"] == pytest.approx(2 * IMAGES / 255, rel=1e-5)
    assert found["twice"].dtype == np.float32
    fours = IMAGES.reshape(5, 4, 2, 4, 2, 3).mean(axis=(2, 4))
    assert found["positive"] == pytest.approx(2 * fours / 255, rel=1e-5)


def test_the_usual_way_fails_or_skips_the_preprocessing():
    """The control: what people write for a nested layer."""
    model = nested()
    inner = model.get_layer("base").get_layer("twice")
    with pytest.raises(ValueError):
        keras.Model(model.input, inner.output)


def test_left_open_it_is_the_last_layer_of_each_resolution():
    assert list(fm.feature_maps(nested(), IMAGES)) == ["norm", "positive"]
    assert list(fm.feature_maps(doubling(), IMAGES)) == ["norm", "positive"]


def test_a_flat_network_and_a_flat_sequential_one():
    cnn = models.small_cnn(3, (28, 28, 1))
    found = fm.feature_maps(cnn, np.zeros((2, 28, 28, 1), "uint8"))
    sides = [maps.shape[1] for maps in found.values()]
    assert sides == sorted(sides, reverse=True) and sides[0] == 28 and len(sides) >= 3
    flat = keras.Sequential([layers.Input((8, 8, 3)), layers.Conv2D(2, 3, name="conv")])
    assert fm.feature_maps(flat, IMAGES)["conv"].shape == (5, 6, 6, 2)


def test_nothing_of_the_model_moves():
    model = nested()
    before = model.get_weights()
    fm.feature_maps(model, IMAGES)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


def test_a_layer_that_is_not_there_is_named_with_its_neighbours():
    with pytest.raises(ValueError, match="no layer 'positiv' that gives feature maps.*positive"):
        fm.feature_maps(nested(), IMAGES, ["positiv"])
    with pytest.raises(ValueError, match="write one such as norm, positive"):
        fm.feature_maps(nested(), IMAGES, ["zzz"])


def test_a_backbone_in_a_wrapper_is_out_of_sight():
    class Wrapper(layers.Layer):
        def __init__(self, base):
            super().__init__()
            self.base = base

        def call(self, inputs):
            return self.base(inputs)

    inputs = layers.Input((8, 8, 3))
    model = keras.Model(inputs, Wrapper(doubling())(inputs), name="whole")
    with pytest.raises(ValueError, match="'whole' calls its backbone 'base' out of sight"):
        fm.feature_maps(model, IMAGES)


def test_channels_by_liveliness_and_the_silent_ones():
    maps = np.zeros((2, 3, 3, 4))
    maps[..., 1] = 7  # high, and the same everywhere
    maps[1, 0, 0, 2], maps[0, 1, 1, 3] = 1, 5
    assert fm.liveliest(maps, 2).tolist() == [3, 2]
    assert len(fm.liveliest(maps, 99)) == 4
    assert fm.silent_share(maps) == 0.5


def test_pictures_are_stretched_each_on_its_own():
    maps = np.zeros((2, 2, 3))
    maps[..., 0], maps[..., 1] = [[-1, 0], [0, 3]], [[0, 1], [1, 2]]
    first, second, silent = fm.as_images(maps, [0, 1, 2])
    assert first[..., 0].tolist() == [[0, 64], [64, 255]]
    assert second[..., 0].tolist() == [[0, 128], [128, 255]]
    assert first.dtype == np.uint8 and not silent.any()
