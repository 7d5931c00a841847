# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · Which learning rate?
#
# **The question.** *"Why do we fine-tune with a small learning rate? What happens with a large
# one?"*
#
# **The 30-second answer.** The weights of a pretrained **backbone** are good already, so most
# directions away from them are worse. The **learning rate** says how far a training step goes. With
# Adam, the first step of every single weight is about as long as the rate, whatever the gradient.
# Twenty steps at 1e-2 move the weights by most of their own length, and what the
# backbone knew is gone, not just out of tune with the classifier. So you stay well below the rate
# that you would use from scratch. How far below depends on the optimizer: the same number is
# harmless in plain SGD and fatal in Adam. A warm-up and a decay make a rate that is somewhat too
# large bearable. Layer-wise rates are worth one try, not your faith. Pick the rate on validation
# images, in steps of three or ten.
#
# In this chapter you sweep the rate over six powers of ten, see what moves, find out why, and try
# schedules and layer-wise rates against one tuned rate. Then you meet a schedule that multiplies
# itself away. It takes about two minutes, and nothing is downloaded. Your run uses one seed; behind
# it the figures show the **committed runs**, made with several seeds and stored with the course.
# `claims.record` keeps what your run measured, `claims.reference` reads what the committed runs
# measured.

# %% tags=["parameters"]
PROFILE: str = "quick"  # quick | full
SEED: int = 0  # every random choice follows from it

# %%
from tlcourse import config

run = config.begin("03", PROFILE, SEED)

# %%
import keras
import numpy as np
from keras.optimizers import schedules

from tlcourse import claims, data, evaluation, freezing, models, training
from tlcourse import visualization as viz

viz.style()

# %% [markdown]
# ## Predict first
#
# Commit to five guesses before you see a number. Leave `None` where you have no idea.
#
# - **adam**, **sgd**: you fine-tune at 1e-6, 1e-5, … 1e-1. What is the largest of these rates that
#   still ends within five points of the best one, with Adam and with plain SGD? Write 1e-3 or the
#   like.
# - **step**: one gradient is 1,000 times as large as another. How many times as long is Adam's
#   first step?
# - **layers**: how many points do layer-wise rates gain over one tuned rate?
# - **plateau**: a schedule is meant to warm up to 1e-5 and stay there. The callback compounds. What
#   is the rate in epoch 5?

# %%
guess = {"adam": None, "sgd": None, "step": None, "layers": None, "plateau": None}


def compare(key, measured, unit):
    """Show a guess beside what came out."""
    said = "no guess" if guess[key] is None else f"you guessed {guess[key]:g}"
    print(f"{key}: {measured:.3g} {unit} ({said})")


# %% [markdown]
# ## One start for everything
#
# Everything below starts from the same place: EfficientNet-Lite0, the first thirteen of its
# eighteen blocks frozen, the last five and the head trainable, every BatchNormalization frozen. The
# head is **fitted** first, by logistic regression on the frozen features, so that no random head
# disturbs the picture; chapter [09](09_two_stages.ipynb) is about that. What lies before the last
# five blocks never changes, so its output, the **activations**, is computed once, and each run
# trains only the rest, `suffix` in the code. **Features** are what the head sees: 1,280 numbers for
# each image.
#
# Three sets of images, none of which shares an image with another: training, **validation** to
# compare rates, and test images, looked at only when a choice has been made.

# %%
BATCH, LAST = 20, 5
LABELS, EPOCHS = run.choose(quick=(200, 2), full=(1000, 5))
VALIDATION, TEST = run.choose(quick=(400, 500), full=(1000, 2000))
animals = data.load("animals")
x, y = animals.subset(LABELS + VALIDATION, SEED)
labels = np.concatenate([y, animals.y_test[:TEST]])
train = slice(0, LABELS)
validation = slice(LABELS, LABELS + VALIDATION)
test = slice(LABELS + VALIDATION, None)

model = models.build_classifier(10)
freezing.unfreeze(model, last=LAST)
images = np.concatenate([x, animals.x_test[:TEST]])
suffix, activations = training.cached_prefix(model, images)
blocks = freezing.find_backbone(suffix)


# %%
def features(part):
    """Pooled features of one part of the images, as the blocks make them now."""
    maps = blocks.predict(activations[part], batch_size=100, verbose=0)
    return np.nan_to_num(maps.mean(axis=(1, 2)))


def accuracy(found, part):
    """Accuracy of the model's present head on features."""
    head = training.Head(*map(np.nan_to_num, model.get_layer("head").get_weights()))
    return head.accuracy(found, labels[part])


original = {name: features(part) for name, part in (("train", train), ("validation", validation))}
start = training.fit_head(original["train"], labels[train], 10)
training.set_head(model, start)
before = freezing.snapshot(suffix)
frozen_head = accuracy(original["validation"], validation)
print(f"the fitted head, before any fine-tuning: {frozen_head:.1%} of the validation images")

# %% [markdown]
# ## Experiment 1: six powers of ten, two optimizers
#
# `training.sweep` trains at one rate after the other, each time from the same weights, with the
# same batches in the same order, and with an optimizer that remembers nothing. Only the rate
# differs. SGD here is the plain one: a step is the rate times the gradient. Adam is the one that
# nearly all fine-tuning code uses.
#
# Four things are kept of each run: the accuracy on validation images; how far the **weights** of
# the five blocks moved, as a share of their length, the root of the sum of their squares; how far
# the **features** of the validation images moved, as a share of theirs; and, for Adam, the accuracy
# of a **new head**, fitted to the moved features as the first one was to the original ones. And of
# each run's very first step, how far it moved every block.

# %%
RATES = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
first_step = {}


class FirstStep(keras.callbacks.Callback):
    """Keep how far the first step moved each part."""

    def on_train_begin(self, logs=None):
        self.moved = None

    def on_train_batch_end(self, batch, logs=None):
        if self.moved is None:
            self.moved = training.weights_moved(suffix, before).parts


watch = FirstStep()
SETTINGS = {"epochs": EPOCHS, "batch_size": BATCH, "seed": SEED}


# %%
def finite(value):
    """A run that overflowed counts as having moved a million lengths."""
    return float(np.nan_to_num(value, nan=1e6, posinf=1e6))


def outcome(again=False):
    """What the training that has just ended did; `again` fits a new head to its features."""
    now = features(validation)
    found = {
        "accuracy": accuracy(now, validation),
        "weights": finite(training.weights_moved(suffix, before).backbone.relative),
        "features": finite(training.features_moved(now, original["validation"])),
    }
    if again:
        head = training.fit_head(features(train), labels[train], 10)
        found["new head"] = head.accuracy(now, labels[validation])
    return found


# %%
found, candidates = {"SGD": {}, "Adam": {}}, {}
for name in found:
    options = {**SETTINGS, "optimizer": name.lower(), "callbacks": (watch,)}
    for rate, _ in training.sweep(suffix, activations[train], y[:LABELS], RATES, **options):
        found[name][rate] = outcome(again=name == "Adam")
        first_step[name, rate] = watch.moved
        if name == "Adam" and rate in RATES[1:4]:
            candidates[rate] = accuracy(features(test), test)

# %%
lines = {name: [found[name][rate]["accuracy"] for rate in RATES] for name in found}
lines["Adam, new head"] = [found["Adam"][rate]["new head"] for rate in RATES]
moves = {
    f"{what}, {name}": [found[name][rate][what] for rate in RATES]
    for what in ("features", "weights")
    for name in found
}
claims.record("03-sweep", accuracy=lines, moves=moves, frozen_head=frozen_head)


def committed(key, quantity):
    """The lines of the committed runs, by name."""
    past = {}
    for entry in claims.reference(key, profile=PROFILE):
        for name, values in entry["measured"][quantity].items():
            past.setdefault(name, []).append(values)
    return past


# %% [markdown]
# Rates stand on a logarithmic axis. The dashed line is the fitted head, before fine-tuning. Follow
# *Adam* from the left: at the smallest rates nothing happens, then there is a short stretch where
# fine-tuning can gain anything, then a cliff. Now follow *SGD*: the same shape, shifted to the
# right. Pale bands, where you see them, are the committed runs.

# %%
COLORS = {"SGD": "orange", "Adam": "blue", "Adam, new head": "green"}
ax = viz.curves(
    RATES, lines, log_x=True, percent=True, colors=COLORS,
    committed=committed("03-sweep", "accuracy"),
    xlabel="learning rate", ylabel="validation accuracy, %",
    title="The same number is safe in SGD and fatal in Adam",
)  # fmt: skip
ax.axhline(100 * frozen_head, color=viz.PALETTE["grey"], linestyle="--", linewidth=1.2)


def largest_usable(rates, scores):
    """The largest rate that ends within five points of the best one."""
    return max(r for r, score in zip(rates, scores, strict=True) if score >= max(scores) - 0.05)


usable = {name: largest_usable(RATES, lines[name]) for name in found}
compare("adam", usable["Adam"], "is the largest usable rate")
compare("sgd", usable["SGD"], "is the largest usable rate")

# %% [markdown]
# The green line asks what was lost. If a large rate had only driven the head and the features
# apart, a new head would bring the accuracy back. Look where the green line falls clearly below the
# dashed one: from there on the **features** are damaged, and no head can repair them. Where the
# blue line lies below the green one, that part of the loss is repairable.
#
# How far did things move? Both axes are logarithmic here. Read it at the largest usable rate of
# each optimizer, then one step of ten to the right.

# %%
ax = viz.curves(
    RATES, moves, log_x=True, xlabel="learning rate",
    ylabel="distance moved / length before", title="How far the weights and the features moved",
    log_y=True,
    colors={"features, SGD": "amber", "weights, SGD": "orange", "features, Adam": "sky",
            "weights, Adam": "blue"},
)  # fmt: skip

# %%
for name in found:
    one = found[name][usable[name]]
    print(f"{name} at {usable[name]:g}: weights moved by {one['weights']:.1%} of their length,")
    print(f"    features by {one['features']:.0%}, accuracy {one['accuracy']:.1%}")

# %% [markdown]
# Two things are worth knowing by heart. First, a change of the weights by a percent is a large one:
# thousands of weights that feed one number, each moved a little in the direction that the same few
# images ask for, add up. Second, "the features moved" is not "the features got worse": in the
# usable range they move a lot, and the accuracy stays. What counts is the direction, and only the
# accuracy tells you about it.
#
# ## Experiment 2: why, in one weight
#
# A well-known explanation takes a weight of 0.345, a gradient of 2.1 and a rate of 0.01, and
# multiplies: the weight becomes 0.324. That is the arithmetic of **plain SGD**. The code beside it
# uses **Adam**, which divides the gradient by a running estimate of its own size. In the first step
# that estimate is the gradient itself, so what is left is its sign: the step is the rate.

# %%
toy_steps = {}
for optimizer in (keras.optimizers.SGD, keras.optimizers.Adam):
    for gradient in (2.1, 0.0021):
        weight = keras.Variable(0.345)
        optimizer(0.01).apply([keras.ops.convert_to_tensor(gradient)], [weight])
        toy_steps[optimizer.__name__, gradient] = 0.345 - float(weight.numpy())
for (name, gradient), step in toy_steps.items():
    print(f"{name:>4}, gradient {gradient:<6}: step {step:.6f}")
ratio = {name: toy_steps[name, 2.1] / toy_steps[name, 0.0021] for name in ("SGD", "Adam")}
compare("step", ratio["Adam"], "times as long")

# %% [markdown]
# So multiply a whole loss by a constant. To SGD that is the same as multiplying the rate; to Adam
# it is nothing. For the loss `c (w - 1)² / 2` from `w = 0`, one step of SGD multiplies the distance
# from the minimum by `1 - rate · c`. After t steps it is `|1 - rate · c|` to the power t: the
# dotted lines, computed without any optimizer. At a rate of 0.05, c = 50 gives a factor of 1.5 a
# step, and the weight runs away. Adam's two curves lie on top of each other.


# %%
def path(optimizer, c, steps=18):
    """Distance from the minimum of c (w - 1)² / 2 after each step, from w = 0."""
    weight, distances = keras.Variable(0.0), [1.0]
    for _ in range(steps):
        optimizer.apply([c * (weight - 1.0)], [weight])
        distances.append(abs(float(weight.numpy()) - 1))
    return distances


paths = {
    f"{optimizer.__name__}, loss × {c}": path(optimizer(0.05), c)
    for optimizer in (keras.optimizers.SGD, keras.optimizers.Adam)
    for c in (1, 50)
}
closed = {c: np.abs(1 - 0.05 * c) ** np.arange(19.0) for c in (1, 50)}

# %%
ax = viz.curves(
    range(19), paths, log_y=True, xlabel="step", ylabel="distance from the minimum",
    title="A larger loss is a larger rate, but only to SGD",
    colors={"SGD, loss × 1": "amber", "SGD, loss × 50": "orange", "Adam, loss × 1": "sky",
            "Adam, loss × 50": "blue"},
)  # fmt: skip
for distances in closed.values():
    ax.plot(distances, ":", color=viz.PALETTE["grey"], zorder=5)

# %% [markdown]
# The orange line runs away while the amber one comes in: to SGD fifty times the loss is fifty times
# the rate. The two blue lines are one. The next cell says how closely the lines and the dots agree.

# %%
difference = max(
    np.max(np.abs(np.array(paths[f"SGD, loss × {c}"]) / closed[c] - 1)) for c in closed
)
apart = np.max(np.abs(np.subtract(paths["Adam, loss × 1"], paths["Adam, loss × 50"])))
print("SGD follows the closed form within 0.1 %:", bool(difference < 1e-3))
print("Adam's two paths agree within 1e-5:", bool(apart < 1e-5))

# %% [markdown]
# The real network says the same. Here is the very first step of two runs of the sweep: the typical
# change of a weight in each block (the root mean square), divided by the rate. For SGD this is the
# size of the gradient. Look how far the orange squares are from 1, and from each other; and how
# close to 1 the blue dots stay, from block to block. They lie a little below 1, because a weight
# whose gradient is exactly zero does not move. The distance between the colours is why SGD's cliff
# lies further to the right. The cliff is not shifted by the whole distance: once things go wrong,
# gradients grow, and SGD's steps with them.
#
# So small updates of a block under SGD come from small gradients; under Adam they come from the
# rate, and from nothing else.

# %%
first = {
    part: {
        "Adam": first_step["Adam", 1e-3][part].rms / 1e-3,
        "SGD": first_step["SGD", 1e-1][part].rms / 1e-1,
    }
    for part in first_step["Adam", 1e-3]
}
ax = viz.paired_dots(
    first, xlabel="typical change of a weight in the first step / rate",
    title="The first step, block by block", colors={"Adam": "blue", "SGD": "orange"},
)  # fmt: skip
scale = ax.set_xscale("log")

# %% [markdown]
# A fitted head names nearly all its training images correctly, so its loss and its gradients are
# small. SGD then takes small steps by itself. Adam takes steps of full length all the same. That is
# why "start from a fitted head" protects less under Adam than one might think.
#
# ## Experiment 3: against training from scratch
#
# *"The fine-tuning rate should be 10 to 100 times smaller than the rate from scratch."* Here is a
# small network trained from scratch on the same images by Adam, at the three largest rates. It gets
# more steps than fine-tuning does, because it starts from nothing. `order` repeats the shuffled
# images until there are enough for all steps.

# %%
SCRATCH_RATES = RATES[3:]
SCRATCH_STEPS = run.choose(quick=100, full=600)
network = models.small_cnn(10, x.shape[1:])
order = np.concatenate(
    [np.random.default_rng(i).permutation(LABELS) for i in range(32 * SCRATCH_STEPS // LABELS + 1)]
)[: 32 * SCRATCH_STEPS]
scratch = {}
for rate, _ in training.sweep(network, x[order], y[order], SCRATCH_RATES, epochs=1, seed=SEED):
    likely = network.predict(x[validation], batch_size=100, verbose=0)
    scratch[rate] = evaluation.accuracy(likely, labels[validation])
usable["scratch"] = largest_usable(SCRATCH_RATES, list(scratch.values()))
claims.record("03-scratch", accuracy=list(scratch.values()))
for rate, score in scratch.items():
    print(f"from scratch, Adam at {rate:g}: {score:.1%}")

# %%
shown = {"fine-tuning, Adam": "Adam", "from scratch, Adam": "scratch", "fine-tuning, SGD": "SGD"}
ax = viz.dots(
    {name: usable[key] for name, key in shown.items()}, log_x=True,
    xlabel="largest rate within five points of the best", title="How large is too large?",
)  # fmt: skip
ticks = ax.set_xticks(RATES, [f"{rate:g}" for rate in RATES])

# %% [markdown]
# Compare the first two rows: same optimizer, and the limit of fine-tuning lies below that of
# training from scratch, by the folklore's factor or less. Then look at the third row: the same
# fine-tuning with another optimizer takes about as large a rate as training from scratch does. The
# optimizer decides more than the word "fine-tuning". A rate without its optimizer, as in most
# tables, says nothing. With momentum 0.9, SGD adds up about ten steps, so its usable rate is about
# ten times smaller than plain SGD's. BiT (Kolesnikov and others, 2020) fine-tunes with momentum SGD
# from 0.003.
#
# The best rate within the usable range is another matter. The range is flat, and which of its rates
# wins by a point is noise with 400 validation images. So search in steps of three or ten, not
# finer.
#
# ## Experiment 4: warm-up and decay
#
# A **schedule** changes the rate from step to step. A **warm-up** lets it rise at the start, while
# Adam's estimates rest on a few batches; a **decay** lets it fall at the end, so that the last
# steps are small. Keras brings these as objects that you give to the optimizer in place of a
# number. They count **steps**, not epochs. Four of them, over the steps of one run:

# %%
STEPS = EPOCHS * -(-LABELS // BATCH)
WARMUP, PEAK = STEPS // 5, 1e-3
kept = {
    "warm-up, cosine": schedules.CosineDecay(
        0.0, STEPS - WARMUP, warmup_target=PEAK, warmup_steps=WARMUP
    ),
    "linear": schedules.PolynomialDecay(PEAK, STEPS, end_learning_rate=0.0),
    "exponential": schedules.ExponentialDecay(PEAK, STEPS // 4, 0.5),
    "in steps": schedules.PiecewiseConstantDecay([STEPS // 2], [PEAK, PEAK / 10]),
}
by_step = {name: [1e3 * float(rate(i)) for i in range(STEPS)] for name, rate in kept.items()}
ax = viz.curves(
    range(STEPS), by_step, xlabel="step", ylabel="rate, thousandths",
    title="Schedules that Keras brings along",
)  # fmt: skip

# %% [markdown]
# Does it help? Take Adam at 1e-3 and at 1e-2, put the first schedule around each as its peak, and
# compare with the constant rate of experiment 1, at the same number of steps. Mind that such a
# schedule also halves the mean rate.

# %%
PEAKS = [1e-3, 1e-2]
shapes = [
    schedules.CosineDecay(0.0, STEPS - WARMUP, warmup_target=peak, warmup_steps=WARMUP)
    for peak in PEAKS
]
tuned = training.sweep(suffix, activations[train], y[:LABELS], shapes, **SETTINGS)
scheduled = {peak: outcome()["accuracy"] for peak, _ in zip(PEAKS, tuned, strict=True)}
best_constant = max(lines["Adam"])
rows = {
    f"peak {peak:g}": {
        "constant": found["Adam"][peak]["accuracy"],
        "warm-up, cosine": scheduled[peak],
    }
    for peak in PEAKS
}
claims.record("03-schedules", rows={peak: [scores] for peak, scores in rows.items()})

# %%
past = {}
for entry in claims.reference("03-schedules", profile=PROFILE):
    for peak, runs in entry["measured"]["rows"].items():
        for way, score in runs[0].items():
            past.setdefault(peak, {}).setdefault(way, []).append(score)
ax = viz.paired_dots(
    rows, percent=True, committed=past, xlabel="validation accuracy, %",
    title="Adam by peak rate, with and without a schedule",
)  # fmt: skip
for level, style in ((frozen_head, ":"), (best_constant, "--")):
    ax.axvline(100 * level, color=viz.PALETTE["grey"], linestyle=style, linewidth=1.2)

# %% [markdown]
# The dotted line is the fitted head, the dashed one the best constant rate of experiment 1. At 1e-3
# the outcome of a constant rate is a matter of luck: a few unlucky batches decide, and the band of
# the committed runs is wide. See whether the schedule takes the luck out. At 1e-2 see whether it
# saves anything at all. A schedule makes a peak that is somewhat too large bearable. It does not
# replace the search for a rate.
#
# ## Experiment 5: layer-wise rates
#
# Early blocks are general, late ones special, so early ones should move less: **layer-wise** rates,
# also called discriminative. In PyTorch you give the optimizer a list of **parameter groups**:
#
# ```python
# import torch
#
# head = list(model.classifier.parameters())          # by module, never by a piece of a name
# of_head = {id(p) for p in head}
# body = [p for p in model.parameters() if id(p) not in of_head]
# optimizer = torch.optim.Adam([{"params": body, "lr": 1e-5}, {"params": head, "lr": 1e-3}])
# ```
#
# You will see the first two lines written as `if "fc" in name`. That fits ResNet, whose head is
# named `fc`. In torchvision's EfficientNet and MobileNetV3 the head is named `classifier`, and
# `fc1` and `fc2` are small layers inside the backbone. There the large rate goes to the backbone,
# and the head gets the small one. Names, read off such a model:

# %% tags=["nbval-check-output"]
names = [
    "features.1.0.block.1.fc1.weight", "features.1.0.block.1.fc2.weight", "features.8.0.weight",
    "classifier.1.weight",
]  # fmt: skip
print("gets the head's rate:", [name for name in names if "fc" in name])

# %% [markdown]
# Keras' Adam takes no groups. `MultiOptimizer` holds one optimizer for each part, found by a
# regular expression on the variable's path. Both on a network of two layers:

# %%
base, top = keras.layers.Dense(8, name="base"), keras.layers.Dense(2, "softmax", name="head")
toy = keras.Sequential([keras.Input((4,)), base, top])
groups = [{"params": base.weights, "lr": 1e-5}, {"params": top.weights, "lr": 1e-3}]
try:
    keras.optimizers.Adam(groups)
    raised = ""
except ValueError as error:
    raised = type(error).__name__
print("Adam with a list of groups:", raised or "accepted")

by_path = keras.optimizers.OptimizerMap(
    keras.optimizers.Adam(1e-5), {".*head/.*": keras.optimizers.Adam(1e-3)}
)
toy.compile(keras.optimizers.MultiOptimizer(by_path), "sparse_categorical_crossentropy")
was = toy.get_weights()
toy.fit(np.random.default_rng(0).normal(size=(32, 4)), np.arange(32) % 2, batch_size=32, verbose=0)
largest = [float(np.abs(a - b).max()) for a, b in zip(toy.get_weights(), was, strict=True)]
print(f"largest change in one step: base {max(largest[:2]):.2e}, head {max(largest[2:]):.2e}")

# %% [markdown]
# A pattern can catch too much in Keras as well. Lite0's last block is named `top`, and many a head
# is called "the top". `training.rates_of` asks the compiled optimizer which part really trains at
# which rate. `training.layer_wise` builds the same thing from exact names of blocks, and refuses a
# name that matches nothing, matches twice or leaves something out.

# %% tags=["nbval-check-output"]
meant_for_the_head = {".*(top|head).*": keras.optimizers.Adam(1e-3)}
by_path = keras.optimizers.OptimizerMap(keras.optimizers.Adam(1e-5), meant_for_the_head)
suffix.compile(keras.optimizers.MultiOptimizer(by_path))
print("by pattern:", training.rates_of(suffix))
try:
    training.layer_wise(suffix, {"classifier": 1e-3})
except ValueError as error:
    print("by name:", error)

# %% [markdown]
# Now the comparison. ULMFiT (Howard and Ruder, 2018) divides the rate by 2.6 from each layer to the
# one below; `training.decayed` does so block by block. A fair comparison has **equal budgets**:
# three candidates each, the same epochs, both picked on the same validation images, and only then
# one look at the test images. The candidates of layer-wise rates lie one power of ten higher,
# because only the head gets the full rate.

# %%
layered = {}
three = [training.decayed(suffix, top) for top in RATES[2:5]]
print({part: f"{rate:.1e}" for part, rate in three[0].items()})
for rates, _ in training.sweep(suffix, activations[train], y[:LABELS], three, **SETTINGS):
    layered[rates["head"]] = [accuracy(features(part), part) for part in (validation, test)]

# %%
one_rate = max(candidates, key=lambda rate: found["Adam"][rate]["accuracy"])
top_rate = max(layered, key=lambda rate: layered[rate][0])
picked = {
    "fitted head": start.accuracy(features(test), labels[test]),
    f"one rate, {one_rate:g}": candidates[one_rate],
    f"layer-wise, head {top_rate:g}": layered[top_rate][1],
}
gain = layered[top_rate][1] - candidates[one_rate]
claims.record("03-layers", test=list(picked.values()), gain=gain)
compare("layers", 100 * gain, "points")
ax = viz.dots(
    picked, percent=True, xlabel=f"test accuracy, % ({TEST} images)",
    title="Layer-wise rates against one, both tuned",
)  # fmt: skip

# %% [markdown]
# Look at the axis before you look at the dots: it spans a few points only. The committed runs, where
# there are several, say what the gain is over seeds.

# %%
past = [entry["measured"]["gain"] for entry in claims.reference("03-layers", profile=PROFILE)]
if len(past) > 1:
    gains = evaluation.mean_interval([100 * gain for gain in past])
    print(f"gain in {len(past)} committed runs, points: {gains}")

# %% [markdown]
# With 500 test images a difference of one point is five images. ULMFiT's own gains came from text
# classification, with several tricks together. Whether layer-wise rates pay in your case is a
# question of the same kind as the rate itself: try it with an equal budget, and keep what wins
# clearly.
#
# There is one more catch. The schedule of experiment 4 by a callback, together with layer-wise
# rates:

# %% tags=["nbval-check-output"]
same_for_all = keras.callbacks.LearningRateScheduler(lambda epoch: 1e-4)
by_callbacks = {}
for callbacks in ((), (same_for_all,)):
    few = {**SETTINGS, "epochs": 1, "callbacks": callbacks}
    for _ in training.sweep(suffix, activations[:BATCH], y[:BATCH], three[:1], **few):
        by_callbacks[len(callbacks)] = training.rates_of(suffix)
before_callback, after_callback = by_callbacks[0], by_callbacks[1]
print("without:", before_callback)
print("with:   ", after_callback)

# %% [markdown]
# The callback visits the optimizer of every part and sets the same rate everywhere. Without a word,
# the layer-wise rates are gone. Give each part a schedule object of its own instead:
# `layer_wise` takes one in place of a number.
#
# ## What the books say, and what we measured
#
# Each line is a **claim**: an assertion with a rule that was fixed before the run. Two are
# exceptions: that on *10 to 100 times smaller*, and in that on the warm-up the part on 1e-3. They
# were written after seed 0 had been seen, so for them the other seeds are the evidence. The table
# beside each shows your numbers and those of the committed runs. *Unsettled* means that the
# committed runs disagree with each other.
#
# *"A large learning rate destroys the pretrained features."*

# %% tags=["nbval-check-output"]
adam = {rate: found["Adam"][rate]["accuracy"] for rate in RATES}
verdict = claims.check(
    "q03-adam-1e-2", adam_1e_2=adam[1e-2], adam_1e_5=adam[1e-5], frozen_head=frozen_head
)

# %% [markdown]
# *"Then put a new head on it."*

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q03-features-gone", refitted=found["Adam"][1e-2]["new head"], frozen_head=frozen_head
)

# %% [markdown]
# *"1e-2 is a rate for training from scratch, never for fine-tuning."*

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q03-sgd-1e-2", sgd_1e_2=found["SGD"][1e-2]["accuracy"], adam_1e_2=adam[1e-2],
    frozen_head=frozen_head,
)  # fmt: skip

# %% [markdown]
# *"0.345 minus 0.01 times 2.1"*, beside code that says `Adam`.

# %% tags=["nbval-check-output"]
of_adam = [step for (name, _), step in toy_steps.items() if name == "Adam"]
verdict = claims.check(
    "q03-update-arithmetic", all_adam_steps_low=min(of_adam), all_adam_steps_high=max(of_adam),
    sgd_ratio=ratio["SGD"],
)  # fmt: skip

# %% [markdown]
# *"10 to 100 times smaller than from scratch."*

# %% tags=["nbval-check-output"]
decades = {name: round(float(np.log10(rate))) for name, rate in usable.items()}
verdict = claims.check(
    "q03-ratio-10-100", decades_below_scratch=decades["scratch"] - decades["Adam"],
    decades_sgd_above_adam=decades["SGD"] - decades["Adam"],
)  # fmt: skip

# %% [markdown]
# *"Use a warm-up, then the large rate is fine."*

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q03-schedule-rescue", scheduled_1e_2=scheduled[1e-2], scheduled_1e_3=scheduled[1e-3],
    constant_1e_3=adam[1e-3], frozen_head=frozen_head, best_constant=best_constant,
)  # fmt: skip

# %% [markdown]
# *"Pass Adam a list of parameter groups"*, in a Keras listing.

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q03-keras-param-groups", raises=int(raised == "ValueError"), backbone_step=max(largest[:2]),
    head_step=max(largest[2:]),
)  # fmt: skip

# %% [markdown]
# *"Even better: different rates for different layers."*

# %% tags=["nbval-check-output"]
verdict = claims.check("q03-discriminative-better", gain=gain)

# %% [markdown]
# *"Fine-tuning takes it from 70 % to 85 %"*, beside code that has just put a new head on the
# backbone. That head knows nothing yet. Ten of them, on the frozen features:

# %% tags=["nbval-check-output"]
frozen_test = features(test)
guesses = [
    evaluation.accuracy(
        frozen_test @ np.asarray(keras.initializers.GlorotUniform(SEED * 10 + i)((1280, 10))),
        labels[test],
    )
    for i in range(10)
]
verdict = claims.check(
    "q03-start-at-70", mean_random=float(np.mean(guesses)), fitted=picked["fitted head"]
)

# %% [markdown]
# *"Schedule the layer-wise rates with a callback."*

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "k08-schedule-flattens-groups", before=len(set(before_callback.values())),
    after=len(set(after_callback.values())),
)  # fmt: skip

# %% [markdown]
# ## The trap: a schedule that multiplies itself away
#
# This function is meant to warm up over five epochs to 1e-5, hold that, and halve it every five
# epochs from epoch 25 on. Call it by hand, and it does. Its second argument has a default, so
# nobody passes one.
#
# Nobody but Keras. `LearningRateScheduler` calls `schedule(epoch, rate)`, with the rate that is set
# at that moment. The default never counts. What the function made of the rate in one epoch is what
# it gets in the next one, and the factors multiply.


# %%
def schedule(epoch, initial_rate=1e-5):
    """Warm up over five epochs, hold, then halve every five."""
    if epoch < 5:
        return initial_rate * (epoch + 1) / 5
    return initial_rate / 2 ** max(0, (epoch - 20) // 5)


def history_of_rates(function, epochs=32):
    """The rates that Keras sets, from the history of a real fit."""
    inputs = keras.Input((1,))
    one_weight = keras.Model(inputs, keras.layers.Dense(1, use_bias=False)(inputs))
    one_weight.compile(keras.optimizers.SGD(1e-5), "mse")
    callback = keras.callbacks.LearningRateScheduler(function)
    kept = one_weight.fit(
        np.ones((2, 1)), np.ones(2), epochs=epochs, callbacks=[callback], verbose=0
    )
    return kept.history["learning_rate"]


compounded = history_of_rates(schedule)
intended = history_of_rates(lambda epoch: schedule(epoch))
compare("plateau", compounded[5], "instead of 1e-05")

# %% [markdown]
# The only difference between the two curves is `lambda epoch:`, which hides the second argument.
# The axis is logarithmic. Look at epoch 5, where the plateau should be, and at what the halvings do
# once they multiply as well.

# %%
ax = viz.curves(
    range(32), {"intended": intended, "what Keras sets": compounded}, xlabel="epoch",
    ylabel="learning rate", title="One function, called in two ways", log_y=True,
    colors={"intended": "blue", "what Keras sets": "orange"},
)  # fmt: skip

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "k08-lr-schedule", two_arguments_5=compounded[5], two_arguments_29=compounded[29],
    one_argument_5=intended[5],
)  # fmt: skip

# %% [markdown]
# **The price.** Nothing fails, the loss still falls a little, and the history shows the rate only
# to those who print it. Here are the five epochs of warm-up on a third of the images, towards the
# rate that the sweep found best, in both ways. Compare how far the weights got. In points of
# accuracy it costs what fine-tuning would have gained: you paid for the epochs and kept, more or
# less, the head that you had. On so few images that gain is about nothing, so do not look for the
# price in the last number. Where fine-tuning gains much, it is much.

# %%
third = slice(0, LABELS // 3)
way = {
    "intended": lambda epoch: schedule(epoch, one_rate),
    "compounded": lambda epoch, rate=one_rate: schedule(epoch, rate),
}
price = {}
for name, function in way.items():
    callback = keras.callbacks.LearningRateScheduler(function)
    for _, history in training.sweep(
        suffix,
        activations[third],
        y[third],
        [one_rate],
        callbacks=(callback,),
        **{**SETTINGS, "epochs": 5},
    ):
        price[name] = {**outcome(), "loss": history["loss"][-1]}
    print(
        f"{name:>10}: weights moved by {price[name]['weights']:.2%}, training loss "
        f"{price[name]['loss']:.4f}, accuracy {price[name]['accuracy']:.1%}"
    )

# %% [markdown]
# **The check.** `training.check_schedule` calls the function in both ways before anything is
# trained, and says where they part. `training.preview` gives the rates that Keras would set.

# %% tags=["nbval-check-output"]
print(training.check_schedule(schedule, epochs=32, learning_rate=1e-5))
print(training.check_schedule(lambda epoch: schedule(epoch), epochs=32, learning_rate=1e-5))

# %% [markdown]
# The cures: let the function take the epoch alone, or use a schedule object of Keras, which cannot
# compound because it computes the rate from the number of steps. And plot the rate of every run,
# as you plot its loss.
#
# ## The 3-minute answer
#
# "The weights are good already, so I want to stay near them, and the learning rate decides how far
# I go. How far a rate goes depends on the optimizer. Plain SGD moves by rate times gradient, and
# behind a fitted head gradients are small. Adam divides the gradient by its own size, so its first
# steps are about the rate for every weight, whatever the gradient.
#
# I have swept it: with a fitted head and BatchNormalization frozen, Adam is safe up to about 1e-4,
# a gamble at 1e-3, and at chance at 1e-2. A new head does not bring the accuracy back there, so it
# is the features that are damaged. Plain SGD takes ten to a hundred times more. So a rule like 'ten
# to a hundred times below scratch' means nothing if the optimizers differ, and is an upper bound at
# best if they do not.
#
# In practice I fit the head first, sweep three or four rates in steps of three or ten on validation
# images, with one or two epochs each, and take the middle of the flat part. I add a short warm-up
# and a cosine decay, since they cost nothing and forgive a peak that is somewhat too large. I try
# layer-wise rates with an equal budget; on my images they did not beat one tuned rate. And I plot
# the rate, because a callback can do something else than I meant."
#
# ### What they ask next
#
# **How do you see that the rate is too large?** The training loss jumps up in the first epoch,
# above that of the fitted head. In the middle of the cliff it falls again later, and looks healthy:
# compare with where it started.
#
# **And too small?** The weights have not moved and the accuracy is that of the head. Measure the
# distance; a flat loss alone has several causes.
#
# **Does the batch size matter?** For SGD a common rule scales the rate with the batch; for Adam,
# with its square root. Both are starting points for a sweep.
#
# **Why warm up at all?** Adam's estimate of the gradient's size rests on a few batches at first,
# and its early steps are full-sized. A warm-up makes them small until the estimate means something.
#
# **Does scaling the gradients of early layers give layer-wise rates?** In SGD, yes. In Adam, no: it
# divides the scale out again. Scale the rate.
#
# **Weight decay?** In Adam with decoupled decay, each step also pulls every weight towards zero, by
# rate times decay. Towards zero is not towards the pretrained weights; chapter
# [04](04_forgetting.ipynb) has a penalty that is.
#
# ### Red flags
#
# - A learning rate without its optimizer.
# - The SGD formula as an explanation of what Adam does.
# - "It started at 70 %" with a new, random head.
# - Layer-wise rates compared with one rate that nobody tuned.
# - Groups chosen by `if "fc" in name`.
# - A schedule that nobody has plotted.
#
# ## Test yourself
#
# Run the next cell. A click on a choice says why it is right or wrong. Some questions go further
# than this chapter.

# %%
from tlcourse import interview

interview.show_quiz("03")

# %% [markdown]
# A click turns a card. They hold the question of this chapter, what is asked next, and questions
# that go further. `tlcourse interview` asks them again when you are about to forget.

# %%
interview.show_flashcards("03")

# %% [markdown]
# ## Go on
#
# - [Exercises](../exercises/03_learning_rates.ipynb): write the part that matters yourself,
#   and find the bugs.
# - Try it: give `LAST` another value, or put `keras.optimizers.SGD(momentum=0.9)` into the sweep.
#   Does the cliff move by a factor of ten?
# - Before this: chapter [02](02_extract_or_finetune.ipynb) on when to fine-tune at all. Next:
#   chapter [04](04_forgetting.ipynb) on what is forgotten, [05](05_what_to_freeze.ipynb) on what to
#   freeze, [09](09_two_stages.ipynb) on the two stages.
# - Papers: Kingma and Ba 2015, [Adam](https://arxiv.org/abs/1412.6980) · Howard and Ruder 2018,
#   [Universal language model fine-tuning](https://arxiv.org/abs/1801.06146) · Kolesnikov et al.
#   2020, [Big Transfer](https://arxiv.org/abs/1912.11370) · Li et al. 2020, [Rethinking the
#   hyperparameters for fine-tuning](https://arxiv.org/abs/2002.11770).
