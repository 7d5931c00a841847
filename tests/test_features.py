import copy
import os
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tlcourse import config, features
from tlcourse.models import build_classifier

needs_export = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf2onnx reads TensorFlow only"
)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (6, 28, 28, 1)).astype("uint8")


@pytest.fixture
def cold(tmp_path, monkeypatch):
    """A cache of its own for features; weights and the ONNX file stay where they are."""
    shared = config.cache_dir
    monkeypatch.delenv("TLCOURSE_CACHE_LIMIT", raising=False)

    def here(*parts):
        if parts[:1] != ("features",):
            return shared(*parts)
        folder = tmp_path.joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    monkeypatch.setattr(config, "cache_dir", here)
    return tmp_path


@needs_export
def test_both_engines_see_the_same(images):
    onnx = features.extract(images, size=64, engine="onnx")
    plain = features.extract(images, size=64, engine="keras")
    assert onnx.shape == (6, 1280) and onnx.dtype == np.float32
    np.testing.assert_allclose(onnx, plain, atol=2e-4)


def test_features_are_those_inside_a_classifier(images):
    model = build_classifier(3, size=64)
    pooled = keras.Model(model.input, model.get_layer("pooling").output)
    found = features.extract(images, size=64)
    np.testing.assert_allclose(found, pooled.predict(images, verbose=0), atol=2e-4)


def test_grey_and_tripled_grey_are_the_same(images, cold):
    tripled = np.repeat(images, 3, axis=-1)
    assert (features.extract(images, size=64) == features.extract(tripled, size=64)).all()


def test_the_second_time_comes_from_the_disk(images, cold, monkeypatch):
    first = features.extract(images, size=64)
    monkeypatch.setattr(features, "_compute", lambda *_: pytest.fail("computed again"))
    assert (features.extract(images, size=64) == first).all()


@pytest.mark.parametrize(
    "change",
    [
        {"size": 32},
        {"interpolation": "nearest"},
        {"prepare": "divide_by_255"},
        pytest.param({"engine": "keras"}, marks=needs_export),
        {"images": 1},
    ],
)
def test_nothing_else_is_taken_from_the_disk(images, cold, change):
    features.extract(images, size=64)
    if "images" in change:
        other = images.copy()
        other[0, 0, 0, 0] ^= 1
        features.extract(other, size=64)
    else:
        features.extract(images, **{"size": 64, **change})
    assert len(list(cold.rglob("*.npz"))) == 2


def test_without_an_export_onnx_is_refused_in_a_sentence(images, tmp_path, monkeypatch):
    monkeypatch.setattr(config, "backend", lambda: "jax")
    monkeypatch.setattr(config, "cache_dir", lambda *_: tmp_path)
    with pytest.raises(ValueError, match='from the TensorFlow backend.*use engine="keras"'):
        features.extract(images, "efficientnet-lite1", size=64, engine="onnx")
    assert not list(tmp_path.iterdir())


def test_features_of_one_backend_are_not_taken_for_those_of_another(images, cold, monkeypatch):
    features.extract(images, size=64, engine="keras")
    for backend in config.BACKENDS:
        monkeypatch.setattr(config, "backend", lambda name=backend: name)
        features.extract(images, size=64, engine="keras")
    assert len(list(cold.rglob("*.npz"))) == 3


def test_a_wrong_preparation_gives_other_features(images):
    right = features.extract(images, size=64)
    wrong = features.extract(images, size=64, prepare="raw_0_255")
    assert np.abs(right - wrong).max() > 0.1


def test_a_function_prepares_and_is_not_kept(images, cold):
    seen = []

    def prepare(pixels):
        seen.append((pixels.dtype, pixels.shape, pixels.max() > 100))
        return (pixels - 127) / 128

    found = features.extract(images, size=64, prepare=prepare)
    np.testing.assert_allclose(found, features.extract(images, size=64), atol=1e-4)
    assert seen == [(np.float32, (6, 64, 64, 3), True)]
    assert len(list(cold.rglob("*.npz"))) == 1


def test_random_weights_follow_the_seed_and_are_not_kept(images, cold):
    def drawn(seed):
        config.set_seed(seed)
        return features.extract(images, size=64, weights=None)

    assert (drawn(0) == drawn(0)).all() and (drawn(0) != drawn(1)).any()
    assert not list(cold.rglob("*.npz"))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"engine": "tpu"}, "engine is 'tpu'"),
        ({"prepare": "typo"}, "prepare is 'typo'"),
        ({"backbone": "resnet5"}, "resnet5"),
        ({"images": np.zeros((2, 28, 28), "uint8")}, "to_rgb wants"),
        ({"images": np.random.default_rng(0).random((2, 28, 28, 1))}, "divided by 255"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(images, change, what):
    with pytest.raises(ValueError, match=what):
        features.extract(**{"images": images, **change})


def test_an_image_is_found_whatever_it_was_asked_for_with(images, cold, monkeypatch):
    asked = []
    compute = features._compute

    def watched(missing, *settings):
        asked.append(len(missing))
        return compute(missing, *settings)

    monkeypatch.setattr(features, "_compute", watched)
    first = features.extract(images[:4], size=64)
    found = features.extract(images[[5, 3, 0, 5]], size=64)
    assert asked == [4, 1]
    np.testing.assert_array_equal(found[1:3], first[[3, 0]])


@needs_export
def test_an_image_gets_the_same_bits_in_any_company(images):
    together = _computed(images, uses_onnx=True)
    for some in ([3], [5, 0], [1, 2, 3, 4] * 9):
        np.testing.assert_array_equal(_computed(images[some], uses_onnx=True), together[some])


def test_a_short_batch_is_filled_up_and_cut_again(images):
    together = _computed(images, uses_onnx=False)
    for some in ([3], [1, 2, 3, 4] * 9):
        found = _computed(images[some], uses_onnx=False)
        np.testing.assert_allclose(found, together[some], atol=1e-4)


def _computed(images, uses_onnx):
    return features._compute(
        images, "efficientnet-lite0", 64, None, "bilinear", "imagenet", uses_onnx
    )


def test_half_precision_and_full_never_mix(images, cold):
    full = features.extract(images, size=64, engine="keras")
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = features.extract(images, size=64, engine="keras")
        assert half.dtype == np.float32 and 0 < np.abs(half - full).max()
        assert (features.extract(images, size=64, engine="keras") == half).all()
    finally:
        keras.config.set_dtype_policy("float32")
    assert (features.extract(images, size=64, engine="keras") == full).all()
    assert len(list(cold.rglob("*.npz"))) == 2


@needs_export
def test_onnx_runtime_computes_in_full_precision_under_any_policy(images, cold):
    full = features.extract(images, size=64, engine="onnx")
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        features.onnx_file("efficientnet-lite0").unlink()
        features._onnx_session.cache_clear()
        again = features.extract(images[:3], size=64, engine="onnx")
        computed = _computed(images, uses_onnx=True)
    finally:
        keras.config.set_dtype_policy("float32")
    assert (again == full[:3]).all()
    np.testing.assert_allclose(computed, full, atol=1e-5)


@needs_export
def test_onnx_runtime_gives_its_memory_back_after_the_last_batch():
    asked = []

    class Session:
        def get_inputs(self):
            return [SimpleNamespace(name="images")]

        def run(self, wanted, feed, options):
            shrink = "memory.enable_memory_arena_shrinkage"
            asked.append(options and options.get_run_config_entry(shrink))
            return [feed["images"]]

    batch = np.zeros((2, 3), "float32")
    for last in (False, True):
        assert features._run_onnx(Session(), batch, last) is batch
    assert asked == [None, "cpu:0"]


@needs_export
def test_an_export_copies_no_graph_and_leaves_the_environment_alone(tmp_path, monkeypatch):
    from tf2onnx import graph, optimizer

    copied = []
    copies = SimpleNamespace(deepcopy=lambda x: copied.append(type(x)) or copy.deepcopy(x))
    monkeypatch.setattr(optimizer, "copy", copies)
    monkeypatch.setenv("TF2ONNX_CATCH_ERRORS", "mine")
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
    features._export_onnx(model, tmp_path / "small.onnx")
    assert copied and graph.Graph not in copied  # it copies a table of counts, too
    assert os.environ["TF2ONNX_CATCH_ERRORS"] == "mine"


@needs_export
def test_a_damaged_export_is_made_again(images, tmp_path, monkeypatch):
    monkeypatch.setattr(config, "cache_dir", lambda *_: tmp_path)
    path = features._onnx_path("efficientnet-lite0")
    path.write_bytes(b"no model")
    features._onnx_session.cache_clear()
    assert features.extract(images, size=64, engine="onnx").shape == (6, 1280)
    assert path.stat().st_size > 1_000_000
    features._onnx_session.cache_clear()


def test_with_a_gpu_keras_computes_unless_onnx_runtime_is_asked_for(monkeypatch):
    monkeypatch.setattr(features.devices, "gpus", lambda: ["GPU:0"])
    assert not features._uses_onnx("efficientnet-lite0", "auto")
    assert features._uses_onnx("efficientnet-lite0", "onnx")


def test_another_version_or_other_weights_compute_anew(images, cold, monkeypatch):
    features.extract(images, size=64)
    monkeypatch.setattr(keras, "__version__", "0.0")
    kinds = {features._kind(images, "efficientnet-lite0", 64, None, "bilinear", False)}
    monkeypatch.undo()
    kinds.add(features._kind(images, "efficientnet-lite0", 64, None, "bilinear", False))
    monkeypatch.setattr(features, "_weights_key", lambda name: "others")
    kinds.add(features._kind(images, "efficientnet-lite0", 64, None, "bilinear", False))
    assert len(kinds) == 3
