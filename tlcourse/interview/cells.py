"""Quizzes and flashcards for notebooks, in the formats of jupyterquiz and jupytercards."""

from tlcourse.interview import entries


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
            "question": entry.quiz.question,
            "type": "multiple_choice",
            "answers": [
                {"answer": choice.text, "correct": choice.correct, "feedback": choice.why}
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
        cards.append({"front": entry.question, "back": entry.short, **topic})
        cards += [{"front": f.question, "back": f.answer, **topic} for f in entry.follow_ups]
    return cards


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
