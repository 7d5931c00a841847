import json
import math

import numpy as np
import pytest

from tlcourse import claims, config
from tlcourse.evaluation import Estimate

TOY = claims.Claim("toy", "01", "people say", "false", "we say", "points", "gain > 0", ())


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    path = tmp_path / "run" / "ledger.jsonl"
    monkeypatch.setenv("TLCOURSE_LEDGER", str(path))
    monkeypatch.setattr(config, "_current", config.Run("01", "quick", 7))
    monkeypatch.setattr(claims, "load", lambda: {"toy": TOY})
    monkeypatch.setattr(claims, "_reference", lambda: ())
    return path


def committed(monkeypatch, *outcomes):
    records = tuple(
        {"id": "toy", "holds": holds, "measured": {"gain": 0.5}, "profile": "quick", "seed": seed}
        for seed, holds in enumerate(outcomes)
    )
    monkeypatch.setattr(claims, "_reference", lambda: records)


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_entry_of_the_course_is_well_formed():
    found = claims.load()
    assert found
    for claim in found.values():
        assert claim.claim.endswith(".") and claim.folklore.endswith("."), claim.id
        assert claims.rules.names(claim.rule), claim.id


def test_check_prints_the_verdict_and_keeps_a_record(ledger, capsys):
    verdict = claims.check("toy", gain=0.25)
    assert verdict.holds and verdict.status == claims.HOLDS
    assert capsys.readouterr().out == "HOLDS     toy: we say\n"
    (entry,) = records(ledger)
    assert entry["holds"] is True and entry["measured"] == {"gain": 0.25}
    assert (entry["chapter"], entry["profile"], entry["seed"]) == ("01", "quick", 7)
    assert entry["machine"]["cores"] > 0 and "node" not in entry["machine"]


def test_the_printed_line_does_not_depend_on_the_number(ledger, capsys):
    claims.check("toy", gain=0.25)
    first = capsys.readouterr().out
    claims.check("toy", gain=0.75)
    assert capsys.readouterr().out == first


def test_a_rule_that_fails_is_printed_as_failing(ledger, capsys):
    assert claims.check("toy", gain=-1).status == claims.FAILS
    assert capsys.readouterr().out.startswith("FAILS ")


@pytest.mark.parametrize("gain", [1.0, -1.0])
def test_a_claim_the_committed_runs_disagree_on_is_unsettled(ledger, monkeypatch, capsys, gain):
    committed(monkeypatch, True, True, False)
    verdict = claims.check("toy", gain=gain)
    assert verdict.status == claims.UNSETTLED
    assert capsys.readouterr().out == "UNSETTLED toy: we say\n"
    assert "2 of 3 committed runs" in verdict._repr_html_()


def test_one_committed_failure_does_not_hide_todays_success(ledger, monkeypatch):
    committed(monkeypatch, False)
    assert claims.check("toy", gain=1).status == claims.HOLDS


def test_cite_prints_the_line_that_check_prints(ledger, monkeypatch, capsys):
    committed(monkeypatch, True, True)
    claims.cite("toy")
    cited = capsys.readouterr().out
    claims.check("toy", gain=1)
    assert capsys.readouterr().out == cited


def test_cite_refuses_what_nobody_measured(ledger):
    with pytest.raises(ValueError, match="neither here nor in a committed run"):
        claims.cite("toy")


def test_bad_measurements_leave_no_record(ledger):
    with pytest.raises(ValueError, match="gain is nan"):
        claims.check("toy", gain=math.nan)
    with pytest.raises(ValueError, match="needs gain"):
        claims.check("toy", other=1)
    with pytest.raises(ValueError, match="no claim 'tpyo'"):
        claims.check("tpyo", gain=1)
    assert not ledger.exists()


def test_everything_measured_survives_the_ledger(ledger):
    estimate = Estimate(0.5, math.nan, math.nan, 1)
    claims.check("toy", gain=np.float32(0.5), curve=np.array([1, 2]), flag=np.True_, e=estimate)
    claims.record("curves", nested={"a": [[0.5]]})
    first, second = records(ledger)
    assert first["measured"]["curve"] == [1, 2] and first["measured"]["flag"] is True
    assert first["measured"]["e"]["low"] is None
    assert second["key"] == "curves" and second["measured"] == {"nested": {"a": [[0.5]]}}


def entry(seed, holds=True, gain=0.0, **more):
    machine = {"cores": 2}
    measured = {"gain": gain}
    return {
        "id": "toy", "profile": "quick", "seed": seed, "holds": holds, "measured": measured,
        "machine": machine, **more,
    }  # fmt: skip


def test_summarise_averages_over_seeds_and_judges(ledger):
    (row,) = claims.summarise([entry(0, gain=1.0), entry(1, gain=2.0), entry(2, gain=3.0)])
    assert row.verdict == claims.HOLDS
    assert row.values["gain"].mean == pytest.approx(2.0) and row.values["gain"].n == 3
    assert claims.summarise([entry(0), entry(1, holds=False)])[0].verdict == claims.UNSETTLED
    assert claims.summarise([entry(0, holds=False)])[0].verdict == claims.FAILS
    assert claims.summarise([])[0].verdict == claims.NOT_RUN


def test_a_seed_that_ran_twice_counts_once_the_newest(ledger):
    (row,) = claims.summarise([entry(0, gain=1.0), entry(0, gain=5.0)])
    assert row.values["gain"].mean == 5.0 and row.values["gain"].n == 1


def test_a_single_estimate_keeps_its_own_interval(ledger):
    stored = {"mean": 0.5, "low": 0.4, "high": 0.6, "n": 8, "confidence": 0.95}
    (row,) = claims.summarise([entry(0, measured={"gain": stored})])
    assert (row.values["gain"].low, row.values["gain"].n) == (0.4, 8)


def test_reading_skips_cut_lines_and_repeats(tmp_path):
    whole = json.dumps(entry(0))
    (tmp_path / "a.jsonl").write_text(f"{whole}\n{whole[:20]}\n[1]\n{whole}\n")
    (tmp_path / "b.jsonl").write_text(f"{whole}\n")
    assert len(claims.read_ledger([tmp_path])) == 1
    with pytest.raises(FileNotFoundError, match="tlcourse run"):
        claims.read_ledger([tmp_path / "none.jsonl"])


def test_the_committed_runs_hold_each_seed_of_a_machine_once():
    kinds = [
        (e.get("id") or e["key"], e["profile"], e["seed"], json.dumps(e["machine"]))
        for e in claims._reference()
    ]
    assert len(set(kinds)) == len(kinds) > 0


def test_reference_is_chosen_by_id_key_and_profile(monkeypatch):
    stored = (entry(0), entry(1, profile="full"), {"key": "curves", "profile": "quick"})
    monkeypatch.setattr(claims, "_reference", lambda: stored)
    assert len(claims.reference("toy")) == 2
    assert len(claims.reference("toy", profile="full")) == 1
    assert len(claims.reference("curves")) == 1


def test_a_malformed_entry_is_named():
    good = {"id": "x", "folklore": "a.", "claim": "b.", "metric": "m", "rule": "y > 0"}
    with pytest.raises(ValueError, match="x is not well formed"):
        claims._claim(good, "01")
    with pytest.raises(ValueError, match="folklore_verdict must be one of"):
        claims._claim({**good, "folklore_verdict": "maybe"}, "01")
    with pytest.raises(ValueError, match="timed is 'yes'"):
        claims._claim({**good, "folklore_verdict": "false", "timed": "yes"}, "01")
    with pytest.raises(ValueError, match="not an expression"):
        claims._claim({**good, "folklore_verdict": "false", "rule": "y >"}, "01")


def test_a_list_is_shown_beside_the_means_of_the_committed_runs(monkeypatch):
    runs = [{"holds": True, "measured": {"x": 1, "gains": gains}} for gains in ([1, 2], [3, 5])]
    monkeypatch.setattr(claims, "reference", lambda name: runs)
    assert claims._reference_text("toy", "gains") == "2, 3.5, means of 2 runs"
    runs.append({"holds": True, "measured": {"x": 1, "gains": [1]}})
    assert claims._reference_text("toy", "gains") == ""
    assert claims._reference_text("toy", "absent") == ""
