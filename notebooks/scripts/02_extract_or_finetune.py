# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 02 · Feature extraction or fine-tuning?
#
# **The question.** *"What is the difference between feature extraction and fine-tuning? When would
# you use which?"*
#
# **The 30-second answer.** Both start from a **backbone**, a network that was trained on another
# task, and put a new classifier, the **head**, on it. In **feature extraction** the backbone is
# **frozen**: training never changes it, only the head learns. In **fine-tuning** some or all of the
# backbone is **trainable** too, and learns with a small learning rate. Feature extraction is so
# cheap that you always do it first, and it gives you the number to beat. Fine-tuning costs far
# more for each look at the data. It pays where the features do not fit your images
# and you have labels enough. On images unlike those you trained on, it can also lose. So: fit a
# head, then fine-tune from there, and keep it only if it wins on images kept apart.
#
# In this chapter you count what is trained, time what it costs, measure what it buys, and look at
# both models on damaged images. Then you meet the bug that turns fine-tuning into feature
# extraction without a word. It takes about two minutes, and nothing is downloaded. Your run uses one
# **seed**, the number that fixes every random choice; behind it the figures show the **committed
# runs**, which we made with several seeds and stored with the course.

# %% tags=["parameters"]
PROFILE: str = "quick"  # quick | full
SEED: int = 0  # every random choice follows from it

# %%
from tlcourse import config

run = config.begin("02", PROFILE, SEED)

# %%
import importlib.util
import time

import keras
import numpy as np

from tlcourse import claims, data, evaluation, features, freezing, models, training
from tlcourse import visualization as viz
from tlcourse.preprocessing import preprocess, resize, to_rgb

viz.style()

# %% [markdown]
# ## Predict first
#
# Commit to five guesses before you see a number. Leave `None` where you have no idea.
#
# - **layers**: you freeze the first half of ResNet50's layers. What percentage of its parameters
#   can still train?
# - **slower**: an epoch is one pass over the training images. An epoch of full fine-tuning takes
#   how many times as long as an epoch of a head on features that were computed once?
# - **animals**, **digits**: with 500 labels, how many points of test accuracy does fine-tuning the
#   last blocks add to the fitted head? Negative if you expect a loss.
# - **damaged**: and fine-tuning everything, on blurred, noisy and sheared animals?

# %%
guess = {"layers": None, "slower": None, "animals": None, "digits": None, "damaged": None}


def compare(key, measured, unit):
    """Show a guess beside what came out."""
    said = "no guess" if guess[key] is None else f"you guessed {guess[key]:g}"
    print(f"{key}: {measured:.3g} {unit} ({said})")


# %% [markdown]
# ## Experiment 1: what is trained
#
# `build_classifier` makes a model that takes raw pixels: preprocessing, backbone, **pooling** (the
# mean of each of the backbone's last maps, one number per channel), head. The backbone is
# EfficientNet-Lite0, "Lite0" for short, and it is frozen at first. `freezing.report` counts
# **parameters**, the numbers that training may change, block by block. A **block** is a group of
# layers that belong together.
#
# Read the column *trainable*: there is one entry, the head. Then the column *share*: see how little
# the first blocks hold. *BatchNormalization* standardises activations with a mean and a variance;
# *frozen* there means that it keeps those it was pretrained with.

# %% tags=["nbval-check-output"]
model = models.build_classifier(10)
print(freezing.report(model))

# %% [markdown]
# Between all and nothing lies "the last blocks". `unfreeze` opens as many as you ask for, counted
# from the output, and leaves every BatchNormalization frozen. Chapter [05](05_what_to_freeze.ipynb)
# shows what happens if you do not.

# %% tags=["nbval-check-output"]
for last in (1, 3, 5, 14, 18):
    opened = freezing.unfreeze(model, last=last)
    print(f"last {last:>2} of 18 blocks: {opened.share:6.1%} of the backbone trainable")

# %% [markdown]
# The last five blocks are most of the network, if you count parameters. The first four are next to
# nothing. And "all" stays a little below 100 %, because BatchNormalization is kept frozen.
#
# Most code on the web counts neither blocks nor parameters. It counts **layers**, as in "freeze the
# first half of `base.layers`". The next figure shows what that leaves trainable, for three
# backbones. On the dashed line, layers and parameters would be the same thing. Look how far above it
# the curves run.

# %%
SHARES = np.arange(20) / 20
backbones = {
    "ResNet50": models.load_backbone("resnet50", weights=None),
    "MobileNetV2": models.load_backbone("mobilenetv2", weights=None),
    "Lite0": model,
}
left = {
    name: [freezing.trainable_share(base, share) for share in SHARES]
    for name, base in backbones.items()
}
ax = viz.curves(
    100 * SHARES, left, percent=True, xlabel="layers frozen from the input, %",
    ylabel="parameters still trainable, %", title="Frozen layers are not frozen parameters",
)  # fmt: skip
ax.plot([0, 100], [100, 0], "--", color=viz.PALETTE["grey"], linewidth=1.2)
at_half = [shares[10] for shares in left.values()]
compare("layers", 100 * at_half[0], "% of ResNet50's parameters")

# %% [markdown]
# Why do the curves stay high? From stage to stage the image gets smaller and the number of channels
# grows, and the size of a convolution grows with the product of its channels, in and out. So the
# late stages hold the weights. This is counting, not measuring: it comes out the same on every
# machine.
#
# One cut is copied more than any other: `base.layers[:140]` of ResNet50, "the first 70 percent".
# Count it, and look at what lies on its two sides. Below it stand the parameters of two heads, for
# which people write "about 1 M", and of the part after the cut, for which they write "about 10 M".

# %% tags=["nbval-check-output"]
resnet = backbones["ResNet50"]
before_cut, after_cut = resnet.layers[139], resnet.layers[140]
print(f"layer 139 {type(before_cut).__name__}, layer 140 {type(after_cut).__name__}")
print(f"140 of {len(resnet.layers)} layers is {140 / len(resnet.layers):.0%}")
after = sum(int(np.prod(w.shape)) for layer in resnet.layers[140:] for w in layer.trainable_weights)
print(f"one Dense layer as head: {2048 * 10 + 10:,} parameters")
print(f"a hidden layer of 256 and one of 10: {2048 * 256 + 256 + 256 * 10 + 10:,}")
print(f"layers from 140 on: {after:,}")

# %% [markdown]
# ## The two recipes, side by side
#
# In Keras, feature extraction and then fine-tuning of the last blocks are these lines. In this
# course `training.two_stage` runs them.
#
# ```python
# model = models.build_classifier(10)                 # frozen backbone, preprocessing inside
# head = training.fit_head(features.extract(x), y)    # stage 1: the backbone runs once per image
# training.set_head(model, head)
#
# freezing.unfreeze(model, last=5)                    # stage 2: BatchNormalization stays frozen
# model.compile(keras.optimizers.Adam(3e-5), "sparse_categorical_crossentropy")   # after unfreezing
# model.fit(x, y, batch_size=16, epochs=2)
# ```
#
# The same in PyTorch has more places to go wrong. The comments name them.
#
# ```python
# import torch
# from torch import nn
# from torchvision import models
#
# weights = models.ResNet50_Weights.IMAGENET1K_V2     # `pretrained=True` no longer says which ones
# prepare = weights.transforms()                      # the preprocessing of exactly these weights
# model = models.resnet50(weights=weights)
# model.requires_grad_(False)                         # no gradients: but see the end of the chapter
# model.fc = nn.Linear(model.fc.in_features, classes)  # new, so it has gradients
#
# optimizer = torch.optim.Adam(model.fc.parameters(), lr=1e-3)
# loss_of = nn.CrossEntropyLoss()                     # wants scores: no softmax in the model
# for epoch in range(epochs):
#     model.eval()                                    # BatchNorm keeps its statistics
#     model.fc.train()                                # matters once the head has dropout
#     for images, labels in loader:                   # images went through `prepare`
#         optimizer.zero_grad()
#         loss_of(model(images), labels).backward()
#         optimizer.step()
#
# model.layer4.requires_grad_(True)                   # stage 2: the last stage, and a new optimizer
# tuned = [p for p in model.parameters() if p.requires_grad]
# optimizer = torch.optim.Adam(tuned, lr=1e-5)        # then the same loop, still model.eval()
# ```
#
# Note what differs between the stages: what is trainable, and the rate. People say that early
# layers get no gradients and later ones small gradients. The second half is wrong. In the trainable
# blocks the gradients have whatever size they have; it is the **updates** that are small, because
# the rate is.

# %% [markdown]
# ## Experiment 2: what it costs
#
# Four ways to pass once over the same 500 images, that is, four kinds of **epoch**:
#
# 1. **everything**: the whole backbone is fine-tuned;
# 2. **last 5 blocks**: what stays frozen is computed once, and only the rest is run again and again;
# 3. **frozen in fit**: the backbone is frozen, but every epoch runs it again, as most tutorials do;
# 4. **cached**: the features are computed once, and an epoch is one pass of a Dense layer over them.
#
# The second is `training.fine_tune`. It keeps the activations in front of the first trainable
# block, because a frozen part says the same of an image in every epoch. The result is that of plain
# fine-tuning; a test of this course compares the weights.
#
# The learning rate was picked beforehand, of 3e-5 and 1e-4, on 500 validation images of each target
# that were taken from its training part, not on the test images used below. One rate serves both
# depths and both targets, and both depths get the same epochs and batches. So a way that loses below
# loses with this rate and these epochs; chapter [03](03_learning_rates.ipynb) is about other rates.

# %%
SEEDS = run.seeds(run.choose(quick=1, full=5))
SIZES = [100, 250, 500, 1000, 3000]  # labels, in the full profile
CELLS = run.choose(
    quick=[("animals", 500), ("mnist", 500), ("mnist", 100)],
    full=[(name, n) for name in ("animals", "mnist") for n in reversed(SIZES)],
)
TEST = run.choose(quick=400, full=None)  # test images, from the start of the fixed test set
EPOCHS, BATCH = 2, 16
WAYS = {
    "last 5 blocks": {"last": 5, "learning_rate": 3e-5},
    "everything": {"learning_rate": 3e-5},
}
EVERYTHING = run.choose(quick=[("animals", 500)], full=CELLS)  # where all of it is trained, too
targets = {name: data.load(name) for name in ("animals", "mnist")}
animals, mnist = targets.values()
imagenet = model.get_weights()


# %%
def start(dataset, n, seed):
    """Put the ImageNet weights and a freshly fitted head into the model."""
    x, y = dataset.subset(n, seed)
    head = training.fit_head(features.extract(x), y, 10)
    model.set_weights(imagenet)
    training.set_head(model, head)
    return x, y, head


def tune(way, dataset, n, seed):
    x, y, _ = start(dataset, n, seed)
    config.set_seed(seed)
    return training.fine_tune(model, x, y, epochs=EPOCHS, batch_size=BATCH, **WAYS[way])


def tuned_accuracy(way, dataset):
    """Test accuracy of the model as it is now."""
    part, inputs = model, dataset.x_test[:TEST]
    if way == "last 5 blocks":  # the test images, too, pass the frozen part only once
        part, inputs = late[dataset.name]
    return evaluation.accuracy(part.predict(inputs, verbose=0), dataset.y_test[:TEST])


freezing.unfreeze(model, last=5)
late = {d.name: training.cached_prefix(model, d.x_test[:TEST]) for d in (animals, mnist)}


# %% [markdown]
# First the cheap end: the features, the head by logistic regression, a Dense layer on the features,
# and the frozen backbone inside `fit`. The first epoch also compiles, so a later one counts. All
# times are milliseconds per image: seconds of 500 images, times 2. *Frozen in fit* runs on 200 of
# them, because its time per image does not depend on their number.

# %%
x, y, head = start(animals, 500, SEEDS[0])
clock = time.perf_counter()
# Prepared by a function, the features are computed in this run, even if they are on disk.
found = features.extract(x, prepare=lambda p: preprocess(p, "efficientnet-lite0"))
once = {"features of 500 images": time.perf_counter() - clock}
clock = time.perf_counter()
training.fit_head(found, y)
once["logistic regression, complete"] = time.perf_counter() - clock

dense = keras.Sequential([keras.Input((1280,)), keras.layers.Dense(10, "softmax")])
plain = {"epochs": 6, "batch_size": BATCH, "learning_rate": 1e-3}
per_image = {"cached": 2 * min(training.train(dense, found, y, **plain)["seconds"][1:])}
freezing.freeze(model)
inside = training.train(model, x[:200], y[:200], **{**plain, "epochs": 2})
per_image["frozen in fit"] = 5 * inside["seconds"][1]

# %% [markdown]
# Then the dear end. What is trained here is scored in the next experiment.

# %%
accuracy = {}
for way in WAYS:
    per_image[way] = 2 * tune(way, animals, 500, SEEDS[0])["seconds"][1]
    accuracy["animals", 500, SEEDS[0], way] = tuned_accuracy(way, animals)
tuned = model.get_weights()  # everything, on 500 animals: for the experiment after the next
for name, value in once.items():
    print(f"once, {name}: {value:.1f} s")

# %% [markdown]
# Each row is one way; the axis is logarithmic, so equal distances are equal factors. Look at the
# distance from *everything* to *cached*. The features cost one pass, printed above: you pay it once,
# not in every epoch. And the head does not need epochs at all: logistic regression has a single best
# solution, and finds it in the time printed.
#
# *Last 5 blocks* also pays one pass before its first epoch, which is not in its row. It can cost
# about as much as *frozen in fit*, which runs all 18 blocks: training a block means running it
# forwards and then backwards, and the way back costs at least as much again. The milliseconds are
# those of your machine, now; the factors between them hold better.

# %%
order = ("everything", "last 5 blocks", "frozen in fit", "cached")
shown = {name: per_image[name] for name in order}
compare("slower", per_image["everything"] / per_image["cached"], "times as long")
ax = viz.dots(
    shown, log_x=True, xlabel="milliseconds per image and epoch", title="What an epoch costs"
)

# %% [markdown]
# Memory has the same two ends. Resized images are large, features are small, and both grow in
# proportion to the number of images. Many a notebook resizes all of CIFAR-10, 60,000 images, to 224
# pixels before training starts. Here are two small arrays, and the law applied to 60,000.

# %% tags=["nbval-check-output"]
resized = {n: resize(to_rgb(x[:n]), 224).nbytes for n in (100, 200)}
each = {"as they come": 32 * 32 * 3, "resized": resized[200] / 200, "features": found.nbytes / 500}
gib = {name: 60_000 * size / 2**30 for name, size in each.items()}
for name, size in gib.items():
    print(f"60,000 images, {name + ':':<13} {size:6.2f} GiB")

# %% [markdown]
# ## Experiment 3: what it buys
#
# Now the accuracy. Three ways: the head alone, the last five blocks, everything; two targets,
# silhouettes of animals and handwritten digits; and, for the digits, few or more labels. All of
# them share the labels, the fitted head to start from, and the test images. In the quick profile,
# "everything" is trained on 500 animals only, because it costs most.


# %%
def cell(dataset, n, seed):
    """Test accuracy of the three ways, for one number of labels."""
    _, _, head = start(dataset, n, seed)
    test, labels = dataset.x_test[:TEST], dataset.y_test[:TEST]
    scores = {"head only": head.accuracy(features.extract(test), labels)}
    for way in WAYS if (dataset.name, n) in EVERYTHING else ("last 5 blocks",):
        if (dataset.name, n, seed, way) not in accuracy:
            tune(way, dataset, n, seed)
            accuracy[dataset.name, n, seed, way] = tuned_accuracy(way, dataset)
        scores[way] = accuracy[dataset.name, n, seed, way]
    return scores


rows = {
    f"{name}, {n} labels": [cell(targets[name], n, seed) for seed in SEEDS] for name, n in CELLS
}
claims.record("02-accuracy", rows=rows)

# %% [markdown]
# Each row is one target and one number of labels, each mark one way. Ask of every row: which mark
# lies furthest to the right, and is the distance larger than the noise? With 400 test images an
# accuracy near 85 % is uncertain by about three and a half points either way; differences between
# two models on the same images are known a little better. A pale band in the colour of a mark is
# the interval of the committed runs, over several seeds; it may be wider than the figure.


# %%
def over_seeds(runs):
    return {way: evaluation.mean_interval([r[way] for r in runs]) for way in runs[0]}


def committed(key):
    """The accuracies of the committed runs, for each row and way."""
    found = {}
    for entry in claims.reference(key, profile=PROFILE):
        for row, runs in entry["measured"]["rows"].items():
            for way in runs[0]:
                found.setdefault(row, {}).setdefault(way, []).extend(r[way] for r in runs)
    return found


ax = viz.paired_dots(
    {row: over_seeds(runs) for row, runs in rows.items()}, percent=True,
    committed=committed("02-accuracy"), xlabel="test accuracy, %",
    title="What training more of the backbone buys",
)  # fmt: skip

# %%
for row, runs in rows.items():
    means = {way: estimate.mean for way, estimate in over_seeds(runs).items()}
    gains = ", ".join(
        f"{way} {100 * (mean - means['head only']):+.1f}" for way, mean in list(means.items())[1:]
    )
    print(f"{row}: head {100 * means['head only']:.1f} %; points gained by {gains}")
for key, dataset in (("animals", animals), ("digits", mnist)):
    here = over_seeds(rows[f"{dataset.name}, 500 labels"])
    compare(key, 100 * (here["last 5 blocks"].mean - here["head only"].mean), "points")

# %% [markdown]
# Does it turn around? Compare like with like: on digits, *last 5 blocks* was run at both sizes.
# Look on which side of *head only* it lies, and whether that changes with more labels.
# On animals, look whether there is any loss at all. The committed bands are wide: a few seeds do not
# fix a border.
#
# In some runs fine-tuning ends below the head. How can it lose, with a good start and a small rate?
# Three things decide.
#
# - **The labels.** In two epochs a hundred labels make 14 steps, five hundred make 64. Each step
#   moves millions of parameters by what 16 images say. A few images do not say enough, and the first
#   steps can cost accuracy that later ones win back.
# - **The features.** Where they fit, little has to change, so little can go wrong and little can be
#   gained. Where they do not fit, more has to change, and the few images decide how.
# - **The head.** It was fitted to the features as they were. Once they move, it has to follow. And
#   since it names nearly all its training images correctly from the start, the loss that drives
#   fine-tuning is small from the start.
#
# You will meet tables that turn this into borders, "below 1,000 images extract, from 10,000 on
# fine-tune". But the same number of labels can be enough for one target and not for another. Five
# tables of that kind that we compared contradict each other. `freezing.recommend` gives a start
# instead, with its reasons, and says that you have to measure.

# %% tags=["nbval-check-output"]
print(freezing.recommend(500, "medium"))

# %% [markdown]
# ## Experiment 4: the same two models on other images
#
# Test images that were drawn like the training images are **in distribution**. Your users will send
# others: blurred, noisy, tilted. Nobody trains on those here. Take the head alone and the fully
# fine-tuned model, both from 500 animals, and show them the same test images, damaged.

# %%
examples = animals.x_test[[0, 2, 5]]
shifts = ("blur", "noise", "shear")
damaged = [evaluation.corrupt(examples, kind, 2) for kind in shifts]
figure = viz.image_grid(
    [image for versions in zip(examples, *damaged, strict=True) for image in versions],
    ["as it is", *shifts] * len(examples), columns=4,
)  # fmt: skip

# %%
model.set_weights(tuned)
test, labels = animals.x_test[:TEST], animals.y_test[:TEST]
scores = rows["animals, 500 labels"][0]
shifted = {"as it is": {way: scores[way] for way in ("head only", "everything")}}
for kind in shifts:
    images = evaluation.corrupt(test, kind, 2, seed=SEED)
    shifted[kind] = {
        "head only": head.accuracy(features.extract(images), labels),
        "everything": evaluation.accuracy(model.predict(images, verbose=0), labels),
    }

# %%
difference = {kind: s["everything"] - s["head only"] for kind, s in shifted.items()}
difference.pop("as it is")
ood_difference = float(np.mean(list(difference.values())))
here = over_seeds(rows["animals, 500 labels"])
id_difference = here["everything"].mean - here["head only"].mean
claims.record("02-shift", rows={kind: [scores] for kind, scores in shifted.items()})
compare("damaged", 100 * ood_difference, "points, the mean of three shifts")
ax = viz.paired_dots(
    shifted, percent=True, committed=committed("02-shift"), xlabel="test accuracy, %",
    title="500 animals: as in training, and damaged", colors={"everything": "green"},
)  # fmt: skip

# %% [markdown]
# Look first at how far each row lies left of the top one: that is what the damage costs. Compare it
# with the distance between the two marks of a row: that is what the way of training decides. Then
# look at their order. Does the model that wins at the top also win below? A mean over kinds of
# damage, as printed above, can hide that their signs differ.
#
# Kumar and others (2022) found that it need not: over their ten data sets, full fine-tuning gained
# about 2 points in distribution and lost about 7 out of distribution against a head alone. Their
# explanation is that a random head drags the features along while it finds its place. They, too,
# recommend to fit the head first and fine-tune from there, which is what you did here. A few hundred
# test images and one training run do not settle the order on these shifts. Measure it on the damage
# that you expect.

# %% [markdown]
# ## What the books say, and what we measured
#
# Each line is a **claim**: an assertion with a rule that was fixed before the run, except for one
# that says so. The table under it shows your numbers and those of the committed runs, as mean and
# interval; where the measure is a list, the right column stays empty. *Unsettled* means that the
# rule held for some seeds and failed for others.
#
# *"Freeze the first 140 layers, that is the first 70 % of ResNet50."*

# %% tags=["nbval-check-output"]
pair = isinstance(before_cut, keras.layers.Conv2D) and isinstance(
    after_cut, keras.layers.BatchNormalization
)
verdict = claims.check(
    "q02-index-140", layers=len(resnet.layers), share_of_layers=140 / len(resnet.layers),
    splits_a_pair=int(pair),
)  # fmt: skip

# %% [markdown]
# *"Half the layers frozen, half the model frozen."*

# %% tags=["nbval-check-output"]
verdict = claims.check("q02-layers-vs-params", still_trainable=at_half)

# %% [markdown]
# *"Feature extraction takes minutes, fine-tuning takes hours."* The direction is right. The units
# depend on your data and machine; a ratio says more. Seconds decide this one, so a machine that is
# busy with something else can turn the verdict, and a ratio just below one of the two limits turns
# it, too: read the numbers before the verdict. For the same reason the intervals of the committed
# runs are wide; where one reaches below zero, it says only that those runs differ a lot.

# %%
verdict = claims.check(
    "q02-fe-faster", full_ms=per_image["everything"], frozen_ms=per_image["frozen in fit"],
    cached_ms=per_image["cached"],
)  # fmt: skip

# %% [markdown]
# *"Fine-tuning performs better."* On which images? The rule asks only for the sign, and one point on
# 400 images is four images. One run says little here; look at how many committed runs agree.

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q02-ft-beats-fe", id_difference=id_difference, ood_difference=ood_difference
)

# %% [markdown]
# *"Fine-tuning starts from the fitted head, so it can only improve on it."* Not always: in some
# runs it ends below the head, by a point or so. The rule was written after seed 0 had been seen,
# and the head was fitted by an earlier recipe then. That recipe gave huge weights to features that
# hardly ever fire; fine-tuning shook those features, and more was lost. Chapter
# [09](09_two_stages.ipynb) shows the fault and its cure. With the better head the sign depends on
# the seed. Much of what looks like a law of few labels can be the head.

# %% tags=["nbval-check-output"]
gain = {}
for n in (100, 500):
    means = over_seeds(rows[f"mnist, {n} labels"])
    gain[n] = means["last 5 blocks"].mean - means["head only"].mean
verdict = claims.check("q02-few-labels", gain_100=gain[100], gain_500=gain[500])

# %% [markdown]
# *"Resize the data set once, then train."*

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "k10-memory", gib_resized=gib["resized"], double_the_images=resized[200] / resized[100],
    images_per_features=gib["resized"] / gib["features"],
)  # fmt: skip

# %% [markdown]
# ## The trap: fine-tuning that never was
#
# A chapter of a widely read book freezes the backbone, trains the head, announces fine-tuning,
# compiles with a small rate, and fits again. No line in between unfreezes anything. It runs, the
# loss falls a little because the head goes on learning, and the text reports success. A reader
# noticed (issue 257 of that book's notebooks); we found it still there.
#
# Its sister unfreezes, but does not compile. After the first `fit`, Keras keeps a compiled training
# step. On TensorFlow a later change of `trainable` is ignored without a word; on the JAX and PyTorch
# backends `fit` raises.
#
# Run both, on 32 images. `freezing.snapshot` copies the weights, and `freezing.audit` compares, asks
# the model, and says what it finds. Tell it what you think you are doing.

# %%
x, y, head = start(animals, 32, SEEDS[0])
before = freezing.snapshot(model)
freezing.freeze(model)
# "Now we fine-tune": the line that unfreezes is missing.
training.train(model, x, y, epochs=1, learning_rate=1e-5, stage="fine-tuning")
never = freezing.audit(model, before=before, expect="fine-tuning")

# %% tags=["nbval-check-output"]
print(never)

# %%
freezing.unfreeze(model)
# Unfrozen at last, but compiled before.
try:
    model.fit(x, y, epochs=1, verbose=0)
except Exception as error:  # JAX and PyTorch refuse
    print(type(error).__name__)
stale = freezing.audit(model, before=before, expect="fine-tuning")

# %% tags=["nbval-check-output"]
print(stale.found("stale-compile"), stale.ok)
print(next(finding for finding in stale.findings if finding.code == "stale-compile"))

# %% [markdown]
# The price is everything that fine-tuning could have won. In both runs no weight of the backbone
# moved, so all you have is a head on the old features, trained a little longer, at the cost of
# running the whole backbone in every epoch. Compare the two accuracies below with the gains of
# experiment 3.

# %%
moved = [path for path, change in stale.changes.items() if change and "head" not in path]
after = training.Head(*model.get_layer("head").get_weights())
test_features = features.extract(animals.x_test[:TEST])
for name, version in (("before", head), ("after both", after)):
    score = version.accuracy(test_features, animals.y_test[:TEST])
    print(f"{name}: {score:.1%} of the test images")
print(f"weights of the backbone that moved: {len(moved)}")

# %% [markdown]
# The cure is one habit: snapshot, unfreeze, **compile**, fit, audit. `training.fine_tune` does the
# middle three. The other trap of this family is to unfreeze at once, with a random head on top, and
# call it fine-tuning; chapter [09](09_two_stages.ipynb) shows its price. `training.two_stage` never
# does it.
#
# ### What "frozen" means elsewhere
#
# In Keras `trainable = False` also puts a BatchNormalization into inference mode: it uses its stored
# mean and variance, and keeps them. In PyTorch `requires_grad = False` stops gradients and nothing
# else. The running mean of a BatchNorm is no parameter but a buffer, and moves in every forward pass
# in train mode. Here is one pass over data with another mean, three times. If PyTorch is not
# installed, you see what the committed runs measured.


# %%
def moved_by_one_pass():
    """Largest change of a frozen BatchNorm's running mean, in both libraries."""
    import torch

    torch.manual_seed(SEED)
    images = np.random.default_rng(0).normal(5, 1, (16, 8, 8, 3)).astype("float32")
    channels_first = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    network.requires_grad_(False)
    found = {}
    for mode in ("train", "eval"):
        was = network[1].running_mean.clone()
        network.train(mode == "train")(channels_first)
        found[f"torch_{mode}_mode"] = float((network[1].running_mean - was).abs().max())
    layer = keras.layers.BatchNormalization()
    layer.build(images.shape)
    layer.trainable = False
    layer(images, training=True)
    found["keras_frozen_training"] = float(np.abs(layer.moving_mean.numpy()).max())
    return found


has_torch = importlib.util.find_spec("torch") is not None

# %% tags=["nbval-check-output"]
if has_torch:
    verdict = claims.check("k03-bn-frozen-pytorch", **moved_by_one_pass())
else:
    verdict = claims.cite("k03-bn-frozen-pytorch")

# %% [markdown]
# So the PyTorch listing above says `model.eval()` in every epoch, also while it trains.
#
# ## The 3-minute answer
#
# "Both reuse a pretrained backbone. Feature extraction freezes it and trains a head; fine-tuning
# goes on to train some or all of it, with a small rate.
#
# I count what is trainable in parameters, not in layers: the late blocks hold nearly all of them,
# so half the layers frozen still leaves about nine tenths trainable.
#
# I start with feature extraction, because the backbone then runs once for each image, and the head
# is a convex problem that takes seconds. That gives me a baseline within minutes. Then I fine-tune
# from that head, never from a random one: the last blocks first, since what is frozen before them
# can be computed once. BatchNormalization stays frozen, I compile after I unfreeze, and I check
# afterwards that the backbone moved.
#
# Whether it pays I decide on validation images, over several seeds. It depends on how well the
# features fit, more than on a number of images: where they fit, there is little to gain; where they
# do not, there is more, if there are labels enough. And I look at shifted images as well, since
# fine-tuning can win in distribution and lose outside."
#
# ### What they ask next
#
# **You have 300 labelled images and one hour. What do you do?** Features, logistic regression, a
# look at the errors. Then the last blocks, three rates, on validation images. Stop if the gain lies
# within the noise.
#
# **Why a smaller rate for fine-tuning?** The weights are good already. Adam's first steps are about
# as large as the rate whatever the gradient, and large steps destroy what was learned. Chapter
# [03](03_learning_rates.ipynb) measures it.
#
# **Does a frozen backbone overfit less?** There are fewer weights to fit, so usually yes. But the
# head alone has more weights than you have labels, and it fits 500 training images nearly perfectly.
#
# **Can you cache features if you augment?** Only if you cache the features of the augmented images
# too, a few versions of each. A new random version in every epoch has to go through the backbone.
#
# **How would you know that fine-tuning took place?** Snapshot before, compare after: which weights
# moved. A falling loss is no proof, since the head alone can do that.
#
# **What about language models?** The same choice, with a third way in between: adapters such as LoRA
# train a small addition to frozen weights.
#
# ### Red flags
#
# - "Below 1,000 images extract features, above 10,000 fine-tune", without a word on the target.
# - "I froze 70 % of the model" by counting layers.
# - Fine-tuning with a random head on top, or without a new compile.
# - A gain of one point, from one seed, on the images that chose the rate.
# - "`requires_grad = False`, so it is frozen", with BatchNorm in train mode.
#
# ## Test yourself
#
# Run the next cell. A click on a choice says why it is right or wrong. Some questions go further
# than this chapter.

# %%
from tlcourse import interview

interview.show_quiz("02")

# %% [markdown]
# A click turns a card. They hold the question of this chapter, what is asked next, and questions
# that go further. `tlcourse interview` asks them again when you are about to forget.

# %%
interview.show_flashcards("02")

# %% [markdown]
# ## Go on
#
# - [Exercises](../exercises/02_extract_or_finetune.ipynb): write the part that matters yourself,
#   and find the bugs.
# - Try it: set `WAYS` to another depth, or another rate, and run the chapter with another `SEED`.
# - Next chapters: [03](03_learning_rates.ipynb) on learning rates, [05](05_what_to_freeze.ipynb) on
#   which layers to freeze, [09](09_two_stages.ipynb) on the two stages. Chapter
#   [07](07_preprocessing.ipynb) is about what goes into the backbone.
# - Papers: Yosinski et al. 2014, [How transferable are features in deep neural
#   networks?](https://arxiv.org/abs/1411.1792) · Kornblith et al. 2019, [Do better ImageNet models
#   transfer better?](https://arxiv.org/abs/1805.08974) · Kumar et al. 2022, [Fine-tuning can distort
#   pretrained features](https://arxiv.org/abs/2202.10054) · Lee et al. 2023, [Surgical
#   fine-tuning](https://arxiv.org/abs/2210.11466).
