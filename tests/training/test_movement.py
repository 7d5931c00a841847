import numpy as np
import pytest

from tlcourse import freezing, training


def test_by_part_and_in_the_whole(classifier):
    model = classifier()
    freezing.unfreeze(model, last=2)
    before = freezing.snapshot(model)
    top, head = model.get_layer("base").get_layer("top_conv"), model.get_layer("head")
    top.kernel.assign(2 * top.kernel)  # its bias is zero
    head.bias.assign(head.bias + 3)
    moved = training.weights_moved(model, before)
    assert list(moved.parts) == ["block2", "top", "head"]
    assert moved.parts["block2"] == (0, 0)
    assert moved.parts["top"].relative == pytest.approx(1)
    sizes = [np.asarray(value) for value in head.get_weights()]
    assert moved.parts["head"].rms == pytest.approx(np.sqrt(9 * 3 / sum(s.size for s in sizes)))
    kernels = [layer.get_weights()[0] for layer in _convolutions(model)]
    was = [kernels[0], kernels[1] / 2]
    expected = np.linalg.norm(was[1]) / np.sqrt(sum(np.square(k).sum() for k in was))
    # gamma and beta of the frozen BatchNormalization do not count
    assert moved.backbone.relative == pytest.approx(expected)


def _convolutions(model):
    return [model.get_layer("base").get_layer(name) for name in ("block2_conv", "top_conv")]


def test_what_was_frozen_at_the_snapshot_does_not_count(classifier):
    model = classifier()
    freezing.freeze(model)
    before = freezing.snapshot(model)
    top = model.get_layer("base").get_layer("top_conv")
    top.kernel.assign(2 * top.kernel)
    moved = training.weights_moved(model, before)
    assert moved.backbone == (0, 0) and list(moved.parts) == ["head"]


def test_one_step_of_sgd_moves_by_rate_times_gradient(classifier, images):
    rms = {}
    for rate in (1e-3, 1e-2):
        model = classifier()
        freezing.unfreeze(model, last=1)
        before = freezing.snapshot(model)
        settings = {"epochs": 1, "batch_size": 60, "optimizer": "sgd", "learning_rate": rate}
        training.train(model, *images, **settings)
        rms[rate] = training.weights_moved(model, before).parts["top"].rms
    assert rms[1e-2] == pytest.approx(10 * rms[1e-3], rel=1e-3)


def test_another_models_snapshot_is_refused(classifier, backbone):
    with pytest.raises(ValueError, match="take the snapshot of the same model"):
        training.weights_moved(classifier(), freezing.snapshot(backbone()))


def test_nothing_trainable_is_refused(classifier):
    model = classifier()
    model.trainable = False
    with pytest.raises(ValueError, match="Nothing was trainable at the snapshot"):
        training.weights_moved(model, freezing.snapshot(model))


def test_features():
    before = np.array([[3.0, 4.0], [0.0, 2.0]])
    assert training.features_moved(before, before) == 0
    assert training.features_moved(0 * before, before) == 1
    assert training.features_moved(before * [[2], [1]], before) == 0.5
    with pytest.raises(ValueError, match=r"shapes \(2, 2\) and \(1, 2\); give those of the same"):
        training.features_moved(before, before[:1])
