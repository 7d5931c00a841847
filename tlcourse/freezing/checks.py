"""The mechanism checks: does training do what the code says it does."""

import html
from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from tlcourse.freezing import reports, structure, tables
from tlcourse.freezing.structure import BatchNorm, Structure

EXPECTATIONS = ("feature extraction", "fine-tuning")
HEAD = ("question", "answer")


@dataclass(frozen=True)
class Finding:
    """Something that the reader should know.

    Attributes:
        code: a fixed name, such as "stale-compile".
        severity: "error" (training does something else than the code says), "warning" (it often
            costs accuracy) or "note" (fine if you meant it).
        sentence: what was found.
        remedy: how to mend it.
    """

    code: str
    severity: str
    sentence: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.severity.upper()} {self.code}: {self.sentence} {self.remedy}"


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


@dataclass(frozen=True, repr=False)
class Audit:
    """The answers of `audit`, as a table that text and notebooks show.

    The text holds names and counts only, so that it is equal on every machine; the sizes of the
    changes are in `batch_norms`, in `changes` and in the notebook's table.

    Attributes:
        facts: pairs of question and answer.
        findings: what needs attention, errors first.
        batch_norms: every BatchNormalization layer of the model.
        changes: largest absolute change of each weight since the snapshot, by its path; empty
            without a snapshot.
        report: the trainable parameters block by block.
    """

    facts: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]
    batch_norms: tuple[BatchNormState, ...]
    changes: dict[str, float]
    report: reports.Report

    @property
    def ok(self) -> bool:
        """Whether there is no error and no warning; notes do not count."""
        return all(finding.severity == "note" for finding in self.findings)

    def found(self, code: str) -> bool:
        """Whether there is a finding of that code."""
        return any(finding.code == code for finding in self.findings)

    def _verdict(self) -> str:
        counts = [
            tables.plural(sum(f.severity == severity for f in self.findings), severity)
            for severity in ("error", "warning", "note")
        ]
        return f"{'ok' if self.ok else 'not ok'}: {', '.join(counts)}"

    def __str__(self) -> str:
        findings = [str(finding) for finding in self.findings]
        return "\n".join([tables.text(HEAD, self.facts), *findings, self._verdict()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{html.escape(str(finding))}</li>" for finding in self.findings)
        moved = [norm for norm in self.batch_norms if norm.moved]
        rows = [(n.name, f"{n.mean_change:.2g}", f"{n.variance_change:.2g}") for n in moved]
        head = ("BatchNormalization that moved", "moving_mean", "moving_variance")
        sizes = tables.as_html(head, rows, (1, 2)) if rows else ""
        table = tables.as_html(HEAD, self.facts)
        return f"{table}<ul>{items}</ul><p>{html.escape(self._verdict())}</p>{sizes}"


def snapshot(model: keras.Model) -> Snapshot:
    """Copy a model's weights, to give to `audit` after training.

    Args:
        model: a built Keras model.

    Returns:
        A `Snapshot`. It takes as much memory as the weights.

    Raises:
        ValueError: the model has no weights yet.
    """
    weights = _by_path(model)
    if not weights:
        raise ValueError(
            f"Model {model.name!r} has no weights yet; call it on a batch, or give it an Input "
            "with a shape, before the snapshot."
        )
    trained = {id(weight) for weight in model.trainable_weights}
    return Snapshot(
        {path: _value(weight) for path, weight in weights.items()},
        frozenset(path for path, weight in weights.items() if id(weight) in trained),
    )


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
        _check_same_model(model, before)
    report = reports.of(parts)
    weights = _by_path(model)
    changes = _changes(weights, before) if before else {}
    norms = _batch_norms(parts, weights, changes)
    facts, findings = [], []
    for check in (
        _trainable(report, expect),
        _compiled(model),
        _batch_norm(parts, norms),
        _moved(parts, weights, changes, before, norms) if before else (),
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


def _batch_norms(parts: Structure, weights, changes) -> list[BatchNormState]:
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
    state = [(variable, _value(variable)) for variable in model.variables]
    statistics = [(id(n), v, _value(v)) for n in norms for v in (n.moving_mean, n.moving_variance)]
    try:
        model(_noise(model), training=True)
        return {norm for norm, variable, was in statistics if (_value(variable) != was).any()}
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


def _moved(parts: Structure, weights, changes, before: Snapshot, norms) -> Iterator:
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
    broken = [path for path, weight in weights.items() if not np.isfinite(_value(weight)).all()]
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
    if parts.nested and moved_outside and not any(id(weights[p]) in backbone for p in moved):
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


def _check_same_model(model, before: Snapshot) -> None:
    shapes = {path: tuple(weight.shape) for path, weight in _by_path(model).items()}
    if shapes != {path: value.shape for path, value in before.values.items()}:
        raise ValueError(
            f"The snapshot has {len(before.values)} weights and model {model.name!r} has "
            f"{len(shapes)}, with other names or shapes; take the snapshot of the same model."
        )


def _changes(weights, before: Snapshot) -> dict[str, float]:
    return {path: _difference(_value(w), before.values[path]) for path, w in weights.items()}


def _difference(now: np.ndarray, was: np.ndarray) -> float:
    return float(np.abs(now.astype(float) - was.astype(float)).max(initial=0.0))


def _by_path(model) -> dict[str, object]:
    """Every weight by the names of the models around it and its own path, in order."""
    found: dict[str, object] = {}
    known: set[int] = set()

    def visit(layer, prefix):
        if isinstance(layer, keras.Model):
            for child in structure.children(layer):
                visit(child, f"{prefix}{layer.name}/" if layer is not model else prefix)
        for weight in layer.weights:
            if id(weight) not in known:
                known.add(id(weight))
                path, copies = prefix + weight.path, 2
                while path in found:
                    path, copies = f"{prefix}{weight.path} ({copies})", copies + 1
                found[path] = weight

    visit(model, "")
    return found


def _value(variable) -> np.ndarray:
    return np.array(ops.convert_to_numpy(variable))


def _few(paths: list[str]) -> str:
    return ", ".join(paths[:3]) + (", …" if len(paths) > 3 else "")
