"""Run chapters in kernels of this very environment: for the ledger, for the repository, in Lab."""

import contextlib
import dataclasses
import datetime
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import jupytext
import nbformat
import papermill
import psutil
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from papermill.exceptions import PapermillExecutionError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

import tlcourse
from tlcourse import claims, config
from tlcourse.cli import table
from tlcourse.cli.kernels import HereOnly
from tlcourse.cli.lanes import Lane, in_lanes

CHAPTER_FILES = "[0-9][0-9]_*.ipynb"
DONE, FAILED, INTERRUPTED = "done", "failed", "interrupted"
# A plot may take long to travel on a busy machine; the default of four seconds is too strict.
_OUTPUT_TIMEOUT = 60
_PLAIN_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


@dataclasses.dataclass
class Result:
    """How one chapter went with one seed.

    Attributes:
        chapter: two digits.
        title: its first heading.
        seed: what the run was given.
        notebook: the executed notebook, relative to the run's folder.
        status: "done", "failed" or "interrupted".
        seconds: wall time, with the start of the kernel.
        peak_bytes: the most resident memory that its processes held together, sampled; memory that
            they share counts for each of them.
        cell: the prompt number of the cell that failed, if one did.
        error: what went wrong, in one line.
    """

    chapter: str
    title: str
    seed: int
    notebook: str
    status: str = DONE
    seconds: float = 0.0
    peak_bytes: int = 0
    cell: int | None = None
    error: str = ""

    def __str__(self) -> str:
        name = f"{self.chapter} {self.title} (seed {self.seed})"
        if self.status == DONE:
            return f"{name}: {self.seconds:.0f} s, {self.peak_bytes / 2**30:.1f} GB"
        where = f", cell [{self.cell}]" if self.cell else ""
        return f"{name}: {self.status}{where}{': ' if self.error else ''}{self.error}"


def find(folder: Path | None = None, chapters: Iterable[str] = ()) -> list[Path]:
    """The chapters' notebooks, in order.

    Args:
        folder: where they are; if None, `notebooks` here, this folder itself, or `notebooks` of
            the repository that tlcourse is installed from.
        chapters: such as "01" or "1"; all if empty.

    Raises:
        FileNotFoundError: there are no chapters.
        ValueError: a chapter that is not among them.
    """
    repository = Path(tlcourse.__file__).resolve().parents[1]
    places = [folder] if folder else [Path("notebooks"), Path(), repository / "notebooks"]
    found = next((files for place in places if (files := sorted(place.glob(CHAPTER_FILES)))), [])
    if not found:
        raise FileNotFoundError(
            f"No chapters (NN_name.ipynb) in {' or '.join(str(p.resolve()) for p in places)}; "
            "go to your clone of the course, or name the folder with --notebooks."
        )
    by_number = {file.name[:2]: file.resolve() for file in found}
    wanted = [chapter.zfill(2) for chapter in chapters] or list(by_number)
    unknown = [chapter for chapter in wanted if chapter not in by_number]
    if unknown:
        raise ValueError(
            f"There is no chapter {', '.join(unknown)}; there are {', '.join(by_number)}."
        )
    return [by_number[chapter] for chapter in sorted(set(wanted))]


def check_parameters(notebook: Path, parameters: Iterable[str]) -> None:
    """Refuse parameters that a notebook does not declare; papermill alone would ignore them.

    Raises:
        ValueError: naming the parameter and the notebook.
    """
    declared = papermill.inspect_notebook(str(notebook))
    for name in parameters:
        if name not in declared:
            raise ValueError(
                f"{notebook.name} has no parameter {name}; it has "
                f"{', '.join(declared) or 'none: tag one cell `parameters`'}."
            )


def run(
    chapters: Sequence[str],
    *,
    profile: str = "quick",
    seeds: Sequence[int] = (0,),
    out: Path | None = None,
    notebooks: Path | None = None,
    console: Console | None = None,
    jobs: int = 1,
) -> int:
    """Run chapters with papermill, `jobs` of them at once, and print the claim table.

    Writes into `out` the executed notebooks (below `seed-N` where there are several seeds),
    `ledger.jsonl`, `ledger.html`, `ledger.svg`, `run.json` (seconds and memory of each chapter) and
    `kernel.log` (what was printed past the notebooks). A chapter that fails does not stop the rest.

    Returns:
        The exit code: 0; 1 if a chapter failed or a settled claim does not hold; 130 if the reader
        interrupted the run.

    Raises:
        ValueError: unknown profile, chapter or parameter. Nothing was run.
        FileNotFoundError: no chapters.
    """
    console = console or Console()
    if profile not in config.PROFILES:
        raise ValueError(f"The profile is {profile!r}; write {' or '.join(config.PROFILES)}.")
    files = find(notebooks, chapters)
    for file in files:
        check_parameters(file, ("PROFILE", "SEED"))
    started = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    out = (out or Path("runs") / f"{started:%Y%m%d-%H%M%S}-{profile}").resolve()
    out.mkdir(parents=True, exist_ok=True)
    ledger = out / "ledger.jsonl"

    documents = [
        (file, seed, nbformat.read(file, as_version=4)) for seed in seeds for file in files
    ]
    results = [
        Result(file.name[:2], _title(document, file), seed,
               (Path(f"seed-{seed}" if len(seeds) > 1 else ".") / file.name).as_posix())
        for file, seed, document in documents
    ]  # fmt: skip
    log, ended = out / "kernel.log", []
    with _progress(console, results, [document for *_, document in documents]) as bar:

        def execute(index: int, lane: Lane) -> None:
            file, result = documents[index][0], results[index]
            (out / result.notebook).parent.mkdir(exist_ok=True)
            with _measured(result, lane), _kernel(ledger, log, lane) as kernel:
                _run_chapter(result, file, out / result.notebook, profile, kernel, bar)

        for index in in_lanes(execute, range(len(documents)), jobs):
            bar.chapter_ended(results[index])
            ended = sorted([*ended, index])
            _write_summary(out / "run.json", started, profile, [results[i] for i in ended])
            console.print(f"  {results[index]}", highlight=False, markup=False)
    if log.exists() and log.stat().st_size == 0:
        log.unlink()
    results = [results[index] for index in ended]

    records = claims.read_ledger([ledger]) if ledger.exists() else []
    records = [r for r in records if r.get("time", "") >= started.isoformat(timespec="seconds")]
    rows = [row for row in claims.summarise(records) if row.claim.chapter in _numbers(results)]
    console.print(table.render(rows))
    table.write_html(rows, out / "ledger.html")
    console.print(f"Executed notebooks: {out}", f"Ledger: {out / 'ledger.html'}", sep="\n",
                  highlight=False, soft_wrap=True)  # fmt: skip
    bad = [str(result) for result in results if result.status != DONE]
    bad += [f"Claim {claim_id} does not hold." for claim_id in broken(rows)]
    for line in bad:
        console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
    return 130 if any(r.status == INTERRUPTED for r in results) else int(bool(bad))


def broken(rows: Iterable[claims.Row]) -> list[str]:
    """Ids of the claims that failed, but for timed ones and those that failed in committed runs."""
    return [
        row.claim.id
        for row in rows
        if row.verdict == claims.FAILS
        and not row.claim.timed
        and all(record["holds"] for record in claims.reference(row.claim.id))
    ]


def refresh(
    chapters: Sequence[str] = (),
    *,
    notebooks: Path | None = None,
    console: Console | None = None,
    jobs: int = 1,
) -> int:
    """Rebuild stored notebooks from `scripts/NN_name.py` and execute them as their scripts stand.

    A notebook is replaced only when all its cells ran, and holds no metadata but its kernel's name
    and the cells' tags. What its claims record goes to no ledger.

    Returns:
        The exit code: 0, or 1 if a chapter failed.

    Raises:
        FileNotFoundError: no scripts.
        ValueError: a chapter without a script.
    """
    console = console or Console()
    folder = notebooks or (Path("notebooks") if Path("notebooks").is_dir() else Path())
    scripts = {file.name[:2]: file for file in sorted((folder / "scripts").glob("[0-9][0-9]_*.py"))}
    if not scripts:
        raise FileNotFoundError(
            f"No scripts (NN_name.py) in {(folder / 'scripts').resolve()}; "
            "go to your clone of the course, or name the folder of its notebooks with --notebooks."
        )
    wanted = sorted({chapter.zfill(2) for chapter in chapters}) or list(scripts)
    unknown = [chapter for chapter in wanted if chapter not in scripts]
    if unknown:
        raise ValueError(f"There is no script for chapter {', '.join(unknown)}.")
    documents = [jupytext.read(scripts[chapter]) for chapter in wanted]
    results = []
    for chapter, document in zip(wanted, documents, strict=True):
        script = scripts[chapter]
        results.append(Result(chapter, _title(document, script), 0, f"{script.stem}.ipynb"))
        _make_plain(document)
    with _progress(console, results, documents) as bar, tempfile.TemporaryDirectory() as aside:
        ledger, log = Path(aside) / "ledger.jsonl", Path(aside) / "kernel.log"

        def execute(index: int, lane: Lane) -> None:
            result = results[index]
            with _measured(result, lane), _kernel(ledger, log, lane) as kernel:
                _refresh_chapter(result, documents[index], folder.resolve(), kernel, bar)

        for index in in_lanes(execute, range(len(documents)), jobs):
            result, document = results[index], documents[index]
            bar.chapter_ended(result)
            console.print(f"  {result}", highlight=False, markup=False, soft_wrap=True)
            if result.status == DONE:
                _make_plain(document)
                with config.atomic_path(folder / result.notebook) as partial:
                    nbformat.write(document, partial)
    return int(any(result.status != DONE for result in results))


def lab(notebooks: Path | None = None, arguments: Sequence[str] = ()) -> int:
    """Open JupyterLab on the chapters, with this environment's kernel first.

    Args:
        notebooks: the folder of the chapters; found as `find` does if None.
        arguments: handed on to JupyterLab, such as `--no-browser`.
    """
    folder = find(notebooks)[0].parent
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder.parent}",
               f"--LabApp.default_url=/lab/tree/{folder.name}", *arguments]  # fmt: skip
    with contextlib.suppress(KeyboardInterrupt):
        return subprocess.call(command, env={**os.environ, "JUPYTER_PREFER_ENV_PATH": "1"})
    return 0


def _run_chapter(result: Result, file: Path, target: Path, profile: str, kernel, bar) -> None:
    try:
        papermill.execute_notebook(
            str(file), str(target), parameters={"PROFILE": profile, "SEED": result.seed},
            cwd=str(file.parent), progress_bar=False,
            iopub_timeout=_OUTPUT_TIMEOUT, **_hooks(result, kernel, bar),
        )  # fmt: skip
    except PapermillExecutionError as error:
        result.status, result.cell = FAILED, error.exec_count
        result.error = _one_line(f"{error.ename}: {error.evalue}")
    except DeadKernelError:
        result.status, result.error = FAILED, "the kernel died; `tlcourse doctor` checks memory"


def _refresh_chapter(result: Result, document, folder: Path, kernel, bar) -> None:
    client = NotebookClient(
        document, resources={"metadata": {"path": str(folder)}}, timeout=None, record_timing=False,
        store_widget_state=False, iopub_timeout=_OUTPUT_TIMEOUT, **_hooks(result, kernel, bar),
    )  # fmt: skip
    try:
        client.execute()
    except CellExecutionError as error:
        result.status = FAILED
        result.error = _one_line(f"{error.ename}: {error.evalue}")
    except DeadKernelError:
        result.status, result.error = FAILED, "the kernel died; `tlcourse doctor` checks memory"


def _hooks(result: Result, kernel: type, bar: "_Bar") -> dict:
    return {
        "kernel_manager_class": kernel,
        "kernel_name": "python3",
        # What C++ libraries print belongs to the log, not into the notebook.
        "extra_arguments": ["--IPKernelApp.capture_fd_output=False"],
        "on_cell_start": lambda cell, cell_index: bar.cell_started(result),
    }


@contextlib.contextmanager
def _kernel(ledger: Path, log: Path, lane: Lane) -> Iterator[type[AsyncKernelManager]]:
    """A kernel manager whose kernels stay in that lane, and write to that ledger and that log."""
    environment = {**os.environ, "TLCOURSE_LEDGER": str(ledger), "TF_CPP_MIN_LOG_LEVEL": "3"}
    # The first would send figures to the screen, the second mutes what ipykernel captures.
    for name in ("MPLBACKEND", "PYTEST_CURRENT_TEST"):
        environment.pop(name, None)

    class ChapterKernel(HereOnly, AsyncKernelManager):
        async def start_kernel(self, **options):
            options |= {"env": environment, "stdout": messages, "stderr": messages}
            await super().start_kernel(**options)
            lane.take(self.provisioner.pid)

    with log.open("a", encoding="utf-8") as messages:
        yield ChapterKernel


class _Bar:
    """One progress bar over the code cells of all chapters."""

    def __init__(self, progress: Progress, cells: dict[str, int]):
        self._progress, self._cells = progress, cells
        self._begun, self._done = dict.fromkeys(cells, 0), dict.fromkeys(cells, 0)
        self._running: dict[str, str] = {}
        self._task = progress.add_task("Starting", total=sum(cells.values()))

    def cell_started(self, result: Result) -> None:
        self._running[result.notebook] = f"{result.chapter} {result.title}"
        self._begun[result.notebook] += 1
        # papermill adds a cell of its own; the chapter is complete only when it has ended.
        self._show(result, min(self._begun[result.notebook], self._cells[result.notebook]) - 1)

    def chapter_ended(self, result: Result) -> None:
        self._running.pop(result.notebook, None)
        self._show(result, self._cells[result.notebook])

    def _show(self, result: Result, done: int) -> None:
        self._done[result.notebook] = done
        names = {"description": ", ".join(self._running.values())} if self._running else {}
        self._progress.update(self._task, completed=sum(self._done.values()), **names)


@contextlib.contextmanager
def _progress(console: Console, results: Sequence[Result], documents: Sequence) -> Iterator[_Bar]:
    for name in ("papermill", "traitlets"):
        logging.getLogger(name).setLevel(logging.ERROR)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
               TimeElapsedColumn())  # fmt: skip
    cells = {
        result.notebook: sum(cell.cell_type == "code" for cell in document.cells)
        for result, document in zip(results, documents, strict=True)
    }
    with Progress(*columns, console=console) as progress:
        yield _Bar(progress, cells)


@contextlib.contextmanager
def _measured(result: Result, lane: Lane) -> Iterator[None]:
    """Fill in the seconds and the peak memory of what runs inside, and if it was stopped."""
    start, ended = time.perf_counter(), threading.Event()

    def watch():
        while not ended.wait(0.2):
            held = 0
            for process in lane.processes():
                with contextlib.suppress(psutil.Error):
                    held += process.memory_info().rss
            result.peak_bytes = max(result.peak_bytes, held)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        result.seconds = round(time.perf_counter() - start, 2)
        if lane.stopped:
            result.status, result.error = INTERRUPTED, ""


def _write_summary(path: Path, started, profile: str, results: list[Result]) -> None:
    summary = {
        "tlcourse": tlcourse.__version__,
        "started": started.isoformat(),
        "profile": profile,
        "machine": claims.machine(),
        "chapters": [dataclasses.asdict(result) for result in results],
    }
    with config.atomic_path(path) as partial:
        partial.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


def _make_plain(document) -> None:
    document.metadata = nbformat.from_dict(_PLAIN_METADATA)
    document.nbformat, document.nbformat_minor = 4, 5
    for index, cell in enumerate(document.cells):
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        # jupytext draws a random id each time; these keep a diff to what changed.
        cell.id = f"cell-{index:02d}"


def _title(document, file: Path) -> str:
    text = "\n".join(cell.source for cell in document.cells if cell.cell_type == "markdown")
    heading = re.search(r"^#\s+(.+)$", text, re.MULTILINE)
    title = heading[1] if heading else file.stem[3:].replace("_", " ")
    return re.sub(r"^\W*0?\d+\W+", "", title.strip())


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]


def _numbers(results: Iterable[Result]) -> set[str]:
    return {result.chapter for result in results}
