"""Quizzes and flashcards as jupyterquiz and jupytercards want them."""

import json

import pytest

from tlcourse import interview


def test_a_quiz_in_the_format_of_jupyterquiz():
    found = interview.quiz("02")
    for question in found:
        assert question["type"] == "multiple_choice" and question["question"]
        assert sum(answer["correct"] for answer in question["answers"]) == 1
        assert all(answer["feedback"] and answer["answer"] for answer in question["answers"])
    assert interview.quiz("extract-or-finetune") == found[:1]
    assert len(interview.quiz()) >= len(found) > 1
    json.dumps(found)


def test_flashcards_in_the_format_of_jupytercards():
    cards = interview.flashcards("extract-or-finetune")
    entry = interview.load()["extract-or-finetune"]
    assert cards[0] == {"front": entry.question, "back": entry.short, "topic": entry.field}
    assert len(cards) == 1 + len(entry.follow_ups)


def test_the_libraries_take_them(capsys):
    from jupytercards import display_flashcards
    from jupyterquiz import display_quiz

    display_quiz(interview.quiz("02"))
    display_flashcards(interview.flashcards("02"))
    out = capsys.readouterr()
    assert "Error" not in out.out + out.err


@pytest.mark.parametrize("make", [interview.quiz, interview.flashcards])
def test_an_unknown_name_is_refused(make):
    with pytest.raises(ValueError, match="name a chapter"):
        make("nothing")
