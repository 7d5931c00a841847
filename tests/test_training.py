import keras
import numpy as np
import pytest
from keras import layers

from tlcourse import freezing, training
from tlcourse.training import History

CLASSES = 3


def backbone(extra=None):
    """Four blocks, one of them with a skip connection; `extra` is put behind the stem."""
    inputs = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="stem_conv")(inputs)
    x = layers.BatchNormalization(name="stem_bn")(x)
    x = layers.ReLU(name="stem_relu")(x)
    x = extra(x) if extra else x
    main = layers.Conv2D(4, 3, padding="same", name="block1_conv")(x)
    main = layers.BatchNormalization(name="block1_bn")(main)
    x = layers.Add(name="block1_add")([main, x])
    x = layers.Conv2D(6, 3, padding="same", name="block2_conv")(x)
    x = layers.BatchNormalization(name="block2_bn")(x)
    x = layers.Conv2D(5, 1, name="top_conv")(x)
    return keras.Model(inputs, layers.ReLU(name="top_relu")(x), name="base")


def classifier(extra=None, dropout=0.0):
    keras.utils.set_random_seed(3)
    inputs = layers.Input((8, 8, 3))
    x = layers.Rescaling(1 / 255, name="preprocessing")(inputs)
    x = backbone(extra)(x)
    x = layers.GlobalAveragePooling2D(name="pooling")(x)
    x = layers.Dropout(dropout, name="dropout")(x) if dropout else x
    return keras.Model(inputs, layers.Dense(CLASSES, "softmax", name="head")(x))


@pytest.fixture(scope="module")
def images():
    """Three classes that differ in the brightness of one channel, 20 of each."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % CLASSES
    x = rng.uniform(0, 120, (60, 8, 8, 3)).astype("float32")
    x[np.arange(60), :, :, y] += 100
    return x, y


def weights(model):
    return {path: value.copy() for path, value in freezing.snapshot(model).values.items()}


def tuned(images, cache, **settings):
    model = classifier(dropout=settings.pop("dropout", 0.0))
    keras.utils.set_random_seed(7)
    settings = {"learning_rate": 0.05, "optimizer": "sgd", "epochs": 3, **settings}
    history = training.fine_tune(model, *images, batch_size=16, cache=cache, **settings)
    return model, history


class TestFitHead:
    def test_the_scaling_is_folded_into_the_weights(self):
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        rng = np.random.default_rng(0)
        y = np.arange(90) % 3
        features = (rng.normal(size=(90, 5)) + y[:, None]) * [1, 10, 100, 1, 1] + 50
        plain = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300, tol=1e-3))
        head = training.fit_head(features, y)
        expected = plain.fit(features, y).predict_proba(features)
        assert np.allclose(head.probabilities(features), expected, atol=1e-3)

    def test_two_classes_give_two_scores(self):
        head = training.fit_head(np.array([[-1.0], [-2.0], [1.0], [2.0]]), np.array([0, 0, 1, 1]))
        assert head.kernel.shape == (1, 2)
        assert head.probabilities(np.array([[-9.0], [9.0]])).argmax(1).tolist() == [0, 1]

    def test_a_weaker_penalty_fits_harder(self):
        rng = np.random.default_rng(0)
        features, y = rng.normal(size=(40, 3)), np.arange(40) % 2
        loose, tight = (training.fit_head(features, y, C=C).kernel for C in (10, 0.001))
        assert np.abs(loose).sum() > 5 * np.abs(tight).sum()

    def test_a_constant_feature_does_no_harm(self):
        features = np.array([[-1.0, 5], [-2, 5], [1, 5], [2, 5]])
        head = training.fit_head(features, np.array([0, 0, 1, 1]))
        assert np.isfinite(head.kernel).all() and head.accuracy(features, [0, 0, 1, 1]) == 1

    def test_bad_input_is_refused(self):
        with pytest.raises(ValueError, match=r"they have to be \(N, D\) and \(N,\)"):
            training.fit_head(np.zeros((4, 2, 2)), np.zeros(4, int))
        with pytest.raises(ValueError, match=r"Features of shape \(4, 2\)"):
            training.fit_head(np.zeros((4, 2)), np.zeros(3, int))
        with pytest.raises(ValueError, match="Class 1 has no example among the 4 labels"):
            training.fit_head(np.zeros((4, 2)), np.array([0, 0, 2, 2]))


class TestSetHead:
    def test_the_model_then_says_what_the_head_says(self, images):
        model = classifier()
        to_features = keras.Model(model.input, model.get_layer("pooling").output)
        found = to_features.predict(images[0], verbose=0)
        head = training.fit_head(found, images[1])
        training.set_head(model, head)
        said = model.predict(images[0], verbose=0)
        assert np.allclose(said, head.probabilities(found), atol=1e-5)

    def test_a_head_of_another_size_is_refused_and_changes_nothing(self):
        model = classifier()
        before = weights(model)
        wide = training.Head(np.zeros((9, CLASSES), "float32"), np.zeros(CLASSES, "float32"))
        with pytest.raises(ValueError, match=r"head is \(5, 3\), the fitted one \(9, 3\)"):
            training.set_head(model, wide)
        assert all(np.array_equal(before[path], now) for path, now in weights(model).items())

    def test_a_model_without_a_head_is_refused(self):
        head = training.Head(np.zeros((5, 3), "float32"), np.zeros(3, "float32"))
        with pytest.raises(ValueError, match="base has no layer named 'head'"):
            training.set_head(backbone(), head)


class TestTrain:
    def test_it_learns_and_keeps_every_curve(self, images):
        model = classifier()
        history = training.train(model, *images, epochs=12, learning_rate=0.02, validation=images)
        assert history.epochs == 12 and history["accuracy"][-1] > 0.8
        curves = {"loss", "accuracy", "val_loss", "val_accuracy", "seconds"}
        assert set(history.curves) == curves
        assert all(len(values) == 12 for values in history.curves.values())
        assert history.stages == {"training": 0} and min(history["seconds"]) > 0

    def test_it_compiles_anew_so_that_a_change_of_trainable_counts(self, images):
        model = classifier()
        freezing.freeze(model)
        training.train(model, *images, epochs=1, learning_rate=0.01)
        before = weights(model)
        freezing.unfreeze(model)
        training.train(model, *images, epochs=1, learning_rate=0.01)
        moved = {path for path, now in weights(model).items() if (now != before[path]).any()}
        assert any("stem_conv" in path for path in moved)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"learning_rate": 0}, "learning rate is 0; it has to be above zero"),
            ({"learning_rate": float("nan")}, "learning rate is nan"),
            ({"epochs": 0}, "epochs is 0; train for at least one"),
            ({"y": np.zeros(59, int)}, "60 images do not match 59 labels"),
            ({"y": np.full(60, 3)}, "Labels run from 3 to 3; a model of 3 classes wants 0 to 2"),
            ({"y": np.full(60, -1)}, "Labels run from -1 to -1"),
        ],
    )
    def test_bad_input_is_refused_before_anything_is_compiled(self, images, change, message):
        model = classifier()
        settings = {"x": images[0], "y": images[1], "epochs": 1, "learning_rate": 0.1, **change}
        with pytest.raises(ValueError, match=message):
            training.train(model, **settings)
        assert not model.compiled

    @pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow traces twice")
    def test_the_training_step_is_traced_once(self, images):
        class Counting(keras.Model):
            traces = 0

            def train_step(self, data):
                Counting.traces += 1
                return super().train_step(data)

        model = classifier()
        counting = Counting(model.input, model.output)
        training.train(counting, *images, epochs=2, learning_rate=0.01, batch_size=20)
        assert Counting.traces == 1

    def test_nothing_to_train_is_refused(self, images):
        model = classifier()
        model.trainable = False
        with pytest.raises(ValueError, match="Nothing in the model is trainable"):
            training.train(model, *images, epochs=1, learning_rate=0.1)


class TestHistory:
    def test_one_history_after_the_other(self):
        first = History({"loss": [3.0, 2.0], "val_loss": [4.0, 4.0]}, {"head": 0})
        second = History({"loss": [1.0]}, {"fine-tuning": 0})
        both = first.then(second)
        assert both.curves == {"loss": [3.0, 2.0, 1.0]}
        assert both.stages == {"head": 0, "fine-tuning": 2} and both.epochs == 3

    def test_the_two_stay_as_they_were(self):
        first, second = History({"loss": [1.0]}, {"a": 0}), History({"loss": [0.5]}, {"b": 0})
        first.then(second)["loss"].append(9.0)
        assert first["loss"] == [1.0] and second["loss"] == [0.5] and second.stages == {"b": 0}


class TestCachedPrefix:
    def test_the_two_parts_say_what_the_model_says(self, images):
        model = classifier()
        freezing.unfreeze(model, last=2)
        suffix, activations = training.cached_prefix(model, images[0])
        assert activations.shape == (60, 8, 8, 4)
        said = suffix.predict(activations, verbose=0)
        assert np.allclose(said, model.predict(images[0], verbose=0), atol=1e-6)

    def test_the_rest_shares_its_layers(self, images):
        model = classifier()
        freezing.unfreeze(model, last=2)
        suffix, _ = training.cached_prefix(model, images[0])
        shared = {id(weight) for weight in model.trainable_weights}
        assert {id(weight) for weight in suffix.trainable_weights} == shared

    @pytest.mark.parametrize(("last", "dropout"), [(1, 0.5), (3, 0.0)])
    def test_training_it_is_plain_fine_tuning(self, images, last, dropout):
        plain, slow = tuned(images, cache=False, last=last, dropout=dropout)
        cached, fast = tuned(images, cache=True, last=last, dropout=dropout)
        before = weights(classifier(dropout=dropout))
        expected, found = weights(plain), weights(cached)
        moved = [path for path in expected if not np.array_equal(expected[path], before[path])]
        assert len(moved) >= 2 * last  # kernel and bias of each block, and of the head
        for path in expected:
            assert np.allclose(expected[path], found[path], atol=1e-5), path
        assert np.allclose(slow["loss"], fast["loss"], atol=1e-4)

    def test_with_adam_too(self, images):
        settings = {"last": 2, "optimizer": "adam", "learning_rate": 1e-3}
        expected, found = (weights(tuned(images, cache, **settings)[0]) for cache in (False, True))
        assert all(np.allclose(expected[path], found[path], atol=1e-4) for path in expected)

    def test_everything_trainable_is_refused(self, images):
        model = classifier()
        freezing.unfreeze(model)
        with pytest.raises(ValueError, match="The first block of 'base', stem, is trainable"):
            training.cached_prefix(model, images[0])

    def test_a_batch_norm_that_moves_is_refused(self, images):
        def moving(x):
            return layers.BatchNormalization(center=False, scale=False, name="stem_norm")(x)

        model = classifier(moving)
        freezing.unfreeze(model, last=2)
        training.cached_prefix(model, images[0])
        model.get_layer("base").get_layer("stem_norm").trainable = True
        with pytest.raises(ValueError, match="'stem_norm' lies in the frozen part and still"):
            training.cached_prefix(model, images[0])

    @pytest.mark.parametrize("random", [layers.Dropout(0.2), layers.RandomFlip("horizontal")])
    def test_randomness_is_refused(self, images, random):
        model = classifier(random)
        freezing.unfreeze(model, last=2)
        with pytest.raises(ValueError, match=f"{random.name!r} lies in the frozen part and draws"):
            training.cached_prefix(model, images[0])

    def test_a_flat_model_is_refused(self, images):
        flat = backbone()
        freezing.freeze(flat, until="stem")
        with pytest.raises(ValueError, match="'base' has no nested backbone to cut"):
            training.cached_prefix(flat, images[0])

    def test_the_cut_avoids_a_place_that_two_tensors_cross(self, images):
        model = classifier()
        freezing.unfreeze(model, from_="block2")
        base = model.get_layer("base")
        base.get_layer("block1_conv").trainable = False
        suffix, _ = training.cached_prefix(model, images[0])
        names = {layer.name for layer in freezing.find_backbone(suffix).layers}
        assert "block2_conv" in names and "block1_add" not in names


class TestFineTune:
    def test_only_what_was_asked_for_moves_and_no_batch_norm(self, images):
        before = weights(classifier())
        model, history = tuned(images, cache=True, last=2)
        moved = {path for path, now in weights(model).items() if (now != before[path]).any()}
        layers_moved = {path.split("/")[-2] for path in moved}
        assert layers_moved == {"block2_conv", "top_conv", "head"}
        assert history.stages == {"fine-tuning": 0} and history.epochs == 3

    def test_until_names_the_last_frozen_block(self, images):
        by_count, _ = tuned(images, cache=True, last=2)
        by_name, _ = tuned(images, cache=True, until="block1")
        expected, found = weights(by_count), weights(by_name)
        assert all(np.array_equal(expected[path], found[path]) for path in expected)

    def test_with_neither_everything_but_batch_norm_moves(self, images):
        before = weights(classifier())
        model, _ = tuned(images, cache=True)
        still = {path for path, now in weights(model).items() if (now == before[path]).all()}
        assert {path.split("/")[-2] for path in still} == {"stem_bn", "block1_bn", "block2_bn"}

    def test_a_part_that_draws_at_random_is_trained_the_plain_way(self, images):
        model = classifier(layers.Dropout(0.2))
        history = training.fine_tune(model, *images, last=1, epochs=1, validation=images)
        assert history.epochs == 1 and len(history["val_loss"]) == 1

    def test_activations_that_do_not_fit_into_memory_are_not_kept(self, images, monkeypatch):
        model = classifier()
        freezing.unfreeze(model, last=2)
        assert training._worthwhile_split(model, 60)
        monkeypatch.setattr(training, "CACHE_BYTES", 60 * 8 * 8 * 4 * 4 - 1)
        assert training._worthwhile_split(model, 60) is None

    def test_validation_scores_are_those_of_the_model(self, images):
        model, history = tuned(images, cache=True, last=1, validation=images)
        scores = model.evaluate(*images, verbose=0, return_dict=True)
        assert history["val_accuracy"][-1] == pytest.approx(scores["accuracy"])
        assert history["val_loss"][-1] == pytest.approx(scores["loss"], abs=1e-4)

    def test_the_model_is_left_compiled_and_not_stale(self, images):
        model, _ = tuned(images, cache=True, last=1)
        assert model.compiled and not freezing.audit(model).found("stale-compile")

    def test_two_choices_are_refused(self, images):
        with pytest.raises(ValueError, match="fine_tune got last and until; give one of them"):
            training.fine_tune(classifier(), *images, last=1, until="stem", epochs=1)


class TestTwoStage:
    def test_the_head_comes_first_then_the_backbone_moves(self, images):
        model = classifier()
        before = freezing.snapshot(model)
        keras.utils.set_random_seed(7)
        history = training.two_stage(
            model, *images, last=1, epochs=2, learning_rate=1e-4, validation=images
        )
        assert history.stages == {"head": 0, "fine-tuning": 1} and history.epochs == 3
        assert set(history.curves) == {"loss", "accuracy", "val_loss", "val_accuracy", "seconds"}
        assert history["val_accuracy"][0] == history["accuracy"][0]
        assert history["accuracy"][0] > 0.8  # a fitted head, not a random one
        assert not freezing.audit(model, before=before, expect="fine-tuning").findings

    def test_the_first_entry_is_the_fitted_head(self, images):
        model = classifier()
        history = training.two_stage(model, *images, epochs=1, learning_rate=1e-30)
        scores = model.evaluate(*images, verbose=0, return_dict=True)
        assert history["loss"][0] == pytest.approx(scores["loss"], abs=1e-4)

    def test_a_model_without_a_head_is_refused(self, images):
        with pytest.raises(ValueError, match="base has no layer named 'head'"):
            training.two_stage(backbone(), *images, epochs=1)


class TestTrainFromScratch:
    def test_one_seed_gives_one_model(self):
        rng = np.random.default_rng(0)
        x, y = rng.integers(0, 256, (40, 16, 16, 1), dtype=np.uint8), np.arange(40) % 2
        a, b, c = (training.train_from_scratch(x, y, 2, seed, steps=2) for seed in (0, 0, 1))
        kernels = [model.get_layer("head").kernel.numpy() for model in (a, b, c)]
        assert np.array_equal(kernels[0], kernels[1]) and not np.array_equal(kernels[0], kernels[2])
