"""One forward pass in a process of its own, to see what memory it takes: `python -m` runs this.

A process that has worked before keeps memory and gives it to the next model without asking the
system, so that only a fresh one shows what a model needs.
"""

import functools
import json
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import psutil


def run(engine: str, model: str, weights: str | None, shape: tuple) -> dict[str, int]:
    """Load a model, run it twice, and say how the process grew.

    Args:
        engine: "onnx" or "keras".
        model: path of the ONNX file, or name of the backbone.
        weights: "imagenet" or None, for Keras.
        shape: `(N, H, W, 3)` of the images, which are noise.

    Returns:
        "loaded" and "peak": growth in bytes, from before the model was loaded to after, and to the
        highest that was seen during the passes.
    """
    if engine == "onnx":
        import onnxruntime
    else:
        from tlcourse.models import load_backbone
    before = _resident()
    images = np.random.default_rng(0).normal(size=shape).astype("float32")
    if engine == "onnx":
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        forward = functools.partial(session.run, None, {name: images})
    else:
        network = load_backbone(model, weights, shape[1:])
        forward = functools.partial(network.predict_on_batch, images)
    loaded = _resident()
    return {"loaded": loaded - before, "peak": max(loaded, _highest(forward)) - before}


def _resident() -> int:
    return psutil.Process().memory_info().rss


def _highest(forward: Callable) -> int:
    """The most memory that was seen while a model ran twice, sampled every half millisecond."""
    seen, done = [_resident()], threading.Event()

    def watch():
        while not done.is_set():
            seen.append(_resident())
            time.sleep(0.0005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(2):
            forward()
    finally:
        done.set()
        watcher.join()
    return max(*seen, _resident())


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps(run(asked["engine"], asked["model"], asked["weights"], tuple(asked["shape"]))))
