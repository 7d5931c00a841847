"""Small things on which a mechanism shows in a moment: networks of random weights, an Adam."""


def pyramid(widths=(8, 16, 32, 64, 128)):
    """A backbone of convolutions, each with more channels than the one before.

    Args:
        widths: the channels of each convolution.

    Returns:
        A built `keras.Sequential` of one layer for each width, for images of shape (16, 16, 3).
    """
    import keras

    layers = [
        keras.layers.Conv2D(width, 3, padding="same", activation="relu", name=f"conv{i}")
        for i, width in enumerate(widths, 1)
    ]
    return keras.Sequential([keras.Input((16, 16, 3)), *layers], name="pyramid")


def backbone(width: int = 4):
    """A backbone of two blocks with BatchNormalization, for images of shape (8, 8, 3).

    Returns:
        A functional `keras.Model` named "backbone", to maps of shape (4, 4, 2 * width).
    """
    import keras

    inputs = x = keras.Input((8, 8, 3))
    for block, (channels, stride) in enumerate(((width, 1), (2 * width, 2)), 1):
        x = keras.layers.Conv2D(
            channels, 3, stride, padding="same", use_bias=False, name=f"block{block}_conv"
        )(x)
        x = keras.layers.BatchNormalization(name=f"block{block}_bn")(x)
        x = keras.layers.Activation("relu", name=f"block{block}_relu")(x)
    return keras.Model(inputs, x, name="backbone")


def images(count: int, size: int = 8, seed: int = 0):
    """Random images and labels of three classes.

    Returns:
        Float32 images (count, size, size, 3) from 0 to 1 and int64 labels (count,).
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    return rng.random((count, size, size, 3), "float32"), rng.integers(0, 3, count)


class Adam:
    """Adam on one number.

    Args:
        rate: the learning rate.

    Example:
        >>> round(Adam(0.1).change(5.0), 6)
        -0.1
    """

    def __init__(self, rate):
        self.rate, self.m, self.v, self.t = rate, 0.0, 0.0, 0

    def change(self, gradient):
        """What to add to the number at this gradient."""
        self.t += 1
        self.m = 0.9 * self.m + 0.1 * gradient
        self.v = 0.999 * self.v + 0.001 * gradient**2
        m, v = self.m / (1 - 0.9**self.t), self.v / (1 - 0.999**self.t)
        return -self.rate * m / (v**0.5 + 1e-12)
