"""Answers to the exercises of chapter 10."""

import math

import numpy as np
from scipy.special import softmax

from tlcourse.exercises.trials import right, wrong

# 10.1


@right("10.1", guess=2)
def _(accuracy, images):
    deviation = np.sqrt(accuracy * (1 - accuracy) / images)
    return 100 * 1.96 * np.hypot(deviation, deviation)


@right("10.1", guess=1)
def _(accuracy, images):
    rng = np.random.default_rng(5)
    one, other = rng.binomial(images, accuracy, (2, 20_000)) / images
    return 100 * np.quantile(np.abs(one - other), 0.95)


@wrong("10.1", "one test", guess=2)
def _(accuracy, images):
    return 100 * 1.96 * math.sqrt(accuracy * (1 - accuracy) / images)


@wrong("10.1", "one deviation", guess=2)
def _(accuracy, images):
    return 100 * math.sqrt(2 * accuracy * (1 - accuracy) / images)


@wrong("10.1", "one deviation", guess=2)
def _(accuracy, images):
    return 100 * math.sqrt(accuracy * (1 - accuracy) / images)


@wrong("10.1", "added", guess=2)
def _(accuracy, images):
    return 2 * 100 * 1.96 * math.sqrt(accuracy * (1 - accuracy) / images)


@wrong("10.1", "both sides", guess=2)
def _(accuracy, images):
    rng = np.random.default_rng(5)
    one, other = rng.binomial(images, accuracy, (2, 20_000)) / images
    return 100 * np.ptp(np.quantile(one - other, [0.025, 0.975]))


@wrong("10.1", "one side", guess=2)
def _(accuracy, images):
    return 100 * 1.645 * math.sqrt(2 * accuracy * (1 - accuracy) / images)


@wrong("10.1", "fraction", guess=0.02)
def _(accuracy, images):
    return 1.96 * math.sqrt(2 * accuracy * (1 - accuracy) / images)


@wrong("10.1", "no root", guess=2)
def _(accuracy, images):
    return 100 * 1.96 * 2 * accuracy * (1 - accuracy) / images


@wrong("10.1", "other", guess=2)
def _(accuracy, images):
    return 100 / math.sqrt(images)


# 10.2


@right("10.2")
def _(sizes, accuracies, wanted):
    for size, accuracy in zip(sizes, accuracies, strict=True):
        if accuracy >= wanted:
            return size


@right("10.2")
def _(sizes, accuracies, wanted):
    good = np.asarray(sizes)[np.asarray(accuracies) >= wanted]
    return good[0] if len(good) else None


@right("10.2")
def _(sizes, accuracies, wanted):
    return min((s for s, a in zip(sizes, accuracies, strict=True) if a >= wanted), default=None)


@wrong("10.2", "best case")
def _(sizes, accuracies, wanted):
    index = np.argmax(np.array(accuracies) >= wanted)
    return sizes[index] if index > 0 else None


@wrong("10.2", "best case")
def _(sizes, accuracies, wanted):
    index = next((i for i, a in enumerate(accuracies) if a >= wanted), None)
    return sizes[index] if index else None


@wrong("10.2", "nowhere")
def _(sizes, accuracies, wanted):
    index = np.argmax(np.array(accuracies) >= wanted)
    return sizes[index] if index >= 0 else None


@wrong("10.2", "nowhere")
def _(sizes, accuracies, wanted):
    i = 0
    while accuracies[i] < wanted and i < len(sizes) - 1:
        i += 1
    return sizes[i]


@wrong("10.2", "nowhere")
def _(sizes, accuracies, wanted):
    reached = np.array(accuracies) >= wanted
    return sizes[np.argmax(reached)] if reached.any() else "more than all"


@wrong("10.2", "place")
def _(sizes, accuracies, wanted):
    reached = np.array(accuracies) >= wanted
    return np.argmax(reached) if reached.any() else None


@wrong("10.2", "strict")
def _(sizes, accuracies, wanted):
    reached = np.array(accuracies) > wanted
    return sizes[np.argmax(reached)] if reached.any() else None


@wrong("10.2", "highest")
def _(sizes, accuracies, wanted):
    return sizes[np.argmax(accuracies)]


@wrong("10.2", "nearest")
def _(sizes, accuracies, wanted):
    return sizes[np.argmin(np.abs(np.array(accuracies) - wanted))]


@wrong("10.2", "later")
def _(sizes, accuracies, wanted):
    below = [i for i, a in enumerate(accuracies) if a < wanted]
    first = max(below) + 1 if below else 0
    return sizes[first] if first < len(sizes) else None


@wrong("10.2", "IndexError")
def _(sizes, accuracies, wanted):
    return sizes[np.flatnonzero(np.array(accuracies) >= wanted)[0]]


# 10.3


@right("10.3")
def _(probabilities, labels, bins):
    confidence = probabilities.max(1)
    correct = probabilities.argmax(1) == labels
    edges = np.linspace(0, 1, bins + 1)
    error = 0
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        mine = (confidence > low) & (confidence <= high)
        if mine.any():
            error += mine.sum() * abs(confidence[mine].mean() - correct[mine].mean())
    return error / len(labels)


@right("10.3")
def _(probabilities, labels, bins):
    surplus = probabilities.max(1) - (probabilities.argmax(1) == labels)
    place = np.clip(np.floor(probabilities.max(1) * bins), 0, bins - 1).astype(int)
    return np.abs(np.bincount(place, surplus)).sum() / len(surplus)


def binned(probabilities, labels, bins):
    confidence = probabilities.max(1)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    correct = probabilities.argmax(1) == labels
    gaps = [confidence[place == i].mean() - correct[place == i].mean() for i in np.unique(place)]
    return np.array(gaps), np.bincount(place)[np.unique(place)]


@wrong("10.3", "unweighted")
def _(probabilities, labels, bins):
    gaps, _ = binned(probabilities, labels, bins)
    return np.abs(gaps).mean()


@wrong("10.3", "unweighted")
def _(probabilities, labels, bins):
    gaps, _ = binned(probabilities, labels, bins)
    return np.abs(gaps).sum() / bins


@wrong("10.3", "cancels")
def _(probabilities, labels, bins):
    return abs(probabilities.max(1).mean() - (probabilities.argmax(1) == labels).mean())


@wrong("10.3", "cancels")
def _(probabilities, labels, bins):
    gaps, counts = binned(probabilities, labels, bins)
    return (gaps * counts).sum() / counts.sum()


@wrong("10.3", "true class")
def _(probabilities, labels, bins):
    confidence = probabilities[np.arange(len(labels)), labels]
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    surplus = confidence - (probabilities.argmax(1) == labels)
    return np.abs(np.bincount(place, surplus)).sum() / len(labels)


@wrong("10.3", "largest")
def _(probabilities, labels, bins):
    return np.abs(binned(probabilities, labels, bins)[0]).max()


@wrong("10.3", "squared")
def _(probabilities, labels, bins):
    gaps, counts = binned(probabilities, labels, bins)
    return np.sqrt(np.average(gaps**2, weights=counts))


@wrong("10.3", "sure ones")
def _(probabilities, labels, bins):
    confidence = probabilities.max(1)
    surplus = confidence - (probabilities.argmax(1) == labels)
    error = 0
    for i in range(bins):
        mine = (confidence >= i / bins) & (confidence < (i + 1) / bins)
        error += abs(surplus[mine].sum())
    return error / len(labels)


@wrong("10.3", "last bin")
def _(probabilities, labels, bins):
    """`digitize` counts from 1, the loop from 0; and the sure ones stand beyond the end."""
    confidence = probabilities.max(1)
    surplus = confidence - (probabilities.argmax(1) == labels)
    place = np.digitize(np.minimum(confidence, 1 - 1e-9), np.linspace(0, 1, bins + 1))
    return sum(abs(surplus[place == i].sum()) for i in range(bins)) / len(labels)


@wrong("10.3", "empty bins")
def _(probabilities, labels, bins):
    confidence = probabilities.max(1)
    correct = probabilities.argmax(1) == labels
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    error = 0
    with np.errstate(invalid="ignore"):
        for i in range(bins):
            mine = place == i
            gap = np.divide(confidence[mine].sum() - correct[mine].sum(), mine.sum())
            error += mine.mean() * abs(gap)
    return error


@wrong("10.3", "percent")
def _(probabilities, labels, bins):
    gaps, counts = binned(probabilities, labels, bins)
    return 100 * np.average(np.abs(gaps), weights=counts)


@wrong("10.3", "IndexError")
def _(probabilities, labels, bins):
    sums = [0.0] * bins
    for row, label in zip(probabilities, labels, strict=True):
        sums[int(row.max() * bins)] += row.max() - (row.argmax() == label)
    return sum(map(abs, sums)) / len(labels)


# 10.4


@right("10.4")
def _(scores, labels, new_scores, temperatures):
    def loss(t):
        p = softmax(scores / t, axis=1)
        return -np.log(p[np.arange(len(labels)), labels]).mean()

    return softmax(new_scores / min(temperatures, key=loss), axis=1)


@right("10.4")
def _(scores, labels, new_scores, temperatures):
    losses = []
    for t in temperatures:
        high = scores / t
        high = high - high.max(1, keepdims=True)
        rows = np.log(np.exp(high).sum(1)) - high[range(len(labels)), labels]
        losses.append(rows.sum())
    return softmax(new_scores / temperatures[np.argmin(losses)], axis=-1)


@right("10.4")
def _(scores, labels, new_scores, temperatures):
    """Brier's score is as good a judge of probabilities."""
    truth = np.eye(scores.shape[1])[labels]
    brier = [((softmax(scores / t, axis=1) - truth) ** 2).sum() for t in temperatures]
    return softmax(new_scores / temperatures[int(np.argmin(brier))], axis=1)


def by(quality, scores, labels, temperatures):
    likely = [softmax(scores / t, axis=1)[np.arange(len(labels)), labels] for t in temperatures]
    return temperatures[int(np.argmax([quality(one) for one in likely]))]


@wrong("10.4", "any")
def _(scores, labels, new_scores, temperatures):
    def quality(t):
        return np.mean(softmax(scores / t, axis=1).argmax(1) == labels)

    return softmax(new_scores / max(temperatures, key=quality), axis=1)


@wrong("10.4", "any")
def _(scores, labels, new_scores, temperatures):
    best, most = None, 0
    for t in temperatures:
        now = np.mean(softmax(scores / t, axis=1).argmax(1) == labels)
        if now >= most:
            best, most = t, now
    return softmax(new_scores / best, axis=1)


@wrong("10.4", "coldest")
def _(scores, labels, new_scores, temperatures):
    best = by(np.mean, scores, labels, temperatures)
    return softmax(new_scores / best, axis=1)


@wrong("10.4", "coldest")
def _(scores, labels, new_scores, temperatures):
    def sure(t):
        return softmax(scores / t, axis=1).max(1).mean()

    return softmax(new_scores / max(temperatures, key=sure), axis=1)


@wrong("10.4", "worst")
def _(scores, labels, new_scores, temperatures):
    best = by(lambda p: -np.log(p + 1e-12).mean(), scores, labels, temperatures)
    return softmax(new_scores / best, axis=1)


@wrong("10.4", "unchanged")
def _(scores, labels, new_scores, temperatures):
    best = by(lambda p: np.log(p + 1e-12).mean(), scores, labels, temperatures)
    divided = softmax(new_scores, axis=1) / best
    return divided / divided.sum(1, keepdims=True)


@wrong("10.4", "inverse")
def _(scores, labels, new_scores, temperatures):
    best = by(lambda p: np.log(p + 1e-12).mean(), scores, labels, temperatures)
    return softmax(new_scores * best, axis=1)


@wrong("10.4", "no probabilities")
def _(scores, labels, new_scores, temperatures):
    best = by(lambda p: np.log(p + 1e-12).mean(), scores, labels, temperatures)
    return new_scores / best


@wrong("10.4", "no probabilities")
def _(scores, labels, new_scores, temperatures):
    best = by(lambda p: np.log(p + 1e-12).mean(), scores, labels, temperatures)
    return softmax(new_scores / best, axis=0)


# 10.5


@right("10.5")
def _(features, kernel, bias, rate, passes, seed):
    rng = np.random.default_rng(seed)
    answers = []
    for _ in range(passes):
        kept = rng.random(features.shape) >= rate
        answers.append(softmax(features * kept / (1 - rate) @ kernel + bias, axis=1))
    return np.mean(answers, axis=0), np.std(answers, axis=0)


@right("10.5")
def _(features, kernel, bias, rate, passes, seed):
    """All passes at once, one mask for all images of a pass."""
    rng = np.random.default_rng(seed)
    masks = rng.binomial(1, 1 - rate, (passes, 1, features.shape[1])) / (1 - rate)
    answers = softmax((features * masks) @ kernel + bias, axis=-1)
    return answers.mean(0), answers.std(0, ddof=1)


@right("10.5")
def _(features, kernel, bias, rate, passes, seed):
    answers = []
    for i in range(passes):
        rng = np.random.default_rng([seed, i])
        dropped = np.where(rng.random(features.shape) < rate, 0, features / (1 - rate))
        answers.append(softmax(dropped @ kernel + bias, axis=1))
    return [np.mean(answers, axis=0), np.std(answers, axis=0)]


def passes_of(features, kernel, bias, rate, passes, seed, scale=None):
    rng = np.random.default_rng(seed)
    kept = rng.random((passes, *features.shape)) >= rate
    return features * kept * (1 / (1 - rate) if scale is None else scale) @ kernel + bias


@wrong("10.5", "silent")
def _(features, kernel, bias, rate, passes, seed):
    answers = []
    for _ in range(passes):
        rng = np.random.default_rng(seed)
        kept = rng.random(features.shape) >= rate
        answers.append(softmax(features * kept @ kernel + bias, axis=1))
    return np.mean(answers, axis=0), np.std(answers, axis=0)


@wrong("10.5", "silent")
def _(features, kernel, bias, rate, passes, seed):
    kept = np.random.default_rng(seed).random(features.shape) >= rate
    answers = [softmax(features * kept / (1 - rate) @ kernel + bias, axis=1) for _ in range(passes)]
    return np.mean(answers, axis=0), np.std(answers, axis=0)


@wrong("10.5", "not scaled")
def _(features, kernel, bias, rate, passes, seed):
    answers = softmax(passes_of(features, kernel, bias, rate, passes, seed, 1), axis=-1)
    return answers.mean(0), answers.std(0)


@wrong("10.5", "scaled down")
def _(features, kernel, bias, rate, passes, seed):
    answers = softmax(passes_of(features, kernel, bias, rate, passes, seed, 1 - rate), axis=-1)
    return answers.mean(0), answers.std(0)


@wrong("10.5", "kept share")
def _(features, kernel, bias, rate, passes, seed):
    answers = softmax(passes_of(features, kernel, bias, 1 - rate, passes, seed), axis=-1)
    return answers.mean(0), answers.std(0)


@wrong("10.5", "kept share")
def _(features, kernel, bias, rate, passes, seed):
    scores = passes_of(features, kernel, bias, 1 - rate, passes, seed, 1 / (1 - rate))
    answers = softmax(scores, axis=-1)
    return answers.mean(0), answers.std(0)


@wrong("10.5", "scores")
def _(features, kernel, bias, rate, passes, seed):
    scores = passes_of(features, kernel, bias, rate, passes, seed)
    return softmax(scores, axis=-1).mean(0), scores.std(0)


@wrong("10.5", "variance")
def _(features, kernel, bias, rate, passes, seed):
    answers = softmax(passes_of(features, kernel, bias, rate, passes, seed), axis=-1)
    return answers.mean(0), answers.var(0)


@wrong("10.5", "of the mean")
def _(features, kernel, bias, rate, passes, seed):
    answers = softmax(passes_of(features, kernel, bias, rate, passes, seed), axis=-1)
    return answers.mean(0), answers.std(0) / np.sqrt(passes)


@wrong("10.5", "not repeatable")
def _(features, kernel, bias, rate, passes, seed):
    seed = np.random.default_rng().integers(1_000_000_000)
    answers = softmax(passes_of(features, kernel, bias, rate, passes, seed), axis=-1)
    return answers.mean(0), answers.std(0)


@wrong("10.5", "deaf")
def _(features, kernel, bias, rate, passes, seed):
    answers = softmax(passes_of(features, kernel, bias, rate, passes, 0), axis=-1)
    return answers.mean(0), answers.std(0)


@wrong("10.5", "pair")
def _(features, kernel, bias, rate, passes, seed):
    return softmax(passes_of(features, kernel, bias, rate, passes, seed), axis=-1)


@wrong("10.5", "other")
def _(features, kernel, bias, rate, passes, seed):
    """The mean of the scores is not the mean of the probabilities."""
    scores = passes_of(features, kernel, bias, rate, passes, seed)
    return softmax(scores.mean(0) * 3, axis=-1), softmax(scores, axis=-1).std(0)


# 10.6


@right("10.6")
def _(images, labels, maps, hide, accuracy):
    whole = accuracy(images, labels)
    lost = [whole - accuracy(hide(images, m), labels) for m in (maps, np.roll(maps, 1, axis=0))]
    return tuple(lost)


@right("10.6")
def _(images, labels, maps, hide, accuracy):
    """The images are handed on, with their labels."""
    own = accuracy(hide(images, maps), labels)
    order = np.arange(1, len(images) + 1) % len(images)
    other = accuracy(hide(images[order], maps), labels[order])
    whole = accuracy(images, labels)
    return whole - own, whole - other


@right("10.6")
def _(images, labels, maps, hide, accuracy):
    """Every other map once."""
    whole, n = accuracy(images, labels), len(images)
    found = [accuracy(hide(images, np.roll(maps, k, axis=0)), labels) for k in range(n)]
    return np.array([whole - found[0], whole - np.mean(found[1:])])


@wrong("10.6", "no control")
def _(images, labels, maps, hide, accuracy):
    return accuracy(images, labels), accuracy(hide(images, maps), labels)


@wrong("10.6", "least")
def _(images, labels, maps, hide, accuracy):
    whole = accuracy(images, labels)
    return tuple(whole - accuracy(hide(images, m), labels) for m in (maps, 1 - maps))


@wrong("10.6", "lot")
def _(images, labels, maps, hide, accuracy):
    whole = accuracy(images, labels)
    chance = np.random.default_rng(0).random(maps.shape)
    return tuple(whole - accuracy(hide(images, m), labels) for m in (maps, chance))


@wrong("10.6", "lot")
def _(images, labels, maps, hide, accuracy):
    whole = accuracy(images, labels)
    shuffled = np.random.default_rng(0).permutation(maps.reshape(len(maps), -1), axis=1)
    shuffled = shuffled.reshape(maps.shape)
    return tuple(whole - accuracy(hide(images, m), labels) for m in (maps, shuffled))


@wrong("10.6", "own map")
def _(images, labels, maps, hide, accuracy):
    whole = accuracy(images, labels)
    turned = maps[::-1].copy()
    turned[:4] = maps[:4]
    return tuple(whole - accuracy(hide(images, m), labels) for m in (maps, turned))


@wrong("10.6", "labels lost")
def _(images, labels, maps, hide, accuracy):
    whole = accuracy(images, labels)
    other = accuracy(hide(np.roll(images, 1, axis=0), maps), labels)
    return whole - accuracy(hide(images, maps), labels), whole - other


@wrong("10.6", "accuracies")
def _(images, labels, maps, hide, accuracy):
    return tuple(accuracy(hide(images, m), labels) for m in (maps, np.roll(maps, 1, axis=0)))


@wrong("10.6", "sign")
def _(images, labels, maps, hide, accuracy):
    whole = accuracy(images, labels)
    both = (maps, np.roll(maps, 1, axis=0))
    return tuple(accuracy(hide(images, m), labels) - whole for m in both)


@wrong("10.6", "swapped")
def _(images, labels, maps, hide, accuracy):
    whole = accuracy(images, labels)
    both = (np.roll(maps, 1, axis=0), maps)
    return tuple(whole - accuracy(hide(images, m), labels) for m in both)


@wrong("10.6", "pair")
def _(images, labels, maps, hide, accuracy):
    own = accuracy(hide(images, maps), labels)
    return accuracy(hide(images, np.roll(maps, 1, axis=0)), labels) - own


@wrong("10.6", "other")
def _(images, labels, maps, hide, accuracy):
    whole = accuracy(images, labels)
    both = (maps, np.roll(maps, 1, axis=0))
    return tuple((whole - accuracy(hide(images, m), labels)) / whole for m in both)
