"""Practice in JupyterLab: the cards that are due, one at a time, in the same file of progress."""

import datetime
import html

import ipywidgets as widgets

from tlcourse.interview import entries, sessions
from tlcourse.progress import RATINGS, Progress


class Practice(widgets.VBox):
    """A card, a button that reveals its answer, and four that rate it.

    Each rating is kept at once. Saved without its kernel, a notebook shows the text of the last
    card and no buttons that work; run the cell again.

    Args:
        chapter: only questions of this chapter, such as "02"; None for all.
        new: how many cards that were never asked to add to those that are due.

    Raises:
        ValueError: there is nothing on that chapter.
    """

    def __init__(self, chapter: str | None = None, new: int = 5):
        bank = [e for e in entries.load().values() if chapter in (None, e.chapter)]
        if not bank:
            raise ValueError(f"There are no questions on chapter {chapter!r}.")
        self.cards = sessions.cards(bank)
        with Progress() as kept:
            notice = kept.notice
            now = datetime.datetime.now(datetime.UTC)
            self.waiting = sessions.due(self.cards, kept.reviews(), now, new)
        self.total = len(self.waiting)
        self.text = widgets.HTML()
        self.reveal = widgets.Button(description="Reveal", button_style="primary")
        self.reveal.on_click(lambda _: self._reveal())
        self.ratings = widgets.HBox(
            [widgets.Button(description=f"{n} {word}") for n, word in RATINGS.items()]
        )
        for rating, button in zip(RATINGS, self.ratings.children, strict=True):
            button.on_click(lambda _, rating=rating: self._rate(rating))
        note = [widgets.HTML(f"<p>{html.escape(notice)}</p>")] if notice else []
        super().__init__([*note, self.text, self.reveal, self.ratings])
        self._show()

    def _show(self) -> None:
        if not self.waiting:
            self.text.value = "<p>That is all for now. Run the cell again later.</p>"
        else:
            card = self.waiting[0]
            number = self.total - len(self.waiting) + 1
            self.text.value = (
                f"<p><small>{number} of {self.total} · {html.escape(card.entry.field)}</small></p>"
                f"<p><b>{html.escape(card.question)}</b></p><p>Answer aloud, then reveal.</p>"
            )
        self.reveal.layout.display = "" if self.waiting else "none"
        self.ratings.layout.display = "none"

    def _reveal(self) -> None:
        card = self.waiting[0]
        parts = "".join(f"<p>{html.escape(part)}</p>" for part in card.answer.split("\n\n"))
        self.text.value = self.text.value.replace("<p>Answer aloud, then reveal.</p>", parts)
        self.reveal.layout.display = "none"
        self.ratings.layout.display = ""

    def _rate(self, rating: int) -> None:
        card = self.waiting.pop(0)
        with Progress() as kept:
            kept.add_review(card.id, rating, "widget")
        if rating == 1:  # It comes again at the end.
            self.waiting.append(card)
            self.total += 1
        self._show()
