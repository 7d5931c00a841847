"""Several chapters at once, each on processor cores of its own."""

import contextlib
import queue
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import psutil


class Lane:
    """A share of the cores, and the kernel that runs there.

    A chapter keeps about one core busy. Two that share all cores wait for each other's threads; two
    with cores of their own take hardly longer than one.

    Attributes:
        cores: which ones, or None for all: with a single lane, and where the system has no say.
        stopped: whether the run was interrupted.
    """

    def __init__(self, cores: list[int] | None):
        self.cores = cores
        self.stopped = False
        self._kernel: psutil.Process | None = None

    def take(self, pid: int) -> None:
        """Keep a kernel that has just started to the cores of this lane."""
        with contextlib.suppress(psutil.Error):
            self._kernel = psutil.Process(pid)
            if self.cores:
                self._kernel.cpu_affinity(self.cores)
        if self.stopped:
            self.stop()

    def processes(self) -> list[psutil.Process]:
        """The kernel and what it started."""
        with contextlib.suppress(psutil.Error):
            if self._kernel:
                return [self._kernel, *self._kernel.children(recursive=True)]
        return []

    def stop(self) -> None:
        self.stopped = True
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()


def in_lanes(
    work: Callable[[int, Lane], None], indices: Iterable[int], jobs: int = 1
) -> Iterator[int]:
    """Call `work(index, lane)` for each index, `jobs` of them at a time.

    Yields:
        Each index whose work has ended, in the order in which they end. After Ctrl-C the kernels
        are killed, what had begun is yielded, and the rest is left out.

    Raises:
        ValueError: fewer than one job.
    """
    if jobs < 1:
        raise ValueError(f"{jobs} chapters at once; give 1 or more.")
    lanes = [Lane(cores) for cores in _shares(jobs)]
    free: queue.SimpleQueue[Lane] = queue.SimpleQueue()
    for lane in lanes:
        free.put(lane)
    left, running = list(indices), {}

    def start(index: int) -> None:
        lane = free.get()
        try:
            work(index, lane)
        finally:
            free.put(lane)

    def stop() -> None:
        left.clear()
        for lane in lanes:
            lane.stop()

    with ThreadPoolExecutor(jobs) as pool:
        try:
            while left or running:
                try:
                    while left and len(running) < jobs:
                        index = left.pop(0)
                        running[pool.submit(start, index)] = index
                    # Windows does not hear Ctrl-C in a wait without an end.
                    done, _ = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
                except KeyboardInterrupt:
                    stop()
                    done, _ = wait(running)
                for future in done:
                    index = running.pop(future)
                    future.result()
                    yield index
        finally:
            if running:
                stop()


def _shares(jobs: int) -> list[list[int] | None]:
    """Cores for each lane; where they are too few or cannot be chosen, every lane has them all."""
    try:
        cores = psutil.Process().cpu_affinity()
    except AttributeError:  # macOS
        return [None] * jobs
    if jobs == 1 or len(cores) < jobs:
        return [None] * jobs
    return [cores[lane::jobs] for lane in range(jobs)]
