"""The checker of whiteboard tasks tells apart what did not happen, raised, is wrong, is right."""

import pytest

from tlcourse.interview import whiteboard
from tlcourse.interview.entries import Whiteboard

TASK = Whiteboard(
    "Double x.", "def f(x):\n    ...\n", "assert f(2) == 4, 'f(2) is 4.'", "def f(x): return 2 * x"
)


@pytest.mark.parametrize("code, state, said", [
    ("def f(x):\n    ...\n\n", "not attempted", "starter"),
    ("def f(x):\n    return x + x\n", "right", "content"),
    ("def f(x):\n    return x * x * x\n", "wrong", "f(2) is 4."),
    ("def f(x)\n    return x\n", "raises", "line 1: expected ':'"),
    ("def f(x):\n    return 1 / (x - 2)\n", "raises", "line 2: ZeroDivisionError"),
    ("def g(x):\n    return x\n", "raises", "name 'f' is not defined"),
])  # fmt: skip
def test_each_outcome(code, state, said):
    outcome = whiteboard.check(TASK, code)
    assert outcome.state == state and said in outcome.message
    assert "Traceback" not in outcome.message


def test_an_endless_loop_ends(monkeypatch):
    monkeypatch.setattr(whiteboard, "SECONDS", 1)
    outcome = whiteboard.check(TASK, "while True:\n    pass\n")
    assert outcome.state == "raises" and "1 seconds" in outcome.message
