"""The tasks there are. Each chapter's module registers its own when it is first asked for."""

import importlib
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

KINDS = ("predict", "write", "find the bug", "experiment")
FORMS = ("function", "prediction")
_TASKS: dict[str, "Task"] = {}


@dataclass(frozen=True)
class Task:
    """One exercise.

    Attributes:
        id: such as "03.2".
        title: a few words.
        kind: one of `KINDS`.
        minutes: how long it takes somebody who has worked through the chapter.
        wants: what has to be handed in, to be read after "Hand in".
        hints: each tells more than the one before.
        diagnoses: for each wrong way that is recognised, the sentence that teaches.
        because: said when the answer is right.
        judge: looks at an `Attempt` and returns if it is right.
        form: "function", or "prediction": a guess and the function that measures.
    """

    id: str
    title: str
    kind: str
    minutes: int
    wants: str
    hints: tuple[str, ...]
    diagnoses: Mapping[str, str]
    because: str
    judge: Callable
    form: str = "function"

    @property
    def chapter(self) -> str:
        return self.id[:2]


def task(id: str, title: str, **facts) -> Callable:
    """Register the decorated function, which judges answers, as a task; see `Task`."""

    def register(judge: Callable) -> Callable:
        _TASKS[id] = Task(id, title, judge=judge, **facts)
        return judge

    return register


def chapters() -> list[str]:
    """The chapters that have exercises, as two digits each."""
    from tlcourse.exercises import chapters as package

    return sorted(module.name[2:] for module in pkgutil.iter_modules(package.__path__))


def tasks(chapter: str | None = None) -> list[Task]:
    """The tasks of a chapter, or of all of them, in order.

    Raises:
        ValueError: the chapter has no exercises.
    """
    wanted = chapters()
    if chapter is not None:
        if (chapter := str(chapter).zfill(2)) not in wanted:
            raise ValueError(
                f"There are no exercises for chapter {chapter}; there are for {', '.join(wanted)}."
            )
        wanted = [chapter]
    for number in wanted:
        importlib.import_module(f"tlcourse.exercises.chapters.ch{number}")
    return sorted((t for t in _TASKS.values() if t.chapter in wanted), key=lambda t: t.id)


def find(id: str) -> Task:
    """The task of this number; "3.2" means "03.2".

    Raises:
        ValueError: there is none.
    """
    match = re.fullmatch(r"\s*(\d{1,2})\.(\d)\s*", str(id))
    if not match:
        raise ValueError(f'{id!r} names no exercise; write chapter and task, such as "02.1".')
    name = f"{int(match[1]):02}.{match[2]}"
    for found in tasks(name[:2]):
        if found.id == name:
            return found
    raise ValueError(
        f"There is no exercise {name}; there are {', '.join(t.id for t in tasks(name[:2]))}."
    )
