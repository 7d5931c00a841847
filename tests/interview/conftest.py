"""A home folder of its own for every test, and a small bank."""

import copy

import pytest
import yaml

WORDS = "This answer says what has to be said and is long enough to be spoken aloud. "
ENTRY = {
    "id": "toy",
    "field": "foundations",
    "level": "mid",
    "minutes": 4,
    "question": "What is a toy?",
    "short": WORDS * 4,
    "long": WORDS * 24,
    "strong": "All of it.",
    "adequate": "Half of it.",
    "weak": "None of it.",
    "rubric": ["It is small.", "It is fun.", "It is safe.", "It is a model."],
    "wrong": [{"says": "A tool.", "because": "Nobody works with it."}],
    "follow_ups": [
        {"id": f"more-{n}", "question": f"And {n}?", "answer": f"Also {n}."} for n in range(8)
    ],
    "claims": {},
    "papers": ["A. Author, 2020, Toys, https://example.org/toys"],
    "quiz": {
        "question": "Which one is a toy?",
        "choices": [
            {"text": "A ball.", "correct": True, "why": "One plays with it."},
            {"text": "A law.", "correct": False, "why": "One obeys it."},
            {"text": "A sum.", "correct": False, "why": "One pays it."},
        ],
    },
}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    monkeypatch.setenv("TLCOURSE_HOME", str(folder))
    return folder


@pytest.fixture
def entry():
    """An entry as YAML knows it, to be changed at will."""
    return copy.deepcopy(ENTRY)


@pytest.fixture
def write(tmp_path):
    """Write entries into 01.yaml of a folder and return that folder."""

    def writer(*entries, name="01.yaml"):
        folder = tmp_path / "bank"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(yaml.safe_dump(list(entries)), encoding="utf-8")
        return folder

    return writer
