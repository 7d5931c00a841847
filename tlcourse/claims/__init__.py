"""The ledger: what people say, what we assert, the rule fixed before the run, and what came out.

A claim is an entry of `entries/NN.yaml`. A notebook measures and calls `check`, which prints the
verdict, shows the numbers beside it and appends a record to the run's ledger. `reference/` holds
the committed records of runs over several seeds; one run is one point against them.
"""

import datetime
import functools
import html
import json
import math
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib import metadata, resources
from pathlib import Path

import numpy as np
import yaml

from tlcourse import config
from tlcourse.claims import rules
from tlcourse.evaluation import Estimate, mean_interval

HOLDS, FAILS, UNSETTLED, NOT_RUN = "holds", "fails", "unsettled", "not run"
FOLKLORE = ("false", "conditional", "supported")


@dataclass(frozen=True)
class Claim:
    """One entry of the ledger.

    Attributes:
        id: such as "q02-fe-faster"; the prefix names the question or key concept.
        chapter: two digits.
        folklore: what people say, in our words.
        folklore_verdict: "false", "conditional" or "supported", as the sources and we judge it.
        claim: what we assert.
        metric: what is measured, on what, with its unit.
        rule: when the claim counts as confirmed, as an expression for `rules.evaluate`.
        sources: papers or documents; empty where we only measured.
        timed: whether seconds decide it. A busy machine can then change the verdict, so no test
            compares it and no run fails for it.
    """

    id: str
    chapter: str
    folklore: str
    folklore_verdict: str
    claim: str
    metric: str
    rule: str
    sources: tuple[str, ...] = ()
    timed: bool = False


@dataclass(frozen=True)
class Verdict:
    """What one run says of one claim.

    Attributes:
        claim: the entry.
        holds: whether this run's numbers satisfy the rule.
        status: "holds" or "fails"; "unsettled" if the committed runs disagree with each other.
        measured: the numbers of this run.
    """

    claim: Claim
    holds: bool
    status: str
    measured: dict

    def __str__(self) -> str:
        return f"{self.status.upper():<9} {self.claim.id}: {self.claim.claim}"

    def _repr_html_(self) -> str:
        names = self.measured or _averages(tuple(reference(self.claim.id)))
        rows = "".join(
            f"<tr><td style='text-align:left'>{html.escape(name)}</td>"
            f"<td style='text-align:left'>{_here(self.measured, name)}</td>"
            f"<td style='text-align:left'>{html.escape(_reference_text(self.claim.id, name))}</td>"
            "</tr>"
            for name in names
        )
        note = "" if self.status != UNSETTLED else _unsettled_note(self)
        return (
            f"<small><b>rule</b> <code>{html.escape(self.claim.rule)}</code>{note}"
            "<table><tr><th>measured</th><th>this run</th><th>committed runs</th></tr>"
            f"{rows}</table></small>"
        )


@dataclass(frozen=True)
class Row:
    """A claim over several runs.

    Attributes:
        claim: the entry.
        verdict: "holds", "fails", "unsettled" or "not run".
        values: each measured number, as a mean over the runs with its interval.
        records: the runs behind it.
    """

    claim: Claim
    verdict: str
    values: dict[str, Estimate] = field(default_factory=dict)
    records: tuple[dict, ...] = ()


@functools.cache
def load() -> dict[str, Claim]:
    """All claims of the course, by id, in chapter order.

    Raises:
        ValueError: an entry is incomplete, repeated, or its rule cannot be read.
    """
    claims: dict[str, Claim] = {}
    folder = resources.files(__package__) / "entries"
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".yaml"):
            for entry in yaml.safe_load(file.read_text(encoding="utf-8")):
                claim = _claim(entry, chapter=file.name.removesuffix(".yaml"))
                if claim.id in claims:
                    raise ValueError(f"The claim {claim.id} stands twice; keep one.")
                claims[claim.id] = claim
    return claims


def _claim(entry: dict, chapter: str) -> Claim:
    entry = {"chapter": chapter, **entry}
    try:
        claim = Claim(**{**entry, "sources": tuple(entry.get("sources", ()))})
    except TypeError as error:
        raise ValueError(f"The claim {entry.get('id')} is not well formed: {error}.") from None
    if not isinstance(claim.timed, bool):
        raise ValueError(f"{claim.id}: timed is {claim.timed!r}; it has to be true or false.")
    if claim.folklore_verdict not in FOLKLORE:
        raise ValueError(f"{claim.id}: folklore_verdict must be one of {', '.join(FOLKLORE)}.")
    rules.names(claim.rule)
    return claim


def get(claim_id: str) -> Claim:
    """The claim of that id.

    Raises:
        ValueError: there is none.
    """
    try:
        return load()[claim_id]
    except KeyError:
        raise ValueError(
            f"There is no claim {claim_id!r}; `tlcourse ledger` lists the {len(load())} there are."
        ) from None


def check(claim_id: str, **measured) -> Verdict:
    """Hold a claim's rule against this run's numbers, print the verdict and keep a record.

    The printed line depends on the verdict alone, so that it can be verified on any machine. The
    numbers stand in the output beside it. A claim on which the committed runs disagree is printed
    as unsettled, whatever this run says.

    Args:
        claim_id: an id of the ledger.
        measured: every name in the claim's rule, and whatever else belongs on record: numbers,
            lists of numbers, or `Estimate`s.

    Returns:
        The `Verdict`; in a notebook it is displayed, so let it not be a cell's last expression.

    Raises:
        ValueError: no such claim, a measurement is missing, or one is not finite.
    """
    claim = get(claim_id)
    for name, value in measured.items():
        if not isinstance(value, str) and not np.isfinite(np.asarray(_mean(value), float)).all():
            raise ValueError(f"{claim_id}: {name} is {value}; a measurement has to be finite.")
    holds = rules.evaluate(claim.rule, measured)
    committed = {record["holds"] for record in reference(claim_id)}
    status = UNSETTLED if len(committed) > 1 else HOLDS if holds else FAILS
    verdict = Verdict(claim, holds, status, measured)
    _append({"id": claim_id, "holds": holds, "measured": _plain(measured)}, claim.chapter)
    print(verdict)
    _display(verdict)
    return verdict


def cite(claim_id: str) -> Verdict:
    """Print what the committed runs say of a claim that this machine cannot measure.

    The line is the one that `check` prints, so that a notebook reads the same with or without an
    optional package or a download.

    Raises:
        ValueError: no such claim, or no committed run has measured it.
    """
    claim = get(claim_id)
    records = reference(claim_id)
    if not records:
        raise ValueError(f"{claim_id} was measured neither here nor in a committed run.")
    outcomes = {entry["holds"] for entry in records}
    status = UNSETTLED if len(outcomes) > 1 else HOLDS if outcomes == {True} else FAILS
    verdict = Verdict(claim, outcomes == {True}, status, {})
    print(verdict)
    _display(verdict)
    return verdict


def record(key: str, **values) -> None:
    """Keep numbers on the ledger that belong to no claim, such as a whole learning curve.

    Args:
        key: a name for them; a notebook reads the committed ones back with `reference(key)`.
        values: numbers, lists, nested lists or `Estimate`s.
    """
    run = config.current_run()
    _append({"key": key, "measured": _plain(values)}, run.chapter if run else "")


def reference(claim_or_key: str, profile: str | None = None) -> list[dict]:
    """The committed records of a claim or of a `record` key, over seeds and machines.

    Args:
        claim_or_key: an id of the ledger, or the key given to `record`.
        profile: only those of this profile, or None for all.
    """
    return [
        entry
        for entry in _reference()
        if claim_or_key in (entry.get("id"), entry.get("key"))
        and profile in (None, entry["profile"])
    ]


@functools.cache
def _reference() -> tuple[dict, ...]:
    folder = resources.files(__package__) / "reference"
    paths = [Path(str(file)) for file in folder.iterdir() if file.name.endswith(".jsonl")]
    return tuple(read_ledger(paths))


def read_ledger(paths: Iterable[str | Path]) -> list[dict]:
    """All records of ledger files, or of every ledger below the folders given.

    A line cut short, as by a power failure, is left out; so is a record that stands twice.

    Raises:
        FileNotFoundError: a path is not there.
    """
    records, seen = [], set()
    for path in map(Path, paths):
        if not path.exists():
            raise FileNotFoundError(f"{path} is not there; run `tlcourse run` to make a ledger.")
        for file in sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]:
            for line in file.read_text(encoding="utf-8").splitlines():
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if (
                    isinstance(entry, dict)
                    and line not in seen
                    and ("id" in entry or "key" in entry)
                ):
                    seen.add(line)
                    records.append(entry)
    return records


def summarise(records: Iterable[dict]) -> list[Row]:
    """Every claim with its verdict and its numbers over the records given.

    Records of one chapter, profile, seed and machine count once, the newest. Scalars and the means
    of estimates are averaged over records; with a single record its own interval is kept. Lists
    stay in the records.
    """
    latest: dict[tuple, dict] = {}
    for entry in records:
        if "id" in entry:
            machine = json.dumps(entry.get("machine"), sort_keys=True)
            latest[entry["id"], entry["profile"], entry["seed"], machine] = entry
    rows = []
    for claim in load().values():
        found = tuple(entry for entry in latest.values() if entry["id"] == claim.id)
        outcomes = {entry["holds"] for entry in found}
        verdict = (
            NOT_RUN
            if not found
            else UNSETTLED
            if len(outcomes) > 1
            else HOLDS
            if outcomes == {True}
            else FAILS
        )
        rows.append(Row(claim, verdict, _averages(found), found))
    return rows


def _averages(records: tuple[dict, ...]) -> dict[str, Estimate]:
    values: dict[str, Estimate] = {}
    for name in dict.fromkeys(name for entry in records for name in entry["measured"]):
        found = [entry["measured"][name] for entry in records if name in entry["measured"]]
        if len(found) == 1 and isinstance(found[0], dict):
            values[name] = _estimate(found[0])
        elif all(isinstance(value, (int, float, dict)) for value in found):
            values[name] = mean_interval([_mean(value) for value in found])
    return values


def ledger_path() -> Path:
    """Where this run's records go: `TLCOURSE_LEDGER`, or a file in the cache folder."""
    named = os.environ.get("TLCOURSE_LEDGER")
    return Path(named) if named else config.cache_dir("ledger") / "ledger.jsonl"


@functools.cache
def machine() -> dict[str, str | int]:
    """What a reader of the ledger needs to know of the machine. It names no host and no user."""
    return {
        "system": platform.system(),
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "backend": config.backend(),
        "python": platform.python_version(),
        "keras": metadata.version("keras"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def text(value) -> str:
    """A measured value as a reader wants it: three significant digits, intervals in brackets.

    Example:
        >>> text(0.123456), text([1, 2.5]), text({"mean": 1.0, "low": 0.5, "high": 1.5, "n": 3})
        ('0.123', '1, 2.5', '1 [0.5, 1.5]')
    """
    if isinstance(value, dict) and "mean" in value:
        value = _estimate(value)
    if isinstance(value, (list, tuple, np.ndarray)):
        return ", ".join(text(item) for item in value)
    if isinstance(value, (bool, np.bool_, str, Estimate)):
        return str(value)
    return f"{float(value):.3g}" if abs(value) < 1e3 else f"{float(value):,.0f}"


def _append(entry: dict, chapter: str) -> None:
    run = config.current_run() or config.Run(chapter)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    whole = {
        **entry, "chapter": run.chapter, "profile": run.profile, "seed": run.seed,
        "time": now, "machine": machine(),
    }  # fmt: skip
    path = ledger_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(whole, allow_nan=False) + "\n"
    # One write, so that the lines of chapters that run at once do not mix.
    with path.open("ab", buffering=0) as file:
        file.write(line.encode())


def _estimate(stored: dict) -> Estimate:
    """An estimate as the ledger keeps it; JSON has no not-a-number, so unknown ends are null."""
    return Estimate(**{k: math.nan if v is None else v for k, v in stored.items()})


def _mean(value):
    if isinstance(value, Estimate):
        return value.mean
    return value["mean"] if isinstance(value, dict) else value


def _plain(value):
    """The value as JSON knows it."""
    if isinstance(value, Estimate):
        return {name: _plain(part) for name, part in asdict(value).items()}
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _here(measured: dict, name: str) -> str:
    return html.escape(text(measured[name])) if name in measured else "not measured here"


def _reference_text(claim_id: str, name: str) -> str:
    records = reference(claim_id)
    value = _averages(tuple(records)).get(name)
    if value:
        return f"{value}, {value.n} runs"
    lists = [r["measured"][name] for r in records if isinstance(r["measured"].get(name), list)]
    if len({len(found) for found in lists}) != 1 or np.asarray(lists).dtype.kind not in "bif":
        return ""
    return f"{text(np.mean(lists, axis=0))}, means of {len(lists)} runs"


def _unsettled_note(verdict: Verdict) -> str:
    records = reference(verdict.claim.id)
    held = sum(entry["holds"] for entry in records)
    now = "satisfies" if verdict.holds else "does not satisfy"
    return f" — this run {now} it; {held} of {len(records)} committed runs do"


def _display(verdict: Verdict) -> None:
    try:
        from IPython import get_ipython
        from IPython.display import HTML, display
    except ModuleNotFoundError:
        return
    if get_ipython() is not None:
        display(HTML(verdict._repr_html_()))
