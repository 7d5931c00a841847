# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exercises 06 · Which backbone?
#
# Six tasks on chapter 06, the easy ones first. Replace each line `... # your code here`, run the
# cell, and run the check below it. `hint("06.1")` helps a little, and more each time;
# `solution("06.1")` shows one way of many. Everything here is NumPy; where something takes time, it
# takes it on a clock that only counts.

# %%
import numpy as np

from tlcourse.exercises import check, hint, overview, solution

overview("06")

# %% [markdown]
# ## 06.1 · Where the work is (predict, 6 minutes)
#
# MobileNet splits a convolution in two. The depthwise part has a kernel of 3 × 3 for each channel,
# which sees only this channel. Then a 1×1 convolution mixes the channels. Both go over the same
# map. Take 512 channels in and 512 out: what percentage of the multiply-adds of this pair is in the
# depthwise part?
#
# First write your guess. Then write `depthwise_share`, for a kernel of any side and any numbers of
# channels. Biases do not count.

# %% nbgrader={"grade": false, "grade_id": "task-06-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
guess = None  # percent


def depthwise_share(kernel, channels_in, channels_out):
    """Percent of a depthwise separable convolution's work that is in its depthwise part."""
    ### BEGIN SOLUTION
    depthwise = kernel**2 * channels_in
    mixing = channels_in * channels_out
    return 100 * depthwise / (depthwise + mixing)
    ### END SOLUTION


### BEGIN SOLUTION
guess = 50
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-06-1", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("06.1", (guess, depthwise_share))
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("06.1", (guess, depthwise_share))
### END HIDDEN TESTS
# %% [markdown]
# ## 06.2 · How far one position sees (write, 10 minutes)
#
# The receptive field is the part of the image that one position of the last map can depend on. Write
# it for a chain of layers. `layers` is a list of pairs, kernel and stride, from the image on, such
# as `[(3, 2), (3, 1)]`; pooling is such a layer, too. Return the side of the field in pixels, as if
# the image had no border. One layer of `(3, 1)` sees 3 pixels, two of them see 5.


# %% nbgrader={"grade": false, "grade_id": "task-06-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def receptive_field(layers):
    """Side of the receptive field of the last layer, in pixels of the image."""
    ### BEGIN SOLUTION
    field, apart = 1, 1  # what a position sees, and how far apart positions are
    for kernel, stride in layers:
        field += (kernel - 1) * apart
        apart *= stride
    return field
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-06-2", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("06.2", receptive_field)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("06.2", receptive_field)
### END HIDDEN TESTS
# %% [markdown]
# ## 06.3 · The call that compiles (find the bug, 8 minutes)
#
# `forward(images)` runs a network on a batch, and `clock()` gives the seconds. This function is
# meant to say how long one image takes, in milliseconds. Below, it looks three times at the same toy
# network, which takes 20 ms for an image.


# %%
def latency(forward, images, repeats, clock):
    start = clock()
    for _ in range(repeats):
        forward(images)
    return 1000 * (clock() - start) / repeats / len(images)


took = []  # seconds of each call, on a clock that only counts


def toy_forward(images):
    usual = 0.12 if len(took) % 5 == 4 else 0.02
    took.append(len(images) * {0: 0.8, 1: 0.2, 2: 0.1}.get(len(took), usual))


def toy_clock():
    return sum(took)


for _ in range(3):
    print(f"{latency(toy_forward, np.zeros((1, 8, 8, 3)), 5, toy_clock):.0f} ms")

# %% [markdown]
# The first three calls of a network also compile and allocate memory. And now and then another
# program disturbs a call. Mend it: leave three calls out, time `repeats` calls one by one, and
# return the median, for one image.


# %% nbgrader={"grade": false, "grade_id": "task-06-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def latency_mended(forward, images, repeats, clock):
    """Median milliseconds of one image, after a warm-up."""
    ### BEGIN SOLUTION
    for _ in range(3):
        forward(images)
    seconds = []
    for _ in range(repeats):
        start = clock()
        forward(images)
        seconds.append(clock() - start)
    return 1000 * np.median(seconds) / len(images)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-06-3", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("06.3", latency_mended)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("06.3", latency_mended)
### END HIDDEN TESTS
# %% [markdown]
# ## 06.4 · Its own neighbour (find the bug, 10 minutes)
#
# How good are these features? This probe asks the `k` most similar images for the class of each
# image, and returns the share of images for which they are right. Below, features and labels are
# drawn at random, so half of the labels can be guessed, and no more.


# %%
def knn_probe(features, labels, k):
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    similarity = unit @ unit.T
    nearest = np.argsort(-similarity, axis=1)[:, :k]
    said = np.array([np.bincount(votes).argmax() for votes in labels[nearest]])
    return (said == labels).mean()


rng = np.random.default_rng(0)
some_features, some_labels = rng.normal(size=(200, 16)), rng.integers(0, 2, 200)
for k in (1, 3, 5):
    print(k, knn_probe(some_features, some_labels, k))

# %% [markdown]
# Mend it: each image is left out in turn, so it never votes for itself, and `k` others vote. Data
# sets hold copies: another image with the same features is another image.


# %% nbgrader={"grade": false, "grade_id": "task-06-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def knn_probe_mended(features, labels, k):
    """Share of images whose `k` nearest others name their class."""
    ### BEGIN SOLUTION
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = np.argsort(-similarity, axis=1)[:, :k]
    said = np.array([np.bincount(votes).argmax() for votes in labels[nearest]])
    return (said == labels).mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-06-4", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("06.4", knn_probe_mended)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("06.4", knn_probe_mended)
### END HIDDEN TESTS
# %% [markdown]
# ## 06.5 · Read off the answers (write, 12 minutes)
#
# LEEP scores a pretrained classifier on your labels, without training. `said` holds what the
# classifier says of your images: probabilities `(images, source classes)`, each row of sum 1.
# `labels` are your classes, whole numbers from 0. Write it in three steps:
#
# 1. How often does each of your classes come together with each source class? For each pair, add up
#    what was said of this source class over the images of your class.
# 2. How probable is each of your classes, given a source class? Divide by the sum over your
#    classes. A source class that is never said counts for nothing.
# 3. The probability of an image's own label is the sum, over source classes, of what was said times
#    step 2. The score is the mean of its logarithm.


# %% nbgrader={"grade": false, "grade_id": "task-06-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def leep(said, labels):
    """The mean log probability of the labels, read off a source classifier's answers."""
    ### BEGIN SOLUTION
    together = np.array([said[labels == label].sum(axis=0) for label in range(labels.max() + 1)])
    ever = together.sum(axis=0)
    given = together / np.where(ever > 0, ever, 1)
    own = (said * given[labels]).sum(axis=1)
    return np.log(own).mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-06-5", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("06.5", leep)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("06.5", leep)
### END HIDDEN TESTS
# %% [markdown]
# ## 06.6 · The cheapest of the best (design an experiment, 12 minutes)
#
# Which backbone do you take? You have
#
# - `names`, a list, and `published`, a dict from name to the accuracy on ImageNet;
# - `milliseconds(name)`, measured on your machine, and `budget`, how many it may take at most;
# - `validate(name, seed)`, the accuracy of a head on your validation images, and a list of `seeds`.
#   A seed draws the same labels for every name.
#
# Write the choice. Of what fits into the budget, find the name with the best mean accuracy over the
# seeds. Another name is *within the noise* of it if the mean of their differences, seed by seed, is
# at most two standard errors of these differences; the standard error is the standard deviation
# (`ddof=1`) over the root of their number. Return the cheapest of the best and all those within its
# noise.


# %% nbgrader={"grade": false, "grade_id": "task-06-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
def choose(names, published, seeds, milliseconds, validate, budget):
    """The cheapest backbone that cannot be told from the best in the budget."""
    ### BEGIN SOLUTION
    fits = [name for name in names if milliseconds(name) <= budget]
    table = {name: np.array([validate(name, seed) for seed in seeds]) for name in fits}
    best = max(fits, key=lambda name: table[name].mean())

    def within(name):  # The best itself, too: there all differences are 0.
        apart = table[best] - table[name]
        return apart.mean() <= 2 * apart.std(ddof=1) / np.sqrt(len(apart))

    return min(filter(within, fits), key=milliseconds)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-06-6", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("06.6", choose)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("06.6", choose)
### END HIDDEN TESTS
# %% [markdown]
# ## Where you stand

# %%
overview("06")
