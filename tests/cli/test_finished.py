"""What a run in a folder leaves for the next one there."""

import nbformat
import pytest

from tlcourse.cli import finished

RESULT = {"chapter": "01", "notebook": "seed-0/01_a.ipynb"}


def document(source="1 + 1", tags=()):
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)})
    return nbformat.v4.new_notebook(cells=[cell])


@pytest.fixture
def kept(tmp_path):
    finished.keep(tmp_path, "quick-01-seed-0", "key", RESULT, "the notebook", ['{"id": "a"}'])
    return tmp_path


def test_what_was_kept_is_found(kept):
    assert finished.find(kept, "quick-01-seed-0", "key") == (RESULT, ['{"id": "a"}'])
    assert (kept / "seed-0" / "01_a.ipynb").read_text() == "the notebook"
    assert [path.name for path in (kept / "finished").iterdir()] == ["quick-01-seed-0.json"]


@pytest.mark.parametrize("name, key", [("quick-01-seed-1", "key"), ("quick-01-seed-0", "other")])
def test_another_pair_or_another_notebook_is_not_found(kept, name, key):
    assert finished.find(kept, name, key) is None


def test_a_pair_whose_notebook_was_changed_or_deleted_is_not_done(kept):
    notebook = kept / "seed-0" / "01_a.ipynb"
    notebook.write_text("that of another run")
    assert finished.find(kept, "quick-01-seed-0", "key") is None
    notebook.unlink()
    assert finished.find(kept, "quick-01-seed-0", "key") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_file_that_is_not_one_of_ours_counts_for_nothing(kept, text):
    (kept / "finished" / "quick-01-seed-0.json").write_text(text)
    assert finished.find(kept, "quick-01-seed-0", "key") is None


def test_the_identity_is_that_of_what_decides_the_result(monkeypatch):
    same = finished.identity(document(), "quick", 0)
    executed = document()
    executed.cells[0].outputs, executed.cells[0].execution_count = ["2"], 7
    assert finished.identity(executed, "quick", 0) == same
    others = {
        finished.identity(document("1 + 2"), "quick", 0),
        finished.identity(document(tags=["parameters"]), "quick", 0),
        finished.identity(document(), "full", 0),
        finished.identity(document(), "quick", 1),
    }
    monkeypatch.setattr(finished.tlcourse, "__version__", "99")
    others.add(finished.identity(document(), "quick", 0))
    assert len(others) == 5 and same not in others


def test_a_ledger_gets_each_line_once(tmp_path):
    ledger = tmp_path / "ledger.jsonl"
    for lines in ([], ["a", "b"], ["b", "c"], []):
        finished.extend(ledger, lines)
    assert ledger.read_text() == "a\nb\nc\n"


def test_a_line_that_was_cut_short_does_not_spoil_the_next(tmp_path):
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_text('a\n{"half')
    finished.extend(ledger, ["b"])
    assert ledger.read_text() == 'a\n{"half\nb\n'
