"""Milliseconds and memory of one forward pass."""

import mmap
import time

import keras
import pytest

from tlcourse import onepass, speed

NAME, SIZE = "efficientnet-lite0", 64


def test_warm_up_is_not_timed_and_every_call_is():
    seen = []

    def call():
        seen.append(len(seen))
        time.sleep(0.05 if len(seen) <= 2 else 0.002)

    seconds = speed.time_calls(call, repeats=4, warm_up=2)
    assert len(seen) == 6 and len(seconds) == 4
    assert all(0.002 <= value < 0.05 for value in seconds)


def test_milliseconds_are_per_image(monkeypatch):
    monkeypatch.setattr(speed, "_forward", lambda *_: None)
    monkeypatch.setattr(speed, "time_calls", lambda call, repeats: [0.1, 0.2, 0.3, 0.2, 0.2])
    found = speed.latency(NAME, SIZE, batch=4, repeats=5)
    assert (found.low, found.milliseconds, found.high) == pytest.approx((50, 50, 50))
    assert (found.batch, found.repeats) == (4, 5)
    assert str(found) == "50 ms [50, 50]"


def test_keras_is_timed_on_this_machine():
    found = speed.latency(NAME, SIZE, weights=None, repeats=3)
    assert 0 < found.low <= found.milliseconds <= found.high < 10_000


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the export needs TensorFlow")
def test_onnx_runtime_is_timed_and_its_memory_is_that_of_a_process_of_its_own():
    found = speed.latency(NAME, SIZE, engine="onnx", repeats=3)
    assert 0 < found.milliseconds < 10_000
    grown = speed.memory(NAME, SIZE, engine="onnx")
    # Without its classifier Lite0 has 13 MB of weights; libraries are not counted.
    assert 5 < grown.loaded <= grown.peak < 500


def test_the_highest_is_seen_while_the_model_runs():
    size = 64 * 2**20

    def forward():
        # Asked of the system: what Python frees, a process that has worked may use again unseen.
        with mmap.mmap(-1, size) as held:
            held[::4096] = b"x" * (size // 4096)
            time.sleep(0.2)  # a busy machine looks less often

    before = onepass._resident()
    assert onepass._highest(forward) - before > 0.9 * size


def test_a_process_that_fails_says_why(monkeypatch):
    monkeypatch.setattr(speed.features, "onnx_file", lambda *_: "/nowhere.onnx")
    with pytest.raises(RuntimeError, match="in its own process: .*nowhere.onnx"):
        speed.memory(NAME, SIZE, engine="onnx")


@pytest.mark.parametrize("measure", [speed.latency, speed.memory])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbone": "resnet5"}, "did you mean"),
        ({"engine": "tpu"}, "write one of keras, onnx"),
        ({"size": 16}, "32 or more"),
        ({"size": 64.0}, "whole number of pixels"),
        ({"batch": 0}, "batch is 0"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(measure, change, message):
    with pytest.raises(ValueError, match=message):
        measure(**{"backbone": NAME, "size": SIZE, **change})


def test_a_pass_has_to_be_timed():
    with pytest.raises(ValueError, match="repeats is 0"):
        speed.latency(NAME, SIZE, repeats=0)
