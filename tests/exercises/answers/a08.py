"""Answers to the exercises of chapter 08."""

import numpy as np

from tlcourse.exercises.trials import right, wrong

# 08.1


@right("08.1", guess=0)
def _(source, source_labels, target, target_labels):
    moved = (source - source.mean()) / source.std() * target.std() + target.mean()
    zeros, ones = (moved[source_labels == k].mean() for k in (0, 1))
    named = np.where(target > (zeros + ones) / 2, 1, 0)
    return 100 * np.mean(named != target_labels)


@right("08.1", guess=50)
def _(source, source_labels, target, target_labels):
    """The target is moved instead, which is the same."""
    moved = (target - np.mean(target)) / np.std(target) * np.std(source) + np.mean(source)
    border = np.mean([np.mean(source[source_labels == k]) for k in (0, 1)])
    return 100 - 100 * np.mean((moved >= border) == target_labels)


def border(features, labels):
    return (features[labels == 0].mean() + features[labels == 1].mean()) / 2


def moved(source, target):
    return (source - source.mean()) * target.std() / source.std() + target.mean()


@wrong("08.1", "not moved", guess=0)
def _(source, source_labels, target, target_labels):
    return 100 * np.mean((target > border(source, source_labels)) != target_labels)


@wrong("08.1", "mean only", guess=0)
def _(source, source_labels, target, target_labels):
    shifted = source - source.mean() + target.mean()
    return 100 * np.mean((target > border(shifted, source_labels)) != target_labels)


@wrong("08.1", "right ones", guess=0)
def _(source, source_labels, target, target_labels):
    at = border(moved(source, target), source_labels)
    return 100 * np.mean((target > at) == target_labels)


@wrong("08.1", "fraction", guess=0)
def _(source, source_labels, target, target_labels):
    at = border(moved(source, target), source_labels)
    return np.mean((target > at) != target_labels)


@wrong("08.1", "target labels", guess=0)
def _(source, source_labels, target, target_labels):
    means = [
        target[target_labels == k].sum() / max(sum(target_labels == k), 1e-300) for k in (0, 1)
    ]
    at = sum(means) / 2 if 0 < target_labels.mean() < 1 else np.inf
    return 100 * np.mean((target > at) != target_labels)


@wrong("08.1", "source scored", guess=0)
def _(source, source_labels, target, target_labels):
    found = moved(source, target)
    return 100 * np.mean((found > border(found, source_labels)) != source_labels)


@wrong("08.1", "middle of all", guess=0)
def _(source, source_labels, target, target_labels):
    return 100 * np.mean((target > moved(source, target).mean()) != target_labels)


@wrong("08.1", "other", guess=50)
def _(source, source_labels, target, target_labels):
    return 50.0


# 08.2


@right("08.2")
def _(kernel, channels):
    share = kernel.sum(2) / channels
    return np.stack([share] * channels, axis=2)


@right("08.2")
def _(kernel, channels):
    height, width, _, filters = kernel.shape
    made = np.empty((height, width, channels, filters))
    made[:] = 3 * kernel.mean(axis=2, keepdims=True) / channels
    return made


@wrong("08.2", "too loud")
def _(kernel, channels):
    return np.repeat(kernel.sum(axis=2, keepdims=True), channels, axis=2)


@wrong("08.2", "mean")
def _(kernel, channels):
    return np.repeat(kernel.mean(axis=2, keepdims=True), channels, axis=2)


@wrong("08.2", "one channel")
def _(kernel, channels):
    return np.repeat(kernel[:, :, :1], channels, axis=2)


@wrong("08.2", "one channel")
def _(kernel, channels):
    return np.repeat(kernel[:, :, 1:2], channels, axis=2) * 3 / channels


@wrong("08.2", "cut")
def _(kernel, channels):
    made = np.zeros((*kernel.shape[:2], channels, kernel.shape[3]))
    made[:, :, :3] = kernel[:, :, :channels]
    return made


@wrong("08.2", "in turn")
def _(kernel, channels):
    """As a well-known library does it."""
    if channels == 1:
        return kernel.sum(axis=2, keepdims=True)
    times = -(-channels // 3)
    return np.tile(kernel, (1, 1, times, 1))[:, :, :channels] * 3 / channels


@wrong("08.2", "random")
def _(kernel, channels):
    shape = (*kernel.shape[:2], channels, kernel.shape[3])
    return np.random.default_rng(0).normal(0, kernel.std(), shape)


@wrong("08.2", "wrong shape")
def _(kernel, channels):
    return kernel.sum(axis=2) / channels


@wrong("08.2", "other")
def _(kernel, channels):
    return np.repeat(kernel.sum(axis=2, keepdims=True) / channels**2, channels, axis=2)


# 08.3


@right("08.3")
def _(images, rng):
    turns = rng.integers(4, size=len(images))
    return np.stack([np.rot90(image, k) for image, k in zip(images, turns, strict=True)]), turns


@right("08.3")
def _(images, rng):
    """The four groups one after the other: their order does not matter."""
    turns = rng.choice(4, len(images))
    groups = [np.rot90(images[turns == k], k, axes=(1, 2)) for k in range(4)]
    return np.concatenate(groups), np.sort(turns)


@right("08.3")
def _(images, rng):
    turns = rng.permutation(np.arange(len(images)) % 4)
    turned = images.copy()
    for i, k in enumerate(turns):
        for _ in range(k):
            turned[i] = turned[i].transpose(1, 0, 2)[::-1].copy()
    return turned, turns


@wrong("08.3", "one turn")
def _(images, rng):
    k = rng.integers(4)
    return np.rot90(images, k, axes=(1, 2)), np.full(len(images), k)


@wrong("08.3", "names")
def _(images, rng):
    turns = rng.integers(4, size=len(images))
    return np.rot90(images, turns[0], axes=(1, 2)), turns


@wrong("08.3", "names")
def _(images, rng):
    turned = np.stack([np.rot90(image, rng.integers(4)) for image in images])
    return turned, rng.integers(4, size=len(images))


@wrong("08.3", "clockwise")
def _(images, rng):
    turns = rng.integers(4, size=len(images))
    turned = [np.rot90(image, k, axes=(1, 0)) for image, k in zip(images, turns, strict=True)]
    return np.stack(turned), turns


@wrong("08.3", "mixed")
def _(images, rng):
    turns = rng.integers(4, size=len(images))
    turned = [
        image.transpose(1, 0, 2) if k % 2 else image for image, k in zip(images, turns, strict=True)
    ]
    return np.stack(turned), turns


@wrong("08.3", "lost")
def _(images, rng):
    """Each image is drawn anew, with its turn."""
    turns = rng.integers(4, size=len(images))
    drawn = rng.integers(len(images), size=len(images))
    return np.stack([np.rot90(images[i], k) for i, k in zip(drawn, turns, strict=True)]), turns


@wrong("08.3", "some turns")
def _(images, rng):
    turns = rng.integers(3, size=len(images))
    return np.stack([np.rot90(image, k) for image, k in zip(images, turns, strict=True)]), turns


@wrong("08.3", "deaf")
def _(images, rng):
    turns = np.arange(len(images)) % 4
    return np.stack([np.rot90(image, k) for image, k in zip(images, turns, strict=True)]), turns


@wrong("08.3", "not repeatable")
def _(images, rng):
    turns = np.random.default_rng().integers(4, size=len(images))
    return np.stack([np.rot90(image, k) for image, k in zip(images, turns, strict=True)]), turns


@wrong("08.3", "pair")
def _(images, rng):
    turns = rng.integers(4, size=len(images))
    return np.stack([np.rot90(image, k) for image, k in zip(images, turns, strict=True)])


@wrong("08.3", "wrong shape")
def _(images, rng):
    """Every image under every turn."""
    turned = np.concatenate([np.rot90(images, k, axes=(1, 2)) for k in range(4)])
    return turned, np.repeat(np.arange(4), len(images))


# 08.4


@right("08.4")
def _(x, domains, kernel, head, strength):
    features = x @ kernel
    error = (1 / (1 + np.exp(-(features @ head))) - domains) / len(x)
    return -strength * (x.T @ error[:, None] @ head[None]), error @ features


@right("08.4")
def _(x, domains, kernel, head, strength):
    """By finite differences, as one who mistrusts formulas."""

    def loss(kernel, head):
        z = x @ kernel @ head
        return np.mean(np.logaddexp(0, z) - domains * z)

    def slope(of):
        found = np.zeros_like((kernel, head)[of])
        for place in np.ndindex(found.shape):
            step = np.zeros_like(found)
            step[place] = 1e-5
            ends = [
                loss(*(p + s * step if i == of else p for i, p in enumerate((kernel, head))))
                for s in (1, -1)
            ]
            found[place] = (ends[0] - ends[1]) / 2e-5
        return found

    return [-strength * slope(0), slope(1)]


def gradients(x, domains, kernel, head):
    features = x @ kernel
    error = (1 / (1 + np.exp(-features @ head)) - domains) / len(x)
    return x.T @ np.outer(error, head), features.T @ error


@wrong("08.4", "not reversed")
def _(x, domains, kernel, head, strength):
    return gradients(x, domains, kernel, head)


@wrong("08.4", "not reversed")
def _(x, domains, kernel, head, strength):
    for_kernel, for_head = gradients(x, domains, kernel, head)
    return strength * for_kernel, for_head


@wrong("08.4", "head reversed")
def _(x, domains, kernel, head, strength):
    for_kernel, for_head = gradients(x, domains, kernel, head)
    return for_kernel, -strength * for_head


@wrong("08.4", "head reversed")
def _(x, domains, kernel, head, strength):
    """The error has the wrong sign."""
    for_kernel, for_head = gradients(x, domains, kernel, head)
    return strength * for_kernel, -for_head


@wrong("08.4", "both reversed")
def _(x, domains, kernel, head, strength):
    for_kernel, for_head = gradients(x, domains, kernel, head)
    return -strength * for_kernel, -strength * for_head


@wrong("08.4", "head scaled")
def _(x, domains, kernel, head, strength):
    for_kernel, for_head = gradients(x, domains, kernel, head)
    return -strength * for_kernel, strength * for_head


@wrong("08.4", "strength")
def _(x, domains, kernel, head, strength):
    for_kernel, for_head = gradients(x, domains, kernel, head)
    return -for_kernel, for_head


@wrong("08.4", "stopped")
def _(x, domains, kernel, head, strength):
    for_kernel, for_head = gradients(x, domains, kernel, head)
    return 0 * for_kernel, for_head


@wrong("08.4", "sum")
def _(x, domains, kernel, head, strength):
    for_kernel, for_head = gradients(x, domains, kernel, head)
    return -strength * for_kernel * len(x), for_head * len(x)


@wrong("08.4", "no sigmoid")
def _(x, domains, kernel, head, strength):
    error = (x @ kernel @ head - domains) / len(x)
    return -strength * x.T @ np.outer(error, head), (x @ kernel).T @ error


@wrong("08.4", "order")
def _(x, domains, kernel, head, strength):
    for_kernel, for_head = gradients(x, domains, kernel, head)
    return for_head, -strength * for_kernel


@wrong("08.4", "pair")
def _(x, domains, kernel, head, strength):
    """The features' gradient, which has not gone on to the kernel."""
    features = x @ kernel
    error = (1 / (1 + np.exp(-features @ head)) - domains) / len(x)
    return -strength * np.outer(error, head), features.T @ error


@wrong("08.4", "ValueError")
def _(x, domains, kernel, head, strength):
    features = x @ kernel
    error = (1 / (1 + np.exp(-features @ head)) - domains) / len(x)
    return -strength * x.T @ (error @ head), features.T @ error


# 08.5


@right("08.5")
def _(mean, variance, batches):
    every = np.concatenate(batches)
    return every.mean(axis=0), every.var(axis=0)


@right("08.5")
def _(mean, variance, batches):
    count = total = squares = 0
    for batch in batches:
        count += len(batch)
        total = total + batch.sum(axis=0)
        squares = squares + (batch**2).sum(axis=0)
    return total / count, squares / count - (total / count) ** 2


@right("08.5")
def _(mean, variance, batches):
    """Step by step, with a momentum that fits."""
    seen = 0
    for batch in batches:
        share = len(batch) / (seen + len(batch))
        gap = batch.mean(axis=0) - mean
        kept = variance if seen else 0 * variance
        old = (1 - share) * share * gap**2 if seen else 0
        variance = (1 - share) * kept + share * batch.var(axis=0) + old
        mean = mean + share * gap
        seen += len(batch)
    return mean, variance


@wrong("08.5", "blend")
def _(mean, variance, batches):
    for batch in batches:
        mean = 0.99 * mean + 0.01 * batch.mean(axis=0)
        variance = 0.99 * variance + 0.01 * batch.var(axis=0)
    return mean, variance


@wrong("08.5", "blend")
def _(mean, variance, batches):
    every = np.concatenate(batches)
    return (mean + every.mean(axis=0)) / 2, (variance + every.var(axis=0)) / 2


@wrong("08.5", "equal batches")
def _(mean, variance, batches):
    means = [batch.mean(axis=0) for batch in batches]
    return np.mean(means, axis=0), np.mean([batch.var(axis=0) for batch in batches], axis=0)


@wrong("08.5", "within")
def _(mean, variance, batches):
    sizes = [len(batch) for batch in batches]
    means, variances = (
        np.average([f(batch, axis=0) for batch in batches], axis=0, weights=sizes)
        for f in (np.mean, np.var)
    )
    return means, variances


@wrong("08.5", "last batch")
def _(mean, variance, batches):
    for batch in batches:
        mean, variance = batch.mean(axis=0), batch.var(axis=0)
    return mean, variance


@wrong("08.5", "deviation")
def _(mean, variance, batches):
    every = np.concatenate(batches)
    return every.mean(axis=0), every.std(axis=0)


@wrong("08.5", "squares")
def _(mean, variance, batches):
    every = np.concatenate(batches)
    return every.mean(axis=0), (every**2).mean(axis=0)


@wrong("08.5", "one less")
def _(mean, variance, batches):
    every = np.vstack(batches)
    return every.mean(axis=0), np.diag(np.cov(every, rowvar=False))


@wrong("08.5", "order")
def _(mean, variance, batches):
    every = np.concatenate(batches)
    return every.var(axis=0), every.mean(axis=0)


@wrong("08.5", "pair")
def _(mean, variance, batches):
    every = np.concatenate(batches)
    return every.mean(), every.var()


@wrong("08.5", "other")
def _(mean, variance, batches):
    every = np.concatenate(batches)
    return every.mean(axis=0) - mean, every.var(axis=0)


# 08.6


def entropy(p):
    return -(p * np.log(p + 1e-12)).sum(axis=-1)


def information(p):
    return entropy(p.mean(axis=0)) - entropy(p).mean()


@right("08.6")
def _(strengths, adapt, unlabelled, test_images, test_labels):
    models = {s: adapt(s) for s in strengths}
    best = max(models, key=lambda s: information(models[s].predict(unlabelled)))
    said = models[best].predict(test_images).argmax(axis=1)
    return best, np.mean(said == test_labels)


@right("08.6")
def _(strengths, adapt, unlabelled, test_images, test_labels):
    found = []
    for strength in strengths:
        p = adapt(strength).predict(unlabelled, verbose=0)
        mean = p.mean(axis=0)
        found.append(np.mean((p * np.log2(p / mean)).sum(axis=1)))  # In bits, as a divergence.
    best = strengths[int(np.argmax(found))]
    right_ones = adapt(best).predict(test_images).argmax(-1) == test_labels
    return [best, sum(right_ones) / len(right_ones)]


def chosen(strengths, adapt, images, test_images, test_labels, score):
    best = max(strengths, key=lambda s: score(adapt(s).predict(images)))
    return best, np.mean(adapt(best).predict(test_images).argmax(1) == test_labels)


@wrong("08.6", "labels choose")
def _(strengths, adapt, unlabelled, test_images, test_labels):
    scores = [np.mean(adapt(s).predict(test_images).argmax(1) == test_labels) for s in strengths]
    return strengths[np.argmax(scores)], max(scores)


@wrong("08.6", "sure")
def _(strengths, adapt, unlabelled, test_images, test_labels):
    rest = test_images, test_labels
    return chosen(strengths, adapt, unlabelled, *rest, lambda p: -entropy(p).mean())


@wrong("08.6", "sure")
def _(strengths, adapt, unlabelled, test_images, test_labels):
    rest = test_images, test_labels
    return chosen(strengths, adapt, unlabelled, *rest, lambda p: p.max(axis=1).mean())


@wrong("08.6", "spread")
def _(strengths, adapt, unlabelled, test_images, test_labels):
    rest = test_images, test_labels
    return chosen(strengths, adapt, unlabelled, *rest, lambda p: entropy(p.mean(axis=0)))


@wrong("08.6", "test images")
def _(strengths, adapt, unlabelled, test_images, test_labels):
    return chosen(strengths, adapt, test_images, test_images, test_labels, information)


@wrong("08.6", "least")
def _(strengths, adapt, unlabelled, test_images, test_labels):
    rest = test_images, test_labels
    return chosen(strengths, adapt, unlabelled, *rest, lambda p: -information(p))


@wrong("08.6", "another's accuracy")
def _(strengths, adapt, unlabelled, test_images, test_labels):
    best = max(strengths, key=lambda s: information(adapt(s).predict(unlabelled)))
    scores = [np.mean(adapt(s).predict(test_images).argmax(1) == test_labels) for s in strengths]
    return best, max(scores)


@wrong("08.6", "information")
def _(strengths, adapt, unlabelled, test_images, test_labels):
    scores = {s: information(adapt(s).predict(unlabelled)) for s in strengths}
    best = max(scores, key=scores.get)
    return best, scores[best]


@wrong("08.6", "pair")
def _(strengths, adapt, unlabelled, test_images, test_labels):
    return max(strengths, key=lambda s: information(adapt(s).predict(unlabelled)))
