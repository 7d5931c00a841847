"""AdaBN: BatchNormalization with the target's statistics, and nothing else changed."""

import keras
import numpy as np
from keras import layers

from tlcourse.freezing import structure


def adapt_batch_norm(
    model: keras.Model, images: np.ndarray, batch_size: int = 250
) -> dict[str, float]:
    """Measure the means and variances of every BatchNormalization anew, on unlabelled images.

    No weight is trained. The images pass in batches as in training, but without dropout, and each
    stored statistic becomes the mean of the batches' own: exactly what the layer meets if all
    images fit into one batch, and close to it with batches of some hundred images.

    Args:
        model: from images to whatever; changed in place. What is frozen is adapted, too, and
            stays frozen.
        images: what the model takes `(N, ...)`, of the target only, 2 or more; in random order.
        batch_size: images in one pass. Too small a batch makes the statistics noisy.

    Returns:
        For each BatchNormalization how far its means moved: the root mean square over channels,
        in standard deviations of before. It is a measure of the gap, layer by layer.

    Raises:
        ValueError: no BatchNormalization, fewer than 2 images, or a layer that draws at random in
            training and is no Dropout. Nothing was changed then.

    Source: Li and others, 2016 (https://arxiv.org/abs/1603.04779).

    Example:
        >>> inputs = keras.Input((1,))
        >>> model = keras.Model(inputs, keras.layers.BatchNormalization(name="bn")(inputs))
        >>> {name: round(far, 3) for name, far in adapt_batch_norm(
        ...     model, np.array([[2.0], [4.0]])).items()}
        {'bn': 2.999}
    """
    found = list(structure.walk(model))
    norms = structure.distinct(x for x in found if isinstance(x, layers.BatchNormalization))
    drops = structure.distinct(x for x in found if isinstance(x, layers.Dropout))
    _check(model, images, norms, drops, found, batch_size)
    before = [_statistics(norm) for norm in norms]
    settings = [(layer, "rate", layer.rate) for layer in drops]
    for norm in norms:
        settings += [(norm, "trainable", norm.trainable), (norm, "momentum", norm.momentum)]
    try:
        for layer in drops:
            layer.rate = 0
        for norm in norms:
            # A frozen one would use its stored statistics.
            norm.trainable = True
        seen = 0
        # The last batch takes what is left over, so that none is too small.
        for batch in np.array_split(images, max(1, len(images) // batch_size)):
            for norm in norms:
                norm.momentum = seen / (seen + len(batch))
            model(keras.ops.convert_to_tensor(batch), training=True)
            seen += len(batch)
    finally:
        for layer, name, value in settings:
            setattr(layer, name, value)
    return {
        norm.name: float(
            np.sqrt(((_statistics(norm)[0] - mean) ** 2 / (variance + norm.epsilon)).mean())
        )
        for norm, (mean, variance) in zip(norms, before, strict=True)
    }


def _statistics(norm) -> list[np.ndarray]:
    pair = (norm.moving_mean, norm.moving_variance)
    return [np.array(keras.ops.convert_to_numpy(v), float) for v in pair]


def _check(model, images, norms, drops, found, batch_size) -> None:
    if not norms:
        raise ValueError(
            f"{model.name} has no BatchNormalization, so there are no statistics to adapt; align "
            "its features with coral."
        )
    if len(images) < 2 or batch_size < 2:
        raise ValueError(
            f"{len(images)} images in batches of {batch_size}; a variance needs 2 or more."
        )
    for layer in found:
        draws = getattr(layer, "_seed_generators", None) and not isinstance(layer, keras.Model)
        if draws and not any(layer is drop for drop in drops):
            raise ValueError(
                f"The layer {layer.name!r} draws at random in training, and the statistics would "
                "be of what it makes; adapt the model without it."
            )
