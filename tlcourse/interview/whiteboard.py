"""Whiteboard tasks: run a candidate's code against the checker, in a process of its own."""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tlcourse.interview.entries import Whiteboard

SECONDS = 10
_CHECK = "# The checker of the course runs from here on.\n"


@dataclass(frozen=True)
class Outcome:
    """What a check found.

    Attributes:
        state: "not attempted", "raises", "wrong" or "right".
        message: one sentence, or the line on which the code raised.
    """

    state: str
    message: str


def check(task: Whiteboard, code: str) -> Outcome:
    """Run code and then the task's checker.

    Args:
        task: from the bank.
        code: the candidate's. It runs as any program of theirs would: this is no sandbox.

    Example:
        >>> task = Whiteboard("Double x.", "def f(x): ...", "assert f(2) == 4, 'f(2) is 4.'", "")
        >>> check(task, "def f(x): return x + x").state
        'right'
    """
    if code.strip() == task.starter.strip():
        return Outcome("not attempted", "This is the starter as it came; write your code into it.")
    try:
        compile(code, "your code", "exec")
    except SyntaxError as error:
        return Outcome("raises", f"line {error.lineno}: {error.msg}.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answer.py"
        path.write_text(f"{code}\n{_CHECK}{task.checker}\n", encoding="utf-8")
        try:
            done = subprocess.run(
                [sys.executable, path], capture_output=True, text=True, timeout=SECONDS, cwd=folder
            )
        except subprocess.TimeoutExpired:
            return Outcome("raises", f"it did not end within {SECONDS} seconds.")
    if done.returncode == 0:
        return Outcome("right", "The checker is content.")
    lines = done.stderr.strip().splitlines() or ["it ended without a word."]
    if lines[-1].startswith("AssertionError: "):
        return Outcome("wrong", lines[-1].removeprefix("AssertionError: "))
    own = len(code.splitlines())
    at = [int(line.split("line ")[1].split(",")[0]) for line in lines if 'answer.py", line' in line]
    within = [number for number in at if number <= own]
    where = f"line {within[-1]}: " if within else ""
    return Outcome("raises", f"{where}{lines[-1]}")
