"""Exercises of chapter 03: learning rates."""

import math

import numpy as np

from tlcourse.exercises import toys
from tlcourse.exercises.catalogue import task
from tlcourse.exercises.judging import Attempt, close

# 03.1


def _first_step(gradient, rate):
    m, v = 0.1 * gradient, 0.001 * gradient**2
    return -rate * (m / 0.1) / (math.sqrt(v / 0.001) + 1e-7)


@task(
    "03.1",
    "The first step of Adam",
    kind="predict",
    minutes=8,
    form="prediction",
    wants='your guess and your function, as in `check("03.1", (guess, first_step))`',
    hints=(
        "Write down `m` and `v` after one gradient, starting from 0. Then divide `m` by "
        "`1 - 0.9` and `v` by `1 - 0.999`.",
        "After the correction `m` is the gradient and `v` is its square.",
        "`-rate * m / (v**0.5 + 1e-7)`, with the corrected `m` and `v`.",
    ),
    diagnoses={
        "plain": "That is a step of plain SGD: it grows with the gradient. Adam divides by the "
        "size of the gradients.",
        "uncorrected": "You left out the correction. Without it the first step is 3.16 times as "
        "large.",
        "one corrected": "You corrected only one of the two averages.",
        "sign": "The size is right, the direction is not: a positive gradient lowers the weight.",
        "root": "You divide by `v`, the mean square. Its root has the size of a gradient.",
    },
    because="The first step of Adam is about the learning rate, whatever the gradient. So small "
    "gradients do not protect pretrained weights: only a small rate does.",
)
def first_step(attempt: Attempt):
    cases = [(g, rate) for g in (2.1, 0.0021, -0.5) for rate in (1e-3, 0.1)]

    def step(g, rate, m=0.1, v=0.001):
        return -rate * (0.1 * g / m) / (math.sqrt(0.001 * g * g / v) + 1e-7)

    def root(g, rate):
        return -rate * g / (g * g + 1e-7)

    mistakes = {
        "sign": lambda g, rate: -_first_step(g, rate),
        "plain": lambda g, rate: -rate * g,
        "plain ": lambda g, rate: rate * g,
        "uncorrected": lambda g, rate: step(g, rate, 1, 1),
        "one corrected": lambda g, rate: step(g, rate, m=1),
        "one corrected ": lambda g, rate: step(g, rate, v=1),
        "root": root,
    }
    got = attempt.compare(cases, _first_step, mistakes, _almost)
    attempt.measured(abs(float(got[0]) / float(got[2])), "times")


def _almost(one, other):
    return close(np.multiply(one, 1e3), np.multiply(other, 1e3)) or np.isclose(
        one, other, rtol=1e-3
    )


# 03.2


def _rate(step, warmup, total, peak):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


@task(
    "03.2",
    "Warm up, then cool down",
    kind="write",
    minutes=10,
    wants="a function of step, warmup, total and peak that returns a rate",
    hints=(
        "Two cases: `step < warmup`, a straight line, and the rest, half a wave of a cosine.",
        "How far the cooling has gone runs from 0 to 1: `(step - warmup) / (total - warmup)`.",
        "`peak * (step + 1) / warmup`, and then `peak * (1 + math.cos(math.pi * gone)) / 2`.",
    ),
    diagnoses={
        "no warm-up": "The first steps are at the full rate already.",
        "starts at zero": "The first step has a rate of 0, so it is lost. Step 0 gets "
        "`peak / warmup`.",
        "clock": "The cosine counts from step 0. It begins when the warm-up ends, so there is a "
        "jump now.",
        "never cold": "At the end the rate is not down to 0: the cooling has `total - warmup` steps, "
        "not `total`.",
        "straight": "You cool along a straight line. A cosine is wanted.",
        "quarter": "That is a quarter of a wave, which falls ever faster. Half a wave starts and "
        "ends flat.",
        "degrees": "`math.cos` wants radians: half a wave is `math.pi`, not 180.",
    },
    because="The warm-up gives Adam time to learn how large gradients are, before its steps are.",
)
def warm_up(attempt: Attempt):
    cases = [(s, w, t, p) for w, t, p in ((10, 50, 1e-2), (0, 20, 0.5), (4, 9, 1.0))
             for s in (0, 1, 3, 4, 7, t // 2, t - 1, t)]  # fmt: skip

    def cool(gone, peak):
        return peak * 0.5 * (1 + math.cos(math.pi * gone))

    def variant(line=None, curve=None):
        def rate(s, w, t, p):
            if s < w:
                return line(s, w, p) if line else p * (s + 1) / w
            return curve(s, w, t, p) if curve else _rate(s, w, t, p)

        return rate

    mistakes = {
        "no warm-up": variant(lambda s, w, p: p),
        "no warm-up ": lambda s, w, t, p: cool(s / t, p),
        "starts at zero": variant(lambda s, w, p: p * s / w),
        "clock": variant(curve=lambda s, w, t, p: cool(s / (t - w), p)),
        "clock ": variant(curve=lambda s, w, t, p: cool(s / t, p)),
        "never cold": variant(curve=lambda s, w, t, p: cool((s - w) / t, p)),
        "straight": variant(curve=lambda s, w, t, p: p * (1 - (s - w) / (t - w))),
        "quarter": variant(curve=lambda s, w, t, p: p * math.cos(math.pi / 2 * (s - w) / (t - w))),
        "degrees": variant(
            curve=lambda s, w, t, p: p * (1 + math.cos(180 * (s - w) / (t - w))) / 2
        ),
    }
    attempt.compare(cases, _rate, mistakes)


# 03.3


def _plateaus(epoch):
    return 1e-3 * 0.2 ** min(epoch // 5, 2)


@task(
    "03.3",
    "The rate that compounds",
    kind="find the bug",
    minutes=8,
    wants="your mended function of epoch and rate that returns a rate",
    hints=(
        "Keras hands the rate of the last epoch to your function. Work out the rates of epochs 5, "
        "6 and 7 by hand.",
        "What you return is what you are handed next. So do not multiply it: start from a number "
        "of your own.",
        "`start = 1e-3` inside the function, and `return start`, `start * 0.2` or `start * 0.04`, "
        "whatever `rate` is.",
    ),
    diagnoses={
        "compounds": "The rate of epoch 6 is {six} where 0.0002 is meant, and it falls on with "
        "every epoch: you multiply what has been multiplied before.",
        "history": "In one go from epoch 0 the rates are right. But training that resumes at epoch "
        "{epoch} with a rate of {given} gets {got}; the epoch alone has to decide.",
        "boundary": "The rate changes one epoch too {when}.",
        "flat": "The rate never changes.",
        "last": "From epoch 10 on, the rate has to be 0.00004; yours is {got}.",
    },
    because="A schedule is a function of the epoch and of nothing else. Print the rates before you "
    "train: they cost nothing.",
)
def compounds(attempt: Attempt):
    rate, got = 1e-3, []
    for epoch in range(15):
        rate = attempt.number(attempt.call(epoch, rate))
        got.append(rate)
    want = [_plateaus(epoch) for epoch in range(15)]
    if np.allclose(got, want, rtol=1e-4, atol=0):
        for epoch, given in ((7, 1e-3), (5, 2e-4), (12, 1e-3), (2, 1e-5), (10, 4e-5)):
            now = attempt.number(attempt.call(epoch, given))
            right = np.isclose(now, _plateaus(epoch), rtol=1e-4, atol=0)
            attempt.require(right, "history", epoch=epoch, given=given, got=now)
        return
    attempt.require(len({round(math.log10(max(r, 1e-300)), 4) for r in got}) > 1, "flat")
    for shift, when in ((1, "early"), (-1, "late")):
        moved = [_plateaus(max(epoch + shift, 0)) for epoch in range(15)]
        attempt.require(not np.allclose(got, moved, rtol=1e-4, atol=0), "boundary", when=when)
    if got[6] < 0.9 * got[5] or got[11] < 0.9 * got[10]:
        attempt.wrong("compounds", six=got[6])
    if np.allclose(got[:10], want[:10], rtol=1e-4, atol=0):
        attempt.wrong("last", got=got[10])
    first = int(np.argmax(~np.isclose(got, want, rtol=1e-4, atol=0)))
    attempt.wrong("other", case=f"epoch {first}", got=got[first], want=want[first])


# 03.4


@task(
    "03.4",
    "A rate for each block",
    kind="write",
    minutes=6,
    wants="a function of blocks, top and decay that returns a list of rates",
    hints=(
        "The last block, at the output, learns at `top`. The one before it at `top * decay`.",
        "Block `i` of `blocks` lies `blocks - 1 - i` steps before the last.",
        "`[top * decay ** (blocks - 1 - i) for i in range(blocks)]`.",
    ),
    diagnoses={
        "reversed": "Your largest rate is at the input. The general features there are the ones to "
        "keep.",
        "off by one": "The last block learns at `top` itself, undamped; yours is one factor too "
        "small.",
        "linear": "Your rates fall by equal steps. Each block is to have the rate of the next one "
        "times `decay`.",
        "equal": "All blocks have the same rate.",
        "compounds": "Your factors pile up: going down, the exponent has to grow by one from "
        "block to block.",
        "upside down": "You divide by `decay`, so rates grow towards the input.",
    },
    because="These are discriminative, or layer-wise, learning rates: what is general moves least.",
)
def for_each_block(attempt: Attempt):
    cases = [(5, 1e-2, 0.5), (3, 1.0, 0.1), (1, 0.3, 0.5), (7, 0.1, 0.9)]

    def right(n, top, decay):
        return [top * decay ** (n - 1 - i) for i in range(n)]

    def piled(n, top, decay):
        rates, rate, factor = [top], top, decay
        for _ in range(n - 1):
            rate, factor = rate * factor, factor * decay
            rates.insert(0, rate)
        return rates

    mistakes = {
        "reversed": lambda *case: right(*case)[::-1],
        "off by one": lambda n, top, decay: [top * decay ** (n - i) for i in range(n)],
        "equal": lambda n, top, decay: [top] * n,
        "equal ": lambda n, top, decay: [top * decay] * n,
        "linear": lambda n, top, decay: [top * (1 - (n - 1 - i) * (1 - decay)) for i in range(n)],
        "linear ": lambda n, top, decay: [top * (i + 1) / n for i in range(n)],
        "linear  ": lambda n, top, d: [
            top * (d + (1 - d) * i / (n - 1)) if n > 1 else top for i in range(n)
        ],
        "compounds": piled,
        "upside down": lambda n, top, decay: [top / decay ** (n - 1 - i) for i in range(n)],
    }
    attempt.compare(cases, right, mistakes, _near)


# 03.5


@task(
    "03.5",
    "The brake that does nothing",
    kind="find the bug",
    minutes=10,
    wants="your mended function of make_adam, rate, factor and gradients that returns the changes",
    hints=(
        "Run the function with a factor of 0.1 and with a factor of 1, and compare.",
        "Adam divides by the size of the gradients, so their scale cancels. What does not cancel?",
        "Scale the rate, `make_adam(factor * rate)`, or what comes out, `factor * "
        "adam.change(gradient)`.",
    ),
    diagnoses={
        "gradients": "You scale the gradients, and Adam divides the scale out again: the changes "
        "are the same for every factor.",
        "forgets": "A new Adam for each step forgets what the last ones taught it about gradients. "
        "Make one and keep it.",
        "wrong way": "With a factor of 0.1 the changes are ten times as large. They were to be a "
        "tenth.",
        "twice": "The factor is in there twice.",
        "no factor": "The factor does nothing: the changes are those of the full rate.",
        "sum": "That is the whole way. Return the change of each step.",
        "plain": "That is plain SGD. Adam is to stay, with smaller steps.",
    },
    because="Under Adam, a smaller gradient is no smaller step. Discriminative rates need an "
    "optimizer for each group, as `keras.optimizers.MultiOptimizer` has them.",
)
def brake(attempt: Attempt):
    gradients = [[float(g) for g in attempt.rng.normal(size=6)] for _ in range(2)]
    cases = [(toys.Adam, 0.01, 0.1, gradients[0]), (toys.Adam, 1.0, 0.3, gradients[1])]

    def changes(rate, gradients, scale=1.0):
        adam = toys.Adam(rate)
        return [adam.change(scale * gradient) for gradient in gradients]

    def forgets(rate, gradients):
        return [toys.Adam(rate).change(gradient) for gradient in gradients]

    def uses_scaled(adam, rate, factor, gradients):
        return changes(rate, gradients)

    key = "gradients" if _scales_gradients(attempt, gradients[0]) else "no factor"
    mistakes = {
        key: uses_scaled,
        "forgets": lambda a, rate, factor, g: forgets(factor * rate, g),
        "forgets ": lambda a, rate, factor, g: forgets(rate, g),
        "wrong way": lambda a, rate, factor, g: changes(rate / factor, g),
        "twice": lambda a, rate, factor, g: changes(rate * factor**2, g),
        "plain": lambda a, rate, factor, g: [-rate * factor * one for one in g],
        "sum": lambda a, rate, factor, g: sum(changes(rate * factor, g)),
        "sum ": lambda a, rate, factor, g: list(np.cumsum(changes(rate * factor, g))),
    }
    attempt.compare(cases, lambda a, rate, factor, g: changes(factor * rate, g), mistakes, _near)


def _near(one, other):
    try:
        one, other = np.asarray(one, float), np.asarray(other, float)
    except (TypeError, ValueError):
        return False
    return one.shape == other.shape and np.allclose(one, other, rtol=1e-3, atol=0)


def _scales_gradients(attempt, gradients):
    """Whether the answer shows Adam other gradients than it was given."""
    seen = []

    class Watched(toys.Adam):
        def change(self, gradient):
            seen.append(float(gradient))
            return super().change(gradient)

    attempt.call(Watched, 0.01, 0.1, list(gradients))
    return not np.allclose(seen[: len(gradients)], gradients[: len(seen)])


# 03.6


@task(
    "03.6",
    "Where is the best rate?",
    kind="experiment",
    minutes=12,
    wants="a function of rates, seeds and validate that returns the best rate",
    hints=(
        "Compare means over seeds. And what does `max` do with `nan`?",
        "If the best rate is the smallest or the largest that you tried, you do not know what lies "
        "beyond. Try one that is ten times as small, or as large.",
        "Keep a dict from rate to mean. While the best rate is `min` or `max` of its keys, add "
        "`best / 10` or `best * 10`. Count a `nan` as 0.",
    ),
    diagnoses={
        "edge": "Your best rate, {got}, is at the edge of what you tried. {beyond} would have "
        "been better, and nobody looked.",
        "nan": "You chose a rate at which training broke down: its accuracy is nan, and comparing "
        "with nan is always false.",
        "nan seed": "At {got}, training broke down with one of the seeds, and you averaged only "
        "those that survived. A rate that fails one time in three is no good rate.",
        "one seed": "Not every rate was tried with every seed, so luck takes part in the choice.",
        "best seed": "Your choice goes by the luckiest seed. Compare means.",
        "worst": "You took the rate with the lowest mean.",
        "score": "That is an accuracy. Return the rate.",
    },
    because="A best value at the edge of a grid is a question, not an answer. Most comparisons of "
    "'fine-tuning against the head' are lost at this point, by the side that nobody tuned.",
)
def best_rate(attempt: Attempt):
    _best_rate(attempt, [1e-3, 1e-2, 1e-1], [0, 1, 2], peak=-4, broken=[-1])
    _best_rate(attempt, [1e-5, 1e-4, 1e-3, 1e-2], [4, 7], peak=-3, broken=[-2], lucky=-4)
    _best_rate(attempt, [1e-6, 1e-5], [1, 2, 3], peak=-3, broken=[-1])
    _best_rate(attempt, [1e-1, 1e-4, 1e-3, 1e-5], [3, 4, 9], peak=-4, broken=[-1], breaks=-3)


def _best_rate(attempt, rates, seeds, peak, broken, lucky=None, breaks=None):
    seen = []

    def validate(rate, seed):
        if seed not in seeds or not 1e-20 < rate < 1e9:
            raise ValueError(f"rate {rate} and seed {seed}: take the seeds you were given")
        power = math.log10(rate)
        seen.append((round(power, 3), seed))
        if any(power > b - 0.01 for b in broken) or (near(power, breaks) and seed == seeds[0]):
            return float("nan")
        score = 0.9 - 0.05 * abs(power - peak) + 0.001 * (seeds.index(seed) - 1)
        if near(power, breaks):
            score = 0.95
        if near(power, lucky):
            score += 0.2 if seed == seeds[-1] else -0.15
        return score

    def near(power, other):
        return other is not None and abs(power - other) < 0.01

    got = attempt.number(attempt.call(list(rates), list(seeds), validate))
    power = math.log10(got) if got > 0 else 0
    tried = {p for p, _ in seen}
    given = {round(math.log10(rate), 3) for rate in rates}
    attempt.require(given <= tried and len(set(seen)) == len(tried) * len(seeds), "one seed")
    if abs(power - peak) < 0.35 and min(tried) < power + 0.01 and max(tried) > power - 0.01:
        inner = min(tried) < power - 0.01 and max(tried) > power + 0.01
        attempt.require(inner, "edge", got=got, beyond="A neighbour")
        return
    attempt.require(not (0.3 < got < 1 and round(power, 3) not in tried), "score")
    if any(power > b - 0.01 for b in broken):
        attempt.wrong("nan")
    if near(power, breaks):
        attempt.wrong("nan seed", got=got)
    if near(power, lucky):
        attempt.wrong("best seed")
    alive = sorted(p for p in tried if not any(p > b - 0.01 for b in broken))
    if near(power, max(alive, key=lambda p: abs(p - peak))) and len(alive) > 1:
        closer = min(alive, key=lambda p: abs(p - peak))
        if not near(power, closer):
            attempt.wrong("worst")
    if near(power, min(tried)) or near(power, max(tried)) or near(power, max(alive)):
        attempt.wrong("edge", got=got, beyond=f"{10.0**peak:g}")
    attempt.wrong("other", case=f"rates {rates}", got=got, want=10.0**peak)
