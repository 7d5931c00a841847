"""What to ask next, and where the reader stands: placement, spaced repetition, mock interviews."""

import datetime
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import fsrs

from tlcourse.interview.entries import LEVELS, Entry
from tlcourse.progress import Interview, Review

# Without random scatter, the same reviews give the same dates on every computer.
SCHEDULER = fsrs.Scheduler(enable_fuzzing=False)
STRONG, WEAK = 0.75, 0.5
# From what share of the rubric on an answer counts as hard, good and easy.
_BORDERS = (0.4, 0.65, 0.9)


@dataclass(frozen=True)
class Card:
    """Something that can be asked by itself: the question of an entry, or one of its follow-ups.

    Attributes:
        id: of the entry, or of entry and follow-up, "entry/follow-up".
        question: what is asked.
        answer: what is revealed.
        entry: where it comes from.
    """

    id: str
    question: str
    answer: str
    entry: Entry


@dataclass(frozen=True)
class Standing:
    """How well one field of the bank is known.

    Attributes:
        field: its name.
        score: 0 to 1, the mean over its cards that were answered.
        answered: how many of them were.
        cards: how many there are.
        read: chapters and papers, those of the weakest cards first.
    """

    field: str
    score: float
    answered: int
    cards: int
    read: tuple[str, ...]

    @property
    def grade(self) -> str:
        """ "strong", "fair" or "weak"."""
        return "strong" if self.score >= STRONG else "weak" if self.score < WEAK else "fair"


def cards(entries: Iterable[Entry]) -> dict[str, Card]:
    """Everything that can be asked, by id, in the order of the bank."""
    found = {}
    for entry in entries:
        found[entry.id] = Card(entry.id, entry.question, entry.short, entry)
        for follow_up in entry.follow_ups:
            name = f"{entry.id}/{follow_up.id}"
            found[name] = Card(name, follow_up.question, follow_up.answer, entry)
    return found


def schedule(reviews: Iterable[Review]) -> dict[str, fsrs.Card]:
    """The state of memory that FSRS computes from all reviews, by card.

    Source: the scheduler is that of the package `fsrs`, with its default parameters and a desired
    retention of 90 %.
    """
    states: dict[str, fsrs.Card] = {}
    for number, review in enumerate(sorted(reviews, key=lambda review: review.time)):
        # A card has to have a number; without one, the package waits a millisecond to make it.
        state = states.get(review.card) or fsrs.Card(card_id=number)
        state, _ = SCHEDULER.review_card(state, fsrs.Rating(review.rating), review.time)
        states[review.card] = state
    return states


def due(
    bank: Mapping[str, Card], reviews: Iterable[Review], now: datetime.datetime, new: int = 5
) -> list[Card]:
    """What to practise now: what is due, the oldest first, then cards that were never asked.

    Args:
        bank: from `cards`; reviews of cards that it no longer has are passed over.
        reviews: from `Progress.reviews`.
        now: in UTC.
        new: how many cards to add that were never asked. Questions come before follow-ups, and
            junior ones before senior ones.
    """
    states = schedule(review for review in reviews if review.card in bank)
    waiting = sorted((state.due, name) for name, state in states.items() if state.due <= now)
    unseen = [card for card in bank.values() if card.id not in states]
    unseen.sort(key=lambda card: ("/" in card.id, LEVELS.index(card.entry.level)))
    return [bank[name] for _, name in waiting] + unseen[:new]


def next_due(reviews: Iterable[Review], bank: Collection[str]) -> datetime.datetime | None:
    """When the next card that was asked before is due, or None if none was."""
    states = schedule(review for review in reviews if review.card in bank)
    return min((state.due for state in states.values()), default=None)


class Placement:
    """A first round over all chapters: two questions each, the second harder or easier.

    Args:
        entries: the bank.

    Example:
        >>> from tlcourse.interview import load
        >>> placement = Placement(load().values())
        >>> first = placement.next()
        >>> placement.rate(4)
        >>> placement.next().chapter == first.chapter
        True
    """

    def __init__(self, entries: Iterable[Entry]):
        self._chapters: dict[str, list[Entry]] = {}
        for entry in entries:
            self._chapters.setdefault(entry.chapter, []).append(entry)
        self._waiting = list(self._chapters)
        self._asked: Entry | None = None
        self._second = False
        self.length = sum(min(2, len(entries)) for entries in self._chapters.values())

    def next(self) -> Entry | None:
        """The question to ask now; None when the round is over."""
        if self._asked is None and self._waiting:
            # The first entry of a chapter is its question.
            self._asked = self._chapters[self._waiting[0]][0]
        return self._asked

    def rate(self, rating: int) -> None:
        """Say how well the question was answered, 1 to 4, and move on."""
        asked, self._asked = self._asked, None
        others = [e for e in self._chapters[asked.chapter] if e is not asked]
        if self._second or not others:
            self._second = False
            self._waiting.pop(0)
            return
        wanted = LEVELS.index(asked.level) + (1 if rating >= 3 else -1)
        self._second = True
        self._asked = min(others, key=lambda e: abs(LEVELS.index(e.level) - wanted))

    def resume(self, ratings: Mapping[str, int]) -> int:
        """Pass over the questions that were rated already, by id; return how many."""
        passed = 0
        while (entry := self.next()) and entry.id in ratings:
            self.rate(ratings[entry.id])
            passed += 1
        return passed


def plan(
    entries: Iterable[Entry], minutes: int, level: str, seed: int, reviews: Iterable[Review] = ()
) -> list[Entry]:
    """The questions of a mock interview.

    It opens with the question of a chapter, and goes on with questions of the level and of those
    below, drawn by the seed. Weak and unseen fields come up more often than strong ones.

    Args:
        entries: the bank.
        minutes: what the interview takes, 3 or more.
        level: "junior", "mid" or "senior".
        seed: the same seed draws the same questions.
        reviews: what is known of the reader.

    Raises:
        ValueError: too few minutes, or a level that is none of the three.
    """
    if level not in LEVELS:
        raise ValueError(f"The level is {level!r}; write one of {', '.join(LEVELS)}.")
    if minutes < 3:
        raise ValueError(f"An interview of {minutes} minutes holds no question; give it 3 or more.")
    entries = list(entries)
    allowed = [e for e in entries if LEVELS.index(e.level) <= LEVELS.index(level)]
    latest = {review.card: review.rating for review in reviews}
    draw = random.Random(seed)
    # Random order, in which a weight shortens the wait: exponential times of different rates.
    order = {e.id: draw.expovariate(5 - latest.get(e.id, 1)) for e in allowed}
    firsts = {e.chapter: e for e in reversed(entries)}
    pool = sorted(allowed, key=lambda e: order[e.id])
    opening = [e for e in pool if firsts[e.chapter] is e][:1]
    chosen, left = [], minutes
    for entry in opening + [e for e in pool if e not in opening]:
        if entry.minutes <= left and (not chosen or entry.level == level or left > minutes / 2):
            chosen.append(entry)
            left -= entry.minutes
    for entry in pool:
        if entry not in chosen and entry.minutes <= left:
            chosen.append(entry)
            left -= entry.minutes
    if not chosen:
        chosen = pool[:1]
    return chosen


def rating_of(marks: Sequence[bool]) -> int:
    """The rating, 1 to 4, of an answer that made these points of its rubric.

    Example:
        >>> rating_of([True, True, True, True, False])
        3
    """
    share = sum(marks) / len(marks)
    return 1 + sum(share >= border for border in _BORDERS)


def standings(
    bank: Mapping[str, Card], reviews: Iterable[Review], interviews: Iterable[Interview] = ()
) -> list[Standing]:
    """How well each field is known, the weakest first; fields without an answer are left out.

    The newest review of a card counts, and of a marked answer the share of its rubric.

    Args:
        bank: from `cards`.
        reviews: from `Progress.reviews`.
        interviews: from `Progress.interviews`.
    """
    scores = {
        review.card: (review.time, (review.rating - 1) / 3)
        for review in sorted(reviews, key=lambda review: review.time)
        if review.card in bank
    }
    for interview in interviews:
        for answer in interview.answers:
            if answer.marks and answer.card in bank:
                # Its review was written a moment later and is the coarser one.
                share = sum(answer.marks) / len(answer.marks)
                known = scores.get(answer.card)
                if known is None or known[0] - answer.time < datetime.timedelta(minutes=15):
                    scores[answer.card] = (answer.time, share)
    fields: dict[str, list[Card]] = {}
    for card in bank.values():
        fields.setdefault(card.entry.field, []).append(card)
    found = []
    for field, members in fields.items():
        known = [(scores[card.id][1], card.entry) for card in members if card.id in scores]
        if known:
            weakest = sorted(known, key=lambda pair: pair[0])
            found.append(
                Standing(
                    field, sum(score for score, _ in known) / len(known), len(known), len(members),
                    _reading([entry for score, entry in weakest if score < STRONG]),
                )
            )  # fmt: skip
    return sorted(found, key=lambda standing: standing.score)


def _reading(entries: Iterable[Entry]) -> tuple[str, ...]:
    """Chapters, then papers, of these entries, each once."""
    entries = list(entries)
    chapters = [f"chapter {entry.chapter}" for entry in entries]
    papers = [entry.papers[0] for entry in entries if entry.papers]
    return tuple(dict.fromkeys(chapters + papers))
