"""Exercises of chapter 06: which backbone."""

import math

import numpy as np

from tlcourse.exercises.catalogue import task
from tlcourse.exercises.judging import Attempt, close, is_number, kind_of

# 06.1


def _depthwise_share(kernel, channels_in, channels_out):
    return 100 * kernel**2 / (kernel**2 + channels_out)


@task(
    "06.1",
    "Where the work is",
    kind="predict",
    minutes=6,
    form="prediction",
    wants='your guess and your function, as in `check("06.1", (guess, depthwise_share))`',
    hints=(
        "Count what is done at one position of the map. The depthwise part has a kernel of its own "
        "for each channel, and does not look at the others.",
        "The depthwise part: `kernel**2 * channels_in`. The 1×1 part: every channel out reads every "
        "channel in, `channels_in * channels_out`.",
        "With `deep` for the first and `mix` for the second: `100 * deep / (deep + mix)`.",
    ),
    diagnoses={
        "full kernel": "You let the depthwise part read all channels. It reads only its own: that "
        "is what the name means.",
        "mixing kernel": "You give the 1×1 part the large kernel, too. It looks at one position.",
        "side": "You count the kernel by its side. A kernel of 3 × 3 has 9 numbers.",
        "channels in": "You count the 1×1 part as if it gave out as many channels as it gets. It "
        "reads `channels_in` for each of `channels_out`.",
        "of full": "You compare with the full convolution. Wanted is the share within the pair: "
        "depthwise over depthwise and 1×1 together.",
        "ratio": "You divide by the 1×1 part. A share divides by the sum of both.",
        "other part": "That is the share of the 1×1 part.",
        "fraction": "The numbers are right as fractions of 1; wanted are percent.",
    },
    because="Nearly all the work of a depthwise separable convolution is in its 1×1 part, which is "
    "why more channels cost so much. Work is not time: chapter 06 measures how long a multiply-add "
    "of such a network takes.",
)
def where_the_work_is(attempt: Attempt):
    cases = [(3, 512, 512), (5, 64, 128), (3, 16, 96), (7, 32, 8), (3, 24, 24)]
    mistakes = {
        "fraction": lambda k, i, o: k**2 / (k**2 + o),
        "other part": lambda k, i, o: 100 * o / (k**2 + o),
        "full kernel": lambda k, i, o: 100 * k**2 / (k**2 + 1),
        "full kernel ": lambda k, i, o: 100 * k**2 * i / (k**2 * i + o),
        "mixing kernel": lambda k, i, o: 100 / (1 + o),
        "side": lambda k, i, o: 100 * k / (k + o),
        "side ": lambda k, i, o: 100 * 2 * k / (2 * k + o),
        "channels in": lambda k, i, o: 100 * k**2 / (k**2 + i),
        "of full": lambda k, i, o: 100 / o,
        "of full ": lambda k, i, o: 100 * (1 / k**2 + 1 / o),
        "ratio": lambda k, i, o: 100 * k**2 / o,
    }
    got = attempt.compare_numbers(cases, _depthwise_share, mistakes,
        lambda case: "a kernel of {}, {} channels in and {} out".format(*case),
    )  # fmt: skip
    attempt.measured(got[0], "%")


# 06.2


def _field(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump
        jump *= stride
    return field


@task(
    "06.2",
    "How far one position sees",
    kind="write",
    minutes=10,
    wants="a function of a list of pairs, kernel and stride, that returns a number of pixels",
    hints=(
        "Before any layer, one position sees 1 pixel, and neighbouring positions lie 1 pixel apart. "
        "How do these two numbers change with a layer?",
        "A kernel of k adds k - 1 neighbours to the field, each as far apart as positions are before "
        "this layer. A stride multiplies how far apart they are after it.",
        "`field, apart = 1, 1`, and for each layer first `field += (kernel - 1) * apart`, then "
        "`apart *= stride`.",
    ),
    diagnoses={
        "stride ignored": "You leave the strides out. After a stride of 2, a kernel of 3 spans "
        "twice as many pixels of the image.",
        "too early": "The stride of a layer already widens its own kernel in yours. It takes "
        "effect on the layers behind it.",
        "not multiplied": "You use one stride at a time. Two strides of 2 move positions 4 pixels "
        "apart: strides multiply.",
        "wrong end": "You apply `(field - 1) * stride + kernel` from the first layer on. That "
        "recursion runs from the last layer back to the image.",
        "kernel whole": "Each layer adds its whole kernel. One of its positions is the place where "
        "you already are: it adds `kernel - 1`.",
        "sum": "You add up the kernels. Two of 3 × 3 see 5 pixels, not 6: they overlap in one.",
        "product": "You multiply the kernels. Two of 3 × 3 see 5 pixels, not 9.",
        "from zero": "Yours is one pixel short everywhere. With no layer at all, a position sees 1 "
        "pixel.",
        "jump": "That is how far apart the positions of the last map lie, in pixels.",
    },
    because="Early strides are the cheap way to a wide view. A field that is larger than the image "
    "sets no network apart, and most have one.",
)
def how_far(attempt: Attempt):
    cases = [
        ([(3, 1), (3, 1)],),
        ([(3, 2), (3, 1)],),
        ([(7, 2), (3, 2), (3, 1), (1, 1), (3, 2)],),
        ([(2, 2), (5, 1), (3, 3), (3, 1)],),
        ([(1, 1)],),
        ([(int(k), int(s)) for k, s in attempt.rng.integers((2, 1), (6, 4), (6, 2))],),
    ]

    def fold(step, start=1):
        def field(layers):
            found, jump = start, 1
            for kernel, stride in layers:
                found, jump = step(found, jump, kernel, stride), jump * stride
            return found

        return field

    def behind(layers):
        strides = [1, *(stride for _, stride in layers)]
        return 1 + sum((k - 1) * s for (k, _), s in zip(layers, strides, strict=False))

    def added(layers):
        field, apart = 1, 0
        for kernel, stride in layers:
            field += (kernel - 1) * max(1, apart)
            apart += stride
        return field

    mistakes = {
        "stride ignored": fold(lambda f, j, k, s: f + k - 1),
        "too early": fold(lambda f, j, k, s: f + (k - 1) * j * s),
        "not multiplied": fold(lambda f, j, k, s: f + (k - 1) * s),
        "not multiplied ": behind,
        "not multiplied  ": added,
        "wrong end": fold(lambda f, j, k, s: (f - 1) * s + k),
        "kernel whole": fold(lambda f, j, k, s: f + k * j),
        "sum": fold(lambda f, j, k, s: f + k, 0),
        "sum ": fold(lambda f, j, k, s: f + k),
        "product": fold(lambda f, j, k, s: f * k),
        "from zero": lambda layers: _field(layers) - 1,
        "jump": fold(lambda f, j, k, s: f * s),
    }
    attempt.compare_numbers(
        cases, _field, mistakes, lambda case: f"the layers {', '.join(map(str, case[0]))}"
    )


# 06.3


class _Machine:
    """A clock, and a network that takes time on it; nothing is waited for."""

    PATTERN = (1.0, 1.0, 6.0, 0.8, 1.0)  # one call in five is disturbed, one is lucky

    def __init__(self, seconds):
        self.seconds, self.now, self.took, self.looked = seconds, 100.0, [], 0

    def clock(self):
        self.looked += 1
        return self.now

    def forward(self, images):
        first = (40.0, 9.0, 5.0)  # compiles, allocates
        i = len(self.took)
        factor = first[i] if i < 3 else self.PATTERN[(i - 3) % 5]
        self.took.append(self.seconds * factor * len(images))
        self.now += self.took[-1]
        return np.zeros((len(images), 4))


@task(
    "06.3",
    "The call that compiles",
    kind="find the bug",
    minutes=8,
    wants="your mended function of forward, images, repeats and clock that returns milliseconds",
    hints=(
        "Print the seconds of each call by itself, from the very first on.",
        "Call `forward(images)` three times before the clock starts. Then time each call by itself "
        "and collect the times in a list.",
        "In the loop: `start = clock()`, `forward(images)`, `seconds.append(clock() - start)`. At "
        "the end `1000 * np.median(seconds) / len(images)`.",
    ),
    diagnoses={
        "first call": "The first three calls take part, and they also compile and allocate. Run them "
        "before you start to time.",
        "mean": "You take the mean, {got} ms. One call in five was disturbed by another program, "
        "and the mean pays for it; the median does not.",
        "minimum": "You take the quickest call. That is what happens on a lucky day; the median is "
        "what happens.",
        "repeats": "`forward` was called {got} times; {want} calls are to be timed, after three "
        "that are not.",
        "seconds": "Those are seconds; milliseconds are wanted.",
        "batch": "That is the time of a whole batch. Divide by the number of images in it.",
        "total": "That is the time of all calls together.",
        "own clock": "You did not use the clock that you were given. The check cannot see any other.",
        "backwards": "Your times are negative: end minus start.",
    },
    because="Warm up, time each call, take the median: `speed.latency` does the same. Comparing two "
    "backbones, of which one was called before, measures who was called before.",
)
def compiles(attempt: Attempt):
    for seconds, batch, repeats in ((0.02, 1, 5), (0.003, 8, 15)):
        _compiles(attempt, seconds, batch, repeats)


def _compiles(attempt, seconds, batch, repeats):
    machine = _Machine(seconds)
    images = np.zeros((batch, 2, 2, 3))
    got = attempt.number(attempt.call(machine.forward, images, repeats, machine.clock))
    attempt.require(machine.looked > 0, "own clock")
    right = 1000 * seconds
    took = 1000 * np.array(machine.took) / batch

    def near(other):
        return math.isclose(got, other, rel_tol=1e-3)

    calls = len(took)
    attempt.require(calls >= repeats, "repeats", got=calls, want=repeats)
    timed = [took[i : i + repeats] for i in range(calls - repeats + 1)]
    # Windows that hold a call which compiles, in the ways in which they may be summed up.
    cold = [w for i, w in enumerate(timed) if i < 3]
    warm = [w for i, w in enumerate(timed) if i >= 3]
    units = (1.0, batch, 1 / 1000, batch / 1000)
    few = calls < repeats + 3
    if near(right):
        attempt.require(not few, "first call")
        return
    attempt.require(not near(-right), "backwards")
    attempt.require(not near(right / 1000), "seconds")
    attempt.require(batch == 1 or not near(right * batch), "batch")
    attempt.require(not near(0.8 * right), "minimum")
    for window in cold:
        sums = (window.mean(), np.median(window), window.sum())
        attempt.require(not any(near(s * u) for s in sums for u in units), "first call")
    for window in warm:
        attempt.require(not any(near(window.mean() * u) for u in units), "mean", got=got)
        attempt.require(not any(near(window.sum() * u) for u in units), "total")
    attempt.wrong(
        "other", case=f"{repeats} calls with {batch} image{'s' * (batch > 1)}", got=got, want=right
    )


# 06.4


def _votes(similarity, labels, k, start=0):
    """Accuracy of the votes of the `k` most similar."""
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, start : start + k]
    said = [np.bincount(row).argmax() if len(row) else -1 for row in labels[nearest]]
    return float((np.array(said) == labels).mean())


def _cosines(features, diagonal=-np.inf):
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    similarity = unit @ unit.T
    if diagonal is not None:
        np.fill_diagonal(similarity, diagonal)
    return similarity


def _probe(features, labels, k):
    return _votes(_cosines(features), labels, k)


def _doubtful(features, k):
    """Whether equals, or images that look away, would decide who is among the neighbours."""
    ranked = np.sort(_cosines(features), axis=1)[:, :0:-1]
    tied = (ranked[:, :-1] - ranked[:, 1:] < 1e-6).any()
    return bool(tied or (ranked[:, k] < 0.05).any() or ranked.max() > 0.999)


def _cloud(rng, k, count=18):
    """Two classes that overlap, as features that all point to one side, of different lengths."""
    while True:
        labels = rng.permutation(np.repeat([0, 1], count // 2))
        features = rng.normal(0, 1, (count, 5)) + np.where(labels[:, None] == 1, 0.5, -0.5)
        features[:, 4] = 2 + abs(features[:, 4])
        if not _doubtful(features, k):
            return features * rng.uniform(0.3, 3, (count, 1)), labels, k


def _looking_away(rng, k):
    """The same, and one image that points to the other side; its neighbours are wrong about it."""
    while True:
        features, labels, _ = _cloud(rng, k)
        features[3] = [0.1, -0.2, 0.3, 0.1, -2.0]
        votes = np.sort(labels[np.argsort(-_cosines(features)[3])[: k + 1]])
        if len(set(votes)) == 1 and votes[0] != labels[3]:
            return features, labels, k


def _with_copies(rng, k):
    """The same, and images that are stored several times."""
    while True:
        features, labels, _ = _cloud(rng, k)
        # With one vote, two copies of an image would be equally near to it.
        places = np.split(rng.permutation(len(labels))[: 4 if k == 1 else 5], [2])
        for axis, copies in enumerate(places):
            features[copies] = 4.0 * np.eye(5)[axis]
            # Under two labels, which one has itself for a neighbour shows; under one, who has none.
            labels[copies] = np.arange(2) if axis == 0 else rng.integers(2)
        similarity = _cosines(features)
        both = similarity, np.where(similarity > 0.9999, -np.inf, similarity)
        ranked = [np.sort(one, axis=1)[:, ::-1] for one in both]
        if all((one[:, k - 1] - one[:, k] > 1e-6).all() for one in ranked):
            return features, labels, k


def _with_itself(features, labels, k):
    return _votes(_cosines(features, None), labels, k)


def _first_dropped(features, labels, k):
    return _votes(_cosines(features, None), labels, k, 1)


def _last_first(features, labels, k):
    """The first is dropped, and of equals the later one comes first."""
    return _first_dropped(features[::-1], labels[::-1], k)


def _zero_diagonal(features, labels, k):
    return _votes(_cosines(features, 0.0), labels, k)


def _no_copies(features, labels, k):
    similarity = _cosines(features)
    return _votes(np.where(similarity > 0.9999, -np.inf, similarity), labels, k)


def _raw(features, labels, k):
    similarity = features @ features.T
    np.fill_diagonal(similarity, -np.inf)
    return _votes(similarity, labels, k)


def _distances(features, labels, k):
    apart = -np.linalg.norm(features[:, None] - features[None], axis=2)
    np.fill_diagonal(apart, -np.inf)
    return _votes(apart, labels, k)


def _halves(features, labels, k):
    half = len(features) // 2
    nearest = np.argsort(-_cosines(features)[half:, :half], axis=1)[:, :k]
    said = np.array([np.bincount(row).argmax() for row in labels[:half][nearest]])
    return float((said == labels[half:]).mean())


_PROBES = {
    "itself": _with_itself,
    "itself ": lambda f, y, k: _with_itself(f, y, k + 1),
    "count": lambda f, y, k: _votes(_cosines(f), y, k + 1),
    "count ": lambda f, y, k: _votes(_cosines(f), y, max(1, k - 1)),
    "count  ": lambda f, y, k: _votes(_cosines(f), y, k - 1),
    "far": lambda f, y, k: _votes(-_cosines(f, np.inf), y, k),
    "length": _raw,
    "length ": _distances,
    "errors": lambda *case: 1 - _probe(*case),
    "percent": lambda *case: 100 * _probe(*case),
    "halves": _halves,
}


def _telling(draw, mistakes):
    """Draw cases until they tell these mistakes from what is right, and from one another."""
    while True:
        cases = draw()
        found = {"": [_probe(*case) for case in cases]}
        for key, mistake in mistakes.items():
            made = [mistake(*case) for case in cases]
            if any(close(made, other) for k, other in found.items() if k.strip() != key.strip()):
                break
            found[key] = made
        else:
            return cases


@task(
    "06.4",
    "Its own neighbour",
    kind="find the bug",
    minutes=10,
    wants="your mended function of features, labels and k that returns a share from 0 to 1",
    hints=(
        "Call it with k = 1 and with any labels you like.",
        "Every image is most similar to itself. Take it out of its own row before you sort. It need "
        "not come first: an image may be stored twice.",
        "`similarity = unit @ unit.T`, then `np.fill_diagonal(similarity, -np.inf)`, then sort as "
        "before.",
    ),
    diagnoses={
        "itself": "Each image still votes for itself. With k = 1 that is right always, whatever the "
        "features.",
        "first dropped": "You drop the first of the sorted neighbours. Where an image is stored "
        "twice, that is the other copy, and the image itself stays and votes.",
        "copies": "You leave out every image that looks the same. A copy that is stored under another "
        "number is another image, and votes.",
        "zero diagonal": "You set an image's similarity to itself to 0. An image that looks away from "
        "all others has only negative ones, and 0 is the largest.",
        "count": "The number of neighbours that vote is off by one. With the image itself out of its "
        "row, `k` of the others vote.",
        "far": "The least similar images vote in yours.",
        "length": "Your similarity depends on how long the features are. Divide each row by its "
        "length first, as before.",
        "errors": "That is the share of errors.",
        "percent": "The numbers are right as percent; a share from 0 to 1 is wanted.",
        "halves": "You ask only some of the images. Leave out each in turn, and all the others stay.",
    },
    because="Scored on what it has stored, the nearest neighbour is right about random features, too. "
    "Shuffle the labels: a score that does not fall says nothing about them.",
)
def own_neighbour(attempt: Attempt):
    rng = attempt.rng

    def name(case):
        return f"{len(case[0])} images and k = {case[2]}"

    plain = _telling(lambda: [_cloud(rng, k) for k in (1, 3, 5, 3)], _PROBES)
    attempt.compare_numbers(plain, _probe, _PROBES, name)
    mistakes = {"zero diagonal": _zero_diagonal}
    away = _telling(lambda: [_looking_away(rng, k) for k in (1, 3)], mistakes)
    attempt.compare_numbers(away, _probe, mistakes, name)
    mistakes = {
        "copies": _no_copies,
        "first dropped": _first_dropped,
        "first dropped ": _last_first,
    }
    copies = _telling(lambda: [_with_copies(rng, k) for k in (1, 3, 5)], mistakes)
    got = [attempt.number(attempt.call(f.copy(), y.copy(), k)) for f, y, k in copies]
    attempt.require(not close(got, [_no_copies(*case) for case in copies]), "copies")
    # Which of two equals comes first depends on how one sorts, so there is no other way to tell.
    attempt.require(close(got, [_probe(*case) for case in copies]), "first dropped")


# 06.5


def _leep(said, labels, mend=True, given=None):
    hot = np.eye(labels.max() + 1)[labels]
    joint = hot.T @ said / len(said)
    ever = joint.sum(axis=0)
    conditional = joint / np.where(ever > 0, ever, 1.0 if mend else np.nan)
    if given is not None:
        conditional = given(joint)
    return (said * conditional[labels]).sum(axis=1)


@task(
    "06.5",
    "Read off the answers",
    kind="write",
    minutes=12,
    wants="a function of said and labels that returns one number",
    hints=(
        "First a table with a row for each target class and a column for each source class: add up "
        "the rows of `said` whose images have this label.",
        "Divide each column of the table by its sum: that is the probability of a target class, given "
        "a source class. A column that sums to 0 stays 0.",
        "With `given` for that table: `own = (said * given[labels]).sum(axis=1)`, and then "
        "`np.log(own).mean()`.",
    ),
    diagnoses={
        "nan": "A source class that the classifier never names makes your score nan: its column "
        "sums to 0. Leave such a column at 0.",
        "joint": "You did not divide by how often each source class is said. Then a class that is "
        "named often counts for more than it tells.",
        "wrong way": "You divide each row by its sum: source class, given the target class. It is "
        "the other way round: how probable is a label, given what was said?",
        "hard": "You use only the source class that is named first. The rest of the answer says "
        "what resembles what, and LEEP reads it.",
        "log of mean": "You take the logarithm of the mean. It is the mean of logarithms, one for each "
        "image.",
        "no logarithm": "The logarithm is missing.",
        "sign": "The size is right; the score is a log probability, so it is at most 0.",
        "sum": "You add up the images; their mean is wanted, or more images mean a lower score.",
        "any label": "You take the probabilities of all labels together, and they sum to 1 for any "
        "features. Take that of each image's own label.",
        "bits": "That is the logarithm to base 2. LEEP takes the natural one.",
    },
    because="LEEP costs one pass of the source classifier and no training. It sees what the classifier "
    "says, not the features: good features with unlike classes get a low score.",
)
def read_off(attempt: Attempt):
    rng = attempt.rng

    def draw(count, sources, targets, silent=None):
        scores = np.exp(1.5 * rng.normal(size=(count, sources)))
        if silent is not None:
            scores[:, silent] = 0
        labels = rng.permutation(np.arange(count) % targets)
        return scores / scores.sum(axis=1, keepdims=True), labels

    cases = [draw(12, 5, 3), draw(9, 4, 2), draw(10, 5, 3, silent=2)]

    def right(said, labels):
        return np.log(_leep(said, labels)).mean()

    def named_first(said):
        return np.eye(said.shape[1])[said.argmax(axis=1)]

    def hard_table(said, labels):
        hot = np.eye(labels.max() + 1)[labels]
        joint = hot.T @ named_first(said)
        ever = joint.sum(axis=0)
        return joint / np.where(ever > 0, ever, 1.0)

    def row_sums(joint):
        return joint / joint.sum(axis=1, keepdims=True)

    mistakes = {
        "nan": lambda p, y: np.log(_leep(p, y, mend=False)).mean(),
        "joint": lambda p, y: np.log(_leep(p, y, given=lambda joint: joint)).mean(),
        "joint ": lambda p, y: np.log(_leep(p, y, given=lambda j: j * len(p))).mean(),
        "wrong way": lambda p, y: np.log(_leep(p, y, given=row_sums)).mean(),
        "hard": lambda p, y: np.log((named_first(p) * hard_table(p, y)[y]).sum(axis=1)).mean(),
        "hard ": lambda p, y: np.log(_leep(named_first(p), y)).mean(),
        "hard  ": lambda p, y: np.log((p * hard_table(p, y)[y]).sum(axis=1)).mean(),
        "hard   ": lambda p, y: np.log((named_first(p) * _conditional(p, y)[y]).sum(axis=1)).mean(),
        "log of mean": lambda p, y: np.log(_leep(p, y).mean()),
        "no logarithm": lambda p, y: _leep(p, y).mean(),
        "sign": lambda *case: -right(*case),
        "sum": lambda p, y: np.log(_leep(p, y)).sum(),
        "any label": lambda p, y: 0.0,
        "any label ": lambda p, y: np.log(p @ _conditional(p, y).T).mean(),
        "bits": lambda p, y: np.log2(_leep(p, y)).mean(),
    }

    def name(case):
        said, labels = case
        return f"{len(said)} images, {said.shape[1]} source and {labels.max() + 1} target classes"

    with np.errstate(all="ignore"):
        attempt.compare_numbers(cases, right, mistakes, name)


def _conditional(said, labels):
    joint = np.eye(labels.max() + 1)[labels].T @ said
    ever = joint.sum(axis=0)
    return joint / np.where(ever > 0, ever, 1.0)


# 06.6


@task(
    "06.6",
    "The cheapest of the best",
    kind="experiment",
    minutes=12,
    wants="a function of names, published, seeds, milliseconds, validate and budget that returns a "
    "name",
    hints=(
        "Strike out what does not fit into the budget, as measured. Then a table: one row of "
        "validation accuracies for each name, seed by seed.",
        "The best is the row with the highest mean. For every other row look at the differences to "
        "the best, seed by seed: their mean, and their standard error.",
        "`apart = np.subtract(table[best], table[name])`; the name stays if `apart.mean() <= 2 * "
        "apart.std(ddof=1) / np.sqrt(len(seeds))`. Of the best and those that stay, return "
        "`min(..., key=milliseconds)`.",
    ),
    diagnoses={
        "published": "You never validated anything, so you choose by other people's accuracies on "
        "ImageNet. Those are no measurement of your task.",
        "not timed": "You never asked for milliseconds, so you cannot know what fits.",
        "over budget": "`{got}` takes {ms} ms; the budget is {budget}.",
        "one seed": "Not every name in the budget was validated with every seed, so luck takes part.",
        "best seed": "`{got}` has one lucky seed. Compare means.",
        "noise ignored": "`{got}` has the highest mean, and `{want}`, which is cheaper, is within the "
        "noise of it. Nobody can tell the two apart, so take the cheaper one.",
        "unpaired": "`{got}` is clearly worse than the best once you compare seed by seed: the luck "
        "that both share then cancels.",
        "cheapest": "`{got}` is the cheapest, and clearly worse than the best in the budget.",
        "not cheapest": "`{got}` is within the noise of the best, and so is `{want}`, which is "
        "cheaper still.",
        "not a name": "Return a name, one of {names}; yours is {got}.",
    },
    because="Budget first, measured; then your own images, paired; then, among those that you cannot "
    "tell apart, the cheapest. A highest mean alone is often the highest luck.",
)
def cheapest_of_the_best(attempt: Attempt):
    # Milliseconds, mean accuracy, how much its own noise varies, and what is published.
    _cheapest(attempt, [0, 1, 2, 3, 4], 45, "medium", {
        "tiny": (5, 0.40, 0.01, 0.66), "lucky": (8, 0.48, None, 0.83),
        "small": (12, 0.59, 0.004, 0.71), "medium": (20, 0.617, 0.01, 0.75),
        "large": (30, 0.62, 0.008, 0.77), "slow": (60, 0.70, 0.01, 0.81),
    })  # fmt: skip
    _cheapest(attempt, [8, 3, 5, 1, 9, 4], 100, "third", {
        "first": (90, 0.700, 0.006, 0.70), "second": (70, 0.698, 0.012, 0.79),
        "third": (25, 0.696, 0.014, 0.72), "fourth": (10, 0.60, 0.006, 0.74),
    })  # fmt: skip
    _cheapest(attempt, [2, 7, 6, 0, 1], 50, "north", {
        "north": (40, 0.66, 0.005, 0.71), "south": (35, 0.64, 0.003, 0.76),
        "west": (50.5, 0.71, 0.01, 0.74),
    })  # fmt: skip


def _noise(rng, count, size):
    """Numbers of mean 0 and of exactly this standard deviation."""
    drawn = rng.normal(size=count)
    drawn -= drawn.mean()
    return size * drawn / drawn.std(ddof=1)


def _table(rng, facts, count):
    """Accuracies, name by name and seed by seed. What a seed brings, it brings to all names."""
    luck = _noise(rng, count, 0.05)
    table = {}
    for name, (_, mean, size, _) in facts.items():
        own = 0.21 * (np.eye(count)[luck.argmax()] - 1 / count) if size is None else None
        table[name] = mean + luck + (_noise(rng, count, size) if own is None else own)
    return table


def _within(table, best, name):
    apart = table[best] - table[name]
    return apart.mean() <= 2 * apart.std(ddof=1) / math.sqrt(len(apart))


def _cheapest(attempt, seeds, budget, want, facts):
    names = list(facts)
    fits = [name for name in names if facts[name][0] <= budget]
    while True:  # Until the noise of two names, drawn apart, leaves no doubt about the roles.
        table = _table(attempt.rng, facts, len(seeds))
        best = max(fits, key=lambda name: table[name].mean())
        equal = [name for name in fits if name == best or _within(table, best, name)]
        # What loses has to lose by a margin that no other fair test would take for noise.
        clear = all(
            _ratio(table, best, name) > 3 for name in fits if name != best and name not in equal
        )
        close_ = all(_ratio(table, best, name) < 0.95 for name in equal if name != best)
        luckiest = max(fits, key=lambda name: table[name].max())
        if "lucky" in fits and luckiest != "lucky":
            continue
        if clear and close_ and min(equal, key=lambda name: facts[name][0]) == want:
            break
    timed, seen = set(), set()

    def milliseconds(name):
        if name not in facts:
            raise ValueError(f"{name!r}: take one of {', '.join(names)}")
        timed.add(name)
        return float(facts[name][0])

    def validate(name, seed):
        if name not in facts or seed not in seeds:
            raise ValueError(f"{name!r} with seed {seed!r}: take what you were given")
        seen.add((name, seed))
        return float(table[name][seeds.index(seed)])

    published = {name: fact[3] for name, fact in facts.items()}
    got = attempt.call(list(names), published, list(seeds), milliseconds, validate, budget)
    if not (isinstance(got, str) and got in facts):
        what = got if is_number(got) else kind_of(got)
        attempt.wrong("not a name", names=", ".join(names), got=what)
    attempt.require(bool(seen), "published")
    attempt.require(bool(timed), "not timed")
    ms = facts[got][0]
    attempt.require(ms <= budget, "over budget", got=got, ms=ms, budget=budget)
    tried = all((name, seed) in seen for name in fits for seed in seeds)
    attempt.require(tried, "one seed")
    if got == want:
        return
    attempt.require(got != best, "noise ignored", got=got, want=want)
    attempt.require(got not in equal, "not cheapest", got=got, want=want)
    attempt.require(got != luckiest, "best seed", got=got)
    attempt.require(_apart(table, best, got) > 2, "unpaired", got=got)
    cheapest = min(fits, key=lambda name: facts[name][0])
    attempt.require(got != cheapest, "cheapest", got=got)
    attempt.wrong("other", case=f"a budget of {budget} ms", got=got, want=want)


def _ratio(table, best, name):
    """How many standard errors the paired difference is."""
    apart = table[best] - table[name]
    return apart.mean() / (apart.std(ddof=1) / math.sqrt(len(apart)))


def _apart(table, best, name):
    """The same, as if the seeds of the two had nothing in common."""
    rows = table[best], table[name]
    error = math.hypot(*(row.std(ddof=1) for row in rows)) / math.sqrt(len(rows[0]))
    return (rows[0].mean() - rows[1].mean()) / error
