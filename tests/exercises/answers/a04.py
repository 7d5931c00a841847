"""Answers to the exercises of chapter 04."""

import copy

import numpy as np
from scipy.special import log_softmax, rel_entr, softmax

from tlcourse.exercises.trials import right, wrong

# 04.1


@right("04.1", guess=0)
def _(steps, rate, gradient, strength, fisher):
    # What is left of the way to where both gradients cancel shrinks by the same factor each step.
    factor = 1 - rate * strength * fisher
    with_penalty = (1 - factor**steps) / (strength * fisher)
    return 100 - 100 * with_penalty / (steps * rate)


@right("04.1", guess=50.0)
def _(steps, rate, gradient, strength, fisher):
    held = free = np.float64(0)
    for _ in range(steps):
        pull = 2 * (strength / 2) * fisher * held
        held = held - rate * gradient - rate * pull
        free = free - rate * gradient
    return (free - held) / free * 100


def go(steps, rate, gradient, pull):
    far = 0.0
    for _ in range(steps):
        far -= rate * (gradient + pull(far))
    return far


def percent(far, steps, rate, gradient):
    return 100 * (1 - far / (-steps * rate * gradient))


@wrong("04.1", "from the start", guess=50)
def _(steps, rate, gradient, strength, fisher):
    return 100 * rate * strength * fisher


@wrong("04.1", "from the start", guess=98)
def _(steps, rate, gradient, strength, fisher):
    return 100 - 100 / (1 + strength * fisher)


@wrong("04.1", "moved first", guess=50)
def _(steps, rate, gradient, strength, fisher):
    far = 0.0
    for _ in range(steps):
        far -= rate * gradient
        far -= rate * strength * fisher * far
    return percent(far, steps, rate, gradient)


@wrong("04.1", "value", guess=0)
def _(steps, rate, gradient, strength, fisher):
    far = go(steps, rate, gradient, lambda far: strength / 2 * fisher * far**2)
    return percent(far, steps, rate, gradient)


@wrong("04.1", "derivative", guess=0)
def _(steps, rate, gradient, strength, fisher):
    far = go(steps, rate, gradient, lambda far: strength / 2 * fisher * far)
    return percent(far, steps, rate, gradient)


@wrong("04.1", "derivative", guess=0)
def _(steps, rate, gradient, strength, fisher):
    far = go(steps, rate, gradient, lambda far: 2 * strength * fisher * far)
    return percent(far, steps, rate, gradient)


@wrong("04.1", "no fisher", guess=0)
def _(steps, rate, gradient, strength, fisher):
    far = go(steps, rate, gradient, lambda far: strength * far)
    return percent(far, steps, rate, gradient)


@wrong("04.1", "pushes", guess=0)
def _(steps, rate, gradient, strength, fisher):
    far = go(steps, rate, gradient, lambda far: -strength * fisher * far)
    return percent(far, steps, rate, gradient)


@wrong("04.1", "left", guess=100)
def _(steps, rate, gradient, strength, fisher):
    far = go(steps, rate, gradient, lambda far: strength * fisher * far)
    return 100 * far / (-steps * rate * gradient)


@wrong("04.1", "fraction", guess=0)
def _(steps, rate, gradient, strength, fisher):
    far = go(steps, rate, gradient, lambda far: strength * fisher * far)
    return 1 - far / (-steps * rate * gradient)


@wrong("04.1", "sign", guess=0)
def _(steps, rate, gradient, strength, fisher):
    far = go(steps, rate, gradient, lambda far: strength * fisher * far)
    return 100 * (1 - far / (steps * rate * gradient))


@wrong("04.1", "one step", guess=0)
def _(steps, rate, gradient, strength, fisher):
    far = go(steps + 1, rate, gradient, lambda far: strength * fisher * far)
    return percent(far, steps, rate, gradient)


@wrong("04.1", "other", guess=0)
def _(steps, rate, gradient, strength, fisher):
    return 0


# 04.2


@right("04.2")
def _(weights, gradient, fisher, strength, rate, steps):
    anchor = copy.deepcopy(weights)
    for _ in range(steps):
        slope = gradient(weights)
        for name in weights:
            weights[name] -= rate * slope[name]
            weights[name] -= (
                rate * strength * fisher[name] * (weights[name] + rate * slope[name] - anchor[name])
            )
    return weights


@right("04.2")
def _(weights, gradient, fisher, strength, rate, steps):
    # New arrays in each step: then the dict that came in is an anchor as it is.
    now = weights
    for _ in range(steps):
        slope = gradient(now)
        now = {
            name: now[name]
            - rate * (slope[name] + strength * fisher[name] * (now[name] - weights[name]))
            for name in sorted(now)
        }
    return now


def ewc(weights, gradient, strength, rate, steps, pull):
    start = last = {name: value.copy() for name, value in weights.items()}
    for _ in range(steps):
        slope, before = gradient(weights), {name: value.copy() for name, value in weights.items()}
        for name in weights:
            force = strength * pull(name, weights[name], start[name], last[name])
            weights[name] = weights[name] - rate * (slope[name] + force)
        last = before
    return weights


@wrong("04.2", "no pull")
def _(weights, gradient, fisher, strength, rate, steps):
    anchor = dict(weights)
    for _ in range(steps):
        slope = gradient(weights)
        for name in weights:
            pull = strength * fisher[name] * (weights[name] - anchor[name])
            weights[name] -= rate * (slope[name] + pull)
    return weights


@wrong("04.2", "no pull")
def _(weights, gradient, fisher, strength, rate, steps):
    for _ in range(steps):
        anchor = copy.deepcopy(weights)
        slope = gradient(weights)
        for name in weights:
            pull = strength * fisher[name] * (weights[name] - anchor[name])
            weights[name] -= rate * (slope[name] + pull)
    return weights


@wrong("04.2", "last step")
def _(weights, gradient, fisher, strength, rate, steps):
    return ewc(
        weights, gradient, strength, rate, steps, lambda n, w, start, last: fisher[n] * (w - last)
    )


@wrong("04.2", "decay")
def _(weights, gradient, fisher, strength, rate, steps):
    return ewc(weights, gradient, strength, rate, steps, lambda n, w, start, last: fisher[n] * w)


@wrong("04.2", "pushes")
def _(weights, gradient, fisher, strength, rate, steps):
    return ewc(
        weights, gradient, strength, rate, steps, lambda n, w, start, last: fisher[n] * (start - w)
    )


@wrong("04.2", "no fisher")
def _(weights, gradient, fisher, strength, rate, steps):
    return ewc(weights, gradient, strength, rate, steps, lambda n, w, start, last: w - start)


@wrong("04.2", "factor")
def _(weights, gradient, fisher, strength, rate, steps):
    return ewc(
        weights, gradient, strength, rate, steps,
        lambda n, w, start, last: 2 * fisher[n] * (w - start),
    )  # fmt: skip


@wrong("04.2", "one array")
def _(weights, gradient, fisher, strength, rate, steps):
    anchor = {name: value.copy() for name, value in weights.items() if value.ndim == 2}
    for _ in range(steps):
        slope = gradient(weights)
        for name in weights:
            pull = weights[name] - anchor.get(name, weights[name])
            weights[name] -= rate * (slope[name] + strength * fisher[name] * pull)
    return weights


@wrong("04.2", "returns nothing")
def _(weights, gradient, fisher, strength, rate, steps):
    ewc(weights, gradient, strength, rate, steps, lambda n, w, start, last: fisher[n] * (w - start))


@wrong("04.2", "unreadable")
def _(weights, gradient, fisher, strength, rate, steps):
    return ewc(
        weights, gradient, strength, rate, steps, lambda n, w, start, last: fisher[n] * (w - start)
    )["kernel"]


@wrong("04.2", "AttributeError")
def _(weights, gradient, fisher, strength, rate, steps):
    return weights.detach()


@wrong("04.2", "other")
def _(weights, gradient, fisher, strength, rate, steps):
    held = ewc(
        weights, gradient, strength, rate, steps, lambda n, w, start, last: fisher[n] * (w - start)
    )
    return {name: 0.5 * value for name, value in held.items()}


# 04.3


@right("04.3")
def _(said, labels):
    total = 0.0
    for name, classes in labels.items():
        logs = [-np.log(row[c]) for row, c in zip(said[name], classes, strict=True) if c >= 0]
        total += sum(logs) / max(1, len(logs))
    return total


@right("04.3")
def _(said, labels):
    total = np.zeros(1)
    for name in said:
        mask = (labels[name] != -1).astype(float)
        picked = np.take_along_axis(said[name], np.maximum(labels[name], 0)[:, None], axis=1)[:, 0]
        total -= (mask * np.log(picked)).sum() / (mask.sum() + 1e-12)
    return total


def nll(probabilities, classes):
    return -np.log(probabilities[np.arange(len(classes)), classes])


@wrong("04.3", "last class")
def _(said, labels):
    return sum(nll(said[name], labels[name]).mean() for name in said)


@wrong("04.3", "last class")
def _(said, labels):
    return sum(nll(said[n], labels[n]).mean() for n in said if (labels[n] != -1).any())


@wrong("04.3", "class zero")
def _(said, labels):
    return sum(nll(said[name], np.where(labels[name] < 0, 0, labels[name])).mean() for name in said)


@wrong("04.3", "divided by all")
def _(said, labels):
    total = 0.0
    for name in said:
        weight = labels[name] != -1
        total += (weight * nll(said[name], labels[name])).mean()
    return total


@wrong("04.3", "one pool")
def _(said, labels):
    found = [nll(said[name][labels[name] >= 0], labels[name][labels[name] >= 0]) for name in said]
    return np.concatenate(found).mean()


@wrong("04.3", "complete only")
def _(said, labels):
    both = (labels["animals"] != -1) & (labels["digits"] != -1)
    return sum(nll(said[name][both], labels[name][both]).sum() for name in said) / max(
        1, both.sum()
    )


@wrong("04.3", "complete only")
def _(said, labels):
    both = (labels["animals"] != -1) & (labels["digits"] != -1)
    with np.errstate(invalid="ignore"):
        return sum(nll(said[n][both], labels[n][both]).sum() / both.sum() for n in said)


@wrong("04.3", "nan")
def _(said, labels):
    total = 0.0
    for name in said:
        there = labels[name] != -1
        with np.errstate(invalid="ignore"):
            total += nll(said[name][there], labels[name][there]).sum() / there.sum()
    return total


def masked(said, labels, fold=np.mean):
    found = []
    for name in said:
        there = labels[name] != -1
        found.append(fold(nll(said[name][there], labels[name][there])) if there.any() else 0)
    return found


@wrong("04.3", "mean of tasks")
def _(said, labels):
    return np.mean(masked(said, labels))


@wrong("04.3", "sum")
def _(said, labels):
    return sum(masked(said, labels, np.sum))


@wrong("04.3", "not a number")
def _(said, labels):
    return dict(zip(said, masked(said, labels), strict=True))


@wrong("04.3", "changes its input")
def _(said, labels):
    for name in said:
        labels[name][labels[name] == -1] = 0
    return sum(masked(said, labels))


# 04.4


@right("04.4")
def _(student, teacher, temperature):
    p, q = softmax(teacher / temperature, axis=1), softmax(student / temperature, axis=1)
    return temperature**2 * rel_entr(p, q).sum() / len(p)


@right("04.4")
def _(student, teacher, temperature):
    total = 0.0
    for s, t in zip(student, teacher, strict=True):
        p, q = (np.exp((x - max(x)) / temperature) for x in (t, s))
        p, q = p / p.sum(), q / q.sum()
        # The cross-entropy minus the teacher's entropy.
        total += -(p * np.log(q)).sum() + (p * np.log(p)).sum()
    return np.float32(temperature * temperature * total / len(student))


def kl(p, q):
    return (p * (np.log(p) - np.log(q))).sum(axis=1)


@wrong("04.4", "no factor")
def _(student, teacher, temperature):
    return kl(softmax(teacher / temperature, 1), softmax(student / temperature, 1)).mean()


@wrong("04.4", "one factor")
def _(student, teacher, t):
    return t * kl(softmax(teacher / t, 1), softmax(student / t, 1)).mean()


@wrong("04.4", "student sharp")
def _(student, teacher, t):
    return t**2 * kl(softmax(teacher / t, 1), softmax(student, 1)).mean()


@wrong("04.4", "teacher sharp")
def _(student, teacher, t):
    return t**2 * kl(softmax(teacher, 1), softmax(student / t, 1)).mean()


@wrong("04.4", "multiplied")
def _(student, teacher, t):
    return t**2 * kl(softmax(teacher * t, 1), softmax(student * t, 1)).mean()


@wrong("04.4", "after")
def _(student, teacher, t):
    return t**2 * kl(softmax(teacher, 1) / t, softmax(student, 1) / t).mean()


@wrong("04.4", "reversed")
def _(student, teacher, t):
    return t**2 * kl(softmax(student / t, 1), softmax(teacher / t, 1)).mean()


@wrong("04.4", "cross-entropy")
def _(student, teacher, t):
    return -(t**2) * (softmax(teacher / t, 1) * log_softmax(student / t, 1)).sum(axis=1).mean()


@wrong("04.4", "hard")
def _(student, teacher, t):
    said = log_softmax(student / t, axis=1)
    return -(t**2) * said[np.arange(len(said)), teacher.argmax(axis=1)].mean()


@wrong("04.4", "sum")
def _(student, teacher, t):
    return t**2 * kl(softmax(teacher / t, 1), softmax(student / t, 1)).sum()


@wrong("04.4", "sum")
def _(student, teacher, t):
    return kl(softmax(teacher / t, 1), softmax(student / t, 1)).sum()


@wrong("04.4", "mean of classes")
def _(student, teacher, t):
    p, q = softmax(teacher / t, 1), softmax(student / t, 1)
    return t**2 * (p * np.log(p / q)).mean()


@wrong("04.4", "overflow")
def _(student, teacher, t):
    with np.errstate(all="ignore"):
        p, q = np.exp(teacher / t), np.exp(student / t)
        return t**2 * kl(p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True)).mean()


@wrong("04.4", "mixed rows")
def _(student, teacher, t):
    return t**2 * kl(softmax(teacher / t, axis=0), softmax(student / t, axis=0)).mean()


@wrong("04.4", "other")
def _(student, teacher, t):
    return t**2 * np.square(teacher - student).mean()


# 04.5


@right("04.5")
def _(x, predict, gradient):
    said = predict(x)
    squares = [
        [gradient(x[i][None], np.array([label])) ** 2 for label in range(said.shape[1])]
        for i in range(len(x))
    ]
    return np.einsum("nc,nc...->...", said, np.array(squares)) / len(x)


@right("04.5")
def _(x, predict, gradient):
    # The root of the probability, squared along, is the probability.
    total = 0
    for image in np.split(x, len(x)):
        for label, p in enumerate(predict(image)[0]):
            total = total + (np.sqrt(p) * gradient(image, [label])) ** 2
    return total / len(x)


def one(x, i, label, gradient):
    return gradient(x[i : i + 1], np.array([label]))


@wrong("04.5", "batch")
def _(x, predict, gradient):
    said = predict(x)
    labels = said.argmax(axis=1)
    return gradient(x, labels) ** 2


@wrong("04.5", "batch")
def _(x, predict, gradient):
    said = predict(x)
    total = 0
    for label in range(said.shape[1]):
        share = said[:, label].mean()
        total = total + share * gradient(x, np.full(len(x), label)) ** 2
    return total


@wrong("04.5", "argmax")
def _(x, predict, gradient):
    best = predict(x).argmax(axis=1)
    return np.mean([one(x, i, label, gradient) ** 2 for i, label in enumerate(best)], axis=0)


@wrong("04.5", "drawn")
def _(x, predict, gradient):
    rng, said = np.random.default_rng(0), predict(x)
    total = 0
    for i, row in enumerate(said):
        total = total + one(x, i, rng.choice(len(row), p=row / row.sum()), gradient) ** 2
    return total / len(x)


def table(x, predict, gradient):
    said = predict(x)
    found = [[one(x, i, c, gradient) for c in range(said.shape[1])] for i in range(len(x))]
    return np.array(found), said[:, :, None, None]


@wrong("04.5", "unweighted")
def _(x, predict, gradient):
    gradients, _ = table(x, predict, gradient)
    return (gradients**2).mean(axis=(0, 1))


@wrong("04.5", "weights squared")
def _(x, predict, gradient):
    gradients, said = table(x, predict, gradient)
    return ((said * gradients) ** 2).sum(axis=1).mean(axis=0)


@wrong("04.5", "cancels")
def _(x, predict, gradient):
    gradients, said = table(x, predict, gradient)
    return (said * gradients).sum(axis=1).mean(axis=0) ** 2


@wrong("04.5", "not squared")
def _(x, predict, gradient):
    gradients, said = table(x, predict, gradient)
    return (said * abs(gradients)).sum(axis=1).mean(axis=0)


@wrong("04.5", "sum")
def _(x, predict, gradient):
    gradients, said = table(x, predict, gradient)
    return (said * gradients**2).sum(axis=(0, 1))


@wrong("04.5", "classes divided")
def _(x, predict, gradient):
    gradients, said = table(x, predict, gradient)
    return (said * gradients**2).mean(axis=(0, 1))


@wrong("04.5", "ValueError")
def _(x, predict, gradient):
    return sum(gradient(image, 0) ** 2 for image in x) / len(x)


@wrong("04.5", "wrong shape")
def _(x, predict, gradient):
    gradients, said = table(x, predict, gradient)
    return (said * gradients**2).sum(axis=1)


@wrong("04.5", "other")
def _(x, predict, gradient):
    gradients, said = table(x, predict, gradient)
    return np.sqrt((said * gradients**2).sum(axis=1).mean(axis=0))


# 04.6


@right("04.6")
def _(methods, strengths, seeds, run, allowed):
    def mean(method, strength):
        pairs = [run(method, strength, seed) for seed in seeds]
        return [sum(column) / len(seeds) for column in zip(*pairs, strict=True)]

    floor = mean("naive", 0)[0] - allowed
    best = dict.fromkeys(methods)
    for strength in strengths:
        for method in methods:
            new, old = mean(method, strength)
            if new >= floor and (best[method] is None or old > best[method]):
                best[method] = old
    return best


@right("04.6")
def _(methods, strengths, seeds, run, allowed):
    names = [("naive", 0)] + [(method, strength) for method in methods for strength in strengths]
    means = {name: np.array([run(*name, seed) for seed in seeds]).mean(axis=0) for name in names}
    cheap = {name for name, m in means.items() if means["naive", 0][0] - m[0] <= allowed}
    found = {m: [means[m, s][1] for s in strengths if (m, s) in cheap] for m in methods}
    return {method: max(old) if old else None for method, old in found.items()}


def tables(methods, strengths, seeds, run):
    """The naive new accuracies, and for each method `(strengths, seeds, 2)`."""
    naive = np.array([run("naive", 0, seed)[0] for seed in seeds])
    found = {m: np.array([[run(m, s, d) for d in seeds] for s in strengths]) for m in methods}
    return naive, found


def pick(rows, floor, fold=np.mean, of=1):
    means = [row for row in fold(rows, axis=1) if row[0] >= floor]
    return max(means, key=lambda row: row[1])[of] if means else None


@wrong("04.6", "no baseline")
def _(methods, strengths, seeds, run, allowed):
    found = {m: np.array([[run(m, s, d) for d in seeds] for s in strengths]) for m in methods}
    return {m: pick(rows, 0.95 - allowed) for m, rows in found.items()}


@wrong("04.6", "no baseline")
def _(methods, strengths, seeds, run, allowed):
    naive = run("naive", 0, seeds[0])[0]
    found = {m: np.array([[run(m, s, d) for d in seeds] for s in strengths]) for m in methods}
    return {m: pick(rows, naive - allowed) for m, rows in found.items()}


@wrong("04.6", "yardstick")
def _(methods, strengths, seeds, run, allowed):
    _, found = tables(methods, strengths, seeds, run)
    both = np.mean([run("naive", 0, seed) for seed in seeds])
    return {m: pick(rows, both - allowed) for m, rows in found.items()}


@wrong("04.6", "relative")
def _(methods, strengths, seeds, run, allowed):
    naive, found = tables(methods, strengths, seeds, run)
    return {m: pick(rows, (1 - allowed) * naive.mean()) for m, rows in found.items()}


@wrong("04.6", "strengths")
def _(methods, strengths, seeds, run, allowed):
    naive, found = tables(methods, strengths[:1], seeds, run)
    return {m: pick(rows, naive.mean() - allowed) for m, rows in found.items()}


@wrong("04.6", "strengths")
def _(methods, strengths, seeds, run, allowed):
    # Stops at the first strength that costs too much.
    naive = np.mean([run("naive", 0, seed)[0] for seed in seeds])
    kept = dict.fromkeys(methods)
    for method in methods:
        for strength in strengths:
            new, old = np.mean([run(method, strength, seed) for seed in seeds], axis=0)
            if new < naive - allowed:
                break
            kept[method] = max(old, kept[method] or 0)
    return kept


@wrong("04.6", "one seed")
def _(methods, strengths, seeds, run, allowed):
    naive = np.mean([run("naive", 0, seed)[0] for seed in seeds])
    _, found = tables(methods, strengths, seeds[:1], run)
    return {m: pick(rows, naive - allowed) for m, rows in found.items()}


@wrong("04.6", "cost ignored")
def _(methods, strengths, seeds, run, allowed):
    _, found = tables(methods, strengths, seeds, run)
    return {m: max(rows[:, :, 1].mean(axis=1)) for m, rows in found.items()}


@wrong("04.6", "best seed")
def _(methods, strengths, seeds, run, allowed):
    naive, found = tables(methods, strengths, seeds, run)
    return {m: pick(rows, naive.mean() - allowed, np.max) for m, rows in found.items()}


@wrong("04.6", "per seed")
def _(methods, strengths, seeds, run, allowed):
    naive, found = tables(methods, strengths, seeds, run)
    kept = {}
    for method, rows in found.items():
        best = []
        for place, new in enumerate(naive):
            best += [max((r[1] for r in rows[:, place] if r[0] >= new - allowed), default=np.nan)]
        kept[method] = None if np.isnan(best).all() else np.nanmean(best)
    return kept


@wrong("04.6", "strongest")
def _(methods, strengths, seeds, run, allowed):
    naive, found = tables(methods, strengths, seeds, run)
    kept = dict.fromkeys(methods)
    for method, rows in found.items():
        for new, old in rows.mean(axis=1):
            if new >= naive.mean() - allowed:
                kept[method] = old
    return kept


@wrong("04.6", "new accuracy")
def _(methods, strengths, seeds, run, allowed):
    naive, found = tables(methods, strengths, seeds, run)
    return {m: pick(rows, naive.mean() - allowed, of=0) for m, rows in found.items()}


@wrong("04.6", "strength")
def _(methods, strengths, seeds, run, allowed):
    naive, found = tables(methods, strengths, seeds, run)
    kept = {}
    for method, rows in found.items():
        means = rows.mean(axis=1)
        fit = [i for i in range(len(strengths)) if means[i, 0] >= naive.mean() - allowed]
        kept[method] = strengths[max(fit, key=lambda i: means[i, 1])] if fit else None
    return kept


@wrong("04.6", "nothing affordable")
def _(methods, strengths, seeds, run, allowed):
    naive, found = tables(methods, strengths, seeds, run)
    return {m: pick(rows, naive.mean() - allowed) or 0.0 for m, rows in found.items()}


@wrong("04.6", "methods")
def _(methods, strengths, seeds, run, allowed):
    naive, found = tables(methods, strengths, seeds, run)
    kept = {m: pick(rows, naive.mean() - allowed) for m, rows in found.items()}
    return {m: old for m, old in kept.items() if old is not None}


@wrong("04.6", "unreadable")
def _(methods, strengths, seeds, run, allowed):
    naive, found = tables(methods, strengths, seeds, run)
    return [pick(rows, naive.mean() - allowed) for rows in found.values()]
