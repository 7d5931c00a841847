"""Exercises of chapter 08: crossing domains."""

from types import SimpleNamespace

import numpy as np

from tlcourse.exercises.catalogue import task
from tlcourse.exercises.judging import Attempt, close

# 08.1


def _moved(source, target, spread=True):
    scale = target.std() / source.std() if spread else 1.0
    return (source - source.mean()) * scale + target.mean()


def _border(features, labels):
    """Halfway between the classes; nan if there is only one."""
    means = [features[labels == k].mean() if (labels == k).any() else np.nan for k in (0, 1)]
    return sum(means) / 2


def _wrong(features, labels, border):
    return 100 * float(np.mean((features > border) != (labels == 1)))


@task(
    "08.1",
    "No gap, and aligned",
    kind="predict",
    minutes=10,
    form="prediction",
    wants='your guess and your function, as in `check("08.1", (guess, wrong_after))`',
    hints=(
        "Where does the mean of the source lie, and where the mean of a target that holds only "
        "ones? Aligning puts the first onto the second.",
        "`moved = (source - source.mean()) / source.std() * target.std() + target.mean()`. The "
        "border is the mean of the two class means of `moved`.",
        "`border = (moved[source_labels == 0].mean() + moved[source_labels == 1].mean()) / 2`, "
        "then `100 * np.mean((target > border) != (target_labels == 1))`.",
    ),
    diagnoses={
        "not moved": "Your border is that of the source as it was. Align the source first.",
        "mean only": "You gave the source the target's mean, but not its standard deviation.",
        "right ones": "That is the share of right answers. Wanted is that of the wrong ones.",
        "fraction": "The numbers are right as fractions of 1; wanted are percent.",
        "target labels": "Your border comes from the target's labels. Nobody has them; they only "
        "score the result.",
        "source scored": "You score the source. Wanted are the wrong answers on the target.",
        "middle of all": "Your border is the mean of all features. If the source has more of one "
        "class, that is not halfway between the classes.",
    },
    because="There was no gap, and alignment made one: it takes other shares of the classes for "
    "another look of the images. No training trick mends that.",
)
def no_gap(attempt: Attempt):
    rng = attempt.rng

    def domain(zeros, ones, shift=0.0, scale=1.0):
        labels = rng.permutation(np.repeat([0, 1], [zeros, ones]))
        return scale * (2.0 * labels - 1 + 0.45 * rng.normal(size=len(labels))) + shift, labels

    targets = [domain(0, 300), domain(150, 150), domain(60, 240, 3, 2), domain(120, 120, -1, 0.5)]
    sources = [domain(250, 250), domain(200, 100), domain(60, 140), domain(150, 150)]
    cases = [(*source, *target) for source, target in zip(sources, targets, strict=True)]

    def after(x, y, t, labels, spread=True):
        return _wrong(t, labels, _border(_moved(x, t, spread), y))

    mistakes = {
        "not moved": lambda x, y, t, labels: _wrong(t, labels, _border(x, y)),
        "mean only": lambda *case: after(*case, spread=False),
        "right ones": lambda *case: 100 - after(*case),
        "fraction": lambda *case: after(*case) / 100,
        "target labels": lambda x, y, t, labels: _wrong(t, labels, _border(t, labels)),
        "source scored": lambda x, y, t, labels: _wrong(_moved(x, t), y, _border(_moved(x, t), y)),
        "middle of all": lambda x, y, t, labels: _wrong(t, labels, t.mean()),
    }

    got = [attempt.number(attempt.call_on_copies(*case)) for case in cases]

    def fits(function):
        """Up to images on the border, which `ddof=1` in a deviation may move across."""
        made = [function(*case) for case in cases]
        return np.allclose(got, made, rtol=0, atol=0.01 if max(got) <= 1 else 0.7)

    if not fits(after):
        for key, mistake in mistakes.items():
            attempt.require(not fits(mistake), key)
        want = [after(*case) for case in cases]
        first = int(np.argmax(np.abs(np.subtract(got, want)) > 0.7))
        zeros, ones = np.bincount(cases[first][3], minlength=2)
        case = f"a target of {zeros} zeros and {ones} ones"
        attempt.wrong("other", case=case, got=got[first], want=want[first])
    attempt.measured(got[0], "%")


# 08.2


@task(
    "08.2",
    "A kernel for other channels",
    kind="write",
    minutes=8,
    wants="a function of a kernel and a number of channels that returns a kernel",
    hints=(
        "If all channels hold the same picture, only the sum of the kernel over its channels "
        "matters.",
        "Sum over axis 2, keep the axis, and divide by the new number of channels.",
        "`np.repeat(kernel.sum(axis=2, keepdims=True) / channels, channels, axis=2)`.",
    ),
    diagnoses={
        "too loud": "With {channels} channels the layer answers {channels} times as loud as before. "
        "The later layers expect the old loudness, so spread the sum over the channels.",
        "mean": "You put the mean of the three channels into each. That keeps the loudness for "
        "three channels only.",
        "one channel": "You took the kernel of one colour and lost the other two.",
        "cut": "You kept the first kernels and cut or padded the rest: a channel beyond the third "
        "is not looked at, or a colour is lost.",
        "in turn": "Your channels get the kernels of red, green and blue in turn. Here all channels "
        "are to count the same.",
        "random": "Your kernel says other things than the one that was trained: summed over the "
        "channels, it is not a multiple of it.",
    },
    because="For one channel this is the same arithmetic as tripling a grey image. For more, it is a "
    "start in which nothing is thrown away; where channels mean different things, train from there.",
)
def other_channels(attempt: Attempt):
    kernels = [attempt.rng.normal(size=shape) for shape in ((3, 3, 3, 4), (2, 2, 3, 5))]
    cases = [(kernel, n) for n in (1, 2, 5, 3) for kernel in kernels]

    def of(one, n):
        return np.repeat(one, n, axis=2)

    def total(kernel):
        return kernel.sum(axis=2, keepdims=True)

    def padded(kernel, n):
        return np.concatenate([kernel, np.zeros((*kernel.shape[:2], n, kernel.shape[3]))], 2)

    def in_turn(kernel, n):
        return kernel[:, :, np.arange(n) % 3]

    mistakes = {
        "mean": lambda k, n: of(total(k) / 3, n),
        "too loud": lambda k, n: of(total(k), n),
        "cut": lambda k, n: padded(k, n)[:, :, :n],
        "in turn": in_turn,
        "in turn ": lambda k, n: in_turn(k, n) * 3 / n,
        "in turn  ": lambda k, n: total(k) if n == 1 else in_turn(k, n) * 3 / n,
    }
    for channel in range(3):
        for key, scale in (("", lambda n: 1), (" ", lambda n: 1 / n), ("  ", lambda n: 3 / n)):
            mistakes[f"one channel{3 * channel * ' '}{key}"] = lambda k, n, c=channel, s=scale: of(
                k[:, :, c : c + 1] * s(n), n
            )
    right = [of(total(kernel) / n, n) for kernel, n in cases]
    got = []
    for kernel, n in cases:
        given = kernel.copy()
        shape = (*kernel.shape[:2], n, kernel.shape[3])
        got.append(attempt.array(attempt.call(given, n), shape))
        attempt.require(np.array_equal(given, kernel), "changes its input")
    if close(got[0], right[0]) and all(map(close, got, right)):
        return
    for key, mistake in mistakes.items():
        if all(close(one, mistake(*case)) for one, case in zip(got, cases, strict=True)):
            attempt.wrong(key.strip(), channels=5)
    for (kernel, _), one in zip(cases, got, strict=True):
        alike = np.corrcoef(total(one).ravel(), total(kernel).ravel())[0, 1]
        attempt.require(alike > 0.99, "random")
    first = next(i for i in range(len(cases)) if not close(got[i], right[i]))
    loud = [np.abs(total(part)).mean() for part in (got[first], right[first])]
    case = f"{cases[first][1]} channels"
    want = f"{loud[1]:.3g}, in equal parts"
    attempt.wrong("other", case=case, got=f"a kernel of mean size {loud[0]:.3g}", want=want)


# 08.3


@task(
    "08.3",
    "One turn for a whole batch",
    kind="find the bug",
    minutes=8,
    wants="your mended function of images and rng that returns images and turns",
    hints=(
        "How many different turns does a batch get? Draw as many numbers as there are images.",
        "`np.rot90` turns a whole array by one number. Call it for each image, or for all images "
        "that get the same turn.",
        "`turns = rng.integers(4, size=len(images))`, then `np.stack([np.rot90(image, k) for image, "
        "k in zip(images, turns)])`.",
    ),
    diagnoses={
        "one turn": "All {count} images have the same turn. Such a batch teaches to say one word, "
        "whatever the images show, and the next one teaches another.",
        "names": "A turn is named {named}, and the image was turned by {turned} quarters.",
        "clockwise": "Your images are turned clockwise: what is named 1 was turned by 3. By the "
        "custom of `np.rot90`, turns go counter-clockwise.",
        "mixed": "An image is there that is no quarter turn of any you were given. Are rows of "
        "different images mixed, or is it a mirror image?",
        "lost": "Every image is wanted once; some of yours came twice, and others never.",
        "some turns": "Of the four turns only {turns} came up in {count} images.",
        "deaf": "The generator that you were given decides nothing: two of them gave the same "
        "turns. Draw from `rng`.",
        "not repeatable": "The same generator gave other turns the second time. All chance has to "
        "come from `rng`.",
        "pair": "Return two things: the images and their turns.",
    },
    because="Within such a batch there was nothing to tell apart, and each one pulled towards another "
    "answer. Each image needs a turn of its own, as in `adaptation.quarter_turns`.",
)
def one_turn(attempt: Attempt):
    count = 40
    for side in (5, count):
        images = attempt.rng.integers(0, 256, (count, side, side, 1)).astype("uint8")
        turns = _turns(attempt, images, 3)
    again, other = _turns(attempt, images, 3), _turns(attempt, images, 4)
    attempt.require(np.array_equal(turns, again), "not repeatable")
    attempt.require(not np.array_equal(turns, other), "deaf")


def _turns(attempt, images, seed):
    """The turn of each image, in the order in which they were given."""
    given = images.copy()
    got = attempt.call(given, np.random.default_rng(seed))
    attempt.require(np.array_equal(given, images), "changes its input")
    attempt.require(isinstance(got, tuple | list) and len(got) == 2, "pair")
    turned, named = attempt.array(got[0], images.shape), attempt.array(got[1], (len(images),))
    known = {
        np.rot90(image, k).tobytes(): (i, k) for i, image in enumerate(images) for k in range(4)
    }
    found = [known.get(np.ascontiguousarray(image).astype("uint8").tobytes()) for image in turned]
    attempt.require(None not in found, "mixed")
    who, turns = np.transpose(found)
    attempt.require(len(set(who)) == len(images), "lost")
    wrong = named != turns
    if wrong.any():
        attempt.require(not np.array_equal(named % 4, -turns % 4), "clockwise")
        first = int(np.argmax(wrong))
        attempt.wrong("names", named=int(named[first]), turned=int(turns[first]))
    came = sorted({int(k) for k in turns})
    attempt.require(len(came) > 1, "one turn", count=len(images))
    attempt.require(len(came) == 4, "some turns", turns=came, count=len(images))
    return turns[np.argsort(who)]


# 08.4


def _reversed(x, domains, kernel, head, strength):
    """The gradients of a domain loss, for the features' kernel and for the head."""
    features = x @ kernel
    error = (1 / (1 + np.exp(-features @ head)) - domains) / len(x)
    return x.T @ (-strength * np.outer(error, head)), features.T @ error


@task(
    "08.4",
    "One finds, the other hides",
    kind="write",
    minutes=12,
    wants="a function of x, domains, kernel, head and strength that returns two gradients",
    hints=(
        "Write it without the reversal first: `error = (probability - domains) / len(x)`, and from "
        "there backwards through `features @ head` and `x @ kernel`.",
        "The head's gradient is `features.T @ error`; the features' is `np.outer(error, head)`. "
        "Only what passes on to the kernel goes through the reversal.",
        "`for_features = -strength * np.outer(error, head)`, then `return x.T @ for_features, "
        "features.T @ error`.",
    ),
    diagnoses={
        "not reversed": "Nothing is reversed: the features learn to show the domain.",
        "head reversed": "The head's gradient has its sign changed. The head has to get better at "
        "naming the domain; only what passes on to the features is reversed.",
        "both reversed": "Both gradients are reversed, so the head unlearns as well, and hiding from "
        "it means nothing.",
        "head scaled": "The strength changes the head's gradient, too. It acts on what passes the "
        "reversal, and the head stands behind it.",
        "strength": "The sign is right, and the strength has no effect.",
        "stopped": "No gradient reaches the kernel. A reversal lets it pass, with the other sign.",
        "sum": "Your gradients are {count} times as large: that is the loss summed over the images. "
        "Wanted is the mean.",
        "no sigmoid": "The error is the probability less the domain. Yours takes the score for a "
        "probability.",
        "order": "First the kernel's gradient, then the head's.",
        "pair": "Return two arrays: one as large as the kernel, {kernel}, one as large as the head, "
        "{head}.",
    },
    because="That is all of the adversary: one loss, one backward pass, and a sign between the two "
    "players. `adaptation.GradientReversal` is this line as a layer.",
)
def finds_and_hides(attempt: Attempt):
    cases = []
    for n, inputs, width, strength in ((6, 4, 3, 0.5), (9, 3, 5, 2.0), (8, 5, 2, 0.1)):
        draw = attempt.rng.normal
        domains = attempt.rng.permutation(np.arange(n) % 2)
        cases.append(
            (
                draw(size=(n, inputs)),
                domains,
                draw(size=(inputs, width)),
                draw(size=width),
                strength,
            )
        )
    got = [_two_gradients(attempt, *case) for case in cases]
    want = [_reversed(*case) for case in cases]

    def scaled(by_kernel, by_head):
        """Both gradients times something that may depend on strength and number."""
        return [
            (k * by_kernel(case[4]), h * by_head(case[4]))
            for case, (k, h) in zip(cases, want, strict=True)
        ]

    def linear(x, domains, kernel, head, strength):
        error = (x @ kernel @ head - domains) / len(x)
        return x.T @ (-strength * np.outer(error, head)), (x @ kernel).T @ error

    def fits(results):
        return all(
            close(one, other)
            for pair, result in zip(got, results, strict=True)
            for one, other in zip(pair, result, strict=True)
        )

    if fits(want):
        return
    one, s, over = (lambda s: 1.0), (lambda s: s), (lambda s: 1 / s)
    minus = {f: (lambda s, f=f: -f(s)) for f in (one, s, over)}
    ways = [
        ("not reversed", minus[one], one),
        ("not reversed", minus[over], one),
        ("not reversed", minus[one], s),
        ("strength", over, one),
        ("head scaled", one, s),
        ("both reversed", one, minus[s]),
        ("both reversed", one, minus[one]),
        ("both reversed", over, minus[one]),
        ("head reversed", minus[one], minus[one]),
        ("head reversed", minus[over], minus[s]),
        ("head reversed", minus[one], minus[s]),
        ("head reversed", minus[over], minus[one]),
        ("stopped", lambda s: 0.0, one),
    ]
    for key, by_kernel, by_head in ways:
        attempt.require(not fits(scaled(by_kernel, by_head)), key)
    summed = [(k * len(c[0]), h * len(c[0])) for c, (k, h) in zip(cases, want, strict=True)]
    attempt.require(not fits(summed), "sum", count=len(cases[0][0]))
    attempt.require(not fits([linear(*case) for case in cases]), "no sigmoid")
    which = 0 if not close(got[0][0], want[0][0]) else 1
    attempt.wrong(
        "other", case=f"6 images, the {('kernel', 'head')[which]}", got=got[0][which],
        want=want[0][which],
    )  # fmt: skip


def _two_gradients(attempt, x, domains, kernel, head, strength):
    given = [part.copy() for part in (x, domains, kernel, head)]
    found = attempt.call(*given, strength)
    same = map(np.array_equal, given, (x, domains, kernel, head))
    attempt.require(all(same), "changes its input")
    shapes = {"kernel": kernel.shape, "head": head.shape}
    attempt.require(isinstance(found, tuple | list) and len(found) == 2, "pair", **shapes)
    pair = [attempt.array(part) for part in found]
    attempt.require([p.shape for p in pair] != [head.shape, kernel.shape], "order")
    pair[1] = pair[1].reshape(-1) if pair[1].size == head.size else pair[1]
    fits = [part.shape for part in pair] == [kernel.shape, head.shape]
    attempt.require(fits, "pair", **shapes)
    return pair


# 08.5


@task(
    "08.5",
    "Statistics of the wrong images",
    kind="find the bug",
    minutes=8,
    wants="your mended function of mean, variance and batches that returns a mean and a variance",
    hints=(
        "Eight batches come. How much of the source's mean is left then? 0.99 to the power of 8.",
        "The source's statistics have no place in the result. Wanted is what one batch of all the "
        "target's images would have.",
        "`every = np.concatenate(batches)`, then `every.mean(axis=0), every.var(axis=0)`.",
    ),
    diagnoses={
        "blend": "The source's statistics are still in it. A momentum is for training, where "
        "hundreds of batches follow each other.",
        "equal batches": "Your mean gives every batch the same weight, and the last ones are "
        "smaller.",
        "within": "You average the variances of the batches. How far their means lie apart is part "
        "of the variance, too.",
        "last batch": "These are the statistics of {which} batch alone.",
        "deviation": "That is the standard deviation. Wanted is the variance.",
        "squares": "That is the mean square. Take off the square of the mean.",
        "one less": "You divide by the number of images less one. BatchNormalization divides by "
        "their number.",
        "order": "First the mean, then the variance.",
        "pair": "Return two arrays: means and variances, one of each for every channel.",
    },
    because="That is AdaBN: one pass over unlabelled target images, no weight changed. "
    "`adaptation.adapt_batch_norm` does it for every BatchNormalization of a model.",
)
def wrong_images(attempt: Attempt):
    cases = []
    for sizes in ((16, 16, 16, 5), (10, 10, 3)):
        places = attempt.rng.normal(2, 1.5, (len(sizes), 3))
        batches = [
            place + attempt.rng.normal(size=(n, 3)) for n, place in zip(sizes, places, strict=True)
        ]
        cases.append((np.array([-1.0, 0.0, 4.0]), np.array([0.5, 1.0, 9.0]), batches))
    got = []
    for mean, variance, batches in cases:
        given = [batch.copy() for batch in batches]
        found = attempt.call(mean.copy(), variance.copy(), given)
        same = len(given) == len(batches) and all(map(np.array_equal, given, batches))
        attempt.require(same, "changes its input")
        two = isinstance(found, tuple | list | np.ndarray) and len(found) == 2
        attempt.require(two, "pair")
        got.append([attempt.array(part) for part in found])
        attempt.require([p.shape for p in got[-1]] == [(3,), (3,)], "pair")
    pooled = [np.concatenate(batches) for *_, batches in cases]
    want = [(every.mean(0), every.var(0)) for every in pooled]

    def fits(part, results):
        return all(close(pair[part], result) for pair, result in zip(got, results, strict=True))

    means, variances = zip(*want, strict=True)
    if fits(0, means) and fits(1, variances):
        return
    attempt.require(not (fits(0, variances) and fits(1, means)), "order")
    for which, place in (("the last", -1), ("the first", 0)):
        one = [batches[place].mean(0) for *_, batches in cases]
        attempt.require(not fits(0, one), "last batch", which=which)
    if not fits(0, means):
        equal = [np.mean([b.mean(0) for b in batches], 0) for *_, batches in cases]
        attempt.require(not fits(0, equal), "equal batches")
        between = all(
            ((np.minimum(old, new) < one) & (one < np.maximum(old, new))).all()
            for (old, *_), new, (one, _) in zip(cases, means, got, strict=True)
        )
        attempt.require(not between, "blend")
    spreads = [[b.var(0) for b in batches] for *_, batches in cases]
    weights = [[len(b) for b in batches] for *_, batches in cases]
    within = [np.average(v, axis=0, weights=w) for v, w in zip(spreads, weights, strict=True)]
    ways = {
        "deviation": [every.std(0) for every in pooled],
        "squares": [(every**2).mean(0) for every in pooled],
        "one less": [every.var(0, ddof=1) for every in pooled],
        "within": within,
        "within ": [np.mean(v, 0) for v in spreads],
    }
    for key, results in ways.items():
        attempt.require(not fits(1, results), key.strip())
    which = 0 if not close(got[0][0], means[0]) else 1
    name = ("mean", "variance")[which]
    case = f"batches of 16, 16, 16 and 5 images, the {name}"
    attempt.wrong("other", case=case, got=got[0][which], want=want[0][which])


# 08.6

_CLASSES = 5


def _entropy(p):
    return -(p * np.log(np.maximum(p, 1e-12))).sum(-1)


def _answers(named, sure):
    """Probabilities that name these classes with this certainty."""
    p = np.full((len(named), _CLASSES), (1 - sure) / (_CLASSES - 1))
    p[np.arange(len(named)), named] = sure
    return p


@task(
    "08.6",
    "Choose without labels",
    kind="experiment",
    minutes=12,
    wants="a function of strengths, adapt, unlabelled, test_images and test_labels that returns a "
    "strength and an accuracy",
    hints=(
        "Two entropies decide: that of the mean answer over all images, and the mean of those of "
        "single answers. Both come from the unlabelled images.",
        "`p = adapt(strength).predict(unlabelled)`, `mean = p.mean(axis=0)`, and the information is "
        "`entropy(mean) - entropy(p).mean()`, with `entropy(p) = -(p * np.log(p)).sum(axis=-1)`.",
        "Take the strength with the most information; only then predict the test images, with its "
        "model, and compare with their labels.",
    ),
    diagnoses={
        "labels choose": "You took the strength with the best test accuracy. Nobody who has no "
        "target labels can take it, and the accuracy that you report is too good.",
        "sure": "You took the model that is surest of single answers. It names nearly the same "
        "class for every image.",
        "spread": "You took the model whose mean answer is the most even. It is undecided on every "
        "image.",
        "test images": "You chose on the test images. They are for the report; choose on the "
        "unlabelled ones.",
        "least": "You took the strength with the least information.",
        "another's accuracy": "The accuracy is not that of the strength that you return.",
        "information": "You report the information. Wanted is the test accuracy of the chosen "
        "model.",
        "pair": "Return two things: the strength and its test accuracy.",
    },
    because="Ask of every number in a report which labels chose it. Information trusts that classes "
    "are about equally frequent; a hundred labelled target images are worth more than any score.",
)
def without_labels(attempt: Attempt):
    for strengths in ([0.0, 0.1, 0.3, 1.0, 2.0, 3.0], [0.01, 0.03, 0.1, 0.3, 1.0, 2.0]):
        _without_labels(attempt, strengths)


def _without_labels(attempt, strengths):
    rng = attempt.rng
    roles = ["informed", "best", "sure", "even", "tested", "flat"]
    roles = dict(zip(rng.permutation(strengths).tolist(), roles, strict=True))
    many, labels = 200, rng.integers(_CLASSES, size=120)
    uneven = rng.choice(_CLASSES, many, p=[0.24, 0.23, 0.2, 0.17, 0.16])
    seen = {
        "informed": _answers(uneven, 0.93),
        "best": _answers(uneven, 0.7),
        "sure": _answers(np.where(np.arange(many) < 6, 1, 0), 0.995),
        "even": _answers(np.arange(many) % _CLASSES, 0.24),
        "tested": _answers(uneven, 0.6),
        "flat": _answers(uneven, 0.205),
    }
    shares = {"informed": 0.7, "best": 0.85, "sure": 0.25, "even": 0.4, "tested": 0.6, "flat": 0.5}
    certain = {"informed": 0.6, "best": 0.6, "sure": 0.9, "even": 0.3, "tested": 0.99, "flat": 0.5}
    tested = {}
    for role, share in shares.items():
        right = rng.permutation(len(labels)) < round(share * len(labels)) + rng.integers(3)
        named = np.where(right, labels, (labels + 1) % _CLASSES)
        tested[role] = _answers(named, certain[role])
    unlabelled, images = (
        np.arange(first, first + n, dtype=float).reshape(n, 1, 1) * np.ones((1, 2, 2))
        for first, n in ((0, many), (1000, len(labels)))
    )

    def adapt(strength):
        if float(strength) not in roles:
            raise ValueError(f"strength {strength}: take one of those you were given")
        role = roles[float(strength)]
        everything = np.concatenate([seen[role], tested[role]])

        def predict(some, *_, **__):
            codes = np.asarray(some).reshape(len(some), -1)[:, 0].astype(int)
            return everything[np.where(codes < 1000, codes, codes - 1000 + many)]

        return SimpleNamespace(predict=predict)

    got = attempt.call(list(strengths), adapt, unlabelled, images, labels.copy())
    attempt.require(isinstance(got, tuple | list | np.ndarray) and len(got) == 2, "pair")
    chosen, said = (attempt.number(part) for part in got)
    best = next(s for s, role in roles.items() if role == "informed")
    accuracy = {role: float((p.argmax(1) == labels).mean()) for role, p in tested.items()}
    role = roles.get(chosen)
    keys = {
        "best": "labels choose",
        "even": "spread",
        "sure": "sure",
        "tested": "test images",
        "flat": "least",
    }
    attempt.require(role not in keys, keys.get(role, "least"))
    want = (best, accuracy["informed"])
    attempt.require(role == "informed", "other", case=f"{strengths}", got=(chosen, said), want=want)
    if not close(said, accuracy["informed"]):
        p = seen["informed"]
        attempt.require(not close(said, _entropy(p.mean(0)) - _entropy(p).mean()), "information")
        attempt.wrong("another's accuracy")
