"""Frozen features: what a backbone says of an image, computed once and kept on disk."""

import contextlib
import functools
import hashlib
import importlib.util
import os
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import keras
import numpy as np

from tlcourse import config, devices, preprocessing, store
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

    Each image is looked up by itself, so a chapter finds what another one computed, whatever else
    either of them asked for. What is kept is bounded, see `config.cache_limit`.

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
            "keras" for the model as it is; "auto" for Keras where there is a GPU, otherwise for
            ONNX Runtime where it can be had.

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
    uses_onnx = weights is not None and _uses_onnx(facts.name, engine)
    settings = facts.name, size, wrong, interpolation, weights, uses_onnx
    if callable(prepare) or weights is None:
        return _compute(images, *settings)
    kind = _kind(images, facts.name, size, prepare, interpolation, uses_onnx)
    shelf = store.Shelf(config.cache_dir("features", kind))
    return shelf.complete(
        store.keys_of(images), lambda missing: _compute(images[missing], *settings)
    )


def _mistake(name: str, backbone: str) -> Callable[[np.ndarray], np.ndarray]:
    if name not in preprocessing.MISTAKES:
        raise ValueError(
            f"prepare is {name!r}; write one of {', '.join(preprocessing.MISTAKES)}, or give a "
            "function."
        )
    return functools.partial(preprocessing.MISTAKES[name], backbone=backbone)


def _compute(images, backbone, size, prepare, interpolation, weights, uses_onnx) -> np.ndarray:
    # The same layer that a classifier carries inside, so that both see the same pixels.
    ready = _preparation(backbone, size, prepare is not None, interpolation)
    forward = _forward(backbone, weights, uses_onnx)
    found = []
    starts = range(0, len(images), BATCH)
    for i in config.progress(starts, "features"):
        batch = keras.ops.convert_to_numpy(ready(images[i : i + BATCH]))
        last = i == starts[-1]
        found.append(forward(batch if prepare is None else prepare(batch), last))
    return np.concatenate(found)


def _preparation(backbone: str, size, prepared_elsewhere: bool, interpolation: str):
    mode = "identity" if prepared_elsewhere else backbone
    return preprocessing.Preprocess(mode, size=size, interpolation=interpolation, dtype="float32")


def _forward(backbone: str, weights, uses_onnx: bool) -> Callable[[np.ndarray, bool], np.ndarray]:
    """A function from a batch of model-ready images, and whether it is the last, to features."""
    if uses_onnx:
        return functools.partial(_run_onnx, _onnx_session(backbone))
    model = _pooled(backbone, weights)

    # ONNX Runtime gives an image the same bits in any company; here the place in the batch shows in
    # the last digits.
    return lambda batch, last: model.predict_on_batch(filled_up(batch))[: len(batch)]


def filled_up(batch: np.ndarray) -> np.ndarray:
    """A batch of `BATCH` images, those that lack being the last one again.

    A model compiles a batch of another size anew.
    """
    lacking = [(0, BATCH - len(batch)), *[(0, 0)] * (batch.ndim - 1)]
    return np.pad(batch, lacking, mode="edge")


def _run_onnx(session, batch: np.ndarray, last: bool) -> np.ndarray:
    options = None
    if last:
        import onnxruntime

        # Otherwise it would keep the memory of its largest batch for good.
        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return session.run(None, {session.get_inputs()[0].name: batch}, options)[0]


def _pooled(backbone: str, weights) -> keras.Model:
    network = load_backbone(backbone, weights, (None, None, 3))
    network.trainable = False
    # In float32 under mixed precision, too: a mean in half of the digits would lose more of them.
    pooled = keras.layers.GlobalAveragePooling2D(dtype="float32")(network.output)
    return keras.Model(network.input, pooled, name=f"{network.name}_features")


def onnx_file(backbone: str, weights: str | None = "imagenet") -> Path:
    """Path of a backbone with pooling as an ONNX file, exported and cached the first time.

    Args:
        backbone: a name in `BACKBONES`, in this course's spelling.
        weights: "imagenet", or None for some random ones: the same work, for timing it.

    Raises:
        ValueError: the export is not cached, and cannot be made here.
        FileNotFoundError: weights that are neither embedded nor cached, without a network.
    """
    path = _onnx_path(backbone, weights)
    if not path.exists():
        if not _has_onnx(backbone, weights):
            raise ValueError(
                "ONNX files are written from the TensorFlow backend, with tf2onnx installed; "
                'use engine="keras" here.'
            )
        with devices.full_precision():
            model = _pooled(backbone, weights)
        # It takes more memory than all around it, so it begins and ends with none to spare.
        devices.give_back_memory()
        _export_onnx(model, path)
        devices.give_back_memory()
    return path


def _uses_onnx(backbone: str, engine: str) -> bool:
    if engine == "auto":
        return not devices.gpus() and _has_onnx(backbone)
    return engine == "onnx"


@functools.cache
def _onnx_session(backbone: str):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # A plan of the memory is drawn up in a first run and takes as much again; it saves no time.
    options.enable_mem_pattern = False

    def open_file():
        return onnxruntime.InferenceSession(
            str(onnx_file(backbone)), options, providers=["CPUExecutionProvider"]
        )

    try:
        return open_file()
    except Exception:  # a damaged file; ONNX Runtime has errors of its own for every way
        _onnx_path(backbone).unlink(missing_ok=True)
        return open_file()


def _onnx_path(backbone: str, weights: str | None = "imagenet") -> Path:
    exported = f"keras-{keras.__version__}"
    key = f"{_weights_key(backbone)}-{exported}" if weights else f"random-{exported}"
    return config.cache_dir("onnx") / f"{backbone}-{key}.onnx"


def _has_onnx(backbone: str, weights: str | None = "imagenet") -> bool:
    """Whether ONNX Runtime can do the work: the export is cached, or can be made here."""
    exports = config.backend() == "tensorflow" and importlib.util.find_spec("tf2onnx") is not None
    return exports or _onnx_path(backbone, weights).exists()


def _export_onnx(model: keras.Model, path: Path) -> None:
    import tensorflow as tf
    import tf2onnx

    # `model.export` comes to the same file by way of a SavedModel, in a third more time.
    images = [tf.TensorSpec(model.input.shape, "float32", name="images")]
    forward = tf.function(lambda images: model(images, training=False), images, autograph=False)
    with config.atomic_path(path) as partial, warnings.catch_warnings():
        # tf2onnx asks NumPy for names that it has dropped; the export does not need them.
        warnings.simplefilter("ignore", FutureWarning)
        with _without_copies():
            tf2onnx.convert.from_function(forward, images, output_path=str(partial))


@contextlib.contextmanager
def _without_copies() -> Iterator[None]:
    """Keep tf2onnx from copying a graph before each of its optimizers, in case that one fails."""
    name = "TF2ONNX_CATCH_ERRORS"
    before = os.environ.get(name)
    os.environ[name] = "FALSE"
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


def _weights_key(backbone: str) -> str:
    if backbone in lite.SCALES:
        return config.file_key(lite.SCALES[backbone].weights_path())
    # Keras checks what it downloads against hashes that come with it.
    return "of-keras"


def _kind(images: np.ndarray, backbone, size, prepare, interpolation, uses_onnx: bool) -> str:
    """What features of one image have to share to be equal: all but the pixels themselves."""
    # Preprocessing is the backend's in any case.
    engine = store.engine()
    if uses_onnx:
        engine.append(f"onnxruntime {metadata.version('onnxruntime')}")
    layer = _preparation(backbone, size, prepare is not None, interpolation)
    said = (
        images.shape[1:], images.dtype.str, backbone, _weights_key(backbone), layer.size,
        layer.interpolation, layer.mode, preprocessing.MODES[layer.mode], prepare, engine,
    )  # fmt: skip
    return hashlib.blake2b(repr(said).encode(), digest_size=16).hexdigest()
