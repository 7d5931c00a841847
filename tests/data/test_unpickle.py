"""The restricted unpickler: what it reads, what it refuses, and that nothing hostile ever runs."""

import collections
import gzip
import io
import os
import pickle
import struct
import sys
import zipfile

import numpy as np
import pytest

from tlcourse.data import unpickle
from tlcourse.data.unpickle import read_array, read_batch, read_state_dict


def packed(path, value, protocol=4):
    with gzip.open(path, "wb") as file:
        pickle.dump(value, file, protocol=protocol)
    return path


class Runs:
    """Pickles as a call, which is what a hostile file is."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.fixture
def trap(tmp_path):
    """A file that a hostile pickle would make, if anything in it ran."""
    return tmp_path / "owned"


def hostile(trap):
    return {
        "os.system": Runs(os.system, f"touch {trap}"),
        "eval": Runs(eval, f"open({str(trap)!r}, 'w')"),
        "open": Runs(open, str(trap), "w"),
        "getattr": Runs(getattr, "text", "__class__"),
        "import": Runs(__import__, "antigravity"),
        "np.save": Runs(np.save, str(trap), [1]),
    }


KINDS = list(hostile("x"))


# A trap that cannot snap proves nothing.
@pytest.mark.parametrize("kind", ["os.system", "eval", "open"])
def test_the_trap_works_with_plain_pickle(kind, trap):
    pickle.loads(pickle.dumps(hostile(trap)[kind]))
    assert trap.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_read_array_runs_nothing(kind, trap, tmp_path):
    path = packed(tmp_path / "array.gz", hostile(trap)[kind])
    with pytest.raises(pickle.UnpicklingError, match="nothing in it was run"):
        read_array(path)
    assert not trap.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_read_batch_runs_nothing(kind, trap):
    data = pickle.dumps({"data": np.arange(3), "labels": hostile(trap)[kind]}, protocol=4)
    with pytest.raises(pickle.UnpicklingError, match="nothing in it was run"):
        read_batch(data, "data_batch_1")
    assert not trap.exists()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", range(5))
def test_read_state_dict_runs_nothing_in_any_of_its_five_pickles(kind, place, trap, tmp_path):
    pickles = [unpickle._PTH_MAGIC, 1001, {}, collections.OrderedDict(), []]
    pickles[place] = hostile(trap)[kind]
    path = tmp_path / "weights.pth"
    path.write_bytes(b"".join(pickle.dumps(value, protocol=2) for value in pickles))
    with pytest.raises(pickle.UnpicklingError):
        read_state_dict(path)
    assert not trap.exists()


def test_a_subclass_hidden_in_an_array_is_refused(tmp_path):
    path = packed(tmp_path / "array.gz", np.ma.array([1, 2], mask=[0, 1]))
    with pytest.raises(pickle.UnpicklingError, match="numpy.ma"):
        read_array(path)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype="uint8").reshape(2, 3, 4),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(5, dtype=">i4"),
        np.array([True, False]),
        np.array(3.5, dtype="float16"),
        np.empty((0, 3), "float32"),
    ],
    ids=str,
)
@pytest.mark.parametrize("protocol", [3, 4])
def test_read_array_gives_back_what_was_saved(array, protocol, tmp_path):
    read = read_array(packed(tmp_path / "array.gz", array, protocol))
    np.testing.assert_array_equal(read, array)
    assert read.shape == array.shape
    assert read.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
    assert read.flags.writeable


@pytest.mark.parametrize(
    "value",
    [
        [1, 2],
        "text",
        {"a": np.arange(3)},
        np.array([1, None], dtype=object),
        np.array(["text"]),
        np.zeros(2, dtype=[("a", "i4")]),
        np.array(["2020-01-01"], dtype="datetime64[D]"),
    ],
    ids=str,
)
def test_read_array_wants_numbers(value, tmp_path):
    with pytest.raises(pickle.UnpicklingError, match="no|not a numeric array"):
        read_array(packed(tmp_path / "array.gz", value))


def test_a_shape_that_does_not_fit_the_data_is_refused(tmp_path):
    data = pickle.dumps(np.arange(3, dtype="uint8"), protocol=3)
    path = tmp_path / "array.gz"
    path.write_bytes(gzip.compress(data.replace(b"K\x03\x85", b"K\xff\x85")))
    assert b"K\x03\x85" in data
    with pytest.raises(pickle.UnpicklingError, match="damaged"):
        read_array(path)


@pytest.mark.parametrize("kept", [0, 10, 60, -1])
def test_a_truncated_array_is_refused(kept, tmp_path):
    whole = packed(tmp_path / "array.gz", np.arange(100)).read_bytes()
    cut = tmp_path / "cut.gz"
    cut.write_bytes(whole[:kept])
    with pytest.raises(pickle.UnpicklingError, match="cut.gz is damaged"):
        read_array(cut)


def test_a_missing_file_is_named(tmp_path):
    for read in (read_array, read_state_dict):
        with pytest.raises(FileNotFoundError, match="nowhere"):
            read(tmp_path / "nowhere")


def python2_array(array) -> bytes:
    """A uint8 or int64 array as NumPy under Python 2 pickled it: text and data as byte strings."""
    shape = b"(" + b"".join(b"J" + struct.pack("<i", n) for n in array.shape) + b"t"
    code = array.dtype.str[1:].encode()
    data = array.tobytes()
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
        b"(K\x01" + shape + b"cnumpy\ndtype\n(U" + bytes([len(code)]) + code + b"K\x00K\x01tR"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89T" + struct.pack("<i", len(data)) + data + b"tb"
    )


def python2_batch(images, labels) -> bytes:
    """A CIFAR-10 batch as its authors wrote it."""
    numbers = b"(" + b"".join(b"K" + bytes([n]) for n in labels) + b"l"
    return b"\x80\x02}(U\x04data" + python2_array(images) + b"U\x06labels" + numbers + b"u."


def test_read_batch_reads_what_python_2_wrote():
    images = np.random.default_rng(0).integers(0, 256, (4, 12), dtype="uint8")
    batch = read_batch(python2_batch(images, [3, 1, 0, 9]), "data_batch_1")
    np.testing.assert_array_equal(batch["data"], images)
    assert batch["labels"] == [3, 1, 0, 9]
    # The file itself is a true one: NumPy's own unpickler agrees.
    theirs = pickle.loads(python2_batch(images, [3, 1, 0, 9]), encoding="bytes")
    np.testing.assert_array_equal(theirs[b"data"], images)


@pytest.mark.parametrize("data", [b"", b"\x80\x02", pickle.dumps([1]), b"garbage"])
def test_read_batch_refuses_what_is_no_batch(data):
    with pytest.raises(pickle.UnpicklingError, match="batch_7"):
        read_batch(data, "batch_7")


class FloatStorage:
    """Pickles under the name of torch's class."""


class LongStorage:
    """Pickles under the name of torch's class."""


def _rebuild_tensor_v2():
    """Pickles under the name of torch's function."""


@pytest.fixture
def torch_names(monkeypatch):
    """Modules that pickle can find the two classes and the function in while it writes."""
    torch, utils = type(sys)("torch"), type(sys)("torch._utils")
    for kind in (FloatStorage, LongStorage):
        monkeypatch.setattr(kind, "__module__", "torch")
        setattr(torch, kind.__name__, kind)
    monkeypatch.setattr(_rebuild_tensor_v2, "__module__", "torch._utils")
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    torch._utils = utils
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


class Stored:
    def __init__(self, key, kind, values):
        self.key, self.kind, self.values = key, kind, values


class Tensor:
    def __init__(self, storage, offset, shape, stride):
        self.entry = storage, offset, shape, stride

    def __reduce__(self):
        return _rebuild_tensor_v2, (*self.entry, False, collections.OrderedDict())


def pth(path, entries: dict, storages: list):
    """Write a legacy `.pth` by hand: five pickles, then each storage's length and values."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            if isinstance(value, Stored):
                return "storage", value.kind, value.key, "cpu", len(value.values), None
            return None

    file = io.BytesIO()
    for value in (unpickle._PTH_MAGIC, 1001, {"little_endian": True}):
        pickle.dump(value, file, protocol=2)
    Pickler(file, protocol=2).dump(collections.OrderedDict(entries))
    pickle.dump([storage.key for storage in storages], file, protocol=2)
    for storage in storages:
        file.write(struct.pack("<q", len(storage.values)) + storage.values.tobytes())
    path.write_bytes(file.getvalue())
    return path


@pytest.fixture
def floats():
    return Stored("0", FloatStorage, np.arange(24, dtype="<f4"))


@pytest.mark.usefixtures("torch_names")
class TestStateDict:
    def test_reads_tensors_in_the_files_order(self, tmp_path, floats):
        count = Stored("1", LongStorage, np.array([7], "<i8"))
        path = pth(
            tmp_path / "w.pth",
            {"kernel": Tensor(floats, 0, (2, 3, 4), (12, 4, 1)), "count": Tensor(count, 0, (), ())},
            [floats, count],
        )
        state = read_state_dict(path)
        assert list(state) == ["kernel", "count"]
        np.testing.assert_array_equal(state["kernel"], np.arange(24).reshape(2, 3, 4))
        assert state["kernel"].dtype == np.float32
        assert state["count"] == 7
        assert state["count"].shape == ()

    @pytest.mark.parametrize(
        ("offset", "shape", "stride", "known"),
        [
            (0, (3, 2), (1, 3), np.arange(6).reshape(2, 3).T),
            (4, (2, 2), (8, 2), np.array([[4, 6], [12, 14]])),
            (23, (1,), (1,), np.array([23])),
            (0, (2, 0), (1, 1), np.empty((2, 0))),
        ],
    )
    def test_reads_views_by_offset_and_stride(self, offset, shape, stride, known, tmp_path, floats):
        path = pth(tmp_path / "w.pth", {"view": Tensor(floats, offset, shape, stride)}, [floats])
        view = read_state_dict(path)["view"]
        np.testing.assert_array_equal(view, known)
        assert view.flags.c_contiguous
        assert view.flags.writeable

    @pytest.mark.parametrize(
        ("offset", "shape", "stride"),
        [
            (0, (25,), (1,)),
            (1, (24,), (1,)),
            (0, (2, 2), (23, 1)),
            (-1, (2,), (1,)),
            (0, (2,), (-1,)),
            (0, (-2,), (1,)),
            (0, (2, 2), (1,)),
            (0, (10**12,), (0,)),
        ],
    )
    def test_refuses_a_tensor_that_is_not_in_its_storage(
        self, offset, shape, stride, tmp_path, floats
    ):
        path = pth(tmp_path / "w.pth", {"view": Tensor(floats, offset, shape, stride)}, [floats])
        with pytest.raises(pickle.UnpicklingError, match="w.pth"):
            read_state_dict(path)

    def test_a_file_that_writes_to_the_stand_ins_changes_nothing_for_the_next(
        self, tmp_path, floats
    ):
        # BUILD with a state of two parts sets attributes on what it is given: here, on a class.
        poison = tmp_path / "poison.pth"
        poison.write_bytes(b"ctorch._utils\n_rebuild_tensor_v2\nN}V__init__\nVbroken\ns\x86b.")
        with pytest.raises(pickle.UnpicklingError):
            read_state_dict(poison)
        good = pth(tmp_path / "w.pth", {"a": Tensor(floats, 0, (2,), (1,))}, [floats])
        assert read_state_dict(good)["a"].tolist() == [0, 1]

    def test_refuses_a_truncated_file_wherever_it_ends(self, tmp_path, floats):
        entries = {"a": Tensor(floats, 0, (24,), (1,))}
        whole = pth(tmp_path / "w.pth", entries, [floats]).read_bytes()
        assert len(read_state_dict(tmp_path / "w.pth")) == 1
        for length in range(0, len(whole), 7):
            cut = tmp_path / "cut.pth"
            cut.write_bytes(whole[:length])
            with pytest.raises(pickle.UnpicklingError, match="cut.pth"):
                read_state_dict(cut)

    def test_refuses_a_storage_that_claims_more_than_the_file_holds(self, tmp_path, floats):
        whole = pth(tmp_path / "w.pth", {"a": Tensor(floats, 0, (2,), (1,))}, [floats]).read_bytes()
        assert whole.count(b"K\x18") == 1
        path = tmp_path / "liar.pth"
        path.write_bytes(whole.replace(b"K\x18", b"\x8a\x08" + struct.pack("<q", 2**60)))
        with pytest.raises(pickle.UnpicklingError, match="ends early"):
            read_state_dict(path)


def test_a_zip_format_pth_is_named_as_such(tmp_path):
    path = tmp_path / "new.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    with pytest.raises(pickle.UnpicklingError, match="newer zip format"):
        read_state_dict(path)


def test_another_pickle_is_no_weights_file(tmp_path):
    path = tmp_path / "list.pth"
    path.write_bytes(pickle.dumps([1, 2, 3]))
    with pytest.raises(pickle.UnpicklingError, match="not a legacy PyTorch weights file"):
        read_state_dict(path)
