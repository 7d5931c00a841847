import keras
import numpy as np
import pytest

from tlcourse.models import load_classifier, source_probabilities


def test_they_are_what_the_whole_classifier_says():
    classifier = load_classifier()
    images = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3)).astype("uint8")
    pooled = keras.Model(classifier.input, classifier.get_layer("pooling").output)
    found = source_probabilities(pooled.predict(images, verbose=0))
    np.testing.assert_allclose(found, classifier.predict(images, verbose=0), atol=1e-5)
    assert found.dtype == np.float32


def test_bad_input_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match=r"load_classifier\('resnet50'\)"):
        source_probabilities(np.zeros((2, 2048)), "resnet50")
    with pytest.raises(ValueError, match=r"\(N, 1280\)"):
        source_probabilities(np.zeros((2, 2048)))
