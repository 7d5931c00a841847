"""From what was measured to the table, the figure and the README's few lines."""

import hashlib
import itertools
import json
import statistics
from pathlib import Path

import numpy as np

from benchmarks.measuring import AT_LEAST, FASTER, Row

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results.json"
TABLE = ROOT / "docs" / "benchmarks.md"
FIGURE = ROOT / "docs" / "figures" / "benchmarks.png"
TITLES = {
    "head": "A head on a frozen backbone",
    "large": "A head on ten thousand images",
    "prefix": "Fine-tuning the last blocks",
    "passes": "One forward pass",
    "ending": "The end of fit",
    "chapter": "One chapter",
    "course": "The whole course",
    "folder": "A folder of pictures",
}
_HEADER = """# How fast

`make bench` measures this page in about twenty minutes, but for two parts that take ten and more:
`.venv/bin/python -m benchmarks large` trains on ten thousand images, and `--whole` in place of
`large` runs the whole course twice. A test keeps the page in step with `benchmarks/results.json`.

Every side-by-side runs its two sides in turn, A, B, A, B, in one go, and is left out if the
course's result is worse. A ratio is the median over such pairs, with the lowest and the highest in
brackets. Goals were set before anything was measured, and a missed one stays in the table.
"""
_COLUMNS = ("what", "measured", "against", "ratio", "goal", "equal results")


def load(path: Path = RESULTS) -> dict:
    """The stored results: a mapping from benchmark to "where" and "rows"; empty without a file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def table(results: dict) -> str:
    """The page `docs/benchmarks.md`."""
    parts = [_HEADER]
    for name in TITLES:
        if name in results:
            parts.append(_section(name, results[name]))
    missing = [title for name, title in TITLES.items() if name not in results]
    if missing:
        parts.append(f"Not measured yet: {'; '.join(missing)}.\n")
    others = [row.get("other") or "" for part in results.values() for row in part["rows"]]
    if not any(other.startswith("PyTorch") for other in others):
        parts.append(
            "PyTorch was not installed here, so the rows of its tutorial are missing; "
            "`pip install -c constraints.txt -e '.[tutorial]'` adds them.\n"
        )
    if not _has(results, "openvino"):
        parts.append("OpenVINO was not installed here, so its rows are missing.\n")
    return "\n".join(parts)


def _has(results: dict, package: str) -> bool:
    return any(package in section["where"]["versions"] for section in results.values())


def _section(name: str, section: dict) -> str:
    rows = [Row.of(stored) for stored in section["rows"]]
    lines = [f"## {TITLES[name]}", "", place(section["where"]), ""]
    lines += [_line(_COLUMNS), _line(["---"] * len(_COLUMNS))]
    lines += [_line(_cells(row)) for row in rows]
    # Several rows share a note; each is written once.
    lines += ["", *(f"- {note}" for note in dict.fromkeys(row.note for row in rows) if note), ""]
    return "\n".join(lines)


def _line(cells) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: Row) -> list[str]:
    ours = f"{row.course}: {spread(row.runs, row.unit)}"
    theirs = f"{row.other}: {spread(row.other_runs, row.unit)}" if row.other else "–"
    ratio = f"**{amount(row.measured)}** {_range(row.ratios)} {row.ratio}" if row.other else "–"
    return [row.name, ours, theirs, ratio, verdict(row), row.equal or "–"]


def place(where: dict) -> str:
    """Commit, date and machine in one sentence."""
    commit = where["commit"][:12] or "unknown"
    changed = len(where["dirty"])
    state = f", with {changed} changed file{'s' * (changed > 1)}" if changed else ""
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    return (
        f"Measured on {where['date']} at commit `{commit}`{state}: {where['processor']}, "
        f"{where['cores']} cores, {where['memory'] / 2**30:.0f} GiB, {where['system']}, Python "
        f"{where['python']}; {versions}."
    )


def verdict(row: Row) -> str:
    """The goal and whether it was met; by how much it was missed."""
    if row.goal is None:
        return "–"
    wanted = f"{row.goal.kind} {amount(row.goal.value)}{'' if row.other else ' ' + row.unit}"
    if row.goal.met(row.measured):
        return f"{wanted}: met"
    off = abs(row.measured / row.goal.value - 1)
    return f"{wanted}: **missed** by {off:.0%}"


def spread(values: list[float], unit: str) -> str:
    """The median with its unit, and the lowest and highest where there are several values."""
    return " ".join(filter(None, [amount(statistics.median(values)), unit, _range(values)]))


def amount(value: float) -> str:
    """Three significant digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _range(values: list[float]) -> str:
    return f"[{amount(min(values))}, {amount(max(values))}]" if len(values) > 1 else ""


def problems(results: dict) -> list[str]:
    """What forbids committing these results: each in a sentence; empty if nothing does."""
    found = []
    for name, section in results.items():
        where = section["where"]
        if section["sizes"] != "full":
            found.append(f"{name} was measured at the sizes of a test.")
        if len(where["commit"]) != 40:
            found.append(f"{name} does not say at which commit it was measured.")
        if where["dirty"]:
            found.append(f"{name} was measured with changed files: {', '.join(where['dirty'])}.")
        if not (where["processor"] and where["cores"] and where["memory"] and where["date"]):
            found.append(f"{name} does not name its machine and its day.")
        for row in map(Row.of, section["rows"]):
            if row.other and not row.equal:
                found.append(f"{row.name}: nothing says that both sides gave the same.")
            if len(row.runs) < 2 and row.ratio and "One run" not in row.note:
                found.append(f"{row.name}: a single run, and the note does not say so.")
            if not all(np.isfinite(v) and v >= 0 for v in (*row.runs, *(row.other_runs or []))):
                found.append(f"{row.name}: a number that cannot have been measured.")
    return found


def figure(results: dict):
    """Ratios with their spread, one line for each side-by-side, and the goals."""
    from tlcourse import visualization as viz

    viz.style()
    rows = [
        (name, row)
        for name in TITLES
        for row in map(Row.of, results.get(name, {"rows": []})["rows"])
        if row.ratio == FASTER
    ]
    colours = dict(zip(TITLES, itertools.cycle(viz.PALETTE.values()), strict=False))
    drawn, axes = viz.plt.subplots(figsize=(10.5, 1.3 + 0.5 * len(rows)))
    for y, (name, row) in enumerate(rows):
        low, high = min(row.ratios), max(row.ratios)
        axes.plot([low, high], [y, y], color=colours[name], linewidth=5, alpha=0.45)
        axes.plot(row.measured, y, "o", color=colours[name])
        aimed = row.goal and row.goal.kind == AT_LEAST
        # Beyond the goal, too, so that the words do not stand on it.
        end = max(high, row.goal.value) if aimed else high
        axes.annotate(
            f"{amount(row.measured)} ×", (end, y), (8, 0), textcoords="offset points", va="center"
        )
        if aimed:
            axes.plot(row.goal.value, y, "|", color="black", markersize=18, markeredgewidth=2)
    axes.plot([], [], "|", color="black", markersize=14, markeredgewidth=2, label="goal")
    axes.axvline(1, color=viz.PALETTE["grey"], linewidth=1)
    axes.set_yticks(range(len(rows)), [_label(row) for _, row in rows], fontsize=10)
    axes.set_xscale("log")
    ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if _inside(t, [r for _, r in rows])]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("times as fast (dot: median, bar: all runs)")
    axes.legend(loc="lower right")
    where = next(iter(results.values()))["where"]
    axes.set_title(f"{where['processor']}, {where['cores']} cores", fontsize=12)
    return drawn


def _inside(tick: float, rows: list[Row]) -> bool:
    ratios = [1.0, *(ratio for row in rows for ratio in row.ratios)]
    ratios += [row.goal.value for row in rows if row.goal]
    return min(ratios) / 1.3 <= tick <= max(ratios) * 1.5


def _label(row: Row) -> str:
    return f"{row.name}\n{row.course.split(',')[0]} against {row.other}"


def digest(results: dict) -> str:
    """What the figure carries inside, so that a test knows which results it shows."""
    return hashlib.sha256(json.dumps(results, sort_keys=True).encode()).hexdigest()


def write(results: dict, folder: Path | None = None) -> list[Path]:
    """Write results, table and figure to their places, or all into one folder.

    Returns:
        The three paths.
    """
    from tlcourse import config

    places = [RESULTS, TABLE, FIGURE]
    if folder is not None:
        places = [folder / path.name for path in places]
    text = json.dumps(results, indent=1, allow_nan=False) + "\n"
    for path, content in zip(places, (text, table(results)), strict=False):
        with config.atomic_path(path) as partial:
            partial.write_text(content, encoding="utf-8")
    drawn = figure(results)
    with config.atomic_path(places[2]) as partial:
        drawn.savefig(partial, dpi=90, metadata={"Software": None, "Source": digest(results)})
    return places
