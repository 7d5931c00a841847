"""The schema of the bank: what it accepts, and where it says that an entry is wrong."""

import pytest

from tlcourse import claims
from tlcourse.evaluation import Estimate
from tlcourse.interview import entries


def test_a_good_entry_is_read(write, entry):
    [found] = entries.read(write(entry)).values()
    assert found.chapter == "01" and found.level == "mid" and found.minutes == 4
    assert found.rubric[0] == "It is small." and found.wrong[0].says == "A tool."
    assert found.follow_ups[7].id == "more-7"
    assert [choice.correct for choice in found.quiz.choices] == [True, False, False]
    assert found.whiteboard is None and found.formula is None


def test_paragraphs_are_kept_and_lines_are_joined(write, entry):
    entry["weak"] = "One\n\ntwo  three\n"
    assert entries.read(write(entry))["toy"].weak == "One\n\ntwo three"


def change(path, value):
    def changed(entry):
        *way, last = path.split(".")
        part = entry
        for step in way:
            part = part[int(step) if step.isdigit() else step]
        last = int(last) if last.isdigit() else last
        if value is None:
            del part[last]
        else:
            part[last] = value

    return changed


BROKEN = [
    ("id", "Not A Slug", "id: 'Not A Slug' needs small letters"),
    ("field", "cooking", "field: is 'cooking'; write one of foundations"),
    ("level", "expert", "level: is 'expert'; write one of junior, mid, senior"),
    ("minutes", 0, "minutes: is 0; write a whole number from 1 to 15"),
    ("minutes", True, "minutes: is True"),
    ("question", "", "question: is ''; it has to be text"),
    ("short", "Too short.", "short: has 2 words; 60 to 95"),
    ("long", "word " * 600, "long: has 600 words; 240 to 480"),
    ("long", "word " * 300, "long: has 300 words; the question of a chapter needs 350"),
    ("weak", None, "weak: is missing"),
    ("rubric", ["a", "b", "c"], "rubric: has 3 points; four to seven"),
    ("rubric", "a, b, c, d", "rubric: is str; it has to be a list"),
    ("wrong", [], "wrong: has to be a list of 1 or more"),
    ("wrong.0.because", None, "because: is missing"),
    ("follow_ups.0.id", "more-1", "follow_ups: the id 'more-1' is no single slug"),
    ("follow_ups.0.level", "mid", "level: is no field of an FollowUp"),
    ("follow_ups", [], "follow_ups: there are 0; the question of a chapter needs 8"),
    ("claims", ["q01-small-data-wins"], "claims: has to be a mapping"),
    ("claims", {"q99-nothing": "supported"}, "claims: there is no claim 'q99-nothing'"),
    ("claims", {"q01-small-data-wins": "true"}, "claims: is 'true'; write one of supported"),
    ("papers", ["A book without an address"], "papers: 'A book without an address' has to end"),
    ("colour", "red", "colour: is no field of an Entry"),
    ("quiz.choices", [], "quiz: needs three to six choices"),
    ("quiz.choices.1.correct", True, "quiz: exactly one choice has to be correct"),
    ("quiz.choices.0.correct", False, "quiz: exactly one choice has to be correct"),
    ("quiz.choices.0.correct", "yes", "quiz: each choice needs `correct: true`"),
    ("quiz.choices.2.why", None, "why: is missing"),
    ("strong", "About {nothing}.", "strong: '{nothing}.' cannot be filled"),
    ("strong", "About {q01-slice-80.layers}.", "strong: {q01-slice-80.layers} is of a claim that"),
]


@pytest.mark.parametrize("path, value, said", BROKEN)
def test_an_error_names_file_entry_and_field(write, entry, path, value, said):
    change(path, value)(entry)
    with pytest.raises(ValueError) as raised:
        entries.read(write(entry))
    name = "Not A Slug" if path == "id" else "toy"
    assert str(raised.value).startswith(f"01.yaml, {name}, {said}")


def test_a_broken_whiteboard_is_named(write, entry):
    entry["whiteboard"] = {"task": "T", "starter": "x = ", "checker": "", "reference": ""}
    with pytest.raises(ValueError, match="01.yaml, toy, whiteboard.starter: is no Python"):
        entries.read(write(entry))


def test_an_id_stands_once(write, entry):
    with pytest.raises(ValueError, match="01.yaml, toy: the id stands twice"):
        entries.read(write(entry, entry))


def test_only_the_first_entry_needs_eight_follow_ups(write, entry):
    second = {**entry, "id": "second", "follow_ups": []}
    assert list(entries.read(write(entry, second))) == ["toy", "second"]


@pytest.mark.parametrize("content, said", [
    ("- {a: ", "01.yaml is no YAML"), ("a: 1", "01.yaml holds dict"), ("", "01.yaml holds None"),
    ("- 3", "01.yaml, 1, entry: is int"),
])  # fmt: skip
def test_a_file_that_is_no_list_of_entries(tmp_path, content, said):
    (tmp_path / "01.yaml").write_text(content)
    with pytest.raises(ValueError) as raised:
        entries.read(tmp_path)
    assert str(raised.value).startswith(said)


# Numbers and verdicts of the ledger


@pytest.fixture
def ledger(monkeypatch):
    """A ledger of four claims, one of each verdict."""
    rule = ("they say", "false", "we assert", "-", "x > 0")
    toys = [claims.Claim(f"q01-{name}", "01", *rule) for name in ("yes", "no", "both", "none")]
    values = {
        "x": Estimate(0.1234, 0.1, 0.2, 3), "y": Estimate(-0.05, -0.1, 0, 3),
        "n": Estimate(175, 175, 175, 3), "big": Estimate(1234.5, 1000, 1300, 3),
        "share": Estimate(0.886, 0.886, 0.886, 3), "tiny": Estimate(3.84e-7, 3.84e-7, 3.84e-7, 3),
    }  # fmt: skip
    verdicts = (claims.HOLDS, claims.FAILS, claims.UNSETTLED, claims.NOT_RUN)
    rows = {
        claim.id: claims.Row(claim, verdict, values)
        for claim, verdict in zip(toys, verdicts, strict=True)
    }
    monkeypatch.setattr(entries, "_rows", lambda: rows)
    monkeypatch.setattr(claims, "load", lambda: {claim.id: claim for claim in toys})


@pytest.mark.parametrize("written, said", [
    ("{q01-yes.x}", "0.12"), ("{q01-yes.x%} points", "12 points"), ("{q01-yes.y%}", "−5"),
    ("{q01-yes.x-y%}", "17"), ("{q01-yes.n/x}", "1,400"), ("{q01-yes.n} layers", "175 layers"),
    ("{q01-yes.big}", "1,200"), ("{q01-yes.share%} %", "88.6 %"),
    ("{q01-yes.tiny}", "3.84e-7"),
])  # fmt: skip
def test_numbers_come_from_the_ledger(ledger, written, said):
    assert entries.fill(written, ["q01-yes"]) == said


def test_a_number_that_nobody_measured_is_refused(ledger):
    with pytest.raises(ValueError, match="no committed run measured 'z'"):
        entries.fill("{q01-yes.z}", ["q01-yes"])


@pytest.mark.parametrize("name, said, contradicted", [
    ("yes", "supported", False), ("yes", "failed", True), ("yes", "unsettled", True),
    ("no", "failed", False), ("no", "supported", True),
    ("both", "unsettled", False), ("both", "supported", True), ("both", "failed", True),
    ("none", "unsettled", False), ("none", "supported", True),
])  # fmt: skip
def test_a_contradiction_of_the_ledger_is_found(ledger, write, entry, name, said, contradicted):
    entry["claims"] = {f"q01-{name}": said}
    found = entries.contradictions(entries.read(write(entry)).values())
    assert len(found) == contradicted
    if found:
        assert found[0].startswith(f"01.yaml, toy: it takes q01-{name} to be {said};")
