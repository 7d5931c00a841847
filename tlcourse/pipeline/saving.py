"""One `.keras` file: the model, its card, and a check that it says again what it said.

It is the file that Keras writes, with three members more, so `keras.saving.load_model` reads it
as well (after `import tlcourse.models`).
"""

import contextlib
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np

from tlcourse import config
from tlcourse.pipeline.card import ModelCard
from tlcourse.pipeline.disk import full_disk_in_words

TOLERANCE = 1e-5  # in probability
_CARD, _ANSWERS, _SEEN = "tlcourse/card.json", "tlcourse/answers.npy", "tlcourse/seen.npy"


def save(path: Path, model: keras.Model, card: ModelCard, seen: np.ndarray) -> None:
    """Write model, card, the digests of what was trained on, and answers to check against.

    Args:
        path: ends in `.keras`; what is there is replaced when the new file is complete.
        model: from raw pixels to probabilities.
        card: what it says about itself.
        seen: uint64 `(N,)`, from `sources.digests`; no picture can be made of them.

    Raises:
        ValueError: another ending.
        OSError: the disk is full.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise ValueError(f"The path is {path}; a model is saved under a name ending in .keras.")
    answers = model.predict(check_images(model), verbose=0)
    with full_disk_in_words(path), config.atomic_path(path) as partial:
        model.save(partial)
        with zipfile.ZipFile(partial, "a", zipfile.ZIP_DEFLATED) as file:
            file.writestr(_CARD, card.to_json())
            for name, array in ((_ANSWERS, answers), (_SEEN, np.sort(seen))):
                held = io.BytesIO()
                np.save(held, array)
                file.writestr(name, held.getvalue())


def load(path: Path) -> tuple[keras.Model, ModelCard, np.ndarray, float]:
    """Read what `save` wrote.

    Returns:
        `(model, card, seen, difference)`: the last is the largest difference between what the
        model says of the check images now and what it said when it was saved.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no model, a damaged one, or one without a card.
    """
    path = Path(path)
    with _in_words(path):
        with zipfile.ZipFile(path) as file:
            missing = {_CARD, _ANSWERS, _SEEN} - set(file.namelist())
            if missing:
                raise ValueError(
                    f"{path} holds no model card: Keras wrote it, not this pipeline; read it with "
                    "keras.saving.load_model."
                )
            card = ModelCard.from_json(file.read(_CARD).decode())
            answers, seen = (np.load(io.BytesIO(file.read(name))) for name in (_ANSWERS, _SEEN))
        model = keras.saving.load_model(path, compile=False)
    now = model.predict(check_images(model), verbose=0)
    return model, card, seen, float(np.abs(now - answers).max())


def read_card(path: Path) -> ModelCard:
    """The card alone, without building the model.

    Raises:
        FileNotFoundError, ValueError: as in `load`.
    """
    with _in_words(Path(path)), zipfile.ZipFile(path) as file:
        return ModelCard.from_json(file.read(_CARD).decode())


@contextlib.contextmanager
def _in_words(path: Path):
    if not path.is_file():
        raise FileNotFoundError(f"There is no model file {path}.")
    try:
        yield
    except (zipfile.BadZipFile, KeyError, OSError, EOFError) as error:
        raise ValueError(
            f"{path} is no complete .keras file ({str(error).splitlines()[0]}); save it again."
        ) from error


def check_images(model: keras.Model) -> np.ndarray:
    """Four images that every process can make again: coarse noise, nobody's photographs."""
    height, width, channels = (side or 96 for side in model.input_shape[1:])
    coarse = np.random.default_rng(0).integers(0, 256, (4, 6, 6, channels))
    rows, columns = np.arange(height) * 6 // height, np.arange(width) * 6 // width
    return coarse[:, rows][:, :, columns].astype("float32")


def check_in_fresh_process(path: Path) -> float:
    """Load a saved model in a new Python process and compare what it says.

    Returns:
        The largest difference in probability.

    Raises:
        ValueError: the process failed, or the difference is above `TOLERANCE`.
    """
    environment = os.environ | {"KERAS_BACKEND": keras.backend.backend()}
    code = "import sys; from tlcourse.pipeline import saving; print(saving.load(sys.argv[1])[-1])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True, text=True, env=environment,
    )  # fmt: skip
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ValueError(f"{path} was saved and cannot be loaded in a fresh process: {reason}")
    difference = float(done.stdout.split()[-1])
    if not difference <= TOLERANCE:
        raise ValueError(
            f"{path} says something else in a fresh process: probabilities differ by up to "
            f"{difference:.1e}, where {TOLERANCE:.0e} is allowed."
        )
    return difference
