"""The pipeline on a toy backbone: what it learns, refuses, answers, and keeps."""

import subprocess
import sys
import tracemalloc
import zipfile

import keras
import numpy as np
import pytest
from PIL import Image

from tlcourse import config, freezing
from tlcourse.data import image_folder
from tlcourse.evaluation import accuracy
from tlcourse.pipeline import TransferLearningPipeline, saving, sources, transfer
from tlcourse.pipeline.card import ModelCard

# Three shades lie on one line, and a linear head on untrained features hardly tells the middle one.
CHANCE = 1 / 3


@pytest.fixture
def fitted(pipeline, pictures):
    found = pipeline()
    found.fit(*pictures(60))
    return found


def test_the_head_alone_learns_and_leaves_the_backbone_alone(pipeline, pictures):
    found = pipeline(dropout=0.2)
    untrained = pipeline().build(3, (16, 16, 3))
    history = found.fit(*pictures(60))
    assert found.plan.strategy == "feature extraction" and history.stages == {"head": 0}
    assert history["val_accuracy"][0] > CHANCE + 0.2
    trained = freezing.find_backbone(found.model).get_weights()
    for a, b in zip(freezing.find_backbone(untrained).get_weights(), trained, strict=True):
        assert (a == b).all()


def test_the_same_seed_gives_the_same_model(pipeline, pictures):
    x, y = pictures(60)
    weights = []
    for _ in range(2):
        found = pipeline(fraction=0.3, learning_rate=1e-4)
        history = found.fit(x, y)
        weights.append(found.model.get_weights())
    assert history.stages == {"head": 0, "fine-tuning": 1} and history.epochs == 3
    assert found.card.training["best epoch"] > 0
    assert all((a == b).all() for a, b in zip(*weights, strict=True))


def test_fine_tuning_on_kept_activations_is_plain_fine_tuning(pipeline, pictures, monkeypatch):
    settings = {"fraction": 0.3, "learning_rate": 1e-3, "dropout": 0.0}
    kept = pipeline(**settings)
    kept.fit(*pictures(60))

    def refuse(model):
        raise ValueError

    monkeypatch.setattr(transfer.finetune, "split", refuse)
    plain = pipeline(**settings)
    plain.fit(*pictures(60))
    assert kept.history["loss"] == pytest.approx(plain.history["loss"], abs=1e-5)
    for a, b in zip(kept.model.get_weights(), plain.model.get_weights(), strict=True):
        assert a == pytest.approx(b, abs=1e-4)


def test_augmented_pictures_train_the_head_and_are_not_in_the_model(pipeline, pictures):
    found = pipeline(augmentation="photos")
    history = found.fit(*pictures(60))
    assert history.epochs == 3
    assert not [layer for layer in found.model.layers if "augmentation" in layer.name]


def test_many_pictures_train_the_head_in_small_steps(pipeline, pictures, monkeypatch):
    monkeypatch.setattr(transfer, "HEAD_ROWS", 12)
    found = pipeline(strategy="feature extraction", batch_size=4)
    history = found.fit(*pictures(60))
    assert history.epochs == 3 and history["val_loss"][-1] < history["val_loss"][0]


def test_a_folder_trains_predicts_and_evaluates(pipeline, folder, tmp_path):
    found = pipeline()
    place = folder(60)
    (place / "dark" / "broken.png").write_text("no picture")
    found.fit(place)
    assert found.class_names == ("dark", "grey", "light")
    assert found.card.data["refused files"] == 1 and len(found.report.of("refused")) == 1
    other = folder(30, name="others", seed=1)
    result = found.evaluate(other, keep_as="test")
    assert result.accuracy.mean > CHANCE + 0.2 and result.seen == 0 and result.n == 30
    assert found.card.metrics["test"]["accuracy"]["n"] == 30
    answers = found.predict(other / "light")
    assert set(answers.names) == {"light"} and len(answers) == 10
    assert answers.sources[0].endswith("0002.png")
    assert found.evaluate(place).seen == found.card.data["train"]


def test_a_split_folder_is_trained_on_its_own_split(pipeline, folder):
    found = pipeline()
    found.fit(image_folder(folder(60), (16, 16), 0.5))
    assert found.card.data["train"] == found.card.data["validation"] == 30
    assert found.evaluate(image_folder(folder(60), (16, 16), 0.5)).n == 60


def test_validation_may_be_given(pipeline, pictures, folder):
    x, y = pictures(60)
    found = pipeline()
    found.fit(x, y, validation=pictures(30, seed=1))
    assert (found.card.data["train"], found.card.data["validation"]) == (60, 30)
    found.fit(folder(30), validation=folder(12, name="other", names=("light", "dark", "grey")))
    assert found.history["val_accuracy"][0] < 0.5  # the names decide, and they were exchanged
    with pytest.raises(ValueError, match="class 'black' is none of those"):
        found.fit(folder(30), validation=folder(6, name="third", names=("black", "dark", "grey")))
    with pytest.raises(ValueError, match="validation pictures have shape"):
        found.fit(x, y, validation=(x[:, :8], y))


def test_a_stream_is_learned_from_and_predicted(pipeline, pictures):
    tf = pytest.importorskip("tensorflow")
    x, y = pictures(60)
    found = pipeline()
    found.fit(tf.data.Dataset.from_tensor_slices((x, y)).batch(16))
    expected = found.predict(x).probabilities
    answers = found.predict(tf.data.Dataset.from_tensor_slices(x).batch(7))
    assert answers.probabilities == pytest.approx(expected, abs=1e-6)
    assert answers.sources[-1] == "59"


def test_grey_pictures_and_files_for_them(pipeline, pictures, tmp_path):
    x, y = pictures(60, channels=1)
    found = pipeline()
    found.fit(x, y)
    Image.fromarray(x[1, ..., 0]).save(tmp_path / "grey.png")
    expected = found.predict(x[1:2]).probabilities
    assert (found.predict(tmp_path / "grey.png").probabilities == expected).all()
    for name in "01":
        (tmp_path / "test" / name).mkdir(parents=True)
        Image.fromarray(x[int(name), ..., 0]).save(tmp_path / "test" / name / "1.png")
    assert found.evaluate(tmp_path / "test").n == 2


def test_nothing_of_a_training_is_left_in_the_cache(fitted):
    assert list(config.cache_dir("pipeline").iterdir()) == []


def test_a_checkpoint_belongs_to_one_training(pipeline, pictures, tmp_path):
    x, y = pictures(60)
    pipeline().fit(x, y, checkpoint=tmp_path)
    with pytest.raises(ValueError, match=r"holds another training \(seed differ\)"):
        pipeline(seed=1).fit(x, y, checkpoint=tmp_path)
    with pytest.raises(ValueError, match=r"\(pictures differ\)"):
        pipeline().fit(255 - x, y, checkpoint=tmp_path)


def test_features_that_were_kept_are_not_computed_again(pipeline, pictures, tmp_path, monkeypatch):
    x, y = pictures(60)
    first = pipeline()
    first.fit(x, y, checkpoint=tmp_path)
    monkeypatch.setattr(TransferLearningPipeline, "_forward", lambda self: None)
    again = pipeline()
    again.fit(x, y, checkpoint=tmp_path)
    for a, b in zip(first.model.get_weights(), again.model.get_weights(), strict=True):
        assert (a == b).all()


@pytest.mark.parametrize("width", [transfer.CHUNK + 3, transfer.CHUNK])
def test_a_half_written_chunk_of_features_is_computed_again(pipeline, pictures, tmp_path, width):
    found = pipeline()
    found.build(3, (16, 16, 3))
    x, y = pictures(2 * transfer.CHUNK)
    rows = transfer.Rows(y, x.shape[1:], lambda chosen: x[np.asarray(chosen)])
    whole = found._features(rows, tmp_path / "whole", 8)
    found._features(rows, tmp_path / "cut", 8)
    transfer.RowFile(tmp_path / "cut" / "features", (8,), "float32").keep(width)
    again = found._features(rows, tmp_path / "cut", 8)
    assert (whole.read(range(len(x))) == again.read(range(len(x)))).all()


# Uncertainty, explanations.


def test_uncertainty_is_more_than_zero_and_repeats(fitted, pictures):
    x, _ = pictures(9)
    spread = fitted.predict_with_uncertainty(x, passes=8)
    assert spread.samples.shape == (8, 9, 3) and spread.deviation.max() > 1e-3
    assert (fitted.predict_with_uncertainty(x, passes=8).samples == spread.samples).all()


def test_explanations_have_a_map_and_a_name_each(fitted, pictures):
    x, _ = pictures(3)
    found = fitted.explain(x)
    assert found.maps.shape == (3, 8, 8) and found.names == tuple(fitted.predict(x).names)
    assert fitted.explain(x, "1").names == ("1", "1", "1")
    with pytest.raises(ValueError, match="label 'zebra'"):
        fitted.explain(x, "zebra")
    assert len(found.plot().axes) == 3


# Saving.


def test_a_saved_model_says_the_same_in_a_fresh_process(fitted, pictures, tmp_path):
    x, _ = pictures(9, seed=2)
    path = fitted.save(tmp_path / "model.keras", check=False)
    np.save(tmp_path / "x.npy", x)
    code = (
        "import numpy as np; from tlcourse.pipeline import TransferLearningPipeline as P;"
        "p = P.load('model.keras'); np.save('y.npy', p.predict(np.load('x.npy')).probabilities);"
        "print(p.class_names, p.card.data['train'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found = np.load(tmp_path / "y.npy")
    assert np.abs(found - fitted.predict(x).probabilities).max() <= 1e-5
    assert done.stdout.strip() == "('0', '1', '2') 48"
    assert saving.check_in_fresh_process(path) <= 1e-5


def test_one_file_holds_everything_and_keras_reads_it(fitted, pictures, tmp_path):
    x, _ = pictures(9)
    path = fitted.save(tmp_path / "model.keras", check=False)
    assert [p.name for p in tmp_path.iterdir()] == ["model.keras"]
    plain = keras.saving.load_model(path)
    expected = fitted.predict(x).probabilities
    assert plain.predict(x.astype("float32"), verbose=0) == pytest.approx(expected, abs=1e-6)
    again = TransferLearningPipeline.load(path)
    assert again.card == fitted.card and saving.read_card(path) == fitted.card
    assert again.settings == fitted.settings
    assert again.evaluate(*pictures(60)).seen == 48
    assert {"accuracy", "log loss"} <= set(again.card.metrics["validation"])


def test_a_changed_model_is_noticed_when_it_is_loaded(fitted, tmp_path):
    path = fitted.save(tmp_path / "model.keras", check=False)
    fitted.model.get_layer("head").bias.assign([1.0, 0.0, 0.0])
    other = fitted.save(tmp_path / "other.keras", check=False)
    mixed = tmp_path / "mixed.keras"
    with zipfile.ZipFile(path) as a, zipfile.ZipFile(other) as b, zipfile.ZipFile(mixed, "w") as m:
        for name in a.namelist():
            m.writestr(name, (b if name == "model.weights.h5" else a).read(name))
    with pytest.warns(UserWarning, match="answers otherwise than when it was saved"):
        TransferLearningPipeline.load(mixed)
    with pytest.raises(ValueError, match="says something else in a fresh process"):
        saving.check_in_fresh_process(mixed)


def test_files_that_are_no_saved_pipeline(fitted, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no model file"):
        TransferLearningPipeline.load(tmp_path / "none.keras")
    fitted.model.save(tmp_path / "plain.keras")
    with pytest.raises(ValueError, match="holds no model card"):
        TransferLearningPipeline.load(tmp_path / "plain.keras")
    (tmp_path / "cut.keras").write_bytes((tmp_path / "plain.keras").read_bytes()[:500])
    with pytest.raises(ValueError, match="is no complete .keras file"):
        TransferLearningPipeline.load(tmp_path / "cut.keras")
    with pytest.raises(ValueError, match="ending in .keras"):
        fitted.save(tmp_path / "model.h5")


def test_a_full_disk_while_saving_keeps_the_old_file(fitted, tmp_path, monkeypatch):
    path = fitted.save(tmp_path / "model.keras", check=False)
    before = path.read_bytes()

    def full(target):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fitted.model, "save", full)
    with pytest.raises(OSError, match="The disk is full: .*model.keras"):
        fitted.save(path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


# What is refused.


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"backbone": "resnet5"}, "did you mean"),
        ({"strategy": "all"}, "strategy is 'all'"),
        ({"similarity": "some"}, "similarity is 'some'"),
        ({"epochs": 0}, "epochs is 0"),
        ({"size": 96.0}, "size is 96.0"),
        ({"augmentation": "cats"}, "augmentation is 'cats'"),
        ({"validation_fraction": 1.0}, "validation_fraction is 1.0"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        TransferLearningPipeline(**settings)


def test_nothing_can_be_asked_before_training(pipeline, pictures, tmp_path):
    x, y = pictures(6)
    found = pipeline()
    for ask in (
        lambda: found.predict(x),
        lambda: found.evaluate(x, y),
        lambda: found.explain(x),
        lambda: found.predict_with_uncertainty(x),
        lambda: found.save(tmp_path / "model.keras"),
        lambda: found.export(tmp_path / "model.onnx"),
    ):
        with pytest.raises(ValueError, match="Nothing has been trained yet"):
            ask()


def test_pictures_that_the_model_does_not_take(fitted, pictures, tmp_path):
    x, _ = pictures(6)
    with pytest.raises(ValueError, match=r"shape \(16, 16, 1\); this model takes \(16, 16, 3\)"):
        fitted.predict(x[..., :1])
    with pytest.raises(ValueError, match="look divided by 255"):
        fitted.predict(x / 255)
    with pytest.raises(ValueError, match="not finite"):
        fitted.predict(np.where(x > 200, np.nan, x))
    with pytest.raises(ValueError, match="have 2 sizes"):
        fitted.predict([x[0], x[1, :8]])
    with pytest.raises(FileNotFoundError, match="There is no file"):
        fitted.predict(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ValueError, match="text.png cannot be read"):
        fitted.predict([tmp_path / "text.png"])
    with pytest.raises(ValueError, match="give"):
        fitted.predict([])


def test_a_class_with_one_picture(pipeline, pictures, folder):
    x, _ = pictures(7)
    with pytest.raises(ValueError, match="'rare' has one picture"):
        pipeline().fit(x, np.arange(7) // 6, class_names=["often", "rare"])
    place = folder(30)
    for extra in sorted((place / "grey").iterdir())[1:]:
        extra.unlink()
    with pytest.raises(ValueError, match="'grey' has one picture"):
        pipeline().fit(place)


def test_classes_that_the_model_does_not_know(fitted, folder):
    with pytest.raises(ValueError, match="'dark' is none of those that the model knows: 0, 1, 2"):
        fitted.evaluate(folder(6))


def test_fine_tuning_needs_something_to_choose_by(pipeline, pictures):
    with pytest.raises(ValueError, match="needs validation pictures"):
        pipeline(fraction=0.3, validation_fraction=0.0).fit(*pictures(60))
    found = pipeline(validation_fraction=0.0)
    found.fit(*pictures(60))
    assert found.card.metrics == {} and accuracy(found.predict(pictures(60)[0]).probabilities,
                                                 pictures(60)[1]) > CHANCE + 0.2  # fmt: skip


def test_an_interrupted_training_keeps_its_best(pipeline, pictures, monkeypatch, tmp_path):
    class Stopped(transfer.Keeper):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt
            super().on_epoch_begin(epoch, logs)

    monkeypatch.setattr(transfer, "Keeper", Stopped)
    found = pipeline(fraction=0.3, epochs=3, learning_rate=1e-4)
    with pytest.warns(UserWarning, match="interrupted in epoch 2; the weights of epoch 1 are kept"):
        found.fit(*pictures(60))
    assert found.card.training["epochs"] == 1 and len(found.predict(pictures(3)[0])) == 3
    with pytest.raises(KeyboardInterrupt):
        found.fit(*pictures(60), checkpoint=tmp_path)


def test_memory_stays_flat(pipeline, folder, monkeypatch):
    """Four times the pictures: 3.5 MiB more of them as bytes, and hardly any more memory."""
    for module in (transfer, sources):
        monkeypatch.setattr(module, "CHUNK", 32)
    peaks = []
    for count in (100, 400):
        place = folder(count, side=8, name=str(count))
        tracemalloc.start()
        pipeline(fraction=0.3, epochs=1, size=64).fit(place)
        peaks.append(tracemalloc.get_traced_memory()[1] / 2**20)
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 2, peaks


def test_images_are_decoded_at_the_size_of_the_model(fitted, tmp_path):
    Image.fromarray(np.full((40, 80, 3), 240, "uint8")).save(tmp_path / "wide.png")
    assert fitted.predict(tmp_path / "wide.png").names == ["2"]


def test_the_card_reads_well(fitted):
    text = str(fitted.card)
    assert "licence of the weights" in text and "random weights" in text and "n = 12" in text
    assert ModelCard.from_json(fitted.card.to_json()) == fitted.card
    assert "<script" not in ModelCard(["<script"], {}, {}, {}, {})._repr_html_()
