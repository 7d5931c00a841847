"""`python -m benchmarks`: measure, and write results, table and figure."""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import chapters, machine, report
from benchmarks.measuring import Row, Unequal, fresh, rows_of

# Shortest first, so that a fault shows early.
NAMES = {
    "passes": "passes",
    "ending": "ending",
    "folder": "folder",
    "chapter": "chapters",
    "prefix": "prefix",
    "head": "head",
    "large": "large",
}
# Ten minutes more, with which `make bench` would take thirty.
ASKED_FOR = ("large",)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console()


@app.command()
def main(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Which: {', '.join(NAMES)}; all but {', '.join(ASKED_FOR)} if left out."
        ),
    ] = None,
    smoke: Annotated[bool, typer.Option(help="Tiny sizes, to see that everything runs.")] = False,
    whole: Annotated[bool, typer.Option(help="Run the whole course, cold and warm, too.")] = False,
    course: Annotated[
        Path | None, typer.Option(help="The run.json of a run of the whole course, made here.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A folder for the three files, not the clone's own places.")
    ] = None,
):
    """Measure how fast the course is, side by side with what people do today."""
    usual = [name for name in NAMES if name not in ASKED_FOR]
    wanted = list(names or ([] if whole or course else usual))
    unknown = sorted(set(wanted) - set(NAMES))
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: write one of {', '.join(NAMES)}.")
    if smoke and out is None:
        raise typer.BadParameter(
            "--smoke measures nothing worth keeping; give a folder with --out."
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    jobs = {name: lambda name=name: _run(NAMES[name], smoke) for name in wanted}
    if whole:
        jobs["course"] = chapters.whole
    elif course:
        jobs["course"] = lambda: chapters.given(course)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TLCOURSE_CACHE"] = cache
        failed = _measure(jobs, smoke, out)
    raise typer.Exit(int(failed))


def _measure(jobs: dict[str, Callable[[], list[Row]]], smoke: bool, out: Path | None) -> bool:
    """Run each, and write after each, so that a fault in a later one costs only that one."""
    results = report.load(out / report.RESULTS.name if out else report.RESULTS)
    failed = False
    for name, job in jobs.items():
        where, start = machine.where(), time.perf_counter()
        try:
            rows = job()
        except (Unequal, RuntimeError, ValueError, FileNotFoundError) as error:
            console.print(f"{name}: {error}", style="red", markup=False, highlight=False)
            failed = True
            continue
        seconds = time.perf_counter() - start
        results[name] = {
            "where": where,
            "sizes": "smoke" if smoke else "full",
            "seconds": round(seconds, 1),
            "rows": [row.as_dict() for row in rows],
        }
        console.print(f"{name}: {seconds:.0f} s", style="bold", highlight=False)
        for row in rows:
            console.print(f"  {_said(row)}", markup=False, highlight=False, soft_wrap=True)
        report.write(results, out)
    for line in report.problems(results) if out is None else []:
        console.print(f"Not to be committed: {line}", style="yellow", markup=False, highlight=False)
    console.print(
        f"Table and figure: {out or report.TABLE.parent}", highlight=False, soft_wrap=True
    )
    return failed


def _run(module: str, smoke: bool) -> list[Row]:
    """The rows of one benchmark, in a process of its own where it counts."""
    return rows_of(module, smoke) if smoke else fresh(rows_of, module, smoke)


def _said(row: Row) -> str:
    ratio = f"{report.amount(row.measured)} {row.ratio} as {row.other}" if row.other else ""
    ratio = ratio or report.spread(row.runs, row.unit)
    goal = f" ({report.verdict(row)})" if row.goal else ""
    return f"{row.name}, {row.course}: {ratio}{goal}"


if __name__ == "__main__":
    app()
