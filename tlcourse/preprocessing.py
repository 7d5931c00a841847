"""What a backbone wants of its inputs, how to give it, and how to notice that it got less.

Nothing crashes when a backbone gets pixels in the wrong range: it answers, and answers worse.
So the functions here refuse what is surely wrong, `check` says what looks wrong, and the layer
`Preprocess` removes the question by moving the arithmetic into the model.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops

from tlcourse.models import table
from tlcourse.models.scaling import MODES, Preprocess, Scaling, as_size, mode_of, resize_tensor

__all__ = [
    "MISTAKES",
    "MODES",
    "Mistake",
    "Preprocess",
    "Scaling",
    "augmentation",
    "check",
    "explain",
    "preprocess",
    "resize",
    "to_rgb",
]

RESIZE_METHODS = ("bilinear", "nearest", "bicubic", "area")
AUGMENTATIONS = ("photos", "silhouettes", "digits", "text")
# Float images whose largest value is below this were surely divided: no photograph is so dark.
_DIVIDED_BELOW = 1.5
# Prepared images that span less than this share of the expected range carry hardly any contrast.
_FLAT_BELOW = 0.03


def preprocess(images, backbone) -> np.ndarray:
    """Scale raw pixels to what a backbone expects. Your array stays as it is.

    Keras' own `preprocess_input` writes into float arrays and lets uint8 tensors wrap around; this
    function does neither, and refuses what would be wrong instead of computing with it.

    Args:
        images: `(N, H, W, 3)` raw RGB pixels 0-255, uint8, other integers or float.
        backbone: a key of `models.BACKBONES`, Keras' own spelling, or a mode of `MODES`.

    Returns:
        A new float32 array `(N, H, W, 3)`, model-ready.

    Raises:
        TypeError: the images are no numbers.
        ValueError: a wrong shape or range, values that are not finite, or an unknown backbone.

    Example:
        >>> white = np.full((1, 32, 32, 3), 255, np.uint8)
        >>> float(preprocess(white, "efficientnet-lite0").max())
        1.0
    """
    mode = mode_of(backbone)
    images = _as_images(images)
    problem = _shape_problem(images.shape, backbone) or _range_problem(images)
    if problem:
        raise ValueError(problem)
    return np.ascontiguousarray(MODES[mode](images.astype(np.float32)))


def to_rgb(images) -> np.ndarray:
    """Repeat grey images three times, because a backbone wants three channels.

    Args:
        images: `(N, H, W, 1)` grey, or `(N, H, W, 3)`, of any numeric dtype and range.

    Returns:
        A new array `(N, H, W, 3)` of the same dtype.

    Raises:
        TypeError: the images are no numbers.
        ValueError: another shape.

    Example:
        >>> to_rgb(np.zeros((2, 28, 28, 1), np.uint8)).shape
        (2, 28, 28, 3)
    """
    images = _as_images(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(
            f"The images have shape {images.shape}; to_rgb wants (N, H, W, 1), which "
            "images[..., None] makes of (N, H, W), or (N, H, W, 3)."
        )
    return np.repeat(images, 3 // images.shape[-1], axis=-1)


def resize(images, size, method: str = "bilinear") -> np.ndarray:
    """Resize a batch of images.

    "bilinear", "nearest" and "bicubic" are what the layer `Preprocess` does: no antialiasing, so
    that shrinking a lot skips pixels. "area" averages every source pixel by its share, which is
    what a good photograph tool does when it shrinks.

    Args:
        images: `(N, H, W, C)`, any numeric dtype; "bicubic" wants 0-255 and clips to it.
        size: height and width in pixels, one whole number for a square.
        method: "bilinear", "nearest", "bicubic" or "area".

    Returns:
        A new float32 array `(N, height, width, C)` on the same scale as the images.

    Raises:
        TypeError: the images are no numbers.
        ValueError: another rank, an impossible size or an unknown method.

    Example:
        >>> resize(np.array([0, 2, 4, 6]).reshape(1, 2, 2, 1), 1, "area").item()
        3.0
    """
    images = _as_images(images)
    height, width = as_size(size)
    if images.ndim != 4 or 0 in images.shape:
        raise ValueError(f"The images have shape {images.shape}; resize wants (N, H, W, C).")
    if method not in RESIZE_METHODS:
        raise ValueError(f"The method is {method!r}; write one of {', '.join(RESIZE_METHODS)}.")
    pixels = images.astype(np.float32)
    if method == "area":
        rows = _shares(images.shape[1], height)
        columns = _shares(images.shape[2], width)
        return np.einsum("hr,nrkc,wk->nhwc", rows, pixels, columns, optimize=True)
    return ops.convert_to_numpy(resize_tensor(pixels, (height, width), method))


def _shares(old: int, new: int) -> np.ndarray:
    """How much of each new pixel every old one covers, `(new, old)` float32, rows summing to 1."""
    edges = np.arange(new + 1)[:, None] * (old / new)
    left = np.arange(old)[None]
    overlap = np.minimum(edges[1:], left + 1) - np.maximum(edges[:-1], left)
    return (np.clip(overlap, 0, None) * (new / old)).astype(np.float32)


def explain(backbone) -> str:
    """What a backbone wants, in words, as a formula, and for one pixel.

    Args:
        backbone: a key of `models.BACKBONES`, Keras' own spelling, or a mode of `MODES`.

    Returns:
        A few lines of text, ready to print.

    Raises:
        ValueError: an unknown name.

    Example:
        >>> print(explain("resnet50"))
        resnet50 (mode "caffe") wants (N, H, W, 3), natively 224 by 224 pixels, at least 32 by 32.
        Values: red and blue change places (BGR), then ImageNet's mean of each channel is \
subtracted; nothing is divided.
        Formula: pixel[B, G, R] - (103.939, 116.779, 123.68)
        Example: the RGB pixel (200, 120, 40) becomes (-63.939, 3.221, 76.320).
        Range: from (-103.939, -116.779, -123.680) for black to (151.061, 138.221, 131.320) for \
white.
    """
    mode = mode_of(backbone)
    scaling = MODES[mode]
    if isinstance(backbone, str) and backbone in MODES:
        title = f'Mode "{mode}" wants (N, H, W, 3).'
    else:
        facts = table.lookup(backbone)
        title = (
            f'{facts.name} (mode "{mode}") wants (N, H, W, 3), natively {facts.native_size} by '
            f"{facts.native_size} pixels, at least {facts.min_size} by {facts.min_size}."
        )

    def written(values):
        return "(" + ", ".join(f"{value:.3f}" for value in values) + ")"

    pixel = scaling(np.array([200, 120, 40], np.float32))
    return "\n".join(
        (
            title,
            f"Values: {scaling.words}.",
            f"Formula: {scaling.formula}",
            f"Example: the RGB pixel (200, 120, 40) becomes {written(pixel)}.",
            f"Range: from {written(scaling.low)} for black to {written(scaling.high)} for white.",
        )
    )


@dataclass(frozen=True)
class Mistake:
    """A wrong preparation that people really ship, as an experiment.

    Call it with raw images and a backbone, and you get what the backbone would have got.

    Attributes:
        name: its key in `MISTAKES`.
        description: what it does to the pixels.
        how: how it gets into real code.
        right_for: the modes for which it is no mistake.
        function: `(pixels float32 0-255, Scaling) -> array`.
    """

    name: str
    description: str
    how: str
    function: Callable
    right_for: tuple[str, ...] = ()

    def __call__(self, images, backbone="efficientnet-lite0") -> np.ndarray:
        """Prepare raw images the wrong way.

        Args:
            images: `(N, H, W, 3)` raw RGB pixels 0-255.
            backbone: a key of `models.BACKBONES`, Keras' own spelling, or a mode of `MODES`.

        Returns:
            A new float32 array `(N, H, W, 3)`, wrong for that backbone unless its mode is in
            `right_for`.

        Raises:
            TypeError, ValueError: images that `preprocess` would refuse.
        """
        scaling = MODES[mode_of(backbone)]
        raw = preprocess(images, "identity")
        return np.ascontiguousarray(self.function(raw, scaling), dtype=np.float32)


def _wrap_around(raw, scaling):
    # What uint8 arithmetic does: 100 - 127 is 229, modulo 256.
    pixels = raw[..., ::-1] if scaling.bgr else raw
    offset = np.rint(np.float32(scaling.offset))
    return np.mod(np.rint(pixels) - offset, 256) / np.float32(scaling.divisor)


def _standardize_each(raw, scaling):
    axes = (1, 2, 3)
    return (raw - raw.mean(axes, keepdims=True)) / np.maximum(raw.std(axes, keepdims=True), 1.0)


MISTAKES: dict[str, Mistake] = {
    mistake.name: mistake
    for mistake in (
        Mistake(
            "divide_by_255",
            "Pixels from 0 to 1 instead of the backbone's own range.",
            "`x_train / 255.0`, copied from a tutorial that trained from scratch.",
            lambda raw, scaling: raw / 255,
        ),
        Mistake(
            "raw_0_255",
            "Pixels from 0 to 255, as the file has them.",
            "No preprocessing line at all: the code runs, so nobody misses it.",
            lambda raw, scaling: raw,
            right_for=("identity",),
        ),
        Mistake(
            "imagenet_mean_std",
            "ImageNet's mean and deviation for a backbone that was trained with another scaling.",
            "A PyTorch `Normalize` line, kept because 'it is an ImageNet model'.",
            lambda raw, scaling: MODES["torch"](raw),
            right_for=("torch",),
        ),
        Mistake(
            "caffe_mean",
            "BGR with the mean subtracted and nothing divided, for a backbone that wants else.",
            "`resnet50.preprocess_input` left in place when the backbone was exchanged.",
            lambda raw, scaling: MODES["caffe"](raw),
            right_for=("caffe",),
        ),
        Mistake(
            "bgr",
            "The right range, with red and blue exchanged. Grey images do not change.",
            "`cv2.imread` returns BGR, and `cvtColor` was forgotten.",
            lambda raw, scaling: scaling(raw[..., ::-1]),
        ),
        Mistake(
            "double_preprocessing",
            "The backbone's own formula, applied twice.",
            "Once in the data pipeline, and once more in the serving code or inside the model.",
            lambda raw, scaling: scaling(scaling(raw)),
            right_for=("identity",),
        ),
        Mistake(
            "zero_to_one_then_own",
            "Divided by 255 first, then the backbone's own formula.",
            "A loader that already gives 0 to 1, such as `ToTensor` or `convert_image_dtype`, "
            "followed by `preprocess_input`.",
            lambda raw, scaling: scaling(raw / 255),
        ),
        Mistake(
            "uint8_wrap_around",
            "Dark pixels become bright: subtraction in uint8 counts modulo 256.",
            "The formula applied to a uint8 array or tensor before the cast to float.",
            _wrap_around,
            right_for=("identity",),
        ),
        Mistake(
            "standardized_each",
            "Every image to mean 0 and deviation 1 by its own pixels.",
            "`tf.image.per_image_standardization`, taken over from another project.",
            _standardize_each,
        ),
        Mistake(
            "reshaped_channels_first",
            "The right numbers in the wrong places: each image is torn into three stripes of grey.",
            "`reshape` where `transpose` was meant, on images stored channels first.",
            lambda raw, scaling: scaling(np.moveaxis(raw, -1, 1).reshape(raw.shape)),
        ),
    )
}


def check(images, backbone, prepared: bool = False) -> list[str]:
    """Say what about a batch of images does not fit a backbone.

    It sees ranges and shapes. It cannot see red and blue exchanged in raw pixels, a wrong resize
    or crop, pixels in the wrong places, each image standardised by its own pixels where the mode
    is "torch", or the difference between the modes "lite" and "tf", which is at most one grey
    level. Exchanged channels show only after a scaling that treats channels differently ("torch",
    "caffe"), and only if the batch holds pixels near black or white. Give it a batch rather than
    one image: one image may be dark or flat by nature.

    Args:
        images: the batch to check, as it goes into the model.
        backbone: a key of `models.BACKBONES`, Keras' own spelling, or a mode of `MODES`; or a
            model whose preprocessing is inside, which wants raw pixels whatever `prepared` says.
        prepared: False for raw pixels 0-255, True for what went through a preprocessing.

    Returns:
        Findings, one sentence each; an empty list if nothing looks wrong.

    Raises:
        TypeError: the images are no numbers.
        ValueError: an unknown name, or a model that does not show what it wants.

    Example:
        >>> photos = np.arange(3072).reshape(1, 32, 32, 3) % 256
        >>> check(photos, "resnet50")
        []
        >>> check(photos / 255, "resnet50")
        ["The images' largest value is 1: they look divided by 255; give raw pixels 0-255."]
    """
    images = _as_images(images)
    if isinstance(backbone, keras.Model):
        mode, wanted = _wanted_by(backbone)
        prepared = False
    else:
        mode, wanted = mode_of(backbone), backbone
    shape_problem = _shape_problem(images.shape, wanted)
    findings = [shape_problem] if shape_problem else []
    if images.size == 0:
        return findings
    if prepared and mode != "identity" and np.isfinite(images).all():
        per_channel = images.ndim == 4 and images.shape[-1] == 3
        return findings + _prepared_findings(images if per_channel else images[..., None], mode)
    range_problem = _range_problem(images)
    if range_problem:
        findings.append(range_problem)
    elif images.max() <= 1:
        findings.append(
            f"The images' largest value is {images.max():g}: black, a mask of 0 and 1, or divided "
            "by 255 and cut to whole numbers."
        )
    elif images.min() == images.max():
        findings.append(f"Every pixel is {images.max():g}: there is nothing to see.")
    return findings


def augmentation(kind: str, seed: int | None = None) -> keras.Sequential:
    """Random changes that leave the label true, for raw pixels 0-255.

    They act in training only (`layer(images, training=True)`, or inside a model that is fitted).
    Put them before the preprocessing: brightness and contrast need to know the range of the
    pixels, and here it is 0-255. New pixels at the border repeat the old border.

    Args:
        kind: "photos" (mirrored, turned a little, zoomed, lighter or darker), "silhouettes"
            (mirrored, turned, moved, zoomed), "digits" or "text" (never mirrored, for a mirrored
            2 or b is another sign or none).
        seed: a whole number to repeat the same draws, None to follow the global seed.

    Returns:
        A `keras.Sequential` from `(N, H, W, C)`, 0-255, integer or float, to float32 of the same
        shape and range.

    Raises:
        ValueError: an unknown kind.

    Example:
        >>> changed = augmentation("digits")(np.zeros((2, 28, 28, 1), np.uint8), training=True)
        >>> keras.ops.convert_to_numpy(changed).dtype.name
        'float32'
    """
    common = {"seed": seed, "dtype": "float32"}
    edge = common | {"fill_mode": "nearest"}
    pixel_range = common | {"value_range": (0, 255)}

    def flip():
        return layers.RandomFlip("horizontal", **common)

    def moved(turns, shift, zoom):
        return [
            layers.RandomRotation(turns, **edge),
            layers.RandomTranslation(shift, shift, **edge),
            layers.RandomZoom(zoom, **edge),
        ]

    recipes = {
        "photos": lambda: [
            flip(),
            *moved(0.03, 0.08, 0.15),
            layers.RandomBrightness(0.15, **pixel_range),
            layers.RandomContrast(0.2, **pixel_range),
        ],
        "silhouettes": lambda: [flip(), *moved(0.04, 0.1, 0.15)],
        "digits": lambda: moved(0.03, 0.08, 0.1),
        "text": lambda: moved(0.01, 0.04, 0.08),
    }
    if kind not in recipes:
        raise ValueError(f"The kind is {kind!r}; write one of {', '.join(AUGMENTATIONS)}.")
    # Keras' RandomContrast fails on uint8, and RandomBrightness would round: make them floats.
    as_float = layers.Rescaling(1.0, dtype="float32")
    return keras.Sequential([as_float, *recipes[kind]()], name=f"augmentation_{kind}")


def _as_images(images) -> np.ndarray:
    images = images if isinstance(images, np.ndarray) else ops.convert_to_numpy(images)
    if images.dtype.kind not in "uif":
        raise TypeError(
            f"The images have dtype {images.dtype}; give numbers, uint8 or float, from 0 to 255."
        )
    return images


def _shape_problem(shape, wanted) -> str | None:
    """Why a shape does not fit; `wanted` is a name, a mode, or a model's input shape."""
    if isinstance(wanted, tuple):
        sides, channels, smallest = wanted[1:3], wanted[3], 1
    else:
        is_mode = isinstance(wanted, str) and wanted in MODES
        smallest = 1 if is_mode else table.lookup(wanted).min_size
        sides, channels = (None, None), 3
    got = f"The images have shape {tuple(shape)}"
    if len(shape) == 3 and shape[-1] in (1, 3, 4):
        return f"{got}: one image without a batch dimension; give images[None]."
    if len(shape) == 3:
        return f"{got}: the channel dimension is missing; give images[..., None]."
    if len(shape) != 4:
        return f"{got}; give a batch (N, H, W, {channels})."
    if 0 in shape:
        return f"{got}: there is nothing in it; give at least one image."
    if shape[-1] != channels:
        remedy = _channel_remedy(shape, channels)
        return f"{got}, but (N, H, W, {channels}) is wanted; {remedy}."
    if min(shape[1:3]) < smallest:
        return (
            f"{got}, but {table.lookup(wanted).name} wants at least {smallest} by {smallest} "
            "pixels; call tlcourse.preprocessing.resize first."
        )
    if any(side not in (None, own) for side, own in zip(sides, shape[1:3], strict=True)):
        return (
            f"{got}, but the model wants {sides[0]} by {sides[1]} pixels; call "
            "tlcourse.preprocessing.resize first."
        )
    return None


def _channel_remedy(shape, channels) -> str:
    if shape[-1] == 1:
        return "these are grey, so call tlcourse.preprocessing.to_rgb first"
    if shape[-1] == 2:
        return "these look like grey with transparency, so take images[..., :1] and call to_rgb"
    if shape[-1] == 4:
        return "the fourth is transparency, so leave it out with images[..., :3]"
    if shape[1] == channels:
        return "these are channels first, so call np.moveaxis(images, 1, -1)"
    return "give RGB images" if channels == 3 else "give grey images"


def _range_problem(images) -> str | None:
    """Why values are surely no raw pixels 0-255."""
    low, high = images.min(), images.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        return "The images hold values that are not finite (NaN or infinity); repair them first."
    if low < 0:
        return (
            f"The images' smallest value is {low:.4g}: they look already prepared"
            f"{_likeness(low, high)}; give raw pixels 0-255."
        )
    if high > 255:
        return (
            f"The images' largest value is {high:.6g}, beyond 255; give 8-bit pixels, which "
            "16-bit ones become when divided by 257."
        )
    if images.dtype.kind == "f" and 0 < high <= _DIVIDED_BELOW:
        return (
            f"The images' largest value is {high:.4g}: they look divided by 255; give raw pixels "
            "0-255."
        )
    return None


def _likeness(low, high) -> str:
    """Which known preparation a range resembles, in brackets, or nothing."""
    if low >= 0:
        known = "divided by 255" if high <= _DIVIDED_BELOW else "raw pixels" if high <= 255 else ""
    elif low >= -1.01 and high <= 1.01:
        known = "scaled to [-1, 1]"
    elif low >= -2.2 and high <= 2.7:
        known = "standardised with ImageNet's mean and deviation"
    elif low >= -124 and high <= 152 and high - low > 10:
        known = "with ImageNet's mean subtracted"
    else:
        known = ""
    return f" ({known})" if known else ""


def _prepared_findings(images, mode: str) -> list[str]:
    scaling = MODES[mode]
    axes = tuple(range(images.ndim - 1))
    lows, highs = images.min(axes), images.max(axes)
    low, high = float(lows.min()), float(highs.max())
    width = scaling.high - scaling.low
    got = f"The prepared images reach from {low:.4g} to {high:.4g}"
    wants = (
        f'mode "{mode}" gives {scaling.low.min():.4g} for black to {scaling.high.max():.4g} for '
        f"white: {scaling.formula}"
    )
    slack = 0.01 * width
    if ((lows < scaling.low - slack) | (highs > scaling.high + slack)).any():
        swapped = (lows >= scaling.low[::-1] - slack) & (highs <= scaling.high[::-1] + slack)
        if swapped.all():
            return [f"{got}, each channel in the range of another: red and blue look exchanged."]
        return [f"{got}{_likeness(low, high)}, but {wants}."]
    if (highs - lows < _FLAT_BELOW * width).all():
        return [f"{got}: hardly any contrast, as if divided by 255 or prepared twice; {wants}."]
    if low >= 0:
        return [f"{got}{_likeness(low, high)}, and nothing is below 0, but {wants}."]
    if mode == "torch" and -1.01 <= low <= -0.98 and 0.98 <= high <= 1.01:
        return [f"{got}{_likeness(low, high)}, but {wants}."]
    return []


def _wanted_by(model) -> tuple[str, tuple]:
    """The mode and input shape of a model that takes raw pixels."""
    inside = (Preprocess, layers.Rescaling)
    if not any(isinstance(layer, inside) for layer in model.layers):
        raise ValueError(
            f"The model {model.name} has no preprocessing inside, so it does not show what it "
            "wants; give the backbone's name and prepared=True."
        )
    return "identity", tuple(model.input_shape)
