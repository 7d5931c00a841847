"""Quizzes and flashcards as jupyterquiz and jupytercards want them."""

import dataclasses
import json
from pathlib import Path

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from tlcourse import interview
from tlcourse.interview import entries

CHAPTERS = Path(__file__).resolve().parents[2] / "notebooks"


def test_a_quiz_in_the_format_of_jupyterquiz():
    found = interview.quiz("02")
    for question in found:
        assert question["type"] == "multiple_choice" and question["question"]
        assert sum(answer["correct"] for answer in question["answers"]) == 1
        for answer in question["answers"]:
            assert answer["feedback"].startswith("Right. " if answer["correct"] else "No. ")
            assert answer["answer"]
    assert interview.quiz("extract-or-finetune") == found[:1]
    assert len(interview.quiz()) >= len(found) > 1
    json.dumps(found)


def test_flashcards_in_the_format_of_jupytercards():
    cards = interview.flashcards("extract-or-finetune")
    entry = interview.load()["extract-or-finetune"]
    assert cards[0] == {"front": entry.question, "back": entry.short, "topic": entry.field}
    assert len(cards) == 1 + len(entry.follow_ups)


def test_what_html_and_latex_would_take_for_theirs_is_shown(monkeypatch):
    bank = interview.load()
    entry = bank["extract-or-finetune"]
    odd = dataclasses.replace(
        entry,
        short="x < y & z, for $5 or $6",
        quiz=entries.Quiz("a < b?", (entries.Choice("<b>", True, "$1 < $2"),)),
    )
    monkeypatch.setattr(entries, "load", lambda: {odd.id: odd})
    assert interview.flashcards()[0]["back"] == "x &lt; y &amp; z, for &#36;5 or &#36;6"
    [question] = interview.quiz()
    assert question["question"] == "a &lt; b?"
    assert question["answers"][0]["answer"] == "&lt;b&gt;"
    assert question["answers"][0]["feedback"] == "Right. &#36;1 &lt; &#36;2"


@pytest.mark.parametrize("show", [interview.show_quiz, interview.show_flashcards])
def test_what_is_shown_keeps_the_page_and_the_network_alone(show):
    shell = InteractiveShell.instance()
    try:
        with capture_output() as captured:
            show("02")
    finally:
        shell.clear_instance()
    assert "Error" not in captured.stdout + captured.stderr
    scripts = [o.data["application/javascript"] for o in captured.outputs
               if "application/javascript" in o.data]  # fmt: skip
    assert len(scripts) == 1
    # A page's own MathJax is not seen inside, so that no other is fetched, and no name gets out.
    assert scripts[0].startswith("(function () {\nvar MathJax;\n")
    assert scripts[0].endswith("\n})();") and "cdn" not in scripts[0]
    assert any("<style>" in o.data.get("text/html", "") for o in captured.outputs)


def test_every_chapter_asks_at_its_end():
    for path in sorted(CHAPTERS.glob("[0-9][0-9]_*.ipynb")):
        sources = [c.source for c in nbformat.read(path, as_version=4).cells
                   if c.cell_type == "code"]  # fmt: skip
        number = path.name[:2]
        assert f'interview.show_quiz("{number}")' in sources[-2]
        assert sources[-1] == f'interview.show_flashcards("{number}")'


@pytest.mark.parametrize("make", [interview.quiz, interview.flashcards])
def test_an_unknown_name_is_refused(make):
    with pytest.raises(ValueError, match="name a chapter"):
        make("nothing")
