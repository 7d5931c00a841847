"""Exercises of chapter 10: is it working?"""

import math

import numpy as np

from tlcourse.exercises.catalogue import task
from tlcourse.exercises.judging import Attempt, close

# 10.1


def _apart(accuracy, images, errors=1.96, tests=2):
    return 100 * errors * math.sqrt(tests * accuracy * (1 - accuracy) / images)


@task(
    "10.1",
    "Two tests of one model",
    kind="predict",
    minutes=8,
    form="prediction",
    wants='your guess and your function, as in `check("10.1", (guess, apart))`',
    hints=(
        "One accuracy on n images has the variance `a * (1 - a) / n`. What is the variance of the "
        "difference of two?",
        "Variances add: `2 * a * (1 - a) / n`. Its root is one standard deviation of the difference.",
        "95 of 100 lie within 1.96 standard deviations; times 100, for points.",
    ),
    diagnoses={
        "one test": "That is how far one test lies from the truth. Both of them have luck, so the "
        "variance of the difference is twice as large.",
        "one deviation": "That is one standard deviation. Only about 68 of 100 pairs lie within it; "
        "95 lie within 1.96 of them.",
        "added": "You added the two errors. They seldom point apart at once: variances add, and the "
        "root comes after that.",
        "both sides": "That is the way from the lower end to the upper one. Wanted is the distance "
        "from the middle to one end.",
        "one side": "5 of 100 lie beyond one end then, and 10 beyond both. 1.96 leaves 2.5 at each.",
        "fraction": "The numbers are right as fractions of 1; wanted are points.",
        "no root": "A root is missing: four times the images only halve the distance.",
    },
    because="Nothing changed between the two tests but the images. A gain within this distance, on "
    "other images, shows nothing; on the same images a paired test sees more.",
)
def two_tests(attempt: Attempt):
    cases = [(0.85, 1000), (0.6, 400), (0.95, 2500), (0.5, 150)]
    mistakes = {
        "one test": lambda a, n: _apart(a, n, tests=1),
        "one deviation": lambda a, n: _apart(a, n, errors=1),
        "one deviation ": lambda a, n: _apart(a, n, errors=1, tests=1),
        "added": lambda a, n: _apart(a, n, tests=4),
        "both sides": lambda a, n: 2 * _apart(a, n),
        "one side": lambda a, n: _apart(a, n, errors=1.645),
        "fraction": lambda a, n: _apart(a, n) / 100,
        "no root": lambda a, n: 100 * 1.96 * 2 * a * (1 - a) / n,
        "no root ": lambda a, n: 100 * 1.96 * a * (1 - a) / n,
    }
    # Wide enough for an answer that simulates.
    got = attempt.compare(
        cases, _apart, mistakes, lambda one, other: bool(np.allclose(one, other, rtol=0.07))
    )
    attempt.measured(attempt.number(got[0]), "points")


# 10.2

_SIZES = [100, 300, 1000, 3000]
_CURVES = (
    ([0.85, 0.90, 0.92, 0.93], 0.8, 100),  # everywhere
    ([0.10, 0.20, 0.30, 0.40], 0.8, None),  # nowhere
    ([0.60, 0.80, 0.90, 0.95], 0.8, 300),  # exactly
    ([0.60, 0.85, 0.78, 0.90], 0.8, 300),  # with a dip
    ([0.20, 0.50, 0.70, 0.90], 0.85, 3000),  # at the end
)


@task(
    "10.2",
    "The best case is silent",
    kind="find the bug",
    minutes=6,
    wants="your mended function of sizes, accuracies and wanted that returns a size or None",
    hints=(
        "What is `np.argmax([False, False, False])`? And `np.argmax([True, True, True])`?",
        "Both are 0. Ask first whether any size reaches it: `reached.any()`.",
        "`return sizes[np.argmax(reached)] if reached.any() else None`.",
    ),
    diagnoses={
        "best case": "The smallest size reaches the accuracy already, and your function says None: "
        "the best case looks like a failure.",
        "nowhere": "No size reaches the accuracy, and your function says {got}. None is right.",
        "place": "That is the place in the list. Return the size that stands there.",
        "strict": "An accuracy that is exactly as wanted counts as reached.",
        "highest": "You return the size with the highest accuracy, not the first that is good "
        "enough.",
        "nearest": "You return the size whose accuracy lies nearest to what is wanted, also from "
        "below.",
        "later": "The curve dips after it has reached the accuracy. Wanted is the first size that "
        "reaches it.",
    },
    because="A place of 0 is an answer, and it is not the same as no answer. "
    "`evaluation.labels_needed` says 'at most' and 'more than' in these two cases.",
)
def best_case(attempt: Attempt):
    got = []
    for curve, wanted, _ in _CURVES:
        said = attempt.run(list(_SIZES), list(curve), wanted)
        got.append(said if said is None or isinstance(said, str) else attempt.number(said))
    want = [right for *_, right in _CURVES]
    if got == want:
        return
    first = next(i for i in range(len(want)) if got[i] != want[i])

    def by(choose):
        return [choose(np.array(curve), wanted) for curve, wanted, _ in _CURVES]

    places = by(lambda curve, wanted: int(np.argmax(curve >= wanted)))
    as_places = (places, [places[0], None, *places[2:]], [None, None, *places[2:]])
    attempt.require(got not in as_places, "place")
    attempt.require(got != by(lambda curve, _: _SIZES[curve.argmax()]), "highest")
    nearest = by(lambda curve, wanted: _SIZES[np.abs(curve - wanted).argmin()])
    attempt.require(got != nearest, "nearest")
    attempt.require(got[0] is not None, "best case")
    attempt.require(got[1] is None, "nowhere", got=got[1])
    attempt.require(got[2] != 1000, "strict")
    attempt.require(got[3] != 3000, "later")
    curve, wanted, _ = _CURVES[first]
    case = f"accuracies {curve} and {wanted} wanted"
    attempt.wrong("other", case=case, got=got[first], want=want[first])


# 10.3


def _gaps(confidence, correct, bins, lose_sure=False):
    """Counts and signed gaps of the bins that hold anything."""
    place = (np.asarray(confidence) * bins).astype(int)
    place = np.where(place == bins, -1 if lose_sure else bins - 1, place)
    used = [i for i in np.unique(place) if i >= 0]
    counts = np.array([(place == i).sum() for i in used])
    gaps = [confidence[place == i].mean() - correct[place == i].mean() for i in used]
    return counts, np.array(gaps)


def _calibration_error(probabilities, labels, bins):
    counts, gaps = _gaps(probabilities.max(1), probabilities.argmax(1) == labels, bins)
    return float(np.average(np.abs(gaps), weights=counts))


@task(
    "10.3",
    "As often right as it says",
    kind="write",
    minutes=12,
    wants="a function of probabilities, labels and bins that returns a number",
    hints=(
        "Of each image you need two numbers: the highest probability, and whether the answer is "
        "right. The first one decides about the bin.",
        "`place = np.minimum((confidence * bins).astype(int), bins - 1)` is the bin of each image. "
        "Go through the bins that hold an image: `np.unique(place)`.",
        "For each: the size of `confidence[mine].mean() - correct[mine].mean()`, times "
        "`mine.mean()`, the bin's share of all images. Sum them up.",
    ),
    diagnoses={
        "unweighted": "Every bin counts the same, whether it holds one image or hundreds. Weight "
        "each gap by the bin's share of the images.",
        "cancels": "Gaps above and below cancel, as if there were no bins: a model that is too sure "
        "here and too modest there looks perfect. Take the size of each gap first.",
        "true class": "You take the probability of the right class. The model cannot know which "
        "that is; take that of the class which it names.",
        "largest": "That is the largest gap. Wanted is the mean one.",
        "squared": "You square the gaps. Take their size.",
        "sure ones": "Images with a probability of exactly 1 fall out of your bins. They belong to "
        "the last one.",
        "last bin": "The last bin, in which the model is surest, is missing from the sum.",
        "empty bins": "The mean of an empty bin is nan, and nan spreads. Leave out bins without an "
        "image.",
        "percent": "That is in percent. Wanted is a fraction of 1.",
    },
    because="This is the expected calibration error. It is never below 0, so even a perfect model "
    "shows some: `evaluation.ece_by_chance` says how much.",
)
def as_often_right(attempt: Attempt):
    cases = []
    for count, classes, bins, sharpness in ((80, 3, 10, 3.0), (60, 4, 5, 1.5), (90, 2, 15, 4.0)):
        scores = np.exp(sharpness * attempt.rng.normal(size=(count, classes)))
        scores[::9] = np.eye(classes)[attempt.rng.integers(classes, size=len(scores[::9]))]
        labels = attempt.rng.integers(classes, size=count)
        labels = np.where(attempt.rng.random(count) < 0.5, scores.argmax(1), labels)
        cases.append((scores / scores.sum(1, keepdims=True), labels, bins))

    def by(summary, confidence=lambda p, y: p.max(1), lose_sure=False):
        def error(p, y, bins):
            return summary(*_gaps(confidence(p, y), p.argmax(1) == y, bins, lose_sure))

        return error

    def weighted(counts, gaps):
        return np.average(np.abs(gaps), weights=counts)

    def true(p, y):
        return p[np.arange(len(y)), y]

    mistakes = {
        "unweighted": by(lambda counts, gaps: np.abs(gaps).mean()),
        "unweighted ": lambda p, y, bins: by(lambda c, gaps: np.abs(gaps).sum())(p, y, bins) / bins,
        "unweighted  ": by(lambda counts, gaps: np.abs(gaps).sum()),
        "cancels": by(lambda counts, gaps: np.average(gaps, weights=counts)),
        "cancels ": by(lambda counts, gaps: -np.average(gaps, weights=counts)),
        "cancels  ": by(lambda counts, gaps: abs(np.average(gaps, weights=counts))),
        "true class": by(weighted, true),
        "largest": by(lambda counts, gaps: np.abs(gaps).max()),
        "squared": by(lambda counts, gaps: np.average(gaps**2, weights=counts)),
        "squared ": by(lambda counts, gaps: np.sqrt(np.average(gaps**2, weights=counts))),
        "sure ones": by(weighted, lose_sure=True),
        "sure ones ": lambda p, y, bins: by(
            lambda counts, gaps: (counts * np.abs(gaps)).sum() / len(y), lose_sure=True
        )(p, y, bins),
        "last bin": lambda p, y, bins: by(
            lambda counts, gaps: (counts * np.abs(gaps))[:-1].sum() / len(y)
        )(p, y, bins),
        "empty bins": lambda p, y, bins: np.nan,
        "percent": lambda p, y, bins: 100 * _calibration_error(p, y, bins),
    }

    def name(case):
        return "{} images, {} classes and {} bins".format(*case[0].shape, case[2])

    attempt.compare_numbers(cases, _calibration_error, mistakes, name)


# 10.4


def _softmax(scores):
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    return scores / scores.sum(-1, keepdims=True)


def _likely(scores, labels):
    return _softmax(scores)[np.arange(len(labels)), labels]


@task(
    "10.4",
    "A temperature that nobody chose",
    kind="find the bug",
    minutes=10,
    wants="your mended function of scores, labels, new_scores and temperatures that returns "
    "probabilities",
    hints=(
        "Print `quality(t)` for every temperature. What do you see, and why?",
        "Dividing all scores by one number leaves the highest one the highest, so no answer "
        "changes. What does change is the probability of each label.",
        "Let `quality` return `np.log(p[np.arange(len(labels)), labels]).mean()`.",
    ),
    diagnoses={
        "any": "You took the {which} temperature of the list, whatever it was. Accuracy is the same "
        "at all of them, so it cannot choose.",
        "coldest": "You took {got}, the lowest temperature of all. A criterion that rewards being "
        "sure, such as the mean probability without its logarithm, always ends there.",
        "worst": "You took the temperature at which the labels are least probable.",
        "unchanged": "These are the probabilities at a temperature of 1, so nothing was calibrated. "
        "If you divide probabilities and let them sum to 1 again, the number cancels; divide the "
        "scores.",
        "inverse": "You multiply the scores. A temperature divides: above 1 it makes a model less "
        "sure.",
        "no probabilities": "The rows do not sum to 1. Return the probabilities of the new images.",
    },
    because="No answer changes with the temperature, only how sure it is. Fit it on validation "
    "images: test images must not choose, and on training images a model is nearly always right.",
)
def temperature(attempt: Attempt):
    used, best, worst, lists = [], [], [], ([2, 6, 0.3, 1, 4, 0.6], [4, 0.3, 1, 0.6, 6, 2])
    for true, temperatures in zip((4, 0.6), lists, strict=True):
        scores, fresh = (true * 2 * attempt.rng.normal(size=(n, 4)) for n in (2000, 12))
        drawn = attempt.rng.random((len(scores), 1))
        labels = (_softmax(scores / true).cumsum(1) < drawn).sum(1).clip(max=3)
        used.append(_temperature(attempt, scores, labels, fresh, temperatures))
        quality = [np.log(_likely(scores / t, labels).clip(1e-300)).mean() for t in temperatures]
        best.append(temperatures[int(np.argmax(quality))])
        worst.append(temperatures[int(np.argmin(quality))])
    for which, place in (("first", 0), ("last", -1)):
        attempt.require(used != [every[place] for every in lists], "any", which=which)
    attempt.require(used != [0.3, 0.3], "coldest", got=0.3)
    attempt.require(used != [1, 1], "unchanged")
    attempt.require(used != worst, "worst")
    for i, temperatures in enumerate(lists):
        case = f"the temperatures {temperatures}"
        attempt.require(used[i] == best[i], "other", case=case, got=used[i], want=best[i])


def _temperature(attempt, scores, labels, fresh, temperatures):
    """Which temperature the answer used."""
    given = [scores.copy(), labels.copy(), fresh.copy()]
    got = attempt.array(attempt.call(*given, list(temperatures)), fresh.shape)
    attempt.require(all(map(np.array_equal, given, (scores, labels, fresh))), "changes its input")
    attempt.require(np.allclose(got.sum(1), 1, atol=1e-3), "no probabilities")
    for t in temperatures:
        if close(_softmax(fresh / t), got):
            return t
    attempt.require(not any(close(_softmax(fresh * t), got) for t in temperatures), "inverse")
    case = f"the temperatures {temperatures}"
    want = "those that one of them gives"
    attempt.wrong("other", case=case, got="other probabilities", want=want)


# 10.5


@task(
    "10.5",
    "A hundred passes that agree",
    kind="find the bug",
    minutes=10,
    wants="your mended function of features, kernel, bias, rate, passes and seed that returns a "
    "mean and a deviation",
    hints=(
        "Print the deviation. If it is 0 everywhere, every pass has dropped the same. Where do the "
        "random numbers begin anew?",
        "Make one generator, before the loop. Then look at the size of what is kept: if a fifth is "
        "dropped, the sums become a fifth smaller. Dropout makes up for that.",
        "`rng = np.random.default_rng(seed)` above the loop, and inside it `features * kept / "
        "(1 - rate)`.",
    ),
    diagnoses={
        "silent": "The deviation is 0: every pass drops the same features. The first check of any "
        "measure of doubt is that two passes differ.",
        "not scaled": "The passes differ now. But what is kept has to be divided by `1 - rate`; "
        "otherwise the scores shrink, and the mean is that of another network.",
        "scaled down": "You multiply what is kept by `1 - rate`. It has to grow instead: divide.",
        "kept share": "You keep with the probability `rate`. That is the share to drop.",
        "scores": "Your deviation is that of the scores. Wanted is that of the probabilities.",
        "variance": "That is the variance. Its root is the deviation.",
        "of the mean": "You divide by the root of the number of passes. That says how well the mean "
        "is known; wanted is how far single passes lie apart.",
        "not repeatable": "The same call gave something else the second time. All chance has to "
        "come from the seed.",
        "deaf": "Two seeds gave exactly the same. The seed has to decide what is dropped.",
        "pair": "Return two arrays, the mean and the deviation, one row for each image.",
    },
    because="It ran, it averaged, it reported a deviation, and it was wrong by all of it. In Keras "
    "the same happens with `layer.training = True`; `uncertainty.mc_dropout` drops for real.",
)
def passes_that_agree(attempt: Attempt):
    cases = []
    for rate in (0.2, 0.6):
        features = attempt.rng.uniform(0.5, 2, (6, 12))
        # All of one sign in a column, so that a dropped scale shows.
        kernel = attempt.rng.uniform(0.05, 0.25, (12, 3)) * [1, -1, 0.2]
        cases.append((features, kernel, np.array([-1.5, 1.0, 0.0]), rate))
    got = [_pass(attempt, *case) for case in cases]

    def fits(results):
        """Within what chance explains, and narrow enough to tell a deviation from another."""
        return all(
            np.abs(pair[0] - mean).max() < 0.05
            and (np.abs(pair[1] - far) < 0.15 * far + 0.01).all()
            for pair, (mean, far) in zip(got, results, strict=True)
        )

    want = [_dropped(*case) for case in cases]
    if fits(want):
        return
    attempt.require(max(deviation.max() for _, deviation in got) > 1e-6, "silent")
    ways = {
        "not scaled": lambda f, k, b, r: _dropped(f, k, b, r, scale=1),
        "scaled down": lambda f, k, b, r: _dropped(f, k, b, r, scale=1 - r),
        "kept share": lambda f, k, b, r: _dropped(f, k, b, 1 - r),
        "kept share ": lambda f, k, b, r: _dropped(f, k, b, 1 - r, scale=1 / (1 - r)),
        "kept share  ": lambda f, k, b, r: _dropped(f, k, b, 1 - r, scale=1),
        "scores": lambda f, k, b, r: _dropped(f, k, b, r, of_scores=True),
    }
    for key, way in ways.items():
        attempt.require(not fits([way(*case) for case in cases]), key.strip())
    squared = [(mean, deviation**2) for mean, deviation in want]
    of_mean = [(mean, deviation / _PASSES**0.5) for mean, deviation in want]
    attempt.require(not fits(of_mean), "of the mean")
    attempt.require(not fits(squared), "variance")
    far = [np.abs(pair[0] - mean).max() for pair, (mean, _) in zip(got, want, strict=True)]
    i = int(np.argmax(far))
    first, right = ((mean[0], deviation[0]) for mean, deviation in (got[i], want[i]))
    case = f"a rate of {cases[i][3]} and the first image"
    attempt.wrong("other", case=case, got=first, want=right)


_PASSES = 600


def _pass(attempt, *case):
    """What the answer gives, as two arrays."""
    shape = (len(case[0]), case[1].shape[1])

    def once(seed):
        given = [part.copy() for part in case[:3]]
        found = attempt.call(*given, case[3], _PASSES, seed)
        attempt.require(all(map(np.array_equal, given, case[:3])), "changes its input")
        attempt.require(isinstance(found, tuple | list) and len(found) == 2, "pair")
        return [attempt.array(part, shape).astype(float) for part in found]

    one, again, other = once(0), once(0), once(1)
    attempt.require(all(map(np.allclose, one, again)), "not repeatable")
    moves = one[1].max() > 1e-6
    attempt.require(not moves or not all(map(np.array_equal, one, other)), "deaf")
    return one


def _dropped(features, kernel, bias, rate, scale=None, of_scores=False):
    """Mean and deviation over many passes."""
    rng = np.random.default_rng(99)
    kept = rng.random((3000, *features.shape)) >= rate
    scores = features * kept * (1 / (1 - rate) if scale is None else scale) @ kernel + bias
    answers = _softmax(scores)
    return answers.mean(0), (scores if of_scores else answers).std(0)


# 10.6


@task(
    "10.6",
    "Does the map know the image?",
    kind="experiment",
    minutes=12,
    wants="a function of images, labels, maps, hide and accuracy that returns two losses of accuracy",
    hints=(
        "Three accuracies are enough: of the images as they are, with their own maps hidden, and "
        "with the maps of others hidden.",
        "No image may get its own map in the third. `np.roll(maps, 1, axis=0)` hands each one on.",
        "`whole = accuracy(images, labels)`; then `whole - accuracy(hide(images, maps), labels)`, "
        "and the same with the rolled maps.",
    ),
    diagnoses={
        "no control": "You hid what the own map marks and nothing else. By itself a loss says "
        "little: what would another map have cost?",
        "least": "Your control hides what the map marks least, such as the corners. Every map wins "
        "against corners that has noticed where things stand.",
        "lot": "The maps of your control belong to no image. A real map of another image knows "
        "where things usually stand; that is what yours has to beat.",
        "own map": "In your control {count} images still got their own map. Draw so that nobody "
        "does, or hand the maps on by one.",
        "labels lost": "Images were scored with the labels of others.",
        "accuracies": "These are accuracies. Wanted is what is lost by hiding.",
        "sign": "The sizes are right, the signs are not: a loss counts as positive.",
        "swapped": "First the loss by the own map, then the one by another's.",
        "pair": "Return two numbers.",
    },
    because="If another image's map costs as much, the map tells where things stand in this data "
    "set, and nothing about this image.",
)
def map_knows(attempt: Attempt):
    for count in (24, 30):
        _map_knows(attempt, count)


def _map_knows(attempt, count):
    rng = attempt.rng
    labels = rng.integers(3, size=count)
    images, maps = rng.uniform(0, 1, (count, 6, 9)), rng.uniform(0, 1, (count, 6, 9))
    for i, label in enumerate(labels):  # A bright square in the third that is the class's.
        row, column = rng.integers(4), 3 * label + rng.integers(2)
        images[i, row : row + 3, column : column + 2] += 4
        maps[i, row : row + 3, column : column + 2] += 2
    images[:3] = images[:3, :, ::-1]  # Some are wrong to begin with.
    scored, hidden = [], []

    def correct(some, truth):
        thirds = some.reshape(len(some), 6, 3, 3).sum((1, 3))
        return (thirds.argmax(1) == truth) & (thirds.max(1) > 0)

    def hide(some, where):
        some, where = np.array(some, float), np.asarray(where, float)
        if some.shape != where.shape:
            raise ValueError(f"images {some.shape} and maps {where.shape}: give a map for each")
        who = _which(some, images)
        if (who < 0).any():
            raise ValueError("hide takes images as they were given, and the maps second")
        flat = where.reshape(len(where), -1)
        lit = flat >= np.quantile(flat, 0.7, axis=1, keepdims=True)
        covered = np.where(lit.reshape(some.shape), 0, some)
        hidden.append((who, _which(where, maps), where, covered))
        return covered

    def accuracy(some, truth):
        some, truth = np.asarray(some, float), np.asarray(truth)
        scored.append((some, truth))
        return float(correct(some, truth).mean())

    got = attempt.call(images.copy(), labels.copy(), maps.copy(), hide, accuracy)
    attempt.require(isinstance(got, tuple | list | np.ndarray) and len(got) == 2, "pair")
    got = [attempt.number(value) for value in got]
    own = [call for call in hidden if np.array_equal(call[0], call[1])]
    controls = [call for call in hidden if not np.array_equal(call[0], call[1])]
    attempt.require(bool(controls), "no control")
    for who, whose, where, _ in controls:
        if (whose < 0).any():
            alike = [_rank_correlation(w, maps[i]) for w, i in zip(where, who, strict=True)]
            attempt.wrong("least" if max(alike) < -0.9 else "lot")
        attempt.require(not (who == whose).any(), "own map", count=int((who == whose).sum()))
    for some, truth in scored:
        who = _which(some, images)
        for found, _, _, covered in hidden:
            who = found if some.shape == covered.shape and np.array_equal(some, covered) else who
        fits = (who < 0).any() or np.array_equal(truth, labels[who])
        attempt.require(fits, "labels lost")
    whole = correct(images, labels).mean()
    by_own = _mean([correct(covered, labels[who]) for who, _, _, covered in own])
    by_other = [correct(covered, labels[who]) for who, _, _, covered in controls]
    others = [*(one.mean() for one in by_other), _mean(by_other)]
    pairs = [(whole - by_own, whole - other) for other in others]
    if any(np.allclose(got, pair) for pair in pairs):
        return
    for losses in pairs:
        attempt.require(not np.allclose(got, np.subtract(whole, losses)), "accuracies")
        attempt.require(not np.allclose(got, np.negative(losses)), "sign")
        attempt.require(not np.allclose(got, losses[::-1]), "swapped")
    attempt.wrong("other", case=f"{count} images", got=got, want=list(pairs[-1]))


def _mean(parts):
    return np.concatenate(parts).mean() if parts else float("nan")


def _which(some, known):
    """The place of each among the known ones; -1 if it is none of them."""
    if some.shape[1:] != known.shape[1:]:
        return np.full(len(some), -1)
    apart = np.abs(some[:, None] - known[None]).max((2, 3))
    return np.where(apart.min(1) < 1e-6, apart.argmin(1), -1)


def _rank_correlation(one, other):
    ranks = [np.argsort(np.argsort(np.ravel(part))) for part in (one, other)]
    return float(np.corrcoef(*ranks)[0, 1])
