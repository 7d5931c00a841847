"""The layer that puts preprocessing inside a model."""

import keras
import numpy as np
import pytest

from tlcourse.models import Preprocess
from tlcourse.models.scaling import MODES, as_size, mode_of
from tlcourse.preprocessing import preprocess, to_rgb

RGB = np.random.default_rng(0).integers(0, 256, (3, 40, 36, 3), dtype=np.uint8)
GREY = RGB[..., :1]


def run(layer, images):
    return keras.ops.convert_to_numpy(layer(images))


@pytest.mark.parametrize("mode", MODES)
def test_layer_and_function_agree(mode):
    expected = preprocess(RGB, mode)
    for images in (RGB, RGB.astype(np.float32), RGB.astype(np.int32)):
        np.testing.assert_allclose(run(Preprocess(mode), images), expected, atol=1e-4)


def test_known_values():
    pixel = np.array([200, 120, 40], np.uint8).reshape(1, 1, 1, 3)
    expected = {
        "lite": [73 / 128, -7 / 128, -87 / 128],
        "tf": [200 / 127.5 - 1, 120 / 127.5 - 1, 40 / 127.5 - 1],
        "torch": [
            (200 / 255 - 0.485) / 0.229,
            (120 / 255 - 0.456) / 0.224,
            (40 / 255 - 0.406) / 0.225,
        ],
        "caffe": [40 - 103.939, 120 - 116.779, 200 - 123.68],
        "identity": [200, 120, 40],
    }
    assert set(expected) == set(MODES)
    for mode, values in expected.items():
        np.testing.assert_allclose(run(Preprocess(mode), pixel).ravel(), values, atol=1e-4)
        np.testing.assert_allclose(preprocess(pixel, mode).ravel(), values, atol=1e-4)


def test_keras_own_function_wraps_uint8_tensors_and_ours_does_not():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the trap is TensorFlow's arithmetic")
    theirs = keras.applications.resnet50.preprocess_input(keras.ops.convert_to_tensor(RGB))
    ours = Preprocess("resnet50")(keras.ops.convert_to_tensor(RGB))
    assert keras.backend.standardize_dtype(theirs.dtype) == "uint8"
    assert keras.backend.standardize_dtype(ours.dtype) == "float32"
    right = keras.applications.resnet50.preprocess_input(RGB.astype(np.float32))
    np.testing.assert_allclose(ours, right, atol=1e-4)
    assert np.abs(keras.ops.convert_to_numpy(theirs).astype(np.float32) - right).max() > 100


def test_grey_becomes_three_equal_channels():
    np.testing.assert_array_equal(run(Preprocess("lite"), GREY), preprocess(to_rgb(GREY), "lite"))


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_resizing_is_that_of_keras(interpolation):
    images = RGB.astype(np.float32)
    expected = keras.ops.image.resize(images, (20, 50), interpolation=interpolation)
    layer = Preprocess("identity", size=(20, 50), interpolation=interpolation)
    np.testing.assert_allclose(run(layer, RGB), expected, atol=1e-4)


def test_bicubic_stays_within_the_range_of_pixels():
    edge = np.zeros((1, 8, 8, 3), np.uint8)
    edge[:, :, 4:] = 255
    assert keras.ops.max(keras.ops.image.resize(edge * 1.0, (32, 32), "bicubic")) > 255
    resized = run(Preprocess("identity", size=32, interpolation="bicubic"), edge)
    assert (resized.min(), resized.max()) == (0, 255)


def test_resizing_comes_before_scaling_and_sees_raw_pixels():
    wrong_order = keras.ops.image.resize(run(Preprocess("caffe"), RGB), (80, 80), "bicubic")
    layer = Preprocess("caffe", size=80, interpolation="bicubic")
    assert np.abs(run(layer, RGB) - keras.ops.convert_to_numpy(wrong_order)).max() > 1


def test_a_layer_leaves_float_pixels_alone():
    images = RGB.astype(np.float32)
    Preprocess("resnet50", size=16)(images)
    np.testing.assert_array_equal(images, RGB)


def test_symbolic_shapes_with_open_sides():
    inputs = keras.Input((None, None, 1), dtype="uint8")
    assert Preprocess("tf", size=32)(inputs).shape == (None, 32, 32, 3)
    assert Preprocess("tf")(inputs).shape == (None, None, None, 3)
    model = keras.Model(inputs, Preprocess("tf", size=(32, 24))(inputs))
    assert model.predict(GREY, verbose=0).shape == (3, 32, 24, 3)


def test_mixed_precision_rounds_the_result_only():
    layer = Preprocess("torch", dtype="mixed_float16")
    for images in (RGB, RGB + 0.3):
        result = layer(images.astype(np.float32))
        assert keras.backend.standardize_dtype(result.dtype) == "float16"
        exact = run(Preprocess("torch"), images.astype(np.float32))
        # Half an ulp of float16 near 2.6; pixels cast first would be off by ten times as much.
        np.testing.assert_allclose(result, exact, atol=0.0011)


def test_a_layer_survives_its_configuration():
    layer = Preprocess("EfficientNetB0", size=24, interpolation="nearest", name="preprocessing")
    copy = Preprocess.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert (copy.mode, copy.size, copy.name) == ("identity", (24, 24), "preprocessing")


def test_a_layer_survives_saving(tmp_path):
    inputs = keras.Input((40, 36, 3))
    model = keras.Model(inputs, Preprocess("resnet50", size=24)(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(RGB, verbose=0), model.predict(RGB, verbose=0))


@pytest.mark.parametrize("shape", [(2, 8, 8, 4), (2, 8, 8, 2), (8, 8, 3)])
def test_a_layer_refuses_other_channels(shape):
    with pytest.raises(ValueError, match=r"\(N, H, W, 1\)"):
        Preprocess("lite")(np.zeros(shape, np.float32))


@pytest.mark.parametrize("size", [0, -1, 2.5, (3,), (3, 0), (3.5, 3), "96", (1, 2, 3)])
def test_impossible_sizes(size):
    with pytest.raises(ValueError, match="whole number"):
        Preprocess("lite", size=size)


def test_sizes():
    assert as_size(np.int64(3)) == (3, 3)
    assert as_size([4, 5]) == (4, 5)


def test_unknown_names():
    with pytest.raises(ValueError, match="area"):
        Preprocess("lite", size=8, interpolation="area")
    with pytest.raises(ValueError, match="did you mean"):
        Preprocess("resnet500")
    assert mode_of("caffe") == mode_of("VGG16") == "caffe"
