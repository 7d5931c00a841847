"""Interview preparation: one bank of questions, for terminal, JupyterLab, Anki and paper."""

from tlcourse.interview.cells import flashcards, quiz, show_flashcards, show_quiz
from tlcourse.interview.entries import Entry, load

__all__ = ["Entry", "flashcards", "load", "quiz", "show_flashcards", "show_quiz"]
