"""The reader's progress: kept through kills, damage, updates and two programs at once."""

import datetime
import json
import os
import signal
import sqlite3
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from tlcourse import config, progress
from tlcourse.cli import app
from tlcourse.progress import Progress


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TLCOURSE_HOME", str(tmp_path))
    return tmp_path


def fill(kept: Progress) -> None:
    kept.add_review("i02", 3, "practice")
    kept.add_attempt("03.2", "wrong", "rate compounds")
    interview = kept.start_interview({"minutes": 10, "level": "mid", "cards": ["i02"]})
    answer = kept.add_answer(interview, "i02", "It depends.", 12.5)
    kept.mark(answer, [True, False])
    kept.finish_interview(interview)


def test_what_was_added_is_there_after_reopening():
    with Progress() as kept:
        fill(kept)
        before = kept.export()
    with Progress() as kept:
        assert kept.export() == before
        assert kept.notice is None
        assert [(a.exercise, a.event, a.detail) for a in kept.attempts()] == [
            ("03.2", "wrong", "rate compounds")
        ]
        [interview] = kept.interviews()
        assert interview.finished and interview.plan["minutes"] == 10
        assert interview.answers[0].marks == (True, False) and interview.answers[0].seconds == 12.5


def test_reviews_come_in_the_order_of_their_times():
    early = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    zone = datetime.timezone(datetime.timedelta(hours=5))
    with Progress() as kept:
        kept.add_review("second", 1, "practice", time=early + datetime.timedelta(hours=1))
        kept.add_review("first", 1, "practice", time=early.astimezone(zone))
        assert [review.card for review in kept.reviews()] == ["first", "second"]
        assert kept.reviews()[0].time == early


@pytest.mark.parametrize("rating", [0, 5, "good"])
def test_a_rating_is_one_of_four(rating):
    with Progress() as kept:
        with pytest.raises(ValueError, match="from 1 to 4"):
            kept.add_review("i02", rating, "practice")
        assert kept.reviews() == []


def test_an_event_is_one_that_is_known():
    with Progress() as kept, pytest.raises(ValueError, match="not attempted, raises, wrong"):
        kept.add_attempt("03.2", "rigth")


# Kills


ADDING = """
import sys
from tlcourse.progress import Progress
kept = Progress()
number = 0
while True:
    kept.add_review(f"card-{number}", 3, "practice")
    print(number, flush=True)
    number += 1
"""
HALFWAY = """
from tlcourse.progress import Progress
kept = Progress()
kept.add_review("whole", 3, "practice")
with kept._writing() as db:
    db.execute("PRAGMA cache_spill = 1")
    for number in range(20_000):
        db.execute("INSERT INTO reviews (time, card, rating, source) VALUES ('', 'half', 1, '')")
    print("now", flush=True)
    import time
    time.sleep(60)
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_kill_loses_nothing_that_was_acknowledged():
    child = subprocess.Popen([sys.executable, "-c", ADDING], stdout=subprocess.PIPE, text=True)
    for line in child.stdout:
        if int(line) >= 5:
            break
    child.send_signal(signal.SIGKILL)
    acknowledged = [int(line)] + [int(rest) for rest in child.stdout.read().split()]
    child.wait()
    with Progress() as kept:
        assert kept.notice is None
        assert len(kept.reviews()) in (acknowledged[-1] + 1, acknowledged[-1] + 2)


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_kill_within_an_entry_leaves_none_of_it(home):
    child = subprocess.Popen([sys.executable, "-c", HALFWAY], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "now\n"
    child.kill()
    child.wait()
    assert (home / "progress.sqlite3-journal").exists()
    with Progress() as kept:
        assert kept.notice is None and [review.card for review in kept.reviews()] == ["whole"]


# Two programs at once


def test_two_open_files_see_each_other():
    with Progress() as notebook, Progress() as terminal:
        notebook.add_review("a", 3, "widget")
        terminal.add_review("b", 3, "practice")
        assert {review.card for review in notebook.reviews()} == {"a", "b"}


def test_a_locked_file_is_not_taken_for_a_damaged_one(home, monkeypatch):
    with Progress() as kept:
        fill(kept)
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda path, timeout, **more: connect(path, 0.1, **more)
    )
    with connect(home / "progress.sqlite3", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OSError, match="close other programs"):
            Progress()
        other.execute("ROLLBACK")
    with Progress() as kept:
        assert kept.notice is None and len(kept.reviews()) == 1


# Old, new and damaged files


def test_an_old_file_is_brought_up_to_date(home):
    old = progress._connect(home / "progress.sqlite3", progress.MIGRATIONS[:1])
    old.execute(
        "INSERT INTO reviews (time, card, rating, source) "
        "VALUES ('2026-01-01T00:00:00.000000+00:00', 'old', 2, 'practice')"
    )
    old.close()
    with Progress() as kept:
        assert [(review.card, review.rating) for review in kept.reviews()] == [("old", 2)]
        fill(kept)
        assert len(kept.interviews()) == 1
    version = sqlite3.connect(home / "progress.sqlite3").execute("PRAGMA user_version")
    assert version.fetchone() == (progress.VERSION,)


def test_a_migration_that_fails_changes_nothing(home):
    path = home / "progress.sqlite3"
    progress._connect(path, progress.MIGRATIONS[:1]).close()
    with pytest.raises(sqlite3.OperationalError):
        progress._connect(path, (*progress.MIGRATIONS, "CREATE TABLE third (id); NONSENSE"))
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone() == (1,)
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"reviews", "attempts"}


def test_a_newer_file_is_refused_and_left_alone(home):
    with Progress() as kept:
        fill(kept)
    newer = sqlite3.connect(home / "progress.sqlite3")
    newer.execute(f"PRAGMA user_version = {progress.VERSION + 1}")
    newer.close()
    with pytest.raises(ValueError, match="newer version of the course"):
        Progress()
    assert [path.name for path in home.iterdir()] == ["progress.sqlite3"]


@pytest.mark.parametrize("damage", ["text", "cut short", "overwritten"])
def test_a_damaged_file_is_set_aside_with_a_message(home, damage):
    path = home / "progress.sqlite3"
    with Progress() as kept:
        for number in range(500):
            kept._connection.execute(
                "INSERT INTO reviews (time, card, rating, source) VALUES ('', ?, 1, '')",
                (f"card {number}" * 20,),
            )
    whole = path.read_bytes()
    broken = {
        "text": b"these are not the bytes of a database" * 40,
        "cut short": whole[: len(whole) // 2],
        "overwritten": whole[:4096] + b"\xff" * 8192 + whole[4096 + 8192 :],
    }[damage]
    path.write_bytes(broken)
    with Progress() as kept:
        assert "damaged" in kept.notice and kept.notice.count("\n") == 0
        assert kept.reviews() == []
        fill(kept)
    [aside] = home.glob("progress.sqlite3.damaged-*")
    assert aside.read_bytes() == broken and str(aside) in kept.notice
    with Progress() as kept:
        assert kept.notice is None and len(kept.reviews()) == 1


def test_a_folder_in_place_of_the_file_is_refused(home):
    (home / "progress.sqlite3").mkdir()
    with pytest.raises(OSError, match="TLCOURSE_HOME"):
        Progress()


# The folder


def test_progress_is_no_cache(home, monkeypatch):
    assert config.home_dir() == home
    monkeypatch.delenv("TLCOURSE_HOME")
    monkeypatch.setattr(config.platformdirs, "user_data_dir", lambda *_: str(home / "data"))
    assert config.home_dir() == home / "data" and (home / "data").is_dir()
    assert config.cache_dir() not in (config.home_dir(), *config.home_dir().parents)


# The command


def invoke(*arguments, **more):
    return CliRunner().invoke(app, ["progress", *arguments], env={"COLUMNS": "100"}, **more)


def test_the_command_shows_what_there_is():
    empty = invoke()
    assert empty.exit_code == 0 and "Nothing yet" in empty.stdout
    with Progress() as kept:
        fill(kept)
        kept.add_attempt("03.2", "right")
        kept.add_attempt("03.3", "wrong")
        kept.add_attempt("03.3", "solution")
    shown = invoke()
    assert shown.exit_code == 0
    assert "1 card" in shown.stdout and "1 mock interview" in shown.stdout
    assert "1 of 2 tried exercises solved" in shown.stdout


def test_export_and_reset(home):
    with Progress() as kept:
        fill(kept)
        whole = kept.export()
    out = home / "mine.json"
    done = invoke("--export", str(out))
    assert done.exit_code == 0 and json.loads(out.read_text()) == whole
    assert whole["reviews"][0]["card"] == "i02" and whole["version"] == progress.VERSION
    refused = invoke("--reset", input="n\n")
    assert "Nothing was deleted" in refused.stdout
    with Progress() as kept:
        assert kept.export() == whole
    assert invoke("--reset", input="y\n").exit_code == 0
    with Progress() as kept:
        assert kept.export() == {
            "version": progress.VERSION, "reviews": [], "attempts": [], "interviews": []
        }  # fmt: skip


def test_an_export_comes_before_a_reset(home):
    with Progress() as kept:
        fill(kept)
    out = home / "mine.json"
    assert invoke("--export", str(out), "--reset", input="y\n").exit_code == 0
    assert len(json.loads(out.read_text())["reviews"]) == 1


def test_a_newer_file_is_one_line_on_the_terminal(home):
    db = sqlite3.connect(home / "progress.sqlite3")
    db.execute("PRAGMA user_version = 99")
    db.close()
    done = invoke()
    assert done.exit_code == 2 and "newer version" in done.output
    assert "Traceback" not in done.output
