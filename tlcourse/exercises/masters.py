"""From a chapter's master, with solutions, to the learner's notebook, as nbgrader would make it.

For authors: `python -m tlcourse.exercises.masters` rebuilds all learner notebooks.
"""

import re
from pathlib import Path

from tlcourse import config

STUB = "...  # your code here"
_HERE = Path(__file__).parent
# In a clone, and in an installed package.
FOLDERS = (_HERE.parents[1] / "exercises" / "source", _HERE / "source")


def folder() -> Path:
    """The folder of the masters.

    Raises:
        FileNotFoundError: they were not installed.
    """
    for candidate in FOLDERS:
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(
        "The solutions are not installed here; they are in `exercises/source` of the repository."
    )


def find(chapter: str) -> Path:
    """The master of a chapter.

    Raises:
        FileNotFoundError: there is none.
    """
    for path in sorted(folder().glob(f"{chapter}_*.py")):
        return path
    raise FileNotFoundError(f"{folder()} has no master of chapter {chapter}.")


def read(path: Path):
    """A master as a notebook, with cell ids that stay the same from build to build."""
    import jupytext

    notebook = jupytext.read(path, fmt="py:percent")
    for index, cell in enumerate(notebook.cells):
        cell["id"] = cell.metadata.get("nbgrader", {}).get("grade_id", f"cell-{index:02}")
    notebook.metadata.pop("jupytext", None)
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def solution(task: str) -> str:
    """The code that solves a task, such as "03.2".

    Raises:
        FileNotFoundError: the masters were not installed.
    """
    name = "task-" + task.replace(".", "-")
    for cell in read(find(task[:2])).cells:
        if cell["id"] == name:
            lines = [x for x in cell.source.splitlines() if "### " not in x or " SOLUTION" not in x]
            return "\n".join(lines)
    raise FileNotFoundError(f"The master of chapter {task[:2]} has no cell {name}.")


def learner(path: Path):
    """The learner's notebook: solutions give way to a stub, hidden tests to nothing."""
    notebook = read(path)
    for cell in notebook.cells:
        cell.source = _without(cell.source, "SOLUTION", STUB)
        cell.source = _without(cell.source, "HIDDEN TESTS", None)
        cell.metadata.pop("nbgrader", None)
    return notebook


def _without(source: str, region: str, stub: str | None) -> str:
    pattern = rf"^([ \t]*)### BEGIN {region}$.*?^[ \t]*### END {region}$\n?"

    def replace(match: re.Match) -> str:
        return "" if stub is None else f"{match[1]}{stub}\n"

    return re.sub(pattern, replace, source, flags=re.DOTALL | re.MULTILINE).rstrip("\n")


def build(path: Path) -> str:
    """The text of the learner's notebook of a master."""
    import nbformat

    return nbformat.writes(learner(path)) + "\n"


def main() -> None:
    for path in sorted(folder().glob("*.py")):
        target = path.parents[1] / f"{path.stem}.ipynb"
        with config.atomic_path(target) as partial:
            partial.write_text(build(path), encoding="utf-8")
        print(f"Wrote {target.name}.")


if __name__ == "__main__":
    main()
