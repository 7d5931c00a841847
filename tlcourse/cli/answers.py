"""Show, export and forget the reader's progress."""

import json
from pathlib import Path

import typer

from tlcourse import config
from tlcourse.exercises import catalogue
from tlcourse.progress import Progress


def show(reset: bool, export: Path | None) -> None:
    """Export, forget after a question, or count what there is, in this order.

    Raises:
        ValueError: a newer version of the course wrote the file.
        OSError: it cannot be read or written.
    """
    with Progress() as kept:
        if kept.notice:
            typer.echo(kept.notice)
        if export:
            with config.atomic_path(export) as partial:
                partial.write_text(json.dumps(kept.export(), indent=1) + "\n", encoding="utf-8")
            typer.echo(f"Wrote {export}.")
        if reset:
            if not typer.confirm("Forget all answers to questions and exercises?"):
                typer.echo("Nothing was deleted.")
                return
            kept.reset()
            typer.echo("Your progress is empty again.")
        elif not export:
            for line in summary(kept):
                typer.echo(line)
            typer.echo(f"It is kept in {kept.path}, and nowhere else.")


def summary(kept: Progress) -> list[str]:
    """What a reader has done so far, one line a subject."""
    lines = []
    if reviews := kept.reviews():
        cards = _count(len({review.card for review in reviews}), "card")
        lines.append(f"Interview: {_count(len(reviews), 'answer')} on {cards}.")
    if interviews := kept.interviews():
        finished = sum(interview.finished for interview in interviews)
        lines.append(f"{_count(len(interviews), 'mock interview')}, {finished} finished.")
    if attempts := kept.attempts():
        tried = {attempt.exercise for attempt in attempts}
        solved = {attempt.exercise for attempt in attempts if attempt.event == "right"}
        lines.append(f"{len(solved)} of {len(tried)} tried exercises solved.")
        for chapter in sorted({exercise[:2] for exercise in tried} & set(catalogue.chapters())):
            tasks = [task.id for task in catalogue.tasks(chapter)]
            left = [task for task in tasks if task not in solved]
            still = f"; open: {', '.join(left)}" if left else ""
            done = len(tasks) - len(left)
            lines.append(f"Exercises {chapter}: {done} of {len(tasks)} solved{still}.")
    return lines or ["Nothing yet: `tlcourse interview` begins with two questions a chapter."]


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
