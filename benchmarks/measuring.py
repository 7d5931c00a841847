"""What all benchmarks share: rows, goals, clocks that alternate, processes that start fresh."""

import contextlib
import importlib
import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass

import psutil

from tlcourse import config

FASTER, SHARE = "times as fast", "times as long"
AT_LEAST, AT_MOST = "at least", "at most"


class Unequal(Exception):
    """The two sides do not give the same, so that their times must not be compared."""


@dataclass(frozen=True)
class Goal:
    """What was wanted before anything was measured.

    Attributes:
        kind: "at least" or "at most".
        value: of the row's ratio, or of its median where it has no other side.
    """

    kind: str
    value: float

    def met(self, measured: float) -> bool:
        """Whether the measured value is on the right side."""
        return measured >= self.value if self.kind == AT_LEAST else measured <= self.value


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: what is done, and to how many images.
        course: how the course does it.
        runs: what each run of the course took or reached.
        unit: "s", or "images/s", or what else was measured.
        other: how it is done elsewhere; empty where there is nothing to compare.
        other_runs: those of the other side, in the same order as `runs`.
        ratio: "times as fast" or "times as long"; empty where there is no other side.
        goal: None where there was none.
        equal: in which sense both sides gave the same, in words and numbers.
        note: what a reader has to know to believe the row.
    """

    name: str
    course: str
    runs: list[float]
    unit: str = "s"
    other: str = ""
    other_runs: list[float] | None = None
    ratio: str = ""
    goal: Goal | None = None
    equal: str = ""
    note: str = ""

    @property
    def ratios(self) -> list[float]:
        """The ratio of each pair of runs."""
        pairs = zip(self.other_runs or [], self.runs, strict=bool(self.other))
        smaller_is_better = not self.unit.endswith("/s")
        quicker = self.ratio == FASTER
        return [o / c if smaller_is_better == quicker else c / o for o, c in pairs]

    @property
    def measured(self) -> float:
        """What the goal is about: the median ratio, or the median of the runs."""
        return statistics.median(self.ratios if self.other else self.runs)

    def as_dict(self) -> dict:
        """For JSON."""
        return asdict(self)

    @staticmethod
    def of(stored: dict) -> "Row":
        """From JSON."""
        goal = stored.get("goal")
        return Row(**{**stored, "goal": Goal(**goal) if goal else None})


def alternate(
    sides: Mapping[str, Callable[[], object]],
    rounds: int,
    before: Callable[[str], object] = lambda side: None,
) -> dict[str, list[float]]:
    """Seconds of each side in each round: A, B, A, B, and so on.

    Args:
        sides: what to time, by name. One that returns a float has kept its own time.
        rounds: how often.
        before: called with the name of a side before its clock starts, to put things back.

    Example:
        >>> done = []
        >>> found = alternate({"a": lambda: done.append("a"), "b": lambda: done.append("b")}, 2)
        >>> done, sorted(found), len(found["a"])
        (['a', 'b', 'a', 'b'], ['a', 'b'], 2)
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            before(name)
            start = time.perf_counter()
            kept = side()
            taken = time.perf_counter() - start
            seconds[name].append(kept if isinstance(kept, float) else taken)
    return seconds


def rows_of(benchmark: str, smoke: bool) -> list[Row]:
    """The rows of a module of this package, at its full sizes or at those of a test."""
    module = importlib.import_module(f"benchmarks.{benchmark}")
    return module.rows(module.SMOKE if smoke else module.FULL)


def fresh(function: Callable, *arguments):
    """What a function returns in a process that has done nothing before.

    The function has to be one that another process can import.
    """
    context = multiprocessing.get_context("spawn")
    # It sets up TensorFlow, so it has to run before the function's module is imported.
    with ProcessPoolExecutor(1, context, initializer=config.set_seed, initargs=(0,)) as pool:
        return pool.submit(function, *arguments).result()


@contextlib.contextmanager
def peak_memory() -> Iterator[Callable[[], int]]:
    """The highest resident memory of this process while the block ran, sampled every 10 ms.

    Yields:
        A function that gives, after the block, the bytes by which the peak lay above the start.
    """
    process, ended = psutil.Process(), threading.Event()
    start = process.memory_info().rss
    seen = [start]

    def watch():
        while not ended.wait(0.01):
            seen[0] = max(seen[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: seen[0] - start
    finally:
        ended.set()
        watcher.join()
        seen[0] = max(seen[0], process.memory_info().rss)
