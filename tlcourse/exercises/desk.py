"""What a learner calls in an exercise notebook."""

import html
import textwrap
from dataclasses import dataclass
from typing import Any

from tlcourse.exercises import catalogue
from tlcourse.exercises.judging import Result, judge
from tlcourse.progress import Progress

COLOURS = {"right": "#009E73", "wrong": "#D55E00", "raises": "#D55E00"}


@dataclass(frozen=True)
class Said:
    """Text for the learner, readable in a notebook and in a terminal.

    Attributes:
        text: with a line for each paragraph.
        code: shown as it is, below the text.
        colour: of the bar beside it.
    """

    text: str
    code: str = ""
    colour: str = "#999999"

    def __repr__(self) -> str:
        lines = [textwrap.fill(line, 96) for line in self.text.splitlines()]
        return "\n".join(lines + ([self.code] if self.code else []))

    def _repr_html_(self) -> str:
        text = "<br>".join(html.escape(line) for line in self.text.splitlines())
        code = f"<pre>{html.escape(self.code)}</pre>" if self.code else ""
        style = f"border-left: 4px solid {self.colour}; padding: 0.3em 0.8em; max-width: 50em"
        return f'<div style="{style}">{text}{code}</div>'


def check(task: str, answer: Any = None) -> Said:
    """Look at an answer, say what is wrong with it or that it is right, and remember that.

    Args:
        task: such as "03.2".
        answer: what the exercise asks for, as a rule a function, without calling it.

    Returns:
        What to tell the learner. Nothing is raised, whatever the answer does.
    """
    try:
        found = catalogue.find(task)
    except ValueError as error:
        return Said(str(error))
    result = judge(found, answer)
    text = f"{result.task} · {result.outcome}. {result.message}"
    if result.outcome in ("wrong", "raises"):
        text += f'\nStuck? hint("{result.task}") helps a little, and more each time.'
    if result.outcome != "not judged":
        text += _keep(result.task, result.outcome, result.key)
    return Said(text, colour=COLOURS.get(result.outcome, Said.colour))


def require(task: str, answer: Any = None, seed: int = 1) -> None:
    """Judge an answer for a mark, on other cases than `check` uses; nothing is remembered.

    Args:
        task: such as "03.2".
        answer: what was handed in.
        seed: draws the cases.

    Raises:
        AssertionError: it is not right; the message says what `check` would say.
        ValueError: there is no such task.
    """
    result: Result = judge(catalogue.find(task), answer, seed)
    if not result.right:
        raise AssertionError(f"{result.task} · {result.outcome}. {result.message}")


def hint(task: str, number: int | None = None) -> Said:
    """A hint; each call tells more than the one before.

    Args:
        task: such as "03.2".
        number: which one, from 1; the next one that you have not seen, if left out.
    """
    try:
        found = catalogue.find(task)
    except ValueError as error:
        return Said(str(error))
    count = len(found.hints)
    seen = [detail for event, detail in _events(found.id) if event == "hint"]
    if number is None:
        number = min(len(set(seen)) + 1, count)
    if number not in range(1, count + 1):
        return Said(f"There are {count} hints to {found.id}; {number} is none of them.")
    text = f"Hint {number} of {count} to {found.id}. {found.hints[number - 1]}"
    if number == count:
        text += f'\nThat was the last one; solution("{found.id}") shows a solution.'
    return Said(text + _keep(found.id, "hint", str(number)))


def solution(task: str) -> Said:
    """A solution, one of many that `check` accepts.

    Args:
        task: such as "03.2".
    """
    from tlcourse.exercises import masters

    try:
        found = catalogue.find(task)
        code = masters.solution(found.id)
    except (ValueError, OSError) as error:
        return Said(str(error))
    text = f"{found.id} · {found.title}. {found.because}" + _keep(found.id, "solution")
    return Said(text, code)


@dataclass(frozen=True)
class Overview:
    """The exercises of some chapters and where the learner stands.

    Attributes:
        rows: number, title, kind, minutes and state of each.
        note: one sentence if the progress cannot be read, otherwise empty.
    """

    rows: tuple[tuple[str, str, str, int, str], ...]
    note: str = ""

    @property
    def solved(self) -> int:
        return sum(state.startswith("solved") for *_, state in self.rows)

    @property
    def _foot(self) -> str:
        minutes = sum(row[3] for row in self.rows)
        return f"{self.solved} of {len(self.rows)} solved; {minutes} minutes for all.{self.note}"

    def __repr__(self) -> str:
        lines = [
            f"{id}  {title:<34} {kind:<13} {minutes:>2} min  {state}"
            for id, title, kind, minutes, state in self.rows
        ]
        return "\n".join([*lines, self._foot])

    def _repr_html_(self) -> str:
        head = "<tr><th>task</th><th></th><th>kind</th><th>minutes</th><th>state</th></tr>"
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
            for row in self.rows
        )
        return f"<table>{head}{body}</table><p>{html.escape(self._foot)}</p>"


def overview(chapter: str | None = None) -> Overview:
    """The exercises of a chapter, or of all, and where you stand.

    Args:
        chapter: such as "03"; all if left out.

    Raises:
        ValueError: the chapter has no exercises.
    """
    found = catalogue.tasks(chapter)
    try:
        with Progress() as kept:
            attempts = [(a.exercise, a.event) for a in kept.attempts()]
            note = f" {kept.notice}" if kept.notice else ""
    except (ValueError, OSError) as error:
        attempts, note = [], f" {error}"
    rows = []
    for one in found:
        events = [event for exercise, event in attempts if exercise == one.id]
        rows.append((one.id, one.title, one.kind, one.minutes, _state(events)))
    return Overview(tuple(rows), note)


def _state(events: list[str]) -> str:
    before = events[: events.index("right")] if "right" in events else events
    helped = "solution seen" if "solution" in before else ""
    if hints := before.count("hint"):
        helped = helped or f"{hints} hint{'' if hints == 1 else 's'}"
    tried = any(event in ("wrong", "raises", "right") for event in events)
    state = "solved" if "right" in events else "tried" if tried else "open"
    return f"{state} ({helped})" if helped else state


def _events(task: str) -> list[tuple[str, str]]:
    try:
        with Progress() as kept:
            return [(a.event, a.detail) for a in kept.attempts() if a.exercise == task]
    except (ValueError, OSError):
        return []


def _keep(task: str, event: str, detail: str = "") -> str:
    """Remember what happened; if that fails, a line that says why."""
    try:
        with Progress() as kept:
            kept.add_attempt(task, event, detail)
            return f"\n{kept.notice}" if kept.notice else ""
    except (ValueError, OSError) as error:
        return f"\nThis was not remembered: {error}"
