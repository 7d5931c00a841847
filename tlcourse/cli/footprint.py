"""How much memory this process holds, together with all that it has started."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import psutil

# Seconds. Looking takes a few hundredths of one.
_BETWEEN_SAMPLES = 1.0


def held() -> int:
    """Bytes that this process and its descendants hold now.

    On Linux a page that several of them share counts once. Elsewhere the system does not tell, and
    it counts for each of them.
    """
    here = psutil.Process()
    return sum(_share(process) for process in [here, *here.children(recursive=True)])


def _share(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):  # It may end at any time.
        return process.memory_full_info().pss if psutil.LINUX else process.memory_info().rss
    return 0


@contextlib.contextmanager
def watched() -> Iterator[Callable[[], int]]:
    """Sample `held` while the block runs.

    Yields:
        A function that gives the most bytes so far.
    """
    peak, ended = [held()], threading.Event()

    def watch() -> None:
        while not ended.wait(_BETWEEN_SAMPLES):
            peak[0] = max(peak[0], held())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: peak[0]
    finally:
        ended.set()
        watcher.join()
