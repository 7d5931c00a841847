import keras
import numpy as np
import pytest
from keras import layers

from tlcourse.adaptation import Adversary


def classifier(seed=0, norm=False):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((2,))
    x = layers.BatchNormalization(momentum=0.5, name="bn")(inputs) if norm else inputs
    x = layers.Dense(8, "tanh", name="hidden")(x)
    return keras.Model(inputs, layers.Dense(2, "softmax", name="head")(x), name="toy")


@pytest.fixture(scope="module")
def domains():
    """The first number says the class, and the second one the domain."""
    rng = np.random.default_rng(0)

    def draw(shift):
        y = rng.integers(2, size=256)
        x = np.stack([2.0 * y - 1, np.full(256, shift)], axis=1) + rng.normal(0, 0.1, (256, 2))
        return x.astype("float32"), y

    return {"source": draw(0.0), "target": draw(1.0)}


class TestLearn:
    def test_the_domain_is_unlearned_and_the_class_is_kept(self, domains):
        """A linear feature of class and domain: the reversal takes the domain's weight away."""
        (x, y), (u, v) = domains["source"], domains["target"]
        inputs = keras.Input((2,))
        both = layers.Dense(1, use_bias=False, kernel_initializer="ones", name="hidden")(inputs)
        model = keras.Model(inputs, layers.Dense(2, "softmax", name="head")(both))
        adversary, domain = Adversary(model, units=8), {}
        for strength in (0.0, 1.0):
            weights = []
            losses = adversary.learn(
                x, y, u, steps=300, strength=strength, learning_rate=0.01, marks=[180, 220, 260],
                watch=lambda kept=weights: kept.append(model.get_layer("hidden").get_weights()[0]),
            )  # fmt: skip
            own, other = np.abs(np.mean(weights, axis=0)).ravel()
            domain[strength] = other / own
            assert losses["steps"][-1] == 300
        # Without effect they were equal, and with the wrong sign the first were the larger one.
        assert domain[1.0] < domain[0.0]
        assert (model.predict(u, verbose=0).argmax(1) == v).mean() > 0.9

    def test_each_time_starts_from_the_same_place(self, domains):
        (x, y), (u, _) = domains["source"], domains["target"]
        adversary = Adversary(classifier())
        ends = []
        for _ in range(2):
            found = adversary.learn(x, y, u, steps=7, strength=0.5, seed=3)
            ends.append((found, adversary.model.get_weights()))
        assert ends[0][0] == ends[1][0]
        assert all((a == b).all() for a, b in zip(ends[0][1], ends[1][1], strict=True))

    def test_without_strength_the_target_has_no_part_in_it(self, domains):
        (x, y), (u, _) = domains["source"], domains["target"]
        adversary = Adversary(classifier())
        ends = []
        for target in (u, u + 9):
            adversary.learn(x, y, target, steps=5, strength=0.0)
            ends.append(adversary.model.get_weights())
        assert all((a == b).all() for a, b in zip(*ends, strict=True))

    def test_batch_norm_separate_and_together(self, domains):
        """Half of the batch 0 and half 1: alone their variance is tiny, together a quarter."""
        (x, y), (u, _) = domains["source"], domains["target"]
        variance = {}
        for way in ("separate", "together"):
            adversary = Adversary(classifier(norm=True), batch_norm=way)
            adversary.learn(x, y, u, steps=12, strength=0.0)
            norm = adversary.model.get_layer("bn")
            variance[way] = keras.ops.convert_to_numpy(norm.moving_variance)[1]
        assert variance["separate"] < 0.03
        assert variance["together"] == pytest.approx(0.26, abs=0.05)

    def test_separate_batches_leave_a_blend_that_fits_neither_domain(self, domains):
        (x, y), (u, _) = domains["source"], domains["target"]
        adversary = Adversary(classifier(norm=True))
        adversary.learn(x, y, u, steps=12, strength=0.0)
        mean = keras.ops.convert_to_numpy(adversary.model.get_layer("bn").moving_mean)[1]
        # The target comes second in each step, so of its mean of 1 two thirds are in the blend.
        assert mean == pytest.approx(2 / 3, abs=0.05)

    def test_watches_at_the_marks_and_takes_domains_of_any_size(self, domains):
        (x, y), (u, _) = domains["source"], domains["target"]
        seen = iter(range(9))
        found = Adversary(classifier()).learn(
            x, y, u[:20], steps=6, marks=[2, 4], watch=lambda: next(seen)
        )
        assert found["steps"] == [2, 4, 6] and found["watched"] == [0, 1, 2]
        assert len(found["label_loss"]) == len(found["domain_loss"]) == 3

    @pytest.mark.parametrize(
        "change, said",
        [
            ({"steps": 0}, "0 steps of 32"),
            ({"batch_size": 0}, "1 or more of each"),
            ({"learning_rate": 0.0}, "above zero"),
            ({"strength": -1.0}, "strength is -1"),
            ({"x_target": np.zeros((4, 3))}, r"target images have shape \(4, 3\)"),
            ({"x_target": np.zeros((0, 2))}, "target images have shape"),
            ({"y_source": np.zeros(3, int)}, "do not match labels"),
            ({"y_source": np.full(256, 2)}, "wants 0 to 1"),
        ],
    )
    def test_refuses_what_does_not_fit_and_changes_nothing(self, domains, change, said):
        (x, y), (u, _) = domains["source"], domains["target"]
        adversary = Adversary(classifier())
        adversary.learn(x, y, u, steps=1)
        before = adversary.model.get_weights()
        given = {"x_source": x, "y_source": y, "x_target": u, "steps": 2} | change
        with pytest.raises(ValueError, match=said):
            adversary.learn(
                given.pop("x_source"), given.pop("y_source"), given.pop("x_target"), **given
            )
        after = adversary.model.get_weights()
        assert all((a == b).all() for a, b in zip(before, after, strict=True))


class TestMaking:
    def test_refuses_a_layer_that_is_not_there(self):
        with pytest.raises(ValueError, match="no layer 'pooling'; name one of hidden"):
            Adversary(classifier(), features="pooling")

    def test_refuses_features_that_are_maps(self):
        inputs = keras.Input((4, 4, 1))
        maps = layers.Conv2D(2, 1, name="maps")(inputs)
        model = keras.Model(inputs, layers.Dense(2, "softmax")(layers.Flatten()(maps)))
        with pytest.raises(ValueError, match=r"'maps' gives shape .*features \(N, D\)"):
            Adversary(model, features="maps")

    def test_refuses_another_word(self):
        with pytest.raises(ValueError, match="separate, together"):
            Adversary(classifier(), batch_norm="shared")
