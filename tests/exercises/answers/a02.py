"""Answers to the exercises of chapter 02."""

import keras
import numpy as np

from tlcourse.exercises.trials import right, wrong

COSTS = "sparse_categorical_crossentropy"

# 02.1


@right("02.1", guess=50)
def _(model, share):
    sizes = [layer.count_params() for layer in model.layers]
    return sum(sizes[int(share * len(sizes)) :]) / sum(sizes) * 100


@right("02.1", guess=98.8)
def _(model, share):
    frozen = 0
    for layer in model.layers[: int(len(model.layers) * share)]:
        frozen += sum(np.prod(w.shape) for w in layer.weights)
    return 100.0 - 100.0 * frozen / sum(np.prod(w.shape) for w in model.weights)


@wrong("02.1", "layers", guess=50)
def _(model, share):
    n = len(model.layers)
    return len(model.layers[int(n * share) :]) / n * 100


@wrong("02.1", "arrays", guess=50)
def _(model, share):
    rest = model.layers[int(len(model.layers) * share) :]
    return 100 * sum(len(x.weights) for x in rest) / len(model.weights)


@wrong("02.1", "frozen", guess=50)
def _(model, share):
    first = model.layers[: int(len(model.layers) * share)]
    return 100 * sum(x.count_params() for x in first) / model.count_params()


@wrong("02.1", "fraction", guess=0.5)
def _(model, share):
    rest = model.layers[int(len(model.layers) * share) :]
    return sum(x.count_params() for x in rest) / model.count_params()


@wrong("02.1", "from the output", guess=50)
def _(model, share):
    layers = list(reversed(model.layers))[int(len(model.layers) * share) :]
    return 100 * sum(x.count_params() for x in layers) / model.count_params()


@wrong("02.1", "trainable only", guess=50)
def _(model, share):
    for layer in model.layers[: int(len(model.layers) * share)]:
        layer.trainable = False
    return 100 * sum(np.prod(w.shape) for w in model.trainable_weights) / model.count_params()


@wrong("02.1", "other", guess=50)
def _(model, share):
    return 50.0


@wrong("02.1", "AttributeError", guess=50)
def _(model, share):
    return model.trainable_parameters * share


@wrong("02.1", "not a number", guess=50)
def _(model, share):
    return [x.count_params() for x in model.layers]


@wrong("02.1", "returns nothing", guess=50)
def _(model, share):
    print(model.count_params() * share)


@wrong("02.1", "not a guess", guess="half")
def _(model, share):
    return 50.0


# 02.2


def pooled(backbone, classes, activation="softmax"):
    inputs = keras.Input(backbone.input_shape[1:])
    x = keras.layers.GlobalAveragePooling2D()(backbone(inputs, training=False))
    return keras.Model(inputs, keras.layers.Dense(classes, activation)(x))


@right("02.2")
def _(backbone, classes):
    for layer in backbone.layers:
        layer.trainable = False
    return pooled(backbone, classes)


@right("02.2")
def _(backbone, classes):
    backbone.trainable = False
    x = keras.ops.mean(backbone.output, axis=(1, 2))
    x = keras.layers.Activation("softmax")(keras.layers.Dense(classes)(x))
    return keras.Model(backbone.input, x)


@wrong("02.2", "backbone open")
def _(backbone, classes):
    return pooled(backbone, classes)


@wrong("02.2", "backbone open")
def _(backbone, classes):
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.trainable = False
    return pooled(backbone, classes)


@wrong("02.2", "all frozen")
def _(backbone, classes):
    model = pooled(backbone, classes)
    model.trainable = False
    return model


@wrong("02.2", "scores")
def _(backbone, classes):
    backbone.trainable = False
    return pooled(backbone, classes, None)


@wrong("02.2", "scores")
def _(backbone, classes):
    backbone.trainable = False
    return pooled(backbone, classes, "sigmoid")


@wrong("02.2", "double softmax")
def _(backbone, classes):
    backbone.trainable = False
    return keras.Sequential([pooled(backbone, classes), keras.layers.Softmax()])


@wrong("02.2", "not pooled")
def _(backbone, classes):
    backbone.trainable = False
    return keras.Sequential(
        [backbone, keras.layers.Flatten(), keras.layers.Dense(classes, "softmax")]
    )


@wrong("02.2", "classes")
def _(backbone, classes):
    backbone.trainable = False
    return keras.Sequential([backbone, keras.layers.Dense(classes, "softmax")])


@wrong("02.2", "classes")
def _(backbone, classes):
    backbone.trainable = False
    return pooled(backbone, 10)


@wrong("02.2", "more than a head")
def _(backbone, classes):
    backbone.trainable = False
    layers = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(16, "relu")]
    return keras.Sequential([backbone, *layers, keras.layers.Dense(classes, "softmax")])


@wrong("02.2", "other backbone")
def _(backbone, classes):
    copy = keras.models.clone_model(backbone)
    copy.trainable = False
    return pooled(copy, classes)


@wrong("02.2", "unreadable")
def _(backbone, classes):
    backbone.trainable = False
    return backbone, classes


# 02.3


def batches(order, batch):
    for start in range(0, len(order), batch):
        yield order[start : start + batch]


@right("02.3")
def _(extract, step, x, y, epochs, batch, seed):
    rng = np.random.default_rng(seed)
    rows = np.concatenate([extract(x[i : i + 1]) for i in range(len(x))])
    pairs = list(zip(rows, y, strict=True))
    for _ in range(epochs):
        rng.shuffle(pairs)
        for part in batches(pairs, batch):
            step(np.array([row for row, _ in part]), np.array([label for _, label in part]))


@right("02.3")
def _(extract, step, x, y, epochs, batch, seed):
    kept = {}
    for epoch in range(epochs):
        for part in batches(np.random.RandomState(seed + epoch).permutation(len(y)), batch):
            for i in part:
                if i not in kept:
                    kept[i] = extract(x[[i]])[0]
            step(np.stack([kept[i] for i in part]), y[part])


@wrong("02.3", "every epoch")
def _(extract, step, x, y, epochs, batch, seed):
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        for part in batches(rng.permutation(len(x)), batch):
            step(extract(x[part]), y[part])


@wrong("02.3", "labels lost")
def _(extract, step, x, y, epochs, batch, seed):
    rng = np.random.default_rng(seed)
    features = extract(x)
    for _ in range(epochs):
        rng.shuffle(features)
        for part in batches(np.arange(len(x)), batch):
            step(features[part], y[part])


@wrong("02.3", "labels lost")
def _(extract, step, x, y, epochs, batch, seed):
    rng = np.random.default_rng(seed)
    features = extract(x)
    for _ in range(epochs):
        features, y = rng.permutation(features), rng.permutation(y)
        for part in batches(np.arange(len(x)), batch):
            step(features[part], y[part])


@wrong("02.3", "images lost")
def _(extract, step, x, y, epochs, batch, seed):
    rng = np.random.default_rng(seed)
    features = extract(x)
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for start in range(0, len(x) - batch + 1, batch):
            part = order[start : start + batch]
            step(features[part], y[part])


@wrong("02.3", "images lost")
def _(extract, step, x, y, epochs, batch, seed):
    rng = np.random.default_rng(seed)
    features = extract(x)
    for _ in range(epochs):
        for part in batches(rng.integers(0, len(x), len(x)), batch):
            step(features[part], y[part])


@wrong("02.3", "epochs")
def _(extract, step, x, y, epochs, batch, seed):
    features = extract(x)
    for part in batches(np.random.default_rng(seed).permutation(len(x)), batch):
        step(features[part], y[part])


@wrong("02.3", "same order")
def _(extract, step, x, y, epochs, batch, seed):
    features = extract(x)
    for _ in range(epochs):
        for part in batches(np.random.default_rng(seed).permutation(len(x)), batch):
            step(features[part], y[part])


@wrong("02.3", "batch")
def _(extract, step, x, y, epochs, batch, seed):
    rng = np.random.default_rng(seed)
    features = extract(x)
    for _ in range(epochs):
        order = rng.permutation(len(x))
        step(features[order], y[order])


@wrong("02.3", "never trains")
def _(extract, step, x, y, epochs, batch, seed):
    return extract(x)


@wrong("02.3", "raw")
def _(extract, step, x, y, epochs, batch, seed):
    rng = np.random.default_rng(seed)
    extract(x)
    for _ in range(epochs):
        for part in batches(rng.permutation(len(x)), batch):
            step(x[part], y[part])


@wrong("02.3", "TypeError")
def _(extract, step, x, y, epochs, batch, seed):
    features = extract(x, y)
    step(features, y)


# 02.4


def stage(model, x, y, rate=None):
    if rate:
        model.compile(keras.optimizers.Adam(rate), COSTS)
    model.fit(x, y, epochs=1, verbose=0)


@right("02.4")
def _(model, backbone, x, y):
    for layer in backbone.layers:
        layer.trainable = False
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss=COSTS)
    model.fit(x, y, epochs=2, verbose=0)
    for layer in backbone.layers:
        layer.trainable = True
    model.compile(optimizer=keras.optimizers.SGD(0.001), loss=COSTS)
    model.fit(x, y, epochs=1, verbose=0)


@right("02.4")
def _(model, backbone, x, y):
    for trainable, rate in ((False, 1e-3), (True, 1e-4)):
        backbone.trainable = trainable
        stage(model, x, y, rate)
    return model


@wrong("02.4", "never compiled again", "ValueError", "RuntimeError", "AssertionError")
def _(model, backbone, x, y):
    backbone.trainable = False
    stage(model, x, y, 1e-3)
    backbone.trainable = True
    stage(model, x, y)


@wrong("02.4", "never compiled again", "same rate", "ValueError", "RuntimeError", "AssertionError")
def _(model, backbone, x, y):
    backbone.trainable = False
    stage(model, x, y, 1e-3)
    backbone.trainable = True
    model.optimizer.learning_rate = 1e-5
    stage(model, x, y)


@wrong("02.4", "never unfrozen")
def _(model, backbone, x, y):
    backbone.trainable = False
    stage(model, x, y, 1e-3)
    stage(model, x, y, 1e-5)


@wrong("02.4", "compiled too early", "ValueError", "RuntimeError", "AssertionError")
def _(model, backbone, x, y):
    backbone.trainable = False
    stage(model, x, y, 1e-3)
    model.compile(keras.optimizers.Adam(1e-5), COSTS)
    model.train_on_batch(x, y)
    backbone.trainable = True
    stage(model, x, y)


@wrong("02.4", "open at once")
def _(model, backbone, x, y):
    backbone.trainable = True
    stage(model, x, y, 1e-3)
    stage(model, x, y, 1e-5)


@wrong("02.4", "one stage")
def _(model, backbone, x, y):
    backbone.trainable = True
    stage(model, x, y, 1e-5)


@wrong("02.4", "same rate")
def _(model, backbone, x, y):
    backbone.trainable = False
    stage(model, x, y, 1e-3)
    backbone.trainable = True
    stage(model, x, y, 1e-3)


@wrong("02.4", "head frozen")
def _(model, backbone, x, y):
    backbone.trainable = False
    stage(model, x, y, 1e-3)
    backbone.trainable, model.layers[-1].trainable = True, False
    stage(model, x, y, 1e-5)


# 02.5


@right("02.5")
def _(subset, run, n, seeds):
    drawn = [subset(n, seed) for seed in seeds]
    scores = {
        way: np.array([run(way, *pair, seed) for pair, seed in zip(drawn, seeds, strict=True)])
        for way in ("head", "fine-tune")
    }
    return scores["fine-tune"] - scores["head"]


@right("02.5")
def _(subset, run, n, seeds):
    def gain(seed):
        x, y = subset(n, seed)
        head = run("head", x, y, seed=seed)
        return run("fine-tune", x, y, seed=seed) - head

    return tuple(map(gain, seeds))


@wrong("02.5", "other labels")
def _(subset, run, n, seeds):
    return [
        run("fine-tune", *subset(n, 2 * seed), seed) - run("head", *subset(n, 2 * seed + 1), seed)
        for seed in seeds
    ]


@wrong("02.5", "other seeds")
def _(subset, run, n, seeds):
    found = []
    for seed in seeds:
        x, y = subset(n, seed)
        found.append(run("fine-tune", x, y, seed + 100) - run("head", x, y, seed))
    return found


@wrong("02.5", "one subset")
def _(subset, run, n, seeds):
    x, y = subset(n, 0)
    return [run("fine-tune", x, y, seed) - run("head", x, y, seed) for seed in seeds]


@wrong("02.5", "one seed")
def _(subset, run, n, seeds):
    pairs = [subset(n, seed) for seed in seeds]
    return [run("fine-tune", x, y, 0) - run("head", x, y, 0) for x, y in pairs]


@wrong("02.5", "chosen")
def _(subset, run, n, seeds):
    found = []
    for seed in seeds:
        x, y = subset(n, seed)
        best = max(run("fine-tune", x, y, again) for again in (seed, seed + 1, seed + 2))
        found.append(best - run("head", x, y, seed))
    return found


@wrong("02.5", "missing way")
def _(subset, run, n, seeds):
    head = run("head", *subset(n, seeds[0]), seeds[0])
    return [run("fine-tune", *subset(n, seed), seed) - head for seed in seeds]


@wrong("02.5", "sign")
def _(subset, run, n, seeds):
    found = []
    for seed in seeds:
        x, y = subset(n, seed)
        found.append(run("head", x, y, seed) - run("fine-tune", x, y, seed))
    return found


@wrong("02.5", "one number")
def _(subset, run, n, seeds):
    found = []
    for seed in seeds:
        x, y = subset(n, seed)
        found.append(run("fine-tune", x, y, seed) - run("head", x, y, seed))
    return np.mean(found)


@wrong("02.5", "length")
def _(subset, run, n, seeds):
    found = []
    for seed in seeds:
        x, y = subset(n, seed)
        found.append(run("fine-tune", x, y, seed) - run("head", x, y, seed))
    return [gain for gain in found if gain == max(found)]


@wrong("02.5", "size")
def _(subset, run, n, seeds):
    found = []
    for seed in seeds:
        x, y = subset(2 * n, seed)
        found.append(run("fine-tune", x[:n], y[:n], seed) - run("head", x[n:], y[n:], seed))
    return found


@wrong("02.5", "ValueError")
def _(subset, run, n, seeds):
    return [run("finetuning", *subset(n, s), s) - run("head", *subset(n, s), s) for s in seeds]
