"""Fine-tune the last blocks or everything, and compute what is frozen only once."""

import itertools
import weakref

import keras
import numpy as np

from tlcourse import freezing
from tlcourse.freezing import structure
from tlcourse.training.loop import History, compile_classifier, fingerprint, train

# Activations above this are not kept in memory: 2 GiB, a quarter of a small laptop.
CACHE_BYTES = 2 << 30


def cached_prefix(model: keras.Model, x: np.ndarray) -> tuple[keras.Model, np.ndarray]:
    """Compute the frozen first part of a model once, and give the rest as a model of its own.

    The rest shares its layers with the model: training it on the activations trains the model, and
    costs only what the trainable blocks cost. The result is that of plain fine-tuning, because a
    frozen part, BatchNormalization included, says the same of an image in every epoch.

    Args:
        model: from raw pixels to probabilities, with a nested backbone whose first blocks are
            frozen, as `freezing.freeze` and `freezing.unfreeze` leave it.
        x: raw pixels `(N, H, W, C)`, 0-255.

    Returns:
        `(suffix, activations)`: the uncompiled rest, and its inputs float32 `(N, h, w, channels)`.

    Raises:
        ValueError: the first block is trainable, or the frozen part holds something that differs
            from epoch to epoch.
    """
    prefix, suffix = split(model)
    return suffix, prefix.predict(x, verbose=0)


# The two parts of a model, kept with its state of freezing, so that they compile only once.
_splits: "weakref.WeakKeyDictionary[keras.Model, tuple]" = weakref.WeakKeyDictionary()


def split(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """The frozen first part and the rest; the same ones as long as nothing in it changes.

    Raises:
        ValueError: as in `cached_prefix`.
    """
    state = fingerprint(model)
    if model not in _splits or _splits[model][0] != state:
        _splits[model] = (state, *_cut(model))
    return _splits[model][1:]


def _cut(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Cut where a single tensor carries everything."""
    parts = structure.take_apart(model)
    call = _call_of(parts)
    trained = {id(weight) for weight in model.trainable_weights}
    frozen = list(
        itertools.takewhile(
            lambda block: not any(id(weight) in trained for weight in block.weights), parts.blocks
        )
    )
    for block in reversed(frozen):
        cut = _output_of(block.layers[-1], parts.backbone)
        try:
            late = keras.Model(cut, parts.backbone.output)
        except ValueError:  # a second tensor crosses here
            continue
        early = keras.Model(parts.backbone.input, cut)
        prefix = keras.Model(model.input, early(call.input_tensors[0]), name="prefix")
        _refuse_what_varies(prefix)
        inputs = keras.Input(cut.shape[1:], name="activations")
        outputs = keras.Model(call.output_tensors[0], model.output)(late(inputs))
        return prefix, keras.Model(inputs, outputs, name=f"{model.name}-suffix")
    raise ValueError(
        f"The first block of {parts.backbone.name!r}, {parts.blocks[0].name}, is trainable, so "
        "there is nothing to compute only once; call train(model, …), or freeze the first blocks."
    )


def _output_of(layer, model):
    """What a layer gives in this model; after a cut it stands in another model's graph, too."""
    for nodes in getattr(model, "_nodes_by_depth", {}).values():
        for node in nodes:
            if node.operation is layer:
                return node.output_tensors[0]
    return layer.output


def _call_of(parts: structure.Structure):
    """The place in the model's graph where its backbone is called."""
    for nodes in getattr(parts.model, "_nodes_by_depth", {}).values():
        for node in nodes:
            if parts.nested and node.operation is parts.backbone:
                return node
    raise ValueError(
        f"{parts.model.name!r} has no nested backbone to cut; build the model with "
        "build_classifier, or call train(model, …)."
    )


def _refuse_what_varies(prefix: keras.Model) -> None:
    for layer in structure.walk(prefix):
        if isinstance(layer, keras.Model):
            continue
        if layer.trainable and (
            layer.trainable_weights or isinstance(layer, keras.layers.BatchNormalization)
        ):
            raise ValueError(
                f"{layer.name!r} lies in the frozen part and still changes in training; freeze it, "
                "or call train(model, …)."
            )
        if layer._seed_generators:
            raise ValueError(
                f"{layer.name!r} lies in the frozen part and draws at random in every epoch, so "
                "its output cannot be kept; call train(model, …)."
            )


def fine_tune(
    model: keras.Model,
    x: np.ndarray,
    y: np.ndarray,
    *,
    last: int | None = None,
    until: str | None = None,
    epochs: int,
    learning_rate=1e-5,
    batch_size: int = 32,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    optimizer: str = "adam",
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
    cache: bool = True,
    stage: str = "fine-tuning",
) -> History:
    """Unfreeze the last blocks or the whole backbone, compile anew and train.

    Every BatchNormalization of the backbone stays frozen. What stays frozen at the front is
    computed once where that is exact, see `cached_prefix`, and fits into memory.

    Args:
        model: from raw pixels to probabilities, its head fitted already; see `two_stage`.
        x: raw pixels `(N, H, W, C)`, 0-255.
        y: class numbers `(N,)`.
        last: how many blocks to train, counted from the backbone's output; or
        until: the last block or stage to stay frozen. With neither, everything trains.
        epochs: passes over the data, 1 or more.
        learning_rate: a positive number or a schedule.
        batch_size, validation, optimizer, callbacks, stage: as in `train`.
        cache: False to run the frozen part again in every step.

    Returns:
        The `History`. Its "seconds" are those of the epochs, without the one pass before them.

    Raises:
        ValueError: as in `freezing.unfreeze`, `freezing.freeze` and `train`.
    """
    if last is not None and until is not None:
        raise ValueError("fine_tune got last and until; give one of them.")
    if until is None:
        freezing.unfreeze(model, last=last)
    else:
        freezing.freeze(model, until=until)
    settings = {
        "epochs": epochs,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "callbacks": callbacks,
        "stage": stage,
    }
    parts = _worthwhile_split(model, len(x)) if cache else None
    if parts is None:
        return train(model, x, y, validation=validation, **settings)
    prefix, suffix = parts
    if validation is not None:
        validation = (prefix.predict(validation[0], verbose=0), validation[1])
    history = train(suffix, prefix.predict(x, verbose=0), y, validation=validation, **settings)
    # The model is left as if it had been trained itself: compiled, with the same optimizer.
    compile_classifier(model, suffix.optimizer)
    return history


def _worthwhile_split(model: keras.Model, images: int):
    """The two parts of the model, or None where caching would be inexact or too large."""
    try:
        prefix, suffix = split(model)
    except ValueError:
        return None
    sides = prefix.output_shape[1:]
    fits = None not in sides and 4 * images * int(np.prod(sides)) <= CACHE_BYTES
    return (prefix, suffix) if fits else None
