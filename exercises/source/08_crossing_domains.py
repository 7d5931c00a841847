# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exercises 08 · Crossing domains
#
# Six tasks on chapter 08, the easy ones first. Replace each line `... # your code here`, run the
# cell, and run the check below it. `hint("08.1")` helps a little, and more each time;
# `solution("08.1")` shows one way of many. Everything here is NumPy: nothing waits for training.

# %%
import numpy as np

from tlcourse.exercises import check, hint, overview, solution

overview("08")

# %% [markdown]
# ## 08.1 · No gap, and aligned (predict, 10 minutes)
#
# A network gives one feature for each image. In the source, half of the images are zeros, which lie
# around -1, and half are ones, which lie around +1. Few of them come near 0, so a border at 0
# separates the classes. The target looks exactly the same: there is no gap. But all of its images
# are ones, which you do not know.
#
# Without adaptation hardly any target image is named wrongly. Now you align: you shift and stretch
# the source features until they have the target's mean and standard deviation. Then you put the
# border anew, halfway between the means of the two classes of the moved source; what lies above it
# is named 1. What percentage of the target images is named wrongly now?
#
# First write your guess. Then write `wrong_after`, for features and labels of any source and
# target. It gets the target's labels to count the wrong answers, and for nothing else.

# %% nbgrader={"grade": false, "grade_id": "task-08-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
guess = None  # percent


def wrong_after(source, source_labels, target, target_labels):
    """Percent of the target named wrongly after the source was aligned with it."""
    ### BEGIN SOLUTION
    moved = (source - source.mean()) / source.std() * target.std() + target.mean()
    border = (moved[source_labels == 0].mean() + moved[source_labels == 1].mean()) / 2
    return 100 * np.mean((target > border) != (target_labels == 1))
    ### END SOLUTION


### BEGIN SOLUTION
guess = 50
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-08-1", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("08.1", (guess, wrong_after))
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("08.1", (guess, wrong_after))
### END HIDDEN TESTS

# %% [markdown]
# ## 08.2 · A kernel for other channels (write, 8 minutes)
#
# The kernel of a pretrained first convolution has the shape (height, width, 3, filters). Make one
# for images with another number of channels, such as 1 or 5. If all channels show the same picture,
# the new layer has to answer what the old one answers to that picture in three channels. And every
# channel has to count the same.


# %% nbgrader={"grade": false, "grade_id": "task-08-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def spread_kernel(kernel, channels):
    """A kernel of shape (height, width, channels, filters)."""
    ### BEGIN SOLUTION
    total = kernel.sum(axis=2, keepdims=True)
    return np.repeat(total / channels, channels, axis=2)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-08-2", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("08.2", spread_kernel)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("08.2", spread_kernel)
### END HIDDEN TESTS

# %% [markdown]
# ## 08.3 · One turn for a whole batch (find the bug, 8 minutes)
#
# For the rotation pretext, images of shape (N, H, H, C) are turned by 0, 1, 2 or 3 quarters,
# counter-clockwise, and the network has to name the turn. This function makes a batch of training
# out of images. Look at the turns that it draws for three batches.


# %%
def turned(images, rng):
    k = rng.integers(4)
    return np.rot90(images, k, axes=(1, 2)), np.full(len(images), k)


rng = np.random.default_rng(0)
some_images = rng.integers(0, 256, (8, 4, 4, 1)).astype("uint8")
for _ in range(3):
    print("turns:", turned(some_images, rng)[1])

# %% [markdown]
# Mend it. `rng` is a NumPy generator, and all chance comes from it. Return the turned images and
# the turn of each.


# %% nbgrader={"grade": false, "grade_id": "task-08-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def turned_mended(images, rng):
    """Turned images, and how many quarters each one was turned."""
    ### BEGIN SOLUTION
    turns = rng.integers(4, size=len(images))
    pairs = zip(images, turns, strict=True)
    return np.stack([np.rot90(image, k) for image, k in pairs]), turns
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-08-3", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("08.3", turned_mended)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("08.3", turned_mended)
### END HIDDEN TESTS

# %% [markdown]
# ## 08.4 · One finds, the other hides (write, 12 minutes)
#
# Write one backward pass of DANN's adversary. `x` are images of both domains, one in each row, and
# `domains` says 0 for the source and 1 for the target. Forwards:
#
# - `features = x @ kernel`;
# - a gradient reversal, which does nothing now;
# - `score = features @ head`, one number for each image;
# - its sigmoid, `1 / (1 + np.exp(-score))`, the probability of the target;
# - the loss: the cross-entropy of probability and domain, as a mean over the images.
#
# Backwards, the reversal multiplies what comes through it by `-strength`. You need one derivative
# for this: the loss by the score is (probability - domain) / number of images. Return the gradient
# for the kernel and the one for the head, as an optimizer wants them that goes downhill with both.


# %% nbgrader={"grade": false, "grade_id": "task-08-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gradients(x, domains, kernel, head, strength):
    """The gradients for the kernel, behind the reversal, and for the domain head."""
    ### BEGIN SOLUTION
    features = x @ kernel
    probability = 1 / (1 + np.exp(-features @ head))
    error = (probability - domains) / len(x)
    for_head = features.T @ error
    for_features = np.outer(error, head)
    return x.T @ (-strength * for_features), for_head
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-08-4", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("08.4", gradients)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("08.4", gradients)
### END HIDDEN TESTS

# %% [markdown]
# ## 08.5 · Statistics of the wrong images (find the bug, 8 minutes)
#
# AdaBN replaces the stored mean and variance of each channel by those of the target. The target
# comes in `batches`, a list of arrays of shape (images, channels), of which the last is smaller.
# This function reads them all.


# %%
def adapted(mean, variance, batches):
    for batch in batches:
        mean = 0.99 * mean + 0.01 * batch.mean(axis=0)
        variance = 0.99 * variance + 0.01 * batch.var(axis=0)
    return mean, variance


rng = np.random.default_rng(0)
some_batches = [rng.normal(5, 2, (images, 1)) for images in (64, 64, 64, 8)]
mean, variance = adapted(np.zeros(1), np.ones(1), some_batches)
print(f"source 0 and 1, target about 5 and 4, found {mean[0]:.2f} and {variance[0]:.2f}")

# %% [markdown]
# What it finds is still nearly the source. Mend it: return the mean and the variance that
# BatchNormalization would find if all target images came in one batch.


# %% nbgrader={"grade": false, "grade_id": "task-08-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def adapted_mended(mean, variance, batches):
    """Mean and variance of each channel over all target images."""
    ### BEGIN SOLUTION
    every = np.concatenate(batches)
    return every.mean(axis=0), every.var(axis=0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-08-5", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("08.5", adapted_mended)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("08.5", adapted_mended)
### END HIDDEN TESTS

# %% [markdown]
# ## 08.6 · Choose without labels (design an experiment, 12 minutes)
#
# Which strength should the adversary have? You have
#
# - `strengths`, a list;
# - `adapt(strength)`, which adapts and returns a model; `model.predict(images)` gives
#   probabilities, one row for each image;
# - `unlabelled`, images of the target;
# - `test_images` and `test_labels`, for the report at the end.
#
# Choose by *information*, which needs no labels: the entropy of the mean answer over all images,
# less the mean of the entropies of the single answers. The entropy of probabilities p is the sum of
# -p log p. Return the strength and its accuracy on the test images.


# %% nbgrader={"grade": false, "grade_id": "task-08-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
def choose_strength(strengths, adapt, unlabelled, test_images, test_labels):
    """The strength that a score without labels picks, and its test accuracy."""

    ### BEGIN SOLUTION
    def entropy(p):
        return -(p * np.log(p)).sum(axis=-1)

    models = {strength: adapt(strength) for strength in strengths}
    information = {}
    for strength, model in models.items():
        p = model.predict(unlabelled)
        information[strength] = entropy(p.mean(axis=0)) - entropy(p).mean()
    best = max(information, key=information.get)
    named = models[best].predict(test_images).argmax(axis=1)
    return best, np.mean(named == test_labels)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-08-6", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("08.6", choose_strength)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("08.6", choose_strength)
### END HIDDEN TESTS

# %% [markdown]
# ## Where you stand

# %%
overview("08")
