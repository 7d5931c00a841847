"""The course folder that `tlcourse classroom` makes; test_nbgrader works with it."""

import os

import nbformat
import pytest
from typer.testing import CliRunner

from tlcourse.classroom import course
from tlcourse.cli import app
from tlcourse.exercises import masters


def test_every_master_becomes_an_assignment_with_its_solutions_and_points(tmp_path):
    written = course.make(tmp_path / "tl101")
    assert [path.stem for path in written] == [
        p.stem for p in sorted(masters.folder().glob("*.py"))
    ]
    for path in written:
        assert path.parent.name == path.stem and path.parent.parent.name == "source"
        notebook = nbformat.read(path, as_version=4)
        graded = [c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade")]
        assert graded and all("### BEGIN HIDDEN TESTS" in cell.source for cell in graded)
        assert notebook.metadata.kernelspec.name == "python3"


def test_the_settings_are_python_and_name_the_course_and_the_stub(tmp_path):
    course.make(tmp_path / "tl101", ["3"])
    text = (tmp_path / "tl101" / course.CONFIG).read_text(encoding="utf-8")
    compile(text, course.CONFIG, "exec")
    assert 'course_id = "tl101"' in text and f'{{"python": "{masters.STUB}"}}' in text
    assert str(tmp_path) not in text  # The folder can be moved.


def test_made_again_it_renews_the_masters_and_keeps_the_rest(tmp_path):
    folder = tmp_path / "tl101"
    (source,) = course.make(folder, ["03"])
    first = source.read_text(encoding="utf-8")
    source.write_text("old", encoding="utf-8")
    (folder / course.CONFIG).write_text("mine", encoding="utf-8")
    (folder / "gradebook.db").write_text("scores", encoding="utf-8")
    course.make(folder, ["03"])
    assert source.read_text(encoding="utf-8") == first
    assert (folder / course.CONFIG).read_text(encoding="utf-8") == "mine"
    assert (folder / "gradebook.db").read_text(encoding="utf-8") == "scores"


def test_each_hand_in_starts_with_an_empty_home(monkeypatch):
    monkeypatch.setenv("TLCOURSE_HOME", "/mine")
    course.fresh_home(assignment="03", student="a", notebooks=[])
    first = os.environ["TLCOURSE_HOME"]
    course.fresh_home(assignment="03", student="b", notebooks=[])
    second = os.environ["TLCOURSE_HOME"]
    assert len({"/mine", first, second}) == 3
    assert os.listdir(first) == os.listdir(second) == []


@pytest.mark.parametrize("name, chapter, said", [
    ("two words", "03", "without blanks"),
    ("tl+101", "03", "without blanks"),
    ("tl101", "99", "no master of chapter 99"),
])  # fmt: skip
def test_what_cannot_be_made_is_refused_in_one_line(tmp_path, name, chapter, said):
    done = CliRunner().invoke(app, ["classroom", str(tmp_path / name), chapter])
    assert done.exit_code == 2 and said in done.output and "Traceback" not in done.output
    assert not (tmp_path / name).exists()


def test_the_command_says_what_it_wrote_and_how_to_go_on(tmp_path):
    done = CliRunner().invoke(app, ["classroom", str(tmp_path / "tl101"), "7"])
    assert done.exit_code == 0 and "07_preprocessing" in done.output
    assert "nbgrader generate_assignment" in done.output
