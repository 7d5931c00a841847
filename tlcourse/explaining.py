"""Where did the model look? Class activation maps of nested models."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops
from matplotlib.figure import Figure

from tlcourse import visualization
from tlcourse.freezing import structure
from tlcourse.models.scaling import resize_tensor


def grad_cam(
    model: keras.Model, images: np.ndarray, classes=None, batch_size: int = 16
) -> np.ndarray:
    """Mark the places of the last feature map that speak for a class.

    Each channel of the backbone's last map is weighted with the mean gradient of the class score,
    before the softmax, and what speaks against the class is cut off. With a head of global average
    pooling and one Dense layer the gradient is the layer's kernel, so no gradient is computed, and
    it works on every backend of Keras; other heads need TensorFlow.

    A map says where evidence was found. It does not say that the evidence is sound, and at 96
    pixels it has 3 by 3 places.

    Args:
        model: a classifier with a nested backbone, such as `build_classifier` gives.
        images: what the model takes, `(N, H, W, C)`.
        classes: the class number to explain, one for all or one each `(N,)`; None for the class
            that the model gives each image.
        batch_size: images in one step; the maps of all layers are kept meanwhile.

    Returns:
        float32 `(N, h, w)` from 0 to 1; each map is divided by its largest value, and one that
        holds no evidence is 0 everywhere.

    Raises:
        ValueError: the model has no nested backbone, a class number that it does not know, or a
            head that needs gradients where the backend is not TensorFlow.

    Source: Selvaraju et al., 2017 (https://arxiv.org/abs/1610.02391), who also show that it equals
    the maps of Zhou et al., 2016 (https://arxiv.org/abs/1512.04150), for such a head.
    """
    to_maps, head = split_at_maps(model)
    if classes is None:
        chosen = model.predict(images, batch_size=batch_size, verbose=0).argmax(axis=1)
    else:
        chosen = np.broadcast_to(np.asarray(classes, "int64"), (len(images),))
    known = model.output_shape[-1]
    if len(chosen) and not 0 <= chosen.min() <= chosen.max() < known:
        raise ValueError(f"The model has classes 0 to {known - 1}; explain one of these.")
    dense = _only_dense_after_pooling(head)
    found = []
    for start in range(0, len(images), batch_size):
        maps = ops.convert_to_numpy(to_maps(images[start : start + batch_size], training=False))
        maps, wanted = maps.astype("float32"), chosen[start : start + batch_size]
        if dense is not None:
            weights = ops.convert_to_numpy(dense.kernel).T[wanted]
        else:
            weights = class_gradients(model, maps, wanted).mean(axis=(1, 2))
        found.append(np.maximum(np.einsum("nhwc,nc->nhw", maps, weights), 0))
    maps = np.concatenate(found)
    highest = maps.max(axis=(1, 2), keepdims=True)
    return maps / np.where(highest > 0, highest, 1)


def split_at_maps(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Two models: from images to the nested backbone's last feature map, and on to the output.

    A nested backbone's own `output` belongs to another graph than the model's input, so
    `keras.Model(model.input, backbone.output)` fails; the place where the model calls it does not.

    Raises:
        ValueError: no nested backbone.
    """
    maps = _last_maps(model)
    return keras.Model(model.input, maps), keras.Model(maps, model.output)


def _last_maps(model: keras.Model):
    """What the nested backbone gives where the model calls it."""
    backbone = structure.find_backbone(model)
    for nodes in getattr(model, "_nodes_by_depth", {}).values():
        for node in nodes:
            if node.operation is backbone:
                return node.output_tensors[0]
    raise ValueError(
        f"{model.name} has no nested backbone whose feature map could be shown; build it with "
        "build_classifier."
    )


def _only_dense_after_pooling(head: keras.Model):
    """The Dense layer of a head that is pooling, dropout or none, and Dense; else None."""
    steps = [layer for layer in head.layers if not isinstance(layer, layers.InputLayer)]
    steps = [layer for layer in steps if not isinstance(layer, layers.Dropout)]
    if [type(layer) for layer in steps] == [layers.GlobalAveragePooling2D, layers.Dense]:
        return steps[1]
    return None


def class_gradients(model: keras.Model, maps: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Gradient of each image's class score, before the softmax, by its feature map.

    Args:
        model: a classifier with a nested backbone.
        maps: what the backbone says of the images, float32 `(N, h, w, channels)`.
        classes: class numbers `(N,)`.

    Returns:
        `(N, h, w, channels)`.

    Raises:
        ValueError: the backend is not TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "This head needs gradients, which are computed here with TensorFlow only; use a head "
            "of GlobalAveragePooling2D and one Dense layer, or KERAS_BACKEND=tensorflow."
        )
    import tensorflow as tf

    last, start = model.layers[-1], _last_maps(model)
    before, head = keras.Model(start, last.input), keras.Model(start, model.output)
    with tf.GradientTape() as tape:
        inputs = tf.convert_to_tensor(maps)
        tape.watch(inputs)
        if isinstance(last, layers.Dense) and last.activation is keras.activations.softmax:
            # The softmax's own gradient vanishes where the model is sure.
            scores = ops.matmul(before(inputs, training=False), last.kernel)
        else:
            scores = head(inputs, training=False)
        chosen = tf.gather(scores, classes, batch_dims=1)
    return tape.gradient(chosen, inputs).numpy()


def overlay(images: np.ndarray, maps: np.ndarray, strength: float = 0.6) -> np.ndarray:
    """Lay maps over images: where the map is high the image is lit, elsewhere it is dimmed.

    Brightness is safe for every kind of colour vision, and the image keeps its own colours.

    Args:
        images: raw pixels `(N, H, W, 1)` or `(N, H, W, 3)`, 0-255.
        maps: `(N, h, w)` from 0 to 1.
        strength: how far unlit places are dimmed, 0 to 1.

    Returns:
        uint8 `(N, H, W, C)`.
    """
    images = np.asarray(images)
    size = images.shape[1:3]
    large = ops.convert_to_numpy(resize_tensor(np.float32(maps)[..., None], size, "bilinear"))
    lit = images.astype("float32") * (1 - strength + strength * np.clip(large, 0, 1))
    return np.round(lit).astype("uint8")


def hide(
    images: np.ndarray, maps: np.ndarray, share: float = 0.3, lit: bool = True, fill=None
) -> np.ndarray:
    """Cover the places that a map marks: if it is right, the model needs them.

    A map that looks convincing is no evidence. Hide what it marks, hide as much of what it does
    not mark, and compare what each costs in accuracy.

    Args:
        images: raw pixels `(N, H, W, C)`, 0-255.
        maps: `(N, h, w)`; of equal values, some are drawn, the same ones in every call.
        share: of each image's pixels to cover, 0 to 1.
        lit: cover the highest places of the map, or else the lowest.
        fill: what covers them: a grey level 0-255, or None for the mean colour of each image.

    Returns:
        New images of the same shape and dtype.

    Raises:
        ValueError: a share outside 0 to 1, or not one map for each image.

    Source: the deletion test of Petsiuk et al., 2018 (https://arxiv.org/abs/1806.07421), at one
    share.

    Example:
        >>> image = np.arange(4, dtype="uint8").reshape(1, 2, 2, 1)
        >>> hide(image, np.array([[[0.0, 1.0], [0.0, 0.0]]]), 0.25, fill=9)[0, :, :, 0].tolist()
        [[0, 9], [2, 3]]
    """
    images, maps = np.asarray(images), np.asarray(maps)
    if not 0 <= share <= 1 or images.ndim != 4 or maps.ndim != 3 or len(images) != len(maps):
        raise ValueError(
            f"Got a share of {share}, images {images.shape} and maps {maps.shape}; give 0 to 1, "
            "(N, H, W, C) and (N, h, w)."
        )
    count, height, width, channels = images.shape
    large = ops.convert_to_numpy(
        resize_tensor(np.float32(maps)[..., None], (height, width), "bilinear")
    )
    height_of_each = large.reshape(count, -1) * (-1 if lit else 1)
    lots = np.random.default_rng(0).random(height_of_each.shape)
    order = np.lexsort((lots, height_of_each), axis=-1)[:, : round(share * height * width)]
    covered = images.reshape(count, -1, channels).copy()
    cover = covered.mean(axis=1, keepdims=True) if fill is None else np.float64(fill)
    if np.issubdtype(images.dtype, np.integer):
        cover = np.round(cover)
    rows = np.arange(count)[:, None]
    covered[rows, order] = np.broadcast_to(cover, (count, 1, channels)).astype(images.dtype)
    return covered.reshape(images.shape)


@dataclass(frozen=True, eq=False)
class Explanation:
    """Images, what was looked for, and where it was found.

    Attributes:
        images: raw pixels `(N, H, W, C)`, 0-255.
        maps: `(N, h, w)` from 0 to 1.
        names: the class that each map is about.
    """

    images: np.ndarray
    maps: np.ndarray
    names: tuple[str, ...]

    def plot(self, columns: int = 6) -> Figure:
        """The images, dimmed where nothing speaks for the class."""
        lit = overlay(self.images, self.maps)
        return visualization.image_grid(
            list(lit), self.names, columns, "Lit: what speaks for the class"
        )
