"""Facts of backbones that are built without weights, against the table and published sums."""

import functools
import os

import keras
import numpy as np
import pytest

from tlcourse.models import BACKBONES, backbone_facts, load_backbone

# Published multiply-adds, with the classifier, at the native size.
PUBLISHED = {
    "efficientnet-lite0": 407e6,  # Google's table of the Lite family, which is 5 % above ours
    "efficientnet-lite1": 631e6,
    "efficientnet-lite2": 899e6,
    "efficientnet-b0": 390e6,  # https://arxiv.org/abs/1905.11946
    "mobilenet-v2": 300e6,  # https://arxiv.org/abs/1801.04381
    "resnet50": 3.8e9,  # https://arxiv.org/abs/1512.03385
    "vgg16": 15.3e9,  # the same
}
# Receptive fields of the last map: https://distill.pub/2019/computing-receptive-fields/
FIELDS = {"vgg16": 212, "resnet50": 483, "inception-v3": 1311, "mobilenet": 315}


counted = functools.cache(backbone_facts)


def entries():
    """Every backbone; by default only that of each family with the least work is built."""
    least = {}
    for backbone in sorted(BACKBONES.values(), key=lambda backbone: backbone.multiply_adds):
        least.setdefault(backbone.family, backbone.name)
    for name, backbone in BACKBONES.items():
        skipped = name != least[backbone.family] and not os.environ.get("TLCOURSE_TEST_GIANTS")
        skip = pytest.mark.skip(
            "a larger one of its family; set TLCOURSE_TEST_GIANTS=1 to build it"
        )
        # Keras refuses to build it there.
        torch = pytest.mark.skipif(keras.backend.backend() == "torch", reason="not on PyTorch")
        marks = [skip] * skipped + [torch] * name.startswith("nasnet")
        yield pytest.param(name, marks=marks)


@pytest.mark.parametrize("name", list(entries()))
def test_the_table_holds_what_is_counted(name):
    backbone, facts = BACKBONES[name], counted(name)
    assert facts.parameters == backbone.parameters
    assert facts.headless_parameters == backbone.headless_parameters
    assert facts.multiply_adds == backbone.multiply_adds
    assert facts.size == backbone.native_size
    assert facts.feature_map[2] == backbone.features


@pytest.mark.parametrize("name", PUBLISHED)
def test_work_is_what_papers_publish(name):
    assert BACKBONES[name].multiply_adds == pytest.approx(PUBLISHED[name], rel=0.06)


@pytest.mark.parametrize("name", FIELDS)
def test_fields_are_the_published_ones(name):
    field = counted(name).field
    assert (field.height, field.width, field.gated) == (FIELDS[name], FIELDS[name], False)


def test_megabytes_are_those_of_keras_table():
    facts = counted("vgg16")
    assert round(facts.megabytes) == 528
    assert round(facts.headless_megabytes) == 56


def test_facts_are_those_of_a_network_with_weights_at_another_size():
    facts = backbone_facts("EfficientNetB0", 64)
    network = load_backbone("efficientnet-b0", None, (64, 64, 3))
    assert facts.headless_parameters == network.count_params()
    assert facts.feature_map == network.output_shape[1:] == (2, 2, 1280)
    assert facts.field.gated


def test_what_is_built_afterwards_has_its_names_and_random_numbers():
    def draw():
        keras.utils.set_random_seed(0)
        layer = keras.layers.Dense(3)
        layer.build((None, 4))
        return layer.get_weights()[0]

    before = draw()
    number = int(keras.layers.Dense(1).name.rpartition("_")[2])
    keras.utils.set_random_seed(0)
    backbone_facts("vgg16")
    layer = keras.layers.Dense(3)
    layer.build((None, 4))
    np.testing.assert_array_equal(layer.get_weights()[0], before)
    assert layer.name == f"dense_{number + 1}"


def test_bad_input_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="did you mean"):
        backbone_facts("resnet5")
    with pytest.raises(ValueError, match="at least 75 by 75"):
        backbone_facts("inception-v3", 74)
