"""How long things take in a class: measured runs, tasks with their minutes, three schedules."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tlcourse.exercises import catalogue

READING = 200  # words a minute, of a text that has to be understood
SLOWER = 2  # how much slower than ours a laptop in the room may be
AT_ONCE = 30  # minutes of exercises in one meeting; the rest is for home


@dataclass(frozen=True)
class Chapter:
    """What a chapter takes.

    Attributes:
        number: two digits.
        title: its first heading.
        seconds: that a run took.
        gigabytes: the most memory that it held.
        reading: minutes for its text.
    """

    number: str
    title: str
    seconds: float
    gigabytes: float
    reading: int

    @property
    def run(self) -> int:
        """Minutes to plan for the run, on a laptop slower than ours."""
        return math.ceil(SLOWER * self.seconds / 60)


@dataclass(frozen=True)
class Part:
    """A part of a meeting.

    Attributes:
        what: happens.
        minutes: for it; of tasks, those that the tasks state.
        tasks: that are done in it.
        runs: the chapter that runs meanwhile, if one does.
        free: whether it is a break.
    """

    what: str
    minutes: int = 0
    tasks: tuple[str, ...] = ()
    runs: str = ""
    free: bool = False

    @property
    def length(self) -> int:
        return self.minutes or sum(catalogue.find(task).minutes for task in self.tasks)


def _work(*tasks: str) -> Part:
    return Part("", tasks=tasks)


MORNING = (
    Part("Open the notebooks. Everybody writes down the guesses of chapter 01.", 6),
    Part("Start it, and meanwhile: its question, its 30-second answer, its two targets.", 8,
         runs="01"),
    Part("Read the learning curves together. Why do the digits lose?", 12),
    _work("01.3"),
    Part("Guesses of chapter 02; start it, and meanwhile: the two recipes.", 11, runs="02"),
    Part("What it costs, what it buys, what is left on other images.", 15),
    Part("Show fine-tuning that never was: which number gives it away?", 6),
    _work("02.4"),
    Part("Discussion, and each tells a neighbour the 30-second answer.", 11),
    Part("Where to go on alone.", 5),
)  # fmt: skip
DAY = (
    *MORNING,
    Part("Break", 15, free=True),
    Part("Guesses of chapter 03; start it, and meanwhile: the first step of Adam.", 10, runs="03"),
    Part("The cliff: read off where the rate becomes too large, for both optimizers.", 12),
    _work("03.3"),
    Part("Guesses of chapter 05; start it, and meanwhile: why count parameters?", 10, runs="05"),
    Part("What each stage knows, and how deep to train.", 12),
    _work("05.3"),
    Part("Discussion: which of the two bugs would you have found without a check?", 13),
    Part("Lunch", 60, free=True),
    Part("Guesses of chapter 07; start it, and meanwhile: the mistakes, shown as pictures.", 12,
         runs="07"),
    Part("Which mistakes cost most, and which can a check see?", 12),
    _work("07.2", "07.3"),
    Part("Guesses of chapter 04; start it, and meanwhile: three things called forgetting.", 10,
         runs="04"),
    Part("Remedies on one figure: what does each one need to have kept?", 14),
    _work("04.2"),
    Part("Discussion: do you need the old task at all?", 18),
    Part("Break", 15, free=True),
    Part("Guesses of chapter 10; start it, and meanwhile: better than what?", 9, runs="10"),
    Part("How large is nothing, and what the verdict says.", 12),
    _work("10.2"),
    Part("Own pictures: a folder, `tlcourse train`, `tlcourse predict`.", 25),
    Part("A mock interview in pairs: `tlcourse interview mock --minutes 10`.", 13),
    Part("Each names one thing that they will do differently on Monday.", 10),
)  # fmt: skip


def chapters(times: Mapping[str, Mapping], notebooks: Path) -> list[Chapter]:
    """The chapters, with what was measured of each.

    Args:
        times: seconds and gigabytes by chapter, as `measured` gives them.
        notebooks: the folder of the executed chapters.

    Raises:
        KeyError: a chapter that was not measured.
    """
    import nbformat

    found = []
    for path in sorted(notebooks.glob("[0-9][0-9]_*.ipynb")):
        document = nbformat.read(path, as_version=4)
        text = "\n".join(cell.source for cell in document.cells if cell.cell_type == "markdown")
        title = re.search(r"^# \d\d · (.+)$", text, re.MULTILINE)[1]
        reading = 5 * math.ceil(len(text.split()) / READING / 5)
        taken = times[path.name[:2]]
        found.append(Chapter(path.name[:2], title, taken["seconds"], taken["gigabytes"], reading))
    return found


def measured(summaries: Sequence[Path]) -> dict[str, dict]:
    """What runs took, from the `run.json` that `tlcourse run` writes; the last of a chapter counts.

    Raises:
        ValueError: a chapter did not come to its end, or it was not the quick profile.
    """
    found = {}
    for path in summaries:
        summary = json.loads(path.read_text(encoding="utf-8"))
        machine = summary["machine"]
        for one in summary["chapters"]:
            if one["status"] != "done" or summary["profile"] != "quick":
                raise ValueError(f"{path} is no complete run of chapter {one['chapter']}, quick.")
            found[one["chapter"]] = {
                "seconds": round(one["seconds"]),
                "gigabytes": round(one["peak_bytes"] / 1e9, 1),
                "machine": f"{machine['processor']}, {machine['cores']} cores",
            }
    return found


def minutes_table(made: Sequence[Chapter]) -> str:
    """A row for each chapter: its run, its memory, its text, its exercises."""
    lines = [
        "| chapter | run, seconds | memory, GB | reading, minutes | exercises, minutes | tasks |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for one in made:
        tasks = catalogue.tasks(one.number)
        lines.append(
            f"| {one.number} {one.title} | {one.seconds:.0f} | {one.gigabytes:.1f} | {one.reading} "
            f"| {sum(task.minutes for task in tasks)} | {len(tasks)} |"
        )
    return "\n".join(lines)


def schedule_table(parts: Sequence[Part], start: int = 0) -> str:
    """A row for each part, with the time at which it begins.

    Args:
        parts: of the meeting.
        start: minutes after midnight; if 0, times count from 0:00.
    """
    lines = ["| begins | minutes | what |", "|--:|--:|---|"]
    now = start
    for part in parts:
        titles = (f"{task} {catalogue.find(task).title}" for task in part.tasks)
        what = part.what or f"Exercise: {', '.join(titles)}"
        lines.append(f"| {now // 60}:{now % 60:02} | {part.length} | {what} |")
        now += part.length
    lines.append(f"| {now // 60}:{now % 60:02} | | end |")
    return "\n".join(lines)


def weekly_table(made: Sequence[Chapter]) -> str:
    """A row for each week: its chapter, the tasks of the meeting and those for home."""
    lines = [
        "| week | chapter | run, minutes | in the meeting | minutes | at home | minutes |",
        "|--:|---|--:|---|--:|---|--:|",
    ]
    for week, one in enumerate(made, 1):
        here, home = divided(one.number)
        cells = [
            f"{', '.join(task.id for task in some)} | {sum(task.minutes for task in some)}"
            for some in (here, home)
        ]
        lines.append(f"| {week} | {one.number} {one.title} | {one.run} | {' | '.join(cells)} |")
    return "\n".join(lines)


def divided(chapter: str) -> tuple[list, list]:
    """The tasks of a chapter for the meeting and for home.

    In the meeting: one to guess, then bugs, which are the best to talk about, as long as there is
    time. What has to be written is for home, where nobody waits for anybody.
    """
    order = ("predict", "find the bug", "experiment", "write")
    tasks = catalogue.tasks(chapter)
    here: list = []
    for task in sorted(tasks, key=lambda task: (order.index(task.kind), task.id)):
        if sum(one.minutes for one in here) + task.minutes <= AT_ONCE and task.kind != "write":
            here.append(task)
    return sorted(here, key=lambda task: task.id), [task for task in tasks if task not in here]


def filled(page: str, pieces: Mapping[str, str]) -> str:
    """A page with its generated pieces renewed, each between two comments that name it.

    Raises:
        ValueError: the page has no place for a piece.
    """
    for name, text in pieces.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)"
        if not re.search(pattern, page, re.DOTALL):
            raise ValueError(f"The page has no place for {name}.")
        page = re.sub(pattern, lambda m, text=text: f"{m[1]}{text}\n{m[2]}", page, flags=re.DOTALL)
    return page


def pieces(made: Sequence[Chapter]) -> dict[str, str]:
    """All that is generated on the teacher's page."""
    return {
        "minutes": minutes_table(made),
        "ninety minutes": schedule_table(MORNING),
        "a day": schedule_table(DAY, start=9 * 60),
        "ten weeks": weekly_table(made),
    }
