"""Domain-adversarial training (DANN): features on which a network cannot tell the domains apart."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import layers, ops

from tlcourse.adaptation.reversal import GradientReversal
from tlcourse.multitask import compile_outputs

BATCH_NORMS = ("separate", "together")


class Adversary:
    """A classifier, and beside it a small network that tries to tell the domains apart.

    Both stand on the same features. The domain network learns to name the domain; through a
    gradient reversal the features learn to make that impossible, while they go on serving the
    labels of the source. The target has no labels here: there is no argument to give them in.

    It is compiled once. Each `learn` starts from the weights that everything had when this was
    made, and from an optimizer at rest. The model's own weights are trained; with separate
    batches, give its BatchNormalization the target's statistics afterwards (`adapt_batch_norm`).

    Args:
        model: a Functional classifier, from raw pixels to probabilities.
        features: the name of its layer whose output `(N, D)` the domain network sees.
        units: of the domain network's hidden layer. A strong one wins too early, and what it then
            sends back through the reversal is noise.
        batch_norm: "separate" normalises the two halves of a batch each by its own statistics, as
            two calls of a model do; "together" normalises them by common ones.

    Raises:
        ValueError: no such layer, features that are not `(N, D)`, or another word for batch_norm.

    Source: Ganin and others, 2016 (https://arxiv.org/abs/1505.07818).
    """

    def __init__(
        self,
        model: keras.Model,
        features: str = "hidden",
        units: int = 64,
        batch_norm: str = "separate",
    ):
        if batch_norm not in BATCH_NORMS:
            raise ValueError(
                f"batch_norm is {batch_norm!r}; write one of {', '.join(BATCH_NORMS)}."
            )
        self.model = model
        encoder, task = _cut(model, features)
        inputs = {name: keras.Input(model.input_shape[1:], name=name) for name in _DOMAINS}
        if batch_norm == "separate":
            of_source, of_target = encoder(inputs["source"]), encoder(inputs["target"])
            both = ops.concatenate([of_source, of_target], axis=0)
        else:
            both = encoder(ops.concatenate(list(inputs.values()), axis=0))
            of_source = ops.reshape(both, (2, -1, both.shape[-1]))[0]
        self.reversal = GradientReversal(name="reversal")
        said = self.reversal(both)
        self._discriminator = [
            layers.Dense(units, "relu", name="domain_hidden"),
            layers.Dense(1, "sigmoid", dtype="float32", name="domain_head"),
        ]
        for layer in self._discriminator:
            said = layer(said)
        # One row per pair: what is said of its source image, and of its target image.
        domain = ops.transpose(ops.reshape(said, (2, -1)))
        outputs = {"label": task(of_source), "domain": domain}
        self._both = keras.Model(inputs, outputs, name=f"{model.name}-adversary")
        self._optimizer = keras.optimizers.Adam()
        losses = {"label": "sparse_categorical_crossentropy", "domain": "binary_crossentropy"}
        compile_outputs(self._both, self._optimizer, losses)
        self._rest = [ops.convert_to_numpy(v) for v in self._optimizer.variables]
        self.start = self._both.get_weights()

    def restart(self) -> None:
        """Put all weights back to where they were at first, and the optimizer to rest."""
        self._both.set_weights(self.start)
        for variable, value in zip(self._optimizer.variables, self._rest, strict=True):
            variable.assign(value)

    def learn(
        self,
        x_source: np.ndarray,
        y_source: np.ndarray,
        x_target: np.ndarray,
        *,
        steps: int,
        learning_rate: float = 1e-3,
        strength: float = 1.0,
        ramp: bool = True,
        batch_size: int = 32,
        seed: int = 0,
        watch: Callable[[], object] | None = None,
        marks: Sequence[int] = (),
    ) -> dict[str, list]:
        """Start afresh and train; with strength 0 this is source-only training.

        Args:
            x_source: raw pixels `(N, H, W, C)`, 0-255.
            y_source: their class numbers `(N,)`.
            x_target: raw pixels `(M, H, W, C)`, without labels; M may differ from N.
            steps: gradient steps, 1 or more.
            learning_rate: of Adam, above zero.
            strength: of the reversal at its end, 0 or more.
            ramp: whether it rises from zero as published, or holds from the first step on.
            batch_size: images of each domain in a step.
            seed: of the order of both domains.
            watch: called after each of the `marks` and at the end.
            marks: numbers of steps, below `steps`.

        Returns:
            "label_loss", and "domain_loss" (log 2 = 0.69 where the domains cannot be told apart),
            each the mean since the mark before; "steps"; and "watched", what `watch` returned.

        Raises:
            ValueError: numbers that are not positive, shapes or labels that do not fit. Nothing
                was changed then.
        """
        self._check(x_source, y_source, x_target, steps, learning_rate, batch_size)
        # A strength that the layer refuses is refused before the weights go back.
        self.reversal.start(strength)
        self.restart()
        self.reversal.start(strength, steps if ramp else 0)
        self._optimizer.learning_rate = learning_rate
        rng = np.random.default_rng(seed)
        orders = [_order(len(x), steps * batch_size, rng) for x in (x_source, x_target)]
        domain = np.tile(np.array([0.0, 1.0], "float32"), (steps * batch_size, 1))
        found = {"steps": [], "label_loss": [], "domain_loss": [], "watched": []}
        stops = sorted({*marks, steps})
        for first, last in zip([0, *stops], stops, strict=False):
            of_source, of_target = (o[first * batch_size : last * batch_size] for o in orders)
            history = self._both.fit(
                {"source": x_source[of_source], "target": x_target[of_target]},
                {"label": y_source[of_source], "domain": domain[: len(of_source)]},
                batch_size=batch_size, shuffle=False, verbose=0,
            ).history  # fmt: skip
            found["steps"].append(last)
            for name in ("label_loss", "domain_loss"):
                found[name].append(float(history[name][0]))
            found["watched"] += [watch()] if watch else []
        return found

    def _check(self, x_source, y_source, x_target, steps, rate, batch_size) -> None:
        if steps < 1 or batch_size < 1:
            raise ValueError(f"{steps} steps of {batch_size} images; give 1 or more of each.")
        if not rate > 0:
            raise ValueError(f"The learning rate is {rate}; it has to be above zero.")
        wanted = tuple(self.model.input_shape[1:])
        for name, x in zip(_DOMAINS, (x_source, x_target), strict=True):
            if np.shape(x)[1:] != wanted or len(x) == 0:
                raise ValueError(
                    f"The {name} images have shape {np.shape(x)}; this model takes (N, "
                    f"{', '.join(map(str, wanted))}) of both domains."
                )
        if np.shape(y_source) != (len(x_source),):
            raise ValueError(
                f"{len(x_source)} source images do not match labels of shape {np.shape(y_source)}."
            )
        classes = self.model.output_shape[-1]
        if np.min(y_source) < 0 or np.max(y_source) >= classes:
            raise ValueError(
                f"Labels run from {np.min(y_source)} to {np.max(y_source)}; this model wants 0 to "
                f"{classes - 1}."
            )


_DOMAINS = ("source", "target")


def _cut(model: keras.Model, features: str) -> tuple[keras.Model, keras.Model]:
    try:
        tensor = model.get_layer(features).output
    except ValueError:
        names = ", ".join(layer.name for layer in model.layers[1:-1])
        raise ValueError(f"{model.name} has no layer {features!r}; name one of {names}.") from None
    if len(tensor.shape) != 2:
        raise ValueError(
            f"The layer {features!r} gives shape {tuple(tensor.shape)}; the domain network takes "
            "features (N, D), so name a Dense, Flatten or GlobalAveragePooling2D layer."
        )
    return keras.Model(model.input, tensor), keras.Model(tensor, model.output)


def _order(count: int, wanted: int, rng) -> np.ndarray:
    """Positions for all steps: one pass after the other, each in a new order."""
    passes = -(-wanted // count)
    return np.concatenate([rng.permutation(count) for _ in range(passes)])[:wanted]
