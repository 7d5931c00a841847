"""The bank itself: it agrees with the ledger, and every entry is complete."""

import re
from collections import Counter

import pytest

from tlcourse import claims
from tlcourse.interview import entries, figures, whiteboard

BANK = entries.load()
CHAPTERS = sorted({entry.chapter for entry in BANK.values()})


def every_text(entry):
    yield from (entry.question, entry.short, entry.long, entry.strong, entry.adequate, entry.weak)
    yield from entry.rubric
    for wrong in entry.wrong:
        yield from (wrong.says, wrong.because)
    for follow_up in entry.follow_ups:
        yield from (follow_up.question, follow_up.answer)
    if entry.quiz:
        yield entry.quiz.question
        for choice in entry.quiz.choices:
            yield from (choice.text, choice.why)


def test_no_entry_contradicts_the_committed_runs():
    assert entries.contradictions(BANK.values()) == []


def test_a_turned_verdict_would_be_noticed(monkeypatch):
    """The check above is no formality: let one claim of the bank fail, and it says so."""
    entry = next(entry for entry in BANK.values() if "supported" in entry.claims.values())
    claim_id = next(name for name, said in entry.claims.items() if said == "supported")
    row = entries._rows()[claim_id]
    turned = claims.Row(row.claim, claims.UNSETTLED, row.values, row.records)
    monkeypatch.setattr(entries, "_rows", lambda: {**REAL, claim_id: turned})
    assert any(claim_id in sentence for sentence in entries.contradictions(BANK.values()))


REAL = entries._rows()


@pytest.mark.parametrize("entry", BANK.values(), ids=BANK)
def test_an_entry_reads_well(entry):
    for text in every_text(entry):
        assert "!" not in text and not re.search(r"  |\bTODO\b|\.\.\.", text), text
        assert text[-1] in '.?)”"', text
    assert entry.question.endswith("?")
    assert entry.figure is None or entry.figure in figures.FIGURES
    questions = [follow_up.question for follow_up in entry.follow_ups]
    assert len(set(questions)) == len(questions) >= 3


def test_questions_are_asked_once():
    asked = Counter(entry.question for entry in BANK.values())
    asked.update(f.question for entry in BANK.values() for f in entry.follow_ups)
    assert [question for question, count in asked.items() if count > 1] == []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_has_modern_questions_and_a_quiz(chapter):
    members = [entry for entry in BANK.values() if entry.chapter == chapter]
    assert len(members) >= 4
    assert any(entry.quiz for entry in members)
    assert members[0].claims, "The question of a chapter rests on what the chapter measures."


BOARDS = {entry.id: entry.whiteboard for entry in BANK.values() if entry.whiteboard}


@pytest.mark.parametrize("name", BOARDS)
def test_a_whiteboard_takes_its_reference_and_no_starter(name):
    task = BOARDS[name]
    outcome = whiteboard.check(task, task.reference)
    assert outcome.state == "right", outcome
    assert whiteboard.check(task, task.starter).state == "not attempted"
    begun = whiteboard.check(task, task.starter + "\n# begun\n")
    assert begun.state in ("wrong", "raises")


WRONG = {
    "lora-or-full": {
        "divide it by the rank": ("alpha / rank", "alpha"),
        "no scale": ("alpha / rank * (x @ A.T)", "(x @ A.T)"),
        "merged kernel": ("W + alpha / A.shape[0] * B @ A", "W + B @ A"),
        "changed W itself": ("return W + alpha / A.shape[0] * B @ A",
                             "W += alpha / A.shape[0] * B @ A\n    return W"),
    },
    "is-the-gain-real": {
        "sign is turned": ("np.asarray(a, float) - np.asarray(b, float)",
                           "np.asarray(b, float) - np.asarray(a, float)"),
        "too narrow": ("[2.5, 97.5]", "[25, 75]"),
        "independent samples": (
            "low, high = np.percentile(gain[drawn].mean(axis=1), [2.5, 97.5])",
            "other = rng.integers(len(gain), size=drawn.shape)\n"
            "    a, b = np.asarray(a, float), np.asarray(b, float)\n"
            "    means = a[drawn].mean(axis=1) - b[other].mean(axis=1)\n"
            "    low, high = np.percentile(means, [2.5, 97.5])"),
        "same seed": ("default_rng(seed)", "default_rng()"),
    },
}  # fmt: skip
SAID = {
    "no scale": "scale alpha / r is missing", "merged kernel": "another output than forward",
    "independent samples": "same images for a and b",
}  # fmt: skip


@pytest.mark.parametrize("name, said", [(n, s) for n, cases in WRONG.items() for s in cases])
def test_a_wrong_answer_at_the_whiteboard_gets_its_diagnosis(name, said):
    old, new = WRONG[name][said]
    task = BOARDS[name]
    assert old in task.reference
    outcome = whiteboard.check(task, task.reference.replace(old, new))
    assert outcome.state == "wrong" and SAID.get(said, said) in outcome.message, outcome
