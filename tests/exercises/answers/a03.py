"""Answers to the exercises of chapter 03."""

import math

import numpy as np

from tlcourse.exercises.trials import right, wrong

# 03.1


@right("03.1", guess=1)
def _(gradient, rate):
    return -rate * gradient / (abs(gradient) + 1e-7)


@right("03.1", guess=1000)
def _(gradient, rate):
    m = v = 0
    m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient * gradient
    return np.float32(-rate * (m / (1 - 0.9)) / ((v / (1 - 0.999)) ** 0.5 + 1e-7))


@wrong("03.1", "plain", guess=1000)
def _(gradient, rate):
    return -rate * gradient


@wrong("03.1", "plain", guess=1000)
def _(gradient, rate):
    return rate * gradient


@wrong("03.1", "uncorrected", guess=1)
def _(gradient, rate):
    return -rate * (0.1 * gradient) / (math.sqrt(0.001 * gradient**2) + 1e-7)


@wrong("03.1", "one corrected", guess=1)
def _(gradient, rate):
    return -rate * gradient / (math.sqrt(0.001 * gradient**2) + 1e-7)


@wrong("03.1", "one corrected", guess=1)
def _(gradient, rate):
    return -rate * 0.1 * gradient / (abs(gradient) + 1e-7)


@wrong("03.1", "sign", guess=1)
def _(gradient, rate):
    return rate * np.sign(gradient)


@wrong("03.1", "root", guess=1)
def _(gradient, rate):
    return -rate * gradient / (gradient**2 + 1e-7)


@wrong("03.1", "other", guess=1)
def _(gradient, rate):
    return -rate


# 03.2


@right("03.2")
def _(step, warmup, total, peak):
    gone = max(0, step - warmup) / (total - warmup)
    rise = min(1, (step + 1) / warmup) if warmup else 1
    return rise * peak * (0.5 + 0.5 * np.cos(np.pi * gone))


@right("03.2")
def _(step, warmup, total, peak):
    line = np.linspace(0, peak, warmup + 1)[1:]
    wave = peak * np.cos(np.linspace(0, np.pi / 2, total - warmup + 1)) ** 2
    return np.concatenate([line, wave])[step]


def cosine(gone, peak):
    return peak / 2 * (1 + math.cos(math.pi * gone))


@wrong("03.2", "no warm-up")
def _(step, warmup, total, peak):
    return cosine(max(0, step - warmup) / (total - warmup), peak)


@wrong("03.2", "no warm-up")
def _(step, warmup, total, peak):
    return cosine(step / total, peak)


@wrong("03.2", "starts at zero")
def _(step, warmup, total, peak):
    if step < warmup:
        return peak * step / warmup
    return cosine((step - warmup) / (total - warmup), peak)


@wrong("03.2", "clock")
def _(step, warmup, total, peak):
    return peak * (step + 1) / warmup if step < warmup else cosine(step / total, peak)


@wrong("03.2", "never cold")
def _(step, warmup, total, peak):
    return peak * (step + 1) / warmup if step < warmup else cosine((step - warmup) / total, peak)


@wrong("03.2", "straight")
def _(step, warmup, total, peak):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (total - step) / (total - warmup)


@wrong("03.2", "quarter")
def _(step, warmup, total, peak):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * math.cos((step - warmup) / (total - warmup) * math.pi / 2)


@wrong("03.2", "degrees")
def _(step, warmup, total, peak):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak / 2 * (1 + math.cos(180 * (step - warmup) / (total - warmup)))


@wrong("03.2", "ZeroDivisionError")
def _(step, warmup, total, peak):
    rise = min(1, (step + 1) / warmup)
    return rise * cosine(max(0, step - warmup) / (total - warmup), peak)


# 03.3


@right("03.3")
def _(epoch, rate):
    return 1e-3 * 0.2 ** min(epoch // 5, 2)


@right("03.3")
def _(epoch, rate):
    start = 0.001
    factors = {0: 1, 1: 0.2}
    return start * factors.get(epoch // 5, 0.04)


@wrong("03.3", "compounds")
def _(epoch, rate):
    if epoch < 5:
        return rate
    return rate * 0.2 if epoch < 10 else rate * 0.04


@wrong("03.3", "compounds")
def _(epoch, rate):
    return rate * 0.2 if epoch >= 5 else 1e-3


@wrong("03.3", "history")
def _(epoch, rate):
    return rate * 0.2 if epoch in (5, 10) else rate


@wrong("03.3", "history")
def _(epoch, rate):
    if epoch == 0:
        return 1e-3
    return rate / 5 if epoch in (5, 10) else rate


@wrong("03.3", "boundary")
def _(epoch, rate):
    if epoch <= 5:
        return 1e-3
    return 2e-4 if epoch <= 10 else 4e-5


@wrong("03.3", "boundary")
def _(epoch, rate):
    if epoch + 1 < 5:
        return 1e-3
    return 2e-4 if epoch + 1 < 10 else 4e-5


@wrong("03.3", "flat")
def _(epoch, rate):
    return rate


@wrong("03.3", "last")
def _(epoch, rate):
    return 1e-3 if epoch < 5 else 2e-4


@wrong("03.3", "other")
def _(epoch, rate):
    return 1e-3 * 0.9**epoch if epoch in (0, 1) else 1e-3 * 0.2 ** (epoch // 5)


# 03.4


@right("03.4")
def _(blocks, top, decay):
    rates = [top]
    while len(rates) < blocks:
        rates.append(rates[-1] * decay)
    return rates[::-1]


@right("03.4")
def _(blocks, top, decay):
    return top * decay ** np.arange(blocks)[::-1]


@wrong("03.4", "reversed")
def _(blocks, top, decay):
    return [top * decay**i for i in range(blocks)]


@wrong("03.4", "off by one")
def _(blocks, top, decay):
    return [top * decay ** (blocks - i) for i in range(blocks)]


@wrong("03.4", "linear")
def _(blocks, top, decay):
    return list(np.linspace(top * decay, top, blocks)) if blocks > 1 else [top]


@wrong("03.4", "equal")
def _(blocks, top, decay):
    return [top] * blocks


@wrong("03.4", "compounds")
def _(blocks, top, decay):
    rates = [top]
    for i in range(1, blocks):
        rates.insert(0, rates[0] * decay**i)
    return rates


@wrong("03.4", "upside down")
def _(blocks, top, decay):
    rates = [top]
    for _ in range(blocks - 1):
        rates.insert(0, rates[0] / decay)
    return rates


@wrong("03.4", "other")
def _(blocks, top, decay):
    return [top * decay ** (blocks - 1 - i) for i in range(blocks + 1)]


# 03.5


@right("03.5")
def _(make_adam, rate, factor, gradients):
    adam = make_adam(rate)
    return [factor * adam.change(gradient) for gradient in gradients]


@right("03.5")
def _(make_adam, rate, factor, gradients):
    # Scaling the gradients, too, is useless but harmless.
    change = make_adam(rate * factor).change
    return np.array([change(100 * gradient) for gradient in gradients])


@wrong("03.5", "gradients")
def _(make_adam, rate, factor, gradients):
    adam = make_adam(rate)
    return [adam.change(factor * gradient) for gradient in gradients]


@wrong("03.5", "gradients")
def _(make_adam, rate, factor, gradients):
    adam = make_adam(rate)
    return [adam.change(factor**2 * gradient) for gradient in gradients]


@wrong("03.5", "no factor")
def _(make_adam, rate, factor, gradients):
    adam = make_adam(rate)
    return [adam.change(gradient) for gradient in gradients]


@wrong("03.5", "forgets")
def _(make_adam, rate, factor, gradients):
    return [make_adam(factor * rate).change(gradient) for gradient in gradients]


@wrong("03.5", "wrong way")
def _(make_adam, rate, factor, gradients):
    adam = make_adam(rate)
    return [adam.change(gradient) / factor for gradient in gradients]


@wrong("03.5", "twice")
def _(make_adam, rate, factor, gradients):
    adam = make_adam(factor * rate)
    return [factor * adam.change(gradient) for gradient in gradients]


@wrong("03.5", "sum")
def _(make_adam, rate, factor, gradients):
    adam = make_adam(factor * rate)
    return sum(adam.change(gradient) for gradient in gradients)


@wrong("03.5", "plain")
def _(make_adam, rate, factor, gradients):
    return [-factor * rate * gradient for gradient in gradients]


# 03.6


def mean(validate, rate, seeds):
    return np.mean([validate(rate, seed) for seed in seeds])


@right("03.6")
def _(rates, seeds, validate):
    powers = sorted(round(math.log10(rate)) for rate in rates)
    powers = range(powers[0] - 4, powers[-1] + 5)
    table = [mean(validate, 10.0**power, seeds) for power in powers]
    return 10.0 ** powers[int(np.nanargmax(table))]


@right("03.6")
def _(rates, seeds, validate):
    known = {}
    todo = list(rates)
    while todo:
        rate = todo.pop()
        score = mean(validate, rate, seeds)
        known[rate] = score if score == score else -1
        best = sorted(known, key=lambda r: known[r])[-1]
        if not todo and best == min(known):
            todo.append(best / 10)
        elif not todo and best == max(known):
            todo.append(best * 10)
    return best


@wrong("03.6", "edge")
def _(rates, seeds, validate):
    means = {rate: np.nan_to_num(mean(validate, rate, seeds)) for rate in rates}
    return max(means, key=means.get)


@wrong("03.6", "edge")
def _(rates, seeds, validate):
    means = {rate: np.nan_to_num(mean(validate, rate, seeds)) for rate in rates}
    best = max(means, key=means.get)
    while best == min(means):
        means[best / 10] = np.nan_to_num(mean(validate, best / 10, seeds))
        best = max(means, key=means.get)
    return best


@wrong("03.6", "nan")
def _(rates, seeds, validate):
    return rates[int(np.argmax([mean(validate, rate, seeds) for rate in rates]))]


@wrong("03.6", "one seed")
def _(rates, seeds, validate):
    return max(rates, key=lambda rate: np.nan_to_num(validate(rate, seeds[0])))


def climb(score, rates):
    known = {rate: score(rate) for rate in rates}
    while True:
        best = max(known, key=known.get)
        if best == min(known):
            known[best / 10] = score(best / 10)
        elif best == max(known):
            known[best * 10] = score(best * 10)
        else:
            return best, known[best]


@wrong("03.6", "nan seed")
def _(rates, seeds, validate):
    def score(rate):
        found = [validate(rate, seed) for seed in seeds]
        alive = [x for x in found if x == x]
        return np.mean(alive) if alive else 0

    return climb(score, rates)[0]


@wrong("03.6", "best seed")
def _(rates, seeds, validate):
    return climb(lambda r: np.nan_to_num(max(validate(r, seed) for seed in seeds)), rates)[0]


@wrong("03.6", "worst")
def _(rates, seeds, validate):
    powers = [-8, -7, -6, -5, -4, -3, -2, -1]
    table = [mean(validate, 10.0**power, seeds) for power in powers]
    return 10.0 ** powers[int(np.nanargmin(table))]


@wrong("03.6", "score")
def _(rates, seeds, validate):
    return climb(lambda r: np.nan_to_num(mean(validate, r, seeds)), rates)[1]
