import numpy as np
import pytest
from keras import layers

from tlcourse import freezing, training
from tlcourse.training import finetune


class TestCachedPrefix:
    def test_the_two_parts_say_what_the_model_says(self, images, classifier):
        model = classifier()
        freezing.unfreeze(model, last=2)
        suffix, activations = training.cached_prefix(model, images[0])
        assert activations.shape == (60, 8, 8, 4)
        said = suffix.predict(activations, verbose=0)
        assert np.allclose(said, model.predict(images[0], verbose=0), atol=1e-6)

    def test_the_rest_shares_its_layers(self, images, classifier):
        model = classifier()
        freezing.unfreeze(model, last=2)
        suffix, _ = training.cached_prefix(model, images[0])
        shared = {id(weight) for weight in model.trainable_weights}
        assert {id(weight) for weight in suffix.trainable_weights} == shared

    def test_the_rest_can_be_cut_again(self, images, classifier):
        model = classifier()
        said = model.predict(images[0], verbose=0)
        part, inputs = model, images[0]
        for last, channels in ((3, 4), (2, 4), (1, 6)):
            freezing.unfreeze(part, last=last)
            part, inputs = training.cached_prefix(part, inputs)
            assert inputs.shape == (60, 8, 8, channels)
            assert np.allclose(part.predict(inputs, verbose=0), said, atol=1e-6)

    @pytest.mark.parametrize(("last", "dropout"), [(1, 0.5), (3, 0.0)])
    def test_training_it_is_plain_fine_tuning(
        self, images, last, dropout, classifier, weights, tuned
    ):
        plain, slow = tuned(images, cache=False, last=last, dropout=dropout)
        cached, fast = tuned(images, cache=True, last=last, dropout=dropout)
        before = weights(classifier(dropout=dropout))
        expected, found = weights(plain), weights(cached)
        moved = [path for path in expected if not np.array_equal(expected[path], before[path])]
        assert len(moved) >= 2 * last  # kernel and bias of each block, and of the head
        for path in expected:
            assert np.allclose(expected[path], found[path], atol=1e-5), path
        assert np.allclose(slow["loss"], fast["loss"], atol=1e-4)

    def test_with_adam_too(self, images, weights, tuned):
        settings = {"last": 2, "optimizer": "adam", "learning_rate": 1e-3}
        expected, found = (weights(tuned(images, cache, **settings)[0]) for cache in (False, True))
        assert all(np.allclose(expected[path], found[path], atol=1e-4) for path in expected)

    def test_the_parts_serve_again_until_something_changes(self, images, classifier):
        model = classifier()
        freezing.unfreeze(model, last=2)
        suffix, _ = training.cached_prefix(model, images[0])
        assert training.cached_prefix(model, images[0])[0] is suffix
        freezing.unfreeze(model, last=1)
        other, activations = training.cached_prefix(model, images[0])
        assert other is not suffix
        said = other.predict(activations, verbose=0)
        assert np.allclose(said, model.predict(images[0], verbose=0), atol=1e-6)

    def test_everything_trainable_is_refused(self, images, classifier):
        model = classifier()
        freezing.unfreeze(model)
        with pytest.raises(ValueError, match="The first block of 'base', stem, is trainable"):
            training.cached_prefix(model, images[0])

    def test_a_batch_norm_that_moves_is_refused(self, images, classifier):
        def moving(x):
            return layers.BatchNormalization(center=False, scale=False, name="stem_norm")(x)

        model = classifier(moving)
        freezing.unfreeze(model, last=2)
        training.cached_prefix(model, images[0])
        model.get_layer("base").get_layer("stem_norm").trainable = True
        with pytest.raises(ValueError, match="'stem_norm' lies in the frozen part and still"):
            training.cached_prefix(model, images[0])

    @pytest.mark.parametrize("random", [layers.Dropout(0.2), layers.RandomFlip("horizontal")])
    def test_randomness_is_refused(self, images, random, classifier):
        model = classifier(random)
        freezing.unfreeze(model, last=2)
        with pytest.raises(ValueError, match=f"{random.name!r} lies in the frozen part and draws"):
            training.cached_prefix(model, images[0])

    def test_a_flat_model_is_refused(self, images, backbone):
        flat = backbone()
        freezing.freeze(flat, until="stem")
        with pytest.raises(ValueError, match="'base' has no nested backbone to cut"):
            training.cached_prefix(flat, images[0])

    def test_the_cut_avoids_a_place_that_two_tensors_cross(self, images, classifier):
        model = classifier()
        freezing.unfreeze(model, from_="block2")
        base = model.get_layer("base")
        base.get_layer("block1_conv").trainable = False
        suffix, _ = training.cached_prefix(model, images[0])
        names = {layer.name for layer in freezing.find_backbone(suffix).layers}
        assert "block2_conv" in names and "block1_add" not in names


class TestFineTune:
    def test_only_what_was_asked_for_moves_and_no_batch_norm(
        self, images, classifier, weights, tuned
    ):
        before = weights(classifier())
        model, history = tuned(images, cache=True, last=2)
        moved = {path for path, now in weights(model).items() if (now != before[path]).any()}
        layers_moved = {path.split("/")[-2] for path in moved}
        assert layers_moved == {"block2_conv", "top_conv", "head"}
        assert history.stages == {"fine-tuning": 0} and history.epochs == 3

    def test_until_names_the_last_frozen_block(self, images, weights, tuned):
        by_count, _ = tuned(images, cache=True, last=2)
        by_name, _ = tuned(images, cache=True, until="block1")
        expected, found = weights(by_count), weights(by_name)
        assert all(np.array_equal(expected[path], found[path]) for path in expected)

    def test_with_neither_everything_but_batch_norm_moves(self, images, classifier, weights, tuned):
        before = weights(classifier())
        model, _ = tuned(images, cache=True)
        still = {path for path, now in weights(model).items() if (now == before[path]).all()}
        assert {path.split("/")[-2] for path in still} == {"stem_bn", "block1_bn", "block2_bn"}

    def test_a_part_that_draws_at_random_is_trained_the_plain_way(self, images, classifier):
        model = classifier(layers.Dropout(0.2))
        history = training.fine_tune(model, *images, last=1, epochs=1, validation=images)
        assert history.epochs == 1 and len(history["val_loss"]) == 1

    def test_activations_that_do_not_fit_into_memory_are_not_kept(
        self, images, monkeypatch, classifier
    ):
        model = classifier()
        freezing.unfreeze(model, last=2)
        assert finetune._worthwhile_split(model, 60)
        monkeypatch.setattr(finetune, "CACHE_BYTES", 60 * 8 * 8 * 4 * 4 - 1)
        assert finetune._worthwhile_split(model, 60) is None

    def test_validation_scores_are_those_of_the_model(self, images, tuned):
        model, history = tuned(images, cache=True, last=1, validation=images)
        scores = model.evaluate(*images, verbose=0, return_dict=True)
        assert history["val_accuracy"][-1] == pytest.approx(scores["accuracy"])
        assert history["val_loss"][-1] == pytest.approx(scores["loss"], abs=1e-4)

    def test_the_model_is_left_compiled_and_not_stale(self, images, tuned):
        model, _ = tuned(images, cache=True, last=1)
        assert model.compiled and not freezing.audit(model).found("stale-compile")

    def test_two_choices_are_refused(self, images, classifier):
        with pytest.raises(ValueError, match="fine_tune got last and until; give one of them"):
            training.fine_tune(classifier(), *images, last=1, until="stem", epochs=1)
