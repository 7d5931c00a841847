"""Answers to the exercises of chapter 05."""

import keras
import numpy as np

from tlcourse.exercises.trials import right, wrong

# 05.1


@right("05.1", guess=10)
def _(momentum, batches):
    return 100 * (1 - momentum**batches)


@right("05.1", guess=100)
def _(momentum, batches):
    left = 100.0
    for _ in range(batches):
        left -= left * (1 - momentum)
    return np.float64(100 - left)


@wrong("05.1", "linear", guess=100)
def _(momentum, batches):
    return batches * (1 - momentum) * 100


@wrong("05.1", "linear", guess=100)
def _(momentum, batches):
    return min(100, sum(100 * (1 - momentum) for _ in range(batches)))


@wrong("05.1", "left", guess=100)
def _(momentum, batches):
    return 100 * np.power(momentum, batches)


@wrong("05.1", "fraction", guess=0.6)
def _(momentum, batches):
    return 1 - momentum**batches


@wrong("05.1", "momentum", guess=60)
def _(momentum, batches):
    mean = 0
    for _ in range(batches):
        mean = (1 - momentum) * mean + momentum * 1
    return 100 * mean


@wrong("05.1", "one step", guess=60)
def _(momentum, batches):
    mean = 0
    for _ in range(1, batches):
        mean = momentum * mean + (1 - momentum)
    return 100 * mean


@wrong("05.1", "one step", guess=60)
def _(momentum, batches):
    return 100 - 100 * momentum ** (batches + 1)


@wrong("05.1", "other", guess=60)
def _(momentum, batches):
    return 63.4


# 05.2


@right("05.2")
def _(model, prefix):
    found = None
    for number, layer in enumerate(model.layers):
        if layer.name[: len(prefix)] == prefix:
            found = number
            break
    if found is None:
        raise ValueError(prefix)
    for layer in model.layers[:found]:
        layer.trainable = False
    for layer in model.layers[found:]:
        layer.trainable = True


@right("05.2")
def _(model, prefix):
    names = [layer.name for layer in model.layers]
    cut = names.index(next((name for name in names if name.startswith(prefix)), "no such layer"))
    for layer in model.layers:
        layer.trainable = False
    for layer in model.layers[cut:]:
        layer.trainable = True


@wrong("05.2", "inside")
def _(model, prefix):
    matches = [prefix in layer.name for layer in model.layers]
    if not any(matches):
        raise ValueError(prefix)
    for i, layer in enumerate(model.layers):
        layer.trainable = i >= matches.index(True)


@wrong("05.2", "silent")
def _(model, prefix):
    trainable = False
    for layer in model.layers:
        trainable = trainable or layer.name.startswith(prefix)
        layer.trainable = trainable


@wrong("05.2", "silent")
def _(model, prefix):
    starts = [layer.name.startswith(prefix) for layer in model.layers]
    if any(starts):
        for i, layer in enumerate(model.layers):
            layer.trainable = i >= starts.index(True)


@wrong("05.2", "half changed")
def _(model, prefix):
    trainable = False
    for layer in model.layers:
        trainable = trainable or layer.name.startswith(prefix)
        layer.trainable = trainable
    if not trainable:
        raise ValueError(f"{prefix} is not there")


@wrong("05.2", "wrong side")
def _(model, prefix):
    starts = [layer.name.startswith(prefix) for layer in model.layers]
    for i, layer in enumerate(model.layers):
        layer.trainable = i < starts.index(True)


@wrong("05.2", "cut frozen")
def _(model, prefix):
    starts = [layer.name.startswith(prefix) for layer in model.layers]
    for i, layer in enumerate(model.layers):
        layer.trainable = i > starts.index(True)


@wrong("05.2", "not opened")
def _(model, prefix):
    starts = [layer.name.startswith(prefix) for layer in model.layers]
    for layer in model.layers[: starts.index(True)]:
        layer.trainable = False


@wrong("05.2", "other error")
def _(model, prefix):
    first = [i for i, layer in enumerate(model.layers) if layer.name.startswith(prefix)][0]
    for i, layer in enumerate(model.layers):
        layer.trainable = i >= first


@wrong("05.2", "only matching")
def _(model, prefix):
    for layer in model.layers:
        layer.trainable = layer.name.startswith(prefix)
    if not any(layer.trainable for layer in model.layers):
        raise ValueError(prefix)


# 05.3


@right("05.3")
def _(backbone):
    backbone.trainable = True
    for layer in backbone._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


@right("05.3")
def _(backbone):
    def visit(layer):
        inner = getattr(layer, "layers", [])
        layer.trainable = True if inner else "BatchNorm" not in type(layer).__name__
        for part in inner:
            visit(part)

    visit(backbone)


@wrong("05.3", "undone")
def _(backbone):
    for layer in backbone.layers:
        if "bn" in layer.name:
            layer.trainable = False
    backbone.trainable = True


@wrong("05.3", "undone")
def _(backbone):
    backbone.trainable = True


@wrong("05.3", "names")
def _(backbone):
    backbone.trainable = True
    for layer in backbone._flatten_layers():
        if "bn" in layer.name:
            layer.trainable = False


@wrong("05.3", "nested")
def _(backbone):
    backbone.trainable = True
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


@wrong("05.3", "all frozen")
def _(backbone):
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


@wrong("05.3", "kernels frozen")
def _(backbone):
    backbone.trainable = True
    for layer in backbone.layers:
        if not isinstance(layer, keras.layers.Conv2D):
            layer.trainable = False


@wrong("05.3", "batch statistics")
def _(backbone):
    backbone.trainable = True
    for layer in backbone._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 1.0


@wrong("05.3", "AttributeError")
def _(backbone):
    backbone.unfreeze()


# 05.4


@right("05.4")
def _(blocks, n):
    for block in blocks:
        block.trainable = False
    for block in blocks[len(blocks) - n :]:
        block.trainable = True


@right("05.4")
def _(blocks, n):
    for distance, block in enumerate(reversed(blocks)):
        block.trainable = distance < n


@wrong("05.4", "remembers")
def _(blocks, n):
    for block in blocks[-n:]:
        block.trainable = True


@wrong("05.4", "zero")
def _(blocks, n):
    for block in blocks:
        block.trainable = False
    for block in blocks[-n:]:
        block.trainable = True


@wrong("05.4", "zero")
def _(blocks, n):
    last = blocks[-n:]
    for block in blocks:
        block.trainable = any(block is one for one in last)


@wrong("05.4", "wrong end")
def _(blocks, n):
    for i, block in enumerate(blocks):
        block.trainable = i < n


@wrong("05.4", "never opens")
def _(blocks, n):
    for block in blocks:
        block.trainable = False


@wrong("05.4", "off by one")
def _(blocks, n):
    for i, block in enumerate(blocks):
        block.trainable = i > len(blocks) - n


@wrong("05.4", "off by one")
def _(blocks, n):
    for i, block in enumerate(blocks):
        block.trainable = i >= len(blocks) - n - 1


@wrong("05.4", "remembers frozen")
def _(blocks, n):
    for block in blocks[: len(blocks) - n]:
        block.trainable = False


# 05.5

NORMS = (keras.layers.BatchNormalization, keras.layers.LayerNormalization)


@right("05.5")
def _(model):
    for layer in model._flatten_layers():
        if "Conv" in type(layer).__name__:
            layer.trainable = False


@right("05.5")
def _(model):
    stack = list(model.layers)
    while stack:
        layer = stack.pop()
        stack += getattr(layer, "layers", [])
        if hasattr(layer, "kernel_size"):
            layer.trainable = False


@wrong("05.5", "depthwise")
def _(model):
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Conv2D):
            layer.trainable = False


@wrong("05.5", "nested")
def _(model):
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            layer.trainable = False


@wrong("05.5", "nested")
def _(model):
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.trainable = False


@wrong("05.5", "too much")
def _(model):
    for layer in model._flatten_layers():
        if "conv" in layer.name:
            layer.trainable = False


@wrong("05.5", "by name")
def _(model):
    for layer in model._flatten_layers():
        if "conv" in layer.name and not isinstance(layer, NORMS):
            layer.trainable = False


@wrong("05.5", "too much")
def _(model):
    model.trainable = False


@wrong("05.5", "opens")
def _(model):
    for layer in model._flatten_layers():
        if layer.weights and not hasattr(layer, "layers"):
            layer.trainable = "Conv" not in type(layer).__name__


# 05.6


@right("05.6")
def _(depths, seeds, fit, validate, test):
    def mean(depth):
        return sum(validate(fit(depth, seed)) for seed in seeds) / len(seeds)

    best = sorted(depths, key=mean)[-1]
    return best, test(fit(best, seeds[0]))


@right("05.6")
def _(depths, seeds, fit, validate, test):
    table = np.array([[validate(fit(depth, seed)) for seed in seeds] for depth in depths])
    best = depths[table.mean(axis=1).argmax()]
    return [best, np.mean([test(fit(best, seed)) for seed in seeds])]


@wrong("05.6", "test chooses")
def _(depths, seeds, fit, validate, test):
    scores = {depth: np.mean([test(fit(depth, seed)) for seed in seeds]) for depth in depths}
    best = max(scores, key=scores.get)
    return best, scores[best]


@wrong("05.6", "test chooses")
def _(depths, seeds, fit, validate, test):
    rows = [
        (np.mean([validate(fit(d, s)) for s in seeds]), d, test(fit(d, seeds[0]))) for d in depths
    ]
    return max(rows)[1:]


@wrong("05.6", "depths")
def _(depths, seeds, fit, validate, test):
    best, score = None, 0
    for depth in depths:
        now = np.mean([validate(fit(depth, seed)) for seed in seeds])
        if now < score:
            break
        best, score = depth, now
    return best, test(fit(best, seeds[0]))


@wrong("05.6", "one seed")
def _(depths, seeds, fit, validate, test):
    best = max(depths, key=lambda depth: validate(fit(depth, seeds[0])))
    return best, test(fit(best, seeds[0]))


@wrong("05.6", "best seed")
def _(depths, seeds, fit, validate, test):
    best = max(depths, key=lambda depth: max(validate(fit(depth, seed)) for seed in seeds))
    return best, test(fit(best, seeds[0]))


@wrong("05.6", "validation")
def _(depths, seeds, fit, validate, test):
    means = {depth: np.mean([validate(fit(depth, seed)) for seed in seeds]) for depth in depths}
    best = max(means, key=means.get)
    test(fit(best, seeds[0]))
    return best, means[best]


@wrong("05.6", "never tested")
def _(depths, seeds, fit, validate, test):
    means = {depth: np.mean([validate(fit(depth, seed)) for seed in seeds]) for depth in depths}
    best = max(means, key=means.get)
    return best, means[best]


@wrong("05.6", "worst")
def _(depths, seeds, fit, validate, test):
    best = min(depths, key=lambda depth: np.mean([validate(fit(depth, seed)) for seed in seeds]))
    return best, test(fit(best, seeds[0]))


@wrong("05.6", "not chosen")
def _(depths, seeds, fit, validate, test):
    scores = {d: np.mean([validate(fit(d, seed)) for seed in seeds]) for d in depths}
    return max(scores, key=scores.get), test(fit(depths[-1], seeds[0]))


@wrong("05.6", "pair")
def _(depths, seeds, fit, validate, test):
    best = max(depths, key=lambda depth: np.mean([validate(fit(depth, seed)) for seed in seeds]))
    return test(fit(best, seeds[0]))
