"""Count, for each exercise, which of the known answers its check tells apart.

Run it after a check or an answer changed: `.venv/bin/python docs/make_exercise_table.py`.
"""

from pathlib import Path

from tlcourse.exercises import trials

DOCS = Path(__file__).parent
HEADER = """# How well the exercises are checked

Each check was tried on correct answers, written in different ways, and on plausible wrong ones. A
wrong answer is *caught* if it does not pass. *Ways named* counts the mistakes that are recognised
and answered with a sentence of their own. The tests run all of these answers; this page is written
by `docs/make_exercise_table.py`.
"""

if __name__ == "__main__":
    answers = sorted((DOCS.parent / "tests" / "exercises" / "answers").glob("a*.py"))
    found = [trial for path in answers for trial in trials.load(path)]
    (DOCS / "exercises.md").write_text(f"{HEADER}\n{trials.table(found)}\n", encoding="utf-8")
