"""What the reader has answered so far, in one local SQLite file. Nothing is sent anywhere."""

import contextlib
import datetime
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tlcourse import config

RATINGS = {1: "again", 2: "hard", 3: "good", 4: "easy"}
EVENTS = ("not attempted", "raises", "wrong", "right", "hint", "solution")

# One script a version. A file of an older one runs those it lacks; a script is never changed.
MIGRATIONS = (
    """
    CREATE TABLE reviews (
        id INTEGER PRIMARY KEY, time TEXT NOT NULL, card TEXT NOT NULL,
        rating INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 4), source TEXT NOT NULL
    );
    CREATE TABLE attempts (
        id INTEGER PRIMARY KEY, time TEXT NOT NULL, exercise TEXT NOT NULL,
        event TEXT NOT NULL, detail TEXT NOT NULL
    );
    """,
    """
    CREATE TABLE interviews (
        id INTEGER PRIMARY KEY, time TEXT NOT NULL, plan TEXT NOT NULL,
        finished INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE answers (
        id INTEGER PRIMARY KEY, time TEXT NOT NULL,
        interview INTEGER NOT NULL REFERENCES interviews (id), card TEXT NOT NULL,
        said TEXT NOT NULL, seconds REAL NOT NULL, marks TEXT
    );
    """,
)
VERSION = len(MIGRATIONS)
_TABLES = ("reviews", "attempts", "interviews", "answers")


@dataclass(frozen=True)
class Review:
    """One time that a card of the interview bank was answered.

    Attributes:
        time: when, in UTC.
        card: an id of the bank.
        rating: 1 again, 2 hard, 3 good, 4 easy.
        source: "placement", "practice", "mock" or "widget".
    """

    time: datetime.datetime
    card: str
    rating: int
    source: str


@dataclass(frozen=True)
class Attempt:
    """One thing that happened at an exercise.

    Attributes:
        time: when, in UTC.
        exercise: such as "03.2".
        event: an outcome of a check, "hint" or "solution".
        detail: which diagnosis or which hint.
    """

    time: datetime.datetime
    exercise: str
    event: str
    detail: str


@dataclass(frozen=True)
class Answer:
    """One question of a mock interview, as it was answered.

    Attributes:
        id: its number, for `mark`.
        time: when, in UTC.
        card: an id of the bank.
        said: what was typed; empty if it was answered aloud.
        seconds: how long that took.
        marks: whether each point of the rubric was made, or None if it was not marked.
    """

    id: int
    time: datetime.datetime
    card: str
    said: str
    seconds: float
    marks: tuple[bool, ...] | None


@dataclass(frozen=True)
class Interview:
    """A mock interview.

    Attributes:
        id: its number.
        time: when it began, in UTC.
        plan: minutes, level and the questions, as it was started with.
        finished: whether it came to its end.
        answers: in the order in which they were given.
    """

    id: int
    time: datetime.datetime
    plan: dict
    finished: bool
    answers: tuple[Answer, ...]


class Progress:
    """The reader's file, opened.

    Each entry is one transaction that is on the disk when the call returns, so a kill at any moment
    costs at most the answer being typed. The journal is SQLite's default and not WAL, which must
    not be used on the network drives that many classrooms have for home folders.

    Args:
        path: the file; None for `progress.sqlite3` in `config.home_dir()`.

    Attributes:
        path: the file.
        notice: one sentence if a damaged file was set aside, otherwise None.

    Raises:
        ValueError: a newer version of the course wrote the file.
        OSError: the file cannot be read or written.

    Example:
        >>> import tempfile
        >>> with Progress(Path(tempfile.mkdtemp()) / "progress.sqlite3") as progress:
        ...     progress.add_review("i02", 3, "practice")
        ...     [review.card for review in progress.reviews()]
        ['i02']
    """

    def __init__(self, path: str | Path | None = None):
        self.path = Path(path) if path else config.home_dir() / "progress.sqlite3"
        self.notice: str | None = None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connection = _connect(self.path)
        except sqlite3.OperationalError as error:
            raise OSError(
                f"{self.path} cannot be opened ({error}); close other programs that use it, or "
                "let TLCOURSE_HOME name a folder that you may write to."
            ) from None
        except sqlite3.DatabaseError:
            aside = _set_aside(self.path)
            self.notice = (
                f"The file of your progress was damaged; it is kept as {aside}, and a new one was "
                "begun."
            )
            self._connection = _connect(self.path)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was added is on the disk already."""
        self._connection.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def add_review(
        self, card: str, rating: int, source: str, time: datetime.datetime | None = None
    ) -> None:
        """Keep how well a card was known.

        Args:
            card: an id of the interview bank.
            rating: 1 again, 2 hard, 3 good, 4 easy.
            source: what asked it, such as "practice".
            time: with a time zone; None for now.

        Raises:
            ValueError: the rating is none of the four.
        """
        if rating not in RATINGS:
            raise ValueError(f"The rating is {rating!r}; write a whole number from 1 to 4.")
        with self._writing() as db:
            db.execute(
                "INSERT INTO reviews (time, card, rating, source) VALUES (?, ?, ?, ?)",
                (_stamp(time), card, rating, source),
            )

    def reviews(self) -> list[Review]:
        """All reviews, oldest first."""
        rows = self._connection.execute(
            "SELECT time, card, rating, source FROM reviews ORDER BY time, id"
        )
        return [Review(_time(time), *rest) for time, *rest in rows]

    def add_attempt(self, exercise: str, event: str, detail: str = "") -> None:
        """Keep what happened at an exercise.

        Args:
            exercise: such as "03.2".
            event: one of `EVENTS`.
            detail: which diagnosis or which hint.

        Raises:
            ValueError: the event is none of them.
        """
        if event not in EVENTS:
            raise ValueError(f"The event is {event!r}; write one of {', '.join(EVENTS)}.")
        with self._writing() as db:
            db.execute(
                "INSERT INTO attempts (time, exercise, event, detail) VALUES (?, ?, ?, ?)",
                (_stamp(None), exercise, event, detail),
            )

    def attempts(self) -> list[Attempt]:
        """All that happened at exercises, oldest first."""
        rows = self._connection.execute(
            "SELECT time, exercise, event, detail FROM attempts ORDER BY time, id"
        )
        return [Attempt(_time(time), *rest) for time, *rest in rows]

    def start_interview(self, plan: Mapping) -> int:
        """Keep that a mock interview began, with its plan as JSON knows it; return its number."""
        with self._writing() as db:
            return db.execute(
                "INSERT INTO interviews (time, plan) VALUES (?, ?)",
                (_stamp(None), json.dumps(dict(plan))),
            ).lastrowid

    def add_answer(self, interview: int, card: str, said: str, seconds: float) -> int:
        """Keep an answer of a mock interview as soon as it is given; return its number."""
        with self._writing() as db:
            return db.execute(
                "INSERT INTO answers (time, interview, card, said, seconds) VALUES (?, ?, ?, ?, ?)",
                (_stamp(None), interview, card, said, seconds),
            ).lastrowid

    def mark(self, answer: int, marks: Sequence[bool]) -> None:
        """Keep which points of the rubric an answer made."""
        with self._writing() as db:
            db.execute(
                "UPDATE answers SET marks = ? WHERE id = ?",
                (json.dumps([bool(made) for made in marks]), answer),
            )

    def finish_interview(self, interview: int) -> None:
        """Keep that a mock interview came to its end."""
        with self._writing() as db:
            db.execute("UPDATE interviews SET finished = 1 WHERE id = ?", (interview,))

    def interviews(self) -> list[Interview]:
        """All mock interviews with their answers, oldest first."""
        answers: dict[int, list[Answer]] = {}
        for interview, number, time, card, said, seconds, marks in self._connection.execute(
            "SELECT interview, id, time, card, said, seconds, marks FROM answers ORDER BY id"
        ):
            made = None if marks is None else tuple(json.loads(marks))
            answers.setdefault(interview, []).append(
                Answer(number, _time(time), card, said, seconds, made)
            )
        rows = self._connection.execute("SELECT id, time, plan, finished FROM interviews")
        return [
            Interview(
                number, _time(time), json.loads(plan), bool(done), tuple(answers.get(number, ()))
            )
            for number, time, plan, done in rows
        ]

    def reset(self) -> None:
        """Forget everything."""
        with self._writing() as db:
            for table in reversed(_TABLES):
                db.execute(f"DELETE FROM {table}")

    def export(self) -> dict:
        """Everything, as JSON knows it."""
        return {
            "version": VERSION,
            "reviews": [_plain(review) for review in self.reviews()],
            "attempts": [_plain(attempt) for attempt in self.attempts()],
            "interviews": [_plain(interview) for interview in self.interviews()],
        }


def _connect(path: Path, migrations: Iterable[str] = MIGRATIONS) -> sqlite3.Connection:
    """Open a file, check that it is whole, and bring it to the newest version."""
    migrations = tuple(migrations)
    connection = sqlite3.connect(path, timeout=10, isolation_level=None)
    try:
        # Before COMMIT returns, the journal and the file have reached the disk.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        found = connection.execute("PRAGMA quick_check").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        connection.execute("BEGIN IMMEDIATE")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(migrations):
            raise ValueError(
                f"{path} was written by a newer version of the course; update with `pip install`, "
                "or let TLCOURSE_HOME name another folder."
            )
        for script in migrations[version:]:
            for statement in script.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.close()  # Rolls back what was begun.
        raise
    return connection


def _set_aside(path: Path) -> Path:
    """Rename a damaged file and its journal, so that nothing of them is lost or used again."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    journal = path.with_name(f"{path.name}-journal")
    if journal.exists():
        journal.rename(aside.with_name(f"{aside.name}-journal"))
    return path.rename(aside)


def _stamp(time: datetime.datetime | None) -> str:
    time = time or datetime.datetime.now(datetime.UTC)
    return time.astimezone(datetime.UTC).isoformat(timespec="microseconds")


def _time(stamp: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(stamp)


def _plain(entry) -> dict:
    return json.loads(json.dumps(asdict(entry), default=lambda time: _stamp(time)))
