"""Chapters at once, one by one, and elsewhere: on toys that count their own runs."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from typer.testing import CliRunner

from tlcourse import claims
from tlcourse.cli import app, execute, several

pytestmark = pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")

# Each run of a chapter leaves a line in `runs.txt` beside the notebooks.
BEGIN = """
import os, signal, time
from pathlib import Path
with open("runs.txt", "a") as file:
    print(Path(CHAPTER).name, SEED, file=file)
tries = Path("runs.txt").read_text().splitlines().count(f"{CHAPTER} {SEED}")
"""
RECORD = """
import json
record = {"id": "toy", "holds": True, "seed": SEED, "profile": PROFILE, "chapter": CHAPTER,
          "time": "2030-01-01T00:00:00+00:00", "machine": {"cores": 2}, "measured": {"x": SEED}}
with open(os.environ["TLCOURSE_LEDGER"], "a") as file:
    print(json.dumps(record), file=file)
print(CHAPTER, SEED, PROFILE)
"""
# The kernel's parent is the worker.
KILL_WORKER = "if tries == 1: os.kill(os.getppid(), signal.SIGKILL); time.sleep(300)"
KILL_KERNEL = "if tries == 1: os.kill(os.getpid(), signal.SIGKILL)"
KILL_ALWAYS = "os.kill(os.getpid(), signal.SIGKILL)"
WAIT = "while not Path('go').exists(): time.sleep(0.05)"
# With cores and memory enough, and not deaf to Ctrl-C as a shell's background job may be.
COMMAND = """
import signal; signal.signal(signal.SIGINT, signal.default_int_handler)
from tlcourse.cli import main, several
several.fitting = lambda jobs, profile: (jobs, "")
main()
"""


def toy(folder: Path, name: str, *cells: str) -> None:
    parameters = nbformat.v4.new_code_cell(
        'PROFILE: str = "quick"\nSEED: int = 0', metadata={"tags": ["parameters"]}
    )
    code = [f"CHAPTER = {name!r}{BEGIN}", *cells, RECORD]
    notebook = nbformat.v4.new_notebook(
        cells=[parameters, *(nbformat.v4.new_code_cell(cell) for cell in code)]
    )
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    folder.mkdir(exist_ok=True)
    nbformat.write(notebook, folder / f"{name}_toy.ipynb")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "notebooks"


@pytest.fixture(autouse=True)
def enough(monkeypatch):
    if not several._loopback():
        pytest.skip("this machine has no loopback network")
    monkeypatch.setattr(several, "fitting", lambda jobs, profile: (jobs, ""))


def run(folder: Path, *options):
    """Run the toys, into `out` beside them unless another place is named."""
    options = [str(option) for option in ("--out", folder.parent / "out", *options)]
    return CliRunner().invoke(app, ["run", "--notebooks", str(folder), *options])


def start(folder: Path, *options) -> subprocess.Popen:
    """The same in a process of its own, as in a terminal of its own."""
    options = [str(option) for option in ("--out", folder.parent / "out", *options)]
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, "run", "--notebooks", str(folder), *options],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def runs(folder: Path) -> list[str]:
    path = folder / "runs.txt"
    return sorted(path.read_text().splitlines()) if path.exists() else []


def wait_for(condition, seconds=300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def results(out: Path) -> dict[tuple[str, int], dict]:
    summary = json.loads((out / "run.json").read_text())
    return {(one["chapter"], one["seed"]): one for one in summary["chapters"]}


def descendants(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


# several at once


def test_two_at_once_give_what_one_by_one_gives(folder, tmp_path):
    toy(folder, "01")
    outs = {jobs: tmp_path / f"out-{jobs}" for jobs in (1, 2)}
    for jobs, out in outs.items():
        done = run(folder, "--jobs", jobs, "--seeds", 2, "--out", out, "--profile", "full")
        assert done.exit_code == 0, done.output
    assert runs(folder) == ["01 0", "01 0", "01 1", "01 1"]

    def kept(out: Path) -> tuple:
        notebooks = {
            path.relative_to(out): [(c.source, c.get("outputs")) for c in
                                    nbformat.read(path, as_version=4).cells]
            for path in out.rglob("*.ipynb")
        }  # fmt: skip
        records = claims.read_ledger([out / "ledger.jsonl"])
        pairs = [(key, one["status"], one["tries"]) for key, one in results(out).items()]
        return notebooks, sorted(records, key=json.dumps), pairs

    assert kept(outs[1]) == kept(outs[2])
    assert len(kept(outs[2])[0]) == len(kept(outs[2])[1]) == 2


def test_each_worker_keeps_to_cores_of_its_own_and_adds_nothing_to_the_kernel(folder, monkeypatch):
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores to choose from")
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    here = (
        "Path(f'{CHAPTER}.json').write_text(json.dumps([sorted(os.sched_getaffinity(0)), "
        "[os.environ.get(f'{n}_NUM_THREADS') for n in ('OMP', 'OPENBLAS', 'MKL')]]))"
    )
    for name in ("01", "02"):
        toy(folder, name, "import json", here, f"open(CHAPTER, 'w')\n{both_there()}")
    assert run(folder, "--jobs", 2).exit_code == 0
    (one, threads), (other, _) = (json.loads((folder / f"0{n}.json").read_text()) for n in (1, 2))
    assert one and other and not set(one) & set(other)
    assert threads == [None, None, "7"]


def both_there() -> str:
    return "while not (Path('01').exists() and Path('02').exists()): time.sleep(0.05)"


def test_a_worker_is_killed_in_the_middle_and_only_its_pair_is_repeated(folder, tmp_path):
    toy(folder, "01")
    toy(folder, "02", KILL_WORKER)
    toy(folder, "03")
    done = run(folder, "--jobs", 2)
    assert done.exit_code == 0, done.output
    assert runs(folder) == ["01 0", "02 0", "02 0", "03 0"]
    found = results(tmp_path / "out")
    tries = {key: one["tries"] for key, one in found.items()}
    assert tries == {("01", 0): 1, ("02", 0): 2, ("03", 0): 1}
    assert {one["status"] for one in found.values()} == {"done"}
    assert "tried 2 times" in done.output
    assert len(claims.read_ledger([tmp_path / "out" / "ledger.jsonl"])) == 3


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_kernel_that_dies_is_tried_again_and_a_cell_that_raises_is_not(folder, tmp_path, jobs):
    toy(folder, "01", KILL_KERNEL)
    toy(folder, "02", KILL_ALWAYS)
    toy(folder, "03", "1 / 0")
    done = run(folder, "--jobs", jobs)
    assert done.exit_code == 1
    assert runs(folder) == [*["01 0"] * 2, *["02 0"] * 3, "03 0"]
    found = results(tmp_path / "out")
    assert [one["status"] for one in found.values()] == ["done", "failed", "failed"]
    assert [one["tries"] for one in found.values()] == [2, 3, 1]
    assert found["02", 0]["error"].startswith("the kernel died") and "3 times" in done.output
    assert "ZeroDivisionError" in found["03", 0]["error"] and found["03", 0]["cell"] == 4


def test_what_failed_is_tried_again_by_the_next_run_and_what_is_done_is_not(folder):
    toy(folder, "01")
    toy(folder, "02", "assert tries == 2")
    assert [run(folder).exit_code, run(folder).exit_code] == [1, 0]
    assert runs(folder) == ["01 0", "02 0", "02 0"]


def test_ctrl_c_keeps_what_is_done_and_ends_workers_and_kernels(folder, tmp_path):
    toy(folder, "01")
    toy(folder, "02", WAIT)
    process = start(folder, "--jobs", 2)
    with ended(process):
        finished = tmp_path / "out" / "finished"
        wait_for(lambda: runs(folder) == ["01 0", "02 0"] and any(finished.glob("quick-01*")))
        children = descendants(process.pid)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 130 and "Traceback" not in output, output
    assert "02 toy (seed 0): interrupted" in output
    statuses = [one["status"] for one in results(tmp_path / "out").values()]
    assert statuses == ["done", "interrupted"]
    assert len(children) >= 3 and not psutil.wait_procs(children, timeout=60)[1]


@pytest.mark.parametrize("jobs", [1, 2])
def test_kill_9_and_the_same_command_goes_on(folder, tmp_path, jobs):
    toy(folder, "01")
    toy(folder, "02", WAIT)
    options = ["--jobs", jobs]
    process = start(folder, *options)
    with ended(process):
        kept = tmp_path / "out" / "finished" / "quick-01-seed-0.json"
        wait_for(lambda: kept.exists() and "02 0" in runs(folder))
        children = descendants(process.pid)
        process.kill()
        assert children and not psutil.wait_procs(children, timeout=60)[1]
    assert runs(folder) == ["01 0", "02 0"]

    (folder / "go").touch()
    again = run(folder, *options)

    assert again.exit_code == 0 and "1 of 2 were finished here before" in again.output
    assert runs(folder) == ["01 0", "02 0", "02 0"]
    records = claims.read_ledger([tmp_path / "out" / "ledger.jsonl"])
    assert [record["chapter"] for record in records] == ["01", "02"]
    assert list(results(tmp_path / "out")) == [("01", 0), ("02", 0)]


@contextlib.contextmanager
def ended(process: subprocess.Popen):
    """However a test ends, so do this process and those that it started."""
    try:
        yield process
    finally:
        with contextlib.suppress(psutil.Error):
            for child in descendants(process.pid):
                child.kill()
        process.kill()
        process.communicate()


def test_without_out_nothing_is_gone_on_with(folder, tmp_path, monkeypatch):
    toy(folder, "01")
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert CliRunner().invoke(app, ["run", "--notebooks", str(folder)]).exit_code == 0
    assert runs(folder) == ["01 0", "01 0"]


def test_what_has_changed_is_run_again(folder):
    toy(folder, "01")
    run(folder)
    run(folder, "--profile", "full")
    run(folder)
    toy(folder, "01", "1 + 1")
    run(folder)
    assert len(runs(folder)) == 4  # the full one took the notebook's place


# a scheduler of one's own


@pytest.fixture
def address(tmp_path):
    """Of a scheduler with one worker, both as one starts them on two machines."""
    file = tmp_path / "scheduler.json"
    common = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    scheduler = subprocess.Popen(
        [*common, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
         "--scheduler-file", file], **quiet,
    )  # fmt: skip
    with ended(scheduler):
        wait_for(file.exists)
        where = json.loads(file.read_text())["address"]
        worker = subprocess.Popen(
            [*common, "worker", where, "--nthreads", "1", "--no-dashboard"], **quiet
        )
        with ended(worker):
            yield where, scheduler, worker


def test_workers_elsewhere_run_the_chapters_and_the_results_come_here(folder, tmp_path, address):
    where, _, worker = address
    toy(folder, "01")
    done = run(folder, "--scheduler", where, "--seeds", 2)
    assert done.exit_code == 0, done.output
    assert runs(folder) == ["01 0", "01 1"]
    assert len(claims.read_ledger([tmp_path / "out" / "ledger.jsonl"])) == 2
    executed = nbformat.read(tmp_path / "out" / "seed-1" / "01_toy.ipynb", as_version=4)
    assert executed.cells[-1].outputs[0].text == "01 1 quick\n"

    # A client that is killed leaves no kernel at work there.
    toy(folder, "03", WAIT)
    process = start(folder, "3", "--scheduler", where)
    with ended(process):
        wait_for(lambda: "03 0" in runs(folder))
        kernels = [p for p in descendants(worker.pid) if "ipykernel" in " ".join(p.cmdline())]
        process.kill()
        assert len(kernels) == 1 and not psutil.wait_procs(kernels, timeout=60)[1]
    (folder / "go").touch()
    assert run(folder, "3", "--scheduler", where).exit_code == 0
    assert runs(folder)[-2:] == ["03 0", "03 0"]


def test_a_scheduler_that_goes_away_ends_the_run_with_a_sentence(folder, tmp_path, address):
    where, scheduler, _ = address
    toy(folder, "51")  # no times are known of either, so they begin in this order
    toy(folder, "52", WAIT)
    process = start(folder, "--scheduler", where)
    with ended(process):
        wait_for(lambda: "52 0" in runs(folder))
        scheduler.kill()
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 1 and "Traceback" not in output, output
    assert "The scheduler went away. The same command with the same --out goes on." in output
    statuses = [one["status"] for one in results(tmp_path / "out").values()]
    assert statuses == ["done", "failed"]


@pytest.mark.parametrize("where", ["tcp://127.0.0.1:1", "127.0.0.1:1", "nonsense://here", "x"])
def test_a_wrong_address_ends_in_one_sentence(folder, tmp_path, monkeypatch, where):
    monkeypatch.setattr(several, "_SECONDS_TO_CONNECT", 0.5)
    toy(folder, "01")
    done = run(folder, "--scheduler", where)
    assert done.exit_code == 2 and "Traceback" not in done.output
    assert f"No dask scheduler answers at {where}; start one there" in done.output
    assert not runs(folder) and not (tmp_path / "out").exists()


# how many, and in which order


@pytest.mark.parametrize("jobs, cores, memory, fit, said", [
    (1, 1, 1e9, 1, ""),
    (2, 2, 3e9, 2, ""),
    (4, 2, 60e9, 2, "2 chapters at once, not 4: this machine has 2 cores and 60.0 GB"),
    (2, 8, 2.9e9, 1, "One chapter at a time, not 2: this machine has 8 cores and 2.9 GB"),
    (2, 1, 1e9, 1, "this machine has 1 core and 1.0 GB of free memory, and each needs a core"),
])  # fmt: skip
def test_no_more_at_once_than_cores_and_memory_bear(monkeypatch, jobs, cores, memory, fit, said):
    monkeypatch.undo()
    monkeypatch.setattr(several, "_cores", lambda: list(range(cores)))
    monkeypatch.setattr(several, "_free_memory", lambda: memory)
    found, sentence = several.fitting(jobs)
    assert found == fit and said in sentence and bool(sentence) == bool(said)


def test_the_full_profile_takes_more_memory(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(several, "_cores", lambda: [0, 1])
    monkeypatch.setattr(several, "_free_memory", lambda: 5.9e9)
    assert several.fitting(2) == (2, "")
    fit, sentence = several.fitting(2, "full")
    assert fit == 1 and "each needs a core and 3 GB" in sentence


def test_without_a_loopback_network_they_run_one_by_one(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(several, "_cores", lambda: [0, 1])
    monkeypatch.setattr(several, "_free_memory", lambda: 60e9)
    monkeypatch.setattr(several, "_loopback", lambda: False)
    fit, sentence = several.fitting(2)
    assert fit == 1 and "no loopback network" in sentence


def test_no_jobs_are_refused(monkeypatch):
    monkeypatch.undo()
    with pytest.raises(ValueError, match="0 chapters at once"):
        several.fitting(0)


def test_long_chapters_begin_first_and_seeds_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(execute.tlcourse, "__file__", str(tmp_path / "tlcourse" / "__init__.py"))
    (tmp_path / "docs").mkdir()
    times = {"01": {"seconds": 100}, "10": {"seconds": 200}}
    (tmp_path / "docs" / "chapter_times.json").write_text(json.dumps(times), encoding="utf-8")
    pairs = [execute.Result(chapter, "", seed, "") for seed in (0, 1) for chapter in ("01", "10")]
    assert execute._long_first(pairs) == [1, 0, 3, 2]


def test_one_by_one_needs_no_dask(folder):
    toy(folder, "01")
    code = f"{COMMAND.replace('main()', '')}\nimport sys\ntry: main()\nfinally: " + (
        "print(sorted({'dask', 'distributed'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "--notebooks", folder, "--out", folder / "out"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout.rstrip().endswith("[]"), done.stdout + done.stderr
