"""What a run has finished, so that a later one in the same folder goes on.

Every chapter with every seed that is done leaves one small file, `finished/PROFILE-NN-seed-N.json`,
with its result and the lines of its ledger. The file is written after the executed notebook and
moved into place whole, so a run that is killed at any moment, `kill -9` included, has either all of
a pair or nothing. Who finds the file does not repeat the pair, as long as the notebook's cells, the
profile, the backend and the version of tlcourse are the same and the executed notebook is the one
that was written. `ledger.jsonl` is put together again from these files; no line is lost or doubled.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import tlcourse
from tlcourse import config


def identity(document, profile: str, seed: int) -> str:
    """A key that changes with whatever could change a pair's result, in hex."""
    cells = [[c.cell_type, c.source, c.metadata.get("tags", [])] for c in document.cells]
    whole = [tlcourse.__version__, config.backend(), profile, seed, cells]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()


def keep(out: Path, name: str, key: str, result: dict, notebook: str, records: Iterable[str]):
    """Write a pair's notebook, and then the file that says that the pair is done.

    Args:
        out: the folder of the run.
        name: of the pair, such as "quick-01-seed-0".
        key: the pair's `identity`.
        result: as JSON has it; its "notebook" is the path to write to, relative to `out`.
    """
    write(out / result["notebook"], notebook)
    whole = {"identity": key, "notebook": _hash(out / result["notebook"]), "result": result,
             "records": list(records)}  # fmt: skip
    write(_path(out, name), json.dumps(whole, indent=1) + "\n")


def find(out: Path, name: str, key: str) -> tuple[dict, list[str]] | None:
    """The result and the ledger's lines of a pair that is done in that folder; None if it isn't."""
    try:
        whole = json.loads(_path(out, name).read_text(encoding="utf-8"))
        result, records = whole["result"], whole["records"]
        same = whole["identity"] == key and whole["notebook"] == _hash(out / result["notebook"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (result, records) if same else None


def extend(ledger: Path, records: Iterable[str]) -> None:
    """Add those lines to a ledger that it lacks."""
    lines = ledger.read_text(encoding="utf-8").splitlines() if ledger.exists() else []
    # A dict keeps order and forgets what stands twice.
    whole = dict.fromkeys([*lines, *records])
    if len(whole) > len(lines):
        write(ledger, "".join(f"{line}\n" for line in whole))


def write(path: Path, text: str) -> None:
    """Write a file whole, or not at all."""
    with config.atomic_path(path) as partial:
        partial.write_bytes(text.encode())


def _path(out: Path, name: str) -> Path:
    return out / "finished" / f"{name}.json"


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
