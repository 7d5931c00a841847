"""The exercises as a course of nbgrader's, which hands out, collects and grades notebooks."""

import atexit
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tlcourse import config
from tlcourse.exercises import masters

CONFIG = "nbgrader_config.py"
_CONFIG = r'''"""Settings of nbgrader, which reads them when you start it in this folder.

Written by `tlcourse classroom`. Change what you like; that command leaves this file alone.
"""

import os
import sys
from pathlib import Path

c = get_config()  # noqa: F821, nbgrader defines it
HERE = Path(__file__).resolve().parent

c.CourseDirectory.root = str(HERE)
c.CourseDirectory.course_id = "{name}"
# Where hand-outs and hand-ins lie. On a machine that many share, name a folder that all can write
# to, such as nbgrader's own default, /usr/local/share/nbgrader/exchange.
c.Exchange.root = str(HERE / "exchange")

# How hand-ins are named that `nbgrader zip_collect` finds in `downloaded/ASSIGNMENT/archive`:
# LEARNER_ASSIGNMENT.ipynb. A learning platform may have its own way; write it here.
c.FileNameCollectorPlugin.named_regexp = (
    r".*[/\\](?P<student_id>[^/\\_]+)_(?P<file_id>\d\d_\w+)"
)

# What learners find where the solution was. The checks know it.
c.ClearSolutions.code_stub = {{"python": "{stub}"}}

# Seconds for a cell. A check stops what it runs after {limit:g} seconds, and a cell has two.
c.Execute.timeout = {timeout}
# What the checks remember of one hand-in is not shown in the next, nor added to your own progress.
c.Autograde.pre_convert_hook = "tlcourse.classroom.course.fresh_home"
# nbgrader calls `alembic` by its name, which is found only if the environment is active.
os.environ["PATH"] = str(Path(sys.executable).parent) + os.pathsep + os.environ.get("PATH", "")
# Grade with the Python that runs nbgrader, whatever other kernels this machine has.
os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
# Chatter of TensorFlow does not belong in feedback.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
'''
TIMEOUT = 30


def make(folder: Path, chapters: Sequence[str] = ()) -> list[Path]:
    """Write a course folder: settings, and the masters of the exercises as notebooks.

    Run again, it renews the masters and keeps everything else.

    Args:
        folder: where to; its name becomes the name of the course.
        chapters: such as "03"; all that have exercises if empty.

    Returns:
        The notebooks that were written.

    Raises:
        FileNotFoundError: a chapter has no exercises, or the masters are not installed.
        ValueError: nbgrader could not use the name.
    """
    import nbformat

    from tlcourse.exercises.judging import LIMIT

    folder = Path(folder).resolve()
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", folder.name):
        raise ValueError(
            f"The folder's name becomes the name of the course, and {folder.name!r} will not do: "
            "use letters, digits, dots, hyphens and underscores, without blanks."
        )
    wanted = [masters.find(str(chapter).zfill(2)) for chapter in chapters]
    written = []
    for master in wanted or sorted(masters.folder().glob("*.py")):
        target = folder / "source" / master.stem / f"{master.stem}.ipynb"
        with config.atomic_path(target) as partial:
            nbformat.write(masters.read(master), partial)
        written.append(target)
    (folder / "exchange").mkdir(exist_ok=True)
    if not (folder / CONFIG).exists():
        text = _CONFIG.format(name=folder.name, stub=masters.STUB, limit=LIMIT, timeout=TIMEOUT)
        with config.atomic_path(folder / CONFIG) as partial:
            partial.write_text(text, encoding="utf-8")
    return written


def fresh_home(**_) -> None:
    """Let the kernels that start from now on keep progress in an empty folder.

    nbgrader calls it before each hand-in, and tells it which one.
    """
    home = tempfile.mkdtemp(prefix="tlcourse-grading-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ["TLCOURSE_HOME"] = home
