"""Draw the README's figure from the committed runs of chapter 01.

Run it after the committed ledger changed: `.venv/bin/python docs/make_figures.py`.
"""

from pathlib import Path

from tlcourse import claims
from tlcourse import visualization as viz

FIGURES = Path(__file__).parent / "figures"


def help_or_hurt() -> None:
    runs = [entry["measured"] for entry in claims.reference("01-curves", profile="quick")]
    targets = ["cifar10", "animals", "fashion_mnist", "mnist"]

    def past(way: str, target: str) -> list:
        return [curve for run in runs for curve in run[way].get(target, [])]

    transfer = {target: past("transfer", target) for target in targets}
    scratch = {target: past("scratch", target) for target in targets}
    figure = viz.transfer_against_scratch(runs[0]["sizes"], targets, transfer, scratch, past)
    figure.savefig(FIGURES / "help_or_hurt.png", dpi=90, metadata={"Software": None})


if __name__ == "__main__":
    viz.style()
    FIGURES.mkdir(exist_ok=True)
    help_or_hurt()
