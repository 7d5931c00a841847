"""Answers that the checks must tell apart: right ones, and wrong ones with their diagnosis.

A chapter's answers are a Python file of functions that `right` and `wrong` decorate. The tests run
them all, and the table in `docs/exercises.md` counts them.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlcourse.exercises import catalogue
from tlcourse.exercises.judging import judge


@dataclass(frozen=True)
class Trial:
    """An answer and what a check must say to it.

    Attributes:
        task: such as "03.2".
        name: where it is defined.
        answer: what is handed in.
        diagnoses: the keys that fit; empty if it is right.
    """

    task: str
    name: str
    answer: Any
    diagnoses: tuple[str, ...] = ()


# Seconds for a check that is only counted; another program may share the cores.
WIDE = 300

_FOUND: list[Trial] = []


def right(task: str, guess: float | None = None) -> Callable:
    """Mark a function as a correct answer; with a guess, as that of a prediction."""
    return _collect(task, guess, ())


def wrong(task: str, *diagnoses: str, guess: float | None = None) -> Callable:
    """Mark a function as a wrong answer that gets one of these diagnoses."""
    return _collect(task, guess, diagnoses)


def _collect(task: str, guess: float | None, diagnoses: tuple[str, ...]) -> Callable:
    def register(function: Callable) -> Callable:
        answer = function if guess is None else (guess, function)
        line = getattr(getattr(function, "__code__", None), "co_firstlineno", 0)
        name = f"{task}-{diagnoses[0] if diagnoses else 'right'}-{line}".replace(" ", "_")
        _FOUND.append(Trial(task, name, answer, diagnoses))
        return function

    return register


def load(path: Path) -> list[Trial]:
    """The answers in a file."""
    _FOUND.clear()
    spec = importlib.util.spec_from_file_location(path.stem, path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return list(_FOUND)


def table(trials: list[Trial]) -> str:
    """For each task, how many right answers are accepted and wrong ones caught, as Markdown."""
    lines = [
        "| task | | kind | minutes | right answers accepted | wrong answers caught | ways named |",
        "|---|---|---|--:|--:|--:|--:|",
    ]
    sums = {"good": 0, "accepted": 0, "bad": 0, "caught": 0}
    for task in catalogue.tasks():
        outcomes = [(t, judge(task, t.answer, limit=WIDE)) for t in trials if t.task == task.id]
        good = [result.right for trial, result in outcomes if not trial.diagnoses]
        bad = [result for trial, result in outcomes if trial.diagnoses]
        caught = sum(not result.right for result in bad)
        named = len({result.key for result in bad if result.key not in ("", "other")})
        lines.append(
            f"| {task.id} | {task.title} | {task.kind} | {task.minutes} | "
            f"{sum(good)} of {len(good)} | {caught} of {len(bad)} | {named} |"
        )
        counts = (len(good), sum(good), len(bad), caught)
        for name, count in zip(sums, counts, strict=True):
            sums[name] += count
    total = f"{sums['accepted']} of {sums['good']} | {sums['caught']} of {sums['bad']}"
    return "\n".join([*lines, f"| all | | | | {total} | |"])
