"""The phrasebook: moves that interviews ask for in code, in Keras beside PyTorch."""

import ast
import functools
import html
from dataclasses import dataclass, fields
from pathlib import Path

import yaml

MOVES = Path(__file__).parent / "moves"
# Two of them stand side by side in a wide terminal, and on a page.
WIDTH = 80
LANGUAGES = {"keras": "Keras", "pytorch": "PyTorch"}


@dataclass(frozen=True)
class Move:
    """One move in both languages.

    Attributes:
        id: small letters, digits, dashes. The function that makes the move has this name, with
            underscores.
        title: what it does.
        asked: as an interviewer asks it.
        keras, pytorch: code that runs as it stands and defines that function.
        differences: where the languages mean different things, worst first.
        proof: how you show that it worked.
        course: the course's own function for it, with checks and messages, or None.
    """

    id: str
    title: str
    asked: str
    keras: str
    pytorch: str
    differences: tuple[str, ...]
    proof: str
    course: str | None = None

    @property
    def function(self) -> str:
        """The name that both columns define."""
        return self.id.replace("-", "_")


@functools.cache
def load() -> dict[str, Move]:
    """All moves by id, in the order of the files.

    Raises:
        ValueError: a move is not well formed; it names the file, the move and the field.
    """
    return read(MOVES)


def read(folder: str | Path) -> dict[str, Move]:
    """The moves of the YAML files of a folder.

    Raises:
        ValueError: as in `load`.
    """
    found: dict[str, Move] = {}
    for path in sorted(Path(folder).glob("*.yaml")):
        for item in yaml.safe_load(path.read_text(encoding="utf-8")):
            move = _move(path.name, item)
            if move.id in found:
                raise ValueError(f"{path.name}, {move.id}: the id stands twice; keep one.")
            found[move.id] = move
    return found


def _move(file: str, item: dict) -> Move:
    where = f"{file}, {item.get('id', 'a move without id')}"
    names = {field.name for field in fields(Move)}
    if unknown := sorted(set(item) - names):
        raise ValueError(f"{where}, {unknown[0]}: is no field of a move.")
    if missing := sorted(names - {"course"} - set(item)):
        raise ValueError(f"{where}, {missing[0]}: is missing.")
    texts = {key: value.strip() for key, value in item.items() if key != "differences"}
    move = Move(**texts, differences=tuple(part.strip() for part in item["differences"]))
    for language in LANGUAGES:
        _check_code(f"{where}, {language}", getattr(move, language), move.function)
    return move


def _check_code(where: str, code: str, function: str) -> None:
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        raise ValueError(f"{where}: is no Python: {error}.") from None
    if function not in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}:
        raise ValueError(f"{where}: has to define a function {function}.")
    for line in code.splitlines():
        if len(line) > WIDTH:
            raise ValueError(f"{where}: {line.strip()!r} makes its line longer than {WIDTH}.")


def page() -> str:
    """The whole phrasebook in Markdown, both languages side by side."""
    moves = load().values()
    contents = "\n".join(f"{n}. [{move.title}](#{move.id})" for n, move in enumerate(moves, 1))
    return f"{_HEADER}\n{contents}\n\n" + "\n".join(_section(move) for move in moves)


_HEADER = """# Phrasebook: Keras beside PyTorch

Moves that interviews ask for in code. Both columns run as they stand, and the tests of the course
run them on toys whose answer is known: the Keras column always, the PyTorch column where PyTorch
is installed. Read the differences first. Most of them are silent.

In the terminal: `tlcourse phrasebook`, and `tlcourse phrasebook freeze`. This page is written by
`docs/make_phrasebook.py` from `tlcourse/interview/moves/`.
"""


def _section(move: Move) -> str:
    cells = "\n".join(
        f"<td>\n\n```python\n{getattr(move, language)}\n```\n\n</td>" for language in LANGUAGES
    )
    heads = "".join(f"<th>{html.escape(name)}</th>" for name in LANGUAGES.values())
    differences = "\n".join(f"- {part}" for part in move.differences)
    course = f" In the course: `{move.course}`." if move.course else ""
    return (
        f'<a id="{move.id}"></a>\n\n## {move.title}\n\n*{move.asked}*\n\n'
        f'<table>\n<tr>{heads}</tr>\n<tr valign="top">\n{cells}\n</tr>\n</table>\n\n'
        f"{differences}\n\n**Show that it worked.** {move.proof}{course}\n"
    )


def show(name: str | None) -> None:
    """Print the list of moves, or one move in both languages.

    Args:
        name: id of a move; None for the list.

    Raises:
        ValueError: no such move.
    """
    from rich.console import Console, Group
    from rich.markup import escape
    from rich.padding import Padding
    from rich.syntax import Syntax
    from rich.table import Table

    console = Console(highlight=False)
    if name is None:
        width = max(map(len, load()))
        for move in load().values():
            console.print(f"[bold]{move.id:{width}}[/]  {escape(move.title)}")
        return
    if name not in load():
        raise ValueError(f"There is no move {name!r}; there are {', '.join(load())}.")
    move = load()[name]
    console.print(f"[bold]{escape(move.title)}[/]\n{escape(move.asked)}\n")
    columns = [
        Group(
            f"[bold]{title}[/]",
            Syntax(getattr(move, language), "python", background_color="default"),
        )
        for language, title in LANGUAGES.items()
    ]
    longest = max(len(line) for code in (move.keras, move.pytorch) for line in code.splitlines())
    if console.width >= 2 * longest + 3:
        table = Table.grid(padding=(0, 3, 0, 0))
        table.add_row(*columns)
        console.print(table)
        console.print()
    else:
        for column in columns:
            console.print(Padding(column, (0, 0, 1, 0)))
    for part in move.differences:
        console.print(Padding(f"• {escape(part)}", (0, 0, 1, 0)))
    console.print(f"[bold]Show that it worked.[/] {escape(move.proof)}")
    if move.course:
        console.print(f"In the course: {move.course}")
