# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exercises 09 · One stage or two?
#
# Six tasks on chapter 09, the easy ones first. Replace each line `... # your code here`, run the
# cell, and run the check below it. `hint("09.1")` helps a little, and more each time;
# `solution("09.1")` shows one way of many. Everything here is NumPy: nothing waits for training.

# %%
import numpy as np

from tlcourse.exercises import check, hint, overview, solution
from tlcourse.exercises.toys import Adam


def softmax(scores):
    """Probabilities of the last axis."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


overview("09")

# %% [markdown]
# ## 09.1 · The loss before the first step (predict, 8 minutes)
#
# You put a random head for ten classes on a backbone. It knows nothing, but its features are long,
# so its scores spread: they are drawn from a normal distribution with a standard deviation of 3.
# What is the mean cross-entropy loss, before any training?
#
# First write your guess. Then write `start_loss`, which works it out from the `scores`, a row for
# each image, and the class numbers `labels`: the mean of minus the natural logarithm of the
# probability of the label.

# %% nbgrader={"grade": false, "grade_id": "task-09-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
guess = None


def start_loss(scores, labels):
    """Mean cross-entropy of scores."""
    ### BEGIN SOLUTION
    p = softmax(scores)
    return -np.log(p[np.arange(len(labels)), labels]).mean()
    ### END SOLUTION


### BEGIN SOLUTION
guess = 2.3
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-09-1", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("09.1", (guess, start_loss))
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("09.1", (guess, start_loss))
### END HIDDEN TESTS

# %% [markdown]
# ## 09.2 · What a head sends back (write, 10 minutes)
#
# A head of one layer gives each image the scores `features @ kernel + bias`, and the softmax makes
# probabilities of them. Write what it sends back: the gradient of each image's cross-entropy loss
# by its features, a row for each image. It is the *error* times the head's weights; the error is
# the probabilities minus the one-hot label.


# %% nbgrader={"grade": false, "grade_id": "task-09-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def sent_back(kernel, bias, features, labels):
    """The gradient of each image's loss by its features."""
    ### BEGIN SOLUTION
    error = softmax(features @ kernel + bias)
    error[np.arange(len(labels)), labels] -= 1
    return error @ kernel.T
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-09-2", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("09.2", sent_back)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("09.2", sent_back)
### END HIDDEN TESTS

# %% [markdown]
# ## 09.3 · Open from the output (write, 8 minutes)
#
# Write the plan of progressive unfreezing. `blocks` are names, from input to output. `stages` says
# how many of the last blocks each stage trains, and `epochs` how many epochs it lasts. Return a
# list with one entry for each epoch: the list of the blocks that are trained in it, in any order.
#
# With five blocks, stages `[1, 3]` and epochs `[2, 1]`, that is the last block, the last block
# again, and then the last three. A stage of 0 blocks trains the head alone: its entries are empty.


# %% nbgrader={"grade": false, "grade_id": "task-09-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def plan(blocks, stages, epochs):
    """For each epoch, the blocks that are trained in it."""
    ### BEGIN SOLUTION
    entries = []
    for n, count in zip(stages, epochs, strict=True):
        for _ in range(count):
            entries.append(blocks[len(blocks) - n :])
    return entries
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-09-3", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("09.3", plan)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("09.3", plan)
### END HIDDEN TESTS

# %% [markdown]
# ## 09.4 · The memory of stage one (find the bug, 8 minutes)
#
# `make_adam(rate)` makes an Adam for one weight, and its `change(gradient)` gives the change of
# each step. `rates` has a rate for each of two stages, and `gradients` a list of gradients for
# each. The first stage trained the head, with large gradients. This function returns the changes of
# both, a list for each stage.


# %%
def two_stages(make_adam, rates, gradients):
    adam = make_adam(rates[0])
    return [[adam.change(gradient) for gradient in stage] for stage in gradients]


for stage in two_stages(Adam, [1e-2, 1e-3], [[30.0, 25.0, 28.0], [-0.2, -0.1, -0.3]]):
    print(np.round(stage, 5))

# %% [markdown]
# The gradients of the second stage are negative, so its weight ought to rise, by about its rate in
# the first step. It falls. The second stage was to start like a fresh training at its own rate.
# Mend it.


# %% nbgrader={"grade": false, "grade_id": "task-09-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def two_stages_mended(make_adam, rates, gradients):
    """The changes in each of two stages that know nothing of each other."""
    ### BEGIN SOLUTION
    changes = []
    for rate, stage in zip(rates, gradients, strict=True):
        adam = make_adam(rate)
        changes.append([adam.change(gradient) for gradient in stage])
    return changes
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-09-4", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("09.4", two_stages_mended)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("09.4", two_stages_mended)
### END HIDDEN TESTS

# %% [markdown]
# ## 09.5 · Stopped by the test set (find the bug, 10 minutes)
#
# How long should stage two last? This function trains until the accuracy has not risen above its
# best for `patience` epochs in a row, but not for more than `most` epochs. Then it returns the best
# model and its accuracy. `train_epoch()` trains for one more epoch and returns a copy of the model
# as it is then; `validate(model)` and `test(model)` are its accuracies on validation images and on
# test images.


# %%
def stage_two(train_epoch, validate, test, patience, most):
    best, kept, waited = 0.0, None, 0
    for _ in range(most):
        model = train_epoch()
        now = test(model)
        if now > best:
            best, kept, waited = now, model, 0
        else:
            waited += 1
            if waited == patience:
                break
    return kept, best


# %% [markdown]
# The model will do worse on new images than this number promises. Mend it: return a model and a
# test accuracy that can be trusted.


# %% nbgrader={"grade": false, "grade_id": "task-09-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def stage_two_mended(train_epoch, validate, test, patience, most):
    """The best model, chosen on validation images, and its test accuracy."""
    ### BEGIN SOLUTION
    best, kept, waited = 0.0, None, 0
    for _ in range(most):
        model = train_epoch()
        now = validate(model)
        if now > best:
            best, kept, waited = now, model, 0
        else:
            waited += 1
            if waited == patience:
                break
    return kept, test(kept)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-09-5", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("09.5", stage_two_mended)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("09.5", stage_two_mended)
### END HIDDEN TESTS

# %% [markdown]
# ## 09.6 · Equal passes, equal seconds (design an experiment, 15 minutes)
#
# Are two stages better than one? `run(way, seed)` trains in one of the ways, "two-stage" or
# "single". It returns two lists: the test accuracy after each pass over the training images, and
# the seconds that each pass took. For two-stage the first pass is the fitted head.
#
# Write the comparison at equal cost, in both meanings. Return two leads of two-stage over single,
# means over the `seeds`, as fractions of 1:
#
# - after `passes` passes;
# - after `seconds` seconds. What counts is the last pass that was completed by then. A way that has
#   completed none stands at `chance`.


# %% nbgrader={"grade": false, "grade_id": "task-09-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
def leads(run, seeds, passes, seconds, chance):
    """How far two-stage is ahead at equal passes, and at equal seconds."""
    ### BEGIN SOLUTION

    def reached(way, seed):
        accuracies, took = run(way, seed)
        done = np.sum(np.cumsum(took) <= seconds)
        return np.array([accuracies[passes - 1], accuracies[done - 1] if done else chance])

    return np.mean([reached("two-stage", s) - reached("single", s) for s in seeds], axis=0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-09-6", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("09.6", leads)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("09.6", leads)
### END HIDDEN TESTS

# %% [markdown]
# ## Where you stand

# %%
overview("09")
