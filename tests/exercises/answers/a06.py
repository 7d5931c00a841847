"""Answers to the exercises of chapter 06."""

import math
import time

import numpy as np
from scipy.spatial.distance import cdist

from tlcourse.exercises.trials import right, wrong

# 06.1


@right("06.1", guess=2)
def _(kernel, channels_in, channels_out):
    return 100 * kernel * kernel / (kernel * kernel + channels_out)


@right("06.1", guess=11.0)
def _(kernel, channels_in, channels_out):
    places = 28 * 28
    work = np.array([places * channels_in * kernel**2, places * channels_in * channels_out])
    return np.float32((work / work.sum())[0] * 100)


@wrong("06.1", "fraction", guess=0.02)
def _(kernel, channels_in, channels_out):
    return kernel**2 / (kernel**2 + channels_out)


@wrong("06.1", "other part", guess=98)
def _(kernel, channels_in, channels_out):
    return 100 * channels_out / (kernel**2 + channels_out)


@wrong("06.1", "full kernel", guess=90)
def _(kernel, channels_in, channels_out):
    deep, mix = kernel**2 * channels_in * channels_out, channels_in * channels_out
    return 100 * deep / (deep + mix)


@wrong("06.1", "full kernel", guess=90)
def _(kernel, channels_in, channels_out):
    deep, mix = kernel**2 * channels_in**2, channels_in * channels_out
    return 100 * deep / (deep + mix)


@wrong("06.1", "mixing kernel", guess=1)
def _(kernel, channels_in, channels_out):
    deep, mix = kernel**2 * channels_in, kernel**2 * channels_in * channels_out
    return 100 * deep / (deep + mix)


@wrong("06.1", "side", guess=1)
def _(kernel, channels_in, channels_out):
    return 100 * kernel / (kernel + channels_out)


@wrong("06.1", "channels in", guess=2)
def _(kernel, channels_in, channels_out):
    deep, mix = kernel**2 * channels_in, channels_in**2
    return 100 * deep / (deep + mix)


@wrong("06.1", "of full", guess=11)
def _(kernel, channels_in, channels_out):
    return 100 * (1 / kernel**2 + 1 / channels_out)


@wrong("06.1", "of full", guess=11)
def _(kernel, channels_in, channels_out):
    return 100 * (kernel**2 * channels_in) / (kernel**2 * channels_in * channels_out)


@wrong("06.1", "ratio", guess=2)
def _(kernel, channels_in, channels_out):
    return 100 * (kernel**2 * channels_in) / (channels_in * channels_out)


@wrong("06.1", "other", guess=50)
def _(kernel, channels_in, channels_out):
    return 50


# 06.2


@right("06.2")
def _(layers):
    field = 1
    for kernel, stride in reversed(layers):
        field = (field - 1) * stride + kernel
    return field


@right("06.2")
def _(layers):
    # Which pixels does the first position touch?
    seen = np.array([0])
    for kernel, stride in layers[::-1]:
        seen = np.unique(seen[:, None] * stride + np.arange(kernel))
    return seen.max() - seen.min() + 1


def strides_before(layers):
    return np.cumprod([1] + [stride for _, stride in layers])[:-1]


@wrong("06.2", "stride ignored")
def _(layers):
    return 1 + sum(kernel - 1 for kernel, _ in layers)


@wrong("06.2", "too early")
def _(layers):
    field, apart = 1, 1
    for kernel, stride in layers:
        apart *= stride
        field += (kernel - 1) * apart
    return field


@wrong("06.2", "not multiplied")
def _(layers):
    return 1 + sum((kernel - 1) * stride for kernel, stride in layers)


@wrong("06.2", "not multiplied")
def _(layers):
    field, last = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * last
        last = stride
    return field


@wrong("06.2", "wrong end")
def _(layers):
    field = 1
    for kernel, stride in layers:
        field = (field - 1) * stride + kernel
    return field


@wrong("06.2", "kernel whole")
def _(layers):
    kernels = [kernel for kernel, _ in layers]
    return 1 + np.dot(kernels, strides_before(layers))


@wrong("06.2", "sum")
def _(layers):
    return sum(kernel for kernel, _ in layers)


@wrong("06.2", "product")
def _(layers):
    return math.prod(kernel for kernel, _ in layers)


@wrong("06.2", "from zero")
def _(layers):
    kernels = [kernel - 1 for kernel, _ in layers]
    return np.dot(kernels, strides_before(layers))


@wrong("06.2", "jump")
def _(layers):
    return math.prod(stride for _, stride in layers)


@wrong("06.2", "not a number")
def _(layers):
    kernels = [kernel - 1 for kernel, _ in layers]
    return 1 + np.cumsum(kernels * strides_before(layers)) if len(layers) > 1 else [3]


@wrong("06.2", "other")
def _(layers):
    kernels = [kernel - 1 for kernel, _ in layers]
    return 2 + np.dot(kernels, strides_before(layers))


# 06.3


@right("06.3")
def _(forward, images, repeats, clock):
    seconds = []
    for _ in range(repeats + 3):
        start = clock()
        forward(images)
        seconds.append(clock() - start)
    return 1000 * np.median(seconds[3:]) / len(images)


@right("06.3")
def _(forward, images, repeats, clock):
    for _ in range(10):
        forward(images)
    ticks = [clock()]
    for _ in range(repeats):
        forward(images)
        ticks.append(clock())
    times = sorted(np.diff(ticks) / len(images))
    return 1e3 * times[len(times) // 2]


def times(forward, images, repeats, clock, warm=0):
    for _ in range(warm):
        forward(images)
    found = []
    for _ in range(repeats):
        start = clock()
        forward(images)
        found.append(clock() - start)
    return np.array(found)


@wrong("06.3", "first call")
def _(forward, images, repeats, clock):
    start = clock()
    for _ in range(repeats):
        forward(images)
    return 1000 * (clock() - start) / repeats / len(images)


@wrong("06.3", "first call")
def _(forward, images, repeats, clock):
    return 1000 * np.median(times(forward, images, repeats, clock)) / len(images)


@wrong("06.3", "first call")
def _(forward, images, repeats, clock):
    # The median hides it here, and not elsewhere.
    return 1000 * np.median(times(forward, images, repeats, clock, warm=1)) / len(images)


@wrong("06.3", "first call")
def _(forward, images, repeats, clock):
    return 1000 * np.mean(times(forward, images, repeats, clock, warm=2)) / len(images)


@wrong("06.3", "mean")
def _(forward, images, repeats, clock):
    return 1000 * np.mean(times(forward, images, repeats, clock, warm=3)) / len(images)


@wrong("06.3", "mean")
def _(forward, images, repeats, clock):
    for _ in range(5):
        forward(images)
    start = clock()
    for _ in range(repeats):
        forward(images)
    return 1000 * (clock() - start) / repeats / len(images)


@wrong("06.3", "minimum")
def _(forward, images, repeats, clock):
    return 1000 * min(times(forward, images, repeats, clock, warm=3)) / len(images)


@wrong("06.3", "repeats")
def _(forward, images, repeats, clock):
    return 1000 * np.median(times(forward, images, 1, clock, warm=3)) / len(images)


@wrong("06.3", "seconds")
def _(forward, images, repeats, clock):
    return np.median(times(forward, images, repeats, clock, warm=3)) / len(images)


@wrong("06.3", "batch")
def _(forward, images, repeats, clock):
    return 1000 * np.median(times(forward, images, repeats, clock, warm=3))


@wrong("06.3", "total")
def _(forward, images, repeats, clock):
    return 1000 * sum(times(forward, images, repeats, clock, warm=3)) / len(images)


@wrong("06.3", "own clock")
def _(forward, images, repeats, clock):
    return 1000 * np.median(times(forward, images, repeats, time.perf_counter, warm=3))


@wrong("06.3", "backwards")
def _(forward, images, repeats, clock):
    for _ in range(3):
        forward(images)
    found = []
    for _ in range(repeats):
        start = clock()
        forward(images)
        found.append(start - clock())
    return 1000 * np.median(found) / len(images)


@wrong("06.3", "other")
def _(forward, images, repeats, clock):
    return 1000 * max(times(forward, images, repeats, clock, warm=3)) / len(images)


@wrong("06.3", "repeats")
def _(forward, images, repeats, clock):
    return clock()


# 06.4


def cosines(features):
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    return unit @ unit.T


def named(nearest, labels):
    said = np.array([np.bincount(votes).argmax() for votes in labels[nearest]])
    return (said == labels).mean()


@right("06.4")
def _(features, labels, k):
    hits = 0
    apart = cdist(features, features, "cosine")
    for i in range(len(labels)):
        others = np.delete(np.arange(len(labels)), i)
        nearest = others[np.argsort(apart[i, others])[:k]]
        hits += np.bincount(labels[nearest]).argmax() == labels[i]
    return hits / len(labels)


@right("06.4")
def _(features, labels, k):
    ranked = np.argsort(-cosines(features), axis=1)
    kept = [[j for j in row if j != i][:k] for i, row in enumerate(ranked)]
    return np.mean((labels[np.array(kept)].mean(axis=1) > 0.5) == labels)


@wrong("06.4", "itself")
def _(features, labels, k):
    return named(np.argsort(-cosines(features), axis=1)[:, :k], labels)


@wrong("06.4", "itself")
def _(features, labels, k):
    return named(np.argsort(-cosines(features), axis=1)[:, : k + 1], labels)


@wrong("06.4", "first dropped")
def _(features, labels, k):
    return named(np.argsort(-cosines(features), axis=1, kind="stable")[:, 1 : k + 1], labels)


@wrong("06.4", "first dropped")
def _(features, labels, k):
    return named(
        np.argsort(cosines(features), axis=1, kind="stable")[:, ::-1][:, 1 : k + 1], labels
    )


@wrong("06.4", "copies")
def _(features, labels, k):
    similarity = cosines(features)
    similarity[similarity > 0.99999] = -1
    return named(np.argsort(-similarity, axis=1)[:, :k], labels)


@wrong("06.4", "first dropped")
def _(features, labels, k):
    return named(np.argsort(-cosines(features), axis=1)[:, 1 : k + 1], labels)


@wrong("06.4", "zero diagonal")
def _(features, labels, k):
    similarity = cosines(features)
    np.fill_diagonal(similarity, 0)
    return named(np.argsort(-similarity, axis=1)[:, :k], labels)


@wrong("06.4", "zero diagonal")
def _(features, labels, k):
    similarity = cosines(features) * (1 - np.eye(len(features)))
    return named(np.argsort(-similarity, axis=1)[:, :k], labels)


@wrong("06.4", "count")
def _(features, labels, k):
    similarity = cosines(features)
    np.fill_diagonal(similarity, -np.inf)
    return named(np.argsort(-similarity, axis=1, kind="stable")[:, : k + 1], labels)


@wrong("06.4", "count")
def _(features, labels, k):
    similarity = cosines(features)
    np.fill_diagonal(similarity, -np.inf)
    return named(np.argsort(-similarity, axis=1, kind="stable")[:, : max(1, k - 1)], labels)


@wrong("06.4", "far")
def _(features, labels, k):
    similarity = cosines(features)
    np.fill_diagonal(similarity, np.inf)
    return named(np.argsort(similarity, axis=1)[:, :k], labels)


@wrong("06.4", "length")
def _(features, labels, k):
    similarity = features @ features.T
    np.fill_diagonal(similarity, -np.inf)
    return named(np.argsort(-similarity, axis=1)[:, :k], labels)


@wrong("06.4", "length")
def _(features, labels, k):
    apart = cdist(features, features)
    np.fill_diagonal(apart, np.inf)
    return named(np.argsort(apart, axis=1)[:, :k], labels)


def probe(features, labels, k):
    similarity = cosines(features)
    np.fill_diagonal(similarity, -np.inf)
    return named(np.argsort(-similarity, axis=1)[:, :k], labels)


@wrong("06.4", "errors")
def _(features, labels, k):
    return 1 - probe(features, labels, k)


@wrong("06.4", "percent")
def _(features, labels, k):
    return 100 * probe(features, labels, k)


@wrong("06.4", "halves")
def _(features, labels, k):
    half = len(features) // 2
    nearest = np.argsort(-cosines(features)[half:, :half], axis=1)[:, :k]
    said = np.array([np.bincount(votes).argmax() for votes in labels[:half][nearest]])
    return (said == labels[half:]).mean()


@wrong("06.4", "changes its input")
def _(features, labels, k):
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return probe(features, labels, k)


@wrong("06.4", "ValueError")
def _(features, labels, k):
    return named(np.argsort(-cosines(features), axis=1)[:, 1:k], labels)


# 06.5


@right("06.5")
def _(said, labels):
    classes, sources = labels.max() + 1, said.shape[1]
    given = np.zeros((classes, sources))
    for z in range(sources):
        total = said[:, z].sum()
        for y in range(classes):
            if total:
                given[y, z] = said[labels == y, z].sum() / total
    logs = [math.log(np.dot(row, given[y])) for row, y in zip(said, labels, strict=True)]
    return sum(logs) / len(logs)


@right("06.5")
def _(said, labels):
    joint = np.zeros((labels.max() + 1, said.shape[1]))
    np.add.at(joint, labels, said / len(said))
    given = joint / np.maximum(joint.sum(axis=0), 1e-300)
    return np.log(np.einsum("nz,nz->n", said, given[labels])).mean()


def parts(said, labels):
    joint = np.array([said[labels == y].sum(axis=0) for y in range(labels.max() + 1)])
    ever = joint.sum(axis=0)
    return joint, joint / np.where(ever > 0, ever, 1)


@wrong("06.5", "nan")
def _(said, labels):
    joint, _ = parts(said, labels)
    with np.errstate(invalid="ignore"):
        given = joint / joint.sum(axis=0)
    return np.log((said * given[labels]).sum(axis=1)).mean()


@wrong("06.5", "joint")
def _(said, labels):
    joint, _ = parts(said, labels)
    return np.log((said * joint[labels]).sum(axis=1) / len(said)).mean()


@wrong("06.5", "joint")
def _(said, labels):
    joint, _ = parts(said, labels)
    return np.log((said * joint[labels]).sum(axis=1)).mean()


@wrong("06.5", "wrong way")
def _(said, labels):
    joint, _ = parts(said, labels)
    given = joint / joint.sum(axis=1, keepdims=True)
    return np.log((said * given[labels]).sum(axis=1)).mean()


@wrong("06.5", "hard")
def _(said, labels):
    first = np.eye(said.shape[1])[said.argmax(axis=1)]
    _, given = parts(first, labels)
    return np.log((first * given[labels]).sum(axis=1)).mean()


@wrong("06.5", "hard")
def _(said, labels):
    _, given = parts(said, labels)
    return np.log(given[labels, said.argmax(axis=1)]).mean()


@wrong("06.5", "log of mean")
def _(said, labels):
    _, given = parts(said, labels)
    return np.log((said * given[labels]).sum(axis=1).mean())


@wrong("06.5", "no logarithm")
def _(said, labels):
    _, given = parts(said, labels)
    return (said * given[labels]).sum(axis=1).mean()


@wrong("06.5", "sign")
def _(said, labels):
    _, given = parts(said, labels)
    return -np.log((said * given[labels]).sum(axis=1)).mean()


@wrong("06.5", "sum")
def _(said, labels):
    _, given = parts(said, labels)
    return np.log((said * given[labels]).sum(axis=1)).sum()


@wrong("06.5", "any label")
def _(said, labels):
    _, given = parts(said, labels)
    return np.log((said @ given.T).sum(axis=1)).mean()


@wrong("06.5", "any label")
def _(said, labels):
    _, given = parts(said, labels)
    return np.log(said @ given.T).mean()


@wrong("06.5", "bits")
def _(said, labels):
    _, given = parts(said, labels)
    return np.log2((said * given[labels]).sum(axis=1)).mean()


@wrong("06.5", "not a number")
def _(said, labels):
    _, given = parts(said, labels)
    return np.log((said * given[labels]).sum(axis=1))


@wrong("06.5", "other")
def _(said, labels):
    return np.log(np.mean(said.argmax(axis=1) == labels) + 1e-9)


# 06.6


@right("06.6")
def _(names, published, seeds, milliseconds, validate, budget):
    cost = {name: milliseconds(name) for name in names}
    scores = {n: [validate(n, s) for s in seeds] for n in sorted(names) if cost[n] <= budget}
    top = max(scores, key=lambda n: sum(scores[n]))
    for name in sorted(scores, key=cost.get):
        apart = [a - b for a, b in zip(scores[top], scores[name], strict=True)]
        error = np.std(apart, ddof=1) / len(apart) ** 0.5
        if name == top or np.mean(apart) < 2 * error:
            return name


@right("06.6")
def _(names, published, seeds, milliseconds, validate, budget):
    # All of them validated, also those that cost too much; that is dear, but right.
    table = np.array([[validate(name, seed) for seed in seeds] for name in names])
    cost = np.array([milliseconds(name) for name in names])
    mean = np.where(cost <= budget, table.mean(axis=1), -1)
    apart = table[mean.argmax()] - table
    noise = 2 * apart.std(axis=1, ddof=1) / np.sqrt(len(seeds))
    fine = (cost <= budget) & (apart.mean(axis=1) <= noise)
    return names[np.where(fine, cost, np.inf).argmin()]


def rows(names, seeds, milliseconds, validate, budget):
    fits = [name for name in names if milliseconds(name) <= budget]
    return {name: np.array([validate(name, seed) for seed in seeds]) for name in fits}


def top(table):
    return max(table, key=lambda name: table[name].mean())


def equals(table, paired=True):
    best, found = top(table), []
    for name, row in table.items():
        apart = table[best] - row
        if paired:
            error = apart.std(ddof=1) / np.sqrt(len(row))
        else:
            error = np.hypot(row.std(ddof=1), table[best].std(ddof=1)) / np.sqrt(len(row))
        if name == best or apart.mean() < 2 * error:
            found.append(name)
    return found


@wrong("06.6", "published")
def _(names, published, seeds, milliseconds, validate, budget):
    return max((n for n in names if milliseconds(n) <= budget), key=published.get)


@wrong("06.6", "not timed")
def _(names, published, seeds, milliseconds, validate, budget):
    return top({name: np.array([validate(name, seed) for seed in seeds]) for name in names})


@wrong("06.6", "over budget")
def _(names, published, seeds, milliseconds, validate, budget):
    table = rows(names, seeds, milliseconds, validate, math.inf)
    return min(equals(table), key=milliseconds)


@wrong("06.6", "one seed")
def _(names, published, seeds, milliseconds, validate, budget):
    return top(rows(names, seeds[:1], milliseconds, validate, budget))


@wrong("06.6", "best seed")
def _(names, published, seeds, milliseconds, validate, budget):
    table = rows(names, seeds, milliseconds, validate, budget)
    return max(table, key=lambda name: table[name].max())


@wrong("06.6", "noise ignored")
def _(names, published, seeds, milliseconds, validate, budget):
    return top(rows(names, seeds, milliseconds, validate, budget))


@wrong("06.6", "unpaired")
def _(names, published, seeds, milliseconds, validate, budget):
    table = rows(names, seeds, milliseconds, validate, budget)
    return min(equals(table, paired=False), key=milliseconds)


@wrong("06.6", "cheapest")
def _(names, published, seeds, milliseconds, validate, budget):
    return min(rows(names, seeds, milliseconds, validate, budget), key=milliseconds)


@wrong("06.6", "not cheapest")
def _(names, published, seeds, milliseconds, validate, budget):
    # The next best that is within the noise.
    table = rows(names, seeds, milliseconds, validate, budget)
    order = sorted(equals(table), key=lambda name: -table[name].mean())
    return order[min(1, len(order) - 1)]


@wrong("06.6", "not a name")
def _(names, published, seeds, milliseconds, validate, budget):
    table = rows(names, seeds, milliseconds, validate, budget)
    return table[top(table)].mean()


@wrong("06.6", "not a name")
def _(names, published, seeds, milliseconds, validate, budget):
    return equals(rows(names, seeds, milliseconds, validate, budget))


@wrong("06.6", "ValueError")
def _(names, published, seeds, milliseconds, validate, budget):
    return max(names, key=lambda name: validate(name, 99))
