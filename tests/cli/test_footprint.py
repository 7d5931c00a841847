"""How much memory a run holds, with all that it has started."""

import subprocess
import sys
import time

import psutil
import pytest

from tlcourse.cli import footprint

MIB = 2**20


def test_what_a_child_and_its_child_hold_counts():
    before = footprint.held()
    grown = "x = b'1' * (60 << 20); print('here', flush=True); input()"
    starter = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grown!r}])"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", starter], **pipes) as child:
        assert child.stdout.readline() == b"here\n"
        within = footprint.held()
        child.communicate(b"\n")
    assert 55 * MIB < within - before < 120 * MIB
    assert footprint.held() - before < 30 * MIB


@pytest.mark.skipif(not psutil.LINUX, reason="only Linux tells which pages are shared")
def test_a_page_that_two_processes_share_counts_once():
    forked = (
        "import os, mmap; x = mmap.mmap(-1, 60 << 20); x.write(b'1' * (60 << 20))\n"
        "child = os.fork()\n"
        "x.seek(0); x.read(60 << 20)\n"
        "print('here', flush=True); os.read(0, 1)\n"
        "if child: os.waitpid(child, 0)"
    )
    before = footprint.held()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", forked], **pipes) as child:
        assert [child.stdout.readline() for _ in range(2)] == [b"here\n"] * 2
        within = footprint.held()
        child.communicate(b"\n\n")
    assert 55 * MIB < within - before < 110 * MIB


def test_the_peak_is_kept_after_it_is_over(monkeypatch):
    sizes = [5, 7, 30]
    monkeypatch.setattr(footprint, "held", lambda: sizes.pop(0) if sizes else 6)
    monkeypatch.setattr(footprint, "_BETWEEN_SAMPLES", 0.001)
    with footprint.watched() as peak:
        assert peak() >= 5
        for _ in range(2000):
            if not sizes:
                break
            time.sleep(0.005)
    assert peak() == 30
