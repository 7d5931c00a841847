"""Teach a model a new task, with whatever is to keep the old one."""

from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np

from tlcourse import multitask
from tlcourse.forgetting import anchors, replaying
from tlcourse.forgetting.distilling import Distillation


class NewTask:
    """A model with an old task and a new one, compiled once; every remedy is a weight.

    Each `learn` starts from the weights that the model had when this was made, and from an
    optimizer at rest. The model's own weights are trained; read them with `model.get_weights()`.

    Args:
        model: with a trunk and a dict of outputs, as from `multitask.share_trunk`, or the rest of
            such a model as from `training.cached_prefix`.
        old, new: the two tasks. They may be two names of one head.
        temperature: of the distillation.

    Raises:
        ValueError: an unknown task, tasks that share no trunk, or a trunk that is frozen.
    """

    def __init__(self, model: keras.Model, old: str, new: str, temperature: float = 2.0):
        multitask.shared_weights(model, [old, new])
        self.model, self.old, self.new = model, old, new
        held, self.anchor = anchors.anchored(model, [old, new])
        outputs = {name: held.output[name] for name in (old, new, "anchor")}
        outputs["teacher"] = outputs[old]
        self._full = keras.Model(model.input, outputs, name=f"{model.name}-new-task")
        self._optimizer = keras.optimizers.Adam()
        losses = {
            old: "sparse_categorical_crossentropy",
            new: "sparse_categorical_crossentropy",
            "teacher": Distillation(temperature),
            "anchor": anchors.penalty,
        }
        multitask.compile_outputs(self._full, self._optimizer, losses)
        self._rest = [keras.ops.convert_to_numpy(v) for v in self._optimizer.variables]
        self.start = model.get_weights()

    def restart(self) -> None:
        """Put the weights back to where they were at first, and the optimizer to rest."""
        self.model.set_weights(self.start)
        for variable, value in zip(self._optimizer.variables, self._rest, strict=True):
            variable.assign(value)

    def learn(
        self,
        x: np.ndarray,
        y: np.ndarray,
        *,
        steps: int,
        learning_rate: float,
        batch_size: int = 16,
        l2_sp: float = 0.0,
        ewc: float = 0.0,
        fisher: Mapping[str, np.ndarray] | None = None,
        distill: float = 0.0,
        memory: replaying.Memory | None = None,
        replay: int = 8,
        seed: int = 0,
        watch: Callable[[], object] | None = None,
        marks: Sequence[int] = (),
    ) -> list:
        """Start afresh and learn the new task; with no remedy given, this is naive fine-tuning.

        Args:
            x: inputs `(N, ...)` of the new task.
            y: class numbers `(N,)`.
            steps: gradient steps, 1 or more.
            learning_rate: of Adam, above zero.
            batch_size: new examples in a step.
            l2_sp: strength of the pull towards the old weights, 0 or more.
            ewc: the same, each weight weighed by `fisher`. One of the two can be given.
            fisher: importances by path, from `forgetting.fisher` on the old task.
            distill: weight of the loss that keeps the old head's answers on the new inputs (LwF),
                and on those of a memory without labels.
            memory: old examples to see again; `replay` of them are added to every step. With all
                old examples this is joint training. One without labels needs `distill`.
            seed: of the order of examples.
            watch: called after the steps in `marks`, before the first one too.
            marks: numbers of steps, rising, below or equal to `steps`.

        Returns:
            What `watch` returned, in order.

        Raises:
            ValueError: a strength below zero, a rate or number that is not positive, EWC without
                a Fisher, a memory without labels and nothing to distil, or labels that do not
                fit. Nothing was changed then.
        """
        self._check(x, y, steps, learning_rate, batch_size, l2_sp, ewc, fisher, distill, replay)
        self._check_memory(x, memory, distill)
        self.anchor.set_importance(fisher if ewc else None)
        data = self._steps(x, y, steps, batch_size, memory, replay, seed, bool(distill))
        inputs, targets, weights = data
        for name, strength in (("anchor", l2_sp or ewc), ("teacher", distill)):
            weights[name] *= strength
        self.restart()
        self._optimizer.learning_rate = learning_rate
        self.anchor.reset()
        size = len(inputs) // steps
        results = [watch()] if watch else []
        stops = sorted({*marks, steps}) if watch else [steps]
        for start, stop in zip([0, *stops], stops, strict=False):
            now = slice(start * size, stop * size)
            self._full.fit(
                inputs[now], {k: v[now] for k, v in targets.items()},
                sample_weight={k: v[now] for k, v in weights.items()},
                batch_size=size, shuffle=False, verbose=0,
            )  # fmt: skip
            results += [watch()] if watch else []
        return results

    def _check(self, x, y, steps, rate, batch_size, l2_sp, ewc, fisher, distill, replay) -> None:
        for name, value in {"l2_sp": l2_sp, "ewc": ewc, "distill": distill}.items():
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(f"The strength {name} is {value}; it has to be 0 or more.")
        for name, value in {"steps": steps, "batch_size": batch_size, "replay": replay}.items():
            if value < 1:
                raise ValueError(f"{name} is {value}; give a whole number, 1 or more.")
        if not rate > 0:
            raise ValueError(f"The learning rate is {rate}; it has to be above zero.")
        if l2_sp and ewc:
            raise ValueError("learn got l2_sp and ewc; give one of them.")
        if ewc and fisher is None:
            raise ValueError(
                "EWC weighs each weight by the Fisher information of the old task and got none; "
                "give fisher=forgetting.fisher(model, old_x, old_task), or use l2_sp."
            )
        classes = self._full.output[self.new].shape[-1]
        if np.shape(y) != (len(x),) or len(x) == 0:
            raise ValueError(f"{len(x)} new inputs do not match labels of shape {np.shape(y)}.")
        if np.min(y) < 0 or np.max(y) >= classes:
            raise ValueError(
                f"Labels run from {np.min(y)} to {np.max(y)}; the new task wants 0 to "
                f"{classes - 1}."
            )

    def _check_memory(self, x, memory, distill) -> None:
        if memory is None:
            return
        if memory.x.shape[1:] != x.shape[1:]:
            raise ValueError(
                f"The memory holds inputs of shape {memory.x.shape[1:]}, the new task's are "
                f"{x.shape[1:]}; both go through one trunk, so bring them to one shape."
            )
        if memory.y is None:
            if not distill:
                raise ValueError(
                    "The memory has no labels, so only distillation can learn from it; "
                    "give distill, or the labels."
                )
            return
        classes = self._full.output[self.old].shape[-1]
        if memory.y.min() < 0 or memory.y.max() >= classes:
            raise ValueError(
                f"Labels of the memory run from {memory.y.min()} to {memory.y.max()}; the old "
                f"task wants 0 to {classes - 1}."
            )

    def _taught(self, x) -> np.ndarray:
        """What the old head says of inputs before training: the teacher's answers."""
        self.restart()
        return self.model.predict(x, verbose=0)[self.old]

    def _steps(self, x, y, steps, batch_size, memory, replay, seed, distil):
        """One long epoch in its final order; each step holds new examples, then old ones."""
        replay = replay if memory is not None else 0
        size = batch_size + replay
        new = replaying.schedule(len(x), steps * batch_size, seed).reshape(steps, batch_size)
        labelled = memory is not None and memory.y is not None
        parts_x, parts_y = [x[new]], [y[new]]
        if replay:
            old = replaying.schedule(len(memory), steps * replay, seed + 1).reshape(steps, replay)
            parts_x.append(memory.x[old])
            parts_y.append(memory.y[old] if labelled else np.zeros_like(old))
        inputs = np.concatenate(parts_x, axis=1).reshape(steps * size, *x.shape[1:])
        labels = np.concatenate(parts_y, axis=1).astype("int64")
        is_new = np.tile(np.arange(size) < batch_size, steps)
        answers = np.ones((steps * size, self._full.output[self.old].shape[-1]), "float32")
        is_taught = is_new if labelled else np.ones_like(is_new)
        if distil:
            answers[is_new] = self._taught(x)[new.ravel()]
            if replay and not labelled:
                answers[~is_new] = self._taught(memory.x)[old.ravel()]
        labels = labels.ravel()
        targets = {
            self.new: np.where(is_new, labels, 0),
            self.old: np.where(is_new, 0, labels),
            "teacher": answers,
            "anchor": np.zeros((steps * size, 1), "float32"),
        }
        # fit divides by all examples of a step; so that each loss is the mean over its own ones:
        weights = {
            self.new: is_new * (size / batch_size),
            self.old: ~is_new * labelled * (size / max(replay, 1)),
            "teacher": is_taught / is_taught.mean(),
            "anchor": np.ones(steps * size),
        }
        return inputs, targets, {k: v.astype("float32") for k, v in weights.items()}
