import keras
import numpy as np
import pytest
from keras import layers

from tlcourse.adaptation import adapt_batch_norm


def network():
    """Two BatchNormalizations with a dropout and a nested model between them."""
    keras.utils.set_random_seed(0)
    inner_in = keras.Input((4,))
    inner = keras.Model(inner_in, layers.BatchNormalization(name="second")(inner_in), name="inner")
    inputs = keras.Input((3,))
    x = layers.BatchNormalization(name="first")(inputs)
    x = layers.Dropout(0.5, name="drop")(layers.Dense(4, "relu", name="dense")(x))
    return keras.Model(inputs, inner(x))


def numbers(variable):
    return keras.ops.convert_to_numpy(variable)


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(5, 3, (90, 3)).astype("float32")


def test_statistics_are_those_of_the_images(images):
    model = network()
    first, inner = model.get_layer("first"), model.get_layer("inner")
    second = inner.get_layer("second")
    adapt_batch_norm(model, images, batch_size=90)
    assert np.allclose(numbers(first.moving_mean), images.mean(0), atol=1e-4)
    assert np.allclose(numbers(first.moving_variance), images.var(0), rtol=1e-4)
    # The closed form, layer by layer, with the first one adapted and no dropout in between.
    normalised = (images - images.mean(0)) / np.sqrt(images.var(0) + first.epsilon)
    kernel, bias = model.get_layer("dense").get_weights()
    fed = np.maximum(normalised @ kernel + bias, 0)
    assert np.allclose(numbers(second.moving_mean), fed.mean(0), atol=1e-4)
    assert np.allclose(numbers(second.moving_variance), fed.var(0), atol=1e-4)


def test_several_batches_are_averaged_by_their_sizes(images):
    model = network()
    adapt_batch_norm(model, images, batch_size=40)  # two batches of 45
    first = model.get_layer("first")
    halves = np.array_split(images, 2)
    assert np.allclose(numbers(first.moving_mean), images.mean(0), atol=1e-4)
    variance = np.mean([half.var(0) for half in halves], axis=0)
    assert np.allclose(numbers(first.moving_variance), variance, rtol=1e-4)


def test_nothing_else_changes_and_settings_come_back(images):
    model = network()
    second = model.get_layer("inner").get_layer("second")
    second.trainable = False
    trained = [numbers(w).copy() for w in model.trainable_weights]
    adapt_batch_norm(model, images)
    assert all(
        (a == numbers(b)).all() for a, b in zip(trained, model.trainable_weights, strict=True)
    )
    assert (second.trainable, model.get_layer("first").trainable) == (False, True)
    assert (second.momentum, model.get_layer("drop").rate) == (0.99, 0.5)
    assert numbers(second.moving_mean).any()  # frozen, and adapted nevertheless


def test_says_how_far_each_layer_moved():
    inputs = keras.Input((2,))
    model = keras.Model(inputs, layers.BatchNormalization(name="bn", epsilon=0.0)(inputs))
    model.get_layer("bn").set_weights([np.ones(2), np.zeros(2), np.zeros(2), np.full(2, 4.0)])
    found = adapt_batch_norm(model, np.array([[5.0, 1.0], [7.0, -1.0]]))
    assert found == {"bn": pytest.approx(np.sqrt((3.0**2 + 0) / 2))}


def test_a_second_time_it_has_nowhere_to_go(images):
    model = network()
    adapt_batch_norm(model, images, batch_size=90)
    assert max(adapt_batch_norm(model, images, batch_size=90).values()) < 1e-3


def test_refuses_a_model_without_batch_norm():
    inputs = keras.Input((2,))
    with pytest.raises(ValueError, match="no BatchNormalization.*coral"):
        adapt_batch_norm(keras.Model(inputs, layers.Dense(2)(inputs)), np.zeros((4, 2)))


def test_refuses_one_image(images):
    with pytest.raises(ValueError, match="1 images in batches of 250; a variance needs 2"):
        adapt_batch_norm(network(), images[:1])


def test_refuses_what_draws_at_random():
    inputs = keras.Input((2,))
    x = layers.BatchNormalization()(layers.GaussianNoise(1.0, name="noise")(inputs))
    with pytest.raises(ValueError, match="'noise' draws at random"):
        adapt_batch_norm(keras.Model(inputs, x), np.zeros((4, 2)))
