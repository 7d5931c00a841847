"""How unsure is a model of its answer? Monte Carlo dropout that stays random in Keras 3."""

from dataclasses import dataclass

import keras
import numpy as np

from tlcourse import config

_SPATIAL = tuple(getattr(keras.layers, f"SpatialDropout{rank}D") for rank in (1, 2, 3))


@keras.saving.register_keras_serializable(package="tlcourse")
class MonteCarloDropout(keras.layers.Dropout):
    """Dropout that also drops in `predict`, in `evaluate` and inside a saved model.

    `layer(x, training=True)`, written while a Functional model is built, is overwritten when the
    model runs, and setting `layer.training` is read by nobody. A layer that ignores what it is
    told is what works.

    Example:
        >>> ones = np.ones((1, 8), "float32")
        >>> dropped = MonteCarloDropout(0.5, seed=0)(ones, training=False)
        >>> bool((keras.ops.convert_to_numpy(dropped) == 0).any())
        True
    """

    def call(self, inputs, training=None):
        return super().call(inputs, training=True)


@dataclass(frozen=True, eq=False)
class Spread:
    """What many random passes say of each image.

    Attributes:
        samples: probabilities `(passes, N, classes)`.
    """

    samples: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Mean probabilities `(N, classes)`: the prediction."""
        return self.samples.mean(axis=0)

    @property
    def deviation(self) -> np.ndarray:
        """Standard deviation over the passes `(N, classes)`."""
        return self.samples.std(axis=0)

    @property
    def entropy(self) -> np.ndarray:
        """Entropy of the mean `(N,)`, in nats: how unsure in all, 0 to log(classes)."""
        return _entropy(self.mean)

    @property
    def mutual_information(self) -> np.ndarray:
        """How much the passes disagree `(N,)`, in nats: what the dropped weights account for.

        It is 0 where every pass says the same, even if that is "half and half".
        """
        return np.maximum(self.entropy - _entropy(self.samples).mean(axis=0), 0)


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    return -(probabilities * np.log(np.maximum(probabilities, 1e-12))).sum(axis=-1)


def split_at_dropout(model: keras.Model, seed: int = 0) -> tuple[keras.Model, keras.Model]:
    """The part of a model before its first dropout, and the rest with its dropouts always on.

    The first part is the same in every pass, so it has to run only once. Both parts share the
    model's weights, and the model itself stays as it is. BatchNormalization keeps its stored
    statistics, which `model(x, training=True)` would move. Dropouts inside a nested backbone,
    such as EfficientNet's, belong to the first part and stay off.

    Args:
        model: a Functional or Sequential model with a `keras.layers.Dropout` of its own.
        seed: of the masks.

    Returns:
        `(trunk, tail)`: from images to what the first dropout is fed, and from there to the
        model's output.

    Raises:
        ValueError: there is no such dropout.
    """
    dropouts = [layer for layer in model.layers if _drops(layer)]
    if not dropouts:
        raise ValueError(
            f"{model.name} has no Dropout with a rate above 0 outside its backbone, so every pass "
            "would say the same; build it with a dropout, such as 0.2, and train it."
        )
    # A Sequential model has no `input` of its own; its graph has.
    graph = getattr(model, "_functional", None) or model
    trunk = keras.Model(graph.input, dropouts[0].input, name=f"{model.name}-trunk")
    rest = keras.Model(dropouts[0].input, graph.output)
    seeds = iter(range(1000 * seed, 1000 * seed + len(dropouts)))

    def always_on(layer):
        if not _drops(layer):
            return layer
        return MonteCarloDropout(
            layer.rate, noise_shape=_noise_shape(layer), seed=next(seeds), name=layer.name
        )

    return trunk, keras.models.clone_model(rest, clone_function=always_on)


def _noise_shape(layer):
    """The shape of a layer's mask; a SpatialDropout keeps or drops whole channels."""
    if not isinstance(layer, _SPATIAL):
        return layer.noise_shape
    whole = [1] * (len(layer.input.shape) - 2)
    if getattr(layer, "data_format", "channels_last") == "channels_first":
        return (None, None, *whole)
    return (None, *whole, None)


def _drops(layer) -> bool:
    return isinstance(layer, keras.layers.Dropout) and layer.rate > 0


def mc_dropout(
    model: keras.Model, images: np.ndarray, passes: int = 30, seed: int = 0, batch_size: int = 64
) -> Spread:
    """Predict many times with dropout on, and see how far the predictions lie apart.

    Args:
        model: with a dropout outside its backbone, from `build_classifier(dropout=…)` or your own.
        images: what the model takes, `(N, …)`.
        passes: how many times, 2 or more.
        seed: of the masks; the same seed gives the same answer.
        batch_size: images in one step.

    Returns:
        A `Spread`.

    Raises:
        ValueError: no dropout in the model, or fewer than two passes.

    Source: Gal and Ghahramani, 2016 (https://arxiv.org/abs/1506.02142).
    """
    if passes < 2:
        raise ValueError(f"passes is {passes}; a spread needs 2 or more.")
    trunk, tail = split_at_dropout(model, seed)
    fixed = trunk.predict(images, batch_size=batch_size, verbose=0)
    starts = range(0, len(fixed), batch_size)
    samples = [
        # `predict` would set up a data pipeline for each pass, which takes longer than the pass.
        np.concatenate([tail.predict_on_batch(fixed[i : i + batch_size]) for i in starts])
        for _ in config.progress(range(passes), "passes")
    ]
    return Spread(np.stack(samples))
