"""A toy classifier with a nested backbone, and images that it can learn."""

import keras
import numpy as np
import pytest
from keras import layers

from tlcourse import freezing, training

CLASSES = 3


def toy_backbone(extra=None):
    """Four blocks, one of them with a skip connection; `extra` is put behind the stem."""
    inputs = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="stem_conv")(inputs)
    x = layers.BatchNormalization(name="stem_bn")(x)
    x = layers.ReLU(name="stem_relu")(x)
    x = extra(x) if extra else x
    main = layers.Conv2D(4, 3, padding="same", name="block1_conv")(x)
    main = layers.BatchNormalization(name="block1_bn")(main)
    x = layers.Add(name="block1_add")([main, x])
    x = layers.Conv2D(6, 3, padding="same", name="block2_conv")(x)
    x = layers.BatchNormalization(name="block2_bn")(x)
    x = layers.Conv2D(5, 1, name="top_conv")(x)
    return keras.Model(inputs, layers.ReLU(name="top_relu")(x), name="base")


def toy_classifier(extra=None, dropout=0.0):
    keras.utils.set_random_seed(3)
    inputs = layers.Input((8, 8, 3))
    x = layers.Rescaling(1 / 255, name="preprocessing")(inputs)
    x = toy_backbone(extra)(x)
    x = layers.GlobalAveragePooling2D(name="pooling")(x)
    x = layers.Dropout(dropout, name="dropout")(x) if dropout else x
    return keras.Model(inputs, layers.Dense(CLASSES, "softmax", name="head")(x))


def copies(model):
    return {path: value.copy() for path, value in freezing.snapshot(model).values.items()}


@pytest.fixture
def backbone():
    return toy_backbone


@pytest.fixture
def classifier():
    return toy_classifier


@pytest.fixture
def weights():
    """Copies of a model's weights by path, to compare with later."""
    return copies


@pytest.fixture(scope="module")
def images():
    """Three classes that differ in the brightness of one channel, 20 of each."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % CLASSES
    x = rng.uniform(0, 120, (60, 8, 8, 3)).astype("float32")
    x[np.arange(60), :, :, y] += 100
    return x, y


@pytest.fixture
def tuned():
    """Fine-tune a fresh toy classifier; give it and its history."""

    class Seed(keras.callbacks.Callback):
        """Seeds once more where training begins: PyTorch's loader draws in `predict`, too."""

        def on_train_begin(self, logs=None):
            keras.utils.set_random_seed(7)

    def run(images, cache, **settings):
        model = toy_classifier(dropout=settings.pop("dropout", 0.0))
        keras.utils.set_random_seed(7)
        settings = {"learning_rate": 0.05, "optimizer": "sgd", "epochs": 3, **settings}
        settings["callbacks"] = (Seed(), *settings.get("callbacks", ()))
        history = training.fine_tune(model, *images, batch_size=16, cache=cache, **settings)
        return model, history

    return run
