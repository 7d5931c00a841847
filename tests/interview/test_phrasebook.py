"""The phrasebook as data, as a page and as a command; its code runs in two other files."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tlcourse.cli import app
from tlcourse.interview import phrasebook

MOVES = phrasebook.load()
PAGE = Path(__file__).parents[2] / "docs" / "phrasebook.md"
TOY = {
    "id": "toy-move",
    "title": "A toy",
    "asked": "What is a toy?",
    "keras": "def toy_move(x):\n    return x\n",
    "pytorch": "def toy_move(x):\n    return x\n",
    "differences": ["None."],
    "proof": "Play with it.",
}


def test_there_are_twenty():
    assert len(MOVES) == 20


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_a_move_reads_well(move):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", move.id)
    assert move.asked[-1] in "?."
    assert len(move.differences) >= 3
    for text in (*move.differences, move.proof):
        assert text[-1] in ".?" and "!" not in text and "\n" not in text, text
    for code in (move.keras, move.pytorch):
        assert code.count('"""') >= 2, "The move's function says what it does."


def test_frozen_batchnorm_is_named_where_it_bites():
    for name in ("freeze", "frozen-batchnorm"):
        said = " ".join(MOVES[name].differences)
        assert "BatchNormalization" in said or "statistics" in said
        assert "`model.train()`" in said


@pytest.mark.parametrize("name", [move.id for move in MOVES.values() if move.course])
def test_the_course_has_that_function(name):
    """Looked up in the source, so that no Keras has to be imported."""
    module, _, function = MOVES[name].course.rpartition(".")
    source = Path(importlib.util.find_spec(module.split(".")[0]).origin).parents[1]
    path = source.joinpath(*module.split("."))
    text = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
    assert re.search(rf"\b{function}\b", text), MOVES[name].course


@pytest.mark.skipif(importlib.util.find_spec("ruff") is None, reason="ruff is not installed")
def test_the_code_is_as_tidy_as_ours(tmp_path):
    for move in MOVES.values():
        for language in phrasebook.LANGUAGES:
            (tmp_path / f"{move.function}_{language}.py").write_text(
                getattr(move, language) + "\n", encoding="utf-8"
            )
    (tmp_path / "ruff.toml").write_text(
        'line-length = 80\n[lint]\nselect = ["E", "F", "W", "I", "B", "UP", "C4"]\n'
    )
    for command in (["check"], ["format", "--diff"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", str(tmp_path)],
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("change, said", [
    ({"keras": "def toy_move(x:\n"}, "toy-move, keras: is no Python"),
    ({"pytorch": "def other(x):\n    return x\n"}, "has to define a function toy_move"),
    ({"keras": f"def toy_move(x):\n    return {'x' * 80}\n"}, "longer than 80"),
    ({"colour": "red"}, "colour: is no field"),
])  # fmt: skip
def test_a_broken_move_is_refused(tmp_path, change, said):
    (tmp_path / "1.yaml").write_text(yaml.safe_dump([TOY | change]), encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(said)):
        phrasebook.read(tmp_path)


def test_a_missing_part_and_a_second_id_are_refused(tmp_path):
    path = tmp_path / "1.yaml"
    path.write_text(yaml.safe_dump([{k: v for k, v in TOY.items() if k != "proof"}]))
    with pytest.raises(ValueError, match="proof: is missing"):
        phrasebook.read(tmp_path)
    path.write_text(yaml.safe_dump([TOY, TOY]))
    with pytest.raises(ValueError, match="stands twice"):
        phrasebook.read(tmp_path)
    path.write_text(yaml.safe_dump([TOY]))
    assert list(phrasebook.read(tmp_path)) == ["toy-move"]


def test_the_page_is_of_today():
    assert PAGE.read_text(encoding="utf-8") == phrasebook.page(), "Run docs/make_phrasebook.py."


def test_the_page_holds_all_code_and_every_link_a_place():
    page = phrasebook.page()
    for move in MOVES.values():
        assert move.keras in page and move.pytorch in page
        assert f"](#{move.id})" in page and f'<a id="{move.id}"></a>' in page


def shown(*arguments, columns):
    return CliRunner().invoke(app, ["phrasebook", *arguments], env={"COLUMNS": str(columns)})


def test_the_command_lists():
    found = shown(columns=120)
    assert found.exit_code == 0
    assert [line.split()[0] for line in found.output.splitlines()] == list(MOVES)


@pytest.mark.parametrize("columns, together", [(200, True), (90, False)])
def test_the_command_shows_both_columns(columns, together):
    found = shown("freeze", columns=columns)
    assert found.exit_code == 0
    lines = found.output.splitlines()
    for code in (MOVES["freeze"].keras, MOVES["freeze"].pytorch):
        for line in code.splitlines():
            assert any(line.strip() in shown_line for shown_line in lines), line
    assert any(line.split() == ["Keras", "PyTorch"] for line in lines) is together
    assert "undoes" in found.output and "Show that it worked." in found.output


def test_the_command_refuses_what_it_does_not_know():
    found = shown("frieze", columns=90)
    assert found.exit_code == 2 and "There is no move 'frieze'; there are freeze" in found.output
