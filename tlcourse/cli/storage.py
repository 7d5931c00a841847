"""What is embedded, cached and downloadable, and how much room it takes."""

import contextlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tlcourse import config, data

# Every folder of the cache that the course makes, and what can be made again from it.
CACHES = {
    "data": "data sets that were downloaded",
    "weights": "embedded ImageNet weights in Keras' layout",
    "onnx": "backbones exported for ONNX Runtime",
    "features": "frozen features",
    "networks": "small networks trained from scratch",
    "pipeline": "what a training in progress keeps",
    "ledger": "records of claims checked outside of `tlcourse run`",
}


def show(fetch: Iterable[str], clear: bool, console: Console | None = None) -> None:
    """Clear, fetch, and list what there is, in this order.

    Raises:
        ValueError: an unknown data set.
        FileNotFoundError: a download was not possible.
    """
    console = console or Console()
    if clear:
        console.print(f"Deleted {_readable(clear_caches())} from {config.cache_dir()}.",
                      highlight=False, soft_wrap=True)  # fmt: skip
    for name in fetch:
        data.fetch(name)
        console.print(f"{name} is ready for offline use.", highlight=False)
    console.print(_datasets(), _caches())


def clear_caches() -> int:
    """Delete the course's own cache folders, and nothing else beside them.

    Returns:
        How many bytes were freed.
    """
    freed = 0
    for name in CACHES:
        folder = config.cache_dir(name)
        freed += size(folder)
        # A notebook that runs may write there right now; what it has just written may stay.
        shutil.rmtree(folder, ignore_errors=True)
    return freed


def size(folder: Path) -> int:
    """Bytes that the files below a folder take; 0 if it is not there."""
    total = 0
    for path in folder.rglob("*"):
        # A notebook that runs may delete or rename it at any time.
        with contextlib.suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def state(name: str) -> str:
    """Where `data.load(name)` would find a data set: how it can be had, in two words or so."""
    if name in own_files():
        return "in TLCOURSE_DATA"
    offline = name in data.DATASETS and data.DATASETS[name].offline
    if data.available(name):
        return "embedded" if offline else "cached"
    return "package missing" if offline else "downloadable"


def own_files() -> dict[str, Path]:
    """The `NAME.npz` files in the reader's own data folder, by name."""
    folder = config.data_dir()
    if folder is None or not folder.is_dir():
        return {}
    return {path.stem: path for path in sorted(folder.glob("*.npz"))}


def _datasets() -> Table:
    table = Table(title="Data sets", title_justify="left")
    for heading in ("name", "state", "images", "licence"):
        table.add_column(heading)
    for name in [*data.DATASETS, *(name for name in own_files() if name not in data.DATASETS)]:
        card = data.DATASETS.get(name)
        images = f"{card.train + card.test:,}" if card else "your own"
        table.add_row(name, state(name), images, card.licence if card else "")
    table.caption = "tlcourse data --fetch NAME downloads one, verifies it and keeps it."
    return table


def _caches() -> Table:
    table = Table(title=f"Caches in {config.cache_dir()}", title_justify="left")
    table.add_column("folder")
    table.add_column("size", justify="right")
    table.add_column("holds")
    for name, holds in CACHES.items():
        table.add_row(name, _readable(size(config.cache_dir(name))), holds)
    table.caption = (
        "tlcourse data --clear deletes them; what is needed is made again. Frozen features stay "
        f"below {_readable(config.cache_limit())} (TLCOURSE_CACHE_LIMIT, in GB)."
    )
    keras = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"
    if keras.is_dir():
        table.add_row(str(keras), _readable(size(keras)), "Keras' own weights; never cleared here")
    return table


def _readable(count: int) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
