"""What one forward pass takes on this machine: milliseconds and memory, Keras or ONNX Runtime."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

import tlcourse
from tlcourse import features
from tlcourse.models import load_backbone, table
from tlcourse.models.facts import MEGABYTE

ENGINES = ("keras", "onnx")


@dataclass(frozen=True)
class Latency:
    """How long one image took.

    Attributes:
        milliseconds: median over the repetitions, per image.
        low, high: the lower and the upper quartile.
        batch: images in one forward pass.
        repeats: how many passes were timed.
    """

    milliseconds: float
    low: float
    high: float
    batch: int
    repeats: int

    def __str__(self) -> str:
        return f"{self.milliseconds:.3g} ms [{self.low:.3g}, {self.high:.3g}]"


@dataclass(frozen=True)
class Memory:
    """How a fresh process grew, in MB of 1,048,576 bytes.

    Attributes:
        loaded: by loading the model, beyond the libraries.
        peak: to the highest seen while it ran, the loaded model included.
    """

    loaded: float
    peak: float


def latency(
    backbone,
    size: int | None = None,
    *,
    engine: str = "keras",
    weights: str | None = "imagenet",
    batch: int = 1,
    repeats: int = 20,
) -> Latency:
    """Time forward passes of a headless backbone with pooling, here and now.

    Three passes go first, unmeasured, since the first ones also compile and allocate. The result
    is that of this machine, of its number of free cores and of this size and batch; the order of
    two backbones may change with each of them.

    Args:
        backbone: a key of `BACKBONES`, or Keras' own spelling.
        size: height and width in pixels of the images; the native size if None.
        engine: "keras", its compiled `predict_on_batch`; or "onnx", ONNX Runtime on the CPU.
        weights: "imagenet", or None for random ones, which cost the same work and need no
            download.
        batch: images in one forward pass.
        repeats: how many passes to time.

    Raises:
        ValueError: an unknown backbone or engine, a size below the minimum, or a number below 1.
        FileNotFoundError: weights that are neither embedded nor cached, without a network.
    """
    facts, shape = _checked(backbone, size, engine, batch)
    if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < 1:
        raise ValueError(f"repeats is {repeats!r}; give a whole number of passes, 1 or more.")
    images = np.random.default_rng(0).normal(size=shape).astype("float32")
    seconds = time_calls(_forward(facts.name, weights, engine, images), repeats)
    low, middle, high = np.quantile(seconds, [0.25, 0.5, 0.75]) * 1000 / batch
    return Latency(float(middle), float(low), float(high), batch, repeats)


def time_calls(call: Callable[[], object], repeats: int, warm_up: int = 3) -> list[float]:
    """Seconds of each of some calls, after a few that are not timed."""
    for _ in range(warm_up):
        call()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return seconds


def memory(
    backbone,
    size: int | None = None,
    *,
    engine: str = "keras",
    weights: str | None = "imagenet",
    batch: int = 1,
) -> Memory:
    """Memory of one forward pass, seen from outside, in a process that does nothing else.

    The process is sampled every half millisecond; a peak that is shorter may be missed. With
    Keras it takes the seconds that importing it takes.

    Args:
        backbone, size, engine, weights, batch: as in `latency`.

    Raises:
        ValueError, FileNotFoundError: as in `latency`.
        RuntimeError: the process failed; its last words are given.
    """
    facts, shape = _checked(backbone, size, engine, batch)
    model = facts.name if engine == "keras" else str(features.onnx_file(facts.name, weights))
    asked = {"engine": engine, "model": model, "weights": weights, "shape": shape}
    package = str(Path(tlcourse.__file__).parents[1])
    paths = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", "tlcourse.onepass", json.dumps(asked)],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        last = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise RuntimeError(f"The forward pass of {facts.name} failed in its own process: {last}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return Memory(found["loaded"] / MEGABYTE, found["peak"] / MEGABYTE)


def _checked(backbone, size, engine, batch) -> tuple[table.Backbone, tuple[int, int, int, int]]:
    facts = table.lookup(backbone)
    if engine not in ENGINES:
        raise ValueError(f"engine is {engine!r}; write one of {', '.join(ENGINES)}.")
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise ValueError(f"batch is {batch!r}; give a whole number of images, 1 or more.")
    size = facts.native_size if size is None else size
    if isinstance(size, bool) or not isinstance(size, int) or size < facts.min_size:
        raise ValueError(
            f"size is {size!r}; {facts.name} wants a whole number of pixels, {facts.min_size} or "
            "more."
        )
    return facts, (batch, size, size, 3)


def _forward(name: str, weights, engine: str, images: np.ndarray) -> Callable[[], object]:
    if engine == "onnx":
        import onnxruntime

        path = str(features.onnx_file(name, weights))
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        feed = {session.get_inputs()[0].name: images}
        return lambda: session.run(None, feed)
    network = load_backbone(name, weights, images.shape[1:])
    pooled = keras.layers.GlobalAveragePooling2D()(network.output)
    model = keras.Model(network.input, pooled)
    return lambda: model.predict_on_batch(images)
