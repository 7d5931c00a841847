"""Name the 1,000 ImageNet classes, offline.

The table `imagenet_classes.tsv` holds, in the usual class order, the identifier and the first
English word of each WordNet synset. WordNet 3.0 is copyright 2006 by Princeton University, all
rights reserved; its licence lets everyone use, copy and distribute it with this notice
(https://wordnet.princeton.edu/license-and-commercial-use). "Crane" and "maillot" name two classes
each; there a second word tells which.
"""

import functools
from importlib import resources

import numpy as np
from keras import ops
from scipy import special

from tlcourse.models import lite, table


@functools.cache
def classes() -> tuple[tuple[str, str], ...]:
    """`(wnid, name)` of the 1,000 classes, in the order of the probabilities.

    Example:
        >>> classes()[285]
        ('n02124075', 'Egyptian cat')
    """
    text = (resources.files("tlcourse.models") / "imagenet_classes.tsv").read_text("utf-8")
    return tuple(tuple(line.split("\t")) for line in text.splitlines())


def decode(probabilities, top: int = 5) -> list[list[tuple[str, str, float]]]:
    """Name the most probable classes, as Keras' `decode_predictions` does, but without a download.

    Args:
        probabilities: `(N, 1000)`, from 0 to 1, in the usual class order.
        top: how many classes to name for each image, from 1 to 1,000.

    Returns:
        For each image a list of `(wnid, name, probability)`, the most probable first.

    Raises:
        ValueError: another shape, values that are no probabilities, or an impossible `top`.

    Example:
        >>> decode(np.eye(1000)[[285]], top=1)
        [[('n02124075', 'Egyptian cat', 1.0)]]
    """
    values = ops.convert_to_numpy(probabilities)
    if values.ndim != 2 or values.shape[1] != len(classes()):
        hint = "; for one image, give probabilities[None]" if values.shape == (1000,) else ""
        raise ValueError(
            f"The probabilities have shape {values.shape}; decode wants (N, 1000), one row per "
            f"image{hint}."
        )
    # `not (… <= …)` is also true of values that are not a number.
    if values.size and not (values.min() >= -1e-6 and values.max() <= 1 + 1e-3):
        raise ValueError(
            f"The values reach from {values.min():.3g} to {values.max():.3g}; decode wants "
            "probabilities from 0 to 1, so put logits through a softmax first."
        )
    if isinstance(top, bool) or not isinstance(top, int | np.integer) or not 1 <= top <= 1000:
        raise ValueError(f"The number of classes to name is {top!r}; give 1 to 1000.")
    order = np.argsort(-values, axis=1, kind="stable")[:, :top]
    return [
        [(*classes()[index], float(row[index])) for index in best]
        for row, best in zip(values, order, strict=True)
    ]


def source_probabilities(features, backbone="efficientnet-lite0") -> np.ndarray:
    """What the ImageNet classifier says of pooled features: the input of the LEEP score.

    The classifier is one dense layer on the features that `features.extract` gives, so that a
    second pass over the images is spared.

    Args:
        features: pooled features `(N, 1280)` of that backbone.
        backbone: one whose weights come with the course; for another run `load_classifier(name)`.

    Returns:
        float32 probabilities `(N, 1000)`, each row of sum 1, in the usual class order.

    Raises:
        ValueError: another backbone, or features of another shape.
        FileNotFoundError: the data package with the weights is not installed.
    """
    facts = table.lookup(backbone)
    if not facts.embedded:
        raise ValueError(
            f"The classifier of {facts.name} does not come with the course; its probabilities are "
            f"`load_classifier({facts.name!r}).predict(images)`, from raw pixels."
        )
    values = np.asarray(features)
    if values.ndim != 2 or values.shape[1] != facts.features:
        raise ValueError(
            f"The features have shape {values.shape}; the classifier of {facts.name} wants "
            f"(N, {facts.features}), as `features.extract` gives them."
        )
    kernel, bias = lite.classifier_weights(facts.name)
    return special.softmax((values @ kernel + bias).astype(np.float32), axis=1)
