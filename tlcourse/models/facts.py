"""Facts about one backbone, counted on the network that Keras builds, not copied from a table."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import keras

from tlcourse.models import lite, load, table
from tlcourse.models.counting import Field, receptive_field, work_by_layer

MEGABYTE = 2**20  # Keras' own table counts so, and calls it MB
_BYTES = 4  # of a float32


@dataclass(frozen=True)
class Facts:
    """What one backbone is, at one input size.

    Attributes:
        name: a key of `BACKBONES`.
        size: height and width in pixels of the images that it was built for.
        parameters: all of them, with the ImageNet classifier of 1,000 classes at the native size:
            what most tables list.
        headless_parameters: without the classifier: what a new task takes over.
        multiply_adds: for one image of this size, without the classifier.
        field: the receptive field of the last feature map.
        feature_map: `(height, width, channels)` of the last feature map.
        kernels: how many layers have a kernel, convolutions all of them.
    """

    name: str
    size: int
    parameters: int
    headless_parameters: int
    multiply_adds: int
    field: Field
    feature_map: tuple[int, int, int]
    kernels: int

    @property
    def megabytes(self) -> float:
        """Size of the weights in float32 with the classifier, in MB of 1,048,576 bytes."""
        return self.parameters * _BYTES / MEGABYTE

    @property
    def headless_megabytes(self) -> float:
        """Size of the weights in float32 without the classifier, in MB of 1,048,576 bytes."""
        return self.headless_parameters * _BYTES / MEGABYTE


def backbone_facts(name, size: int | None = None) -> Facts:
    """Build a backbone, count what it is made of, and drop it.

    Only the architecture is built. The weights get shapes and no values, so that a network of 600
    MB takes no more time and memory than one of 10, nothing is downloaded, and neither the random
    numbers nor the layer names of what you build afterwards change.

    Args:
        name: a key of `BACKBONES`, or Keras' own spelling.
        size: height and width in pixels of the images; the native size if None.

    Raises:
        ValueError: an unknown name, or a size below the backbone's minimum.
        TypeError: it is not a name.

    Example:
        >>> facts = backbone_facts("efficientnet-lite0")
        >>> facts.parameters, facts.headless_parameters, facts.feature_map
        (4694024, 3413024, (7, 7, 1280))
    """
    backbone = table.lookup(name)
    size = backbone.native_size if size is None else size
    # Keras keeps its list of variables without values and its counters of names per thread: in one
    # of its own, they end with it. Its initializers take their seeds from Python, for all threads.
    state = random.getstate()
    try:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(_count, backbone, size).result()
    finally:
        random.setstate(state)


def _count(backbone: table.Backbone, size: int) -> Facts:
    native = backbone.native_size
    with keras.StatelessScope(initialize_variables=False):
        network = load.load_backbone(backbone, None, (size, size, 3))
        if backbone.embedded:
            parameters = network.count_params() + (lite.FEATURES + 1) * lite.CLASSES
        else:
            whole = load.build_application(
                backbone, None, include_top=True, input_shape=(native, native, 3)
            )
            parameters = whole.count_params()
    work = work_by_layer(network)
    return Facts(
        backbone.name,
        size,
        parameters,
        network.count_params(),
        sum(work.values()),
        receptive_field(network),
        tuple(network.output_shape[1:]),
        len(work),
    )
