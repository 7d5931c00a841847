# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exercises 05 · Which layers to freeze
#
# Six tasks on chapter 05, the easy ones first. Replace each line `... # your code here`, run the
# cell, and run the check below it. `hint("05.1")` helps a little, and more each time;
# `solution("05.1")` shows one way of many. The networks are toys, and some are only lists of names:
# nothing here waits for training.

# %%
import keras
import numpy as np

from tlcourse.exercises import check, hint, overview, solution

overview("05")

# %% [markdown]
# ## 05.1 · How fast statistics drift (predict, 6 minutes)
#
# BatchNormalization keeps a running mean of each channel. In training, each batch pulls it: `mean =
# momentum * mean + (1 - momentum) * batch_mean`. Keras' momentum is 0.99.
#
# You forget to freeze it and train on other images, whose batches all have a mean of 1 where the
# pretrained mean was 0. After 100 batches, what percentage of the way from 0 to 1 has the running
# mean gone?
#
# First write your guess. Then write `way_gone`, which works it out for any momentum and number of
# batches.

# %% nbgrader={"grade": false, "grade_id": "task-05-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
guess = None  # percent


def way_gone(momentum, batches):
    """Percent of the way to the new mean after so many batches."""
    ### BEGIN SOLUTION
    mean = 0.0
    for _ in range(batches):
        mean = momentum * mean + (1 - momentum) * 1.0
    return 100 * mean
    ### END SOLUTION


### BEGIN SOLUTION
guess = 10
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-05-1", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("05.1", (guess, way_gone))
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("05.1", (guess, way_gone))
### END HIDDEN TESTS

# %% [markdown]
# ## 05.2 · A name that matches nothing (write, 8 minutes)
#
# `model.layers` is a list of layers, from input to output, and each has a `name` and `trainable`.
# Write the helper that freezes all layers before the first one whose name starts with `prefix`, and
# makes this one and all after it trainable, whatever they were before.
#
# Helpers of this kind often take any string and freeze by accident. Yours raises a `ValueError` if
# no name starts so, and then changes nothing.


# %% nbgrader={"grade": false, "grade_id": "task-05-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def freeze_until(model, prefix):
    """Freeze the layers before the first whose name starts with `prefix`."""
    ### BEGIN SOLUTION
    starts = [layer.name.startswith(prefix) for layer in model.layers]
    if not any(starts):
        raise ValueError(f"No layer's name starts with {prefix!r}.")
    first = starts.index(True)
    for index, layer in enumerate(model.layers):
        layer.trainable = index >= first
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-05-2", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("05.2", freeze_until)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("05.2", freeze_until)
### END HIDDEN TESTS

# %% [markdown]
# ## 05.3 · Statistics that drift (find the bug, 10 minutes)
#
# This function is meant to open a frozen backbone for fine-tuning and to leave every
# BatchNormalization frozen. It freezes none.


# %%
def unfreeze(backbone):
    for layer in backbone.layers:
        if "bn" in layer.name:
            layer.trainable = False
    backbone.trainable = True


# %% [markdown]
# Mend it. Backbones may hold other models, with layers of their own, and their layers may have any
# name. Nothing has to be returned.


# %% nbgrader={"grade": false, "grade_id": "task-05-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def unfreeze_mended(backbone):
    """Open everything but BatchNormalization."""

    ### BEGIN SOLUTION
    def keep_frozen(model):
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False
            elif hasattr(layer, "layers"):
                keep_frozen(layer)

    backbone.trainable = True
    keep_frozen(backbone)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-05-3", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("05.3", unfreeze_mended)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("05.3", unfreeze_mended)
### END HIDDEN TESTS

# %% [markdown]
# ## 05.4 · Run the cell again (find the bug, 8 minutes)
#
# This one is meant to leave exactly the last `n` blocks trainable. It works the first time. In a
# notebook, cells are run again.


# %%
def open_last(blocks, n):
    for block in blocks[-n:]:
        block.trainable = True


# %% [markdown]
# Mend it: whatever was called before, the last `n` blocks are trainable afterwards and the others
# are frozen. `n` runs from 0 to the number of blocks.


# %% nbgrader={"grade": false, "grade_id": "task-05-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def open_last_mended(blocks, n):
    """Leave exactly the last `n` blocks trainable."""
    ### BEGIN SOLUTION
    for index, block in enumerate(blocks):
        block.trainable = index >= len(blocks) - n
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-05-4", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("05.4", open_last_mended)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("05.4", open_last_mended)
### END HIDDEN TESTS

# %% [markdown]
# ## 05.5 · Freeze every convolution (find the bug, 8 minutes)
#
# This function is meant to freeze all convolutions of a model and to leave everything else as it
# is. On MobileNetV2 it leaves 17 of them open.


# %%
def freeze_convolutions(model):
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.trainable = False


# %% [markdown]
# Mend it, for two-dimensional convolutions of every kind, also inside nested models.


# %% nbgrader={"grade": false, "grade_id": "task-05-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def freeze_convolutions_mended(model):
    """Freeze all convolutions, and nothing else."""
    ### BEGIN SOLUTION
    kinds = (
        keras.layers.Conv2D,
        keras.layers.Conv2DTranspose,
        keras.layers.DepthwiseConv2D,
        keras.layers.SeparableConv2D,
    )
    for layer in model.layers:
        if hasattr(layer, "layers"):
            freeze_convolutions_mended(layer)
        elif isinstance(layer, kinds):
            layer.trainable = False
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-05-5", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("05.5", freeze_convolutions_mended)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("05.5", freeze_convolutions_mended)
### END HIDDEN TESTS

# %% [markdown]
# ## 05.6 · Which depth? (design an experiment, 12 minutes)
#
# How many blocks should be trainable? You have
#
# - `depths` and `seeds`, two lists;
# - `fit(depth, seed)`, which trains and returns a model;
# - `validate(model)` and `test(model)`, its accuracies on validation images and on test images.
#
# Write the experiment that chooses a depth and reports how good it is on images that had no part in
# the choice. Return the depth and its test accuracy, for one seed or as the mean over the seeds.


# %% nbgrader={"grade": false, "grade_id": "task-05-6", "locked": false, "schema_version": 3, "solution": true, "task": false}
def choose_depth(depths, seeds, fit, validate, test):
    """The best depth, and its test accuracy."""
    ### BEGIN SOLUTION
    models = {depth: [fit(depth, seed) for seed in seeds] for depth in depths}
    means = {depth: np.mean([validate(m) for m in models[depth]]) for depth in depths}
    best = max(means, key=means.get)
    return best, np.mean([test(model) for model in models[best]])
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-05-6", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("05.6", choose_depth)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("05.6", choose_depth)
### END HIDDEN TESTS

# %% [markdown]
# ## Where you stand

# %%
overview("05")
