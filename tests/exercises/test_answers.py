"""Every check accepts what is right and names what is wrong with the rest."""

from pathlib import Path

import pytest

from tlcourse.exercises import catalogue, trials
from tlcourse.exercises.judging import COMMON, judge

FOLDER = Path(__file__).parent / "answers"
TRIALS = [trial for path in sorted(FOLDER.glob("a*.py")) for trial in trials.load(path)]
# Wide, since another program may share the cores; the time of a check has a test of its own.
LIMIT = 300


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.name)
def test_an_answer_gets_what_it_deserves(trial):
    for seed in (0, 1):  # The cases of `check`, and those of the hidden tests.
        result = judge(catalogue.find(trial.task), trial.answer, seed, LIMIT)
        found = result.key if result.outcome != "right" else "right"
        assert found in (trial.diagnoses or ("right",)), result.message


@pytest.mark.parametrize("task", catalogue.tasks(), ids=lambda task: task.id)
def test_a_task_is_tried_from_all_sides(task):
    own = [trial for trial in TRIALS if trial.task == task.id]
    assert sum(not trial.diagnoses for trial in own) >= 2
    wrong = [trial.diagnoses[0] for trial in own if trial.diagnoses]
    assert len(wrong) >= 5
    assert set(task.diagnoses) <= set(wrong), "a diagnosis that no answer gets"


@pytest.mark.parametrize("task", catalogue.tasks(), ids=lambda task: task.id)
def test_a_task_says_what_a_learner_needs(task):
    assert task.kind in catalogue.KINDS and task.form in catalogue.FORMS
    assert (task.kind == "predict") == (task.form == "prediction")
    assert 1 <= task.minutes <= 30 and len(task.hints) >= 2
    assert not set(task.diagnoses) & set(COMMON)
    for sentence in (*task.hints, *task.diagnoses.values(), task.because):
        assert sentence.strip() == sentence and sentence[-1] in ".?:`", sentence
    assert judge(task, None).outcome == "not attempted"


@pytest.mark.parametrize("task", catalogue.tasks(), ids=lambda task: task.id)
def test_the_page_counts_the_answers_of_today(task):
    own = [trial.diagnoses for trial in TRIALS if trial.task == task.id]
    good, bad = own.count(()), len(own) - own.count(())
    page = (FOLDER.parents[2] / "docs" / "exercises.md").read_text(encoding="utf-8")
    row = f"| {task.id} | {task.title} | {task.kind} | {task.minutes} "
    assert f"{row}| {good} of {good} | {bad} of {bad} |" in page, "docs/make_exercise_table.py"


@pytest.mark.parametrize("chapter", catalogue.chapters())
def test_a_chapter_has_a_mix_of_tasks(chapter):
    tasks = catalogue.tasks(chapter)
    assert [task.id for task in tasks] == [f"{chapter}.{i}" for i in range(1, len(tasks) + 1)]
    assert 4 <= len(tasks) <= 6
    hunts = sum(task.kind in ("find the bug", "experiment") for task in tasks)
    assert 3 * hunts >= len(tasks)
