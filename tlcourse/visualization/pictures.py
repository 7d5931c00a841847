"""Images side by side."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure


def image_grid(
    images: Sequence[np.ndarray],
    titles: Sequence[str] | None = None,
    columns: int = 10,
    title: str | None = None,
) -> Figure:
    """Show images side by side, as they are: raw pixels from 0 to 255, not stretched.

    Args:
        images: uint8 or float images 0-255, `(H, W, 1)` or `(H, W, 3)`, of any sizes.
        titles: a caption for each, or None.
        columns: images in a row.
        title: a title for the whole figure.
    """
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    width = 1.25 if titles is None else max(1.25, 0.1 * max(map(len, titles)))
    figure, axes = plt.subplots(
        rows, columns, figsize=(width * columns, (width + 0.3) * rows), squeeze=False
    )
    for axis in axes.flat:
        axis.axis("off")
    for i, (axis, image) in enumerate(zip(axes.flat, images, strict=False)):
        image = np.clip(np.asarray(image), 0, 255).astype("uint8")
        axis.imshow(image, cmap="gray", vmin=0, vmax=255)
        if titles is not None:
            axis.set_title(titles[i], fontsize=10, loc="center")
    if title:
        figure.suptitle(title)
    return figure
