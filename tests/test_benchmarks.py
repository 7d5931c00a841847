"""The benchmarks run, and what they have written is what they measured, and says where."""

import copy
import json
import os
import re
import subprocess
import time

import keras
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from benchmarks import chapters, folder, head, machine, measuring, prefix, report
from benchmarks.__main__ import NAMES, app
from benchmarks.measuring import AT_LEAST, AT_MOST, FASTER, SHARE, Goal, Row, Unequal

RESULTS = report.load()
needs_onnx = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="timed on TensorFlow, which exports to ONNX"
)


@pytest.fixture
def stored():
    """Results of one benchmark with a row of each kind."""
    where = {
        "commit": "0123456789abcdef" * 2 + "01234567",
        "dirty": [],
        "date": "2026-01-02",
        "processor": "Test CPU",
        "cores": 2,
        "memory": 8 << 30,
        "system": "Linux",
        "python": "3.11.2",
        "versions": {"keras": "3.15.0"},
    }
    rows = [
        Row(
            "a task", "ours", [1.0, 2.0, 4.0], other="theirs", other_runs=[10.0, 26.0, 48.0],
            ratio=FASTER, goal=Goal(AT_LEAST, 12), equal="the same weights", note="A note.",
        ),
        Row("a chapter", "run", [90.0], goal=Goal(AT_MOST, 60)),
    ]  # fmt: skip
    section = {"where": where, "sizes": "full", "seconds": 3.0, "rows": [r.as_dict() for r in rows]}
    return {"head": section}


# rows and clocks


def test_a_ratio_is_taken_run_by_run_and_its_middle_counts():
    row = Row("x", "c", [1.0, 2.0, 4.0], other="o", other_runs=[10.0, 26.0, 48.0], ratio=FASTER)
    assert row.ratios == [10.0, 13.0, 12.0] and row.measured == 12.0


@pytest.mark.parametrize("unit, ratio, wanted", [
    ("s", FASTER, 4.0), ("s", SHARE, 0.25), ("images/s", FASTER, 0.25),
])  # fmt: skip
def test_the_better_side_is_known_from_the_unit(unit, ratio, wanted):
    row = Row("x", "c", [2.0], unit=unit, other="o", other_runs=[8.0], ratio=ratio)
    assert row.measured == wanted


def test_a_side_that_was_not_run_as_often_is_no_pair():
    with pytest.raises(ValueError):
        _ = Row("x", "c", [1.0, 2.0], other="o", other_runs=[3.0], ratio=FASTER).ratios


def test_a_row_survives_json(stored):
    for row in stored["head"]["rows"]:
        assert Row.of(row).as_dict() == row


def test_sides_take_turns_and_only_they_are_timed():
    order = []
    found = measuring.alternate(
        {"a": lambda: time.sleep(0.02), "b": lambda: 7.5},
        2,
        lambda name: (order.append(name), time.sleep(0.5)),
    )
    assert order == ["a", "b", "a", "b"] and found["b"] == [7.5, 7.5]
    assert all(0.02 <= seconds < 0.5 for seconds in found["a"])


def test_fresh_is_another_process():
    assert measuring.fresh(os.getpid) != os.getpid()


def test_peak_memory_sees_what_is_gone_again():
    with measuring.peak_memory() as grown:
        held = bytearray(os.urandom(1 << 20) * 200)
        time.sleep(0.1)
        del held
    assert 150 << 20 < grown() < 800 << 20


# equal results


class Answers:
    """A side whose answers to 200 images are known."""

    def __init__(self, wrong):
        self.wrong = wrong

    def right(self, x, y):
        return y >= self.wrong


def test_heads_are_equal_within_the_noise_and_no_further():
    x = y = np.arange(200)
    assert "95.0%" in head._equal(Answers(10), Answers(10), x, y)
    assert "-0.5" in head._equal(Answers(11), Answers(10), x, y)
    with pytest.raises(Unequal, match="worse"):
        head._equal(Answers(60), Answers(10), x, y)


def test_weights_may_differ_by_rounding_only():
    class Side:
        def __init__(self, value):
            self.start, self.model = [np.zeros(4)], self
            self.value = value

        def get_weights(self):
            return [np.full(4, self.value)]

    assert "0.10%" in prefix._equal(Side(1.0), Side(1.001))
    with pytest.raises(Unequal, match="end apart"):
        prefix._equal(Side(1.0), Side(1.1))
    with pytest.raises(Unequal):  # nothing was trained
        prefix._equal(Side(0.0), Side(0.0))


def test_streams_are_equal_in_labels_order_and_pixels():
    one = {"labels": np.array([0, 1]), "means": np.array([[1.0], [200.0]])}
    assert "same labels" in folder._equal(one, {**one, "means": one["means"] + 1})
    with pytest.raises(Unequal, match="labels"):
        folder._equal(one, {**one, "labels": np.array([1, 0])})
    with pytest.raises(Unequal, match="pictures"):
        folder._equal(one, {**one, "means": one["means"][::-1]})


def test_verdicts_of_two_runs_are_the_same():
    cold = {"verdicts": {"07-a": "HOLDS", "07-b": "FAILS"}}
    assert chapters._same_verdicts(cold, copy.deepcopy(cold)) == "the same 2 verdicts"
    with pytest.raises(Unequal, match="07-b"):
        chapters._same_verdicts(cold, {"verdicts": {"07-a": "HOLDS"}})


# pictures on the disk


def test_files_are_all_different_and_their_pictures_are_few(tmp_path):
    folder.write(tmp_path, 50, distinct=20)
    files = sorted(tmp_path.rglob("*.jpg"))
    assert len({file.read_bytes() for file in files}) == len(files) == 50
    pictures = {Image.open(file).tobytes(): file.parent.name for file in files}
    assert len(pictures) == 20 and len(set(pictures.values())) == folder.CLASSES


# the whole course from a run of it


def test_a_run_of_the_course_is_taken_if_it_is_whole_and_of_this_machine(tmp_path):
    def write(**changes):
        chapter = {"status": "done", "seconds": 60.0, "peak_bytes": 1.5e9}
        run = {
            "machine": chapters.claims.machine(),
            "started": "2026-01-02T03:04:05",
            "together_bytes": 2.5e9,
            "chapters": [{"chapter": f"{n:02d}", **chapter} for n in range(1, 11)],
            **changes,
        }
        (tmp_path / "run.json").write_text(json.dumps(run))
        return tmp_path / "run.json"

    seconds, memory, together = chapters.given(write())
    assert seconds.runs == [600.0] and seconds.goal == Goal(AT_MOST, 900)
    assert memory.runs == [1.5] and together.runs == [2.5] and together.unit == "GB"
    # Two at a time overlap, so their seconds are not added up.
    seconds, *_ = chapters.given(write(jobs=2, wall=400.0))
    assert seconds.runs == [400.0] and "--jobs 2" in seconds.note
    with pytest.raises(ValueError, match="another machine"):
        chapters.given(write(machine={"processor": "other", "cores": 64}))
    with pytest.raises(ValueError, match="lacks chapter 01"):
        chapters.given(write(chapters=[]))
    with pytest.raises(ValueError, match="in one go, here"):
        chapters.given(write(together_bytes=None))


# the table and the figure


def test_the_table_shows_medians_spread_and_what_was_missed(stored):
    page = report.table(stored)
    assert "| a task | ours: 2 s [1, 4] | theirs: 26 s [10, 48] |" in page
    assert "**12** [10, 13] times as fast | at least 12: met | the same weights |" in page
    assert "at most 60 s: **missed** by 50%" in page and "- A note." in page
    assert "commit `0123456789ab`: Test CPU, 2 cores, 8 GiB, Linux, Python 3.11.2" in page
    stored["head"]["where"]["dirty"] = ["tlcourse/features.py"]
    assert "with 1 changed file:" in report.table(stored)


@pytest.mark.parametrize("path, value, said", [
    (("sizes",), "smoke", "sizes of a test"),
    (("where", "commit"), "", "which commit"),
    (("where", "dirty"), ["tlcourse/x.py"], "changed files: tlcourse/x.py"),
    (("where", "processor"), "", "machine"),
    (("rows", 0, "equal"), "", "gave the same"),
    (("rows", 0, "runs"), [0.5, float("nan"), 1.0], "cannot have been measured"),
])  # fmt: skip
def test_what_would_be_dishonest_is_named(stored, path, value, said):
    assert report.problems(stored) == []
    *way, last = path
    place = stored["head"]
    for step in way:
        place = place[step]
    place[last] = value
    (problem,) = report.problems(stored)
    assert said in problem


def test_the_figure_shows_each_ratio_and_carries_its_results(stored, tmp_path):
    paths = report.write(stored, tmp_path)
    assert report.load(paths[0]) == stored
    assert Image.open(paths[2]).info["Source"] == report.digest(stored)
    axes = report.figure(stored).axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["a task\nours against theirs"]
    assert [text.get_text() for text in axes.texts] == ["12 ×"]


def test_the_place_names_this_machine_and_no_host():
    found = machine.where()
    assert found["processor"] and found["cores"] and found["memory"] and found["versions"]["keras"]
    assert re.fullmatch(r"([0-9a-f]{40})?", found["commit"])
    assert os.uname().nodename not in str(found)


# what is committed


@pytest.fixture
def committed():
    assert RESULTS, "make bench has to be run, and its results committed"
    return RESULTS


def test_committed_results_are_honest(committed):
    assert set(committed) <= set(report.TITLES) and report.problems(committed) == []


def test_committed_results_are_of_commits_of_this_repository(committed):
    for section in committed.values():
        commit = section["where"]["commit"]
        done = subprocess.run(
            ["git", "merge-base", "--is-ancestor", commit, "HEAD"], cwd=report.ROOT,
            capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode == 128:
            pytest.skip("no history here")
        assert done.returncode == 0, f"{commit} is not in the history"


def test_the_committed_page_and_figure_are_those_of_the_results(committed):
    assert report.TABLE.read_text(encoding="utf-8") == report.table(committed)
    assert Image.open(report.FIGURE).info["Source"] == report.digest(committed)


def test_the_readme_shows_them(committed):
    readme = (report.ROOT / "README.md").read_text(encoding="utf-8")
    assert "](docs/figures/benchmarks.png)" in readme and "](docs/benchmarks.md)" in readme


# everything, small


@needs_onnx
def test_every_benchmark_runs_small(tmp_path, monkeypatch):
    monkeypatch.setenv("TLCOURSE_CACHE", os.environ["TLCOURSE_CACHE"])  # put back afterwards
    done = CliRunner().invoke(app, [*NAMES, "--smoke", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    found = report.load(tmp_path / "results.json")
    page = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert set(found) == set(NAMES)
    for name, section in found.items():
        assert section["rows"] and report.TITLES[name] in page
        assert all(Row.of(row).measured >= 0 for row in section["rows"])
    # What was measured so small is not for the table of the course.
    assert sum("sizes of a test" in line for line in report.problems(found)) == len(NAMES)


def test_a_side_by_side_that_is_unequal_writes_no_row(tmp_path, monkeypatch):
    monkeypatch.setenv("TLCOURSE_CACHE", os.environ["TLCOURSE_CACHE"])

    def unequal(cold, warm):
        raise Unequal("Two runs differ.")

    monkeypatch.setattr(chapters, "_same_verdicts", unequal)
    monkeypatch.setattr(chapters, "_twice", lambda *_: [{"chapters": [
        {"chapter": "00", "seconds": 1.0, "peak_bytes": 1}]}] * 2)  # fmt: skip
    done = CliRunner().invoke(app, ["chapter", "--smoke", "--out", str(tmp_path)])
    assert done.exit_code == 1 and "Two runs differ." in done.output
    assert not (tmp_path / "results.json").exists()


@pytest.mark.parametrize("arguments, said", [
    (["heads"], "write one of passes"), (["--smoke"], "--out"),
])  # fmt: skip
def test_bad_arguments_are_refused_in_a_sentence(arguments, said):
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2 and said in done.output
