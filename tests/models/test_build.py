"""Models to train."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tlcourse.models import build_classifier, load_backbone, small_cnn
from tlcourse.preprocessing import preprocess, resize, to_rgb

RAW = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1), dtype=np.uint8)


@pytest.fixture(scope="module")
def classifier():
    return build_classifier(5, size=64, dropout=0.2)


def test_layers_have_the_promised_names(classifier):
    names = [layer.name for layer in classifier.layers]
    assert names[1] == "preprocessing"
    assert names[3:] == ["pooling", "dropout", "head"]
    assert isinstance(classifier.layers[2], keras.Model)
    assert classifier.output_shape == (None, 5)


def test_only_the_head_is_trainable_at_first(classifier):
    assert [weight.path for weight in classifier.trainable_weights] == ["head/kernel", "head/bias"]
    assert not classifier.layers[2].trainable


def test_the_model_is_preprocessing_backbone_pooling_head(classifier):
    ready = preprocess(resize(to_rgb(RAW), 64), "efficientnet-lite0")
    maps = load_backbone("efficientnet-lite0", input_shape=(64, 64, 3)).predict(ready, verbose=0)
    kernel, bias = classifier.get_layer("head").get_weights()
    logits = maps.mean((1, 2)) @ kernel + bias
    expected = np.exp(logits - logits.max(1, keepdims=True))
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(classifier.predict(RAW, verbose=0), expected, atol=1e-5)


def test_a_saved_model_takes_raw_pixels(classifier, tmp_path):
    expected = classifier.predict(RAW, verbose=0)
    classifier.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(RAW, verbose=0), expected, atol=1e-6)
    floats = RAW.astype(np.float32)
    np.testing.assert_allclose(loaded.predict(floats, verbose=0), expected, atol=1e-6)
    np.testing.assert_array_equal(floats, RAW)
    assert np.ptp(expected, axis=0).max() > 1e-3  # the pixels do matter


def test_any_keras_backbone_and_the_native_size():
    model = build_classifier(
        3, backbone="MobileNetV2", image_shape=(40, 50, 3), size=None, weights=None
    )
    assert model.get_layer("preprocessing").size == (224, 224)
    assert model.get_layer("preprocessing").mode == "tf"
    assert "dropout" not in [layer.name for layer in model.layers]
    assert model.input_shape == (None, 40, 50, 3)


def test_a_fitted_head_can_be_given():
    rng = np.random.default_rng(0)
    head = SimpleNamespace(kernel=rng.normal(size=(1280, 4)), bias=rng.normal(size=4))
    model = build_classifier(4, size=32, head=head, weights=None)
    np.testing.assert_allclose(model.get_layer("head").kernel, head.kernel, atol=1e-6)
    wrong = SimpleNamespace(kernel=np.zeros((512, 4)), bias=np.zeros(4))
    with pytest.raises(ValueError, match=r"\(1280, 4\)"):
        build_classifier(4, size=32, head=wrong, weights=None)


def test_a_layer_can_be_the_head():
    head = keras.Sequential([keras.layers.Dense(8, "relu"), keras.layers.Dense(4, "softmax")])
    assert build_classifier(4, size=32, head=head, weights=None).output_shape == (None, 4)
    with pytest.raises(ValueError, match=r"\(None, 3\)"):
        build_classifier(3, size=32, head=keras.layers.Dense(4), weights=None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": 1}, "2 or more"),
        ({"classes": 2.0}, "2 or more"),
        ({"classes": True}, "2 or more"),
        ({"image_shape": (28, 28)}, "height, width, channels"),
        ({"image_shape": (28, 28, 4)}, "1 channel"),
        ({"image_shape": (28, 0, 3)}, "height, width, channels"),
        ({"image_shape": 28}, "height, width, channels"),
        ({"dropout": 1.0}, "without 1"),
        ({"size": 16}, "at least 32 by 32"),
        ({"size": "big"}, "whole number"),
        ({"backbone": "resnet49"}, "did you mean"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_classifier(**({"classes": 3, "weights": None} | arguments))


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (64, 64, 3), (96, 96, 3), (64, 40, 1)])
def test_small_cnn_is_small(shape):
    model = small_cnn(10, shape)
    assert model.input_shape == (None, *shape)
    assert model.output_shape == (None, 10)
    assert 80_000 <= model.count_params() <= 250_000
    assert not model.compiled
    assert model.layers[1].name == "preprocessing"


def test_small_cnn_scales_raw_pixels_itself():
    scale = small_cnn(3).get_layer("preprocessing")
    assert keras.ops.convert_to_numpy(scale(np.array([[0.0, 255.0]]))).tolist() == [[-1, 1]]


def test_small_cnn_learns_where_the_bright_stripe_is():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    images = rng.integers(0, 100, (400, 28, 28, 1))
    for image, label in zip(images, labels, strict=True):
        place = rng.integers(4, 24)
        stripe = image[place : place + 2] if label else image[:, place : place + 2]
        stripe += 120
    images = images.astype(np.uint8)
    model = small_cnn(2)
    model.compile(
        keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    # 50 updates: with Keras' default momentum, inference would still be at chance.
    model.fit(images[:300], labels[:300], batch_size=32, epochs=5, verbose=0)
    _, accuracy = model.evaluate(images[300:], labels[300:], verbose=0)
    assert accuracy > 0.9


def test_small_cnn_survives_saving(tmp_path):
    model = small_cnn(4)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict(RAW, verbose=0), model.predict(RAW, verbose=0), atol=1e-6
    )


def test_small_cnn_refuses_what_it_cannot_shrink():
    with pytest.raises(ValueError, match="16 pixels"):
        small_cnn(4, (8, 8, 1))
    with pytest.raises(ValueError, match="16 pixels"):
        small_cnn(4, (None, None, 1))
    with pytest.raises(ValueError, match="2 or more"):
        small_cnn(0)
