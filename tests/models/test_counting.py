"""Work and receptive fields, against sums done by hand and against published ones."""

import math

import keras
import numpy as np
import pytest
from keras import layers

from tlcourse.models import build_classifier, multiply_adds, receptive_field, small_cnn
from tlcourse.models.counting import work_by_layer

SIDE = 16


def chain(*parts, side=SIDE, channels=3):
    return keras.Sequential([keras.Input((side, side, channels)), *parts])


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (layers.Conv2D(8, 3, padding="same"), 16 * 16 * 3 * 3 * 3 * 8),
        (layers.Conv2D(8, 3), 14 * 14 * 3 * 3 * 3 * 8),
        (layers.Conv2D(8, 3, strides=2, padding="same"), 8 * 8 * 3 * 3 * 3 * 8),
        (layers.Conv2D(6, 3, padding="same", groups=3), 16 * 16 * 3 * 3 * 1 * 6),
        (layers.Conv2D(8, (1, 7), padding="same"), 16 * 16 * 7 * 3 * 8),
        (layers.DepthwiseConv2D(5, padding="same"), 16 * 16 * 5 * 5 * 3),
        (layers.SeparableConv2D(8, 3, padding="same"), 16 * 16 * (3 * 3 * 3 + 3 * 8)),
        (layers.Conv2DTranspose(8, 3, strides=2), 16 * 16 * 3 * 3 * 3 * 8),
        (layers.Dense(8), 16 * 16 * 3 * 8),
        (layers.BatchNormalization(), 0),
        (layers.MaxPooling2D(), 0),
    ],
    ids=lambda value: value.name if hasattr(value, "name") else str(value),
)
def test_one_layer_by_hand(layer, expected):
    assert multiply_adds(chain(layer)) == expected


def test_a_toy_network_by_hand_layer_by_layer():
    network = chain(
        layers.Conv2D(4, 3, padding="same", name="conv"),
        layers.MaxPooling2D(),
        layers.DepthwiseConv2D(3, padding="same", name="depthwise"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(10, name="head"),
    )
    by_hand = {"conv": 16 * 16 * 27 * 4, "depthwise": 8 * 8 * 9 * 4, "head": 40}
    assert work_by_layer(network) == by_hand
    assert multiply_adds(network) == sum(by_hand.values())


def test_depthwise_then_pointwise_costs_one_over_channels_plus_one_over_nine_of_a_convolution():
    plain = multiply_adds(chain(layers.Conv2D(64, 3, padding="same"), channels=64))
    separable = multiply_adds(chain(layers.SeparableConv2D(64, 3, padding="same"), channels=64))
    assert separable / plain == pytest.approx(1 / 64 + 1 / 9)


def test_a_layer_that_is_used_twice_counts_twice_and_nested_models_count():
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    inputs = keras.Input((SIDE, SIDE, 3))
    inner = keras.Model(inputs, shared(shared(inputs)), name="inner")
    whole = chain(inner, layers.GlobalAveragePooling2D(), layers.Dense(2, name="head"))
    assert work_by_layer(whole) == {"inner/shared": 2 * 256 * 81, "head": 6}


def test_a_whole_classifier_counts():
    model = build_classifier(10, size=32, weights=None)
    assert multiply_adds(model) > multiply_adds(small_cnn(10))
    assert work_by_layer(model)["head"] == 12_800


@pytest.mark.parametrize(
    ("parts", "height", "stride"),
    [
        ([layers.Conv2D(2, 3)], 3, 1),
        ([layers.Conv2D(2, 3), layers.Conv2D(2, 3)], 5, 1),
        ([layers.Conv2D(2, 3, strides=2), layers.Conv2D(2, 3)], 7, 2),
        ([layers.Conv2D(2, 3, dilation_rate=2)], 5, 1),
        ([layers.Conv2D(2, 3), layers.MaxPooling2D(2), layers.Conv2D(2, 3)], 8, 2),
        ([layers.Conv2D(2, 1), layers.ReLU(), layers.BatchNormalization()], 1, 1),
        ([layers.DepthwiseConv2D(5, strides=2), layers.SeparableConv2D(2, 3)], 9, 2),
        ([layers.AveragePooling2D(3, strides=1), layers.Dense(4)], 3, 1),
    ],
)
def test_field_of_a_chain_by_hand(parts, height, stride):
    field = receptive_field(chain(*parts))
    assert (field.height, field.width, field.stride) == (height, height, (stride, stride))


def test_field_is_the_part_of_the_image_that_a_position_answers_to():
    """Brute force: change one pixel after another and see whether one position moves."""
    network = chain(
        layers.Conv2D(2, 3, strides=2), layers.AveragePooling2D(2, strides=1), layers.Conv2D(2, 2)
    )
    image = np.random.default_rng(0).normal(size=(1, SIDE, SIDE, 3)).astype("float32")
    pixels = np.repeat(image, SIDE, axis=0)
    pixels[np.arange(SIDE), np.arange(SIDE)] += 100.0
    maps = keras.ops.convert_to_numpy(network(np.concatenate([image, pixels])))
    moved = np.abs(maps[1:, 1, 1] - maps[0, 1, 1]).max(axis=-1) > 0
    assert receptive_field(network).height == np.ptp(np.flatnonzero(moved)) + 1


def test_sides_may_differ_and_the_widest_branch_counts():
    inputs = keras.Input((SIDE, SIDE, 3))
    narrow = layers.Conv2D(4, (1, 7), padding="same")(inputs)
    joined = layers.Concatenate()([narrow, layers.Conv2D(4, 3, padding="same")(inputs)])
    field = receptive_field(keras.Model(inputs, joined))
    assert (field.height, field.width) == (3, 7)


def test_a_gate_is_named_and_left_out_and_pooling_sees_everything():
    inputs = keras.Input((SIDE, SIDE, 3))
    maps = layers.Conv2D(4, 3)(inputs)
    gate = layers.Dense(4)(layers.GlobalAveragePooling2D(keepdims=True)(maps))
    gated = receptive_field(keras.Model(inputs, layers.Multiply()([maps, gate])))
    assert (gated.height, gated.gated) == (3, True)
    assert receptive_field(chain(layers.GlobalAveragePooling2D())).height == math.inf


@pytest.mark.parametrize("count", [multiply_adds, receptive_field])
def test_what_is_no_model_of_known_layers_is_refused(count):
    with pytest.raises(TypeError, match="not a keras.Model"):
        count("efficientnet-lite0")
    with pytest.raises(ValueError, match="with an Input"):
        count(keras.Sequential([layers.Conv2D(4, 3)]))


def test_open_sides_and_unknown_layers_have_no_count():
    inputs = keras.Input((None, None, 3))
    with pytest.raises(ValueError, match="sides are open"):
        multiply_adds(keras.Model(inputs, layers.Conv2D(4, 3)(inputs)))
    inputs = keras.Input((5, 8))
    attended = layers.MultiHeadAttention(2, 4)(inputs, inputs)
    with pytest.raises(ValueError, match="MultiHeadAttention"):
        multiply_adds(keras.Model(inputs, attended))


def test_what_enlarges_a_map_has_no_field():
    with pytest.raises(ValueError, match="enlarges its map"):
        receptive_field(chain(layers.UpSampling2D()))
    inputs = keras.Input((SIDE, SIDE, 3))
    two = keras.Model(inputs, [layers.ReLU()(inputs), layers.Conv2D(2, 3)(inputs)])
    with pytest.raises(ValueError, match="1 inputs and 2 outputs"):
        receptive_field(two)
