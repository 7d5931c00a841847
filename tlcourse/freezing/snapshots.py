"""What a model's weights were, what changed, and what a training step would move."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from tlcourse.freezing import structure
from tlcourse.freezing.structure import BatchNorm, Structure


@dataclass(frozen=True, repr=False)
class Snapshot:
    """The weights of a model at one moment, to compare with later.

    Attributes:
        values: a copy of every weight, by its path in the model.
        trainable: the paths that were trainable.
    """

    values: dict[str, np.ndarray]
    trainable: frozenset[str]

    def __repr__(self) -> str:
        size = sum(value.size for value in self.values.values())
        return f"Snapshot of {len(self.values):,} weights with {size:,} parameters"


@dataclass(frozen=True)
class BatchNormState:
    """What one BatchNormalization layer did and will do.

    Attributes:
        name: the layer's name.
        in_backbone: False for one in the head.
        trainable: whether its `trainable` is True.
        moves_in_fit: whether `fit` would change its statistics.
        mean_change: largest change of `moving_mean` since the snapshot; None without one.
        variance_change: the same of `moving_variance`.
    """

    name: str
    in_backbone: bool
    trainable: bool
    moves_in_fit: bool
    mean_change: float | None
    variance_change: float | None

    @property
    def moved(self) -> bool:
        """Whether its statistics differ from the snapshot's at all."""
        return bool(self.mean_change or self.variance_change)


def snapshot(model: keras.Model) -> Snapshot:
    """Copy a model's weights, to give to `audit` after training.

    Args:
        model: a built Keras model.

    Returns:
        A `Snapshot`. It takes as much memory as the weights.

    Raises:
        ValueError: the model has no weights yet.
    """
    weights = by_path(model)
    if not weights:
        raise ValueError(
            f"Model {model.name!r} has no weights yet; call it on a batch, or give it an Input "
            "with a shape, before the snapshot."
        )
    trained = {id(weight) for weight in model.trainable_weights}
    return Snapshot(
        {path: value(weight) for path, weight in weights.items()},
        frozenset(path for path, weight in weights.items() if id(weight) in trained),
    )


def check_same_model(model, before: Snapshot) -> None:
    """Refuse a snapshot whose weights have other names or shapes than the model's."""
    shapes = {path: tuple(weight.shape) for path, weight in by_path(model).items()}
    if shapes != {path: was.shape for path, was in before.values.items()}:
        raise ValueError(
            f"The snapshot has {len(before.values)} weights and model {model.name!r} has "
            f"{len(shapes)}, with other names or shapes; take the snapshot of the same model."
        )


def all_changes(weights, before: Snapshot) -> dict[str, float]:
    """The largest absolute change of each weight since the snapshot."""
    return {path: _difference(value(w), before.values[path]) for path, w in weights.items()}


def _difference(now: np.ndarray, was: np.ndarray) -> float:
    return float(np.abs(now.astype(float) - was.astype(float)).max(initial=0.0))


def by_path(model) -> dict[str, object]:
    """Every weight by the names of the models around it and its own path, in order."""
    found: dict[str, object] = {}
    known: set[int] = set()

    def visit(layer, prefix):
        if any(isinstance(inner, keras.Model) for inner in structure.walk(layer)):
            is_part = isinstance(layer, keras.Model) and layer is not model
            for child in structure.children(layer):
                visit(child, f"{prefix}{layer.name}/" if is_part else prefix)
        for weight in layer.weights:
            if id(weight) not in known:
                known.add(id(weight))
                path, copies = prefix + weight.path, 2
                while path in found:
                    path, copies = f"{prefix}{weight.path} ({copies})", copies + 1
                found[path] = weight

    visit(model, "")
    return found


def value(variable) -> np.ndarray:
    """A copy of a variable's numbers."""
    return np.array(variable.numpy())


def batch_norms(parts: Structure, weights, changes) -> list[BatchNormState]:
    """The state of every BatchNormalization of the model; `changes` may be empty."""
    inside = {id(norm) for norm in parts.batch_norms}
    norms = structure.distinct(
        layer for layer in structure.walk(parts.model) if isinstance(layer, BatchNorm)
    )
    moving = _moving(parts.model, [norm for norm in norms if norm.trainable])
    paths = {id(weight): path for path, weight in weights.items()}

    def change(variable):
        return changes[paths[id(variable)]] if changes else None

    return [
        BatchNormState(
            norm.name,
            id(norm) in inside,
            norm.trainable,
            id(norm) in moving,
            change(norm.moving_mean),
            change(norm.moving_variance),
        )
        for norm in norms
    ]


def _moving(model, norms: list) -> set[int]:
    """Which of some trainable BatchNormalization layers one step of training would move.

    Asking `trainable` is not enough: a wrapper layer may call the backbone with training=False.
    """
    if not norms:
        return set()
    state = [(variable, value(variable)) for variable in model.variables]
    statistics = [(id(n), v, value(v)) for n in norms for v in (n.moving_mean, n.moving_variance)]
    try:
        model(_noise(model), training=True)
        return {norm for norm, variable, was in statistics if (value(variable) != was).any()}
    except Exception:
        # Not every model takes noise (token ids, several modalities): then `trainable` decides.
        return {id(norm) for norm in norms}
    finally:
        for variable, was in state:
            variable.assign(was)


def _noise(model):
    generator = np.random.default_rng(0)

    def like(tensor):
        shape = [2] + [64 if side is None else side for side in tensor.shape[1:]]
        return ops.cast(generator.uniform(0, 255, shape), tensor.dtype)

    return keras.tree.map_structure(like, model.input)
