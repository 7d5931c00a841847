import keras
import numpy as np
import pytest

from tlcourse import training


class TestFitHead:
    def test_the_scaling_is_folded_into_the_weights(self):
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        rng = np.random.default_rng(0)
        y = np.arange(90) % 3
        features = (rng.normal(size=(90, 5)) + y[:, None]) * [1, 10, 100, 1, 1] + 50
        plain = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300, tol=1e-3))
        head = training.fit_head(features, y, floor=0)
        expected = plain.fit(features, y).predict_proba(features)
        assert np.allclose(head.probabilities(features), expected, atol=1e-3)

    def test_two_classes_give_two_scores(self):
        head = training.fit_head(np.array([[-1.0], [-2.0], [1.0], [2.0]]), np.array([0, 0, 1, 1]))
        assert head.kernel.shape == (1, 2)
        assert head.probabilities(np.array([[-9.0], [9.0]])).argmax(1).tolist() == [0, 1]

    def test_a_weaker_penalty_fits_harder(self):
        rng = np.random.default_rng(0)
        features, y = rng.normal(size=(40, 3)), np.arange(40) % 2
        loose, tight = (training.fit_head(features, y, C=C).kernel for C in (10, 0.001))
        assert np.abs(loose).sum() > 5 * np.abs(tight).sum()

    def test_a_constant_feature_does_no_harm(self):
        features = np.array([[-1.0, 5], [-2, 5], [1, 5], [2, 5]])
        head = training.fit_head(features, np.array([0, 0, 1, 1]))
        assert np.isfinite(head.kernel).all() and head.accuracy(features, [0, 0, 1, 1]) == 1

    def test_a_floor_keeps_a_feature_that_hardly_fires_from_huge_weights(self):
        rng = np.random.default_rng(0)
        y = np.arange(60) % 2
        features = rng.normal(size=(60, 3)) + y[:, None]
        rare = np.zeros((60, 1))
        rare[1::20] = 1e-4
        features = np.hstack([features, rare])
        free, limited = (training.fit_head(features, y, floor=floor) for floor in (0, 1))
        assert np.abs(free.kernel[3]).max() > 100 and np.abs(limited.kernel[3]).max() < 1
        assert np.allclose(free.kernel[:3], limited.kernel[:3], atol=0.3)
        assert limited.accuracy(features, y) == pytest.approx(free.accuracy(features, y), abs=0.05)
        even = rng.permutation(features[:, :1] * np.ones(4) * [1, -1, 1, -1])
        same = (training.fit_head(even, y, floor=floor).kernel for floor in (0, 1))
        assert np.allclose(*same)  # features of one deviation: there is nothing to limit

    def test_bad_input_is_refused(self):
        with pytest.raises(ValueError, match=r"floor is -1; give a share of the median deviation"):
            training.fit_head(np.ones((4, 2)), np.array([0, 1, 0, 1]), floor=-1)
        with pytest.raises(ValueError, match=r"they have to be \(N, D\) and \(N,\)"):
            training.fit_head(np.zeros((4, 2, 2)), np.zeros(4, int))
        with pytest.raises(ValueError, match=r"Features of shape \(4, 2\)"):
            training.fit_head(np.zeros((4, 2)), np.zeros(3, int))
        with pytest.raises(ValueError, match="Class 1 has no example among the 4 labels"):
            training.fit_head(np.zeros((4, 2)), np.array([0, 0, 2, 2]))


class TestSetHead:
    def test_the_model_then_says_what_the_head_says(self, images, classifier):
        model = classifier()
        to_features = keras.Model(model.input, model.get_layer("pooling").output)
        found = to_features.predict(images[0], verbose=0)
        head = training.fit_head(found, images[1])
        training.set_head(model, head)
        said = model.predict(images[0], verbose=0)
        assert np.allclose(said, head.probabilities(found), atol=1e-5)

    def test_a_head_of_another_size_is_refused_and_changes_nothing(self, classifier, weights):
        model = classifier()
        before = weights(model)
        wide = training.Head(np.zeros((9, 3), "float32"), np.zeros(3, "float32"))
        with pytest.raises(ValueError, match=r"head is \(5, 3\), the fitted one \(9, 3\)"):
            training.set_head(model, wide)
        assert all(np.array_equal(before[path], now) for path, now in weights(model).items())

    def test_a_model_without_a_head_is_refused(self, backbone):
        head = training.Head(np.zeros((5, 3), "float32"), np.zeros(3, "float32"))
        with pytest.raises(ValueError, match="base has no layer named 'head'"):
            training.set_head(backbone(), head)
