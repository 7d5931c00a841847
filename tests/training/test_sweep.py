import numpy as np
import pytest

from tlcourse import freezing, training


def copies(model):
    return [value.copy() for value in model.get_weights()]


def equal(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("optimizer", ["adam", "adagrad"])
def test_a_run_does_not_depend_on_the_runs_before_it(images, classifier, optimizer):
    model = classifier()
    freezing.unfreeze(model, last=2)
    settings = {"epochs": 2, "batch_size": 16, "optimizer": optimizer, "seed": 4}
    found = [
        (rate, copies(model), history["loss"])
        for rate, history in training.sweep(model, *images, [0.01, 0.1, 0.01], **settings)
    ]
    (_, first, losses), (_, other, _), (_, again, same) = found
    assert equal(first, again) and losses == same
    assert not equal(first, other)


def test_rates_by_part_and_single_ones_in_one_sweep(images, classifier):
    model = classifier()
    freezing.unfreeze(model, last=1)
    wanted = [{"top": 1e-4, "head": 1e-3}, 1e-2, {"top": 1e-3, "head": 1e-2}]
    found = []
    for rate, _ in training.sweep(model, *images, wanted, epochs=1):
        now = training.rates_of(model)
        assert now == (rate if isinstance(rate, dict) else dict.fromkeys(now, rate))
        found.append(rate)
    assert found == wanted


def test_the_model_has_its_first_weights_again_also_after_leaving_early(images, classifier):
    model = classifier()
    start = copies(model)
    for _ in training.sweep(model, *images, [0.1], epochs=1):
        assert not equal(copies(model), start)
    assert equal(copies(model), start)
    for _ in training.sweep(model, *images, [0.1, 0.2], epochs=1):
        break
    assert equal(copies(model), start)


@pytest.mark.parametrize(
    ("rates", "epochs", "message"),
    [
        ([], 1, "There are no rates to sweep"),
        ([0.1, 0], 1, "The learning rate is 0; it has to be above zero"),
        ([0.1, {"head": 0.1, "nose": 0.1}], 1, "named 'nose'"),
        ([0.1], 0, "epochs is 0; train for at least one"),
    ],
)
def test_bad_input_is_refused_before_the_first_run(images, classifier, rates, epochs, message):
    model = classifier()
    with pytest.raises(ValueError, match=message):
        training.sweep(model, *images, rates, epochs=epochs)
    assert not model.compiled
