import keras
import numpy as np
import pytest
from keras import layers

from tlcourse.adaptation import adapt_channels, channel_kernel
from tlcourse.models import load_backbone
from tlcourse.models.scaling import MODES


@pytest.fixture(scope="module")
def backbone():
    keras.utils.set_random_seed(0)
    return load_backbone("efficientnet-lite0", weights=None, input_shape=(32, 32, 3))


def images(channels, seed=0):
    return np.random.default_rng(seed).integers(256, size=(4, 32, 32, channels)).astype("float32")


def features(model, x):
    return model.predict(x, verbose=0)


def test_one_channel_is_the_grey_image_tripled(backbone):
    """Where all channels are scaled alike."""
    grey = images(1)
    scaled = MODES["lite"](np.repeat(grey, 3, axis=-1))
    found = features(adapt_channels(backbone, 1), scaled[..., :1])
    assert np.allclose(found, features(backbone, scaled), atol=1e-4)


@pytest.mark.parametrize("mode", ["caffe", "torch"])
def test_and_is_not_where_the_channels_offsets_differ(mode):
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype("float32")
    scaled = MODES[mode](np.repeat(images(1), 3, axis=-1))
    tripled = keras.ops.conv(scaled, kernel)
    summed = keras.ops.conv(scaled[..., :1], channel_kernel(kernel, 1))
    tripled, summed = (keras.ops.convert_to_numpy(x) for x in (tripled, summed))
    assert np.abs(tripled - summed).max() > 0.01


@pytest.mark.parametrize("channels", [2, 5])
def test_equal_channels_say_what_grey_says(backbone, channels):
    grey = MODES["lite"](np.repeat(images(1), 3, axis=-1))
    found = features(adapt_channels(backbone, channels), np.repeat(grey[..., :1], channels, -1))
    assert np.allclose(found, features(backbone, grey), atol=1e-4)


def test_the_backbone_stays_as_it_is(backbone):
    before = [w.copy() for w in backbone.get_weights()]
    copy = adapt_channels(backbone, 2)
    copy.layers[1].set_weights([np.zeros((3, 3, 2, 32), "float32")])
    assert all((a == b).all() for a, b in zip(before, backbone.get_weights(), strict=True))


def test_padding_before_the_convolution_is_kept():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(2, 3, name="conv")(layers.ZeroPadding2D(1)(inputs))
    copy = adapt_channels(keras.Model(inputs, x), 1)
    assert copy.input_shape == (None, 8, 8, 1) and copy.output_shape == (None, 8, 8, 2)


def test_three_channels_cannot_take_two():
    """What happens without an adapter: the layer says so."""
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, layers.Conv2D(2, 3)(inputs))
    with pytest.raises(ValueError, match="shape|channels"):
        model(np.zeros((1, 8, 8, 2), "float32"))


def test_refuses_a_backbone_that_scales_inside():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(2, 3)(layers.Rescaling(1 / 255, name="scale")(inputs))
    with pytest.raises(ValueError, match="begins with Rescaling 'scale', not with a convolution"):
        adapt_channels(keras.Model(inputs, x, name="toy"), 1)


@pytest.mark.parametrize("channels", [0, 1.5, True])
def test_refuses_a_number_that_is_none(channels):
    with pytest.raises(ValueError, match="whole number from 1 on"):
        channel_kernel(np.zeros((3, 3, 3, 8)), channels)


def test_refuses_what_is_no_kernel():
    with pytest.raises(ValueError, match=r"\(3, 3, 8\)"):
        channel_kernel(np.zeros((3, 3, 8)), 1)
