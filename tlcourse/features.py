"""Frozen features: what a backbone says of an image, computed once and kept on disk."""

import functools
import hashlib
import importlib.util
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import keras
import numpy as np

from tlcourse import config, preprocessing
from tlcourse.models import lite, load_backbone, table

ENGINES = ("auto", "onnx", "keras")
BATCH = 32


def extract(
    images: np.ndarray,
    backbone: str = "efficientnet-lite0",
    size: int = 96,
    *,
    prepare: str | Callable[[np.ndarray], np.ndarray] | None = None,
    interpolation: str = "bilinear",
    weights: str | None = "imagenet",
    engine: str = "auto",
) -> np.ndarray:
    """Pooled features of images under a frozen backbone, from the disk if computed before.

    Args:
        images: raw pixels 0-255, uint8 or float, `(N, H, W, 1)` or `(N, H, W, 3)` in RGB order.
        backbone: a name in `BACKBONES`.
        size: side in pixels to which images are resized.
        prepare: a wrong preparation to measure, instead of the backbone's own: a key of
            `preprocessing.MISTAKES`, or a function from RGB pixels 0-255 at `size`, float32, to
            what the backbone is fed. The features of a function are not kept on disk.
        interpolation: how to resize, as `preprocessing.resize` names it.
        weights: "imagenet", or None for random ones that the current seed decides.
        engine: "onnx" for ONNX Runtime, which is several times faster than `predict` on a CPU;
            "keras" for the model as it is; "auto" for ONNX Runtime where it can be had.

    Returns:
        float32 features `(N, D)`: the mean of the last feature map over its positions.

    Raises:
        ValueError: images of another shape or range, an unknown backbone, mistake or engine.
        FileNotFoundError: weights that are neither embedded nor cached, without a network.

    Example:
        >>> extract(np.zeros((2, 28, 28, 1), "uint8")).shape
        (2, 1280)
    """
    if engine not in ENGINES:
        raise ValueError(f"engine is {engine!r}; write one of {', '.join(ENGINES)}.")
    facts = table.lookup(backbone)
    images = np.asarray(images)
    preprocessing.to_rgb(images[:1])
    if images.dtype != np.uint8:
        preprocessing.preprocess(preprocessing.to_rgb(images), "identity")
    wrong = _mistake(prepare, facts.name) if isinstance(prepare, str) else prepare
    compute = functools.partial(
        _compute, images, facts.name, size, wrong, interpolation, weights, engine
    )
    if callable(prepare) or weights is None:
        return compute()
    uses_onnx = engine == "onnx" or (engine == "auto" and _has_onnx(facts.name))
    key = _key(images, facts.name, size, prepare, interpolation, uses_onnx)
    path = config.cache_dir("features") / f"{key}.npy"
    if path.exists():
        return np.load(path)
    features = compute()
    with config.atomic_path(path) as partial, partial.open("wb") as file:
        np.save(file, features)
    return features


def _mistake(name: str, backbone: str) -> Callable[[np.ndarray], np.ndarray]:
    if name not in preprocessing.MISTAKES:
        raise ValueError(
            f"prepare is {name!r}; write one of {', '.join(preprocessing.MISTAKES)}, or give a "
            "function."
        )
    return functools.partial(preprocessing.MISTAKES[name], backbone=backbone)


def _compute(images, backbone, size, prepare, interpolation, weights, engine) -> np.ndarray:
    # The same layer that a classifier carries inside, so that both see the same pixels.
    mode = backbone if prepare is None else "identity"
    ready = preprocessing.Preprocess(mode, size=size, interpolation=interpolation)
    forward = _forward(backbone, weights, engine)
    found = []
    starts = range(0, len(images), BATCH)
    for i in config.progress(starts, "features"):
        batch = keras.ops.convert_to_numpy(ready(images[i : i + BATCH]))
        found.append(forward(batch if prepare is None else prepare(batch)))
    return np.concatenate(found)


def _forward(backbone: str, weights, engine: str) -> Callable[[np.ndarray], np.ndarray]:
    """A function from a batch of model-ready images to pooled features."""
    if weights == "imagenet" and engine != "keras":
        session = _onnx_session(backbone, required=engine == "onnx")
        if session is not None:
            name = session.get_inputs()[0].name
            return lambda batch: session.run(None, {name: batch})[0]
    model = _pooled(backbone, weights)
    return lambda batch: model.predict_on_batch(batch)


def _pooled(backbone: str, weights) -> keras.Model:
    network = load_backbone(backbone, weights, (None, None, 3))
    network.trainable = False
    pooled = keras.layers.GlobalAveragePooling2D()(network.output)
    return keras.Model(network.input, pooled, name=f"{network.name}_features")


def onnx_file(backbone: str, weights: str | None = "imagenet") -> Path:
    """Path of a backbone with pooling as an ONNX file, exported and cached the first time.

    Args:
        backbone: a name in `BACKBONES`, in this course's spelling.
        weights: "imagenet", or None for some random ones: the same work, for timing it.

    Raises:
        ValueError: the export is not cached, and Keras cannot make it here.
        FileNotFoundError: weights that are neither embedded nor cached, without a network.
    """
    path = _onnx_path(backbone, weights)
    if not path.exists():
        if not _has_onnx(backbone, weights):
            raise ValueError(
                "Keras exports to ONNX from its TensorFlow backend, with tf2onnx installed; "
                'use engine="keras" here.'
            )
        _export_onnx(_pooled(backbone, weights), path)
    return path


@functools.cache
def _onnx_session(backbone: str, required: bool):
    """An ONNX Runtime session, or None where one cannot be had and none is required."""
    if not required and not _has_onnx(backbone):
        return None
    path = onnx_file(backbone)
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def _onnx_path(backbone: str, weights: str | None = "imagenet") -> Path:
    key = _weights_key(backbone) if weights else f"random-keras-{metadata.version('keras')}"
    return config.cache_dir("onnx") / f"{backbone}-{key}.onnx"


def _has_onnx(backbone: str, weights: str | None = "imagenet") -> bool:
    """Whether ONNX Runtime can do the work: the export is cached, or can be made here."""
    exports = config.backend() == "tensorflow" and importlib.util.find_spec("tf2onnx") is not None
    return exports or _onnx_path(backbone, weights).exists()


def _export_onnx(model: keras.Model, path: Path) -> None:
    # Keras exports only models that have been called, and names the file by what it is given. The
    # size is one that every backbone takes, and does not bind the export.
    model(np.zeros((1, 96, 96, 3), "float32"))
    with config.atomic_path(path) as partial, warnings.catch_warnings():
        # tf2onnx asks NumPy for names that it has dropped; the export does not need them.
        warnings.simplefilter("ignore", FutureWarning)
        model.export(str(partial), format="onnx", verbose=False)


def _weights_key(backbone: str) -> str:
    if backbone in lite.SCALES:
        return config.file_key(lite.SCALES[backbone].weights_path())
    return f"keras-{metadata.version('keras')}"


def _key(images: np.ndarray, backbone, size, prepare, interpolation, uses_onnx: bool) -> str:
    """A key that changes with the pixels, the weights, the preparation or the engine's version."""
    run_by = "onnxruntime" if uses_onnx else "keras"
    # TensorFlow goes unnamed, as it did before there were others: what is cached stays good.
    engine = run_by if uses_onnx or config.backend() == "tensorflow" else config.backend()
    said = (
        images.shape, images.dtype.str, backbone, _weights_key(backbone), size, prepare,
        interpolation, engine, metadata.version(run_by),
    )  # fmt: skip
    digest = hashlib.blake2b(repr(said).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(images))
    return digest.hexdigest()
