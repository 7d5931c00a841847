"""One room, one subject; imports run downwards only."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tlcourse"

# From the ground up: a room may import from those before it.
ROOMS = (
    "devices",
    "config",
    "store",
    "progress",
    "data",
    "models",
    "preprocessing",
    "features",
    "freezing",
    "evaluation",
    "visualization",
    "training",
    "multitask",
    "forgetting",
    "adaptation",
    "uncertainty",
    "explaining",
    "feature_maps",
    "probing",
    "onepass",
    "speed",
    "pipeline",
    "claims",
    "interview",
    "exercises",
    "classroom",
    "cli",
)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(source: str) -> set[str]:
    """The rooms that a piece of code imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            package, *inside = node.module.split(".")
            if package == "tlcourse":
                found |= {inside[0]} if inside else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            parts = [alias.name.split(".") for alias in node.names]
            found |= {names[1] for names in parts if names[0] == "tlcourse" and len(names) > 1}
    return found & set(ROOMS)


def files() -> list[Path]:
    return [file for file in sorted(PACKAGE.rglob("*.py")) if not room_of(file).startswith("__")]


def test_every_room_has_its_place():
    assert {room_of(file) for file in files()} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_downwards(room):
    below = set(ROOMS[: ROOMS.index(room) + 1])
    upwards = {
        str(file.relative_to(ROOT)): sorted(up)
        for file in files()
        if room_of(file) == room
        and (up := imported_rooms(file.read_text(encoding="utf-8")) - below)
    }
    assert upwards == {}


def test_every_way_of_importing_is_seen():
    source = (
        "from tlcourse import data, __version__\n"
        "import tlcourse.models.build, os\n"
        "def late():\n    from tlcourse.training.loop import train\n"
    )
    assert imported_rooms(source) == {"data", "models", "training"}


def test_the_readme_shows_every_room():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    drawing = readme.split("```mermaid")[1].split("```")[0]
    assert [room for room in ROOMS if room not in drawing] == []
