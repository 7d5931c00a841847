"""One forward pass of the frozen backbone, in every engine at hand."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from benchmarks.measuring import FASTER, Row, Unequal, alternate
from tlcourse import config, data, features
from tlcourse.models import Preprocess, load_backbone

BACKBONE, SIZE, BATCH = "efficientnet-lite0", 96, 32
# Features run from 0 to about 6; the sums behind them are taken in another order by each engine.
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    images: int
    rounds: int
    size: int
    xla: bool = True  # compiling with it takes half a minute


FULL = Sizes(images=256, rounds=5, size=SIZE)
SMOKE = Sizes(images=16, rounds=2, size=64, xla=False)


def rows(sizes: Sizes) -> list[Row]:
    """Each engine against Keras' `predict`, and OpenVINO against ONNX Runtime."""
    config.set_seed(0)
    x, _ = data.load("animals").subset(sizes.images, seed=0)
    prepare = Preprocess(BACKBONE, size=sizes.size)
    ready = keras.ops.convert_to_numpy(prepare(x))
    engines = _engines(sizes)
    found: dict[str, np.ndarray] = {}

    def run(name: str) -> None:
        found[name] = engines[name](ready)

    for name in engines:
        run(name)
    seconds = alternate({name: lambda name=name: run(name) for name in engines}, sizes.rounds)
    rates = {name: [len(x) / s for s in each] for name, each in seconds.items()}
    pairs = [(name, "Keras predict") for name in engines if name != "Keras predict"]
    if "OpenVINO" in engines:
        pairs.append(("OpenVINO", "ONNX Runtime"))
    return [
        Row(
            f"one pass over {len(x):,} images of {sizes.size} px",
            name,
            rates[name],
            unit="images/s",
            other=other,
            other_runs=rates[other],
            ratio=FASTER,
            equal=_equal(found[name], found[other]),
            note=_NOTES.get(name, ""),
        )
        for name, other in pairs
    ]


_NOTES = {
    "ONNX Runtime": "features.extract uses ONNX Runtime; without it, Keras computes the same.",
    "OpenVINO": "OpenVINO reads the same ONNX file, in float32. The course does not use it.",
    "compiled with XLA": "Compiled with and without XLA: predict_on_batch, with jit_compile said. "
    "Left alone, Keras does without XLA on a CPU.",
}


def _engines(sizes: Sizes) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Functions from all prepared images to features, by name."""
    import onnxruntime

    path = str(features.onnx_file(BACKBONE))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    usual = _pooled(sizes.size, "auto")
    engines = {
        "Keras predict": lambda x: usual.predict(x, batch_size=BATCH, verbose=0),
        "compiled without XLA": _in_batches(_pooled(sizes.size, False).predict_on_batch),
        "ONNX Runtime": _in_batches(lambda batch: session.run(None, {name: batch})[0]),
    }
    if sizes.xla:
        engines["compiled with XLA"] = _in_batches(_pooled(sizes.size, True).predict_on_batch)
    if importlib.util.find_spec("openvino"):
        engines["OpenVINO"] = _in_batches(_openvino(path))
    return engines


def _pooled(size: int, jit) -> keras.Model:
    network = load_backbone(BACKBONE, "imagenet", (size, size, 3))
    network.trainable = False
    model = keras.Model(network.input, keras.layers.GlobalAveragePooling2D()(network.output))
    model.compile(jit_compile=jit)
    return model


def _openvino(path: str) -> Callable[[np.ndarray], np.ndarray]:
    import openvino

    # On some processors its default is half precision, and the features would differ.
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    model = openvino.compile_model(path, "CPU", settings)
    return lambda batch: model(batch)[0].copy()


def _in_batches(forward: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.concatenate([forward(x[i : i + BATCH]) for i in range(0, len(x), BATCH)])


def _equal(a: np.ndarray, b: np.ndarray) -> str:
    """In words, that two engines give the same features.

    Raises:
        Unequal: they do not.
    """
    largest = float(np.abs(a - b).max())
    words = f"features differ by at most {largest:.1e}, the largest is {np.abs(b).max():.2g}"
    if not largest <= _TOLERANCE:
        raise Unequal(f"Two engines give other features: {words}.")
    return words
