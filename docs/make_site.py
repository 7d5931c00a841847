"""Make the course's site: `make site`, or `.venv/bin/python docs/make_site.py FOLDER`.

Sphinx reads one folder. The chapters lie in another one than the pages of docs/, and the ledger and
the reference are made; so everything is gathered below FOLDER's neighbour first. Addresses stay
what they are in the repository, so that a link between two chapters works here and there.
"""

import importlib
import inspect
import itertools
import pkgutil
import re
import shutil
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from sphinx.cmd.build import main as sphinx

import tlcourse
from tlcourse import claims
from tlcourse.cli import table

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
# Commands, and what teachers run through them; the pages say how.
COMMANDS = {"cli", "classroom"}


def make(site: Path) -> int:
    """Build the site; the exit status of Sphinx, for which a warning is an error."""
    pages, read = (site.with_name(f"{site.name}-{part}") for part in ("pages", "read"))
    gather(pages)
    options = ["-W", "--keep-going", "-E", "-q", "-c", DOCS, "-d", read]
    return sphinx([*map(str, options), str(pages), str(site)])


def gather(pages: Path) -> None:
    """Put everything that becomes a page, and the pictures on it, into one new folder."""
    shutil.rmtree(pages, ignore_errors=True)
    for folder in ("notebooks", "exercises", "docs/figures"):
        shutil.copytree(
            ROOT / folder, pages / folder,
            ignore=lambda _, names: [n for n in names if not n.endswith((".ipynb", ".png"))],
        )  # fmt: skip
    for file in (ROOT / "README.md", *DOCS.glob("*.md"), *DOCS.glob("*.json")):
        text = file.read_text(encoding="utf-8")
        # Sphinx follows links to anchors that it knows as its own.
        text = re.sub(r'^<a id="([\w-]+)"></a>$', r"(\1)=", text, flags=re.MULTILINE)
        (pages / file.name).write_text(text, encoding="utf-8")
    index = pages / "index.md"
    text = index.read_text(encoding="utf-8")
    listed = {"index", *text.splitlines()}
    others = sorted(page.stem for page in DOCS.glob("*.md") if page.stem not in listed)
    index.write_text(text.replace("OTHER PAGES", "\n".join(others)), encoding="utf-8")
    for name, text in (*ledger(pages), *reference()):
        (pages / name).parent.mkdir(exist_ok=True)
        (pages / name).write_text(text, encoding="utf-8")


def ledger(pages: Path) -> Iterator[tuple[str, str]]:
    """The claims over the committed runs, as one page, and a figure for each chapter beside it."""
    committed = Path(str(resources.files(claims) / "reference"))
    rows = claims.summarise(claims.read_ledger([committed]))
    groups = {
        chapter: list(group)
        for chapter, group in itertools.groupby(rows, key=lambda row: row.claim.chapter)
    }
    verdicts = (claims.HOLDS, claims.FAILS, claims.UNSETTLED, claims.NOT_RUN)
    counts = [
        f"| [{chapter}](#chapter-{chapter}) | "
        + " | ".join(str(sum(row.verdict == verdict for row in group)) for verdict in verdicts)
        + " |"
        for chapter, group in groups.items()
    ]
    text = [
        "# Claim ledger",
        f"All {len(rows)} claims over the committed runs: {table.counts(rows)}. {table.READING} "
        "`tlcourse ledger --html FILE` writes this page with your own runs among them.",
        "\n".join([f"| chapter | {' | '.join(verdicts)} |", "|---" + "|--:" * 4 + "|", *counts]),
    ]
    for chapter, group in groups.items():
        (notebook,) = (ROOT / "notebooks").glob(f"{chapter}_*.ipynb")
        text += [
            f"(chapter-{chapter})=\n## Chapter {chapter}",
            f"Measured in [](notebooks/{notebook.name}).",
            f"```{{raw}} html\n{table.cards(group)}\n```",
        ]
        if drawing := table.figure(group):
            table.save(drawing, pages / f"ledger-{chapter}.svg")
            text.append(
                f"![Measured values of chapter {chapter} with their intervals]"
                f"(ledger-{chapter}.svg)\n\n*{table.CAPTION}*"
            )
    yield "ledger.md", "\n\n".join([*text, f"```{{raw}} html\n<style>{table.STYLE}</style>\n```\n"])


def reference() -> Iterator[tuple[str, str]]:
    """A page for each room of the package: its public functions and classes."""
    names = sorted({module.name for module in pkgutil.iter_modules(tlcourse.__path__)} - COMMANDS)
    rooms = {
        name: importlib.import_module(f"tlcourse.{name}")
        for name in names
        if not name.startswith("_")
    }
    for name, room in rooms.items():
        # What another room shows already; Sphinx wants one place for each thing.
        again = [
            public
            for public in getattr(room, "__all__", ())
            if (home := _home(getattr(room, public))) != name
            and public in getattr(rooms.get(home), "__all__", ())
        ]
        excluded = f"   :exclude-members: {', '.join(again)}\n" if again else ""
        yield (
            f"reference/{name}.md",
            f"# tlcourse.{name}\n\n"
            f"```{{eval-rst}}\n.. automodule:: tlcourse.{name}\n   :members:\n{excluded}```\n",
        )
    rows = "\n".join(
        f"| [{name}]({name}.md) | {inspect.getdoc(room).splitlines()[0]} |"
        for name, room in rooms.items()
    )
    listed = "\n".join(rooms)
    yield (
        "reference/index.md",
        "# Reference\n\nWhat you can import, one page for each room of the package.\n\n"
        f"| `tlcourse.` | |\n|---|---|\n{rows}\n\n```{{toctree}}\n:hidden:\n\n{listed}\n```\n",
    )


def _home(thing) -> str:
    """The room that a function or a class is written in; empty for anything else."""
    package, _, inside = getattr(thing, "__module__", "").partition(".")
    return inside.partition(".")[0] if package == "tlcourse" else ""


if __name__ == "__main__":
    sys.exit(make(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "site").resolve()))
