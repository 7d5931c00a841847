"""The teacher's page: what is counted on it is of today, and its schedules can be kept."""

import json
import re
from pathlib import Path

import pytest

from tlcourse.classroom import course, timetable
from tlcourse.classroom.timetable import Part
from tlcourse.cli import app
from tlcourse.exercises import catalogue, judging

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
TIMES = json.loads((ROOT / "docs" / "chapter_times.json").read_text(encoding="utf-8"))
CHAPTERS = timetable.chapters(TIMES, ROOT / "notebooks")
SECTIONS = dict(re.findall(r"^### Chapter (\d\d)\n(.*?)(?=^##)", PAGE, re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize("name, text", timetable.pieces(CHAPTERS).items(), ids=lambda x: x[:20])
def test_the_page_is_of_today(name, text):
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end of {name} -->", PAGE, re.DOTALL)
    assert found and found[1] == text, "run `python docs/make_teaching.py`"


# schedules


def blocks(parts) -> list[int]:
    """Minutes of each stretch without a break."""
    lengths = [0]
    for part in parts:
        if part.free:
            lengths.append(0)
        else:
            lengths[-1] += part.length
    return lengths


def test_the_short_schedule_takes_ninety_minutes():
    assert blocks(timetable.MORNING) == [90]


def test_the_day_ends_at_four_with_no_stretch_above_ninety_minutes():
    assert sum(part.length for part in timetable.DAY) == 7 * 60
    assert max(blocks(timetable.DAY)) <= 90
    assert re.search(
        r"^\| 16:00 \| \| end \|$", timetable.schedule_table(timetable.DAY, 9 * 60), re.M
    )


def test_a_run_ends_before_its_part_does():
    runs = [part for part in timetable.DAY if part.runs]
    needed = {chapter.number: chapter.run for chapter in CHAPTERS}
    assert len(runs) >= 5
    assert [part.runs for part in runs if part.minutes < needed[part.runs]] == []


def test_a_task_is_done_after_its_chapter_was_run():
    seen = set()
    for part in timetable.DAY:
        seen.add(part.runs)
        assert {task[:2] for task in part.tasks} <= seen


def test_every_task_has_its_place_in_the_ten_weeks():
    for chapter in CHAPTERS:
        here, home = timetable.divided(chapter.number)
        assert sorted(task.id for task in here + home) == [
            task.id for task in catalogue.tasks(chapter.number)
        ]
        assert here and sum(task.minutes for task in here) <= timetable.AT_ONCE


# how it is computed


def test_a_schedule_names_times_and_tasks():
    table = timetable.schedule_table([Part("Talk.", 65), Part("", tasks=("03.3",))], start=9 * 60)
    task = catalogue.find("03.3")
    assert table.splitlines()[2:] == [
        "| 9:00 | 65 | Talk. |",
        f"| 10:05 | {task.minutes} | Exercise: 03.3 {task.title} |",
        f"| 10:{5 + task.minutes:02} | | end |",
    ]


def summary(folder: Path, name: str, **facts) -> Path:
    one = {"chapter": "03", "status": "done", "seconds": 89.6, "peak_bytes": 1_240_000_000}
    machine = {"processor": "P", "cores": 2}
    text = {"profile": facts.pop("profile", "quick"), "machine": machine, "chapters": [one | facts]}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(text))
    return path


def test_times_are_those_of_the_last_run(tmp_path):
    runs = [summary(tmp_path, "a"), summary(tmp_path, "b", seconds=100.2)]
    assert timetable.measured(runs) == {
        "03": {"seconds": 100, "gigabytes": 1.2, "machine": "P, 2 cores"}
    }


@pytest.mark.parametrize("facts", [{"status": "failed"}, {"profile": "full"}])
def test_a_run_that_failed_is_no_time(tmp_path, facts):
    with pytest.raises(ValueError, match="no complete run of chapter 03"):
        timetable.measured([summary(tmp_path, "a", **facts)])


def test_a_piece_without_its_place_is_refused():
    page = "<!-- a -->\nold\n<!-- end of a -->\nrest"
    assert (
        timetable.filled(page, {"a": r"new \1"}) == "<!-- a -->\nnew \\1\n<!-- end of a -->\nrest"
    )
    with pytest.raises(ValueError, match="no place for b"):
        timetable.filled(page, {"b": "new"})


# the advice


def test_every_chapter_has_its_advice():
    assert list(SECTIONS) == [chapter.number for chapter in CHAPTERS]
    for number, text in SECTIONS.items():
        assert text.count("**Say.**") == text.count("**They stumble**") == 1
        assert len(re.findall(r"^\d\. ", text, re.MULTILINE)) == text.count("*Key: ") == 3
        named = re.findall(r"\b\d\d\.\d\b", text)
        assert len(named) >= 2 and {name[:2] for name in named} == {number}
        assert all(catalogue.find(name) for name in named)


def test_what_the_page_names_exists():
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tlcourse").rglob("*.py"))
    for name in re.findall(r"`(?:\w+)\.(\w+)`", "".join(SECTIONS.values())):
        assert re.search(rf"^(?:def|class) {name}\b", code, re.MULTILINE), name
    verbs = {c.name or c.callback.__name__ for c in app.registered_commands}
    said = set(re.findall(r"(?:`|bin/|^)tlcourse ([a-z]+)\b", PAGE, re.MULTILINE))
    assert {"classroom", "slides", "bundle", "doctor", "interview"} <= said <= verbs
    for path in re.findall(r"\]\((?!https?:|#)([^)#]+)", PAGE):
        assert (ROOT / "docs" / path).exists(), path


def test_the_marking_guide_knows_the_limits():
    assert f"after {judging.LIMIT:g} seconds, twice" in PAGE
    assert f"after {course.TIMEOUT} seconds" in PAGE and 2 * judging.LIMIT < course.TIMEOUT
