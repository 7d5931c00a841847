"""Images with one channel, two or nine, for a network whose first convolution wants three."""

import keras
import numpy as np
from keras import layers


def channel_kernel(kernel: np.ndarray, channels: int) -> np.ndarray:
    """The kernel of a first convolution for another number of channels.

    Every new channel gets the sum of the old kernels over their channels, divided by the number of
    new ones. So an image of equal channels gives what its grey version, tripled, gave before; for
    one channel the two are the same arithmetic. This holds if all channels are scaled alike: with
    "caffe" or "torch" preprocessing, whose offsets differ by channel, triple the grey image.

    Args:
        kernel: `(height, width, channels now, filters)`.
        channels: how many the images have, 1 or more.

    Returns:
        float32 `(height, width, channels, filters)`.

    Raises:
        ValueError: another rank, or a number of channels that is none.

    Example:
        >>> kernel = np.arange(3.0).reshape(1, 1, 3, 1)
        >>> channel_kernel(kernel, 1).ravel().tolist(), channel_kernel(kernel, 2).ravel().tolist()
        ([3.0], [1.5, 1.5])
    """
    kernel = np.asarray(kernel)
    if kernel.ndim != 4:
        raise ValueError(
            f"The kernel has shape {kernel.shape}; a Conv2D has (height, width, channels, filters)."
        )
    if isinstance(channels, bool) or not isinstance(channels, int) or channels < 1:
        raise ValueError(f"The number of channels is {channels!r}; give a whole number from 1 on.")
    each = kernel.sum(axis=2, keepdims=True) / channels
    return np.repeat(each, channels, axis=2).astype("float32")


def adapt_channels(backbone: keras.Model, channels: int) -> keras.Model:
    """A backbone of the same weights that takes another number of channels.

    Args:
        backbone: from `load_backbone`, on model-ready inputs; it stays as it is.
        channels: how many the images have. Scale all of them as the backbone's mode says.

    Returns:
        A new headless model from `(N, H, W, channels)`, not trained any further. Its first
        convolution has the kernel of `channel_kernel`, everything else is copied.

    Raises:
        ValueError: something other than padding stands before the first convolution, so that the
            channels cannot be exchanged there; or a number of channels that is none.
    """
    first = _first_convolution(backbone)
    kernel = channel_kernel(keras.ops.convert_to_numpy(first.kernel), channels)
    inputs = keras.Input((*backbone.input_shape[1:3], channels), name="model_ready_images")
    copy = keras.models.clone_model(backbone, input_tensors=inputs)
    for new, old in zip(copy.layers, backbone.layers, strict=True):
        weights = old.get_weights()
        if weights:
            new.set_weights([kernel, *weights[1:]] if old is first else weights)
    return copy


def _first_convolution(backbone: keras.Model) -> layers.Conv2D:
    for layer in backbone.layers:
        if isinstance(layer, layers.InputLayer | layers.ZeroPadding2D):
            continue
        if isinstance(layer, layers.Conv2D) and layer.groups == 1:
            return layer
        raise ValueError(
            f"{backbone.name} begins with {type(layer).__name__} {layer.name!r}, not with a "
            "convolution, so its channels cannot be exchanged here; triple or pick channels "
            "before it."
        )
    raise ValueError(f"{backbone.name} has no convolution.")
