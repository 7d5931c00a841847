"""The deck, imported by Anki's own library, and imported again after an update."""

import dataclasses
import re
import sqlite3
import zipfile

import pytest

from tlcourse.interview import deck, entries, figures

BANK = {name: entries.load()[name] for name in ("extract-or-finetune", "lora-or-full")}
NOTES = sum(1 + len(entry.follow_ups) for entry in BANK.values())


@pytest.fixture(autouse=True)
def small_bank(monkeypatch):
    monkeypatch.setattr(entries, "load", lambda: BANK)
    monkeypatch.setattr(figures, "png", lambda name: b"\x89PNG " + name.encode())


def guids(path) -> set[str]:
    with zipfile.ZipFile(path) as package:
        (path.parent / "collection.anki2").write_bytes(package.read("collection.anki2"))
    with sqlite3.connect(path.parent / "collection.anki2") as db:
        return {guid for (guid,) in db.execute("SELECT guid FROM notes")}


def test_ids_stay_when_texts_change(tmp_path, monkeypatch):
    assert deck.write(tmp_path / "a.apkg") == NOTES
    first = guids(tmp_path / "a.apkg")
    changed = {
        name: dataclasses.replace(entry, short="Another answer.", follow_ups=entry.follow_ups[::-1])
        for name, entry in BANK.items()
    }
    monkeypatch.setattr(entries, "load", lambda: changed)
    deck.write(tmp_path / "b.apkg")
    assert guids(tmp_path / "b.apkg") == first and len(first) == NOTES


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match="end in .apkg"):
        deck.write(tmp_path / "deck.zip")
    assert list(tmp_path.iterdir()) == []


def test_anki_imports_it_and_an_update_keeps_its_progress(tmp_path, monkeypatch):
    collection = pytest.importorskip("anki.collection", reason="the package anki is not installed")

    def load(path):
        request = collection.ImportAnkiPackageRequest(
            package_path=str(path), options=collection.ImportAnkiPackageOptions()
        )
        return anki.import_anki_package(request)

    deck.write(tmp_path / "first.apkg")
    anki = collection.Collection(str(tmp_path / "mine.anki2"))
    try:
        log = load(tmp_path / "first.apkg").log
        assert len(log.new) == NOTES and not log.conflicting
        assert anki.decks.by_name("Transfer learning, measured")
        assert anki.card_count() == NOTES
        [number] = anki.find_cards('"tag:chapter-02" "What is LoRA"')
        card = anki.get_card(number)
        assert "What is LoRA" in card.question() and "In three minutes" in card.answer()
        assert r"\[" in card.answer() and "anki-mathjax" not in card.question()
        [figured] = anki.find_notes("extract-or-finetune.png")
        media = tmp_path / "mine.media" / "tlcourse-extract-or-finetune.png"
        assert media.read_bytes() == b"\x89PNG extract-or-finetune" and figured

        anki.sched.answerCard(_started(anki, card), 3)
        reviewed = anki.get_card(number)
        assert reviewed.reps == 1
        changed = dataclasses.replace(BANK["lora-or-full"], short="Said in another way.")
        monkeypatch.setattr(entries, "load", lambda: {**BANK, "lora-or-full": changed})
        deck.write(tmp_path / "second.apkg")
        _later(anki, tmp_path / "second.apkg")
        log = load(tmp_path / "second.apkg").log
        assert not log.new and anki.card_count() == NOTES
        again = anki.get_card(number)
        assert "Said in another way." in again.answer()
        assert (again.reps, again.due, again.ivl) == (reviewed.reps, reviewed.due, reviewed.ivl)
    finally:
        anki.close()


def _started(anki, card):
    card.start_timer()
    return card


def _later(anki, path):
    """Anki takes a note for an update if it was changed later; a test cannot wait a second."""
    folder = path.parent / "unpacked"
    with zipfile.ZipFile(path) as package:
        package.extractall(folder)
    with sqlite3.connect(folder / "collection.anki2") as db:
        db.execute("UPDATE notes SET mod = mod + 60")
    db.close()
    with zipfile.ZipFile(path, "w") as package:
        for file in sorted(folder.iterdir()):
            package.write(file, file.name)


def test_html_in_a_text_is_text():
    parts = deck._paragraphs("a < b & c\n\nsecond")
    assert parts == "<p>a &lt; b &amp; c</p><p>second</p>"
    assert not re.search(r"<p>\s*</p>", parts)
