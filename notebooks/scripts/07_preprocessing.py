# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 07 · Preprocessing: what has to be the same, and what it costs if it is not
#
# **The question.** *"What preprocessing steps are critical for transfer learning? Why must you use
# the same preprocessing as the pretrained model?"*
#
# **The 30-second answer.** The **backbone**, the pretrained network without its classifier, learned
# its weights on pixels of one particular range, channel order and size. Its first layers hold
# numbers that only make sense there. Give it another range and nothing crashes: it answers, and
# answers worse. How much worse depends on the mistake and, above all, on where it is made. If your
# **head**, the new classifier, was trained on rightly prepared images and is then served wrong ones,
# the loss can be total. If training and serving share the same mistake, the head adapts to part of
# it. So: raw pixels in, preprocessing *inside* the model, and a check at the door.
#
# In this chapter you make ten mistakes on purpose and measure the price of each, twice. Then you
# learn which of them a check can catch, and which no check can. It takes about two minutes, and
# nothing is downloaded.
#
# Your run uses one **seed**, the number that fixes every random choice. The **committed runs** in
# figures and tables are runs with several seeds that we stored with the course.

# %% tags=["parameters"]
PROFILE: str = "quick"  # quick | full
SEED: int = 0  # every random choice follows from it

# %%
from tlcourse import config

run = config.begin("07", PROFILE, SEED)

# %%
import inspect
import os
import tempfile
import warnings

import keras
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from tlcourse import claims, data, features, freezing, models, preprocessing, training
from tlcourse import visualization as viz
from tlcourse.evaluation import bootstrap_interval
from tlcourse.preprocessing import MISTAKES

viz.style()
LITE = "efficientnet-lite0"

# %% [markdown]
# ## What a backbone wants
#
# There are five ways, called *modes* here, in which the networks of this course want their pixels.
# This is one pixel, red 200, green 120, blue 40, in each of them.

# %% tags=["nbval-check-output"]
pixel = np.array([200, 120, 40], "float32")
for mode, scaling in preprocessing.MODES.items():
    family = sorted({b.family for b in models.BACKBONES.values() if b.mode == mode})
    became = " ".join(f"{value:8.3f}" for value in scaling(pixel))
    print(f"{mode:9}{became}   {', '.join(family)}")

# %% [markdown]
# Look at the sizes of the numbers. What is right for one family is a hundred times too large, or
# too small, for another. "Scale to [0, 1]" is right for none of them, and least of all for
# EfficientNet, which is often said to want it.
#
# The backbone of this chapter is EfficientNet-Lite0 with its ImageNet weights. It wants this:

# %% tags=["nbval-check-output"]
print(preprocessing.explain(LITE))

# %% [markdown]
# ## Predict first
#
# A head is fitted on 500 silhouettes of animals, rightly prepared, and names about nine of ten test
# images correctly; chance is one in ten. Then somebody deploys it and makes a mistake: the pixels
# are divided by 255; or they come raw, from 0 to 255, with no preprocessing at all; or red and blue
# are exchanged (**BGR** instead of RGB). How many percentage points of accuracy does each of these
# cost? Write three guesses.

# %%
guess = {"divide_by_255": None, "raw_0_255": None, "bgr": None}

# %% [markdown]
# ## The mistakes
#
# Each is a line that people really ship. The last one tears the image apart; the others keep its
# shapes, and only move its numbers.

# %% tags=["nbval-check-output"]
for name, mistake in MISTAKES.items():
    print(f"{name:24}{mistake.how}")

# %% [markdown]
# What does the network "see"? Below, each wrongly prepared photograph is turned back into pixels by
# the inverse of the *right* formula. Values beyond black and white are cut off for display; the
# network still gets them. The two black images are not empty: all they hold lies within two grey
# levels, next to black, too little for the eye.

# %%
photos = data.load("photos")
PER_PHOTO = run.choose(quick=6, full=32)
crops, photo = photos.crops(224, PER_PHOTO, seed=SEED)
coffee = crops[photo == photos.names.index("coffee")][:1]
seen = [coffee[0]] + [mistake(coffee, LITE)[0] * 128 + 127 for mistake in MISTAKES.values()]
figure = viz.image_grid(seen, ["right", *(name.replace("_", " ") for name in MISTAKES)], columns=4)

# %% [markdown]
# ## Experiment 1: photographs and the ImageNet head
#
# Eight photographs come with the installation, and only one of them has an ImageNet label beyond
# doubt. So we cannot count correct answers. We ask something else: the answer to the rightly
# prepared crop is taken as the reference, and we measure
#
# - **agreement**: how often the wrongly prepared crop gets the same answer, and
# - **belief**: the probability it gives to that answer.
#
# Any change of an image, even a harmless one, costs some agreement. The mirrored crop shows how
# much, so it is the row to compare with. The right crop agrees with itself by definition.


# %%
classifier = models.load_classifier(LITE)
imagenet_head = training.Head(*classifier.get_layer("predictions").get_weights())


def answers(images, prepare=None):
    """ImageNet probabilities of crops, prepared rightly or by a mistake."""
    return imagenet_head.probabilities(features.extract(images, size=224, prepare=prepare))


right = answers(crops)
wrong = {name: answers(crops, name) for name in MISTAKES}
wrong["mirrored (harmless)"] = answers(crops[:, :, ::-1])
wrong["right"] = right

# %% [markdown]
# The intervals are **bootstrap** intervals: the mean is taken again and again over images drawn at
# random from those at hand, and the interval is where most of these means lie. Crops of one
# photograph are alike, so whole photographs are drawn here, not crops. **Eight photographs make a
# wide interval.** Read which rows stand clear of the mirrored one; do not read single percents, nor
# the order of rows that lie close.

# %%
top = right.argmax(axis=1)
every = np.arange(len(top))


def over_photos(values):
    return bootstrap_interval(values, groups=photo)


belief = {name: over_photos(p[every, top]) for name, p in wrong.items()}
agreement = {name: over_photos(p.argmax(axis=1) == top) for name, p in wrong.items()}
order = sorted(wrong, key=lambda name: -agreement[name].mean)
HARMLESS = ["right", "mirrored (harmless)"]

# %%
figure, axes = plt.subplots(1, 2, figsize=(12, 6), sharey=True)
for ax, found, label in zip(axes, (agreement, belief), ("agreement", "belief"), strict=True):
    rows = {name.replace("_", " "): found[name] for name in order}
    viz.dots(rows, xlabel=f"{label}, %", percent=True, highlight=HARMLESS, ax=ax)
    ax.set_xlim(-4, 104)
title = figure.suptitle("Eight photographs: what is left of the right answer")

# %% [markdown]
# Look at the bottom first, at the five lowest rows. One has its pixels in the wrong places. The
# others, raw pixels, a mean subtracted without a division, and two scalings in a row, put the
# values far outside the range that the network knows, or into a sliver of it. No interval is
# needed to see that next to nothing is left.
#
# The blue rows nearest to the mirrored one deserve as much attention. They are nearly right, so
# nobody notices; and eight photographs cannot rank them.
#
# **With labels.** The honest figure would be accuracy on labelled photographs, which may not be
# shipped with a course. It was measured once, while the course was built and not by you, on 1,000
# labelled ImageNet photographs, one of each class, with this backbone (all validation photographs
# are harder, 75.1 %): right 88.8 % correct, `x / 255` 82.1 %, BGR
# 79.1 %, ImageNet mean and deviation 77.6 %, raw pixels 5.1 %. With that many photographs, the mild
# mistakes cost seven to eleven points, and they are mild only beside raw pixels.

# %%
claims.record(
    "07-photos",
    agreement={name: value.mean for name, value in agreement.items()},
    belief={name: value.mean for name, value in belief.items()},
)

# %% [markdown]
# ## Experiment 2: a head of your own
#
# Most people do not use the ImageNet head. They fit their own, and then there are two ways to be
# wrong:
#
# - **mismatch**: the head is fitted on rightly prepared images and *served* wrong ones. The notebook
#   was right and the server is not.
# - **consistent**: the same mistake in training and in serving. The head sees only wrong features
#   and makes the best of them.
#
# The target is the animal silhouettes, 500 labels, at 96 pixels.

# %%
N, TEST = 500, run.choose(quick=600, full=2000)
animals = data.load("animals")
x, y = animals.subset(N, SEED)
x_test, y_test = animals.x_test[:TEST], animals.y_test[:TEST]


def both(**how):
    """Features of the training and of the test images, prepared in one way."""
    return features.extract(x, **how), features.extract(x_test, **how)


right_train, right_test = both()
prepared = {name: both(prepare=name) for name in MISTAKES}

# %%


def hits(head, test_features, labels=y_test):
    """For each test image, 1 if the head names it correctly and 0 if not."""
    return (head.logits(test_features).argmax(axis=1) == labels).astype(float)


right_head = training.fit_head(right_train, y)
reference = hits(right_head, right_test)
mismatch = {name: hits(right_head, test) for name, (_, test) in prepared.items()}
consistent = {
    name: hits(training.fit_head(train, y), test) for name, (train, test) in prepared.items()
}

# %% [markdown]
# The price of a mistake is the accuracy it loses. Both designs are scored on the same test images as
# the right preparation, so the differences are paired; the bars are intervals over test images.
# Behind them, pale, lie the committed runs over several seeds where there are any.

# %%
prices = {
    name: {
        "mismatch": bootstrap_interval(reference - mismatch[name]),
        "consistent": bootstrap_interval(reference - consistent[name]),
    }
    for name in sorted(MISTAKES, key=lambda name: mismatch[name].mean())
}
claims.record("07-prices", **{n: {k: e.mean for k, e in p.items()} for n, p in prices.items()})
past = [entry["measured"] for entry in claims.reference("07-prices", profile=PROFILE)]
committed = {n: {k: [run[n][k] for run in past] for k in p} for n, p in prices.items()}

# %%
ax = viz.paired_dots(
    {name.replace("_", " "): price for name, price in prices.items()},
    committed={name.replace("_", " "): price for name, price in committed.items()},
    xlabel="accuracy lost, percentage points",
    percent=True,
    colors={"mismatch": "orange", "consistent": "blue"},
    title="The same mistake costs most when only the server makes it",
)

# %% [markdown]
# Look at the distance between the two dots of a row. It is the price of *disagreement* between
# training and serving, and it is most of the price. What the blue dot has left is the price of the
# wrong range as such. Where its interval covers zero, this run cannot tell it from no price at all:
# a head of its own made up for the mistake. Where it stands clear of zero, the features themselves
# are poorer, and no head mends that.
#
# Two rows deserve a second look. BGR lies at zero: a silhouette is grey, its three channels are the
# same, and exchanging equal things changes nothing. And `x / 255`, one of the mildest mistakes on
# photographs, is no mild one for a head that does not expect it.

# %%
for name, value in guess.items():
    said = "no guess" if value is None else f"you said {value:g}"
    print(f"{name:15}mismatch costs {100 * prices[name]['mismatch'].mean:5.1f} points ({said})")

# %% [markdown]
# ### Where colour matters
#
# The price of BGR depends on the data. Three kinds of images, one mistake: grey silhouettes; digits
# in colour, made by laying MNIST over pieces of the eight photographs, where colour is there but
# says nothing of the label; and the photographs themselves under the ImageNet head.


# %%
def on_photographs(digits, seed):
    """Each digit inverts the colours of a piece of a photograph that it covers."""
    pieces, _ = photos.crops(28, len(digits) // len(photos.images) + 1, seed)
    pieces = np.random.default_rng(seed).permutation(pieces)[: len(digits)]
    return np.abs(pieces.astype(int) - digits).astype("uint8")


mnist = data.load("mnist")
digits, digit_labels = mnist.subset(N, SEED)
digit_truth = mnist.y_test[:TEST]
coloured = on_photographs(digits, SEED)
coloured_test = on_photographs(mnist.x_test[:TEST], SEED + 1)
figure = viz.image_grid(
    [*coloured[:5], *coloured[:5, :, :, ::-1]], columns=5, title="RGB, and as BGR"
)

# %%
coloured_head = training.fit_head(features.extract(coloured), digit_labels)
coloured_right = hits(coloured_head, features.extract(coloured_test), digit_truth)
coloured_bgr = hits(coloured_head, features.extract(coloured_test, prepare="bgr"), digit_truth)
ax = viz.dots(
    {
        "silhouettes, grey": prices["bgr"]["mismatch"],
        "digits, colour without meaning": bootstrap_interval(coloured_right - coloured_bgr),
        "photographs, beyond mirroring": over_photos(
            (wrong["mirrored (harmless)"] - wrong["bgr"])[every, top]
        ),
    },
    xlabel="lost through BGR: accuracy, or belief for the photographs, percentage points",
    percent=True,
    unit="points",
    baseline=0,
)

# %% [markdown]
# The first row is exactly zero. The second may surprise you: the colour of the background says
# nothing about the digit, and yet BGR costs accuracy in the mean of the committed runs; in a single
# run the interval may reach zero. The head does not read the digit, it reads features, and a
# background in foreign colours has other features. In the third, the ImageNet head believes its
# answers less when the colours are wrong; with eight photographs this interval, too, reaches zero
# in some runs.

# %% [markdown]
# ## Experiment 3: size and resizing
#
# A silhouette has 28 × 28 pixels and becomes 96 × 96. There are several ways to invent the pixels
# between: take the *nearest* one, blend the neighbours (*bilinear*), or fit a smooth curve through
# more of them (*bicubic*). In training one library does it, on the server another.

# %%
resized = {"bilinear": (right_train, right_test)}
resized |= {method: both(interpolation=method) for method in ("nearest", "bicubic")}
served = {
    fitted: {m: hits(training.fit_head(train, y), test) for m, (_, test) in resized.items()}
    for fitted, (train, _) in resized.items()
}
print("accuracy, %       " + "".join(f"{f'served {m}':>18}" for m in resized))
for fitted, row in served.items():
    print(f"fitted {fitted:11}" + "".join(f"{100 * v.mean():18.1f}" for v in row.values()))

# %% [markdown]
# Read along a row: the same head, served images of the right size that another function resized. On
# the diagonal, training and serving agree. No method is right or wrong by itself; compare the
# diagonal with what lies beside it. Bilinear and bicubic can stand in for each other here; nearest
# can stand in for neither.
#
# This is no invented danger. `load_img`, which many tutorials use, and `tf.image.resize`, which the
# same tutorials use elsewhere, have different defaults. One photograph, shrunk to 224 pixels by
# `load_img` and by each method (*area* is a fourth one: the mean of the pixels that become one):

# %%
folder = tempfile.TemporaryDirectory()
file = os.path.join(folder.name, "cup.png")
original = photos.images[photos.names.index("coffee")]
Image.fromarray(original).save(file)
loaded = keras.utils.img_to_array(keras.utils.load_img(file, target_size=(224, 224)))
default = inspect.signature(keras.utils.load_img).parameters["interpolation"].default
for method in ("nearest", "bilinear", "bicubic", "area"):
    difference = np.abs(preprocessing.resize(original[None], 224, method)[0] - loaded).mean()
    print(
        f"load_img ({default}) against {method:9}: {difference:5.2f} grey levels apart on average"
    )

# %% [markdown]
# ### Which size?
#
# 224, 299 or 600 pixels are the sizes at which the weights were trained and scored, not sizes that
# you must use. Without its classifier, a convolutional network takes any size from a minimum on,
# because global pooling averages over however many positions there are. The same backbone, three
# sizes:

# %%
by_size = {96: reference}
for size in (64, 128):
    train_features, test_features = both(size=size)
    by_size[size] = hits(training.fit_head(train_features, y), test_features)
rows = {f"{size} pixels": bootstrap_interval(by_size[size]) for size in sorted(by_size)}
ax = viz.dots(rows, xlabel="accuracy of a head on animals, %", percent=True)

# %% [markdown]
# All three work. These images hold 28 × 28 pixels, so a larger size adds no detail. Look whether
# the rows rise all the same: size also changes how large a thing is for the filters. Cost grows
# with the area, so 128 pixels cost four times as much as 64. The minimum is real, though: a network
# that halves its maps too often runs out of pixels.

# %%
inception = keras.applications.InceptionV3
builds_at_75 = inception(weights=None, include_top=False, input_shape=(75, 75, 3)).built
try:
    inception(weights=None, include_top=False, input_shape=(74, 74, 3))
    refuses_74 = False
except ValueError as error:
    refuses_74 = True
    print("74 pixels:", error)

# %% [markdown]
# ## Experiment 4: what the library does without telling
#
# These are facts about Keras and TensorFlow, not about your data. Each cell is one of them. First:
# `preprocess_input` writes into the float array that you give it. Prepare it twice, by running a
# cell again, and you have made the mistake "double preprocessing".

# %% tags=["nbval-check-output"]
import tensorflow as tf  # only from here on does the chapter need it

apps = keras.applications
mine = np.full((1, 1, 1, 3), 200, "float32")
for _ in range(2):
    apps.resnet50.preprocess_input(mine)
    print("my array now holds", *(f"{value:.3f}" for value in mine.ravel()))
caller_changed = float(np.abs(mine - 200).max())

# %% [markdown]
# Second: a NumPy array of dtype uint8 is converted, but a uint8 *tensor*, which is what
# `tf.io.decode_image` gives, is not. It counts modulo 256, so dark becomes bright.

# %% tags=["nbval-check-output"]
grey = tf.fill((1, 1, 1, 3), tf.constant(100, tf.uint8))
wrapped = apps.resnet50.preprocess_input(grey)
correct = apps.resnet50.preprocess_input(tf.cast(grey, tf.float32))
wrap_difference = float(np.abs(wrapped.numpy().astype(float) - correct.numpy()).max())
for result in (wrapped, correct):
    print(f"{result.dtype.name:8}", *(f"{value:9.3f}" for value in result.numpy().ravel()))

# %% [markdown]
# Third: EfficientNet's `preprocess_input` does nothing at all. The model itself begins with a layer
# that divides by 255. If you divide before, it happens twice. (To see the layer, no weights have to
# be downloaded.)

# %% tags=["nbval-check-output"]
same_object = apps.efficientnet.preprocess_input(coffee) is coffee
b0 = apps.EfficientNetB0(weights=None, include_top=False, input_shape=(224, 224, 3))
entrance = keras.Model(b0.input, b0.get_layer("normalization").output)
spread = [
    entrance(coffee.astype("float32") / by).numpy().std((0, 1, 2), dtype=float) for by in (1, 255)
]
effnet_ratio = float((spread[0] / spread[1]).mean())
print("the function hands back the very object:", same_object)
print("first layers:", ", ".join(layer.name for layer in b0.layers[1:3]))
print(f"contrast of raw pixels over contrast of x / 255, inside the model: {effnet_ratio:.1f}")

# %% [markdown]
# Fourth: "subtract the three means" is only half of what VGG and ResNet want. Red and blue change
# places first. Books that print the subtraction alone also print the means in BGR order, and
# subtract them from an image in RGB order.

# %% tags=["nbval-check-output"]
noise = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype("uint8")
library = apps.resnet50.preprocess_input(noise.astype("float32"))
by_hand = noise.astype("float32") - np.float32([103.939, 116.779, 123.68])
flipped = noise[..., ::-1].astype("float32") - np.float32([103.939, 116.779, 123.68])
without_flip, with_flip = (float(np.abs(v - library).max()) for v in (by_hand, flipped))
print(f"largest difference to Keras: {without_flip:.0f} grey levels, {with_flip:.0f} with the flip")
try:
    np.subtract(noise[..., 0], np.float64(103.939), out=noise[..., 0])
    fails_on_uint8 = False
except TypeError as error:
    fails_on_uint8 = True
    print("in place, on uint8:", type(error).__name__)

# %% [markdown]
# Where does BGR come from? A file stores red, green, blue, and Pillow and Matplotlib keep that
# order. OpenCV's `cv2.imread` hands the same bytes over as blue, green, red, and `cv2.imshow`
# expects that, so nothing looks wrong until the array meets a network. The cure,
# `cv2.cvtColor(image, cv2.COLOR_BGR2RGB)`, is `image[..., ::-1]`. Turn it once, where the file is
# read.
#
# Fifth: every model wants a batch. One image is a batch of one, `image[None]`. Forgetting it is the
# friendliest mistake of this chapter, because it is refused.

# %%
try:
    classifier.predict(crops[0], verbose=0)
except ValueError as error:
    print(str(error).splitlines()[0][:200])

# %% [markdown]
# ## Experiment 5: augmentation, before or after?
#
# **Augmentation** means random changes of the training images that leave their label true. Does it
# belong before or after the preprocessing? Some operations **commute** with the scaling: the order
# makes no difference. Some do not.


# %% tags=["nbval-check-output"]
def order_matters(change):
    """Largest difference between change-then-scale and scale-then-change."""
    scale = preprocessing.MODES["lite"]
    floats = crops[:8].astype("float32")
    return float(np.abs(scale(np.asarray(change(floats))) - change(scale(floats))).max())


turn = keras.layers.RandomRotation((0.1, 0.1), fill_mode="constant", fill_value=0.0)
mirror_gap = order_matters(lambda images: images[:, :, ::-1])
turned_gap = order_matters(lambda images: turn(images, training=True).numpy())
print(f"mirrored: {mirror_gap:.2f}   turned, corners filled with 0: {turned_gap:.2f}")

# %% [markdown]
# Zero is black before the scaling and medium grey after it. Brightness and contrast are worse: they
# have to know the range. `tf.image.random_brightness(image, 0.1)` means a tenth of the *dtype's*
# range, and for floats it takes that to be from 0 to 1.

# %% tags=["nbval-check-output"]
patch = np.full((8, 8, 3), 128)
largest = {}
for dtype in ("float32", "uint8"):
    image = patch.astype(dtype)
    shifts = [np.ptp([128, tf.image.random_brightness(image, 0.1)[0, 0, 0]]) for _ in range(200)]
    largest[dtype] = float(max(shifts))
print("float image, shift below a fifth of a grey level:", largest["float32"] < 0.2)
print("uint8 image, shift above twenty grey levels:", largest["uint8"] > 20)

# %% [markdown]
# On floats from 0 to 255 it does nothing that anybody could see, and says nothing about it.
#
# `ImageDataGenerator`, an old class that survives under `tf.keras` only and is deprecated, is often
# said to augment what its `preprocessing_function` has prepared. Let the function report what it
# gets. The image is a white square with a black left half, and the generator turns it by up to 45
# degrees.

# %% tags=["nbval-check-output"]
half = np.full((1, 32, 32, 3), 255, "float32")
half[:, :, :16] = 0
received = []


def spy(image):
    received.append(image.copy())
    return image / 127.5 - 1


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    old = tf.keras.preprocessing.image.ImageDataGenerator(
        rotation_range=45, preprocessing_function=spy
    )
    returned = next(old.flow(half, batch_size=1, seed=1))
turned = bool(np.abs(received[0] - half[0]).max() > 1)
print(f"the function got {received[0].min():.0f} to {received[0].max():.0f}, turned: {turned}")
print(f"the generator returned {returned.min():.0f} to {returned.max():.0f}")

# %% [markdown]
# So it augments first, and that is the right order. Today's way is a stack of Keras' own layers:
# `preprocessing.augmentation(kind)` acts on raw pixels from 0 to 255, only in training, and repeats
# the border instead of filling it with black.
#
# ### A label that stops being true
#
# The worst augmentation is not one in the wrong place but one that changes what the image *is*. A
# mirrored bear is a bear. Is a mirrored 2 a 2? Digits are the usual example of what must not be
# mirrored, so measure it.

# %%
two = mnist.x_train[mnist.y_train == 2][0]
safe = preprocessing.augmentation("digits", seed=SEED)(np.stack([two] * 4), training=True)
figure = viz.image_grid([two, two[:, ::-1], *np.asarray(safe)], ["2", "mirrored", *["digits"] * 4])

# %%
digit_train = features.extract(digits)
digit_test = features.extract(mnist.x_test[:TEST])
digit_head = training.fit_head(digit_train, digit_labels)
mirrored_digits = features.extract(mnist.x_test[:TEST, :, ::-1])
mirrored_animals = features.extract(x_test[:, :, ::-1])
digit_hits = hits(digit_head, digit_test, digit_truth)
mirror_price = {
    "digits": bootstrap_interval(digit_hits - hits(digit_head, mirrored_digits, digit_truth)),
    "animals": bootstrap_interval(reference - hits(right_head, mirrored_animals)),
}
ax = viz.dots(
    mirror_price,
    xlabel="accuracy lost on mirrored images, points",
    percent=True,
    unit="points",
    baseline=0,
)

# %% [markdown]
# "Never mirror digits", people say. See how far the dots lie from zero, and how wide their intervals
# are, before you repeat it. Two things speak for a small loss here. The backbone, like nearly every
# ImageNet network, was itself trained with mirrored photographs, so that its features hardly tell an
# image from its mirror image. And a mirrored 2 is an odd 2, but it is no *other* digit.
#
# That is the question to ask: does the change turn one class into another one? A half turn does. It
# makes a 6 a 9.

# %%
turnable = np.isin(digit_truth, (6, 9))
upside_down = features.extract(mnist.x_test[:TEST, ::-1, ::-1][turnable])
read = digit_head.logits(upside_down).argmax(axis=1)
itself = digit_truth[turnable]
as_other, as_itself = (bootstrap_interval((read == w).astype(float)) for w in (15 - itself, itself))
ax = viz.dots(
    {"read as the other of 6 and 9": as_other, "read as what it was": as_itself},
    xlabel="share of sixes and nines turned by half, %",
    percent=True,
)

# %% [markdown]
# As augmentation, the half turn would tell the head that such a 9 is a 6. Compare the two rows: the
# upper one is how often the head is, rightly, of another opinion.
#
# Now use the mirror as augmentation, beside the recipe of this course: fit the head on the 500
# images and 500 changed copies that keep their labels, and test on true, unmirrored images.

# %%
changes = {
    "mirrored": lambda images, kind: images[:, :, ::-1],
    "augmentation(kind)": lambda images, kind: np.asarray(
        preprocessing.augmentation(kind, seed=SEED)(images, training=True)
    ),
}


def gain(images, labels, kind, before, test, truth):
    """Accuracy gained by adding changed copies of the training images."""
    own, found = features.extract(images), {}
    for name, change in changes.items():
        extra = features.extract(change(images, kind))
        head = training.fit_head(np.concatenate([own, extra]), np.tile(labels, 2))
        found[name] = bootstrap_interval(hits(head, test, truth) - before)
    return found


# %%
gains = {
    "digits": gain(digits, digit_labels, "digits", digit_hits, digit_test, digit_truth),
    "animals": gain(x, y, "silhouettes", reference, right_test, y_test),
}
ax = viz.paired_dots(
    gains,
    xlabel="accuracy gained by 500 changed copies, percentage points",
    percent=True,
    colors={"mirrored": "orange", "augmentation(kind)": "blue"},
)
line = ax.axvline(0, color=viz.PALETTE["grey"], linestyle="--", linewidth=1.2)

# %% [markdown]
# Compare the two markers of a row with each other and with the dashed line. Where an interval
# crosses the line, this run does not know whether anything was gained. Do not expect much: the
# features are frozen, and a copy adds only what the backbone does not already ignore.
#
# The rule for your own data: ask of each change whether a person would still give the same label.
# The letters b and d, left and right hands, road signs and X-rays of the heart do not survive a
# mirror; 6 and 9 do not survive a half turn.

# %% [markdown]
# ## What the books say, and what we measured
#
# Each line is a **claim** with a rule that was fixed before the run. The rule and your numbers
# stand below it, and beside them mean and interval of the committed runs; of a list it
# shows the means. *Unsettled* means that the rule held for some seeds and failed for
# others.
#
# **"Wrong scaling costs forty points."** It depends on who makes the mistake.

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q07-raw-pixels",
    mismatch_raw=prices["raw_0_255"]["mismatch"],
    extra_raw=bootstrap_interval(consistent["raw_0_255"] - mismatch["raw_0_255"]),
    extra_255=bootstrap_interval(consistent["divide_by_255"] - mismatch["divide_by_255"]),
)

# %% [markdown]
# **"`x / 255` is good enough for a ResNet50."** What `x / 255` costs depends on the family. For
# Lite0 it halves the contrast, and a head of its own hardly minds (the number `lite_loss`). A
# ResNet50 expects a contrast 255 times larger. Its weights are not part of this course, so we cut
# the contrast of Lite0's inputs as much, in training and in test. Those images also come out nearly
# black, so the loss is that of both together.

# %%
caffe = preprocessing.preprocess(crops, "resnet50")
per_channel = caffe[..., ::-1].std((0, 1, 2), dtype=float) / (crops / 255).std((0, 1, 2))
contrast_ratio = float(per_channel.mean())
channels_exchanged = bool(np.allclose(caffe[..., 0] + 103.939, crops[..., 2], atol=1e-3))

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "k10-pipeline-preprocess",
    contrast_ratio=contrast_ratio,
    channels_exchanged=channels_exchanged,
    loss=prices["zero_to_one_then_own"]["consistent"],
    lite_loss=prices["divide_by_255"]["consistent"],
)

# %% [markdown]
# **"BGR ruins the features."** Only where the channels differ. The rule asks that the interval of
# the loss on photographs lies above zero. With eight photographs it does for some seeds and just
# misses for others.

# %%
grey_change = np.abs(prepared["bgr"][1] - right_test).max()
colour_loss = over_photos((wrong["mirrored (harmless)"] - wrong["bgr"])[every, top])

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q07-bgr",
    grey_change=float(grey_change),
    colour_loss=colour_loss,
    digits_loss=bootstrap_interval(coloured_right - coloured_bgr),
)

# %% [markdown]
# **"Any resize will do."** Not if training and serving use two.

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "k06-resize-interchangeable",
    price=bootstrap_interval(served["bilinear"]["bilinear"] - served["bilinear"]["nearest"]),
    bicubic_price=bootstrap_interval(
        served["bilinear"]["bilinear"] - served["bilinear"]["bicubic"]
    ),
    load_img_takes_nearest=default == "nearest",
)

# %% [markdown]
# **"Each network needs its exact size."**

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q07-input-size",
    builds_at_75=builds_at_75,
    refuses_74=refuses_74,
    accuracies=[float(by_size[size].mean()) for size in sorted(by_size)],
)

# %% [markdown]
# **"EfficientNet wants [0, 1]."**

# %% tags=["nbval-check-output"]
verdict = claims.check("q07-effnet-01", same_object=same_object, contrast_ratio=effnet_ratio)

# %% [markdown]
# **"VGG and ResNet subtract the mean, and that is all."**

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q07-caffe-flip",
    without_flip=without_flip,
    with_flip=with_flip,
    fails_on_uint8=fails_on_uint8,
)

# %% [markdown]
# **"The library's function is safe for any dtype."**

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q07-uint8-tensor",
    stays_uint8=wrapped.dtype.name == "uint8",
    difference=wrap_difference,
    caller_changed=caller_changed,
)

# %% [markdown]
# **"`random_brightness(0.1)` is ten percent."**

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q07-brightness", float_shift=largest["float32"], uint8_shift=largest["uint8"]
)

# %% [markdown]
# **"Augment before you preprocess, always."** Before is never wrong, and for some operations it
# makes no difference.

# %% tags=["nbval-check-output"]
verdict = claims.check("q07-augment-order", mirror=mirror_gap, zero_filled_rotation=turned_gap)

# %% [markdown]
# **"`ImageDataGenerator` augments what it has preprocessed."**

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q07-idg-order",
    seen_low=float(received[0].min()),
    seen_high=float(received[0].max()),
    output_low=float(returned.min()),
    output_high=float(returned.max()),
    turned=turned,
)

# %% [markdown]
# **"Never mirror digits."** We expected this to hold, fixed the rule, and measured. The rule asks
# that the losses on digits and on animals be told apart. If it fails, that does not make mirroring
# digits free: look at whether the digits' own interval, here and over the committed runs, includes
# zero. And whatever the line says, it is about frozen features of a backbone that was trained with
# mirror images.

# %% tags=["nbval-check-output"]
verdict = claims.check("q07-mirror-labels", **mirror_price)

# %% [markdown]
# **"Turned copies are free extra data."** Not where a turn makes another class.

# %% tags=["nbval-check-output"]
swapped = bootstrap_interval((read == 15 - itself).astype(float) - (read == itself))
verdict = claims.check("q07-turned-labels", swapped=swapped)

# %% [markdown]
# ## The trap of the chapter, its price, and the check that detects it
#
# The trap is that nothing crashes. So look at the numbers before the model does.
# `preprocessing.check(images, backbone, prepared=True)` compares a prepared batch with the range
# that the backbone expects. Here it meets all ten mistakes, with their prices from above. Under
# *photographs* stands what is missing to full agreement, of which a harmless mirror image costs a
# part, too. The last column is what the check says of a batch of photographs.

# %%
batch = crops[::2]
caught = {
    name: bool(preprocessing.check(mistake(batch, LITE), LITE, prepared=True))
    for name, mistake in MISTAKES.items()
}
print("                         lost: photographs   head, mismatch   head, consistent   caught")
for name, price in prices.items():
    columns = 1 - agreement[name].mean, price["mismatch"].mean, price["consistent"].mean
    print(f"{name:26}" + "".join(f"{100 * v:z15.0f} %" for v in columns), f"{caught[name]!s:>11}")

# %% [markdown]
# The last column, once more and alone, because it does not depend on your seed:

# %% tags=["nbval-check-output"]
print("caught:", ", ".join(sorted(name for name in caught if caught[name])))
print("missed:", ", ".join(sorted(name for name in caught if not caught[name])))

# %% [markdown]
# **What no check of the range can see.** BGR in the right range: each value is possible, only in the
# wrong channel. Pixels in the wrong places. A wrong resize, a wrong crop. The difference between
# `(x - 127) / 128` and `x / 127.5 - 1`, which is at most one grey level and does not matter. These
# you find by looking at what goes *into* the model (show it, as the grid above does) and by keeping
# one known image with its known answer next to the deployed model.
#
# The right preparation passes, and each finding says what to do:

# %% tags=["nbval-check-output"]
print("right:", preprocessing.check(preprocessing.preprocess(batch, LITE), LITE, prepared=True))
for name in ("divide_by_255", "raw_0_255"):
    print(f"{name}:", *preprocessing.check(MISTAKES[name](batch, LITE), LITE, prepared=True))

# %% [markdown]
# ## The cure: preprocessing inside the model
#
# If the model takes raw pixels, there is nothing left to forget. `models.build_classifier` puts a
# layer called "preprocessing" in front of the backbone: it makes grey images RGB, resizes, and
# scales. What is saved contains it.

# %%
served_model = models.build_classifier(10, LITE, image_shape=(28, 28, 1), size=96)
training.set_head(served_model, right_head)
path = os.path.join(folder.name, "animals.keras")
served_model.save(path)
again = keras.models.load_model(path)
before, after = (m.predict(x_test[:64], verbose=0) for m in (served_model, again))
as_float = again.predict(x_test[:64].astype("float32"), verbose=0)
print("layers:", ", ".join(layer.name for layer in again.layers))
print("loaded model differs from the saved one by", float(np.abs(after - before).max()))
print("float pixels differ from uint8 pixels by  ", float(np.abs(as_float - after).max()))

# %% [markdown]
# Somebody serves it `x / 255` all the same. Now there is one rule, raw pixels from 0 to 255, and
# one question to the model, `freezing.audit(model, images=...)`. Look at the line "inputs fit the
# backbone" and at what stands below the table.

# %% tags=["nbval-check-output"]
print(freezing.audit(again, images=x_test[:64] / 255))

# %% [markdown]
# And where you do prepare images yourself, `preprocessing.preprocess` refuses what is surely wrong
# and leaves your array alone.

# %% tags=["nbval-check-output"]
for bad in (crops[:1] / 255, MISTAKES["imagenet_mean_std"](crops[:1], LITE)[..., :1], crops[0]):
    try:
        preprocessing.preprocess(bad, "resnet50")
    except ValueError as error:
        print("refused:", error)

# %% [markdown]
# ### From a file to a prediction
#
# The whole pipeline, done right, has four steps, and only the first three are yours: read the file
# as RGB, cut and resize as in training, add the batch dimension. The model does the rest.


# %%
def predict_file(path, model, size=224):
    """The three most probable ImageNet classes of an image file."""
    with Image.open(path) as image:
        image = image.convert("RGB")  # grey, CMYK and transparent files, too
        side = min(image.size)
        left, up = ((length - side) // 2 for length in image.size)
        square = image.crop((left, up, left + side, up + side))
        pixels = np.asarray(square.resize((size, size), Image.Resampling.BICUBIC))
    return models.decode(model.predict(pixels[None], verbose=0), top=3)[0]


for _, name, probability in predict_file(file, classifier):
    print(f"{probability:5.1%}  {name}")
folder.cleanup()

# %% [markdown]
# There is no `/ 255`, no `preprocess_input` and no mean in this function. That is the point.

# %% [markdown]
# ## The 3-minute answer
#
# "A pretrained network is a function of numbers, not of pictures. Its filters and the stored
# statistics of its BatchNormalization layers fit inputs of the range, channel order and rough size
# they were trained on. Other inputs are a distribution shift that I made myself.
#
# "What matters, in the order in which I check it: first, the *scaling* of this family. VGG and
# ResNet want BGR minus a mean, MobileNetV2 and Inception want -1 to 1, DenseNet wants ImageNet's
# mean and deviation, and Keras' EfficientNet wants raw 0 to 255, because the rescaling is inside.
# Second, the *channel order*, if OpenCV is anywhere in the pipeline. Third, the *resize*: the same
# method in training and serving. The native size is not a must. Fourth, *dtype and batch dimension*:
# float before any subtraction.
#
# "Then I ask where training and serving could disagree, because that is what costs most. A mistake
# that both share costs less, for the head adapts to it. So I put the preprocessing inside the
# model, save that, and serve raw pixels. Augmentation acts on raw pixels in training only, and never
# turns one class into another: no half-turned sixes, no mirrored b.
#
# "And since a wrong range raises no error, I assert the range of a batch, look at a few inputs, and
# keep one image with its known answer as a test of the deployed model."
#
# ### What the interviewer asks next
#
# - *"You trained with the wrong scaling and it works well. Do you fix it?"* For the next model, yes.
#   For the deployed one, only together: fixing the server alone turns a cheap mistake into the
#   expensive one. Refit the head first.
# - *"Does it matter if you fine-tune everything?"* Usually less, the longer you train: the first
#   layers can adapt. But you start from damaged features, and with few labels you stay there.
# - *"Your images are grey. What about BGR?"* No effect: three equal channels. But with means that
#   differ by channel, as for ResNet, decide how grey becomes RGB and keep to it.
# - *"Why does normalising each image by itself work so well sometimes?"* It removes differences of
#   exposure. It is another input distribution all the same, so serve what you trained with.
# - *"How would you find BGR in production?"* Not by its range. Compare the mean of the channels with
#   that of the training images: ImageNet's means are 0.485 for red, 0.456 for green, 0.406 for blue.
#
# ### Red flags
#
# - "I always divide by 255."
# - "The framework takes care of it." Some functions do nothing, and some write into your array.
# - Numbers for the price of a mistake without saying whether the head was fitted on it, too.
# - "EfficientNetB7 needs 600 × 600."
# - Augmentation copied from a photograph tutorial to text or digits.

# %% [markdown]
# ## Test yourself
#
# Run the next cell. A click on a choice says why it is right or wrong. Some questions go further
# than this chapter.

# %%
from tlcourse import interview

interview.show_quiz("07")

# %% [markdown]
# A click turns a card. They hold the question of this chapter, what is asked next, and questions
# that go further. `tlcourse interview` asks them again when you are about to forget.

# %%
interview.show_flashcards("07")

# %% [markdown]
# ## Where to go from here
#
# - [Exercises](../exercises/07_preprocessing.ipynb): write the part that matters yourself,
#   and find the bugs.
# - Try another row: write a mistake of your own as a function from raw pixels at the input size to
#   what the backbone gets, and give it to `features.extract(images, prepare=your_function)`. Then
#   ask whether `preprocessing.check` sees it.
# - Next: [chapter 08](08_crossing_domains.ipynb), domain adaptation, where the shift is in the
#   world and not in your code.
#
# **Papers and documents**
#
# - M. Tan and Q. Le, *EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks*,
#   2019, [arxiv.org/abs/1905.11946](https://arxiv.org/abs/1905.11946).
# - H. Touvron et al., *Fixing the train-test resolution discrepancy*, 2019,
#   [arxiv.org/abs/1906.06423](https://arxiv.org/abs/1906.06423): the size of objects is part of the
#   preprocessing, too.
# - G. Parmar, R. Zhang and J.-Y. Zhu, *On Aliased Resizing and Surprising Subtleties in GAN
#   Evaluation*, 2022, [arxiv.org/abs/2104.11222](https://arxiv.org/abs/2104.11222): libraries that
#   resize differently under the same name.
# - Keras, [applications](https://keras.io/api/applications/): the page of each family says what its
#   `preprocess_input` does.
