"""The site: what is gathered for it, and, after `make site`, that it holds together offline."""

import importlib.util
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tlcourse import claims

for needed in ("sphinx", "myst_nb", "furo"):
    pytest.importorskip(needed)

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


def script(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def conf():
    return script("conf")


@pytest.fixture(scope="module")
def make_site():
    return script("make_site")


# what goes in


def test_every_room_that_others_import_from_has_its_page(make_site):
    rooms = {path.stem for path in (ROOT / "tlcourse").glob("[a-z]*.py")}
    rooms |= {path.parent.name for path in (ROOT / "tlcourse").glob("*/__init__.py")}
    pages = dict(make_site.reference())
    assert set(pages) == {f"reference/{room}.md" for room in rooms - {"cli", "classroom"}} | {
        "reference/index.md"
    }
    # A thing that two rooms export is shown where it is written.
    assert "exclude-members" not in pages["reference/models.md"]
    assert ":exclude-members: Preprocess\n" in pages["reference/preprocessing.md"]


def test_the_ledger_has_every_claim_and_a_figure_for_each_chapter(make_site, tmp_path):
    ((name, text),) = make_site.ledger(tmp_path)
    assert name == "ledger.md"
    assert all(f"id='{name}'" in text for name in claims.load())
    drawn = {path.stem for path in tmp_path.glob("*.svg")}
    assert drawn == {f"ledger-{name[:2]}" for name in CHAPTERS}
    row = re.search(r"^\| \[01\]\(#chapter-01\) \|(.*)\|$", text, re.MULTILINE)[1]
    in_chapter = [claim for claim in claims.load().values() if claim.chapter == "01"]
    assert sum(int(cell) for cell in row.split("|")) == len(in_chapter)


@pytest.mark.parametrize("markdown, rst", [
    (["`a`s, `b`."], ["``a``\\ s, ``b``."]),
    (["`(N,", "classes)`"], ["``(N,", "classes)``"]),
    (["*every* |x * y|"], ["*every* \\|x \\* y\\|"]),
    (["    low, high: ends"], ["    low/high: ends"]),
    (["| a | b |", "|---|--:|", "| `c` | d |"],
     [".. list-table::", "   :header-rows: 1", "", "   * - a", "     - b", "   * - ``c``",
      "     - d"]),
    ([">>> '`x`' * 2", "'`x`|`x`'", "", "`x`"], [">>> '`x`' * 2", "'`x`|`x`'", "", "``x``"]),
])  # fmt: skip
def test_docstrings_in_markdown_become_what_sphinx_reads(conf, markdown, rst):
    assert conf.as_rst(markdown) == rst


# what comes out


class Page(HTMLParser):
    """Addresses that a page loads as it opens, those that it links to, and its own anchors."""

    def __init__(self, text: str):
        super().__init__()
        self.loaded, self.links, self.anchors = [], [], set()
        self.feed(text)

    def handle_data(self, data):
        if self.lasttag == "script":
            # What a script would load later, when somebody clicks.
            self.loaded += re.findall(r"""\b(?:src|href)\s*=\s*["']((?:https?:)?//[^"']+)""", data)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.anchors |= {attrs[key] for key in ("id", "name") if attrs.get(key)}
        if tag == "a":
            self.links.append(attrs.get("href") or "")
        else:
            self.loaded += [
                attrs[key] for key in ("src", "href", "data", "poster", "srcset") if attrs.get(key)
            ]


def elsewhere(address: str) -> bool:
    parts = urlsplit(address)
    return bool(parts.netloc) or parts.scheme not in ("", "data")


def broken(folder: Path) -> list[str]:
    """Links between the pages of a folder that lead nowhere."""
    pages = {
        path.resolve(): Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")
    }
    found = []
    for path, page in pages.items():
        for link in page.links + page.loaded:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = pages[target].anchors if target in pages else None
            if not target.is_file() or (
                parts.fragment and known is not None and unquote(parts.fragment) not in known
            ):
                found.append(f"{path.relative_to(folder.resolve())}: {link}")
    return found


@pytest.fixture(scope="module")
def site() -> Path:
    if "TLCOURSE_SITE" not in os.environ:
        pytest.skip("`make site` builds the site, and then looks at it with these tests")
    return Path(os.environ["TLCOURSE_SITE"])


def test_what_is_loaded_from_elsewhere_and_what_is_missing_is_seen(tmp_path):
    (tmp_path / "a.html").write_text(
        '<script src="https://cdn.org/x.js"></script><img src="//cdn.org/x.png"><p id="here">'
        '<img src="data:image/png;base64,xx"><a href="https://arxiv.org">x</a>'
        '<a href="#here">x</a><a href="#gone">x</a><a href="b.ipynb">x</a>'
        "<script>script.src = 'https://cdn.org/late.js'; a.href = 'a.html'</script>"
    )
    page = Page((tmp_path / "a.html").read_text())
    assert [address.split("/")[-1] for address in page.loaded if elsewhere(address)] == [
        "x.js", "x.png", "late.js",
    ]  # fmt: skip
    assert broken(tmp_path) == ["a.html: #gone", "a.html: b.ipynb"]


def test_every_page_is_there(site):
    pages = ["index", "ledger", "exercises", "phrasebook", "pipeline", "interview", "teaching",
             "dependencies", "reference/index", *(f"notebooks/{name}" for name in CHAPTERS),
             *(f"exercises/{name}" for name in CHAPTERS)]  # fmt: skip
    assert [name for name in pages if not (site / f"{name}.html").is_file()] == []


def test_no_page_loads_anything_from_elsewhere(site):
    found = [
        f"{path.relative_to(site)}: {address}"
        for path in site.rglob("*.html")
        for address in Page(path.read_text(encoding="utf-8")).loaded
        if elsewhere(address)
    ]
    for path in site.rglob("*.css"):
        style = path.read_text(encoding="utf-8")
        found += re.findall(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""", style)
    assert found == []


def test_every_link_within_the_site_leads_somewhere(site):
    assert broken(site) == []


def test_a_chapter_shows_its_outputs_and_leads_to_the_next(site):
    page = (site / "notebooks" / f"{CHAPTERS[0]}.html").read_text(encoding="utf-8")
    assert f"{CHAPTERS[1]}.html" in page
    assert "HOLDS" in page and "_images/" in page


def test_formulas_are_drawn_by_the_browser(site):
    page = (site / "notebooks" / "04_forgetting.html").read_text(encoding="utf-8")
    assert "<math" in page
    assert not [address for address in Page(page).loaded if "mathjax" in address.lower()]
