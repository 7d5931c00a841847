"""Exercises of chapter 02: feature extraction and fine-tuning."""

import numpy as np

from tlcourse.exercises import toys
from tlcourse.exercises.catalogue import task
from tlcourse.exercises.judging import Attempt

# 02.1


def _share_left(model, share):
    cut = int(share * len(model.layers))
    left = sum(layer.count_params() for layer in model.layers[cut:])
    return 100 * left / model.count_params()


@task(
    "02.1",
    "Half the layers",
    kind="predict",
    minutes=6,
    form="prediction",
    wants='your guess and your function, as in `check("02.1", (guess, share_left))`',
    hints=(
        "`layer.count_params()` counts the numbers in one layer. `model.layers` is a list of them, "
        "from the input to the output.",
        "Cut the list at `int(share * len(model.layers))`. What lies behind the cut can still train.",
        "Sum `count_params()` over `model.layers[cut:]`, divide by `model.count_params()`, and "
        "multiply by 100.",
    ),
    diagnoses={
        "layers": "You count layers. Ask each layer how many numbers it holds: the late ones hold "
        "most of them.",
        "arrays": "You count weight arrays, and each counts once however many numbers are in it. "
        "Count the numbers.",
        "frozen": "That is the share that is frozen. Wanted is the share that can still train.",
        "fraction": "The numbers are right as fractions of 1; wanted are percent.",
        "from the output": "You freeze from the output. Freezing starts at the input, so the last "
        "layers stay trainable.",
        "trainable only": "You leave out what was not trainable before. Count all parameters: the "
        "cut alone decides here.",
    },
    because="Channels grow from stage to stage, and a convolution holds the product of its channels "
    "in and out. So the last layers hold nearly everything, and 'half the layers frozen' freezes "
    "next to nothing.",
)
def half_the_layers(attempt: Attempt):
    models = [toys.pyramid(), toys.pyramid((4, 6, 6, 40)), _uneven()]
    for layer in models[2].layers[::2]:
        layer.trainable = False
    cases = [(model, share) for model in models for share in (0.0, 0.25, 0.5, 0.8)]

    def arrays(model, share):
        cut = int(share * len(model.layers))
        count = [len(layer.weights) for layer in model.layers]
        return 100 * sum(count[cut:]) / sum(count)

    def from_the_output(model, share):
        cut = int(share * len(model.layers))
        kept = model.layers[: len(model.layers) - cut]
        return 100 * sum(layer.count_params() for layer in kept) / model.count_params()

    def trainable(model, share, total=None):
        counts = [sum(int(np.prod(w.shape)) for w in x.trainable_weights) for x in model.layers]
        return 100 * sum(counts[int(share * len(counts)) :]) / (total or sum(counts))

    got = _compare_numbers(
        attempt,
        cases,
        _share_left,
        {
            "fraction": lambda m, s: _share_left(m, s) / 100,
            "frozen": lambda m, s: 100 - _share_left(m, s),
            "layers": lambda m, s: 100 * (1 - int(s * len(m.layers)) / len(m.layers)),
            "arrays": arrays,
            "from the output": from_the_output,
            "trainable only": trainable,
            "trainable only ": lambda m, s: trainable(m, s, m.count_params()),
        },
    )
    attempt.measured(got[2], "%")


def _uneven():
    """A model whose layers differ in their number of arrays, too, and where the middle is large."""
    import keras

    layers = [keras.layers.Conv2D(12, 3), keras.layers.MaxPooling2D(), keras.layers.Conv2D(40, 3)]
    layers += [keras.layers.BatchNormalization(), keras.layers.Conv2D(2, 1, use_bias=False)]
    return keras.Sequential([keras.Input((16, 16, 3)), *layers])


def _compare_numbers(attempt, cases, right, mistakes):
    """Compare without copying the models, which copies badly."""
    wanted = [right(*case) for case in cases]
    made = {key: [mistake(*case) for case in cases] for key, mistake in mistakes.items()}
    got = [attempt.number(attempt.call(*case)) for case in cases]
    if np.allclose(got, wanted, rtol=1e-3):
        return got
    for key, numbers in made.items():
        if np.allclose(got, numbers, rtol=1e-3):
            attempt.wrong(key.strip())
    first = int(np.argmax(~np.isclose(got, wanted, rtol=1e-3)))
    model, share = cases[first]
    case = f"{len(model.layers)} layers and a share of {share:g}"
    attempt.wrong("other", case=case, got=got[first], want=wanted[first])


# 02.2


@task(
    "02.2",
    "A head on a frozen backbone",
    kind="write",
    minutes=8,
    wants="a function of a backbone and a number of classes that returns a Keras model",
    hints=(
        "Three things follow each other: the backbone, one mean per channel, and a Dense layer.",
        "`backbone.trainable = False` freezes. `keras.layers.GlobalAveragePooling2D()` takes the "
        "means.",
        "`keras.Sequential([backbone, keras.layers.GlobalAveragePooling2D(), "
        'keras.layers.Dense(classes, activation="softmax")])`, with the backbone frozen.',
    ),
    diagnoses={
        "backbone open": "Training could still change {count} arrays of the backbone. Freeze it "
        "whole, BatchNormalization included.",
        "all frozen": "Nothing is left to train. Freeze the backbone only, not the model around "
        "it.",
        "not pooled": "The head sees every place of the map: its kernel has shape {got} where "
        "{want} is enough. Take the mean of each channel first.",
        "more than a head": "Apart from the backbone, {count} arrays are trained. One Dense layer "
        "has two.",
        "scores": "The rows do not sum to 1, so they are no probabilities. What activation does "
        "the head need?",
        "double softmax": "The rows sum to 1, but they are squeezed towards equal shares: softmax "
        "was applied twice.",
        "other backbone": "Your model does not contain the backbone that it was given, but a copy "
        "or a new one. The pretrained weights are in the one that was given.",
        "classes": "For {images} images and {classes} classes, probabilities of shape {want} are "
        "wanted; yours have {got}.",
    },
    because="That is feature extraction: the backbone looks, and only the head learns.",
)
def head_on_frozen(attempt: Attempt):
    for classes in (3, 5):
        backbone = toys.backbone()
        model = attempt.call(backbone, classes)
        images, _ = toys.images(6)
        output = attempt.array(model(images))
        want = (6, classes)
        attempt.require(
            output.shape == want, "classes", images=6, classes=classes, want=want, got=output.shape
        )
        own = {id(w) for w in backbone.weights}
        inside = {id(w) for w in model.weights}
        attempt.require(own <= inside, "other backbone")
        open_ = [w for w in model.trainable_weights if id(w) in own]
        attempt.require(not open_, "backbone open", count=len(open_))
        head = model.trainable_weights
        attempt.require(bool(head), "all frozen")
        attempt.require(len(head) == 2, "more than a head", count=len(head))
        channels = backbone.output_shape[-1]
        kernel = max(head, key=lambda w: len(w.shape))
        attempt.require(
            tuple(kernel.shape) == (channels, classes),
            "not pooled", want=(channels, classes), got=tuple(kernel.shape),
        )  # fmt: skip
        attempt.require(np.allclose(output.sum(1), 1, atol=1e-4), "scores")
        # Scores of 30, 0, 0, … make one probability of nearly 1, unless softmax comes twice.
        for weight in head:
            weight.assign(30.0 * (np.indices(weight.shape).sum(0) == 0) * (len(weight.shape) == 1))
        attempt.require(float(attempt.array(model(images)).max()) > 0.95, "double softmax")


# 02.3


@task(
    "02.3",
    "Pay for the backbone once",
    kind="write",
    minutes=10,
    wants="a function of extract, step, x, y, epochs, batch and seed",
    hints=(
        "A frozen backbone says the same of an image in every epoch. Where does the call of "
        "`extract` belong, then?",
        "Extract before the loop over epochs. In each epoch draw an order with "
        "`rng.permutation(len(x))`, and use it for features and labels alike.",
        "Inside the loop: `for start in range(0, len(x), batch): part = order[start : start + "
        "batch]; step(features[part], y[part])`.",
    ),
    diagnoses={
        "every epoch": "The backbone ran {ran} times over {images} images. Once for each is "
        "enough: it is frozen, so its answer does not change.",
        "labels lost": "A label came with the features of another image. One order has to serve "
        "both.",
        "images lost": "An epoch has to see each of the {images} images once; one of yours saw "
        "{seen}. Is the last, smaller batch left out?",
        "epochs": "{want} epochs were asked for; yours trained for {got}.",
        "same order": "Every epoch goes through the images in the same order. Draw a new one for "
        "each.",
        "batch": "A step saw {got} images at once; at most {want} were asked for.",
        "never trains": "`step` was never called, so the head learns nothing.",
        "raw": "`step` got something that is not what `extract` gave. The head learns from "
        "features.",
    },
    because="The dear part runs once for each image; an epoch is then one pass of a Dense layer.",
)
def pay_once(attempt: Attempt):
    for images, batch, epochs in ((10, 4, 3), (12, 5, 4)):
        _pay_once(attempt, images, batch, epochs)


def _pay_once(attempt, images, batch, epochs):
    x = attempt.rng.random((images, 2, 2, 3)).astype("float32")
    y = attempt.rng.permutation(images)  # each image has a label of its own
    truth = x.reshape(images, -1) * 10 + 1
    ran, steps = [], []

    def extract(some):
        ran.append(len(some))
        return np.asarray(some).reshape(len(some), -1) * 10 + 1

    def step(features, labels):
        steps.append((np.array(features), np.array(labels)))

    attempt.run(extract, step, x.copy(), y.copy(), epochs, batch, 0)
    attempt.require(bool(steps), "never trains")
    largest = max(len(labels) for _, labels in steps)
    attempt.require(largest <= batch, "batch", got=largest, want=batch)
    seen = []
    for features, labels in steps:
        fits = features.ndim == 2 and len(features) == len(labels)
        attempt.require(fits and features.shape[1] == truth.shape[1], "raw")
        who = [int(np.argmin(np.abs(truth - row).sum(1))) for row in features]
        attempt.require(np.allclose(truth[who], features, atol=1e-3), "raw")
        attempt.require(np.array_equal(y[who], labels), "labels lost")
        seen += who
    attempt.require(sum(ran) <= images, "every epoch", ran=sum(ran), images=images)
    rounds, rest = divmod(len(seen), images)
    if rest and len(set(seen[:images])) < images:
        attempt.wrong("images lost", images=images, seen=len(seen) // epochs)
    attempt.require(not rest and rounds == epochs, "epochs", want=epochs, got=rounds)
    orders = [tuple(seen[i * images : (i + 1) * images]) for i in range(rounds)]
    distinct = min(len(set(order)) for order in orders)
    attempt.require(distinct == images, "images lost", images=images, seen=distinct)
    attempt.require(len(set(orders)) > 1, "same order")


# 02.4


@task(
    "02.4",
    "Fine-tuning that never was",
    kind="find the bug",
    minutes=10,
    wants="your mended function of model, backbone, x and y",
    hints=(
        "After the first `fit`, Keras keeps the training step that it compiled. What would make it "
        "notice that something is trainable now?",
        "Call `model.compile` after you change `trainable`, and before the second `fit`.",
        "`backbone.trainable = True`, then `model.compile(keras.optimizers.Adam(1e-5), "
        '"sparse_categorical_crossentropy")`, then `model.fit`.',
    ),
    diagnoses={
        "one stage": "`fit` ran {count} times; wanted are two stages, the head first.",
        "open at once": "The backbone moved while the head was trained. It has to be frozen in the "
        "first stage.",
        "never compiled again": "The backbone is trainable now, and still none of its weights "
        "moved: the second `fit` ran the training step that was compiled while it was frozen.",
        "never unfrozen": "The backbone is frozen to the end, so the second `fit` trains the head "
        "a little more. Nothing was fine-tuned.",
        "compiled too early": "You compile a second time, but before you unfreeze: the new step "
        "is made for a frozen backbone, too.",
        "same rate": "The second stage runs at {second}, the first at {first}. A pretrained "
        "backbone wants a rate ten times as small at least.",
        "head frozen": "The head did not move in the second stage. It has to follow the features, "
        "which change under it.",
    },
    because="`trainable` is read when a model is compiled. Unfreeze, compile, fit, in this order. "
    "`freezing.audit` finds the fault in models that you did not write.",
)
def never_tuned(attempt: Attempt):
    import keras

    backbone = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(6, "relu", name="body")], name="backbone"
    )
    head = keras.layers.Dense(3, "softmax", name="head")
    model = keras.Sequential([keras.Input((4,)), backbone, head])
    x = attempt.rng.random((12, 4)).astype("float32")
    y = attempt.rng.integers(0, 3, 12)
    moved, rates, compiled_when = [], [], []
    fit, compile_ = model.fit, model.compile

    def arrays(layer):
        return [keras.ops.convert_to_numpy(w).copy() for w in layer.weights]

    def watched_fit(*arguments, **named):
        before = arrays(backbone), arrays(head)
        rates.append(float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)))
        history = fit(*arguments, **{"verbose": 0} | named)
        after = arrays(backbone), arrays(head)
        moved.append(
            tuple(
                any(not np.array_equal(a, b) for a, b in zip(one, two, strict=True))
                for one, two in zip(before, after, strict=True)
            )
        )
        return history

    def watched_compile(*arguments, **named):
        compiled_when.append(bool(backbone.trainable_weights))
        return compile_(*arguments, **named)

    model.fit, model.compile = watched_fit, watched_compile
    attempt.run(model, backbone, x, y)
    attempt.require(len(moved) >= 2, "one stage", count=len(moved))
    attempt.require(not moved[0][0], "open at once")
    if not any(body for body, _ in moved[1:]):
        attempt.require(bool(backbone.trainable_weights), "never unfrozen")
        attempt.wrong("never compiled again" if len(compiled_when) < 2 else "compiled too early")
    attempt.require(moved[-1][1], "head frozen")
    attempt.require(
        rates[-1] <= rates[0] / 10 * 1.001, "same rate", first=rates[0], second=rates[-1]
    )


# 02.5


@task(
    "02.5",
    "A fair comparison",
    kind="experiment",
    minutes=12,
    wants="a function of subset, run, n and seeds that returns a list, one difference for each seed",
    hints=(
        "What differs between the two runs of a pair has to be the way of training, and nothing "
        "else.",
        "For each seed: draw the labels once, train both ways on them with that seed, subtract.",
        '`x, y = subset(n, seed)`, then `run("fine-tune", x, y, seed) - run("head", x, y, seed)`, '
        "for each seed.",
    ),
    diagnoses={
        "other labels": "In a pair, the two ways were trained on different labels. Then luck with "
        "the labels looks like a difference between the ways.",
        "other seeds": "In a pair, the two ways were trained with different seeds. Use the same "
        "one for both.",
        "one subset": "All pairs share one subset of the labels, so you learn nothing of other "
        "draws. Draw with the seed of the pair.",
        "one seed": "All pairs train with one seed. Use the seed of the pair.",
        "chosen": "{count} runs were made for {pairs} pairs. Whoever runs more often and keeps "
        "what he likes will always find something.",
        "missing way": "Both ways have to be run for each seed; {count} runs were made for {pairs} "
        "pairs.",
        "sign": "The signs are turned round: positive is to mean that fine-tuning won.",
        "one number": "That is one number. Hand back a difference for each seed: without them, "
        "nobody can say how sure it is.",
        "length": "{got} differences for {want} seeds.",
        "size": "Each subset is to have {want} images; yours asked for {got}.",
    },
    because="Paired runs share the luck with the labels, so it cancels. What is left, over several "
    "seeds, is the difference between the ways and how well you know it.",
)
def fair(attempt: Attempt):
    for n, seeds in ((20, [0, 1, 2]), (50, [7, 3, 11, 5])):
        _fair(attempt, n, seeds)


def _fair(attempt, n, seeds):
    draws, runs = [], []

    def subset(count, seed):
        draws.append(count)
        return np.full((count, 2), seed), np.full(count, 1)

    def score(way, drawn, seed):
        noise = np.random.default_rng([int(drawn), int(seed)]).random()
        return round(0.7 + 0.1 * noise + (0.02 + 0.03 * noise) * (way == "fine-tune"), 6)

    def run(way, x, y, seed):
        if way not in ("head", "fine-tune"):
            raise ValueError(f'way is {way!r}; write "head" or "fine-tune"')
        runs.append((way, int(np.asarray(x)[0, 0]), int(seed)))
        return score(*runs[-1])

    got = attempt.call(subset, run, n, list(seeds))
    for count in draws:
        attempt.require(count == n, "size", want=n, got=count)
    pairs, ways = len(seeds), [way for way, _, _ in runs]
    facts = {"count": len(runs), "pairs": pairs}
    few = min(ways.count("head"), ways.count("fine-tune")) < pairs
    attempt.require(not few, "missing way", **facts)
    attempt.require(len(runs) == 2 * pairs, "chosen", **facts)
    one, other = (sorted(r[1:] for r in runs if r[0] == way) for way in ("head", "fine-tune"))
    attempt.require([d for d, _ in one] == [d for d, _ in other], "other labels")
    attempt.require(one == other, "other seeds")
    attempt.require(len({drawn for drawn, _ in one}) == pairs, "one subset")
    attempt.require(len({seed for _, seed in one}) == pairs, "one seed")
    attempt.require(np.ndim(got) == 1, "one number")
    got = attempt.array(got)
    attempt.require(len(got) == pairs, "length", got=len(got), want=pairs)
    found = {seed: score("fine-tune", d, seed) - score("head", d, seed) for d, seed in one}
    want = np.array([found.get(seed, np.nan) for seed in seeds])
    attempt.require(not np.allclose(got, -want), "sign")
    attempt.require(np.allclose(got, want), "other", case=f"seeds {seeds}", got=got, want=want)
