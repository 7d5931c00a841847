# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exercises 04 · Catastrophic forgetting
#
# Six tasks on chapter 04, the easy ones first. Replace each line `... # your code here`, run the
# cell, and run the check below it. `hint("04.1")` helps a little, and more each time;
# `solution("04.1")` shows one way of many. Everything here is NumPy: nothing waits for training.

# %%
import numpy as np

from tlcourse.exercises import check, hint, overview, solution

overview("04")

# %% [markdown]
# ## 04.1 · A penalty at its own start (predict, 8 minutes)
#
# A weight is held by EWC. Its penalty is `strength / 2 * fisher * far**2`, where `far` is how far
# the weight has moved from where it was before training. Training starts there, so `far` is 0.
# Each step of plain gradient descent is `-rate` times the sum of two gradients: that of the new
# task, which is taken to be the same number in every step, and that of the penalty. Both are taken
# where the step begins.
#
# The strength is 100, the Fisher information 0.5, the rate 0.01. By what percentage does the
# penalty shorten the very first step?
#
# First write your guess. Then write `shortened`, which works it out for any number of steps: by
# what percentage is `far` after these steps smaller than it would be without the penalty?

# %% nbgrader={"grade": false, "grade_id": "task-04-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
guess = None  # percent


def shortened(steps, rate, gradient, strength, fisher):
    """Percent by which the penalty shortens the way that a weight goes in so many steps."""
    ### BEGIN SOLUTION
    far = 0.0
    for _ in range(steps):
        far -= rate * (gradient + strength * fisher * far)
    return 100 * (1 - far / (-steps * rate * gradient))
    ### END SOLUTION


### BEGIN SOLUTION
guess = 50
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-04-1", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("04.1", (guess, shortened))
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("04.1", (guess, shortened))
### END HIDDEN TESTS
# %% [markdown]
# ## 04.2 · An anchor that walks along (find the bug, 8 minutes)
#
# This function trains with EWC. `weights` and `fisher` are dicts of arrays with the same names,
# and `gradient(weights)` gives such a dict, too: the gradient of the new task. The penalty is to
# hold the weights near where they were before training. It has no effect, however strong it is.


# %%
def train(weights, gradient, fisher, strength, rate, steps):
    anchor = dict(weights)
    for _ in range(steps):
        slope = gradient(weights)
        for name in weights:
            pull = strength * fisher[name] * (weights[name] - anchor[name])
            weights[name] -= rate * (slope[name] + pull)
    return weights


def to_five(weights):
    """The gradient of a new task that wants every weight to be 5."""
    return {name: value - 5 for name, value in weights.items()}


for strength in (0, 10, 100):
    weights, importance = {"kernel": np.array([1.0, 2.0])}, {"kernel": np.array([1.0, 0.1])}
    print(strength, train(weights, to_five, importance, strength, rate=0.01, steps=50)["kernel"])

# %% [markdown]
# Three strengths, one result. Mend it. Return the trained weights as a dict; they may be the arrays that came in, or new ones.


# %% nbgrader={"grade": false, "grade_id": "task-04-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_mended(weights, gradient, fisher, strength, rate, steps):
    """Train with a penalty on the distance from where the weights were."""
    ### BEGIN SOLUTION
    anchor = {name: value.copy() for name, value in weights.items()}
    for _ in range(steps):
        slope = gradient(weights)
        for name in weights:
            pull = strength * fisher[name] * (weights[name] - anchor[name])
            weights[name] -= rate * (slope[name] + pull)
    return weights
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-04-2", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("04.2", train_mended)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("04.2", train_mended)
### END HIDDEN TESTS
# %% [markdown]
# ## 04.3 · Labels that are missing (find the bug, 8 minutes)
#
# Two tasks share a trunk, and most images are labelled for one of them only. `said` is a dict with
# the probabilities `(N, classes)` of each task, for the same N images. `labels` is a dict with
# their classes `(N,)`, and -1 stands for *no label*. This function is meant to give the loss. It
# runs without complaint.


# %%
def loss(said, labels):
    total = 0.0
    for name in said:
        picked = said[name][np.arange(len(labels[name])), labels[name]]
        total += -np.log(picked).mean()
    return total


for said_of_second in ([0.1, 0.1, 0.8], [0.8, 0.1, 0.1]):
    animals = np.array([[0.8, 0.1, 0.1], said_of_second])
    print(said_of_second, loss({"animals": animals}, {"animals": np.array([0, -1])}))

# %% [markdown]
# The second image has no label, and yet it matters what is said of it. Mend it. The loss of a task is the mean of -log p over the examples that are labelled for it; the
# whole loss is the sum over the tasks. A task that has no label in this batch adds 0.


# %% nbgrader={"grade": false, "grade_id": "task-04-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def loss_mended(said, labels):
    """The sum over tasks of the mean loss over what is labelled."""
    ### BEGIN SOLUTION
    total = 0.0
    for name in said:
        there = np.flatnonzero(labels[name] != -1)
        if len(there):
            total += -np.log(said[name][there, labels[name][there]]).mean()
    return total
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-04-3", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("04.3", loss_mended)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("04.3", loss_mended)
### END HIDDEN TESTS
# %% [markdown]
# ## 04.4 · Soft answers (write, 10 minutes)
#
# Write the loss of distillation. `student` and `teacher` are logits `(N, classes)`. Divide both by
# the temperature and take the softmax of each row: these are the softened probabilities, q of the
# student and p of the teacher. The divergence of an example is the sum over classes of
# p · (log p - log q); it is 0 where the student says what the teacher says. The loss is the mean
# over the examples, times the temperature squared.
#
# Logits may lie near 1,000, and `np.exp(1000)` is infinite; the loss has to be right there, too.


# %% nbgrader={"grade": false, "grade_id": "task-04-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def distillation(student, teacher, temperature):
    """T² times the mean divergence of the softened answers."""
    ### BEGIN SOLUTION

    def log_softmax(logits):
        logits = logits - logits.max(axis=1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    log_p, log_q = log_softmax(teacher / temperature), log_softmax(student / temperature)
    return temperature**2 * (np.exp(log_p) * (log_p - log_q)).sum(axis=1).mean()
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-04-4", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("04.4", distillation)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("04.4", distillation)
### END HIDDEN TESTS
# %% [markdown]
# ## 04.5 · Squared one by one (find the bug, 12 minutes)
#
# EWC weighs each weight by its Fisher information. This is how it is often computed:
#
# - `predict(x)` gives the model's probabilities `(N, classes)` for images `(N, pixels)`;
# - `gradient(x, labels)` gives the gradient of the mean log probability of these labels, an array
#   of the shape of the weights.


# %%
def fisher(x, labels, predict, gradient, batch=32):
    total, batches = 0.0, 0
    for start in range(0, len(x), batch):
        total += gradient(x[start : start + batch], labels[start : start + batch]) ** 2
        batches += 1
    return total / batches


rng = np.random.default_rng(0)
some_x, some_labels, kernel = rng.normal(size=(64, 5)), rng.integers(0, 3, 64), np.zeros((5, 3))


def some_predict(x):
    scores = np.exp(x @ kernel)
    return scores / scores.sum(axis=1, keepdims=True)


def some_gradient(x, labels):
    return x.T @ (np.eye(3)[labels] - some_predict(x)) / len(x)


for batch in (1, 8, 32):
    total = fisher(some_x, some_labels, some_predict, some_gradient, batch).sum()
    print(f"batches of {batch}: {total:.3f} in all")

# %% [markdown]
# The size of the batch decides. Two things are wrong: it squares the gradients of batches, and it takes the true labels. Mend it,
# without labels: the Fisher information is the mean over images of the expected squared gradient,
# where the label is the one that the model itself would give, each with its probability. Compute
# this expectation exactly: do not draw labels.


# %% nbgrader={"grade": false, "grade_id": "task-04-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fisher_mended(x, predict, gradient):
    """The diagonal of the Fisher information, in the shape of the weights."""
    ### BEGIN SOLUTION
    said, total = predict(x), 0.0
    for i in range(len(x)):
        for label in range(said.shape[1]):
            total += said[i, label] * gradient(x[i : i + 1], np.array([label])) ** 2
    return total / len(x)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-04-5", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("04.5", fisher_mended)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("04.5", fisher_mended)
### END HIDDEN TESTS
# %% [markdown]
# ## 04.6 · A fair price (design an experiment, 12 minutes)
#
# Which remedy keeps most of the old task? At one strength each, any of them can win. You have
#
# - `methods`, `strengths` and `seeds`, three lists; the strengths rise;
# - `run(method, strength, seed)`, which trains and returns two accuracies on validation images, on
#   the new task and on the old one;
# - `run("naive", 0, seed)`, the same without any remedy;
# - `allowed`, what a remedy may cost: its mean accuracy on the new task, over the seeds, may lie at
#   most so far below the mean of the naive way.
#
# Write the comparison. Return a dict from method to the best mean accuracy on the old task, over
# the strengths that are affordable. If none of them is, the entry is None.


# %% nbgrader={"grade": false, "grade_id": "task-04-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
def compare_fairly(methods, strengths, seeds, run, allowed):
    """For each method, the old accuracy that it keeps at an affordable cost, or None."""
    ### BEGIN SOLUTION
    naive = np.mean([run("naive", 0, seed)[0] for seed in seeds])
    kept = {}
    for method in methods:
        rows = [np.mean([run(method, s, seed) for seed in seeds], axis=0) for s in strengths]
        kept[method] = max((old for new, old in rows if new >= naive - allowed), default=None)
    return kept
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-04-6", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("04.6", compare_fairly)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("04.6", compare_fairly)
### END HIDDEN TESTS
# %% [markdown]
# ## Where you stand

# %%
overview("04")
