"""How many labels does transfer save?"""

from collections.abc import Sequence

import numpy as np


def labels_saved(
    sizes: Sequence[int], transfer: Sequence[float], scratch: Sequence[float]
) -> float:
    """How many times more labels training from scratch needs for the accuracy of transfer.

    The ratio is read off two learning curves, on a logarithmic axis, at the highest accuracy that
    both curves reach.

    Args:
        sizes: numbers of labels, rising.
        transfer, scratch: accuracy at each size.

    Returns:
        The ratio `N_scratch / N_transfer`; below 1, transfer needs more labels. Where the better
        curve has passed the common accuracy at its first size already, the ratio is a bound: the
        truth is further from 1.

    Example:
        >>> labels_saved([100, 1000, 10000], [0.7, 0.8, 0.9], [0.6, 0.7, 0.8])
        10.0
    """
    target = min(max(transfer), max(scratch))
    return round(_first_size(sizes, scratch, target) / _first_size(sizes, transfer, target), 6)


def _first_size(sizes, curve, target: float) -> float:
    """The first size at which a curve reaches an accuracy, between sizes on a log axis."""
    logs, curve = np.log10(np.asarray(sizes, dtype=float)), np.asarray(curve, dtype=float)
    after = int(np.argmax(curve >= target))
    if after == 0:
        return float(sizes[0])
    before = after - 1
    share = (target - curve[before]) / (curve[after] - curve[before])
    return float(10 ** (logs[before] + share * (logs[after] - logs[before])))
