"""One definition of best, and a training that survives `kill -9`."""

import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

from tlcourse.pipeline.batches import Batches
from tlcourse.pipeline.keeping import Keeper
from tlcourse.pipeline.sources import Rows
from tlcourse.training import compile_classifier

KILLED = """
import os, signal
from tlcourse.pipeline import keeping

out, work, kill = sys.argv[1], sys.argv[2], int(sys.argv[3])

class Killer(keeping.Keeper):
    steps = 0
    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        Killer.steps += 1
        if Killer.steps == kill:
            os.kill(os.getpid(), signal.SIGKILL)

from tlcourse.pipeline import transfer
transfer.Keeper = Killer
x, y = pictures(60)
pipeline = TransferLearningPipeline(
    fraction=0.3, size=16, weights=None, batch_size=16, epochs=4, patience=4, learning_rate=1e-4
)
pipeline.fit(x, y, checkpoint=work)
np.savez(out, **{str(i): w for i, w in enumerate(pipeline.model.get_weights())})
print(Killer.steps, pipeline.card.training["best epoch"], pipeline.history.epochs)
"""


def test_a_killed_training_ends_with_the_same_model(tmp_path, toys):
    (tmp_path / "run.py").write_text(toys + KILLED)

    def run(name, kill):
        command = [sys.executable, "run.py", f"{name}.npz", name, str(kill)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    whole = run("whole", -1)
    assert whole.returncode == 0, whole.stderr
    # Three steps an epoch: the eighth lies in the middle of the third epoch.
    killed = run("killed", 8)
    assert killed.returncode == -signal.SIGKILL and not (tmp_path / "killed.npz").exists()
    again = run("killed", -1)
    assert again.returncode == 0, again.stderr
    assert (whole.stdout.split()[0], again.stdout.split()[0]) == ("12", "6")
    assert whole.stdout.split()[1:] == again.stdout.split()[1:]
    assert int(whole.stdout.split()[1]) > 0  # or the weights compared were those of the head alone
    with np.load(tmp_path / "whole.npz") as a, np.load(tmp_path / "killed.npz") as b:
        assert all((a[name] == b[name]).all() for name in a.files)


def watched(losses, patience=2, path=None, start=1.0):
    """A keeper that was shown these validation losses; the weight is the epoch's number."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, use_bias=False)])
    compile_classifier(model, keras.optimizers.Adam(1e-3))
    rows = Rows(np.zeros(4, "int64"), (1,), lambda chosen: np.zeros((len(chosen), 1)))
    keeper = Keeper(Batches(rows, 2, 0), path, start, patience)
    first = keeper.begin(model)
    for epoch, loss in enumerate(losses, start=first):
        keeper.on_epoch_begin(epoch)
        model.layers[-1].kernel.assign([[epoch + 1.0] * 2])
        keeper.on_epoch_end(epoch, {"loss": 0.5, "val_loss": loss})
        if keeper.done:
            break
    keeper.put_best()
    return keeper, float(model.layers[-1].kernel[0, 0])


def test_the_best_epoch_is_that_of_the_lowest_validation_loss():
    keeper, weight = watched([0.9, 0.7, 0.8])
    assert (keeper.best_epoch, weight, keeper.done) == (2, 2.0, False)


def test_it_stops_when_it_gets_no_better_and_keeps_the_best():
    keeper, weight = watched([0.9, 0.95, 0.91, 0.1])
    assert (keeper.epoch, keeper.best_epoch, weight) == (3, 1, 1.0)


def test_nothing_better_than_the_head_is_the_head():
    keeper, weight = watched([1.1, 1.2])
    assert keeper.best_epoch == 0 and weight not in (1.0, 2.0)


def test_what_is_best_survives_as_well(tmp_path):
    path = tmp_path / "state.npz"
    watched([0.9, 0.5], path=path)
    keeper, weight = watched([0.6, 0.6], path=path)
    assert (keeper.epoch, keeper.best_epoch, weight, keeper.done) == (4, 2, 2.0, True)
    assert keeper.curves["val_loss"] == [0.9, 0.5, 0.6, 0.6]
    assert [p.name for p in tmp_path.iterdir()] == ["state.npz"]


def test_a_loss_that_is_no_number_stops_and_loses_nothing():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    compile_classifier(model, keras.optimizers.Adam(1e-3))
    values = np.array([[1.0], [1.0], [np.nan], [1.0]])
    rows = Rows(np.array([0, 1, 0, 1]), (1,), lambda chosen: values[np.asarray(chosen)])
    keeper = Keeper(Batches(rows, 1, 0), None, 1.0, 2)
    keeper.begin(model)
    before = model.get_weights()
    with pytest.warns(UserWarning, match="loss became nan in epoch 1.*epoch 0 are kept"):
        model.fit(
            Batches(rows, 1), epochs=5, validation_data=Batches(rows, 1), callbacks=[keeper],
            shuffle=False, verbose=0,
        )  # fmt: skip
    keeper.put_best()
    assert keeper.epoch == 1 and keeper.done
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
