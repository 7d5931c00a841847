"""Facts about the backbones: how they are built, what they want, what their sources report."""

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
        headless_parameters: without the classifier: what a new task takes over.
        multiply_adds: of one image at the native size, without the classifier, as
            `tlcourse.models.multiply_adds` counts them.
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
    headless_parameters: int
    multiply_adds: int
    features: int
    top1: float | None
    top1_source: str | None
    build: str | None

    @property
    def embedded(self) -> bool:
        """Whether its ImageNet weights come with the course's dependencies, without a download."""
        return self.build is None


# (family, mode, minimum size): (name, native size, parameters, features, top-1, Keras' name), …
_KERAS = {
    ("VGG", "caffe", 32): (
        ("vgg16", 224, 138_357_544, 512, 0.713, "VGG16"),
        ("vgg19", 224, 143_667_240, 512, 0.713, "VGG19"),
    ),
    ("ResNet", "caffe", 32): (
        ("resnet50", 224, 25_636_712, 2048, 0.749, "ResNet50"),
        ("resnet101", 224, 44_707_176, 2048, 0.764, "ResNet101"),
        ("resnet152", 224, 60_419_944, 2048, 0.766, "ResNet152"),
    ),
    ("ResNetV2", "tf", 32): (
        ("resnet50-v2", 224, 25_613_800, 2048, 0.760, "ResNet50V2"),
        ("resnet101-v2", 224, 44_675_560, 2048, 0.772, "ResNet101V2"),
        ("resnet152-v2", 224, 60_380_648, 2048, 0.780, "ResNet152V2"),
    ),
    ("Inception", "tf", 75): (
        ("inception-v3", 299, 23_851_784, 2048, 0.779, "InceptionV3"),
        ("inception-resnet-v2", 299, 55_873_736, 1536, 0.803, "InceptionResNetV2"),
    ),
    ("Xception", "tf", 71): (("xception", 299, 22_910_480, 2048, 0.790, "Xception"),),
    ("DenseNet", "torch", 32): (
        ("densenet121", 224, 8_062_504, 1024, 0.750, "DenseNet121"),
        ("densenet169", 224, 14_307_880, 1664, 0.762, "DenseNet169"),
        ("densenet201", 224, 20_242_984, 1920, 0.773, "DenseNet201"),
    ),
    ("NASNet", "tf", 32): (
        ("nasnet-mobile", 224, 5_326_716, 1056, 0.744, "NASNetMobile"),
        ("nasnet-large", 331, 88_949_818, 4032, 0.825, "NASNetLarge"),
    ),
    ("MobileNet", "tf", 32): (
        ("mobilenet", 224, 4_253_864, 1024, 0.704, "MobileNet"),
        ("mobilenet-v2", 224, 3_538_984, 1280, 0.713, "MobileNetV2"),
    ),
    ("MobileNetV3", "identity", 32): (
        ("mobilenet-v3-small", 224, 2_554_968, 576, 0.681, "MobileNetV3Small"),
        ("mobilenet-v3-large", 224, 5_507_432, 960, 0.756, "MobileNetV3Large"),
    ),
    ("EfficientNet", "identity", 32): (
        ("efficientnet-b0", 224, 5_330_571, 1280, 0.771, "EfficientNetB0"),
        ("efficientnet-b1", 240, 7_856_239, 1280, 0.791, "EfficientNetB1"),
        ("efficientnet-b2", 260, 9_177_569, 1408, 0.801, "EfficientNetB2"),
        ("efficientnet-b3", 300, 12_320_535, 1536, 0.816, "EfficientNetB3"),
        ("efficientnet-b4", 380, 19_466_823, 1792, 0.829, "EfficientNetB4"),
        ("efficientnet-b5", 456, 30_562_527, 2048, 0.836, "EfficientNetB5"),
        ("efficientnet-b6", 528, 43_265_143, 2304, 0.840, "EfficientNetB6"),
        ("efficientnet-b7", 600, 66_658_687, 2560, 0.843, "EfficientNetB7"),
    ),
    ("EfficientNetV2", "identity", 32): (
        ("efficientnet-v2-b0", 224, 7_200_312, 1280, 0.787, "EfficientNetV2B0"),
        ("efficientnet-v2-b1", 240, 8_212_124, 1280, 0.798, "EfficientNetV2B1"),
        ("efficientnet-v2-b2", 260, 10_178_374, 1408, 0.805, "EfficientNetV2B2"),
        ("efficientnet-v2-b3", 300, 14_467_622, 1536, 0.820, "EfficientNetV2B3"),
        ("efficientnet-v2-s", 384, 21_612_360, 1280, 0.839, "EfficientNetV2S"),
        ("efficientnet-v2-m", 480, 54_431_388, 1280, 0.853, "EfficientNetV2M"),
        ("efficientnet-v2-l", 480, 119_027_848, 1280, 0.857, "EfficientNetV2L"),
    ),
    ("ConvNeXt", "identity", 32): (
        ("convnext-tiny", 224, 28_589_128, 768, 0.813, "ConvNeXtTiny"),
        ("convnext-small", 224, 50_223_688, 768, 0.823, "ConvNeXtSmall"),
        ("convnext-base", 224, 88_591_464, 1024, 0.853, "ConvNeXtBase"),
        ("convnext-large", 224, 197_767_336, 1536, 0.863, "ConvNeXtLarge"),
        ("convnext-xlarge", 224, 350_196_968, 2048, 0.867, "ConvNeXtXLarge"),
    ),
}
# The accuracies are Google's for its own checkpoints, of which the packaged weights are a port.
_LITE = (
    ("efficientnet-lite0", 224, 4_694_024, 0.751),
    ("efficientnet-lite1", 240, 5_470_344, 0.767),
    ("efficientnet-lite2", 260, 6_150_168, 0.776),
)

# Without the classifier: parameters, and multiply-adds of one image at the native size. Printed by
# `backbone_facts`, which a test compares with the rows.
_HEADLESS = {
    "efficientnet-lite0": (3_413_024, 383_907_552),
    "efficientnet-lite1": (4_189_344, 598_905_232),
    "efficientnet-lite2": (4_869_168, 858_456_272),
    "vgg16": (14_714_688, 15_346_630_656),
    "vgg19": (20_024_384, 19_508_428_800),
    "resnet50": (23_587_712, 3_855_925_248),
    "resnet101": (42_658_176, 7_568_146_432),
    "resnet152": (58_370_944, 11_280_367_616),
    "resnet50-v2": (23_564_800, 3_480_207_360),
    "resnet101-v2": (42_626_560, 7_192_428_544),
    "resnet152-v2": (58_331_648, 10_904_649_728),
    "inception-v3": (21_802_784, 5_711_168_096),
    "inception-resnet-v2": (54_336_736, 13_154_258_016),
    "xception": (20_861_480, 8_355_355_496),
    "densenet121": (7_037_504, 2_833_137_664),
    "densenet169": (12_642_880, 3_358_179_328),
    "densenet201": (18_321_984, 4_289_445_888),
    "nasnet-mobile": (4_269_716, 562_582_816),
    "nasnet-large": (84_916_818, 23_779_382_658),
    "mobilenet": (3_228_864, 567_716_352),
    "mobilenet-v2": (2_257_984, 299_494_272),
    "mobilenet-v3-small": (939_120, 54_896_576),
    "mobilenet-v3-large": (2_996_352, 214_080_960),
    "efficientnet-b0": (4_049_571, 384_534_752),
    "efficientnet-b1": (6_575_239, 685_522_832),
    "efficientnet-b2": (7_768_569, 992_153_872),
    "efficientnet-b3": (10_783_535, 1_825_605_392),
    "efficientnet-b4": (17_673_823, 4_391_979_024),
    "efficientnet-b5": (28_513_527, 10_264_336_752),
    "efficientnet-b6": (40_960_143, 19_065_289_536),
    "efficientnet-b7": (64_097_687, 37_743_324_192),
    "efficientnet-v2-b0": (5_919_312, 716_806_176),
    "efficientnet-v2-b1": (6_931_124, 1_195_539_360),
    "efficientnet-v2-b2": (8_769_374, 1_696_134_832),
    "efficientnet-v2-b3": (12_930_622, 3_009_922_816),
    "efficientnet-v2-s": (20_331_360, 8_364_337_152),
    "efficientnet-v2-m": (53_150_388, 24_581_180_384),
    "efficientnet-v2-l": (117_746_848, 56_078_419_008),
    "convnext-tiny": (27_820_128, 4_454_763_264),
    "convnext-small": (49_454_688, 8_682_944_256),
    "convnext-base": (87_566_464, 15_353_705_472),
    "convnext-large": (196_230_336, 34_359_897_600),
    "convnext-xlarge": (348_147_968, 60_918_982_656),
}


def _table():
    for name, size, parameters, top1 in _LITE:
        yield Backbone(
            name, "EfficientNet-Lite", "lite", size, 32, parameters, *_HEADLESS[name], 1280, top1,
            _LITE_TABLE, None,
        )  # fmt: skip
    for (family, mode, min_size), rows in _KERAS.items():
        source = _MOBILENET_V3_TABLE if family == "MobileNetV3" else _KERAS_TABLE
        for name, size, parameters, features, top1, build in rows:
            yield Backbone(
                name, family, mode, size, min_size, parameters, *_HEADLESS[name], features, top1,
                source, build,
            )  # fmt: skip


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
