"""Exercises of chapter 07: preprocessing."""

import numpy as np

from tlcourse.exercises.catalogue import task
from tlcourse.exercises.judging import Attempt, close

# 07.1


def _own(images):
    return (images - 127.0) / 128.0


def _twice(images):
    return (images / 255.0 - 127.0) / 128.0


@task(
    "07.1",
    "Divided once too often",
    kind="predict",
    minutes=6,
    form="prediction",
    wants='your guess and your function, as in `check("07.1", (guess, times_weaker))`',
    hints=(
        "Contrast is how far the values spread, so take a standard deviation, not a mean.",
        "Prepare the images both ways and take `.std()` of each.",
        "Return the right one divided by the wrong one: `right(images).std() / "
        "wrong(images).std()`.",
    ),
    diagnoses={
        "upside down": "That is the wrong contrast as a share of the right one. Divide the other "
        "way round.",
        "variance": "That is a ratio of variances. Contrast is the standard deviation, its root.",
        "means": "That compares means: how bright. Contrast is how far the values spread.",
        "difference": "That is a difference. How many times is a ratio.",
    },
    because="A network whose own layer subtracts 127 and divides by 128 sees nearly the same grey "
    "everywhere once you have divided by 255. Nothing raises, and the accuracy merely suffers.",
)
def once_too_often(attempt: Attempt):
    images = np.round(attempt.rng.uniform(0, 255, (3, 4, 4, 3))).astype("float32")
    cases = [(images, _own, _twice), (images[:1], _own, lambda x: 0.1 * x + 3.0)]
    cases.append((images[1:], lambda x: 2 * x, _own))

    def ratio(images, right, wrong):
        return right(images).std() / wrong(images).std()

    mistakes = {
        "upside down": lambda images, right, wrong: 1 / ratio(images, right, wrong),
        "variance": lambda images, right, wrong: ratio(images, right, wrong) ** 2,
        "means": lambda images, right, wrong: right(images).mean() / wrong(images).mean(),
        "means ": lambda images, right, wrong: wrong(images).mean() / right(images).mean(),
        "difference": lambda images, right, wrong: right(images).std() - wrong(images).std(),
    }
    got = attempt.compare(cases, ratio, mistakes, _roughly)
    attempt.measured(float(got[0]), "times")


def _roughly(one, other):
    try:
        return bool(np.allclose(np.asarray(one, float), np.asarray(other, float), rtol=1e-2))
    except (TypeError, ValueError):
        return False


# 07.2

BGR_MEANS = np.array([103.939, 116.779, 123.68], "float32")


def _caffe(images):
    return np.asarray(images, "float32")[..., ::-1] - BGR_MEANS


@task(
    "07.2",
    "What VGG and ResNet50 want",
    kind="write",
    minutes=8,
    wants="a function of images that returns prepared images",
    hints=(
        "Three steps: to float32, the channels turned round, the means subtracted.",
        "`images[..., ::-1]` turns the last axis round.",
        '`images.astype("float32")[..., ::-1] - np.array([103.939, 116.779, 123.68], "float32")`.',
    ),
    diagnoses={
        "not turned": "The channels are still in the order red, green, blue.",
        "means turned": "You subtracted the means in the order red, green, blue, and the channels "
        "were already turned round.",
        "other axis": "You turned the images over, not the channels. The channels are the last "
        "axis.",
        "wraps": "Whole numbers of 8 bits cannot be negative: 10 - 20 becomes 246. Go to float32 "
        "first.",
        "scaled": "You also divided. These networks want differences of grey levels, not of "
        "shares.",
        "means left out": "The means were not subtracted.",
        "type": "Your result has the type {got}; float32 is wanted.",
    },
    because="These weights were trained in Caffe, which read BGR. Skipping the turn runs, raises "
    "nothing and costs accuracy. And yours works on a copy, which Keras' own function does not.",
)
def caffe(attempt: Attempt):
    images = attempt.rng.integers(0, 256, (2, 3, 4, 3)).astype("uint8")
    cases = [(images,), (images.astype("float32"),)]

    def wraps(images):
        if images.dtype.kind == "u":
            return images[..., ::-1] - BGR_MEANS.astype("uint8")
        return _caffe(images)

    def plain(images):
        return np.asarray(images, "float32")

    mistakes = {
        "means turned": lambda x: plain(x)[..., ::-1] - BGR_MEANS[::-1],
        "not turned": lambda x: plain(x) - BGR_MEANS[::-1],
        "not turned ": lambda x: plain(x) - BGR_MEANS,
        "other axis": lambda x: plain(x)[:, ::-1] - BGR_MEANS,
        "other axis ": lambda x: plain(x)[::-1] - BGR_MEANS,
        "other axis  ": lambda x: plain(x)[:, :, ::-1] - BGR_MEANS,
        "other axis   ": lambda x: plain(x)[:, :, ::-1] - BGR_MEANS[::-1],
        "means left out": lambda x: plain(x)[..., ::-1],
        "scaled": lambda x: _caffe(x) / 255,
        "scaled ": lambda x: plain(x)[..., ::-1] / 255 - BGR_MEANS / 255,
        "scaled  ": lambda x: plain(x)[..., ::-1] / 255 - BGR_MEANS,
        "wraps": wraps,
    }

    def same(one, other):
        try:
            return bool(np.allclose(np.asarray(one, float), np.asarray(other, float), atol=0.01))
        except (TypeError, ValueError):
            return False

    def wrapped(value):  # A result of 8 bits, or one that never goes below zero, has wrapped.
        value = np.asarray(value)
        return value.dtype == np.uint8 or (value.dtype.kind in "iuf" and value.min() >= 0)

    first = attempt.array(attempt.call(images.copy()), images.shape)
    if wrapped(first) and not any(same(first, mistakes[k](images)) for k in ("means left out",)):
        attempt.wrong("wraps")
    for got in attempt.compare(cases, _caffe, mistakes, same):
        attempt.require(np.asarray(got).dtype == np.float32, "type", got=str(np.asarray(got).dtype))


# 07.3


@task(
    "07.3",
    "Grey levels that wrap",
    kind="find the bug",
    minutes=8,
    wants="your mended function of images",
    hints=(
        "Call it with `np.array([0, 127, 255], dtype=np.uint8)`.",
        "A pixel of 8 bits runs from 0 to 255. What is 0 - 127 there?",
        '`(images.astype("float32") - 127) / 128`: to float32 before the subtraction.',
    ),
    diagnoses={
        "wraps": "A pixel of 0 becomes {got} where -0.992 is right: 0 - 127 wrapped round to 129. "
        "Change the type before you subtract.",
        "too late": "You change the type after the subtraction. By then the numbers have wrapped.",
        "small": "A signed number of 8 bits ends at 127, so bright pixels wrap. Go to float32.",
        "clipped": "Dark pixels all became 0. Negative values are right here.",
        "whole": "The fractions are gone. Do not divide whole numbers by `//`, and do not round.",
        "range": "That is another range. This network wants (x - 127) / 128.",
    },
    because="An array of 8-bit pixels is what `load_img` and most data sets hand out. Arithmetic on it "
    "wraps without a word.",
)
def wraps(attempt: Attempt):
    shades = np.arange(256, dtype="uint8").reshape(1, 16, 16, 1)
    cases = [(shades,), (np.repeat(shades[:, ::-1], 3, axis=-1),), (shades.astype("float32"),)]

    def right(images):
        return (images.astype("float32") - 127) / 128

    def on_bytes(change):
        return lambda images: change(images) if images.dtype == np.uint8 else right(images)

    mistakes = {
        "wraps": on_bytes(lambda x: (x - np.uint8(127)) / 128),
        "small": on_bytes(lambda x: (x.astype("int8") - 127.0) / 128),
        "small ": on_bytes(lambda x: (x.astype("int8") - np.int8(127)) / 128),
        "clipped": lambda x: np.clip(right(x), 0, None),
        "whole": lambda x: (x.astype("int32") - 127) // 128,
        "whole ": lambda x: np.round(right(x)),
        "range": lambda x: x.astype("float32") / 255,
        "range ": lambda x: x.astype("float32") / 127.5 - 1,
    }
    first = attempt.array(attempt.call(shades.copy()))
    if first.shape == shades.shape and close(first, mistakes["wraps"](shades)):
        late = first.dtype == np.float32
        attempt.wrong("too late" if late else "wraps", got=float(first.reshape(-1)[0]))
    attempt.compare(cases, right, mistakes)


# 07.4


@task(
    "07.4",
    "Brightness that changes nothing",
    kind="find the bug",
    minutes=10,
    wants="your mended function of images and rng",
    hints=(
        "The images run from 0 to 255. How much is 0.1 there?",
        "Draw from -25.5 to 25.5, one number for each image, with a shape that adds to all of its "
        "pixels: `(len(images), 1, 1, 1)`.",
        'Then `np.clip(images.astype("float32") + shift, 0, 255)`.',
    ),
    diagnoses={
        "nothing": "The largest change is {got} of 255 grey levels. Nobody sees that: 0.1 is "
        "meant as a share of the range.",
        "too strong": "Images change by up to {got} grey levels; a tenth of 255 was asked for.",
        "one for all": "All images of a batch get the same shift. Draw one for each.",
        "noise": "The shift differs from pixel to pixel: that is noise. One number for each image.",
        "range": "Your result runs from {low} to {high}. Keep it between 0 and 255, as a camera "
        "does.",
        "scale": "Your result is on another scale than the images that came in.",
        "one way": "Images only ever become {way}. Draw shifts of both signs.",
        "wraps": "Bright pixels came out dark: the sum wrapped at 256. Go to float32 first.",
        "colour": "The channels of an image are shifted differently, which changes its colour. One "
        "number for each image.",
    },
    because="An augmentation that does nothing looks just like one that does not help. Look at a "
    "picture of what the network gets.",
)
def brighter(attempt: Attempt):
    count = 200
    flat = np.full((count, 3, 4, 3), 128, "uint8")
    before = flat.copy()
    got = attempt.array(attempt.call(flat, np.random.default_rng(0)), flat.shape).astype(float)
    attempt.require(np.array_equal(flat, before), "changes its input")
    attempt.require(got.max() > 2, "scale")
    change = got - 128
    largest = float(np.abs(change).max())
    attempt.require(largest > 5, "nothing", got=largest)
    if not np.allclose(change, change[:1], atol=1e-3):
        if not np.allclose(change, change[:, :1, :1], atol=1e-3):
            attempt.wrong("noise")
        attempt.require(np.allclose(change, change[..., :1], atol=1e-3), "colour")
    else:
        alike = np.allclose(change, change.reshape(-1)[0], atol=1e-3)
        attempt.wrong("one for all" if alike else "noise")
    attempt.require(largest <= 26, "too strong", got=largest)
    shifts = change[:, 0, 0, 0]
    for way, share in (("brighter", (shifts > 0).mean()), ("darker", (shifts < 0).mean())):
        attempt.require(share < 0.9, "one way", way=way)
    attempt.require(largest > 20, "nothing", got=largest)
    edges = np.zeros((count, 2, 2, 3), "uint8")
    edges[:, 0] = 255
    out = attempt.array(attempt.call(edges, np.random.default_rng(1)), edges.shape).astype(float)
    attempt.require(out[:, 0].min() > 200 and out[:, 1].max() < 60, "wraps")
    low, high = float(out.min()), float(out.max())
    attempt.require(low >= -1e-3 and high <= 255.001, "range", low=low, high=high)


# 07.5


@task(
    "07.5",
    "The same image, prepared by two programs",
    kind="experiment",
    minutes=12,
    wants="a function of images, train_resize, serve_resize and predict that returns percent",
    hints=(
        "You need two predictions for each image: one on what the training program makes of it, "
        "one on what the serving program does.",
        "Compare the named classes, `predict(...).argmax(axis=1)`, image by image.",
        "`100 * np.mean(one.argmax(1) != other.argmax(1))`.",
    ),
    diagnoses={
        "agree": "That is how many stay the same. Wanted are those that change.",
        "fraction": "The numbers are right as fractions of 1; wanted are percent.",
        "probabilities": "You compare probabilities, which always differ a little. What counts is "
        "the class that is named.",
        "counts": "You compare how often each class is named in all. Two images that swap their "
        "classes cancel; compare image by image.",
        "one program": "Both predictions come from the same resizing.",
        "pixels": "You compare pixels. They differ nearly everywhere; what matters is what the "
        "network makes of them.",
        "number": "That is a number of images. Wanted are percent.",
    },
    because="No label is needed to find train/serve skew: a class that changes with the resizing is "
    "wrong for at least one of the two.",
)
def skew(attempt: Attempt):
    cases = []
    for count, classes in ((40, 4), (25, 3)):
        images = attempt.rng.integers(0, 256, (count, 8, 8, 3)).astype("uint8")
        weights = attempt.rng.normal(size=(16 * 3, classes)) / 40
        cases.append((images, _nearest, _means, _classifier(weights)))

    def percent(images, train, serve, predict):
        return 100 * np.mean(predict(train(images)).argmax(1) != predict(serve(images)).argmax(1))

    def counts(images, train, serve, predict):
        one, other = (predict(f(images)) for f in (train, serve))
        tally = [np.bincount(p.argmax(1), minlength=p.shape[1]) for p in (one, other)]
        return 50 * np.abs(tally[0] - tally[1]).sum() / len(images)

    def probabilities(images, train, serve, predict):
        return 100 * np.mean(np.abs(predict(train(images)) - predict(serve(images))))

    def moved(images, train, serve, predict):
        one, other = predict(train(images)), predict(serve(images))
        return 100 * np.mean(np.any(~np.isclose(one, other), axis=1))

    mistakes = {
        "fraction": lambda *case: percent(*case) / 100,
        "number": lambda *case: percent(*case) / 100 * len(case[0]),
        "agree": lambda *case: 100 - percent(*case),
        "counts": counts,
        "counts ": lambda *case: 2 * counts(*case),
        "probabilities": probabilities,
        "probabilities ": moved,
        "probabilities  ": lambda *case: probabilities(*case) / 100,
        "one program": lambda *case: 0.0,
        "pixels": lambda x, train, serve, predict: 100 * np.mean(train(x) != serve(x)),
        "pixels ": lambda x, train, serve, predict: np.mean(np.abs(train(x) - serve(x))),
    }
    attempt.compare(cases, percent, mistakes)


def _nearest(images):
    return np.asarray(images)[:, ::2, ::2].astype("float32")


def _means(images):
    return np.asarray(images, "float32").reshape(len(images), 4, 2, 4, 2, 3).mean((2, 4))


def _classifier(weights):
    def predict(images):
        scores = (images.reshape(len(images), -1) - 127) @ weights
        scores = np.exp(scores - scores.max(1, keepdims=True))
        return scores / scores.sum(1, keepdims=True)

    return predict
