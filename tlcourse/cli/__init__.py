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
        Path | None, typer.Option(help="Where to write; runs/<date and time> if left out.")
    ] = None,
    notebooks: Notebooks = None,
):
    """Run chapters headless, keep the executed notebooks, and print the claim table."""
    from tlcourse.cli import execute

    try:
        code = execute.run(
            chapters or [], profile=profile, seeds=range(seed, seed + seeds), out=out,
            notebooks=notebooks,
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
):
    """For authors: rebuild the stored notebooks from their scripts, with fresh outputs."""
    from tlcourse.cli import execute

    try:
        code = execute.refresh(chapters or [], notebooks=notebooks)
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
    """Check Python, packages, memory, disk, data, weights and the notebook kernel."""
    from tlcourse.cli import health

    raise typer.Exit(health.show(need_gpu=gpu))


def main() -> None:
    """Entry point of the `tlcourse` command."""
    app()
