"""The bundle for rooms without internet: what goes into it, and what its installer does with it."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tlcourse import data
from tlcourse.classroom import bundling
from tlcourse.cli import app

ROOT = Path(__file__).resolve().parents[2]
INSTALLER = ROOT / "tlcourse" / "classroom" / "files" / "install.py"
PROGRAMS = Path(".venv") / ("Scripts" if os.name == "nt" else "bin")


@pytest.fixture
def pip(monkeypatch):
    """Stands in for pip, and notes what it was asked."""
    asked = []

    def run(command):
        asked.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(bundling.subprocess, "run", run)
    return asked


@pytest.fixture
def no_slides(monkeypatch):
    """Slides take a second for all chapters; one test makes them."""
    monkeypatch.setattr(bundling.slides, "write", lambda notebook, out: out.touch())


def test_a_bundle_has_all_but_the_solutions(tmp_path, pip):
    size = bundling.make(tmp_path / "room", ["classroom"], say=lambda _: None)
    found = {
        path.relative_to(tmp_path / "room").as_posix() for path in (tmp_path / "room").rglob("*")
    }
    for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        assert {f"course/notebooks/{path.name}", f"slides/{path.stem}.html"} <= found
    for path in (ROOT / "exercises").glob("*.ipynb"):
        assert f"course/exercises/{path.name}" in found
    assert not any("source" in name for name in found)
    assert {"install.py", "constraints.txt", "README.txt", "course/README.md"} <= found
    assert size > 5e6

    (command,) = pip
    assert command[:3] == [sys.executable, "-m", "pip"] and "wheel" in command
    assert command[command.index("--constraint") + 1] == str(ROOT / "constraints.txt")
    assert command[-1] == f"{ROOT}[classroom]"
    facts = json.loads((tmp_path / "room" / "bundle.json").read_text())
    assert facts == {
        "package": "tlcourse[classroom]",
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "platform": sysconfig.get_platform(),
    }


def test_data_sets_come_along_and_load_in_the_room(tmp_path, pip, no_slides, monkeypatch):
    x, y = np.arange(80, dtype="uint8").reshape(20, 2, 2, 1), np.arange(20) % 10
    downloaded = data.Dataset(
        "cifar10", x, y, x[:10], y[:10], tuple("abcdefghij"), data.DATASETS["cifar10"]
    )
    monkeypatch.setattr(data, "load", lambda name: downloaded)
    said = []
    bundling.make(tmp_path / "room", fetch=["cifar10", "animals"], say=said.append)
    monkeypatch.undo()
    monkeypatch.setenv("TLCOURSE_DATA", str(tmp_path / "room" / "data"))
    there = data.load("cifar10")
    np.testing.assert_array_equal(there.x_train, x)
    assert there.y_test.tolist() == y[:10].tolist()
    assert there.class_names == tuple("abcdefghij")
    card = (tmp_path / "room" / "data" / "cifar10.txt").read_text(encoding="utf-8")
    assert "licence" in card and "Krizhevsky 2009" in card
    assert not (tmp_path / "room" / "data" / "animals.npz").exists()
    assert "Data: animals comes with the install." in said


def test_made_again_it_leaves_nothing_old_behind(tmp_path, pip, no_slides):
    bundling.make(tmp_path / "room", say=lambda _: None)
    (tmp_path / "room" / "wheels" / "old.whl").touch()
    bundling.make(tmp_path / "room", say=lambda _: None)
    assert not (tmp_path / "room" / "wheels" / "old.whl").exists()


def test_a_folder_with_other_things_is_left_alone(tmp_path, pip):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").touch()
    with pytest.raises(ValueError, match="other things"):
        bundling.make(tmp_path)
    assert (tmp_path / "data" / "thesis.txt").exists() and not pip


@pytest.mark.parametrize("arguments, said", [
    (["--extra", "clasroom"], "no extra 'clasroom'"),
    (["--fetch", "cifar11"], "no data set 'cifar11'"),
])  # fmt: skip
def test_a_name_that_does_not_exist_is_refused_before_anything_is_made(
    tmp_path, pip, arguments, said
):
    done = CliRunner().invoke(app, ["bundle", str(tmp_path / "room"), *arguments])
    assert done.exit_code == 2 and said in done.output
    assert not (tmp_path / "room").exists() and not pip


def test_a_failing_pip_is_no_bundle(tmp_path, monkeypatch):
    failed = subprocess.CompletedProcess([], 1)
    monkeypatch.setattr(bundling.subprocess, "run", lambda command: failed)
    done = CliRunner().invoke(app, ["bundle", str(tmp_path / "room")])
    assert done.exit_code == 2 and "could not gather" in done.output
    assert not (tmp_path / "room" / "install.py").exists()


def test_without_a_clone_it_says_what_to_do(tmp_path, monkeypatch):
    installed = tmp_path / "site-packages" / "tlcourse" / "__init__.py"
    monkeypatch.setattr(bundling.tlcourse, "__file__", str(installed))
    with pytest.raises(FileNotFoundError, match="from a clone"):
        bundling.make(tmp_path / "room")


# The installer, with a small package in place of the course.


def small_bundle(folder: Path, **facts) -> Path:
    """A bundle as `make` writes it, around a package that says where it is."""
    for part in ("wheels", "course/notebooks", "slides", "data"):
        (folder / part).mkdir(parents=True)
    shutil.copy(INSTALLER, folder)
    (folder / "course" / "notebooks" / "01_one.ipynb").write_text("as bundled")
    (folder / "data" / "cifar10.npz").write_text("data")
    (folder / "constraints.txt").write_text("tlcourse==0.0.1\n")
    ours = {
        "package": "tlcourse",
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "platform": sysconfig.get_platform(),
    }
    (folder / "bundle.json").write_text(json.dumps({**ours, **facts}))
    info = "tlcourse-0.0.1.dist-info"
    files = {
        "tlcourse.py": "def main():\n    print('it runs')\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tlcourse\nVersion: 0.0.1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\ntlcourse = tlcourse:main\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / "wheels" / "tlcourse-0.0.1-py3-none-any.whl", "w") as wheel:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(name, text)
    return folder


def offline() -> list[str]:
    """What cuts a program off from every network, where the system has it."""
    cut = ["unshare", "--map-root-user", "--net"]
    if (
        shutil.which("unshare")
        and subprocess.run([*cut, "true"], capture_output=True).returncode == 0
    ):
        return cut
    return []


def install(bundle: Path, *arguments, **environment) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*offline(), sys.executable, str(bundle / "install.py"), *map(str, arguments)],
        capture_output=True, text=True, env={**os.environ, **environment},
    )  # fmt: skip


needs_venv = pytest.mark.skipif(
    importlib.util.find_spec("ensurepip") is None, reason="this Python cannot make environments"
)


@needs_venv
def test_the_installer_installs_with_no_network_and_keeps_what_is_there(tmp_path):
    bundle = small_bundle(tmp_path / "bundle")
    room = tmp_path / "room"
    # Settings that would send pip elsewhere do not count.
    done = install(bundle, room, PIP_CONSTRAINT="/nowhere", PIP_INDEX_URL="https://nowhere.invalid")
    assert done.returncode == 0, done.stderr
    ran = subprocess.run([str(room / PROGRAMS / "tlcourse")], capture_output=True, text=True)
    assert ran.stdout == "it runs\n"
    assert (room / "notebooks" / "01_one.ipynb").read_text() == "as bundled"
    assert (room / "data" / "cifar10.npz").exists() and "TLCOURSE_DATA" in done.stdout
    assert str(room / PROGRAMS / "tlcourse") in done.stdout

    (room / "notebooks" / "01_one.ipynb").write_text("my work")
    again = install(bundle, room)
    assert again.returncode == 0, again.stderr
    assert (room / "notebooks" / "01_one.ipynb").read_text() == "my work"


@pytest.mark.parametrize("facts, arguments, said", [
    ({}, [], "Name the folder"),
    ({}, ["--help"], "Name the folder"),
    ({"python": "3.99"}, ["room"], "for Python 3.99"),
    ({}, ["bundle"], "other things"),
])  # fmt: skip
def test_the_installer_refuses_in_one_line(tmp_path, facts, arguments, said):
    bundle = small_bundle(tmp_path / "bundle", **facts)
    done = install(bundle, *(x if x.startswith("-") else tmp_path / x for x in arguments))
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "room").exists()


@needs_venv
def test_a_wheel_that_is_missing_is_an_error(tmp_path):
    bundle = small_bundle(tmp_path / "bundle", package="tlcourse[all]", platform="other-system")
    (bundle / "wheels" / "tlcourse-0.0.1-py3-none-any.whl").unlink()
    done = install(bundle, tmp_path / "room")
    assert done.returncode == 1 and "could not install everything" in done.stderr
    assert "Careful: this bundle was made on other-system" in done.stdout


# The whole course, from a real bundle.


@needs_venv
@pytest.mark.skipif(
    "TLCOURSE_BUNDLE" not in os.environ,
    reason="`tlcourse bundle FOLDER` and TLCOURSE_BUNDLE=FOLDER; it takes minutes",
)
def test_the_course_installs_and_runs_without_internet(tmp_path):
    bundle = Path(os.environ["TLCOURSE_BUNDLE"]).resolve()
    room = tmp_path / "room"
    done = install(bundle, room)
    assert done.returncode == 0, done.stdout + done.stderr
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("TLCOURSE_", "PYTHON"))}
    places = {"TLCOURSE_CACHE": str(tmp_path / "cache"), "TLCOURSE_HOME": str(tmp_path / "home")}

    def tlcourse(*arguments) -> str:
        ran = subprocess.run(
            [*offline(), str(room / PROGRAMS / "tlcourse"), *arguments],
            cwd=room, capture_output=True, text=True, env={**clean, **places},
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    assert "Ready." in tlcourse("doctor")
    assert "nbgrader" in tlcourse("classroom", str(tmp_path / "tl101"))
    assert "Wrote" in tlcourse("slides", "01")
    tlcourse("run", "01", "--out", str(tmp_path / "run"))
    assert (tmp_path / "run" / "ledger.jsonl").stat().st_size > 0
