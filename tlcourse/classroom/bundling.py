"""A folder with all that it takes to install the course where there is no internet."""

import json
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

import numpy as np

import tlcourse
from tlcourse import config, data
from tlcourse.classroom import slides

README = """The course, to be installed without internet, on {platform} with Python {python}.

Copy this folder to a computer (or share it), open a terminal in it, and run

    python3 install.py FOLDER        (Windows: py -{python} install.py FOLDER)

It makes FOLDER with the notebooks, the exercises and an environment of their own, and says how to
open them. It takes {gigabytes:.1f} GB here and three to four times as much installed.
"""
# What a learner gets, of what the repository has. The solutions stay with the teacher.
COURSE = ("notebooks/*.ipynb", "exercises/*.ipynb", "docs/*.md", "docs/figures/*", "README.md",
          "LICENSE")  # fmt: skip


def make(
    folder: Path,
    extras: Sequence[str] = (),
    fetch: Sequence[str] = (),
    say: Callable[[str], None] = print,
) -> int:
    """Gather wheels, notebooks, slides and data, with a program that installs them.

    Wheels fit the Python and the system that this runs on: make the bundle on a computer like those
    of the room.

    Args:
        folder: to make; what an earlier run left there is replaced.
        extras: of the package, such as "classroom".
        fetch: data sets to take along that are not embedded, such as "cifar10".
        say: told what happens.

    Returns:
        How many bytes the bundle has.

    Raises:
        FileNotFoundError: tlcourse does not run from a clone, or a download was not possible.
        ValueError: an extra or a data set that does not exist, or a folder with other things in it.
        OSError: pip could not get or build all wheels; it has said why.
    """
    root = clone()
    folder = Path(folder).resolve()
    _check(folder, extras, fetch)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bundle.json").write_text("{}\n")
    for part in ("wheels", "course", "slides", "data"):
        shutil.rmtree(folder / part, ignore_errors=True)
        (folder / part).mkdir()

    say("Wheels: pip gathers them, in the tested versions.")
    _gather(root, folder / "wheels", extras)
    say("Notebooks, exercises, slides.")
    for pattern in COURSE:
        for source in root.glob(pattern):
            target = folder / "course" / source.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    for notebook in sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        slides.write(notebook, folder / "slides" / f"{notebook.stem}.html")
    for name in fetch:
        if data.DATASETS[name].offline:
            say(f"Data: {name} comes with the install.")
        else:
            say(f"Data: {name}.")
            _write_data(data.load(name), folder / "data")

    shutil.copy(root / "constraints.txt", folder)
    installer = resources.files("tlcourse.classroom") / "files" / "install.py"
    (folder / "install.py").write_text(installer.read_text(encoding="utf-8"), encoding="utf-8")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    facts = {
        "package": f"tlcourse[{','.join(extras)}]" if extras else "tlcourse",
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "platform": sysconfig.get_platform(),
    }
    with config.atomic_path(folder / "README.txt") as partial:
        partial.write_text(README.format(**facts, gigabytes=size / 1e9), encoding="utf-8")
    with config.atomic_path(folder / "bundle.json") as partial:
        partial.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return size


def clone() -> Path:
    """The repository that tlcourse runs from.

    Raises:
        FileNotFoundError: it was installed from a wheel.
    """
    root = Path(tlcourse.__file__).resolve().parents[1]
    if not (root / "constraints.txt").is_file():
        raise FileNotFoundError(
            "A bundle is made from a clone of the course: notebooks and pinned versions are there. "
            "Run `make course` in a clone and `.venv/bin/tlcourse bundle` of that."
        )
    return root


def _check(folder: Path, extras: Sequence[str], fetch: Sequence[str]) -> None:
    from importlib import metadata

    known = metadata.metadata("tlcourse").get_all("Provides-Extra") or []
    if unknown := sorted(set(extras) - set(known)):
        raise ValueError(f"There is no extra {unknown[0]!r}; there are {', '.join(known)}.")
    if unknown := sorted(set(fetch) - set(data.DATASETS)):
        raise ValueError(
            f"There is no data set {unknown[0]!r}; there are {', '.join(data.DATASETS)}."
        )
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "bundle.json").exists():
        raise ValueError(f"{folder} has other things in it; name a new folder.")


def _write_data(dataset: data.Dataset, folder: Path) -> None:
    """What `data.load` reads through TLCOURSE_DATA; beside it the data card, for the licence."""
    np.savez(
        folder / f"{dataset.name}.npz",
        x_train=dataset.x_train, y_train=dataset.y_train, x_test=dataset.x_test,
        y_test=dataset.y_test, class_names=np.array(dataset.class_names),
    )  # fmt: skip
    (folder / f"{dataset.name}.txt").write_text(f"{dataset.card}\n", encoding="utf-8")


def _gather(root: Path, wheels: Path, extras: Sequence[str]) -> None:
    """Wheels of the course and of all that it needs; what comes as source is built here."""
    package = f"{root}[{','.join(extras)}]" if extras else str(root)
    command = [
        sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel",
        "--constraint", str(root / "constraints.txt"), "--wheel-dir", str(wheels), package,
    ]  # fmt: skip
    if subprocess.run(command).returncode:
        raise OSError("pip could not gather the wheels; above, it says why. Is there internet?")
