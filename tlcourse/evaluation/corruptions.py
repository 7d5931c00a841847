"""Damaged images: a test of robustness."""

import numpy as np
import scipy

CORRUPTIONS = ("blur", "noise", "shear")


def corrupt(images: np.ndarray, kind: str, severity: int = 3, seed: int = 0) -> np.ndarray:
    """Change images in a way that training did not show: a test of robustness.

    Blur and shear grow with the side of the image, so that a severity looks alike at every size.

    Args:
        images: raw pixels 0-255, uint8 or float, `(N, H, W, C)`.
        kind: "blur", Gaussian; "noise", Gaussian, on every pixel and channel alone; or "shear",
            each row moved sideways in proportion to its height, edges repeated.
        severity: from 1, slight, to 5, hard. At 3, on 28 pixels: a blur of deviation 1.5 pixels,
            noise of deviation 60 grey levels, and a shear of 0.3 pixels a row.
        seed: of the noise; the others draw nothing.

    Returns:
        New images of the same shape and dtype, within 0-255.

    Raises:
        ValueError: another kind, severity or shape, or values outside 0-255.

    Source: the idea, and five severities, from Hendrycks and Dietterich, 2019
    (https://arxiv.org/abs/1903.12261); the sizes are our own, for small images.

    Example:
        >>> white = np.full((1, 8, 8, 1), 255, np.uint8)
        >>> int(corrupt(white, "blur").min())
        255
    """
    images = np.asarray(images)
    if kind not in CORRUPTIONS:
        raise ValueError(f"kind is {kind!r}; write one of {', '.join(CORRUPTIONS)}.")
    if isinstance(severity, bool) or severity not in (1, 2, 3, 4, 5):
        raise ValueError(f"severity is {severity!r}; write a whole number from 1 to 5.")
    if images.ndim != 4:
        raise ValueError(f"The images have shape {images.shape}; corrupt wants (N, H, W, C).")
    if images.size and not 0 <= images.min() <= images.max() <= 255:
        raise ValueError(
            f"The pixels reach from {images.min():g} to {images.max():g}; corrupt wants raw "
            "pixels, 0 to 255."
        )
    pixels = images.astype(np.float32)
    height, width = images.shape[1:3]
    if kind == "blur":
        sigma = severity * min(height, width) / 56
        pixels = scipy.ndimage.gaussian_filter(pixels, (0, sigma, sigma, 0), mode="nearest")
    elif kind == "noise":
        pixels = pixels + np.random.default_rng(seed).normal(0, 20 * severity, pixels.shape)
    else:
        slope = 0.1 * severity
        matrix = np.eye(4)
        matrix[2, 1] = slope
        offset = (0, 0, -slope * (height - 1) / 2, 0)
        pixels = scipy.ndimage.affine_transform(pixels, matrix, offset, order=1, mode="nearest")
    pixels = np.clip(pixels, 0, 255)
    if np.issubdtype(images.dtype, np.integer):
        pixels = np.round(pixels)
    return pixels.astype(images.dtype)
