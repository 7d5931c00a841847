"""Read the pickles that two data packages ship, without running what a pickle can run."""

import gzip
import io
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np

# The containers that a `.pth` of the pre-2020 format holds before its weights.
_PTH_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGE_DTYPES = {
    "FloatStorage": np.dtype("<f4"),
    "LongStorage": np.dtype("<i8"),
}
_NUMPY_NAMES = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


class _Restricted(pickle.Unpickler):
    """An unpickler that resolves only the names it was given."""

    def __init__(self, file, allowed: dict, source: str):
        super().__init__(file)
        self._allowed = allowed
        self._source = source

    def find_class(self, module, name):
        try:
            return self._allowed[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"{self._source} asks for {module}.{name}, which a file of numbers has no use for; "
                "it was not read and nothing in it was run. Reinstall the package that it comes from."
            ) from None


def _numpy_names() -> dict:
    from numpy._core.multiarray import _reconstruct

    found = {"_reconstruct": _reconstruct, "ndarray": np.ndarray, "dtype": np.dtype}
    return {(module, name): found[name] for module, name in _NUMPY_NAMES}


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
        >>> path = tempfile.mktemp(suffix=".gz")
        >>> with gzip.open(path, "wb") as file:
        ...     pickle.dump(np.arange(3), file)
        >>> read_array(path)
        array([0, 1, 2])
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; reinstall the package that ships it.")
    try:
        with gzip.open(path) as file:
            array = _Restricted(io.BytesIO(file.read()), _numpy_names(), path.name).load()
    except pickle.UnpicklingError:
        raise
    except Exception as error:
        raise pickle.UnpicklingError(
            f"{path.name} is damaged ({error}); reinstall its package."
        ) from error
    if not isinstance(array, np.ndarray) or array.dtype.hasobject:
        raise pickle.UnpicklingError(
            f"{path.name} holds a {type(array).__name__}, not a numeric array."
        )
    return array


class _StorageType:
    """Stands in for a torch storage class: it only carries the dtype."""

    def __init__(self, dtype):
        self.dtype = dtype


def _rebuild_tensor(storage, offset, shape, stride, requires_grad, hooks, *_):
    """What `torch._utils._rebuild_tensor_v2` does, as a delayed NumPy view."""
    return storage, int(offset), tuple(shape), tuple(stride)


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
    storages: dict[str, tuple[np.dtype, int]] = {}

    def persistent_load(saved):
        kind, storage_type, key, _, size, *_ = saved
        if kind != "storage" or not isinstance(storage_type, _StorageType):
            raise pickle.UnpicklingError(
                f"{path.name} holds a {kind!r}, not a tensor; it was not read."
            )
        storages[key] = (storage_type.dtype, int(size))
        return key

    allowed = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        **{("torch", name): _StorageType(dtype) for name, dtype in _STORAGE_DTYPES.items()},
    }
    try:
        with path.open("rb") as file:

            def load():
                unpickler = _Restricted(file, allowed, path.name)
                unpickler.persistent_load = persistent_load
                return unpickler.load()

            if load() != _PTH_MAGIC:
                raise pickle.UnpicklingError(f"{path.name} is not a legacy PyTorch weights file.")
            load()  # protocol version
            load()  # the writer's byte order and type sizes
            entries = load()
            values = {key: _read_storage(file, *storages[key]) for key in load()}
    except pickle.UnpicklingError:
        raise
    except Exception as error:
        raise pickle.UnpicklingError(
            f"{path.name} is damaged ({error}); reinstall the package that ships it."
        ) from error
    return {name: _view(values, *entry) for name, entry in entries.items()}


def _read_storage(file, dtype: np.dtype, size: int) -> np.ndarray:
    stored = int.from_bytes(file.read(8), "little")
    data = file.read(size * dtype.itemsize)
    if stored != size or len(data) != size * dtype.itemsize:
        raise ValueError("it ends early")
    return np.frombuffer(data, dtype)


def _view(values, key, offset, shape, stride) -> np.ndarray:
    storage = values[key]
    last = offset + sum((n - 1) * s for n, s in zip(shape, stride, strict=True))
    if offset < 0 or min(stride, default=0) < 0 or last >= max(storage.size, 1):
        raise pickle.UnpicklingError("a tensor reaches outside its storage; the file is damaged.")
    strides = [step * storage.itemsize for step in stride]
    return np.ascontiguousarray(
        np.lib.stride_tricks.as_strided(storage[offset:], shape, strides)
    )
