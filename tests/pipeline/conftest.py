"""A backbone of a few hundred parameters in the place of a real one, and pictures it can tell."""

import pytest
from PIL import Image

from tlcourse.models import build
from tlcourse.pipeline import TransferLearningPipeline

# A script for another process: the same toys there.
TOYS = """
import sys
import keras
import numpy as np
from keras import layers
from tlcourse.models import build
from tlcourse.pipeline import TransferLearningPipeline

def backbone(facts, weights, input_shape):
    inputs = layers.Input(input_shape)
    x = layers.Conv2D(4, 3, 2, padding="same", name="stem_conv")(inputs)
    x = layers.BatchNormalization(name="stem_bn")(x)
    x = layers.ReLU(name="stem_relu")(x)
    x = layers.Conv2D(6, 3, padding="same", name="block1_conv")(x)
    x = layers.BatchNormalization(name="block1_bn")(x)
    x = layers.ReLU(name="block1_relu")(x)
    x = layers.Conv2D(8, 3, padding="same", name="top_conv")(x)
    return keras.Model(inputs, layers.ReLU(name="top_relu")(x), name="toy")

def pictures(count=60, side=16, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(count) % 3
    noise = rng.integers(0, 60, (count, side, side, channels))
    return (noise + 90 * y[:, None, None, None]).clip(0, 255).astype("uint8"), y

build.load_backbone = backbone
"""
_toys: dict = {}
exec(TOYS.replace("build.load_backbone = backbone", ""), _toys)


@pytest.fixture
def toys():
    """The source text of the toys, for a script of its own."""
    return TOYS


@pytest.fixture
def pictures():
    """`pictures(count, side, channels, seed)`: `(x, y)`, three classes of different brightness."""
    return _toys["pictures"]


@pytest.fixture
def pipeline(monkeypatch):
    """`pipeline(**settings)` on the toy backbone."""
    monkeypatch.setattr(build, "load_backbone", _toys["backbone"])

    def make(**settings):
        chosen = {"size": 16, "weights": None, "batch_size": 16, "epochs": 2}
        return TransferLearningPipeline(**(chosen | settings))

    return make


@pytest.fixture
def folder(tmp_path, pictures):
    """`folder(count, …)`: the toy pictures as files in class folders."""

    def make(count=60, side=16, name="shades", names=("dark", "grey", "light"), seed=0):
        for i, (x, y) in enumerate(zip(*pictures(count, side, seed=seed), strict=True)):
            place = tmp_path / name / names[y]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(x).save(place / f"{i:04d}.png")
        return tmp_path / name

    return make
