"""One notebook in a kernel of its own. What comes of it is returned, not written: a worker on
another machine shares no disk with the run that asked for it."""

import contextlib
import dataclasses
import json
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import papermill
import psutil
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from tlcourse import claims
from tlcourse.cli.kernels import HereOnly

DONE, FAILED, INTERRUPTED = "done", "failed", "interrupted"
# A kernel or a worker that died may have been unlucky; a cell that raised would raise again.
RETRIES = 2
# A plot may take long to travel on a busy machine; the default of four seconds is too strict.
_OUTPUT_TIMEOUT = 60
# Seconds. Listing a kernel's processes means looking at all of the machine's, which is not cheap.
_BETWEEN_SAMPLES = 0.5


class KernelDied(RuntimeError):
    """The kernel ended before the notebook did, for want of memory or because it was killed."""

    def __init__(self):
        super().__init__("the kernel died; `tlcourse doctor` checks memory")


@dataclasses.dataclass(frozen=True)
class Task:
    """A notebook to run.

    Attributes:
        document: the notebook, as JSON.
        parameters: what to set in its parameters cell; none runs it as it stands.
        folder: where its cells run; a folder for the occasion where that one is not there.
    """

    document: str
    parameters: dict | None = None
    folder: str = ""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a notebook.

    Attributes:
        status: "done" or "failed".
        notebook: the executed notebook, as JSON; empty where there is none.
        records: the lines that its claims wrote to the ledger.
        log: what its kernel printed past the notebook.
        seconds: wall time, with the start of the kernel.
        peak_bytes: the most resident memory that the kernel's processes held together, sampled;
            memory that they share counts for each of them.
        cell: the prompt number of the cell that failed, if one did.
        error: what went wrong, in one line.
        machine: where it ran, as `claims.machine` says it.
    """

    status: str
    notebook: str = ""
    records: tuple[str, ...] = ()
    log: str = ""
    seconds: float = 0.0
    peak_bytes: int = 0
    cell: int | None = None
    error: str = ""
    machine: dict = dataclasses.field(default_factory=dict)


def execute(
    task: Task,
    cell_started: Callable[[int], None] = lambda cells: None,
    wanted: Callable[[], bool] = lambda: True,
    environment: dict[str, str] | None = None,
) -> Outcome:
    """Run a notebook from top to bottom with papermill.

    Args:
        cell_started: called as a cell begins, with the number of cells that have begun.
        wanted: asked several times a second; once it says no, the kernel is killed.
        environment: of the kernel; that of this process if None.

    Raises:
        KernelDied: the kernel ended before the notebook did.
    """
    for name in ("papermill", "traitlets"):
        logging.getLogger(name).setLevel(logging.ERROR)
    begun = 0

    def count(**_) -> None:
        nonlocal begun
        begun += 1
        cell_started(begun)

    start, result = time.perf_counter(), {"status": DONE}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as aside:
        ledger, log, target = (Path(aside) / n for n in ("ledger.jsonl", "log", "out.ipynb"))
        with _kernel(ledger, log, environment) as (manager, processes):
            with _watched(processes, wanted) as peak:
                try:
                    papermill.execute_notebook(
                        nbformat.reads(task.document, as_version=4), str(target), task.parameters,
                        cwd=task.folder if Path(task.folder).is_dir() and task.folder else aside,
                        progress_bar=False, iopub_timeout=_OUTPUT_TIMEOUT, on_cell_execute=count,
                        kernel_manager_class=manager, kernel_name="python3",
                        # What C++ libraries print belongs to the log, not into the notebook.
                        extra_arguments=["--IPKernelApp.capture_fd_output=False"],
                    )  # fmt: skip
                except PapermillExecutionError as error:
                    text = f"{error.ename}: {error.evalue}"
                    result = {"status": FAILED, "cell": error.exec_count, "error": one_line(text)}
                except DeadKernelError:
                    raise KernelDied from None
        return Outcome(
            notebook=_text(target), records=tuple(_records(ledger)), log=_text(log),
            seconds=round(time.perf_counter() - start, 2), peak_bytes=max(peak),
            machine=claims.machine(), **result,
        )  # fmt: skip


def one_line(text: str) -> str:
    """An error's message, short enough for a table."""
    return " ".join(text.split())[:300]


@contextlib.contextmanager
def _kernel(ledger: Path, log: Path, environment: dict[str, str] | None) -> Iterator[tuple]:
    """A kernel manager whose kernels write to that ledger and that log and end with this block.

    Yields:
        The manager's class, and a function that gives the running kernel's processes.
    """
    environment = {**(os.environ if environment is None else environment),
                   "TLCOURSE_LEDGER": str(ledger), "TF_CPP_MIN_LOG_LEVEL": "3"}  # fmt: skip
    # The first would send figures to the screen, the second mutes what ipykernel captures.
    for name in ("MPLBACKEND", "PYTEST_CURRENT_TEST"):
        environment.pop(name, None)
    started: list[psutil.Process] = []

    class ChapterKernel(HereOnly, AsyncKernelManager):
        async def start_kernel(self, **options):
            options |= {"env": environment, "stdout": messages, "stderr": messages}
            await super().start_kernel(**options)
            with contextlib.suppress(psutil.Error):
                started.append(psutil.Process(self.provisioner.pid))

    def processes() -> list[psutil.Process]:
        found = []
        for process in started:
            with contextlib.suppress(psutil.Error):
                found += [process, *process.children(recursive=True)]
        return found

    try:
        with log.open("a", encoding="utf-8") as messages:
            yield ChapterKernel, processes
    finally:
        _kill(processes())


@contextlib.contextmanager
def _watched(processes: Callable, wanted: Callable[[], bool]) -> Iterator[list[int]]:
    """Sample the memory of these processes, in bytes, and kill them when they are not wanted."""
    samples, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(_BETWEEN_SAMPLES):
            found, held = processes(), 0
            for process in found:
                with contextlib.suppress(psutil.Error):
                    held += process.memory_info().rss
            samples.append(held)
            if not wanted():
                _kill(found)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield samples
    finally:
        ended.set()
        watcher.join()


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _records(ledger: Path) -> Iterator[str]:
    for line in _text(ledger).splitlines():
        # A kernel that was killed may have left half a line.
        with contextlib.suppress(ValueError):
            json.loads(line)
            yield line
