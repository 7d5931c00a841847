import keras
import pytest

from tlcourse import freezing, training


class TestTwoStage:
    def test_the_head_comes_first_then_the_backbone_moves(self, images, classifier):
        model = classifier()
        before = freezing.snapshot(model)
        keras.utils.set_random_seed(7)
        history = training.two_stage(
            model, *images, last=1, epochs=2, learning_rate=1e-4, validation=images
        )
        assert history.stages == {"head": 0, "fine-tuning": 1} and history.epochs == 3
        assert set(history.curves) == {"loss", "accuracy", "val_loss", "val_accuracy", "seconds"}
        assert history["val_accuracy"][0] == history["accuracy"][0]
        assert history["accuracy"][0] > 0.8  # a fitted head, not a random one
        assert not freezing.audit(model, before=before, expect="fine-tuning").findings

    def test_the_first_entry_is_the_fitted_head(self, images, classifier):
        model = classifier()
        history = training.two_stage(model, *images, epochs=1, learning_rate=1e-30)
        scores = model.evaluate(*images, verbose=0, return_dict=True)
        assert history["loss"][0] == pytest.approx(scores["loss"], abs=1e-4)

    def test_a_model_without_a_head_is_refused(self, images, backbone):
        with pytest.raises(ValueError, match="base has no layer named 'head'"):
            training.two_stage(backbone(), *images, epochs=1)
