"""Two virtual CPU devices stand for two GPUs; they have to be set up before a backend starts."""

import gc
import importlib.util
import os
import platform
import subprocess
import sys
import weakref

import keras
import numpy as np
import pytest

from tlcourse import config, devices
from tlcourse.models import build_classifier, small_cnn

TRAIN = """
import sys
import numpy as np
from tlcourse import config, devices
config.backend()
import keras
names = ["CPU:0", "CPU:1"]
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
from tlcourse import training

x = np.random.default_rng(0).normal(size=(48, 6)).astype("float32")
y = np.arange(48) % 3

def trained(batch_norm, together=False):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(4, "relu")(inputs)
    if batch_norm:
        hidden = keras.layers.BatchNormalization(momentum=0.5, synchronized=together)(hidden)
    outputs = keras.layers.Dense(3, "softmax", name="head")(hidden)
    model = keras.Model(inputs, outputs)
    history = training.train(model, x, y, epochs=2, learning_rate=0.05)
    return np.concatenate([w.ravel() for w in model.get_weights()]), history["loss"]

on_tensorflow = keras.backend.backend() == "tensorflow"
for settings in ((False,), (True,), (True, on_tensorflow)):
    alone, losses = trained(*settings)
    with devices.spread(names) as count:
        assert count == devices.sharing() == 2
        shared, shared_losses = trained(*settings)
    if settings == (False,):
        np.testing.assert_allclose(shared_losses, losses, atol=1e-5)
    print("apart", float(np.abs(alone - shared).max()))

def classifier():
    keras.utils.set_random_seed(0)
    images = keras.Input((8, 8, 1))
    base_in = keras.Input((8, 8, 1))
    maps = keras.layers.Conv2D(4, 3, activation="relu", name="block1_conv")(base_in)
    base = keras.Model(base_in, keras.layers.Conv2D(4, 3, name="block2_conv")(maps), name="base")
    pooled = keras.layers.GlobalAveragePooling2D()(base(images))
    return keras.Model(images, keras.layers.Dense(3, "softmax", name="head")(pooled))

pictures = np.random.default_rng(1).normal(size=(48, 8, 8, 1)).astype("float32")
settings = {"last": 1, "epochs": 2, "learning_rate": 0.05}
alone, shared = classifier(), None
training.fine_tune(alone, pictures, y, **settings)
with devices.spread(names):
    shared = classifier()
    training.fine_tune(shared, pictures, y, **settings)
pairs = zip(alone.get_weights(), shared.get_weights(), strict=True)
print("apart", max(float(np.abs(a - b).max()) for a, b in pairs))
assert devices.sharing() == 1
with devices.spread(names):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, "softmax")])
    try:
        training.train(model, x[:35], y[:35], epochs=1, learning_rate=0.1)
    except ValueError as error:
        print(error)
"""


def on_two_devices(backend) -> list[str]:
    env = os.environ | {
        "KERAS_BACKEND": backend,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "JAX_PLATFORMS": "cpu",
        "CUDA_VISIBLE_DEVICES": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", TRAIN], env=env, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_train_what_one_trains(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    *apart, refusal = on_two_devices(backend)[-5:]
    plain, normed, synchronized, tuned = (float(line.split()[-1]) for line in apart)
    assert max(plain, synchronized, tuned) < 1e-5
    # TensorFlow normalises each half of a batch by itself, JAX the whole.
    assert normed > 1e-3 if backend == "tensorflow" else normed < 1e-5
    assert "a batch of 3, which 2 devices cannot share equally; give 34 images" in refusal


def test_with_one_device_nothing_is_changed():
    before = config.backend()
    with devices.spread([]) as count:
        assert count == devices.sharing() == 1
    assert config.backend() == before


def test_a_backend_that_cannot_share_says_so(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ValueError, match="set KERAS_BACKEND"), devices.spread(["a", "b"]):
        pass


NEW, OLD = ("GPU:0", (9, 0)), ("GPU:1", (7, 5))


@pytest.mark.parametrize(
    ("asked", "found", "chapter", "profile", "policy"),
    [
        ("mixed", [NEW], "01", "full", "mixed_bfloat16"),
        ("mixed", [NEW, OLD], "01", "full", "float32"),
        ("mixed", [], "01", "full", "float32"),
        ("mixed", [NEW], "01", "quick", "float32"),
        ("mixed", [NEW], "04", "full", "float32"),
        ("full", [NEW], "01", "full", "float32"),
        ("", [NEW], "01", "full", "float32"),
    ],
)
def test_half_precision_is_asked_for_and_only_where_it_is_safe(
    monkeypatch, asked, found, chapter, profile, policy
):
    monkeypatch.setattr(devices, "_gpus", lambda: found)
    monkeypatch.setenv("TLCOURSE_PRECISION", asked)
    assert devices.precision_for(chapter, profile) == policy


def test_an_unknown_precision_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setenv("TLCOURSE_PRECISION", "half")
    with pytest.raises(ValueError, match="'half'; write one of full, mixed"):
        devices.precision_for("01", "full")


def test_a_chapter_begins_with_its_precision(monkeypatch):
    monkeypatch.setattr(devices, "_gpus", lambda: [NEW])
    monkeypatch.setattr(config, "_current", None)
    monkeypatch.setenv("TLCOURSE_PRECISION", "mixed")
    try:
        config.begin("01", "full")
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        with devices.full_precision():
            assert keras.config.dtype_policy().name == "float32"
        for model in (small_cnn(3), build_classifier(3, weights=None)):
            assert model.get_layer("head").compute_dtype == "float32"
            assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
        assert small_cnn(3).get_layer("block1_conv").compute_dtype == "bfloat16"
        config.begin("04", "full")
        assert keras.config.dtype_policy().name == "float32"
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.skipif(config.backend() != "tensorflow", reason="tf.data is TensorFlow's")
class TestFitsEndAtOnce:
    """The wait itself is a matter of luck and of seconds; what is tested is its cause."""

    class Rows(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return np.ones((4, 3), "float32"), np.zeros(4)

    def pipelines(self):
        from keras.src.trainers.data_adapters import array_data_adapter, py_dataset_adapter

        arrays = np.ones((8, 3), "float32"), np.zeros(8)
        return (
            array_data_adapter.ArrayDataAdapter(*arrays).get_tf_dataset(),
            py_dataset_adapter.PyDatasetAdapter(self.Rows()).get_tf_dataset(),
        )

    def test_nothing_tunes_pipelines_of_arrays(self):
        devices.end_fits_at_once()
        for pipeline in self.pipelines():
            assert pipeline.options().autotune.enabled is False

    def test_a_pipeline_of_the_reader_is_left_alone(self):
        import tensorflow as tf

        devices.end_fits_at_once()
        assert tf.data.Dataset.range(3).options().autotune.enabled is None

    def test_batches_and_their_order_stay_the_same(self):
        orders = subprocess.run(
            [sys.executable, "-c", ORDER], capture_output=True, text=True, check=True
        ).stdout.split()
        assert len(orders) == 2
        assert orders[0] == orders[1]

    def test_a_chapter_and_training_see_to_it(self):
        begun = "from tlcourse import config; config.begin('01')"
        trained = (
            "import numpy as np; from tlcourse import models, training; "
            "training.train(models.small_cnn(2), np.zeros((4, 28, 28, 1), 'uint8'), "
            "np.arange(4) % 2, epochs=1, learning_rate=0.1)"
        )
        for does in (begun, trained):
            asked = "; from tlcourse import devices; "
            asked += "print(devices.end_fits_at_once.cache_info().currsize)"
            said = subprocess.run(
                [sys.executable, "-c", does + asked], capture_output=True, text=True, check=True
            )
            assert said.stdout.strip() == "1"


ORDER = """
import hashlib
import keras
import numpy as np
from tlcourse import devices

def seen():
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dropout(0.5), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(50, 3)).astype("float32")
    model.fit(x, x[:, :2], batch_size=8, epochs=3, verbose=0)
    return hashlib.sha256(model.get_weights()[0].tobytes()).hexdigest()

before = seen()
devices.end_fits_at_once()
print(before, seen())
"""


@pytest.mark.skipif(config.backend() != "tensorflow", reason="others trace Adam differently")
class TestFitsBeginSooner:
    def run(self, does):
        done = subprocess.run([sys.executable, "-c", ADAM + does], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout.split()

    def test_weights_are_those_of_keras_to_the_last_bit(self):
        weights = self.run(
            "before = [taught(**one) for one in SETTINGS]\ndevices.begin_fits_sooner()\n"
            "print(*before, *(taught(**one) for one in SETTINGS))"
        )
        half = len(weights) // 2
        assert half == 9 and len(set(weights)) > 5
        assert weights[:half] == weights[half:]

    def test_the_graph_holds_the_correction_once(self):
        powers = self.run("print(powers()); devices.begin_fits_sooner(); print(powers())")
        assert [int(number) for number in powers] == [2 * 6, 2]

    def test_a_chapter_and_training_see_to_it(self):
        begun = "config.begin('01')\n"
        trained = (
            "training.train(models.small_cnn(2), np.zeros((4, 28, 28, 1), 'uint8'), "
            "np.arange(4) % 2, epochs=1, learning_rate=0.1)\n"
        )
        # Only a chapter looks for garbage less often: a long training has memory to keep flat.
        for does, threshold in ((begun, "20000"), (trained, "700")):
            asked = "print(Adam.update_step.__code__.co_filename, gc.get_threshold()[0])"
            where, found = self.run(does + asked)
            assert where.endswith("devices.py") and found == threshold


ADAM = """
import gc, hashlib
import keras
import numpy as np
from keras.optimizers import Adam
from tlcourse import config, devices, models, training

def model_of(layers=()):
    keras.utils.set_random_seed(3)
    layers = [*layers, *(keras.layers.Dense(n) for n in (5, 4, 2))]
    layers = [type(layer).from_config(layer.get_config()) for layer in layers]
    return keras.Sequential([keras.Input((3,)), *layers])

def taught(layers=(), **settings):
    model = model_of(layers)
    settings["optimizer"] = type(settings["optimizer"]).from_config(
        settings["optimizer"].get_config()
    )
    model.compile(loss="mse", **settings)
    x = np.random.default_rng(0).integers(9, size=(50, 3)).astype("float32")
    model.fit(x, x[:, :2], batch_size=8, epochs=3, verbose=0)
    return hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()

SCHEDULE = keras.optimizers.schedules.CosineDecay(0.01, 9)
SETTINGS = [
    {"optimizer": Adam(0.01)},
    {"optimizer": Adam(SCHEDULE)},
    {"optimizer": Adam(0.01, amsgrad=True)},
    {"optimizer": keras.optimizers.AdamW(0.01, weight_decay=0.1)},
    {"optimizer": keras.optimizers.LossScaleOptimizer(Adam(0.01))},
    {"optimizer": Adam(0.01, gradient_accumulation_steps=2)},
    {"optimizer": Adam(0.01), "steps_per_execution": 3},
    {"optimizer": Adam(0.01), "run_eagerly": True},
    # Its gradient is sparse.
    {"optimizer": Adam(0.01), "layers": [keras.layers.Embedding(9, 4), keras.layers.Flatten()]},
]

def powers():
    import tensorflow as tf

    model = model_of()
    optimizer = Adam(0.01)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(gradients):
        optimizer.apply(gradients)

    graph = step.get_concrete_function([tf.zeros(v.shape) for v in model.trainable_variables]).graph
    inner = [function.graph for function in graph._functions.values() if hasattr(function, "graph")]
    return sum(op.type == "Pow" for each in [graph, *inner] for op in each.get_operations())
"""


# memory


def test_what_lies_in_cycles_is_given_back():
    class Node:
        pass

    node = Node()
    node.itself, alive = node, weakref.ref(node)
    gc.disable()
    try:
        del node
        assert alive() is not None
        devices.give_back_memory()
    finally:
        gc.enable()
    assert alive() is None


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries do otherwise")
def test_what_the_c_library_kept_is_given_back():
    code = (
        "import psutil; from tlcourse import devices\n"
        "held = psutil.Process().memory_info\n"
        "parts = [b'1' * (100_000 + i) for i in range(2000)]\n"
        "last = b'1' * 100_000  # above the others, so that they cannot simply be cut off\n"
        "del parts; before = held().rss\n"
        "devices.give_back_memory(); print((before - held().rss) / 1e6)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) > 150
