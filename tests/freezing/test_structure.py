import keras
import pytest
from keras import layers

from tlcourse.freezing import find_backbone, freeze, report
from tlcourse.freezing.structure import BatchNorm, take_apart


def block_names(model):
    return [block.name for block in take_apart(model).blocks]


def test_the_backbone_is_found_nested(classifier):
    model = classifier()
    assert find_backbone(model) is model.get_layer("base")


def test_the_backbone_is_found_in_a_sequential_in_a_sequential(backbone):
    base = backbone()
    features = keras.Sequential([base, layers.GlobalAveragePooling2D()], name="features")
    model = keras.Sequential([keras.Input((8, 8, 3)), features, layers.Dense(2)])
    assert find_backbone(model) is base
    freeze(model)
    assert report(model).trainable == 10


def test_the_backbone_is_found_inside_a_wrapper_layer(classifier, wrapper):
    model = classifier(lambda base, x: wrapper(base, name="wrapped")(x))
    assert find_backbone(model).name == "base"
    assert freeze(model).backbone_trainable == 0


def test_a_large_dense_head_is_no_backbone(backbone):
    model = keras.Sequential([backbone(), layers.Flatten(), layers.Dense(100)])
    assert find_backbone(model).name == "base"


def test_a_bare_backbone_is_its_own(backbone):
    base = backbone()
    assert find_backbone(base) is base
    assert not take_apart(base).rest


def test_a_flat_model_is_its_own_and_its_head_lies_after_the_pooling(backbone):
    base = backbone()
    pooled = layers.GlobalAveragePooling2D()(base.output)
    flat = keras.Model(base.input, layers.Dense(2, name="head")(pooled))
    parts = take_apart(flat)
    assert parts.backbone is flat
    assert [layer.name for layer in parts.rest] == ["head"]
    assert freeze(flat).backbone_trainable == 0
    assert report(flat).trainable == 10


def test_two_backbones_are_refused_by_name(backbone):
    inputs = keras.Input((8, 8, 3))
    both = layers.Add()([backbone("left")(inputs), backbone("right")(inputs)])
    model = keras.Model(inputs, both)
    with pytest.raises(ValueError, match=r"left, right.*get_layer\('left'\)"):
        find_backbone(model)
    freeze(model.get_layer("left"))
    assert not model.get_layer("left").trainable_weights
    assert model.get_layer("right").trainable_weights


def test_a_model_without_convolutions_has_no_backbone():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="no convolution and no attention"):
        find_backbone(model)


def test_no_model_at_all_is_refused():
    with pytest.raises(TypeError, match="ndarray|list"):
        find_backbone([1, 2])


def test_a_model_without_weights_is_refused():
    model = keras.Sequential([layers.Conv2D(4, 3), layers.GlobalAveragePooling2D()])
    with pytest.raises(ValueError, match="no weights yet"):
        freeze(model)


def test_a_block_holds_its_convolutions_and_their_batch_norms(backbone):
    parts = take_apart(backbone())
    named = {block.name: [layer.name for layer in block.layers] for block in parts.blocks}
    assert list(named) == ["stem", "block1", "top"]
    assert named["stem"][-3:] == ["stem_conv", "stem_bn", "stem_relu"]
    assert [block.parameters for block in parts.blocks] == [64, 66, 92]


def lite0():
    from tlcourse.models import lite

    return lite.build("efficientnet-lite0", (32, 32, 3), weights=None)


def of_keras(name, side=75):
    builder = getattr(keras.applications, name)
    return builder(weights=None, include_top=False, input_shape=(side, side, 3))


@pytest.mark.parametrize(
    "build, count, first, last",
    [
        (lite0, 18, "stem", "top"),
        (lambda: of_keras("MobileNetV2", 96), 19, "Conv1", "Conv_1"),
        (lambda: of_keras("InceptionV3"), 16, None, "mixed10"),
        (lambda: of_keras("VGG16", 32), 5, "block1", "block5"),
        (lambda: of_keras("ConvNeXtTiny", 32), 22, "convnext_tiny_stem", "stage_3_block_2"),
        pytest.param(
            lambda: of_keras("NASNetMobile", 224),
            15,
            "stem_conv1",
            "normal_concat_12",
            marks=pytest.mark.skipif(
                keras.backend.backend() == "torch", reason="Keras has no NASNet on PyTorch"
            ),
        ),
    ],
    ids=["Lite0", "MobileNetV2", "InceptionV3", "VGG16", "ConvNeXtTiny", "NASNetMobile"],
)
def test_real_networks_come_apart_between_their_blocks(build, count, first, last):
    model = build()
    parts = take_apart(model)
    names = [block.name for block in parts.blocks]
    assert (len(names), names[-1]) == (count, last)
    assert first in (None, names[0])
    assert len(set(names)) == count
    assert sum(block.parameters for block in parts.blocks) == model.count_params()
    home = {id(layer): block.name for block in parts.blocks for layer in block.layers}
    for norm in parts.batch_norms:
        for node in norm._inbound_nodes:
            for parent in node.parent_nodes:
                if isinstance(parent.operation, keras.Layer) and parent.operation.weights:
                    assert home[id(parent.operation)] == home[id(norm)]


def test_the_batch_norms_inside_a_composite_layer_are_found():
    class ConvNorm(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.conv = layers.Conv2D(2, 1)
            self.norm = BatchNorm()

        def build(self, shape):
            self.conv.build(shape)
            self.norm.build((*shape[:-1], 2))

        def call(self, x):
            return self.norm(self.conv(x))

    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, ConvNorm(name="first")(inputs))
    assert len(take_apart(model).batch_norms) == 1
    result = freeze(model, fraction=0.0)
    assert result.trainable == 3 * 2 + 2
    assert result.rows[0].mode == "frozen"
