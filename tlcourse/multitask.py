"""Several tasks on one trunk: a head for each, and examples that are labelled for some only."""

from collections.abc import Iterable, Mapping, Sequence

import keras
import numpy as np

from tlcourse import evaluation
from tlcourse.training.loop import History

MISSING = -1  # the label of an example that has none


def share_trunk(trunk: keras.Model, tasks: Mapping[str, int]) -> keras.Model:
    """Put a softmax head for each task on one trunk.

    Args:
        trunk: from inputs to features `(N, D)`.
        tasks: the name of each task and its number of classes, 2 or more.

    Returns:
        An uncompiled model from the trunk's inputs to a dict of probabilities
        `{task: (N, classes)}`. Each head is a Dense layer of its task's name.

    Raises:
        ValueError: a trunk that does not end in features, no task, or fewer than 2 classes.

    Example:
        >>> inputs = keras.Input((4,))
        >>> trunk = keras.Model(inputs, keras.layers.Dense(3)(inputs))
        >>> both = share_trunk(trunk, {"animal": 10, "indoors": 2})
        >>> {task: head.shape for task, head in both.output.items()}
        {'animal': (None, 10), 'indoors': (None, 2)}
    """
    if len(trunk.output_shape) != 2:
        raise ValueError(
            f"The trunk gives shape {trunk.output_shape}; end it in features (N, D), for example "
            "with GlobalAveragePooling2D."
        )
    if not tasks:
        raise ValueError("tasks is empty; name at least one task and its number of classes.")
    for task, classes in tasks.items():
        if isinstance(classes, bool) or not isinstance(classes, int) or classes < 2:
            raise ValueError(
                f"Task {task!r} has {classes!r} classes; give a whole number, 2 or more."
            )
    heads = {
        task: keras.layers.Dense(classes, "softmax", dtype="float32", name=task)(trunk.output)
        for task, classes in tasks.items()
    }
    return keras.Model(trunk.input, heads, name=f"{trunk.name}-{len(tasks)}-tasks")


def shared_weights(model: keras.Model, tasks: Sequence[str] | None = None) -> list:
    """The trainable weights that lie in front of all tasks: what one task can change for another.

    Args:
        model: a functional model whose output is a dict with an entry per task.
        tasks: which ones; all by default.

    Returns:
        The variables, in the model's order; none if the trunk is frozen.

    Raises:
        ValueError: the model has no such outputs, or they share no weights at all.
    """
    tasks = list(task_outputs(model) if tasks is None else tasks)
    shared = set.intersection(*({id(w) for w in _behind(_output(model, task))} for task in tasks))
    if not shared:
        raise ValueError(
            f"The tasks {' and '.join(tasks)} share no weights, so they are separate models and "
            "nothing passes from one to the other; put their heads on one trunk with share_trunk."
        )
    return [weight for weight in model.trainable_weights if id(weight) in shared]


def _behind(tensor) -> list:
    """The weights that a symbolic tensor depends on, also where a model lies inside a model."""
    weights, waiting, known = [], [tensor], set()
    while waiting:
        tensor = waiting.pop()
        layer, node, position = tensor._keras_history
        if id(tensor) in known or layer is None:
            continue
        known.add(id(tensor))
        if hasattr(layer, "_nodes_by_depth"):
            waiting.append(keras.tree.flatten(layer.outputs)[position])
        else:
            weights += getattr(layer, "weights", [])
        waiting += layer._inbound_nodes[node].input_tensors
    return weights


def task_outputs(model: keras.Model) -> dict:
    """The outputs of a model by task.

    Raises:
        ValueError: the model's output is no dict.
    """
    if not isinstance(getattr(model, "output", None), dict):
        raise ValueError(
            f"The output of {model.name!r} is no dict with an entry for each task; build the model "
            "with share_trunk."
        )
    return model.output


def _output(model: keras.Model, task: str):
    outputs = task_outputs(model)
    if task not in outputs:
        raise ValueError(f"There is no task {task!r} in the model; it has {', '.join(outputs)}.")
    return outputs[task]


def pool(tasks: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, dict]:
    """Put the examples of several tasks together, each labelled for its own task only.

    Args:
        tasks: task to `(x, y)`, inputs `(N, ...)` of one shape and class numbers `(N,)`.

    Returns:
        `(x, labels)`: all inputs one after the other, and for each task as many labels int64,
        `MISSING` where the example belongs to another task.

    Raises:
        ValueError: nothing to pool, inputs of different shapes, or labels that do not fit.

    Example:
        >>> one, two = np.zeros((2, 4)), np.ones((1, 4))
        >>> x, labels = pool({"animals": (one, np.array([3, 5])), "digits": (two, np.array([7]))})
        >>> labels["animals"].tolist(), labels["digits"].tolist()
        ([3, 5, -1], [-1, -1, 7])
    """
    if not tasks:
        raise ValueError("There is nothing to pool; give at least one task with its examples.")
    shapes = {task: np.shape(x)[1:] for task, (x, _) in tasks.items()}
    if len(set(shapes.values())) > 1:
        told = ", ".join(f"{task} {shape}" for task, shape in shapes.items())
        raise ValueError(
            f"The tasks have inputs of different shapes ({told}), so no trunk can take them all; "
            "bring them to one shape first."
        )
    for task, (x, y) in tasks.items():
        if np.shape(y) != (len(x),):
            raise ValueError(f"{task}: {len(x)} inputs do not match labels of shape {np.shape(y)}.")
    ends = np.cumsum([0, *(len(x) for x, _ in tasks.values())])
    labels = {task: np.full(ends[-1], MISSING) for task in tasks}
    for (task, (_, y)), start, end in zip(tasks.items(), ends, ends[1:], strict=False):
        labels[task][start:end] = y
    return np.concatenate([x for x, _ in tasks.values()]), labels


def targets(
    model: keras.Model,
    labels: Mapping[str, np.ndarray],
    weights: Mapping[str, float] | None = None,
) -> tuple[dict, dict]:
    """Labels with gaps, as targets and sample weights that `fit` understands.

    An example without a label for a task gets weight 0 there, so it has no part in that task's
    loss. `fit` divides each loss by the number of all examples, labelled or not; so the labelled
    ones are given more weight, until each task's loss is the mean over its own labels times the
    task's weight. Otherwise a task with few labels would count little, without a word.

    Args:
        model: with a dict of outputs, as from `share_trunk`.
        labels: task to class numbers `(N,)`, `MISSING` where there is none.
        weights: task to its weight in the sum of losses, 0 or more; 1 where not given.

    Returns:
        `(y, sample_weight)`: for each task int64 `(N,)` and float32 `(N,)`.

    Raises:
        ValueError: an unknown task, labels that do not fit, a task without any label, or a weight
            below zero.
    """
    weights = dict(weights or {})
    for task in (*labels, *weights):
        _output(model, task)
    absent = [task for task in task_outputs(model) if task not in labels]
    if absent:
        raise ValueError(
            f"Task {absent[0]!r} got no labels; give an array of {MISSING} if it has none here."
        )
    if len({np.shape(values) for values in labels.values()}) > 1:
        told = ", ".join(f"{task} {np.shape(values)}" for task, values in labels.items())
        raise ValueError(f"The labels differ in shape ({told}); give (N,) for every task.")
    y, sample_weight = {}, {}
    for task, values in labels.items():
        values, weight = np.asarray(values), weights.get(task, 1.0)
        if not (np.isfinite(weight) and weight >= 0):
            raise ValueError(f"The weight of task {task!r} is {weight}; it has to be 0 or more.")
        classes = _output(model, task).shape[-1]
        present = values != MISSING
        if present.any() and not (values[present].min() >= 0 and values[present].max() < classes):
            raise ValueError(
                f"{task}: labels run from {values[present].min()} to {values[present].max()}; "
                f"write 0 to {classes - 1}, or {MISSING} where there is none."
            )
        if weight > 0 and not present.any():
            raise ValueError(f"Task {task!r} has no label at all; give it some, or the weight 0.")
        y[task] = np.where(present, values, 0).astype("int64")
        share = present.mean() if present.any() else 1.0
        sample_weight[task] = (present * (weight / share)).astype("float32")
    return y, sample_weight


def train(
    model: keras.Model,
    x: np.ndarray,
    labels: Mapping[str, np.ndarray],
    *,
    epochs: int,
    learning_rate: float,
    weights: Mapping[str, float] | None = None,
    batch_size: int = 32,
    optimizer: str = "adam",
    callbacks: Iterable[keras.callbacks.Callback] = (),
) -> History:
    """Train all tasks of a model at the same time.

    Args:
        model: with a trunk and a dict of outputs, as from `share_trunk`.
        x: inputs `(N, ...)`; the examples of all tasks, in any order.
        labels: task to class numbers `(N,)`, `MISSING` where there is none; `pool` makes them.
        epochs: passes over the data, 1 or more.
        learning_rate: above zero.
        weights: task to its weight, as in `targets`.
        batch_size, optimizer, callbacks: as in `training.train`.

    Returns:
        The `History`, its curves "loss" and "TASK_loss" for each task.

    Raises:
        ValueError: tasks that share no trunk, a rate or a number of epochs that is not positive,
            nothing to train, or as in `targets`. Nothing has been compiled or changed then.
    """
    if not learning_rate > 0:
        raise ValueError(f"The learning rate is {learning_rate}; it has to be above zero.")
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}; train for at least one.")
    shared_weights(model)
    if not model.trainable_variables:
        raise ValueError("Nothing in the model is trainable; unfreeze a part before training.")
    y, sample_weight = targets(model, labels, weights)
    if any(len(values) != len(x) for values in y.values()):
        raise ValueError(f"{len(x)} inputs do not match {len(next(iter(y.values())))} labels.")
    optimizer = keras.optimizers.get(optimizer)
    optimizer.learning_rate = learning_rate
    compile_outputs(model, optimizer, dict.fromkeys(y, "sparse_categorical_crossentropy"))
    found = model.fit(
        x, y, sample_weight=sample_weight, epochs=epochs, batch_size=batch_size,
        callbacks=list(callbacks), verbose=0,
    )  # fmt: skip
    curves = {name: [float(v) for v in values] for name, values in found.history.items()}
    return History(curves, {"all tasks": 0})


def compile_outputs(model: keras.Model, optimizer, losses: Mapping[str, object]) -> None:
    """Compile a loss for each named output, ready for the first step."""
    optimizer.build(model.trainable_variables)
    model.compile(optimizer, dict(losses))


def accuracy(model: keras.Model, x: np.ndarray, labels: Mapping[str, np.ndarray]) -> dict:
    """Share of correct predictions of each task, over the examples that are labelled for it.

    Args:
        model: with a dict of outputs.
        x: inputs `(N, ...)`.
        labels: task to class numbers `(N,)`, `MISSING` where there is none.

    Returns:
        `{task: accuracy}`.

    Raises:
        ValueError: an unknown task, labels that do not fit, or a task without any label.
    """
    for task, values in labels.items():
        _output(model, task)
        if np.shape(values) != (len(x),):
            raise ValueError(
                f"{task}: {len(x)} inputs do not match labels of shape {np.shape(values)}."
            )
        if not (np.asarray(values) != MISSING).any():
            raise ValueError(f"Task {task!r} has no label, so it has no accuracy; leave it out.")
    said = model.predict(x, verbose=0)
    found = {}
    for task, values in labels.items():
        there = np.asarray(values) != MISSING
        found[task] = evaluation.accuracy(said[task][there], np.asarray(values)[there])
    return found
