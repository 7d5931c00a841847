"""Toy models whose answers are known by counting on fingers."""

import keras
import numpy as np
import pytest
from keras import layers


class InferenceOnly(layers.Layer):
    """The working form of `base(x, training=False)`: a layer whose `call` passes it on."""

    def __init__(self, base, **kwargs):
        super().__init__(**kwargs)
        self.base = base

    def call(self, inputs):
        return self.base(inputs, training=False)


def toy_backbone(name="base", side=8):
    """Three blocks of 64, 66 and 92 parameters."""
    inputs = layers.Input((side, side, 3))
    x = layers.Conv2D(2, 3, padding="same", name="stem_conv")(inputs)  # 56
    x = layers.BatchNormalization(name="stem_bn")(x)  # 8
    x = layers.ReLU(name="stem_relu")(x)
    main = layers.DepthwiseConv2D(3, padding="same", name="block1_dwconv")(x)  # 20
    main = layers.BatchNormalization(name="block1_dwbn")(main)  # 8
    main = layers.Conv2D(2, 3, padding="same", name="block1_conv")(main)  # 38
    x = layers.Add(name="block1_add")([main, x])
    x = layers.Conv2D(4, 3, padding="same", name="top_conv")(x)  # 76
    x = layers.BatchNormalization(name="top_bn")(x)  # 16
    return keras.Model(inputs, layers.ReLU(name="top_relu")(x), name=name)


def toy_classifier(call=None, activation="softmax"):
    """A head of 10 parameters on the toy backbone; `call` says how the backbone is called."""
    base = toy_backbone()
    inputs = layers.Input((8, 8, 3))
    x = call(base, inputs) if call else base(inputs)
    x = layers.GlobalAveragePooling2D(name="pooling")(x)
    return keras.Model(inputs, layers.Dense(2, activation, name="head")(x))


@pytest.fixture
def backbone():
    return toy_backbone


@pytest.fixture
def classifier():
    return toy_classifier


@pytest.fixture
def wrapper():
    return InferenceOnly


@pytest.fixture
def fit():
    """Compile if asked, and train one epoch of two batches on pixels that are not centred."""

    def run(model, compile=True, learning_rate=1e-2):
        generator = np.random.default_rng(0)
        images = generator.uniform(0, 4, (16, 8, 8, 3)).astype("float32")
        if compile:
            optimizer = keras.optimizers.Adam(learning_rate)
            model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
        model.fit(images, np.arange(16) % 2, batch_size=8, verbose=0)

    keras.utils.set_random_seed(0)
    return run


@pytest.fixture
def values():
    """Copies of some weights, to compare with later."""
    return lambda weights: [np.array(weight.numpy()) for weight in weights]
