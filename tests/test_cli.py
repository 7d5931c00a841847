"""The command: what it finds, runs, reports and refuses, on toy chapters without TensorFlow."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import jupytext
import nbformat
import psutil
import pytest
from packaging.requirements import Requirement
from rich.console import Console
from typer.testing import CliRunner

import tlcourse
from tlcourse import claims, config
from tlcourse.cli import app, execute, health, storage, table

PARAMETERS = 'PROFILE: str = "quick"  # quick | full\nSEED: int = 0  # what follows from it'
TOYS = [
    claims.Claim("toy-holds", "01", "they <say>", "supported", "we assert", "a share", "x > 0"),
    claims.Claim("toy-seed", "02", "they say", "false", "depends on the seed", "-", "x > 0"),
    claims.Claim("toy-fails", "03", "they say", "false", "we assert", "-", "x > 0", ("A, 2020",)),
    claims.Claim("toy-unrun", "09", "they say", "conditional", "we assert", "-", "x > 0"),
]
# In a toy chapter's kernel: a ledger of one claim, and no TensorFlow.
CHECK = """
from tlcourse import claims, config
config._current = config.Run("{0}", PROFILE, SEED)
claims.load = lambda: {{
    "{1}": claims.Claim("{1}", "{0}", "they say", "false", "we assert", "-", "x > 0")}}
_ = claims.check("{1}", x={2})
"""


def chapter(folder: Path, name: str, *cells: str, title="Toy") -> Path:
    parameters = nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
    code = [nbformat.v4.new_code_cell(cell) for cell in cells]
    heading = nbformat.v4.new_markdown_cell(f"# {int(name[:2])} · {title}")
    notebook = nbformat.v4.new_notebook(cells=[heading, parameters, *code])
    notebook.metadata["kernelspec"] = {
        "name": "python3", "display_name": "Python 3", "language": "python"
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    nbformat.write(notebook, folder / f"{name}.ipynb")
    return folder


@pytest.fixture
def toy_claims(monkeypatch):
    monkeypatch.setattr(claims, "load", lambda: {claim.id: claim for claim in TOYS})


def invoke(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})


def record(claim_id, holds, seed=0, **measured):
    return {
        "id": claim_id, "holds": holds, "seed": seed, "profile": "quick", "chapter": "01",
        "time": "2030-01-01T00:00:00+00:00", "machine": {"cores": 2}, "measured": measured,
    }  # fmt: skip


# The package and the command start fast, and without TensorFlow.


def seconds(code: str) -> float:
    """The best of three, so that a busy machine does not decide."""
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        best = min(best, time.perf_counter() - start)
    return best


def test_importing_the_package_is_fast():
    # The bound is 0.2 s on an idle machine; this one may be busy.
    assert seconds("import tlcourse") - seconds("pass") < 0.4


def test_help_is_fast():
    code = "import sys; sys.argv = ['tlcourse', '--help']; from tlcourse.cli import main; main()"
    assert seconds(code) - seconds("pass") < 1.5  # 0.5 s on an idle machine


def imported(module, *names):
    """Those of some modules that come with one of ours."""
    code = f"import sys, tlcourse{module}\nprint(*sorted({set(names)} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return out.stdout.split()


@pytest.mark.parametrize(
    "module", ["", ".config", ".data", ".claims", ".cli", ".cli.execute", ".cli.pictures"]
)
def test_no_tensorflow_is_imported(module):
    assert imported(module, "keras", "tensorflow", "jax", "torch") == []


def test_a_run_keeps_its_memory_for_the_chapters():
    assert imported(".cli.execute", "sklearn", "scipy.stats", "pandas", "matplotlib") == []


def test_modules_load_on_first_use():
    code = (
        "import sys, tlcourse\n"
        "assert 'tlcourse.config' not in sys.modules and 'config' in dir(tlcourse)\n"
        "assert tlcourse.config is sys.modules['tlcourse.config']"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = tlcourse.nonsense


def test_version():
    assert invoke("--version").output.strip() == tlcourse.__version__


# find


@pytest.fixture
def three(tmp_path):
    for name in ("01_a", "02_b", "10_c"):
        chapter(tmp_path / "notebooks", name)
    (tmp_path / "notebooks" / "draft.ipynb").write_text("{}")
    return tmp_path / "notebooks"


def test_find_gives_all_chapters_in_order(three):
    assert [file.stem for file in execute.find(three)] == ["01_a", "02_b", "10_c"]


def test_find_takes_numbers_with_or_without_zero_in_any_order(three):
    assert [file.stem for file in execute.find(three, ["10", "1"])] == ["01_a", "10_c"]


def test_find_looks_here_and_in_notebooks(three, monkeypatch):
    for place in (three, three.parent):
        monkeypatch.chdir(place)
        assert execute.find(None, ["2"])[0] == three / "02_b.ipynb"


def test_find_names_the_chapters_there_are(three):
    with pytest.raises(ValueError, match="no chapter 07; there are 01, 02, 10"):
        execute.find(three, ["7"])


def test_find_says_where_it_looked(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"{tmp_path.name}; go to your clone"):
        execute.find(tmp_path)


# run


def test_run_refuses_what_it_cannot_do_before_it_starts(three, tmp_path):
    out = tmp_path / "out"
    for arguments in (["07"], ["--profile", "huge"], ["--seed", "-1"]):
        result = invoke("run", *arguments, "--notebooks", three, "--out", out)
        assert result.exit_code == 2 and "Traceback" not in result.output and not out.exists()


def test_run_refuses_a_notebook_without_the_parameter(tmp_path):
    folder = chapter(tmp_path / "notebooks", "01_a")
    path = folder / "01_a.ipynb"
    path.write_text(path.read_text().replace("SEED: int", "OTHER: int"))
    result = invoke("run", "--notebooks", folder, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "01_a.ipynb has no parameter SEED; it has PROFILE, OTHER" in result.output
    assert not (tmp_path / "out").exists()


def test_run_goes_on_after_a_failure_and_reports_it(tmp_path, monkeypatch, toy_claims):
    folder = chapter(tmp_path / "notebooks", "01_a", "1 / 0")
    chapter(folder, "02_b", CHECK.format("02", "toy-seed", "1"), "print(PROFILE, SEED)", title="B")
    # A kernel named python3 of somebody else's, which must not be the one that runs.
    other = tmp_path / "share" / "kernels" / "python3"
    other.mkdir(parents=True)
    other.joinpath("kernel.json").write_text('{"argv": ["false"], "display_name": "x"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share"))
    out = tmp_path / "out"

    result = invoke("run", "--notebooks", folder, "--out", out, "--profile", "full", "--seed", "3")

    assert result.exit_code == 1
    assert "01 Toy (seed 3): failed, cell [3]: ZeroDivisionError: division by zero" in result.output
    assert "toy-seed" in result.output and "✔ holds" in result.output
    summary = json.loads((out / "run.json").read_text())
    bad, good = summary["chapters"]
    assert (bad["status"], bad["cell"], good["status"]) == ("failed", 3, "done")
    assert good["seconds"] > 0 and good["peak_bytes"] > 10_000_000
    assert summary["together_bytes"] > 0.9 * good["peak_bytes"]
    assert "All of it: " in result.output and " GB together." in result.output
    executed = nbformat.read(out / "02_b.ipynb", as_version=4)
    assert executed.cells[-1].outputs[0].text == "full 3\n"
    (kept,) = claims.read_ledger([out / "ledger.jsonl"])
    assert (kept["id"], kept["seed"], kept["profile"]) == ("toy-seed", 3, "full")
    assert "toy-seed" in (out / "ledger.html").read_text(encoding="utf-8")


def test_run_several_seeds_and_unsettled_is_no_failure(tmp_path, toy_claims):
    folder = chapter(tmp_path / "notebooks", "02_b", CHECK.format("02", "toy-seed", "SEED"))
    out = tmp_path / "out"
    result = invoke("run", "2", "--notebooks", folder, "--out", out, "--seeds", "2")
    assert result.exit_code == 0
    assert "≈ unsettled" in result.output
    assert (out / "seed-0" / "02_b.ipynb").exists() and (out / "seed-1" / "02_b.ipynb").exists()


def test_a_claim_that_does_not_hold_fails_the_run(tmp_path, toy_claims):
    folder = chapter(tmp_path / "notebooks", "03_c", CHECK.format("03", "toy-fails", "-1"))
    result = invoke("run", "--notebooks", folder, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "Claim toy-fails does not hold." in result.output


def test_a_timed_claim_does_not_fail_the_run(toy_claims, monkeypatch):
    rows = claims.summarise([record("toy-fails", False, x=-1)])
    busy = [dataclasses.replace(r, claim=dataclasses.replace(r.claim, timed=True)) for r in rows]
    assert execute.broken(busy) == []


def test_a_claim_that_the_committed_runs_left_open_does_not_fail_the_run(toy_claims, monkeypatch):
    rows = claims.summarise([record("toy-fails", False, x=-1)])
    assert execute.broken(rows) == ["toy-fails"]
    mixed = [record("toy-fails", False), record("toy-fails", True, seed=1)]
    monkeypatch.setattr(claims, "reference", lambda name: mixed)
    assert execute.broken(rows) == []


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT to one process only")
def test_ctrl_c_keeps_what_is_done_and_stops_the_kernel(tmp_path):
    folder = chapter(tmp_path / "notebooks", "01_a", "print('done')")
    chapter(folder, "02_b", "open('started', 'w').close()\nimport time; time.sleep(300)")
    out = tmp_path / "out"
    # A shell starts its background jobs deaf to Ctrl-C, and this suite may be one.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from tlcourse.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "run", "--notebooks", folder, "--out", out]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    deadline = time.monotonic() + 120
    while not (folder / "started").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    kernels = psutil.Process(process.pid).children(recursive=True)

    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "02 Toy (seed 0): interrupted" in output and "Traceback" not in output
    first, second = json.loads((out / "run.json").read_text())["chapters"]
    assert (first["status"], second["status"]) == ("done", "interrupted")
    assert nbformat.read(out / "01_a.ipynb", as_version=4).cells[-1].outputs[0].text == "done\n"
    assert kernels and not psutil.wait_procs(kernels, timeout=20)[1]


# refresh


@pytest.fixture
def scripted(tmp_path):
    folder = tmp_path / "notebooks"
    (folder / "scripts").mkdir(parents=True)
    (folder / "scripts" / "01_a.py").write_text(
        '# %% [markdown]\n# # A chapter\n\n# %% tags=["parameters"]\n'
        f"{PARAMETERS}\n\n# %%\nprint(PROFILE)\n"
    )
    return folder


def test_refresh_builds_the_notebook_from_its_script(scripted):
    assert invoke("refresh", "--notebooks", scripted).exit_code == 0
    notebook = nbformat.read(scripted / "01_a.ipynb", as_version=4)
    nbformat.validate(notebook)
    script = jupytext.read(scripted / "scripts" / "01_a.py")
    assert [c.source for c in notebook.cells] == [c.source for c in script.cells]
    assert notebook.cells[-1].outputs[0].text == "quick\n"
    assert [c.metadata for c in notebook.cells] == [{}, {"tags": ["parameters"]}, {}]
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    before = (scripted / "01_a.ipynb").read_bytes()
    invoke("refresh", "1", "--notebooks", scripted)
    assert (scripted / "01_a.ipynb").read_bytes() == before


def test_refresh_keeps_the_old_notebook_when_a_cell_fails(scripted):
    (scripted / "01_a.ipynb").write_text("old")
    with (scripted / "scripts" / "01_a.py").open("a") as script:
        script.write("\n# %%\nraise RuntimeError('no')\n")
    result = invoke("refresh", "--notebooks", scripted)
    assert result.exit_code == 1 and "RuntimeError: no" in result.output
    assert (scripted / "01_a.ipynb").read_text() == "old"


def test_refresh_says_what_is_missing(tmp_path, scripted):
    assert "No scripts" in invoke("refresh", "--notebooks", tmp_path).output
    assert "no script for chapter 07" in invoke("refresh", "7", "--notebooks", scripted).output


# lab


def test_lab_prefers_this_environment_and_passes_options_on(three, monkeypatch):
    seen = {}

    def call(command, env):
        seen.update(command=command, env=env)
        return 0

    monkeypatch.setattr(subprocess, "call", call)
    assert invoke("lab", "--notebooks", three, "--no-browser").exit_code == 0
    assert seen["command"][:3] == [sys.executable, "-m", "jupyterlab"]
    assert f"--ServerApp.root_dir={three.parent}" in seen["command"]
    assert seen["command"][-1] == "--no-browser"
    assert seen["env"]["JUPYTER_PREFER_ENV_PATH"] == "1"


# ledger

ESTIMATE = {"mean": 0.5, "low": 0.4, "high": 0.6, "n": 9}


@pytest.fixture
def rows(toy_claims):
    return claims.summarise([
        record("toy-holds", True, x=ESTIMATE, curve=[1, 2, 3]),
        record("toy-seed", True, x=1.0), record("toy-seed", False, seed=1, x=-1.0),
        record("toy-fails", False, x=-1.0, huge=5000.0),
    ])  # fmt: skip


def test_the_table_shows_every_verdict_and_number(rows):
    console = Console(width=160, record=True, file=open(os.devnull, "w"))
    console.print(table.render(rows))
    text = console.export_text()
    for part in ("✔ holds", "✘ fails", "≈ unsettled", "– not run", "x > 0", "0.5 [0.4, 0.6]",
                 "1, 2, 3", "1 holds, 1 fails, 1 unsettled, 1 not run"):  # fmt: skip
        assert part in text


def test_the_page_needs_nothing_but_itself(rows, tmp_path):
    page = tmp_path / "ledger.html"
    table.write_html(rows, page)
    text = page.read_text(encoding="utf-8")
    for part in ("they &lt;say&gt;", "A, 2020", "0.5 [0.4, 0.6]", "seeds 0, 1", "cores 2", "<svg"):
        assert part in text
    for loader in ("<script", "<link", "<img", "src=", "@import", "url(http"):
        assert loader not in text
    ElementTree.parse(tmp_path / "ledger.svg")


def test_an_address_in_a_source_is_a_link(rows):
    row = dataclasses.replace(
        rows[0],
        claim=dataclasses.replace(rows[0].claim, sources=("A <b>, https://a.org/x?y=1&z#2: so",)),
    )
    assert "A &lt;b&gt;, <a href='https://a.org/x?y=1&amp;z#2'>" in table.cards([row])
    assert "#2</a>: so" in table.cards([row])


def test_the_figure_is_the_same_file_for_the_same_numbers(rows, tmp_path):
    for name in ("a", "b"):
        table.write_html(rows, tmp_path / f"{name}.html")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_the_figure_draws_mean_interval_and_runs(rows):
    axes = {axis.get_title(loc="left"): axis for axis in table.figure(rows).axes}
    drawn = [line.get_xdata().tolist() for line in axes["toy-holds: holds"].lines]
    assert drawn == [[0.5], [0.4, 0.6], [0.5]]
    drawn = axes["toy-seed: unsettled"].lines[0].get_xdata().tolist()
    assert drawn == [1.0, -1.0]


def test_values_of_other_magnitudes_get_an_axis_of_their_own(rows):
    titles = [axis.get_title(loc="left") for axis in table.figure(rows).axes]
    assert titles.count("toy-fails: fails") == 2


def test_a_yes_or_no_is_not_drawn(toy_claims):
    (row, *_) = claims.summarise([record("toy-holds", True, x=True, y=2.0)])
    (axis,) = table.figure([row]).axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["y"]


def test_nothing_measured_gives_a_page_without_a_figure(toy_claims, tmp_path):
    table.write_html(claims.summarise([]), tmp_path / "ledger.html")
    assert not (tmp_path / "ledger.svg").exists()
    assert "not run" in (tmp_path / "ledger.html").read_text(encoding="utf-8")


def test_ledger_gathers_runs_below_the_current_folder(toy_claims, tmp_path, monkeypatch):
    for seed in (0, 1):
        folder = tmp_path / "runs" / str(seed)
        folder.mkdir(parents=True)
        line = json.dumps(record("toy-holds", True, seed=seed, x=1.0 + seed))
        (folder / "ledger.jsonl").write_text(line + "\n")
    monkeypatch.chdir(tmp_path)
    result = invoke("ledger", "--html", "page.html")
    assert result.exit_code == 0 and "x 1.5 [" in result.output
    assert Path("page.html").exists()


def test_ledger_says_what_is_missing(tmp_path):
    result = invoke("ledger", tmp_path / "nothing.jsonl")
    assert result.exit_code == 2 and "nothing.jsonl is not there" in result.output


def test_the_course_has_claims_and_the_ledger_lists_them(tmp_path):
    (tmp_path / "empty.jsonl").touch()
    output = invoke("ledger", tmp_path / "empty.jsonl").output
    assert claims.load()
    assert f"{len(claims.load())} not run" in output


# data


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TLCOURSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_clear_deletes_the_courses_folders_and_nothing_else(own_cache):
    (config.cache_dir("features") / "a.npy").write_bytes(b"12345")
    (config.cache_dir() / "diary.txt").write_text("mine")
    (config.cache_dir("somebody", "else") / "b").write_text("theirs")
    assert storage.clear_caches() == 5
    assert sorted(p.name for p in own_cache.iterdir()) == ["diary.txt", "somebody"]


def test_every_cache_of_the_course_is_listed():
    package = Path(tlcourse.__file__).parent
    used = set()
    for file in package.rglob("*.py"):
        for rest in file.read_text(encoding="utf-8").split("cache_dir(")[1:]:
            if rest[0] in "'\"":
                used.add(rest[1:].split(rest[0])[0])
    assert used == set(storage.CACHES)


def test_data_lists_states_and_sizes(own_cache, tmp_path, monkeypatch):
    (tmp_path / "mine.npz").touch()
    (tmp_path / "cifar10.npz").touch()
    monkeypatch.setenv("TLCOURSE_DATA", str(tmp_path))
    (config.cache_dir("onnx") / "a.onnx").write_bytes(bytes(2_000_000))
    assert storage.state("animals") == "embedded"
    assert storage.state("fashion_mnist") == "downloadable"
    assert storage.state("cifar10") == storage.state("mine") == "in TLCOURSE_DATA"
    output = invoke("data").output
    assert "mine" in output and "2 MB" in output and "downloadable" in output


def test_data_fetch_names_what_there_is(own_cache):
    result = invoke("data", "--fetch", "imagenet")
    assert result.exit_code == 2 and "fashion_mnist" in result.output


# doctor


@pytest.mark.parametrize("minor, status", [
    (10, health.PROBLEM), (11, health.OK), (13, health.OK), (14, health.PROBLEM),
])  # fmt: skip
def test_python_versions(minor, status):
    assert health.python((3, minor)).status == status


def test_packages_missing_too_old_or_not_the_tested_version():
    wanted = [Requirement(r) for r in ("no-such-thing>1", "numpy>=999", "PyYAML", "rich")]
    found = health.packages(wanted, {"pyyaml": "0.1"})
    assert [(f.subject, f.status) for f in found] == [
        ("no-such-thing", health.PROBLEM), ("numpy", health.PROBLEM), ("PyYAML", health.WARNING),
    ]  # fmt: skip
    assert all(f.remedy for f in found)


def test_packages_all_well():
    (found,) = health.packages([Requirement("numpy"), Requirement("rich")], {})
    assert (found.status, found.detail[:5]) == (health.OK, "all 2")


def test_pins_are_read_by_normalised_name(tmp_path):
    path = tmp_path / "constraints.txt"
    path.write_text("# comment\nJupyter_Core==1.2\nx==3; sys_platform == 'win32'\n")
    assert health.pinned(path) == {"jupyter-core": "1.2", "x": "3"}
    assert health.pinned(tmp_path / "none.txt") == {}


@pytest.mark.parametrize("gigabytes, status", [
    (2, health.PROBLEM), (4, health.WARNING), (8, health.OK),
])  # fmt: skip
def test_memory(gigabytes, status):
    assert health.memory(gigabytes * 2**30).status == status


def test_cores_disk_and_gpu():
    assert health.cores(1).status == health.WARNING and health.cores(2).status == health.OK
    assert health.disk(10**6).status == health.PROBLEM
    assert health.gpu([], needed=False).status == health.OK
    assert health.gpu([], needed=True).status == health.PROBLEM
    assert health.gpu(["H100"], needed=True).detail == "H100"


def test_the_backend_is_named_and_another_than_tensorflow_is_no_problem(monkeypatch):
    found = {}
    for name in ("tensorflow", "rich"):  # `rich` stands for one that may not be installed here
        monkeypatch.setattr(config, "backend", lambda name=name: name)
        found[name] = health.backend()
    assert [f.status for f in found.values()] == [health.OK, health.WARNING]
    assert found["tensorflow"].detail == "tensorflow" and "KERAS_BACKEND" in found["rich"].remedy


def test_doctor_stops_at_a_backend_that_is_not_installed():
    done = subprocess.run(
        [sys.executable, "-m", "tlcourse", "doctor"], capture_output=True, text=True,
        env={**os.environ, "KERAS_BACKEND": "typo", "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "'typo'" in done.stdout and "Write tensorflow, jax or torch" in done.stdout


def test_weights():
    assert health.weights({"a": "", "b": ""}).status == health.OK
    damaged = health.weights({"a": "", "b": "ends early"})
    assert damaged.status == health.PROBLEM and "b: ends early" in damaged.detail
    assert health.weights({}).status == health.PROBLEM


def test_a_cache_that_cannot_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TLCOURSE_CACHE", str(tmp_path / "file" / "below"))
    (found,) = health.cache()
    assert found.status == health.PROBLEM and "TLCOURSE_CACHE" in found.remedy


def test_a_kernel_of_another_environment_is_reported(tmp_path, monkeypatch):
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    spec = {"argv": [str(tmp_path / "bin" / "python"), "-m", "x"], "display_name": "x"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    assert health.kernel().status == health.OK
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert health.kernel().status == health.WARNING


def test_doctor_finds_this_environment_ready():
    result = invoke("doctor")
    assert result.exit_code == 0, result.output
    assert "Ready." in result.output and "Traceback" not in result.output


def test_doctor_blocks_on_a_problem_and_shows_its_remedy(monkeypatch):
    problem = health.Finding("GPU", health.PROBLEM, "none", "pip install .[gpu]")
    monkeypatch.setattr(health, "examine", lambda need_gpu: [problem])
    result = invoke("doctor", "--gpu")
    assert result.exit_code == 1
    assert "pip install .[gpu]" in result.output and "1 to mend" in result.output
