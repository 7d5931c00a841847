"""The real nbgrader, from the masters to the feedback, with a class of thirty.

Each hands in the exercises of chapter 03 in a way of their own; what that is worth is known.
"""

import importlib.util
import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import pytest

from tlcourse.classroom import course
from tlcourse.exercises import masters

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("nbgrader") is None, reason="needs the extra `classroom`"
    ),
    pytest.mark.skipif(os.name == "nt", reason="nbgrader's exchange needs Linux or macOS"),
]
NAMES = [f"learner{number:02}" for number in range(1, 31)]
# Several commands in one process: importing nbgrader takes seconds.
SEVERAL = """
import contextlib, json, os, sys
from jupyter_core.application import NoStart
from nbgrader.apps import NbGraderApp

for folder, arguments in json.load(sys.stdin):
    os.chdir(folder)
    app = NbGraderApp()
    app.initialize(arguments)
    with contextlib.suppress(NoStart):  # How a command says that it has ended.
        app.start()
    app.subapp.clear_instance()
"""

ASSIGNMENT = "03_learning_rates"
POINTS = {"03.1": 2, "03.2": 2, "03.3": 2, "03.4": 2, "03.5": 3, "03.6": 3}
TASKS = tuple(POINTS)

ALSO_RIGHT = {
    "03.1": """
guess = 20
def first_step(gradient, rate):
    return -rate * gradient / (abs(gradient) + 1e-7)
""",
    "03.2": """
def rate_at(step, warmup, total, peak):
    if warmup and step < warmup:
        return (step + 1) * (peak / warmup)
    return peak * math.cos(math.pi / 2 * (step - warmup) / (total - warmup)) ** 2
""",
    "03.3": """
def schedule_mended(epoch, rate):
    return (1e-3, 2e-4, 4e-5)[min(epoch // 5, 2)]
""",
    "03.4": """
def block_rates(blocks, top, decay):
    rates = [top]
    while len(rates) < blocks:
        rates.insert(0, rates[0] * decay)
    return rates[:blocks]
""",
    "03.5": """
def slower_mended(make_adam, rate, factor, gradients):
    adam = make_adam(rate)
    return [factor * adam.change(g) for g in gradients]
""",
    "03.6": """
def find_rate(rates, seeds, validate):
    found = {}
    def mean(rate):
        if rate not in found:
            scores = [validate(rate, s) for s in seeds]
            found[rate] = -1 if any(math.isnan(x) for x in scores) else sum(scores) / len(scores)
        return found[rate]
    best = max(rates, key=mean)
    while True:
        near = max((best / 10, best, best * 10), key=mean)
        if near == best:
            return max(found, key=found.get)
        best = near
""",
}
WRONG = {
    "03.1": """
guess = 1000
def first_step(gradient, rate):
    return -rate * gradient
""",
    "03.2": """
def rate_at(step, warmup, total, peak):
    return peak * min(1, step / (warmup or 1))
""",
    "03.3": """
def schedule_mended(epoch, rate):
    return rate * 0.2 if epoch in (5, 10) else rate
""",
    "03.4": """
def block_rates(blocks, top, decay):
    return [top * decay**i for i in range(blocks)]
""",
    "03.5": """
def slower_mended(make_adam, rate, factor, gradients):
    adam = make_adam(rate)
    return [adam.change(factor * g) for g in gradients]
""",
    "03.6": """
def find_rate(rates, seeds, validate):
    return max(rates, key=lambda rate: validate(rate, seeds[0]))
""",
}
RAISES = "def block_rates(blocks, top, decay):\n    return [top / 0 for _ in range(blocks)]"
UNFINISHED = "def block_rates(blocks, top, decay):\n    return [top * decay"
ENDLESS = "def block_rates(blocks, top, decay):\n    while True:\n        pass"
STUBBORN = """
def block_rates(blocks, top, decay):
    while True:
        try:
            blocks += 1
        except BaseException:
            pass
"""
WAITS = "while True:\n    pass"


@dataclass
class HandIn:
    """What one person hands in.

    Attributes:
        kind: right, partly right, untouched, crashing, endless, tampered.
        solved: tasks that get the solution of the master.
        code: what stands in the cell of a task instead.
        checks: what stands in the cell of its check instead of the check.
        dropped: tasks whose cell was deleted.
    """

    kind: str
    solved: tuple[str, ...] = ()
    code: dict[str, str] = field(default_factory=dict)
    checks: dict[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()

    @property
    def scores(self) -> dict[str, int]:
        """The points that each task has to get."""
        good = {*self.solved, *(t for t in self.code if self.code[t] is ALSO_RIGHT[t])}
        return {task: POINTS[task] * (task in good) for task in TASKS}


def _mixed(solved: tuple[str, ...], wrong: tuple[str, ...]) -> HandIn:
    return HandIn("partly right", solved, {task: WRONG[task] for task in wrong})


def _but(task: str, code: str, kind: str) -> HandIn:
    return HandIn(kind, tuple(t for t in TASKS if t != task), {task: code})


def _all(**facts) -> HandIn:
    return HandIn(facts.pop("kind", "right"), TASKS, **facts)


CLASS = [
    *(_all() for _ in range(5)),
    HandIn("right", (), ALSO_RIGHT),
    HandIn("right", TASKS[:3], {task: ALSO_RIGHT[task] for task in TASKS[3:]}),
    # Each task is solved by some and wrong with others.
    *(_but(task, WRONG[task], "partly right") for task in TASKS),
    _mixed(TASKS[:1], TASKS[1:]),
    _mixed(TASKS[:3], ()),
    _mixed(TASKS[4:], TASKS[:2]),
    *(HandIn("untouched") for _ in range(4)),
    _but("03.4", RAISES, "crashing"),
    _but("03.4", UNFINISHED, "crashing"),
    _but("03.6", "raise RuntimeError('out of memory')", "crashing"),
    HandIn("crashing", TASKS[:2], {"03.3": "import sys\n\nsys.exit('enough')"}),
    HandIn("crashing", TASKS[1:], dropped=("03.1",)),
    _but("03.4", ENDLESS, "endless"),
    _but("03.4", STUBBORN, "endless"),
    _but("03.6", WAITS, "endless"),
    HandIn("tampered", TASKS[:4], checks=dict.fromkeys(TASKS[4:], "check = print")),
    HandIn("tampered", (), {"03.1": "def check(*_):\n    return 'right'\n\n\nrequire = check"}),
]


@pytest.fixture(scope="module")
def nbgrader(tmp_path_factory):
    """Run a command of nbgrader in the course folder, as a teacher does."""
    folder = tmp_path_factory.mktemp("room") / "tl101"
    course.make(folder)
    own = tmp_path_factory.mktemp("own")
    names = ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "TLCOURSE_HOME")
    places = {name: str(own / name) for name in names}

    def call(*arguments, several=None, fails=False) -> str:
        """Run one command here, or `several`, each a folder and arguments."""
        command = ["-m", "nbgrader", *arguments] if several is None else ["-c", SEVERAL]
        done = subprocess.run(
            [sys.executable, *command], cwd=folder, input=json.dumps(several), timeout=900,
            capture_output=True, text=True, env={**os.environ, **places},
        )  # fmt: skip
        assert bool(done.returncode) == fails, done.stderr[-3000:]
        return done.stderr

    call.folder, call.own = folder, own
    return call


@pytest.fixture(scope="module")
def handed_out(nbgrader):
    """Every master, turned into what learners get, by nbgrader."""
    names = [path.stem for path in sorted(masters.folder().glob("*.py"))]
    here = str(nbgrader.folder)
    nbgrader(several=[(here, ["generate_assignment", name]) for name in names])
    made = {name: nbgrader.folder / "release" / name / f"{name}.ipynb" for name in names}
    return {name: nbformat.read(path, as_version=4) for name, path in made.items()}


def test_nbgrader_makes_the_learners_notebooks_of_the_course(handed_out):
    for path in sorted(masters.folder().glob("*.py")):
        ours = masters.learner(path)
        theirs = handed_out[path.stem]
        assert [(c.cell_type, c.source.rstrip()) for c in theirs.cells] == [
            (c.cell_type, c.source.rstrip()) for c in ours.cells
        ]


def fill_in(notebook, given: HandIn) -> None:
    kept = []
    for cell in notebook.cells:
        kind, _, number = cell.metadata.get("nbgrader", {}).get("grade_id", "").partition("-")
        task = number.replace("-", ".")
        if kind == "task" and task in given.dropped:
            continue
        if kind == "task" and task in given.solved:
            cell.source = masters.solution(task)
        if kind == "task" and task in given.code:
            cell.source = given.code[task]
        if kind == "check" and task in given.checks:
            cell.source = given.checks[task]
        kept.append(cell)
    notebook.cells = kept


@pytest.fixture(scope="module")
def graded(nbgrader, handed_out):
    """Release, hand in, collect, grade and write feedback; the folder of the course."""
    name = ASSIGNMENT
    nbgrader("release_assignment", name)
    released = nbgrader.folder / "exchange" / "tl101" / "outbound" / name / f"{name}.ipynb"
    submissions = []
    for learner, given in zip(NAMES, CLASS, strict=True):
        desk = nbgrader.own / learner
        (desk / name).mkdir(parents=True)
        notebook = nbformat.read(released, as_version=4)
        fill_in(notebook, given)
        nbformat.write(notebook, desk / name / f"{name}.ipynb")
        exchange = f"--Exchange.root={nbgrader.folder / 'exchange'}"
        who = ["--course", "tl101", "--student", learner]
        submissions.append((str(desk), ["submit", name, *who, exchange]))
    nbgrader(several=submissions)
    nbgrader("collect", name)
    nbgrader("autograde", name)
    nbgrader("generate_feedback", name)
    return nbgrader.folder


def scores_of(folder: Path) -> dict[str, dict[str, float]]:
    """Of each learner, the points of each task, as they stand in the gradebook."""
    query = """
        select student.id, base_cell.name, grade.auto_score, grade.needs_manual_grade
        from grade
        join base_cell on base_cell.id = grade.cell_id
        join submitted_notebook on submitted_notebook.id = grade.notebook_id
        join submitted_assignment on submitted_assignment.id = submitted_notebook.assignment_id
        join student on student.id = submitted_assignment.student_id
    """
    found = {}
    with sqlite3.connect(folder / "gradebook.db") as book:
        for learner, cell, score, by_hand in book.execute(query):
            assert not by_hand
            task = cell.removeprefix("check-").replace("-", ".")
            found.setdefault(learner, {})[task] = score
    return found


@pytest.fixture(scope="module")
def scores(graded) -> dict[str, dict[str, float]]:
    return scores_of(graded)


@pytest.mark.parametrize("learner, given", list(zip(NAMES, CLASS, strict=True)), ids=NAMES)
def test_everybody_gets_the_points_they_earned(scores, learner, given):
    assert scores[learner] == given.scores, given.kind


def test_the_class_is_as_the_course_promises():
    kinds = [given.kind for given in CLASS]
    assert len(kinds) == 30
    assert set(kinds) == {"right", "partly right", "untouched", "crashing", "endless", "tampered"}
    totals = {given.kind: sum(given.scores.values()) for given in CLASS}
    assert totals["right"] == sum(POINTS.values()) and totals["untouched"] == 0
    assert len({sum(given.scores.values()) for given in CLASS}) > 6


def feedback(folder: Path, learner: str) -> str:
    path = folder / "feedback" / learner / ASSIGNMENT / f"{ASSIGNMENT}.html"
    return path.read_text(encoding="utf-8")


def test_everybody_gets_feedback_with_what_the_checks_say(graded):
    for learner, given in zip(NAMES, CLASS, strict=True):
        page = feedback(graded, learner)
        total = sum(given.scores.values())
        assert f"(Score: {total:.1f} / 14.0)" in page
    wrong = NAMES[[given.code.get("03.4") for given in CLASS].index(WRONG["03.4"])]
    assert "03.4 · wrong." in feedback(graded, wrong)


def test_feedback_of_one_says_nothing_of_another(graded):
    untouched = NAMES[[given.kind for given in CLASS].index("untouched")]
    assert "0 of 6 solved" in feedback(graded, untouched)
    assert "of 6 solved" in feedback(graded, NAMES[0])


def test_grading_leaves_the_teachers_own_progress_alone(nbgrader, graded):
    assert not (nbgrader.own / "TLCOURSE_HOME").exists()


def test_a_hand_in_that_kills_its_kernel_is_named_and_left_to_the_teacher(nbgrader, graded):
    # It comes by mail, so it is collected from a folder.
    archive = graded / "downloaded" / ASSIGNMENT / "archive"
    archive.mkdir(parents=True)
    notebook = nbformat.read(graded / "release" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb", as_version=4)
    fill_in(notebook, HandIn("crashing", TASKS[:5], {"03.6": "import os\n\nos._exit(1)"}))
    nbformat.write(notebook, archive / f"late_{ASSIGNMENT}.ipynb")
    nbgrader("zip_collect", ASSIGNMENT)
    said = nbgrader("autograde", ASSIGNMENT, fails=True)
    assert "Kernel died" in said and "for student 'late'" in said
    assert "for student 'learner" not in said
    assert not (graded / "autograded" / "late" / ASSIGNMENT).exists()

    fill_in(notebook, HandIn("crashing", (), {"03.6": "find_rate = None"}))
    nbformat.write(notebook, graded / "submitted" / "late" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb")
    nbgrader("autograde", ASSIGNMENT, "--student", "late")
    assert scores_of(graded)["late"] == HandIn("crashing", TASKS[:5]).scores
    nbgrader("export")
    assert "late" in (graded / "grades.csv").read_text(encoding="utf-8")
