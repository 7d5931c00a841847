"""What computes: the GPUs of this machine, half precision where it is safe, several at once; what
it waits for, and the memory that it no longer needs.

Nothing here imports Keras or a backend before it is called.
"""

import contextlib
import ctypes
import functools
import gc
import os
import sys
from collections.abc import Iterator, Sequence

PRECISIONS = ("full", "mixed")
# Fisher information squares gradients, and the chapters on forgetting, freezing, preprocessing and
# explaining compare numbers that half precision rounds.
FULL_PRECISION_CHAPTERS = ("04", "05", "07", "10")
# The first generation of NVIDIA's cards with bfloat16.
_BFLOAT16_FROM = (8, 0)


def gpus() -> list[str]:
    """The GPUs that the backend of Keras sees, by its own names; empty without any."""
    return [name for name, _ in _gpus()]


def _gpus() -> list[tuple[str, tuple[int, int]]]:
    """Each GPU with its compute capability, (0, 0) where it has none to tell."""
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        found = tf.config.list_physical_devices("GPU")
        details = [tf.config.experimental.get_device_details(device) for device in found]
        return [
            (device.name, said.get("compute_capability", (0, 0)))
            for device, said in zip(found, details, strict=True)
        ]
    if backend == "torch":
        import torch

        count = torch.cuda.device_count()
        return [(f"cuda:{i}", torch.cuda.get_device_capability(i)) for i in range(count)]
    import jax

    return [
        (f"gpu:{device.id}", _as_pair(getattr(device, "compute_capability", "0.0")))
        for device in jax.devices()
        if device.platform == "gpu"
    ]


def _as_pair(said: str) -> tuple[int, int]:
    major, _, minor = str(said).partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0, 0)


def asked_for_mixed() -> bool:
    """Whether the environment variable `TLCOURSE_PRECISION` asks for mixed precision.

    Raises:
        ValueError: it says neither "full" nor "mixed".
    """
    said = os.environ.get("TLCOURSE_PRECISION") or "full"
    if said not in PRECISIONS:
        raise ValueError(f"TLCOURSE_PRECISION is {said!r}; write one of {', '.join(PRECISIONS)}.")
    return said == "mixed"


def precision_for(chapter: str, profile: str) -> str:
    """The dtype policy of Keras that a chapter is to run with.

    Mixed precision is opt-in, because it changes what a chapter measures. It is bfloat16, which has
    the range of float32, so that small gradients do not vanish and no loss has to be scaled.

    Args:
        chapter: two digits.
        profile: "quick" or "full".

    Returns:
        "mixed_bfloat16" where `TLCOURSE_PRECISION` is "mixed", the profile is full, every GPU here
        computes in bfloat16 and the chapter does not depend on more digits; otherwise "float32".

    Raises:
        ValueError: as in `asked_for_mixed`.
    """
    if not asked_for_mixed() or profile != "full" or chapter in FULL_PRECISION_CHAPTERS:
        return "float32"
    found = _gpus()
    fits = found and all(capability >= _BFLOAT16_FROM for _, capability in found)
    return "mixed_bfloat16" if fits else "float32"


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Build models in float32 here, whatever the policy is outside."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@contextlib.contextmanager
def spread(devices: Sequence[str] | None = None) -> Iterator[int]:
    """Train what is built here on several local devices at once, each on a share of every batch.

    The batch stays as large as it is on one device, and so does the result, within rounding, if all
    batches divide by the number of devices; `training.train` refuses those that do not. The shares
    of a BatchNormalization that is trained are normalised each by itself under TensorFlow, and
    together under JAX.

    Args:
        devices: their names, such as ["GPU:0", "GPU:1"]; by default all GPUs that are seen.

    Yields:
        How many devices there are. With fewer than two nothing is changed.

    Raises:
        ValueError: the backend is neither TensorFlow nor JAX, and there are several.
    """
    import keras

    names = list(gpus() if devices is None else devices)
    backend = keras.backend.backend()
    if len(names) < 2:
        yield len(names) or 1
    elif backend == "tensorflow":
        with _mirrored(tuple(names)).scope():
            yield len(names)
    elif backend == "jax":
        with keras.distribution.DataParallel(devices=[name.lower() for name in names]).scope():
            yield len(names)
    else:
        raise ValueError(
            f"{len(names)} devices cannot share the work under {backend}; set KERAS_BACKEND to "
            "tensorflow or jax before Python starts, or name one device."
        )


@functools.cache
def _mirrored(names: tuple[str, ...]):
    # A second strategy would number its exchanges from the start again, and TensorFlow takes them
    # for those of the first: "shape mismatch in the collective instance".
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(
        [name.removeprefix("/physical_device:") for name in names]
    )


def sharing() -> int:
    """How many devices share each batch right now; 1 outside of `spread`."""
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.distribute.get_strategy().num_replicas_in_sync
    spread_over = keras.distribution.distribution() if backend == "jax" else None
    return 1 if spread_over is None else int(spread_over.device_mesh.devices.size)


@functools.cache
def end_fits_at_once() -> None:
    """Let `fit`, `evaluate` and `predict` on arrays return when they are done, under TensorFlow.

    tf.data tunes a pipeline from a thread that looks at it after 0.01 s, 0.03 s, 0.07 s and so on,
    twice as late each time. At the end of an epoch that thread is woken before the order to stop
    can be seen, and then it may fall asleep again until its next look, while `fit` waits for it:
    up to as long as the epoch took. How often depends on chance and on the machine. Arrays in
    memory leave nothing to tune, so here Keras' pipelines for them, and for a `PyDataset`, go
    without. Batches, their order and all results stay the same, bit for bit. Your own
    `tf.data.Dataset` is left alone; give it `options.autotune.enabled = False` where it fits in
    memory.

    The thread is `Model::OptimizeLoop` in TensorFlow's `core/framework/model.cc`, and
    `CancellationManager::StartCancelWithStatus` gives the order; that this is the cause we read
    from the two and from when `fit` came back: after 1.3, 2.6, 5.1, 10.2 or 20.5 s.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    try:
        from keras.src.trainers.data_adapters import array_data_adapter, py_dataset_adapter

        adapters = array_data_adapter.ArrayDataAdapter, py_dataset_adapter.PyDatasetAdapter
        pipelines = [adapter.get_tf_dataset for adapter in adapters]
    except (ImportError, AttributeError):  # Another Keras keeps them elsewhere, and only waits.
        return
    for adapter, pipeline in zip(adapters, pipelines, strict=True):

        @functools.wraps(pipeline)
        def untuned(self, pipeline=pipeline):
            options = tf.data.Options()
            options.autotune.enabled = False
            return pipeline(self).with_options(options)

        adapter.get_tf_dataset = untuned


@functools.cache
def begin_fits_sooner() -> None:
    """Shorten the wait before the first step of a model, most of which is tracing.

    A chapter compiles many models and takes few steps with each, so the wait costs more than the
    steps. Under TensorFlow, Adam is up to half of it: Keras writes the correction of both moments
    into the graph once for every weight, though it is one number. Here it is written once for all
    weights that an `Adam` updates in a step, and what is left for each takes fewer operations.
    Results are the same, bit for bit.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    adam = keras.optimizers.Adam
    one_by_one, all_at_once = adam.update_step, getattr(adam, "_distributed_tf_update_step", None)
    if all_at_once is None:  # Another Keras does otherwise, and only waits.
        return
    # What the weights of a step share: by optimizer under way, then by type.
    lengths: dict[int, dict[str, tuple[tf.Tensor, ...]]] = {}

    @functools.wraps(all_at_once)
    def update_all(self, distribution, grads_and_vars, learning_rate):
        lengths[id(self)] = {}
        try:
            all_at_once(self, distribution, grads_and_vars, learning_rate)
        finally:
            del lengths[id(self)]

    @functools.wraps(one_by_one)
    def update_step(self, gradient, variable, learning_rate):
        known, sparse = lengths.get(id(self)), isinstance(gradient, tf.IndexedSlices)
        if known is None or sparse or self.amsgrad:
            return one_by_one(self, gradient, variable, learning_rate)
        dtype = variable.dtype
        if dtype not in known:
            step = tf.cast(self.iterations + 1, dtype)
            decays = [tf.pow(tf.cast(b, dtype), step) for b in (self.beta_1, self.beta_2)]
            corrected = tf.cast(learning_rate, dtype) * tf.sqrt(1 - decays[1])
            numbers = 1 - self.beta_1, 1 - self.beta_2, self.epsilon
            constants = [tf.constant(number, dtype) for number in numbers]
            known[dtype] = corrected / (1 - decays[0]), *constants
        rate, new_m, new_v, epsilon = known[dtype]
        place = self._get_variable_index(variable)
        m, v = self._momentums[place].value, self._velocities[place].value
        # What stands below is written into the graph for every weight, so it reads each variable
        # once, and does not ask `assign` for what it has assigned.
        gradient, mean, square = tf.cast(gradient, dtype), m.value(), v.value()
        mean += (gradient - mean) * new_m
        square += (tf.square(gradient) - square) * new_v
        m.assign(mean, read_value=False)
        v.assign(square, read_value=False)
        variable.assign_sub(mean * rate / (tf.sqrt(square) + epsilon), read_value=False)

    adam.update_step, adam._distributed_tf_update_step = update_step, update_all


def give_back_memory() -> None:
    """Return what nothing uses any more to the operating system; half a second in a chapter.

    Graphs of TensorFlow lie in cycles, which Python looks for seldom, and the C library keeps what
    Python frees. So after some work of much memory, the next one comes on top of it.
    """
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # A C library other than glibc.
            ctypes.CDLL(None).malloc_trim(0)
