"""The listings of docs/pipeline.md run as they stand, on toy pictures and a toy backbone."""

import re
from pathlib import Path

import numpy as np
import pytest

from tlcourse.pipeline import TransferLearningPipeline

PAGE = Path(__file__).resolve().parents[2] / "docs" / "pipeline.md"
FOLDER, CIFAR = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(autouse=True)
def workplace(pipeline, tmp_path, monkeypatch):
    """The toy backbone stands in for every real one; files are written below `tmp_path`."""
    monkeypatch.setattr("tlcourse.pipeline.TransferLearningPipeline", pipeline)
    monkeypatch.setenv("TLCOURSE_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder(folder):
    folder(name="pictures")
    folder(name="other-pictures", count=12, seed=1)
    exec(FOLDER, {})
    loaded = TransferLearningPipeline.load("model.keras")
    assert loaded.class_names == ("dark", "grey", "light")


def test_cifar10(workplace):
    rng = np.random.default_rng(0)
    y = np.arange(80) % 10
    x = (20 * y[:, None, None, None] + rng.integers(0, 20, (80, 32, 32, 3))).astype("uint8")
    names = np.array([f"class {i}" for i in range(10)])
    np.savez(
        workplace / "cifar10.npz",
        x_train=x[:60], y_train=y[:60], x_test=x[60:], y_test=y[60:], class_names=names,
    )  # fmt: skip
    exec(CIFAR.replace("2000", "60"), {})
    loaded = TransferLearningPipeline.load("cifar10.keras")
    assert loaded.class_names == tuple(names)
    assert loaded.predict(x[60:]).probabilities.shape == (20, 10)
