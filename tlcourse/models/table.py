"""Facts about the backbones: how they are built, what they want, what their authors report.

This module imports no Keras, so that the command line can print the table at once.
"""

import difflib
from dataclasses import dataclass

_KERAS_TABLE = "https://keras.io/api/applications/"
_LITE_TABLE = "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite"
_MOBILENET_V3_TABLE = "https://keras.io/api/applications/mobilenet/#mobilenetv3small-function"


@dataclass(frozen=True)
class Backbone:
    """One pretrained network without its classifier.

    Attributes:
        name: how this course calls it, such as "resnet50-v2".
        family: networks of one family share their paper and their traps.
        mode: what its inputs must look like, a key of `tlcourse.preprocessing.MODES`.
        native_size: height and width in pixels that its weights were trained and scored at.
        min_size: the smallest height and width that it accepts.
        parameters: all of them, with the ImageNet classifier of 1,000 classes.
        features: channels of its last feature map.
        top1: accuracy on the ImageNet validation set that its source reports, from 0 to 1; None
            where no source is at hand. Sources crop and resize differently: compare with care.
        top1_source: where that number is published.
        build: the name under `keras.applications`; None for the weights that come with the course.
    """

    name: str
    family: str
    mode: str
    native_size: int
    min_size: int
    parameters: int
    features: int
    top1: float | None
    top1_source: str | None
    build: str | None

    @property
    def embedded(self) -> bool:
        """Whether its ImageNet weights come with the course's dependencies, without a download."""
        return self.build is None


# name, family, mode, native size, minimum, parameters, features, top-1, name in keras.applications
_KERAS = (
    ("vgg16", "VGG", "caffe", 224, 32, 138_357_544, 512, 0.713, "VGG16"),
    ("vgg19", "VGG", "caffe", 224, 32, 143_667_240, 512, 0.713, "VGG19"),
    ("resnet50", "ResNet", "caffe", 224, 32, 25_636_712, 2048, 0.749, "ResNet50"),
    ("resnet101", "ResNet", "caffe", 224, 32, 44_707_176, 2048, 0.764, "ResNet101"),
    ("resnet152", "ResNet", "caffe", 224, 32, 60_419_944, 2048, 0.766, "ResNet152"),
    ("resnet50-v2", "ResNetV2", "tf", 224, 32, 25_613_800, 2048, 0.760, "ResNet50V2"),
    ("resnet101-v2", "ResNetV2", "tf", 224, 32, 44_675_560, 2048, 0.772, "ResNet101V2"),
    ("resnet152-v2", "ResNetV2", "tf", 224, 32, 60_380_648, 2048, 0.780, "ResNet152V2"),
    ("inception-v3", "Inception", "tf", 299, 75, 23_851_784, 2048, 0.779, "InceptionV3"),
    ("inception-resnet-v2", "Inception", "tf", 299, 75, 55_873_736, 1536, 0.803, "InceptionResNetV2"),
    ("xception", "Xception", "tf", 299, 71, 22_910_480, 2048, 0.790, "Xception"),
    ("densenet121", "DenseNet", "torch", 224, 32, 8_062_504, 1024, 0.750, "DenseNet121"),
    ("densenet169", "DenseNet", "torch", 224, 32, 14_307_880, 1664, 0.762, "DenseNet169"),
    ("densenet201", "DenseNet", "torch", 224, 32, 20_242_984, 1920, 0.773, "DenseNet201"),
    ("nasnet-mobile", "NASNet", "tf", 224, 32, 5_326_716, 1056, 0.744, "NASNetMobile"),
    ("nasnet-large", "NASNet", "tf", 331, 32, 88_949_818, 4032, 0.825, "NASNetLarge"),
    ("mobilenet", "MobileNet", "tf", 224, 32, 4_253_864, 1024, 0.704, "MobileNet"),
    ("mobilenet-v2", "MobileNet", "tf", 224, 32, 3_538_984, 1280, 0.713, "MobileNetV2"),
    ("mobilenet-v3-small", "MobileNetV3", "identity", 224, 32, 2_554_968, 576, 0.681, "MobileNetV3Small"),
    ("mobilenet-v3-large", "MobileNetV3", "identity", 224, 32, 5_507_432, 960, 0.756, "MobileNetV3Large"),
    ("efficientnet-b0", "EfficientNet", "identity", 224, 32, 5_330_571, 1280, 0.771, "EfficientNetB0"),
    ("efficientnet-b1", "EfficientNet", "identity", 240, 32, 7_856_239, 1280, 0.791, "EfficientNetB1"),
    ("efficientnet-b2", "EfficientNet", "identity", 260, 32, 9_177_569, 1408, 0.801, "EfficientNetB2"),
    ("efficientnet-b3", "EfficientNet", "identity", 300, 32, 12_320_535, 1536, 0.816, "EfficientNetB3"),
    ("efficientnet-b4", "EfficientNet", "identity", 380, 32, 19_466_823, 1792, 0.829, "EfficientNetB4"),
    ("efficientnet-b5", "EfficientNet", "identity", 456, 32, 30_562_527, 2048, 0.836, "EfficientNetB5"),
    ("efficientnet-b6", "EfficientNet", "identity", 528, 32, 43_265_143, 2304, 0.840, "EfficientNetB6"),
    ("efficientnet-b7", "EfficientNet", "identity", 600, 32, 66_658_687, 2560, 0.843, "EfficientNetB7"),
    ("efficientnet-v2-b0", "EfficientNetV2", "identity", 224, 32, 7_200_312, 1280, 0.787, "EfficientNetV2B0"),
    ("efficientnet-v2-b1", "EfficientNetV2", "identity", 240, 32, 8_212_124, 1280, 0.798, "EfficientNetV2B1"),
    ("efficientnet-v2-b2", "EfficientNetV2", "identity", 260, 32, 10_178_374, 1408, 0.805, "EfficientNetV2B2"),
    ("efficientnet-v2-b3", "EfficientNetV2", "identity", 300, 32, 14_486_374, 1536, 0.820, "EfficientNetV2B3"),
    ("efficientnet-v2-s", "EfficientNetV2", "identity", 384, 32, 21_612_360, 1280, 0.839, "EfficientNetV2S"),
    ("efficientnet-v2-m", "EfficientNetV2", "identity", 480, 32, 54_431_388, 1280, 0.853, "EfficientNetV2M"),
    ("efficientnet-v2-l", "EfficientNetV2", "identity", 480, 32, 119_027_848, 1280, 0.857, "EfficientNetV2L"),
    ("convnext-tiny", "ConvNeXt", "identity", 224, 32, 28_589_128, 768, 0.813, "ConvNeXtTiny"),
    ("convnext-small", "ConvNeXt", "identity", 224, 32, 50_223_688, 768, 0.823, "ConvNeXtSmall"),
    ("convnext-base", "ConvNeXt", "identity", 224, 32, 88_591_464, 1024, 0.853, "ConvNeXtBase"),
    ("convnext-large", "ConvNeXt", "identity", 224, 32, 197_767_336, 1536, 0.863, "ConvNeXtLarge"),
    ("convnext-xlarge", "ConvNeXt", "identity", 224, 32, 350_196_968, 2048, 0.867, "ConvNeXtXLarge"),
)  # fmt: skip
_LITE = (
    ("efficientnet-lite0", 224, 4_694_024, 0.751),
    ("efficientnet-lite1", 240, 5_470_344, 0.767),
    ("efficientnet-lite2", 260, 6_150_168, 0.776),
)


def _table():
    for name, size, parameters, top1 in _LITE:
        yield Backbone(
            name, "EfficientNet-Lite", "lite", size, 32, parameters, 1280, top1, _LITE_TABLE, None
        )
    for name, family, *facts, build in _KERAS:
        source = _MOBILENET_V3_TABLE if family == "MobileNetV3" else _KERAS_TABLE
        yield Backbone(name, family, *facts, source, build)


BACKBONES: dict[str, Backbone] = {backbone.name: backbone for backbone in _table()}


def _squash(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


_BY_SPELLING = {_squash(name): backbone for name, backbone in BACKBONES.items()}


def lookup(name) -> Backbone:
    """The backbone of that name, in this course's spelling or in Keras'.

    Args:
        name: such as "efficientnet-b0" or "EfficientNetB0"; a `Backbone` is handed back.

    Raises:
        ValueError: no backbone has that name; the closest names are given.
        TypeError: it is not a name.

    Example:
        >>> lookup("EfficientNetB0").name
        'efficientnet-b0'
    """
    if isinstance(name, Backbone):
        return name
    if not isinstance(name, str):
        raise TypeError(
            f"A backbone is named by a string such as 'efficientnet-lite0', not by a "
            f"{type(name).__name__}."
        )
    try:
        return _BY_SPELLING[_squash(name)]
    except KeyError:
        close = difflib.get_close_matches(_squash(name), _BY_SPELLING, n=3, cutoff=0.5)
        closest = " or ".join(_BY_SPELLING[key].name for key in close) or "efficientnet-lite0"
        raise ValueError(
            f"No backbone is called {name!r}; did you mean {closest}? "
            "`tlcourse.models.BACKBONES` lists them all."
        ) from None
