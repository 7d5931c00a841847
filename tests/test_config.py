import logging
import os
import subprocess
import sys
import threading

import pytest

from tlcourse import config


@pytest.fixture(autouse=True)
def no_run(monkeypatch):
    monkeypatch.setattr(config, "_current", None)


def test_cache_dir_follows_the_environment_and_is_created(tmp_path, monkeypatch):
    monkeypatch.setenv("TLCOURSE_CACHE", str(tmp_path / "here"))
    path = config.cache_dir("features", "deep")
    assert path == tmp_path / "here" / "features" / "deep"
    assert path.is_dir()


def test_cache_dir_without_the_variable_is_the_users(tmp_path, monkeypatch):
    monkeypatch.delenv("TLCOURSE_CACHE", raising=False)
    monkeypatch.setattr(config.pooch, "os_cache", lambda name: tmp_path / name)
    assert config.cache_dir() == tmp_path / "tlcourse"


def test_data_dir_is_none_unless_named(tmp_path, monkeypatch):
    monkeypatch.delenv("TLCOURSE_DATA", raising=False)
    assert config.data_dir() is None
    monkeypatch.setenv("TLCOURSE_DATA", "")
    assert config.data_dir() is None
    monkeypatch.setenv("TLCOURSE_DATA", str(tmp_path))
    assert config.data_dir() == tmp_path


def test_file_key_is_of_the_content_and_follows_a_change(tmp_path):
    path, copy = tmp_path / "file", tmp_path / "copy"
    path.write_bytes(b"ab")
    copy.write_bytes(b"ab")
    os.utime(copy, (1000, 1000))
    key = config.file_key(path)
    assert config.file_key(copy) == key
    path.write_bytes(b"ba")
    os.utime(path, (2000, 2000))
    assert config.file_key(path) != key


def test_file_key_reads_a_file_once(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"ab")
    key = config.file_key(path)
    monkeypatch.setattr(config.hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    assert config.file_key(path) == key


def test_atomic_path_shows_nothing_until_it_is_complete(tmp_path):
    target = tmp_path / "new" / "result.txt"
    with config.atomic_path(target) as partial:
        partial.write_text("done")
        assert not target.exists()
        assert partial.suffix == ".txt"
    assert target.read_text() == "done"
    assert list(target.parent.iterdir()) == [target]


def test_atomic_path_under_an_exception_keeps_the_old_file_and_leaves_no_other(tmp_path):
    target = tmp_path / "result.txt"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt), config.atomic_path(target) as partial:
        partial.write_text("half")
        raise KeyboardInterrupt
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_atomic_path_with_many_writers_leaves_the_whole_work_of_one(tmp_path):
    target = tmp_path / "result.txt"
    start = threading.Barrier(8)

    def write(letter):
        with config.atomic_path(target) as partial:
            start.wait()
            partial.write_text(letter * 100_000)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = target.read_text()
    assert text == text[0] * 100_000
    assert list(tmp_path.iterdir()) == [target]


@pytest.fixture
def before_keras(tmp_path, monkeypatch):
    """As in a process that has not imported Keras, with a settings file that is not there yet."""
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(config.importlib.util, "find_spec", lambda name: name != "jax" or None)
    return tmp_path / "keras.json"


def test_backend_follows_the_environment_then_the_settings_then_is_tensorflow(
    before_keras, monkeypatch
):
    assert config.backend() == "tensorflow"
    before_keras.write_text("{ broken")
    assert config.backend() == "tensorflow"
    before_keras.write_text('{"backend": "torch"}')
    assert config.backend() == "torch"
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert config.backend() == "tensorflow"


def test_backend_is_what_keras_has_once_it_is_imported(monkeypatch):
    import keras

    used = keras.backend.backend()
    monkeypatch.setenv("KERAS_BACKEND", "torch" if used != "torch" else "tensorflow")
    assert config.backend() == used


@pytest.mark.parametrize("name, said", [
    ("openvino", "KERAS_BACKEND names 'openvino' .* write tensorflow, jax or torch"),
    ("jax", r"KERAS_BACKEND names jax .* not installed; run .*-e '.\[jax\]'"),
])  # fmt: skip
def test_a_backend_that_cannot_be_had_is_refused_in_a_sentence(
    before_keras, monkeypatch, name, said
):
    monkeypatch.setenv("KERAS_BACKEND", name)
    with pytest.raises(ValueError, match=said):
        config.backend()
    with pytest.raises(ValueError, match=said):
        config.begin("01")
    assert config.current_run() is None


def test_a_backend_from_the_settings_names_their_file(before_keras):
    before_keras.write_text('{"backend": "jax"}')
    with pytest.raises(ValueError, match="keras.json names jax"):
        config.backend()


def test_begin_remembers_the_run_and_seeds_everything():
    import random

    import numpy as np

    run = config.begin("01", "full", 3)
    first = random.random(), np.random.rand()
    assert config.current_run() is run
    assert run == config.Run("01", "full", 3)
    config.begin("01", "full", 3)
    assert (random.random(), np.random.rand()) == first
    config.begin("01", "full", 4)
    assert (random.random(), np.random.rand()) != first


@pytest.mark.parametrize("profile", ["fast", "", None, "Quick"])
def test_begin_refuses_an_unknown_profile_and_starts_nothing(profile):
    with pytest.raises(ValueError, match="quick, full"):
        config.begin("01", profile)
    assert config.current_run() is None


@pytest.mark.parametrize("seed", [-1, 1.5, "0", None])
def test_begin_refuses_a_bad_seed_and_starts_nothing(seed):
    with pytest.raises(ValueError, match="whole number, 0 or more"):
        config.begin("01", "quick", seed)
    assert config.current_run() is None


def test_begin_silences_one_message_of_tensorflow_and_no_other(caplog):
    config.begin("01")
    logger = logging.getLogger("tensorflow")
    logger.warning("%d out of the last %d calls to f triggered tf.function retracing.", 5, 6)
    logger.warning("Gradients do not exist for a variable.")
    assert [record.getMessage() for record in caplog.records] == [
        "Gradients do not exist for a variable."
    ]


def test_a_chapter_ends_without_a_search_for_garbage():
    # What was registered first runs last: by then nothing is left to be searched.
    program = (
        "import atexit, gc; atexit.register(lambda: print(len(gc.get_objects())))\n"
        "from tlcourse import config; config.begin('01')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 1000


def test_choose_takes_the_profiles_value():
    assert config.Run("01", "quick").choose(quick=1, full=2) == 1
    assert config.Run("01", "full").choose(quick=1, full=2) == 2


def test_runs_of_different_seeds_share_no_seed():
    drawn = [set(config.Run("01", seed=seed).seeds(10)) for seed in range(5)]
    assert all(len(seeds) == 10 for seeds in drawn)
    assert len(set.union(*drawn)) == 50
