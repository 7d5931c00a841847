"""On which machine, and at which commit, something was measured."""

import datetime
import subprocess
from importlib import metadata
from pathlib import Path

import psutil

from tlcourse import claims

ROOT = Path(__file__).resolve().parents[1]
# What a measurement depends on. The results themselves change while it runs.
_MATTERS = ("tlcourse", "benchmarks", "notebooks", "pyproject.toml", "constraints.txt")
_RESULTS = "benchmarks/results.json"
_VERSIONS = ("tensorflow", "keras", "onnxruntime", "openvino", "torch", "numpy", "scikit-learn")


def where() -> dict:
    """Commit, date, machine and versions, for everything that is measured now.

    Returns:
        "commit" (40 hex digits, empty outside a clone), "dirty" (the files that differ from that
        commit and could change a number), "date", "processor", "cores", "memory" in bytes,
        "system", "python" and "versions". It names no host and no user.
    """
    about = claims.machine()
    changed = _git("status", "--porcelain", "--", *_MATTERS, f":!{_RESULTS}").splitlines()
    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": [line.split()[-1] for line in changed],
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": about["processor"],
        "cores": about["cores"],
        "memory": psutil.virtual_memory().total,
        "system": about["system"],
        "python": about["python"],
        "versions": {name: version for name in _VERSIONS if (version := _version(name))},
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
