"""How much of a model is trainable, counted in parameters, block by block."""

from dataclasses import dataclass

import keras

from tlcourse.freezing import structure, tables

HEAD = ("block", "parameters", "share", "trainable", "BatchNormalization")
NUMBERS = (1, 2, 3)


@dataclass(frozen=True)
class Row:
    """One block of the backbone, or one layer outside it.

    Attributes:
        block: its name.
        in_backbone: False for the head and whatever else surrounds the backbone.
        parameters: how many numbers it holds, statistics of BatchNormalization included.
        trainable: how many of them training changes.
        batch_norms: how many BatchNormalization layers it has.
        frozen_batch_norms: how many of those stay in inference mode.
    """

    block: str
    in_backbone: bool
    parameters: int
    trainable: int
    batch_norms: int
    frozen_batch_norms: int

    @property
    def mode(self) -> str:
        """What BatchNormalization does here during training, in words."""
        if not self.batch_norms:
            return "-"
        if self.frozen_batch_norms == self.batch_norms:
            return "frozen"
        if not self.frozen_batch_norms:
            return "moves"
        return f"{self.batch_norms - self.frozen_batch_norms} of {self.batch_norms} move"


@dataclass(frozen=True, repr=False)
class Report:
    """What is trainable in a model, as a table that text and notebooks show.

    Attributes:
        rows: one per block of the backbone with weights, then one per layer outside it.
        parameters: all numbers in the model; equals `model.count_params()`.
        trainable: how many of them training changes.
        backbone_parameters: all numbers in the backbone.
        backbone_trainable: how many of them training changes.
        compile_again: why the model has to be compiled again before `fit`; None if it need not.
    """

    rows: tuple[Row, ...]
    parameters: int
    trainable: int
    backbone_parameters: int
    backbone_trainable: int
    compile_again: str | None

    @property
    def share(self) -> float:
        """Trainable parameters of the backbone as a share of the backbone's, 0 to 1."""
        return self.backbone_trainable / self.backbone_parameters

    def _cells(self) -> list[tuple[str, ...]]:
        cells = [
            (
                row.block if row.in_backbone else f"+ {row.block}",
                f"{row.parameters:,}",
                f"{row.parameters / self.parameters:.1%}",
                f"{row.trainable:,}",
                row.mode,
            )
            for row in self.rows
        ]
        norms = sum(row.batch_norms for row in self.rows)
        frozen = sum(row.frozen_batch_norms for row in self.rows)
        mode = Row("all", False, self.parameters, self.trainable, norms, frozen).mode
        total = ("all", f"{self.parameters:,}", "100.0%", f"{self.trainable:,}", mode)
        return [*cells, total]

    def _notes(self) -> list[str]:
        notes = [
            f"Trainable: {self.trainable:,} of {self.parameters:,} parameters "
            f"({self.trainable / self.parameters:.1%}); in the backbone "
            f"{self.backbone_trainable:,} of {self.backbone_parameters:,} ({self.share:.1%})."
        ]
        return notes + ([self.compile_again] if self.compile_again else [])

    def __str__(self) -> str:
        return "\n".join([tables.text(HEAD, self._cells(), NUMBERS), *self._notes()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{note}</p>" for note in self._notes())
        return tables.as_html(HEAD, self._cells(), NUMBERS) + notes


def report(model: keras.Model) -> Report:
    """Count what is trainable, block by block; it changes nothing.

    Layers are a poor measure: the last tenth of ResNet50's layers holds a third of its
    parameters. Rows of layers outside the backbone begin with `+`.

    Args:
        model: a built Keras model with a backbone.

    Returns:
        A `Report`. Its totals are those of `model.count_params()` and `model.trainable_weights`.

    Raises:
        TypeError: it is not a Keras model.
        ValueError: it has no backbone, several, or no weights yet.
    """
    return of(structure.take_apart(model))


def of(parts: structure.Structure) -> Report:
    """The report of a model that is taken apart already."""
    model = parts.model
    trained = {id(weight) for weight in model.trainable_weights}
    seen: set[int] = set()

    def row(name, in_backbone, weights, layers):
        weights = [weight for weight in weights if id(weight) not in seen]
        seen.update(id(weight) for weight in weights)
        norms = structure.distinct(
            inner
            for layer in layers
            for inner in structure.walk(layer)
            if isinstance(inner, structure.BatchNorm)
        )
        return Row(
            name,
            in_backbone,
            structure.count(weights),
            structure.count(weight for weight in weights if id(weight) in trained),
            len(norms),
            sum(not norm.trainable for norm in norms),
        )

    rows = [row(block.name, True, block.weights, block.layers) for block in parts.blocks]
    if parts.nested:
        own = [weight for weight in parts.backbone.weights if id(weight) not in seen]
        rows += [row("weights of no block", True, own, ())] if own else []
    rows += [row(layer.name, False, layer.weights, (layer,)) for layer in parts.rest]
    own = [weight for weight in model.weights if id(weight) not in seen]
    rows += [row("weights of no layer", False, own, ())] if own else []
    inside = [row for row in rows if row.in_backbone]
    return Report(
        tuple(rows),
        sum(row.parameters for row in rows),
        sum(row.trainable for row in rows),
        sum(row.parameters for row in inside),
        sum(row.trainable for row in inside),
        compile_again(model),
    )


def compile_again(model: keras.Model) -> str | None:
    """Why a model has to be compiled again before `fit`; None if it need not.

    After the first `fit` Keras keeps a compiled training step and an optimizer with the variables
    that were trainable then. On TensorFlow a later change of `trainable` is silently ignored; on
    JAX and PyTorch `fit` raises. A change between `compile` and the first `fit` does no harm.
    """
    if not model.compiled or not getattr(model.optimizer, "built", False):
        return None
    held = {id(variable) for variable in model.optimizer._trainable_variables}
    now = {id(variable) for variable in model.trainable_variables}
    if held == now:
        return None
    if model.train_function is None and now <= held:  # compiled again with the same optimizer
        return None
    return (
        "Compile again before fit, with a new optimizer: since the last compile "
        f"{tables.plural(len(now - held), 'variable')} became trainable and "
        f"{len(held - now):,} were frozen."
    )


def trainable_share(model: keras.Model, frozen_layer_fraction: float) -> float:
    """What the rule "freeze the first x % of the layers" leaves trainable, in parameters.

    It is the rule of many tutorials, `for layer in base.layers[: int(x * len(base.layers))]`. It
    counts layers without weights, and it may cut between a convolution and its
    BatchNormalization: use `freeze` for work, this to see what the rule does. Nothing is changed.

    Args:
        model: a built Keras model with a backbone.
        frozen_layer_fraction: from 0.0 to 1.0.

    Returns:
        The parameters that stay trainable, as a share of those that could be, 0 to 1.

    Raises:
        ValueError: the fraction lies outside 0 to 1, or there is no backbone.

    Example:
        >>> from keras import layers
        >>> inputs = keras.Input((8, 8, 3))
        >>> maps = layers.Conv2D(30, 3, use_bias=False)(layers.Conv2D(1, 3, use_bias=False)(inputs))
        >>> round(trainable_share(keras.Model(inputs, maps), 0.7), 3)  # two of its three layers
        0.909
    """
    if not 0 <= frozen_layer_fraction <= 1:
        raise ValueError(f"The fraction is {frozen_layer_fraction!r}; write one from 0.0 to 1.0.")
    layers = structure.find_backbone(model).layers
    kept = layers[int(frozen_layer_fraction * len(layers)) :]
    weights = structure.distinct(w for layer in kept for w in structure.by_design(layer))
    every = structure.distinct(w for layer in layers for w in structure.by_design(layer))
    return structure.count(weights) / structure.count(every)
