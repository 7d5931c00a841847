"""To ONNX and LiteRT, with a check that the copy says what the model says."""

import importlib.util
import warnings
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from tlcourse import config
from tlcourse.pipeline import saving
from tlcourse.pipeline.disk import full_disk_in_words

FORMATS = {".onnx": "onnx", ".tflite": "litert"}
TOLERANCE = 1e-4  # in probability: other kernels add up in another order


@dataclass(frozen=True)
class Export:
    """A model in another format.

    Attributes:
        path: of the file.
        format: "onnx" or "litert".
        difference: the largest difference in probability from the model's own answers.
        bytes: size of the file.
    """

    path: Path
    format: str
    difference: float
    bytes: int

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.format}, {self.bytes / 1e6:.1f} MB, probabilities within "
            f"{self.difference:.1e} of Keras'"
        )


def export(model: keras.Model, class_names, path: str | Path) -> Export:
    """Write a model for ONNX Runtime or LiteRT, run the copy, and compare.

    The copy takes what the model takes, raw pixels 0-255 as float32.

    Args:
        model: from raw pixels to probabilities.
        class_names: kept in the metadata of an ONNX file; LiteRT has no place for them.
        path: ends in `.onnx` or `.tflite`.

    Returns:
        An `Export`. The file is moved into place only after its answers agree.

    Raises:
        ValueError: another ending, another backend than TensorFlow, a package that is missing, or
            answers that differ by more than `TOLERANCE`.
        OSError: the disk is full.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise ValueError(f"The path is {path}; a name ending in .onnx or .tflite says the format.")
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"Keras exports to {FORMATS[path.suffix]} from its TensorFlow backend; load the saved "
            "model under KERAS_BACKEND=tensorflow and export it there."
        )
    for package in ("onnx", "tf2onnx", "onnxruntime") if path.suffix == ".onnx" else ():
        if importlib.util.find_spec(package) is None:
            raise ValueError(f"An export to ONNX needs the package {package}; install it.")
    images = saving.check_images(model)
    expected = model.predict(images, verbose=0)
    with full_disk_in_words(path), config.atomic_path(path) as partial, warnings.catch_warnings():
        # tf2onnx and the converter warn of NumPy names and of their own successors.
        warnings.simplefilter("ignore")
        model.export(str(partial), format=FORMATS[path.suffix], verbose=False)
        if path.suffix == ".onnx":
            _name_classes(partial, class_names)
            found = _run_onnx(partial, images)
        else:
            found = _run_litert(partial, images)
        difference = float(np.abs(found - expected).max())
        if not difference <= TOLERANCE:
            raise ValueError(
                f"The {FORMATS[path.suffix]} copy answers otherwise: probabilities differ by up to "
                f"{difference:.1e}, where {TOLERANCE:.0e} is allowed; nothing was written."
            )
    return Export(path, FORMATS[path.suffix], difference, path.stat().st_size)


def _name_classes(path: Path, class_names) -> None:
    import onnx

    proto = onnx.load(str(path))
    onnx.helper.set_model_props(proto, {"class_names": "\n".join(class_names)})
    onnx.save(proto, str(path))


def _run_onnx(path: Path, images: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0]


def _run_litert(path: Path, images: np.ndarray) -> np.ndarray:
    interpreter = _litert_interpreter()(str(path))
    taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.resize_tensor_input(taken["index"], images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(taken["index"], images)
    interpreter.invoke()
    return interpreter.get_tensor(given["index"])


def _litert_interpreter():
    """LiteRT's own interpreter where it is installed, else the one that TensorFlow still has."""
    if importlib.util.find_spec("ai_edge_litert") is not None:
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter
    import tensorflow as tf

    found = getattr(getattr(tf, "lite", None), "Interpreter", None)
    if found is None:
        raise ValueError(
            "This TensorFlow cannot run LiteRT files, so the export could not be checked; install "
            "the package ai-edge-litert."
        )
    return found
