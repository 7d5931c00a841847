"""docs/coverage.md names only what exists, and listings in the chapters' prose do, too."""

import ast
import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import jupytext
import pytest

from tlcourse import claims
from tlcourse.interview import entries

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")
SCRIPTS = sorted((ROOT / "notebooks" / "scripts").glob("*.py"))
HEADING = re.compile(r"(?<![\w`*])(\d\d|phrasebook|pipeline) \*([^*]+)\*")
TEST = re.compile(r"`tests/([\w/]+\.py)::(?:(\w+)::)?(\w+)`")
CLAIM = re.compile(r"`([qk]\d\d-[\w-]+)`(?: (supported|unsettled|failed)\b)?")


def headings(text: str, mark: str = "#") -> set[str]:
    return set(re.findall(rf"^{mark}{{2,4}} (.+)$", text, re.MULTILINE))


HEADINGS = {
    path.name[:2]: headings(path.read_text(encoding="utf-8"), "# #") for path in SCRIPTS
} | {
    page: headings((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"))
    for page in ("phrasebook", "pipeline")
}  # fmt: skip


def has_test(path: str, group: str, name: str) -> bool:
    file = ROOT / "tests" / path
    if not file.is_file():
        return False
    body = ast.parse(file.read_text(encoding="utf-8")).body
    if group:
        body = [x for c in body if isinstance(c, ast.ClassDef) and c.name == group for x in c.body]
    return any(isinstance(x, ast.FunctionDef) and x.name == name for x in body)


def wrong(page: str) -> list[str]:
    """What a page of this kind names that does not exist, or that is otherwise."""
    found = [
        f"{place} has no heading {heading!r}"
        for place, heading in HEADING.findall(page)
        if heading not in HEADINGS.get(place, ())
    ]
    found += [f"there is no test {'::'.join(x)}" for x in TEST.findall(page) if not has_test(*x)]
    for claim, status in CLAIM.findall(page):
        if claim not in claims.load():
            found.append(f"there is no claim {claim}")
        elif status and status != entries.status(claim):
            found.append(f"{claim} is {entries.status(claim)}, not {status}")
    return found


def test_everything_named_exists():
    assert wrong(PAGE) == []


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("05 *The trap: BatchNormalisation*", "05 has no heading"),
        ("11 *Go on*", "11 has no heading"),
        ("phrasebook *Freeze a backbones*", "phrasebook has no heading"),
        ("`tests/freezing/test_select.py::test_nothing`", "no test"),
        ("`tests/test_forgetting.py::test_is_half_the_weighed_squared_distance`", "no test"),
        ("`tests/freezing/test_nowhere.py::test_nothing`", "no test"),
        ("`q05-nothing`", "no claim q05-nothing"),
        ("`q10-ten-times` supported", "q10-ten-times is unsettled"),
    ],
)
def test_what_does_not_exist_is_found(cell, said):
    assert len(wrong(cell)) == 1 and said in wrong(cell)[0]


def test_every_construct_and_every_defect_has_its_row():
    rows = re.findall(r"^\| ([SD]\d\d) \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)
    wanted = [f"S{i:02}" for i in range(1, 85)] + [f"D{i:02}" for i in range(1, 58)]
    assert [row[0] for row in rows] == wanted
    summary = {"S80", "S81"}  # their counterparts are tables of the page itself
    for name, _, here in rows:
        named = HEADING.findall(here) + TEST.findall(here) + CLAIM.findall(here)
        assert named or name in summary, name
    assert all(f"## {table}" in PAGE for table in ("Take-aways", "Mistakes"))


def test_each_chapter_is_named():
    assert {place for place, _ in HEADING.findall(PAGE)} == set(HEADINGS)


# Listings in prose: nothing runs them, so at least what they name has to exist.

LISTINGS = [
    pytest.param(code, id=f"{path.stem}-{i}")
    for path in SCRIPTS
    for i, code in enumerate(
        code
        for cell in jupytext.read(path).cells
        if cell.cell_type == "markdown"
        for code in re.findall(r"```python\n(.*?)```", cell.source, re.DOTALL)
    )
]
ROOMS = ("features", "forgetting", "freezing", "models", "multitask", "training")


def missing(code: str) -> list[str]:
    """Names of a listing that its libraries lack, and calls of ours that would be refused."""
    tree, known, found = ast.parse(code), {}, []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            if importlib.util.find_spec(module.split(".")[0]) is None:
                known |= {alias.asname or alias.name: None for alias in node.names}
                continue
            loaded = importlib.import_module(module)
            for alias in node.names:
                whole = isinstance(node, ast.Import)
                known[alias.asname or alias.name] = loaded if whole else getattr(loaded, alias.name)
    for room in ROOMS:
        known.setdefault(room, importlib.import_module(f"tlcourse.{room}"))
    known.setdefault("keras", importlib.import_module("keras"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (path := dotted(node.func)) and known.get(path[0]):
            target = known[path[0]]
            for name in path[1:]:
                target = getattr(target, name, None)
            if target is None:
                found.append(f"there is no {'.'.join(path)}")
            elif getattr(target, "__module__", "").startswith("tlcourse"):
                try:
                    inspect.signature(target).bind(
                        *node.args, **{word.arg: word.value for word in node.keywords}
                    )
                except TypeError as error:
                    found.append(f"{'.'.join(path)}: {error}")
    return found


def dotted(node) -> list[str]:
    """`a.b.c` as its parts; empty for what is no such chain."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute) and (start := dotted(node.value)):
        return [*start, node.attr]
    return []


@pytest.mark.parametrize("code", LISTINGS)
def test_a_listing_in_prose_names_what_exists(code):
    assert missing(code) == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("training.two_stages(model, x, y)", "there is no training.two_stages"),
        ("freezing.unfreeze(model, lasts=5)", "lasts"),
        ("keras.optimizers.Adams(1e-5)", "there is no keras.optimizers.Adams"),
    ],
)
def test_a_listing_that_would_not_run_is_found(code, said):
    assert len(missing(code)) == 1 and said in missing(code)[0]


def test_there_are_listings():
    assert len(LISTINGS) >= 10
