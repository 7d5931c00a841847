"""Backbones and classifiers by name, with and without a network."""

import socket
import urllib.error

import keras
import numpy as np
import pytest

from tlcourse.models import load, load_backbone, load_classifier
from tlcourse.preprocessing import preprocess

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def classifier():
    return load_classifier()


def test_the_default_is_lite0_at_its_native_size():
    model = load_backbone("efficientnet-lite0", weights=None)
    assert model.input_shape == (None, 224, 224, 3)
    assert model.output_shape == (None, 7, 7, 1280)


@pytest.mark.parametrize("name", ["MobileNetV3Small", "resnet50"])
def test_keras_networks_come_without_their_classifier(name):
    model = load_backbone(name, weights=None, input_shape=(64, 64, 3))
    assert model.input_shape == (None, 64, 64, 3)
    assert model.output_shape == (None, 2, 2, load.table.lookup(name).features)


def test_sides_may_be_open():
    model = load_backbone("efficientnet-lite0", weights=None, input_shape=(None, None, 3))
    assert model(np.zeros((1, 64, 96, 3), np.float32)).shape == (1, 2, 3, 1280)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("resnet50", (96, 96, 1), "RGB images only"),
        ("resnet50", (96, 96, 4), "RGB images only"),
        ("efficientnet-lite0", (96, 96), "height, width, 3"),
        ("efficientnet-lite0", 96, "height, width, 3"),
        ("efficientnet-lite0", (31, 96, 3), "at least 32 by 32"),
        ("inception-v3", (74, 96, 3), "at least 75 by 75"),
        ("nasnet-mobile", (None, 96, 3), "cannot leave a side open"),
    ],
)
def test_bad_shapes(name, shape, message):
    with pytest.raises(ValueError, match=message):
        load_backbone(name, weights=None, input_shape=shape)


def test_unknown_weights():
    with pytest.raises(ValueError, match="'noisy-student'"):
        load_backbone("efficientnet-b0", weights="noisy-student")
    with pytest.raises(ValueError, match="load_weights"):
        load_classifier(weights="my.weights.h5")


@pytest.fixture
def empty_keras_home(monkeypatch, tmp_path):
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    return tmp_path


def one_sentence(error):
    text = str(error.value)
    assert "\n" not in text and text.endswith(".")
    assert "efficientnet-lite0" in text
    # No chain of causes is printed under the sentence.
    assert error.value.__suppress_context__ and error.value.__cause__ is None
    return text


@pytest.mark.parametrize(
    "failure",
    [
        urllib.error.URLError(socket.gaierror(-2, "Name or service not known")),
        urllib.error.HTTPError("https://x", 503, "busy", {}, None),
        TimeoutError("timed out"),
        ConnectionResetError("reset"),
    ],
    ids=lambda failure: type(failure).__name__,
)
@pytest.mark.parametrize("loader", [load_backbone, load_classifier])
def test_without_internet(monkeypatch, empty_keras_home, loader, failure):
    def fail(*args):
        raise failure

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", fail)
    with pytest.raises(FileNotFoundError) as error:
        loader("mobilenet-v3-small")
    text = one_sentence(error)
    assert "mobilenet-v3-small are not on this machine and could not be downloaded" in text
    assert list((empty_keras_home / "models").iterdir()) == []
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mobilenet-v3-small", "arrived damaged"),
        # Keras knows no hash for MobileNetV2: the file itself has to show that it is broken.
        ("mobilenet-v2", "cannot be read"),
    ],
)
def test_a_damaged_download(monkeypatch, empty_keras_home, name, message):
    def garbage(url, path, *args):
        with open(path, "wb") as file:
            file.write(b"<html>please log in to the wireless network</html>")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", garbage)
    with pytest.raises(FileNotFoundError) as error:
        load_backbone(name)
    assert message in one_sentence(error)


def test_other_errors_are_not_disguised(monkeypatch):
    def fail(**arguments):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(keras.applications, "ResNet50", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        load_backbone("resnet50")


def test_a_classifier_takes_raw_pixels_of_any_dtype(classifier):
    assert classifier.input_shape == (None, 224, 224, 3)
    expected = classifier.predict(PIXELS, verbose=0)
    assert expected.shape == (2, 1000)
    np.testing.assert_allclose(expected.sum(1), 1, atol=1e-5)
    for images in (PIXELS.astype(np.float32), PIXELS.astype(np.int64), PIXELS.astype(np.float64)):
        np.testing.assert_allclose(classifier.predict(images, verbose=0), expected, atol=1e-5)
    direct = keras.ops.convert_to_numpy(classifier(PIXELS))
    np.testing.assert_allclose(direct, expected, atol=1e-5)


def test_a_classifier_leaves_float_pixels_alone(classifier):
    images = PIXELS.astype(np.float32)
    classifier.predict(images, verbose=0)
    classifier(images)
    np.testing.assert_array_equal(images, PIXELS)


def test_a_classifier_is_backbone_pooling_and_head(classifier):
    maps = load_backbone("efficientnet-lite0").predict(
        preprocess(PIXELS, "efficientnet-lite0"), verbose=0
    )
    kernel, bias = load.lite.classifier_weights("efficientnet-lite0")
    logits = maps.mean((1, 2)) @ kernel + bias
    expected = np.exp(logits - logits.max(1, keepdims=True))
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(classifier.predict(PIXELS, verbose=0), expected, atol=1e-5)


def test_a_keras_classifier_gets_its_own_preprocessing():
    model = load_classifier("resnet50", weights=None)
    assert model.get_layer("preprocessing").mode == "caffe"
    inner = model.get_layer("resnet50")
    expected = inner.predict(preprocess(PIXELS, "resnet50"), verbose=0)
    np.testing.assert_allclose(model.predict(PIXELS, verbose=0), expected, atol=1e-5)
