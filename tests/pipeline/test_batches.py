import keras
import numpy as np

from tlcourse.pipeline.batches import Batches
from tlcourse.pipeline.sources import Rows


def numbered(count):
    values = np.arange(count, dtype="float32")[:, None]
    return Rows(np.zeros(count, "int64"), (1,), lambda chosen: values[np.asarray(chosen)])


class Recorder(keras.layers.Layer):
    """Passes numbers on, and remembers them in the order they came."""

    def __init__(self):
        super().__init__()
        self.seen = []
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, x):
        self.seen.append(keras.ops.convert_to_numpy(x).ravel().tolist())
        return x * self.scale


def orders(first, last):
    """What `fit` shows a model in the epochs from `first` to `last`."""
    batches = Batches(numbered(10), 4, seed=3)
    recorder = Recorder()
    model = keras.Sequential([keras.Input((1,)), recorder])
    model.compile("sgd", "mse", run_eagerly=True)
    recorder.seen.clear()
    begin = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: batches.begin(epoch))
    model.fit(
        batches, epochs=last, initial_epoch=first, callbacks=[begin], shuffle=False, verbose=0
    )
    seen = sum(recorder.seen, [])
    return [seen[i : i + 10] for i in range(0, len(seen), 10)]


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
