"""Weights between those before and those after training."""

from collections.abc import Sequence

import numpy as np


def interpolate(
    before: Sequence[np.ndarray], after: Sequence[np.ndarray], share: float
) -> list[np.ndarray]:
    """Mix two states of one model, weight by weight.

    It costs no training: one fine-tuned model gives a whole path of models, to choose from on
    validation images. The two states have to be close, one fine-tuned from the other; between two
    models trained apart there is usually no good path.

    Args:
        before: a model's weights before fine-tuning, from `get_weights()`.
        after: the same model's weights afterwards.
        share: of `after`, from 0 (before) to 1 (after).

    Returns:
        New arrays for `set_weights()`.

    Raises:
        ValueError: states of different models, or a share outside 0 to 1.

    Example:
        >>> interpolate([np.array([0.0, 4.0])], [np.array([2.0, 0.0])], 0.25)
        [array([0.5, 3. ])]

    Source: Wortsman et al., 2022 (https://arxiv.org/abs/2109.01903), call it WiSE-FT.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"The share is {share}; give one from 0 (before) to 1 (after).")
    shapes = [[np.shape(weight) for weight in weights] for weights in (before, after)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"The two states have {len(before)} and {len(after)} weights, or other shapes; give "
            "get_weights() of one model, before and after."
        )
    return [(1 - share) * old + share * new for old, new in zip(before, after, strict=True)]
