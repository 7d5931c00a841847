import keras
import numpy as np
import pytest
from keras import layers

from tlcourse.freezing import audit, freeze, report, train_only, unfreeze
from tlcourse.freezing.structure import walk


def trained(model):
    return sorted({weight.path.split("/")[0] for weight in model.trainable_weights})


def state(model):
    return [layer.trainable for layer in walk(model)]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("stem", ["stem_conv"]),
        ("block1", ["block1_conv", "block1_dwconv"]),
        ("block1_dwconv", ["block1_dwconv"]),
        ("head", ["head"]),
        (["stem", "head"], ["head", "stem_conv"]),
        (("top", "block1_conv"), ["block1_conv", "top_conv"]),
    ],
)
def test_what_is_named_trains_and_nothing_else(classifier, names, expected):
    model = classifier()
    result = train_only(model, names)
    assert trained(model) == expected
    assert result.trainable == sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert all(row.mode in ("-", "frozen") for row in result.rows)


def test_only_the_named_part_moves_in_fit(classifier, fit, values):
    model = classifier()
    train_only(model, "stem")
    stem = model.get_layer("base").get_layer("stem_conv")
    rest = [w for w in model.weights if not any(w is own for own in stem.weights)]
    before, kernel = values(rest), values(stem.weights)
    fit(model)
    assert all(map(np.array_equal, before, values(rest)))
    assert not any(map(np.array_equal, kernel, values(stem.weights)))


def test_it_does_not_depend_on_what_was_set_before(classifier):
    model = classifier()
    freeze(model)
    assert trained(model) == ["head"]
    train_only(model, "stem")
    train_only(model, "top")
    assert trained(model) == ["top_conv"]
    unfreeze(model)
    assert "head" in trained(model)


def test_a_frozen_backbone_is_frozen_as_a_whole(classifier):
    model = classifier()
    train_only(model, "head")
    assert not model.get_layer("base").trainable
    assert audit(model, expect="feature extraction").ok


def test_batch_norm_follows_only_when_asked(classifier):
    model = classifier()
    train_only(model, "stem", batch_norm="trainable")
    assert trained(model) == ["stem_bn", "stem_conv"]


def test_a_flat_model_has_parts_too(backbone):
    base = backbone()
    x = layers.GlobalAveragePooling2D()(base.output)
    flat = keras.Model(base.input, layers.Dense(2, name="head")(x))
    train_only(flat, "stem")
    assert trained(flat) == ["stem_conv"]
    train_only(flat, "head")
    assert trained(flat) == ["head"]


def test_inside_a_wrapper_and_in_a_sequential(classifier, backbone, wrapper):
    model = classifier(call=lambda base, x: wrapper(base)(x))
    train_only(model, "top")
    assert trained(model) == ["top_conv"]
    deep = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.Sequential([backbone()]), layers.Flatten(), layers.Dense(2)]
    )
    train_only(deep, "block1")
    assert trained(deep) == ["block1_conv", "block1_dwconv"]


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ("blok1", ValueError, "'blok1'; nothing was changed; did you mean block1"),
        (["stem", "tpo"], ValueError, "'tpo'; nothing was changed"),
        ([], ValueError, "names is empty"),
        ([3], TypeError, "The name is 3"),
    ],
)
def test_a_wrong_name_is_loud_and_changes_nothing(classifier, names, error, message):
    model = classifier()
    unfreeze(model, last=1)
    before = state(model)
    with pytest.raises(error, match=message):
        train_only(model, names)
    assert state(model) == before


def test_a_model_without_weights_is_refused():
    model = keras.Sequential([layers.Conv2D(2, 3), layers.GlobalAveragePooling2D()])
    with pytest.raises(ValueError, match="no weights yet"):
        train_only(model, "conv2d")


def test_a_change_after_fit_asks_for_another_compile(classifier, fit):
    model = classifier()
    train_only(model, "head")
    fit(model)
    assert "Compile again before fit" in train_only(model, "stem").compile_again
    fit(model)
    assert report(model).compile_again is None
