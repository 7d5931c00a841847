import keras
import numpy as np
import pytest
from keras import layers, ops

from tlcourse import forgetting, multitask


def softmax(scores):
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)


def linear(seed=0):
    """A softmax classifier of one layer: its Fisher can be written down."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Dense(3, "softmax", name="head")(inputs))


def two_tasks(seed=0):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((6,))
    trunk = keras.Model(inputs, layers.Dense(4, "tanh", name="hidden")(inputs), name="trunk")
    return multitask.share_trunk(trunk, {"old": 2, "new": 3})


def copies(model):
    return [weight.copy() for weight in model.get_weights()]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def drift(new):
    held = [w for w in new.model.trainable_weights if "hidden" in w.path]
    start = dict(zip([w.path for w in new.model.weights], new.start, strict=True))
    return max(float(np.abs(ops.convert_to_numpy(w) - start[w.path]).max()) for w in held)


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(40, 4)).astype("float32")


@pytest.fixture(scope="module")
def taught():
    """A model that knows its old task, and both tasks' examples."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 6)).astype("float32")
    old, new = (x[:, 0] + x[:, 1] > 0).astype(int), x[:, 2:5].argmax(axis=1)
    model = two_tasks()
    labels = {"old": old, "new": np.full(300, multitask.MISSING)}
    multitask.train(model, x, labels, epochs=30, learning_rate=0.02, weights={"new": 0})
    return model, x, old, new


@pytest.fixture(scope="module")
def task(taught):
    return forgetting.NewTask(taught[0], "old", "new")


class TestFisher:
    def test_is_the_closed_form_of_softmax_regression(self, x):
        """E[x_d² p_k (1 − p_k)] for the kernel, E[p_k (1 − p_k)] for the bias."""
        model = linear()
        p = model.predict(x, verbose=0).astype(float)
        found = forgetting.fisher(model, x, labels="expected")
        spread = p * (1 - p)
        assert found["head/kernel"] == pytest.approx((x**2).T @ spread / len(x), rel=1e-4)
        assert found["head/bias"] == pytest.approx(spread.mean(axis=0), rel=1e-4)

    def test_of_a_sequential_model_too(self, x):
        model = linear()
        row = keras.Sequential([keras.Input((4,)), layers.Dense(3, "softmax", name="head")])
        row.set_weights(model.get_weights())
        expected = forgetting.fisher(model, x, labels="expected")["head/kernel"]
        (found,) = (
            square
            for path, square in forgetting.fisher(row, x, labels="expected").items()
            if path.endswith("kernel")
        )
        assert np.allclose(found, expected, rtol=1e-4)

    def test_of_true_labels_is_the_empirical_one(self, x):
        model, y = linear(), np.arange(40) % 3
        p = model.predict(x, verbose=0).astype(float)
        error = (p - np.eye(3)[y]) ** 2
        found = forgetting.fisher(model, x, labels=y)
        assert found["head/kernel"] == pytest.approx((x**2).T @ error / len(x), rel=1e-4)

    def test_sampled_labels_agree_in_the_mean(self, x):
        model = linear()
        many = np.tile(x[:5], (200, 1))
        sampled = forgetting.fisher(model, many, labels="sampled")["head/bias"]
        exact = forgetting.fisher(model, x[:5], labels="expected")["head/bias"]
        assert sampled == pytest.approx(exact, rel=0.15)

    def test_squares_each_example_by_itself(self, x):
        """Two examples whose gradients cancel: the mean's square would be zero."""
        model = linear()
        model.get_layer("head").set_weights([np.zeros((4, 3)), np.zeros(3)])
        pair = np.stack([x[0], -x[0]])
        found = forgetting.fisher(model, pair, labels=np.array([1, 1]))
        assert found["head/kernel"].min() > 0

    def test_leaves_the_model_and_its_compiled_state_alone(self, x):
        model = linear()
        model.compile(keras.optimizers.SGD(0.1), "mse")
        optimizer, before = model.optimizer, copies(model)
        forgetting.fisher(model, x)
        assert same(before, copies(model)) and model.optimizer is optimizer

    def test_of_one_task_speaks_of_what_it_depends_on(self, taught):
        found = forgetting.fisher(taught[0], taught[1][:5], "old")
        assert set(found) == {"hidden/kernel", "hidden/bias", "old/kernel", "old/bias"}

    @pytest.mark.parametrize(
        "labels, said",
        [
            (None, 'no labels.*labels="sampled"'),
            ("true", "'true'.*'expected' or 'sampled'"),
            (np.zeros(3, int), "do not match"),
            (np.full(40, -1), "40 of 40 labels are missing"),
            (np.full(40, 3), "0 to 2"),
        ],
    )
    def test_refuses_unlabelled_data(self, x, labels, said):
        model = linear()
        before = copies(model)
        with pytest.raises(ValueError, match=said):
            forgetting.fisher(model, x, labels=labels)
        assert same(before, copies(model)) and not model.compiled

    def test_refuses_what_has_none(self, x):
        model = linear()
        with pytest.raises(ValueError, match="at least one"):
            forgetting.fisher(model, x[:0])
        model.trainable = False
        with pytest.raises(ValueError, match="trainable"):
            forgetting.fisher(model, x)

    def test_refuses_two_tasks_at_once(self, taught):
        with pytest.raises(ValueError, match="old, new; say whose"):
            forgetting.fisher(taught[0], taught[1])

    @pytest.mark.parametrize("layer", [layers.Dropout(0.5), layers.BatchNormalization()])
    def test_refuses_layers_that_differ_in_training(self, x, layer):
        inputs = keras.Input((4,))
        model = keras.Model(inputs, layers.Dense(3, "softmax")(layer(inputs)))
        with pytest.raises(ValueError, match="differently in training"):
            forgetting.fisher(model, x)

    def test_refuses_a_model_with_penalties(self, x):
        inputs = keras.Input((4,))
        model = keras.Model(inputs, layers.Dense(3, "softmax", kernel_regularizer="l2")(inputs))
        with pytest.raises(ValueError, match="penalties"):
            forgetting.fisher(model, x)


class TestAnchor:
    def test_is_half_the_weighed_squared_distance(self, x):
        model = two_tasks()
        held, anchor = forgetting.anchored(model)
        kernel, bias = model.get_layer("hidden").get_weights()
        anchor.set_importance(
            {"hidden/kernel": np.full_like(kernel, 3), "hidden/bias": np.full_like(bias, 5)}
        )
        model.get_layer("hidden").set_weights([kernel + 0.1, bias - 0.2])
        said = held.predict(np.zeros((2, 6)), verbose=0)["anchor"]
        expected = 0.5 * (3 * kernel.size * 0.01 + 5 * bias.size * 0.04)
        assert said.ravel() == pytest.approx([expected] * 2, rel=1e-4)

    def test_its_gradient_is_importance_times_distance(self):
        model = two_tasks()
        held, anchor = forgetting.anchored(model)
        kernel, bias = model.get_layer("hidden").get_weights()
        assert forgetting.penalty_gradient(held, np.zeros((2, 6))) == 0  # at the anchor itself
        model.get_layer("hidden").set_weights([kernel + 0.1, bias])
        assert forgetting.penalty_gradient(held, np.zeros((2, 6))) == pytest.approx(0.1, rel=1e-4)
        anchor.reset()
        assert forgetting.penalty_gradient(held, np.zeros((2, 6))) == 0

    def test_holds_no_weights_of_its_own_that_train(self):
        held, anchor = forgetting.anchored(two_tasks())
        assert anchor.trainable_weights == []
        assert not any("anchor" in weight.path for weight in held.trainable_weights)

    @pytest.mark.parametrize(
        "importance, said",
        [
            ({}, "no array of shape"),
            ({"hidden/kernel": np.ones((6, 4)), "hidden/bias": np.ones(3)}, "no array of shape"),
            ({"hidden/kernel": np.ones((6, 4)), "hidden/bias": -np.ones(4)}, "below zero"),
        ],
    )
    def test_refuses_other_importances_and_keeps_its_own(self, importance, said):
        held, anchor = forgetting.anchored(two_tasks())
        before = copies(held)
        with pytest.raises(ValueError, match=said):
            anchor.set_importance(importance)
        assert same(before, copies(held))

    def test_refuses_a_frozen_trunk(self):
        model = two_tasks()
        model.get_layer("hidden").trainable = False
        with pytest.raises(ValueError, match="no weights to hold"):
            forgetting.anchored(model)


class Attached(keras.regularizers.Regularizer):
    """EWC as it is often printed: the anchor is a copy, but the gradient flows through it."""

    def __init__(self, old):
        self.old = old

    def __call__(self, weight):
        anchor = weight - ops.stop_gradient(weight) + ops.convert_to_tensor(self.old)
        return 500.0 * ops.sum(ops.square(weight - anchor))


class TestPenaltyGradient:
    def test_finds_the_anchor_that_was_not_detached(self):
        """It has a value, so it shows in the loss; and no gradient, so it holds nothing."""
        inputs = keras.Input((4,))
        layer = layers.Dense(3, use_bias=False)
        model = keras.Model(inputs, layer(inputs))
        layer.kernel.regularizer = Attached(ops.convert_to_numpy(layer.kernel) - 1.0)
        loss = ops.convert_to_numpy(ops.stop_gradient(model.losses[0]))
        assert loss == pytest.approx(500 * 12, rel=1e-4)
        assert forgetting.penalty_gradient(model, np.zeros((2, 4))) == 0

    def test_sees_a_regularizer_that_works(self):
        inputs = keras.Input((4,))
        layer = layers.Dense(3, use_bias=False, kernel_regularizer=keras.regularizers.L2(0.5))
        model = keras.Model(inputs, layer(inputs))
        largest = float(np.abs(ops.convert_to_numpy(layer.kernel)).max())
        before = copies(model)
        found = forgetting.penalty_gradient(model, np.zeros((2, 4)))
        assert found == pytest.approx(largest, rel=1e-4)
        assert same(before, copies(model))

    def test_of_a_sequential_model_too(self):
        model = keras.Sequential(
            [keras.Input((4,)), layers.Dense(3, kernel_regularizer=keras.regularizers.L2(0.5))]
        )
        assert forgetting.penalty_gradient(model, np.zeros((2, 4))) > 0

    def test_as_printed_in_pytorch(self):
        """`clone()` without `detach()`: what the widely copied class does."""
        torch = pytest.importorskip("torch")
        weight = torch.nn.Parameter(torch.zeros(3))
        for anchor, moves in ((weight.clone(), False), (weight.detach().clone(), True)):
            with torch.no_grad():
                weight += 1.0
            weight.grad = None
            penalty = ((weight - anchor) ** 2).sum()
            penalty.backward()
            assert float(penalty) > 0
            assert bool(weight.grad.abs().max() > 0) == moves


class TestSoften:
    def test_is_the_softmax_of_divided_logits(self):
        logits = np.random.default_rng(0).normal(0, 4, (5, 6))
        found = ops.convert_to_numpy(forgetting.soften(softmax(logits), 3.0))
        assert found == pytest.approx(softmax(logits / 3), rel=1e-3)

    @pytest.mark.parametrize("temperature", [0, -1, float("nan")])
    def test_refuses_a_temperature_that_is_not_above_zero(self, temperature):
        with pytest.raises(ValueError, match="above zero"):
            forgetting.soften([[0.5, 0.5]], temperature)
        with pytest.raises(ValueError, match="above zero"):
            forgetting.Distillation(temperature)


class TestDistillation:
    def test_is_the_divergence_of_softened_answers(self):
        rng = np.random.default_rng(0)
        teacher, student = softmax(rng.normal(size=(4, 5))), softmax(rng.normal(size=(4, 5)))
        p, q = (p**0.5 / (p**0.5).sum(axis=1, keepdims=True) for p in (teacher, student))
        expected = 4 * (p * np.log(p / q)).sum(axis=1).mean()
        found = forgetting.Distillation(2.0)(teacher, student)
        assert float(found) == pytest.approx(expected, rel=1e-3)

    def test_is_zero_where_the_student_agrees(self):
        p = softmax(np.random.default_rng(0).normal(size=(4, 5)))
        assert float(forgetting.Distillation(4.0)(p, p)) == pytest.approx(0, abs=1e-5)

    def test_survives_a_teacher_that_is_certain(self):
        loss = forgetting.Distillation(2.0)([[1.0, 0.0]], [[0.0, 1.0]])
        assert np.isfinite(float(loss))

    def test_minds_sample_weights(self):
        teacher, student = np.array([[0.9, 0.1]] * 2), np.array([[0.1, 0.9]] * 2)
        loss = forgetting.Distillation()
        assert float(loss(teacher, student, sample_weight=[0, 0])) == 0
        assert float(loss(teacher, student)) > 0

    def test_is_saved_with_its_settings(self):
        loss = forgetting.Distillation(3.0, scaled=False)
        again = keras.losses.deserialize(keras.losses.serialize(loss))
        assert (again.temperature, again.scaled) == (3.0, False)


class TestInterpolate:
    def test_ends_and_middle(self):
        before, after = [np.array([0.0, 2.0])], [np.array([4.0, 2.0])]
        mixed = [forgetting.interpolate(before, after, s)[0].tolist() for s in (0, 0.5, 1)]
        assert mixed == [[0, 2], [2, 2], [4, 2]]

    @pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
    def test_refuses_a_share_outside(self, share):
        with pytest.raises(ValueError, match="from 0"):
            forgetting.interpolate([np.zeros(1)], [np.zeros(1)], share)

    def test_refuses_two_models(self):
        with pytest.raises(ValueError, match="before and after"):
            forgetting.interpolate([np.zeros(1)], [np.zeros(2)], 0.5)


class TestRemember:
    def test_every_class_in_turn(self):
        y = np.repeat([0, 1, 2], [50, 5, 2])
        memory = forgetting.remember(np.arange(57), y, 9)
        assert np.bincount(memory.y).tolist() == [4, 3, 2]
        assert (y[memory.x] == memory.y).all() and len(set(memory.x.tolist())) == 9

    @pytest.mark.parametrize("size", [0, -1, 58])
    def test_refuses_sizes_that_cannot_be_kept(self, size):
        with pytest.raises(ValueError, match="from 1 to 57"):
            forgetting.remember(np.arange(57), np.zeros(57), size)

    def test_an_empty_memory_is_refused(self):
        with pytest.raises(ValueError, match="memory is empty"):
            forgetting.Memory(np.zeros((0, 6)), np.zeros(0))
        with pytest.raises(ValueError, match="memory is empty"):
            forgetting.remember(np.zeros((0, 6)), np.zeros(0), 1)


class TestNewTask:
    settings = {"steps": 100, "learning_rate": 0.03, "batch_size": 30}

    def after(self, task, taught, **settings):
        model, x, old, new = taught
        task.learn(x, new, **{**self.settings, **settings})
        return multitask.accuracy(model, x, {"old": old, "new": new})

    def test_naive_training_learns_the_new_and_forgets_the_old(self, task, taught):
        task.restart()
        _, x, old, _ = taught
        before = multitask.accuracy(taught[0], x, {"old": old})["old"]
        found = self.after(task, taught)
        assert found["new"] > 0.8 and found["old"] < before - 0.1

    def test_leaves_the_old_head_as_it_was(self, task, taught):
        task.restart()
        before = taught[0].get_layer("old").get_weights()
        self.after(task, taught)
        assert same(before, taught[0].get_layer("old").get_weights())

    def test_every_remedy_keeps_more(self, task, taught):
        model, x, old, _ = taught
        naive = self.after(task, taught)["old"]
        task.restart()
        known = forgetting.fisher(model, x, "old")
        memory = forgetting.Memory(x[:100], old[:100])
        for remedy in (
            {"l2_sp": 1.0},
            {"ewc": 100.0, "fisher": known},
            {"distill": 4.0},
            {"memory": memory, "replay": 30},
        ):
            assert self.after(task, taught, **remedy)["old"] > naive + 0.05, remedy

    def test_distillation_on_old_inputs_needs_no_labels(self, task, taught):
        model, x, old, new = taught
        # What the old answer depends on never varies in the new inputs.
        unlike = x.copy()
        unlike[:, :2] = 1
        found = {}
        for name, remedy in {
            "naive": {},
            "on the new": {"distill": 4.0},
            "on the old": {"distill": 4.0, "memory": forgetting.Memory(x[:100]), "replay": 30},
        }.items():
            task.learn(unlike, new, **self.settings, **remedy)
            found[name] = multitask.accuracy(model, x, {"old": old})["old"]
        assert found["naive"] + 0.1 < found["on the new"] < found["on the old"] - 0.03

    def test_labels_and_answers_weigh_the_same_with_and_without_a_memory(self, task, taught):
        """Each loss is a mean over the examples that it speaks of."""
        _, x, old, new = taught
        for memory, replay, spoken_of in (
            (None, 0, {"old": 0, "new": 20, "teacher": 20}),
            (forgetting.Memory(x, old), 10, {"old": 10, "new": 20, "teacher": 20}),
            (forgetting.Memory(x), 10, {"old": 0, "new": 20, "teacher": 30}),
        ):
            _, targets, weights = task._steps(x, new, 2, 20, memory, replay, 0, True)
            for name, count in spoken_of.items():
                assert (weights[name] > 0).sum() == 2 * count
                assert np.isclose(weights[name].sum(), len(weights[name]) if count else 0)
            told = targets["teacher"][weights["teacher"] > 0]
            assert np.allclose(told.sum(axis=1), 1, atol=1e-5)  # answers, no placeholders

    def test_a_stronger_pull_moves_less(self, task, taught):
        drifts = []
        for strength in (0.0, 0.1, 10.0):
            self.after(task, taught, l2_sp=strength)
            drifts.append(drift(task))
        assert drifts[0] > drifts[1] > drifts[2]
        assert drifts[2] < drifts[0] / 5

    def test_the_same_seed_and_a_strength_of_zero_give_the_same_weights(self, task, taught):
        """Each run starts afresh, from the same weights and an optimizer at rest."""
        self.after(task, taught)
        first = copies(taught[0])
        self.after(task, taught, l2_sp=5.0)
        assert not same(first, copies(taught[0]))
        self.after(task, taught, l2_sp=0.0)
        assert same(first, copies(taught[0]))

    def test_watching_changes_nothing(self, task, taught):
        self.after(task, taught)
        first = copies(taught[0])
        model, x, old, new = taught
        seen = task.learn(
            x, new, **self.settings, marks=(1, 10), watch=lambda: copies(model)[0].sum()
        )
        assert len(seen) == 4 and len(set(seen)) == 4  # at 0, 1, 10 and 100
        assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(first, copies(model), strict=True))

    def test_one_head_for_both(self, taught):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((6,))
        head = layers.Dense(3, "softmax")(layers.Dense(5, name="hidden")(inputs))
        model = keras.Model(inputs, {"first": head, "then": head})
        task = forgetting.NewTask(model, "first", "then")
        task.learn(taught[1], taught[3], **self.settings)
        found = multitask.accuracy(model, taught[1], {"then": taught[3], "first": taught[3]})
        assert found["then"] == found["first"] > 0.8

    @pytest.mark.parametrize(
        "settings, said",
        [
            ({"l2_sp": -1.0}, "l2_sp is -1.0; it has to be 0 or more"),
            ({"ewc": -1.0}, "ewc is -1.0"),
            ({"distill": float("nan")}, "distill is nan"),
            ({"ewc": 1.0}, "Fisher.*got none"),
            ({"ewc": 1.0, "fisher": {}}, "no array of shape"),
            ({"ewc": 1.0, "l2_sp": 1.0}, "one of them"),
            ({"learning_rate": 0.0}, "above zero"),
            ({"steps": 0}, "steps is 0"),
            ({"replay": 0}, "replay is 0"),
            ({"memory": forgetting.Memory(np.zeros((1, 5)), np.zeros(1, int))}, "one trunk"),
            ({"memory": forgetting.Memory(np.zeros((1, 6)), np.full(1, 2))}, "0 to 1"),
            ({"memory": forgetting.Memory(np.zeros((1, 6)))}, "no labels, so only distillation"),
        ],
    )
    def test_refuses_and_changes_nothing(self, task, taught, settings, said):
        model, x, _, new = taught
        before = copies(model)
        model.set_weights([weight + 1 for weight in before])
        with pytest.raises(ValueError, match=said):
            task.learn(x, new, **{**self.settings, **settings})
        assert same([weight + 1 for weight in before], copies(model))

    def test_refuses_labels_that_are_no_class(self, task, taught):
        with pytest.raises(ValueError, match="0 to 2"):
            task.learn(taught[1], taught[3] + 1, **self.settings)
        with pytest.raises(ValueError, match="300 new inputs"):
            task.learn(taught[1], taught[3][1:], **self.settings)

    def test_refuses_tasks_that_share_no_trunk(self):
        inputs = keras.Input((6,))
        outputs = {"old": layers.Dense(2)(inputs), "new": layers.Dense(2)(inputs)}
        with pytest.raises(ValueError, match="share no weights"):
            forgetting.NewTask(keras.Model(inputs, outputs), "old", "new")
