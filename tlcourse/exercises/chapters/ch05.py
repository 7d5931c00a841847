"""Exercises of chapter 05: which layers to freeze."""

from types import SimpleNamespace

import numpy as np

from tlcourse.exercises import toys
from tlcourse.exercises.catalogue import task
from tlcourse.exercises.judging import Attempt

# 05.1


@task(
    "05.1",
    "How fast statistics drift",
    kind="predict",
    minutes=6,
    form="prediction",
    wants='your guess and your function, as in `check("05.1", (guess, way_gone))`',
    hints=(
        "Write the loop: start at 0, let every batch have the mean 1, and apply the update once "
        "for each batch.",
        "`mean = momentum * mean + (1 - momentum) * 1`, as many times as there are batches.",
        "Return `100 * mean`. Or, without a loop: what is left of the way shrinks by the factor "
        "`momentum` in each step.",
    ),
    diagnoses={
        "linear": "You add the same step for every batch. Each step goes a share of what is still "
        "left, so steps become smaller.",
        "left": "That is how much of the way is left. Wanted is how much is gone.",
        "fraction": "The numbers are right as fractions of 1; wanted are percent.",
        "momentum": "You take the momentum for the share that is new. It is the share that is "
        "kept.",
        "one step": "You are one batch off: after no batch nothing has moved, after one the "
        "first step has been made.",
    },
    because="So BatchNormalization that is left on has forgotten most of its pretrained statistics "
    "within a few epochs of a small data set, whatever the learning rate: no gradient is involved.",
)
def drift(attempt: Attempt):
    momenta, batches = (0.99, 0.9, 0.5), (100, 0, 1, 7)
    cases = [(momentum, count) for momentum in momenta for count in batches]
    mistakes = {
        "fraction": lambda m, n: 1 - m**n,
        "left": lambda m, n: 100 * m**n,
        "linear": lambda m, n: 100 * (1 - m) * n,
        "linear ": lambda m, n: min(100, 100 * (1 - m) * n),
        "momentum": lambda m, n: 100 * (1 - (1 - m) ** n),
        "one step": lambda m, n: 100 * (1 - m ** (n + 1)),
        "one step ": lambda m, n: 100 * (1 - m ** max(n - 1, 0)),
    }
    got = attempt.compare(cases, lambda m, n: 100 * (1 - m**n), mistakes)
    attempt.measured(float(got[0]), "%")


# 05.2


def _network(names, frozen=()):
    layers = [SimpleNamespace(name=name, trainable=i not in frozen) for i, name in enumerate(names)]
    return SimpleNamespace(name="network", layers=layers)


RESNET = [
    "input",
    "conv1_conv",
    "conv2_block1_1_conv",
    "conv3_block4_1_conv",
    "conv4_block1_1_conv",
]
RESNET += ["conv4_block6_2_conv", "conv5_block1_1_conv", "conv5_block3_out"]
VGG = ["input", "block1_conv1", "block1_pool", "block4_conv1", "block4_conv2", "block5_conv1"]


@task(
    "05.2",
    "A name that matches nothing",
    kind="write",
    minutes=8,
    wants="a function of a model and a prefix that sets `trainable` of its layers",
    hints=(
        "First find the place: the number of the first layer whose name starts with the prefix. "
        "Only then change anything.",
        "`name.startswith(prefix)` is not `prefix in name`. And what if no name starts so?",
        "If there is none, `raise ValueError(...)` with a sentence that names the prefix, before "
        "any layer is touched. Then `layer.trainable = index >= first` for every layer.",
    ),
    diagnoses={
        "inside": "`{prefix}` also stands in the middle of `{name}`, and that is where you cut. "
        "Ask how the name starts.",
        "silent": "No name starts with `{prefix}`, and your function said nothing: the model is "
        "now {state}, and whoever misspelt the name will not learn of it. Raise a ValueError.",
        "half changed": "Your function raised, as it should, but had already changed layers. Find "
        "the place first, then change.",
        "wrong side": "You froze what comes after the cut. The first layers see edges and "
        "textures, which serve other tasks, too: they are frozen.",
        "cut frozen": "The layer at which you cut, `{name}`, is to be trainable.",
        "only matching": "You opened the layers whose names start with `{prefix}`, and froze those "
        "behind them. Freezing *until* a place leaves everything from there on trainable.",
        "not opened": "A layer behind the cut was frozen before and still is. Set `trainable` of "
        "every layer, both ways.",
        "other error": "You raise a {got} if nothing matches; a ValueError says what it is: a "
        "wrong argument.",
    },
    because="A helper that accepts every name freezes by accident. `freezing.freeze` raises, too, "
    "and lists the names that there are.",
)
def by_name(attempt: Attempt):
    for names, prefix in ((VGG, "block4"), (RESNET, "conv4"), (RESNET, "conv5_block3")):
        model = _network(names, frozen=(0, len(names) - 1))
        attempt.run(model, prefix)
        first = next(i for i, name in enumerate(names) if name.startswith(prefix))
        got = [layer.trainable for layer in model.layers]
        if got == [i < first for i in range(len(names))]:
            attempt.wrong("wrong side")
        if not got[-1] and got == [name.startswith(prefix) for name in names]:
            open_model = _network(names, frozen=())  # here the two mistakes differ
            attempt.run(open_model, prefix)
            attempt.require(open_model.layers[-1].trainable, "only matching", prefix=prefix)
        if got[:first] == [False] * first:
            attempt.require(got[first], "cut frozen", name=names[first])
            attempt.require(got[-1] or not all(got[first:-1]), "not opened")
        _frozen_until(attempt, names, prefix, got, first)
    for names, prefix in ((RESNET, "block4"), (RESNET, "conv9")):
        model = _network(names, frozen=(2,))
        before = [layer.trainable for layer in model.layers]
        if refused := attempt.refusal(model, prefix):
            attempt.require(refused == "ValueError", "other error", got=refused)
            after = [layer.trainable for layer in model.layers]
            attempt.require(after == before, "half changed")
            continue
        got = [layer.trainable for layer in model.layers]
        inside = [i for i, name in enumerate(names) if prefix in name]
        if inside and got[inside[0]] and not any(got[: inside[0]]):
            attempt.wrong("inside", prefix=prefix, name=names[inside[0]])
        open_ = sum(got)
        state = "frozen whole" if not open_ else "trainable whole" if all(got) else "as it was"
        attempt.wrong("silent", prefix=prefix, state=state)


def _frozen_until(attempt, names, prefix, got, first):
    want = [i >= first for i in range(len(names))]
    if got != want:
        shown = ", ".join(name for name, trainable in zip(names, got, strict=True) if trainable)
        right = ", ".join(names[first:])
        attempt.wrong(
            "other", case=f"the prefix {prefix}", got=f"as trainable: {shown or 'nothing'}",
            want=right,
        )  # fmt: skip


# 05.3


def _nested():
    """A backbone with BatchNormalization at the top and inside a nested model, under odd names."""
    import keras

    inner = toys.backbone()
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.BatchNormalization(name="stem_standardise")(inputs)
    x = inner(x)
    x = keras.layers.Conv2D(5, 1, name="top_conv")(x)
    x = keras.layers.BatchNormalization(name="top_bn")(x)
    return keras.Model(inputs, x, name="outer")


def _leaves(model):
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _leaves(layer)
        else:
            yield layer


@task(
    "05.3",
    "Statistics that drift",
    kind="find the bug",
    minutes=10,
    wants="your mended function of a backbone",
    hints=(
        "Setting `trainable` of a model sets it for every layer inside. What does the last line "
        "undo, then?",
        "Open the whole backbone first, then freeze each BatchNormalization.",
        "A layer may itself be a model with layers: write a function that calls itself for each "
        "layer that has `layers`.",
    ),
    diagnoses={
        "undone": "Every BatchNormalization is trainable at the end. What you freeze before you "
        "open the whole backbone is opened with it.",
        "nested": "A BatchNormalization inside a nested model, `{name}`, is still trainable. Go "
        "through the layers of layers.",
        "names": "`{name}` is a BatchNormalization that your function missed. Ask for the type, "
        "not for the name.",
        "kernels frozen": "`{name}` is frozen. Everything but BatchNormalization is to be trained.",
        "all frozen": "Nothing of the backbone can be trained now.",
        "batch statistics": "The running statistics stand still, but in training each batch is "
        "still standardised with its own. Freeze the layers.",
    },
    because="In Keras a frozen BatchNormalization runs in inference mode: it keeps its pretrained "
    "statistics and uses them. `freezing.unfreeze` does this for you.",
)
def bn_stays(attempt: Attempt):
    import keras

    model = _nested()
    model.trainable = False
    attempt.run(model)
    leaves = [layer for layer in _leaves(model) if layer.weights]
    norms = [x for x in leaves if isinstance(x, keras.layers.BatchNormalization)]
    kernels = [x for x in leaves if x not in norms]
    attempt.require(bool(model.trainable_weights), "all frozen")
    for layer in kernels:
        attempt.require(bool(layer.trainable_weights), "kernels frozen", name=layer.name)
    open_ = [layer for layer in norms if layer.trainable]
    top = [layer for layer in open_ if layer in model.layers]
    moved = _moves(model)
    if open_ and moved is False:
        attempt.wrong("batch statistics")
    attempt.require(len(open_) < len(norms), "undone")
    if top:
        attempt.wrong("names", name=top[0].name)
    if open_:
        attempt.wrong("nested", name=open_[0].name)


def _moves(model):
    """Whether a pass in training mode moves statistics."""
    import keras

    images, _ = toys.images(8)
    before = [keras.ops.convert_to_numpy(w).copy() for w in model.non_trainable_weights]
    model(5 * images + 3, training=True)
    after = [keras.ops.convert_to_numpy(w) for w in model.non_trainable_weights]
    return any(not np.allclose(a, b, atol=1e-6) for a, b in zip(before, after, strict=True))


# 05.4


@task(
    "05.4",
    "Run the cell again",
    kind="find the bug",
    minutes=8,
    wants="your mended function of a list of blocks and a number",
    hints=(
        "Call it with 3 and then with 1, as somebody does who runs a cell again. Which blocks are "
        "trainable?",
        "Set every block, not only those that are to be opened. And print `blocks[-0:]`.",
        "`for i, block in enumerate(blocks): block.trainable = i >= len(blocks) - n`.",
    ),
    diagnoses={
        "remembers": "After {before} and then {n}, blocks that an earlier call opened are still "
        "open. Each call has to decide about every block.",
        "zero": "With 0, every block is open: `blocks[-0:]` is `blocks[0:]`, the whole list.",
        "wrong end": "You open the blocks at the input. The last ones are meant.",
        "never opens": "With {n}, nothing is trainable.",
        "off by one": "With {n}, {got} blocks are open.",
        "remembers frozen": "After {before} and then {n}, too few blocks are open: opening has to "
        "undo an earlier freeze.",
    },
    because="A function that sets the whole state gives the same model however often and in whatever "
    "order its cell is run.",
)
def again(attempt: Attempt):
    for count in (6, 4):
        blocks = [SimpleNamespace(name=f"block{i}", trainable=True) for i in range(count)]
        before = "all"
        for n in (2, 3, 1, 0, count, 2, 0, 1):
            was = [block.trainable for block in blocks]
            attempt.run(blocks, n)
            got = [block.trainable for block in blocks]
            want = [i >= count - n for i in range(count)]
            if got != want:
                if n == 0 and all(got):
                    attempt.wrong("zero")
                if got == [w or now for w, now in zip(was, want, strict=True)]:
                    attempt.wrong("remembers", before=before, n=n)
                if got == [w and now for w, now in zip(was, want, strict=True)]:
                    attempt.wrong("remembers frozen", before=before, n=n)
                if got == want[::-1]:
                    attempt.wrong("wrong end")
                attempt.require(any(got), "never opens", n=n)
                attempt.wrong("off by one", n=n, got=sum(got))
            before = n


# 05.5


@task(
    "05.5",
    "Freeze every convolution",
    kind="find the bug",
    minutes=8,
    wants="your mended function of a model",
    hints=(
        "Print `isinstance(layer, keras.layers.Conv2D)` for each layer with a kernel.",
        "`DepthwiseConv2D` is not a kind of `Conv2D` in Keras. Which other layers convolve?",
        "`isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, "
        "keras.layers.SeparableConv2D))`, for layers inside nested models, too.",
    ),
    diagnoses={
        "depthwise": "`{name}` is a {kind} and still trainable: it is no subclass of Conv2D.",
        "too much": "`{name}` is frozen now, and it is a {kind}, no convolution.",
        "nested": "`{name}` lies inside a nested model, where your function did not look.",
        "by name": "`{name}` is a convolution; that its name does not say so changes nothing.",
        "opens": "`{name}` was frozen before you came, and your function opened it. It was asked "
        "to freeze.",
    },
    because="MobileNet and EfficientNet are made of depthwise convolutions. Freezing 'all Conv2D' "
    "leaves a layer in each of their blocks open.",
)
def every_convolution(attempt: Attempt):
    import keras

    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="stem")(inputs)
    x = keras.layers.DepthwiseConv2D(3, name="dw_conv")(x)
    x = keras.layers.BatchNormalization(name="dw_conv_bn")(x)
    inside = [
        keras.layers.SeparableConv2D(4, 1, name="sep_conv"),
        keras.layers.Conv2D(4, 1, name="project"),
        keras.layers.LayerNormalization(name="conv_norm"),
    ]
    x = keras.Sequential([keras.Input((4, 4, 4)), *inside], name="nested")(x)
    outputs = keras.layers.Dense(3, name="head")(keras.layers.Flatten()(x))
    model = keras.Model(inputs, outputs)
    model.get_layer("nested").layers[-1].trainable = False
    convolves = {"stem": True, "dw_conv": True, "sep_conv": True, "project": True}
    attempt.run(model)
    found = {layer.name: layer for layer in _leaves(model) if layer.weights}
    missed = [name for name in convolves if found[name].trainable]
    attempt.require(not found["conv_norm"].trainable, "opens", name="conv_norm")
    for name in ("head", "dw_conv_bn"):
        kind = type(found[name]).__name__
        attempt.require(found[name].trainable, "too much", name=name, kind=kind)
    if "project" in missed and "stem" not in missed:
        attempt.wrong("nested", name="project")
    if "stem" in missed:
        attempt.wrong("by name", name="stem")
    for name in missed:
        attempt.wrong("depthwise", name=name, kind=type(found[name]).__name__)


# 05.6


@task(
    "05.6",
    "Which depth?",
    kind="experiment",
    minutes=12,
    wants="a function of depths, seeds, fit, validate and test that returns a depth and its test "
    "accuracy",
    hints=(
        "The test set answers one question, once: how good is what was chosen? Choosing is the "
        "business of the validation set.",
        "Score every depth with every seed on the validation set, and take the mean over seeds.",
        "Then `test(fit(best, seed))` for the best depth only, for one seed or for the mean over "
        "all of them.",
    ),
    diagnoses={
        "test chooses": "`test` was called for {count} depths. Once it has helped to choose, its "
        "number is too good.",
        "depths": "Only {count} of {want} depths were validated.",
        "one seed": "Each depth was tried with one seed only, or with seeds that others did not "
        "get. Luck then decides.",
        "best seed": "Your choice goes by the best seed. A depth that varies more wins that way; "
        "compare means.",
        "validation": "The accuracy that you report is the one on the validation set, which "
        "helped to choose.",
        "worst": "You took the depth with the lowest mean.",
        "not chosen": "The depth that you tested is not the one that you return.",
        "never tested": "`test` was never called, so nobody knows how good the choice is.",
        "pair": "Return two things: the depth and its test accuracy.",
    },
    because="Chosen on one set, reported on another that was opened once: that is the number that "
    "will hold on new images.",
)
def which_depth(attempt: Attempt):
    for depths, seeds in (([0, 2, 5, 9], [0, 1, 2]), ([1, 3, 4], [5, 8, 6, 7])):
        _which_depth(attempt, depths, seeds)


def _which_depth(attempt, depths, seeds):
    rng = attempt.rng
    size = (len(depths), len(seeds))
    validation = np.sort(rng.uniform(0.70, 0.72, size), axis=1)
    validation[1] += 0.04  # best on the mean
    validation[2, -1] = 0.80  # best with its luckiest seed
    validation[0] -= 0.02
    tested = validation + rng.uniform(-0.01, 0.01, size)
    tested[-1 if len(depths) > 3 else 0] = 0.9  # best on the test set
    fitted, validated, opened = [], [], []

    def fit(depth, seed):
        if depth not in depths or seed not in seeds:
            raise ValueError(f"depth {depth} and seed {seed}: take those you were given")
        fitted.append((depth, seed))
        return SimpleNamespace(depth=depth, seed=seed)

    def look(table, seen, model):
        seen.append((model.depth, model.seed))
        return float(table[depths.index(model.depth), seeds.index(model.seed)])

    def validate(model):
        return look(validation, validated, model)

    def test(model):
        return look(tested, opened, model)

    got = attempt.call(list(depths), list(seeds), fit, validate, test)
    attempt.require(isinstance(got, tuple | list) and len(got) == 2, "pair")
    depth, accuracy = got
    several = len({d for d, _ in opened})
    attempt.require(several < 2, "test chooses", count=several)
    tried = {d for d, _ in validated}
    attempt.require(tried == set(depths), "depths", count=len(tried), want=len(depths))
    attempt.require(len(set(validated)) == len(depths) * len(seeds), "one seed")
    attempt.require(several == 1, "never tested")
    means = validation.mean(1)
    accuracy = attempt.number(accuracy)
    attempt.require(depth in depths, "other", case=f"depths {depths}", got=depth, want=depths[1])
    if depth != depths[1]:
        attempt.require(depth != depths[2], "best seed")
        attempt.require(depth != depths[int(np.argmin(means))], "worst")
    attempt.require(opened[0][0] == depth, "not chosen")
    row = depths.index(depth)
    candidates = [tested[row, seeds.index(seed)] for d, seed in opened if d == depth]
    fits = np.isclose([*candidates, np.mean(candidates)], accuracy).any()
    of_validation = np.isclose([*validation[row], means[row]], accuracy).any()
    attempt.require(fits or not of_validation, "validation")
    attempt.require(
        fits and depth == depths[1], "other", case=f"depths {depths}", got=got,
        want=(depths[1], np.mean(candidates)),
    )  # fmt: skip
