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


def test_the_bank_covers_what_is_asked_today():
    firsts = {entry.chapter: entry for entry in reversed(BANK.values())}
    further = [entry for entry in BANK.values() if entry not in firsts.values()]
    assert len(firsts) == 10 and len(further) >= 40
    assert {entry.field for entry in BANK.values()} == set(entries.FIELDS)
    assert all(entry.papers for entry in BANK.values())


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
    "distillation-choices": {
        "factor T squared is missing": ("loss = temperature**2 * ", "loss = "),
        "not T.": ("loss = temperature**2 * ", "loss = temperature * "),
        "KL(student, teacher)": ("(np.exp(p) * (p - q))", "(np.exp(q) * (q - p))"),
        "mean over the examples, not the sum": ("sum(axis=1).mean()", "sum()"),
        "mean is over examples only": (".sum(axis=1).mean()", ".mean()"),
        "sign is turned": ("(np.exp(q) - np.exp(p))", "(np.exp(p) - np.exp(q))"),
        "that of the sum": (" / len(student)", ""),
        "one of its two factors": ("gradient = temperature * ", "gradient = temperature**2 * "),
        "exp overflows": ("    z = z - z.max(axis=1, keepdims=True)\n", ""),
    },
    "which-backbone": {
        "votes for itself": ("    np.fill_diagonal(near, -np.inf)\n", ""),
        "not by zero": ("-np.inf", "0"),
        "divide each row by its length": (" / np.linalg.norm(features, axis=1, keepdims=True)", ""),
        "share of errors": ("said == labels", "said != labels"),
        "no percent": ("float(", "100 * float("),
        "the share has to be": ("[:, :k]", "[:, :k + 1]"),
    },
    "adaptation-under-label-shift": {
        "what the classifier said": ("np.linalg.solve(confusion, told)", "told"),
        "Wrong shares": ("solve(confusion, told)", "solve(confusion.T, told)"),
        "These are the weights": (" / len(said)\n", " / len(said_source)\n"),
        "below zero": ("np.clip(shares, 0, None)", "shares"),
        "one share for each class": (
            "return shares / shares.sum()",
            "return (shares / shares.sum())[shares > 1e-9]"),
        "add up to": ("return shares / shares.sum()", "return shares * 2"),
    },
    "knowing-what-it-does-not-know": {
        "empty bin": ("np.unique(place)", "range(bins)"),
        "cancel": (("abs(confidence", "(confidence"), ("return error", "return abs(error)")),
        "Every bin counts the same": (
            "mine.mean() * abs(", "1 / len(np.unique(place)) * abs("),
        "right class": (
            "probabilities.max(axis=1)", "probabilities[np.arange(len(labels)), labels]"),
        "belong to the last": (
            "np.minimum((confidence * bins).astype(int), bins - 1)",
            "np.where(confidence < 1, (confidence * bins).astype(int), -1)\n"
            "    place, confidence, right = (\n"
            "        a[place >= 0] for a in (place, confidence, right))"),
        "it has to be": ("abs(confidence[mine].mean() - right[mine].mean())",
                         "(confidence[mine].mean() - right[mine].mean()) ** 2"),
    },
}  # fmt: skip
SAID = {
    "no scale": "scale alpha / r is missing", "merged kernel": "another output than forward",
    "independent samples": "same images for a and b", "below zero": "can leave the range from 0",
}  # fmt: skip


def test_every_whiteboard_has_wrong_answers():
    assert set(WRONG) == set(BOARDS)


@pytest.mark.parametrize("name, said", [(n, s) for n, cases in WRONG.items() for s in cases])
def test_a_wrong_answer_at_the_whiteboard_gets_its_diagnosis(name, said):
    changes = WRONG[name][said]
    task = BOARDS[name]
    code = task.reference
    for old, new in [changes] if isinstance(changes[0], str) else changes:
        assert old in code
        code = code.replace(old, new)
    outcome = whiteboard.check(task, code)
    assert outcome.state == "wrong" and SAID.get(said, said) in outcome.message, outcome
