"""Answers to the exercises of chapter 01."""

import random

import numpy as np
from scipy import stats

from tlcourse.exercises.trials import right, wrong

# 01.1


@right("01.1", guess=78)
def _(classes, labels, draws, seed):
    drawn = np.random.default_rng(seed).integers(classes, size=(draws, labels))
    return 100 * np.mean([len(set(row)) < classes for row in drawn.tolist()])


@right("01.1", guess=20)
def _(classes, labels, draws, seed):
    rng, count = random.Random(seed), 0
    for _ in range(draws):
        count += len({rng.randrange(classes) for _ in range(labels)}) != classes
    return count / draws * 100


def drawn(classes, labels, draws, seed):
    return np.random.default_rng(seed).integers(0, classes, (draws, labels))


@wrong("01.1", "complete", guess=20)
def _(classes, labels, draws, seed):
    rows = drawn(classes, labels, draws, seed)
    return 100 * np.mean([len(np.unique(row)) == classes for row in rows])


@wrong("01.1", "fraction", guess=0.2)
def _(classes, labels, draws, seed):
    rows = drawn(classes, labels, draws, seed)
    return np.mean([len(np.unique(row)) < classes for row in rows])


@wrong("01.1", "share", guess=20)
def _(classes, labels, draws, seed):
    return 100 * np.mean([0 not in row for row in drawn(classes, labels, draws, seed)])


@wrong("01.1", "share", guess=20)
def _(classes, labels, draws, seed):
    rows = drawn(classes, labels, draws, seed)
    return np.mean([classes - len(np.unique(row)) for row in rows])


@wrong("01.1", "without luck", guess=0)
def _(classes, labels, draws, seed):
    rng, count = np.random.default_rng(seed), 0
    for _ in range(draws):
        row = rng.permutation(np.arange(labels) % classes)
        count += len(np.unique(row)) < classes
    return 100 * count / draws


@wrong("01.1", "other", guess=20)
def _(classes, labels, draws, seed):
    return 100 / classes


# 01.2


@right("01.2")
def _(labels, n, seed):
    rng = random.Random(seed)
    groups = {c: [i for i, label in enumerate(labels) if label == c] for c in sorted(set(labels))}
    for group in groups.values():
        rng.shuffle(group)
    return [group[i] for i in range(n // len(groups)) for group in groups.values()]


@right("01.2")
def _(labels, n, seed):
    order = np.random.default_rng(seed).permutation(len(labels))
    each = n // len(set(labels))
    return np.sort(np.concatenate([order[labels[order] == c][:each] for c in set(labels)]))


@wrong("01.2", "unbalanced")
def _(labels, n, seed):
    return np.random.default_rng(seed).permutation(len(labels))[:n]


@wrong("01.2", "twice")
def _(labels, n, seed):
    rng = np.random.default_rng(seed)
    each = n // len(np.unique(labels))
    return np.concatenate(
        [rng.choice(np.flatnonzero(labels == c), each) for c in np.unique(labels)]
    )


@wrong("01.2", "not nested")
def _(labels, n, seed):
    rng = np.random.default_rng(seed + n)
    each = n // len(np.unique(labels))
    groups = [rng.permutation(np.flatnonzero(labels == c)) for c in np.unique(labels)]
    return np.concatenate([group[:each] for group in groups])


@wrong("01.2", "other seeds")
def _(labels, n, seed):
    each = n // len(np.unique(labels))
    return np.concatenate([np.flatnonzero(labels == c)[:each] for c in np.unique(labels)])


@wrong("01.2", "not repeatable")
def _(labels, n, seed):
    rng = np.random.default_rng()
    each = n // len(np.unique(labels))
    groups = [rng.permutation(np.flatnonzero(labels == c)) for c in np.unique(labels)]
    return np.concatenate([group[:each] for group in groups])


@wrong("01.2", "global")
def _(labels, n, seed):
    np.random.seed(seed)
    each = n // len(np.unique(labels))
    groups = [np.random.permutation(np.flatnonzero(labels == c)) for c in np.unique(labels)]
    return np.concatenate([group[:each] for group in groups])


@wrong("01.2", "size")
def _(labels, n, seed):
    rng = np.random.default_rng(seed)
    groups = [rng.permutation(np.flatnonzero(labels == c)) for c in np.unique(labels)]
    return np.concatenate([group[:n] for group in groups])


@wrong("01.2", "range")
def _(labels, n, seed):
    return np.arange(n) + len(labels)


# 01.3


@right("01.3")
def _(x, y, n, seed):
    chosen = np.random.default_rng(seed).choice(len(y), n, replace=False)
    return x[chosen], y[chosen]


@right("01.3")
def _(x, y, n, seed):
    pairs = list(zip(x, y, strict=True))
    some = random.Random(int(seed)).sample(pairs, n)
    return [np.array([a for a, _ in some]), np.array([b for _, b in some])]


@wrong("01.3", "unshuffled")
def _(x, y, n, seed):
    return x[:n], y[:n]


@wrong("01.3", "labels lost")
def _(x, y, n, seed):
    rng = np.random.default_rng(seed)
    return rng.permutation(x)[:n], rng.permutation(y)[:n]


@wrong("01.3", "within")
def _(x, y, n, seed):
    order = np.random.default_rng(seed).permutation(n)
    return x[order], y[order]


@wrong("01.3", "other seeds")
def _(x, y, n, seed):
    order = np.random.default_rng(0).permutation(len(x))[:n]
    return x[order], y[order]


@wrong("01.3", "twice")
def _(x, y, n, seed):
    order = np.random.default_rng(seed).integers(0, len(x), n)
    return x[order], y[order]


@wrong("01.3", "changes its input")
def _(x, y, n, seed):
    for array in (x, y):
        np.random.default_rng(seed).shuffle(array)
    return x[:n], y[:n]


@wrong("01.3", "size")
def _(x, y, n, seed):
    order = np.random.default_rng(seed).permutation(len(x))
    return x[order], y[order[:n]]


@wrong("01.3", "pair")
def _(x, y, n, seed):
    return x[np.random.default_rng(seed).permutation(len(x))[:n]]


# 01.4


@right("01.4")
def _(train, test):
    same = (train[:, None] == test[None]).all(axis=(2, 3)).any(axis=1)
    return train[~same]


@right("01.4")
def _(train, test):
    kept = []
    for image in train:
        if not any(np.array_equal(image, other) for other in test):
            kept.append(image)
    return kept


@wrong("01.4", "same place")
def _(train, test):
    same = [i < len(test) and np.array_equal(train[i], test[i]) for i in range(len(train))]
    return train[~np.array(same)]


@wrong("01.4", "copies left")
def _(train, test):
    return train


@wrong("01.4", "too few")
def _(train, test):
    means = {image.mean() for image in test}
    return np.array([image for image in train if image.mean() not in means])


@wrong("01.4", "repeats")
def _(train, test):
    known, kept = {image.tobytes() for image in test}, []
    for image in train:
        if image.tobytes() not in known:
            known.add(image.tobytes())
            kept.append(image)
    return np.array(kept)


@wrong("01.4", "order")
def _(train, test):
    known = {image.tobytes() for image in test}
    return np.array([image for image in train[::-1] if image.tobytes() not in known])


@wrong("01.4", "test")
def _(train, test):
    known = {image.tobytes() for image in train}
    return np.array([image for image in test if image.tobytes() not in known])


@wrong("01.4", "mask")
def _(train, test):
    known = {image.tobytes() for image in test}
    return np.array([image.tobytes() not in known for image in train])


# 01.5


def judged(low, high):
    return "helps" if low > 0 else "hurts" if high < 0 else "cannot tell"


@right("01.5")
def _(transfer, scratch):
    test = stats.ttest_rel(transfer, scratch)
    return judged(*test.confidence_interval(0.95))


@right("01.5")
def _(transfer, scratch):
    d = [a - b for a, b in zip(transfer, scratch, strict=True)]
    if stats.ttest_1samp(d, 0).pvalue > 0.05:
        return "cannot tell"
    return "helps" if sum(d) > 0 else "hurts"


@wrong("01.5", "sign only")
def _(transfer, scratch):
    return "helps" if np.mean(transfer) > np.mean(scratch) else "hurts"


@wrong("01.5", "unpaired")
def _(transfer, scratch):
    d = np.mean(transfer) - np.mean(scratch)
    half = 1.96 * np.sqrt(
        np.var(transfer, ddof=1) / len(transfer) + np.var(scratch, ddof=1) / len(scratch)
    )
    return judged(d - half, d + half)


@wrong("01.5", "unpaired", "one side")
def _(transfer, scratch):
    if stats.ttest_ind(transfer, scratch).pvalue > 0.05:
        return "cannot tell"
    return "helps" if np.mean(transfer) > np.mean(scratch) else "hurts"


@wrong("01.5", "normal")
def _(transfer, scratch):
    d = np.subtract(transfer, scratch)
    half = 1.96 * stats.sem(d)
    return judged(d.mean() - half, d.mean() + half)


@wrong("01.5", "spread")
def _(transfer, scratch):
    d = np.subtract(transfer, scratch)
    return judged(d.mean() - d.std(ddof=1), d.mean() + d.std(ddof=1))


@wrong("01.5", "population")
def _(transfer, scratch):
    d = np.subtract(transfer, scratch)
    half = stats.t.ppf(0.975, len(d) - 1) * np.std(d) / np.sqrt(len(d))
    return judged(d.mean() - half, d.mean() + half)


@wrong("01.5", "turned")
def _(transfer, scratch):
    return judged(*stats.ttest_rel(scratch, transfer).confidence_interval(0.95))


@wrong("01.5", "words")
def _(transfer, scratch):
    return stats.ttest_rel(transfer, scratch).pvalue < 0.05


@wrong("01.5", "one side")
def _(transfer, scratch):
    low, high = stats.ttest_rel(transfer, scratch).confidence_interval(0.95)
    return "helps" if low > 0 else "cannot tell"
