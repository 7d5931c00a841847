# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exercises 01 · What transfers
#
# Five tasks on chapter 01, the easy ones first. Replace each line `... # your code here`, run the
# cell, and run the check below it. `hint("01.1")` helps a little, and more each time;
# `solution("01.1")` shows one way of many. Before transfer can help or hurt, the comparison has to
# be fair, and that is what they are about.

# %%
import numpy as np
from scipy import stats

from tlcourse.exercises import check, hint, overview, solution

overview("01")

# %% [markdown]
# ## 01.1 · A class that is missing (predict, 8 minutes)
#
# There are 10 classes, all equally frequent. You label 20 images that are drawn blindly. In what
# percentage of such draws is at least one class missing?
#
# First write your guess. Then write `missing`, which measures it by drawing: `draws` times,
# `labels` labels of `classes` classes; `seed` decides the chance.

# %% nbgrader={"grade": false, "grade_id": "task-01-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
guess = None  # percent


def missing(classes, labels, draws, seed):
    """Percent of draws in which at least one class is missing."""
    ### BEGIN SOLUTION
    rng = np.random.default_rng(seed)
    found = [len(np.unique(rng.integers(0, classes, labels))) < classes for _ in range(draws)]
    return 100 * np.mean(found)
    ### END SOLUTION


### BEGIN SOLUTION
guess = 20
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-01-1", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("01.1", (guess, missing))
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("01.1", (guess, missing))
### END HIDDEN TESTS

# %% [markdown]
# ## 01.2 · A fair handful (write, 12 minutes)
#
# `labels` is an array of classes. Write `subset`, which picks `n` examples and returns their
# numbers, an array of whole numbers. `n` is a multiple of the number of classes.
#
# - Each class gets the same number of examples, and none comes twice.
# - `seed` decides which; the same seed gives the same ones.
# - Subsets are nested: with one seed, the examples for a small `n` are among those for a larger one.
# - NumPy's global random state stays as it is.


# %% nbgrader={"grade": false, "grade_id": "task-01-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def subset(labels, n, seed):
    """The numbers of `n` examples, equally many of each class."""
    ### BEGIN SOLUTION
    rng = np.random.default_rng(seed)
    classes = np.unique(labels)
    orders = [rng.permutation(np.flatnonzero(labels == c)) for c in classes]
    return np.concatenate([order[: n // len(classes)] for order in orders])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-01-2", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("01.2", subset)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("01.2", subset)
### END HIDDEN TESTS

# %% [markdown]
# ## 01.3 · The first hundred (find the bug, 6 minutes)
#
# A curve of accuracy against the number of labels, from a well-known text, takes its labels with
# this function:


# %%
def take(x, y, n, seed):
    return x[:n], y[:n]


# %% [markdown]
# Mend it, for data that is stored in any order. The seed decides which `n` examples are taken;
# leave `x` and `y` as they are.


# %% nbgrader={"grade": false, "grade_id": "task-01-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def take_mended(x, y, n, seed):
    """`n` images and their labels, drawn from all of them."""
    ### BEGIN SOLUTION
    order = np.random.default_rng(seed).permutation(len(x))[:n]
    return x[order], y[order]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-01-3", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("01.3", take_mended)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("01.3", take_mended)
### END HIDDEN TESTS

# %% [markdown]
# ## 01.4 · Images that were seen before (find the bug, 10 minutes)
#
# Some training images are exact copies of test images. This function is meant to take them out of
# the training set.


# %%
def unseen(train, test):
    pairs = zip(train, test, strict=False)
    return np.array([one for one, other in pairs if not np.array_equal(one, other)])


# %% [markdown]
# Mend it. Return the training images that are no copy of any test image, in their order. An image
# that occurs twice in training, and not in the test set, stays twice.


# %% nbgrader={"grade": false, "grade_id": "task-01-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def unseen_mended(train, test):
    """The training images that are not in the test set."""
    ### BEGIN SOLUTION
    known = {image.tobytes() for image in test}
    return np.array([image for image in train if image.tobytes() not in known])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-01-4", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("01.4", unseen_mended)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("01.4", unseen_mended)
### END HIDDEN TESTS

# %% [markdown]
# ## 01.5 · Helps, hurts, cannot tell (design an experiment, 12 minutes)
#
# `transfer` and `scratch` are two lists of test accuracies. Entry by entry they share the seed: the
# same labels, the same test images. Write the verdict: `"helps"` or `"hurts"` if the 95 % interval
# of the mean difference, by Student's t, lies on one side of 0, and `"cannot tell"` otherwise.
# `scipy.stats` is imported as `stats`.


# %% nbgrader={"grade": false, "grade_id": "task-01-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def verdict(transfer, scratch):
    """Whether transfer helps, hurts, or cannot be told."""
    ### BEGIN SOLUTION
    differences = np.subtract(transfer, scratch)
    n = len(differences)
    half = stats.t.ppf(0.975, n - 1) * differences.std(ddof=1) / np.sqrt(n)
    if differences.mean() > half:
        return "helps"
    return "hurts" if differences.mean() < -half else "cannot tell"
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-01-5", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("01.5", verdict)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("01.5", verdict)
### END HIDDEN TESTS

# %% [markdown]
# ## Where you stand

# %%
overview("01")
