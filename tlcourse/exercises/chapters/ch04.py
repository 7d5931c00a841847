"""Exercises of chapter 04: catastrophic forgetting."""

import math
from collections.abc import Mapping

import numpy as np

from tlcourse.exercises.catalogue import task
from tlcourse.exercises.judging import Attempt, close, kind_of

# 04.1


def _shortened(steps, rate, gradient, strength, fisher, pull=None, tail=None, extra=0):
    """Percent by which a penalty shortens the way of a weight that starts at its anchor."""
    pull = pull or (lambda w: strength * fisher * w)
    far = 0.0
    for _ in range(steps + extra):
        far -= rate * (gradient + pull(far))
        if tail:
            far -= rate * tail(far)
    return 100 * (1 - far / (-steps * rate * gradient))


@task(
    "04.1",
    "A penalty at its own start",
    kind="predict",
    minutes=8,
    form="prediction",
    wants='your guess and your function, as in `check("04.1", (guess, shortened))`',
    hints=(
        "Differentiate the penalty. With `far` for the distance w - w*, its gradient is "
        "`strength * fisher * far`. How large is it where training starts?",
        "Write the loop: `far = 0.0`, and in each step `far -= rate * (gradient + strength * fisher "
        "* far)`. Without the penalty the way is `-steps * rate * gradient`.",
        "Return `100 * (1 - far / (-steps * rate * gradient))`.",
    ),
    diagnoses={
        "from the start": "Your penalty takes the same share of every step. It grows with the "
        "distance, and at the start there is none.",
        "moved first": "You let the weight move and then pull at the place it has reached. Both "
        "gradients of a step are taken where the step begins.",
        "value": "You step along the value of the penalty. Training follows its gradient.",
        "derivative": "Your pull is off by a factor of 2: the derivative of λ/2 · F · far² is "
        "λ · F · far.",
        "no fisher": "The Fisher information has no part in your pull. Without it this is L2-SP.",
        "pushes": "Your penalty pushes the weight away: the way is longer with it than without.",
        "sign": "Mind the signs: both ways lead against the gradient. Without the penalty it is "
        "`-steps * rate * gradient`.",
        "left": "That is the share of the way that is left. Wanted is the share that is saved.",
        "fraction": "The numbers are right as fractions of 1; wanted are percent.",
        "one step": "You make one step too many.",
    },
    because="At its own anchor a penalty has a value of 0 and a gradient of 0, whatever its "
    "strength: it brakes only what has moved already. So a gradient of 0 says nothing before "
    "training, and after training it says that the penalty is not connected.",
)
def own_start(attempt: Attempt):
    cases = [(1, 0.01, 2.0, 100.0, 0.5), (10, 0.01, 2.0, 100.0, 0.5), (3, 0.1, -0.5, 10.0, 0.2)]
    cases += [(1, 0.1, -0.5, 5.0, 0.3), (30, 0.002, 0.7, 40.0, 2.0)]

    def pulled(by, **more):
        def found(n, rate, gradient, strength, fisher):
            return _shortened(
                n, rate, gradient, strength, fisher, lambda w: by(strength, fisher, w), **more
            )

        return found

    def always(n, rate, gradient, strength, fisher):
        return 100 * min(1.0, rate * strength * fisher)

    def afterwards(n, rate, gradient, strength, fisher):
        return _shortened(
            n, rate, gradient, strength, fisher, lambda w: 0.0, lambda w: strength * fisher * w
        )

    mistakes = {
        "fraction": lambda *case: _shortened(*case) / 100,
        "sign": lambda *case: 200 - _shortened(*case),
        "sign ": lambda *case: -_shortened(*case),
        "left": lambda *case: 100 - _shortened(*case),
        "from the start": always,
        "from the start ": lambda n, r, g, s, f: 100 * r * s * f,
        "from the start  ": lambda n, r, g, s, f: 100 * (1 - 1 / (1 + s * f)),
        "from the start   ": lambda n, r, g, s, f: 100 * (1 - 1 / (1 + r * s * f)),
        "moved first": afterwards,
        "value": pulled(lambda s, f, w: s / 2 * f * w**2),
        "value ": pulled(lambda s, f, w: s * f * w**2),
        "derivative": pulled(lambda s, f, w: s / 2 * f * w),
        "derivative ": pulled(lambda s, f, w: 2 * s * f * w),
        "no fisher": pulled(lambda s, f, w: s * w),
        "pushes": pulled(lambda s, f, w: -s * f * w),
        "one step": lambda *case: _shortened(*case, extra=1),
    }
    got = attempt.compare_numbers(cases, _shortened, mistakes,
        lambda case: "steps = {}, rate = {:g}, gradient = {:g}, strength = {:g}, fisher = {:g}"
        .format(*case),
    )  # fmt: skip
    attempt.measured(round(got[0], 6) + 0.0, "%")


# 04.2


def _held(weights, gradient, fisher, strength, rate, steps, pull=None):
    """Train with EWC; `pull` gets the weights, their starts and those of the step before."""
    pull = pull or (lambda w, start, last, f: f * (w - start))
    starts = lasts = now = {name: value.copy() for name, value in weights.items()}
    for _ in range(steps):
        slope = gradient(now)
        after = {
            name: value
            - rate * (slope[name] + strength * pull(value, starts[name], lasts[name], fisher[name]))
            for name, value in now.items()
        }
        lasts, now = now, after
    return now


@task(
    "04.2",
    "An anchor that walks along",
    kind="find the bug",
    minutes=8,
    wants="your mended function of weights, gradient, fisher, strength, rate and steps that "
    "returns a dict of arrays",
    hints=(
        "Train with a strength of 0 and with a large one, and compare. Then print `anchor` after "
        "training.",
        "`dict(weights)` is a new dict, but its arrays are the old ones, and `-=` changes an array "
        "in place.",
        "`anchor = {name: value.copy() for name, value in weights.items()}`, before the loop.",
    ),
    diagnoses={
        "no pull": "With a strength of {strength} and with none, the weights end at the same place: "
        "your anchor is where the weights are, so the distance to it is always 0.",
        "last step": "Your anchor is where the weights were one step ago. It has to stay where they "
        "were before training.",
        "decay": "You pull towards 0. That is weight decay; EWC pulls towards the weights that came "
        "in.",
        "pushes": "Your penalty pushes the weights away from where they were.",
        "no fisher": "All weights are pulled alike. The Fisher information says which ones matter.",
        "factor": "Your pull is off by a factor of 2. The gradient of λ/2 · F · (w - w*)² is "
        "λ · F · (w - w*).",
        "one array": "`{name}` is held and `{other}` is not. Every array needs an anchor of its own.",
    },
    because="An anchor that is no copy holds nothing. Nothing raises, and the loss falls as it should. "
    "Compare a strength of 0 with a very large one before you believe any penalty.",
)
def walks_along(attempt: Attempt):
    rng = attempt.rng
    cases = []
    for strength, rate, steps in ((20.0, 0.05, 12), (3.0, 0.1, 5)):
        weights = {"kernel": rng.normal(size=(3, 2)), "bias": rng.normal(size=2)}
        goal = {name: value + rng.normal(2, 1, value.shape) for name, value in weights.items()}
        fisher = {name: rng.uniform(0.1, 0.6, value.shape) for name, value in weights.items()}
        cases.append((weights, _slope_to(goal), fisher, strength, rate, steps))
    got = [_trained(attempt, case) for case in cases]
    wanted = [_held(*case) for case in cases]
    if close(got, wanted):
        return

    def partly(held):
        def pull(case):
            both = _held(*case), _held(*case, pull=lambda w, *_: 0 * w)
            return {name: both[0 if name == held else 1][name] for name in case[0]}

        return pull

    pulls = {
        "no pull": lambda w, start, last, f: 0 * w,
        "last step": lambda w, start, last, f: f * (w - last),
        "decay": lambda w, start, last, f: f * w,
        "decay ": lambda w, start, last, f: w,
        "pushes": lambda w, start, last, f: f * (start - w),
        "no fisher": lambda w, start, last, f: w - start,
        "factor": lambda w, start, last, f: f * (w - start) / 2,
        "factor ": lambda w, start, last, f: 2 * f * (w - start),
    }
    for key, pull in pulls.items():
        if close(got, [_held(*case, pull=pull) for case in cases]):
            attempt.wrong(key.strip(), strength=cases[0][3])
    for held, other in (("kernel", "bias"), ("bias", "kernel")):
        if close(got, [partly(held)(case) for case in cases]):
            attempt.wrong("one array", name=held, other=other)
    first = 0 if not close(got[0], wanted[0]) else 1
    attempt.wrong(
        "other", case=f"the bias after {cases[first][5]} steps at a strength of "
        f"{cases[first][3]:g}", got=got[first]["bias"], want=wanted[first]["bias"],
    )  # fmt: skip


def _slope_to(goal):
    return lambda weights: {name: np.asarray(weights[name]) - goal[name] for name in goal}


def _trained(attempt, case):
    weights, gradient, fisher, *numbers = case
    given = {name: value.copy() for name, value in weights.items()}
    factors = {name: value.copy() for name, value in fisher.items()}
    with np.errstate(all="ignore"):
        found = attempt.call(given, gradient, factors, *numbers)
    if not (isinstance(found, Mapping) and set(found) == set(weights)):
        names = " and ".join(weights)
        attempt.wrong("unreadable", error=f"it is {kind_of(found)}, not a dict of {names}")
    # Named `weights`' way, for the dict of an answer may have another order.
    return {name: attempt.array(found[name], weights[name].shape) for name in weights}


# 04.3


def _over_tasks(said, labels, of_task):
    return sum(of_task(np.asarray(said[name]), np.asarray(labels[name])) for name in said)


def _picked(probabilities, classes):
    return -np.log(probabilities[np.arange(len(classes)), classes])


def _of_labelled(probabilities, classes):
    there = classes != -1
    return _picked(probabilities[there], classes[there]).mean() if there.any() else 0.0


@task(
    "04.3",
    "Labels that are missing",
    kind="find the bug",
    minutes=8,
    wants="your mended function of said and labels that returns one number",
    hints=(
        "What does `row[-1]` give in Python?",
        "For each task find the examples that have a label, `there = labels[name] != -1`, and take "
        "the mean over them. And if there are none?",
        "`picked = said[name][there, labels[name][there]]`, and then add `-np.log(picked).mean()`, "
        "but only `if there.any()`.",
    ),
    diagnoses={
        "last class": "A label of -1 takes part: as an index it means the last class, so examples "
        "without a label are taught that class.",
        "class zero": "Examples without a label are taught class 0. They are to have no part in the "
        "loss.",
        "divided by all": "You divide by all examples, labelled or not. A task with few labels then "
        "counts little, without a word.",
        "one pool": "You take one mean over the labels of all tasks, so the task with the most "
        "labels drowns the others. Each task has a mean of its own.",
        "complete only": "You use only examples that are labelled for every task. In pooled data "
        "there may be none.",
        "nan": "A task that has no label in this batch makes the whole loss nan. It is to add 0.",
        "mean of tasks": "You take the mean over the tasks; their sum is wanted.",
        "sum": "You add up the examples. Take a mean for each task, or the strength of a task "
        "depends on the size of the batch.",
    },
    because="Each task's loss is the mean over its own labels, whatever the batch holds. "
    "`multitask.targets` does it with sample weights.",
)
def missing(attempt: Attempt):
    def batch(*columns):
        said, labels = {}, {}
        for name, column in zip(("animals", "digits"), columns, strict=True):
            scores = np.exp(attempt.rng.normal(size=(len(column), 4)))
            said[name] = scores / scores.sum(axis=1, keepdims=True)
            labels[name] = np.array(column)
        return said, labels

    no = -1
    cases = [
        batch([0, 2, 1, 2, 2, no, no, no], [no, no, no, no, no, 1, 0, 2]),
        batch([1, 0, 2, 1, 0, 2], [no, 1, no, no, no, 2]),
        batch([2, no, 1, no], [no, no, no, no]),
    ]

    def right(said, labels):
        return _over_tasks(said, labels, _of_labelled)

    def per_task(of_labelled):
        """A loss whose labelled examples go through another function, and that copes with none."""

        def loss(said, labels):
            return _over_tasks(
                said, labels, lambda p, y: of_labelled(p, y) if (y != -1).any() else 0.0
            )

        return loss

    def nan_without(loss):
        def found(said, labels):
            empty = any((labels[name] == -1).all() for name in labels)
            return math.nan if empty else loss(said, labels)

        return found

    def over_all(p, y):
        return _picked(p[y != -1], y[y != -1]).sum() / len(y)

    def pooled(said, labels):
        counts = sum((labels[name] != -1).sum() for name in labels)
        return (
            _over_tasks(said, labels, lambda p, y: _picked(p[y != -1], y[y != -1]).sum()) / counts
        )

    def complete(said, labels):
        full = np.all([labels[name] != -1 for name in labels], axis=0)
        if not full.any():
            return math.nan
        return sum(_picked(said[name][full], labels[name][full]).mean() for name in labels)

    def complete_or_zero(said, labels):
        return np.nan_to_num(complete(said, labels))

    def summed(p, y):
        return _picked(p[y != -1], y[y != -1]).sum()

    def last(p, y):
        return _picked(p, y).mean()

    def zero(p, y):
        return _picked(p, np.maximum(y, 0)).mean()

    mistakes = {
        "last class": lambda said, labels: _over_tasks(said, labels, last),
        "last class ": per_task(last),
        "last class  ": lambda said, labels: _over_tasks(said, labels, last) / len(said),
        "class zero": lambda said, labels: _over_tasks(said, labels, zero),
        "class zero ": per_task(zero),
        "divided by all": per_task(over_all),
        "one pool": pooled,
        "complete only": complete,
        "complete only ": complete_or_zero,
        "mean of tasks": lambda *case: right(*case) / 2,
        "mean of tasks ": nan_without(lambda *case: right(*case) / 2),
        "mean of tasks  ": lambda said, labels: (
            right(said, labels) / sum((labels[name] != -1).any() for name in labels)
        ),
        "nan": nan_without(right),
        "sum": per_task(summed),
    }

    def name(case):
        _, labels = case
        have = ", ".join(f"{(y != -1).sum()} of {task}" for task, y in labels.items())
        return f"a batch of {len(labels['digits'])} images with labels for {have}"

    with np.errstate(all="ignore"):
        attempt.compare_numbers(cases, right, mistakes, name)


# 04.4


def _log_softmax(scores):
    scores = scores - scores.max(axis=-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


def _distil(student, teacher, temperature, soft_student=None, soft_teacher=None):
    """KL of the softened answers, an array `(N,)`, without the factor."""
    told = _log_softmax(teacher / (soft_teacher or temperature))
    said = _log_softmax(student / (soft_student or temperature))
    return (np.exp(told) * (told - said)).sum(axis=-1)


@task(
    "04.4",
    "Soft answers",
    kind="write",
    minutes=10,
    wants="a function of student, teacher and temperature that returns one number",
    hints=(
        "Three steps: soften both, `softmax(logits / temperature)`; take the divergence of each "
        "row; multiply the mean over the rows by the square of the temperature.",
        "For a softmax that survives large logits, subtract the largest of each row first: "
        "`logits - logits.max(axis=1, keepdims=True)`.",
        "With the softened probabilities p of the teacher and q of the student: `temperature**2 * "
        "(p * (np.log(p) - np.log(q))).sum(axis=1).mean()`.",
    ),
    diagnoses={
        "no factor": "The factor T² is missing. Without it, a higher temperature makes the gradient "
        "smaller, and the loss counts less.",
        "one factor": "You multiply by T. The gradient shrinks with its square.",
        "student sharp": "Only the teacher is softened. The student is then asked to be as soft at "
        "a temperature of 1, and its own answers are drawn flat.",
        "teacher sharp": "Only the student is softened. The teacher's small probabilities, which "
        "say what resembles what, stay small.",
        "multiplied": "You multiply logits by the temperature: that sharpens. Softening divides.",
        "after": "You divide probabilities by the temperature and leave it at that. The temperature "
        "belongs to the logits, before the softmax.",
        "reversed": "That is KL(student ‖ teacher). The teacher's probabilities are the weights of "
        "the sum.",
        "cross-entropy": "That is the cross-entropy, which is not 0 where the student says what "
        "the teacher says. Subtract the teacher's entropy.",
        "hard": "You ask for the teacher's first choice only. What it says of the other classes is "
        "why one distils.",
        "sum": "You add up the examples; their mean is wanted.",
        "mean of classes": "You take the mean over the classes, too. A divergence is a sum over "
        "classes and a mean over examples.",
        "overflow": "With logits near 1,000 your loss is {got}: `exp` overflows. Subtract the "
        "largest logit of each row first; the softmax stays the same.",
        "mixed rows": "Your softmax runs over the examples. It belongs along the classes, the last "
        "axis.",
    },
    because="That is the loss of learning without forgetting, where the teacher is the model itself "
    "before training. With T² in it, T can change without changing how much the loss weighs.",
)
def soft_answers(attempt: Attempt):
    rng = attempt.rng

    def draw(*shape):
        return rng.normal(0, 2, shape)

    same = draw(4, 3)
    cases = [(draw(5, 4), draw(5, 4), t) for t in (1.0, 2.0, 5.0)] + [(same, same.copy(), 3.0)]
    large = draw(3, 4) + 1000, draw(3, 4) + 1000, 1.0

    def right(student, teacher, t):
        return t**2 * _distil(student, teacher, t).mean()

    def entropy(student, teacher, t):
        p, q = np.exp(_log_softmax(teacher / t)), _log_softmax(student / t)
        return t**2 * -(p * q).sum(axis=1).mean()

    def after(student, teacher, t):
        p, q = (np.exp(_log_softmax(scores)) / t for scores in (teacher, student))
        return t**2 * (p * (np.log(p) - np.log(q))).sum(axis=1).mean()

    def hard(student, teacher, t, factor=True):
        said = _log_softmax(student / t)
        return (t**2 if factor else 1) * -said[np.arange(len(said)), teacher.argmax(1)].mean()

    def along_rows(student, teacher, t):
        p, q = (_log_softmax(scores.T / t).T for scores in (teacher, student))
        return t**2 * (np.exp(p) * (p - q)).sum(axis=1).mean()

    mistakes = {
        "no factor": lambda s, t, T: _distil(s, t, T).mean(),
        "one factor": lambda s, t, T: T * _distil(s, t, T).mean(),
        "student sharp": lambda s, t, T: T**2 * _distil(s, t, T, soft_student=1).mean(),
        "student sharp ": lambda s, t, T: _distil(s, t, T, soft_student=1).mean(),
        "teacher sharp": lambda s, t, T: T**2 * _distil(s, t, T, soft_teacher=1).mean(),
        "teacher sharp ": lambda s, t, T: _distil(s, t, T, soft_teacher=1).mean(),
        "multiplied": lambda s, t, T: T**2 * _distil(s, t, 1 / T).mean(),
        "multiplied ": lambda s, t, T: _distil(s, t, 1 / T).mean(),
        "after": after,
        "after ": lambda s, t, T: after(s, t, T) / T**2,
        "reversed": lambda s, t, T: right(t, s, T),
        "reversed ": lambda s, t, T: right(t, s, T) / T**2,
        "cross-entropy": entropy,
        "cross-entropy ": lambda s, t, T: entropy(s, t, T) / T**2,
        "hard": hard,
        "hard ": lambda s, t, T: hard(s, t, T, factor=False),
        "hard  ": lambda s, t, T: hard(s, t, 1.0, factor=False),
        "sum": lambda s, t, T: T**2 * _distil(s, t, T).sum(),
        "sum ": lambda s, t, T: _distil(s, t, T).sum(),
        "mean of classes": lambda s, t, T: right(s, t, T) / s.shape[1],
        "mixed rows": along_rows,
    }

    def name(case):
        return f"logits of {len(case[0])} examples at a temperature of {case[2]:g}"

    with np.errstate(all="ignore"):
        attempt.compare_numbers(cases, right, mistakes, name)
        found = attempt.number(attempt.call(*(part.copy() for part in large[:2]), large[2]))
        attempt.require(math.isfinite(found), "overflow", got=found)
        attempt.compare_numbers([large], right, mistakes, name)


# 04.5


def _softmax_model(rng, classes=4, pixels=3):
    """What softmax regression says, and the gradient of the mean log probability of labels."""
    kernel = rng.normal(size=(pixels, classes))

    def predict(x):
        x = np.asarray(x, float)
        if x.ndim != 2:
            raise ValueError(f"x has shape {x.shape}; give (images, pixels), as in x[i : i + 1]")
        return np.exp(_log_softmax(x @ kernel))

    def gradient(x, labels):
        said, labels = predict(x), np.asarray(labels)
        if labels.shape != (len(said),):
            raise ValueError(f"{len(said)} images want labels of shape ({len(said)},)")
        return np.asarray(x, float).T @ (np.eye(classes)[labels] - said) / len(said)

    return predict, gradient


def _each(x, predict, gradient):
    """The gradient for each image and each label `(N, classes, ...)`, and the probabilities."""
    said = predict(x)
    one_by_one = [
        [gradient(x[i : i + 1], np.array([label])) for label in range(said.shape[1])]
        for i in range(len(x))
    ]
    return np.array(one_by_one), said[:, :, None, None]


@task(
    "04.5",
    "Squared one by one",
    kind="find the bug",
    minutes=12,
    wants="your mended function of x, predict and gradient that returns an array",
    hints=(
        "In the mean of a batch, gradients cancel before they are squared. Call `gradient` with one "
        "image, `x[i : i + 1]`, and one label, `np.array([label])`.",
        "For each image go through all labels. Square each gradient and weigh the square by the "
        "probability that the model gives to this label.",
        "Inside two loops: `total += said[i, label] * gradient(x[i : i + 1], np.array([label])) "
        "** 2`, with `said = predict(x)`. At the end divide by `len(x)`.",
    ),
    diagnoses={
        "batch": "You square the mean gradient of several images. What cancels in the mean is lost, "
        "and how much that is depends on the size of the batch.",
        "argmax": "You take the label that the model finds most likely, once. It is most sure of "
        "that one, so the gradient is small. All labels count, by their probability.",
        "drawn": "You draw a label for each image. That is right in the mean, and the estimate is "
        "noisy; here it is to be exact: all labels, weighed.",
        "unweighted": "Every label counts alike in yours. Weigh each square by the probability that "
        "the model gives to its label.",
        "weights squared": "You weigh the gradient and then square, so the probability is squared "
        "along. Weigh the square.",
        "cancels": "Your Fisher is 0: over the model's own answers the mean gradient is always 0. "
        "Square first, then take the mean.",
        "not squared": "You take absolute values. The Fisher information is a mean of squares.",
        "sum": "You add up the images; their mean is wanted, or a strength depends on how many "
        "images there were.",
        "classes divided": "You also divide by the number of labels. Their probabilities sum to 1 "
        "already.",
    },
    because="Squared image by image, over labels as the model itself would give them: that is the "
    "Fisher information. It needs no labels, so old images are enough. Squared batches shrink with "
    "the batch, and the true labels give another quantity, which vanishes where the model fits.",
)
def one_by_one(attempt: Attempt):
    cases = []
    for count, classes in ((12, 4), (7, 3)):
        predict, gradient = _softmax_model(attempt.rng, classes)
        cases.append((attempt.rng.normal(size=(count, 3)), predict, gradient))
    asked = []

    def watch(predict, gradient):
        def watched(x, labels):
            asked.append(np.size(labels))
            return gradient(x, labels)

        return predict, watched

    got = []
    for x, predict, gradient in cases:
        given = x.copy()
        found = attempt.call(given, *watch(predict, gradient))
        attempt.require(np.array_equal(given, x), "changes its input")
        shape = gradient(x[:1], np.array([0])).shape
        got.append(attempt.array(found, shape))
    parts = [_each(*case) for case in cases]
    wanted = [(p * g**2).sum(axis=1).mean(axis=0) for g, p in parts]
    if close(got, wanted):
        return
    _named(attempt, got, {
        "cancels": [0 * w for w in wanted],
        "sum": [w * len(g) for w, (g, _) in zip(wanted, parts, strict=True)],
        "classes divided": [w / g.shape[1] for w, (g, _) in zip(wanted, parts, strict=True)],
        "unweighted": [(g**2).mean(axis=(0, 1)) for g, _ in parts],
        "unweighted ": [(g**2).sum(axis=1).mean(axis=0) for g, _ in parts],
        "weights squared": [((p * g) ** 2).sum(axis=1).mean(axis=0) for g, p in parts],
        "weights squared ": [((p * g).sum(axis=1) ** 2).mean(axis=0) for g, p in parts],
        "argmax": [_most_likely(g, p) for g, p in parts],
        "not squared": [(p * abs(g)).sum(axis=1).mean(axis=0) for g, p in parts],
    })  # fmt: skip
    attempt.require(max(asked, default=1) == 1, "batch")
    attempt.require(len(asked) != sum(len(case[0]) for case in cases), "drawn")
    attempt.wrong(
        "other", case=f"{len(cases[0][0])} images", got=got[0][0], want=wanted[0][0]
    )  # fmt: skip


def _most_likely(gradients, said):
    best = said[:, :, 0, 0].argmax(axis=1)
    return (gradients[np.arange(len(best)), best] ** 2).mean(axis=0)


def _named(attempt, got, mistakes):
    """End with the first diagnosis whose results are those of the answer."""
    for key, made in mistakes.items():
        if close(got, made):
            attempt.wrong(key.strip())


# 04.6

STRENGTHS = (1, 10, 100)
# New and old accuracy, the means over seeds, for each strength.
METHODS = {
    "L2-SP": [(0.89, 0.50), (0.853, 0.70), (0.60, 0.95)],
    "EWC": [(0.80, 0.60), (0.70, 0.80), (0.50, 0.90)],
    "LwF": [(0.90, 0.45), (0.88, 0.62), (0.875, 0.57)],
}


@task(
    "04.6",
    "A fair price",
    kind="experiment",
    minutes=12,
    wants="a function of methods, strengths, seeds, run and allowed that returns a dict, one "
    "accuracy or None for each method",
    hints=(
        'First the yardstick: the mean new accuracy of `run("naive", 0, seed)` over the seeds. '
        "Then a table of means, method by method and strength by strength.",
        "A strength is affordable if its mean new accuracy is at least that of naive minus "
        "`allowed`. Among those, which has the best mean old accuracy?",
        "`rows = [np.mean([run(method, s, seed) for seed in seeds], axis=0) for s in strengths]`, "
        "then `old = [row[1] for row in rows if row[0] >= naive - allowed]`, then `max(old, "
        "default=None)`.",
    ),
    diagnoses={
        "no baseline": "`naive` was never run with all the seeds, so nobody knows what the new task "
        "could have had.",
        "yardstick": "Your yardstick mixes both tasks. Of what `run` returns for `naive`, only the "
        "first number is the accuracy on the new task.",
        "relative": "You take `allowed` for a share of the naive accuracy. It is a difference of "
        "accuracies.",
        "strengths": "{method} was not tried at every strength. Then you compare strengths, not "
        "methods.",
        "one seed": "Not every strength of {method} was run with every seed, so luck takes part.",
        "cost ignored": "You take the best old accuracy at any price. Every penalty keeps all of the "
        "old task if it is strong enough; then it learns nothing.",
        "best seed": "Your numbers go by the luckiest seed. Compare means.",
        "per seed": "You choose another strength for each seed. Choose one, by its mean over the "
        "seeds.",
        "strongest": "You take the strongest setting that is affordable. More is not always better: "
        "look at the old accuracy.",
        "new accuracy": "That is the accuracy on the new task. What was paid is known; wanted is "
        "what it bought.",
        "strength": "Those are strengths. Wanted is the old accuracy that was reached.",
        "nothing affordable": "{method} has no strength that is affordable, so its entry has to be "
        "None; yours is {got}.",
        "methods": "One entry for each method is wanted: {want}. Yours has {got}.",
    },
    because="At one strength each, any method can win. At equal cost on the new task they can be "
    "compared, and a method that cannot be had at that price says so.",
)
def fair_price(attempt: Attempt):
    _fair_price(attempt, ["L2-SP", "EWC", "LwF"], [0, 1, 2], shift=0.0)
    _fair_price(attempt, ["LwF", "L2-SP", "EWC"], [7, 3, 9, 4], shift=-0.03)


def _fair_price(attempt, methods, seeds, shift):
    count, allowed = len(seeds), 0.05
    shift += attempt.rng.uniform(-0.02, 0.02)
    # By how much a seed lies above the mean; new and old do not share their luck.
    luck = np.linspace(-1, 1, count)
    noise = {"naive": (0.01 * luck, 0 * luck), "L2-SP": (0.08 * luck, 0.02 * luck[::-1])}
    noise |= {"EWC": (0.09 * luck, 0.03 * luck), "LwF": (0.03 * luck, 0.04 * luck[::-1])}
    runs = []

    def look(method, strength, seed):
        new, old = (0.9, 0.4) if method == "naive" else METHODS[method][STRENGTHS.index(strength)]
        place = seeds.index(seed)
        one, other = noise[method]
        return new + shift + one[place], old + shift + other[place]

    def run(method, strength, seed):
        if method != "naive" and (method not in methods or strength not in STRENGTHS):
            raise ValueError(f"{method!r} at {strength!r}: take a method and a strength you got")
        if seed not in seeds:
            raise ValueError(f"seed {seed!r}: take the seeds you were given")
        runs.append((method, strength if method != "naive" else 0, seed))
        return look(method, strength, seed)

    got = attempt.call(list(methods), list(STRENGTHS), list(seeds), run, allowed)
    done = set(runs)
    attempt.require({seed for m, _, seed in done if m == "naive"} == set(seeds), "no baseline")
    for method in methods:
        tried = [(s, seed) for m, s, seed in done if m == method]
        attempt.require({s for s, _ in tried} == set(STRENGTHS), "strengths", method=method)
        attempt.require(len(tried) == len(STRENGTHS) * count, "one seed", method=method)
    if not isinstance(got, Mapping):
        attempt.wrong("unreadable", error=f"it is {kind_of(got)}, not a dict")
    names = set(got) == set(methods)
    attempt.require(names, "methods", want=", ".join(methods), got=", ".join(map(str, got)))
    table = {
        m: np.array([[look(m, s, seed) for seed in seeds] for s in STRENGTHS]) for m in methods
    }
    naive = np.array([look("naive", 0, seed) for seed in seeds])[:, 0]
    limit = naive.mean() - allowed

    def chosen(value):
        """For each method, what `value` makes of its rows (strengths, seeds, new and old)."""
        return {method: value(table[method]) for method in methods}

    def best(rows, fold=np.mean, of=1, floor=limit):
        means = fold(rows, axis=1)
        fit = [row for row in means if row[0] >= floor]
        return max(fit, key=lambda row: row[1])[of] if fit else None

    def strongest(rows):
        fit = [row[1] for row in rows.mean(axis=1) if row[0] >= limit]
        return fit[-1] if fit else None

    def which(rows):
        means = rows.mean(axis=1)
        fit = [i for i, row in enumerate(means) if row[0] >= limit]
        return STRENGTHS[max(fit, key=lambda i: means[i, 1])] if fit else None

    def each_seed(rows, limits):
        found = []
        for place in range(count):
            fit = [row[place, 1] for row in rows if row[place, 0] >= limits[place]]
            if fit:
                found.append(max(fit))
        return np.mean(found) if found else None

    right = chosen(best)
    if close(got, right):
        return
    both = np.mean([look("naive", 0, seed) for seed in seeds])
    mistakes = {
        "yardstick": [chosen(lambda rows: best(rows, floor=both - allowed))],
        "relative": [chosen(lambda rows: best(rows, floor=naive.mean() * (1 - allowed)))],
        "cost ignored": [chosen(lambda rows: rows.mean(axis=1)[:, 1].max())],
        "best seed": [
            chosen(lambda rows: best(rows, np.max)),
            chosen(lambda rows: rows[:, :, 1].max()),
        ],
        "per seed": [
            chosen(lambda rows: each_seed(rows, naive - allowed)),
            chosen(lambda rows: each_seed(rows, np.full(count, limit))),
        ],
        "strongest": [chosen(strongest)],
        "new accuracy": [chosen(lambda rows: best(rows, of=0))],
        "strength": [chosen(which)],
    }
    for key, results in mistakes.items():
        if any(close(got, made) for made in results):
            attempt.wrong(key)
    for method in methods:
        if right[method] is None and got[method] is not None:
            attempt.wrong("nothing affordable", method=method, got=got[method])
    odd = next(m for m in methods if not close(got[m], right[m]))
    attempt.wrong("other", case=f"{odd} with seeds {seeds}", got=got[odd], want=right[odd])
