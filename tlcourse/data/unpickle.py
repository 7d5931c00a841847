"""Read the pickles that three data sets come in, without running what a pickle can run.

A pickle is a program. Its only way to reach beyond plain Python values is to name a module and an
attribute, so these readers answer a handful of names with inert stand-ins of their own and refuse
every other. Neither NumPy's nor PyTorch's own unpickling code is ever entered, and the stand-ins
are made anew for each file, so that a file that writes to them changes nothing.
"""

import gzip
import io
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np

# The number that opens a `.pth` of the pre-2020 format.
_PTH_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGE_DTYPES = {
    "FloatStorage": np.dtype("<f4"),
    "LongStorage": np.dtype("<i8"),
}
_NUMBER_KINDS = "?biuf"
# NumPy 2 renamed its core; files written before and after it both exist.
_CORES = ("core", "_core")


class _Refused(pickle.UnpicklingError):
    """Carries a sentence of ours, as against one of pickle's own."""


class _Restricted(pickle.Unpickler):
    """An unpickler that resolves only the names it was given."""

    def __init__(self, file, allowed: dict, source: str, encoding: str = "ASCII"):
        super().__init__(file, encoding=encoding)
        self._allowed = allowed
        self._source = source

    def find_class(self, module, name):
        try:
            return self._allowed[module, name]
        except KeyError:
            raise _Refused(
                f"{self._source} asks for {module}.{name}, which a file of numbers has no use for; "
                "it was not read and nothing in it was run. Get the file again from its publisher."
            ) from None


def _numpy_names() -> tuple[dict, type]:
    """Stand-ins for the names in a pickled NumPy array, and the class the array arrives as."""

    class Ndarray:
        """Only named, never made."""

    class Dtype:
        def __init__(self, code, align=False, copy=True):
            self.code, self.order = _text(code), "="

        def __setstate__(self, state):
            _, order, subdtype, names, fields, *_ = state
            if subdtype is not None or names is not None or fields is not None:
                raise ValueError("its dtype has fields")
            self.order = _text(order)

    class Array:
        def __init__(self, kind, shape, code):
            self.state = None

        def __setstate__(self, state):
            self.state = state

        def numbers(self) -> np.ndarray:
            _, shape, dtype, is_fortran, data = self.state
            kept = np.dtype(dtype.code)
            if kept.kind not in _NUMBER_KINDS:
                raise ValueError(f"its dtype is {kept}, not a number")
            flat = np.frombuffer(data, kept.newbyteorder(dtype.order))
            return flat.reshape(shape, order="F" if is_fortran else "C").copy()

    names = {("numpy", "ndarray"): Ndarray, ("numpy", "dtype"): Dtype}
    names.update({(f"numpy.{core}.multiarray", "_reconstruct"): Array for core in _CORES})
    return names, Array


def _text(value: str | bytes) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else value


def read_array(path: str | Path) -> np.ndarray:
    """Read one NumPy array from a gzip'd pickle, admitting only NumPy's own array names.

    Args:
        path: a `.gz` file that holds one pickled `numpy.ndarray` of a numeric dtype.

    Returns:
        The array, with the shape and dtype it was saved with.

    Raises:
        FileNotFoundError: the file is not there.
        pickle.UnpicklingError: the file is damaged, holds something else than a numeric array,
            or names anything beyond NumPy's array machinery. Nothing in it is run.

    Example:
        >>> import gzip, pickle, tempfile, numpy as np
        >>> path = Path(tempfile.mkdtemp()) / "numbers.gz"
        >>> with gzip.open(path, "wb") as file:
        ...     pickle.dump(np.arange(3), file, protocol=4)
        >>> read_array(path)
        array([0, 1, 2])
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; reinstall the package that ships it.")
    try:
        with gzip.open(path) as file:
            data = file.read()
        names, array_type = _numpy_names()
        array = _Restricted(io.BytesIO(data), names, path.name).load()
        if not isinstance(array, array_type):
            raise _Refused(
                f"{path.name} holds a {type(array).__name__}, not a numeric array; "
                "reinstall the package that ships it."
            )
        return array.numbers()
    except _Refused:
        raise
    except Exception as error:
        raise _Refused(
            f"{path.name} is damaged or holds no numeric array ({error}); "
            "reinstall the package that ships it."
        ) from error


def read_batch(data: bytes, source: str) -> dict[str, object]:
    """Read one pickled dict of arrays and plain lists, as the CIFAR-10 archive holds them.

    Python 2 wrote those files, so that their text arrives as bytes; the keys are given back as
    text, the rest as it is.

    Args:
        data: the pickle.
        source: its name, for messages.

    Returns:
        A dict from name to `numpy.ndarray` or plain Python value.

    Raises:
        pickle.UnpicklingError: damaged, no dict, or it names anything beyond NumPy's arrays.
            Nothing in it is run.

    Example:
        >>> read_batch(pickle.dumps({"labels": [3, 1]}), "batch")
        {'labels': [3, 1]}

    Source: https://www.cs.toronto.edu/~kriz/cifar.html.
    """
    try:
        names, array_type = _numpy_names()
        batch = _Restricted(io.BytesIO(data), names, source, encoding="bytes").load()
        if not isinstance(batch, dict):
            raise _Refused(
                f"{source} holds a {type(batch).__name__}, not a dict of arrays; "
                "get the file again from its publisher."
            )
        return {
            _text(key): value.numbers() if isinstance(value, array_type) else value
            for key, value in batch.items()
        }
    except _Refused:
        raise
    except Exception as error:
        raise _Refused(
            f"{source} is damaged ({error}); get the file again from its publisher."
        ) from error


def read_state_dict(path: str | Path) -> dict[str, np.ndarray]:
    """Read a legacy-format PyTorch `.pth` of tensors into NumPy arrays, without PyTorch.

    The file is five pickles followed by the raw weights. `torch.load` would run whatever the
    pickles name; this reader admits `OrderedDict`, float and integer storages and the tensor
    constructor, and refuses everything else.

    Args:
        path: a `.pth` written by `torch.save(state_dict)` before PyTorch 1.6, or later with
            `_use_new_zipfile_serialization=False`.

    Returns:
        A dict from tensor name to a C-contiguous array, in the file's order.

    Raises:
        FileNotFoundError: the file is not there.
        pickle.UnpicklingError: the file is damaged, of another format, or names anything else.

    Source: the layout is that of `torch.serialization._legacy_load` in PyTorch.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; reinstall the package that ships it.")
    try:
        with path.open("rb") as file:
            if file.read(2) == b"PK":
                raise _Refused(
                    f"{path.name} is in PyTorch's newer zip format; save it again with "
                    "torch.save(..., _use_new_zipfile_serialization=False)."
                )
            file.seek(0)
            return _read_legacy(file, path.name, path.stat().st_size)
    except _Refused:
        raise
    except Exception as error:
        raise _Refused(
            f"{path.name} is damaged or holds no weights ({error}); "
            "reinstall the package that ships it."
        ) from error


def _read_legacy(file, source: str, file_size: int) -> dict[str, np.ndarray]:
    class Storage:
        """Stands in for a torch storage class: it only carries the dtype."""

        def __init__(self, dtype):
            self.dtype = dtype

    class Tensor:
        """Where in which storage a tensor lies: its numbers follow the pickles."""

        def __init__(self, key, offset, shape, stride, requires_grad, hooks, *_):
            self.key, self.offset, self.shape, self.stride = key, offset, shape, stride

    allowed = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): Tensor,
        **{("torch", name): Storage(dtype) for name, dtype in _STORAGE_DTYPES.items()},
    }
    storages: dict[str, tuple[np.dtype, int]] = {}

    def persistent_load(saved):
        kind, storage, key, _, size, *_ = saved
        if kind != "storage" or not isinstance(storage, Storage):
            raise _Refused(f"{source} holds a {kind!r}, not a tensor; it is not read.")
        storages[key] = (storage.dtype, int(size))
        return key

    def load():
        unpickler = _Restricted(file, allowed, source)
        unpickler.persistent_load = persistent_load
        return unpickler.load()

    if load() != _PTH_MAGIC:
        raise _Refused(f"{source} is not a legacy PyTorch weights file.")
    load()  # protocol version
    load()  # the writer's byte order and type sizes
    entries = load()
    values = {key: _read_storage(file, *storages[key], file_size) for key in load()}
    return {
        name: _view(values[tensor.key], tensor.offset, tensor.shape, tensor.stride)
        for name, tensor in entries.items()
    }


def _read_storage(file, dtype: np.dtype, size: int, file_size: int) -> np.ndarray:
    wanted = size * dtype.itemsize
    if not 0 <= wanted <= file_size:
        raise ValueError("it ends early")
    stored = int.from_bytes(file.read(8), "little")
    data = file.read(wanted)
    if stored != size or len(data) != wanted:
        raise ValueError("it ends early")
    return np.frombuffer(data, dtype)


def _view(storage: np.ndarray, offset: int, shape, stride) -> np.ndarray:
    if len(shape) != len(stride) or min((offset, *shape, *stride)) < 0:
        raise ValueError("a tensor has an impossible shape")
    count = int(np.prod(shape, dtype=object))
    last = offset + sum((n - 1) * s for n, s in zip(shape, stride, strict=True))
    # A stride of 0 would let a small file ask for any amount of memory.
    if count and (last >= storage.size or count > storage.size):
        raise ValueError("a tensor reaches outside its storage")
    if not count:
        return np.empty(shape, storage.dtype)
    strides = [step * storage.itemsize for step in stride]
    view = np.lib.stride_tricks.as_strided(storage[offset:], shape, strides)
    return view.copy(order="C")
