"""What a pipeline answers: predictions with names, and scores with intervals."""

import html
from dataclasses import dataclass

import numpy as np

from tlcourse.evaluation import Estimate, mean_interval, share_interval


@dataclass(frozen=True, eq=False)
class Predictions:
    """Class probabilities of some pictures.

    Attributes:
        probabilities: float32 `(N, classes)`.
        class_names: of the columns.
        sources: what each picture is called: its file, or its position.
    """

    probabilities: np.ndarray
    class_names: tuple[str, ...]
    sources: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.probabilities)

    @property
    def labels(self) -> np.ndarray:
        """The likeliest class numbers, int64 `(N,)`."""
        return self.probabilities.argmax(axis=1)

    @property
    def names(self) -> list[str]:
        """The likeliest classes."""
        return [self.class_names[label] for label in self.labels]

    @property
    def confidence(self) -> np.ndarray:
        """Their probabilities `(N,)`. High is not the same as right."""
        return self.probabilities.max(axis=1)

    def _rows(self, most: int = 20) -> list[tuple[str, str, str]]:
        found = zip(self.sources, self.names, self.confidence, strict=True)
        rows = [(source, name, f"{share:.3f}") for source, name, share in found]
        hidden = len(rows) - most
        return rows[:most] + ([(f"… {hidden:,} more", "", "")] if hidden > 0 else [])

    def __str__(self) -> str:
        rows = self._rows()
        width = max((len(source) for source, _, _ in rows), default=0)
        return "\n".join(f"{source:<{width}}  {share:>5}  {name}" for source, name, share in rows)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        body = "".join(
            f"<tr><td style='text-align:left'>{html.escape(source)}</td>"
            f"<td style='text-align:left'>{html.escape(name)}</td><td>{share}</td></tr>"
            for source, name, share in self._rows()
        )
        return f"<table><tr><th>picture</th><th>class</th><th>probability</th></tr>{body}</table>"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How good a model is on labelled pictures.

    Attributes:
        accuracy: share of correct answers, with its Wilson interval.
        log_loss: mean of minus the logarithm of the true class's probability, in nats.
        recall: share found of each class; classes without a picture are left out.
        confusion: counts `(classes, classes)`, rows the truth, columns the answers.
        class_names: of both.
        seen: how many of the pictures were trained on; their answers say nothing about new ones.
    """

    accuracy: Estimate
    log_loss: Estimate
    recall: dict[str, Estimate]
    confusion: np.ndarray
    class_names: tuple[str, ...]
    seen: int = 0

    @property
    def n(self) -> int:
        return self.accuracy.n

    def as_dict(self) -> dict:
        """What a model card keeps."""
        kept = {"accuracy": self.accuracy, "log loss": self.log_loss}
        kept |= {f"recall of {name}": value for name, value in self.recall.items()}
        return {
            name: {"mean": e.mean, "low": e.low, "high": e.high, "n": e.n}
            for name, e in kept.items()
        }

    def _lines(self) -> list[tuple[str, str]]:
        lines = [
            ("pictures", f"{self.n:,}"),
            ("accuracy", str(self.accuracy)),
            ("log loss", str(self.log_loss)),
            *((f"recall of {name}", str(value)) for name, value in self.recall.items()),
        ]
        if self.seen:
            lines.append(
                (
                    "warning",
                    f"{self.seen:,} of these pictures were trained on, which flatters the scores",
                )
            )
        return lines

    def __str__(self) -> str:
        lines = self._lines()
        width = max(len(name) for name, _ in lines)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        body = "".join(
            f"<tr><td style='text-align:left'>{html.escape(name)}</td>"
            f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
            for name, value in self._lines()
        )
        return f"<table>{body}</table>"


def score(
    probabilities: np.ndarray, labels: np.ndarray, class_names: tuple[str, ...], seen: int = 0
) -> Evaluation:
    """Score predictions against the truth.

    Args:
        probabilities: `(N, classes)`.
        labels: class numbers `(N,)`.
        class_names: in the order of the columns.
        seen: how many of the pictures were trained on.
    """
    answers = probabilities.argmax(axis=1)
    confusion = np.zeros((len(class_names),) * 2, "int64")
    np.add.at(confusion, (labels, answers), 1)
    truth = confusion.sum(axis=1)
    likely = probabilities[np.arange(len(labels)), labels].astype("float64")
    return Evaluation(
        share_interval(int(np.trace(confusion)), len(labels)),
        mean_interval(-np.log(np.maximum(likely, 1e-7))),
        {
            name: share_interval(int(confusion[i, i]), int(truth[i]))
            for i, name in enumerate(class_names)
            if truth[i]
        },
        confusion,
        tuple(class_names),
        seen,
    )
