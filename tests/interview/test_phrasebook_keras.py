"""The Keras column of the phrasebook, on toys whose answer is known.

Each `check_…` takes what the column defines, so that a column with a mistake in it can be checked
as well: it has to be noticed.
"""

import inspect
import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops

from tlcourse.interview import phrasebook

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 4)).astype("float32")
Y = RNG.normal(size=(8, 2)).astype("float32")


def backbone(name="backbone"):
    inputs = keras.Input((4,))
    hidden = layers.Dense(6, name="block1_dense")(inputs)
    hidden = layers.BatchNormalization(name="block1_norm")(hidden)
    hidden = layers.Dropout(0.5, name="block1_drop")(hidden)
    hidden = layers.Dense(5, activation="relu", name="block2_dense")(hidden)
    hidden = layers.BatchNormalization(name="block2_norm")(hidden)
    return keras.Model(inputs, hidden, name=name)


def classifier(base, classes=2, **call):
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Dense(classes, name="head")(base(inputs, **call)))


def array(weight):
    return ops.convert_to_numpy(weight).copy()


def values(model):
    return {weight.path: array(weight) for weight in model.weights}


def moved(before, model):
    """The last parts of the paths of the weights that are no longer what they were."""
    return {
        "/".join(path.split("/")[-2:])
        for path, now in values(model).items()
        if not np.array_equal(before[path], now)
    }


def step(model, x=X, y=Y, optimizer=None, loss="mse", **options):
    model.compile(optimizer or keras.optimizers.SGD(0.1), loss, run_eagerly=True)
    return model.train_on_batch(x, y, **options)


def nothing(y_true, y_pred):
    """A loss that asks for nothing, so that only penalties are left."""
    return 0.0 * ops.mean(y_pred)


def itself(y_true, y_pred):
    return ops.mean(y_pred)


def check_freeze(freeze):
    base = backbone()
    model = classifier(base)
    freeze(base)
    before = values(model)
    step(model)
    assert moved(before, model) == {"head/kernel", "head/bias"}
    # Dropout inside the frozen backbone still drops, whatever the model was built with.
    model = classifier(base, training=False)
    assert not np.array_equal(*[array(model(X, training=True)) for _ in range(2)])


def check_frozen_batchnorm(frozen_batchnorm):
    model = classifier(backbone())
    frozen_batchnorm(model)
    before = values(model)
    step(model)
    assert {name.split("/")[0] for name in moved(before, model)} == {
        "block1_dense", "block2_dense", "head"
    }  # fmt: skip
    # Calling it with training=False is no protection.
    model = classifier(backbone(), training=False)
    before = values(model)
    step(model)
    assert "block1_norm/moving_mean" in moved(before, model)
    norm = layers.BatchNormalization()
    assert (norm.momentum, norm.epsilon) == (0.99, 1e-3)


def check_unfreeze_last_block(unfreeze_last_block):
    base = backbone()
    model = classifier(base)
    base.trainable = False
    assert unfreeze_last_block(base, "block2") == 2
    before = values(model)
    step(model)
    assert moved(before, model) == {
        "block2_dense/kernel", "block2_dense/bias", "head/kernel", "head/bias"
    }  # fmt: skip
    assert unfreeze_last_block(base, "blokc2") == 0
    # The parent wins.
    base.trainable = False
    base.get_layer("block2_dense").trainable = True
    assert base.trainable_weights == []


def check_layer_wise_rates(layer_wise_rates):
    inputs = keras.Input((4,))
    parts = [layers.Dense(4, name=f"part{n}") for n in range(4)]
    outputs = inputs
    for part in parts:
        outputs = part(outputs)
    model = keras.Model(inputs, outputs)
    before = values(model)
    optimizer = layer_wise_rates(parts[1:], 0.1, factor=2.0)
    step(model, y=np.ones((8, 4), "float32"), optimizer=optimizer)
    lengths = [np.abs(array(part.bias) - before[part.bias.path]).max() for part in parts]
    assert lengths == pytest.approx([0.0, 0.025, 0.05, 0.1], rel=1e-2)
    with pytest.raises(AttributeError):
        _ = optimizer.learning_rate


def check_replace_head(replace_head):
    inputs = keras.Input((4,))
    features = layers.Dense(5, name="features")(inputs)
    old = keras.Model(inputs, layers.Dense(10, activation="softmax")(features))
    said = old.predict(X, verbose=0)
    new = replace_head(old, 7)
    assert new.output_shape == (None, 7)
    assert new.get_layer("features") is old.get_layer("features")
    assert new.layers[-1].kernel.shape == (5, 7), "The old head is still below the new one."
    assert np.array_equal(old.predict(X, verbose=0), said)
    assert not np.allclose(new.predict(X, verbose=0).sum(axis=1), 1), "It has to give logits."
    # The old model keeps its head, and shares the rest.
    step(new, y=np.ones((8, 7), "float32"))
    assert not np.allclose(old.predict(X, verbose=0), said)


def check_feature_hook(feature_hook):
    base = backbone()
    found = feature_hook(base, "block2_dense", X)
    assert np.array_equal(found, feature_hook(base, "block2_dense", X)), "Dropout is on."
    rest = keras.Sequential([keras.Input((5,)), base.get_layer("block2_norm")])
    # The statistics are those of a new network; others would show a wrong order of layers.
    base.get_layer("block2_norm").moving_mean.assign(np.arange(5.0))
    assert np.allclose(rest.predict(found, verbose=0), base.predict(X, verbose=0), atol=1e-5)
    # A layer of a nested backbone belongs to another graph.
    outer = classifier(base)
    with pytest.raises(ValueError):
        keras.Model(outer.input, base.get_layer("block2_dense").output)


def check_weights_without_head(weights_without_head):
    old, new = classifier(backbone()), classifier(backbone(), classes=3)
    step(old)
    head = array(new.get_layer("head").kernel)
    with tempfile.TemporaryDirectory() as folder:
        weights_without_head(old, new, Path(folder) / "body.weights.h5")
    inside = [model.get_layer("backbone").predict(X, verbose=0) for model in (old, new)]
    assert np.array_equal(*inside)
    assert np.array_equal(array(new.get_layer("head").kernel), head)
    # Names do not count, order does.
    one, two = (
        keras.Sequential([keras.Input((4,)), *(layers.Dense(4, name=name) for name in names)])
        for names in (("a", "b"), ("b", "a"))
    )
    with tempfile.TemporaryDirectory() as folder:
        one.save_weights(path := Path(folder) / "x.weights.h5")
        two.load_weights(path)
        assert np.array_equal(array(two.get_layer("b").kernel), array(one.get_layer("a").kernel))
        wider = keras.Sequential([keras.Input((4,)), layers.Dense(5), layers.Dense(4)])
        with pytest.raises(ValueError):
            wider.load_weights(path)


def check_preprocessing_inside(preprocessing_inside):
    inputs = keras.Input((3, 3, 3))
    base = keras.Model(inputs, layers.Conv2D(2, 2)(inputs))
    mean, std = np.array([120.0, 110.0, 100.0]), np.array([60.0, 50.0, 40.0])
    pixels = RNG.integers(0, 256, size=(2, 3, 3, 3)).astype("float32")
    model = preprocessing_inside(base, mean, std)
    prepared = ((pixels - mean) / std).astype("float32")
    assert np.allclose(
        model.predict(pixels, verbose=0), base.predict(prepared, verbose=0), atol=1e-4
    )


def check_lora(lora):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="dense")])
    before = model.predict(X, verbose=0)
    layer = lora(model.get_layer("dense"), 2, 6.0)
    kernel, bias = (array(w) for w in layer.weights if w.name in ("kernel", "bias"))
    assert np.allclose(model.predict(X, verbose=0), before, atol=1e-6)
    assert sum(np.prod(w.shape) for w in model.trainable_weights) == 2 * (4 + 3)
    first = array(layer.lora_kernel_a)
    step(model, y=np.ones((8, 3), "float32"))
    a, b = array(layer.lora_kernel_a), array(layer.lora_kernel_b)
    assert np.array_equal(a, first) and np.abs(b).max() > 0
    assert np.array_equal(next(array(w) for w in layer.weights if w.name == "kernel"), kernel)
    merged = kernel + 6.0 / 2 * a @ b
    assert np.allclose(model.predict(X, verbose=0), X @ merged + bias, atol=1e-5)
    layer.save_own_variables(stored := {})
    assert np.allclose(ops.convert_to_numpy(stored["0"]), merged, atol=1e-6)
    # Without alpha the scale is 1; the bias goes on training; a frozen layer trains nothing.
    plain = layers.Dense(3)
    plain.build((None, 4))
    plain.enable_lora(2)
    assert plain.lora_alpha == 2 and any(w.name == "bias" for w in plain.trainable_weights)
    plain.trainable = False
    assert plain.trainable_weights == []


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def check_distillation_loss(distillation_loss):
    student, teacher = RNG.normal(size=(2, 6, 5)).astype("float32") * 2
    tensors = ops.convert_to_tensor(student), ops.convert_to_tensor(teacher)
    for temperature in (1.0, 3.0):
        p, q = softmax(teacher / temperature), softmax(student / temperature)
        want = temperature**2 * (p * np.log(p / q)).sum(axis=-1).mean()
        assert float(distillation_loss(*tensors, temperature)) == pytest.approx(want, rel=1e-4)
    assert float(distillation_loss(tensors[1], tensors[1])) == pytest.approx(0, abs=1e-6)
    inputs = keras.Input((4,))
    heads = [layers.Dense(3, name=name)(inputs) for name in ("student", "teacher")]
    loss = ops.zeros_like(heads[0]) + distillation_loss(*heads)
    model = keras.Model(inputs, loss)
    before = values(model)
    step(model, loss=itself)
    assert moved(before, model) == {"student/kernel", "student/bias"}


def check_gradient_reversal(gradient_reversal):
    inputs = keras.Input((1,))
    weight = layers.Dense(1, use_bias=False, kernel_initializer="ones", name="weight")
    model = keras.Model(inputs, 3.0 * gradient_reversal(weight(inputs), 0.5))
    one = np.ones((1, 1), "float32")
    assert model.predict(one, verbose=0).item() == 3.0
    step(model, one, one, keras.optimizers.SGD(1.0), itself)
    assert array(weight.kernel).item() == pytest.approx(1 + 1.5)


def check_l2_sp(l2_sp):
    inputs = keras.Input((4,))
    base = layers.Dense(3, name="base")
    model = keras.Model(inputs, layers.Dense(2, name="head")(base(inputs)))
    l2_sp(keras.Model(inputs, base.output), 2.0)
    start = array(base.kernel)
    base.kernel.assign(start + 0.5)
    before = values(model)
    loss = step(model, optimizer=keras.optimizers.SGD(0.1), loss=nothing)
    assert float(loss) == pytest.approx(0.5 * 2.0 * 0.25 * start.size, rel=1e-5)
    assert np.allclose(array(base.kernel), start + 0.5 - 0.1 * 2.0 * 0.5, atol=1e-6)
    assert moved(before, model) == {"base/kernel"}, "The head has no start worth keeping."
    base.kernel.assign(start + 0.5)
    checked = model.evaluate(X, Y, verbose=0)
    assert checked == pytest.approx(float(loss), rel=1e-5), "Validation shows it, too."


def check_ewc(ewc):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("this column is TensorFlow's tape")
    inputs = keras.Input((4,))
    dense = layers.Dense(2, kernel_initializer="zeros", name="dense")
    model = keras.Model(inputs, dense(inputs))
    ewc(model, X, 4.0)
    dense.kernel.assign(np.ones((4, 2)))
    step(model, optimizer=keras.optimizers.SGD(1.0), loss=nothing)
    # Whatever label is drawn, the gradient by a logit is a half up or down.
    fisher = 0.25 * (X**2).mean(axis=0)
    assert np.allclose(1 - array(dense.kernel), 4.0 * fisher[:, None], rtol=1e-4)


def check_weighted_loss(weighted_loss):
    logits = RNG.normal(size=(6, 3)).astype("float32")
    labels, weights = np.array([0, 1, 2, 0, 0, 1]), np.array([1.0, 2.0, 5.0], "float32")
    for smoothing in (0.0, 0.3):
        target = (1 - smoothing) * np.eye(3)[labels] + smoothing / 3
        each = -(target * np.log(softmax(logits))).sum(axis=1)
        found = float(weighted_loss(logits, labels, weights, smoothing))
        assert found == pytest.approx((weights[labels] * each).mean(), rel=1e-4)
    # fit's class_weight means the same.
    model = keras.Sequential([keras.Input((3,)), layers.Rescaling(1.0)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, run_eagerly=True)
    by_fit = model.train_on_batch(logits, labels, class_weight={0: 1.0, 1: 2.0, 2: 5.0})
    assert float(by_fit) == pytest.approx(float(weighted_loss(logits, labels, weights)), rel=1e-4)
    sparse = inspect.signature(keras.losses.SparseCategoricalCrossentropy).parameters
    assert "label_smoothing" not in sparse


def check_warmup_cosine(warmup_cosine):
    schedule = warmup_cosine(0.4, 10, 110)
    rates = [float(schedule(n)) for n in (0, 5, 10, 60, 110, 200)]
    assert rates == pytest.approx([0.0, 0.2, 0.4, 0.2, 0.0, 0.0], abs=1e-6)
    late = keras.optimizers.schedules.CosineDecay(0.0, 110, warmup_target=0.4, warmup_steps=10)
    assert float(late(110)) > 0.005
    with pytest.raises(TypeError):
        keras.optimizers.SGD(schedule).learning_rate = 0.1


def check_clip_and_accumulate(clip_and_accumulate):
    def moves(optimizer, batches):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
        start = model.get_weights()
        model.compile(optimizer, "mse", run_eagerly=True)
        lengths = []
        for x, y in batches:
            model.train_on_batch(x, y)
            lengths.append(np.concatenate([
                (now - was).ravel() for now, was in zip(model.get_weights(), start, strict=True)
            ]))  # fmt: skip
        return lengths

    small = [(X[n : n + 2], 100 * Y[n : n + 2]) for n in (0, 2, 4, 6)]
    whole = moves(keras.optimizers.SGD(0.1), [(X, 100 * Y)])[-1]
    found = moves(clip_and_accumulate(0.1, 4, 1e9), small)
    assert not np.any(found[:3]), "It moves with the fourth batch only."
    assert np.allclose(found[3], whole, rtol=1e-3)
    clipped = moves(clip_and_accumulate(0.1, 4, 1.0), small)[3]
    assert np.allclose(clipped, 0.1 * whole / np.linalg.norm(whole), rtol=1e-3)
    by_weight = keras.optimizers.SGD(0.1, clipnorm=1.0)
    assert np.linalg.norm(moves(by_weight, [(X, 100 * Y)])[-1]) > 0.11
    # A schedule counts small batches: this one is at its peak after four of them, and one move.
    schedule = keras.optimizers.schedules.PolynomialDecay(0.0, 4, 1.0)
    counting = keras.optimizers.SGD(schedule, gradient_accumulation_steps=4)
    moves(counting, small)
    assert float(counting.learning_rate) == 1.0 and int(counting.iterations) == 1


def check_mixed_precision(mixed_precision):
    def build():
        inputs = keras.Input((4,))
        hidden = layers.Dense(3, name="hidden")(inputs)
        return keras.Model(inputs, layers.Dense(2, dtype="float32", name="head")(hidden))

    model = mixed_precision(build)
    assert keras.config.dtype_policy().name == "float32", "The policy has to be put back."
    assert {keras.backend.standardize_dtype(w.dtype) for w in model.weights} == {"float32"}
    assert keras.backend.standardize_dtype(model.get_layer("hidden").output.dtype) == "float16"
    assert keras.backend.standardize_dtype(model.output.dtype) == "float32"
    before = values(model)
    step(model)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert len(moved(before, model)) == 4
    before = values(model)
    step(model, x=np.full((8, 4), 1e5, "float32"))
    assert moved(before, model) == set(), "float16 ends at 65,504, so that step was left out."
    # Too late for a model that exists.
    plain = build()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        assert plain.get_layer("hidden").compute_dtype == "float32"
    finally:
        keras.config.set_dtype_policy("float32")


def check_interpolate(interpolate):
    model = classifier(backbone())
    before = model.get_weights()
    step(model)
    after = model.get_weights()
    assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    for share in (0.0, 1.0, 0.5, 0.25):
        model.set_weights(after)
        interpolate(model, before, share)
        for a, b, now in zip(before, after, model.get_weights(), strict=True):
            assert np.allclose(now, (1 - share) * a + share * b, atol=1e-6)
    # EMA waits until fit ends.
    averaging = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2, use_bias=False)])
    step(model, optimizer=averaging)
    first = model.get_weights()[0]
    model.train_on_batch(X, Y)
    second = model.get_weights()[0]
    averaging.finalize_variable_values(model.trainable_variables)
    assert np.allclose(model.get_weights()[0], (first + second) / 2, atol=1e-6)
    assert not np.allclose(first, second)


def check_mc_dropout(mc_dropout):
    base = backbone()
    model = keras.Sequential([
        keras.Input((4,)), *base.layers[1:], layers.Dense(3, activation="softmax")
    ])  # fmt: skip
    before, said = values(model), model.predict(X, verbose=0)
    found = mc_dropout(model, X, passes=3)
    assert found.shape == (3, 8, 3) and np.allclose(found.sum(axis=-1), 1, atol=1e-5)
    assert found.std(axis=0).max() > 1e-3, "All passes agree: dropout is off."
    assert moved(before, model) == set()
    assert np.array_equal(model.predict(X, verbose=0), said)
    # With nothing to drop, all is as usual: normalised by the stored statistics, not the batch's.
    model.get_layer("block1_drop").rate = 0.0
    assert np.allclose(mc_dropout(model, X, passes=1)[0], said, atol=1e-5)
    model.get_layer("block1_drop").rate = 0.5
    # The ways that do not work.
    model.get_layer("block1_drop").training = True
    assert np.array_equal(model.predict(X, verbose=0), said)
    model(X, training=True)
    assert "block1_norm/moving_mean" in moved(before, model)


def check_adapt_batchnorm(adapt_batchnorm):
    base = backbone()
    model = classifier(base)
    base.trainable = False
    norms = [base.get_layer("block1_norm"), base.get_layer("block2_norm")]
    norms[1].momentum = 0.9
    before = values(model)
    batches = [RNG.normal(5.0, 2.0, size=(16, 4)).astype("float32") for _ in range(3)]
    adapt_batchnorm(model, batches)
    inside = keras.Model(base.input, base.get_layer("block1_dense").output)
    seen = [inside.predict(batch, verbose=0) for batch in batches]
    assert np.allclose(
        array(norms[0].moving_mean), np.mean([s.mean(axis=0) for s in seen], axis=0), atol=1e-4
    )
    assert np.allclose(
        array(norms[0].moving_variance), np.mean([s.var(axis=0) for s in seen], axis=0), rtol=1e-3
    )
    assert {name.split("/")[1] for name in moved(before, model)} == {
        "moving_mean", "moving_variance"
    }  # fmt: skip
    assert [(norm.momentum, norm.trainable) for norm in norms] == [(0.99, False), (0.9, False)]


CHECKS = {name: check for name, check in globals().items() if name.startswith("check_")}
# One mistake, or more, that people make in each move.
MISTAKES = {
    "freeze": [("backbone.trainable = False", "backbone.trainable = True")],
    "frozen-batchnorm": [("layer.trainable = False", "layer.momentum = 0.999"),
                         ("frozen_batchnorm(layer)", "pass")],
    "unfreeze-last-block": [("backbone.trainable = True", "pass"), (" and not norm", "")],
    "layer-wise-rates": [("reversed(blocks)", "blocks"), ("SGD(0.0)", "SGD(0.1)")],
    "replace-head": [("layers[-2]", "layers[-1]"), ('name="new_head"', 'activation="softmax"')],
    "feature-hook": [("inside.predict(images, verbose=0)",
                      "keras.ops.convert_to_numpy(inside(images, training=True))")],
    "weights-without-head": [('new.get_layer("backbone").load_weights(path)', "pass")],
    "preprocessing-inside": [("variance=np.square(std)", "variance=std")],
    "lora": [(", lora_alpha=alpha", ""), ("layer.bias.trainable = False", "pass")],
    "distillation-loss": [("temperature**2 * ", ""), ("ops.stop_gradient(teacher)", "teacher"),
                          ("ops.softmax(teacher)", "ops.softmax(student / temperature)")],
    "gradient-reversal": [("kept - strength", "kept + strength"),
                          ("kept - strength * (x - kept)", "-strength * x")],
    "l2-sp": [("ops.square(w - start)", "ops.square(w)"), ("0.5 * ", "")],
    "ewc": [("images:  # one at a time: square, then average", "[images.mean(axis=0)]:"),
            ("0.5 * strength", "strength")],
    "weighted-loss": [(", sample_weight=ops.take(weights, labels)", ""),
                      ("label_smoothing=smoothing", "label_smoothing=0.0"),
                      ("from_logits=True,",
                       'from_logits=True, reduction="mean_with_sample_weight",')],
    "warmup-cosine": [("total - warmup", "total"), ("warmup_steps=warmup", "warmup_steps=1")],
    "clip-and-accumulate": [("global_clipnorm", "clipnorm"), ("steps=steps", "steps=2")],
    "mixed-precision": [("mixed_float16", "float16"),
                        ("set_dtype_policy(before)", "dtype_policy()")],
    "interpolate": [("(1 - share) * a + share * b", "share * a + (1 - share) * b"),
                    ("model.get_weights()", "before")],
    "mc-dropout": [("training=True", "training=training"),
                   ("copy.predict(images, verbose=0)",
                    "keras.ops.convert_to_numpy(copy(images, training=True))"),
                   ("copy.set_weights(model.get_weights())",
                    "copy = model")],
    "adapt-batchnorm": [("layer.trainable = True", "pass"),
                        ("layer.momentum = number / (number + 1)", "pass"),
                        ("layer.momentum, layer.trainable = momentum, trainable", "pass")],
}  # fmt: skip


def made(name, old="", new=""):
    """What a move's column defines, perhaps with a mistake."""
    move = phrasebook.load()[name]
    assert old in move.keras, f"{name} no longer holds {old!r}"
    space = {}
    exec(compile(move.keras.replace(old, new) if old else move.keras, name, "exec"), space)
    return space[move.function]


def check(name, function):
    CHECKS[f"check_{name.replace('-', '_')}"](function)


@pytest.fixture(autouse=True)
def policy_restored():
    """One of the mistakes is to leave the policy changed, for every test that comes after."""
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("name", phrasebook.load())
def test_the_column_does_what_it_says(name):
    check(name, made(name))


@pytest.mark.parametrize(
    "name, old, new", [(name, *mistake) for name, all_ in MISTAKES.items() for mistake in all_]
)
def test_a_mistake_is_noticed(name, old, new):
    with pytest.raises(AssertionError):
        check(name, made(name, old, new))


def test_every_move_has_mistakes():
    assert set(MISTAKES) == set(phrasebook.load())
