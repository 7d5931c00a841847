"""Exercises of chapter 01: whether transfer helps, and how to find out."""

from math import comb

import numpy as np

from tlcourse.exercises.catalogue import task
from tlcourse.exercises.judging import Attempt

# 01.1


@task(
    "01.1",
    "A class that is missing",
    kind="predict",
    minutes=8,
    form="prediction",
    wants='your guess and your function, as in `check("01.1", (guess, missing))`',
    hints=(
        "Draw `labels` classes with `rng.integers(0, classes, labels)`. Is every class among them?",
        "Count the draws in which `len(np.unique(drawn)) < classes`.",
        "Return `100 *` that count divided by `draws`.",
    ),
    diagnoses={
        "complete": "That is how often no class is missing.",
        "fraction": "The numbers are right as fractions of 1; wanted are percent.",
        "share": "That is how many of the classes are missing on average. Wanted is how often at "
        "least one is.",
        "without luck": "You draw the same number of each class. Here the labels are drawn blindly.",
    },
    because="A small subset that is drawn blindly nearly always lacks a class or has too little of "
    "one, so it measures luck. That is why the course draws stratified subsets.",
)
def a_class_is_missing(attempt: Attempt):
    cases = [(10, 20), (3, 6), (5, 20), (4, 3)]
    got = [attempt.number(attempt.call(c, n, 4000, 0)) for c, n in cases]
    want = [_missing(c, n) for c, n in cases]
    mistakes = {
        "complete": [100 - value for value in want],
        "fraction": [value / 100 for value in want],
        "share": [100 * (1 - 1 / c) ** n for c, n in cases],
        "share ": [c * (1 - 1 / c) ** n for c, n in cases],
        "without luck": [0.0 if n >= c else 100.0 for c, n in cases],
    }
    if not np.allclose(got, want, atol=4) or np.allclose(got, mistakes["fraction"], atol=0.04):
        for key, values in mistakes.items():
            if np.allclose(got, values, atol=0.04 if key in ("fraction", "share ") else 4):
                attempt.wrong(key.strip())
        worst = int(np.argmax(np.abs(np.subtract(got, want))))
        case = f"{cases[worst][0]} classes and {cases[worst][1]} labels"
        attempt.wrong("other", case=case, got=got[worst], want=f"about {want[worst]:.0f}")
    attempt.measured(got[0], "%")


def _missing(classes, labels):
    """Percent, by inclusion and exclusion."""
    full = sum((-1) ** k * comb(classes, k) * (1 - k / classes) ** labels for k in range(classes))
    return 100 * (1 - full)


# 01.2


@task(
    "01.2",
    "A fair handful",
    kind="write",
    minutes=12,
    wants="a function of labels, n and seed that returns the numbers of n examples",
    hints=(
        "Shuffle the numbers of each class with the seed, then take the same count from each.",
        "For nested subsets a larger one has to begin with the smaller one: take the first of each "
        "class, then the second of each, and so on.",
        "`columns = [rng.permutation(np.flatnonzero(labels == c)) for c in np.unique(labels)]`, "
        "then `np.stack([column[: n // classes] for column in columns]).T` row by row.",
    ),
    diagnoses={
        "size": "{want} examples were asked for; yours are {got}.",
        "twice": "An example is in the subset twice.",
        "unbalanced": "The classes have {counts} examples; each should have the same number.",
        "other seeds": "Two seeds gave the same examples. The seed has to decide.",
        "not repeatable": "The same call gave other examples the second time. All chance has to "
        "come from the seed.",
        "not nested": "Some of the examples for a small n are not among those for a larger one. "
        "Then a curve over n compares different draws.",
        "range": "{got} is not the number of an example.",
        "global": "Your function changes NumPy's global random state, so whatever runs next draws "
        "other numbers. Use a generator of your own.",
    },
    because="Equal classes, one seed, and each subset within the next: then a curve over the number "
    "of labels shows the labels and not the luck of the draw. `data.load(name).subset` does it.",
)
def handful(attempt: Attempt):
    labels = np.repeat(np.arange(4), [30, 12, 20, 25])
    labels = labels[attempt.rng.permutation(len(labels))]
    drawn = {}
    kept = np.random.get_state()
    np.random.seed(20_011)
    try:
        _handful(attempt, labels, drawn)
    finally:
        np.random.set_state(kept)


def _handful(attempt, labels, drawn):
    state = np.random.get_state()[1].copy()
    for n in (8, 16, 40):
        for seed in (0, 1):
            found = attempt.array(attempt.call(labels.copy(), n, seed))
            attempt.require(found.shape == (n,), "size", want=n, got=found.size)
            bad = [i for i in found if i < 0 or i >= len(labels) or i != int(i)]
            attempt.require(not bad, "range", got=float(bad[0]) if bad else 0)
            found = found.astype(int)
            attempt.require(len(set(found)) == n, "twice")
            counts = np.bincount(labels[found], minlength=4)
            attempt.require(len(set(counts)) == 1, "unbalanced", counts=counts)
            drawn[n, seed] = set(found)
    again = attempt.array(attempt.call(labels.copy(), 16, 0)).astype(int)
    attempt.require(set(again) == drawn[16, 0], "not repeatable")
    attempt.require(drawn[16, 0] != drawn[16, 1], "other seeds")
    attempt.require(drawn[8, 0] <= drawn[16, 0] <= drawn[40, 0], "not nested")
    attempt.require(np.array_equal(state, np.random.get_state()[1]), "global")


# 01.3


@task(
    "01.3",
    "The first hundred",
    kind="find the bug",
    minutes=6,
    wants="your mended function of x, y, n and seed that returns x and y",
    hints=(
        "Data sets are often stored class by class. What is in the first hundred, then?",
        "Draw an order once, and use it for `x` and for `y`.",
        "`order = np.random.default_rng(seed).permutation(len(x))[:n]`, then `x[order], y[order]`.",
    ),
    diagnoses={
        "unshuffled": "These are the first {n} examples. Of a data set that is stored class by "
        "class they are all of one kind.",
        "labels lost": "An image comes with the label of another one. One order has to serve both.",
        "size": "{want} examples were asked for; you return {got} images and {labels} labels.",
        "other seeds": "Two seeds gave the same examples.",
        "twice": "Some examples are drawn twice.",
        "pair": "Return two things: images and labels.",
        "within": "You shuffle, but only within the first {n} examples. The others never come in.",
    },
    because="`x[:n]` is the most copied line of data-efficiency curves, and it measures the order of "
    "a file.",
)
def first_hundred(attempt: Attempt):
    count, n = 60, 20
    x = np.arange(count, dtype="float32").reshape(count, 1, 1) * 2 + 1
    y = np.repeat(np.arange(6), 10) * 1000 + np.arange(count)
    seen = []
    for seed in (0, 1):
        one, other = x.copy(), y.copy()
        got = attempt.call(one, other, n, seed)
        attempt.require(np.array_equal(one, x) and np.array_equal(other, y), "changes its input")
        attempt.require(isinstance(got, tuple | list) and len(got) == 2, "pair")
        images, labels = (np.asarray(part) for part in got)
        fits = images.shape == (n, 1, 1) and labels.shape == (n,)
        attempt.require(fits, "size", want=n, got=len(images), labels=len(labels))
        who = ((images.reshape(n) - 1) / 2).astype(int)
        attempt.require(np.array_equal(y[who], labels), "labels lost")
        attempt.require(len(set(who)) == n, "twice")
        attempt.require(not np.array_equal(who, np.arange(n)), "unshuffled", n=n)
        attempt.require(set(who) != set(range(n)), "within", n=n)
        seen.append(tuple(who))
    attempt.require(set(seen[0]) != set(seen[1]), "other seeds")


# 01.4


@task(
    "01.4",
    "Images that were seen before",
    kind="find the bug",
    minutes=10,
    wants="your mended function of train and test that returns the images to train on",
    hints=(
        "An image and its copy rarely have the same number. Each training image has to be compared "
        "with every test image.",
        "`image.tobytes()` can be put into a set.",
        "`known = {image.tobytes() for image in test}`, then keep the images of `train` that are "
        "not in it.",
    ),
    diagnoses={
        "same place": "Copies at another place were missed: you compare image 0 with image 0, 1 "
        "with 1, and so on.",
        "copies left": "{count} of the images that you keep are exact copies of test images.",
        "too few": "{count} images are missing that are no copies of a test image. Two images may "
        "have the same mean.",
        "repeats": "Images that occur twice in training were thinned out, too. Only copies of test "
        "images were to go.",
        "order": "The images came back in another order; their labels would no longer fit.",
        "test": "You returned test images. The test set stays as it is, and training gives way.",
        "mask": "Return the images that are kept, an array of shape (images, height, width).",
    },
    because="A test image that was trained on measures memory. Of the 10,000 animals in the package "
    "that this course uses, 284 are exact copies of another one.",
)
def seen_before(attempt: Attempt):
    rng = attempt.rng
    train = rng.integers(0, 256, (14, 3, 3)).astype("uint8")
    test = rng.integers(0, 256, (6, 3, 3)).astype("uint8")
    train[4], train[11], train[1] = test[2], test[2], test[1]  # Copies, one in the same place.
    train[7] = train[3]  # Twice in training, and that may stay.
    train[9] = test[0][::-1]  # Another image, with the same mean.
    want = np.delete(train, [1, 4, 11], axis=0)
    got = np.asarray(attempt.call_on_copies(train, test))
    attempt.require(got.ndim == 3 and got.shape[1:] == (3, 3), "mask")
    key = [image.tobytes() for image in got.astype("uint8")]
    right = [image.tobytes() for image in want]
    known = {image.tobytes() for image in test}
    pool = {image.tobytes() for image in train}
    attempt.require(not [k for k in key if k not in pool], "test")
    copies = sum(k in known for k in key)
    if copies:
        same = train[4].tobytes() in key and train[1].tobytes() not in key
        attempt.require(not same, "same place")
        attempt.wrong("test" if set(key) <= known else "copies left", count=copies)
    gone = set(right) - set(key)
    attempt.require(not gone, "too few", count=len(gone))
    attempt.require(len(key) >= len(right), "repeats")
    attempt.require(key == right, "order")


# 01.5


def _verdict(transfer, scratch, quantile=None, spread=None):
    from scipy import stats

    differences = np.subtract(transfer, scratch)
    count = len(differences)
    error = differences.std(ddof=1) / np.sqrt(count) if spread is None else spread
    half = (quantile or stats.t.ppf(0.975, count - 1)) * error
    mean = differences.mean()
    return "helps" if mean - half > 0 else "hurts" if mean + half < 0 else "cannot tell"


@task(
    "01.5",
    "Helps, hurts, cannot tell",
    kind="experiment",
    minutes=12,
    wants='a function of two lists of accuracies that returns "helps", "hurts" or "cannot tell"',
    hints=(
        "Both lists have the same seeds in the same order, so subtract first, seed by seed.",
        "The interval of the mean difference is `mean ± t * sd / sqrt(n)`, with `ddof=1` in the "
        "standard deviation.",
        "`t = stats.t.ppf(0.975, n - 1)`. It helps if the whole interval lies above 0, and hurts if "
        "the whole interval lies below.",
    ),
    diagnoses={
        "sign only": "You go by the sign of the mean difference. Three seeds that disagree among "
        "each other have one, too.",
        "unpaired": "You treat the lists as if they had nothing to do with each other. Their seeds "
        "are the same, so most of the noise cancels in the differences.",
        "normal": "With so few seeds, 1.96 is too small a factor: the spread itself is only "
        "estimated. Take the quantile of Student's t.",
        "spread": "You compare with the spread of single differences. That of their mean is "
        "smaller by the root of their number.",
        "population": "Divide the squares by n - 1, `ddof=1`: the mean was estimated from the "
        "same numbers.",
        "turned": "The verdicts are turned round: transfer comes first.",
        "words": "The verdict has to be one of three texts; yours is {got}.",
        "one side": "You never find that it helps, or never that it hurts. The interval can lie on "
        "either side of 0.",
    },
    because="'Cannot tell' is a result. It says that more seeds or more test images are needed, not "
    "that the two are equal.",
)
def helps_or_hurts(attempt: Attempt):
    base = [0.60, 0.80, 0.70, 0.75]
    rows = {
        "clear": [0.05, 0.06, 0.05, 0.07],
        "clear loss": [-0.05, -0.06, -0.05, -0.07],
        "noise": [0.10, -0.06, 0.01, 0.02],
        "noise loss": [-0.10, 0.06, -0.01, -0.02],
        "small but steady": [0.010, 0.012, 0.011, 0.009],
    }
    cases = [([b + d for b, d in zip(base, row, strict=True)], list(base)) for row in rows.values()]
    # Student's t asks for 3.18 with four seeds and for 2.31 with nine.
    cases += [_case(4, t) for t in (2.5, 3.0, -3.0)]  # Within; 3.46 if divided by n.
    cases += [_case(9, t) for t in (2.7, -2.7)]  # Beyond, though less than one deviation from 0.

    def error(one, other):
        return np.sqrt(np.var(one, ddof=1) / len(one) + np.var(other, ddof=1) / len(other))

    def sd(one, other, ddof=1):
        return np.subtract(one, other).std(ddof=ddof)

    def but(word):
        def verdict(*case):
            said = _verdict(*case)
            return "cannot tell" if said == word or word == "any" else said

        return verdict

    mistakes = {
        "turned": lambda one, other: _verdict(other, one),
        "sign only": lambda one, other: _verdict(one, other, 1.0, 0.0),
        "unpaired": lambda *case: _verdict(*case, 1.96, error(*case)),
        "unpaired ": lambda *case: _verdict(*case, None, error(*case)),
        "normal": lambda *case: _verdict(*case, 1.96),
        "normal ": lambda *case: _verdict(*case, 2.0),
        "spread": lambda *case: _verdict(*case, None, sd(*case)),
        "spread ": lambda *case: _verdict(*case, 1.0, sd(*case)),
        "spread  ": lambda *case: _verdict(*case, 1.96, sd(*case)),
        "population": lambda *case: _verdict(*case, None, sd(*case, 0) / len(case[0]) ** 0.5),
        "one side": but("helps"),
        "one side ": but("hurts"),
        "one side  ": but("any"),
    }
    for one, other in cases:
        word = attempt.call(list(one), list(other))
        known = isinstance(word, str) and word in ("helps", "hurts", "cannot tell")
        attempt.require(known, "words", got=repr(word)[:40])
    attempt.compare(cases, _verdict, mistakes)


def _case(count, t):
    """Two lists whose differences have this t statistic."""
    pattern = np.linspace(-1, 1, count)
    scale = 0.02 * np.sqrt(count) / (abs(t) * pattern.std(ddof=1))
    base = 0.7 + 0.1 * np.cos(np.arange(count))
    return list(base + np.sign(t) * 0.02 + scale * pattern), list(base)
