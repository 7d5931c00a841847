import weakref

import keras
import numpy as np
import pytest

from tlcourse import freezing, training
from tlcourse.training import History


class TestTrain:
    def test_it_learns_and_keeps_every_curve(self, images, classifier):
        model = classifier()
        history = training.train(model, *images, epochs=12, learning_rate=0.02, validation=images)
        assert history.epochs == 12 and history["accuracy"][-1] > 0.8
        curves = {"loss", "accuracy", "val_loss", "val_accuracy", "seconds"}
        assert set(history.curves) == curves
        assert all(len(values) == 12 for values in history.curves.values())
        assert history.stages == {"training": 0} and min(history["seconds"]) > 0

    def test_it_compiles_anew_so_that_a_change_of_trainable_counts(
        self, images, classifier, weights
    ):
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
    def test_bad_input_is_refused_before_anything_is_compiled(
        self, images, change, message, classifier
    ):
        model = classifier()
        settings = {"x": images[0], "y": images[1], "epochs": 1, "learning_rate": 0.1, **change}
        with pytest.raises(ValueError, match=message):
            training.train(model, **settings)
        assert not model.compiled

    @pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow traces twice")
    def test_the_training_step_is_traced_once(self, images, classifier):
        class Counting(keras.Model):
            traces = 0

            def train_step(self, data):
                Counting.traces += 1
                return super().train_step(data)

        model = classifier()
        counting = Counting(model.input, model.output)
        training.train(counting, *images, epochs=2, learning_rate=0.01, batch_size=20)
        assert Counting.traces == 1

    def test_nothing_to_train_is_refused(self, images, classifier):
        model = classifier()
        model.trainable = False
        with pytest.raises(ValueError, match="Nothing in the model is trainable"):
            training.train(model, *images, epochs=1, learning_rate=0.1)


class TestTheStepServesAgain:
    """Making a step takes seconds, so an equal one is kept; nothing may be learned differently."""

    @pytest.fixture
    def twice(self, images, classifier, weights):
        """Train, put the weights back, change something, train again: (weights, function) each.

        The function is given as a weak reference: as long as a step is alive, JAX takes it for
        every later one of the same model, changed or not.
        """

        def run(change=lambda model: None, second=0.05, optimizer="adam", then=None):
            model = classifier(dropout=0.2)
            start, found = model.get_weights(), []
            for rate, name in ((0.05, optimizer), (second, then or optimizer)):
                model.set_weights(start)
                generator = model.get_layer("dropout").seed_generator
                generator.state.assign([7, 7])
                keras.utils.set_random_seed(1)
                training.train(model, *images, epochs=2, learning_rate=rate, optimizer=name)
                found.append((weights(model), weakref.ref(model.train_function)))
                change(model)
            return found

        return run

    @staticmethod
    def equal(one, other):
        return all(np.array_equal(one[path], other[path]) for path in one)

    @pytest.mark.parametrize("optimizer", ["adam", "adagrad", "sgd"])
    def test_from_rest(self, twice, optimizer):
        (one, first), (other, second) = twice(optimizer=optimizer)
        assert first() is second() and self.equal(one, other)

    def test_with_another_rate(self, twice, images, classifier, weights):
        (_, first), (found, second) = twice(second=0.001)
        model = classifier(dropout=0.2)
        model.get_layer("dropout").seed_generator.state.assign([7, 7])
        keras.utils.set_random_seed(1)
        training.train(model, *images, epochs=2, learning_rate=0.001)
        assert first() is second() and self.equal(found, weights(model))

    @pytest.mark.parametrize(
        "change",
        [
            freezing.freeze,
            lambda model: setattr(model.get_layer("dropout"), "rate", 0.9),
            lambda model: setattr(
                model.get_layer("head").kernel, "regularizer", keras.regularizers.L2(1.0)
            ),
        ],
        ids=["frozen", "dropout", "regularizer"],
    )
    def test_not_after_a_change_that_it_has_built_in(self, twice, change):
        (one, first), (other, second) = twice(change)
        assert first() is not second() and not self.equal(one, other)

    def test_not_after_somebody_else_has_compiled(self, twice):
        def compile_with_another_loss(model):
            model.compile("adam", keras.losses.SparseCategoricalCrossentropy(ignore_class=0))

        (one, first), (other, second) = twice(compile_with_another_loss)
        assert first() is not second() and self.equal(one, other)

    def test_not_with_another_optimizer_or_a_schedule(self, twice):
        schedule = keras.optimizers.schedules.CosineDecay(0.05, 10)
        for settings in ({"then": "sgd"}, {"second": schedule}):
            (one, first), (other, second) = twice(**settings)
            assert first() is not second() and not self.equal(one, other)


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
