"""Run chapters in kernels of this very environment: for the ledger, for the repository, in Lab."""

import contextlib
import copy
import dataclasses
import datetime
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import jupytext
import nbformat
import papermill
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

import tlcourse
from tlcourse import claims, config
from tlcourse.cli import finished, footprint, several, table
from tlcourse.cli.chapter import DONE, FAILED, INTERRUPTED, Outcome, Task

CHAPTER_FILES = "[0-9][0-9]_*.ipynb"
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
        status: "done", "failed" or "interrupted"; empty before it has ended.
        seconds: wall time, with the start of the kernel.
        peak_bytes: the most resident memory that its processes held together, sampled; memory that
            they share counts for each of them.
        cell: the prompt number of the cell that failed, if one did.
        error: what went wrong, in one line.
        tries: how often it was begun; more than once where a kernel or a worker died.
        machine: where it ran, as `claims.machine` says it.
    """

    chapter: str
    title: str
    seed: int
    notebook: str
    status: str = ""
    seconds: float = 0.0
    peak_bytes: int = 0
    cell: int | None = None
    error: str = ""
    tries: int = 0
    machine: dict = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        name = f"{self.chapter} {self.title} (seed {self.seed})"
        if self.status == DONE:
            again = f", tried {self.tries} times" if self.tries > 1 else ""
            return f"{name}: {self.seconds:.0f} s, {self.peak_bytes / 1e9:.1f} GB{again}"
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
    scheduler: str | None = None,
) -> int:
    """Run chapters with papermill, each with every seed, and print the claim table.

    Writes into `out` the executed notebooks (below `seed-N` where there are several seeds),
    `ledger.jsonl`, `ledger.html`, `ledger.svg`, `run.json` (seconds and memory of each chapter; and
    if the run was made in one go, and here, the seconds `wall` and the `together_bytes` of all),
    `kernel.log` (what was printed past the notebooks) and `finished/`, by which a later run with
    the same `out` goes on: `tlcourse.cli.finished` says how. A chapter that fails does not stop the
    rest; one whose kernel or worker died is tried again.

    Args:
        jobs: chapters at once on this machine, each on cores of its own; fewer where cores or
            memory do not suffice. One runs in this process.
        scheduler: the address of a dask scheduler, whose workers run the chapters instead.

    Returns:
        The exit code: 0; 1 if a chapter failed or a settled claim does not hold; 130 if the reader
        interrupted the run.

    Raises:
        ValueError: unknown profile, chapter, parameter or scheduler. Nothing was run.
        FileNotFoundError: no chapters.
    """
    console = console or Console()
    if profile not in config.PROFILES:
        raise ValueError(f"The profile is {profile!r}; write {' or '.join(config.PROFILES)}.")
    files = find(notebooks, chapters)
    for file in files:
        check_parameters(file, ("PROFILE", "SEED"))
    started, clock = datetime.datetime.now(datetime.UTC).replace(microsecond=0), time.monotonic()
    resumes = out is not None
    out = (out or Path("runs") / f"{started:%Y%m%d-%H%M%S}-{profile}").resolve()

    results, tasks, names, keys = [], [], [], []
    for seed in seeds:
        for file in files:
            document = nbformat.read(file, as_version=4)
            notebook = (Path(f"seed-{seed}" if len(seeds) > 1 else ".") / file.name).as_posix()
            results.append(Result(file.name[:2], _title(document, file), seed, notebook))
            parameters = {"PROFILE": profile, "SEED": seed}
            tasks.append(Task(_without_outputs(document), parameters, str(file.parent)))
            names.append(f"{profile}-{file.name[:2]}-seed-{seed}")
            keys.append(finished.identity(document, profile, seed))
    records: dict[int, list[str]] = {}
    if resumes:
        for index, (name, key) in enumerate(zip(names, keys, strict=True)):
            if found := finished.find(out, name, key):
                results[index], records[index] = Result(**found[0]), found[1]

    goes_on = bool(records)

    def keep(index: int, outcome: Outcome) -> None:
        records[index] = list(outcome.records)
        notebook = results[index].notebook
        if outcome.status == DONE:
            result = dataclasses.asdict(results[index])
            finished.keep(out, names[index], keys[index], result, outcome.notebook, records[index])
        elif outcome.notebook:
            finished.write(out / notebook, outcome.notebook)
        finished.extend(out / "ledger.jsonl", records[index])
        if outcome.log:
            with (out / "kernel.log").open("a", encoding="utf-8") as file:
                file.write(outcome.log)
        summarise()

    def summarise() -> None:
        ended = [result for result in results if result.status]
        whole = {"wall": round(time.monotonic() - clock, 1), "together_bytes": held()}
        how = {"jobs": jobs} | {what: None if goes_on else much for what, much in whole.items()}
        _write_summary(out / "run.json", started, profile, how, ended)

    if goes_on:
        console.print(f"{len(records)} of {len(results)} were finished here before and are not "
                      "repeated.", highlight=False)  # fmt: skip
    left = [index for index in range(len(results)) if index not in records]
    with contextlib.nullcontext(lambda: None) if scheduler else footprint.watched() as held:
        interrupted = _execute(left, results, tasks, keep, console, jobs, scheduler, profile)
        finished.extend(
            out / "ledger.jsonl", [line for index in sorted(records) for line in records[index]]
        )
        summarise()
    if held() and not goes_on and len(results) > 1:
        console.print(f"All of it: {time.monotonic() - clock:.0f} s, at most {held() / 1e9:.1f} GB "
                      "together.", highlight=False)  # fmt: skip

    results = [result for result in results if result.status]
    rows = claims.summarise(json.loads(line) for i in sorted(records) for line in records[i])
    rows = [row for row in rows if row.claim.chapter in _numbers(results)]
    console.print(table.render(rows))
    table.write_html(rows, out / "ledger.html")
    console.print(f"Executed notebooks: {out}", f"Ledger: {out / 'ledger.html'}", sep="\n",
                  highlight=False, soft_wrap=True)  # fmt: skip
    bad = [str(result) for result in results if result.status != DONE]
    bad += [f"Claim {claim_id} does not hold." for claim_id in broken(rows)]
    for line in bad:
        console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
    return 130 if interrupted else int(bool(bad))


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
    results, tasks, documents = [], [], []
    for chapter in wanted:
        script = scripts[chapter]
        document = jupytext.read(script)
        results.append(Result(chapter, _title(document, script), 0, f"{script.stem}.ipynb"))
        _make_plain(document)
        tasks.append(Task(nbformat.writes(document), folder=str(folder.resolve())))
        documents.append(document)

    def keep(index: int, outcome: Outcome) -> None:
        if outcome.status == DONE:
            document = nbformat.reads(outcome.notebook, as_version=4)
            _make_plain(document)
            with config.atomic_path(folder / results[index].notebook) as partial:
                nbformat.write(document, partial)

    if _execute(list(range(len(tasks))), results, tasks, keep, console, jobs):
        return 130
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


def _execute(
    left: Sequence[int],
    results: Sequence[Result],
    tasks: Sequence[Task],
    keep: Callable[[int, Outcome], None],
    console: Console,
    jobs: int = 1,
    scheduler: str | None = None,
    profile: str = "quick",
) -> bool:
    """Run those tasks that are left, fill in their results and hand each outcome to `keep`.

    Returns:
        Whether the reader interrupted it.
    """
    if not scheduler:
        jobs = jobs if jobs < 1 else min(jobs, max(1, len(left)))
        jobs, sentence = several.fitting(jobs, profile)
        if sentence:
            console.print(sentence, highlight=False, soft_wrap=True)
    mine, waiting = [tasks[index] for index in left], [results[index] for index in left]
    interrupted = False
    if not left:
        return interrupted
    with _progress(console, waiting, mine) as bar:
        if jobs == 1 and not scheduler:
            running = contextlib.nullcontext(several.one_by_one(mine, bar.told))
        else:
            running = several.at_once(
                mine, bar.told, jobs=jobs, scheduler=scheduler, order=_long_first(waiting),
                say=lambda text: console.print(text, highlight=False, soft_wrap=True),
            )  # fmt: skip
        try:
            with running as outcomes:
                for place, outcome in outcomes:
                    result = waiting[place]
                    bar.ended(place)
                    for name in ("status", "seconds", "peak_bytes", "cell", "error", "machine"):
                        setattr(result, name, getattr(outcome, name))
                    keep(left[place], outcome)
                    console.print(f"  {result}", highlight=False, markup=False, soft_wrap=True)
        except (KeyboardInterrupt, several.SchedulerGone) as error:
            interrupted = isinstance(error, KeyboardInterrupt)
            if not interrupted:
                console.print(f"{error} The same command with the same --out goes on.")
            for result in waiting:
                if result.tries and not result.status:
                    result.status = INTERRUPTED if interrupted else FAILED
                    result.error = "" if interrupted else "the scheduler went away"
                    console.print(f"  {result}", highlight=False, markup=False, soft_wrap=True)
    return interrupted


class _Bar:
    """One progress bar over the code cells of all chapters."""

    def __init__(self, progress: Progress, results: Sequence[Result], sizes: Sequence[int]):
        self._progress, self._results, self._sizes = progress, results, sizes
        self._done, self._running = [0] * len(sizes), {}
        self._task = progress.add_task("Starting", total=sum(sizes))

    def told(self, place: int, cells: int) -> None:
        """Of a chapter, that many cells have begun; none, and it is tried once more."""
        result = self._results[place]
        if result.status:  # what travels from a worker may come late
            return
        result.tries += cells == 0
        self._running[place] = f"{result.chapter} {result.title}"
        # papermill adds a cell of its own; the chapter is complete only when it has ended.
        self._show(place, max(0, min(cells, self._sizes[place]) - 1))

    def ended(self, place: int) -> None:
        self._running.pop(place, None)
        self._show(place, self._sizes[place])

    def _show(self, place: int, done: int) -> None:
        self._done[place] = done
        names = {"description": ", ".join(self._running.values())} if self._running else {}
        self._progress.update(self._task, completed=sum(self._done), **names)


@contextlib.contextmanager
def _progress(console: Console, results: Sequence[Result], tasks: Sequence[Task]) -> Iterator[_Bar]:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
               TimeElapsedColumn())  # fmt: skip
    sizes = [
        sum(cell["cell_type"] == "code" for cell in json.loads(task.document)["cells"])
        for task in tasks
    ]
    # Drawn ten times a second, it would take a twentieth of a core from the chapters.
    with Progress(*columns, console=console, refresh_per_second=1) as progress:
        yield _Bar(progress, results, sizes)


def _long_first(results: Sequence[Result]) -> list[int]:
    """Seed by seed, the chapters that took longest first: the last to end keeps few waiting."""
    path = Path(tlcourse.__file__).resolve().parents[1] / "docs" / "chapter_times.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    seconds = {chapter: facts["seconds"] for chapter, facts in known.items()}

    def rank(place: int) -> tuple:
        return results[place].seed, -seconds.get(results[place].chapter, 0)

    return sorted(range(len(results)), key=rank)


def _write_summary(path: Path, started, profile: str, how: dict, results: list[Result]) -> None:
    summary = {
        "tlcourse": tlcourse.__version__,
        "started": started.isoformat(),
        "profile": profile,
        **how,
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


def _without_outputs(document) -> str:
    document = copy.deepcopy(document)
    for cell in document.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return nbformat.writes(document)


def _title(document, file: Path) -> str:
    text = "\n".join(cell.source for cell in document.cells if cell.cell_type == "markdown")
    heading = re.search(r"^#\s+(.+)$", text, re.MULTILINE)
    title = heading[1] if heading else file.stem[3:].replace("_", " ")
    return re.sub(r"^\W*0?\d+\W+", "", title.strip())


def _numbers(results: Iterable[Result]) -> set[str]:
    return {result.chapter for result in results}
