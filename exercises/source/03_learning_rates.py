# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exercises 03 · Learning rates
#
# Six tasks on chapter 03, the easy ones first. Replace each line `... # your code here`, run the
# cell, and run the check below it. `hint("03.1")` helps a little, and more each time;
# `solution("03.1")` shows one way of many. Everything here is arithmetic: nothing waits for
# training.

# %%
import math

import numpy as np

from tlcourse.exercises import check, hint, overview, solution

overview("03")

# %% [markdown]
# ## 03.1 · The first step of Adam (predict, 8 minutes)
#
# Two weights get their first gradients: 2.1 and 0.0021. How many times as large is the first step
# that Adam makes for the first weight, compared with the second?
#
# First write your guess. Then write `first_step`: by how much the weight changes. Adam keeps `m`, a
# running mean of the gradients (it keeps 0.9 of the old), and `v`, one of their squares (0.999).
# Both start at 0, so both are corrected: `m` is divided by `1 - 0.9` and `v` by `1 - 0.999` in the
# first step. The change is `-rate * m / (sqrt(v) + 1e-7)`.

# %% nbgrader={"grade": false, "grade_id": "task-03-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
guess = None  # times


def first_step(gradient, rate):
    """By how much Adam changes a weight in its first step."""
    ### BEGIN SOLUTION
    m = (1 - 0.9) * gradient / (1 - 0.9)
    v = (1 - 0.999) * gradient**2 / (1 - 0.999)
    return -rate * m / (math.sqrt(v) + 1e-7)
    ### END SOLUTION


### BEGIN SOLUTION
guess = 1000
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-03-1", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("03.1", (guess, first_step))
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("03.1", (guess, first_step))
### END HIDDEN TESTS

# %% [markdown]
# ## 03.2 · Warm up, then cool down (write, 10 minutes)
#
# Write the schedule that most fine-tuning uses today. In the first `warmup` steps the rate rises
# along a straight line: `peak / warmup` in step 0, `peak` in step `warmup - 1`. Then it falls along
# half a wave of a cosine: `peak` in step `warmup`, 0 in step `total`. A `warmup` of 0 means that
# there is none.


# %% nbgrader={"grade": false, "grade_id": "task-03-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rate_at(step, warmup, total, peak):
    """The learning rate of a step."""
    ### BEGIN SOLUTION
    if step < warmup:
        return peak * (step + 1) / warmup
    gone = (step - warmup) / (total - warmup)
    return peak * (1 + math.cos(math.pi * gone)) / 2
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-03-2", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("03.2", rate_at)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("03.2", rate_at)
### END HIDDEN TESTS

# %% [markdown]
# ## 03.3 · The rate that compounds (find the bug, 8 minutes)
#
# `keras.callbacks.LearningRateScheduler` calls a function before each epoch, with the number of the
# epoch and the rate that is set at the moment. This one is meant to train at 0.001 in epochs 0 to
# 4, at 0.0002 in epochs 5 to 9, and at 0.00004 from epoch 10 on.


# %%
def schedule(epoch, rate):
    if epoch < 5:
        return rate
    if epoch < 10:
        return rate * 0.2
    return rate * 0.04


# %% [markdown]
# It does not. Mend it, so that it is also right for training that was killed and goes on at some
# epoch.


# %% nbgrader={"grade": false, "grade_id": "task-03-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def schedule_mended(epoch, rate):
    """0.001, then 0.0002 from epoch 5, then 0.00004 from epoch 10."""
    ### BEGIN SOLUTION
    if epoch < 5:
        return 1e-3
    return 2e-4 if epoch < 10 else 4e-5
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-03-3", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("03.3", schedule_mended)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("03.3", schedule_mended)
### END HIDDEN TESTS

# %% [markdown]
# ## 03.4 · A rate for each block (write, 6 minutes)
#
# Give each of `blocks` blocks its own rate, from input to output: the last one learns at `top`, and
# each block before it at `decay` times the rate of the next. Return a list.


# %% nbgrader={"grade": false, "grade_id": "task-03-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def block_rates(blocks, top, decay):
    """Discriminative learning rates, from input to output."""
    ### BEGIN SOLUTION
    return [top * decay ** (blocks - 1 - i) for i in range(blocks)]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-03-4", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("03.4", block_rates)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("03.4", block_rates)
### END HIDDEN TESTS

# %% [markdown]
# ## 03.5 · The brake that does nothing (find the bug, 10 minutes)
#
# A pretrained block is to learn `factor` times as fast as the head, say a tenth. `make_adam(rate)`
# makes an Adam for one weight, and its `change(gradient)` gives the change of each step. This
# function returns the changes for a list of gradients. The factor has no effect.


# %%
def slower(make_adam, rate, factor, gradients):
    adam = make_adam(rate)
    return [adam.change(factor * gradient) for gradient in gradients]


# %% [markdown]
# Mend it: each change is to be `factor` times what it would be at the full rate.


# %% nbgrader={"grade": false, "grade_id": "task-03-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def slower_mended(make_adam, rate, factor, gradients):
    """The changes of a weight that learns `factor` times as fast."""
    ### BEGIN SOLUTION
    adam = make_adam(factor * rate)
    return [adam.change(gradient) for gradient in gradients]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-03-5", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("03.5", slower_mended)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("03.5", slower_mended)
### END HIDDEN TESTS

# %% [markdown]
# ## 03.6 · Where is the best rate? (design an experiment, 12 minutes)
#
# `validate(rate, seed)` trains with a rate and a seed and returns the accuracy on validation
# images; `nan` means that training broke down. Write the experiment that finds the best rate, to
# within a factor of ten.
#
# Start with all `rates` you are given, each with all `seeds`. They may be badly chosen. Go on until
# you know that your best rate is better than one below and one above it. Return the rate.


# %% nbgrader={"grade": false, "grade_id": "task-03-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
def find_rate(rates, seeds, validate):
    """The rate with the best mean accuracy, with worse ones on both sides."""
    ### BEGIN SOLUTION
    means = {}

    def look(rate):
        scores = [validate(rate, seed) for seed in seeds]
        means[rate] = 0.0 if np.isnan(scores).any() else np.mean(scores)

    for rate in rates:
        look(rate)
    while True:
        best = max(means, key=means.get)
        if best == min(means):
            look(best / 10)
        elif best == max(means):
            look(best * 10)
        else:
            return best
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-03-6", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("03.6", find_rate)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("03.6", find_rate)
### END HIDDEN TESTS

# %% [markdown]
# ## Where you stand

# %%
overview("03")
