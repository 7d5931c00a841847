"""The verification of stored outputs turns red when a claim stops holding, and only then."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager

from tlcourse.cli.kernels import HereOnly

CONFTEST = Path(__file__).resolve().parents[1] / "notebooks" / "conftest.py"
# A ledger of one claim, so that this test depends on no chapter's rule.
LEDGER = """
from tlcourse import claims

toy = claims.Claim("toy-gain", "01", "they say", "supported", "we assert", "a gain", "gain > 0")
claims.load = lambda: {"toy-gain": toy}
"""
CLAIM = "verdict = claims.check('toy-gain', gain=GAIN)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One executed notebook whose claim holds."""
    folder = tmp_path_factory.mktemp("notebooks")
    shutil.copy(CONFTEST, folder)
    setup = nbformat.v4.new_code_cell(f"{LEDGER}\nGAIN = 0.25")
    noise = nbformat.v4.new_code_cell(
        "import time, sys; print(time.time()); print(1, file=sys.stderr)"
    )
    check = nbformat.v4.new_code_cell(CLAIM, metadata={"tags": ["nbval-check-output"]})
    notebook = nbformat.v4.new_notebook(cells=[setup, noise, check])
    notebook.metadata["kernelspec"] = {
        "name": "python3", "display_name": "Python 3", "language": "python"
    }  # fmt: skip
    manager = type("Manager", (HereOnly, AsyncKernelManager), {})
    nbclient.execute(notebook, kernel_manager_class=manager)
    nbformat.write(notebook, folder / "01_toy.ipynb")
    return folder


def verify(folder: Path) -> subprocess.CompletedProcess:
    """What `make test` does with the chapters."""
    options = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout", "900",
               "-p", "no:python", "-p", "no:doctest", "-p", "no:cacheprovider"]  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(folder)],
        capture_output=True, text=True, cwd=folder,
    )  # fmt: skip


def changed(folder: Path, tmp_path: Path, old: str, new: str) -> Path:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    path = copy / "01_toy.ipynb"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    return copy


def test_a_claim_that_holds_passes(folder):
    done = verify(folder)
    assert done.returncode == 0 and "3 passed" in done.stdout, done.stdout


def test_another_number_within_the_rule_passes(folder, tmp_path):
    done = verify(changed(folder, tmp_path, "GAIN = 0.25", "GAIN = 0.75"))
    assert done.returncode == 0, done.stdout


def test_a_broken_claim_turns_the_run_red(folder, tmp_path):
    done = verify(changed(folder, tmp_path, "GAIN = 0.25", "GAIN = -0.25"))
    assert done.returncode == 1 and "1 failed, 2 passed" in done.stdout, done.stdout
    assert "FAILS     toy-gain" in done.stdout


def test_a_missing_measurement_turns_the_run_red(folder, tmp_path):
    done = verify(changed(folder, tmp_path, "gain=GAIN", "loss=GAIN"))
    assert done.returncode == 1 and "1 failed" in done.stdout


def test_make_test_verifies_in_this_way():
    makefile = (CONFTEST.parents[1] / "Makefile").read_text()
    assert "--nbval-lax --nbval-current-env --nbval-cell-timeout 900" in makefile
