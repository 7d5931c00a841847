"""Partial fine-tuning: the frozen blocks computed once, against plain `fit`."""

from dataclasses import dataclass

import keras
import numpy as np

from benchmarks.measuring import AT_LEAST, FASTER, Goal, Row, Unequal, alternate
from tlcourse import config, data, features, freezing, models, training
from tlcourse.freezing import structure

SIZE, RATE = 96, 1e-4
# Adam divides by the size of a gradient, so it enlarges a rounding error. Two ways of the same
# training may end this far apart, as a share of how far the weights went.
_TOLERANCE = 0.02


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    images: int
    epochs: int
    rounds: int
    shares: tuple[tuple[float, str], ...]


FULL = Sizes(
    images=320,
    epochs=5,
    rounds=3,
    # `freeze` counts parameters; most of them lie in the last blocks, most of the work does not.
    shares=((0.5, "parameters"), (0.7, "parameters"), (0.9, "parameters"), (0.7, "layers")),
)
SMOKE = Sizes(images=16, epochs=1, rounds=2, shares=((0.9, "parameters"),))


def rows(sizes: Sizes) -> list[Row]:
    """One row for each share of the backbone that is frozen, counted in both ways."""
    config.set_seed(0)
    x, y = data.load("animals").subset(sizes.images, seed=0)
    return [_row(x, y, share, by, sizes) for share, by in sizes.shares]


def _row(x, y, share: float, by: str, sizes: Sizes) -> Row:
    sides = {name: Side(x, y, share, by, name == "cached") for name in ("plain", "cached")}
    seconds = alternate(
        {name: lambda side=side: side.tune(sizes.epochs) for name, side in sides.items()},
        sizes.rounds,
        lambda name: sides[name].forget(),
    )
    until, whole = sides["plain"].until, len(structure.take_apart(sides["plain"].model).blocks)
    frozen = sides["plain"].frozen
    return Row(
        f"fine-tuning on {len(x):,} images, {sizes.epochs} epochs, {share:.0%} of {by} frozen",
        "fine_tune, which computes the frozen blocks once",
        seconds["cached"],
        other="fit with the same blocks frozen",
        other_runs=seconds["plain"],
        ratio=FASTER,
        goal=Goal(AT_LEAST, 2.5) if share == 0.7 else None,
        equal=_equal(sides["plain"], sides["cached"]),
        note=f"Frozen up to {until}, {frozen} of {whole} blocks: as many whole blocks as hold at "
        "most that share. The pass through the frozen blocks is counted. Both sides run without "
        "XLA, and are compiled before.",
    )


class Side:
    """A classifier of its own, from the same start, with a fitted head."""

    def __init__(self, x, y, share: float, by: str, cached: bool):
        self.x, self.y, self.cached = x, y, cached
        keras.utils.set_random_seed(0)
        self.model = models.build_classifier(int(y.max()) + 1, image_shape=x.shape[1:], size=SIZE)
        head = training.fit_head(features.extract(x, size=SIZE), y)
        training.set_head(self.model, head)
        freezing.freeze(self.model, fraction=share, by=by)
        blocks = structure.take_apart(self.model).blocks
        trained = {id(weight) for weight in self.model.trainable_weights}
        open_ = [any(id(weight) in trained for weight in block.weights) for block in blocks]
        self.frozen = open_.index(True)
        self.until = blocks[self.frozen - 1].name
        self.start = self.model.get_weights()
        self.tune(1, slice(0, 32))

    def forget(self) -> None:
        """Back to before the first step."""
        self.model.set_weights(self.start)
        keras.utils.set_random_seed(1)

    def tune(self, epochs: int, part: slice = slice(None)) -> None:
        training.fine_tune(
            self.model, self.x[part], self.y[part], until=self.until, epochs=epochs,
            learning_rate=RATE, cache=self.cached,
        )  # fmt: skip


def _equal(plain: Side, cached: Side) -> str:
    """In words, that both sides end with the same weights.

    Raises:
        Unequal: they lie further apart than rounding explains.
    """
    there, here = plain.model.get_weights(), cached.model.get_weights()
    apart = _length(a - b for a, b in zip(there, here, strict=True))
    went = _length(a - b for a, b in zip(there, plain.start, strict=True))
    if not went > 0:
        raise Unequal("Training moved no weight, so that there is nothing to compare.")
    largest = max(np.abs(a - b).max() for a, b in zip(there, here, strict=True))
    words = (
        f"weights differ by at most {largest:.1e}; in all by {apart / went:.2%} of how far "
        "training moved them"
    )
    if not apart <= _TOLERANCE * went:
        raise Unequal(f"Cached and plain fine-tuning end apart: {words}.")
    return words


def _length(differences) -> float:
    return float(np.sqrt(sum(np.square(d, dtype="float64").sum() for d in differences)))
