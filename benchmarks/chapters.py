"""A chapter, and the whole course: seconds and memory, with empty caches and with full ones."""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat

from benchmarks.measuring import AT_MOST, FASTER, Goal, Row, Unequal
from tlcourse import claims

SHORTEST = "07"
GB = 1e9


@dataclass(frozen=True)
class Sizes:
    """What is run: a chapter of the course, or one that takes a second."""

    chapter: str | None


FULL = Sizes(chapter=SHORTEST)
SMOKE = Sizes(chapter=None)


def rows(sizes: Sizes) -> list[Row]:
    """One chapter cold, then warm."""
    with tempfile.TemporaryDirectory() as folder:
        if sizes.chapter is None:
            chosen, notebooks = [], _toy(Path(folder))
        else:
            chosen, notebooks = [sizes.chapter], None
        cold, warm = _twice(chosen, Path(folder), notebooks)
    number = cold["chapters"][0]["chapter"]
    return _rows(f"chapter {number}", cold, warm, seconds=120)


def whole() -> list[Row]:
    """All chapters cold, then warm."""
    with tempfile.TemporaryDirectory() as folder:
        # As `make course` runs them.
        runs = _twice([], Path(folder), None, "--jobs", "2")
        return _rows("all chapters", *runs, seconds=15 * 60)


def given(path: Path) -> list[Row]:
    """All chapters as a finished `tlcourse run` measured them, in its `run.json`.

    Raises:
        ValueError: the run was made on another machine, failed, or left chapters out.
        FileNotFoundError: there is no such file.
    """
    found = json.loads(path.read_text(encoding="utf-8"))
    here = claims.machine()
    others = [key for key in ("processor", "cores") if found["machine"][key] != here[key]]
    if others:
        raise ValueError(f"{path} is of another machine ({', '.join(others)}); run it here.")
    missing = {f"{n:02d}" for n in range(1, 11)} - {c["chapter"] for c in found["chapters"]}
    if missing:
        raise ValueError(f"{path} lacks chapter {', '.join(sorted(missing))}; run all of them.")
    if not found.get("together_bytes"):
        raise ValueError(f"{path} has no memory of the whole; make the run in one go, here.")
    _check(found, str(path))
    jobs = found.get("jobs", 1)
    note = f"`tlcourse run --jobs {jobs}` of {found['started'][:10]}, {jobs} at a time."
    return [row for row in _rows("all chapters", found, None, 15 * 60, note) if row.runs]


def _rows(what: str, cold: dict, warm: dict | None, seconds: float, note: str = "") -> list[Row]:
    note = note or "One run each. The package is installed; no weights, exports or features are."
    both = [run for run in (cold, warm) if run]
    together = Row(
        f"{what}, peak memory together",
        "all processes of the run, shared pages counted once",
        [max(run.get("together_bytes") or 0 for run in both) / GB],
        unit="GB",
        goal=Goal(AT_MOST, 3),
    )
    return [
        Row(
            f"{what}, from empty caches",
            "tlcourse run",
            [_seconds(cold)],
            goal=Goal(AT_MOST, seconds),
            note=note,
        ),
        Row(
            f"{what}, a second time",
            "tlcourse run, caches full",
            [_seconds(warm)] if warm else [],
            other="the first time" if warm else "",
            other_runs=[_seconds(cold)] if warm else None,
            ratio=FASTER if warm else "",
            equal=_same_verdicts(cold, warm) if warm else "",
            note="One run each.",
        ),
        Row(
            f"{what}, peak memory of a chapter",
            "the kernel and its children",
            [max(c["peak_bytes"] for run in both for c in run["chapters"]) / GB],
            unit="GB",
            goal=Goal(AT_MOST, 3),
        ),
        *([together] if len(cold["chapters"]) > 1 else []),
    ]


def _seconds(run: dict) -> float:
    return run.get("wall") or sum(chapter["seconds"] for chapter in run["chapters"])


def _same_verdicts(cold: dict, warm: dict) -> str:
    """In words, that both runs came to the same verdicts, but for those about time.

    Raises:
        Unequal: they did not.
    """
    first, second = cold["verdicts"], warm["verdicts"]
    differing = sorted(k for k in first | second if first.get(k) != second.get(k))
    if differing:
        raise Unequal(f"Two runs of one seed differ in their verdicts: {', '.join(differing)}.")
    return f"the same {len(first)} verdicts"


def _twice(
    chapters: list[str], folder: Path, notebooks: Path | None, *options: str
) -> tuple[dict, dict]:
    environment = {**os.environ, "TLCOURSE_CACHE": str(folder / "cache")}
    options += ("--notebooks", str(notebooks)) if notebooks else ()
    found = []
    for name in ("cold", "warm"):
        out = folder / name
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "tlcourse", "run", *chapters, "--out", str(out), *options],
            env=environment, capture_output=True, text=True,
        )  # fmt: skip
        wall = time.perf_counter() - start
        if not (out / "run.json").exists():
            raise RuntimeError(f"tlcourse run failed: {(done.stderr or done.stdout)[-500:]}")
        run = json.loads((out / "run.json").read_text(encoding="utf-8"))
        _check(run, "tlcourse run")
        ledger = out / "ledger.jsonl"
        records = claims.read_ledger([ledger]) if ledger.exists() else []
        summary = (row for row in claims.summarise(records) if not row.claim.timed)
        verdicts = {row.claim.id: row.verdict for row in summary}
        found.append({**run, "wall": wall, "verdicts": verdicts})
    return tuple(found)


def _check(run: dict, where: str) -> None:
    failed = [c["chapter"] for c in run["chapters"] if c["status"] != "done"]
    if failed:
        raise RuntimeError(f"{where}: chapter {', '.join(failed)} did not run to its end.")


def _toy(folder: Path) -> Path:
    """A folder with one chapter that does next to nothing."""
    notebooks = folder / "notebooks"
    notebooks.mkdir()
    parameters = nbformat.v4.new_code_cell('PROFILE: str = "quick"\nSEED: int = 0')
    parameters.metadata["tags"] = ["parameters"]
    cells = [nbformat.v4.new_markdown_cell("# 00 Toy"), parameters]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    toy = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(toy, notebooks / "00_toy.ipynb")
    return notebooks
