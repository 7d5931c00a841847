"""One definition of best, for stopping and for saving, and a state that survives a kill."""

import json
import time
import warnings
from pathlib import Path

import keras
import numpy as np

from tlcourse import config
from tlcourse.pipeline.batches import Batches
from tlcourse.pipeline.disk import full_disk_in_words

BEST = "lowest loss on the validation pictures; epoch 0 is the head alone, before fine-tuning"


class Keeper(keras.callbacks.Callback):
    """Keeps the best weights, stops when they stop getting better, and writes all of it to disk.

    Three callbacks of Keras do this apart, and disagree after a kill: `BackupAndRestore` writes
    weights and epoch as two files, and neither the random state of a dropout nor what
    `EarlyStopping` and `ModelCheckpoint` hold for the best. Here one file, moved into place when
    it is complete, holds everything that the next epoch depends on.

    Args:
        batches: what is trained on; its order is set at the beginning of each epoch.
        path: of the state, or None to keep it in memory only.
        start: the validation loss before the first epoch, which counts as epoch 0.
        patience: stop after so many epochs without a better one.
    """

    def __init__(self, batches: Batches, path: Path | None, start: float, patience: int):
        super().__init__()
        self.batches, self.path, self.patience = batches, path, patience
        self.curves: dict[str, list[float]] = {}
        self.epoch, self.done = 0, False
        self.best_epoch, self.best_loss = 0, float(start)
        self.best: list[np.ndarray] = []

    def begin(self, model: keras.Model) -> int:
        """Take up the state on disk, if there is one.

        Args:
            model: compiled, with a built optimizer.

        Returns:
            The number of epochs that were done before.
        """
        self.set_model(model)
        self.best = self._trainable()
        self._draws = _generators()
        if self.path is not None and self.path.exists():
            with np.load(self.path) as kept:
                said = json.loads(str(kept["said"]))
                for prefix, variables in self._variables().items():
                    for i, variable in enumerate(variables):
                        variable.assign(kept[f"{prefix}{i}"])
                self.best = [kept[f"best{i}"] for i in range(len(self.best))]
                self._draws = {name: kept[name] for name in kept.files if name in self._draws}
            self.__dict__.update(said)
        return self.epoch

    def on_train_begin(self, logs=None):
        _set_generators(self._draws)

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.begin(epoch)
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        if logs and not np.isfinite(logs["loss"]):
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        found = {**logs, "seconds": time.perf_counter() - self._started}
        for name, value in found.items():
            self.curves.setdefault(name, []).append(float(value))
        self.epoch = epoch + 1
        if not np.isfinite(logs["loss"]):
            self.done = True
            warnings.warn(
                f"The loss became {logs['loss']} in epoch {self.epoch}, so training stopped there "
                f"and the weights of epoch {self.best_epoch} are kept; try a smaller learning "
                "rate.",
                stacklevel=2,
            )
        elif logs["val_loss"] < self.best_loss:
            self.best_loss, self.best_epoch = float(logs["val_loss"]), self.epoch
            self.best = self._trainable()
        self.done |= self.epoch - self.best_epoch >= self.patience
        self.model.stop_training = self.done
        self._write()

    def put_best(self) -> None:
        """Give the model the best weights."""
        for variable, value in zip(self.model.trainable_variables, self.best, strict=True):
            variable.assign(value)

    def _trainable(self) -> list[np.ndarray]:
        return [keras.ops.convert_to_numpy(v).copy() for v in self.model.trainable_variables]

    def _variables(self) -> dict[str, list]:
        # `variables`, unlike `weights`, holds the states of random generators as well.
        return {"model": self.model.variables, "optimizer": self.model.optimizer.variables}

    def _write(self) -> None:
        if self.path is None:
            return
        arrays = {
            f"{prefix}{i}": keras.ops.convert_to_numpy(variable)
            for prefix, variables in self._variables().items()
            for i, variable in enumerate(variables)
        }
        arrays |= {f"best{i}": value for i, value in enumerate(self.best)}
        arrays |= _generators()
        names = ("curves", "epoch", "done", "best_epoch", "best_loss")
        said = json.dumps({name: getattr(self, name) for name in names})
        with full_disk_in_words(self.path), config.atomic_path(self.path) as partial:
            np.savez(partial, said=np.array(said), **arrays)


def _generators() -> dict[str, np.ndarray]:
    """The states of PyTorch's generators, from which its dropouts draw; none on other backends."""
    if keras.backend.backend() != "torch":
        return {}
    import torch

    states = {"generator": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["gpu_generator"] = torch.cuda.get_rng_state()
    return {name: state.numpy() for name, state in states.items()}


def _set_generators(states: dict[str, np.ndarray]) -> None:
    if not states:
        return
    import torch

    torch.set_rng_state(torch.from_numpy(states["generator"]))
    if "gpu_generator" in states:
        torch.cuda.set_rng_state(torch.from_numpy(states["gpu_generator"]))
