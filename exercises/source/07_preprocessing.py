# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exercises 07 · Preprocessing
#
# Five tasks on chapter 07, the easy ones first. Replace each line `... # your code here`, run the
# cell, and run the check below it. `hint("07.1")` helps a little, and more each time;
# `solution("07.1")` shows one way of many. Images are NumPy arrays of shape (images, height, width,
# 3), red, green, blue, 0 to 255, unless a task says otherwise.

# %%
import numpy as np

from tlcourse.exercises import check, hint, overview, solution

overview("07")

# %% [markdown]
# ## 07.1 · Divided once too often (predict, 6 minutes)
#
# A model brings its preprocessing along: its first layer computes `(x - 127) / 128`. You do not
# know that and divide by 255 before. How many times weaker is the contrast that the network sees,
# that is, the standard deviation of its inputs?
#
# First write your guess. Then write `times_weaker`, which measures it on images, for any two ways
# of preparing them; `right(images)` and `wrong(images)` prepare them.


# %%
def right(images):
    return (images - 127.0) / 128.0


def wrong(images):
    return right(images / 255.0)


# %% [markdown]
# Your turn:

# %% nbgrader={"grade": false, "grade_id": "task-07-1", "locked": false, "schema_version": 3, "solution": true, "task": false}
guess = None  # times


def times_weaker(images, right, wrong):
    """How many times weaker the contrast is if prepared wrongly."""
    ### BEGIN SOLUTION
    return right(images).std() / wrong(images).std()
    ### END SOLUTION


### BEGIN SOLUTION
guess = 2
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-07-1", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("07.1", (guess, times_weaker))
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("07.1", (guess, times_weaker))
### END HIDDEN TESTS

# %% [markdown]
# ## 07.2 · What VGG and ResNet50 want (write, 8 minutes)
#
# The weights of VGG16 and ResNet50 in Keras were trained on channels in the order blue, green, red,
# with the mean of each channel subtracted: 103.939 of blue, 116.779 of green, 123.68 of red. Write
# this preprocessing for RGB images of 8 bits or of floats. Return float32, and leave the images
# that came in as they are.


# %% nbgrader={"grade": false, "grade_id": "task-07-2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def prepare(images):
    """RGB images from 0 to 255, as VGG and ResNet50 want them."""
    ### BEGIN SOLUTION
    means = np.array([103.939, 116.779, 123.68], dtype="float32")
    return images.astype("float32")[..., ::-1] - means
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-07-2", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("07.2", prepare)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("07.2", prepare)
### END HIDDEN TESTS

# %% [markdown]
# ## 07.3 · Grey levels that wrap (find the bug, 8 minutes)
#
# EfficientNet-Lite wants `(x - 127) / 128`. On arrays of floats this function is right. On images
# of type uint8, the usual ones, it is not.


# %%
def centre(images):
    return (images - 127) / 128


# %% [markdown]
# Mend it:


# %% nbgrader={"grade": false, "grade_id": "task-07-3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def centre_mended(images):
    """(x - 127) / 128, for pixels of every type."""
    ### BEGIN SOLUTION
    return (images.astype("float32") - 127) / 128
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-07-3", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("07.3", centre_mended)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("07.3", centre_mended)
### END HIDDEN TESTS

# %% [markdown]
# ## 07.4 · Brightness that changes nothing (find the bug, 10 minutes)
#
# This augmentation is meant to make each image brighter or darker, by up to a tenth of the range,
# and another amount for each image. It was copied from code for images from 0 to 1.


# %%
def brightness(images, rng):
    return images + rng.uniform(-0.1, 0.1)


# %% [markdown]
# Mend it for images of type uint8. Return floats from 0 to 255, and draw with `rng`, a
# `numpy.random.Generator`.


# %% nbgrader={"grade": false, "grade_id": "task-07-4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def brightness_mended(images, rng):
    """Each image brighter or darker by up to a tenth of the range."""
    ### BEGIN SOLUTION
    shift = rng.uniform(-25.5, 25.5, (len(images), 1, 1, 1))
    return np.clip(images.astype("float32") + shift, 0, 255)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-07-4", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("07.4", brightness_mended)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("07.4", brightness_mended)
### END HIDDEN TESTS

# %% [markdown]
# ## 07.5 · The same image, prepared by two programs (design an experiment, 12 minutes)
#
# Training resized images with one library, the server resizes them with another. Does it matter?
# You have
#
# - `images`, without labels;
# - `train_resize(images)` and `serve_resize(images)`, which give images of the size that the network wants;
# - `predict(images)`, which gives probabilities, a row for each image.
#
# Write the measurement: the percentage of images for which the network names another class.


# %% nbgrader={"grade": false, "grade_id": "task-07-5", "locked": false, "schema_version": 3, "solution": true, "task": false}
def skew(images, train_resize, serve_resize, predict):
    """Percent of images whose class depends on the resizing."""
    ### BEGIN SOLUTION
    one = predict(train_resize(images)).argmax(axis=1)
    other = predict(serve_resize(images)).argmax(axis=1)
    return 100 * np.mean(one != other)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-07-5", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("07.5", skew)
### BEGIN HIDDEN TESTS
from tlcourse.exercises import require

require("07.5", skew)
### END HIDDEN TESTS

# %% [markdown]
# ## Where you stand

# %%
overview("07")
