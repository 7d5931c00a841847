"""Tables of plain text, equal on every machine, and their HTML twins."""

import html
from collections.abc import Sequence


def text(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """Columns padded with spaces; the columns in `numbers` are set to the right.

    Example:
        >>> rows = [("stem", "992"), ("top", "414,720")]
        >>> print(text(("block", "parameters"), rows, numbers=(1,)))
        block  parameters
        -----  ----------
        stem          992
        top       414,720
    """
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = []
    for row in (head, ["-" * width for width in widths], *rows):
        cells = [
            cell.rjust(width) if i in numbers else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def as_html(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """The same table for a notebook."""

    def line(tag, row):
        cells = (
            f'<{tag} style="text-align:{"right" if i in numbers else "left"}">'
            f"{html.escape(cell)}</{tag}>"
            for i, cell in enumerate(row)
        )
        return f"<tr>{''.join(cells)}</tr>"

    body = "".join(line("td", row) for row in rows)
    return f"<table><thead>{line('th', head)}</thead><tbody>{body}</tbody></table>"


def plural(number: int, word: str) -> str:
    """A number with its noun.

    Example:
        >>> plural(1, "layer"), plural(2000, "layer")
        ('1 layer', '2,000 layers')
    """
    return f"{number:,} {word}{'' if number == 1 else 's'}"
