import keras
import numpy as np
import pytest

from tlcourse import freezing, training


def moved_layers(model, before):
    """Names of the layers of which a weight differs from the snapshot."""
    now = freezing.snapshot(model).values
    moved = (path for path, value in now.items() if (value != before.values[path]).any())
    return {path.split("/")[-2] for path in moved}


def features_of(model, x):
    return keras.Model(model.input, model.get_layer("head").input).predict(x, verbose=0)


class TestTwoStage:
    def test_the_head_comes_first_then_the_backbone_moves(self, images, classifier):
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

    def test_the_first_entry_is_the_fitted_head(self, images, classifier):
        model = classifier()
        history = training.two_stage(model, *images, epochs=1, learning_rate=1e-30)
        scores = model.evaluate(*images, verbose=0, return_dict=True)
        assert history["loss"][0] == pytest.approx(scores["loss"], abs=1e-4)

    def test_a_model_without_a_head_is_refused(self, images, backbone):
        with pytest.raises(ValueError, match="base has no layer named 'head'"):
            training.two_stage(backbone(), *images, epochs=1)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"epochs": 0}, "epochs is 0; train for at least one"),
            ({"learning_rate": 0}, "learning rate is 0; it has to be above zero"),
            ({"y": np.full(60, 3)}, "a model of 3 classes wants 0 to 2"),
        ],
    )
    def test_bad_input_is_refused_before_the_head_is_fitted(
        self, images, classifier, change, message
    ):
        model = classifier()
        before = freezing.snapshot(model)
        settings = {"x": images[0], "y": images[1], "epochs": 1, **change}
        with pytest.raises(ValueError, match=message):
            training.two_stage(model, **settings)
        assert moved_layers(model, before) == set()


class TestProgressive:
    def test_each_stage_opens_more_and_nothing_else_moves(self, images, classifier, monkeypatch):
        opened = []
        real = training.stages.fine_tune

        def watched(model, x, y, **settings):
            before = freezing.snapshot(model)
            history = real(model, x, y, **settings)
            opened.append(moved_layers(model, before))
            return history

        monkeypatch.setattr(training.stages, "fine_tune", watched)
        training.progressive(classifier(), *images, stages=(1, 2, 4), learning_rate=0.01)
        convs = [{n for n in names if n.endswith("_conv")} for names in opened]
        assert convs[0] == {"top_conv"} and convs[1] == {"top_conv", "block2_conv"}
        assert convs[2] == {"top_conv", "block2_conv", "block1_conv", "stem_conv"}
        assert all("head" in names for names in opened)
        assert not any(name.endswith("_bn") for names in opened for name in names)

    def test_the_history_names_its_stages(self, images, classifier):
        history = training.progressive(
            classifier(), *images, stages=(1, 3), epochs=(2, 1), learning_rate=(1e-3, 1e-4),
            validation=images,
        )  # fmt: skip
        assert history.stages == {"head": 0, "last 1 blocks": 1, "last 3 blocks": 3}
        assert history.epochs == 4 and len(history["val_accuracy"]) == 4

    def test_each_stage_has_its_own_rate(self, images, classifier):
        model = classifier()
        kernels = [
            model.get_layer("base").get_layer(f"{name}_conv").kernel for name in ("block2", "top")
        ]
        before = [keras.ops.convert_to_numpy(kernel).copy() for kernel in kernels]
        training.progressive(model, *images, stages=(1, 2), learning_rate=(0.01, 1e-30))
        second, first = (
            np.abs(keras.ops.convert_to_numpy(kernel) - was).max()
            for kernel, was in zip(kernels, before, strict=True)
        )
        assert first > 1e-3 and second == 0

    def test_one_stage_is_two_stages_with_the_head(self, images, classifier):
        ours, theirs = classifier(), classifier()
        settings = {"epochs": 2, "learning_rate": 0.01}
        keras.utils.set_random_seed(7)
        training.progressive(ours, *images, stages=[2], **settings)
        keras.utils.set_random_seed(7)
        training.two_stage(theirs, *images, last=2, **settings)
        for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            assert np.allclose(one, other, atol=1e-6)

    def test_it_finds_the_backbone_though_a_model_has_no_attribute_base(self, images, classifier):
        model = classifier()
        with pytest.raises(AttributeError, match="base"):
            model.base  # noqa: B018
        before = freezing.snapshot(model)
        training.progressive(model, *images, stages=[1], learning_rate=0.01)
        assert moved_layers(model, before) == {"top_conv", "head"}

    def test_it_never_starts_from_a_head_that_was_not_fitted(self, images, classifier):
        for run in (training.two_stage, training.progressive):
            settings = {} if run is training.two_stage else {"stages": [1]}
            history = run(classifier(), *images, epochs=1, **settings)
            assert history["loss"][0] < 0.7 * np.log(3)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"stages": ()}, r"The stages are \[\]; give rising numbers of last blocks from 1 to"),
            ({"stages": (2, 1)}, r"The stages are \[2, 1\]; give rising numbers"),
            ({"stages": (1, 1)}, r"The stages are \[1, 1\]; give rising numbers"),
            ({"stages": (0, 1)}, r"The stages are \[0, 1\]"),
            ({"stages": (1, 9)}, "last blocks from 1 to 4"),
            ({"epochs": (1, 1, 1)}, "epochs has 3 entries for 2 stages; give one for each"),
            ({"learning_rate": [1e-3]}, "learning_rate has 1 entries for 2 stages"),
            ({"learning_rate": (1e-3, -1e-3)}, "The learning rate is -0.001; it has to be above"),
            ({"epochs": (1, 0)}, "epochs is 0; train for at least one"),
            ({"last": 3}, "progressive got last; say with stages what each stage trains"),
        ],
    )
    def test_bad_input_is_refused_before_anything_changes(
        self, images, classifier, change, message
    ):
        model = classifier()
        before = freezing.snapshot(model)
        with pytest.raises(ValueError, match=message):
            training.progressive(model, *images, **{"stages": (1, 2), **change})
        assert moved_layers(model, before) == set()
        assert freezing.snapshot(model).trainable == before.trainable


class TestResetHead:
    def test_a_zero_head_finds_every_class_equally_likely(self, images, classifier):
        model = classifier()
        training.reset_head(model, "zero")
        assert np.allclose(model.predict(images[0][:4], verbose=0), 1 / 3)

    def test_a_random_head_follows_from_its_seed(self, classifier):
        model, kernels = classifier(), []
        for seed in (0, 0, 1):
            training.reset_head(model, seed=seed)
            kernels.append(model.get_layer("head").get_weights()[0])
        assert np.array_equal(kernels[0], kernels[1])
        assert not np.array_equal(kernels[0], kernels[2])
        assert np.abs(kernels[0]).max() <= np.sqrt(6 / (5 + 3))

    def test_another_start_or_no_head_is_refused(self, classifier, backbone):
        with pytest.raises(ValueError, match="start is 'ones'; write one of random, zero"):
            training.reset_head(classifier(), "ones")
        with pytest.raises(ValueError, match="base has no layer named 'head'"):
            training.reset_head(backbone())


class TestGradientSentBack:
    def test_it_is_the_slope_of_the_loss(self):
        rng = np.random.default_rng(0)
        head = training.Head(rng.normal(size=(4, 3)), rng.normal(size=3))
        features, labels = rng.normal(size=(5, 4)), np.array([0, 1, 2, 0, 1])

        def losses(shifted):
            return -np.log(head.probabilities(shifted)[np.arange(5), labels])

        found = training.gradient_sent_back(head, features, labels)
        for i in range(4):
            step = 1e-5 * np.eye(4)[i]
            slope = (losses(features + step) - losses(features - step)) / 2e-5
            assert np.allclose(found[:, i], slope, atol=1e-5)

    def test_a_zero_head_moves_no_weight_of_the_backbone_in_its_first_step(
        self, images, classifier
    ):
        model = classifier()
        training.reset_head(model, "zero")
        head = training.Head(*model.get_layer("head").get_weights())
        sent = training.gradient_sent_back(head, features_of(model, images[0]), images[1])
        assert sent.shape == (60, 5) and not sent.any()
        freezing.unfreeze(model)
        before = freezing.snapshot(model)
        one_step = {"epochs": 1, "learning_rate": 0.01, "batch_size": 60}
        training.train(model, *images, **one_step)
        assert moved_layers(model, before) == {"head"}
        training.train(model, *images, **one_step)
        assert "stem_conv" in moved_layers(model, before)

    def test_a_fitted_head_sends_less_than_a_random_one(self, images, classifier):
        model = classifier()
        found = features_of(model, images[0])
        fitted = training.fit_head(found, images[1], C=10)
        sent = np.linalg.norm(training.gradient_sent_back(fitted, found, images[1]), axis=1)
        # Both heads with kernels of one length, so that only the error differs.
        rng = np.random.default_rng(0)
        kernel = rng.normal(size=fitted.kernel.shape)
        kernel *= np.linalg.norm(fitted.kernel) / np.linalg.norm(kernel)
        random = training.Head(kernel, np.zeros(3))
        other = np.linalg.norm(training.gradient_sent_back(random, found, images[1]), axis=1)
        assert sent.mean() < 0.7 * other.mean()


class TestOverweighted:
    def test_the_heaviest_comes_first(self):
        kernel = np.ones((9, 2))
        kernel[2], kernel[7], kernel[4] = 60, -600, 20
        head = training.Head(kernel, np.zeros(2))
        assert training.overweighted(head).tolist() == [7, 2]
        assert training.overweighted(head, times=10).tolist() == [7, 2, 4]

    def test_a_floor_cures_what_a_feature_that_hardly_fires_does(self):
        rng = np.random.default_rng(0)
        y = np.arange(60) % 2
        features = rng.normal(size=(60, 5)) + y[:, None]
        features[:, 4] = 0
        features[1::20, 4] = 1e-4
        assert training.overweighted(training.fit_head(features, y, floor=0)).tolist() == [4]
        assert training.overweighted(training.fit_head(features, y)).size == 0

    def test_a_zero_head_has_none_and_a_bad_limit_is_refused(self):
        head = training.Head(np.zeros((4, 2)), np.zeros(2))
        assert training.overweighted(head).size == 0
        with pytest.raises(ValueError, match="times is 1; give a number above 1"):
            training.overweighted(head, times=1)


class TestStagedTrainingLimitsTheHead:
    @pytest.mark.parametrize("run", ["two_stage", "progressive"])
    def test_the_floor_reaches_the_fit(self, images, classifier, monkeypatch, run):
        floors = []
        real = training.stages.fit_head

        def watched(features, labels, classes, C, floor):
            floors.append(floor)
            return real(features, labels, classes, C, floor)

        monkeypatch.setattr(training.stages, "fit_head", watched)
        settings = {"stages": [1]} if run == "progressive" else {"last": 1}
        for floor in ({}, {"floor": 0.5}):
            getattr(training, run)(classifier(), *images, epochs=1, **settings, **floor)
        assert floors == [1.0, 0.5]
