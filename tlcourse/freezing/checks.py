"""The mechanism checks: does training do what the code says it does."""

from collections.abc import Iterator

import keras
import numpy as np

from tlcourse.freezing import reports, snapshots, structure, tables
from tlcourse.freezing.findings import Audit, Finding
from tlcourse.freezing.snapshots import BatchNormState, Snapshot
from tlcourse.freezing.structure import Structure

EXPECTATIONS = ("feature extraction", "fine-tuning")


def audit(
    model: keras.Model,
    before: Snapshot | None = None,
    images=None,
    expect: str | None = None,
) -> Audit:
    """Check that training does what the code says: what is frozen, what moves, what is stale.

    It asks the model itself and changes nothing. Where a BatchNormalization is trainable, one
    forward pass in training mode shows which statistics `fit` would move; they are put back.

    Args:
        model: a built Keras model with a backbone, compiled or not.
        before: a `snapshot` taken before training, to see what moved.
        images: a batch as it goes into the model, to see whether it fits the preprocessing.
        expect: "feature extraction" or "fine-tuning", what you think you are doing; then the
            opposite is an error. None to be told only.

    Returns:
        An `Audit`; its `ok` says whether there is nothing to mend.

    Raises:
        TypeError: it is not a Keras model.
        ValueError: there is no backbone, the snapshot is of another model, or `expect` is none of
            the two.

    Example:
        >>> from keras import layers
        >>> inputs = keras.Input((8, 8, 3))
        >>> base = keras.Model(inputs, layers.Conv2D(4, 3)(inputs), name="base")
        >>> pooled = layers.GlobalAveragePooling2D()
        >>> model = keras.Sequential([keras.Input((8, 8, 3)), base, pooled, layers.Dense(2)])
        >>> base.trainable = False
        >>> print(audit(model, expect="fine-tuning").findings[0].code)
        never-unfrozen
    """
    if expect is not None and expect not in EXPECTATIONS:
        raise ValueError(f"expect is {expect!r}; write {' or '.join(map(repr, EXPECTATIONS))}.")
    parts = structure.take_apart(model)
    if before is not None:
        snapshots.check_same_model(model, before)
    report = reports.of(parts)
    weights = snapshots.by_path(model)
    changes = snapshots.all_changes(weights, before) if before else {}
    norms = snapshots.batch_norms(parts, weights, changes)
    facts, findings = [], []
    for check in (
        _trainable(report, expect),
        _compiled(model),
        _batch_norm(parts, norms),
        _moved(parts, weights, changes, before, norms, expect) if before else (),
        _inputs(parts, images),
        _output(model),
    ):
        for item in check:
            (findings if isinstance(item, Finding) else facts).append(item)
    order = ("error", "warning", "note")
    findings.sort(key=lambda finding: order.index(finding.severity))
    return Audit(tuple(facts), tuple(findings), tuple(norms), changes, report)


def _trainable(report: reports.Report, expect) -> Iterator:
    rest = report.trainable - report.backbone_trainable
    yield (
        "trainable parameters",
        f"{report.trainable:,} of {report.parameters:,}: backbone {report.backbone_trainable:,}, "
        f"head and rest {rest:,}",
    )
    if not report.trainable:
        yield Finding(
            "nothing-trainable",
            "error",
            "No parameter is trainable, so fit changes nothing.",
            "Call freeze(model) to leave the head trainable.",
        )
    elif report.backbone_trainable and not rest and not all(r.in_backbone for r in report.rows):
        yield Finding(
            "head-frozen",
            "warning",
            "The backbone is trainable but the head is frozen.",
            "Call freeze or unfreeze, which leave the head trainable.",
        )
    if expect == "fine-tuning" and not report.backbone_trainable:
        yield Finding(
            "never-unfrozen",
            "error",
            "The whole backbone is frozen: this is feature extraction, not fine-tuning.",
            "Call unfreeze(model, last=3), or more blocks, then compile again.",
        )
    if expect == "feature extraction" and report.backbone_trainable:
        yield Finding(
            "not-frozen",
            "error",
            f"{report.backbone_trainable:,} parameters of the backbone are trainable: this is "
            "fine-tuning, not feature extraction.",
            "Call freeze(model), then compile again.",
        )


def _compiled(model) -> Iterator:
    question = "trainable changed since compile"
    stale = reports.compile_again(model)
    if not model.compiled:
        yield question, "not compiled yet"
    elif stale:
        yield question, "yes, after fit had run: fit would not see it"
        yield Finding(
            "stale-compile",
            "error",
            "trainable changed after fit had run; TensorFlow goes on with the old set without a "
            "word, JAX and PyTorch raise.",
            stale,
        )
    elif getattr(model.optimizer, "built", False) or not _changed_since_compile(model):
        yield question, "no"
    else:
        yield question, "yes, but fit has not run yet: it will see it"


def _changed_since_compile(model) -> bool:
    recorded = getattr(model, "_compiled_trainable_state", {})
    return any(layer.trainable != was for layer, was in recorded.items())


def _batch_norm(parts: Structure, norms: list[BatchNormState]) -> Iterator:
    inside = [norm for norm in norms if norm.in_backbone]
    moving = [norm for norm in inside if norm.moves_in_fit]
    frozen = sum(not norm.trainable for norm in inside)
    answer = f"{len(inside)} layers: {frozen} frozen, {len(moving)} would move in fit"
    yield "BatchNormalization of the backbone", answer if inside else "none"
    remedy = "Call freeze_batch_norm(model), then compile again."
    if moving and _called_with_training_false(parts):
        yield Finding(
            "training-false-ignored",
            "error",
            f"The backbone is called with training=False, but fit overrides it in Keras 3: "
            f"{len(moving)} of {len(inside)} BatchNormalization layers would move.",
            remedy,
        )
    elif moving and parts.nested:
        yield Finding(
            "batch-norm-moves",
            "warning",
            f"{len(moving)} of {len(inside)} BatchNormalization layers of the backbone would use "
            "and store the statistics of each batch in fit, at any learning rate.",
            remedy,
        )
    elif moving:
        yield Finding(
            "batch-norm-moves",
            "note",
            f"{len(moving)} of {len(inside)} BatchNormalization layers would move in fit, which "
            "is right for training from scratch and a risk for pretrained weights.",
            "If the weights are pretrained, call freeze_batch_norm(model), then compile again.",
        )


def _called_with_training_false(parts: Structure) -> bool:
    for layer in structure.walk(parts.model):
        for nodes in (getattr(layer, "_nodes_by_depth", None) or {}).values():
            for node in nodes:
                if node.arguments.kwargs.get("training") is not False:
                    continue
                if any(inner is parts.backbone for inner in structure.walk(node.operation)):
                    return True
    return False


def _moved(parts: Structure, weights, changes, before: Snapshot, norms, expect) -> Iterator:
    trained = {id(weight) for weight in parts.model.trainable_weights}
    designed = {id(weight) for weight in structure.by_design(parts.model)}
    now = [path for path, weight in weights.items() if id(weight) in trained]
    frozen = [path for path, w in weights.items() if id(w) in designed and id(w) not in trained]
    moved = {path for path, change in changes.items() if change != 0}  # not-a-number is no 0
    inside = [norm for norm in norms if norm.in_backbone]
    moved_norms = [norm for norm in inside if norm.moved]
    yield (
        "weights moved since the snapshot",
        f"{sum(p in moved for p in now)} of {len(now)} trainable, "
        f"{sum(p in moved for p in frozen)} of {len(frozen)} frozen",
    )
    yield (
        "BatchNormalization moved since the snapshot",
        f"{len(moved_norms)} of {len(inside)} in the backbone",
    )
    broken = [
        path for path, weight in weights.items() if not np.isfinite(snapshots.value(weight)).all()
    ]
    if broken:
        yield Finding(
            "not-finite",
            "error",
            f"{tables.plural(len(broken), 'weight')} hold infinity or not-a-number "
            f"({_few(broken)}): training diverged.",
            "Build the model again and train with a smaller learning rate.",
        )
    if not moved:
        yield Finding(
            "nothing-moved",
            "warning",
            "No weight and no statistic differs from the snapshot.",
            "Take the snapshot before fit and audit after it; if you did, nothing was trained.",
        )
        return
    if moved_norms:
        yield Finding(
            "batch-norm-moved",
            "warning" if parts.nested else "note",
            f"{len(moved_norms)} of {len(inside)} BatchNormalization layers of the backbone moved "
            "since the snapshot.",
            "If you did not mean it, load the weights again and call freeze_batch_norm(model).",
        )
    against = [path for path in frozen if path in moved and path not in before.trainable]
    if against:
        yield Finding(
            "moved-though-frozen",
            "error",
            f"{tables.plural(len(against), 'weight')} moved though frozen now and at the snapshot "
            f"({_few(against)}).",
            "Compile after freezing and before fit; a load of other weights also does this.",
        )
    yield from _unmoved(now, moved, before)
    backbone = {id(weight) for weight in parts.backbone.weights} if parts.nested else set()
    moved_outside = any(path in moved and id(weights[path]) not in backbone for path in now)
    unmoved = parts.nested and not any(id(weights[path]) in backbone for path in moved)
    if unmoved and moved_outside and expect != "feature extraction":
        yield Finding(
            "backbone-unmoved",
            "note",
            "The head moved and nothing in the backbone did: this was feature extraction.",
            "If you meant to fine-tune, unfreeze, compile, fit, and audit with "
            'expect="fine-tuning".',
        )


def _unmoved(now: list[str], moved: set[str], before: Snapshot) -> Iterator:
    still = [path for path in now if path not in moved and path in before.trainable]
    fresh = [path for path in now if path not in moved and path not in before.trainable]
    if still:
        yield Finding(
            "did-not-move",
            "warning",
            f"{tables.plural(len(still), 'weight')} did not move though trainable now and at the "
            f"snapshot ({_few(still)}).",
            "Compile after unfreezing and before fit; units that never fire, or steps too small "
            "for float32, also do this.",
        )
    if fresh:
        yield Finding(
            "not-trained-yet",
            "note",
            f"{tables.plural(len(fresh), 'weight')} became trainable since the snapshot and did "
            f"not move ({_few(fresh)}).",
            "Compile and fit; if you did, in this order, look for a stale compile.",
        )


def _inputs(parts: Structure, images) -> Iterator:
    from tlcourse import preprocessing
    from tlcourse.models import table

    question = "inputs fit the backbone"
    try:
        facts = table.lookup(parts.backbone.name)
    except ValueError:
        facts = None
    layer = next(
        (x for x in structure.walk(parts.model) if isinstance(x, preprocessing.Preprocess)), None
    )
    if layer is not None and facts is not None and layer.mode != facts.mode:
        yield Finding(
            "wrong-preprocessing",
            "error",
            f"The preprocessing inside the model is of mode {layer.mode!r}; the backbone "
            f"{facts.name} wants {facts.mode!r}.",
            f"Build the model with Preprocess({facts.name!r}).",
        )
    if images is None:
        yield question, "not checked; give images"
        return
    try:
        sentences = preprocessing.check(images, parts.model)
    except ValueError:
        if facts is None:
            yield question, "not checked: the model does not show what it wants"
            yield Finding(
                "unknown-preprocessing",
                "note",
                f"The model has no preprocessing inside, and {parts.backbone.name!r} is no "
                "backbone of this course.",
                "Call preprocessing.check(images, mode, prepared=True) with the mode it wants.",
            )
            return
        sentences = preprocessing.check(images, facts.name, prepared=True)
    yield question, "no" if sentences else "nothing looks wrong"
    for sentence in sentences:
        yield Finding("inputs", "warning", sentence, "See preprocessing.explain for the backbone.")


def _output(model) -> Iterator:
    question = "loss fits the output"
    loss = getattr(model, "loss", None)
    if not model.compiled or loss is None:
        yield question, "not compiled yet"
        return
    outputs = keras.tree.flatten(getattr(model, "outputs", None) or [])
    if len(outputs) != 1:
        yield question, "not checked: the model has not exactly one output"
        return
    if isinstance(loss, list | tuple | dict) and len(loss) == 1:
        loss = next(iter(loss.values() if isinstance(loss, dict) else loss))
    logits = _wants_logits(loss)
    activation = _activation(outputs[0]._keras_history.operation)
    if activation == "softmax" and outputs[0].shape[-1] == 1:
        yield Finding(
            "softmax-of-one",
            "error",
            "The output is a softmax over one unit, which always says 1.",
            "Use a sigmoid for one unit, or one unit per class.",
        )
    if logits is None or activation is None:
        yield question, "not checked: not a cross-entropy on a plain output"
    elif logits and activation in ("softmax", "sigmoid"):
        yield question, "no"
        yield Finding(
            "double-activation",
            "error",
            f"The output has a {activation} and the loss has from_logits=True, so it is applied "
            "twice.",
            "Compile with from_logits=False, or take the activation away.",
        )
    elif not logits and activation == "linear":
        yield question, "no"
        yield Finding(
            "missing-activation",
            "error",
            "The output has no activation and the loss has from_logits=False, so logits are taken "
            "for probabilities.",
            "Compile with from_logits=True, or add the activation.",
        )
    else:
        yield question, f"yes: {activation}, from_logits={logits}"


def _wants_logits(loss) -> bool | None:
    """Whether a cross-entropy expects logits; None for any other loss."""
    if hasattr(loss, "from_logits"):
        return bool(loss.from_logits)
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", "")
    return False if name.lower().replace("_", "").endswith("crossentropy") else None


def _activation(layer) -> str | None:
    """The name of what a model's last layer applies; None if it does not show."""
    while isinstance(layer, keras.Model):
        layer = layer.layers[-1]
    if isinstance(layer, keras.layers.Softmax):
        return "softmax"
    name = getattr(getattr(layer, "activation", None), "__name__", None)
    return name if name in ("softmax", "sigmoid", "linear") else None


def _few(paths: list[str]) -> str:
    return ", ".join(paths[:3]) + (", …" if len(paths) > 3 else "")
