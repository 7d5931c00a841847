import keras
import numpy as np
import pytest

from tlcourse import freezing, training
from tlcourse.training import rates

EVERYTHING = {"stem": 1e-4, "block1": 1e-3, "block2": 1e-3, "top": 1e-2, "head": 1e-2}


@pytest.fixture
def model(classifier):
    model = classifier()
    freezing.unfreeze(model)
    return model


def steps(model, before, images, rate, optimizer="adam"):
    """How far one step moved the weights of each part."""
    training.train(model, *images, epochs=1, batch_size=60, learning_rate=rate, optimizer=optimizer)
    return {
        name: change.rms for name, change in training.weights_moved(model, before).parts.items()
    }


class TestLayerWise:
    def test_each_part_moves_by_its_own_rate(self, model, images):
        moved = steps(model, freezing.snapshot(model), images, EVERYTHING)
        # Adam's first step is the rate, whatever the gradient, where there is one.
        assert {name: pytest.approx(step, rel=0.1) for name, step in moved.items()} == EVERYTHING

    def test_equal_rates_are_one_rate(self, classifier, images, weights):
        found = []
        for rate in (1e-2, dict.fromkeys(EVERYTHING, 1e-2)):
            model = classifier()
            freezing.unfreeze(model)
            keras.utils.set_random_seed(0)
            training.train(model, *images, epochs=2, learning_rate=rate)
            found.append(weights(model))
        one, by_part = found
        assert all(np.allclose(one[path], by_part[path], atol=1e-6) for path in one)

    def test_a_name_is_never_a_piece_of_a_name(self, model):
        model.compile(training.layer_wise(model, EVERYTHING))
        assert training.rates_of(model)["top"] == 1e-2
        with pytest.raises(ValueError, match="named 'op'.*did you mean top"):
            training.layer_wise(model, {**EVERYTHING, "op": 1.0})

    def test_a_stage_stands_for_its_blocks(self, model):
        base = {"stem": 1e-5, "block": 1e-4, "top": 1e-3, "head": 1e-3}
        with pytest.raises(ValueError, match="named 'block'"):  # no digit: no stage
            training.layer_wise(model, base)

    def test_it_is_saved_with_the_model(self, model, images, tmp_path):
        training.train(model, *images, epochs=1, learning_rate=EVERYTHING)
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        assert training.rates_of(again) == EVERYTHING

    def test_schedules_by_part(self, model, images):
        falling = keras.optimizers.schedules.ExponentialDecay(1e-2, 1, 0.5)
        training.train(
            model, *images, epochs=1, batch_size=20, learning_rate={**EVERYTHING, "head": falling}
        )
        found = training.rates_of(model)
        assert found["head"] == pytest.approx(1e-2 / 8) and found["top"] == 1e-2

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"head": 0}, "learning rate of 'head' is 0; it has to be above zero"),
            ({"head": -1e-3}, "learning rate of 'head' is -0.001"),
            ({"head": float("inf")}, "learning rate of 'head' is inf"),
            ({"head": "1e-3"}, "learning rate of 'head' is '1e-3'"),
            ({"block9": 1e-3}, "named 'block9'.*Outside the backbone there is head"),
            ({"stem_conv": 1e-3}, "'stem' and 'stem_conv' both hold"),
            ({"stem_bn": 1e-3}, "'stem_bn' is frozen, so a rate would do nothing"),
        ],
    )
    def test_bad_input_is_refused_and_nothing_is_compiled(self, model, images, change, message):
        with pytest.raises(ValueError, match=message):
            training.train(model, *images, epochs=1, learning_rate={**EVERYTHING, **change})
        assert not model.compiled

    def test_what_trains_without_a_rate_is_refused(self, model):
        some = {"head": 1e-3, "top": 1e-3, "stem": 1e-3}
        with pytest.raises(ValueError, match="No rate is given for block1, block2; every part"):
            training.layer_wise(model, some)
        with pytest.raises(ValueError, match="rates is empty"):
            training.layer_wise(model, {})

    def test_only_what_trains_needs_one(self, model):
        freezing.unfreeze(model, last=1)
        optimizer = training.layer_wise(model, {"top": 1e-4, "head": 1e-3})
        assert [inner.name for inner in optimizer.optimizers] == ["top", "head"]
        with pytest.raises(ValueError, match="'block2' is frozen, so a rate would do nothing"):
            training.layer_wise(model, {"block2": 1e-4, "top": 1e-4, "head": 1e-3})


class TestDecayed:
    def test_each_block_below_the_head_is_smaller_by_the_factor(self, model):
        freezing.unfreeze(model, last=3)
        found = training.decayed(model, 0.08, factor=2)
        assert found == pytest.approx({"block1": 0.01, "block2": 0.02, "top": 0.04, "head": 0.08})

    def test_it_fits_layer_wise(self, model):
        model.compile(training.layer_wise(model, training.decayed(model, 1e-3)))
        found = training.rates_of(model)
        assert found["top"] / found["block2"] == pytest.approx(2.6, rel=1e-4)

    def test_bad_input_is_refused(self, model):
        with pytest.raises(ValueError, match="The learning rate is 0"):
            training.decayed(model, 0)
        with pytest.raises(ValueError, match="The factor is 0; it has to be above zero"):
            training.decayed(model, 1e-3, factor=0)
        model.trainable = False
        with pytest.raises(ValueError, match="Nothing in the model is trainable"):
            training.decayed(model, 1e-3)


class TestRatesOf:
    def test_one_rate_for_all(self, model, images):
        freezing.unfreeze(model, last=1)
        training.train(model, *images, epochs=1, learning_rate=3e-4)
        assert training.rates_of(model) == {"top": 3e-4, "head": 3e-4}

    def test_before_the_first_fit(self, model):
        model.compile(keras.optimizers.SGD(0.5))
        assert set(training.rates_of(model).values()) == {0.5}

    def test_a_pattern_that_matches_too_much_is_seen(self, model):
        """Meant: a large rate for the head. "conv" and "top" are in names of the backbone, too."""
        large = keras.optimizers.Adam(1e-3)
        by_pattern = keras.optimizers.OptimizerMap(
            keras.optimizers.Adam(1e-5), {"(top|head).*": large}
        )
        model.compile(keras.optimizers.MultiOptimizer(by_pattern))
        found = training.rates_of(model)
        assert found["top"] == 1e-3 and found["block2"] == 1e-5

    def test_a_callback_that_makes_all_rates_equal_is_seen(self, model, images):
        flat = keras.callbacks.LearningRateScheduler(lambda epoch: 1e-3)
        training.train(model, *images, epochs=1, learning_rate=EVERYTHING, callbacks=(flat,))
        assert set(training.rates_of(model).values()) == {1e-3}

    def test_a_model_that_was_never_compiled_is_refused(self, model):
        with pytest.raises(ValueError, match="was never compiled, so no part of it has a rate"):
            training.rates_of(model)

    def test_a_block_with_two_rates_is_refused(self, model):
        rates_by = {**EVERYTHING, "stem_conv": 1e-3}
        del rates_by["stem"]
        model.get_layer("base").get_layer("stem_bn").trainable = True
        model.compile(training.layer_wise(model, {**rates_by, "stem_bn": 1e-4}))
        with pytest.raises(ValueError, match="'stem' trains with several rates, 0.0001, 0.001"):
            training.rates_of(model)


class TestOptimizerFor:
    def test_an_optimizer_is_copied_with_its_settings_and_without_its_state(self, model):
        mine = keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True)
        mine.build(model.trainable_variables)
        copy = rates.optimizer_for(model, mine, 0.01)
        assert copy is not mine and not copy.built and float(mine.learning_rate) == np.float32(0.1)
        assert (copy.momentum, copy.nesterov) == (0.9, True)
        assert float(copy.learning_rate) == np.float32(0.01)

    def test_a_schedule_gives_way_to_a_number(self, model):
        falling = keras.optimizers.schedules.CosineDecay(0.1, 10)
        copy = rates.optimizer_for(model, keras.optimizers.Adam(falling), 0.01)
        assert float(copy.learning_rate) == np.float32(0.01)


class TestTrainWithRatesByPart:
    def test_the_step_serves_again_with_other_numbers(self, model, images):
        start = model.get_weights()
        before = freezing.snapshot(model)
        steps(model, before, images, EVERYTHING)
        function = model.train_function
        model.set_weights(start)
        twice = {name: 2 * rate for name, rate in EVERYTHING.items()}
        moved = steps(model, before, images, twice)
        assert model.train_function is function
        assert {name: pytest.approx(step, rel=0.1) for name, step in moved.items()} == twice

    def test_not_with_other_settings_of_the_optimizer(self, model, images):
        before = freezing.snapshot(model)
        steps(model, before, images, 0.01, keras.optimizers.SGD())
        function = model.train_function
        steps(model, before, images, 0.01, keras.optimizers.SGD(momentum=0.9))
        assert model.train_function is not function
