"""Answers to the exercises of chapter 09."""

import numpy as np
from scipy.special import log_softmax, softmax

from tlcourse.exercises.trials import right, wrong

# 09.1


@right("09.1", guess=2.3)
def _(scores, labels):
    return -log_softmax(scores, axis=1)[np.arange(len(labels)), labels].mean()


@right("09.1", guess=5)
def _(scores, labels):
    losses = []
    for row, label in zip(scores, labels, strict=True):
        powers = np.exp(row)
        losses.append(np.log(powers.sum() / powers[label]))
    return sum(losses) / len(losses)


@wrong("09.1", "all alike", guess=2.3)
def _(scores, labels):
    return np.log(scores.shape[1])


@wrong("09.1", "no softmax", guess=2.3)
def _(scores, labels):
    return -np.mean([row[label] for row, label in zip(scores, labels, strict=True)])


@wrong("09.1", "columns", guess=2.3)
def _(scores, labels):
    p = np.exp(scores) / np.exp(scores).sum(axis=0)
    return -np.log(p[np.arange(len(labels)), labels]).mean()


@wrong("09.1", "surest", guess=2.3)
def _(scores, labels):
    return -np.log(softmax(scores, axis=1).max(axis=1)).mean()


@wrong("09.1", "log outside", guess=2.3)
def _(scores, labels):
    return -np.log(softmax(scores, axis=1)[np.arange(len(labels)), labels].mean())


@wrong("09.1", "no log", guess=2.3)
def _(scores, labels):
    return np.mean(1 - softmax(scores, axis=1)[np.arange(len(labels)), labels])


@wrong("09.1", "sum", guess=2.3)
def _(scores, labels):
    return -log_softmax(scores, axis=1)[np.arange(len(labels)), labels].sum()


@wrong("09.1", "sign", guess=2.3)
def _(scores, labels):
    return log_softmax(scores, axis=1)[np.arange(len(labels)), labels].mean()


@wrong("09.1", "base", guess=2.3)
def _(scores, labels):
    return -np.log10(softmax(scores, axis=1)[np.arange(len(labels)), labels]).mean()


@wrong("09.1", "other", guess=2.3)
def _(scores, labels):
    """Over all classes, not the label's alone."""
    return -log_softmax(scores, axis=1).mean()


# 09.2


@right("09.2")
def _(kernel, bias, features, labels):
    error = softmax(features @ kernel + bias, axis=1)
    error[np.arange(len(labels)), labels] -= 1
    return error @ kernel.T


@right("09.2")
def _(kernel, bias, features, labels):
    """By finite differences."""

    def losses(features):
        found = log_softmax(features @ kernel + bias, axis=1)
        return -found[np.arange(len(labels)), labels]

    columns = []
    for step in 1e-5 * np.eye(features.shape[1]):
        columns.append((losses(features + step) - losses(features - step)) / 2e-5)
    return np.stack(columns, axis=1)


@right("09.2")
def _(kernel, bias, features, labels):
    rows = []
    for row, label in zip(features, labels, strict=True):
        p = softmax(row @ kernel + bias)
        rows.append(kernel @ p - kernel[:, label])
    return np.array(rows)


def error_of(kernel, bias, features, labels):
    return softmax(features @ kernel + bias, axis=1) - np.eye(kernel.shape[1])[labels]


@wrong("09.2", "uphill")
def _(kernel, bias, features, labels):
    return -error_of(kernel, bias, features, labels) @ kernel.T


@wrong("09.2", "no label")
def _(kernel, bias, features, labels):
    return softmax(features @ kernel + bias, axis=1) @ kernel.T


@wrong("09.2", "error")
def _(kernel, bias, features, labels):
    return error_of(kernel, bias, features, labels)


@wrong("09.2", "to the kernel")
def _(kernel, bias, features, labels):
    return features.T @ error_of(kernel, bias, features, labels) / len(labels)


@wrong("09.2", "mean")
def _(kernel, bias, features, labels):
    return error_of(kernel, bias, features, labels) @ kernel.T / len(labels)


@wrong("09.2", "mean")
def _(kernel, bias, features, labels):
    return (error_of(kernel, bias, features, labels) @ kernel.T).mean(axis=0)


@wrong("09.2", "scores")
def _(kernel, bias, features, labels):
    return (features @ kernel + bias - np.eye(len(bias))[labels]) @ kernel.T


@wrong("09.2", "columns")
def _(kernel, bias, features, labels):
    p = softmax(features @ kernel + bias, axis=0)
    return (p - np.eye(len(bias))[labels]) @ kernel.T


@wrong("09.2", "no bias")
def _(kernel, bias, features, labels):
    return error_of(kernel, 0, features, labels) @ kernel.T


@wrong("09.2", "ValueError")
def _(kernel, bias, features, labels):
    return error_of(kernel, bias, features, labels) @ kernel


@wrong("09.2", "other")
def _(kernel, bias, features, labels):
    """Scaled to length 1, as if only directions counted."""
    sent = error_of(kernel, bias, features, labels) @ kernel.T
    return sent / np.maximum(np.linalg.norm(sent, axis=1, keepdims=True), 1e-12)


# 09.3


@right("09.3")
def _(blocks, stages, epochs):
    plan = []
    for n, count in zip(stages, epochs, strict=True):
        plan += [blocks[len(blocks) - n :]] * count
    return plan


@right("09.3")
def _(blocks, stages, epochs):
    """From the output, and as sets."""
    backwards = blocks[::-1]
    return [set(backwards[:n]) for n in np.repeat(stages, epochs)]


@wrong("09.3", "zero")
def _(blocks, stages, epochs):
    return [blocks[-n:] for n, count in zip(stages, epochs, strict=True) for _ in range(count)]


@wrong("09.3", "input end")
def _(blocks, stages, epochs):
    return [blocks[:n] for n in np.repeat(stages, epochs)]


@wrong("09.3", "alone")
def _(blocks, stages, epochs):
    plan, end = [], len(blocks)
    for n, count in zip(stages, epochs, strict=True):
        plan += [blocks[len(blocks) - n : end]] * count
        end = len(blocks) - n
    return plan


@wrong("09.3", "each stage")
def _(blocks, stages, epochs):
    return [blocks[len(blocks) - n :] for n in stages]


@wrong("09.3", "at once")
def _(blocks, stages, epochs):
    return [blocks[len(blocks) - max(stages) :] for _ in range(sum(epochs))]


@wrong("09.3", "never")
def _(blocks, stages, epochs):
    """Opens everything, then freezes again; what an earlier stage froze stays frozen."""
    frozen, plan = set(), []
    for n, count in zip(stages, epochs, strict=True):
        frozen |= set(blocks[: len(blocks) - n])
        plan += [[block for block in blocks if block not in frozen]] * count
    return plan


@wrong("09.3", "boundary")
def _(blocks, stages, epochs):
    ends = np.cumsum(epochs)
    plan = []
    for epoch in range(sum(epochs)):
        stage = int(np.searchsorted(ends, epoch))
        plan.append(blocks[len(blocks) - stages[stage] :])
    return plan


@wrong("09.3", "boundary")
def _(blocks, stages, epochs):
    every = np.repeat(stages, epochs)
    return [blocks[len(blocks) - n :] for n in [*every[1:], every[-1]]]


@wrong("09.3", "one more")
def _(blocks, stages, epochs):
    plan = []
    for stage, count in enumerate(epochs, 1):
        plan += [blocks[len(blocks) - stage :]] * count
    return plan


@wrong("09.3", "epochs")
def _(blocks, stages, epochs):
    return [blocks[len(blocks) - n :] for n in stages for _ in range(max(epochs))]


@wrong("09.3", "not names")
def _(blocks, stages, epochs):
    return [int(n) for n in np.repeat(stages, epochs)]


@wrong("09.3", "other")
def _(blocks, stages, epochs):
    """One block too few in each stage."""
    return [blocks[len(blocks) - max(n - 1, 0) :] for n in np.repeat(stages, epochs)]


# 09.4


@right("09.4")
def _(make_adam, rates, gradients):
    changes = []
    for rate, stage in zip(rates, gradients, strict=True):
        adam = make_adam(rate)
        changes.append([adam.change(gradient) for gradient in stage])
    return changes


@right("09.4")
def _(make_adam, rates, gradients):
    head, whole = map(make_adam, rates)
    return tuple(
        np.array(list(map(a.change, g))) for a, g in zip((head, whole), gradients, strict=True)
    )


@wrong("09.4", "rate and memory")
def _(make_adam, rates, gradients):
    adam = make_adam(rates[0])
    return [[adam.change(gradient) for gradient in stage] for stage in gradients]


@wrong("09.4", "memory")
def _(make_adam, rates, gradients):
    adam, changes = make_adam(rates[0]), []
    for rate, stage in zip(rates, gradients, strict=True):
        adam.rate = rate
        changes.append([adam.change(gradient) for gradient in stage])
    return changes


@wrong("09.4", "memory")
def _(make_adam, rates, gradients):
    """The changes are scaled instead of the rate."""
    adam = make_adam(1.0)
    return [
        [rate * adam.change(gradient) for gradient in stage]
        for rate, stage in zip(rates, gradients, strict=True)
    ]


@wrong("09.4", "rate")
def _(make_adam, rates, gradients):
    changes = []
    for stage in gradients:
        adam = make_adam(rates[0])
        changes.append([adam.change(gradient) for gradient in stage])
    return changes


@wrong("09.4", "every step")
def _(make_adam, rates, gradients):
    return [
        [make_adam(rate).change(gradient) for gradient in stage]
        for rate, stage in zip(rates, gradients, strict=True)
    ]


@wrong("09.4", "turned")
def _(make_adam, rates, gradients):
    changes = []
    for rate, stage in zip(sorted(rates), gradients, strict=True):
        adam = make_adam(rate)
        changes.append([adam.change(gradient) for gradient in stage])
    return changes


@wrong("09.4", "one list")
def _(make_adam, rates, gradients):
    changes = []
    for rate, stage in zip(rates, gradients, strict=True):
        adam = make_adam(rate)
        changes += [adam.change(gradient) for gradient in stage]
    return changes


@wrong("09.4", "second only")
def _(make_adam, rates, gradients):
    for rate, stage in zip(rates, gradients, strict=True):
        adam = make_adam(rate)
        changes = [[adam.change(gradient) for gradient in stage]]
    return changes


@wrong("09.4", "other")
def _(make_adam, rates, gradients):
    """Plain SGD."""
    return [[-r * g for g in stage] for r, stage in zip(rates, gradients, strict=True)]


# 09.5


@right("09.5")
def _(train_epoch, validate, test, patience, most):
    best, kept, waited = 0.0, None, 0
    for _ in range(most):
        model = train_epoch()
        now = validate(model)
        if now > best:
            best, kept, waited = now, model, 0
        else:
            waited += 1
            if waited == patience:
                break
    return kept, test(kept)


@right("09.5")
def _(train_epoch, validate, test, patience, most):
    models, scores = [], []
    while len(models) < most:
        models.append(train_epoch())
        scores.append(validate(models[-1]))
        if len(scores) - 1 - int(np.argmax(scores)) >= patience:
            break
    kept = models[int(np.argmax(scores))]
    return [kept, test(kept)]


def stop(train_epoch, look, patience, most, better=lambda now, best: now > best, more=0):
    """Kept and last model, and the best look."""
    best, kept, waited = 0.0, None, 0
    for _ in range(most):
        model = train_epoch()
        if better(look(model), best):
            best, kept, waited = look(model), model, 0
        else:
            waited += 1
            if waited == patience + more:
                break
    return kept, model, best


@wrong("09.5", "test stops")
def _(train_epoch, validate, test, patience, most):
    kept, _, best = stop(train_epoch, test, patience, most)
    return kept, best


@wrong("09.5", "test stops")
def _(train_epoch, validate, test, patience, most):
    """Stops by the right images, and reports the best test accuracy on the way."""
    seen = []

    def look(model):
        seen.append(test(model))
        return validate(model)

    return stop(train_epoch, look, patience, most)[0], max(seen)


@wrong("09.5", "validation")
def _(train_epoch, validate, test, patience, most):
    kept, _, best = stop(train_epoch, validate, patience, most)
    test(kept)
    return kept, best


@wrong("09.5", "never tested")
def _(train_epoch, validate, test, patience, most):
    kept, _, best = stop(train_epoch, validate, patience, most)
    return kept, best


@wrong("09.5", "last")
def _(train_epoch, validate, test, patience, most):
    _, last, _ = stop(train_epoch, validate, patience, most)
    return last, test(last)


@wrong("09.5", "not chosen")
def _(train_epoch, validate, test, patience, most):
    kept, last, _ = stop(train_epoch, validate, patience, most)
    return kept, test(last)


@wrong("09.5", "too long")
def _(train_epoch, validate, test, patience, most):
    kept, _, _ = stop(train_epoch, validate, patience, most, more=1)
    return kept, test(kept)


@wrong("09.5", "too long")
def _(train_epoch, validate, test, patience, most):
    models = [train_epoch() for _ in range(most)]
    kept = max(models, key=validate)
    return kept, test(kept)


@wrong("09.5", "too short")
def _(train_epoch, validate, test, patience, most):
    kept, _, _ = stop(train_epoch, validate, patience, most, more=-1)
    return kept, test(kept)


@wrong("09.5", "too short")
def _(train_epoch, validate, test, patience, most):
    """The waiting never starts anew."""
    best, kept, waited = 0.0, None, 0
    for _ in range(most):
        model = train_epoch()
        if validate(model) > best:
            best, kept = validate(model), model
        else:
            waited += 1
            if waited == patience:
                break
    return kept, test(kept)


@wrong("09.5", "equal")
def _(train_epoch, validate, test, patience, most):
    kept, _, _ = stop(train_epoch, validate, patience, most, lambda now, best: now >= best)
    return kept, test(kept)


@wrong("09.5", "too many")
def _(train_epoch, validate, test, patience, most):
    kept, _, _ = stop(train_epoch, validate, patience, 10)
    return kept, test(kept)


@wrong("09.5", "pair")
def _(train_epoch, validate, test, patience, most):
    kept, _, _ = stop(train_epoch, validate, patience, most)
    return test(kept)


# 09.6


@right("09.6")
def _(run, seeds, passes, seconds, chance):
    def ends(way, seed):
        accuracies, took = run(way, seed)
        done = np.sum(np.cumsum(took) <= seconds)
        return np.array([accuracies[passes - 1], accuracies[done - 1] if done else chance])

    return tuple(np.mean([ends("two-stage", s) - ends("single", s) for s in seeds], axis=0))


@right("09.6")
def _(run, seeds, passes, seconds, chance):
    """Means of the ways first; the difference of means is the mean difference."""
    means = {}
    for way in ("single", "two-stage"):
        at_pass, at_time = [], []
        for seed in seeds:
            accuracies, took = run(way, seed)
            at_pass.append(accuracies[:passes][-1])
            clock, reached = 0, chance
            for accuracy, second in zip(accuracies, took, strict=True):
                clock += second
                if clock > seconds:
                    break
                reached = accuracy
            at_time.append(reached)
        means[way] = np.mean(at_pass), np.mean(at_time)
    return [two - one for two, one in zip(means["two-stage"], means["single"], strict=True)]


def leads(run, seeds, after, in_time):
    rows = []
    for seed in seeds:
        two, one = (
            np.array([after(way, run(way, seed)[0]), in_time(*run(way, seed))])
            for way in ("two-stage", "single")
        )
        rows.append(two - one)
    return np.mean(rows, axis=0)


def timed(seconds, chance):
    def at(accuracies, took):
        done = np.sum(np.cumsum(took) <= seconds)
        return accuracies[done - 1] if done else chance

    return at


@wrong("09.6", "off by one")
def _(run, seeds, passes, seconds, chance):
    return leads(run, seeds, lambda way, a: a[passes], timed(seconds, chance))


@wrong("09.6", "head not counted")
def _(run, seeds, passes, seconds, chance):
    def after(way, accuracies):
        return accuracies[passes if way == "two-stage" else passes - 1]

    return leads(run, seeds, after, timed(seconds, chance))


@wrong("09.6", "best")
def _(run, seeds, passes, seconds, chance):
    def at(accuracies, took):
        inside = np.cumsum(took) <= seconds
        return max([chance, *np.array(accuracies)[inside]])

    return leads(run, seeds, lambda way, a: max(a[:passes]), at)


@wrong("09.6", "not added")
def _(run, seeds, passes, seconds, chance):
    def at(accuracies, took):
        done = sum(t <= seconds for t in took)
        return accuracies[done - 1] if done else chance

    return leads(run, seeds, lambda way, a: a[passes - 1], at)


@wrong("09.6", "nothing done")
def _(run, seeds, passes, seconds, chance):
    def at(accuracies, took):
        return accuracies[np.sum(np.cumsum(took) <= seconds) - 1]

    return leads(run, seeds, lambda way, a: a[passes - 1], at)


@wrong("09.6", "unfinished")
def _(run, seeds, passes, seconds, chance):
    def at(accuracies, took):
        return accuracies[min(np.searchsorted(np.cumsum(took), seconds), len(took) - 1)]

    return leads(run, seeds, lambda way, a: a[passes - 1], at)


@wrong("09.6", "same passes")
def _(run, seeds, passes, seconds, chance):
    lead = leads(run, seeds, lambda way, a: a[passes - 1], timed(seconds, chance))[0]
    return lead, lead


@wrong("09.6", "seeds")
def _(run, seeds, passes, seconds, chance):
    return tuple(leads(run, seeds[:1], lambda way, a: a[passes - 1], timed(seconds, chance)))


@wrong("09.6", "seeds")
def _(run, seeds, passes, seconds, chance):
    """Each way with seeds of its own."""
    half = len(seeds) // 2
    two = [run("two-stage", seed)[0][passes - 1] for seed in seeds[:half]]
    one = [run("single", seed)[0][passes - 1] for seed in seeds[half:]]
    return np.mean(two) - np.mean(one), 0.0


@wrong("09.6", "sign")
def _(run, seeds, passes, seconds, chance):
    return -leads(run, seeds, lambda way, a: a[passes - 1], timed(seconds, chance))


@wrong("09.6", "order")
def _(run, seeds, passes, seconds, chance):
    return leads(run, seeds, lambda way, a: a[passes - 1], timed(seconds, chance))[::-1]


@wrong("09.6", "points")
def _(run, seeds, passes, seconds, chance):
    return 100 * leads(run, seeds, lambda way, a: a[passes - 1], timed(seconds, chance))


@wrong("09.6", "pair")
def _(run, seeds, passes, seconds, chance):
    return leads(run, seeds, lambda way, a: a[passes - 1], timed(seconds, chance))[0]


@wrong("09.6", "other")
def _(run, seeds, passes, seconds, chance):
    """Between two passes on a straight line."""

    def at(accuracies, took):
        return np.interp(seconds, [0, *np.cumsum(took)], [chance, *accuracies])

    return leads(run, seeds, lambda way, a: a[passes - 1], at)
