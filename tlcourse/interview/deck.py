"""The bank as a deck for Anki. Ids follow from the bank's, so that an update keeps the progress."""

import html
import tempfile
from pathlib import Path

import genanki

from tlcourse import config
from tlcourse.interview import entries, figures

# Random once, and never changed: Anki knows deck and note type by them.
_DECK, _MODEL = 1_728_405_113, 1_350_982_764

_CSS = """
.card { font-family: sans-serif; font-size: 18px; text-align: left; line-height: 1.4; }
.from { color: #777; font-size: 14px; }
img { max-width: 100%; }
details { margin-top: 0.8em; }
"""
_MODEL_FIELDS = ("Question", "Answer", "More", "Figure", "From")
_FRONT = '<div class="from">{{From}}</div><p><b>{{Question}}</b></p>'
_BACK = "{{FrontSide}}<hr id=answer>{{Answer}}{{Figure}}{{More}}"


def write(path: str | Path) -> int:
    """Write the deck.

    Each question is a note, with its long answer, rubric, wrong answers and papers to be unfolded;
    so is each follow-up.

    Args:
        path: `NAME.apkg`.

    Returns:
        How many notes it holds.

    Raises:
        ValueError: the name does not end in .apkg.
    """
    path = Path(path)
    if path.suffix != ".apkg":
        raise ValueError(f"{path} is no name for a deck; let it end in .apkg.")
    bank = entries.load()
    deck = genanki.Deck(_DECK, "Transfer learning, measured")
    model = genanki.Model(
        _MODEL, "Transfer learning, measured", fields=[{"name": name} for name in _MODEL_FIELDS],
        templates=[{"name": "Interview", "qfmt": _FRONT, "afmt": _BACK}], css=_CSS,
    )  # fmt: skip
    for entry in bank.values():
        tags = [f"chapter-{entry.chapter}", entry.level, entry.field.replace(" ", "-")]
        source = f"chapter {entry.chapter} · {entry.field} · {entry.level}"
        for name, question, answer, more, figure in _notes(entry):
            deck.add_note(
                genanki.Note(
                    model,
                    [html.escape(question), answer, more, figure, source],
                    tags=tags,
                    guid=genanki.guid_for("tlcourse", name),
                )  # fmt: skip
            )
    used = sorted({entry.figure for entry in bank.values() if entry.figure})
    with tempfile.TemporaryDirectory() as folder, config.atomic_path(path) as partial:
        media = []
        for name in used:
            picture = Path(folder) / f"tlcourse-{name}.png"
            picture.write_bytes(figures.png(name))
            media.append(str(picture))
        genanki.Package(deck, media_files=media).write_to_file(partial)
    return len(deck.notes)


def _notes(entry: entries.Entry):
    """Id, question, answer, more and figure of each note of an entry."""
    formula = rf"<p>\[{html.escape(entry.formula)}\]</p>" if entry.formula else ""
    figure = f'<p><img src="tlcourse-{entry.figure}.png"></p>' if entry.figure else ""
    wrong = [f"“{wrong.says}” {wrong.because}" for wrong in entry.wrong]
    more = (
        _folded("In three minutes", _paragraphs(entry.long))
        + _folded("Rubric", _list(entry.rubric))
        + _folded("Wrong, and often said", _list(wrong))
        + (_folded("Papers", _list(entry.papers)) if entry.papers else "")
    )
    yield entry.id, entry.question, _paragraphs(entry.short) + formula, more, figure
    for follow_up in entry.follow_ups:
        name = f"{entry.id}/{follow_up.id}"
        yield name, follow_up.question, _paragraphs(follow_up.answer), "", ""


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{html.escape(part)}</p>" for part in text.split("\n\n"))


def _list(items) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(item)}</li>" for item in items) + "</ul>"


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{title}</summary>{content}</details>"
