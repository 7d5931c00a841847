"""Features at every block, from one pass."""

import keras
import numpy as np
import pytest

from tlcourse import features, probing
from tlcourse.models import load_backbone, multiply_adds, receptive_field
from tlcourse.preprocessing import preprocess, resize

SIZE = 32


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1)).astype("uint8")


@pytest.fixture(scope="module")
def cuts(images):
    return probing.cut_features(images, size=SIZE)


def test_there_is_one_cut_per_block_in_order(cuts):
    names = list(cuts)
    assert names[:4] == ["stem", "block1a", "block2a", "block2b"] and names[-1] == "top"
    assert len(names) == 18
    widths = [cuts[name].shape[1] for name in names]
    assert widths[:4] == [32, 16, 24, 24] and widths[-2:] == [320, 1280]
    assert all(found.dtype == np.float32 and len(found) == 5 for found in cuts.values())


def test_the_last_cut_is_what_feature_extraction_gives(images, cuts):
    found = features.extract(images, size=SIZE, engine="keras")
    np.testing.assert_allclose(cuts["top"], found, atol=1e-4)


def test_a_cut_in_the_middle_is_that_layers_mean_and_costs_less(images, cuts):
    part = probing.cut("efficientnet-lite0", "block3b", SIZE)
    whole = load_backbone("efficientnet-lite0", input_shape=(SIZE, SIZE, 3))
    assert part.output_shape == whole.get_layer("block3b_add").output.shape
    assert multiply_adds(part) < multiply_adds(whole) and not part.trainable_weights
    ready = preprocess(resize(np.repeat(images, 3, axis=-1), SIZE), "efficientnet-lite0")
    maps = keras.ops.convert_to_numpy(part(ready))
    np.testing.assert_allclose(cuts["block3b"], maps.mean(axis=(1, 2)), atol=1e-3)


def test_a_block_that_is_a_model_of_its_own_gives_its_output_here():
    part = probing.cut("convnext-tiny", "downsampling_block_0", SIZE, weights=None)
    assert part.output_shape == (None, 4, 4, 192)
    field = receptive_field(part)
    # Patches of 4, three depthwise kernels of 7 at stride 4, and a kernel of 2 at stride 4.
    assert field.stride == (8, 8) and field.height == 4 + 3 * 6 * 4 + 4


def test_a_grid_keeps_where_and_averages_to_the_mean(images, cuts):
    found = probing.cut_features(images, size=SIZE, blocks=["top", "block1a"], grid=2)
    assert list(found) == ["block1a", "top"]
    assert found["block1a"].shape == (5, 16 * 4)
    fields = found["block1a"].reshape(5, 4, 16)
    np.testing.assert_allclose(fields.mean(axis=1), cuts["block1a"], atol=1e-4)
    # The last map has one position at this size, so that there is nothing to part.
    np.testing.assert_allclose(found["top"], cuts["top"], atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blocks": ["block3"]}, "did you mean block3"),
        ({"blocks": []}, "no block to cut at"),
        ({"grid": 0}, "grid is 0"),
        ({"size": 16}, "at least 32"),
        ({"backbone": "resnet5"}, "did you mean"),
        ({"images": np.zeros((2, 28, 28), "uint8")}, "to_rgb wants"),
        ({"images": np.random.default_rng(0).random((2, 28, 28, 1))}, "divided by 255"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(images, change, message):
    with pytest.raises(ValueError, match=message):
        probing.cut_features(**{"images": images, "size": SIZE, "weights": None, **change})
