"""Which backbone to start with: a ranking by published facts, with its reasons."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tlcourse.models.facts import MEGABYTE
from tlcourse.models.table import BACKBONES, Backbone

PRIORITIES = ("accuracy", "balanced", "speed", "size")
LIMITS = ("megabytes", "multiply_adds", "parameters", "top1")
# What "balanced" pays for twice the work: two points of published accuracy. At one point the
# winner has 88 million parameters, at four it is the one with the least work of all.
PRICE_OF_DOUBLING = 0.02

_RULES = {
    "accuracy": "The highest published accuracy comes first; work and size count only through the "
    "budget.",
    "balanced": f"Twice the multiply-adds have to buy {PRICE_OF_DOUBLING:.0%} of published "
    "accuracy: the score is accuracy minus that price.",
    "speed": "The fewest multiply-adds for one image at the native size come first.",
    "size": "The fewest parameters without the classifier come first.",
}
_UNKNOWN = {
    "accuracy": "published accuracies come from different recipes, differences of a point say "
    "little, and on images unlike ImageNet's the order can change.",
    "balanced": "the price is our choice, and multiply-adds are not seconds.",
    "speed": "multiply-adds are not seconds, since depthwise convolutions and many small layers "
    "keep a processor waiting; `speed.latency` measures them here.",
    "size": "weights in float32 are not the memory of a forward pass; `speed.memory` measures it "
    "here.",
}


@dataclass(frozen=True, repr=False)
class Choice:
    """A backbone to start with, and what stands behind it.

    Attributes:
        name: the first of the ranking, a key of `BACKBONES`.
        ranking: every backbone that fits the budget, the best first.
        reasons: why, one sentence each.
        uncertainty: what the table cannot know.
    """

    name: str
    ranking: tuple[Backbone, ...]
    reasons: tuple[str, ...]
    uncertainty: str

    def __str__(self) -> str:
        width = max(len(backbone.name) for backbone in self.ranking[:5])
        rows = [
            f"  {backbone.name:<{width}}  top-1 {backbone.top1:5.1%}, "
            f"{backbone.multiply_adds / 1e9:6.2f} G multiply-adds at {backbone.native_size}, "
            f"{_megabytes(backbone):6.1f} MB without top"
            for backbone in self.ranking[:5]
        ]
        return "\n".join(
            [
                f"Start with: {self.name}.",
                *(f"- {reason}" for reason in self.reasons),
                f"The first {len(rows)} of {len(self.ranking)} that fit:",
                *rows,
                f"Only a starting point: {self.uncertainty}",
            ]
        )

    __repr__ = __str__


def choose_backbone(
    priority: str = "balanced", budget: Mapping[str, float] | None = None, offline: bool = False
) -> Choice:
    """Rank the backbones by the facts of `BACKBONES`, and say why the first one is first.

    Nothing is built or run. The facts are published accuracy on ImageNet, and work and size
    counted on the networks themselves.

    Args:
        priority: "accuracy", "balanced", "speed" or "size".
        budget: limits that a backbone has to keep: at most so many `megabytes` (float32, without
            the classifier), `multiply_adds` (one image at the native size) or `parameters`
            (without the classifier), and at least so much `top1` (from 0 to 1).
        offline: only those whose weights come with the course.

    Returns:
        A `Choice`, which prints its ranking and its reasons.

    Raises:
        ValueError: an unknown priority or limit, a limit that is no number above 0, or a budget
            that nothing fits.

    Example:
        >>> choose_backbone("accuracy", {"megabytes": 30}).name
        'efficientnet-b2'
        >>> choose_backbone("speed", offline=True).name
        'efficientnet-lite0'

    Source: that ImageNet's order carries over is Kornblith et al., 2019
    (https://arxiv.org/abs/1805.08974); that few scores beat it, Chaves et al., 2024
    (https://arxiv.org/abs/2405.20420).
    """
    if priority not in PRIORITIES:
        raise ValueError(f"The priority is {priority!r}; write one of {', '.join(PRIORITIES)}.")
    limits = _checked_budget(budget)
    candidates = [b for b in BACKBONES.values() if b.embedded or not offline]
    fitting = [backbone for backbone in candidates if _fits(backbone, limits)]
    where = " offline" if offline else ""
    if not fitting:
        raise ValueError(
            f"No backbone{where} keeps to {_words(limits)}; loosen a limit, for the smallest has "
            f"{min(map(_megabytes, candidates)):.1f} MB, the quickest "
            f"{min(b.multiply_adds for b in candidates) / 1e9:.2f} G multiply-adds, and the best a "
            f"top-1 of {max(b.top1 for b in candidates):.3f}."
        )
    ranking = tuple(sorted(fitting, key=lambda backbone: _rank(backbone, priority)))
    best = ranking[0]
    reasons = [_RULES[priority]]
    if limits:
        reasons.append(
            f"{len(fitting)} of {len(candidates)} backbones{where} keep to {_words(limits)}."
        )
    elif offline:
        reasons.append(f"{len(candidates)} backbones have their weights here, offline.")
    reasons.append(
        "Its weights come with the course."
        if best.embedded
        else "Its weights are downloaded once; the first in this ranking that needs no download "
        f"is {_first_embedded(ranking)}."
    )
    return Choice(best.name, ranking, tuple(reasons), _UNKNOWN[priority])


def _checked_budget(budget) -> dict[str, float]:
    if budget is None:
        return {}
    if not isinstance(budget, Mapping):
        raise ValueError(
            f"The budget is {budget!r}; give limits by name, such as {{'megabytes': 20}}."
        )
    for name, limit in budget.items():
        if name not in LIMITS:
            raise ValueError(f"The budget limits {name!r}; write one of {', '.join(LIMITS)}.")
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not limit > 0:
            raise ValueError(f"The limit of {name} is {limit!r}; give a number above 0.")
        if name == "top1" and limit > 1:
            raise ValueError(f"The limit of top1 is {limit!r}; give a share from 0 to 1.")
    return dict(budget)


def _fits(backbone: Backbone, limits: Mapping[str, float]) -> bool:
    at_most = {
        "megabytes": _megabytes(backbone),
        "multiply_adds": backbone.multiply_adds,
        "parameters": backbone.headless_parameters,
    }
    return backbone.top1 >= limits.get("top1", 0) and all(
        value <= limits.get(name, math.inf) for name, value in at_most.items()
    )


def _rank(backbone: Backbone, priority: str) -> tuple:
    """Lower is better; equal ones are ordered by less work, then by name."""
    price = PRICE_OF_DOUBLING * math.log2(backbone.multiply_adds)
    first = {
        "accuracy": -backbone.top1,
        "balanced": price - backbone.top1,
        "speed": backbone.multiply_adds,
        "size": backbone.headless_parameters,
    }[priority]
    return first, backbone.multiply_adds, backbone.name


def _megabytes(backbone: Backbone) -> float:
    return backbone.headless_parameters * 4 / MEGABYTE


def _words(limits: Mapping[str, float]) -> str:
    signs = {name: ">=" if name == "top1" else "<=" for name in limits}
    return ", ".join(f"{name} {signs[name]} {limit:g}" for name, limit in limits.items())


def _first_embedded(ranking) -> str:
    return next((backbone.name for backbone in ranking if backbone.embedded), "not among them")
