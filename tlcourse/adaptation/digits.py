"""MNIST-M, made from digits and photographs as its authors made it."""

import numpy as np

from tlcourse.data import Photos

SCALE = 321  # pixels: the shorter side of the photographs that the authors cut from


def on_photographs(
    digits: np.ndarray, photos: Photos, seed: int = 0, strength: float = 1.0
) -> np.ndarray:
    """Put each digit on a patch of a photograph: the difference of the two, colour by colour.

    Where the digit is black the photograph shows; where it is white the photograph's negative
    does. The patch has the digit's size and is cut anywhere from a photograph scaled to 321
    pixels, the height of the photographs (BSDS500) that the authors used.

    Args:
        digits: uint8 `(N, H, W, 1)`, white on black.
        photos: from `data.load("photos")`.
        seed: of the patches; a whole number, 0 or more.
        strength: 1 for MNIST-M; less dims the photographs, down to 0 for the digits themselves.

    Returns:
        uint8 `(N, H, W, 3)`.

    Raises:
        ValueError: another shape or dtype, or a strength outside of 0 to 1.

    Source: Ganin and others, 2016 (https://arxiv.org/abs/1505.07818), section 5.2.3.

    Example:
        >>> from tlcourse import data
        >>> white = np.full((2, 28, 28, 1), 255, "uint8")
        >>> on_photographs(white, data.load("photos")).shape
        (2, 28, 28, 3)
    """
    digits = np.asarray(digits)
    if digits.ndim != 4 or digits.shape[-1] != 1 or digits.dtype != np.uint8:
        raise ValueError(
            f"The digits are {digits.dtype} {digits.shape}; give uint8 (N, H, W, 1), 0-255."
        )
    if not 0 <= strength <= 1:
        raise ValueError(f"The strength is {strength}; give 0 to 1.")
    height, width = digits.shape[1:3]
    if max(height, width) > SCALE:
        raise ValueError(f"The digits are {height} by {width} pixels; {SCALE} is the most.")
    views, _ = photos.crops(SCALE, per_photo=3, seed=seed)
    rng = np.random.default_rng(seed)
    which = rng.integers(len(views), size=len(digits))
    top = rng.integers(SCALE - height + 1, size=len(digits))
    left = rng.integers(SCALE - width + 1, size=len(digits))
    patches = np.stack([
        views[i, y : y + height, x : x + width] for i, y, x in zip(which, top, left, strict=True)
    ])  # fmt: skip
    return np.abs(np.rint(strength * patches) - digits).astype("uint8")
