"""Models to train: a head on a pretrained backbone, and a small network from scratch."""

import keras
from keras import layers

from tlcourse.models import table
from tlcourse.models.load import load_backbone
from tlcourse.models.scaling import Preprocess, as_size


def build_classifier(
    classes: int,
    backbone="efficientnet-lite0",
    image_shape=(28, 28, 1),
    size: int | tuple[int, int] | None = 96,
    dropout: float = 0.0,
    head=None,
    weights="imagenet",
) -> keras.Model:
    """Put a new head on a frozen backbone, with the preprocessing inside the model.

    The layers are "preprocessing", the nested backbone, "pooling", "dropout" if there is any, and
    "head". The backbone starts frozen. What is saved takes raw pixels, so that a saved model
    cannot be served with the wrong preprocessing; `import tlcourse.models` before loading it.

    Args:
        classes: number of classes, 2 or more.
        backbone: a key of `BACKBONES`, or Keras' own spelling.
        image_shape: `(height, width, channels)` of the raw images, 1 channel for grey, 3 for RGB;
            height and width may be None.
        size: height and width, in pixels, that images are resized to inside the model; one whole
            number for a square, None for the backbone's native size.
        dropout: share of the pooled features that training drops, from 0 up to but without 1.
        head: None for a Dense softmax layer; or a Keras layer from `(N, features)` to `(N,
            classes)`; or anything with a `kernel` (features, classes) and a `bias` (classes,),
            which fill the Dense layer.
        weights: "imagenet", or None for random ones.

    Returns:
        An uncompiled model from raw pixels `(N, *image_shape)`, 0-255, to probabilities
        `(N, classes)`.

    Raises:
        ValueError: a name, number or shape that cannot be built.
        FileNotFoundError: the weights are not on this machine and cannot be downloaded.
    """
    facts = table.lookup(backbone)
    _check_classes(classes)
    image_shape = _checked_image_shape(image_shape)
    if not 0 <= dropout < 1:
        raise ValueError(f"The dropout is {dropout!r}; give a share from 0 up to but without 1.")
    height, width = as_size(facts.native_size if size is None else size)
    network = load_backbone(facts, weights, (height, width, 3))
    network.trainable = False

    images = layers.Input(image_shape, name="raw_images")
    x = Preprocess(facts.name, size=(height, width), name="preprocessing")(images)
    x = layers.GlobalAveragePooling2D(name="pooling")(network(x))
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    outputs = _head(head, classes, facts)(x)
    if tuple(outputs.shape) != (None, classes):
        raise ValueError(
            f"The head gives shape {tuple(outputs.shape)}; a classifier of {classes} classes "
            f"wants (None, {classes})."
        )
    return keras.Model(images, outputs, name=f"{facts.name}-{classes}-classes")


def small_cnn(classes: int, image_shape=(28, 28, 1)) -> keras.Model:
    """A small convolutional network to train from scratch: the baseline that transfer must beat.

    Blocks of convolution, pooling, batch normalisation and ReLU, three of them or as many as make
    the longer side at most 4, then a hidden layer between two dropouts: about 100,000 to 200,000
    parameters. A baseline that is slow or badly made would flatter transfer.

    Args:
        classes: number of classes, 2 or more.
        image_shape: `(height, width, channels)` of the raw images, at least 16 by 16 pixels,
            1 channel for grey, 3 for RGB.

    Returns:
        An uncompiled model from raw pixels `(N, *image_shape)`, 0-255, to probabilities
        `(N, classes)`. Its first layer, "preprocessing", scales the pixels.

    Raises:
        ValueError: a number or shape that cannot be built.
    """
    _check_classes(classes)
    image_shape = _checked_image_shape(image_shape)
    sides = image_shape[:2]
    if None in sides or min(sides) < 16:
        raise ValueError(
            f"The image shape is {image_shape}; the small network wants fixed sides of at least "
            "16 pixels."
        )
    blocks = 3
    while max(sides) >> blocks > 4 and min(sides) >> (blocks + 1):
        blocks += 1
    images = layers.Input(image_shape, name="raw_images")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="preprocessing")(images)
    for number in range(1, blocks + 1):
        filters = min(8 * 2**number, 64)
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"block{number}_conv")(x)
        # Pooling first leaves the other two a quarter of the work.
        x = layers.MaxPooling2D(name=f"block{number}_pool")(x)
        # Keras' momentum of 0.99 needs hundreds of updates before inference works at all. A small
        # dataset gives fewer, and the baseline would lose for a reason that is not its own.
        x = layers.BatchNormalization(momentum=0.9, name=f"block{number}_bn")(x)
        x = layers.ReLU(name=f"block{number}_activation")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.3, name="flatten_dropout")(x)
    x = layers.Dense(128, "relu", name="hidden")(x)
    x = layers.Dropout(0.3, name="hidden_dropout")(x)
    outputs = layers.Dense(classes, "softmax", dtype="float32", name="head")(x)
    return keras.Model(images, outputs, name="small_cnn")


def _head(head, classes: int, facts: table.Backbone) -> layers.Layer:
    if isinstance(head, layers.Layer):
        return head
    dense = layers.Dense(classes, "softmax", dtype="float32", name="head")
    if head is None:
        return dense
    kernel, bias = head.kernel, head.bias
    if tuple(kernel.shape) != (facts.features, classes) or tuple(bias.shape) != (classes,):
        raise ValueError(
            f"The head has a kernel {tuple(kernel.shape)} and a bias {tuple(bias.shape)}; "
            f"{classes} classes on {facts.name} want ({facts.features}, {classes}) and "
            f"({classes},)."
        )
    dense.build((None, facts.features))
    dense.set_weights([kernel, bias])
    return dense


def _check_classes(classes) -> None:
    if isinstance(classes, bool) or not isinstance(classes, int) or classes < 2:
        raise ValueError(
            f"The number of classes is {classes!r}; give a whole number, 2 or more, for a softmax "
            "over one class always says 1."
        )


def _checked_image_shape(image_shape) -> tuple:
    shape = tuple(image_shape) if isinstance(image_shape, tuple | list) else ()
    sides_fit = all(side is None or (isinstance(side, int) and side > 0) for side in shape[:2])
    if len(shape) != 3 or shape[2] not in (1, 3) or not sides_fit:
        raise ValueError(
            f"The image shape is {image_shape!r}; give (height, width, channels) with 1 channel "
            "for grey or 3 for RGB."
        )
    return shape
