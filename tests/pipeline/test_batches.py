import keras
import numpy as np

from tlcourse.pipeline.batches import Batches
from tlcourse.pipeline.sources import Rows


def numbered(count):
    values = np.arange(count, dtype="float32")[:, None]
    return Rows(np.zeros(count, "int64"), (1,), lambda chosen: values[np.asarray(chosen)])


class Recorded(Batches):
    """Remembers the numbers that it gives, epoch by epoch.

    A layer that remembers what comes to it would see no numbers on JAX and PyTorch, where a step is
    first made from stand-ins.
    """

    def __init__(self, *settings, **named):
        super().__init__(*settings, **named)
        self.seen, self.epochs = [], []

    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        self.seen += x.ravel().tolist()
        return x, y


def orders(first, last):
    """What `fit` shows a model in the epochs from `first` to `last`."""
    batches = Recorded(numbered(10), 4, seed=3)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")

    def begin(epoch, logs):
        batches.begin(epoch)
        batches.seen = []  # the look at the first batch that Keras takes beforehand

    callback = keras.callbacks.LambdaCallback(
        on_epoch_begin=begin, on_epoch_end=lambda epoch, logs: batches.epochs.append(batches.seen)
    )
    model.fit(
        batches, epochs=last, initial_epoch=first, callbacks=[callback], shuffle=False, verbose=0
    )
    return batches.epochs


def test_each_epoch_shows_everything_once_in_an_order_of_its_own():
    found = orders(0, 3)
    assert [sorted(order) for order in found] == [list(range(10))] * 3
    assert found[0] != found[1] != found[2]


def test_a_training_that_goes_on_sees_what_it_would_have_seen():
    assert orders(2, 3)[0] == orders(0, 3)[2]


def test_without_a_seed_the_order_is_that_of_the_rows():
    batches = Batches(numbered(5), 2)
    batches.begin(4)
    assert np.concatenate([batches[i][0] for i in range(len(batches))]).ravel().tolist() == [
        0, 1, 2, 3, 4
    ]  # fmt: skip
