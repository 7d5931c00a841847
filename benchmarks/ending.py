"""How long `fit` goes on after training has ended: Keras as it is, against the course."""

from dataclasses import dataclass

import keras
import numpy as np
from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter

from benchmarks.measuring import FASTER, Row, Unequal, alternate
from tlcourse import config, data, devices, models, training


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    images: int
    epochs: int
    rounds: int


FULL = Sizes(images=4000, epochs=3, rounds=3)
SMOKE = Sizes(images=32, epochs=1, rounds=2)


def rows(sizes: Sizes) -> list[Row]:
    """One training of the small network, with and without the pipeline's tuner."""
    config.set_seed(0)
    devices.end_fits_at_once()
    at_once = ArrayDataAdapter.get_tf_dataset
    pipelines = {"keras": at_once.__wrapped__, "course": at_once}
    x, y = data.load("animals").subset(sizes.images, seed=0)
    model = models.small_cnn(10, x.shape[1:])
    # The states of its dropouts are not among the weights.
    start, ends = [keras.ops.convert_to_numpy(v) for v in model.variables], {}

    def train() -> None:
        training.train(model, x, y, epochs=sizes.epochs, learning_rate=1e-3)

    def begin(side: str) -> None:
        for variable, value in zip(model.variables, start, strict=True):
            variable.assign(value)
        config.set_seed(0)
        ArrayDataAdapter.get_tf_dataset = pipelines[side]

    def run(side: str) -> None:
        train()
        ends[side] = model.get_weights()

    begin("course")
    train()  # compiles
    try:
        seconds = alternate(
            {side: lambda side=side: run(side) for side in pipelines}, sizes.rounds, begin
        )
    finally:
        ArrayDataAdapter.get_tf_dataset = at_once
    return [
        Row(
            f"fit, {sizes.epochs} epochs over {len(x):,} small images",
            "Keras' pipeline without its tuner",
            seconds["course"],
            other="Keras' pipeline as it is",
            other_runs=seconds["keras"],
            ratio=FASTER,
            equal=_equal(ends["course"], ends["keras"]),
            note="tf.data tunes its pipelines from a thread that may sleep on when it should "
            "end, and fit waits for it after every epoch; devices.end_fits_at_once has the cause.",
        )
    ]


def _equal(ours: list[np.ndarray], theirs: list[np.ndarray]) -> str:
    """In words, that both sides end with the same weights, bit for bit.

    Raises:
        Unequal: they do not.
    """
    if not all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True)):
        raise Unequal("The order of batches changed with the pipeline.")
    return "the same weights, bit for bit"
