"""The `tlcourse` command. What a verb needs is imported when it runs, so that help is instant."""

from pathlib import Path
from typing import Annotated

import typer

import tlcourse

app = typer.Typer(
    help="Ten interview questions on transfer learning, answered by measuring them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Notebooks = Annotated[
    Path | None,
    typer.Option(help="The folder of the chapters, if not the one here or in the repository."),
]
Jobs = Annotated[
    int, typer.Option(min=1, help="Chapters at once, each on its own cores; two need 3 GB.")
]


def _fail(error: Exception) -> typer.Exit:
    """Show an error that the reader can mend as one line, without a traceback."""
    typer.secho(str(error), fg="red", err=True)
    return typer.Exit(2)


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
):
    if version:
        typer.echo(tlcourse.__version__)
        raise typer.Exit


@app.command()
def run(
    chapters: Annotated[
        list[str] | None, typer.Argument(help="Such as 01 07; all if left out.")
    ] = None,
    profile: Annotated[
        str, typer.Option(help="quick (a laptop) or full (a GPU, or patience).")
    ] = "quick",
    seed: Annotated[int, typer.Option(min=0, help="Every random choice follows from it.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="Run this many seeds: SEED, SEED + 1, …")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where to write, or to go on with a run that is there; runs/<date and time> "
            "if left out."
        ),
    ] = None,
    notebooks: Notebooks = None,
    jobs: Jobs = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(help="A dask scheduler, such as tcp://10.0.0.1:8786; its workers run them."),
    ] = None,
):
    """Run chapters headless, keep the executed notebooks, and print the claim table."""
    from tlcourse.cli import execute

    try:
        code = execute.run(
            chapters or [], profile=profile, seeds=range(seed, seed + seeds), out=out,
            notebooks=notebooks, jobs=jobs, scheduler=scheduler,
        )  # fmt: skip
    except (ValueError, FileNotFoundError) as error:
        raise _fail(error) from None
    raise typer.Exit(code)


@app.command()
def refresh(
    chapters: Annotated[
        list[str] | None, typer.Argument(help="Such as 01 07; all if left out.")
    ] = None,
    notebooks: Notebooks = None,
    jobs: Jobs = 1,
):
    """For authors: rebuild the stored notebooks from their scripts, with fresh outputs."""
    from tlcourse.cli import execute

    try:
        code = execute.refresh(chapters or [], notebooks=notebooks, jobs=jobs)
    except (ValueError, FileNotFoundError) as error:
        raise _fail(error) from None
    raise typer.Exit(code)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(context: typer.Context, notebooks: Notebooks = None):
    """Open JupyterLab on the chapters; what else you write is handed on to it."""
    from tlcourse.cli import execute

    try:
        code = execute.lab(notebooks, context.args)
    except FileNotFoundError as error:
        raise _fail(error) from None
    raise typer.Exit(code)


@app.command()
def ledger(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Ledger files or run folders; if left out, the committed runs and runs/."
        ),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a page and a figure here.")] = None,
):
    """Gather the claims over seeds, profiles and machines: rule, measured value, verdict."""
    from tlcourse.cli import table

    try:
        table.show(paths or [], html)
    except (ValueError, FileNotFoundError) as error:
        raise _fail(error) from None


@app.command()
def data(
    fetch: Annotated[
        list[str] | None, typer.Option(help="Download this data set for later offline use.")
    ] = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="Delete everything that can be made or fetched again.")
    ] = False,
):
    """What is embedded, cached and downloadable; fetch for later offline use."""
    from tlcourse.cli import storage

    try:
        storage.show(fetch or [], clear)
    except (ValueError, OSError) as error:
        raise _fail(error) from None


@app.command()
def doctor(
    gpu: Annotated[bool, typer.Option("--gpu", help="Having no GPU is a problem.")] = False,
):
    """Check Python, packages, backend, memory, disk, data, weights and the notebook kernel."""
    from tlcourse.cli import health

    raise typer.Exit(health.show(need_gpu=gpu))


@app.command()
def train(
    folder: Annotated[Path, typer.Argument(help="Pictures, one sub-folder for each class.")],
    out: Annotated[Path, typer.Option(help="The model to write, NAME.keras.")],
    similarity: Annotated[
        str, typer.Option(help="To photographs of things: high, medium or low.")
    ] = "high",
    strategy: Annotated[
        str, typer.Option(help="auto, or 'feature extraction', 'fine-tune the last blocks', ….")
    ] = "auto",
    backbone: Annotated[str, typer.Option(help="Which pretrained network.")] = "efficientnet-lite0",
    size: Annotated[int, typer.Option(min=32, help="Side in pixels that it sees.")] = 96,
    epochs: Annotated[int, typer.Option(min=1, help="Of fine-tuning, at most.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Every random choice follows from it.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
):
    """Train a classifier on a folder of pictures; after a crash, the same command goes on."""
    from tlcourse.cli import pictures

    settings = {
        "similarity": similarity, "strategy": strategy, "backbone": backbone, "size": size,
        "epochs": epochs, "seed": seed,
    }  # fmt: skip
    try:
        pictures.train(folder, out, overwrite, settings)
    except (ValueError, OSError) as error:
        raise _fail(error) from None


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="What `tlcourse train` wrote.")],
    images: Annotated[list[Path], typer.Argument(help="Picture files, or folders of them.")],
):
    """Name the likeliest class of each picture, with its probability."""
    from tlcourse.cli import pictures

    try:
        pictures.predict(model, images)
    except (ValueError, OSError) as error:
        raise _fail(error) from None


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="What `tlcourse train` wrote.")],
    folder: Annotated[Path, typer.Argument(help="Other pictures, one sub-folder for each class.")],
):
    """Score a model on labelled pictures: accuracy and recalls, with intervals."""
    from tlcourse.cli import pictures

    try:
        pictures.evaluate(model, folder)
    except (ValueError, OSError) as error:
        raise _fail(error) from None


@app.command()
def progress(
    reset: Annotated[
        bool, typer.Option("--reset", help="Forget everything, after a question.")
    ] = False,
    export: Annotated[Path | None, typer.Option(help="Write everything to this JSON file.")] = None,
):
    """What you have answered and solved so far; it is kept on this computer only."""
    from tlcourse.cli import answers

    try:
        answers.show(reset, export)
    except (ValueError, OSError) as error:
        raise _fail(error) from None


@app.command()
def interview(
    part: Annotated[
        str | None, typer.Argument(help="place, practice, mock or report; what fits if left out.")
    ] = None,
    minutes: Annotated[int, typer.Option(min=3, max=180, help="Of a mock interview.")] = 20,
    level: Annotated[str, typer.Option(help="Of a mock interview: junior, mid or senior.")] = "mid",
    chapter: Annotated[str | None, typer.Option(help="Only its questions, such as 02.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="The same seed draws the same mock interview.")
    ] = None,
):
    """Find out where you stand, practise what you lack, rehearse against a clock."""
    from tlcourse.interview import terminal

    try:
        terminal.run(part, minutes=minutes, level=level, chapter=chapter, seed=seed)
    except (ValueError, OSError) as error:
        raise _fail(error) from None


@app.command()
def whiteboard(
    task: Annotated[str | None, typer.Argument(help="Which one; a list if left out.")] = None,
):
    """Code as in an interview: write a task's starter here, then check what you made of it."""
    from tlcourse.interview import terminal

    try:
        terminal.board(task)
    except (ValueError, OSError) as error:
        raise _fail(error) from None


@app.command()
def phrasebook(
    move: Annotated[str | None, typer.Argument(help="Which one; a list if left out.")] = None,
):
    """Moves that interviews ask for in code, in Keras beside PyTorch, and how they differ."""
    from tlcourse.interview import phrasebook

    try:
        phrasebook.show(move)
    except ValueError as error:
        raise _fail(error) from None


@app.command()
def anki(
    out: Annotated[Path, typer.Argument(help="The deck to write, NAME.apkg.")],
):
    """Write the questions as a deck for Anki; importing a newer one keeps your progress there."""
    from tlcourse.interview import deck

    try:
        count = deck.write(out)
    except (ValueError, OSError) as error:
        raise _fail(error) from None
    typer.echo(f"Wrote {out} with {count} notes; in Anki, choose File, Import.")


@app.command()
def revise(
    out: Annotated[Path, typer.Argument(help="The sheet to write, NAME.pdf or NAME.html.")],
):
    """Write the two-page revision sheet, to print or to read on the way there."""
    from tlcourse.interview import sheet

    try:
        sheet.write(out)
    except (ValueError, OSError) as error:
        raise _fail(error) from None
    typer.echo(f"Wrote {out}.")


@app.command()
def classroom(
    folder: Annotated[Path, typer.Argument(help="To make; its name is the name of the course.")],
    chapters: Annotated[
        list[str] | None, typer.Argument(help="Such as 01 07; all if left out.")
    ] = None,
):
    """Make a course folder for nbgrader: its settings, and the exercises with their solutions."""
    from tlcourse.classroom import course

    try:
        written = course.make(folder, chapters or [])
    except (ValueError, OSError) as error:
        raise _fail(error) from None
    names = ", ".join(path.stem for path in written)
    typer.echo(f"Wrote {len(written)} of nbgrader's assignments into {folder}: {names}.")
    typer.echo("Go there and hand one out: nbgrader generate_assignment NAME.")


@app.command()
def slides(
    chapter: Annotated[str, typer.Argument(help="Such as 03.")],
    out: Annotated[
        Path | None, typer.Option(help="Where to write; NN_name.html here if left out.")
    ] = None,
    notebooks: Notebooks = None,
):
    """Write a chapter as slides: one HTML file that opens without a network."""
    from tlcourse.classroom import slides as made
    from tlcourse.cli import execute

    try:
        (notebook,) = execute.find(notebooks, [chapter])
        out = out or Path(f"{notebook.stem}.html")
        count = made.write(notebook, out)
    except (ValueError, OSError) as error:
        raise _fail(error) from None
    typer.echo(f"Wrote {out} with {count} slides; open it in a browser.")


@app.command()
def bundle(
    folder: Annotated[Path, typer.Argument(help="To make: wheels, notebooks, an installer.")],
    extra: Annotated[
        list[str] | None, typer.Option(help="Also what this extra needs, such as classroom.")
    ] = None,
    fetch: Annotated[
        list[str] | None, typer.Option(help="Also this data set, such as cifar10.")
    ] = None,
):
    """Gather all that a room without internet needs to install the course."""
    from tlcourse.classroom import bundling

    try:
        size = bundling.make(folder, extra or [], fetch or [], typer.echo)
    except (ValueError, OSError) as error:
        raise _fail(error) from None
    typer.echo(f"Wrote {folder}, {size / 1e9:.1f} GB; its README.txt says how to install it.")


def main() -> None:
    """Entry point of the `tlcourse` command."""
    app()
