"""Masters and learner notebooks: in step, solved passing everything, untouched passing nothing."""

import re
from pathlib import Path

import nbformat
import pytest

from tlcourse.exercises import catalogue, masters
from tlcourse.progress import Progress

SOURCES = sorted(masters.folder().glob("*.py"))
EXERCISES = masters.folder().parent
CHAPTERS = EXERCISES.parent / "notebooks" / "scripts"


def ids(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", SOURCES, ids=ids)
def test_the_stored_notebook_is_that_of_the_master(path):
    stored = (EXERCISES / f"{path.stem}.ipynb").read_text(encoding="utf-8")
    assert stored == masters.build(path), "run `python -m tlcourse.exercises.masters`"


def test_every_chapter_with_tasks_has_a_master_and_a_notebook():
    assert [path.stem[:2] for path in SOURCES] == catalogue.chapters()
    assert {p.stem for p in EXERCISES.glob("*.ipynb")} == {p.stem for p in SOURCES}


@pytest.mark.parametrize("path", SOURCES, ids=ids)
def test_a_learner_sees_no_solution_and_no_hidden_test(path):
    notebook = masters.learner(path)
    nbformat.validate(notebook)
    text = "\n".join(cell.source for cell in notebook.cells)
    assert "###" not in "\n".join(c.source for c in notebook.cells if c.cell_type == "code")
    assert "require" not in text
    tasks = catalogue.tasks(path.stem[:2])
    assert text.count(masters.STUB) >= len(tasks)


@pytest.mark.parametrize("path", SOURCES, ids=ids)
def test_a_master_is_in_the_format_of_nbgrader(path):
    """What nbgrader 0.9 validates, schema 3: see its `nbgraderformat/v3.py`."""
    cells = [
        (c, c.metadata["nbgrader"]) for c in masters.read(path).cells if "nbgrader" in c.metadata
    ]
    names = [facts["grade_id"] for _, facts in cells]
    assert len(set(names)) == len(names)
    for cell, facts in cells:
        keys = {"grade", "grade_id", "locked", "schema_version", "solution", "task"}
        assert set(facts) - {"points"} == keys and facts["schema_version"] == 3
        assert re.fullmatch(r"[\w-]+", facts["grade_id"]) and facts["task"] is False
        assert ("points" in facts) == facts["grade"] == facts["locked"] != facts["solution"]
        for region, wanted in (("SOLUTION", facts["solution"]), ("HIDDEN TESTS", facts["grade"])):
            begins = cell.source.count(f"### BEGIN {region}")
            assert begins == cell.source.count(f"### END {region}") and bool(begins) == wanted
    numbers = [task.id.replace(".", "-") for task in catalogue.tasks(path.stem[:2])]
    assert names == [f"{kind}-{number}" for number in numbers for kind in ("task", "check")]


@pytest.mark.parametrize("path", SOURCES, ids=ids)
def test_each_task_is_announced_with_its_kind_and_its_minutes(path):
    text = "\n".join(c.source for c in masters.read(path).cells if c.cell_type == "markdown")
    said = re.findall(r"^## (\d\d\.\d) · (.+) \((.+), (\d+) minutes\)$", text, re.MULTILINE)
    kinds = {"design an experiment": "experiment"}
    found = [(id, title, kinds.get(kind, kind), int(minutes)) for id, title, kind, minutes in said]
    tasks = catalogue.tasks(path.stem[:2])
    assert found == [(task.id, task.title, task.kind, task.minutes) for task in tasks]


def test_a_region_gives_way_to_the_stub_at_its_indentation():
    source = "def f(x):\n    ### BEGIN SOLUTION\n    return x\n    ### END SOLUTION\n\n\nf(1)"
    found = masters._without(source, "SOLUTION", masters.STUB)
    assert found == "def f(x):\n    ...  # your code here\n\n\nf(1)"
    assert (
        masters._without("a\n### BEGIN HIDDEN TESTS\nb\n### END HIDDEN TESTS", "HIDDEN TESTS", None)
        == "a"
    )


# One kernel runs all notebooks, as a learner would.


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run the cells of a notebook in a kernel; give back what the checks said of each task."""
    from jupyter_client.manager import KernelManager

    from tlcourse.cli.kernels import HereOnly

    class Manager(HereOnly, KernelManager):
        pass

    home = tmp_path_factory.mktemp("home")
    manager = Manager()
    manager.start_kernel(env=_environment(home))
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=60)

    def execute(code: str) -> None:
        reply = client.execute_interactive(code, timeout=120, output_hook=lambda _: None)
        content = reply["content"]
        assert content["status"] == "ok", f"{content['ename']}: {content['evalue']}\n{code}"

    def outcomes(notebook) -> dict[str, str]:
        with Progress(home / "progress.sqlite3") as kept:
            kept.reset()
        execute("%reset -f")
        for cell in notebook.cells:
            if cell.cell_type == "code":
                execute(cell.source)
        with Progress(home / "progress.sqlite3") as kept:
            return {attempt.exercise: attempt.event for attempt in kept.attempts()}

    yield outcomes
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def _environment(home: Path) -> dict[str, str]:
    import os

    return {**os.environ, "TLCOURSE_HOME": str(home), "TF_CPP_MIN_LOG_LEVEL": "3"}


@pytest.mark.parametrize("path", SOURCES, ids=ids)
def test_untouched_passes_nothing_and_solved_passes_all(path, run):
    tasks = [task.id for task in catalogue.tasks(path.stem[:2])]
    assert run(masters.learner(path)) == dict.fromkeys(tasks, "not attempted")
    # The master still has its hidden tests, which raise if they fail.
    assert run(masters.read(path)) == dict.fromkeys(tasks, "right")
