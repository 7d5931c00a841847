import keras
import numpy as np
import pytest
from keras import layers

from tlcourse.freezing import gradient_scores, report, rescale_block, unfreeze


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.uniform(0, 4, (48, 8, 8, 3)).astype("float32"), np.arange(48) % 2


@pytest.fixture
def model(classifier):
    keras.utils.set_random_seed(0)
    made = classifier()
    for layer in made.get_layer("base").layers:  # statistics as after training, not 0 and 1
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_mean.assign(np.full(layer.moving_mean.shape, 0.3))
            layer.moving_variance.assign(np.full(layer.moving_variance.shape, 2.0))
    unfreeze(made)
    return made


def linear(kernel):
    """Softmax over the mean of each channel times a kernel: its gradient can be written down."""
    inputs = keras.Input((4, 4, 2))
    maps = layers.Conv2D(2, 1, use_bias=False, name="only_conv")(inputs)
    pooled = layers.GlobalAveragePooling2D()(maps)
    network = keras.Model(inputs, layers.Softmax(name="softmax")(pooled))
    network.get_layer("only_conv").set_weights([np.reshape(kernel, (1, 1, 2, 2))])
    return network


def test_the_scores_are_those_of_the_gradient_in_closed_form():
    kernel = np.array([[0.2, -0.1], [0.4, 0.3]])
    rng = np.random.default_rng(1)
    x = rng.normal(size=(6, 4, 4, 2)).astype("float32")
    y = np.array([0, 1, 1, 0, 1, 1])
    pooled = x.mean(axis=(1, 2))
    scores = np.exp(pooled @ kernel)
    error = scores / scores.sum(axis=1, keepdims=True) - np.eye(2)[y]
    batches = [pooled[i : i + 2].T @ error[i : i + 2] / 2 for i in (0, 2, 4)]
    mean, square = np.mean(batches, axis=0), np.mean(np.square(batches), axis=0)
    found = gradient_scores(linear(kernel), x, y, batch_size=2)["only"]
    assert found.mean == pytest.approx(np.abs(mean).mean(), rel=1e-4)
    assert found.relative == pytest.approx(np.linalg.norm(mean) / np.linalg.norm(kernel), rel=1e-4)
    assert found.effect == pytest.approx(np.abs(kernel * mean).sum(), rel=1e-4)
    assert found.agreement == pytest.approx((mean**2 / square).mean(), rel=1e-4)


def test_every_trainable_part_has_scores_and_nothing_changes(model, data, values):
    before = values(model.weights)
    unfreeze(model, last=1)
    assert list(gradient_scores(model, *data, batch_size=16)) == ["top", "head"]
    unfreeze(model)
    assert list(gradient_scores(model, *data, batch_size=16)) == ["stem", "block1", "top", "head"]
    assert all(map(np.array_equal, before, values(model.weights)))
    assert not model.compiled


def test_a_rescaled_network_says_the_same_with_a_smaller_gradient(model, data):
    x, y = data
    said = model.predict(x, verbose=0)
    was = gradient_scores(model, x, y, batch_size=16)["top"]
    assert rescale_block(model, "top", 10.0) == 1
    assert np.allclose(model.predict(x, verbose=0), said, atol=1e-6)
    now = gradient_scores(model, x, y, batch_size=16)["top"]
    # A bias before the normalisation shrinks alike; both are multiplied.
    assert was.mean / now.mean == pytest.approx(10, rel=1e-3)
    assert was.relative / now.relative == pytest.approx(100, rel=1e-3)
    assert now.effect == pytest.approx(was.effect, rel=1e-3)
    assert now.agreement == pytest.approx(was.agreement, rel=1e-3)


def test_a_model_that_was_cut_can_still_be_rescaled(model, data):
    base = model.get_layer("base")
    keras.Model(base.get_layer("block1_add").output, base.output)
    said = model.predict(data[0], verbose=0)
    assert rescale_block(model, "top", 4.0) == 1
    assert np.allclose(model.predict(data[0], verbose=0), said, atol=1e-6)


def test_a_kernel_that_something_else_reads_too_is_left_alone():
    inputs = keras.Input((4, 4, 2))
    maps = layers.Conv2D(2, 1, name="only_conv")(inputs)
    norm = layers.BatchNormalization(name="only_bn")(maps)
    network = keras.Model(inputs, layers.Add(name="only_add")([maps, norm]))
    with pytest.raises(ValueError, match="feeds a BatchNormalization"):
        rescale_block(network, "only", 2.0)


def test_a_kernel_without_a_norm_behind_it_is_left_alone(model, values):
    plain = model.get_layer("base").get_layer("block1_conv").weights
    kept = values(plain)
    assert rescale_block(model, "block1", 2.0) == 1  # the depthwise one, which feeds a norm
    assert all(map(np.array_equal, kept, values(plain)))


@pytest.mark.parametrize(
    ("name", "factor", "message"),
    [
        ("stm", 2.0, "'stm'; nothing was changed; try stem"),
        ("head", 2.0, "'head'; nothing was changed"),
        ("top", 0.5, "1 or more"),
        ("top", float("nan"), "1 or more"),
        ("top", float("inf"), "1 or more"),
    ],
)
def test_a_wrong_block_or_factor_changes_nothing(model, values, name, factor, message):
    before = values(model.weights)
    with pytest.raises(ValueError, match=message):
        rescale_block(model, name, factor)
    assert all(map(np.array_equal, before, values(model.weights)))


def test_a_block_without_a_norm_is_refused():
    with pytest.raises(ValueError, match="feeds a BatchNormalization"):
        rescale_block(linear(np.eye(2)), "only", 2.0)


def test_nothing_trainable_or_too_few_images_are_refused(model, data):
    x, y = data
    with pytest.raises(ValueError, match="two batches or more"):
        gradient_scores(model, x[:20], y[:20], batch_size=16)
    model.trainable = False
    with pytest.raises(ValueError, match="Nothing is trainable"):
        gradient_scores(model, x, y)
    assert report(model).trainable == 0


def test_a_backbone_without_a_head_is_refused_in_a_sentence(backbone, data):
    base = backbone()
    with pytest.raises(ValueError, match=r"ends in maps of shape .*put a head on") as caught:
        gradient_scores(base, *data, batch_size=16)
    assert "\n" not in str(caught.value)


def test_looking_at_gradients_in_training_mode_moves_the_statistics_and_ours_does_not(
    model, data, values
):
    unfreeze(model, batch_norm="trainable")
    statistics = [w for w in model.non_trainable_weights if "moving" in w.path]
    before = values(statistics)
    gradient_scores(model, *data, batch_size=16)
    assert all(map(np.array_equal, before, values(statistics)))
    model(data[0][:16], training=True)  # the usual first line of such an analysis
    assert not any(map(np.array_equal, before, values(statistics)))
