"""The interview in the terminal: a placement round, practice, a mock interview, a report."""

import datetime
import os
import random
import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from tlcourse.interview import entries, sessions, whiteboard
from tlcourse.progress import RATINGS, Answer, Interview, Progress

# How many follow-ups a mock interview asks after a question.
FOLLOW_UPS = 2
# An interview that was cut off can be taken up again for so long.
_RESUME = datetime.timedelta(hours=12)
# Seconds that an interviewer listens to an answer.
_QUESTION, _FOLLOW_UP = 180, 60


class _Stop(Exception):
    """The reader wants to stop, or the terminal is gone."""


def run(what: str | None, minutes: int, level: str, chapter: str | None, seed: int | None) -> None:
    """Run one part of the preparation.

    Args:
        what: "place", "practice", "mock" or "report"; None for what fits the reader's progress.
        minutes: of a mock interview.
        level: of a mock interview.
        chapter: only questions of this chapter, or None for all.
        seed: which questions a mock interview draws; None for others each time.

    Raises:
        ValueError: an unknown part, level or chapter, or a file of progress that is too new.
        OSError: the file of progress cannot be read or written.
    """
    parts = {"place": _place, "practice": _practice, "mock": _mock, "report": _report}
    if what is not None and what not in parts:
        raise ValueError(f"{what!r} is no part of it; write one of {', '.join(parts)}.")
    bank = entries.load()
    if chapter is not None:
        bank = {name: entry for name, entry in bank.items() if entry.chapter == chapter}
        if not bank:
            known = ", ".join(sorted({entry.chapter for entry in entries.load().values()}))
            raise ValueError(
                f"There are no questions on chapter {chapter!r}; there are on {known}."
            )
    with Progress() as kept:
        desk = _Desk(kept, bank, Console(highlight=False))
        if kept.notice:
            desk.say(kept.notice, "red")
        try:
            part = parts[what or _fitting(desk)]
            part(desk, minutes=minutes, level=level, seed=seed)
        except _Stop:
            desk.say("Stopped. What you answered is kept; the same command goes on.", "dim")


def _fitting(desk: "_Desk") -> str:
    """Placement until it is through, then practice."""
    reviews = desk.kept.reviews()
    if not reviews or reviews[-1].source == "placement" and _placement(desk)[0].next():
        return "place"
    return "practice"


class _Desk:
    """Progress, bank and screen, and the few ways in which they are used together."""

    def __init__(self, kept: Progress, bank: dict[str, entries.Entry], console: Console):
        self.kept, self.bank, self.console = kept, bank, console
        self.cards = sessions.cards(bank.values())

    def say(self, text: str, style: str | None = None, indent: int = 0) -> None:
        self.console.print(Padding(escape(text), (0, 0, 0, indent), expand=False), style=style)

    def title(self, text: str) -> None:
        self.console.print()
        self.console.rule(escape(text), align="left", style="dim")

    def ask(self, prompt: str) -> str:
        *above, last = prompt.split("\n")
        if above:
            self.say("\n".join(above))
        self.console.file.flush()
        try:
            # The prompt goes through input, so that editing a line does not run over it.
            return input(f"{last} ")
        except (EOFError, KeyboardInterrupt):
            self.console.print()
            raise _Stop from None

    def choose(self, prompt: str, allowed: str) -> str:
        """One of the letters or digits allowed."""
        while True:
            said = self.ask(prompt).strip().lower()[:1]
            if said == "q":
                raise _Stop
            if said and said in allowed:
                return said
            self.say(f"Write one of {', '.join(allowed)}, or q to stop.", "dim")

    def listen(self, seconds: float | None = None) -> tuple[str, float]:
        """What the reader types up to an empty line, and how long that, or speaking, took."""
        start = time.monotonic()
        clock = f" {_clock(seconds)} left." if seconds is not None else ""
        prompt = f"Answer aloud and press Enter, or type; an empty line ends it.{clock}\n>"
        lines = []
        while line := self.ask(prompt if not lines else ">").strip():
            if not lines and line == "q":
                raise _Stop
            lines.append(line)
        return "\n".join(lines), time.monotonic() - start

    def reveal(self, card: sessions.Card) -> None:
        self.console.print()
        for part in card.answer.split("\n\n"):
            self.say(part, "green", indent=2)

    def rate(self) -> int:
        shown = ", ".join(f"{number} {word}" for number, word in RATINGS.items())
        return int(self.choose(f"How was yours? {shown}:", "1234"))

    def mark(self, entry: entries.Entry) -> list[bool]:
        """Mark an answer point by point on the rubric."""
        self.say("Which of these points did you make? Be strict: what you only meant is a no.")
        return [self.choose(f"\n{point}\n[y/n]", "yn") == "y" for point in entry.rubric]

    def more(self, entry: entries.Entry) -> None:
        """The long answer and the traps, for who wants them."""
        if self.choose("Read the 3-minute answer and the wrong ones? [y/n]", "yn") == "n":
            return
        self.console.print()
        for part in entry.long.split("\n\n"):
            self.say(part + "\n", indent=2)
        for wrong in entry.wrong:
            self.say(f"Wrong: “{wrong.says}” {wrong.because}", "yellow", indent=2)
        for paper in entry.papers:
            self.say(paper, "dim", indent=2)


# Placement


def _placement(desk: _Desk) -> tuple[sessions.Placement, int]:
    """The round as far as it has come, and how many questions that are."""
    placement = sessions.Placement(desk.bank.values())
    since = datetime.datetime.now(datetime.UTC) - _RESUME
    given = {
        review.card: review.rating
        for review in desk.kept.reviews()
        if review.source == "placement" and review.time > since
    }
    return placement, placement.resume(given)


def _place(desk: _Desk, **_) -> None:
    """Two questions a chapter, rated by oneself or by a quiz; the first reviews of these cards."""
    placement, done = _placement(desk)
    if not placement.next():
        placement, done = sessions.Placement(desk.bank.values()), 0
    left = placement.length - done
    desk.say(
        f"{_questions(left)}, about a minute each. Answer each in 30 seconds, aloud, before you "
        "look. q stops at any time."
    )
    while entry := placement.next():
        done += 1
        desk.title(f"{done} of {placement.length} · chapter {entry.chapter} · {entry.level}")
        rating = _quizzed(desk, entry) if entry.quiz and done % 2 == 0 else _asked(desk, entry)
        desk.kept.add_review(entry.id, rating, "placement")
        placement.rate(rating)
    _report(desk)
    desk.say("`tlcourse interview` goes on with practice: what you did not know comes first.")


def _asked(desk: _Desk, entry: entries.Entry) -> int:
    desk.say(entry.question, "bold")
    desk.listen()
    desk.reveal(desk.cards[entry.id])
    return desk.rate()


def _quizzed(desk: _Desk, entry: entries.Entry) -> int:
    """Ask by the quiz, which is marked by itself: right is good, wrong is again."""
    choices = list(entry.quiz.choices)
    random.shuffle(choices)
    desk.say(entry.quiz.question, "bold")
    letters = "abcdef"[: len(choices)]
    for letter, choice in zip(letters, choices, strict=True):
        desk.say(f"{letter}) {choice.text}", indent=2)
    chosen = choices[letters.index(desk.choose("Which one?", letters))]
    desk.say(f"{'Right' if chosen.correct else 'Wrong'}. {chosen.why}", "green")
    if not chosen.correct:
        right = next(choice for choice in choices if choice.correct)
        desk.say(f"It is {letters[choices.index(right)]}. {right.why}", "green")
    return 3 if chosen.correct else 1


# Practice


def _practice(desk: _Desk, **_) -> None:
    """Cards that are due, then some that were never asked."""
    now = datetime.datetime.now(datetime.UTC)
    waiting = sessions.due(desk.cards, desk.kept.reviews(), now)
    if not waiting:
        coming = sessions.next_due(desk.kept.reviews(), desk.cards)
        when = f" The next card is due on {coming.astimezone():%d %B, %H:%M}." if coming else ""
        desk.say(f"Nothing is due.{when} `tlcourse interview mock` is always possible.")
        return
    desk.say(
        f"{len(waiting)} cards. Answer aloud before you look; what you rate 1 comes again at the "
        "end. q stops at any time."
    )
    for number, card in enumerate(waiting, start=1):  # It grows while it is gone through.
        desk.title(f"{number} of {len(waiting)} · {card.entry.field}")
        desk.say(card.question, "bold")
        desk.listen()
        desk.reveal(card)
        rating = desk.rate()
        desk.kept.add_review(card.id, rating, "practice")
        if rating == 1:
            waiting.append(card)
        elif card.id == card.entry.id:
            desk.more(card.entry)
    _report(desk)


# Mock interview


def _mock(desk: _Desk, minutes: int, level: str, seed: int | None) -> None:
    interview = _resumed(desk)
    if interview is None:
        seed = random.randrange(2**31) if seed is None else seed
        chosen = sessions.plan(desk.bank.values(), minutes, level, seed, desk.kept.reviews())
        number = desk.kept.start_interview(
            {"minutes": minutes, "level": level, "seed": seed, "cards": [e.id for e in chosen]}
        )
        interview = _of(desk, number)
        desk.say(
            f"A mock interview: {minutes} minutes, {level}, {_questions(len(chosen))} with "
            "follow-ups. The clock runs while you answer and stands while you mark. q stops it."
        )
    # By hand and not by name: an update of the course may have dropped a question.
    for name in (n for n in interview.plan["cards"] if n in desk.bank):
        if not _question(desk, interview.id, desk.bank[name]):
            break
    desk.kept.finish_interview(interview.id)
    _marked(desk, _of(desk, interview.id))


def _resumed(desk: _Desk) -> Interview | None:
    """The interview that was cut off, if there is one and the reader wants it back."""
    found = desk.kept.interviews()
    if not found or found[-1].finished:
        return None
    last = found[-1]
    if datetime.datetime.now(datetime.UTC) - last.time > _RESUME:
        return None
    asked = sum(answer.card in last.plan["cards"] for answer in last.answers)
    question = f"You stopped after {asked} of {len(last.plan['cards'])} questions. Go on? [y/n]"
    if desk.choose(question, "yn") == "y":
        return last
    desk.kept.finish_interview(last.id)
    return None


def _question(desk: _Desk, number: int, entry: entries.Entry) -> bool:
    """Ask a question and its follow-ups, as far as they have not been; False if time is out."""
    interview = _of(desk, number)
    answers = {answer.card: answer for answer in interview.answers}
    given = answers.get(entry.id)
    if given is None:
        if _left(interview) <= 0:
            desk.say("\nTime is out.", "bold")
            return False
        position = interview.plan["cards"].index(entry.id) + 1
        desk.title(f"question {position} of {len(interview.plan['cards'])} · {entry.field}")
        given = _answered(desk, number, desk.cards[entry.id], _QUESTION)
    if given.marks is None:
        desk.reveal(desk.cards[entry.id])
        marks = desk.mark(entry)
        desk.kept.mark(given.id, marks)
        desk.kept.add_review(entry.id, sessions.rating_of(marks), "mock")
        made = sum(marks)
        desk.say(f"{made} of {len(marks)} points in {_clock(given.seconds)}.")
        if made < len(marks):
            desk.say(f"A strong answer: {entry.strong}", "dim")
            desk.more(entry)
    for follow_up in _drawn(interview, entry):
        card = desk.cards[f"{entry.id}/{follow_up.id}"]
        given = answers.get(card.id)
        if given is None:
            if _left(_of(desk, number)) <= 0:
                return True
            desk.say("\nThe interviewer goes on.", "dim")
            given = _answered(desk, number, card, _FOLLOW_UP)
        if given.marks is None:
            desk.reveal(card)
            rating = desk.rate()
            desk.kept.mark(given.id, [rating >= 3])
            desk.kept.add_review(card.id, rating, "mock")
    return True


def _drawn(interview: Interview, entry: entries.Entry) -> list[entries.FollowUp]:
    """The same follow-ups each time that this interview is taken up."""
    draw = random.Random(f"{interview.plan['seed']} {entry.id}")
    return draw.sample(entry.follow_ups, min(FOLLOW_UPS, len(entry.follow_ups)))


def _answered(desk: _Desk, number: int, card: sessions.Card, allowed: float) -> Answer:
    desk.say(card.question, "bold")
    said, seconds = desk.listen(_left(_of(desk, number)))
    desk.kept.add_answer(number, card.id, said, seconds)
    if seconds > allowed:
        desk.say(f"That took {_clock(seconds)}; an interviewer gives it {_clock(allowed)}.", "red")
    return _of(desk, number).answers[-1]


def _of(desk: _Desk, number: int) -> Interview:
    return next(found for found in desk.kept.interviews() if found.id == number)


def _left(interview: Interview) -> float:
    return interview.plan["minutes"] * 60 - sum(answer.seconds for answer in interview.answers)


def _marked(desk: _Desk, interview: Interview) -> None:
    """The report of one interview: points, time, and what was missed, question by question."""
    table = Table(title="Your interview", title_justify="left")
    for heading, justify in (("question", "left"), ("points", "right"), ("time", "right")):
        table.add_column(heading, justify=justify)
    missed = []
    for answer in interview.answers:
        if answer.marks is None or answer.card not in desk.cards:
            continue
        card = desk.cards[answer.card]
        table.add_row(
            escape(card.question), f"{sum(answer.marks)}/{len(answer.marks)}",
            _clock(answer.seconds),
        )  # fmt: skip
        if card.id == card.entry.id:
            points = zip(card.entry.rubric, answer.marks, strict=False)
            missed += [point for point, made in points if not made]
    desk.console.print()
    desk.console.print(table)
    if missed:
        desk.say("Say these next time:")
        for point in missed:
            desk.say(f"- {point}", indent=2)
    names = {answer.card for answer in interview.answers}
    reviews = [review for review in desk.kept.reviews() if review.card in names]
    bank = {name: card for name, card in desk.cards.items() if name in names}
    _fields(desk, sessions.standings(bank, reviews, [interview]))


# Report


def _report(desk: _Desk, **_) -> None:
    """Strong and weak fields over everything answered so far."""
    found = sessions.standings(desk.cards, desk.kept.reviews(), desk.kept.interviews())
    if not found:
        desk.say("Nothing to report yet; `tlcourse interview place` asks the first questions.")
        return
    _fields(desk, found)
    unseen = len({card.entry.field for card in desk.cards.values()}) - len(found)
    if unseen:
        desk.say(f"Fields without an answer yet: {unseen}.", "dim")


def _fields(desk: _Desk, found: list[sessions.Standing]) -> None:
    table = Table(title="Where you stand", title_justify="left")
    for heading in ("field", "", "known", "answered", "read next"):
        table.add_column(heading, justify="right" if heading in ("known", "answered") else "left")
    for standing in found:
        colour = {"strong": "green", "fair": "yellow", "weak": "red"}[standing.grade]
        table.add_row(
            standing.field, f"[{colour}]{standing.grade}[/]", f"{standing.score:.0%}",
            f"{standing.answered}/{standing.cards}", escape("\n".join(standing.read[:3])),
        )  # fmt: skip
    desk.console.print()
    desk.console.print(table)


def _questions(count: int) -> str:
    return f"{count} question{'' if count == 1 else 's'}"


def _clock(seconds: float) -> str:
    seconds = max(0, round(seconds))
    return f"{seconds // 60}:{seconds % 60:02d}"


# Whiteboard


def board(name: str | None) -> None:
    """List the whiteboard tasks, write a starter, or check what became of it.

    Args:
        name: id of an entry with a task; None to list them. The first time, the starter is written
            to `NAME.py` in the working folder; then, each time, that file is checked.

    Raises:
        ValueError: no such task.
    """
    tasks = {e.id: e.whiteboard for e in entries.load().values() if e.whiteboard}
    console = Console(highlight=False)
    if name is None:
        for task_id, task in tasks.items():
            console.print(f"[bold]{task_id}[/]  {escape(task.task)}")
        return
    if name not in tasks:
        raise ValueError(f"There is no whiteboard task {name!r}; there are {', '.join(tasks)}.")
    path, task = Path(f"{name}.py"), tasks[name]
    if not path.exists():
        path.write_text(task.starter.rstrip() + "\n", encoding="utf-8")
        console.print(escape(task.task))
        console.print(f"Wrote {path}. Edit it, then give the same command again.{os.linesep}")
        return
    outcome = whiteboard.check(task, path.read_text(encoding="utf-8"))
    console.print(f"[bold]{outcome.state}[/]: {escape(outcome.message)}")
