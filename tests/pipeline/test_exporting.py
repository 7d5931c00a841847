"""Copies for other runtimes say what the model says."""

import keras
import numpy as np
import pytest

from tlcourse.pipeline import exporting

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="Keras exports from TensorFlow"
)


@pytest.fixture
def fitted(pipeline, pictures):
    found = pipeline()
    found.fit(*pictures(60))
    return found


def test_onnx_says_the_same(fitted, pictures, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    x, _ = pictures(9)
    found = fitted.export(tmp_path / "model.onnx")
    assert found.difference < 1e-5 and found.bytes == found.path.stat().st_size
    session = onnxruntime.InferenceSession(found.path)
    answers = session.run(None, {session.get_inputs()[0].name: x.astype("float32")})[0]
    assert answers == pytest.approx(fitted.predict(x).probabilities, abs=1e-5)
    named = session.get_modelmeta().custom_metadata_map["class_names"]
    assert named.split("\n") == list(fitted.class_names)
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


def test_litert_says_the_same(fitted, tmp_path):
    found = fitted.export(tmp_path / "model.tflite")
    assert found.format == "litert" and found.difference < 1e-5 and found.path.exists()
    assert "within" in str(found)


def test_a_copy_that_says_something_else_is_not_written(fitted, tmp_path, monkeypatch):
    wrong = np.full((4, 3), 1 / 3)
    monkeypatch.setattr(exporting, "_run_onnx", lambda path, images: wrong)
    with pytest.raises(ValueError, match="copy answers otherwise.*nothing was written"):
        fitted.export(tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_exports_that_cannot_be(fitted, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="ending in .onnx or .tflite"):
        fitted.export(tmp_path / "model.pb")
    monkeypatch.setattr(exporting.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="needs the package onnx"):
        fitted.export(tmp_path / "model.onnx")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="from its TensorFlow backend"):
        fitted.export(tmp_path / "model.tflite")
