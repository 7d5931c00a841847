"""The bank of questions: what an entry holds, how it is read, and what it may not contradict."""

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import yaml

from tlcourse import claims

BANK = Path(__file__).parent / "bank"
LEVELS = ("junior", "mid", "senior")
FIELDS = (
    "foundations",
    "extract or fine-tune",
    "learning rates",
    "forgetting",
    "what to freeze",
    "choosing a backbone",
    "preprocessing",
    "crossing domains",
    "stages",
    "evaluation",
    "parameter-efficient tuning",
    "weight interpolation",
    "foundation-model features",
    "choosing checkpoints",
    "negative transfer",
    "normalisation layers",
    "leakage",
    "statistics of comparisons",
    "layer-wise rates",
    "test-time adaptation",
    "continual learning",
    "calibration and licences",
)
# What an entry says of a claim, by the verdict that the committed runs give it.
STATUS = {
    claims.HOLDS: "supported",
    claims.FAILS: "failed",
    claims.UNSETTLED: "unsettled",
    claims.NOT_RUN: "unsettled",
}
# People say 120 to 150 words a minute, and a short answer that was practised faster. The long
# answer may end before its three minutes; that of a chapter's own question fills them.
SHORT, LONG = (60, 95), (240, 480)
FULL, FOLLOW_UPS = 350, 8

# As safe as SafeLoader and some ten times as fast, where PyYAML was built with it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBER = re.compile(r"\{([a-z]\d\d-[\w-]+)\.(\w+)(?:([-/])(\w+))?(%?)\}")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class FollowUp:
    """What an interviewer asks next, with an id that stays when the order changes."""

    id: str
    question: str
    answer: str


@dataclass(frozen=True)
class Wrong:
    """An answer that is often given, and what is wrong with it."""

    says: str
    because: str


@dataclass(frozen=True)
class Choice:
    """One choice of a quiz, right or wrong, with the reason."""

    text: str
    correct: bool
    why: str


@dataclass(frozen=True)
class Quiz:
    """A question with one right choice."""

    question: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Whiteboard:
    """A task to be coded: `checker` runs after the code and asserts what has to come out."""

    task: str
    starter: str
    checker: str
    reference: str


@dataclass(frozen=True)
class Entry:
    """One question of the bank.

    Attributes:
        id: never changes once published, since the reader's progress hangs on it.
        chapter: two digits.
        field: one of `FIELDS`, under which reports count it.
        level: "junior", "mid" or "senior".
        minutes: that an interviewer gives it, with a follow-up or two.
        question: as an interviewer asks it.
        short: the answer in 30 seconds, to be spoken.
        long: the answer in up to three minutes, to be spoken.
        strong, adequate, weak: what an answer of that grade contains.
        rubric: four to seven points to mark an answer by.
        wrong: answers commonly given, and why they are wrong.
        follow_ups: what is asked next.
        claims: ids of the ledger, with what the entry takes their verdict to be.
        papers: with title and address.
        formula: in LaTeX, or None.
        figure: a name of `figures.FIGURES`, or None.
        quiz, whiteboard: or None.
    """

    id: str
    chapter: str
    field: str
    level: str
    minutes: int
    question: str
    short: str
    long: str
    strong: str
    adequate: str
    weak: str
    rubric: tuple[str, ...]
    wrong: tuple[Wrong, ...]
    follow_ups: tuple[FollowUp, ...]
    claims: Mapping[str, str]
    papers: tuple[str, ...]
    formula: str | None = None
    figure: str | None = None
    quiz: Quiz | None = None
    whiteboard: Whiteboard | None = None


@functools.cache
def load() -> dict[str, Entry]:
    """All entries by id, chapter by chapter.

    Raises:
        ValueError: an entry is not well formed; it names the file, the entry and the field.
    """
    return read(BANK)


def read(folder: str | Path) -> dict[str, Entry]:
    """The entries of the `NN.yaml` files of a folder.

    Raises:
        ValueError: as in `load`.
    """
    found: dict[str, Entry] = {}
    for path in sorted(Path(folder).glob("[0-9][0-9].yaml")):
        try:
            raw = yaml.load(path.read_text(encoding="utf-8"), _LOADER)
        except yaml.YAMLError as error:
            raise ValueError(f"{path.name} is no YAML: {error}") from None
        if not isinstance(raw, list) or not raw:
            raise ValueError(f"{path.name} holds {type(raw).__name__}; it has to be a list.")
        for number, item in enumerate(raw, start=1):
            entry = _Reader(path, number, item).entry()
            if entry.id in found:
                raise ValueError(f"{path.name}, {entry.id}: the id stands twice; keep one.")
            if number == 1 and (words := len(entry.long.split())) < FULL:
                raise ValueError(
                    f"{path.name}, {entry.id}, long: has {words} words; the question of a chapter "
                    f"needs {FULL} or more."
                )
            if number == 1 and len(entry.follow_ups) < FOLLOW_UPS:
                raise ValueError(
                    f"{path.name}, {entry.id}, follow_ups: there are {len(entry.follow_ups)}; the "
                    f"question of a chapter needs {FOLLOW_UPS} or more."
                )
            found[entry.id] = entry
    return found


class _Reader:
    """Reads one entry and says where it fails."""

    def __init__(self, path: Path, number: int, item):
        self.file, self.chapter = path.name, path.stem
        self.name = item.get("id", f"entry {number}") if isinstance(item, dict) else number
        self.item = item

    def fail(self, field: str, what: str) -> ValueError:
        return ValueError(f"{self.file}, {self.name}, {field}: {what}")

    def entry(self) -> Entry:
        self.known(self.item, Entry, "entry", given={"chapter"})
        claimed = self.claims()
        whole = {name: self.text(name) for name in ("id", "field", "level", "question")}
        for name in ("short", "long", "strong", "adequate", "weak"):
            whole[name] = self.filled(name, self.text(name), claimed)
        if not _SLUG.fullmatch(whole["id"]):
            raise self.fail("id", f"{whole['id']!r} needs small letters, digits and single dashes.")
        self.one_of("field", whole["field"], FIELDS)
        self.one_of("level", whole["level"], LEVELS)
        for name, (low, high) in {"short": SHORT, "long": LONG}.items():
            if not low <= (words := len(whole[name].split())) <= high:
                raise self.fail(
                    name, f"has {words} words; {low} to {high} can be said in its time."
                )
        minutes = self.item.get("minutes")
        if type(minutes) is not int or not 1 <= minutes <= 15:
            raise self.fail("minutes", f"is {minutes!r}; write a whole number from 1 to 15.")
        rubric = self.texts("rubric", self.item.get("rubric"), claimed)
        if not 4 <= len(rubric) <= 7:
            raise self.fail("rubric", f"has {len(rubric)} points; four to seven can be marked.")
        papers = self.texts("papers", self.item.get("papers", []), claimed)
        for paper in papers:
            if not re.search(r"https://\S+$", paper):
                raise self.fail("papers", f"{paper!r} has to end in its https address.")
        follow_ups = self.parts("follow_ups", FollowUp, claimed)
        ids = [follow_up.id for follow_up in follow_ups]
        for name in ids:
            if not _SLUG.fullmatch(name) or ids.count(name) > 1:
                raise self.fail("follow_ups", f"the id {name!r} is no single slug of its own.")
        return Entry(
            **whole, chapter=self.chapter, minutes=minutes, rubric=rubric, papers=papers,
            wrong=self.parts("wrong", Wrong, claimed, least=1), follow_ups=follow_ups,
            claims=claimed, formula=self.optional("formula"), figure=self.optional("figure"),
            quiz=self.quiz(claimed), whiteboard=self.whiteboard(),
        )  # fmt: skip

    def known(self, item, kind, where: str, given=frozenset()) -> None:
        """Refuse what is no mapping, lacks a field, or has one that is not known."""
        if not isinstance(item, dict):
            raise self.fail(where, f"is {type(item).__name__}; it has to be a mapping.")
        names = {field.name for field in fields(kind)} - given
        if unknown := sorted(set(item) - names):
            raise self.fail(str(unknown[0]), f"is no field of an {kind.__name__}.")
        needed = {field.name for field in fields(kind) if field.default is not None} - given
        if missing := sorted(needed - set(item)):
            raise self.fail(missing[0], "is missing.")

    def one_of(self, field: str, value: str, allowed: Iterable[str]) -> None:
        if value not in allowed:
            raise self.fail(field, f"is {value!r}; write one of {', '.join(allowed)}.")

    def text(self, field: str, value=None) -> str:
        value = self.item.get(field) if value is None else value
        if not isinstance(value, str) or not value.strip():
            raise self.fail(field, f"is {value!r}; it has to be text.")
        # A folded YAML block keeps paragraphs; within one, lines are one line.
        return "\n\n".join(" ".join(part.split()) for part in value.strip().split("\n") if part)

    def texts(self, field: str, values, claimed) -> tuple[str, ...]:
        if not isinstance(values, list):
            raise self.fail(field, f"is {type(values).__name__}; it has to be a list.")
        return tuple(self.filled(field, self.text(field, value), claimed) for value in values)

    def optional(self, field: str) -> str | None:
        return self.text(field) if field in self.item else None

    def parts(self, field: str, kind, claimed, least: int = 0) -> tuple:
        values = self.item.get(field)
        if not isinstance(values, list) or len(values) < least:
            raise self.fail(field, f"has to be a list of {least or 'none'} or more.")
        return tuple(self.part(field, kind, value, claimed) for value in values)

    def part(self, field: str, kind, value, claimed):
        self.known(value, kind, field)
        whole = {}
        for name, content in value.items():
            if isinstance(content, bool):
                whole[name] = content
            else:
                whole[name] = self.filled(field, self.text(f"{field}.{name}", content), claimed)
        return kind(**whole)

    def quiz(self, claimed) -> Quiz | None:
        if "quiz" not in self.item:
            return None
        value = self.item["quiz"]
        self.known(value, Quiz, "quiz")
        if not isinstance(value["choices"], list) or not 3 <= len(value["choices"]) <= 6:
            raise self.fail("quiz", "needs three to six choices.")
        choices = tuple(self.part("quiz", Choice, choice, claimed) for choice in value["choices"])
        if any(not isinstance(choice.correct, bool) for choice in choices):
            raise self.fail("quiz", "each choice needs `correct: true` or `correct: false`.")
        if sum(choice.correct for choice in choices) != 1:
            raise self.fail("quiz", "exactly one choice has to be correct.")
        return Quiz(self.text("quiz.question", value["question"]), choices)

    def whiteboard(self) -> Whiteboard | None:
        if "whiteboard" not in self.item:
            return None
        value = self.item["whiteboard"]
        self.known(value, Whiteboard, "whiteboard")
        for name in ("starter", "checker", "reference"):
            try:
                compile(value[name], name, "exec")
            except (SyntaxError, TypeError) as error:
                raise self.fail(f"whiteboard.{name}", f"is no Python: {error}.") from None
        return Whiteboard(**{**value, "task": self.text("whiteboard.task", value["task"])})

    def claims(self) -> dict[str, str]:
        value = self.item.get("claims")
        if not isinstance(value, dict):
            raise self.fail("claims", "has to be a mapping from ids to statuses; it may be {}.")
        for claim_id, status in value.items():
            if claim_id not in claims.load():
                raise self.fail("claims", f"there is no claim {claim_id!r} on the ledger.")
            self.one_of("claims", status, ("supported", "failed", "unsettled"))
        return value

    def filled(self, field: str, text: str, claimed: Mapping[str, str]) -> str:
        try:
            return fill(text, claimed)
        except ValueError as error:
            raise self.fail(field, str(error)) from None


def fill(text: str, claimed: Iterable[str]) -> str:
    """Put what the committed runs measured in place of every `{claim.number}`.

    `{claim.a-b}` is a difference, `{claim.a/b}` a ratio, and a % before the closing brace means
    times 100. Two digits are kept, three of what is the same in every run.

    Args:
        text: with braces for nothing else.
        claimed: the claims that it may draw on.

    Raises:
        ValueError: it draws on another claim, or on what no committed run measured.

    Example:
        >>> fill("Index 140 of {q02-index-140.layers} layers.", ["q02-index-140"])
        'Index 140 of 175 layers.'
    """

    def number(match: re.Match) -> str:
        claim_id, first, operator, second, percent = match.groups()
        if claim_id not in claimed:
            raise ValueError(f"{match[0]} is of a claim that `claims` does not list.")
        values = _rows()[claim_id].values
        try:
            estimate = values[first]
            value = estimate.mean
            other = values[second].mean if operator else 0
        except KeyError as error:
            raise ValueError(f"{match[0]}: no committed run measured {error}.") from None
        value = value / other if operator == "/" else value - other
        # What is the same in every run was counted, and may be said more exactly.
        digits = 3 if estimate.low == estimate.high and not operator else 2
        return _spoken(100 * value if percent else value, digits)

    filled = _NUMBER.sub(number, text)
    if "{" in filled:
        raise ValueError(f"{filled[filled.index('{') :][:40]!r} cannot be filled.")
    return filled


@functools.cache
def _rows() -> dict[str, claims.Row]:
    records = [record for claim_id in claims.load() for record in claims.reference(claim_id)]
    return {row.claim.id: row for row in claims.summarise(records)}


def _spoken(value: float, digits: int) -> str:
    """Nobody says more than two or three digits, and a new run should not change the sentence."""
    rounded = float(f"{value:.{digits}g}")
    said = f"{rounded:,.0f}" if rounded == round(rounded) else f"{rounded:g}"
    mantissa, _, power = said.partition("e")
    return mantissa.replace("-", "−") + (f"e{int(power)}" if power else "")


def status(claim_id: str) -> str:
    """What the committed runs make of a claim: "supported", "failed" or "unsettled"."""
    return STATUS[_rows()[claim_id].verdict]


def contradictions(entries: Iterable[Entry]) -> list[str]:
    """Where an entry takes a claim for something else than the committed runs do, a sentence each.

    A claim on which they disagree, or which none has measured, is unsettled and supports nothing.
    """
    return [
        f"{entry.chapter}.yaml, {entry.id}: it takes {claim_id} to be {said}; the committed runs "
        f"say {status(claim_id)}."
        for entry in entries
        for claim_id, said in entry.claims.items()
        if said != status(claim_id)
    ]
