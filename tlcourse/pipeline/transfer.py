"""The pipeline: from pictures to one file that predicts, and says what it is worth."""

import contextlib
import importlib.metadata
import json
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

import tlcourse
from tlcourse import config, explaining, features, freezing, models, preprocessing, uncertainty
from tlcourse.data import ImageFolder, image_folder, read_pictures
from tlcourse.evaluation import accuracy
from tlcourse.freezing.recommending import FEATURE_EXTRACTION, SIMILARITIES
from tlcourse.models import table
from tlcourse.pipeline import exporting, planning, saving, sources
from tlcourse.pipeline.batches import Batches
from tlcourse.pipeline.card import ModelCard, licence
from tlcourse.pipeline.disk import RowFile, full_disk_in_words, require_room
from tlcourse.pipeline.keeping import BEST, Keeper
from tlcourse.pipeline.results import Evaluation, Predictions, score
from tlcourse.pipeline.sources import CHUNK, Rows, Source
from tlcourse.training import Head, History, compile_classifier, finetune, fit_head, set_head

# The convex fit of the head holds its features several times over; this many take some 500 MB.
HEAD_ROWS = 20_000
_OPTIMISM = (
    "The validation pictures also chose the epoch, so their scores flatter a little; evaluate on "
    "pictures kept apart."
)


class TransferLearningPipeline:
    """Build, fit, evaluate, predict, explain, save, load and export a picture classifier.

    The head is fitted first, on features that the frozen backbone computes once. If the plan says
    so, blocks of the backbone are fine-tuned afterwards, and the epoch with the lowest validation
    loss is kept; the head alone is epoch 0, so fine-tuning cannot end worse than it began.

    Args:
        backbone: a key of `models.BACKBONES`.
        strategy: "auto", "feature extraction", "fine-tune the last blocks" or "fine-tune
            everything"; "auto" asks `freezing.recommend`.
        similarity: of your pictures to photographs of things: "high", "medium" or "low".
        fraction: share of the backbone to freeze, 0.0 to 1.0, in the place of a strategy.
        size: side in pixels at which the backbone sees a picture. Larger is better and slower.
        dropout: share of the pooled features that fine-tuning drops, and `predict_with_uncertainty`
            too.
        epochs: of fine-tuning, at most.
        patience: stop after so many epochs without a better one.
        learning_rate: of fine-tuning; None for the middle of what `freezing.recommend` says.
        batch_size: pictures in one step.
        augmentation: None, or a kind that `preprocessing.augmentation` knows. The saved model does
            not contain it.
        validation_fraction: share of each class that is kept apart.
        seed: every random choice follows from it.
        weights: "imagenet", or None for random ones.

    Attributes:
        model: the Keras model, from raw pixels to probabilities, after `build`, `fit` or `load`.
        class_names, card, plan, history, report: after `fit`; the report is that of an image
            folder, and None for other pictures.

    Raises:
        ValueError: a setting that cannot be.

    Example:
        >>> pipeline = TransferLearningPipeline(similarity="medium", epochs=3)
        >>> pipeline.model is None
        True
    """

    def __init__(
        self,
        backbone: str = "efficientnet-lite0",
        strategy: str = planning.AUTO,
        *,
        similarity: str = "high",
        fraction: float | None = None,
        size: int = 96,
        dropout: float = 0.2,
        epochs: int = 5,
        patience: int = 2,
        learning_rate: float | None = None,
        batch_size: int = 32,
        augmentation: str | None = None,
        validation_fraction: float = 0.2,
        seed: int = 0,
        weights: str | None = "imagenet",
    ):
        self.settings = {
            "backbone": table.lookup(backbone).name, "strategy": strategy,
            "similarity": similarity, "fraction": fraction, "size": size, "dropout": dropout,
            "epochs": epochs, "patience": patience, "learning_rate": learning_rate,
            "batch_size": batch_size, "augmentation": augmentation,
            "validation_fraction": validation_fraction, "seed": seed, "weights": weights,
        }  # fmt: skip
        if similarity not in SIMILARITIES:
            raise ValueError(
                f"The similarity is {similarity!r}; write one of {', '.join(SIMILARITIES)}."
            )
        planning.make_plan(1, similarity, strategy, fraction, learning_rate)
        for name in ("epochs", "patience", "batch_size", "size"):
            value = self.settings[name]
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}; give a whole number, 1 or more.")
        if augmentation is not None and augmentation not in preprocessing.AUGMENTATIONS:
            raise ValueError(
                f"augmentation is {augmentation!r}; write one of "
                f"{', '.join(preprocessing.AUGMENTATIONS)}, or None."
            )
        if not 0 <= validation_fraction < 1:
            raise ValueError(
                f"validation_fraction is {validation_fraction}; give 0 or more and less than 1."
            )
        self.model: keras.Model | None = None
        self.class_names: tuple[str, ...] = ()
        self.card: ModelCard | None = None
        self.plan: planning.Plan | None = None
        self.history: History | None = None
        self.report = None
        self._seen = np.empty(0, "uint64")

    def build(self, classes: int, image_shape: tuple[int, int, int]) -> keras.Model:
        """Build the untrained model; `fit` calls it.

        Args:
            classes: 2 or more.
            image_shape: `(height, width, channels)` of the raw pictures.

        Returns:
            The model, frozen backbone and new head, which is also kept as `model`.
        """
        config.set_seed(self.settings["seed"])
        self.model = models.build_classifier(
            classes,
            self.settings["backbone"],
            image_shape=tuple(image_shape),
            size=self.settings["size"],
            dropout=self.settings["dropout"],
            weights=self.settings["weights"],
        )
        return self.model

    def fit(
        self,
        pictures,
        labels=None,
        *,
        validation=None,
        class_names=None,
        checkpoint: str | Path | None = None,
    ) -> History:
        """Train a new model. Pictures may be more than fit into memory.

        Args:
            pictures: an image folder, by its path or from `data.image_folder`; arrays of raw pixels
                `(N, H, W, 1)` or `(N, H, W, 3)`, 0-255; or a `tf.data.Dataset` of (picture, label),
                batched or not, which is written to disk once.
            labels: of arrays: class numbers `(N,)`, names, or one-hot rows.
            validation: pictures to validate on, of any of these kinds, arrays as `(x, y)`; None to
                keep a share of the others apart.
            class_names: for class numbers; a folder brings its own.
            checkpoint: a folder for the state of this training. If the process is killed, call the
                same with the same folder: it goes on, and ends with the same model. Delete the
                folder when the model is saved.

        Returns:
            The `History`: stage "head", one entry, and stage "fine-tuning", if there was one.

        Raises:
            TypeError, ValueError, FileNotFoundError: pictures or labels that cannot be learned
                from, a class with a single picture, or a checkpoint of another training.
            OSError: the disk is full.
        """
        with self._workplace(checkpoint) as work:
            source = self._open(pictures, labels, validation, class_names, work)
            self.plan = planning.make_plan(
                len(source.train),
                *(self.settings[k] for k in ("similarity", "strategy", "fraction")),
                self.settings["learning_rate"],
            )
            self._tie(work, source)
            self.report, self.card = source.report, None
            self.class_names = source.class_names
            self.build(len(source.class_names), source.train.shape)
            return self._train(source, work, resumable=checkpoint is not None)

    def _open(self, pictures, labels, validation, class_names, work: Path) -> Source:
        fraction = 0 if validation is not None else self.settings["validation_fraction"]
        if validation is not None:
            pictures, validation = _whole(pictures), _whole(validation)
        how = {"size": self.settings["size"], "seed": self.settings["seed"]}
        source = sources.open_source(
            pictures, labels, class_names, fraction=fraction, work=work, **how
        )
        counted = np.concatenate([source.train.labels, source.held_out.labels])
        sources.require_two_of_each(counted, source.class_names, least=2 if fraction else 1)
        if validation is None:
            return source
        x, y = validation if isinstance(validation, tuple) else (validation, None)
        other = sources.open_source(
            x, y, source.class_names if y is not None else None, fraction=0,
            work=work / "validation", **how,
        )  # fmt: skip
        held_out = _renumbered(other, source.class_names)
        if held_out.shape != source.train.shape:
            raise ValueError(
                f"The validation pictures have shape {held_out.shape}, the others "
                f"{source.train.shape}; bring them to one."
            )
        return Source(
            source.train, held_out, source.class_names, source.about, source.key + other.key,
            source.report,
        )  # fmt: skip

    @contextlib.contextmanager
    def _workplace(self, checkpoint) -> Iterator[Path]:
        """The folder of the checkpoint, or one that is gone afterwards."""
        if checkpoint is not None:
            folder = Path(checkpoint)
            folder.mkdir(parents=True, exist_ok=True)
            yield folder
            return
        folder = Path(tempfile.mkdtemp(dir=config.cache_dir("pipeline")))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _tie(self, work: Path, source: Source) -> None:
        """Tie a checkpoint to this very training, so that no other one goes on from it."""
        said = json.dumps(
            {**self.settings, "pictures": source.key, "classes": source.class_names,
             "keras": keras.__version__, "backend": keras.backend.backend()},
            sort_keys=True,
        )  # fmt: skip
        path = work / "training.json"
        if path.exists() and path.read_text() != said:
            before, now = json.loads(path.read_text()), json.loads(said)
            changed = [name for name in now if now[name] != before.get(name)]
            raise ValueError(
                f"{work} holds another training ({', '.join(changed)} differ); delete it, or give "
                "another folder."
            )
        with full_disk_in_words(path), config.atomic_path(path) as partial:
            partial.write_text(said)

    def _train(self, source: Source, work: Path, resumable: bool) -> History:
        started = time.perf_counter()
        wide = self.model.get_layer("head").input.shape[-1]
        count = len(source.train) + len(source.held_out)
        require_room(work, 4 * wide * count, f"The features of {count:,} pictures")
        train = self._features(source.train, work / "train", wide)
        held_out = self._features(source.held_out, work / "validation", wide)
        head = self._fit_head(train, work / "head.npz")
        set_head(self.model, head)
        self.history = _first_entry(head, train, held_out, time.perf_counter() - started)
        tunes = self.plan.strategy != FEATURE_EXTRACTION or self.settings["augmentation"]
        training = {"plan": str(self.plan).splitlines()[0], "reasons": list(self.plan.reasons)}
        if tunes or len(train) > HEAD_ROWS:
            if not len(held_out):
                raise ValueError(
                    "Fine-tuning needs validation pictures to choose its best epoch; set "
                    "validation_fraction above 0, or give validation."
                )
            keeper, probabilities = self._tune(source, train, held_out, work, resumable)
            self.history = self.history.then(History(keeper.curves, {"fine-tuning": 0}))
            training |= {
                "best": BEST, "best epoch": keeper.best_epoch, "epochs": keeper.epoch,
                "validation loss": keeper.best_loss,
            }  # fmt: skip
        else:
            probabilities = _over(held_out, head.probabilities)
        self._seen = _marks(work / "train", len(source.train)).read(range(len(source.train)))
        self.card = self._card(source, training | {"seconds": time.perf_counter() - started})
        if len(held_out):
            found = score(probabilities, source.held_out.labels, self.class_names)
            self.card.metrics["validation"] = found.as_dict()
            self.card.metrics["note"] = _OPTIMISM
        return self.history

    def _features(self, rows: Rows, folder: Path, wide: int) -> Rows:
        """Pooled features of all pictures, computed once; a killed run goes on where it was."""
        folder.mkdir(parents=True, exist_ok=True)
        kept, marks = RowFile(folder / "features", (wide,), "float32"), _marks(folder, len(rows))
        # Whole chunks only: another partition of the pictures would round otherwise.
        done = min(len(kept), len(marks))
        done = done if done == len(rows) else done // CHUNK * CHUNK
        for file in (kept, marks):
            file.keep(done)
        compute = self._forward()
        starts = range(done, len(rows), CHUNK)
        for start in config.progress(starts, "features"):
            pictures = rows.read(np.arange(start, min(start + CHUNK, len(rows))))
            kept.append(compute(sources.checked(pictures)))
            marks.append(sources.digests(pictures))
        return Rows(rows.labels, kept.shape, kept.read)

    def _forward(self):
        """A function from raw pictures to pooled features."""
        if self.settings["weights"] is not None:
            # ONNX Runtime, where it can be had: more than twice as fast on a CPU.
            backbone, size = self.settings["backbone"], self.settings["size"]
            return lambda pictures: features.extract(pictures, backbone, size)
        to_features = keras.Model(self.model.input, self.model.get_layer("pooling").output)
        return lambda pictures: to_features.predict(pictures.astype("float32"), verbose=0)

    def _fit_head(self, train: Rows, path: Path) -> Head:
        if not path.exists():
            chosen = np.arange(len(train))
            if len(train) > HEAD_ROWS:
                rng = np.random.default_rng(self.settings["seed"])
                first_of_each = np.unique(train.labels, return_index=True)[1]
                others = rng.choice(len(train), HEAD_ROWS, replace=False)
                chosen = np.union1d(first_of_each, others)
            head = fit_head(train.read(chosen), train.labels[chosen], len(self.class_names))
            with full_disk_in_words(path), config.atomic_path(path) as partial:
                np.savez(partial, kernel=head.kernel, bias=head.bias)
        with np.load(path) as kept:
            return Head(kept["kernel"], kept["bias"])

    def _tune(self, source: Source, train: Rows, held_out: Rows, work: Path, resumable: bool):
        """Train what the plan leaves free, from the fitted head on, and put back the best."""
        trainer, rows, checks = self._trainer(source, train, held_out, work)
        settings = self.settings
        batches = Batches(rows, settings["batch_size"], settings["seed"])
        looked_at = Batches(checks, settings["batch_size"])
        config.set_seed(settings["seed"])
        compile_classifier(trainer, keras.optimizers.Adam(self.plan.learning_rate))
        start = trainer.evaluate(looked_at, return_dict=True, verbose=0)["loss"]
        state = work / "state.npz" if resumable else None
        keeper = Keeper(batches, state, start, settings["patience"])
        first = keeper.begin(trainer)
        try:
            if first < settings["epochs"] and not keeper.done:
                trainer.fit(
                    batches,
                    epochs=settings["epochs"],
                    initial_epoch=first,
                    validation_data=looked_at,
                    callbacks=[keeper],
                    shuffle=False,
                    verbose=0,
                )
        except KeyboardInterrupt:
            if resumable:
                raise
            warnings.warn(
                f"Training was interrupted in epoch {keeper.epoch + 1}; the weights of epoch "
                f"{keeper.best_epoch} are kept.",
                stacklevel=3,
            )
        finally:
            keeper.put_best()
        return keeper, trainer.predict(looked_at, verbose=0)

    def _trainer(self, source: Source, train: Rows, held_out: Rows, work: Path):
        """The model to train, and its inputs: from pictures, activations or features."""
        freezing.freeze(self.model, fraction=self.plan.fraction)
        if self.settings["augmentation"]:
            changed = preprocessing.augmentation(
                self.settings["augmentation"], self.settings["seed"]
            )
            images = keras.Input(source.train.shape)
            trainer = keras.Model(images, self.model(changed(images)))
            return trainer, source.train, source.held_out
        if self.plan.strategy == FEATURE_EXTRACTION:
            pooled = self.model.get_layer("pooling").output
            return keras.Model(pooled, self.model.output), train, held_out
        try:
            prefix, suffix = finetune.split(self.model)
        except ValueError:
            return self.model, source.train, source.held_out
        shape = prefix.output_shape[1:]
        count = len(source.train) + len(source.held_out)
        if 8 * count * int(np.prod(shape)) > shutil.disk_usage(work).free:
            return self.model, source.train, source.held_out
        kept = (
            self._activations(prefix, rows, work / name / "activations")
            for rows, name in ((source.train, "train"), (source.held_out, "validation"))
        )
        return suffix, *kept

    def _activations(self, prefix: keras.Model, rows: Rows, path: Path) -> Rows:
        """What the frozen part says of every picture, computed once and kept on disk."""
        kept = RowFile(path, prefix.output_shape[1:], "float32")
        done = len(kept) if len(kept) == len(rows) else len(kept) // CHUNK * CHUNK
        kept.keep(done)
        for start in config.progress(range(done, len(rows), CHUNK), "frozen blocks"):
            pictures = rows.read(np.arange(start, min(start + CHUNK, len(rows))))
            kept.append(prefix.predict(pictures.astype("float32"), verbose=0))
        return Rows(rows.labels, kept.shape, kept.read)

    def _card(self, source: Source, training: dict) -> ModelCard:
        facts = table.lookup(self.settings["backbone"])
        height, width, channels = self.model.input_shape[1:]
        counts = np.bincount(source.train.labels, minlength=len(self.class_names))
        reading = "as given"
        if source.report is not None:
            reading = (
                f"upright, transparency on white, the middle cut out, bicubic to {height} by "
                f"{width}, as data.read_pictures does"
            )
        data = {
            "source": source.about,
            "train": len(source.train),
            "validation": len(source.held_out),
            "train, by class": dict(zip(self.class_names, counts.tolist(), strict=True)),
            "read": reading,
        }
        if source.report is not None:
            data["refused files"] = len(source.report.of("refused"))
        colours = "grey" if channels == 1 else "RGB"
        model = {
            "backbone": facts.name,
            "weights": self.settings["weights"] or "random",
            "licence of the weights": licence(facts.name, self.settings["weights"]),
            "takes": f"raw {colours} pixels 0-255, (N, {height}, {width}, {channels})",
            "gives": "probabilities, in the order of the classes",
        }
        versions = {name: importlib.metadata.version(name) for name in ("keras", "numpy")}
        versions |= {"tlcourse": tlcourse.__version__, "backend": keras.backend.backend()}
        return ModelCard(
            list(self.class_names), model, data, dict(self.settings), training, {}, versions
        )

    def evaluate(self, pictures, labels=None, *, keep_as: str | None = None) -> Evaluation:
        """Score the model on labelled pictures.

        Args:
            pictures, labels: as in `fit`. A folder may hold fewer classes than the model knows.
            keep_as: the name under which the card keeps the scores, such as "test".

        Returns:
            An `Evaluation`, with intervals, which also says how many of the pictures were trained
            on.

        Raises:
            ValueError: nothing was trained, pictures that the model does not take, or classes that
                it does not know.
        """
        self._require_trained()
        with self._workplace(None) as work:
            pictures = _whole(pictures)
            if isinstance(pictures, str | Path):
                pictures = image_folder(pictures, self.model.input_shape[1:3], 0)
            known = None if isinstance(pictures, ImageFolder) else self.class_names
            source = sources.open_source(
                pictures, labels, known, size=self.model.input_shape[1], fraction=0, seed=0,
                work=work,
            )  # fmt: skip
            rows = _renumbered(source, self.class_names)
            found, seen = [], 0
            for chunk in rows.chunks():
                if isinstance(pictures, ImageFolder):
                    chunk = self._coloured(chunk)
                found.append(self._answer(chunk))
                seen += int(np.isin(sources.digests(chunk), self._seen).sum())
        result = score(np.concatenate(found), rows.labels, self.class_names, seen)
        if keep_as:
            self.card.metrics[keep_as] = result.as_dict()
        return result

    def predict(self, pictures) -> Predictions:
        """Class probabilities of pictures.

        Args:
            pictures: an array `(N, H, W, C)` of raw pixels; a picture file, a folder of them, or a
                list of files; or a `tf.data.Dataset`, whose labels are left aside.

        Returns:
            `Predictions`.

        Raises:
            FileNotFoundError, TypeError, ValueError: nothing was trained, or a picture that cannot
                be read or is not what the model takes.
        """
        self._require_trained()
        found, names = [], []
        for chunk, chunk_names in self._chunks(pictures):
            found.append(self._answer(chunk))
            names += chunk_names
        if not found:
            raise ValueError("There are no pictures to predict.")
        return Predictions(np.concatenate(found), self.class_names, tuple(names))

    def predict_with_uncertainty(
        self, pictures, passes: int = 30, seed: int = 0
    ) -> uncertainty.Spread:
        """Predict many times with dropout on; where the answers differ, the model is unsure.

        The backbone runs once, the part behind the dropout in every pass.

        Args:
            pictures: as in `predict`.
            passes: how many times, 2 or more.
            seed: of what is dropped.

        Returns:
            A `Spread`: mean, deviation, entropy and mutual information.

        Raises:
            ValueError: as in `predict`; or the model was built without dropout.
        """
        self._require_trained()
        samples = [
            uncertainty.mc_dropout(self.model, self._taken(chunk), passes, seed + i).samples
            for i, (chunk, _) in enumerate(self._chunks(pictures))
        ]
        if not samples:
            raise ValueError("There are no pictures to predict.")
        return uncertainty.Spread(np.concatenate(samples, axis=1))

    def explain(self, pictures, classes=None) -> explaining.Explanation:
        """Show where in each picture the evidence for a class lies, by Grad-CAM.

        Args:
            pictures: as in `predict`, not more than fit into memory.
            classes: a class name or number for all, one for each, or None for what is predicted.

        Returns:
            An `Explanation`, with `maps` `(N, h, w)` and a `plot()`.

        Raises:
            ValueError: as in `predict`, or an unknown class.
        """
        self._require_trained()
        images = np.concatenate([self._taken(chunk) for chunk, _ in self._chunks(pictures)])
        if classes is None:
            classes = self.model.predict(images, verbose=0).argmax(axis=1)
        elif np.asarray(classes).dtype.kind == "U":
            classes = sources.class_numbers(np.atleast_1d(classes), self.class_names)[0]
        numbers = np.broadcast_to(np.asarray(classes, "int64"), (len(images),))
        maps = explaining.grad_cam(self.model, images, numbers)
        return explaining.Explanation(images, maps, tuple(self.class_names[i] for i in numbers))

    def save(self, path: str | Path, check: bool = True) -> Path:
        """Write one `.keras` file that takes raw pixels and holds the names and the card.

        Args:
            path: ends in `.keras`.
            check: also load it in a fresh process and compare what it says.

        Raises:
            ValueError: nothing was trained, another ending, or the fresh process says something
                else; the file stays where it is.
            OSError: the disk is full.
        """
        self._require_trained()
        path = Path(path)
        saving.save(path, self.model, self.card, self._seen)
        if check:
            saving.check_in_fresh_process(path)
        return path

    @classmethod
    def load(cls, path: str | Path) -> "TransferLearningPipeline":
        """Read a saved pipeline, and check that it says what it said when it was saved.

        Raises:
            FileNotFoundError, ValueError: there is no such file, or it is none of ours.
        """
        model, card, seen, difference = saving.load(Path(path))
        if difference > saving.TOLERANCE:
            warnings.warn(
                f"{path} answers otherwise than when it was saved: probabilities differ by up to "
                f"{difference:.1e}; it was saved with Keras {card.versions['keras']} on "
                f"{card.versions['backend']}.",
                stacklevel=2,
            )
        pipeline = cls(**card.settings)
        pipeline.model, pipeline.card, pipeline._seen = model, card, seen
        pipeline.class_names = tuple(card.class_names)
        return pipeline

    def export(self, path: str | Path) -> exporting.Export:
        """Write the model for ONNX Runtime (`.onnx`) or LiteRT (`.tflite`), and check the copy.

        Raises:
            ValueError, OSError: as in `exporting.export`.
        """
        self._require_trained()
        return exporting.export(self.model, self.class_names, path)

    def _require_trained(self) -> None:
        if self.card is None:
            raise ValueError("Nothing has been trained yet; call fit, or load a saved pipeline.")

    def _chunks(self, pictures) -> Iterator[tuple[np.ndarray, list[str]]]:
        """Pictures a few at a time, with what each is called."""
        if sources.is_stream(pictures):
            count = 0
            for x, _ in sources.stream_batches(pictures, labelled=False):
                yield sources.as_pictures(x), [str(count + i) for i in range(len(x))]
                count += len(x)
            return
        if isinstance(pictures, str | Path):
            pictures = _files(Path(pictures))
        if isinstance(pictures, list | tuple) and pictures and isinstance(pictures[0], str | Path):
            for start in range(0, len(pictures), CHUNK):
                paths = pictures[start : start + CHUNK]
                found = list(read_pictures(paths, self.model.input_shape[1:3]))
                yield self._coloured(np.stack(found)), [str(path) for path in paths]
            return
        pictures = sources.as_pictures(pictures)
        for start in range(0, len(pictures), CHUNK):
            chunk = pictures[start : start + CHUNK]
            yield chunk, [str(start + i) for i in range(len(chunk))]

    def _coloured(self, pictures: np.ndarray) -> np.ndarray:
        """Pictures of files, in as many channels as the model takes."""
        if self.model.input_shape[-1] == 3:
            return pictures
        # The weights of ITU-R BT.601, which Pillow uses for grey.
        return np.round(pictures @ np.array([0.299, 0.587, 0.114]))[..., None].astype("uint8")

    def _taken(self, pictures: np.ndarray) -> np.ndarray:
        """The pictures as the model takes them, float32, if they fit."""
        if pictures.shape[1:] != self.model.input_shape[1:]:
            raise ValueError(
                f"The pictures have shape {pictures.shape[1:]}; this model takes "
                f"{self.model.input_shape[1:]}, so bring them to that with preprocessing.resize, "
                "or give files."
            )
        return sources.checked(pictures).astype("float32")

    def _answer(self, pictures: np.ndarray) -> np.ndarray:
        return self.model.predict(self._taken(pictures), batch_size=64, verbose=0)


def _renumbered(source: Source, class_names: tuple[str, ...]) -> Rows:
    """All pictures of a source, with the class numbers of a model."""
    if unknown := sorted(set(source.class_names) - set(class_names)):
        raise ValueError(
            f"The class {unknown[0]!r} is none of those that the model knows: "
            f"{', '.join(class_names)}."
        )
    numbers = np.array([class_names.index(name) for name in source.class_names], "int64")
    rows = source.train
    return Rows(numbers[rows.labels], rows.shape, rows.read)


def _whole(pictures):
    """An image folder without its split: its path, to be read anew as one part."""
    return pictures.path if isinstance(pictures, ImageFolder) else pictures


def _files(path: Path) -> list[Path]:
    """The file, or every file below a folder that is not hidden."""
    if path.is_dir():
        found = sorted(
            file
            for file in path.rglob("*")
            if file.is_file()
            and not any(part.startswith(".") for part in file.relative_to(path).parts)
        )
        if not found:
            raise ValueError(f"There is no file in {path}.")
        return found
    return [path]


def _marks(folder: Path, count: int) -> RowFile:
    return RowFile(folder / "digests", (), "uint64")


def _over(rows: Rows, function) -> np.ndarray:
    found = [function(chunk) for chunk in rows.chunks()]
    return np.concatenate(found) if found else np.empty((0, 0), "float32")


def _first_entry(head: Head, train: Rows, held_out: Rows, seconds: float) -> History:
    """The fitted head as one entry of a history."""
    curves = {"seconds": [seconds]}
    for prefix, rows in (("", train), ("val_", held_out)):
        if len(rows):
            found = _over(rows, head.probabilities)
            likely = found[np.arange(len(rows)), rows.labels]
            curves[f"{prefix}loss"] = [float(-np.log(np.maximum(likely, 1e-7)).mean())]
            curves[f"{prefix}accuracy"] = [accuracy(found, rows.labels)]
    return History(curves, {"head": 0})
