"""A head on a frozen backbone: the base inside the training loop, against features kept once."""

import shutil
import time
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

from benchmarks import tutorial
from benchmarks.measuring import AT_LEAST, AT_MOST, FASTER, SHARE, Goal, Row, Unequal, alternate
from tlcourse import config, data, features, training
from tlcourse.evaluation import paired_bootstrap
from tlcourse.models import Preprocess, load_backbone

BACKBONE, SIZE, BATCH = "efficientnet-lite0", 96, 32
_TOLERANCE = 1e-3
_COURSE = "features.extract from an empty cache, then fit_head"
_GUIDE = "Keras guide, the base in the training loop"
_TUTORIAL = "PyTorch tutorial, a fixed feature extractor"
_NOTES = {
    _GUIDE: "Its step is compiled and the ONNX file exported before the clocks start, both once "
    "per model.",
    _TUTORIAL: "The same network, weights, size and batch, with the tutorial's own loop and "
    "optimizer; its rate, made for batches of 4, grows with the batch. It trains in training mode, "
    "so the statistics of BatchNormalization move.",
}


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    small: int
    large: int
    test: int
    epochs: int
    rounds: int


FULL = Sizes(small=1000, large=10_000, test=1000, epochs=10, rounds=3)
SMOKE = Sizes(small=24, large=32, test=20, epochs=2, rounds=2)


def rows(sizes: Sizes) -> list[Row]:
    """A thousand images, against the guide, the tutorial and one pass alone."""
    animals = data.load("animals")
    test = animals.x_test[: sizes.test], animals.y_test[: sizes.test]
    x, y = animals.subset(sizes.small, seed=0)
    others = {_GUIDE: Guide(x, y)}
    if tutorial.available():
        others[_TUTORIAL] = tutorial.Tutorial(x, y, SIZE, BATCH)
    return _rows(x, y, *test, sizes, others)


def large_rows(sizes: Sizes) -> list[Row]:
    """Ten thousand images, against the same; the guide passes them ten times."""
    x, y, *test = _animals_and_digits(sizes)
    return _rows(x, y, *test, sizes, {_GUIDE: Guide(x, y)}, "Animals and MNIST in one task. ")


def _rows(x, y, x_test, y_test, sizes: Sizes, others: dict, about: str = "") -> list[Row]:
    course, onnx = Course(x, y), OnePass(x)
    for other in others.values():
        other.forget()
    # One epoch at a time, so that the course's runs lie between them and not after all of them.
    turns = np.linspace(0, sizes.epochs - 1, sizes.rounds).round().astype(int)
    sides, own = {"course": course, "onnx": onnx}, {"course": course.fit, "onnx": onnx.seconds}
    epochs, seconds, passes = {name: [] for name in others}, [], []
    for epoch in range(sizes.epochs):
        one = alternate({name: lambda side=side: side.fit(1) for name, side in others.items()}, 1)
        for name, found in one.items():
            epochs[name] += found
        found = alternate(own, np.count_nonzero(turns == epoch), lambda name: sides[name].forget())
        seconds += found["course"]
        passes += found["onnx"]
    rows = [
        Row(
            f"head on {len(x):,} images, {sizes.epochs} epochs",
            _COURSE,
            seconds,
            other=name,
            other_runs=[sum(epochs[name])] * len(seconds),
            ratio=FASTER,
            goal=Goal(AT_LEAST, 12) if name == _GUIDE else None,
            equal=_equal(course, other, x_test, y_test),
            note=f"{about}The other side ran its {sizes.epochs} epochs once, and the course in "
            f"between; an epoch took {min(epochs[name]):.3g} to {max(epochs[name]):.3g} s. "
            f"{_NOTES[name]}",
        )
        for name, other in others.items()
    ]
    return [*rows, _against_one_pass(course, onnx, seconds, passes)]


def _animals_and_digits(sizes: Sizes):
    """As many images as wanted from two data sets of one shape, their classes numbered on."""
    animals, digits = data.load("animals"), data.load("mnist")
    classes, least = len(animals.class_names), len(digits.class_names)
    share = min(len(animals.x_train), sizes.large - least)
    pictures, labels = zip(
        animals.subset(share, seed=0), digits.subset(sizes.large - share, seed=0), strict=True
    )
    half = sizes.test // 2
    x_test = np.concatenate([animals.x_test[:half], digits.x_test[:half]])
    y_test = np.concatenate([animals.y_test[:half], digits.y_test[:half] + classes])
    x, y = np.concatenate(pictures), np.concatenate([labels[0], labels[1] + classes])
    order = np.random.default_rng(0).permutation(len(x))
    return x[order], y[order], x_test, y_test


class Guide:
    """Keras' guide to transfer learning: a frozen base that every epoch passes again.

    Source: Chollet, Transfer learning & fine-tuning (https://keras.io/guides/transfer_learning/).
    """

    def __init__(self, x, y):
        config.set_seed(0)
        self.x, self.y = x, y
        base = load_backbone(BACKBONE, "imagenet", (SIZE, SIZE, 3))
        base.trainable = False
        inputs = keras.Input(x.shape[1:])
        z = Preprocess(BACKBONE, size=SIZE)(inputs)
        z = base(z, training=False)
        z = layers.GlobalAveragePooling2D()(z)
        z = layers.Dropout(0.2)(z)
        outputs = layers.Dense(int(y.max()) + 1, "softmax")(z)
        self.model = keras.Model(inputs, outputs)
        # Keras' own settings; on a CPU they leave XLA out.
        self.model.compile(
            keras.optimizers.Adam(), "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        self.model.optimizer.build(self.model.trainable_variables)
        changing = [*self.model.trainable_variables, *self.model.optimizer.variables]
        self._start = [(v, keras.ops.convert_to_numpy(v)) for v in changing]
        # A whole batch and one as large as the last: each shape is compiled by itself.
        self.model.fit(*(part[: BATCH + len(x) % BATCH] for part in (x, y)), verbose=0)

    def forget(self) -> None:
        """Back to before the first step."""
        for variable, value in self._start:
            variable.assign(value)

    def fit(self, epochs: int) -> None:
        self.model.fit(self.x, self.y, epochs=epochs, batch_size=BATCH, verbose=0)

    def right(self, x, y) -> np.ndarray:
        """Which of some images it gets right, 0 or 1."""
        return self.model.predict(x, verbose=0).argmax(1) == y


class Course:
    """Features once, then a convex fit."""

    def __init__(self, x, y):
        self.x, self.y = x, y
        features.extract(x[:1], BACKBONE, SIZE)  # the export, and the session

    def forget(self) -> None:
        """Empty the cache of features."""
        shutil.rmtree(config.cache_dir("features"))

    def fit(self) -> None:
        self.head = training.fit_head(features.extract(self.x, BACKBONE, SIZE), self.y)

    def right(self, x, y) -> np.ndarray:
        """Which of some images it gets right, 0 or 1."""
        return self.head.logits(features.extract(x, BACKBONE, SIZE)).argmax(1) == y


class OnePass:
    """ONNX Runtime alone: the images are prepared while its clock stands still."""

    def __init__(self, x):
        import onnxruntime

        self.x = x
        self.prepare = Preprocess(BACKBONE, size=SIZE)
        path = str(features.onnx_file(BACKBONE))
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.name = self.session.get_inputs()[0].name
        self.forget()
        self._run(0)

    def forget(self) -> None:
        """Drop what the last pass found."""
        self.found: list[np.ndarray] = []

    def seconds(self) -> float:
        return sum(self._run(start) for start in range(0, len(self.x), BATCH))

    def _run(self, start: int) -> float:
        ready = keras.ops.convert_to_numpy(self.prepare(self.x[start : start + BATCH]))
        began = time.perf_counter()
        found = self.session.run(None, {self.name: ready})[0]
        seconds = time.perf_counter() - began
        self.found.append(found)
        return seconds


def _against_one_pass(course: Course, onnx: OnePass, whole: list[float], passes) -> Row:
    """The course's way, the fit of the head included, beside the pass that it cannot do without.

    Raises:
        Unequal: the pass gives other features.
    """
    features_, alone = features.extract(course.x, BACKBONE, SIZE), np.concatenate(onnx.found)
    largest = float(np.abs(features_ - alone).max())
    if not largest <= _TOLERANCE:
        raise Unequal(f"The pass alone gives other features, by up to {largest:.1e}.")
    return Row(
        f"head on {len(course.x):,} images, against one pass",
        _COURSE,
        whole,
        other="one pass of ONNX Runtime over prepared images",
        other_runs=list(passes),
        ratio=SHARE,
        goal=Goal(AT_MOST, 1.25),
        equal=f"features differ by at most {largest:.1e}",
        note="Beside the pass, the course's time holds resizing, writing the cache and the fit.",
    )


def _equal(course: Course, other, x_test, y_test) -> str:
    """In words, that the course's head is as accurate as the other side's.

    Raises:
        Unequal: it is worse by more than the noise of that many test images.
    """
    ours, theirs = course.right(x_test, y_test), other.right(x_test, y_test)
    found = paired_bootstrap(100.0 * ours, 100.0 * theirs)
    words = (
        f"test accuracy {ours.mean():.1%}, other side {theirs.mean():.1%}; difference "
        f"{found.mean:+.1f} [{found.low:+.1f}, {found.high:+.1f}] points on {len(y_test):,} images"
    )
    if found.high < 0:
        raise Unequal(f"The course's head is worse: {words}.")
    return words
