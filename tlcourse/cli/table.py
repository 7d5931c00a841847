"""The claim table: in the terminal, as a page that needs nothing but itself, and as a figure."""

import datetime
import html
import itertools
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tlcourse import claims, config

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Verdicts differ in word, sign and marker; the Okabe-Ito colours only help.
_SIGN = {claims.HOLDS: "✔", claims.FAILS: "✘", claims.UNSETTLED: "≈", claims.NOT_RUN: "–"}
_MARKER = {claims.HOLDS: "o", claims.FAILS: "X", claims.UNSETTLED: "D"}
_COLOUR = {
    claims.HOLDS: "#0072B2",
    claims.FAILS: "#D55E00",
    claims.UNSETTLED: "#9A6B00",
    claims.NOT_RUN: "#666666",
}
# Values of one claim share an axis as long as one does not dwarf the other.
_SAME_AXIS = 30


def gather(paths: Iterable[Path] = ()) -> list[claims.Row]:
    """Every claim over the ledgers given, or over the committed runs and `runs/` if none is.

    Raises:
        FileNotFoundError: a path is not there.
    """
    paths = list(paths)
    if paths:
        return claims.summarise(claims.read_ledger(paths))
    own = claims.read_ledger([Path("runs")]) if Path("runs").is_dir() else []
    committed = [record for name in claims.load() for record in claims.reference(name)]
    return claims.summarise([*committed, *own])


def show(paths: Iterable[Path], page: Path | None, console: Console | None = None) -> None:
    """Print the claim table and, if asked, write the page and its figure.

    Args:
        paths: ledger files or folders of runs; see `gather`.
        page: where to write the HTML; the figure goes beside it, as `.svg`.
    """
    console = console or Console()
    rows = gather(paths)
    console.print(render(rows))
    if page:
        write_html(rows, page)
        console.print(f"Ledger: {page.resolve()}", highlight=False, soft_wrap=True)


def render(rows: Sequence[claims.Row]) -> Table:
    """The claims as a table for the terminal."""
    table = Table(title="Claims", show_lines=True, title_justify="left")
    table.add_column("claim", ratio=5)
    table.add_column("rule and measured", ratio=4)
    table.add_column("runs", justify="right")
    table.add_column("verdict", no_wrap=True)
    for row in rows:
        measured = "\n".join(f"{name} {value}" for name, value in measurements(row))
        table.add_row(
            Text.assemble((row.claim.id, "bold"), "\n", row.claim.claim),
            Text.assemble((row.claim.rule, "italic"), "\n", measured),
            str(len(row.records)),
            Text(f"{_SIGN[row.verdict]} {row.verdict}", style=_COLOUR[row.verdict]),
        )
    table.caption = counts(rows)
    return table


def measurements(row: claims.Row) -> list[tuple[str, str]]:
    """Name and text of every measured value of a claim; of lists, those of the newest run."""
    shown = {name: str(value) for name, value in row.values.items()}
    for record in row.records:
        for name, value in record["measured"].items():
            if name not in row.values and value is not None:
                shown[name] = claims.text(value)
    return list(shown.items())


def write_html(rows: Sequence[claims.Row], path: Path) -> None:
    """Write the ledger as one page that needs no network, and its figure beside it.

    Args:
        rows: what `claims.summarise` gives.
        path: of the page; the figure takes its name, with `.svg`.
    """
    path = Path(path)
    picture = figure(rows)
    drawing = ""
    if picture:
        save(picture, path.with_suffix(".svg"))
        drawing = _inline(path.with_suffix(".svg"))
    with config.atomic_path(path) as partial:
        partial.write_text(_page(rows, drawing), encoding="utf-8")


def figure(rows: Iterable[claims.Row]) -> "Figure | None":
    """Measured values with their intervals, an axis for each claim; None if nothing is numeric.

    The large marker is the mean over the runs, its shape the verdict, the line the 95 % interval;
    each small dot is one run.
    """
    strips = [strip for row in rows if row.verdict in _MARKER for strip in _strips(row)]
    if not strips:
        return None
    from matplotlib.figure import Figure

    # Places by arithmetic: a layout engine takes seconds for as many axes.
    width, left, right, title, ticks, line = 8.0, 2.2, 0.2, 0.3, 0.35, 0.3
    heights = [title + line * len(names) + ticks for _, names in strips]
    total = sum(heights)
    picture = Figure(figsize=(width, total))
    top = total
    for (row, names), height in zip(strips, heights, strict=True):
        inside = (left, top - height + ticks, width - left - right, line * len(names))
        axis = picture.add_axes(
            [part / size for part, size in zip(inside, (width, total) * 2, strict=True)]
        )
        _draw(axis, row, names)
        top -= height
    return picture


def save(picture: "Figure", path: Path) -> None:
    """Write the figure as SVG: text stays text, and equal numbers give an equal file."""
    from matplotlib import rc_context

    with config.atomic_path(path) as partial:
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": "tlcourse"}):
            picture.savefig(partial, format="svg", metadata={"Date": None})


def _strips(row: claims.Row) -> list[tuple[claims.Row, list[str]]]:
    """The values of a claim, split where one would dwarf the other on one axis."""
    strips: list[tuple[claims.Row, list[str]]] = []
    largest = 0.0
    for name, value in row.values.items():
        if all(isinstance(record["measured"].get(name), bool) for record in row.records):
            continue  # Whether something happened has no scale.
        size = max(abs(v) for v in (value.mean, value.low, value.high) if math.isfinite(v))
        near = not strips or 0 in (size, largest) or 1 / _SAME_AXIS < size / largest < _SAME_AXIS
        if strips and near:
            strips[-1][1].append(name)
        else:
            strips.append((row, [name]))
            largest = 0.0
        largest = max(largest, size)
    return strips


def _draw(axis, row: claims.Row, names: list[str]) -> None:
    colour = _COLOUR[row.verdict]
    for place, name in enumerate(reversed(names)):
        value = row.values[name]
        found = [r["measured"][name] for r in row.records if name in r["measured"]]
        runs = [one["mean"] if isinstance(one, dict) else one for one in found]
        axis.plot(runs, [place - 0.25] * len(runs), ".", color="#777777", markersize=5)
        if math.isfinite(value.low):
            axis.plot([value.low, value.high], [place, place], color=colour, linewidth=2)
        axis.plot(value.mean, place, _MARKER[row.verdict], color=colour, markersize=8)
    low, high = axis.get_xlim()
    if low < 0 < high:
        axis.axvline(0, color="#bbbbbb", linewidth=1, zorder=0)
    axis.set_yticks(range(len(names)), reversed(names))
    axis.set_ylim(-0.6, len(names) - 0.4)
    axis.set_title(f"{row.claim.id}: {row.verdict}", loc="left", fontsize=10)
    axis.spines[["top", "right"]].set_visible(False)


def _inline(drawing: Path) -> str:
    """The drawing as an element that can stand inside a page."""
    for prefix, address in (
        ("", "http://www.w3.org/2000/svg"),
        ("xlink", "http://www.w3.org/1999/xlink"),
    ):
        ElementTree.register_namespace(prefix, address)
    root = ElementTree.parse(drawing).getroot()
    for element in root.findall("{http://www.w3.org/2000/svg}metadata"):
        root.remove(element)
    root.set("role", "img")
    root.set("aria-label", "Measured values with 95 % intervals, one panel for each claim")
    return ElementTree.tostring(root, encoding="unicode")


def counts(rows: Sequence[claims.Row]) -> str:
    """How many claims have which verdict, in words."""
    found = [
        f"{sum(row.verdict == verdict for row in rows)} {verdict}"
        for verdict in _SIGN
        if any(row.verdict == verdict for row in rows)
    ]
    return ", ".join(found) or "no claims"


# Of the claims alone, so that the site's page can use it beside its own.
STYLE = """
.claim { border-top: 1px solid #9996; padding: 1rem 0; }
.claim .asserted { font-weight: 700; margin: 0 0 .5rem; }
.claim .verdict { float: right; margin-left: 1rem; white-space: nowrap; }
.claim .holds { color: #0072B2; } .claim .fails { color: #D55E00; }
.claim .unsettled { color: #9A6B00; } .claim .not-run { color: #666; }
.claim dl { display: grid; grid-template-columns: 6.5rem 1fr; gap: .35rem .8rem; margin: 0; }
.claim dt { font-size: .85em; opacity: .75; padding-top: .1em; } .claim dd { margin: 0; }
.claim td { padding: 0 1.2rem 0 0; text-align: left; vertical-align: top; border: 0; }
.claim table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.claim code, .claim td { overflow-wrap: anywhere; } .claim .small { font-size: .85em; }
@media (max-width: 40rem) { .claim dl { grid-template-columns: 1fr; gap: 0; }
  .claim dd { margin-bottom: .5rem; } }
@media print { .claim { break-inside: avoid; } }
"""
_STYLE = """
body { font: 16px/1.45 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem;
       color: #1a1a1a; background: #fff; }
.small { font-size: .85em; color: #444; }
figure { margin: 2rem 0; } figure svg { max-width: 100%; height: auto; }
@media print { body { margin: 0; font-size: 11px; max-width: none; } }
"""
READING = (
    "A rule is fixed before the run. A claim holds if every run satisfies its rule, fails if none "
    "does, and is unsettled otherwise. Numbers are means over the runs, their 95 % intervals in "
    "brackets; of a list, those of the newest run. What people say is "
    "judged false, conditional or supported, as the sources and we see it."
)
CAPTION = (
    "Large marker: mean over the runs (circle: holds, cross: fails, diamond: unsettled). Line: "
    "95 % interval. Small dots: single runs. Each panel has its own scale."
)


def _page(rows: Sequence[claims.Row], drawing: str) -> str:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    machines = sorted({_machine(record) for row in rows for record in row.records})
    body = "".join(
        f"<h2>Chapter {html.escape(chapter)}</h2>{cards(group)}"
        for chapter, group in itertools.groupby(rows, key=lambda row: row.claim.chapter)
    )
    if drawing:
        body += (
            f"<h2>Measured values</h2><figure>{drawing}"
            f"<figcaption class='small'>{CAPTION}</figcaption></figure>"
        )
    listed = "".join(f"<li>{html.escape(machine)}</li>" for machine in machines)
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>Claim ledger</title><style>{_STYLE}{STYLE}</style></head>"
        "<body><h1>Claim ledger</h1>"
        f"<p>{html.escape(counts(rows))}. Written {now}. {READING}</p>"
        f"{body}<h2>Machines</h2><ul>{listed or '<li>none yet</li>'}</ul></body></html>\n"
    )


def cards(rows: Iterable[claims.Row]) -> str:
    """The claims as HTML, one block each, to be read with `STYLE`, on any width of screen."""
    return "".join(map(_card, rows))


def _card(row: claims.Row) -> str:
    claim = row.claim
    values = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>"
        for name, value in measurements(row)
    )
    parts = [
        (
            "People say",
            f"{html.escape(claim.folklore)} <i>(judged {html.escape(claim.folklore_verdict)})</i>",
        ),
        ("Rule", f"<code>{html.escape(claim.rule)}</code>"),
        ("Metric", html.escape(claim.metric)),
        ("Measured", f"<table>{values}</table>" if values else ""),
        ("Runs", html.escape(_runs(row))),
        ("Sources", "<br>".join(map(_linked, claim.sources))),
    ]
    listed = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in parts if text)
    return (
        f"<article class='claim' id='{html.escape(claim.id)}'><p class='asserted'>"
        f"<span class='verdict {row.verdict.replace(' ', '-')}'>"
        f"{_SIGN[row.verdict]} {row.verdict}</span>{html.escape(claim.claim)}</p>"
        f"<dl>{listed}<dt>Id</dt><dd><code>{html.escape(claim.id)}</code></dd></dl></article>"
    )


def _linked(source: str) -> str:
    """A source as HTML, its addresses as links."""
    return re.sub(
        r"https?://[^\s<>]*[^\s<>.,:;)]", r"<a href='\g<0>'>\g<0></a>", html.escape(source)
    )


def _runs(row: claims.Row) -> str:
    if not row.records:
        return ""
    seeds = sorted({record["seed"] for record in row.records})
    profiles = sorted({record["profile"] for record in row.records})
    machines = {_machine(record) for record in row.records}
    return (
        f"{_number(len(row.records), 'run')}; seed{'s' * (len(seeds) > 1)} "
        f"{', '.join(map(str, seeds))}; {', '.join(profiles)}; {_number(len(machines), 'machine')}"
    )


def _number(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' * (count != 1)}"


def _machine(record: dict) -> str:
    machine = record.get("machine") or {}
    return ", ".join(f"{key} {value}" for key, value in machine.items()) or "not recorded"
