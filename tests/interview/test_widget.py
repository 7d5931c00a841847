"""The widget, clicked as a reader would."""

import pytest

from tlcourse.interview.widget import Practice
from tlcourse.progress import Progress


def test_a_round(home):
    practice = Practice("02", new=2)
    first = practice.waiting[0]
    assert first.question in practice.text.value and first.answer[:40] not in practice.text.value
    assert practice.reveal.layout.display == "" and practice.ratings.layout.display == "none"
    practice.reveal.click()
    assert first.answer[:20] in practice.text.value
    assert practice.reveal.layout.display == "none" and practice.ratings.layout.display == ""
    practice.ratings.children[2].click()
    with Progress() as kept:
        [review] = kept.reviews()
        assert (review.card, review.rating, review.source) == (first.id, 3, "widget")
    second = practice.waiting[0]
    assert second.id != first.id and "2 of 2" in practice.text.value
    practice.reveal.click()
    practice.ratings.children[0].click()
    assert "3 of 3" in practice.text.value and second.question in practice.text.value
    practice.reveal.click()
    practice.ratings.children[1].click()
    assert "all for now" in practice.text.value and practice.reveal.layout.display == "none"


def test_it_says_that_progress_was_damaged(home):
    home.mkdir()
    (home / "progress.sqlite3").write_bytes(b"no database at all, and long enough to tell" * 9)
    assert "damaged" in Practice("02").children[0].value


def test_an_unknown_chapter_is_refused():
    with pytest.raises(ValueError, match="no questions on chapter '99'"):
        Practice("99")
