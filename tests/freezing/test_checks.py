import keras
import numpy as np
import pytest
from keras import layers

from tlcourse.freezing import audit, freeze, freeze_batch_norm, snapshot, unfreeze

TENSORFLOW = keras.backend.backend() == "tensorflow"


def codes(result):
    return [finding.code for finding in result.findings]


def test_feature_extraction_as_it_should_be(classifier, fit):
    model = classifier()
    freeze(model)
    before = snapshot(model)
    fit(model)
    result = audit(model, before, expect="feature extraction")
    assert result.ok
    assert codes(result) == []
    facts = dict(result.facts)
    assert facts["trainable parameters"] == "10 of 232: backbone 0, head and rest 10"
    assert facts["trainable changed since compile"] == "no"
    assert facts["weights moved since the snapshot"] == "2 of 2 trainable, 0 of 14 frozen"
    assert facts["BatchNormalization moved since the snapshot"] == "0 of 3 in the backbone"
    assert result.changes["head/kernel"] > 0
    assert result.changes["base/stem_conv/kernel"] == 0


def test_fine_tuning_as_it_should_be(classifier, fit):
    model = classifier()
    unfreeze(model)
    before = snapshot(model)
    fit(model)
    result = audit(model, before, expect="fine-tuning")
    assert result.ok
    assert codes(result) == []
    assert not any(norm.moved for norm in result.batch_norms)


def test_the_text_is_the_same_on_every_machine(classifier):
    model = classifier()
    freeze(model)
    assert str(audit(model)).splitlines() == [
        "question                            answer",
        "----------------------------------  ---------------------------------------",
        "trainable parameters                10 of 232: backbone 0, head and rest 10",
        "trainable changed since compile     not compiled yet",
        "BatchNormalization of the backbone  3 layers: 3 frozen, 0 would move in fit",
        "inputs fit the backbone             not checked; give images",
        "loss fits the output                not compiled yet",
        "ok: 0 errors, 0 warnings, 0 notes",
    ]


def test_a_backbone_that_was_never_unfrozen_is_told(classifier, fit):
    # "Fine-tune" with a smaller rate, but without the line that unfreezes.
    model = classifier()
    freeze(model)
    fit(model)
    before = snapshot(model)
    fit(model, learning_rate=1e-4)
    assert codes(audit(model, before)) == ["backbone-unmoved"]
    assert audit(model, before).ok
    meant = audit(model, before, expect="fine-tuning")
    assert codes(meant) == ["never-unfrozen", "backbone-unmoved"]
    assert not meant.ok


def test_feature_extraction_that_is_none_is_told(classifier):
    model = classifier()
    unfreeze(model, last=1)
    assert codes(audit(model, expect="feature extraction")) == ["not-frozen"]


def test_the_guides_training_false_does_not_protect_batch_norm(classifier, fit):
    # If Keras lets training=False stand again, this fails, and chapter and audit must follow.
    model = classifier(lambda base, x: base(x, training=False))
    result = audit(model)
    assert codes(result) == ["training-false-ignored"]
    before = snapshot(model)
    fit(model, learning_rate=1e-12)
    moved = [norm for norm in audit(model, before).batch_norms if norm.moved]
    assert len(moved) == 3
    assert min(norm.mean_change for norm in moved) > 1e-4


def test_both_cures_protect_batch_norm(classifier, wrapper, fit):
    guide = classifier(lambda base, x: base(x, training=False))
    freeze_batch_norm(guide)
    wrapped = classifier(lambda base, x: wrapper(base)(x))
    for model in (guide, wrapped):
        assert codes(audit(model)) == []
        before = snapshot(model)
        fit(model)
        result = audit(model, before)
        assert result.ok
        assert not any(norm.moved for norm in result.batch_norms)
        assert result.changes["base/stem_conv/kernel"] > 0


def test_trainable_batch_norm_is_a_warning_before_and_after_fit(classifier, fit):
    model = classifier()
    unfreeze(model, batch_norm="trainable")
    before = snapshot(model)
    assert codes(audit(model)) == ["batch-norm-moves"]
    fit(model)
    result = audit(model, before)
    assert codes(result) == ["batch-norm-moves", "batch-norm-moved"]
    assert "3 of 3" in str(result)
    assert "BatchNormalization that moved" in result._repr_html_()


def test_the_probe_of_batch_norm_puts_everything_back(classifier, values):
    model = classifier()
    before = values(model.variables)
    assert all(norm.moves_in_fit for norm in audit(model).batch_norms)
    assert all(map(np.array_equal, before, values(model.variables)))


def test_batch_norm_in_the_head_is_no_finding(backbone, fit):
    inputs = keras.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D()(backbone()(inputs))
    x = layers.BatchNormalization(name="head_bn")(x)
    model = keras.Model(inputs, layers.Dense(2, "softmax")(x))
    freeze(model)
    before = snapshot(model)
    fit(model)
    result = audit(model, before, expect="feature extraction")
    assert result.ok
    head = next(norm for norm in result.batch_norms if not norm.in_backbone)
    assert head.moved and head.moves_in_fit


def test_training_a_flat_network_from_scratch_is_only_noted(backbone, fit):
    base = backbone()
    pooled = layers.GlobalAveragePooling2D()(base.output)
    model = keras.Model(base.input, layers.Dense(2, "softmax")(pooled))
    before = snapshot(model)
    fit(model)
    result = audit(model, before)
    assert result.ok
    assert codes(result) == ["batch-norm-moves", "batch-norm-moved"]


def test_a_stale_compile_is_found(classifier, fit):
    model = classifier()
    freeze(model)
    fit(model)
    unfreeze(model, last=1)
    before = snapshot(model)
    result = audit(model)
    assert codes(result) == ["stale-compile"]
    assert "2 variables became trainable" in str(result)
    if TENSORFLOW:
        fit(model, compile=False)
        after = audit(model, before)
        assert codes(after) == ["stale-compile", "did-not-move", "backbone-unmoved"]
        assert "base/top_conv/kernel" in str(after)
    else:
        with pytest.raises(Exception):  # noqa: B017  each backend has its own
            fit(model, compile=False)
    if keras.backend.backend() == "jax":
        return  # Keras on JAX loses the weights of a model when its fit raises.
    fit(model)
    assert audit(model, before, expect="fine-tuning").ok


@pytest.mark.skipif(not TENSORFLOW, reason="the other backends raise in fit")
def test_weights_that_move_though_frozen_are_found(classifier, fit):
    model = classifier()
    unfreeze(model)
    fit(model)
    freeze(model)
    before = snapshot(model)
    fit(model, compile=False)
    result = audit(model, before)
    assert codes(result) == ["stale-compile", "moved-though-frozen"]
    # Kernels and biases of four convolutions; the frozen BatchNormalization adds none.
    assert "8 weights moved though frozen" in str(result)


def test_a_change_between_compile_and_the_first_fit_does_no_harm(classifier, fit):
    model = classifier()
    unfreeze(model)
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    freeze(model)
    before = snapshot(model)
    facts = dict(audit(model).facts)
    assert (
        facts["trainable changed since compile"] == "yes, but fit has not run yet: it will see it"
    )
    fit(model, compile=False)
    result = audit(model, before, expect="feature extraction")
    assert codes(result) == []
    assert dict(result.facts)["trainable changed since compile"] == "no"


def test_compiling_again_with_the_old_optimizer_is_found(classifier, fit):
    model = classifier()
    freeze(model)
    fit(model)
    unfreeze(model, last=1)
    model.compile(model.optimizer, "sparse_categorical_crossentropy", jit_compile=False)
    assert codes(audit(model)) == ["stale-compile"]
    with pytest.raises(Exception):  # noqa: B017
        fit(model, compile=False)


def test_optimizers_inside_optimizers_are_understood(classifier, fit):
    adam = keras.optimizers.Adam
    by_path = keras.optimizers.OptimizerMap(adam(1e-3), {"top_.*": adam(1e-5)})
    for optimizer in (
        keras.optimizers.MultiOptimizer(by_path),
        keras.optimizers.LossScaleOptimizer(adam()),
    ):
        model = classifier()
        unfreeze(model, last=1)
        model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
        fit(model, compile=False)
        assert codes(audit(model)) == []
        freeze(model)
        assert codes(audit(model)) == ["stale-compile"]


def test_nothing_moved_is_told(classifier):
    model = classifier()
    freeze(model)
    assert codes(audit(model, snapshot(model))) == ["nothing-moved"]


def test_weights_unfrozen_after_the_snapshot_are_only_noted(classifier, fit):
    model = classifier()
    freeze(model)
    before = snapshot(model)
    fit(model)
    unfreeze(model, last=1)
    fit_again = audit(model, before)
    assert fit_again.found("not-trained-yet")
    assert not fit_again.found("did-not-move")


def test_diverged_weights_are_told(classifier, values):
    model = classifier()
    freeze(model)
    before = snapshot(model)
    model.get_layer("head").bias.assign([float("nan"), 0.0])
    result = audit(model, before)
    assert result.found("not-finite")
    assert "head/bias" in str(result)


def test_a_frozen_head_and_a_frozen_model_are_told(classifier):
    model = classifier()
    unfreeze(model)
    model.get_layer("head").trainable = False
    assert codes(audit(model)) == ["head-frozen"]
    model.trainable = False
    assert codes(audit(model)) == ["nothing-trainable"]


@pytest.mark.parametrize(
    "activation, loss, code",
    [
        ("softmax", keras.losses.SparseCategoricalCrossentropy(from_logits=True), "double"),
        ("sigmoid", keras.losses.BinaryCrossentropy(from_logits=True), "double"),
        (None, keras.losses.SparseCategoricalCrossentropy(), "missing"),
        (None, "sparse_categorical_crossentropy", "missing"),
        (None, keras.losses.binary_crossentropy, "missing"),
        ("softmax", "sparse_categorical_crossentropy", None),
        ("softmax", keras.losses.CategoricalCrossentropy(), None),
        (None, keras.losses.SparseCategoricalCrossentropy(from_logits=True), None),
        (None, ["categorical_crossentropy"], "missing"),
        (None, "mse", None),
    ],
)
def test_the_loss_fits_the_output_or_is_told(classifier, activation, loss, code):
    model = classifier(activation=activation)
    freeze(model)
    model.compile("adam", loss)
    assert codes(audit(model)) == ([f"{code}-activation"] if code else [])


def test_the_loss_is_checked_through_a_nested_head(backbone):
    head = keras.Sequential([layers.GlobalAveragePooling2D(), layers.Dense(2), layers.Softmax()])
    model = keras.Sequential([keras.Input((8, 8, 3)), backbone(), head])
    freeze(model)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert codes(audit(model)) == ["double-activation"]


def test_a_softmax_of_one_is_told(backbone):
    pooled = layers.GlobalAveragePooling2D()
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), backbone(), pooled, layers.Dense(1, "softmax")]
    )
    freeze(model)
    model.compile("adam", "binary_crossentropy")
    assert codes(audit(model)) == ["softmax-of-one"]


@pytest.fixture(scope="module")
def real():
    from tlcourse.models import build_classifier

    return build_classifier(3, size=32, weights=None)


def test_inputs_are_checked_against_the_preprocessing_inside(real):
    raw = np.random.default_rng(0).integers(0, 256, (8, 28, 28, 1), dtype=np.uint8)
    good, bad = audit(real, images=raw), audit(real, images=raw / 255)
    assert good.ok
    assert dict(good.facts)["inputs fit the backbone"] == "nothing looks wrong"
    assert codes(bad) == ["inputs"]
    assert not bad.ok


def test_inputs_of_a_bare_backbone_are_checked_as_prepared(real):
    from tlcourse.preprocessing import preprocess

    base = real.get_layer("efficientnet_lite0")
    raw = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    prepared = audit(base, images=preprocess(raw, "efficientnet-lite0"))
    assert dict(prepared.facts)["inputs fit the backbone"] == "nothing looks wrong"
    assert audit(base, images=raw).found("inputs")


def test_inputs_of_an_unknown_backbone_are_said_to_be_unchecked(classifier):
    result = audit(classifier(), images=np.zeros((2, 8, 8, 3), "float32"))
    assert result.found("unknown-preprocessing")


def test_preprocessing_for_another_backbone_is_told(real):
    from tlcourse.preprocessing import Preprocess

    base = real.get_layer("efficientnet_lite0")
    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, base(Preprocess("resnet50")(inputs)))
    assert audit(model).found("wrong-preprocessing")


def test_a_saved_model_can_be_compared_with_its_snapshot(real, tmp_path):
    before = snapshot(real)
    real.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert codes(audit(again, before)) == ["nothing-moved"]


def test_a_snapshot_of_another_model_is_refused(classifier, backbone):
    with pytest.raises(ValueError, match="take the snapshot of the same model"):
        audit(classifier(), snapshot(backbone()))


def test_a_model_without_weights_has_no_snapshot():
    with pytest.raises(ValueError, match="no weights yet"):
        snapshot(keras.Sequential([layers.Dense(2)]))


def test_an_unknown_expectation_is_refused(classifier):
    with pytest.raises(ValueError, match="'feature extraction' or 'fine-tuning'"):
        audit(classifier(), expect="training")


def test_a_model_that_takes_no_noise_is_judged_by_its_flags():
    class Pair(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = layers.Conv2D(2, 1)
            self.norm = layers.BatchNormalization()

        def call(self, x, training=None):
            return self.norm(self.conv(x["pixels"]), training=training)

    model = Pair()
    model({"pixels": keras.ops.ones((1, 4, 4, 3))})
    assert audit(model).batch_norms[0].moves_in_fit
    freeze(model)
    assert not audit(model).batch_norms[0].moves_in_fit
