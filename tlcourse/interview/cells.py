"""Quizzes and flashcards for notebooks, in the formats of jupyterquiz and jupytercards."""

import html
import re
from collections.abc import Callable

from tlcourse.interview import entries

_ELSEWHERE = re.compile(r"https://cdn[^'\"]+")
_QUIZ_COLOURS = {
    "--jq-multiple-choice-bg": "#0072B2",
    "--jq-incorrect-color": "#A8400A",
    "--jq-correct-color": "#00735C",
}
# The reason is read in the colour of the page, which may be dark; what it starts with says whether
# the choice was right, to those who do not see the colours, too.
_QUIZ_STYLE = """
.Quiz { margin-bottom: 12px; }
.Feedback { color: var(--jp-content-font-color1, inherit) !important; font-size: 14px !important;
            text-align: left; }
"""
# An answer of a hundred words has to fit on its card.
_CARD_STYLE = """
.flashcardtext { font-size: 15pt !important; line-height: 1.35; }
.back .flashcardtext { font-size: 11.5pt !important; }
.next { color: var(--jp-content-font-color1, inherit); opacity: 0.75; white-space: nowrap; }
"""


def quiz(*names: str) -> list[dict]:
    """Questions for `jupyterquiz.display_quiz`, with a reason for each choice.

    Args:
        names: chapters, such as "02", or ids of entries; everything if left out.

    Raises:
        ValueError: a name is neither, or none of them has a quiz.

    Example:
        >>> quiz("02")[0]["type"]
        'multiple_choice'
    """
    found = [
        {
            "question": _html(entry.quiz.question),
            "type": "multiple_choice",
            # Three or four short choices stand beside each other, long ones below.
            "answer_cols": 2 if all(len(c.text) < 60 for c in entry.quiz.choices) else 1,
            "answers": [
                {
                    "answer": _html(choice.text),
                    "correct": choice.correct,
                    "feedback": _html(("Right. " if choice.correct else "No. ") + choice.why),
                }
                for choice in entry.quiz.choices
            ],
        }
        for entry in _chosen(names)
        if entry.quiz
    ]
    if not found:
        raise ValueError(f"There is no quiz on {', '.join(names)}.")
    return found


def flashcards(*names: str) -> list[dict]:
    """Cards for `jupytercards.display_flashcards`: each question with its 30-second answer, and
    each follow-up with its answer.

    Args:
        names: chapters, such as "02", or ids of entries; everything if left out.

    Raises:
        ValueError: a name is neither.
    """
    cards = []
    for entry in _chosen(names):
        topic = {"topic": entry.field}
        cards.append({"front": _html(entry.question), "back": _html(entry.short), **topic})
        cards += [
            {"front": _html(f.question), "back": _html(f.answer), **topic} for f in entry.follow_ups
        ]
    return cards


def show_quiz(*names: str) -> None:
    """Show `quiz` in a notebook. It works in JupyterLab without a network.

    Raises:
        ValueError: as in `quiz`.
    """
    import jupyterquiz

    found = quiz(*names)
    _show(lambda: jupyterquiz.display_quiz(found, colors=_QUIZ_COLOURS), _QUIZ_STYLE)


def show_flashcards(*names: str) -> None:
    """Show `flashcards` in a notebook: a click turns a card. It works without a network.

    Raises:
        ValueError: as in `flashcards`.
    """
    import jupytercards

    found = flashcards(*names)
    _show(
        lambda: jupytercards.display_flashcards(
            found, front_colors=["#0072B2"], back_colors=["#3F4756"], text_colors=["#FFFFFF"]
        ),
        _CARD_STYLE,
    )


def _show(display: Callable[[], None], style: str) -> None:
    """Let a library display, and keep it from the network.

    Both libraries look for formulas in what they show, and where the page's own MathJax is not the
    one they expect, as in JupyterLab, they fetch another. The bank has formulas in cards for Anki
    only, so they get to see no MathJax at all, and no address of one.
    """
    from IPython.display import HTML, publish_display_data
    from IPython.display import display as show
    from IPython.utils.capture import capture_output

    with capture_output(stdout=False, stderr=False) as captured:
        display()
    for output in captured.outputs:
        data = dict(output.data)
        if script := data.get("application/javascript"):
            script = _ELSEWHERE.sub("", script)
            data["application/javascript"] = f"(function () {{\nvar MathJax;\n{script}\n}})();"
        publish_display_data(data)
    show(HTML(f"<style>{style}</style>"))


def _html(text: str) -> str:
    """A text that shows as it stands where HTML and, between dollars, LaTeX are expected."""
    return html.escape(text, quote=False).replace("$", "&#36;")


def _chosen(names: tuple[str, ...]) -> list[entries.Entry]:
    bank = entries.load()
    chapters = {entry.chapter for entry in bank.values()}
    for name in names:
        if name not in bank and name not in chapters:
            raise ValueError(
                f"There is no question {name!r}; name a chapter ({', '.join(sorted(chapters))}) or "
                "the id of a question."
            )
    return [e for e in bank.values() if not names or e.chapter in names or e.id in names]
