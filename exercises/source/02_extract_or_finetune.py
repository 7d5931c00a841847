# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exercises 02 · Feature extraction or fine-tuning?
#
# Five tasks on chapter 02, the easy ones first. Replace each line `...  # your code here` by your
# own code, run the cell, and run the check below it. A check runs your code on cases with known
# answers, so it takes every correct way of writing it. `hint("02.1")` helps a little, and more each
# time; `solution("02.1")` shows one way. What you solved is remembered on this computer only. The
# networks are toys with random weights: nothing here waits for training.

# %%
import keras
import numpy as np

from tlcourse.exercises import check, hint, overview, solution, toys

overview("02")

# %% [markdown]
# ## 02.1 · Half the layers (predict, 6 minutes)
#
# `toys.pyramid()` is a network of five convolutions with 8, 16, 32, 64 and 128 channels. You freeze
# the first half of its layers, rounded down. What percentage of its parameters can still train?
#
# First write your guess. Then write `share_left`, which measures it for any Keras model with a list
# of `layers`: the first `share` of them, `int(share * number of layers)`, is frozen; return the
# percentage of **all** parameters that lies in the others.

# %% nbgrader={"grade": false, "grade_id": "task-02-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
guess = None  # percent


def share_left(model, share):
    """Percent of a model's parameters behind its first `share` of layers."""
    ### BEGIN SOLUTION
    cut = int(share * len(model.layers))
    left = sum(layer.count_params() for layer in model.layers[cut:])
    return 100 * left / model.count_params()
    ### END SOLUTION


### BEGIN SOLUTION
guess = 50
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-02-1", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("02.1", (guess, share_left))
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("02.1", (guess, share_left))
### END HIDDEN TESTS

# %% [markdown]
# ## 02.2 · A head on a frozen backbone (write, 8 minutes)
#
# Write the model of feature extraction. `backbone` is a Keras model from images to maps; you get it
# pretrained, and training must not change it. Return a model from images to `classes`
# probabilities: one number for each channel, the mean of its map, and one Dense layer on them.


# %% nbgrader={"grade": false, "grade_id": "task-02-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def feature_extractor(backbone, classes):
    """A model that trains only its head."""
    ### BEGIN SOLUTION
    backbone.trainable = False
    return keras.Sequential(
        [
            backbone,
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-02-2", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("02.2", feature_extractor)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("02.2", feature_extractor)
### END HIDDEN TESTS

# %% [markdown]
# ## 02.3 · Pay for the backbone once (write, 10 minutes)
#
# Most tutorials run a frozen backbone in every epoch. Write the loop that does not.
#
# - `extract(images)` gives their features, one row for each image. It is dear.
# - `step(features, labels)` trains the head on one batch. It is cheap, and returns nothing.
#
# Train for `epochs` epochs. Each one sees every image once, in a new order, in batches of `batch`;
# the last batch may be smaller. `seed` decides the orders. Nothing is returned.


# %% nbgrader={"grade": false, "grade_id": "task-02-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_head(extract, step, x, y, epochs, batch, seed):
    """Train a head without running the backbone twice on an image."""
    ### BEGIN SOLUTION
    rng = np.random.default_rng(seed)
    features = extract(x)
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for start in range(0, len(x), batch):
            part = order[start : start + batch]
            step(features[part], y[part])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-02-3", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("02.3", train_head)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("02.3", train_head)
### END HIDDEN TESTS

# %% [markdown]
# ## 02.4 · Fine-tuning that never was (find the bug, 10 minutes)
#
# This function is meant to train the head first and then to fine-tune everything. It runs, the loss
# falls, and it does not do what it says.


# %%
def fine_tune(model, backbone, x, y):
    backbone.trainable = False
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=1, verbose=0)  # the head
    backbone.trainable = True
    model.fit(x, y, epochs=1, verbose=0)  # fine-tuning


# %% [markdown]
# Copy it, and mend it: two calls of `fit`; in the first only the head learns; in the second
# everything does, at a learning rate that suits a pretrained backbone.


# %% nbgrader={"grade": false, "grade_id": "task-02-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fine_tune_mended(model, backbone, x, y):
    """The head first, then everything."""
    ### BEGIN SOLUTION
    backbone.trainable = False
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=1, verbose=0)
    backbone.trainable = True
    model.compile(keras.optimizers.Adam(1e-5), "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=1, verbose=0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-02-4", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("02.4", fine_tune_mended)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("02.4", fine_tune_mended)
### END HIDDEN TESTS

# %% [markdown]
# ## 02.5 · A fair comparison (design an experiment, 12 minutes)
#
# Does fine-tuning beat the head alone on `n` labels? You have
#
# - `subset(n, seed)`, which draws `n` labelled images `x, y`, others for each seed;
# - `run(way, x, y, seed)`, which trains `"head"` or `"fine-tune"` on them and returns the accuracy
#   on test images that are always the same; `seed` decides everything random in training.
#
# Write the experiment. Return a list with one number for each of the `seeds`: by how much
# fine-tuning was better, in a comparison in which nothing but the way differs. Each run costs
# minutes, so make no more of them than you need.


# %% nbgrader={"grade": false, "grade_id": "task-02-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gains(subset, run, n, seeds):
    """What fine-tuning gains over the head, for each seed."""
    ### BEGIN SOLUTION
    found = []
    for seed in seeds:
        x, y = subset(n, seed)
        found.append(run("fine-tune", x, y, seed) - run("head", x, y, seed))
    return found
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-02-5", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("02.5", gains)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("02.5", gains)
### END HIDDEN TESTS

# %% [markdown]
# ## Where you stand
#
# `solution("02.4")` and its like show one way of many. Compare it with yours: a shorter one may be
# either.

# %%
overview("02")
