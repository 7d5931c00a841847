import keras
import numpy as np
import pytest
from keras import layers

from tlcourse import multitask
from tlcourse.multitask import MISSING


def two_tasks(seed=0):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    trunk = keras.Model(inputs, layers.Dense(6, "tanh", name="hidden")(inputs), name="trunk")
    return multitask.share_trunk(trunk, {"sign": 2, "largest": 4})


def strangers():
    """Two outputs of one model that have nothing in common but the input."""
    inputs = keras.Input((4,))
    outputs = {
        "sign": layers.Dense(2, "softmax")(layers.Dense(3)(inputs)),
        "largest": layers.Dense(4, "softmax")(layers.Dense(3)(inputs)),
    }
    return keras.Model(inputs, outputs)


def copies(model):
    return [weight.copy() for weight in model.get_weights()]


@pytest.fixture
def examples():
    """Whether the first number is positive, and which number is the largest."""
    x = np.random.default_rng(0).normal(size=(400, 4)).astype("float32")
    return x, (x[:, 0] > 0).astype(int), x.argmax(axis=1)


class TestShareTrunk:
    def test_a_head_for_each_task(self):
        model = two_tasks()
        said = model.predict(np.ones((3, 4)), verbose=0)
        assert {task: p.shape for task, p in said.items()} == {"sign": (3, 2), "largest": (3, 4)}
        assert all(np.allclose(p.sum(axis=1), 1, atol=1e-6) for p in said.values())

    @pytest.mark.parametrize("tasks", [{}, {"one": 1}, {"one": 2.0}, {"one": True}])
    def test_refuses_tasks_that_are_none(self, tasks):
        inputs = keras.Input((4,))
        with pytest.raises(ValueError, match="at least one task|2 or more"):
            multitask.share_trunk(keras.Model(inputs, layers.Dense(3)(inputs)), tasks)

    def test_refuses_a_trunk_that_ends_in_maps(self):
        inputs = keras.Input((4, 4, 1))
        with pytest.raises(ValueError, match="GlobalAveragePooling2D"):
            multitask.share_trunk(keras.Model(inputs, layers.Conv2D(2, 1)(inputs)), {"one": 2})


class TestSharedWeights:
    def test_the_trunk_and_not_the_heads(self):
        model = two_tasks()
        assert [w.path for w in multitask.shared_weights(model)] == [
            "hidden/kernel",
            "hidden/bias",
        ]

    def test_none_of_a_frozen_trunk(self):
        model = two_tasks()
        model.get_layer("hidden").trainable = False
        assert multitask.shared_weights(model) == []

    def test_looks_into_models_inside_the_model(self):
        """As `cached_prefix` nests them: the heads are inside one, and are still not shared."""
        model, inputs = two_tasks(), keras.Input((4,))
        nested = keras.Model(inputs, model(inputs))
        assert multitask.shared_weights(nested) == multitask.shared_weights(model)

    def test_one_head_under_two_names_is_shared_whole(self):
        inputs = keras.Input((4,))
        head = layers.Dense(2, "softmax")(inputs)
        model = keras.Model(inputs, {"first": head, "second": head})
        assert len(multitask.shared_weights(model)) == 2

    def test_refuses_tasks_without_a_common_trunk(self):
        with pytest.raises(ValueError, match="sign and largest share no weights.*share_trunk"):
            multitask.shared_weights(strangers())

    def test_refuses_a_model_of_one_output(self):
        inputs = keras.Input((4,))
        with pytest.raises(ValueError, match="no dict"):
            multitask.shared_weights(keras.Model(inputs, layers.Dense(2)(inputs)))

    def test_refuses_an_unknown_task(self):
        with pytest.raises(ValueError, match="no task 'colour'.*sign, largest"):
            multitask.shared_weights(two_tasks(), ["sign", "colour"])


class TestPool:
    def test_refuses_inputs_that_no_trunk_can_take(self):
        small, large = np.zeros((2, 8, 8, 1)), np.zeros((2, 28, 28, 1))
        with pytest.raises(ValueError, match=r"different shapes.*\(8, 8, 1\).*\(28, 28, 1\)"):
            multitask.pool({"digits": (small, np.zeros(2)), "animals": (large, np.zeros(2))})

    def test_refuses_labels_that_do_not_match(self):
        with pytest.raises(ValueError, match="digits: 2 inputs"):
            multitask.pool({"digits": (np.zeros((2, 4)), np.zeros(3))})

    def test_refuses_nothing(self):
        with pytest.raises(ValueError, match="nothing to pool"):
            multitask.pool({})


class TestTargets:
    def test_each_loss_is_the_mean_over_its_own_labels(self):
        labels = {"sign": np.array([0, 1, MISSING, 1]), "largest": np.array([MISSING] * 3 + [2])}
        y, weight = multitask.targets(two_tasks(), labels, {"largest": 0.5})
        # Keras divides by four; three labels at 4/3 each and one at 4 make that a mean again.
        assert weight["sign"] == pytest.approx([4 / 3, 4 / 3, 0, 4 / 3])
        assert weight["largest"] == pytest.approx([0, 0, 0, 0.5 * 4])
        assert y["sign"].min() >= 0  # a label of -1 would make the loss not a number

    @pytest.mark.parametrize(
        "labels, weights, said",
        [
            ({"sign": [0, 1]}, None, "'largest' got no labels"),
            ({"sign": [0, 1], "largest": [0]}, None, "differ in shape"),
            ({"sign": [0, 2], "largest": [0, 0]}, None, "0 to 1"),
            ({"sign": [0, -2], "largest": [0, 0]}, None, "-2"),
            ({"sign": [-1, -1], "largest": [0, 0]}, None, "no label at all"),
            ({"sign": [0, 1], "largest": [0, 0]}, {"sign": -1.0}, "0 or more"),
            ({"sign": [0, 1], "largest": [0, 0]}, {"sign": float("nan")}, "0 or more"),
            ({"sign": [0, 1], "largest": [0, 0]}, {"colour": 1.0}, "no task 'colour'"),
        ],
    )
    def test_refuses_what_does_not_fit(self, labels, weights, said):
        with pytest.raises(ValueError, match=said):
            multitask.targets(two_tasks(), labels, weights)

    def test_a_task_of_weight_zero_may_lack_labels(self):
        labels = {"sign": [0, 1], "largest": [MISSING, MISSING]}
        _, weight = multitask.targets(two_tasks(), labels, {"largest": 0})
        assert weight["largest"].tolist() == [0, 0]


class TestTrain:
    def test_learns_both_tasks_from_examples_labelled_for_one(self, examples):
        x, sign, largest = examples
        model = two_tasks()
        pooled, labels = multitask.pool(
            {"sign": (x[:200], sign[:200]), "largest": (x[200:], largest[200:])}
        )
        multitask.train(model, pooled, labels, epochs=30, learning_rate=0.02)
        found = multitask.accuracy(model, x, {"sign": sign, "largest": largest})
        assert found["sign"] > 0.9 and found["largest"] > 0.8

    def test_an_example_without_a_label_changes_nothing(self, examples):
        """Whatever stands where a label is missing: the trained weights are the same."""
        x, sign, largest = examples
        ends = []
        for blank in (0, 3):
            model = two_tasks()
            labels = {"sign": sign[:64].copy(), "largest": largest[:64].copy()}
            labels["largest"][::2] = MISSING
            y, weight = multitask.targets(model, labels)
            y["largest"][::2] = blank
            optimizer = keras.optimizers.SGD(0.1)
            losses = dict.fromkeys(y, "sparse_categorical_crossentropy")
            multitask.compile_outputs(model, optimizer, losses)
            model.fit(x[:64], y, sample_weight=weight, batch_size=64, verbose=0)
            ends.append(copies(model))
        assert all(np.array_equal(a, b) for a, b in zip(*ends, strict=True))

    def test_a_task_with_few_labels_counts_as_much_as_one_with_many(self, examples):
        """The loss that fit reports is the mean over the labelled examples, not over all."""
        x, sign, largest = examples
        few = np.full(400, MISSING)
        few[:40] = largest[:40]
        model = two_tasks()
        said = model.predict(x[:40], verbose=0)["largest"]
        expected = -np.log(said[np.arange(40), largest[:40]]).mean()
        history = multitask.train(
            model, x, {"sign": sign, "largest": few}, epochs=1, learning_rate=1e-9, batch_size=400
        )
        assert history["largest_loss"][0] == pytest.approx(expected, rel=1e-4)

    def test_refuses_two_tasks_that_share_no_trunk(self, examples):
        x, sign, largest = examples
        model = strangers()
        before = copies(model)
        with pytest.raises(ValueError, match="share no weights"):
            multitask.train(
                model, x, {"sign": sign, "largest": largest}, epochs=1, learning_rate=0.1
            )
        assert not model.compiled
        assert all(np.array_equal(a, b) for a, b in zip(before, copies(model), strict=True))

    @pytest.mark.parametrize(
        "settings, said",
        [
            ({"learning_rate": 0.0}, "above zero"),
            ({"learning_rate": float("nan")}, "above zero"),
            ({"epochs": 0}, "at least one"),
            ({"weights": {"sign": -1}}, "0 or more"),
        ],
    )
    def test_refuses_settings_that_make_no_sense(self, examples, settings, said):
        x, sign, largest = examples
        labels = {"sign": sign, "largest": largest}
        model = two_tasks()
        with pytest.raises(ValueError, match=said):
            multitask.train(model, x, labels, **{"epochs": 1, "learning_rate": 0.1, **settings})
        assert not model.compiled

    def test_refuses_a_frozen_model_and_too_few_labels(self, examples):
        x, sign, largest = examples
        model = two_tasks()
        with pytest.raises(ValueError, match="399 inputs"):
            labels = {"sign": sign, "largest": largest}
            multitask.train(model, x[1:], labels, epochs=1, learning_rate=0.1)
        model.trainable = False
        with pytest.raises(ValueError, match="unfreeze"):
            multitask.train(model, x, labels, epochs=1, learning_rate=0.1)


class TestAccuracy:
    def test_counts_only_what_is_labelled(self, examples):
        x, sign, _ = examples
        model = two_tasks()
        said = model.predict(x, verbose=0)["sign"].argmax(axis=1)
        labels = np.where(np.arange(400) < 10, said, MISSING)
        assert multitask.accuracy(model, x, {"sign": labels}) == {"sign": 1.0}
        labels = np.where(np.arange(400) < 10, 1 - said, MISSING)
        assert multitask.accuracy(model, x, {"sign": labels}) == {"sign": 0.0}

    def test_refuses_a_task_without_labels(self, examples):
        with pytest.raises(ValueError, match="has no label"):
            multitask.accuracy(two_tasks(), examples[0], {"sign": np.full(400, MISSING)})
