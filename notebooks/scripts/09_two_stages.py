# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 09 · One stage or two?
#
# **The question.** *"Why do people train the head first and fine-tune afterwards? What happens if
# you train everything at once?"*
#
# **The 30-second answer.** In **stage one** the backbone is frozen and only the new classifier, the
# **head**, is fitted. In **stage two** some or all of the backbone is unfrozen, and both go on
# together at a small learning rate. The reason that everybody gives is that a random head sends
# random gradients into a good backbone. That is true of the gradients. What it costs is another
# question: it depends on the optimizer, the rate and the number of epochs. Two stages are the safe
# and cheap default, because stage one takes seconds and gives most of the accuracy at once. They
# are no law: one stage with a rate of its own, and some more epochs, comes close, a head of zeros
# needs no stage one, and more than two stages have to prove themselves.
#
# In this chapter you look at what a head sends back, watch features move step by step, and compare
# four ways at equal epochs and at equal seconds, on images like those of training and on damaged
# ones. Then you meet a fault of stage one that nobody sees in the training accuracy. It takes about
# a minute and a half. Nothing is downloaded. Your run uses one seed; behind it the figures show the
# **committed runs**, made with several seeds and stored with the course. `claims.record` keeps what
# your run measured, `claims.reference` reads what the committed runs measured.

# %% tags=["parameters"]
PROFILE: str = "quick"  # quick | full
SEED: int = 0  # every random choice follows from it

# %%
from tlcourse import config

run = config.begin("09", PROFILE, SEED)

# %%
import time

import keras
import numpy as np

from tlcourse import claims, data, evaluation, freezing, models, training
from tlcourse import visualization as viz

viz.style()

# %% [markdown]
# ## Predict first
#
# Commit to five guesses before you see a number. Leave `None` where you have no idea.
#
# - **zero step**: how far do the features move in the very first step, in percent of their length,
#   if the head starts with all weights zero?
# - **ten steps**: and after ten steps of Adam, how many times as far as with a random head?
# - **early**: after two passes over 300 images, how many points of test accuracy is two-stage ahead
#   of single-stage?
# - **late**: and after five passes?
# - **damaged**: and then on blurred, noisy and sheared images? Negative if you expect a loss.

# %%
guess = {"zero step": None, "ten steps": None, "early": None, "late": None, "damaged": None}


def compare(key, measured, unit):
    """Show a guess beside what came out."""
    said = "no guess" if guess[key] is None else f"you guessed {guess[key]:g}"
    print(f"{key}: {measured:.3g} {unit} ({said})")


# %% [markdown]
# ## The two recipes
#
# In this course, two stages are one call. `fine_tune` inside it unfreezes, compiles and fits.
#
# ```python
# model = models.build_classifier(10)                      # frozen backbone, random head
# training.two_stage(model, x, y, last=5, epochs=4, learning_rate=1e-4)
# ```
#
# Single-stage is the same without the first half. Every listing that puts a new head on a
# backbone, unfreezes and fits is of this kind, also in texts that warn against it.
#
# ```python
# freezing.unfreeze(model, last=5)                         # the head is still random
# training.train(model, x, y, epochs=5, learning_rate=3e-4)
# ```
#
# **Progressive unfreezing** opens the backbone from the head towards the input, stage by stage, and
# compiles anew at each.
#
# ```python
# training.progressive(model, x, y, stages=(2, 5), epochs=(1, 3), learning_rate=1e-4)
# ```
#
# And a **zero head** is single-stage with another start: all weights of the head are 0, so at first
# every class is equally likely for every image.
#
# ```python
# training.reset_head(model, "zero")
# ```
#
# Here the backbone is EfficientNet-Lite0, the images are 300 silhouettes of animals, and the last
# five of its 18 blocks are trained, which hold most of its parameters. What stays frozen before
# them is computed once, for the test images too. Every **BatchNormalization** of the backbone, a
# layer that standardises with a stored mean and variance, stays frozen in all ways; chapter
# [05](05_what_to_freeze.ipynb) shows why.

# %%
SEEDS = run.seeds(run.choose(quick=1, full=5))
LABELS, BATCH = 300, 32  # ten steps in a pass
PASSES = run.choose(quick=5, full=10)
TEST = run.choose(quick=400, full=None)  # test images, from the start of the fixed test set
DAMAGED = run.choose(quick=slice(0, 300), full=slice(None))  # and those shown damaged
SHIFTS = ("blur", "noise", "shear")

animals = data.load("animals")
test, truth = animals.x_test[:TEST], animals.y_test[:TEST]
sets = {"as it is": test}
sets |= {kind: evaluation.corrupt(test[DAMAGED], kind, 2, seed=SEED) for kind in SHIFTS}
labels = {kind: truth if kind == "as it is" else truth[DAMAGED] for kind in sets}

# %%
model = models.build_classifier(10)
imagenet = model.get_weights()
opened = freezing.unfreeze(model, last=5)
part, scored = training.cached_prefix(model, np.concatenate(list(sets.values())))
ends = np.cumsum([len(images) for images in sets.values()])[:-1]
activations = dict(zip(sets, np.split(scored, ends), strict=True))
backbone = freezing.find_backbone(part)
print(f"{opened.share:.0%} of the backbone's parameters are trainable")

# %% [markdown]
# A few helpers, each of one thought: compute features with the backbone as it is now, score
# backbone and head as they are now, draw the labels of a seed and fit their head. `pretrained`
# keeps the test images' features under the ImageNet weights. The trap of this chapter is about
# `floor`.


# %%
def features_of(images):
    """Pooled features `(N, 1280)` of what passed the frozen prefix."""
    return backbone.predict(images, batch_size=100, verbose=0).mean((1, 2))


def head_now():
    return training.Head(*model.get_layer("head").get_weights())


def score(kind):
    return head_now().accuracy(features_of(activations[kind]), labels[kind])


def draw(seed):
    x, y = animals.subset(LABELS, seed)
    model.set_weights(imagenet)
    freezing.unfreeze(part, last=5)
    shown = training.cached_prefix(model, x)[1]
    start = time.perf_counter()
    found = features_of(shown)
    fitted = training.fit_head(found, y, 10, floor=1.0)
    return shown, y, found, fitted, time.perf_counter() - start


pretrained = {kind: features_of(images) for kind, images in activations.items()}


# %% [markdown]
# ## Experiment 1: what a head sends back
#
# During training, the loss of an image reaches the backbone through the head and in no other way.
# For a softmax head, the gradient that arrives is a product: the **error**, probabilities minus the
# one-hot label, times the head's weights. So it can be computed without training anything. Three
# heads, the same features:
#
# - **random**: as Keras starts a Dense layer;
# - **zero**: all weights 0;
# - **fitted**: by logistic regression, what stage one gives.

# %%
shown, y, found, fitted, head_seconds = draw(SEEDS[0])
heads = {"fitted": fitted}
for start in ("random", "zero"):
    training.reset_head(model, start, SEED)
    heads[start] = head_now()
sent = {name: training.gradient_sent_back(heads[name], found, y) for name in heads}
lengths = {name: float(np.linalg.norm(sent[name], axis=1).mean()) for name in heads}
ax = viz.dots(
    {name: lengths[name] for name in ("random", "fitted", "zero")},
    xlabel="length of the gradient that reaches the features, mean over images",
    title="What three heads send back, before the first step",
)

# %% [markdown]
# Look at the two short ones, and at why they are short. A fitted head has weights, but hardly any
# error is left on its training images. A zero head has plenty of error, but weights of zero, and
# anything times zero is zero: exactly.
#
# Is the long one *random*? Compare directions, by the cosine: 1 is the same direction, 0 is a right
# angle. Two random heads see the same images and the same labels. And look at the loss that each
# head starts with: without any knowledge it is the logarithm of the number of classes.

# %%
training.reset_head(model, "random", SEED + 1)
other = training.gradient_sent_back(head_now(), found, y)
cosine = np.sum(sent["random"] * other) / np.linalg.norm(sent["random"]) / np.linalg.norm(other)
print(f"cosine between what two random heads send back: {cosine:.2f}")
for name, head in heads.items():
    loss = -np.log(head.probabilities(found)[np.arange(len(y)), y]).mean()
    print(f"loss at the start, {name} head: {loss:.2f}; ln 10 = {np.log(10):.2f}")

# %% [markdown]
# So the folklore has a true core: what a random head sends back says where *this head* wants the
# features, and hardly anything about the images. The loss gives you a check that costs one pass:
# before you fine-tune, score the training images. A loss at ln(classes) or above means that the
# head has learned nothing yet, whatever the text around the code calls the stage.
#
# ## Experiment 2: how far the features move
#
# A long gradient is not yet a long way. Take the first pass, ten steps of 32 images, and measure
# after steps 1, 2, 5 and 10 how far the features of 100 test images are from where they were, as a
# share of their length. Do it with **SGD**, whose step is the gradient times the rate, and with
# **Adam**, which divides each step by the recent size of the gradient. Within an optimizer the rate
# is the same for all heads: SGD 0.01, Adam 0.0001.

# %%
STEPS = (1, 2, 5, 10)
probe = activations["as it is"][:100]


def first_steps(start, optimizer, rate):
    """How far the features are from their start after some of the first ten steps."""
    model.set_weights(imagenet)
    training.set_head(model, heads[start])
    before, moved = pretrained["as it is"][:100], []

    def look(batch, logs=None):
        if batch + 1 in STEPS:
            moved.append(training.features_moved(features_of(probe), before))

    config.set_seed(SEEDS[0])
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=look)
    training.train(
        part, shown, y, epochs=1, batch_size=BATCH, learning_rate=rate, optimizer=optimizer,
        callbacks=(watch,),
    )  # fmt: skip
    return moved


# %%
moved = {"SGD": {}, "Adam": {}}
for start in heads:
    moved["SGD"][start] = first_steps(start, "sgd", 1e-2)
refitted = {}
for start in heads:
    moved["Adam"][start] = first_steps(start, "adam", 1e-4)
    training.set_head(model, training.fit_head(features_of(shown), y, 10, floor=1.0))
    refitted[f"after ten steps, {start} head"] = score("as it is")
untouched = fitted.accuracy(pretrained["as it is"], truth)
claims.record("09-moved", moved=moved)

# %% [markdown]
# Left SGD, right Adam. Look at the order of the three lines in each panel, and at the first point
# of *zero*. Then at the height of the axis.

# %%
figure, axes = viz.plt.subplots(1, 2, figsize=(11, 4.2))
past = claims.reference("09-moved", profile=PROFILE)
for ax, (optimizer, lines) in zip(axes, moved.items(), strict=True):
    behind = {name: [p["measured"]["moved"][optimizer][name] for p in past] for name in lines}
    viz.curves(
        range(len(STEPS)), lines, percent=True, ax=ax, xlabel="steps", title=optimizer,
        ylabel="features moved, % of their length" if optimizer == "SGD" else "",
        committed=behind if past else None,
    )  # fmt: skip
    ax.set_xticks(range(len(STEPS)), STEPS)
compare("zero step", 100 * moved["Adam"]["zero"][0], "% of their length")
compare("ten steps", moved["Adam"]["zero"][-1] / moved["Adam"]["random"][-1], "times as far")

# %% [markdown]
# With SGD the textbook is right: the random head starts with large steps, the fitted one with small
# ones, and the zero head leaves the features exactly where they are. For one step: then it has
# weights, its error is still large, and it catches up.
#
# With Adam the picture changes. Adam divides the size of the gradient out, so a small gradient of a
# fitted head makes steps as large as any, and the zero head, after its one idle step, overtakes
# both and has moved the features *furthest* after ten. "It sends small gradients" protects nothing
# under the optimizer that nearly everybody uses; only a small rate does.
#
# And is far the same as harmful? Fit a new head on the moved features and score it. The dashed line
# is the head on the features as they were.

# %%
ax = viz.dots(
    refitted, percent=True, baseline=untouched, xlabel="test accuracy of a newly fitted head, %",
    title="Were the features harmed in the first ten steps?",
)  # fmt: skip
limits = ax.set_xlim(100 * untouched - 12, 100 * untouched + 8)

# %% [markdown]
# Look for a dot far to the left of the line: that would be harm. A point is four of 400 images, so
# dots within two points of the line say nothing. Movement is not damage: features may move to where
# your classes come apart. The committed runs of the random head are in a claim below.
#
# ## Experiment 3: four ways, at equal epochs and at equal time
#
# To compare fairly, fix what is compared. A **pass** is one run over the 300 training images. Stage
# one reads each image once, so its head counts as a pass, although it is cheaper than one. Every
# way gets the same number, and BatchNormalization is frozen in all of them.
#
# Each way has **its own rate**, the best on 400 validation images after five passes. They were
# drawn from the training part with seeds 100 and 101, which no committed run uses. Tried were 1e-4,
# 3e-4 and 1e-3 from a random and from a zero head, and 3e-5, 1e-4 and 3e-4 from a fitted one;
# progressive unfreezing got 3e-5 and 1e-4 only. The outermost rates were tried with one of the two
# seeds.

# %%
COLORS = {"single": "orange", "zero head": "green", "two-stage": "blue", "progressive": "purple"}
RATES = {"single": 3e-4, "zero head": 3e-4, "two-stage": 1e-4, "progressive": 3e-5}
START = {"single": "random", "zero head": "zero", "two-stage": "fitted", "progressive": "fitted"}


def inputs_for(last, shown):
    """The trainable rest of the model, and what goes into it: training and test images."""
    freezing.unfreeze(part, last=last)
    images = np.concatenate([shown, activations["as it is"]])
    rest, images = (part, images) if last == 5 else training.cached_prefix(part, images)
    return rest, images[:LABELS], images[LABELS:]


rest, images, _ = inputs_for(2, shown)  # compile now, so that no pass below has to
warm = training.train(rest, images[:64], y[:64], epochs=1, learning_rate=1e-4, batch_size=BATCH)


# %%
def tune(way, seed, drawn):
    """Train in one of the ways; give test accuracy and seconds, pass by pass."""
    shown, y, _, fitted, head_seconds = drawn
    model.set_weights(imagenet)
    training.set_head(model, {**heads, "fitted": fitted}[START[way]])
    config.set_seed(seed)
    accuracy, seconds = [], []
    if START[way] == "fitted":
        accuracy, seconds = [fitted.accuracy(pretrained["as it is"], truth)], [head_seconds]
    left = PASSES - len(accuracy)
    for last, epochs in [(2, 1), (5, left - 1)] if way == "progressive" else [(5, left)]:
        rest, images, scored = inputs_for(last, shown)
        history = training.train(
            rest, images, y, epochs=epochs, learning_rate=RATES[way], batch_size=BATCH,
            validation=(scored, truth),
        )  # fmt: skip
        accuracy, seconds = accuracy + history["val_accuracy"], seconds + history["seconds"]
    return accuracy, list(np.cumsum(seconds))


# %%
after, clock, shifted = {}, {}, {kind: [] for kind in sets}
for seed in SEEDS:
    drawn = (shown, y, found, fitted, head_seconds) if seed == SEEDS[0] else draw(seed)
    head = drawn[3]
    ends = {"head only": {kind: head.accuracy(pretrained[kind], labels[kind]) for kind in sets}}
    for way in RATES:
        accuracy, seconds = tune(way, seed, drawn)
        after.setdefault(way, []).append(accuracy)
        clock.setdefault(way, []).append(seconds)
        ends[way] = {"as it is": accuracy[-1], **{kind: score(kind) for kind in SHIFTS}}
    for kind in sets:
        shifted[kind].append({way: found[kind] for way, found in ends.items()})
claims.record("09-passes", after=after)
claims.record("09-shift", rows=shifted)

# %% [markdown]
# Left, equal passes. Right, the same points at the seconds they took; the wait for compiling, which
# does not grow with the data, is left out. Look first at the left end: how far apart the ways are
# after one pass, and after two. Then at the right end, and at the width of the pale bands of the
# committed runs there.

# %%
figure, (left, right) = viz.plt.subplots(1, 2, figsize=(12, 4.6), sharey=True)
past = claims.reference("09-passes", profile=PROFILE)
behind = {way: [one for p in past for one in p["measured"]["after"][way]] for way in RATES}
viz.curves(
    range(1, PASSES + 1), after, percent=True, ax=left, committed=behind if past else None,
    xlabel="passes over the training images", ylabel="test accuracy, %", title="At equal epochs",
    colors=COLORS,
)  # fmt: skip
left.set_xticks(range(1, PASSES + 1))
left.set_ylim(top=100)  # room for the names at the ends
for (way, color), marker in zip(COLORS.items(), "os^D", strict=True):
    spent, reached = np.mean(clock[way], 0), 100 * np.mean(after[way], 0)
    right.plot(spent, reached, color=viz.PALETTE[color], marker=marker, label=way)
right.set(xlabel="seconds of training", title="At equal time")
legend = right.legend(loc="lower right")

# %%
mean = {way: np.mean(after[way], 0) for way in RATES}
early, late = (float(mean["two-stage"][p] - mean["single"][p]) for p in (1, 4))
limit = np.mean(clock["two-stage"], 0)[1]
done = {way: int(np.sum(np.mean(clock[way], 0) <= limit + 1e-9)) for way in RATES}
at_time = {way: float(mean[way][done[way] - 1]) if done[way] else 0.1 for way in RATES}
compare("early", 100 * early, "points")
compare("late", 100 * late, "points")
for way, reached in at_time.items():
    print(f"in the time of the head and one epoch: {way:<12} {reached:.1%}")

# %% [markdown]
# Two readings, and both are right. *If time or epochs are short*, stage one is hard to beat: a
# convex fit on features gives at once what one stage needs several passes for. *If they are not*,
# one stage comes closer, level or a little ahead, because its head gets fitted too, only by steps.
# Texts that train for one epoch, or give both ways the same tiny rate, measure the first case and
# report it as a law.
#
# In the printed lines, a way that had not completed one pass in that time stands at chance, 10 %.
#
# And progressive unfreezing: compare its curve with *two-stage*. It has the same start, and spends
# a pass on the last two blocks before it opens the rest. The two differ in rate as well, although
# the validation images hardly told 3e-5 from 1e-4, so a gap of a few points at the end may be the
# rate's. The idea comes from ULMFiT, a language model of 2018, where it was one of three tricks.
# More stages also mean more rates and lengths to choose.
#
# ### The comparison as it is usually run
#
# Many texts prove the point with a table, and the two stages win by tens of points. Look at the
# code under such a table: the single stage has another rate, the second stage has fewer trainable
# layers, and BatchNormalization moves in one of them. Here is the single stage once more, as such
# code has it: a rate that nobody tuned, and BatchNormalization trainable.

# %%
model.set_weights(imagenet)
training.set_head(model, heads["random"])
freezing.unfreeze(part, last=5, batch_norm="trainable")
config.set_seed(SEEDS[0])
usual = training.train(
    part, shown, y, epochs=3, learning_rate=1e-4, batch_size=BATCH,
    validation=(activations["as it is"], truth),
)["val_accuracy"][-1]  # fmt: skip
model.set_weights(imagenet)

# %% [markdown]
# From the first dot to the second is what two stages win here after three passes. From the second
# to the third is what two other differences cost, and a table with only the first and the third row
# credits all of it to the stages.

# %%
two, one = (after[way][0][2] for way in ("two-stage", "single"))
ax = viz.dots(
    {"two-stage": two, "single, own rate, frozen BatchNorm": one, "single, as usually run": usual},
    percent=True, xlabel="test accuracy after three passes, %",
    title="What the lead of two stages is made of",
)  # fmt: skip

# %% [markdown]
# Before you believe a comparison, write down everything that differs between its arms. One thing
# should be on that list.
#
# ### How progressive unfreezing is often written
#
# Two mistakes in listings of this recipe are exact, so they can be shown without training. The
# first speaks of a `model.base`, which no Keras model has. The second is silent: it sets the whole
# backbone trainable, then freezes what comes before a cut, and moves the cut in each stage. Read
# how many arrays are trainable after each line.

# %% tags=["nbval-check-output"]
try:
    model.base.trainable = True
except AttributeError as error:
    print(str(error).split("\n")[0])
inner = freezing.find_backbone(model)
freezing.freeze(model)
for cut in (100, 50, 0):
    inner.trainable = True
    for layer in inner.layers[:cut]:
        layer.trainable = False
    print(f"layers frozen before {cut:>3}: {len(inner.trainable_weights)} arrays trainable")
for last in (2, 5, 18):
    freezing.unfreeze(model, last=last)
    print(f"freezing.unfreeze, last {last:>2} blocks: {len(inner.trainable_weights)} arrays")

# %% [markdown]
# The loop prints one number three times: on TensorFlow, setting `trainable = True` where it is True
# already is skipped, so what an earlier stage froze stays frozen. The later stages never come, and
# the loss goes on falling as if they had. `freezing.unfreeze` sets the whole state each time, so
# its numbers rise. Print that number at every stage; it costs nothing.
#
# ## Experiment 4: when the test images are damaged
#
# The best known result on two stages is about images **out of distribution**, that is, unlike those
# of training. Kumar and others (2022) found over ten data sets that fine-tuning with a random head
# gained about 2 points in distribution and lost about 7 out of distribution against the head alone.
# Two stages, which they call LP-FT, linear probing and then fine-tuning, gained about 1 and 10
# points against fine-tuning. Here are the models of experiment 3 at their last pass, on the 400
# test images as they are, and on the first 300 of them blurred, noisy and sheared. Nobody trained
# on damaged images.


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
    {kind: over_seeds(runs) for kind, runs in shifted.items()}, percent=True,
    committed=committed("09-shift"), xlabel="test accuracy, %",
    title="300 animals: as in training, and damaged", colors={"head only": "grey", **COLORS},
)  # fmt: skip

# %%
damage = {
    way: float(np.mean([[r[way] for r in shifted[kind]] for kind in SHIFTS]))
    for way in ("head only", *RATES)
}
ood = damage["two-stage"] - damage["single"]
compare("damaged", 100 * ood, "points, the mean of three kinds of damage")
for way, value in damage.items():
    print(f"mean over the damaged images: {way:<12} {value:.1%}")

# %% [markdown]
# Read row by row, the marks first: the pale bands of the committed runs overlap, which is a result
# as well. Does the order of the top row hold in the others? Look in which row the ways differ most.
# And look at *noise*: *head only* shows there what the pretrained features, left as they are, make
# of such images.
#
# That is the limit of the explanation by **feature distortion**: that a random head bends the
# features away from the pretrained ones, and that two stages keep them close. Closeness is worth
# much where the pretrained features already cope with the shift, as ImageNet features cope with
# photographs of another origin. Where they do not, such as noise on silhouettes, there is less to
# keep. Measure it on the shift that you expect.

# %% [markdown]
# ## What the books say, and what we measured
#
# Each line is a **claim**: an assertion with a rule that was fixed before the run, on what the
# tuning seeds had shown. The table under it shows your numbers and those of the committed runs.
# *Unsettled* means that the committed runs disagree with each other.
#
# *"A random head sends harmful gradients into the backbone."*

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q09-head-gradient", zero_gradient=lengths["zero"], fitted_gradient=lengths["fitted"],
    random_gradient=lengths["random"], zero_first_step=moved["SGD"]["zero"][0],
    sgd_fitted=moved["SGD"]["fitted"][-1], sgd_random=moved["SGD"]["random"][-1],
)  # fmt: skip

# %% [markdown]
# *"Small gradients keep the features where they are."*

# %% tags=["nbval-check-output"]
ten = {f"adam_{start}": far[-1] for start, far in moved["Adam"].items()}
verdict = claims.check("q09-adam-movement", **ten)

# %% [markdown]
# *"A few steps with a random head, and the pretrained features are gone."* Three points are twelve
# of 400 images, hardly more than two heads differ by chance, so a run can cross that line. If it is
# unsettled, look at the size in the table: a loss of some points at the most, and nothing is gone.

# %% tags=["nbval-check-output"]
harm = untouched - refitted["after ten steps, random head"]
verdict = claims.check("q09-random-head-harm", harm=harm)

# %% [markdown]
# *"Training everything at once is clearly worse."* When? Where this is unsettled, it is the early
# lead that wavers: after two passes, how good a random head has become differs much by seed, as the
# pale band of *single* shows.

# %% tags=["nbval-check-output"]
verdict = claims.check("q09-single-stage-bad", early_lead=early, late_lead=late)

# %% [markdown]
# *"But two stages take longer."* Seconds decide this one, so a busy machine can turn it.

# %%
verdict = claims.check(
    "q09-equal-time", lead_at_equal_time=at_time["two-stage"] - at_time["single"]
)

# %% [markdown]
# *"You cannot do without stage one."*

# %% tags=["nbval-check-output"]
gain = {way: float(mean[way][4] - mean["two-stage"][4]) for way in RATES}
verdict = claims.check("q09-zero-head", zero_minus_two_stage=gain["zero head"])

# %% [markdown]
# *"Fitting the head first makes fine-tuning ten points more robust."* That is the mean over the ten
# data sets of a paper. On these three kinds of damage?

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q09-lp-ft-shift", ood_lead=ood, over_head_alone=damage["two-stage"] - damage["head only"]
)

# %% [markdown]
# *"The more stages, the better."* The rule reads one pass, the fifth, and from pass to pass a line
# goes up and down by some points, as *two-stage* does in the figure. That is about the three points
# of the rule, so a few runs do not settle it.

# %% tags=["nbval-check-output"]
verdict = claims.check("q09-progressive-best", progressive_minus_two_stage=gain["progressive"])

# %% [markdown]
# *"Our table shows it."*

# %% tags=["nbval-check-output"]
verdict = claims.check("q09-usual-comparison", usual_lead=two - usual, fair_lead=two - one)

# %% [markdown]
# ## The trap: a head that hangs on dead features
#
# Stage one has a fault of its own, and we made it ourselves before we measured this chapter. The
# recipe is standard: standardise the features, fit a logistic regression, fold the scaling into the
# weights. Some of the 1,280 features hardly ever fire on your few images, so their standard
# deviation is tiny. Dividing by it makes them look like any other feature, so they get an ordinary
# weight, and folding the division back multiplies that weight by hundreds.
#
# On the training images nothing shows. On an image that makes such a feature fire, the head says
# what this one feature says. Stage two makes features fire that did not, and so does damage. The
# cure is a **floor**: divide no feature by less than the median deviation.

# %%
pair = {"no floor": training.fit_head(found, y, 10, floor=0.0), "floor": fitted}
for name, head in pair.items():
    print(
        f"{name + ':':<9} {head.accuracy(found, y):.1%} of the training images, "
        f"{len(training.overweighted(head))} overweighted features, "
        f"largest weight {np.abs(head.kernel).max():.2g}"
    )

# %% [markdown]
# The price, with the backbone untouched: two heads on the same features. Both name the training
# images equally well, as printed above. Look at the rows of damaged images.

# %%
rows = {
    kind: {name: head.accuracy(pretrained[kind], labels[kind]) for name, head in pair.items()}
    for kind in sets
}
claims.record("09-floor", rows={kind: [scores] for kind, scores in rows.items()})
ax = viz.paired_dots(
    rows, percent=True, committed=committed("09-floor"), xlabel="test accuracy, %",
    title="Two fitted heads, one backbone", colors={"no floor": "orange", "floor": "blue"},
)  # fmt: skip

# %% tags=["nbval-check-output"]
count = {name: len(training.overweighted(head)) for name, head in pair.items()}
verdict = claims.check(
    "q09-stretched-head", overweighted_without=count["no floor"], overweighted_with=count["floor"],
    noise_gain=rows["noise"]["floor"] - rows["noise"]["no floor"],
)  # fmt: skip

# %% [markdown]
# The check is `training.overweighted(head)`. It names features whose weights are more than 50 times
# as long as the median feature's; run it between the stages. `two_stage` and `progressive` fit with
# a floor. In other libraries, look at the largest weight of the fitted layer, and be wary of a
# scaler folded into it.
#
# You have met two more checks in passing: the loss at the start, which is ln(classes) or above if
# there was no stage one, and the number of trainable arrays, printed at every stage.
#
# ## The 3-minute answer
#
# "Stage one fits the head on the frozen backbone, stage two unfreezes and goes on with a small
# rate. The reason is the gradient: what reaches the backbone is the error times the head's weights,
# so a random head pulls the features in directions that depend on its random weights. A fitted head
# has hardly any error left, and a head of zeros sends exactly nothing in its first step.
#
# But I would not say that one stage ruins the backbone. Adam divides the size of the gradient out,
# so the rate decides how far features move, and far is not the same as harmful: at a rate fit for
# fine-tuning, ten steps with a random head leave features that a new head reads about as well. What
# happens is that one stage needs several passes to get a useful head, and two stages have it at
# once. So two stages lead clearly after one pass and mostly after two, and the lead shrinks or
# turns when training is longer, given a tuned rate and frozen BatchNormalization.
#
# My default is two stages: the first costs seconds, gives me the baseline, and tells me whether
# fine-tuning adds anything. I start the second with a new compile, a smaller rate, and
# BatchNormalization frozen. More stages have to win at equal epochs before I pay for them.
#
# Out of distribution, Kumar and others found that fitting the head first keeps robustness that
# fine-tuning from a random head loses. It depends on whether the pretrained features are robust to
# that shift, so I test on it."
#
# ### What they ask next
#
# **Why is the gradient of a zero head zero only once?** After one step the head has weights, and
# from the second on the backbone gets a gradient. The error is still large, so it soon gets a lot.
#
# **When would you use a single stage?** With much data and long training, where the start is
# forgotten; BiT fine-tunes everything at once, from a zero head. Or with a larger rate for the head
# than for the backbone, which is a little of both; chapter [03](03_learning_rates.ipynb) is about
# such rates.
#
# **Which rate in which stage?** Logistic regression needs none. A head trained by steps starts from
# nothing and takes a large one, 1e-3 with Adam; the backbone takes a tenth to a hundredth of it,
# tuned.
#
# **Does a fitted head prevent overfitting?** No. It fits a few hundred images nearly perfectly by
# itself.
#
# **What do you reset between the stages?** The optimizer: its memory belongs to other weights and
# another rate. Compiling with a new optimizer does it.
#
# **You read that two stages gained 20 points. What do you look at?** The rates,
# BatchNormalization, the number of epochs and of seeds, and whether the head alone is in the table.
#
# ### Red flags
#
# - "A random head destroys the backbone", without a rate or an optimizer in the sentence.
# - A table in which the two arms differ in rate, epochs and BatchNormalization.
# - Epochs of stage one that are not counted.
# - Progressive unfreezing that never prints how much is trainable.
# - `unfreeze`, then `fit`, right after a new head, under a heading "fine-tuning".
#
# ## Test yourself
#
# Run the next cell. A click on a choice says why it is right or wrong. Some questions go further
# than this chapter.

# %%
from tlcourse import interview

interview.show_quiz("09")

# %% [markdown]
# A click turns a card. They hold the question of this chapter, what is asked next, and questions
# that go further. `tlcourse interview` asks them again when you are about to forget.

# %%
interview.show_flashcards("09")

# %% [markdown]
# ## Go on
#
# - [Exercises](../exercises/09_two_stages.ipynb): write the part that matters yourself,
#   and find the bugs.
# - Try it: give `RATES["single"]` the rate of two-stage, and see the usual result appear. Or set
#   `LABELS` to 600.
# - More: chapter [02](02_extract_or_finetune.ipynb) on whether to fine-tune at all,
#   [03](03_learning_rates.ipynb) on rates, [05](05_what_to_freeze.ipynb) on what to freeze. Next:
#   chapter [10](10_is_it_working.ipynb) on how to know whether it works.
# - Papers: Kumar et al. 2022, [Fine-tuning can distort pretrained
#   features](https://arxiv.org/abs/2202.10054) · Howard and Ruder 2018, [Universal language model
#   fine-tuning](https://arxiv.org/abs/1801.06146) · Kolesnikov et al. 2020, [Big
#   Transfer](https://arxiv.org/abs/1912.11370) · Lee et al. 2023, [Surgical
#   fine-tuning](https://arxiv.org/abs/2210.11466).
