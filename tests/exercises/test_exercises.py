"""Checks, hints and solutions, as a learner meets them."""

import signal
import threading
import time

import numpy as np
import pytest
from typer.testing import CliRunner

from tlcourse import exercises
from tlcourse.cli import app
from tlcourse.exercises import catalogue, judging
from tlcourse.exercises.bounded import TooLong, at_most
from tlcourse.exercises.catalogue import Task
from tlcourse.exercises.judging import close, is_stub, judge, shown
from tlcourse.progress import Progress


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TLCOURSE_HOME", str(tmp_path))
    return tmp_path


def events():
    with Progress() as kept:
        return [(a.exercise, a.event, a.detail) for a in kept.attempts()]


def gain(subset, run, n, seeds):
    found = []
    for seed in seeds:
        x, y = subset(n, seed)
        found.append(run("fine-tune", x, y, seed) - run("head", x, y, seed))
    return found


def empty(subset, run, n, seeds):
    """Not written yet."""
    ...


# A task of our own: twice a number.


def twice(attempt):
    cases = [(np.array([1.0, 2.0]),), (np.array([3.0, 0.5]),)]
    attempt.compare(cases, lambda x: 2 * x, {"squared": lambda x: x**2})


TOY = Task(
    "00.1", "Twice", "write", 1, "a function of x", ("Add.", "x + x"),
    {"squared": "That is the square."}, "Yes.", twice,
)  # fmt: skip


def outcome(answer, **options):
    result = judge(TOY, answer, **options)
    return result.outcome, result.key, result.message


@pytest.mark.parametrize("answer", [lambda x: 2 * x, lambda x: [v + v for v in x]])
def test_right(answer):
    assert outcome(answer) == ("right", "", "Yes.")


def stub(x): ...  # your code here


def unwritten(x):
    raise NotImplementedError


@pytest.mark.parametrize("answer", [None, ..., stub, unwritten, lambda x: None, empty])
def test_not_attempted(answer):
    assert outcome(answer)[0] == "not attempted"


def test_a_function_that_only_prints_was_attempted(capsys):
    assert outcome(lambda x: print(x))[1] == "returns nothing"


def in_place(x):
    x *= 2
    return x


@pytest.mark.parametrize(
    "answer, key",
    [
        (lambda x: x * x, "squared"),
        (lambda x: 2 * x + 1, "other"),
        (lambda x: 2 * x[:1], "other"),
        (lambda x: "two", "other"),
        (lambda x: {"x": 2}, "other"),
        (2.0, "not a function"),
        (in_place, "changes its input"),
    ],
)
def test_wrong(answer, key):
    assert outcome(answer)[:2] == ("wrong", key)


def test_what_is_not_recognised_shows_the_case():
    said = outcome(lambda x: x)[2]
    assert said == "For [1., 2.], yours gives [1., 2.]; [2., 4.] is right."


def deep(x):
    return deep(x)


def leave(x):
    raise SystemExit(3)


@pytest.mark.parametrize(
    "answer, name",
    [
        (lambda x: 1 / 0, "ZeroDivisionError"),
        (lambda x: undefined, "NameError"),  # noqa: F821
        (lambda: 0, "TypeError"),
        (deep, "RecursionError"),
        (leave, "SystemExit"),
    ],
)
def test_raises_names_the_error_and_the_learners_line(answer, name):
    kind, key, said = outcome(answer)
    assert (kind, key) == ("raises", name)
    assert "judging.py" not in said and "Traceback" not in said
    if name in ("ZeroDivisionError", "SystemExit"):
        assert "in line " in said and "`" in said


def test_a_check_that_cannot_cope_blames_no_traceback_on_the_learner():
    def broken(attempt):
        raise KeyError("inside")

    task = Task("00.2", "x", "write", 1, "a function", ("a", "b"), {}, "Yes.", broken)
    result = judge(task, lambda: 1)
    assert (result.outcome, result.key) == ("wrong", "unreadable")
    assert "inside" in result.message


def test_the_interrupt_button_ends_a_check():
    def pressed(x):
        raise KeyboardInterrupt

    assert outcome(pressed)[0] == "not judged"


# Bounded time.


def forever(x):
    while True:
        pass


def stubborn(x):
    while True:
        try:
            sum(range(1000))
        except:  # noqa: E722, B001
            pass


def asleep(x):
    time.sleep(60)


def busy_sleep(x):
    for _ in range(6000):
        time.sleep(0.01)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no alarm")
@pytest.mark.parametrize("answer", [forever, stubborn, asleep, busy_sleep])
def test_an_answer_that_never_ends_is_ended(answer):
    begun = time.monotonic()
    assert outcome(answer, limit=0.2)[:2] == ("wrong", "too slow")
    assert time.monotonic() - begun < 5
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


@pytest.mark.parametrize("answer", [forever, busy_sleep])
def test_it_is_ended_on_another_thread_and_on_windows_too(answer):
    found = []
    thread = threading.Thread(target=lambda: found.append(outcome(answer, limit=0.2)), daemon=True)
    thread.start()
    thread.join(20)
    assert [result[:2] for result in found] == [("wrong", "too slow")]


@pytest.mark.parametrize("threaded", [False, True])
def test_no_interruption_comes_after_the_block(threaded):
    quiet = []

    def work():
        for _ in range(20):
            try:
                with at_most(0.01):
                    time.sleep(0.0095)
            except TooLong:
                pass
        time.sleep(0.2)
        quiet.append(True)

    if threaded:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    else:
        work()
    assert quiet == [True]


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="Windows has no alarm")
def test_the_alarm_of_others_is_put_back():
    before = signal.signal(signal.SIGALRM, signal.SIG_IGN)
    try:
        assert outcome(lambda x: 2 * x)[0] == "right"
        assert signal.getsignal(signal.SIGALRM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGALRM, before)


# What a learner calls.


def test_check_says_and_remembers():
    assert "02.5 · not attempted." in repr(exercises.check("02.5", empty))
    said = repr(exercises.check("2.5", lambda *_: 0))
    assert "02.5 · wrong." in said and 'hint("02.5")' in said
    said = repr(exercises.check("02.5", gain))
    assert "02.5 · right." in said and "hint" not in said
    assert events() == [
        ("02.5", "not attempted", ""), ("02.5", "wrong", "missing way"), ("02.5", "right", "")
    ]  # fmt: skip


def test_what_is_said_is_safe_html():
    def bad(*_):
        raise ValueError("<script>")

    said = exercises.check("02.5", bad)._repr_html_()
    assert "&lt;script&gt;" in said and "<script>" not in said and "<br>" in said


@pytest.mark.parametrize("name", ["02.9", "nonsense", "88.1", 7])
def test_an_unknown_task_is_named_without_a_traceback(name):
    for function in (exercises.check, exercises.hint, exercises.solution):
        assert "exercise" in repr(function(name))
    assert events() == []


def test_hints_tell_more_each_time():
    hints = catalogue.find("02.5").hints
    said = [repr(exercises.hint("02.5")) for _ in range(len(hints) + 1)]
    starts = [f"Hint {i} of {len(hints)}" for i in (*range(1, len(hints) + 1), len(hints))]
    assert [text[: len(start)] for text, start in zip(said, starts, strict=True)] == starts
    assert "solution(" in said[-1] and "solution(" not in said[0]
    assert repr(exercises.hint("02.5", 1)) == said[0]
    assert "9 is none" in repr(exercises.hint("02.5", 9))


def test_a_solution_passes_its_own_check():
    said = exercises.solution("02.5")
    assert "SOLUTION" not in said.code and "gains" in said.code
    space = {}
    exec(said.code, space)
    assert judge(catalogue.find("02.5"), space["gains"]).right
    assert events() == [("02.5", "solution", "")]


def test_overview_says_where_you_stand():
    exercises.hint("02.5")
    exercises.check("02.5", gain)
    exercises.check("02.3", lambda *_: 0)
    rows = {id: state for id, *_, state in exercises.overview("2").rows}
    assert rows["02.5"] == "solved (1 hint)" and rows["02.3"] == "tried" and rows["02.1"] == "open"
    exercises.solution("02.3")
    assert "tried (solution seen)" in repr(exercises.overview("02"))
    assert "1 of 5 solved" in exercises.overview("02")._repr_html_()
    with pytest.raises(ValueError, match="no exercises for chapter 77; there are for .*02"):
        exercises.overview("77")


def test_the_command_counts_by_chapter():
    exercises.check("02.5", gain)
    shown = CliRunner().invoke(app, ["progress"]).stdout
    assert "Exercises 02: 1 of 5 solved; open: 02.1, 02.2, 02.3, 02.4." in shown


def test_without_a_place_for_progress_everything_else_works(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TLCOURSE_HOME", str(tmp_path / "file" / "home"))
    said = repr(exercises.check("02.5", gain))
    assert "right." in said and "not remembered" in said
    assert "Hint 1" in repr(exercises.hint("02.5"))
    assert exercises.overview("02").solved == 0


def test_require_raises_and_remembers_nothing():
    exercises.require("02.5", gain)
    with pytest.raises(AssertionError, match="02.5 · wrong"):
        exercises.require("02.5", lambda *_: 0)
    with pytest.raises(AssertionError, match="not attempted"):
        exercises.require("02.5")
    assert events() == []


def test_hidden_cases_differ():
    drawn = [judging.Attempt(TOY, lambda x: x, seed).rng.random() for seed in (0, 1)]
    assert drawn[0] != drawn[1]


# Small parts.


@pytest.mark.parametrize(
    "one, other, same",
    [
        (1, 1.00001, True),
        (1, 1.01, False),
        ([1, 2], (1, 2), True),
        ([1, 2], [1, 2, 3], False),
        ("a", "a", True),
        ("1", 1, False),
        ({"a": [1]}, {"a": [1.0]}, True),
        ([[1], [2, 3]], [[1], [2, 3]], True),
        ([[1], [2, 3]], [[1], [2, 4]], False),
        (float("nan"), float("nan"), True),
        (None, None, True),
        (None, 0, False),
        (len, len, True),
    ],
)
def test_close(one, other, same):
    assert close(one, other) is same


def test_shown_is_short():
    assert shown(np.zeros((30, 2))) == "an array of shape (30, 2)"
    assert shown([1, 2.5, "a"]) == "[1, 2.5, a]"
    assert shown(np.float32(0.1)) == "0.1"


def test_a_constant_is_an_answer():
    assert not is_stub(lambda x: 0) and not is_stub(lambda x: ...)
