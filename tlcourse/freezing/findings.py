"""What the mechanism checks found, as text and as HTML."""

import html
from dataclasses import dataclass

from tlcourse.freezing import reports, tables
from tlcourse.freezing.snapshots import BatchNormState

HEAD = ("question", "answer")


@dataclass(frozen=True)
class Finding:
    """Something that the reader should know.

    Attributes:
        code: a fixed name, such as "stale-compile".
        severity: "error" (training does something else than the code says), "warning" (it often
            costs accuracy) or "note" (fine if you meant it).
        sentence: what was found.
        remedy: how to mend it.
    """

    code: str
    severity: str
    sentence: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.severity.upper()} {self.code}: {self.sentence} {self.remedy}"


@dataclass(frozen=True, repr=False)
class Audit:
    """The answers of `audit`, as a table that text and notebooks show.

    The text holds names and counts only, so that it is equal on every machine; the sizes of the
    changes are in `batch_norms`, in `changes` and in the notebook's table.

    Attributes:
        facts: pairs of question and answer.
        findings: what needs attention, errors first.
        batch_norms: every BatchNormalization layer of the model.
        changes: largest absolute change of each weight since the snapshot, by its path; empty
            without a snapshot.
        report: the trainable parameters block by block.
    """

    facts: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]
    batch_norms: tuple[BatchNormState, ...]
    changes: dict[str, float]
    report: reports.Report

    @property
    def ok(self) -> bool:
        """Whether there is no error and no warning; notes do not count."""
        return all(finding.severity == "note" for finding in self.findings)

    def found(self, code: str) -> bool:
        """Whether there is a finding of that code."""
        return any(finding.code == code for finding in self.findings)

    def _verdict(self) -> str:
        counts = [
            tables.plural(sum(f.severity == severity for f in self.findings), severity)
            for severity in ("error", "warning", "note")
        ]
        return f"{'ok' if self.ok else 'not ok'}: {', '.join(counts)}"

    def __str__(self) -> str:
        findings = [str(finding) for finding in self.findings]
        return "\n".join([tables.text(HEAD, self.facts), *findings, self._verdict()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{html.escape(str(finding))}</li>" for finding in self.findings)
        moved = [norm for norm in self.batch_norms if norm.moved]
        rows = [(n.name, f"{n.mean_change:.2g}", f"{n.variance_change:.2g}") for n in moved]
        head = ("BatchNormalization that moved", "moving_mean", "moving_variance")
        sizes = tables.as_html(head, rows, (1, 2)) if rows else ""
        table = tables.as_html(HEAD, self.facts)
        return f"{table}<ul>{items}</ul><p>{html.escape(self._verdict())}</p>{sizes}"
