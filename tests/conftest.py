"""Tests write into a cache of their own, draw no windows, and reach no network."""

import errno
import os
import shutil
import socket
import sys
import tempfile

import pytest

from tlcourse import config as course

os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
for name in ("TLCOURSE_DATA", "TLCOURSE_LEDGER"):
    os.environ.pop(name, None)


def pytest_configure(config):
    try:
        course.backend()
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    # One cache for the whole session: what a test converts or exports once, the next may use.
    # Name one in TLCOURSE_CACHE and it is kept from session to session.
    if "TLCOURSE_CACHE" not in os.environ:
        config.temporary_cache = os.environ["TLCOURSE_CACHE"] = tempfile.mkdtemp(prefix="tlcourse-")


def pytest_report_header():
    return f"Keras backend: {course.backend()}"


def pytest_unconfigure(config):
    if cache := getattr(config, "temporary_cache", None):
        shutil.rmtree(cache, ignore_errors=True)


@pytest.fixture(autouse=True, scope="module")
def _seeded_module():
    _seed()


@pytest.fixture(autouse=True)
def _seeded():
    """The same weights whichever tests ran before; the module's own fixtures come earlier."""
    _seed()


@pytest.fixture(autouse=True, scope="module")
def _nothing_left_behind():
    """A setting of Keras that a file of tests leaves changed breaks others, far from here."""
    yield
    if keras := sys.modules.get("keras"):
        found = {
            "dtype policy": (keras.config.dtype_policy().name, "float32"),
            "float type": (keras.config.floatx(), "float32"),
            "image format": (keras.config.image_data_format(), "channels_last"),
        }
        for name, (now, usual) in found.items():
            assert now == usual, f"A test here left the {name} of Keras at {now}."


def _seed():
    if "keras" in sys.modules:
        course.set_seed(0)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Refuse every connection that leaves this machine."""
    connect = socket.socket.connect

    def local_only(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
            raise OSError(f"A test must not reach {address[0]}; serve what it needs from here.")
        try:
            return connect(self, address)
        except OSError as error:
            # Cut off from everything, itself included, as in a bare network namespace.
            if self.family == socket.AF_INET and error.errno == errno.ENETUNREACH:
                pytest.skip("this machine has no loopback to serve from")
            raise

    monkeypatch.setattr(socket.socket, "connect", local_only)


def _is_local(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
