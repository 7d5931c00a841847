# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exercises 10 · Is it working?
#
# Six tasks on chapter 10, the easy ones first. Replace each line `... # your code here`, run the
# cell, and run the check below it. `hint("10.1")` helps a little, and more each time;
# `solution("10.1")` shows one way of many. Everything here is NumPy: nothing waits for training.

# %%
import math

import numpy as np

from tlcourse.exercises import check, hint, overview, solution


def softmax(scores):
    """Probabilities of the last axis."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


overview("10")

# %% [markdown]
# ## 10.1 · Two tests of one model (predict, 8 minutes)
#
# A model is right for 85 % of all images that there are. You test it on 1,000 of them, and a
# colleague tests it on 1,000 others. In 95 of 100 such cases, within how many points of each other
# do the two accuracies lie?
#
# First write your guess. Then write `apart`, which works it out, by a formula or by drawing.

# %% nbgrader={"grade": false, "grade_id": "task-10-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
guess = None  # points


def apart(accuracy, images):
    """Points within which two tests on so many images lie in 95 of 100 cases."""
    ### BEGIN SOLUTION
    deviation = math.sqrt(2 * accuracy * (1 - accuracy) / images)
    return 100 * 1.96 * deviation
    ### END SOLUTION


### BEGIN SOLUTION
guess = 2
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-10-1", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("10.1", (guess, apart))
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("10.1", (guess, apart))
### END HIDDEN TESTS

# %% [markdown]
# ## 10.2 · The best case is silent (find the bug, 6 minutes)
#
# A learning curve gives the accuracy at each number of labels. This function is meant to return the
# first size that reaches an accuracy, and None if no size does.


# %%
def labels_enough(sizes, accuracies, wanted):
    index = np.argmax(np.array(accuracies) >= wanted)
    return sizes[index] if index > 0 else None


for curve in ([0.60, 0.85, 0.90], [0.85, 0.90, 0.95], [0.10, 0.20, 0.30]):
    print(curve, "reaches 0.8 with", labels_enough([100, 300, 1000], curve, 0.8))

# %% [markdown]
# Two of the three answers are the same. Mend it.


# %% nbgrader={"grade": false, "grade_id": "task-10-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def labels_enough_mended(sizes, accuracies, wanted):
    """The first size that reaches the accuracy; None if none does."""
    ### BEGIN SOLUTION
    reached = np.array(accuracies) >= wanted
    return sizes[np.argmax(reached)] if reached.any() else None
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-10-2", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("10.2", labels_enough_mended)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("10.2", labels_enough_mended)
### END HIDDEN TESTS

# %% [markdown]
# ## 10.3 · As often right as it says (write, 12 minutes)
#
# Write the expected calibration error. `probabilities` has a row for each image. The model names
# the class with the highest one, and this probability says how sure it is. Sort the images by it
# into `bins` bins of equal width from 0 to 1. In each bin, take the distance between the mean
# probability and the share of right answers. Return the mean of these distances, in which a bin
# counts by its number of images.


# %% nbgrader={"grade": false, "grade_id": "task-10-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def calibration_error(probabilities, labels, bins):
    """The mean distance between how sure and how often right."""
    ### BEGIN SOLUTION
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    error = 0.0
    for i in np.unique(place):
        mine = place == i
        error += mine.mean() * abs(confidence[mine].mean() - correct[mine].mean())
    return error
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-10-3", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("10.3", calibration_error)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("10.3", calibration_error)
### END HIDDEN TESTS

# %% [markdown]
# ## 10.4 · A temperature that nobody chose (find the bug, 10 minutes)
#
# Temperature scaling divides all scores by one number before the softmax. This function tries some
# `temperatures` on validation images, whose `scores` and `labels` it gets, and returns the
# probabilities of new images at the best one. It runs, and it returns probabilities.


# %%
def calibrated(scores, labels, new_scores, temperatures):
    def quality(t):
        p = softmax(scores / t)
        return np.mean(p.argmax(axis=1) == labels)

    best = max(temperatures, key=quality)
    return softmax(new_scores / best)


rng = np.random.default_rng(0)
some_scores = 6 * rng.normal(size=(500, 3))
some_labels = np.where(rng.random(500) < 0.6, some_scores.argmax(axis=1), rng.integers(3, size=500))
for temperatures in ([1, 3, 9], [9, 3, 1]):
    p = calibrated(some_scores, some_labels, some_scores[:1], temperatures)
    print(temperatures, p.round(2))

# %% [markdown]
# The same temperatures in another order give other probabilities. Mend it: take the temperature of
# the list at which the labels of the validation images are most likely, all together.


# %% nbgrader={"grade": false, "grade_id": "task-10-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def calibrated_mended(scores, labels, new_scores, temperatures):
    """Probabilities of the new images, at the temperature that suits the labels best."""

    ### BEGIN SOLUTION
    def quality(t):
        p = softmax(scores / t)
        return np.log(p[np.arange(len(labels)), labels]).mean()

    best = max(temperatures, key=quality)
    return softmax(new_scores / best)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-10-4", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("10.4", calibrated_mended)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("10.4", calibrated_mended)
### END HIDDEN TESTS

# %% [markdown]
# ## 10.5 · A hundred passes that agree (find the bug, 10 minutes)
#
# Monte Carlo dropout asks a head many times, drops other features each time, and takes the spread
# of the probabilities for a measure of doubt. Dropout sets each feature to 0 with the probability
# `rate`, and divides what is left by `1 - rate`, so that sums keep their size on average.


# %%
def doubts(features, kernel, bias, rate, passes, seed):
    answers = []
    for _ in range(passes):
        rng = np.random.default_rng(seed)
        kept = rng.random(features.shape) >= rate
        answers.append(softmax((features * kept) @ kernel + bias))
    return np.mean(answers, axis=0), np.std(answers, axis=0)


rng = np.random.default_rng(0)
some_features, some_kernel = rng.uniform(0.5, 2, (2, 12)), rng.normal(0, 0.2, (12, 3))
mean, deviation = doubts(some_features, some_kernel, np.zeros(3), 0.5, 100, seed=0)
print("mean", mean.round(3), "deviation", deviation.round(3), sep="\n")

# %% [markdown]
# There are two bugs in it, and neither raises an error. Mend both. Return the mean and the standard
# deviation of the probabilities over all passes, each with a row for each image. The same seed has
# to give the same answer.


# %% nbgrader={"grade": false, "grade_id": "task-10-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def doubts_mended(features, kernel, bias, rate, passes, seed):
    """Mean and standard deviation of the probabilities, with a dropout that drops."""
    ### BEGIN SOLUTION
    rng = np.random.default_rng(seed)
    answers = []
    for _ in range(passes):
        kept = rng.random(features.shape) >= rate
        answers.append(softmax((features * kept / (1 - rate)) @ kernel + bias))
    return np.mean(answers, axis=0), np.std(answers, axis=0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-10-5", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("10.5", doubts_mended)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("10.5", doubts_mended)
### END HIDDEN TESTS

# %% [markdown]
# ## 10.6 · Does the map know the image? (design an experiment, 12 minutes)
#
# Somebody shows you maps that light up where a model looks, one for each image. You have
#
# - `images`, `labels` and `maps`, in the same order;
# - `hide(images, maps)`, which gives copies of the images, in each of which the 30 % are covered
#   that its map marks most;
# - `accuracy(images, labels)` of the model.
#
# The thing stands near the middle in most images, so nearly any map marks it. Write the experiment
# that tells whether a map knows *its* image. Return two losses of accuracy, against the images as
# they are: the one from hiding what the own map marks, and the one from hiding what the map of
# another image marks.


# %% nbgrader={"grade": false, "grade_id": "task-10-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
def evidence(images, labels, maps, hide, accuracy):
    """Accuracy lost by hiding what the own map marks, and what another image's marks."""
    ### BEGIN SOLUTION
    whole = accuracy(images, labels)
    own = accuracy(hide(images, maps), labels)
    other = accuracy(hide(images, np.roll(maps, 1, axis=0)), labels)
    return whole - own, whole - other
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-10-6", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("10.6", evidence)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("10.6", evidence)
### END HIDDEN TESTS

# %% [markdown]
# ## Where you stand

# %%
overview("10")
