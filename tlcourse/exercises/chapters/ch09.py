"""Exercises of chapter 09: one stage or two."""

import math
from types import SimpleNamespace

import numpy as np

from tlcourse.exercises import toys
from tlcourse.exercises.catalogue import task
from tlcourse.exercises.judging import Attempt, close


def _softmax(scores, axis=-1):
    scores = np.exp(scores - scores.max(axis, keepdims=True))
    return scores / scores.sum(axis, keepdims=True)


# 09.1


def _likely(scores, labels, axis=-1):
    return _softmax(scores, axis)[np.arange(len(labels)), labels]


def _start_loss(scores, labels):
    return float(-np.log(_likely(scores, labels)).mean())


@task(
    "09.1",
    "The loss before the first step",
    kind="predict",
    minutes=8,
    form="prediction",
    wants='your guess and your function, as in `check("09.1", (guess, start_loss))`',
    hints=(
        "A head of zeros gives every class a tenth, and its loss is `log(10)`, 2.3. A random head is "
        "sure of something, and mostly wrong. What does the logarithm do with that?",
        "Probabilities first: `p = np.exp(scores)`, each row divided by its sum. Then pick the "
        "probability of each image's label.",
        "`-np.log(p[np.arange(len(labels)), labels]).mean()`.",
    ),
    diagnoses={
        "all alike": "That is the logarithm of the number of classes: the loss of a head that knows "
        "nothing and is sure of nothing. This one has scores.",
        "no softmax": "That is the mean score of the labels. Make probabilities of the scores first.",
        "columns": "Your probabilities sum to 1 over the images. Over the classes of each image "
        "they have to.",
        "surest": "You take the highest probability of each image. The loss asks for that of the "
        "label.",
        "log outside": "You take the logarithm of the mean probability. The mean comes last: one "
        "image that is sure and wrong has to cost a lot.",
        "no log": "You average how much of the probability is missing, without a logarithm.",
        "sum": "That is the sum over the images. Wanted is the mean.",
        "sign": "The size is right, the sign is not: a loss is the negative logarithm.",
        "base": "The logarithm is to another base. Losses use the natural one, `np.log`.",
    },
    because="A random head does worse than one that knows nothing. A loss at log(classes) or above "
    "before the first step says that there was no stage one, whatever the text calls it.",
)
def first_loss(attempt: Attempt):
    cases = []
    for images, classes, size in ((2000, 10, 3.0), (30, 4, 1.0), (50, 3, 2.0)):
        scores = size * attempt.rng.normal(size=(images, classes))
        cases.append((scores, attempt.rng.integers(classes, size=images)))

    def p(scores, labels):
        return _likely(scores, labels)

    mistakes = {
        "all alike": lambda s, y: math.log(s.shape[1]),
        "no softmax": lambda s, y: -s[np.arange(len(y)), y].mean(),
        "no softmax ": lambda s, y: s[np.arange(len(y)), y].mean(),
        "columns": lambda s, y: -np.log(_likely(s, y, 0)).mean(),
        "surest": lambda s, y: -np.log(_softmax(s).max(1)).mean(),
        "log outside": lambda s, y: -np.log(p(s, y).mean()),
        "no log": lambda s, y: 1 - p(s, y).mean(),
        "no log ": lambda s, y: p(s, y).mean(),
        "sum": lambda s, y: len(y) * _start_loss(s, y),
        "sign": lambda s, y: -_start_loss(s, y),
        "base": lambda s, y: _start_loss(s, y) / math.log(2),
        "base ": lambda s, y: _start_loss(s, y) / math.log(10),
    }

    def name(case):
        return "{} images and {} classes".format(*case[0].shape)

    got = attempt.compare_numbers(cases, _start_loss, mistakes, name)
    attempt.measured(got[0])


# 09.2


def _sent(kernel, bias, features, labels, axis=-1):
    """The error of each image, and the gradient that reaches its features."""
    error = _softmax(features @ kernel + bias, axis) - np.eye(kernel.shape[1])[labels]
    return error, error @ kernel.T


@task(
    "09.2",
    "What a head sends back",
    kind="write",
    minutes=10,
    wants="a function of kernel, bias, features and labels that returns an array like the features",
    hints=(
        "Two factors: the error of each image, one number for each class, and the weights of the "
        "head.",
        "The error is the probabilities less 1 at the label: `p[np.arange(len(labels)), labels] "
        "-= 1` makes it of `p`.",
        "`error @ kernel.T`.",
    ),
    diagnoses={
        "uphill": "Your error is the label less the probabilities. That points uphill: the gradient "
        "of the loss is the other way round.",
        "no label": "The labels play no part. The error is the probabilities less 1 at the label.",
        "error": "That is the error, one number for each class. It still has to pass the head's "
        "weights.",
        "to the kernel": "That is the gradient for the kernel. Wanted is the one that goes on to the "
        "features, a row for each image.",
        "mean": "You divided by the number of images. Wanted is the gradient of each image's own "
        "loss.",
        "scores": "Your error takes the scores for probabilities. The softmax is missing.",
        "columns": "Your probabilities sum to 1 over the images. Over the classes of each image "
        "they have to.",
        "no bias": "You left out the bias, which changes the probabilities.",
    },
    because="Error times weights, and nothing else reaches the backbone. So a head of zeros sends "
    "exactly nothing, and a fitted one little, since its error is small.",
)
def sends_back(attempt: Attempt):
    cases = []
    for n, width, classes in ((6, 5, 3), (4, 3, 7)):
        draw = attempt.rng.normal
        labels = attempt.rng.integers(classes, size=n)
        bias = 2 * draw(size=classes)
        cases.append((draw(size=(width, classes)), bias, draw(size=(n, width)), labels))
    cases.append((np.zeros((5, 3)), np.zeros(3), *cases[0][2:]))

    def kernel_gradient(k, b, f, y, share=1):
        return f.T @ _sent(k, b, f, y)[0] / share

    def scores(k, b, f, y):
        return (f @ k + b - np.eye(k.shape[1])[y]) @ k.T

    mistakes = {
        "uphill": lambda *case: -_sent(*case)[1],
        "no label": lambda k, b, f, y: _softmax(f @ k + b) @ k.T,
        "error": lambda *case: _sent(*case)[0],
        "to the kernel": kernel_gradient,
        "to the kernel ": lambda k, b, f, y: kernel_gradient(k, b, f, y, len(y)),
        "to the kernel  ": lambda k, b, f, y: kernel_gradient(k, b, f, y).T,
        "mean": lambda k, b, f, y: _sent(k, b, f, y)[1] / len(y),
        "mean ": lambda k, b, f, y: _sent(k, b, f, y)[1].mean(0),
        "scores": scores,
        "columns": lambda *case: _sent(*case, axis=0)[1],
        "no bias": lambda k, b, f, y: _sent(k, 0 * b, f, y)[1],
    }
    got = [attempt.array(attempt.call_on_copies(*case)) for case in cases]
    want = [_sent(*case)[1] for case in cases]
    if all(map(close, got, want)):
        return
    for key, mistake in mistakes.items():
        made = [mistake(*case) for case in cases]
        attempt.require(not all(map(close, got, made)), key.strip())
    for one, other in zip(got, want, strict=True):
        attempt.require(one.shape == other.shape, "wrong shape", want=other.shape, got=one.shape)
    first = next(i for i in range(3) if not close(got[i], want[i]))
    case = "the first image and a kernel of {} by {}".format(*cases[first][0].shape)
    attempt.wrong("other", case=case, got=got[first][0], want=want[first][0])


# 09.3


def _plan(blocks, stages, epochs):
    return [blocks[len(blocks) - n :] for n, count in zip(stages, epochs, strict=True)
            for _ in range(count)]  # fmt: skip


@task(
    "09.3",
    "Open from the output",
    kind="write",
    minutes=8,
    wants="a function of blocks, stages and epochs that returns a list of lists",
    hints=(
        "The result has as many entries as there are epochs in all. Go through `zip(stages, "
        "epochs)`.",
        "What is `blocks[-0:]`? Count from the other end: `blocks[len(blocks) - n:]`.",
        "`[blocks[len(blocks) - n:] for n, count in zip(stages, epochs) for _ in range(count)]`.",
    ),
    diagnoses={
        "input end": "You open from the input. The last blocks come first: what they know is least "
        "general.",
        "alone": "What an earlier stage opened is frozen again. It has to go on training with what "
        "comes new.",
        "zero": "A stage of 0 blocks trains the head alone. Yours opens everything: `blocks[-0:]` "
        "is the whole list.",
        "each stage": "There is one entry for each stage. Wanted is one for each epoch.",
        "at once": "Everything that is ever opened is open from the first epoch.",
        "never": "The first stage lasts to the end. This is how it fails in silence: the loss goes "
        "on falling.",
        "boundary": "The stages change one epoch too {when}.",
        "one more": "You open one more block with each stage, whatever `stages` says.",
        "epochs": "{want} epochs were asked for; your list has {got}.",
        "not names": "Each entry has to be a list of blocks that you were given, each once; one is "
        "{got}.",
    },
    because="Print the plan before you train, and count what is trainable at every stage: it costs "
    "nothing, and the usual loop opens the first stage only.",
)
def from_the_output(attempt: Attempt):
    letters = [f"block{i}" for i in range(1, 8)]
    cases = [
        (letters[:5], [1, 3], [2, 3]),
        (letters, [0, 2, 5, 7], [1, 2, 1, 3]),
        (letters[:4], [0, 4], [3, 2]),
    ]

    def shifted(blocks, stages, epochs, by):
        plan = _plan(blocks, stages, epochs)
        return plan[:1] + plan[:-1] if by > 0 else plan[1:] + plan[-1:]

    def alone(blocks, stages, epochs):
        before = [0, *stages[:-1]]
        parts = [
            blocks[len(blocks) - n : len(blocks) - was]
            for n, was in zip(stages, before, strict=True)
        ]
        return [part for part, count in zip(parts, epochs, strict=True) for _ in range(count)]

    def with_stages(change):
        return lambda blocks, stages, epochs: _plan(blocks, change(stages), epochs)

    mistakes = {
        "zero": lambda b, s, e: [b[-n:] for n, c in zip(s, e, strict=True) for _ in range(c)],
        "input end": lambda b, s, e: [b[:n] for n, c in zip(s, e, strict=True) for _ in range(c)],
        "alone": alone,
        "each stage": lambda b, s, e: _plan(b, s, [1] * len(s)),
        "each stage ": lambda b, s, e: [b[-n:] for n in s],
        "at once": with_stages(lambda stages: [stages[-1]] * len(stages)),
        "never": with_stages(lambda stages: [stages[0]] * len(stages)),
        "one more": with_stages(lambda stages: range(1, len(stages) + 1)),
        "one more ": with_stages(lambda stages: range(len(stages))),
    }
    got = []
    for blocks, stages, epochs in cases:
        found = attempt.call(list(blocks), list(stages), list(epochs))
        several = isinstance(found, list | tuple | np.ndarray)
        attempt.require(several, "not names", got=found)
        for entry in found:
            names = isinstance(entry, list | tuple | set | np.ndarray)
            attempt.require(names and set(entry) <= set(blocks), "not names", got=entry)
            attempt.require(len(set(entry)) == len(entry), "not names", got=entry)
        got.append([frozenset(entry) for entry in found])

    def fits(function):
        made = [[frozenset(entry) for entry in function(*case)] for case in cases]
        return got == made

    if fits(_plan):
        return
    for key, mistake in mistakes.items():
        attempt.require(not fits(mistake), key.strip())
    for when, by in (("late", 1), ("early", -1)):
        attempt.require(not fits(lambda *case, by=by: shifted(*case, by)), "boundary", when=when)
    for (_, _, epochs), plan in zip(cases, got, strict=True):
        attempt.require(len(plan) == sum(epochs), "epochs", want=sum(epochs), got=len(plan))
    for (blocks, stages, epochs), plan in zip(cases, got, strict=True):
        for i, (one, other) in enumerate(zip(plan, _plan(blocks, stages, epochs), strict=True)):
            case = f"{len(blocks)} blocks, stages {stages}, epochs {epochs}, in epoch {i}"
            attempt.require(one == set(other), "other", case=case, got=sorted(one), want=other)


# 09.4


@task(
    "09.4",
    "The memory of stage one",
    kind="find the bug",
    minutes=8,
    wants="your mended function of make_adam, rates and gradients that returns a list for each "
    "stage",
    hints=(
        "At which rate does the second stage run? And what does Adam know when it begins?",
        "Giving the old Adam a new rate is half of it: its averages are still those of the head's "
        "gradients, which were many times as large.",
        "Make a new one for each stage: `adam = make_adam(rate)` inside the loop over "
        "`zip(rates, gradients)`.",
    ),
    diagnoses={
        "rate and memory": "The second stage runs at the rate of the first, with its memory. Its "
        "first change is {got}; {want} is right.",
        "memory": "The rate is new, and the memory is old: Adam still divides by the size of the "
        "gradients of stage one. Its first change is {got}; {want} is right.",
        "rate": "The memory is new, and the rate is that of stage one.",
        "every step": "A new Adam for each gradient forgets within a stage, too. Each stage has "
        "one.",
        "turned": "The rates are the wrong way round: the first belongs to stage one.",
        "one list": "Return a list of changes for each stage, not one list for all.",
        "second only": "Return the changes of both stages; yours has {got}.",
    },
    because="In Keras, `compile` with a new optimizer does it. `model.optimizer.learning_rate = "
    "1e-5` changes the rate and keeps the memory.",
)
def old_memory(attempt: Attempt):
    rng = attempt.rng
    cases = []
    for counts in ((4, 5), (6, 3)):
        draws = (size * rng.normal(1, 0.4, n) for size, n in zip((30, 0.2), counts, strict=True))
        stages = [draw.tolist() for draw in draws]
        cases.append(([1e-2, 1e-3], stages))

    def stages_with(fresh=True, rate=lambda rates, i: rates[i], each=False):
        def run(rates, gradients):
            found, adam = [], None
            for i, stage in enumerate(gradients):
                if adam is None or fresh:
                    adam = toys.Adam(rate(rates, i))
                adam.rate = rate(rates, i)
                if each:
                    changes = [toys.Adam(rate(rates, i)).change(g) for g in stage]
                else:
                    changes = [adam.change(g) for g in stage]
                found.append(changes)
            return found

        return run

    right = stages_with()
    ways = {
        "rate and memory": stages_with(fresh=False, rate=lambda rates, i: rates[0]),
        "memory": stages_with(fresh=False),
        "rate": stages_with(rate=lambda rates, i: rates[0]),
        "every step": stages_with(each=True),
        "turned": stages_with(rate=lambda rates, i: rates[1 - i]),
    }
    got = []
    for rates, gradients in cases:
        given = [list(stage) for stage in gradients]
        found = attempt.call(toys.Adam, list(rates), given)
        attempt.require(given == gradients, "changes its input")
        many = isinstance(found, list | tuple | np.ndarray)
        attempt.require(many and len(found) > 0, "one list")
        flat = [np.ndim(part) == 0 for part in found]
        attempt.require(not any(flat), "one list")
        attempt.require(len(found) == 2, "second only", got=len(found))
        got.append([attempt.array(part) for part in found])

    def fits(function):
        return all(
            len(one) == len(other) and np.allclose(one, other, rtol=1e-3, atol=0)
            for case, stages in zip(cases, got, strict=True)
            for one, other in zip(stages, function(*case), strict=True)
        )

    if fits(right):
        return
    want = right(*cases[0])
    for key, way in ways.items():
        if fits(way):
            attempt.wrong(key, got=got[0][1][0], want=want[1][0])
    stage = 0 if not close(got[0][0], want[0]) else 1
    attempt.wrong("other", case=f"stage {stage + 1}", got=got[0][stage], want=want[stage])


# 09.5


@task(
    "09.5",
    "Stopped by the test set",
    kind="find the bug",
    minutes=10,
    wants="your mended function of train_epoch, validate, test, patience and most that returns a "
    "model and its test accuracy",
    hints=(
        "Which images decide when to stop and which model to keep? Those must not give the number "
        "in the report.",
        "Put `validate` in the loop, and call `test` after it, once, with the model that was kept.",
        "Let `now = validate(model)`, leave the rest of the loop, and `return kept, test(kept)`.",
    ),
    diagnoses={
        "test stops": "`test` saw {count} models. The best of several looks is too good, and "
        "nobody can stop by images that do not exist yet.",
        "validation": "The accuracy that you report is the one on the validation images, which "
        "chose the model.",
        "never tested": "`test` was never called. The validation accuracy chose the model, so it is too "
        "good to be reported.",
        "last": "You return the model of the last epoch, {patience} epochs after the best one.",
        "not chosen": "The accuracy that you report is that of another model.",
        "too long": "You trained for {got} epochs. After {want} of them, the validation accuracy "
        "had not risen above its best for {patience} epochs.",
        "too short": "You trained for {got} epochs; {want} are right. Patience counts epochs in a "
        "row, and starts anew with each new best.",
        "equal": "An epoch that is only as good as the best is no new best, and ends no waiting.",
        "too many": "You trained for {got} epochs; {most} are the most that were allowed.",
        "pair": "Return two things: the model and its test accuracy.",
    },
    because="The test set answers one question, once. Keras stops by whatever it finds in "
    "`validation_data`, so look at what was put there.",
)
def by_the_test_set(attempt: Attempt):
    _stopping(attempt, patience=3, most=10)
    _stopping(attempt, patience=2, most=3)
    _stopping(attempt, patience=5, most=10)


_VALIDATED = [0.60, 0.70, 0.68, 0.74, 0.74, 0.73, 0.72, 0.71, 0.90, 0.91]
_TESTED = [0.55, 0.66, 0.75, 0.69, 0.70, 0.65, 0.76, 0.67, 0.88, 0.87]


def _stop(patience, most, equal=False):
    """How many epochs are trained, and which one is kept."""
    best, kept, waited = -1.0, 0, 0
    for epoch, now in enumerate(_VALIDATED[:most]):
        better = now >= best if equal else now > best
        best, kept, waited = (now, epoch, 0) if better else (best, kept, waited + 1)
        if waited == patience:
            break
    return epoch + 1, kept


def _stopping(attempt, patience, most):
    jitter = attempt.rng.uniform(0, 1e-3)
    models, opened = [], []

    def train_epoch():
        if len(models) >= len(_VALIDATED):
            attempt.wrong("too many", got=len(models) + 1, most=most)
        models.append(SimpleNamespace(epoch=len(models)))
        return models[-1]

    def validate(model):
        return _VALIDATED[model.epoch] + jitter

    def test(model):
        opened.append(model.epoch)
        return _TESTED[model.epoch] + jitter

    got = attempt.call(train_epoch, validate, test, patience, most)
    attempt.require(isinstance(got, tuple | list) and len(got) == 2, "pair")
    attempt.require(any(got[0] is model for model in models), "pair")
    kept, accuracy = got[0].epoch, attempt.number(got[1])
    several = len(set(opened))
    attempt.require(several < 2, "test stops", count=several)
    trained, best = _stop(patience, most)
    if (len(models), kept) != (trained, best):
        facts = {"got": len(models), "want": trained, "patience": patience, "most": most}
        attempt.require((len(models), kept) != _stop(patience, most, equal=True), "equal")
        attempt.require(len(models) <= most, "too many", **facts)
        attempt.require(len(models) <= trained, "too long", **facts)
        attempt.require(len(models) >= trained, "too short", **facts)
        attempt.require(kept != trained - 1, "last", **facts)
        case = f"a patience of {patience}"
        attempt.wrong("other", case=case, got=f"the model of epoch {kept}", want=f"that of {best}")
    attempt.require(several == 1, "never tested")
    attempt.require(not np.isclose(accuracy, _VALIDATED[best] + jitter), "validation")
    right = opened[0] == best and np.isclose(accuracy, _TESTED[best] + jitter)
    attempt.require(right, "not chosen")


# 09.6


def _done(took, seconds):
    """How many passes were completed in time."""
    return int(np.sum(np.cumsum(took) <= seconds))


def _after(way, scores, passes):
    return scores[passes - 1]


def _in_time(scores, took, seconds, chance):
    done = _done(took, seconds)
    return scores[done - 1] if done else chance


def _leads(run, seeds, passes, seconds, chance, after=_after, in_time=_in_time):
    """Two-stage minus single-stage at equal passes and at equal seconds, over seeds."""
    rows = []
    for seed in seeds:
        ends = []
        for way in ("two-stage", "single"):
            scores, took = run(way, seed)
            ends.append((after(way, scores, passes), in_time(scores, took, seconds, chance)))
        rows.append(np.subtract(*ends))
    return np.mean(rows, axis=0)


@task(
    "09.6",
    "Equal passes, equal seconds",
    kind="experiment",
    minutes=15,
    wants="a function of run, seeds, passes, seconds and chance that returns two leads",
    hints=(
        "After `passes` passes is entry `passes - 1`. For the time, add up the seconds: "
        "`np.cumsum(took)`.",
        "A way has completed `done = np.sum(np.cumsum(took) <= seconds)` passes in time. What does "
        "`accuracies[done - 1]` give if that is 0?",
        "For each seed and way: `accuracies[passes - 1]`, and `accuracies[done - 1] if done else "
        "chance`. Subtract single from two-stage, and average over the seeds.",
    ),
    diagnoses={
        "off by one": "You read one entry too far: the first entry is the accuracy after one pass.",
        "head not counted": "You gave two-stage one pass more, as if its head were free. Its first "
        "entry is the head, and counts as a pass.",
        "best": "You take the best accuracy on the way. These are test images, so that is stopping "
        "by the test set.",
        "not added": "You compare the seconds of single passes with the budget. They add up.",
        "nothing done": "A way that completed no pass in time got the accuracy of one of its "
        "passes: place -1 of a list is its last entry. It stands at chance.",
        "unfinished": "A pass that was not completed in time counts in yours.",
        "same passes": "Your second lead compares equal passes again. In the same seconds the ways "
        "complete different numbers of them.",
        "seeds": "Not every way ran with every seed. Luck then decides.",
        "sign": "The sizes are right, the signs are not: a lead is two-stage less single.",
        "order": "First the lead at equal passes, then the one at equal seconds.",
        "points": "The numbers are right as points; the accuracies are fractions of 1, and so are "
        "leads.",
        "pair": "Return two numbers.",
    },
    because="Equal passes and equal seconds are two questions, and a table that does not say which "
    "of them was asked answers neither.",
)
def equal_budget(attempt: Attempt):
    cases = [
        (_training(attempt.rng, seeds), seeds, passes, seconds, 0.1)
        for seeds, passes, seconds in (([3, 5], 4, 12.0), ([0, 1, 2], 2, 3.0), ([7, 8], 3, 19.7))
    ]
    got = []
    for run, seeds, *budget in cases:
        used = set()

        def watched(way, seed, run=run, used=used):
            scores, took = run(way, seed)
            used.add((way, seed))
            return list(scores), list(took)

        found = attempt.call(watched, list(seeds), *budget)
        attempt.require(isinstance(found, tuple | list | np.ndarray) and len(found) == 2, "pair")
        got.append([attempt.number(part) for part in found])
        attempt.require(len(used) == 2 * len(seeds), "seeds")

    def fits(change=lambda leads: leads, **ways):
        made = [change(np.array(_leads(*case, **ways))) for case in cases]
        return np.allclose(got, made, rtol=0, atol=1e-6)

    if fits():
        return
    attempt.require(not fits(np.negative), "sign")
    attempt.require(not fits(lambda leads: leads[::-1]), "order")
    attempt.require(not fits(lambda leads: 100 * leads), "points")
    passes_read = {
        "": _after,
        "off by one": lambda way, scores, passes: scores[passes],
        "head not counted": lambda way, scores, passes: scores[passes - (way == "single")],
        "best": lambda way, scores, passes: max(scores[:passes]),
    }
    time_read = {
        "": _in_time,
        "nothing done": lambda scores, took, s, chance: scores[_done(took, s) - 1],
        "nothing done ": lambda scores, took, s, chance: scores[max(_done(took, s) - 1, 0)],
        "not added": lambda scores, took, s, chance: _in_time(
            scores, np.diff(took, prepend=0), s, chance
        ),
        "unfinished": lambda scores, took, s, chance: scores[min(_done(took, s), len(scores) - 1)],
        "best": lambda scores, took, s, chance: max([chance, *scores[: _done(took, s)]]),
    }
    for passes_key, after in passes_read.items():
        for time_key, in_time in time_read.items():
            for change in (np.positive, np.negative, lambda leads: 100 * leads):
                if fits(change, after=after, in_time=in_time):
                    attempt.wrong((passes_key or time_key).strip())
    same = [_leads(*case)[0] for case in cases]
    attempt.require(not np.allclose(got, np.transpose([same, same])), "same passes")
    case = next(i for i in range(3) if not np.allclose(got[i], _leads(*cases[i])))
    _, seeds, passes, seconds, _ = cases[case]
    name = f"seeds {seeds}, {passes} passes and {seconds:g} seconds"
    want = [float(lead) for lead in _leads(*cases[case])]
    attempt.wrong("other", case=name, got=got[case], want=want)


def _training(rng, seeds):
    """What `run` gives: accuracies after each pass, with dips, and the seconds of each pass."""
    ends = {"two-stage": (0.80, 0.02), "single": (0.30, 0.12)}
    made = {}
    for way, (start, rise) in ends.items():
        for seed in seeds:
            scores = start + rise * np.arange(7) + rng.uniform(-0.01, 0.01, 7)
            scores[[1, 3]] -= [0.03, 0.2]
            took = rng.uniform(3.2, 3.6, 7)
            took[0] = rng.uniform(0.5, 0.9) if way == "two-stage" else took[0]
            made[way, seed] = [float(s) for s in scores], [float(t) for t in took]

    def run(way, seed):
        if (way, seed) not in made:
            raise ValueError(f'{way!r} and seed {seed}: take "single", "two-stage" and your seeds')
        return made[way, seed]

    return run
