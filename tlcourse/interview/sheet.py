"""The revision sheet: two pages, HTML or PDF, made from the bank, the ledger and `recommend`."""

import functools
import html
import math
from dataclasses import dataclass
from pathlib import Path

import fpdf
import matplotlib
import yaml

from tlcourse import config
from tlcourse.interview import entries

TITLE = "Transfer learning on two pages"
_MARGIN = 11  # millimetres


@dataclass(frozen=True)
class Line:
    """A line that measures something: its text, and the claims that it rests on."""

    text: str
    claims: dict[str, str]


@dataclass(frozen=True)
class Trap:
    """A mistake without a message, and the check that finds it."""

    trap: str
    check: str
    claims: dict[str, str]


@dataclass(frozen=True)
class Sheet:
    """Everything on the two pages.

    Attributes:
        start: rows of the decision table, the head first: label counts against similarities.
        rates: what to start from with Adam, one sentence.
        order: the steps, in order.
        numbers: what was measured.
        traps: mistakes without a message.
        frameworks: rows of a table, Keras beside PyTorch, the head first.
        formulas: one line each.
        answers: question and 30-second answer of each chapter.
    """

    start: tuple[tuple[str, ...], ...]
    rates: str
    order: tuple[str, ...]
    numbers: tuple[Line, ...]
    traps: tuple[Trap, ...]
    frameworks: tuple[tuple[str, str, str], ...]
    formulas: tuple[str, ...]
    answers: tuple[tuple[str, str], ...]


def content() -> Sheet:
    """What stands on the sheet.

    Raises:
        ValueError: a number in it was measured by no committed run.
    """
    raw = _raw()
    bank = entries.load().values()
    first = {entry.chapter: entry for entry in reversed(bank)}
    table, rates = _start()
    return Sheet(
        table,
        rates,
        tuple(raw["order"]),
        tuple(Line(entries.fill(n["text"], n["claims"]), n["claims"]) for n in raw["numbers"]),
        tuple(Trap(**trap) for trap in raw["traps"]),
        (("", "Keras", "PyTorch"), *(tuple(row.values()) for row in raw["frameworks"])),
        tuple(raw["formulas"]),
        tuple((f"{int(c)}. {e.question}", e.short) for c, e in sorted(first.items())),
    )


@functools.cache
def _raw() -> dict:
    return yaml.safe_load((entries.BANK / "sheet.yaml").read_text(encoding="utf-8"))


def contradictions() -> list[str]:
    """Where the sheet takes a claim for something else than the committed runs do."""
    raw = _raw()
    return [
        f"sheet.yaml takes {claim_id} to be {said}; the committed runs say "
        f"{entries.status(claim_id)}."
        for part in (*raw["numbers"], *raw["traps"])
        for claim_id, said in part["claims"].items()
        if said != entries.status(claim_id)
    ]


def _start() -> tuple[tuple[tuple[str, ...], ...], str]:
    """The decision table and the rates, from `freezing.recommend` itself."""
    with config._quiet_stderr():
        from tlcourse import freezing
        from tlcourse.freezing import recommending

    few, some = recommending.FEW, recommending.SOME
    sizes = {
        f"fewer than {few:,}": few - 1,
        f"{few:,} to {some - 1:,}": few,
        f"{some:,} or more": some,
    }
    kinds = {"low": "digits, spectrograms", "medium": "drawings, satellite", "high": "photographs"}
    head = ("labels", *(f"{kind} similarity ({kinds[kind]})" for kind in recommending.SIMILARITIES))
    rows, rates = [head], {}
    for name, size in sizes.items():
        found = [freezing.recommend(size, kind) for kind in recommending.SIMILARITIES]
        cells = [f"{r.strategy}; {_frozen(r.fraction)}" for r in found]
        rows.append((name, *cells))
        for r in found:
            rates["new head" if r.fraction == 1 else "fine-tuning"] = r.learning_rates
    said = [
        f"{what} {_power(low)} to {_power(high)}" for what, (low, high) in sorted(rates.items())
    ]
    return tuple(rows), "Adam: " + ", ".join(said) + "."


def _frozen(fraction: float) -> str:
    if fraction in (0, 1):
        return "freeze the whole backbone" if fraction else "freeze nothing"
    # No line ends between the number and its sign.
    return f"freeze {100 * fraction:.0f}\N{NO-BREAK SPACE}% of the parameters"


def _power(rate: float) -> str:
    return f"1e{math.floor(math.log10(rate) + 0.5)}"


def write(path: str | Path) -> None:
    """Write the sheet as PDF or HTML, by the end of the name.

    Raises:
        ValueError: the name ends in neither.
    """
    path = Path(path)
    writers = {".pdf": _pdf, ".html": _html}
    if path.suffix not in writers:
        raise ValueError(f"{path} is no name for a sheet; let it end in .pdf or .html.")
    made = writers[path.suffix](content())
    with config.atomic_path(path) as partial:
        partial.write_bytes(made)


# HTML

# On paper it has to fit two pages, of A4 and of the shorter Letter; on a screen it is to be read.
_STYLE = """
@page { margin: 9mm 11mm; }
body { font: 11pt/1.4 "DejaVu Sans", Verdana, sans-serif; color: #111; max-width: 250mm;
       margin: 4mm auto; padding: 0 4mm; }
h1 { font-size: 1.9em; margin: 0 0 1mm; }
h2 { font-size: 1.25em; margin: 0.8em 0 0.3em; color: #0072B2; break-after: avoid; }
p, li { margin: 0 0 0.15em; } ul, ol { margin: 0; padding-left: 2em; }
table { border-collapse: collapse; width: 100%; margin-bottom: 0.3em; }
th, td { border: 0.2mm solid #999; padding: 0.2em 0.5em; text-align: left; vertical-align: top; }
th { background: #eef4f9; }
.columns { columns: 2; column-gap: 6mm; } .columns div { break-inside: avoid; }
.columns h2 { font-size: 1em; margin-bottom: 0; }
.second { break-before: page; }
@media print {
  body { font-size: 7.4pt; line-height: 1.25; margin: 0; padding: 0; max-width: none; }
  .columns { font-size: 8.2pt; line-height: 1.3; }
}
@media screen and (max-width: 700px) { .columns { columns: 1; } }
"""


def _html(sheet: Sheet) -> bytes:
    def rows(table, head=True):
        for number, row in enumerate(table):
            tag = "th" if head and number == 0 else "td"
            cells = "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row)
            yield f"<tr>{cells}</tr>"

    def items(texts, tag="ul"):
        listed = "".join(f"<li>{html.escape(text)}</li>" for text in texts)
        return f"<{tag}>{listed}</{tag}>"

    traps = [("trap", "check"), *((trap.trap, trap.check) for trap in sheet.traps)]
    answers = "".join(
        f"<div><h2>{html.escape(question)}</h2><p>{html.escape(answer)}</p></div>"
        for question, answer in sheet.answers
    )
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{TITLE}</title><style>{_STYLE}</style></head>
<body><h1>{TITLE}</h1>
<h2>Where to start</h2><table>{"".join(rows(sheet.start))}</table>
<p>{html.escape(_CAPTION)} {html.escape(sheet.rates)}</p>
<h2>Order of work</h2>{items(sheet.order, "ol")}
<h2>{html.escape(_NUMBERS)}</h2>{items(line.text for line in sheet.numbers)}
<h2>Mistakes without a message</h2><table>{"".join(rows(traps))}</table>
<h2>Keras and PyTorch</h2><table>{"".join(rows(sheet.frameworks))}</table>
<h2>Formulas</h2>{items(sheet.formulas)}
<h1 class="second">The questions, 30 seconds each</h1><div class="columns">{answers}</div>
</body></html>
"""
    return page.encode()


_CAPTION = (
    "A start and no answer: similarity is a guess until you measure it, and the sizes are round "
    "numbers. Fit a head on frozen features first, then compare."
)
_NUMBERS = "Measured: means over the committed runs of the course"


# PDF


class _Page(fpdf.FPDF):
    def __init__(self):
        super().__init__(format="A4")
        fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        self.add_font("body", "", fonts / "DejaVuSans.ttf")
        self.add_font("body", "B", fonts / "DejaVuSans-Bold.ttf")
        self.set_margin(_MARGIN)
        self.set_auto_page_break(True, _MARGIN)
        self.set_title(TITLE)
        self.add_page()

    def headline(self, text: str) -> None:
        self.set_font("body", "B", 14)
        self.multi_cell(0, 7, text, new_x="LMARGIN", new_y="NEXT")

    def heading(self, text: str) -> None:
        self.ln(1.6)
        self.set_font("body", "B", 9)
        self.set_text_color(0, 114, 178)
        self.multi_cell(0, 4.6, text, new_x="LMARGIN", new_y="NEXT")
        self.set_text_color(17, 17, 17)

    def text_line(self, text: str, mark: str = "") -> None:
        self.set_font("body", "", 7.9)
        if mark:
            self.cell(5, 3.85, mark)
        self.multi_cell(0, 3.85, text, align="L", new_x="LMARGIN", new_y="NEXT")

    def grid(self, rows, widths) -> None:
        self.set_font("body", "", 7.7)
        self.set_draw_color(150, 150, 150)
        head = fpdf.FontFace(emphasis="BOLD", fill_color=(238, 244, 249))
        with self.table(
            rows,
            col_widths=widths,
            line_height=3.7,
            text_align="L",
            headings_style=head,
            padding=0.7,
        ):
            pass


def _pdf(sheet: Sheet) -> bytes:
    page = _Page()
    page.headline(TITLE)
    page.heading("Where to start")
    page.grid(sheet.start, (16, 28, 28, 28))
    page.ln(1)
    page.text_line(f"{_CAPTION} {sheet.rates}")
    page.heading("Order of work")
    for number, step in enumerate(sheet.order, start=1):
        page.text_line(step, f"{number}.")
    page.heading(_NUMBERS)
    for line in sheet.numbers:
        page.text_line(line.text, "–")
    page.heading("Mistakes without a message")
    traps = [("trap", "check"), *((trap.trap, trap.check) for trap in sheet.traps)]
    page.grid(traps, (56, 44))
    page.heading("Keras and PyTorch")
    page.grid(sheet.frameworks, (20, 40, 40))
    page.heading("Formulas")
    for formula in sheet.formulas:
        page.text_line(formula, "–")
    page.add_page()
    page.headline("The questions, 30 seconds each")
    _columns(page, sheet.answers)
    return bytes(page.output())


def _columns(page: _Page, answers: tuple[tuple[str, str], ...]) -> None:
    """Two columns, the left one filled first, no answer broken in two."""
    gap, size, leading = 6, 8.2, 4.05
    width = (page.w - 2 * _MARGIN - gap) / 2
    top, x = page.get_y() + 1, _MARGIN
    y = top

    def put(question: str, answer: str, dry_run: bool) -> float:
        height = 0.0
        for style, text in (("B", question), ("", answer)):
            page.set_font("body", style, size)
            page.set_xy(x, y + height)
            height += page.multi_cell(
                width, leading, text, align="L", dry_run=dry_run, output="HEIGHT"
            )
        return height + 2.2

    heights = [put(*pair, dry_run=True) for pair in answers]
    filled = 0.0
    for pair, height in zip(answers, heights, strict=True):
        if x == _MARGIN and filled + height / 2 > sum(heights) / 2:
            x, y = _MARGIN + width + gap, top
        y += put(*pair, dry_run=False)
        filled += height
