"""Dropout that stays random where Keras would switch it off, and nothing else that moves."""

import keras
import numpy as np
import pytest
from keras import layers

from tlcourse import uncertainty


def toy(rate=0.5, inner=0.0):
    """A nested backbone with BatchNormalization, then dropout and a head."""
    inputs = layers.Input((8, 8, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, name="stem_conv")(inputs))
    if inner:
        x = layers.Dropout(inner, name="inner")(x)
    base = keras.Model(inputs, x, name="base")
    images = layers.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D()(base(images))
    x = layers.Dropout(rate, name="dropout")(x)
    return keras.Model(images, layers.Dense(3, "softmax", name="head")(x))


IMAGES = np.random.default_rng(0).normal(size=(6, 8, 8, 3)).astype("float32")


def test_passes_differ_and_the_seed_repeats_them():
    model = toy()
    found = uncertainty.mc_dropout(model, IMAGES, passes=20, seed=1)
    assert found.samples.shape == (20, 6, 3)
    assert found.deviation.min(axis=0).min() > 1e-4
    assert (uncertainty.mc_dropout(model, IMAGES, 20, 1).samples == found.samples).all()
    assert (uncertainty.mc_dropout(model, IMAGES, 20, 2).samples != found.samples).any()


def test_a_sequential_model_on_stored_features():
    """The dropout stands first, so that nothing lies before it."""
    head = keras.Sequential(
        [layers.Input((4,)), layers.Dropout(0.5), layers.Dense(3, "softmax", name="head")]
    )
    features = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    found = uncertainty.mc_dropout(head, features, passes=5)
    assert found.samples.shape == (5, 6, 3) and found.deviation.max() > 1e-3


def test_no_two_passes_are_the_same():
    samples = uncertainty.mc_dropout(toy(), IMAGES, passes=5).samples
    assert len({sample.tobytes() for sample in samples}) == 5


def test_the_folklore_is_not_random():
    """The control: the same model, asked the way people write it, says the same each time."""
    model = toy()
    model.get_layer("dropout").training = True
    first, second = (model.predict(IMAGES, verbose=0) for _ in range(2))
    assert (first == second).all()


def test_nothing_of_the_model_moves():
    model = toy()
    before, answers = model.get_weights(), model.predict(IMAGES, verbose=0)
    uncertainty.mc_dropout(model, IMAGES, passes=3)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    assert (model.predict(IMAGES, verbose=0) == answers).all()
    assert type(model.get_layer("dropout")) is layers.Dropout


def test_the_mean_is_near_the_answer_without_dropout():
    model = toy(rate=0.2)
    found = uncertainty.mc_dropout(model, IMAGES, passes=300)
    assert np.abs(found.mean - model.predict(IMAGES, verbose=0)).max() < 0.05


def test_each_unit_is_dropped_at_the_rate():
    layer = uncertainty.MonteCarloDropout(0.3, seed=0)
    dropped = keras.ops.convert_to_numpy(layer(np.ones((100, 100), "float32"), training=False))
    assert (dropped == 0).mean() == pytest.approx(0.3, abs=0.02)
    assert dropped.max() == pytest.approx(1 / 0.7)


def test_dropout_inside_the_backbone_stays_off():
    model = toy(rate=0.5, inner=0.5)
    trunk, _ = uncertainty.split_at_dropout(model)
    first, second = (trunk.predict(IMAGES, verbose=0) for _ in range(2))
    assert (first == second).all()


def test_spatial_dropout_drops_whole_channels():
    inputs = layers.Input((5, 5, 40))
    model = keras.Model(inputs, layers.SpatialDropout2D(0.5)(inputs))
    found = uncertainty.mc_dropout(model, np.ones((3, 5, 5, 40), "float32"), passes=2).samples
    dropped = (found == 0).reshape(2 * 3, 25, 40)
    assert (dropped == dropped[:, :1]).all()
    assert 0.3 < dropped.mean() < 0.7 and (dropped[0] != dropped[1]).any()


def test_it_survives_saving(tmp_path):
    _, tail = uncertainty.split_at_dropout(toy())
    tail.save(tmp_path / "tail.keras")
    again = keras.saving.load_model(tmp_path / "tail.keras")
    features = np.ones((1, 4), "float32")
    answers = {again.predict(features, verbose=0).tobytes() for _ in range(5)}
    assert len(answers) > 1


def test_known_samples_have_known_numbers():
    sure = np.array([[1.0, 0.0]])
    torn = uncertainty.Spread(np.stack([sure, sure[:, ::-1]]))
    assert torn.mean.tolist() == [[0.5, 0.5]] and torn.deviation.tolist() == [[0.5, 0.5]]
    assert torn.entropy[0] == pytest.approx(np.log(2))
    assert torn.mutual_information[0] == pytest.approx(np.log(2))
    half = uncertainty.Spread(np.full((2, 1, 2), 0.5))
    assert half.entropy[0] == pytest.approx(np.log(2)) and half.mutual_information[0] == 0


def test_what_has_no_dropout_is_refused():
    for model in (toy(rate=0.0), toy(rate=0.0, inner=0.5)):
        with pytest.raises(ValueError, match="no Dropout with a rate above 0"):
            uncertainty.mc_dropout(model, IMAGES)
    with pytest.raises(ValueError, match="passes is 1"):
        uncertainty.mc_dropout(toy(), IMAGES, passes=1)
