# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 08 · Crossing domains
#
# **The question.** *"How does transfer learning work across domains, say from photographs to
# medical images? What has to be adapted?"*
#
# **The 30-second answer.** First I ask which difference it is: of the look of the images, of the
# classes, or of their shares. Then I ask whether I have target labels. If so, this is supervised
# transfer: features, a head, then fine-tuning, with a small network from scratch as the baseline.
# If there are none, it is **unsupervised domain adaptation**: a labelled **source**, an unlabelled
# **target**, the same classes. I look at the images and undo by preprocessing or augmentation what
# I can name. I compute BatchNormalization statistics on the target, which costs one pass. Then I
# align features: CORAL in closed form, or DANN, an adversary behind a gradient reversal. Aligned is
# not the same as right: if the classes have other shares in the target, alignment mixes them up.
# And every setting has to be chosen without target labels, or I have used them after all.
#
# In this chapter you measure how far apart domains are, cross two gaps without a target label, make
# DANN work and make it fail, learn from turned images, and feed a backbone images with one channel
# or five. It takes about three minutes on two cores, and nothing is downloaded. A **domain** is
# where images come from: how they look, and how often each class occurs. Your run uses one
# **seed**, the number that fixes every random choice; the pale **committed runs** in some figures
# are stored runs with several seeds.

# %% tags=["parameters"]
PROFILE: str = "quick"  # quick | full
SEED: int = 0  # every random choice follows from it

# %%
from tlcourse import config

run = config.begin("08", PROFILE, SEED)

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers, ops
from scipy.stats import spearmanr

from tlcourse import adaptation, claims, data, evaluation, features, models, training
from tlcourse import visualization as viz
from tlcourse.preprocessing import preprocess, resize, to_rgb

viz.style()

# %% [markdown]
# ## Predict first
#
# Commit to six guesses before you see a number. Leave `None` where you have no idea. *Points* are
# percentage points of test accuracy, here and everywhere below. A small network is trained on 2,000
# labelled digits of MNIST. It then reads other MNIST digits that were laid over photographs, a
# target called **MNIST-M**, of which it has seen no label.
#
# - **source only**: what percentage of them does it read?
# - **statistics**: how many points come from BatchNormalization statistics of the target alone?
# - **adversary**: and how many from DANN, against source only?
# - **colours**: and how many if, instead, the *source* digits get random colours, and the target is
#   not used at all?
# - **shares**: now the unlabelled target holds the digits 0 to 4 only, twice as many of each. How
#   many points does DANN lose by that on these very digits?
# - **rotation**: how many points does pretraining on turned, unlabelled animals add to 100 labels?

# %%
guess = dict.fromkeys(["source only", "statistics", "adversary", "colours", "shares", "rotation"])


def compare(key, measured, unit):
    """Show a guess beside what came out."""
    said = "no guess" if guess[key] is None else f"you guessed {guess[key]:g}"
    print(f"{key}: {measured:.3g} {unit} ({said})")


# %% [markdown]
# ## The domains
#
# **MNIST-M** is made as its authors made it (Ganin and others, 2016): from each digit, and from a
# patch of a photograph, the absolute difference, colour by colour. They cut patches from 200
# photographs; here it is the eight that come with the course. The digits under the target's
# photographs are others than the 2,000 that carry labels.
#
# The second target is the **UCI digits**: 8 by 8 pixels from other writers, enlarged to 28 by 28.
# Later experiments also use **animals**: grey silhouettes of ten kinds, 28 by 28 pixels.

# %%
STEPS = run.choose(quick=320, full=2000)  # of DANN, 32 images of each domain in a step
EPOCHS = run.choose(quick=6, full=20)  # of plain training on 2,000 images
mnist, digits, animals = (data.load(name) for name in ("mnist", "digits", "animals"))
photos = data.load("photos")

x, y = mnist.subset(4000, SEED)
source, y_source = to_rgb(x[:2000]), y[:2000]


def enlarged(images):
    return to_rgb(np.rint(resize(images, 28)).astype("uint8"))


unlabelled = {
    "MNIST-M": adaptation.on_photographs(x[2000:], photos, SEED),
    "UCI digits": enlarged(digits.x_train),
}
tests = {
    "MNIST": (to_rgb(mnist.x_test), mnist.y_test),
    "MNIST-M": (adaptation.on_photographs(mnist.x_test, photos, SEED + 1), mnist.y_test),
    "UCI digits": (enlarged(digits.x_test), digits.y_test),
}

# %% [markdown]
# Look at the three rows: MNIST, MNIST-M, UCI digits. In the second, white strokes became the
# negative of the photograph below them, so a stroke can be dark or bright, and of any colour. In
# the third the strokes fill the whole picture.

# %%
figure = viz.image_grid([image for images, _ in tests.values() for image in images[:10]])

# %% [markdown]
# Source-only training is plain training. One network of the course, `small_cnn`, serves everywhere:
# three blocks of convolution and BatchNormalization, a hidden layer, a head.

# %%
model = models.small_cnn(10, (28, 28, 3))
initial = model.get_weights()
plain = {"epochs": EPOCHS, "learning_rate": 1e-3, "batch_size": 32}
history = training.train(model, source, y_source, **plain)
source_only = model.get_weights()
hidden = keras.Model(model.input, model.get_layer("hidden").output)


def predict(images):
    return model.predict(images, batch_size=250, verbose=0)


def score(name):
    images, labels = tests[name]
    return evaluation.accuracy(predict(images), labels)


def features_of(images):
    return hidden.predict(images, batch_size=250, verbose=0)


results = {name: {"source only": score(name)} for name in ("MNIST-M", "UCI digits")}
compare("source only", 100 * results["MNIST-M"]["source only"], "% of the MNIST-M digits")

# %% [markdown]
# ## Experiment 1: how wide is the gap?
#
# Three measures, none of which needs a class label, all on the 128 features of the hidden layer.
#
# - **Proxy A-distance**: a linear classifier tells the domains apart, and is judged on images it
#   has not seen. 0 if it can only guess, 2 if it is always right.
# - **MMD**, maximum mean discrepancy: are two images of different domains less alike than two of
#   the same? 0 on average if the domains are the same.
# - **Drift**: how far the mean of a feature moved, in standard deviations that it has in the
#   source; the root mean square over features.
#
# The usual sentence is that transfer suffers as the gap grows. So here are ten sets of digits, with
# the gap of each and the accuracy that it costs: eight changes of the same 500 test digits, the UCI
# digits, and, for zero, other test digits of MNIST that nobody changed. Three of the changes blend
# photographs in, at a quarter of their strength, at half and in full, which is MNIST-M; blur, noise
# and shear are at severity 4 of 5.

# %%
grey, labels = mnist.x_test[:500], mnist.y_test[:500]
changed = {
    "fresh MNIST": to_rgb(mnist.x_test[500:]),
    "negative": 255 - to_rgb(grey),
    "half as bright": to_rgb(grey // 2),
    "photographs, 1/4": adaptation.on_photographs(grey, photos, SEED + 2, 0.25),
    "photographs, 1/2": adaptation.on_photographs(grey, photos, SEED + 2, 0.5),
    "MNIST-M": tests["MNIST-M"][0][:500],
    "blur": evaluation.corrupt(to_rgb(grey), "blur", 4, seed=SEED),
    "noise": evaluation.corrupt(to_rgb(grey), "noise", 4, seed=SEED),
    "shear": evaluation.corrupt(to_rgb(grey), "shear", 4, seed=SEED),
    "UCI digits": tests["UCI digits"][0],
}
truth = dict.fromkeys(changed, labels)
truth |= {"fresh MNIST": mnist.y_test[500:], "UCI digits": digits.y_test}

# %%
near = features_of(to_rgb(grey))
width = adaptation.gaps.median_distance(near)  # one width for all, so that they compare
gaps = {}
for name, images in changed.items():
    far = features_of(images)
    gaps[name] = {
        "proxy A-distance": adaptation.proxy_a_distance(near, far, SEED),
        "MMD": adaptation.mmd(near, far, width),
        "drift": float(np.sqrt((adaptation.drift(near, far) ** 2).mean())),
        "loss": score("MNIST") - evaluation.accuracy(predict(images), truth[name]),
    }
claims.record("08-gaps", rows=gaps)

# %%
figure, axes = plt.subplots(1, 3, figsize=(13, 4.6), sharey=True)
for ax, measure in zip(axes, ("proxy A-distance", "MMD", "drift"), strict=True):
    for i, (name, row) in enumerate(gaps.items()):
        marker = "osD^vPX*dh"[i]
        color = list(viz.PALETTE.values())[i % 7]
        ax.plot(row[measure], 100 * row["loss"], marker, color=color, markersize=9, label=name)
    ax.set(xlabel=measure)
axes[0].set(ylabel="accuracy lost, points", title="Each mark is one change of the digits")
names = axes[0].get_legend_handles_labels()
legend = figure.legend(*names, loc="outside lower center", ncols=5, fontsize=11)

# %% [markdown]
# Ask of each panel: if you had only its horizontal axis, which losses would you foresee? Then look
# for two marks at about the same place with different losses: features say how far the images
# moved, not whether they moved across the border of a class. And look at the right end of the first
# panel. A classifier that tells the domains apart without error cannot do better, so beyond 2 this
# measure shows nothing. The rank correlations are printed below. Ten marks from one task describe
# this task; a real target is one mark, and you do not know the line.

# %%
rank = {}
for measure in ("proxy A-distance", "MMD", "drift"):
    rank[measure] = spearmanr(
        [row[measure] for row in gaps.values()], [row["loss"] for row in gaps.values()]
    ).statistic
    print(f"{measure}: rank correlation with the loss {rank[measure]:.2f}")

# %% [markdown]
# ### And the distance from ImageNet?
#
# Tables name a "similarity": dogs very high, satellites medium, X-rays low. A number is better.
# Take the features of EfficientNet-Lite0, the backbone of this course, pretrained on ImageNet, for
# photographs and for two targets. Measure the gap to the photographs, and what transfer is worth:
# frozen features with a head, less the small network from scratch, with 250 labels each. The eight
# photographs stand for ImageNet, which is a rough stand-in.

# %%
crops, _ = photos.crops(96, per_photo=15, seed=SEED)
photographs = features.extract(crops)
width = adaptation.gaps.median_distance(photographs)
distance, gain = {}, {}
for dataset in (animals, mnist):
    x_few, y_few = dataset.subset(250, SEED)
    few = features.extract(x_few)
    head = training.fit_head(few, y_few, 10)
    scratch = training.train_from_scratch(x_few, y_few, 10, seed=SEED)
    test, labels = dataset.x_test[:300], dataset.y_test[:300]
    said = scratch.predict(test, batch_size=200, verbose=0)
    distance[dataset.name] = adaptation.mmd(photographs, few, width)
    gain[dataset.name] = head.accuracy(features.extract(test), labels) - evaluation.accuracy(
        said, labels
    )
    print(f"{dataset.name}: MMD {distance[dataset.name]:.2f} from the photographs,", end=" ")
    print(f"transfer gains {100 * gain[dataset.name]:+.1f} points over scratch")

# %% [markdown]
# Is the order of the two distances that of the two gains? Even if so, two targets make no law, and
# no table of distances says *how much* transfer is worth, or whether the sign is plus. A head on
# frozen features beside a small network says it in seconds. So measure the gap to learn that there
# is one, and compare targets by training. Chapter [06](06_which_backbone.ipynb) has scores such as
# LogME for the case of many candidates.

# %% [markdown]
# ## Experiment 2: crossing without a target label
#
# Four ways, from cheap to dear.
#
# - **AdaBN**, adaptive batch normalization (Li and others, 2016): pass the unlabelled target once,
#   and store its means and variances in every BatchNormalization. No weight changes.
# - **CORAL**, correlation alignment (Sun and others, 2016): stretch the source *features* until
#   their covariance is the target's, in closed form, and fit a new head on them.
# - **DANN**, a domain-adversarial network (Ganin and others, 2016): a second head tells source from
#   target. Between it and the features stands a **gradient reversal**: forwards it does nothing,
#   backwards it multiplies the gradient by −λ. So the head learns to name the domain, and the
#   features learn to hide it, while they still have to serve the source's labels. λ rises from 0
#   along a ramp, because at first the domain head knows nothing.
# - **Ceiling**: the same network trained on the target's labels. Nobody has them; it is the scale.
#
# The reversal is one line, the same on TensorFlow, JAX and PyTorch:
# `kept = stop_gradient(x); return kept - strength * (x - kept)`. Here is its gradient, read off one
# step of plain gradient descent on 3 times the reversal at strength 0.5.

# %%
inputs = keras.Input((1,))
dense = layers.Dense(1, use_bias=False, kernel_initializer="ones")
toy = keras.Model(inputs, 3 * adaptation.GradientReversal(0.5)(dense(inputs)))
toy.compile(keras.optimizers.SGD(1.0), lambda wanted, said: ops.mean(said))
forwards = float(toy.predict(np.ones((1, 1)), verbose=0)[0, 0])
toy.fit(np.ones((1, 1)), np.zeros((1, 1)), verbose=0)
gradient = 1.0 - float(dense.get_weights()[0][0, 0])
print(f"forwards {forwards:g}, gradient {gradient:g}")

# %% [markdown]
# **How settings are chosen.** No target label may take part, and a validation set with target
# labels would be one. All steps, rates and strengths below were fixed beforehand, on other seeds,
# by a score without labels, which the next experiment explains. The model at the last step counts,
# never the best one on the way. `Adversary.learn` has no argument for target labels. Those of the
# test images draw the figures, and the ceiling has labels by definition.
#
# First the two ways without any training, then the ceiling. `adapt_batch_norm` is AdaBN; it reports
# how far the mean moved in each BatchNormalization, in standard deviations of the source. `note`
# stores what the end of experiment 3 compares.

# %%
candidates = {}


def note(way):
    """What can be seen of the model as it is now; the last one is for us alone."""
    candidates[way] = {
        "information": adaptation.information(predict(unlabelled["MNIST-M"])),
        "source": score("MNIST"),
        "target": score("MNIST-M"),
    }


for name, images in unlabelled.items():
    model.set_weights(source_only)
    near, far = features_of(source), features_of(images)
    aligned = training.fit_head(adaptation.coral(near, far), y_source, 10)
    test_images, labels = tests[name]
    coral_score = aligned.accuracy(features_of(test_images), labels)
    moved = adaptation.adapt_batch_norm(model, images)
    results[name] |= {"AdaBN": score(name), "CORAL": coral_score}
    print(f"{name}: means moved by", ", ".join(f"{m:.2f}" for m in moved.values()), "deviations")

# %%
ceilings = {}
target_labels = {"MNIST-M": y[2000:], "UCI digits": digits.y_train}
for name, images in unlabelled.items():
    model.set_weights(initial)
    config.set_seed(SEED)
    training.train(model, images, target_labels[name], **plain)
    ceilings[name] = score(name)

# %% [markdown]
# Now DANN. The domain head stands on the output of the convolutions, where the authors put it.
# Source and target pass BatchNormalization in batches of their own, so that each is normalised by
# its own statistics, and the target's are stored at the end. `watch` notes the accuracy on 300 test
# images on the way; that is for the figure, and training does not read it.

# %%
model.set_weights(initial)
adversary = adaptation.Adversary(model, features="flatten")
MARKS = [STEPS // 4, STEPS // 2, 3 * STEPS // 4]


def watch_mnist_m():
    images, labels = (part[:300] for part in tests["MNIST-M"])
    return evaluation.accuracy(predict(images), labels)


def learn(adversary, images, **settings):
    settings = {"watch": watch_mnist_m, "marks": MARKS} | settings
    return adversary.learn(source, y_source, images, steps=STEPS, seed=SEED, **settings)


paths, blend = {}, {}
for name, images in unlabelled.items():
    paths[name] = learn(adversary, images)
    blend[name] = score(name)  # with the moving statistics, a blend of both domains
    adaptation.adapt_batch_norm(model, images)
    results[name]["DANN"] = score(name)
    results[name]["ceiling"] = ceilings[name]
    if name == "MNIST-M":
        note("DANN")
        answers = {"all digits": predict(tests[name][0]).argmax(1)}

# %%
claims.record("08-adaptation", rows=results)


def committed(key):
    """The accuracies of the committed runs, for each row and way."""
    found = {}
    for entry in claims.reference(key, profile=PROFILE):
        for row, ways in entry["measured"]["rows"].items():
            for way, value in ways.items():
                found.setdefault(row, {}).setdefault(way, []).append(value)
    return found


ax = viz.paired_dots(
    results, percent=True, committed=committed("08-adaptation"), xlabel="test accuracy, %",
    title="From MNIST, without a target label",
    ax=plt.figure(figsize=(9, 3.6)).add_subplot(),
)  # fmt: skip
for key, way in (("statistics", "AdaBN"), ("adversary", "DANN")):
    won = results["MNIST-M"][way] - results["MNIST-M"]["source only"]
    compare(key, 100 * won, "points on MNIST-M")

# %% [markdown]
# Read each row from *source only* to *ceiling*: that is the gap. How much of it does one pass for
# statistics close? And does DANN, which costs a whole training, close more, on each of the two?
# Dearer need not be better: where much of the gap is one of statistics, the pass alone may go
# further. A thousand test images of MNIST-M make an accuracy near 75 % uncertain by about three
# points, and the 500 of the UCI digits by about four. One training run adds noise of its own: look
# at the pale bands.
#
# The authors' figures for MNIST → MNIST-M are 52.25 % source only, 76.66 % DANN and 95.96 % on
# target labels (Ganin and others, 2016, with all of MNIST; another version of their paper has
# 57.49, 81.49 and 98.91). Ours come from 2,000 labels and eight photographs, so compare
# what share of the gap is closed rather than the accuracies.

# %%
paper = {"source only": 0.5225, "DANN": 0.7666, "ceiling": 0.9596}
for name, row in {"the paper": paper, "here": results["MNIST-M"]}.items():
    share = (row["DANN"] - row["source only"]) / (row["ceiling"] - row["source only"])
    numbers = ", ".join(f"{way} {100 * row[way]:.1f}" for way in paper)
    print(f"{name}: {numbers}; DANN closes {share:.0%} of the gap")

# %% [markdown]
# ### Look before you adapt
#
# Two plain questions come before all of this. **Can preprocessing undo the difference?** MNIST's
# digits are 20 pixels large, in the middle of 28; the enlarged UCI digits fill the frame. Shrink
# them into MNIST's frame. **Can augmentation of the source cover it?** The strokes of MNIST-M have
# any colour on any ground. Give the source digits random colours, without one look at the target.


# %%
def framed(images):
    small = np.rint(resize(images, 20)).astype("uint8")
    return to_rgb(np.pad(small, ((0, 0), (4, 4), (4, 4), (0, 0))))


model.set_weights(source_only)
said = predict(framed(digits.x_test))
first_look = {"UCI digits, in MNIST's frame": evaluation.accuracy(said, digits.y_test)}

rng = np.random.default_rng(SEED)
ground, ink = rng.integers(256, size=(2, len(source), 1, 1, 3))
share = source / 255
coloured = np.rint((1 - share) * ground + share * ink).astype("uint8")
model.set_weights(initial)
config.set_seed(SEED)
both = np.concatenate([source, coloured]), np.tile(y_source, 2)
training.train(model, *both, **{**plain, "epochs": EPOCHS // 2})
first_look["MNIST-M, source in random colours"] = score("MNIST-M")
note("random colours")

# %%
shown = {
    f"{name}, {way}": results[name][way] for name in results for way in ("source only", "DANN")
}
ax = viz.dots(
    dict(sorted({**shown, **first_look}.items(), key=lambda row: (row[0].split(",")[0], row[1]))),
    percent=True, highlight=list(first_look), xlabel="test accuracy, %",
    title="Simple means first (orange)",
)  # fmt: skip
gained = first_look["MNIST-M, source in random colours"] - results["MNIST-M"]["source only"]
compare("colours", 100 * gained, "points on MNIST-M")

# %% [markdown]
# Compare each orange mark with *source only* of its target, and with DANN. Neither of the two used
# a target image in training. They used knowledge: what a frame is, and that colour says nothing
# about a digit. Where you can name the difference, say it in preprocessing or augmentation, and
# then see whether an adversary adds anything. DANN is for what you cannot name. Papers that
# compare adaptation methods seldom print these rows.

# %% [markdown]
# ## Experiment 3: what makes an adversary fail
#
# Two ways to break it, with all else equal. **Place**: the domain head stands on the hidden layer,
# next to the classes, as most listings have it. **Shares**: the unlabelled target holds the digits
# 0 to 4 only, twice as many of each, every one on another patch. They carry no labels for DANN; we
# know only because we made it so. It is as in practice, where a clinic sees no patient with five
# of the ten diseases of the textbook. Both runs are judged on the digits 0 to 4 of the same test
# images.

# %%
few_classes = np.flatnonzero(y[2000:] < 5)
drawn = np.random.default_rng(SEED).permutation(np.tile(few_classes, 2))
skewed = adaptation.on_photographs(x[2000:][drawn], photos, SEED + 3)

paths["only 0 to 4"] = learn(adversary, skewed)
adaptation.adapt_batch_norm(model, skewed)
answers["only 0 to 4"] = predict(tests["MNIST-M"][0]).argmax(1)
low = mnist.y_test < 5
skew = {}
for pool, said in answers.items():
    skew[pool] = float((said == mnist.y_test)[low].mean())
    escaped = (said[low] >= 5).mean()
    print(f"{pool:<14} {skew[pool]:.1%} of the digits 0 to 4 right, {escaped:.1%} named 5 to 9")
compare("shares", 100 * (skew["all digits"] - skew["only 0 to 4"]), "points lost")

# %%
model.set_weights(initial)
deep = adaptation.Adversary(model, features="hidden")
paths["on the hidden layer"] = learn(deep, unlabelled["MNIST-M"])
adaptation.adapt_batch_norm(model, unlabelled["MNIST-M"])
note("DANN, hidden layer")
deep_end = candidates["DANN, hidden layer"]["target"]

# %% [markdown]
# Left, the accuracy on all ten digits of MNIST-M on the way, before the statistics are adapted; the
# dashed line is source only. Right, the loss of the domain head; the dashed line is log 2, the loss
# of a head that cannot tell the domains apart. *Conv features* is the domain head on the output of
# the convolutions, as before. Look at the run on the hidden layer: does its domain loss settle near
# log 2, or does it rise far above it? Above log 2 the head is wrong *and sure*: the features have
# run past it, and what comes back through the reversal is large and points nowhere.

# %%
figure, axes = plt.subplots(1, 2, figsize=(13, 4.5))
mine = {
    "conv features": "MNIST-M",
    "hidden layer": "on the hidden layer",
    "only 0 to 4": "only 0 to 4",
}
ax = viz.curves(
    [*MARKS, STEPS], {name: paths[key]["watched"] for name, key in mine.items()}, percent=True,
    xlabel="steps", ylabel="accuracy on MNIST-M, %", title="The target", ax=axes[0],
)  # fmt: skip
line = ax.axhline(
    100 * results["MNIST-M"]["source only"], linestyle="--", color="grey", linewidth=1
)
ax = viz.curves(
    [*MARKS, STEPS], {name: paths[key]["domain_loss"] for name, key in mine.items()},
    xlabel="steps", ylabel="loss of the domain head", title="The adversary", ax=axes[1],
)  # fmt: skip
line = ax.axhline(np.log(2), linestyle="--", color="grey", linewidth=1)

# %% [markdown]
# Why the place matters: the hidden layer is small and close to the classes, so hiding the domain
# there and naming the digit compete for the same few features. A lower strength may help there; you
# can try it at the end of the chapter. Recipes also ask for the ramp, a low rate, a small domain
# head and a batch for each domain. On our pilot seeds the place decided, and dropping the ramp
# changed little; on your data it may be otherwise.
#
# Why the shares matter: alignment wants the two clouds of features to be alike. If the source has
# all ten digits and the target five, the clouds *are* not alike, and the only way to make them so
# is to move some target zeros to fours onto source fives to nines. How much that costs DANN here
# depends on how far the adversary got and on the luck of the run, so compare the two lines above,
# and the committed runs, with care.
#
# A case without any luck shows the mechanism. There is no gap at all: source and target are both
# MNIST. CORAL has nothing to align, and with all ten digits in the target it changes next to
# nothing. Then leave the target only 0 to 4, and judge on these.

# %%
model.set_weights(source_only)
near, far, seen = (features_of(images) for images in (source, to_rgb(x[2000:]), tests["MNIST"][0]))
no_gap = {}
for pool, chosen in {"all digits": slice(None), "only 0 to 4": few_classes}.items():
    head = training.fit_head(adaptation.coral(near, far[chosen]), y_source, 10)
    said = head.logits(seen).argmax(1)
    no_gap[pool] = float((said == mnist.y_test)[low].mean())
    escaped = (said[low] >= 5).mean()
    print(f"CORAL, no gap, {pool:<12} {no_gap[pool]:.1%} right, {escaped:.1%} named 5 to 9")

# %% [markdown]
# Nothing was wrong, and alignment broke it. No training trick mends that; an estimate of the
# target's shares can.
#
# ### Choosing without labels
#
# You cannot see the left panel in practice. What can you see? The source accuracy, and how the
# model answers on the target. **Information** is high if the answers are sure one by one and use
# all classes together: the entropy of the mean answer less the mean entropy. It ranges from 0 to
# log 10, about 2.3. The target accuracy beside it is for us alone.

# %%
for way, weights in {"source only": source_only, "AdaBN": source_only}.items():
    model.set_weights(weights)
    if way == "AdaBN":
        adaptation.adapt_batch_norm(model, unlabelled["MNIST-M"])
    note(way)
ranked = sorted(candidates, key=lambda way: -candidates[way]["information"])
for way in ranked:
    seen = candidates[way]
    print(f"{way:<20} information {seen['information']:.2f}, source {seen['source']:.1%}", end="")
    print(f"   target {seen['target']:.1%}")
best = max(seen["target"] for seen in candidates.values())
missed = best - candidates[ranked[0]]["target"]
print(f"picked: {ranked[0]}; the best of them has {100 * missed:.1f} points more")

# %% [markdown]
# Does the order by information agree with that of the target accuracy? At the top it can choose well
# and at the bottom still be wrong: a collapsed network is often sure of itself and uses several
# classes. So look at the source too, and strike out what has forgotten it. And the score trusts
# that classes are about equally frequent, which is exactly what fails under skewed shares. A
# hundred target labels are worth more than any such score; then say that you used them.

# %% [markdown]
# ## Experiment 4: learning from turned images
#
# There are often many target images without labels, and few with. **Rotation pretext**: turn each
# image by 0, 90, 180 or 270 degrees and train the network to say by how much. The labels are free,
# and to answer well the network has to know what stands upright. Then it is trained on 100 labels.
#
# Two controls tell what the pretext adds. **Random** has no pretraining. **Meaningless** has the
# same pretraining on the same turned images, with the four names shuffled: as many steps, the same
# statistics, nothing to learn. A gain over random that is also a gain over meaningless comes from
# the rotations. If you start from ImageNet weights as well, as the usual listing does, you cannot
# tell.
#
# The pretext can be cheated. MNIST's digits were centred by their mass, on pixel 14 of 28, which
# is half a pixel off the middle. Turn such a picture, and the digit sits elsewhere: the place
# names the turn, and nobody has to look at the digit. So every turned image is also **shifted** at
# random, by up to two pixels each way. On MNIST you see both, with and without.

# %%
PRETEXT = run.choose(quick=200, full=1500)  # steps of 48 turned images
FEW = 100  # labels
model = models.small_cnn(10)
fresh = model.get_weights()
hidden_grey = keras.Model(model.input, model.get_layer("hidden").output)
rotations = adaptation.Rotations(model)
STARTS = {
    "random": None,
    "meaningless": {"jitter": 2, "meaningless": True},
    "rotations": {"jitter": 2},
    "rotations, not shifted": {},
}


# %%
def pretrained(start, dataset):
    """Put the weights of a start into the model."""
    model.set_weights(fresh)
    if STARTS[start] is not None:
        settings = {"steps": PRETEXT, "batch_size": 48, "seed": SEED, **STARTS[start]}
        rotations.learn(dataset.x_train, **settings)


def frozen_score(dataset):
    """A head on the hidden layer as it is now, from a hundred labels."""
    x_few, y_few = dataset.subset(FEW, SEED)
    found = [hidden_grey.predict(x, batch_size=250, verbose=0) for x in (x_few, dataset.x_test)]
    return training.fit_head(found[0], y_few, 10).accuracy(found[1], dataset.y_test)


# %% [markdown]
# Each start is judged twice on animals: by a head on its **frozen** features, which shows what the
# pretext taught, and by training everything on the same 100 labels, which shows what is left of it
# in use.

# %%
frozen, tuned, turned = {"animals": {}, "mnist": {}}, {}, {}
x_few, y_few = animals.subset(FEW, SEED)
for start in ("random", "meaningless", "rotations"):
    pretrained(start, animals)
    frozen["animals"][start] = frozen_score(animals)
    config.set_seed(SEED)
    # Forty passes as one epoch: starting an epoch of five steps costs more than the steps.
    often = np.tile(x_few, (40, 1, 1, 1)), np.tile(y_few, 40)
    training.train(model, *often, epochs=1, learning_rate=1e-3, batch_size=20)
    said = model.predict(animals.x_test, batch_size=250, verbose=0)
    tuned[start] = evaluation.accuracy(said, animals.y_test)
for start in ("random", "rotations", "rotations, not shifted"):
    pretrained(start, mnist)
    frozen["mnist"][start] = frozen_score(mnist)
    jitter = (STARTS[start] or {}).get("jitter", 0)
    turned[start] = rotations.accuracy(mnist.x_test[:500], jitter, SEED)

# %%
rows = {f"{name}, frozen: {way}": v for name, row in frozen.items() for way, v in row.items()}
rows |= {f"animals, all trained: {way}": value for way, value in tuned.items()}
claims.record("08-rotations", rows=rows)
ax = viz.dots(
    rows, percent=True, xlabel="test accuracy, %",
    title="A hundred labels, after other starts",
    highlight=[name for name in rows if name.endswith("rotations")],
)  # fmt: skip
compare("rotation", 100 * (tuned["rotations"] - tuned["random"]), "points on animals, all trained")

# %% [markdown]
# Read the frozen rows of animals with both controls. Rotations far above *meaningless* says that
# meaningless steps ruin features; only rotations above *random* would say that the pretext taught
# what animals need. One control alone would have misled you. On MNIST we ran no meaningless start,
# so look at the distance to *random*. Then look at the rows where all is trained, and how much is
# left of any difference. A pretext this short, on a small network, is not one of a day on millions
# of images, where it did earn its name, and a few points are the noise of one run.
#
# Then the shortcut. For each digit, how often was its turn named rightly, with shifts and without?
# Before you look: for which digits can nobody know?

# %%
of_digit = mnist.y_test[:500]
ways = {"shifted": "rotations", "not shifted": "rotations, not shifted"}
by_digit = {
    str(k): {way: float(turned[start][of_digit == k].mean()) for way, start in ways.items()}
    for k in range(10)
}
ax = viz.paired_dots(
    by_digit, percent=True, xlabel="turns named rightly, % (by chance: 25)",
    title="Does a turned digit give its turn away?",
)  # fmt: skip

# %% [markdown]
# Without shifts, even the turns of zeros and ones are named rightly nearly always, though upside
# down they look as before. A score too good for the task is a sign that another task was solved.
# Look back at *mnist, frozen: rotations, not shifted*: the features need not be the worse for it.
# What fails is the score: it no longer measures what it was meant to. With shifts, look which
# digits fall: 0, 1 and 8 look nearly the same upside down, and a six turned by half is a nine.
#
# So where content has no orientation, such as cells under a microscope or fields from above, this
# pretext has nothing to teach, and another one is needed. In most uses today rotations have been
# replaced: by masked images, where the network fills in what was covered, and by contrastive pairs,
# where it finds the two views that come from one image.

# %% [markdown]
# ## Experiment 5: one channel, or five
#
# An X-ray has one channel, a satellite image a dozen. A pretrained first convolution wants three.
# For **grey** there are two ways that people argue about: triple the image, or sum the kernels of
# the first convolution over their channels. They are the same arithmetic as long as all channels
# are scaled alike. Here is the largest difference between them over some images.

# %%
backbone = models.load_backbone("efficientnet-lite0", input_shape=(96, 96, 3))
stem = keras.Model(backbone.input, backbone.get_layer("stem_conv").output)
ready = preprocess(resize(to_rgb(animals.x_test[:20]), 96), "efficientnet-lite0")
tripled = stem.predict(ready, verbose=0)
summed = adaptation.adapt_channels(stem, 1).predict(ready[..., :1], verbose=0)
apart = float(np.abs(tripled - summed).max())
print(f"largest difference {apart:.1e}, values up to {np.abs(tripled).max():.1f}")

# %% [markdown]
# Scaled alike is a condition: ImageNet's means and deviations differ by channel in the modes of
# ResNet and VGG ("caffe" and "torch" in chapter [07](07_preprocessing.ipynb)), and there you
# triple.
#
# For **other numbers of channels**, the usual listing passes them on, and this is what comes back
# for two:

# %% tags=["nbval-check-output"]
try:
    stem(np.zeros((1, 96, 96, 2), "float32"))
    refused = False
except Exception as error:
    refused = True
    print(f"{type(error).__name__}: two channels do not fit a convolution of three")

# %% [markdown]
# `adapt_channels` spreads the summed kernel evenly over the new channels. Try it on silhouettes
# through five noisy exposures each, a toy sensor of five channels. The rivals: drop two channels;
# take one and triple it; and give the backbone a new first convolution with random weights, which
# is what replacing a layer does. All with a head on frozen features, 150 labels and 150 test
# images. `preprocess` wants three channels, so each of the five is tripled, prepared, and one copy
# of it kept.

# %%
x_few, y_few = animals.subset(150, SEED)
clean = np.concatenate([x_few, animals.x_test[:150]])
noise = np.random.default_rng(SEED).normal(0, 90, (*clean.shape[:3], 5))
five = np.clip(np.rint(clean + noise), 0, 255).astype("uint8")


def head_score(found):
    head = training.fit_head(found[:150], y_few, 10)
    return head.accuracy(found[150:], animals.y_test[:150])


# %%
wide = adaptation.adapt_channels(backbone, 5)
enlarged_five = resize(five, 96)
prepared = np.concatenate(
    [preprocess(enlarged_five[..., [k] * 3], "efficientnet-lite0")[..., :1] for k in range(5)], -1
)


def wide_features():
    return wide.predict(prepared, batch_size=50, verbose=0).mean((1, 2))


channels = {
    "one clean channel, tripled": head_score(features.extract(clean)),
    "five: spread kernel": head_score(wide_features()),
    "five: three of them": head_score(features.extract(five[..., :3])),
    "five: one, tripled": head_score(features.extract(five[..., :1])),
}

# %%
first = wide.get_layer("stem_conv")
kernel = first.get_weights()[0]
spread = three = backbone.get_layer("stem_conv").get_weights()[0].std()
random = np.random.default_rng(SEED).normal(0, spread * np.sqrt(3 / 5), kernel.shape)
first.set_weights([random.astype("float32")])
channels["five: random first convolution"] = head_score(wide_features())
claims.record("08-channels", rows=channels)
ax = viz.dots(channels, percent=True, xlabel="test accuracy, %", title="Five noisy channels")

# %% [markdown]
# The first row is the goal, a sensor without noise. Look at the order of the others. The spread
# kernel averages five exposures before anything nonlinear happens, so it loses least; each channel
# that is thrown away costs. A random first layer speaks a language that the next one has not
# learned; it may still beat a single noisy channel. With labels enough you would have to train it,
# and the rest after it. Where channels mean different things, such as near infrared, the spread is
# only a start, and the first layer trains.

# %% [markdown]
# ### Medical images
#
# The question at the top asks for them. The public collections have to be downloaded, so this part
# runs in the full profile only: `tlcourse run 08 --profile full`. It takes two sets of **MedMNIST**
# (Yang and others, 2023) that differ in almost everything: X-rays of children's chests, grey, two
# classes, and single blood cells under a microscope, in colour, eight classes. Both are 28 by 28
# pixels and not for clinical use. Each file is checked against the hash that its authors publish;
# without internet, put `pneumoniamnist.npz` and `bloodmnist.npz` into the folder that
# `TLCOURSE_DATA` names. **We have not measured this part**: the committed runs are of the quick
# profile. So you get an experiment here, and no result of ours to compare with.

# %%
MEDICAL = run.choose(quick=(), full=("pneumoniamnist", "bloodmnist"))
medical = {}
for name in MEDICAL:
    try:
        medical[name] = data.load(name)
    except (FileNotFoundError, ValueError) as error:
        print(f"skipped: {error}")
if not MEDICAL:
    print("not run: the quick profile downloads nothing, and medical images are not embedded")

# %% [markdown]
# Before you see numbers, say which way wins on which of the two, with 50 labels and with 1,000.
# Three ways, with the same labels and the same test images: a head on frozen Lite0 features;
# everything fine-tuned from there, at the rate and with the two epochs of chapter
# [02](02_extract_or_finetune.ipynb), which were picked on other data; and the small network from
# scratch.


# %%
def three_ways(classifier, imagenet, dataset, n, seed):
    """Which test images each way names rightly, from one draw of n labels."""
    x, y = dataset.subset(n, seed)
    test, labels, classes = dataset.x_test, dataset.y_test, len(dataset.class_names)
    fitted = training.fit_head(features.extract(x), y, classes)
    said = {"frozen features": fitted.logits(features.extract(test))}
    classifier.set_weights(imagenet)
    training.set_head(classifier, fitted)
    config.set_seed(seed)
    training.fine_tune(classifier, x, y, epochs=2, batch_size=16, learning_rate=3e-5)
    said["fine-tuned"] = classifier.predict(test, verbose=0)
    scratch = training.train_from_scratch(x, y, classes, seed=seed)
    said["from scratch"] = scratch.predict(test, verbose=0)
    return {way: answers.argmax(1) == labels for way, answers in said.items()}


# %%
LABELS = run.choose(quick=(), full=(50, 250, 1000))
right, accuracies = {}, {}
for name, dataset in medical.items():
    classifier = models.build_classifier(
        len(dataset.class_names), image_shape=dataset.x_train.shape[1:]
    )
    fresh_start = classifier, classifier.get_weights(), dataset
    for n in LABELS:
        runs = [three_ways(*fresh_start, n, seed) for seed in run.seeds(5)]
        right[f"{name}, {n} labels"] = {way: [r[way] for r in runs] for way in runs[0]}
for row, ways in right.items():
    accuracies[row] = {way: [float(hits.mean()) for hits in seeds] for way, seeds in ways.items()}

# %%
if accuracies:
    claims.record("08-medical", rows=accuracies)
    ax = viz.paired_dots(
        {
            row: {way: evaluation.mean_interval(values) for way, values in ways.items()}
            for row, ways in accuracies.items()
        },
        percent=True, xlabel="test accuracy, %", title="Medical images, five draws of the labels",
    )  # fmt: skip
for name, dataset in medical.items():
    commonest = np.bincount(dataset.y_test).max() / len(dataset.y_test)
    print(f"{name}: the commonest class makes {commonest:.1%} of the test images")
for row, ways in right.items():
    for way in ("frozen features", "fine-tuned"):
        won = evaluation.crossed_difference(ways[way], ways["from scratch"])
        ends = f"{100 * won.low:+.1f} to {100 * won.high:+.1f}"
        print(f"{row}: {way} {100 * won.mean:+.1f} points over scratch ({ends})")

# %% [markdown]
# In the full profile you see a row for each set and number of labels. The 95 % intervals in the
# lines cover another draw of labels and other test images of the same source, not another hospital.
# Where an interval holds zero, this comparison does not decide. Accuracy has to be read against the
# commonest class; a clinic would ask for sensitivity and specificity. And 28 pixels are few: what a
# radiologist looks at may be gone.
#
# The sober literature: Raghu and others (2019, *Transfusion*) trained on two large sets, retina
# photographs and chest X-rays. ImageNet weights gave little accuracy there, small plain networks
# did about as well as ImageNet's architectures, and what was reused sat in the lowest layers.
# Matsoukas and others (2022) looked again on several sets and found transfer beneficial in most
# cases, with the size of the data, the model and the distance from ImageNet deciding how much. Both
# say the same about method: a baseline from scratch, and several seeds. Add a split by patient: two
# images of one patient on both sides of the split flatter every way.

# %% [markdown]
# ## What the books say, and what we measured
#
# Each line is a **claim** with a rule that was fixed before the run, after pilot runs with seeds
# 100 and 101, which count nowhere else; where a rule was written later, the text says so. The table
# beside it shows your numbers and those of the committed runs. *Unsettled* means that the committed
# runs disagree.
#
# *"Transfer helps less the further the target is from ImageNet."*

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q08-distance", gain_animals=gain["animals"], gain_digits=gain["mnist"],
    mmd_animals=distance["animals"], mmd_digits=distance["mnist"],
)  # fmt: skip

# %% [markdown]
# *"The domain gap predicts the loss."* In rank, over mild and strong changes of one data set.

# %% tags=["nbval-check-output"]
verdict = claims.check("q08-gap-predicts", ranks=list(rank.values()))

# %% [markdown]
# *"New statistics are a detail."*

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q08-adabn",
    gains=[row["AdaBN"] - row["source only"] for row in results.values()],
)  # fmt: skip

# %% [markdown]
# *"The reversal returns the gradient with its sign changed."*

# %% tags=["nbval-check-output"]
verdict = claims.check("q08-grl", gradient=gradient, forwards=forwards)

# %% [markdown]
# *"Adversarial training raises accuracy on an unlabelled target."*

# %% tags=["nbval-check-output"]
won = {name: results[name]["DANN"] - results[name]["source only"] for name in results}
verdict = claims.check("q08-dann-helps", gain=won["MNIST-M"], gain_digits=won["UCI digits"])

# %% [markdown]
# *"Aligned features cannot hurt."* They can, if the shares of the classes differ. The second of
# these two rules was written after a milder shift, nine tenths of 0 to 4, had done no harm on seed
# 0. It is unsettled, since one of the committed runs breaks it, by less than a point: in that run
# DANN was at its weakest with all ten digits, too.

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q08-label-shift", all_digits=no_gap["all digits"], half_the_digits=no_gap["only 0 to 4"]
)
verdict = claims.check(
    "q08-dann-shares", all_digits=skew["all digits"], half_the_digits=skew["only 0 to 4"]
)

# %% [markdown]
# *"Put the domain classifier on the features before the output."*

# %% tags=["nbval-check-output"]
verdict = claims.check("q08-dann-place", conv=results["MNIST-M"]["DANN"], hidden=deep_end)

# %% [markdown]
# *"The moving statistics of BatchNormalization are fine after DANN."* They are a blend of both
# domains that no batch ever had. Putting the target's in their place gained five points on MNIST-M
# with longer training on the pilot seeds, and the rule expects a gain on both targets. It is no
# law: in one of the committed runs it cost a few points on the UCI digits, so the claim is
# unsettled.

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q08-blended-statistics",
    gains=[results[name]["DANN"] - blend[name] for name in results],
)  # fmt: skip

# %% [markdown]
# *"To cross a gap you need the target's images."*

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q08-know-the-shift", colours=first_look["MNIST-M, source in random colours"],
    dann=results["MNIST-M"]["DANN"],
)  # fmt: skip

# %% [markdown]
# *"Pretraining on rotations gives useful features of the target."* Against which control? This
# rule was written after seed 0 had been seen: the one before it asked only for a gain over
# *meaningless*.

# %% tags=["nbval-check-output"]
symmetric, others = (
    {way: np.mean([by_digit[k][way] for k in digits_of]) for way in ways}
    for digits_of in ("018", "23457")
)
verdict = claims.check(
    "q08-rotation-ssl",
    over_meaningless=frozen["animals"]["rotations"] - frozen["animals"]["meaningless"],
    over_random=frozen["animals"]["rotations"] - frozen["animals"]["random"],
    trained_over_random=tuned["rotations"] - tuned["random"],
    mnist_over_random=frozen["mnist"]["rotations"] - frozen["mnist"]["random"],
    symmetric=symmetric["shifted"], others=others["shifted"],
)  # fmt: skip

# %% [markdown]
# *"High accuracy in the pretext means good features."*

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q08-pretext-shortcut", symmetric=symmetric["not shifted"],
    symmetric_shifted=symmetric["shifted"],
)  # fmt: skip

# %% [markdown]
# *"Grey images have to be repeated to three channels."*

# %% tags=["nbval-check-output"]
verdict = claims.check("q08-grey-triplicate", largest_difference=apart)

# %% [markdown]
# *"The loop that is printed trains the adversary."* The widely copied one opens one tape for the
# source, another of the same name for the target, and adds the losses after both have closed. Here
# is that step on a toy, and the same with one tape around everything. It is TensorFlow's own; on
# the other backends you see what the committed runs measured.


# %%
def step(one_tape):
    """Gradients that are None, and whether the optimizer takes them."""
    import tensorflow as tf

    inputs = keras.Input((2,))
    found = layers.Dense(3)(inputs)
    domain = layers.Dense(1, "sigmoid")(adaptation.GradientReversal(1.0)(found))
    toy = keras.Model(inputs, [layers.Dense(2, "softmax")(found), domain])
    images, zero = np.ones((4, 2), "float32"), np.zeros(4)
    with tf.GradientTape() as tape:
        task = ops.mean(keras.losses.sparse_categorical_crossentropy(zero, toy(images)[0]))
        total = task + ops.mean(toy(images)[1])
    if not one_tape:
        with tf.GradientTape() as tape:
            other = ops.mean(toy(images)[1])
        total = task + other  # outside of both tapes
    gradients = tape.gradient(total, toy.trainable_variables)
    try:
        keras.optimizers.Adam().apply_gradients(
            zip(gradients, toy.trainable_variables, strict=True)
        )
    except ValueError:
        return sum(g is None for g in gradients), len(gradients), 1
    return sum(g is None for g in gradients), len(gradients), 0


# %% tags=["nbval-check-output"]
if config.backend() == "tensorflow":
    none, of, raised = step(one_tape=False)
    none_one_tape, _, raised_one_tape = step(one_tape=True)
    verdict = claims.check(
        "q08-dann-code", none=none, variables=of, raised=raised, none_one_tape=none_one_tape,
        raised_one_tape=raised_one_tape,
    )  # fmt: skip
else:
    verdict = claims.cite("q08-dann-code")

# %% [markdown]
# That bug is loud, and so is its relative in the usual rotation listing: its last step builds a
# `Sequential` and calls `fit` without `compile`, which raises.
#
# ## The trap: target labels that choose
#
# A silent one is worse. The method uses no target label. But the best step of the run, the strength
# λ, or the method itself is picked by accuracy on labelled target images, and the same images give
# the number that is reported. What does that add? In each run of DANN towards MNIST-M you have the
# accuracy at four moments; *MNIST-M* below is the one with all digits. Honest is the last one.
# Peeking takes the best.

# %%
honest = {name: path["watched"][-1] for name, path in paths.items() if name != "UCI digits"}
peeked = {name: max(path["watched"]) for name, path in paths.items() if name != "UCI digits"}
for name in honest:
    print(f"{name:<20} at the end {honest[name]:.1%}, at its best {peeked[name]:.1%}")
dearest = max(honest, key=lambda name: peeked[name] - honest[name])
print(
    f"peeking flatters {dearest!r} most, by {100 * (peeked[dearest] - honest[dearest]):.1f} points"
)

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q08-peeking", flattered=[peeked[name] - honest[name] for name in honest]
)  # fmt: skip

# %% [markdown]
# Where training is steady, peeking adds little; where it fails, peeking makes the failure look
# better than it is. And four moments are few: each method, strength and seed that you try adds a
# draw.
#
# The check is a question about every number in a report: *which labels chose this?* In code, keep
# target labels out of reach: `Adversary.learn`, `adapt_batch_norm`, `coral` and `information` take
# target images only, and the test labels are read once, at the end. Some labels for validation are
# fine. Then compare with what those labels would have done in training: see the ceiling.

# %% [markdown]
# ## The 3-minute answer
#
# "Domain is too broad a word, so first: do the images look different, are the classes different, or
# their shares? And do I have labels in the target?
#
# With labels it is supervised transfer, even if people call it adaptation. Frozen features and a
# head, a small network from scratch beside it, then fine-tuning, deeper than usual if the gap is
# wide. I decide about the input: grey tripled, or kernels summed; more channels with the kernel
# spread over them; one scaling for all.
#
# Without labels I measure the gap on features. A classifier between the domains tells that there is
# one; MMD or drift tell how large; none of them tells for sure what it costs in accuracy. Then the
# simple means: can preprocessing undo it, can augmentation of the source cover it? Then new
# BatchNormalization statistics, one pass. Then CORAL. Then DANN: a domain head behind a gradient
# reversal, with a ramp, on convolutional features, each domain normalised by itself, the target's
# statistics at the end.
#
# DANN is touchy, and it assumes that classes are shared and about equally frequent; under label
# shift it aligns the wrong ones. I choose settings beforehand or by a score without labels, keep
# the source accuracy in view, and I would rather label a hundred target images than trust the
# score.
#
# With many unlabelled target images I would also pretrain on them, and compare with a control that
# has the same steps and nothing to learn."
#
# ### What they ask next
#
# **How does gradient reversal work?** The identity forwards, times −λ backwards. The domain head
# minimises its loss, the features maximise it, in one ordinary training step.
#
# **Why a ramp?** At first the domain head is random, and the features would run from noise. λ rises
# as `2 / (1 + exp(−10 p)) − 1` with the progress p.
#
# **A domain classifier at chance: has it worked?** Not yet. The features may hide the domain and
# mix the classes. Or the domain head is too weak to see it.
#
# **Why does AdaBN do anything?** Much of a new look is a change of mean and variance in every
# channel. It cannot repair more than that, and it takes in the shares of the target's classes.
#
# **Which validation for λ?** None with target labels. A fixed schedule, information on the target,
# or reverse validation as the DANN authors did: adapt back with predicted labels, score the source.
#
# **Should early layers be frozen across a wide gap?** The usual advice says so, for general edges.
# If only the look changed, the first layers may be the ones to tune. Chapter
# [05](05_what_to_freeze.ipynb) measures it.
#
# | What you have | Do this first |
# |---|---|
# | target labels, hundreds | frozen features, then fine-tune ([02](02_extract_or_finetune.ipynb)) |
# | a shift that you can name | preprocess it away, or augment the source |
# | unlabelled target, same classes and shares | AdaBN, then CORAL or DANN |
# | unlabelled target, other shares | label some; estimate the shares; do not align blindly |
# | much unlabelled, few labels | pretrain on the target, with a control |
# | other classes | no adaptation: supervised transfer, or scratch |
#
# ### Red flags
#
# - "Domain adaptation" for fine-tuning with target labels.
# - A λ, a step or a method that was chosen on the target's test labels.
# - A gain of an adversary without AdaBN and augmentation beside it.
# - "The features are domain-invariant, so the classifier transfers."
# - A pretext that starts from ImageNet and has no control.
#
# ## Test yourself
#
# Run the next cell. A click on a choice says why it is right or wrong. Some questions go further
# than this chapter.

# %%
from tlcourse import interview

interview.show_quiz("08")

# %% [markdown]
# A click turns a card. They hold the question of this chapter, what is asked next, and questions
# that go further. `tlcourse interview` asks them again when you are about to forget.

# %%
interview.show_flashcards("08")

# %% [markdown]
# ## Go on
#
# - [Exercises](../exercises/08_crossing_domains.ipynb): write the part that matters yourself,
#   and find the bugs.
# - Try it: in experiment 3, leave the digits 0 to 7 in the target (`y[2000:] < 8`). Or give the
#   call of `learn` with `deep` a `strength=0.3`. What does the information say before you look at
#   the accuracy?
# - Chapter [06](06_which_backbone.ipynb) compares backbones for a target; chapter
#   [07](07_preprocessing.ipynb) is about scaling; chapter [09](09_two_stages.ipynb) about stages,
#   progressive unfreezing among them.
# - Papers: Ganin and Lempitsky 2015, [Unsupervised domain adaptation by
#   backpropagation](https://arxiv.org/abs/1409.7495) · Ganin et al. 2016, [Domain-adversarial
#   training](https://arxiv.org/abs/1505.07818) · Li et al. 2016,
#   [AdaBN](https://arxiv.org/abs/1603.04779) · Sun et al. 2016,
#   [CORAL](https://arxiv.org/abs/1511.05547) · Gidaris et al. 2018,
#   [RotNet](https://arxiv.org/abs/1803.07728) · Zhao et al. 2019, [On learning invariant
#   representations](https://arxiv.org/abs/1901.09453), on label shift · Raghu et al. 2019,
#   [Transfusion](https://arxiv.org/abs/1902.07208) · Matsoukas et al. 2022, [What makes transfer
#   learning work for medical images](https://arxiv.org/abs/2203.01825) · Musgrave et al. 2022,
#   [Validators for unsupervised domain adaptation](https://arxiv.org/abs/2208.07360).
