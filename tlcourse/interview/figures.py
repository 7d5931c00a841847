"""Figures for cards, drawn from the committed runs alone."""

import io
from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from tlcourse import claims
from tlcourse import visualization as viz
from tlcourse.evaluation import mean_interval


def _runs(key: str) -> list[dict]:
    return [entry["measured"] for entry in claims.reference(key, profile="quick")]


def _means(key: str) -> dict[str, dict]:
    """Row to series to an estimate over the committed runs."""
    found: dict[str, dict[str, list]] = {}
    for run in _runs(key):
        for row, runs in run["rows"].items():
            for series, value in ((s, v) for one in runs for s, v in one.items()):
                found.setdefault(row, {}).setdefault(series, []).append(value)
    return {
        row: {series: mean_interval(values) for series, values in series.items()}
        for row, series in found.items()
    }


def learning_curves() -> Figure:
    """Transfer against a small network from scratch, on four targets."""
    runs = _runs("01-curves")

    def past(way, target):
        return [curve for run in runs for curve in run[way].get(target, [])]

    targets = [t for t in ("cifar10", "animals", "fashion_mnist", "mnist") if past("transfer", t)]
    transfer = {t: past("transfer", t) for t in targets}
    scratch = {t: past("scratch", t) for t in targets}
    return viz.transfer_against_scratch(runs[0]["sizes"], targets, transfer, scratch, past)


def extract_or_finetune() -> Figure:
    """What training more of the backbone buys."""
    return viz.paired_dots(
        _means("02-accuracy"), percent=True, xlabel="test accuracy, %",
        title="Head alone, last blocks, everything",
    ).figure  # fmt: skip


def rates() -> Figure:
    """Accuracy after two epochs over six powers of ten of the rate."""
    runs = _runs("03-sweep")
    lines = {
        name: [run["accuracy"][name] for run in runs]
        for name in ("SGD", "Adam")
        if name in runs[0]["accuracy"]
    }
    positions = [10.0**-power for power in range(6, 6 - len(runs[0]["accuracy"]["Adam"]), -1)]
    return viz.curves(
        positions, lines, percent=True, log_x=True, xlabel="learning rate",
        ylabel="accuracy, %", title="Fine-tuning from a fitted head",
    ).figure  # fmt: skip


def probes() -> Figure:
    """A linear head after each stage of the backbone."""
    runs = _runs("05-probes")
    lines = {name: [run[name] for run in runs] for name in ("animals", "mnist")}
    return viz.curves(
        np.arange(1, 1 + len(runs[0]["animals"])), lines, percent=True, xlabel="stage",
        ylabel="accuracy of a linear head, %", title="What each stage tells",
    ).figure  # fmt: skip


def prices() -> Figure:
    """What ten mistakes of preprocessing cost, in serving only and in both."""
    runs = _runs("07-prices")
    rows = {
        name.replace("_", " "): {
            series: mean_interval([run[name][series] for run in runs])
            for series in ("mismatch", "consistent")
        }
        for name in runs[0]
        if all(name in run for run in runs)
    }
    return viz.paired_dots(
        rows, percent=True, xlabel="accuracy lost, points",
        title="Wrong in serving only, or in training, too",
    ).figure  # fmt: skip


def passes() -> Figure:
    """One stage, two stages, and a head of zeros, after each pass."""
    runs = _runs("09-passes")
    names = ("single", "zero head", "two-stage")
    lines = {name: [curve for run in runs for curve in run["after"][name]] for name in names}
    counts = np.arange(1, 1 + len(lines["single"][0]))
    ax = viz.curves(
        counts, lines, percent=True, xlabel="passes over 300 images", ylabel="test accuracy, %",
        title="Stages, pass by pass",
    )  # fmt: skip
    ax.set_xticks(counts)
    return ax.figure


FIGURES: dict[str, Callable[[], Figure]] = {
    "learning-curves": learning_curves,
    "extract-or-finetune": extract_or_finetune,
    "rates": rates,
    "probes": probes,
    "prices": prices,
    "passes": passes,
}


def png(name: str) -> bytes:
    """A figure of `FIGURES` as the bytes of a PNG file.

    Raises:
        KeyError: there is none of that name.
    """
    with viz.plt.rc_context():
        viz.style()
        figure = FIGURES[name]()
        out = io.BytesIO()
        # Without date and version, the same runs give the same bytes.
        figure.savefig(out, format="png", dpi=80, metadata={"Software": None})
        viz.plt.close(figure)
    return out.getvalue()
