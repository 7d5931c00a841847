"""The table of backbones says what Keras says."""

import os
import sys

import keras
import numpy as np
import pytest

from tlcourse import preprocessing
from tlcourse.models import lite
from tlcourse.models.table import BACKBONES, Backbone, lookup

KERAS = [backbone for backbone in BACKBONES.values() if not backbone.embedded]
SMALL = 30_000_000

architecture = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="a fact of the architecture, the same on every backend that builds it",
)


def builder(backbone):
    return getattr(keras.applications, backbone.build)


def module(backbone):
    return sys.modules[builder(backbone).__module__]


def entries():
    for backbone in KERAS:
        giant = backbone.parameters > SMALL and not os.environ.get("TLCOURSE_TEST_GIANTS")
        skip = pytest.mark.skip("above 30 M parameters; set TLCOURSE_TEST_GIANTS=1 to build it")
        yield pytest.param(backbone, id=backbone.name, marks=[skip] if giant else [])


@architecture
@pytest.mark.parametrize("backbone", list(entries()))
def test_facts_are_those_of_the_network_that_keras_builds(backbone):
    model = builder(backbone)(weights=None)
    native = model.input_shape[1]
    maps = [
        layer.output.shape
        for layer in model.layers
        if len(layer.output.shape) == 4 and layer.output.shape[1] != 1
    ]
    keras.backend.clear_session()

    assert model.count_params() == backbone.parameters
    assert native in (backbone.native_size, None)
    # MobileNetV3's classifier is convolutional, so its maps cannot be told apart from the shapes.
    if backbone.family != "MobileNetV3":
        assert maps[-1][-1] == backbone.features
    scales_itself = any(
        isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization)
        for layer in model.layers[:4]
    )
    assert scales_itself == (backbone.mode == "identity")


@pytest.mark.parametrize("name", ["mobilenet-v3-small", "mobilenet-v3-large"])
def test_features_of_mobilenet_v3(name):
    backbone = BACKBONES[name]
    model = builder(backbone)(weights=None, include_top=False, input_shape=(64, 64, 3))
    assert model.output_shape[-1] == backbone.features


@architecture
@pytest.mark.parametrize("backbone", KERAS, ids=lambda backbone: backbone.name)
def test_minimum_size_is_the_smallest_that_keras_accepts(backbone):
    side = backbone.min_size - 1
    with pytest.raises(ValueError, match="at least"):
        builder(backbone)(weights=None, include_top=False, input_shape=(side, side, 3))


@pytest.mark.parametrize("backbone", KERAS, ids=lambda backbone: backbone.name)
def test_mode_does_what_keras_own_function_does(backbone):
    images = np.random.default_rng(0).uniform(0, 255, (2, 80, 80, 3)).astype(np.float32)
    theirs = module(backbone).preprocess_input(images.copy())
    np.testing.assert_allclose(preprocessing.preprocess(images, backbone), theirs, atol=1e-4)


def test_every_family_has_one_module_and_the_test_above_sees_each():
    assert {module(backbone).__name__.rsplit(".")[-1] for backbone in KERAS} == {
        "convnext", "densenet", "efficientnet", "efficientnet_v2", "inception_resnet_v2",
        "inception_v3", "mobilenet", "mobilenet_v2", "mobilenet_v3", "nasnet", "resnet",
        "resnet_v2", "vgg16", "vgg19", "xception",
    }  # fmt: skip


def test_every_imagenet_network_of_keras_is_in_the_table():
    theirs = {
        name
        for name in dir(keras.applications)
        if name[0].isupper() and callable(getattr(keras.applications, name))
    }
    assert {backbone.build for backbone in KERAS} == theirs


@pytest.mark.parametrize("name", lite.SCALES)
def test_lite_facts(name):
    backbone = BACKBONES[name]
    model = lite.build(name, weights=None)
    classifier = lite.FEATURES * lite.CLASSES + lite.CLASSES
    assert model.count_params() + classifier == backbone.parameters
    assert model.input_shape[1] == backbone.native_size
    assert model.output_shape[-1] == backbone.features
    assert backbone.embedded and backbone.mode == "lite"


def test_every_entry_is_keyed_by_its_name_and_sources_its_accuracy():
    for name, backbone in BACKBONES.items():
        assert name == backbone.name == name.lower()
        assert 0.6 < backbone.top1 < 0.9
        assert backbone.top1_source.startswith("https://")


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("EfficientNetB0", "efficientnet-b0"),
        ("efficientnet_lite0", "efficientnet-lite0"),
        ("ResNet50V2", "resnet50-v2"),
        ("ResNet50", "resnet50"),
        ("InceptionResNetV2", "inception-resnet-v2"),
        (" MobileNetV3Large ", "mobilenet-v3-large"),
    ],
)
def test_spellings(spelling, name):
    assert lookup(spelling).name == name


def test_a_backbone_is_its_own_lookup():
    backbone = BACKBONES["vgg16"]
    assert isinstance(backbone, Backbone)
    assert lookup(backbone) is backbone


def test_unknown_names_get_the_closest_ones():
    with pytest.raises(ValueError, match="resnet50 "):
        lookup("resnet-51")
    with pytest.raises(ValueError, match="efficientnet-lite0"):
        lookup("?")
    with pytest.raises(TypeError, match="not by a int"):
        lookup(50)
