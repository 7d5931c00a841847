# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 01 · What is transfer learning, and when does it help?
#
# **The question.** *"What is transfer learning and why is it useful? When should you use it?"*
# Almost every interview on the subject opens with it.
#
# **The 30-second answer.** You take a network that was trained on one task, the *source*, and use
# what it learned on another task, the *target*. Its body, the **backbone**, turns an image into
# numbers that describe it, the **features**. You put a small new classifier, the **head**, on those
# features and train it with the few labels you have. It helps when the features suit your images
# and labels are scarce. It can also do nothing, or harm. So you measure it against a small network
# trained from scratch, on your own data, before you believe it.
#
# In this chapter you make that measurement on two kinds of images, on this computer, in about two
# minutes. The backbone is EfficientNet-Lite0. Its weights were trained on ImageNet, 1.28 million
# labelled photographs of 1,000 kinds of things; they came with the installation, so nothing is
# downloaded.
#
# Your **run** is this notebook with one **seed**, the number that fixes every random choice. Behind
# it stand the **committed runs**, which we made with several seeds and stored with the course. The
# profile "quick", below, uses fewer images and sizes, so that a run takes minutes.

# %% tags=["parameters"]
PROFILE: str = "quick"  # quick | full
SEED: int = 0  # every random choice follows from it

# %%
from tlcourse import config

run = config.begin("01", PROFILE, SEED)

# %%
import keras
import numpy as np

from tlcourse import claims, data, evaluation, features, freezing, training
from tlcourse import visualization as viz

viz.style()

# %% [markdown]
# ## The two targets
#
# **Animals** are silhouettes, mostly outlines, some with a little texture inside: a bear, a bird, a
# zebra. ImageNet, the source, is full of animals, but it holds photographs, in colour, with
# texture. **Digits** are handwritten numbers. ImageNet has none.
#
# Look at the pictures and ask yourself what a network that knows photographs could use here.

# %%
animals, mnist = data.load("animals"), data.load("mnist")
targets = (animals, mnist)
examples = [target.x_train[target.y_train == c][0] for target in targets for c in range(10)]
names = [name for target in targets for name in target.class_names]
figure = viz.image_grid(examples, names)

# %% [markdown]
# ## Predict first
#
# Before you see a number, commit to one. You will have 250 labelled images, 25 of each class. Two
# ways to use them:
#
# - **transfer**: the frozen backbone computes the features, and you fit only a head on them;
# - **scratch**: a small convolutional network learns everything from your 250 images.
#
# Write four guesses, in percent of test images named correctly, and run the cell. Chance is 10 %.

# %%
guess = {
    ("animals", "transfer"): None,
    ("animals", "scratch"): None,
    ("mnist", "transfer"): None,
    ("mnist", "scratch"): None,
}


# %% [markdown]
# ## Experiment 1: two learning curves, the same labels
#
# A **learning curve** shows accuracy against the number of labels. Both ways get the same labels,
# and both are scored on the same test images, which neither of them trains on.
#
# For transfer, each image is enlarged to 128 by 128 pixels and goes through the backbone once. The
# backbone is **frozen**: nothing in it changes. What comes out is 1,280 features per image. The
# head on top is a logistic regression, which has one best solution and needs no learning rate.

# %%
SIZES = run.choose(quick=[50, 250, 1000], full=[50, 100, 250, 500, 1000, 3000])
SEEDS = run.seeds(run.choose(quick=1, full=5))
PIXELS = 128
wanted = [*targets]
wanted += [data.load(name) for name in ("fashion_mnist", "cifar10") if data.available(name)]


# %%
def transfer_curve(target, seed):
    """Test accuracy of a head on frozen features, at each size."""
    x, y = target.subset(SIZES[-1], seed)
    known = features.extract(x, size=PIXELS)
    unseen = features.extract(target.x_test, size=PIXELS)
    heads = [training.fit_head(known[:n], y[:n]) for n in SIZES]
    return [head.accuracy(unseen, target.y_test) for head in heads]


transfer = {target.name: [transfer_curve(target, seed) for seed in SEEDS] for target in wanted}

# %% [markdown]
# The opponent deserves a fair chance. `train_from_scratch` trains a network of about 100,000
# parameters, with a learning rate and a number of steps that were picked beforehand on other
# images. A careless opponent makes transfer look better than it is; chapter
# [10](10_is_it_working.ipynb) returns to that.


# %%
def scratch_curve(target, seed):
    """Test accuracy of the small network from scratch, at each size."""
    x, y = target.subset(SIZES[-1], seed)
    scores = []
    for n in SIZES:
        network = training.train_from_scratch(x[:n], y[:n], len(target.class_names), seed)
        predicted = network.predict(target.x_test, verbose=0)
        scores.append(evaluation.accuracy(predicted, target.y_test))
    return scores


scratch = {target.name: [scratch_curve(target, seed) for seed in SEEDS] for target in wanted}
claims.record("01-curves", sizes=SIZES, transfer=transfer, scratch=scratch)

# %% [markdown]
# Each panel below is one target. A line with markers is your run. The pale band behind it is the 95
# % interval over the committed runs, the dotted line their mean. Look at which line is on top, and
# at whether the bands overlap.
#
# Fashion-MNIST, small grey pictures of clothes, and CIFAR-10, small photographs in colour, are not
# part of the installation. If you have not downloaded them (`tlcourse data --fetch cifar10`, and the
# same with `fashion_mnist`), their panels show the committed runs alone.

# %%
committed = [entry["measured"] for entry in claims.reference("01-curves", profile=PROFILE)]


def past(way, target):
    """The committed curves of one way on one target, one row per run."""
    return [curve for entry in committed for curve in entry[way].get(target, [])]


TARGETS = ["cifar10", "animals", "fashion_mnist", "mnist"]
shown = [target for target in TARGETS if target in transfer or past("transfer", target)]
figure = viz.transfer_against_scratch(SIZES, shown, transfer, scratch, past)
# %% [markdown]
# One backbone, one recipe, four targets, and the answer to "does it help?" is different on each.
# On the photographs of CIFAR-10 it wins by far. On silhouettes of animals it wins, and by 1,000
# labels the lead is smaller than at 250. On Fashion-MNIST it leads by a few points. On digits the
# small network that never saw ImageNet is ahead. Transfer that does worse than training from scratch
# is called **negative transfer**.
#
# How sure are we? Where the bands do not touch, another seed would hardly turn the order. Where
# they overlap, one run cannot say.

# %%
for (target, way), percent in guess.items():
    measured = {"transfer": transfer, "scratch": scratch}[way][target]
    found = 100 * np.mean([curve[SIZES.index(250)] for curve in measured])
    said = "no guess" if percent is None else f"you said {percent} %"
    print(f"{target:<8} {way:<9} {found:3.0f} %   {said}")

# %% [markdown]
# ## Experiment 2: is it the weights, or the network?
#
# Perhaps any large network gives good features, and ImageNet has nothing to do with it. The
# **control** is the same network with random weights: same architecture, same input size, same
# head, nothing learned. To be quick, it runs at 96 pixels and on 500 test images, so its accuracy
# differs from that of experiment 1.

# %%
N = 250
x, y = animals.subset(N, SEED)
test = slice(0, 500)
control = {}
for name, weights in {"ImageNet weights": "imagenet", "random weights": None}.items():
    config.set_seed(SEED)
    known = features.extract(np.concatenate([x, animals.x_test[test]]), size=96, weights=weights)
    head = training.fit_head(known[:N], y)
    control[name] = head.accuracy(known[N:], animals.y_test[test])

# %%
axis = viz.dots(
    control,
    xlabel="test accuracy (%), animals, 250 labels; dashed: chance",
    title="The same network, with and without what it learned",
    percent=True,
    baseline=0.1,
)
# %% [markdown]
# Surprised? Random filters keep much of an outline, and a head can use it. What ImageNet adds is the
# distance between the two dots. Without the control you would have credited ImageNet with the whole
# distance from the dashed line.

# %% [markdown]
# ## Experiment 3: "from scratch needs millions of images"
#
# This sentence opens many chapters on transfer learning. Three thousand handwritten digits are a
# counter-example you can run.

# %%
x, y = mnist.subset(3000, SEED)
network = training.train_from_scratch(x, y, 10, SEED, steps=600)
from_3000 = evaluation.accuracy(network.predict(mnist.x_test, verbose=0), mnist.y_test)
print(f"{from_3000:.1%} of the test digits, from 3,000 labels and no pretraining")

# %% [markdown]
# That refutes the sentence as a general rule. It does not say that a large network would do the same
# on photographs. How many images a network needs depends on the task, on the network and on the
# recipe. At the other end of the scale, He, Girshick and Dollár trained detectors on COCO from
# scratch and matched ImageNet pretraining, even when both had only a tenth of COCO, given enough
# steps ("Rethinking ImageNet Pre-training", 2018). What pretraining bought there was mostly time.

# %% [markdown]
# ## How many labels does transfer save?
#
# The useful form of "transfer needs ten times less data" is a ratio you read off two curves: at the
# same accuracy, how many labels does each way need? At 4, training from scratch needs four times as
# many labels as transfer. At 0.25 it needs a quarter of them, so transfer costs labels. With sizes
# from 50 to 1,000 the experiment cannot show more than 1,000 / 50 = 20: a dot there means *at least
# 20*.

# %%
saved = {
    target: evaluation.labels_saved(
        SIZES, np.mean(transfer[target], axis=0), np.mean(scratch[target], axis=0)
    )
    for target in transfer
}
axis = viz.dots(
    saved,
    xlabel="labels from scratch / labels with transfer, at equal accuracy",
    title="Right of the line, transfer saves labels",
    log_x=True,
    baseline=1,
)

# %% [markdown]
# ## What the books say, and what we measured
#
# *The book* in the lines below stands for what textbooks and tutorials on this subject say, in our
# words. Under each saying stands a **claim**: an assertion with a rule that was written down before
# the run. The table under it holds your numbers beside those of the committed runs, as mean and
# interval; where the measure is a list, the right column stays empty, and only the verdicts of
# those runs count. *Unsettled* means that the rule held for some seeds and failed for others; then
# nobody should sell it to you as a fact.

# %%
gain = {
    target: list(np.mean(transfer[target], axis=0) - np.mean(scratch[target], axis=0))
    for target in transfer
}

# %% [markdown]
# *The book: with a few hundred labels, a pretrained backbone beats training from scratch.*

# %% tags=["nbval-check-output"]
small = sum(n <= 500 for n in SIZES)
verdict = claims.check(
    "q01-small-data-wins",
    animals_gain=gain["animals"][:small],
    mnist_gain=gain["mnist"][:small],
)

# %% [markdown]
# *The book: below 1,000 images extract features, up to 10,000 fine-tune the top, and so on: the
# number of images decides.* But at the same number of labels, the two targets want opposite things.

# %% tags=["nbval-check-output"]
at = SIZES.index(1000)
verdict = claims.check(
    "q01-size-thresholds", animals_gain=gain["animals"][at], mnist_gain=gain["mnist"][at]
)

# %% [markdown]
# *The book: training a deep network from scratch needs millions of images.*

# %% tags=["nbval-check-output"]
verdict = claims.check("q01-millions-needed", accuracy=from_3000)

# %% [markdown]
# *The book: a pretrained network brings useful features.* It does, and the control says how much of
# that the weights bring. The rule asks for at least 20 points; we set it before the first run,
# without knowing how much a random network can do. It is about the size of the gain, not about
# whether there is one, and a gain close to 20 falls either way from seed to seed. The rule stays as
# it was.

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q01-weights-matter",
    pretrained=control["ImageNet weights"],
    random=control["random weights"],
)

# %% [markdown]
# ## The trap of this chapter: "freeze the first 80 %"
#
# To keep most of a backbone frozen, the textbook writes `base.layers[:-20]` for ResNet50 and
# comments "freeze first 80 %". Count what that leaves. Nothing here needs weights, so the network
# is built with random ones.

# %%
resnet = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(64, 64, 3))
frozen_layers = 1 - 20 / len(resnet.layers)
still_trainable = freezing.trainable_share(resnet, frozen_layers)

# %% tags=["nbval-check-output"]
print(f"{len(resnet.layers)} layers, {frozen_layers:.1%} of them frozen")
print(f"{still_trainable:.1%} of the parameters are still trainable")

# %% tags=["nbval-check-output"]
verdict = claims.check("q01-slice-80", layers=frozen_layers, parameters=still_trainable)

# %% [markdown]
# Two errors sit in one line. The slice is not 80 % of the layers. And layers are the wrong unit:
# the last stages of a convolutional network hold most of its parameters. "I froze 80 %" tells you
# nothing until you say 80 % of what. Chapter [02](02_extract_or_finetune.ipynb) draws the whole
# curve.
#
# The cost is a silent one: you believe that you train a fifth of the network, and you train two
# fifths, on few labels. The check that detects it counts parameters. `fraction=0.8` freezes whole
# blocks from the input on while they hold at most 80 % of the parameters; the next block would go
# past it, so it stops before. Here that leaves nearly the same share trainable, because the blocks
# are large; but now you are told. (*BatchNormalization* is a kind of
# layer with habits of its own; chapter [02](02_extract_or_finetune.ipynb) introduces it.)

# %%
freezing.freeze(resnet, fraction=0.8)

# %% [markdown]
# ## Where transfer comes from, and where it does not reach
#
# - *"Don't use it for audio, ImageNet is irrelevant there."* Not so. The Audio Spectrogram
#   Transformer (Gong, Chung and Glass, 2021) starts from an ImageNet model, because a spectrogram
#   is an image. And audio, text and time series have their own pretrained networks. "No transfer
#   from ImageNet" is not "no transfer".
# - *"Don't use it with millions of labels of your own."* There it helps less, and mostly with
#   speed, as the COCO result above says.
# - *Medical images* are the usual example of success. Raghu et al. ("Transfusion", 2019) found that
#   on two large medical sets ImageNet weights changed accuracy little, and that what was reused sat
#   in the lowest layers.
#
# We did not measure these three here; they are those papers' results.

# %% [markdown]
# ## The 3-minute answer
#
# "Transfer learning reuses what a network learned on a source task for a target task. In practice
# you take a backbone that was pretrained on a large data set, remove its classifier, and put a head
# for your classes on top. If you train only the head, that is feature extraction. If you go on to
# train some of the backbone as well, that is fine-tuning.
#
# "Why is it useful? Because the features cost someone else millions of images, and you need few
# labels to fit a head on them. It also saves computing: the backbone runs once over each image.
#
# "When does it help? I look at two things. How many labels do I have, and how well do the source's
# features describe my images. The second matters as much as the first. I have measured the same
# backbone on animals and on digits with the same number of labels: on one it won, on the other a
# network of a hundred thousand parameters from scratch beat it. So I don't decide by a table of
# data-set sizes. I fit a head on frozen features, which takes a minute, and train a small network
# from scratch as a baseline, with the same labels and the same test set, over a few seeds. If the
# intervals overlap, I say that I don't know yet.
#
# "When does it not? When the domains differ so much that the features carry nothing, when I have
# so many labels that training from scratch catches up, or when a small model does the job and the
# backbone's cost at inference matters."
#
# **Follow-ups you should expect**
#
# - *How do you notice negative transfer?* Only by having the baseline. No curve of the transferred
#   model alone can show it.
# - *Is it ten times less data?* On some targets more, on some less than one. Read the ratio off two
#   learning curves.
# - *Why did digits lose?* The backbone saw a 28-pixel drawing enlarged to 128 pixels, far from its
#   photographs, and its features are averaged over positions. A small network on the original
#   pixels learns strokes quickly. That is an explanation, not a measurement; to test it you would
#   vary one of these at a time.
# - *What would you try before giving up on transfer there?* Fine-tuning (chapter
#   [02](02_extract_or_finetune.ipynb)), features from an earlier block (chapter
#   [06](06_which_backbone.ipynb)), another source.
# - *Which control shows that pretraining matters?* The same network with random weights.
#
# **Red flags in an answer:** a table of thresholds without "measure it"; "always better"; "ImageNet
# has 14 million images" (these weights saw the 1.28 million of ILSVRC); no baseline; one seed.

# %% [markdown]
# ## Test yourself
#
# Run the next cell. A click on a choice says why it is right or wrong. Some questions go further
# than this chapter.

# %%
from tlcourse import interview

interview.show_quiz("01")

# %% [markdown]
# A click turns a card. They hold the question of this chapter, what is asked next, and questions
# that go further. `tlcourse interview` asks them again when you are about to forget.

# %%
interview.show_flashcards("01")

# %% [markdown]
# ## Where next
#
# - [Exercises](../exercises/01_what_transfers.ipynb): write the part that matters yourself,
#   and find the bugs.
# - [Chapter 02](02_extract_or_finetune.ipynb): train only the head, or the backbone as well?
# - [Chapter 07](07_preprocessing.ipynb): what a wrong scaling of the pixels costs.
#
# **Papers.** Yosinski et al., "How transferable are features in deep neural networks?", 2014 ·
# Kornblith, Shlens and Le, "Do better ImageNet models transfer better?", 2019 · He, Girshick and
# Dollár, "Rethinking ImageNet pre-training", 2018 · Raghu et al., "Transfusion", 2019 · Zhai et
# al., "A large-scale study of representation learning with VTAB", 2019.
