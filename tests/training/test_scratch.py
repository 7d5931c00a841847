import random

import keras
import numpy as np
import pytest
from keras import layers

from tlcourse import config, models, training
from tlcourse.models import build
from tlcourse.training import scratch
from tlcourse.training.loop import same_draws

rng = np.random.default_rng(0)
IMAGES = rng.integers(0, 256, (40, 16, 16, 1), dtype=np.uint8)
LABELS = np.arange(40) % 2


def weights(model):
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


class TestTrainFromScratch:
    @pytest.fixture(autouse=True)
    def nothing_kept(self, monkeypatch, tmp_path):
        monkeypatch.setenv("TLCOURSE_CACHE", str(tmp_path))
        monkeypatch.setenv("TLCOURSE_CACHE_LIMIT", "0")

    def test_one_seed_gives_one_model(self):
        a, b, c = (
            training.train_from_scratch(IMAGES, LABELS, 2, seed, steps=2) for seed in (0, 0, 1)
        )
        assert (weights(a) == weights(b)).all() and (weights(a) != weights(c)).any()

    def test_a_later_run_leaves_an_earlier_model_alone(self):
        first = training.train_from_scratch(IMAGES, LABELS, 2, 0, steps=2)
        before = weights(first)
        training.train_from_scratch(IMAGES, 1 - LABELS, 2, 1, steps=2)
        assert (weights(first) == before).all()

    def test_what_was_trained_before_is_not_trained_again(self, monkeypatch):
        monkeypatch.setenv("TLCOURSE_CACHE_LIMIT", "1")
        first = training.train_from_scratch(IMAGES, LABELS, 2, 8, steps=2)
        monkeypatch.setattr(scratch, "_fit", None)
        again = training.train_from_scratch(IMAGES, LABELS, 2, 8, steps=2)
        for ours, theirs in zip(again.variables, first.variables, strict=True):
            assert ours.dtype == theirs.dtype
            assert (keras.ops.convert_to_numpy(ours) == keras.ops.convert_to_numpy(theirs)).all()
        others = (IMAGES[::-1], LABELS, 8, 2), (IMAGES, 1 - LABELS, 8, 2), (IMAGES, LABELS, 9, 2)
        for x, y, seed, steps in (*others, (IMAGES, LABELS, 8, 3)):
            with pytest.raises(TypeError):
                training.train_from_scratch(x, y, 2, seed, steps=steps)

    def test_random_numbers_go_on_as_if_it_had_been_trained(self, monkeypatch):
        monkeypatch.setenv("TLCOURSE_CACHE_LIMIT", "1")

        def drawn():
            training.train_from_scratch(IMAGES, LABELS, 2, 11, steps=2)
            tensor = keras.random.normal((2,))
            return random.random(), np.random.rand(), *keras.ops.convert_to_numpy(tensor)

        training.train_from_scratch(IMAGES, LABELS, 2, 10, steps=2)
        assert drawn() == drawn()

    def test_a_step_that_serves_again_gives_what_a_new_one_gives(self):
        training.train_from_scratch(IMAGES[:20], LABELS[:20], 2, 5, steps=4)
        again = training.train_from_scratch(IMAGES, LABELS, 2, 1, steps=4)
        config.set_seed(1)
        plain = models.small_cnn(2, (16, 16, 1))
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, 4, warmup_target=training.SCRATCH_RATE, warmup_steps=0
        )
        training.compile_classifier(plain, keras.optimizers.Adam(rate))
        draws = np.random.default_rng(1)
        order = np.concatenate([draws.permutation(40) for _ in range(4)])[:128]
        plain.fit(
            IMAGES[order], LABELS[order], batch_size=32, callbacks=same_draws(), shuffle=False,
            verbose=0,
        )  # fmt: skip
        assert (weights(again) == weights(plain)).all()


class TestBackboneFromScratch:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch):
        def toy(facts, weights, input_shape):
            assert weights is None
            inputs = layers.Input(input_shape)
            x = layers.Conv2D(4, 3, 2, name="stem_conv")(inputs)
            x = layers.ReLU(name="stem_relu")(layers.BatchNormalization(name="stem_bn")(x))
            return keras.Model(inputs, layers.Conv2D(5, 3, name="top_conv")(x), name="toy")

        monkeypatch.setattr(build, "load_backbone", toy)

    def test_everything_moves_batch_normalization_too(self):
        found = [
            training.backbone_from_scratch(IMAGES, LABELS, 2, steps=steps, size=16)
            for steps in (1, 12)
        ]
        pairs = zip(found[0].weights, found[1].weights, strict=True)
        assert {w.path for w, other in pairs if np.array_equal(w, other)} == set()

    def test_it_learns_and_its_statistics_keep_up(self):
        x = np.where(LABELS[:, None, None, None], 200, 20) + IMAGES // 8
        model = training.backbone_from_scratch(
            x.astype("uint8"), LABELS, 2, steps=40, size=16, learning_rate=1e-2
        )
        assert (model.predict(x, verbose=0).argmax(axis=1) == LABELS).mean() > 0.9
