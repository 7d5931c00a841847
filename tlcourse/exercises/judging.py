"""Run an answer on cases with known results and name what is wrong with it."""

import copy
import dis
import linecache
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from tlcourse import config
from tlcourse.exercises.bounded import TooLong, at_most
from tlcourse.exercises.catalogue import Task

LIMIT = 10.0  # seconds for a whole check

# What can be wrong with an answer to any task.
COMMON = {
    "not a function": "Hand in the function itself, by its name and without calling it.",
    "returns nothing": "Your function returned None. Is a `return` missing?",
    "not a guess": "Your guess has to be one plain number; it is {got}.",
    "not a number": "One plain number is wanted; yours is {got}.",
    "wrong shape": "An array of shape {want} is wanted; yours has shape {got}.",
    "not an array": "An array of numbers is wanted; yours is {got}.",
    "changes its input": "Your function changed the data it was given. Work on a copy: others "
    "still need the original.",
    "too slow": "Your code had not come to an end after {seconds:g} seconds and was stopped. Look "
    "for a loop that never ends.",
    "other": "For {case}, yours gives {got}; {want} is right.",
    "unreadable": "The check could not make sense of what your code gave back ({error}). Hand in "
    "{wants}.",
}


@dataclass(frozen=True)
class Result:
    """What a check found.

    Attributes:
        task: such as "03.2".
        outcome: "not attempted", "raises", "wrong", "right", or "not judged".
        key: which diagnosis; empty unless something is wrong.
        message: what to tell the learner.
    """

    task: str
    outcome: str
    key: str
    message: str

    @property
    def right(self) -> bool:
        return self.outcome == "right"


class _Verdict(BaseException):
    """Ends a check. Not an `Exception`, so that an answer does not catch it by accident."""

    def __init__(self, outcome: str, key: str = "", message: str = ""):
        super().__init__(message)
        self.outcome, self.key, self.message = outcome, key, message


class Attempt:
    """An answer in the hands of the function that judges it.

    Attributes:
        guess: the number that was guessed, for a prediction; otherwise None.
        rng: draws the cases; the hidden tests of a graded course draw others.
    """

    def __init__(self, task: Task, answer: Any, seed: int = 0):
        self.task = task
        self.rng = np.random.default_rng(seed)
        self.guess: float | None = None
        self.says = ""
        if task.form == "prediction" and answer is not None:
            if not (isinstance(answer, tuple) and len(answer) == 2):
                self.wrong("unreadable", error=f"it is {kind_of(answer)}")
            guess, answer = answer
            if guess is None and is_stub(answer):
                raise _Verdict("not attempted")
            if guess is None:
                raise _Verdict(
                    "not attempted", message="Commit to a guess first; a wrong one costs nothing."
                )
            if isinstance(guess, bool) or not is_number(guess):
                self.wrong("not a guess", got=kind_of(guess))
            self.guess = float(guess)
        if answer is None or answer is ... or is_stub(answer):
            raise _Verdict("not attempted")
        if not callable(answer):
            self.wrong("not a function")
        self._function = answer

    def wrong(self, key: str, **facts) -> NoReturn:
        """End the check with a diagnosis of the task, or one of `COMMON`."""
        facts = {name: shown(fact) for name, fact in facts.items()} | {"wants": self.task.wants}
        sentence = {**COMMON, **self.task.diagnoses}[key]
        raise _Verdict("wrong", key, sentence.format(**facts))

    def require(self, condition: bool, key: str, **facts) -> None:
        """Go on if the condition holds; otherwise end with this diagnosis."""
        if not condition:
            self.wrong(key, **facts)

    def run(self, *arguments, **named) -> Any:
        """Call the answer; what it raises ends the check. It may return None."""
        try:
            return self._function(*arguments, **named)
        except (_Verdict, TooLong, KeyboardInterrupt):
            raise
        except NotImplementedError:
            raise _Verdict("not attempted") from None
        except BaseException as error:
            raise _Verdict("raises", type(error).__name__, told(error, self._function)) from None

    def call(self, *arguments, **named) -> Any:
        """Call the answer, which has to return something."""
        result = self.run(*arguments, **named)
        self.require(result is not None, "returns nothing")
        return result

    def call_on_copies(self, *arrays: np.ndarray) -> Any:
        """Call the answer with copies of arrays, which it has to leave as they are."""
        given = [array.copy() for array in arrays]
        result = self.call(*given)
        self.require(all(map(np.array_equal, given, arrays)), "changes its input")
        return result

    def refusal(self, *arguments) -> str:
        """Call the answer with what it ought to refuse: the name of what it raised, or nothing."""
        try:
            self.run(*arguments)
        except _Verdict as verdict:
            if verdict.outcome != "raises":
                raise
            return verdict.key
        return ""

    def number(self, value: Any) -> float:
        """A number as a plain float; anything else ends the check."""
        value = plain(value)
        self.require(is_number(value), "not a number", got=kind_of(value))
        return float(np.asarray(value).reshape(()))

    def array(self, value: Any, shape: Sequence[int] | None = None) -> np.ndarray:
        """An array of numbers, of this shape if one is named; anything else ends the check."""
        try:
            found = np.asarray(plain(value))
        except ValueError:
            found = np.asarray(None)
        self.require(found.dtype.kind in "buif", "not an array", got=kind_of(value))
        if shape is not None:
            self.require(found.shape == tuple(shape), "wrong shape", want=shape, got=found.shape)
        return found

    def compare(
        self,
        cases: Sequence[tuple],
        right: Callable,
        mistakes: Mapping[str, Callable] | None = None,
        same: Callable[[Any, Any], bool] | None = None,
    ) -> list:
        """Compare with the right results; name the mistake that gives the answer's results.

        Args:
            cases: the arguments of each call.
            right: gives what is right for them.
            mistakes: for each diagnosis, a function that makes this mistake. The first one that
                agrees with the answer on all cases is named. A blank behind the key tells a
                second form of the same mistake from the first.
            same: tells whether two results are the same; `close` if left out.

        Returns:
            What the answer gave.
        """
        same = same or close
        wanted = [right(*copy.deepcopy(case)) for case in cases]
        got = []
        for case in cases:
            given = copy.deepcopy(case)
            got.append(self.call(*given))
            self.require(all(map(close, given, case)), "changes its input")
        if all(map(same, got, wanted)):
            return got
        for key, mistake in (mistakes or {}).items():
            try:
                made = [mistake(*copy.deepcopy(case)) for case in cases]
            except (ArithmeticError, LookupError, TypeError, ValueError):
                continue
            if all(map(same, got, made)):
                self.wrong(key.strip())
        first = next(i for i in range(len(cases)) if not same(got[i], wanted[i]))
        inputs = ", ".join(shown(part) for part in cases[first])
        self.wrong("other", case=_Shown(inputs), got=got[first], want=wanted[first])

    def compare_numbers(
        self,
        cases: Sequence[tuple],
        right: Callable,
        mistakes: Mapping[str, Callable],
        name: Callable[[tuple], str],
    ) -> list[float]:
        """As `compare`, for answers that are one number each, of any type.

        Args:
            cases, right, mistakes: as in `compare`.
            name: says in words what a case is; told where no mistake is recognised.

        Returns:
            What the answer gave, as floats.
        """
        got = []
        for case in cases:
            given = copy.deepcopy(case)
            got.append(self.number(self.call(*given)))
            self.require(all(map(close, given, case)), "changes its input")
        wanted = [right(*copy.deepcopy(case)) for case in cases]
        if not close(got, wanted):
            for key, mistake in mistakes.items():
                if close(got, [mistake(*copy.deepcopy(case)) for case in cases]):
                    self.wrong(key.strip())
            first = next(i for i in range(len(cases)) if not close(got[i], wanted[i]))
            self.wrong("other", case=name(cases[first]), got=got[first], want=wanted[first])
        return got

    def measured(self, value: float, unit: str = "") -> None:
        """Set a right measurement beside the guess."""
        unit = unit and f" {unit}"
        self.says = f"You guessed {self.guess:.4g}{unit}; you measured {value:.4g}{unit}. "


def judge(task: Task, answer: Any, seed: int = 0, limit: float | None = None) -> Result:
    """What there is to say of an answer. It always returns, and never raises for an answer.

    Args:
        task: which one.
        answer: what was handed in.
        seed: draws the cases.
        limit: seconds for all of it; if left out `LIMIT`, and six times that on JAX.
    """
    if limit is None:
        # JAX compiles each operation before it first computes it, and a busy machine takes long.
        limit = 6 * LIMIT if config.backend() == "jax" else LIMIT
    try:
        with at_most(limit):
            attempt = Attempt(task, answer, seed)
            task.judge(attempt)
        return Result(task.id, "right", "", attempt.says + task.because)
    except _Verdict as verdict:
        message = verdict.message or f"Nothing to check yet: hand in {task.wants}."
        return Result(task.id, verdict.outcome, verdict.key, message)
    except TooLong:
        return Result(task.id, "wrong", "too slow", COMMON["too slow"].format(seconds=limit))
    except KeyboardInterrupt:
        return Result(task.id, "not judged", "", "You stopped the check.")
    except Exception as error:
        message = COMMON["unreadable"].format(error=error or type(error).__name__, wants=task.wants)
        return Result(task.id, "wrong", "unreadable", message)


def is_stub(answer: Any) -> bool:
    """Whether a function does nothing but return None, whatever its docstring says.

    Example:
        >>> def empty(x):
        ...     "To be written."
        ...     ...
        >>> is_stub(empty), is_stub(lambda x: 0)
        (True, False)
    """
    code = getattr(answer, "__code__", None)
    if code is None or code.co_flags & 0x20:  # a generator
        return False
    idle = {"RESUME", "NOP", "LOAD_CONST", "POP_TOP", "RETURN_VALUE", "RETURN_CONST"}
    steps = list(dis.get_instructions(code))
    loaded = [s.argval for s in steps if s.opname in ("LOAD_CONST", "RETURN_CONST")]
    return {s.opname for s in steps} <= idle and loaded[-1] is None


def told(error: BaseException, function: Callable) -> str:
    """What an answer raised and in which of its own lines; our lines are left out."""
    said = f"Your code raised {type(error).__name__}"
    if text := str(error).strip():
        said += f": {text.splitlines()[0][:200]}"
    code = getattr(function, "__code__", None)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if code is not None and frame.filename == code.co_filename:
            line = linecache.getline(frame.filename, frame.lineno).strip()
            said += f", in line {frame.lineno}" + (f": `{line}`" if line else "")
            break
    return said + "."


def plain(value: Any) -> Any:
    """A tensor of any backend as a NumPy array; everything else as it is."""
    keras = sys.modules.get("keras")
    if keras and (isinstance(value, keras.Variable) or keras.ops.is_tensor(value)):
        return keras.ops.convert_to_numpy(value)
    return value


def is_number(value: Any) -> bool:
    value = plain(value)
    if isinstance(value, bool | np.bool_):
        return False
    return isinstance(value, int | float | np.number | np.ndarray) and np.size(value) == 1


def close(one: Any, other: Any) -> bool:
    """Whether two results mean the same, to four digits; lists and arrays count as equal.

    Example:
        >>> close([1, 2.00001], np.array([1, 2])), close({"a": 1}, {"a": 1, "b": 2})
        (True, False)
    """
    one, other = plain(one), plain(other)
    if isinstance(one, Mapping) or isinstance(other, Mapping):
        both = isinstance(one, Mapping) and isinstance(other, Mapping)
        return both and one.keys() == other.keys() and all(close(one[k], other[k]) for k in one)
    if isinstance(one, str) or isinstance(other, str) or callable(one):
        return one is other or (isinstance(one, str) and isinstance(other, str) and one == other)
    try:
        first, second = np.asarray(one), np.asarray(other)
    except ValueError:  # ragged
        first = second = np.asarray(None)
    if first.dtype.kind in "buif" and second.dtype.kind in "buif":
        if first.shape != second.shape:
            return False
        return bool(np.allclose(first, second, rtol=1e-4, atol=1e-6, equal_nan=True))
    if isinstance(one, Sequence) and isinstance(other, Sequence):
        return len(one) == len(other) and all(map(close, one, other))
    try:
        return bool(one is other or np.all(one == other))
    except (TypeError, ValueError):
        return False


class _Shown(str):
    """Text that is ready to be read."""


def shown(value: Any) -> str:
    """A value as it reads in a sentence: short."""
    value = plain(value)
    if isinstance(value, _Shown):
        return value
    if isinstance(value, np.ndarray) and value.size > 1:
        if value.size <= 12:
            digits = np.array2string(value, precision=4, separator=", ", max_line_width=10_000)
            return " ".join(digits.split())
        return f"an array of shape {value.shape}"
    if isinstance(value, float | np.floating | np.ndarray):
        return f"{float(np.asarray(value).reshape(())):.5g}"
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        inner = ", ".join(map(shown, value[:8])) + (", …" if len(value) > 8 else "")
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    return repr(value)[:80]


def kind_of(value: Any) -> str:
    """What kind of thing a value is, in words.

    Example:
        >>> kind_of(None), kind_of("x"), kind_of([1, 2])
        ('None', "'x'", 'a list of 2')
    """
    value = plain(value)
    if value is None or isinstance(value, str | bool | int | float):
        return repr(value)[:40]
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if callable(value):
        return "a function; call it"
    size = f" of {len(value)}" if hasattr(value, "__len__") else ""
    return f"a {type(value).__name__}{size}"
