"""What every stored chapter keeps to. Each rule is itself tested on a notebook that breaks it."""

import ast
import copy
import re
import statistics
from pathlib import Path

import jupytext
import nbformat
import pytest

from tlcourse import claims

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

CHECKED = "nbval-check-output"
# nbval ignores a tag that it does not know, so a misspelt one would check nothing. `hide-` and
# `remove-` tags are for the website.
TAGS = {"parameters", CHECKED, "nbval-ignore-output", "nbval-skip"} | {
    f"{verb}-{part}" for verb in ("hide", "remove") for part in ("input", "output", "cell")
}
LONGEST_CELL, MEDIAN_CELL = 25, 10  # lines
LARGEST = 3_000_000  # bytes
LOCAL_PATH = re.compile(
    r"(?<![\w.:/~-])/(?:root|home|tmp|Users|private|mnt|var/folders|opt)/\w"
    r"|\b[A-Za-z]:\\+Users|site-packages"
)


def code(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def checked(notebook) -> list:
    return [cell for cell in code(notebook) if CHECKED in tags(cell)]


def start(cell) -> str:
    return repr(cell.source[:50])


def text_of(output) -> str:
    """What nbval compares of an output, as notebooks/conftest.py sets it up."""
    if output.output_type == "stream":
        return output.text if output.name == "stdout" else ""
    return output.get("data", {}).get("text/plain", "")


# The rules: from a notebook to what is wrong with it.


def one_typed_parameters_cell(notebook):
    cells = [cell for cell in code(notebook) if "parameters" in tags(cell)]
    if len(cells) != 1:
        return [f"{len(cells)} cells are tagged `parameters`; there has to be one"]
    typed = {
        statement.target.id: (ast.unparse(statement.annotation), ast.unparse(statement.value))
        for statement in ast.parse(cells[0].source).body
        if isinstance(statement, ast.AnnAssign) and statement.value
    }
    wanted = {"PROFILE": ("str", "'quick'"), "SEED": ("int", "0")}
    return [
        f"the parameters cell lacks `{name}: {kind} = {value.replace(chr(39), chr(34))}`"
        for name, (kind, value) in wanted.items()
        if typed.get(name) != (kind, value)
    ]


def only_known_tags(notebook):
    found = {tag for cell in notebook.cells for tag in tags(cell)} - TAGS
    comments = {
        c for cell in code(notebook) for c in re.findall(r"#\s*NBVAL\w*", cell.source, re.I)
    }
    return [f"tag {tag!r} means nothing here" for tag in sorted(found)] + [
        f"comment {comment!r}: use a tag" for comment in sorted(comments)
    ]


def run_once_from_top_to_bottom(notebook):
    counts = [cell.execution_count for cell in code(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        return [f"prompt numbers are {counts}; run it in one go (`tlcourse refresh`)"]
    return []


def something_is_checked(notebook):
    return [] if checked(notebook) else [f"no cell is tagged {CHECKED!r}"]


def checked_cells_have_something_to_compare(notebook):
    return [
        f"nothing that nbval compares stands below {start(cell)}"
        for cell in checked(notebook)
        if cell.execution_count is None
        or not any(re.sub(r"<[\w.]+ object>", "", text_of(o)).strip() for o in cell.outputs)
    ]


def checked_outputs_are_repeatable(notebook):
    return [
        f"an address or a time is in the checked output of {start(cell)}"
        for cell in checked(notebook)
        if re.search(
            r"\b0x[0-9a-f]{6,}|\d\s?ms\b|\d+:\d\d:\d\d", "".join(map(text_of, cell.outputs))
        )
    ]


def no_stored_errors_or_stderr(notebook):
    return [
        f"{start(cell)} stores {'an error' if output.output_type == 'error' else 'stderr'}"
        for cell in code(notebook)
        for output in cell.outputs
        if output.output_type == "error" or output.get("name") == "stderr"
    ]


def no_local_paths(notebook):
    found = []

    def look(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                if not key.startswith("image/"):  # base64 may look like anything
                    look(inner)
        elif isinstance(value, list):
            for inner in value:
                look(inner)
        elif isinstance(value, str) and (match := LOCAL_PATH.search(value)):
            found.append(f"a path of one machine: {value[max(0, match.start() - 20) :][:60]!r}")

    look(notebook)
    return found


def plain_metadata(notebook):
    kernel = notebook.metadata.get("kernelspec", {})
    found = []
    if (kernel.get("name"), kernel.get("language")) != ("python3", "python"):
        found.append("the kernel has to be python3, of the language python")
    extra = set(notebook.metadata) - {"kernelspec", "language_info"}
    extra |= {key for cell in notebook.cells for key in cell.metadata if key != "tags"}
    return found + [f"metadata {name!r} says nothing to a reader" for name in sorted(extra)]


def short_cells(notebook):
    lengths = [len(cell.source.splitlines()) for cell in code(notebook)]
    found = [
        f"{length} lines, {LONGEST_CELL} at most: {start(cell)}"
        for length, cell in zip(lengths, code(notebook), strict=True)
        if length > LONGEST_CELL
    ]
    if statistics.median(lengths) > MEDIAN_CELL:
        found.append(f"the median cell has more than {MEDIAN_CELL} lines")
    return found


def small_file(notebook):
    size = len(nbformat.writes(notebook).encode())
    return [] if size < LARGEST else [f"{size:,} bytes, {LARGEST:,} at most"]


def figures_are_spoken_of(notebook):
    """A figure has prose right before or after it, for those who do not see it, too."""
    found = []
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and any("image/png" in o.get("data", {}) for o in cell.outputs):
            beside = notebook.cells[max(0, index - 1) : index] + notebook.cells[index + 1 :][:1]
            prose = [c for c in beside if c.cell_type == "markdown" and len(c.source.split()) > 7]
            if not prose:
                found.append(f"no prose beside the figure of {start(cell)}")
    return found


def pictures_in_prose_work_offline_and_have_a_text(notebook):
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            if re.search(r"!\[[^\]]*\]\(https?:|<img[^>]+src=[\"']https?:", cell.source):
                found.append(f"a picture from the network: {start(cell)}")
            if re.search(r"!\[\s*\]\(|<img(?![^>]*\balt=[\"']\w)[^>]*>", cell.source):
                found.append(f"a picture without alternative text: {start(cell)}")
    return found


RULES = [
    one_typed_parameters_cell,
    only_known_tags,
    run_once_from_top_to_bottom,
    something_is_checked,
    checked_cells_have_something_to_compare,
    checked_outputs_are_repeatable,
    no_stored_errors_or_stderr,
    no_local_paths,
    plain_metadata,
    short_cells,
    small_file,
    figures_are_spoken_of,
    pictures_in_prose_work_offline_and_have_a_text,
]


def differences(notebook, script) -> list[str]:
    """Where a notebook and its script say different things."""

    def said(document):
        return [
            (cell.cell_type, cell.source.strip(), sorted(tags(cell))) for cell in document.cells
        ]

    ours, theirs = said(notebook), said(script)
    found = [
        f"cell {index}: the notebook has {one!r}, the script {other!r}"
        for index, (one, other) in enumerate(zip(ours, theirs, strict=False))
        if one != other
    ]
    if len(ours) != len(theirs):
        found.append(f"the notebook has {len(ours)} cells, the script {len(theirs)}")
    return found


# The chapters.


def test_there_are_chapters_and_each_has_its_script():
    scripts = {path.stem for path in (FOLDER / "scripts").glob("*.py")}
    assert NOTEBOOKS and {path.stem for path in NOTEBOOKS} == scripts
    assert all(re.fullmatch(r"\d\d_[a-z0-9_]+", path.stem) for path in NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_says_what_its_script_says(path):
    script = jupytext.read(FOLDER / "scripts" / f"{path.stem}.py")
    assert differences(nbformat.read(path, as_version=4), script) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_keeps_the_rule(path, rule):
    assert rule(nbformat.read(path, as_version=4)) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_chapter_checks_all_of_its_claims(path):
    source = "\n".join(cell.source for cell in code(nbformat.read(path, as_version=4)))
    wanted = {claim.id for claim in claims.load().values() if claim.chapter == path.name[:2]}
    assert wanted and {name for name in wanted if f'"{name}"' not in source} == set()


def verdicts_compared_wrongly(notebook) -> list[str]:
    """Verdicts that nbval does not compare, and those that it must not: seconds decide them."""
    found = []
    for cell in code(notebook):
        for name in re.findall(r"claims\.(?:check|cite)\(\s*\"([^\"]+)\"", cell.source):
            if (CHECKED in tags(cell)) == claims.get(name).timed:
                found.append(name)
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_verdicts_are_compared_unless_seconds_decide_them(path):
    assert verdicts_compared_wrongly(nbformat.read(path, as_version=4)) == []


def test_a_verdict_compared_wrongly_is_found(good):
    good.cells[4].source = 'verdict = claims.check(\n    "q02-fe-faster", full_seconds=3)'
    assert verdicts_compared_wrongly(good) == ["q02-fe-faster"]
    good.cells[4].source = 'claims.cite("q02-few-labels")'
    assert verdicts_compared_wrongly(good) == []
    del good.cells[4].metadata["tags"]
    assert verdicts_compared_wrongly(good) == ["q02-few-labels"]


# The rules, on a small notebook that keeps them all, and on that notebook spoilt.


def figure(payload="iVBORw0KGgo/tmp/x"):
    return nbformat.v4.new_output("display_data", data={"image/png": payload, "text/plain": "<F>"})


def printed(text, name="stdout"):
    return nbformat.v4.new_output("stream", name=name, text=text)


@pytest.fixture
def good():
    cells = [
        nbformat.v4.new_markdown_cell(
            "# 1 · A toy\n\n![a toy](figures/toy.png) of https://x.org/home/a"
        ),
        nbformat.v4.new_code_cell(
            'PROFILE: str = "quick"  # quick | full\nSEED: int = 0  # a seed'
        ),
        nbformat.v4.new_code_cell("plot(1)", outputs=[figure()]),
        nbformat.v4.new_markdown_cell("The curve on the left rises, the one on the right falls."),
        nbformat.v4.new_code_cell("print('frozen: 52')", outputs=[printed("frozen: 52\n")]),
    ]
    cells[1].metadata["tags"], cells[4].metadata["tags"] = ["parameters"], [CHECKED]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {
        "name": "python3", "language": "python", "display_name": "Python 3"
    }  # fmt: skip
    for count, cell in enumerate(code(notebook), 1):
        cell.execution_count = count
    return notebook


def parameters(source):
    return one_typed_parameters_cell, lambda nb: nb.cells[1].update(source=source)


def last(**changes):
    return lambda nb: nb.cells[4].update(**changes)


SPOILT = {
    "no parameters cell": (
        one_typed_parameters_cell, lambda nb: nb.cells[1].metadata.pop("tags")
    ),
    "untyped parameters": parameters('PROFILE = "quick"\nSEED: int = 0'),
    "wrong type": parameters('PROFILE: str = "quick"\nSEED: float = 0'),
    "other default": parameters('PROFILE: str = "full"\nSEED: int = 0'),
    "misspelt tag": (only_known_tags, lambda nb: nb.cells[4].metadata.update(tags=["nbval-chek"])),
    "tag as a comment": (only_known_tags, last(source="# NBVAL_CHECK_OUTPUT\nprint(1)")),
    "raises-exception": (
        only_known_tags, lambda nb: nb.cells[2].metadata.update(tags=["raises-exception"])
    ),
    "run out of order": (run_once_from_top_to_bottom, last(execution_count=7)),
    "not run": (run_once_from_top_to_bottom, last(execution_count=None)),
    "nothing checked": (something_is_checked, lambda nb: nb.cells[4].metadata.pop("tags")),
    "checked, without a count": (
        checked_cells_have_something_to_compare, last(execution_count=None)
    ),
    "checked, without output": (checked_cells_have_something_to_compare, last(outputs=[])),
    "checked, blank output": (
        checked_cells_have_something_to_compare, last(outputs=[printed(" \n")])
    ),
    "checked, only HTML": (
        checked_cells_have_something_to_compare,
        last(outputs=[nbformat.v4.new_output("display_data", data={
            "text/html": "<b>1</b>", "text/plain": "<IPython.core.display.HTML object>"})]),
    ),
    "an address": (
        checked_outputs_are_repeatable, last(outputs=[printed("<A at 0x7f12ab34cd56>")])
    ),
    "a time": (checked_outputs_are_repeatable, last(outputs=[printed("took 12 ms")])),
    "an error": (
        no_stored_errors_or_stderr,
        last(outputs=[nbformat.v4.new_output("error", ename="E", evalue="", traceback=[])]),
    ),
    "stderr": (no_stored_errors_or_stderr, last(outputs=[printed("warning", "stderr")])),
    "a path in an output": (no_local_paths, last(outputs=[printed("File /home/me/x.py")])),
    "a path in the source": (no_local_paths, last(source="open('/tmp/a.png')")),
    "a path of a package": (no_local_paths, last(outputs=[printed("lib/site-packages/x.py:1")])),
    "a Windows path": (no_local_paths, last(source="open('C:\\\\Users\\\\me')")),
    "papermill metadata": (plain_metadata, lambda nb: nb.metadata.update(papermill={})),
    "cell metadata": (plain_metadata, lambda nb: nb.cells[0].metadata.update(editable=True)),
    "another kernel": (plain_metadata, lambda nb: nb.metadata.kernelspec.update(name="venv")),
    "a long cell": (short_cells, last(source="x = 1\n" * 26)),
    "long cells": (short_cells, lambda nb: [c.update(source="x = 1\n" * 11) for c in code(nb)]),
    "a large file": (small_file, lambda nb: nb.cells[2].update(outputs=[figure("A" * LARGEST)])),
    "a bare figure": (figures_are_spoken_of, lambda nb: nb.cells.pop(3)),
    "a remote picture": (
        pictures_in_prose_work_offline_and_have_a_text,
        lambda nb: nb.cells[0].update(source="![a toy](https://example.org/a.png)"),
    ),
    "a picture without text": (
        pictures_in_prose_work_offline_and_have_a_text,
        lambda nb: nb.cells[0].update(source='<img src="figures/toy.png">'),
    ),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_accepts_the_good_notebook(good, rule):
    assert rule(good) == []


@pytest.mark.parametrize("name", SPOILT)
def test_a_rule_catches(good, name):
    rule, spoil = SPOILT[name]
    spoil(good)
    assert rule(good)


def test_every_rule_has_a_notebook_that_breaks_it():
    assert {rule for rule, _ in SPOILT.values()} == set(RULES)


def test_a_pair_in_step(good):
    script = jupytext.reads(jupytext.writes(good, "py:percent"), "py:percent")
    assert differences(good, script) == []


@pytest.mark.parametrize("change", [
    lambda nb: nb.cells[4].update(source="print('frozen: 51')"),
    lambda nb: nb.cells[3].update(source="The curve falls."),
    lambda nb: nb.cells[4].metadata.pop("tags"),
    lambda nb: nb.cells.pop(),
])  # fmt: skip
def test_a_pair_out_of_step(good, change):
    script = copy.deepcopy(good)
    change(script)
    assert differences(good, script)
