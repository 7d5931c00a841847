"""A chapter as slides: one HTML file that needs no network, no installation and no server."""

import html
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from tlcourse import config

WORDS = 120  # as many as fit, in letters that can be read from the back
BESIDE = 60  # as many as leave room for a figure, or for code
SIDES = ("width", "height")
LINES = 14  # of text that a program printed; more of it scrolls


@dataclass
class Slide:
    """One slide.

    Attributes:
        section: the heading that it stands under.
        parts: pieces of HTML, from top to bottom.
        starts: whether the section begins here.
        words: of its text; None once something else is on it.
    """

    section: str
    parts: list[str] = field(default_factory=list)
    starts: bool = False
    words: int | None = None


def write(notebook: Path, out: Path) -> int:
    """Write the slides of a chapter, with the outputs that are stored in its notebook.

    Text is divided at its paragraphs. Code that shows something is folded away above what it shows;
    code that shows nothing comes with the next that does.

    Args:
        notebook: an executed chapter.
        out: the file to write, NAME.html.

    Returns:
        How many slides there are.

    Raises:
        ValueError: the notebook was never executed, or the name does not end in .html.
    """
    import nbformat

    out = Path(out)
    if out.suffix != ".html":
        raise ValueError(f"Slides are written to an .html file, not to {out.name}.")
    document = nbformat.read(notebook, as_version=4)
    if not any(cell.get("outputs") for cell in document.cells):
        raise ValueError(f"{notebook} has no outputs to show; `tlcourse run` executes it.")
    made = cut(document)
    with config.atomic_path(out) as partial:
        partial.write_text(page(made), encoding="utf-8")
    return len(made)


def cut(document) -> list[Slide]:
    """The slides of a notebook."""
    made: list[Slide] = []
    waiting: list[str] = []  # code that has shown nothing yet
    section = ""

    def add(parts: list[str]) -> None:
        """To the text that leads to it, if that is short; otherwise a slide of its own."""
        if made and made[-1].words is not None and made[-1].words <= BESIDE:
            made[-1].parts += parts
            made[-1].words = None
        else:
            made.append(Slide(section, parts))
        waiting.clear()

    for cell in document.cells:
        if cell.cell_type == "markdown":
            if waiting:
                add([_code(waiting)])
            for section_, piece, starts in _pieces(cell.source, section):
                section = section_
                parts = [_text(piece)] if piece else []
                made.append(Slide(section, parts, starts, len(piece.split())))
        elif (
            cell.cell_type == "code"
            and "parameters" not in cell.metadata.get("tags", [])
            # What answers a click, a quiz or cards, has nothing to show on a slide.
            and not any("application/javascript" in o.get("data", {}) for o in cell.outputs)
        ):
            if cell.source.strip():
                waiting.append(cell.source)
            if shown := [part for output in cell.outputs if (part := _output(output))]:
                add([_code(waiting, folded=True), *shown])
    if waiting:
        add([_code(waiting)])
    return made


def page(made: list[Slide]) -> str:
    """The whole file."""
    files = resources.files("tlcourse.classroom") / "files"
    style, script, frame = (
        (files / name).read_text(encoding="utf-8")
        for name in ("slides.css", "slides.js", "slides.html")
    )
    title = next((slide.section for slide in made if slide.section), "Slides")
    body = []
    for number, slide in enumerate(made, 1):
        level = "h1" if slide.starts else "p"
        parts = "\n".join(slide.parts)
        body.append(
            f'<section id="{number}" class="{"start" if slide.starts else "more"}">'
            f'<{level} class="section">{slide.section}</{level}>\n{parts}\n</section>'
        )
    pieces = {
        "TITLE": re.sub(r"<[^>]+>", "", title),
        "STYLE": f"{style}\n{_colours()}",
        "SCRIPT": script,
        "SLIDES": "\n".join(body),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: pieces[match[1]], frame)


def _pieces(source: str, section: str) -> Iterator[tuple[str, str, bool]]:
    """Cut markdown at its headings, and at paragraphs where a slide would be too full."""
    starts, held, words = False, [], 0
    for block in _blocks(source):
        if heading := re.fullmatch(r"#{1,3}\s+(.+)", block):
            if held or starts:
                yield section, "\n\n".join(held), starts
            section, starts, held, words = _inline(heading[1]), True, [], 0
            continue
        count = len(block.split())
        # A line that announces a list, a table or code stays with it.
        announces = bool(held) and held[-1].endswith(":")
        if held and words + count > WORDS and not announces:
            yield section, "\n\n".join(held), starts
            starts, held, words = False, [], 0
        held.append(block)
        words += count
    if held or starts:
        yield section, "\n\n".join(held), starts


def _blocks(source: str) -> Iterator[str]:
    """Paragraphs, the points of a list, tables and blocks of code, each in one piece."""
    fence, held = False, []
    for line in source.strip().splitlines():
        opens = line.lstrip().startswith("```")
        point = re.match(r"([-*]|\d+\.)\s", line) and not fence
        heading = re.match(r"#{1,3}\s", line) and not fence
        if held and not fence and (not line.strip() or point or heading):
            yield "\n".join(held)
            held = []
        if heading:
            yield line.strip()
        elif line.strip() or fence:
            held.append(line)
        fence ^= opens
    if held:
        yield "\n".join(held)


def _text(source: str) -> str:
    from nbconvert.filters import markdown2html_mistune

    formulas: list[str] = []

    def keep(match: re.Match) -> str:
        if match[0].startswith("`"):
            return match[0]
        formulas.append(_formula(match[0].strip("$"), display=match[0].startswith("$$")))
        return f"FORMULA{len(formulas) - 1}HERE"

    pattern = r"```.*?```|`[^`\n]*`|\$\$.+?\$\$|\$[^$`\s](?:[^$`\n]*[^$`\s])?\$(?!\d)"
    source = re.sub(pattern, keep, source, flags=re.DOTALL)
    # A dollar that is left is no formula, whatever nbconvert would take it for.
    made = markdown2html_mistune(source.replace("$", "DOLLARHERE")).replace("DOLLARHERE", "$")
    made = re.sub(r"FORMULA(\d+)HERE", lambda match: formulas[int(match[1])], made)
    return f'<div class="text">{_cleaned(made)}</div>'


def _inline(source: str) -> str:
    found = re.search(r"<p>(.*)</p>", _text(source), re.DOTALL)
    return found[1] if found else html.escape(source)


def _cleaned(made: str) -> str:
    """Without what needs other files: scripts, pictures from elsewhere, links within the course."""
    made = re.sub(r"<script\b.*?</script>", "", made, flags=re.DOTALL | re.IGNORECASE)
    made = re.sub(r'<a class="anchor-link".*?</a>', "", made, flags=re.DOTALL)
    made = re.sub(r'<img\b[^>]*\bsrc="(?!data:)[^>]*>', "", made)
    return re.sub(
        r'<a\b[^>]*\bhref="(?!https?:)[^"]*"[^>]*>(.*?)</a>', r"\1", made, flags=re.DOTALL
    )


def _formula(source: str, display: bool) -> str:
    """A formula as a drawing, so that no library and no font has to come along."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import math_to_image

    size, drawing = 10.0, io.StringIO()
    # What mathtext calls otherwise, or does not need.
    plain = " ".join(source.split()).replace(r"\text{", r"\mathrm{").rstrip(" .")
    try:
        depth = math_to_image(f"${plain}$", drawing, FontProperties(size=size), format="svg")
    except ValueError:
        return f"<code>{html.escape(source)}</code>"
    svg = re.sub(r"<metadata>.*?</metadata>", "", drawing.getvalue(), flags=re.DOTALL)
    start = re.search(r"<svg\b[^>]*>", svg)
    width, height = (float(re.search(rf'{x}="([\d.]+)pt"', start[0])[1]) for x in SIDES)
    style = f"width:{width / size:.2f}em;height:{height / size:.2f}em"
    opening = (
        f'<svg viewBox="0 0 {width} {height}" style="{style};vertical-align:-{depth / size:.2f}em" '
        f'role="img" aria-label="{html.escape(plain)}">'
    )
    svg = opening + svg[start.end() :].replace("xlink:href", "href").strip()
    return f'<span class="formula">{svg}</span>' if display else svg


def _code(sources: list[str], folded: bool = False) -> str:
    from nbconvert.filters import Highlight2HTML

    colour = Highlight2HTML(pygments_lexer="python")
    made = "\n".join(colour(source) for source in sources)
    if folded:
        return f"<details><summary>code</summary>{made}</details>"
    return f'<div class="code">{made}</div>'


def _colours() -> str:
    from pygments.formatters import HtmlFormatter

    return HtmlFormatter(style="default").get_style_defs(".highlight")


def _output(output) -> str:
    """An output as HTML; empty if it shows nothing."""
    from nbconvert.filters import ansi2html

    if output.output_type == "stream":
        return _printed(ansi2html(output.text.rstrip())) if output.text.strip() else ""
    if output.output_type == "error":
        return _printed(html.escape(f"{output.ename}: {output.evalue}"))
    data = output.get("data", {})
    if "image/png" in data:
        return (
            f'<img src="data:image/png;base64,{"".join(data["image/png"].split())}" alt="figure">'
        )
    if "image/svg+xml" in data:
        return f'<div class="drawing">{_cleaned("".join(data["image/svg+xml"]))}</div>'
    if "text/html" in data:
        return f'<div class="shown">{_cleaned("".join(data["text/html"]))}</div>'
    if "text/markdown" in data:
        return _text("".join(data["text/markdown"]))
    text = "".join(data.get("text/plain", ""))
    # The name of an object is no news to anybody.
    return _printed(html.escape(text)) if text and not text.startswith("<") else ""


def _printed(text: str) -> str:
    size = ' class="long"' if text.count("\n") >= LINES else ""
    return f"<pre{size}>{text}</pre>"
