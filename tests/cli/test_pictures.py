"""`tlcourse train`, `predict` and `evaluate`, as a user meets them."""

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image
from typer.testing import CliRunner

from tlcourse.cli import app
from tlcourse.models import build
from tlcourse.pipeline import transfer


def toy(facts, weights, input_shape):
    inputs = layers.Input(input_shape)
    x = layers.Conv2D(4, 3, 2, padding="same", name="stem_conv")(inputs)
    return keras.Model(inputs, layers.Conv2D(8, 3, name="top_conv")(x), name="toy")


@pytest.fixture(autouse=True)
def toy_backbone(monkeypatch):
    monkeypatch.setattr(build, "load_backbone", toy)

    def forward(self):
        pooled = keras.Model(self.model.input, self.model.get_layer("pooling").output)
        return lambda pictures: pooled.predict(pictures.astype("float32"), verbose=0)

    monkeypatch.setattr(transfer.TransferLearningPipeline, "_forward", forward)


@pytest.fixture
def folder(tmp_path):
    def make(name, count=40, seed=0):
        rng = np.random.default_rng(seed)
        for i in range(count):
            kind = ("dark", "light")[i % 2]
            (tmp_path / name / kind).mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 80, (20, 24, 3)) + 150 * (i % 2)
            Image.fromarray(pixels.astype("uint8")).save(tmp_path / name / kind / f"{i}.png")
        return tmp_path / name

    return make


def invoke(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})


def test_train_predict_evaluate(folder, tmp_path):
    model, place = tmp_path / "shades.keras", folder("train")
    (place / "light" / "broken.jpg").write_text("no picture")
    done = invoke("train", place, "--out", model, "--size", 32)
    assert done.exit_code == 0, done.output
    assert "refused       1  not an image that Pillow reads: light/broken.jpg" in done.output
    assert "Plan: feature extraction" in done.output and "validation accuracy: 1 [" in done.output
    assert "A fresh process gives the same" in done.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["shades.keras", "train"]

    other = folder("other", 10, seed=1)
    answered = invoke("predict", model, other / "light", other / "dark" / "0.png")
    lines = [line.split("\t") for line in answered.output.splitlines()]
    assert [line[1] for line in lines] == ["light"] * 5 + ["dark"]

    scored = invoke("evaluate", model, other)
    assert scored.exit_code == 0 and "accuracy         1 [0.722, 1]" in scored.output
    assert "trained on" not in scored.output
    assert "32 of these pictures were trained on" in invoke("evaluate", model, place).output

    again = invoke("train", place, "--out", model)
    assert again.exit_code == 2 and "is there already" in again.output


def test_a_killed_train_goes_on(folder, tmp_path, monkeypatch):
    class Killed(transfer.Keeper):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise MemoryError
            super().on_epoch_begin(epoch, logs)

    arguments = ["train", folder("train"), "--out", tmp_path / "m.keras", "--size", 32]
    arguments += ["--strategy", "fine-tune everything", "--epochs", 2]
    with monkeypatch.context() as patched:
        patched.setattr(transfer, "Keeper", Killed)
        assert isinstance(invoke(*arguments).exception, MemoryError)
    assert (tmp_path / "m.keras.training" / "state.npz").exists()
    done = invoke(*arguments)
    assert done.exit_code == 0 and "Going on with the training in" in done.output
    assert "Best of 2 epochs" in done.output and not (tmp_path / "m.keras.training").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["train", "none", "--out", "m.keras"], "There is no folder"),
        (["train", ".", "--out", "m.h5"], "ending in .keras"),
        (["train", ".", "--out", "m.keras", "--strategy", "all"], "strategy is 'all'"),
        (["train", ".", "--out", "m.keras", "--backbone", "resnet5"], "did you mean"),
        (["predict", "none.keras", "a.png"], "There is no model file none.keras"),
        (["evaluate", "none.keras", "."], "There is no model file none.keras"),
    ],
)
def test_mistakes_are_one_sentence(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = invoke(*arguments)
    assert done.exit_code == 2 and message in done.output and "Traceback" not in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
