"""`tlcourse interview`, driven through a terminal as a reader would, and killed in the middle."""

import os
import re
import signal
import sys

import pytest
from typer.testing import CliRunner

from tlcourse.cli import app
from tlcourse.interview import entries
from tlcourse.progress import Progress

pexpect = pytest.importorskip("pexpect", reason="there is no pseudo-terminal here")

ANSWER = "Answer aloud and press Enter"


@pytest.fixture
def spawn(home):
    children = []

    def started(*arguments):
        child = pexpect.spawn(
            sys.executable, ["-m", "tlcourse", "interview", *arguments], encoding="utf-8",
            timeout=120, dimensions=(50, 100), env={**os.environ, "TERM": "dumb"},
            # A shell has what it runs in the background ignore Ctrl-C, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        children.append(child)
        return child

    yield started
    for child in children:
        child.close(force=True)


def say(child, text=""):
    child.expect(ANSWER)
    child.expect("> ")
    if text:
        child.sendline(text)
        child.expect("> ")
    child.sendline("")


def mark(child, entry, letters):
    for letter in letters:
        child.expect(re.escape("[y/n] "))
        child.sendline(letter)


def test_a_mock_interview_from_start_to_report(spawn):
    child = spawn("mock", "--minutes", "5", "--level", "junior", "--seed", "3", "--chapter", "02")
    child.expect("5 minutes, junior, 1 question with")
    say(child, "Freeze the backbone or do not.")
    child.expect("Which of these points did you make")
    entry = entries.load()["extract-or-finetune"]
    mark(child, entry, "ynynnnn")
    child.expect("2 of 7 points")
    child.expect("A strong answer: ")
    child.expect(re.escape("wrong ones? [y/n] "))
    child.sendline("y")
    child.expect("https://arxiv.org")
    for _ in range(2):
        child.expect("The interviewer goes on")
        say(child)
        child.expect("4 easy: ")
        child.sendline("3")
    child.expect("Your interview")
    child.expect("2/7")
    child.expect("Say these next time")
    child.expect("Where you stand")
    child.expect("extract or fine-tune")
    child.expect(pexpect.EOF)
    with Progress() as kept:
        [interview] = kept.interviews()
        assert interview.finished and len(interview.answers) == 3
        first = interview.answers[0]
        assert first.said == "Freeze the backbone or do not."
        assert first.marks == (True, False, True, False, False, False, False)
        assert [review.rating for review in kept.reviews()] == [1, 3, 3]


def test_a_kill_costs_only_what_is_being_typed(spawn):
    child = spawn("mock", "--minutes", "9", "--seed", "1", "--chapter", "02")
    say(child, "My first answer.")
    child.expect("Which of these points did you make")
    child.expect(re.escape("[y/n] "))
    child.kill(signal.SIGKILL)
    child.wait()
    with Progress() as kept:
        [interview] = kept.interviews()
        assert interview.answers[0].said == "My first answer." and not interview.finished
        asked = interview.plan["cards"][0]
    again = spawn("mock")
    again.expect("You stopped after 1 of 2 questions. Go on")
    again.sendline("y")
    # It goes on with the marks of the answer that was given.
    again.expect("Which of these points did you make")
    mark(again, entries.load()[asked], "y" * len(entries.load()[asked].rubric))
    again.expect("The interviewer goes on")
    again.expect("> ")
    again.send("Half a sentence that is")
    again.kill(signal.SIGKILL)
    again.wait()
    with Progress() as kept:
        assert kept.notice is None
        [interview] = kept.interviews()
        assert interview.plan["cards"][0] == asked and len(interview.answers) == 1
        assert all(interview.answers[0].marks)
        assert [(review.card, review.rating) for review in kept.reviews()] == [(asked, 4)]


def test_an_interview_that_was_stopped_may_be_dropped(spawn):
    child = spawn("mock", "--seed", "1", "--chapter", "02")
    child.expect("> ")
    child.sendcontrol("c")
    child.expect("Stopped. What you answered is kept")
    child.expect(pexpect.EOF)
    again = spawn("mock", "--seed", "1", "--chapter", "02")
    again.expect("Go on")
    again.sendline("n")
    again.expect("A mock interview: 20 minutes, mid")
    again.sendline("q")
    again.expect(pexpect.EOF)
    with Progress() as kept:
        assert [interview.finished for interview in kept.interviews()] == [True, False]


def test_placement_then_practice(spawn):
    child = spawn("--chapter", "02")
    child.expect("2 questions, about a minute each")
    say(child)
    child.expect("4 easy: ")
    child.sendline("7")
    child.expect("Write one of 1, 2, 3, 4, or q to stop")
    child.sendline("4")
    child.expect("Which one")
    child.sendline("a")
    child.expect("Where you stand")
    child.expect(pexpect.EOF)
    with Progress() as kept:
        assert [review.source for review in kept.reviews()] == ["placement"] * 2
        assert kept.reviews()[0].rating == 4 and kept.reviews()[1].rating in (1, 3)
    again = spawn("--chapter", "02")
    say(again)
    again.expect("4 easy: ")
    again.sendline("3")
    again.expect("Read the 3-minute answer")
    again.sendline("y")
    again.expect("Wrong: ")
    again.expect(ANSWER)
    again.sendline("q")
    again.expect(pexpect.EOF)
    with Progress() as kept:
        assert len(kept.reviews()) == 3 and kept.reviews()[2].source == "practice"


def test_a_placement_that_was_stopped_goes_on(spawn):
    child = spawn("--chapter", "02")
    say(child)
    child.expect("4 easy: ")
    child.sendline("3")
    child.expect("Which one|Answer aloud")
    child.kill(signal.SIGKILL)
    child.wait()
    again = spawn("--chapter", "02")
    again.expect("1 question, about a minute each")
    again.expect("2 of 2")
    again.sendline("q")
    again.expect(pexpect.EOF)


def test_what_was_rated_again_comes_again(spawn):
    with Progress() as kept:
        kept.add_review("extract-or-finetune/thresholds", 3, "practice")
    child = spawn("practice", "--chapter", "02")
    child.expect("5 cards")
    seen = []
    for number, rating in zip("12345", "12222", strict=True):
        child.expect(f"{number} of [56]")
        say(child)
        child.expect("4 easy: ")
        child.sendline(rating)
        if rating != "1":
            child.expect(re.escape("wrong ones? [y/n] "))
            child.sendline("n")
    child.expect("6 of 6")
    child.sendline("q")
    child.expect(pexpect.EOF)
    with Progress() as kept:
        seen = [review.card for review in kept.reviews()]
    assert len(seen) == 6 and len(set(seen)) == 6


def test_time_runs_out(spawn):
    with Progress() as kept:
        cards = ["extract-or-finetune", "lora-or-full"]
        plan = {"minutes": 4, "level": "mid", "seed": 0, "cards": cards}
        number = kept.start_interview(plan)
        answer = kept.add_answer(number, cards[0], "", 239.5)
        kept.mark(answer, [True] * 7)
    child = spawn("mock")
    child.expect("Go on")
    child.sendline("y")
    # Half a second is left for one more question, and none for those after it.
    child.expect("0:00 left|0:01 left")
    import time

    time.sleep(1)
    child.sendline("")
    child.expect("4 easy: ")
    child.sendline("2")
    child.expect("Time is out")
    child.expect("Your interview")
    child.expect(pexpect.EOF)
    with Progress() as kept:
        assert kept.interviews()[0].finished and len(kept.interviews()[0].answers) == 2


# Without a terminal


def invoke(*arguments, **more):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "120"}, **more)


def test_no_terminal_is_no_traceback(home):
    done = invoke("interview", input="")
    assert done.exit_code == 0 and "Stopped" in done.stdout


@pytest.mark.parametrize("arguments, said", [
    (["interview", "dance"], "write one of place, practice, mock, report"),
    (["interview", "mock", "--level", "expert"], "junior, mid, senior"),
    (["interview", "--chapter", "99"], "There are no questions on chapter '99'"),
    (["whiteboard", "nothing"], "There is no whiteboard task 'nothing'"),
    (["anki", "deck.zip"], "let it end in .apkg"),
    (["revise", "sheet.txt"], "let it end in .pdf or .html"),
])  # fmt: skip
def test_a_wrong_word_is_one_sentence(arguments, said):
    done = invoke(*arguments)
    assert done.exit_code == 2 and said in done.output and "Traceback" not in done.output


def test_a_report_before_any_answer():
    assert "Nothing to report yet" in invoke("interview", "report").stdout


def test_a_damaged_file_is_told_and_the_round_goes_on(home):
    home.mkdir()
    (home / "progress.sqlite3").write_bytes(b"no database at all, and long enough to tell" * 9)
    done = invoke("interview", "place", input="\n3\nq\n")
    assert "was damaged" in done.stdout.replace("\n", " ")
    with Progress() as kept:
        assert len(kept.reviews()) == 1


def test_the_whiteboard_writes_a_starter_and_checks_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "lora-or-full" in invoke("whiteboard").stdout
    assert "Wrote lora-or-full.py" in invoke("whiteboard", "lora-or-full").stdout
    assert "not attempted" in invoke("whiteboard", "lora-or-full").stdout
    answer = tmp_path / "lora-or-full.py"
    answer.write_text(entries.load()["lora-or-full"].whiteboard.reference)
    assert invoke("whiteboard", "lora-or-full").stdout.startswith("right")
    assert answer.read_text() == entries.load()["lora-or-full"].whiteboard.reference
