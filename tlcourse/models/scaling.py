"""How pixels become what a backbone was trained on, and the layer that does it inside a model."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from tlcourse.models import table

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
INTERPOLATIONS = ("bilinear", "nearest", "bicubic")


@dataclass(frozen=True)
class Scaling:
    """One preprocessing mode: `(pixel - offset) / divisor`, channel by channel.

    Attributes:
        words: what it does, in words.
        formula: what it does, as people write it.
        offset: three numbers on the 0-255 scale, in the order of the output channels.
        divisor: three numbers, in the order of the output channels.
        bgr: whether red and blue change places first.
    """

    words: str
    formula: str
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    divisor: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bgr: bool = False

    def __call__(self, pixels):
        """Scale floats `(..., 3)`, RGB pixels 0-255, in a new array or tensor."""
        if isinstance(pixels, np.ndarray):
            pixels = pixels[..., ::-1] if self.bgr else pixels
            offset, divisor = (np.float32(value) for value in (self.offset, self.divisor))
            return (pixels - offset) / divisor
        pixels = ops.flip(pixels, axis=-1) if self.bgr else pixels
        offset, divisor = (ops.cast(value, pixels.dtype) for value in (self.offset, self.divisor))
        return (pixels - offset) / divisor

    @property
    def low(self) -> np.ndarray:
        """What black becomes, `(3,)` float32."""
        return self(np.zeros(3, np.float32))

    @property
    def high(self) -> np.ndarray:
        """What white becomes, `(3,)` float32."""
        return self(np.full(3, 255.0, np.float32))


MODES: dict[str, Scaling] = {
    "lite": Scaling(
        "RGB, shifted and scaled to about [-1, 1]",
        "(pixel - 127) / 128",
        offset=(127.0,) * 3,
        divisor=(128.0,) * 3,
    ),
    "tf": Scaling(
        "RGB, scaled to [-1, 1]",
        "pixel / 127.5 - 1",
        offset=(127.5,) * 3,
        divisor=(127.5,) * 3,
    ),
    "torch": Scaling(
        "RGB, scaled to [0, 1] and standardised with ImageNet's mean and deviation of each channel",
        f"(pixel / 255 - mean) / std, with mean {_MEAN} and std {_STD} for R, G, B",
        offset=tuple(255 * value for value in _MEAN),
        divisor=tuple(255 * value for value in _STD),
    ),
    "caffe": Scaling(
        "red and blue change places (BGR), then ImageNet's mean of each channel is subtracted; "
        "nothing is divided",
        "pixel[B, G, R] - (103.939, 116.779, 123.68)",
        offset=(103.939, 116.779, 123.68),
        bgr=True,
    ),
    "identity": Scaling(
        "RGB, 0-255 as it is, because the network's first layers rescale it",
        "pixel",
    ),
}


def mode_of(backbone) -> str:
    """The mode of a backbone's name, of a `Backbone`, or of a mode's own name.

    Raises:
        ValueError: the name is neither.
    """
    if isinstance(backbone, str) and backbone in MODES:
        return backbone
    return table.lookup(backbone).mode


def as_size(size) -> tuple[int, int]:
    """`(height, width)` from one whole number or a pair of them.

    Raises:
        ValueError: it is neither, or not positive.
    """
    pair = (size, size) if isinstance(size, int | np.integer) else size
    try:
        height, width = (int(value) for value in pair)
        if (height, width) == tuple(pair) and min(height, width) > 0:
            return height, width
    except (TypeError, ValueError):
        pass
    raise ValueError(f"The size is {size!r}; give one whole number of pixels or (height, width).")


def resize_tensor(pixels, size: tuple[int, int], interpolation: str):
    """Resize a float tensor `(N, H, W, C)` of pixels 0-255 without antialiasing."""
    resized = ops.image.resize(
        pixels, size, interpolation=interpolation, data_format="channels_last"
    )
    # Bicubic overshoots at edges; a pixel beyond 0-255 does not exist in an image file.
    return ops.clip(resized, 0.0, 255.0) if interpolation == "bicubic" else resized


@keras.saving.register_keras_serializable(package="tlcourse")
class Preprocess(keras.layers.Layer):
    """Turn raw pixels into what a backbone expects, inside the model.

    A model that starts with this layer takes what a camera or a file gives, so nobody can forget
    the preprocessing when the model is served. Grey images become RGB, images are resized, and
    then scaled. The arithmetic is in float32 even under a mixed-precision policy; only the result
    takes the policy's dtype.

    Args:
        backbone: a backbone's name such as "resnet50", or a mode of `MODES`.
        size: height and width in pixels, one whole number for a square, None to keep the size.
        interpolation: "bilinear", "nearest" or "bicubic", all without antialiasing.

    Inputs: `(N, H, W, 1)` or `(N, H, W, 3)` raw pixels 0-255, any integer or float dtype.

    Outputs: `(N, height, width, 3)` in the policy's compute dtype, model-ready.

    Raises:
        ValueError: an unknown name or interpolation, or another number of channels.

    Example:
        >>> layer = Preprocess("efficientnet-lite0", size=4)
        >>> ready = layer(np.full((1, 2, 2, 1), 255, np.uint8))
        >>> tuple(ready.shape), float(ready[0, 0, 0, 0])
        ((1, 4, 4, 3), 1.0)
    """

    def __init__(self, backbone, size=None, interpolation="bilinear", **kwargs):
        # Autocasting would round the pixels to float16 before the arithmetic.
        super().__init__(autocast=False, **kwargs)
        self.mode = mode_of(backbone)
        self.backbone = backbone if isinstance(backbone, str) else backbone.name
        self.size = None if size is None else as_size(size)
        if interpolation not in INTERPOLATIONS:
            raise ValueError(
                f"The interpolation is {interpolation!r}; write one of {', '.join(INTERPOLATIONS)}."
            )
        self.interpolation = interpolation

    def build(self, input_shape):
        if len(input_shape) != 4 or input_shape[-1] not in (1, 3):
            raise ValueError(
                f"The preprocessing layer got shape {tuple(input_shape)}; it wants (N, H, W, 1) "
                "for grey or (N, H, W, 3) for RGB."
            )

    def call(self, images):
        pixels = ops.cast(images, "float32")
        if self.size and tuple(pixels.shape[1:3]) != self.size:
            pixels = resize_tensor(pixels, self.size, self.interpolation)
        if pixels.shape[-1] == 1:
            pixels = ops.concatenate([pixels] * 3, axis=-1)
        return ops.cast(MODES[self.mode](pixels), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *(self.size or tuple(input_shape[1:3])), 3)

    def get_config(self):
        config = {
            "backbone": self.backbone,
            "size": self.size,
            "interpolation": self.interpolation,
        }
        return super().get_config() | config
