"""Rotation pretext: learn features from unlabelled images by naming how they were turned."""

import keras
import numpy as np
from keras import layers

from tlcourse import training


def quarter_turns(images: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Turn each image by its own number of quarter turns, counter-clockwise.

    Args:
        images: `(N, H, H, C)`, square.
        turns: whole numbers `(N,)`.

    Returns:
        A new array of the same shape and dtype.

    Raises:
        ValueError: images that are not square, or turns that do not match them.

    Example:
        >>> image = np.array([[1, 2], [3, 4]]).reshape(1, 2, 2, 1)
        >>> quarter_turns(image, np.array([1]))[0, ..., 0].tolist()
        [[2, 4], [1, 3]]
    """
    images, turns = np.asarray(images), np.asarray(turns)
    if images.ndim != 4 or images.shape[1] != images.shape[2]:
        raise ValueError(
            f"The images have shape {images.shape}; only square ones (N, H, H, C) keep their shape "
            "when they are turned."
        )
    if turns.shape != (len(images),) or not np.issubdtype(turns.dtype, np.integer):
        raise ValueError(
            f"{len(images)} images do not match turns {turns.dtype} {turns.shape}; give one whole "
            "number for each."
        )
    turned = np.empty_like(images)
    for k in range(4):
        mine = turns % 4 == k
        turned[mine] = np.rot90(images[mine], k, axes=(1, 2))
    return turned


class Rotations:
    """A classifier, and beside it a head that names how an image was turned.

    Both stand on the same features, so that what the pretext teaches is there when the labels
    come. Made once; each `learn` starts the features from the weights that they had then.

    Args:
        model: a Functional classifier on square images.
        features: the name of the layer `(N, D)` on which the new head stands.

    Raises:
        ValueError: no such layer, or features that are not `(N, D)`.

    Source: Gidaris, Singh and Komodakis, 2018 (https://arxiv.org/abs/1803.07728).
    """

    def __init__(self, model: keras.Model, features: str = "hidden"):
        tensor = model.get_layer(features).output
        if len(tensor.shape) != 2:
            raise ValueError(
                f"The layer {features!r} gives shape {tuple(tensor.shape)}; the rotation head "
                "takes features (N, D)."
            )
        head = layers.Dense(4, "softmax", dtype="float32", name="rotation_head")
        self.model = model
        self.turned = keras.Model(model.input, head(tensor), name=f"{model.name}-rotations")
        self.start = self.turned.get_weights()

    def learn(
        self,
        images: np.ndarray,
        *,
        steps: int,
        learning_rate: float = 1e-3,
        batch_size: int = 64,
        seed: int = 0,
        jitter: int = 0,
        meaningless: bool = False,
    ) -> training.History:
        """Start afresh and learn to name the turns of unlabelled images.

        Each image is turned anew every time it comes up, instead of keeping all four turns of all
        images. Memory grows with the steps, one image of pixels for each that is shown.

        Args:
            images: raw pixels `(N, H, H, C)`, 0-255.
            steps: gradient steps, 1 or more.
            learning_rate: of Adam, above zero.
            batch_size: images in a step.
            seed: of order and turns.
            jitter: the most pixels by which a turned image is shifted at random, up or down and
                left or right; what leaves on one side comes back on the other. With 0, images that
                do not lie quite in the middle give their turn away by their place, and that is
                then all that the network learns.
            meaningless: give each turned image the name of a random turn. It is the control: as
                many steps over the same pixels, with nothing in them to learn.

        Returns:
            The `History`.

        Raises:
            ValueError: numbers that are not positive, or images that are not square.
        """
        if steps < 1 or batch_size < 1:
            raise ValueError(f"{steps} steps of {batch_size} images; give 1 or more of each.")
        rng = np.random.default_rng(seed)
        order = rng.integers(len(images), size=steps * batch_size)
        turns = rng.integers(4, size=len(order))
        turned = _shifted(quarter_turns(images[order], turns), jitter, rng)
        named = rng.permutation(turns) if meaningless else turns
        self.turned.set_weights(self.start)
        return training.train(
            self.turned, turned, named, epochs=1, learning_rate=learning_rate,
            batch_size=batch_size, shuffle=False, stage="rotations",
        )  # fmt: skip

    def accuracy(self, images: np.ndarray, jitter: int = 0, seed: int = 0) -> np.ndarray:
        """For each image the share of its four turns that are named rightly, `(N,)`.

        Args:
            images: raw pixels `(N, H, H, C)`, 0-255.
            jitter, seed: shift the turned images, as in `learn`.
        """
        rng = np.random.default_rng(seed)
        hits = []
        for k in range(4):
            turned = _shifted(quarter_turns(images, np.full(len(images), k)), jitter, rng)
            said = self.turned.predict(turned, batch_size=250, verbose=0)
            hits.append(said.argmax(axis=1) == k)
        return np.mean(hits, axis=0)


def _shifted(images: np.ndarray, most: int, rng) -> np.ndarray:
    """Each image shifted by up to `most` pixels each way."""
    if isinstance(most, bool) or not isinstance(most, int) or most < 0:
        raise ValueError(f"The jitter is {most!r}; give a whole number of pixels, 0 or more.")
    offsets = rng.integers(-most, most + 1, size=(len(images), 2)) if most else ()
    shifted = images.copy() if most else images
    for pair in np.unique(offsets, axis=0) if most else ():
        mine = (offsets == pair).all(axis=1)
        shifted[mine] = np.roll(images[mine], pair, axis=(1, 2))
    return shifted
