"""Is this machine ready for the course? Every check answers, and every problem has a remedy."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rich.console import Console
from rich.table import Table
from rich.text import Text

import tlcourse

OK, WARNING, PROBLEM = "ok", "warning", "problem"
_SIGN = {OK: "✔", WARNING: "!", PROBLEM: "✘"}
_COLOUR = {OK: "green", WARNING: "yellow", PROBLEM: "red"}

PYTHON = ((3, 11), (3, 14))
MEMORY = 3 * 2**30  # what one chapter may take
DISK = 1 * 2**30  # for caches and executed notebooks


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        subject: what was looked at, such as "memory".
        status: "ok", "warning" (the course runs, but) or "problem" (it does not).
        detail: what was found.
        remedy: what to do about it; empty where all is well.
    """

    subject: str
    status: str
    detail: str
    remedy: str = ""


def examine(need_gpu: bool = False) -> list[Finding]:
    """All findings, in the order in which one would mend them.

    Args:
        need_gpu: whether having none is a problem, as it is where the full profile runs.
    """
    found = [python(sys.version_info[:2])]
    found += packages(direct_dependencies(), pinned(_repository() / "constraints.txt"))
    if any(finding.status == PROBLEM for finding in found):
        return found  # What follows needs the packages.
    found.append(backend())
    if found[-1].status == PROBLEM:
        return found  # Keras does not start without it.
    keras = _ask_keras()
    return [
        *found,
        memory(_usable_memory()),
        cores(_usable_cores()),
        *cache(),
        embedded_data(),
        weights(keras["weights"]),
        onnx_runtime(),
        kernel(),
        gpu(keras["gpus"], need_gpu),
    ]


def show(need_gpu: bool = False, console: Console | None = None) -> int:
    """Print all findings; return 1 if one of them blocks the course, otherwise 0."""
    console = console or Console()
    with console.status("Examining this machine …"):
        found = examine(need_gpu)
    table = Table(title=f"tlcourse {tlcourse.__version__} on {platform.platform()}",
                  title_justify="left")  # fmt: skip
    for heading in ("", "subject", "found", "remedy"):
        table.add_column(heading)
    for finding in found:
        sign = Text(_SIGN[finding.status], _COLOUR[finding.status])
        # As plain text: the brackets of `.[gpu]` are no markup.
        table.add_row(sign, *map(Text, (finding.subject, finding.detail, finding.remedy)))
    console.print(table)
    problems = sum(finding.status == PROBLEM for finding in found)
    console.print("Ready." if not problems else f"{problems} to mend before the course can run.")
    return int(problems > 0)


def python(version: tuple[int, int]) -> Finding:
    """Whether the course supports this Python."""
    text = ".".join(map(str, version))
    if PYTHON[0] <= version < PYTHON[1]:
        return Finding("Python", OK, text)
    return Finding("Python", PROBLEM, text, "Make the environment with Python 3.11, 3.12 or 3.13.")


def packages(wanted: Iterable[Requirement], pins: dict[str, str]) -> list[Finding]:
    """Installed packages against what the course asks for and what it was tested with.

    Args:
        wanted: the direct dependencies.
        pins: version by normalised name, as `pinned` reads them; empty if there is no such file.

    Returns:
        One finding for each package that is missing or of another version, or a single good one.
    """
    found, count = [], 0
    remedy = "Run `pip install -c constraints.txt -e .` in your clone."
    for requirement in wanted:
        count += 1
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            found.append(Finding(requirement.name, PROBLEM, "not installed", remedy))
            continue
        pin = pins.get(canonicalize_name(requirement.name))
        if not requirement.specifier.contains(version, prereleases=True):
            detail = f"{version}, but the course needs {requirement.specifier}"
            found.append(Finding(requirement.name, PROBLEM, detail, remedy))
        elif pin and pin != version:
            detail = f"{version}; tested with {pin}"
            found.append(Finding(requirement.name, WARNING, detail, remedy))
    return found or [Finding("packages", OK, f"all {count} installed, in the tested versions")]


def pinned(constraints: Path) -> dict[str, str]:
    """Versions by normalised package name in a constraints file; none if there is no file."""
    if not constraints.is_file():
        return {}
    lines = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", constraints.read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in lines}


def direct_dependencies() -> list[Requirement]:
    """What the installed tlcourse asks for on this machine, without its extras."""
    here = {**default_environment(), "extra": ""}
    wanted = [Requirement(line) for line in metadata.requires("tlcourse") or []]
    return [r for r in wanted if r.marker is None or r.marker.evaluate(here)]


def backend() -> Finding:
    """Which backend Keras uses. The course's times and committed runs are TensorFlow's."""
    from tlcourse import config

    try:
        name = config.backend()
    except ValueError as error:
        detail, _, remedy = str(error).partition("; ")
        return Finding("Keras backend", PROBLEM, detail, remedy[0].upper() + remedy[1:])
    if name == "tensorflow":
        return Finding("Keras backend", OK, name)
    remedy = "Unset KERAS_BACKEND to get the times and the numbers that the course states."
    return Finding("Keras backend", WARNING, f"{name} {metadata.version(name)}", remedy)


def memory(total: int) -> Finding:
    """Whether a chapter fits into the machine's memory, in bytes."""
    text = f"{total / 2**30:.1f} GB"
    if total >= 2 * MEMORY:
        return Finding("memory", OK, text)
    if total >= MEMORY:
        return Finding("memory", WARNING, text, "Close other programs; a chapter may take 3 GB.")
    return Finding("memory", PROBLEM, text, "A chapter may take 3 GB; use another machine.")


def cores(count: int) -> Finding:
    """Whether the chapters' times will be those that the course states."""
    if count >= 2:
        return Finding("processor", OK, f"{count} cores")
    return Finding("processor", WARNING, "1 core", "Expect twice the times that the course states.")


def disk(free: int) -> Finding:
    """Whether caches and executed notebooks fit on the disk, in bytes."""
    text = f"{free / 2**30:.1f} GB free for caches"
    if free >= DISK:
        return Finding("disk", OK, text)
    remedy = "Free 1 GB, run `tlcourse data --clear`, or set TLCOURSE_CACHE to another disk."
    return Finding("disk", PROBLEM, text, remedy)


def cache() -> list[Finding]:
    """Whether the cache folder can be written, and what room it has."""
    from tlcourse import config

    try:
        folder = config.cache_dir()
        with tempfile.NamedTemporaryFile(dir=folder):
            return [Finding("cache", OK, str(folder)), disk(shutil.disk_usage(folder).free)]
    except OSError as error:
        remedy = "Set TLCOURSE_CACHE to a folder that you may write."
        return [Finding("cache", PROBLEM, f"{error.filename}: {error.strerror}", remedy)]


def embedded_data() -> Finding:
    """Whether every data set that comes with the install is there."""
    from tlcourse import data

    offline = [name for name, card in data.DATASETS.items() if card.offline]
    missing = [name for name in offline if not data.available(name)]
    if not missing:
        return Finding("data", OK, ", ".join(offline))
    remedy = "Run `pip install -c constraints.txt -e .` in your clone."
    return Finding("data", PROBLEM, f"missing: {', '.join(missing)}", remedy)


def weights(errors: dict[str, str]) -> Finding:
    """Whether the embedded ImageNet weights can be read.

    Args:
        errors: by backbone, what happened when its weights were read; empty text if all went well.
    """
    broken = {name: error for name, error in errors.items() if error}
    if errors and not broken:
        return Finding("weights", OK, ", ".join(errors))
    detail = "; ".join(f"{name}: {error}" for name, error in broken.items())
    remedy = "Run `pip install --force-reinstall -c constraints.txt -e .` in your clone."
    return Finding("weights", PROBLEM, detail or "Keras does not start", remedy)


def onnx_runtime() -> Finding:
    """Whether ONNX Runtime loads; without it, features are slower to compute."""
    try:
        import onnxruntime
    except ImportError as error:
        remedy = "Run `pip install --force-reinstall onnxruntime`; until then Keras does its work."
        return Finding("ONNX Runtime", WARNING, str(error), remedy)
    return Finding("ONNX Runtime", OK, onnxruntime.__version__)


def kernel() -> Finding:
    """Whether a notebook that JupyterLab opens runs in this environment."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    remedy = "Start it with `tlcourse lab`, which puts this environment's kernel first."
    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        return Finding("kernel", PROBLEM, "none", "Run `pip install --force-reinstall ipykernel`.")
    program = spec.argv[0]
    # A bare `python` stands for the interpreter that starts the kernel. Links stay unresolved:
    # those of two environments lead to one interpreter.
    here = os.path.normcase(os.path.dirname(sys.executable))
    if not os.path.dirname(program) or os.path.normcase(os.path.dirname(program)) == here:
        return Finding("kernel", OK, "python3 is this environment")
    return Finding("kernel", WARNING, f"python3 is {program}", remedy)


def gpu(names: list[str], needed: bool) -> Finding:
    """Which GPUs the backend of Keras sees. The quick profile needs none."""
    if names:
        return Finding("GPU", OK, ", ".join(names))
    if needed:
        remedy = "Install a driver, and run `pip install -c constraints.txt -e .[gpu]`."
        return Finding("GPU", PROBLEM, "none that the backend of Keras can use", remedy)
    return Finding("GPU", OK, "none; the quick profile needs none")


_PROBE = """
import json
import keras
from tlcourse.models import lite

def error(name):
    try:
        lite.converted_weights(name)
    except Exception as error:
        return str(error)
    return ""

def tensorflow():
    import tensorflow as tf
    details = tf.config.experimental.get_device_details
    return [details(g).get("device_name", g.name) for g in tf.config.list_physical_devices("GPU")]

def jax():
    import jax
    return [device.device_kind for device in jax.devices() if device.platform != "cpu"]

def torch():
    import torch
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]

gpus = {"tensorflow": tensorflow, "jax": jax, "torch": torch}[keras.backend.backend()]
print(json.dumps({"gpus": gpus(), "weights": {name: error(name) for name in lite.SCALES}}))
"""


def _ask_keras() -> dict:
    # In a process of its own: backends talk while they start, and a broken one may not survive.
    answer = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True)
    if answer.returncode != 0:
        return {"gpus": [], "weights": {}}
    return json.loads(answer.stdout.splitlines()[-1])


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _usable_memory() -> int:
    """Memory in bytes: the machine's, or the share of it that a container may use."""
    total = psutil.virtual_memory().total
    try:
        return min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):
        return total


def _repository() -> Path:
    return Path(tlcourse.__file__).resolve().parents[1]
