"""Train on a folder of pictures, predict, evaluate: the pipeline from the command line."""

import shutil
from pathlib import Path

import typer
from rich.console import Console

from tlcourse import config


def train(folder: Path, out: Path, overwrite: bool, settings: dict, console=None) -> None:
    """Train, save, and check the saved model in a fresh process.

    What a killed run had done is in `OUT.training`; the same command goes on from there.

    Raises:
        FileNotFoundError, ValueError: what cannot be trained on, or a file that is there already.
        OSError: the disk is full.
    """
    console = console or Console()
    if out.suffix != ".keras":
        raise ValueError(f"--out is {out}; give a name ending in .keras.")
    if out.exists() and not overwrite:
        raise ValueError(f"{out} is there already; give another name, or --overwrite.")
    with config._quiet_stderr():
        from tlcourse.data import image_folder
        from tlcourse.pipeline import TransferLearningPipeline, saving

    pipeline = TransferLearningPipeline(**settings)
    size = (settings["size"],) * 2
    found = image_folder(folder, size, pipeline.settings["validation_fraction"], settings["seed"])
    _say(console, found.report)
    checkpoint = out.with_name(f"{out.name}.training")
    if checkpoint.exists():
        _say(console, f"Going on with the training in {checkpoint}.")
    pipeline.fit(found, checkpoint=checkpoint)
    _say(console, pipeline.plan)
    if "best epoch" in pipeline.card.training:
        done = pipeline.card.training
        _say(console, f"Best of {done['epochs']} epochs: {done['best epoch']} ({done['best']}).")
    for name, value in pipeline.card.metrics.get("validation", {}).items():
        text = f"{value['mean']:.3g} [{value['low']:.3g}, {value['high']:.3g}]"
        _say(console, f"validation {name}: {text}, n = {value['n']:,}")
    pipeline.save(out, check=False)
    difference = saving.check_in_fresh_process(out)
    _say(
        console,
        f"Saved {out} ({out.stat().st_size / 1e6:.1f} MB). A fresh process gives the same "
        f"probabilities within {difference:.0e}.",
    )
    shutil.rmtree(checkpoint)


def predict(model: Path, pictures: list[Path]) -> None:
    """Print the likeliest class of each picture and its probability, one line each, with tabs.

    Raises:
        FileNotFoundError, ValueError: no model, or a picture that cannot be read.
    """
    pipeline = _load(model)
    for picture in pictures:
        if not picture.exists():
            raise FileNotFoundError(f"There is no file {picture}.")
    for picture in _one_list(pictures):
        found = pipeline.predict(picture)
        for source, name, share in zip(found.sources, found.names, found.confidence, strict=True):
            typer.echo(f"{source}\t{name}\t{share:.3f}")


def _one_list(pictures: list[Path]) -> list:
    """The folders, and the files together, so that these are read a few at a time."""
    files = [path for path in pictures if not path.is_dir()]
    return [path for path in pictures if path.is_dir()] + ([files] if files else [])


def evaluate(model: Path, folder: Path, console=None) -> None:
    """Print accuracy, log loss and the recall of each class, with intervals.

    Raises:
        FileNotFoundError, ValueError: no model, no folder, or classes that the model does not know.
    """
    _say(console or Console(), _load(model).evaluate(folder))


def _load(model: Path):
    with config._quiet_stderr():
        from tlcourse.pipeline import TransferLearningPipeline

    return TransferLearningPipeline.load(model)


def _say(console: Console, text) -> None:
    console.print(str(text), highlight=False, soft_wrap=True, markup=False)
