"""Downloads against a local server: good, wrong, truncated, refused, slow to come right."""

import dataclasses
import gzip
import hashlib
import http.server
import io
import socket
import struct
import tarfile
import threading

import numpy as np
import pytest

from tlcourse import data
from tlcourse.data import download

from .test_unpickle import python2_batch


def idx(array) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape)
    return gzip.compress(header + array.tobytes(), mtime=0)


RNG = np.random.default_rng(0)
FASHION = {
    "train-images-idx3-ubyte.gz": RNG.integers(0, 256, (20, 28, 28), dtype="uint8"),
    "train-labels-idx1-ubyte.gz": np.arange(20, dtype="uint8") % 10,
    "t10k-images-idx3-ubyte.gz": RNG.integers(0, 256, (10, 28, 28), dtype="uint8"),
    "t10k-labels-idx1-ubyte.gz": np.arange(10, dtype="uint8"),
}
CIFAR = {
    f"cifar-10-batches-py/{name}": (
        RNG.integers(0, 256, (4, 3072), dtype="uint8"),
        RNG.integers(0, 10, 4).tolist(),
    )
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
}


def medical_file(classes, *pixels) -> bytes:
    """As the authors of MedMNIST save it: three parts, labels of shape (N, 1)."""
    parts = {}
    for part, images in {"train": 16, "val": 4, "test": 8}.items():
        parts[f"{part}_images"] = RNG.integers(0, 256, (images, *pixels), dtype="uint8")
        parts[f"{part}_labels"] = (np.arange(images, dtype="uint8") % classes)[:, None]
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **parts)
    return buffer.getvalue()


def cifar_archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        # In another order than they are wanted, and with a file that is not.
        members = {name: python2_batch(*batch) for name, batch in reversed(CIFAR.items())}
        for name, content in {"cifar-10-batches-py/readme.html": b"hello", **members}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


class Server:
    """Serves `files`; `broken` says how often to cut an answer short before sending all of it."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.broken: dict[str, int] = {}
        self.requests: list[str] = []
        self.queries: dict[str, str] = {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                name, _, query = self.path.lstrip("/").partition("?")
                outer.queries[name] = query
                outer.requests.append(name)
                if name not in outer.files:
                    self.send_error(404)
                    return
                content = outer.files[name]
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if outer.broken.get(name, 0) > 0:
                    outer.broken[name] -= 1
                    content = content[: len(content) // 2]
                self.wfile.write(content)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def server(monkeypatch):
    server = Server()
    server.files = {name: idx(array) for name, array in FASHION.items()}
    server.files["cifar-10-python.tar.gz"] = cifar_archive()
    server.files["bloodmnist.npz"] = medical_file(8, 28, 28, 3)
    server.files["pneumoniamnist.npz"] = medical_file(2, 28, 28)
    point_at(monkeypatch, server, server.host)
    # Waiting between attempts is pooch's business.
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    yield server
    server.close()


def point_at(monkeypatch, server, *hosts):
    for name, known in download.DOWNLOADS.items():
        files = {
            file: hashlib.new(known.algorithm, server.files[file]).hexdigest()
            for file in known.files
        }
        changed = dataclasses.replace(known, hosts=hosts, files=files)
        monkeypatch.setitem(download.DOWNLOADS, name, changed)


@pytest.fixture
def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        # Bound and not listening: every connection is refused.
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/"


def files_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_the_known_hashes_are_whole_and_the_hosts_are_folders():
    for known in download.DOWNLOADS.values():
        digits = {"sha256": 64, "md5": 32}[known.algorithm]
        assert all(len(value) == digits and int(value, 16) for value in known.files.values())
        assert all(host.startswith("http") and host.endswith("/") for host in known.hosts)
        assert known.checksums().count("\n") == len(known.files) - 1


def test_fashion_mnist_arrives_whole(server):
    loaded = data.load("fashion_mnist")
    parts = loaded.x_train[..., 0], loaded.y_train, loaded.x_test[..., 0], loaded.y_test
    for part, known in zip(parts, FASHION.values(), strict=True):
        np.testing.assert_array_equal(part, known)
    assert loaded.x_train.shape == (20, 28, 28, 1)
    assert loaded.y_train.dtype == np.int64
    assert loaded.class_names[9] == "Ankle boot"


def test_cifar10_arrives_whole_with_channels_last(server):
    loaded = data.load("cifar10")
    assert loaded.x_train.shape == (20, 32, 32, 3)
    assert loaded.x_test.shape == (4, 32, 32, 3)
    planes, labels = CIFAR["cifar-10-batches-py/data_batch_2"]
    np.testing.assert_array_equal(loaded.x_train[4, ..., 1].ravel(), planes[0, 1024:2048])
    assert loaded.y_train[4:8].tolist() == labels
    assert loaded.y_test.tolist() == CIFAR["cifar-10-batches-py/test_batch"][1]


@pytest.mark.parametrize(
    ("name", "classes", "channels"), [("bloodmnist", 8, 3), ("pneumoniamnist", 2, 1)]
)
def test_medical_images_arrive_whole_without_their_validation_part(server, name, classes, channels):
    loaded = data.load(name)
    with np.load(io.BytesIO(server.files[f"{name}.npz"])) as sent:
        images = sent["train_images"].reshape(16, 28, 28, channels)
        np.testing.assert_array_equal(loaded.x_train, images)
        assert loaded.y_test.tolist() == sent["test_labels"][:, 0].tolist()
    assert loaded.x_test.shape == (8, 28, 28, channels)
    assert loaded.y_train.dtype == np.int64 and loaded.y_train.shape == (16,)
    assert len(loaded.class_names) == classes
    assert loaded.card.licence == "CC BY 4.0"
    assert "Not intended for clinical use" in str(loaded.card) and "md5" in str(loaded.card)
    assert server.queries[f"{name}.npz"] == "download=1"


def test_medical_images_of_another_hash_are_not_kept(server, own_cache):
    server.files["bloodmnist.npz"] = medical_file(8, 28, 28, 3)
    with pytest.raises(ValueError, match=r"its md5 differs.*thrown away"):
        data.load("bloodmnist")
    assert files_in(own_cache) == []


def test_medical_images_are_downloaded_once(server, monkeypatch, closed_port):
    first = data.load("pneumoniamnist")
    point_at(monkeypatch, server, closed_port)
    np.testing.assert_array_equal(data.load("pneumoniamnist").x_train, first.x_train)


def test_a_second_load_asks_the_network_nothing(server):
    assert not data.available("cifar10")
    first = data.load("cifar10")
    assert data.available("cifar10")
    asked = len(server.requests)
    np.testing.assert_array_equal(data.load("cifar10").x_train, first.x_train)
    assert len(server.requests) == asked


def test_fetched_once_it_loads_with_the_network_gone(server, monkeypatch, closed_port):
    path = data.fetch("fashion_mnist")
    assert path.suffix == ".npz"
    point_at(monkeypatch, server, closed_port)
    assert len(data.load("fashion_mnist").y_train) == 20


def test_a_converted_file_damaged_on_the_disk_is_made_again(server):
    path = data.fetch("fashion_mnist")
    whole = path.read_bytes()
    asked = len(server.requests)
    for damaged in (b"", whole[: len(whole) // 2], whole[:500] + b"\0" * 500 + whole[1000:]):
        path.write_bytes(damaged)
        np.testing.assert_array_equal(
            data.load("fashion_mnist").x_test[..., 0], FASHION["t10k-images-idx3-ubyte.gz"]
        )
        assert len(path.read_bytes()) == len(whole)
    assert len(server.requests) == asked


def test_a_file_of_another_hash_is_never_seen_and_not_kept(server, own_cache):
    server.files["t10k-labels-idx1-ubyte.gz"] = idx(np.zeros(10, "uint8"))
    with pytest.raises(ValueError, match=r"sha256 differs.*thrown away.*\"animals\"") as caught:
        data.load("fashion_mnist")
    assert "\n" not in str(caught.value)
    assert not data.available("fashion_mnist")
    assert "t10k-labels-idx1-ubyte.gz" not in files_in(own_cache)
    assert not any(name.endswith(".npz") for name in files_in(own_cache))
    assert server.requests.count("t10k-labels-idx1-ubyte.gz") == download.ATTEMPTS


def test_a_damaged_file_in_the_cache_is_fetched_again(server, own_cache):
    folder = own_cache / "data" / "cifar10"
    folder.mkdir(parents=True)
    (folder / "cifar-10-python.tar.gz").write_bytes(b"damaged")
    assert data.load("cifar10").x_train.shape[0] == 20


def test_a_broken_connection_is_tried_again(server):
    server.broken["cifar-10-python.tar.gz"] = download.ATTEMPTS - 1
    assert data.load("cifar10").x_train.shape[0] == 20
    assert len(server.requests) == download.ATTEMPTS


def test_a_connection_that_always_breaks_leaves_nothing(server, own_cache):
    server.broken["cifar-10-python.tar.gz"] = 99
    with pytest.raises(FileNotFoundError, match="could not be downloaded"):
        data.load("cifar10")
    assert files_in(own_cache) == []


def test_the_next_host_is_asked(server, monkeypatch, closed_port):
    point_at(monkeypatch, server, closed_port, server.host)
    assert data.load("cifar10").x_train.shape[0] == 20


@pytest.mark.parametrize("name", ["cifar10", "bloodmnist"])
def test_offline_one_sentence_names_what_works_instead(
    server, monkeypatch, closed_port, own_cache, name
):
    point_at(monkeypatch, server, closed_port)
    with pytest.raises(FileNotFoundError) as caught:
        data.load(name)
    text = str(caught.value)
    for part in (name, "no connection", '"animals"', f"{name}.npz", "TLCOURSE_DATA"):
        assert part in text
    assert "\n" not in text
    assert files_in(own_cache) == []
    assert not data.available(name)


def test_a_host_without_the_file_is_said_so(server):
    del server.files["cifar-10-python.tar.gz"]
    with pytest.raises(FileNotFoundError, match="the host answered 404"):
        data.load("cifar10")


@pytest.mark.parametrize(
    "content",
    [
        b"\0\0\x08\x01\0\0\0\x05abc",
        b"\0\0\x0d\x01\0\0\0\x03abc",
        b"\0\0\x08\x01\0\0\0\x02abc",
    ],
    ids=["too short", "no bytes", "too long"],
)
def test_an_idx_file_that_is_not_whole_is_refused(tmp_path, content):
    path = tmp_path / "labels.gz"
    path.write_bytes(gzip.compress(content))
    with pytest.raises(ValueError, match="not a whole idx file"):
        download._read_idx(path)
