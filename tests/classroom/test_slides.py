"""Slides: one file that needs no other, with everything that a chapter shows."""

import html.parser
import re
from pathlib import Path

import nbformat
import pytest
from nbformat import v4
from typer.testing import CliRunner

from tlcourse.classroom import slides
from tlcourse.cli import app

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
PNG = "iVBORw0KGgo="


class Reader(html.parser.HTMLParser):
    """Collects what a page would load, and its text."""

    def __init__(self, text: str):
        super().__init__()
        self.loads, self.links, self.styles, self.words, self._inside = [], [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self._inside = tag
        for name, value in attributes:
            if name == "style":
                self.styles.append(value)
            elif tag == "a" and name == "href":
                self.links.append(value)
            elif name in ("src", "href", "xlink:href", "srcset", "data", "poster", "action"):
                self.loads.append(value)

    def handle_data(self, data):
        if self._inside == "style":
            self.styles.append(data)
        elif self._inside != "script":
            self.words += data.split()


def needs(text: str) -> list[str]:
    """What a page loads from outside itself."""
    page = Reader(text)
    found = [one for one in page.loads if not one.startswith(("data:", "#"))]
    for style in page.styles:
        found += re.findall(r"@import.*|url\(\s*['\"]?(?!#|data:)[^)]*\)", style)
    for script in re.findall(r"<script\b[^>]*>(.*?)</script>", text, re.DOTALL):
        found += re.findall(r"https?://\S+|\b(?:fetch|import|require)\s*\(|\bfrom\s+['\"]", script)
    return found


def deck(*cells) -> tuple[list[slides.Slide], str]:
    made = slides.cut(v4.new_notebook(cells=list(cells)))
    return made, slides.page(made)


def shown(mime: str, content: str, source: str = "show()"):
    return v4.new_code_cell(source, outputs=[v4.new_output("display_data", {mime: content})])


def test_a_quiz_is_left_to_the_notebook():
    quiz = v4.new_code_cell(
        "show_quiz()",
        outputs=[
            v4.new_output("display_data", {"text/html": "<div id='quiz'></div>"}),
            v4.new_output("display_data", {"application/javascript": "ask()"}),
        ],
    )
    made, text = deck(shown("text/plain", "before"), quiz, shown("text/plain", "after"))
    assert len(made) == 2 and "before" in text and "after" in text and "quiz" not in text


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_slides_of_a_chapter_need_nothing_and_lack_nothing(path, tmp_path):
    out = tmp_path / "chapter.html"
    count = slides.write(path, out)
    text = out.read_text(encoding="utf-8")
    assert needs(text) == []
    assert len(re.findall(r"<section id=", text)) == count
    assert not re.search(r"FORMULA\d|\$\$|\{\{", text)

    notebook = nbformat.read(path, as_version=4)
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    figures = [o.data["image/png"] for o in outputs if "image/png" in o.get("data", {})]
    assert [x for x in Reader(text).loads if x.startswith("data:image/png")] == [
        f"data:image/png;base64,{''.join(figure.split())}" for figure in figures
    ]
    headings = [
        line.lstrip("# ")
        for c in notebook.cells if c.cell_type == "markdown"
        for line in re.sub(r"```.*?```", "", c.source, flags=re.DOTALL).splitlines()
        if re.match(r"#{1,3} ", line)
    ]  # fmt: skip
    assert text.count('<h1 class="section">') == len(headings)
    # Every word of the prose, whatever became of its marks.
    prose = " ".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    plain = set(
        re.findall(r"[a-z]{4,}", re.sub(r"\$+[^$]*\$+|\]\([^)]*\)|```\w*", " ", prose).lower())
    )
    said = set(re.findall(r"[a-z]{4,}", " ".join(Reader(text).words).lower()))
    assert plain <= said


@pytest.mark.parametrize("part", [
    '<script src="https://x/y.js"></script>',
    '<link href="a.css">',
    '<img src="a.png">',
    "<style>@import 'x';</style>",
    "<style>a{background:url(https://x/f.woff)}</style>",
    "<script>import('https://x')</script>",
    '<p style="background:url(x.png)">',
])  # fmt: skip
def test_what_would_be_loaded_is_seen(part):
    assert needs(part)


def test_a_link_to_follow_and_a_figure_inside_load_nothing():
    assert needs('<a href="https://x/paper">paper</a><img src="data:image/png;base64,x">') == []


def test_what_an_output_would_load_is_left_out():
    _, page = deck(
        shown(
            "text/html",
            '<script src="https://x/y.js"></script><b>kept</b><img src="https://x/a.png">',
        )
    )
    assert needs(page) == [] and "<b>kept</b>" in page


def test_a_slide_starts_at_a_heading_and_is_never_too_full():
    long = " ".join(["word"] * 70)
    made, page = deck(v4.new_markdown_cell(f"# One & two\n\n{long}\n\n{long}\n\n## Three\n\nEnd."))
    assert [slide.starts for slide in made] == [True, False, True]
    assert [slide.words for slide in made] == [70, 70, 1]
    assert made[0].section == made[1].section == "One &amp; two" and made[2].section == "Three"
    assert "<title>One &amp; two</title>" in page


def test_a_hash_in_code_is_no_heading():
    made, _ = deck(
        v4.new_markdown_cell("Look:\n\n```python\n# not a heading\n\nx = 1\n```\n\nEnd.")
    )
    assert len(made) == 1 and "not a heading" in made[0].parts[0]


def test_code_is_folded_where_it_shows_something_and_comes_with_what_led_to_it():
    long, short = " ".join(["word"] * 100), " ".join(["word"] * 50)
    made, _ = deck(
        v4.new_markdown_cell(f"{long}\n\n{short}"),
        v4.new_code_cell("first = 1"),
        shown("image/png", PNG, "second = 2"),
        v4.new_markdown_cell("Short."),
        v4.new_code_cell("third = 3"),
        v4.new_markdown_cell(long),
        shown("text/plain", "42"),
    )
    _, figure, code, _, result = made
    assert re.search("<details>.*first.*second.*</details>", figure.parts[1], re.DOTALL)
    assert "word" in figure.parts[0] and PNG in figure.parts[2]
    assert "third" in code.parts[1] and "<details>" not in code.parts[1]
    assert result.parts[1:] == ["<pre>42</pre>"]


def test_a_formula_is_drawn_and_a_price_is_not():
    _, page = deck(v4.new_markdown_cell(r"A loss $L_\text{new}$ costs $5 or `$x$`." "\n\n$$a^2$$"))
    assert page.count("<svg") == 2 and "costs $5 or" in page and "<code>$x$</code>" in page


def test_a_formula_that_cannot_be_drawn_is_shown_as_it_was_written():
    _, page = deck(v4.new_markdown_cell(r"$\begin{matrix}a\end{matrix}$"))
    assert r"<code>\begin{matrix}a\end{matrix}</code>" in page


def test_markup_that_a_program_printed_stays_text():
    cell = v4.new_code_cell("print()", outputs=[v4.new_output("stream", text="<script>1</script>")])
    _, page = deck(cell)
    assert "&lt;script&gt;1&lt;/script&gt;" in page


def test_the_command_writes_where_it_is_told_and_says_so(tmp_path):
    source = tmp_path / "notebooks"
    source.mkdir()
    document = v4.new_notebook(
        cells=[v4.new_markdown_cell("# 03 · Rates"), shown("text/plain", "1")]
    )
    nbformat.write(document, source / "03_rates.ipynb")
    out = tmp_path / "three.html"
    call = ["slides", "3", "--notebooks", str(source), "--out"]
    done = CliRunner().invoke(app, [*call, str(out)])
    assert done.exit_code == 0 and "Wrote" in done.output and "03 · Rates" in out.read_text("utf-8")

    refused = CliRunner().invoke(app, [*call, str(tmp_path / "three.pdf")])
    assert refused.exit_code == 2 and ".html" in refused.output
    nbformat.write(v4.new_notebook(cells=[v4.new_markdown_cell("x")]), source / "03_rates.ipynb")
    empty = CliRunner().invoke(app, [*call, str(out)])
    assert empty.exit_code == 2 and "no outputs" in empty.output
