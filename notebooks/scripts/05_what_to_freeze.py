# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 05 · What to freeze
#
# **The question.** *"How do you choose which layers to freeze and which to fine-tune?"*
#
# **The 30-second answer.** Early layers find edges and textures, which most images share; late
# layers find what the old classes needed. So you usually **freeze** from the input and let the rest
# train, and you count what is left in parameters, not in layers. How deep to go is a choice that
# you **measure** on validation images: it depends on the target and on the labels, and often
# several depths come out the same, so you take the cheapest. The rule turns around when only the
# look of the images has changed: then a few weights of the *first* block repair more than the last
# layer can. The size of a gradient does not tell you what to train. And whatever you unfreeze,
# **BatchNormalization** stays frozen.
#
# In this chapter you meet the helpers that freeze, and see what their popular versions really do.
# You read digits and animals off every stage of a network, sweep the depth, turn the ranking by
# gradients upside down without changing what the network says, and repair a network with 144
# weights. Then comes a trap that stands in the most read guide to this subject. It takes about two
# minutes, and nothing is downloaded. Your run uses one seed; behind it the figures show the
# **committed runs**, made with several seeds and stored with the course, as pale bands.
# `claims.record` keeps what your run measured, `claims.reference` reads what the committed runs
# measured.

# %% tags=["parameters"]
PROFILE: str = "quick"  # quick | full
SEED: int = 0  # every random choice follows from it

# %%
from tlcourse import config

run = config.begin("05", PROFILE, SEED)

# %%
import keras
import numpy as np
from scipy.stats import spearmanr

from tlcourse import claims, data, evaluation, freezing, models, training
from tlcourse import visualization as viz
from tlcourse.preprocessing import Preprocess

viz.style()

# %% [markdown]
# ## Predict first
#
# Commit to five guesses before you see a number. Leave `None` where you have no idea.
#
# - **index**: a classifier is a list of five layers: ResNet50, pooling, a hidden layer, dropout,
#   the last layer. You freeze the first 90 % of the list. How many parameters still train?
# - **stage**: the backbone has eight stages. After which one do you read handwritten digits best,
#   if all you may add is one linear layer? 1 is the first stage, 8 the top.
# - **kernel**: you multiply a convolution in front of a BatchNormalization by 10. By what is its
#   gradient multiplied?
# - **first**: the images become noisy. You may tune the first convolution, 144 weights, or the last
#   layer. How many points of accuracy lies the first ahead? Negative if you expect it behind.
# - **guide**: you fine-tune as the best-known guide says. How many points of accuracy does
#   BatchNormalization cost you?

# %%
guess = {"index": None, "stage": None, "kernel": None, "first": None, "guide": None}


def compare(key, measured, unit):
    """Show a guess beside what came out."""
    said = "no guess" if guess[key] is None else f"you guessed {guess[key]:g}"
    print(f"{key}: {measured:.3g} {unit} ({said})")


def committed(key):
    """What the committed runs recorded: for each row and series, one value a run."""
    found = {}
    for entry in claims.reference(key, profile=PROFILE):
        for row, series in entry["measured"]["rows"].items():
            for name, value in series.items():
                found.setdefault(row, {}).setdefault(name, []).append(value)
    return found


# %% [markdown]
# ## Experiment 1: five ways to freeze, and what they leave
#
# A **block** is a group of layers that belong together, such as a convolution and the normalisation
# behind it; a **stage** is a row of blocks of equal resolution. The backbone here is
# EfficientNet-Lite0, "Lite0": a stem, 16 blocks in seven stages, and a top. The stem belongs to the
# first stage, and the top counts as the eighth. Stem and top are blocks too, which makes 18.
#
# There are five ways to say what is frozen: by depth (up to a block, or all but a number of
# blocks), by share of the parameters, by type of layer, by name, and adapted to your data. The last
# line below trains one part alone instead. A share counts whole blocks, so 0.5 leaves a little more
# than half. Read the last column. All of them keep BatchNormalization frozen, and all but the last
# leave the **head** trainable, the new classifier.

# %% tags=["nbval-check-output"]
SIZE = 64  # pixels: small, so that the whole backbone can be trained here
model = models.build_classifier(10, size=SIZE)
ways = {
    'freeze(until="block3")': lambda: freezing.freeze(model, until="block3"),
    "unfreeze(last=6)": lambda: freezing.unfreeze(model, last=6),
    "freeze(fraction=0.5)": lambda: freezing.freeze(model, fraction=0.5),
    'freeze(types="DepthwiseConv2D")': lambda: freezing.freeze(model, types="DepthwiseConv2D"),
    'freeze(names=["stem", "block1"])': lambda: freezing.freeze(model, names=["stem", "block1"]),
    'recommend(500, "medium").apply': lambda: freezing.recommend(500, "medium").apply(model),
    'train_only("stem")': lambda: freezing.train_only(model, "stem"),
}
for way, apply in ways.items():
    left = apply()
    print(f"{way:<34}{left.backbone_trainable:>10,} parameters{left.share:>7.1%} of the backbone")

# %% [markdown]
# A helper should refuse what it does not understand, and change nothing. These do.

# %% tags=["nbval-check-output"]
for wrong in ({"until": "blok4"}, {"fraction": 90.0}, {"fraction": 1}, {"types": "LSTM"}):
    try:
        freezing.freeze(model, **wrong)
    except (TypeError, ValueError) as error:
        print(f"{wrong}: {error}")

# %% [markdown]
# Now the helpers that you find in tutorials. They are short, and each of them does something else
# than it says. First by **index**. If you give it the whole classifier, the backbone counts as one
# layer. `freezing.freeze` looks for the backbone inside.

# %%
resnet = models.load_backbone("resnet50", weights=None, input_shape=(64, 64, 3))
hidden = [keras.layers.Dense(256, "relu"), keras.layers.Dropout(0.5), keras.layers.Dense(3)]
wrapper = keras.Sequential([resnet, keras.layers.GlobalAveragePooling2D(), *hidden])
wrapper.build((None, 64, 64, 3))


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


for layer in wrapper.layers[: int(0.9 * len(wrapper.layers))]:
    layer.trainable = False
left_by_index = trainable(wrapper)
compare("index", left_by_index, f"of {wrapper.count_params():,} parameters still train")
whole_blocks = freezing.freeze(wrapper, fraction=0.9)
print(f"freeze(fraction=0.9): {whole_blocks.backbone_trainable:,} of the backbone, and the head")

# %% [markdown]
# On the bare backbone an index does count layers. But late layers are large: this is what stays
# trainable of ResNet50, in parameters, if you freeze the first so many layers. Chapter
# [02](02_extract_or_finetune.ipynb) draws the whole curve.

# %% tags=["nbval-check-output"]
for share in (0.5, 0.7, 0.8, 0.9, 0.95):
    left = freezing.trainable_share(resnet, share)
    print(f"first {share:.0%} of {len(resnet.layers)} layers frozen: {left:.1%} still trainable")
conv5 = freezing.unfreeze(resnet, from_="conv5", batch_norm="trainable").share
print(f"`[:-20]` freezes {1 - 20 / len(resnet.layers):.1%} of them; conv5 alone holds {conv5:.0%}")

# %% [markdown]
# By **name**, as a piece of text: "freeze until `block4`". Look where the cut falls, and what a
# misspelt name does. In ResNet50 the stages are named `conv2` to `conv5`, and two of them have a
# `block4`.


# %%
def until_text(base, text):
    """The helper as it goes around: frozen up to the first name that contains the text."""
    base.trainable, found = True, False
    for layer in base.layers:
        found = found or text in layer.name
        layer.trainable = found


until_text(resnet, "blok4")
left_by_typo = len(resnet.trainable_weights)
until_text(resnet, "block4")
first_match = next(layer.name for layer in resnet.layers if layer.trainable)
print(f"cut before {first_match}; after a typo {left_by_typo} weights are trainable")

# %% [markdown]
# By **type**. MobileNet and its family are built of depthwise convolutions. In Keras these are
# another class than Conv2D, and this loop leaves every one of them trainable.

# %%
left_depthwise = {}
bases = {"mobilenetv2": models.load_backbone("mobilenetv2", weights=None)}
bases["lite0"] = freezing.find_backbone(model)
for name, base in bases.items():
    for layer in base.layers:
        layer.trainable = not isinstance(layer, keras.layers.Conv2D)
    depthwise = [x for x in base.layers if isinstance(x, keras.layers.DepthwiseConv2D)]
    left_depthwise[name] = sum(layer.trainable for layer in depthwise)
print(left_depthwise)

# %% [markdown]
# Then the cell that you **run twice**. It sets `base.trainable = True` and freezes the first so
# many layers. Try 100, then fewer. On TensorFlow, Keras skips the assignment if it is True already,
# and what was frozen inside stays frozen. Set False first, and it works.


# %%
def freeze_first(base, count, toggle=False):
    if toggle:
        base.trainable = False
    base.trainable = True
    for layer in base.layers[:count]:
        layer.trainable = False
    return len(base.trainable_weights)


start_over = freeze_first(resnet, 100, toggle=True)
again = [freeze_first(resnet, count) for count in (50, 0)]
toggled = freeze_first(resnet, 0, toggle=True)
print(f"100 layers frozen: {start_over} weights; then 50 and 0: {again}; toggled: {toggled}")

# %% [markdown]
# Last, **adaptive**: a share for your number of images and your similarity to the source. The
# copied rule stands below. Its table has three columns for similarity and two of them are always
# equal; the first two rows are equal throughout. `freezing.recommend` answers each of the three
# columns differently, gives its reasons, and says that its borders are a choice. Neither has
# measured your data.


# %%
def copied_rule(images, similarity):
    """Share of the layers to freeze, by a rule that many notebooks hold."""
    borders = {500: (0.95, 0.95), 1000: (0.85, 0.85), 5000: (0.75, 0.5), 10_000: (0.5, 0.3)}
    rows = [shares for border, shares in borders.items() if images < border]
    return (rows or [(0.3, 0.0)])[0][similarity != "high"]


COUNTS, SIMILARITY = (400, 800, 3000, 7000, 20_000), ("high", "medium", "low")
copied = {n: [copied_rule(n, s) for s in SIMILARITY] for n in COUNTS}
ours = {n: [freezing.recommend(n, s) for s in SIMILARITY] for n in COUNTS}

# %% tags=["nbval-check-output"]
print("share to freeze if similarity is     high  medium   low")
for n in COUNTS:
    print(f"{n:>6,} images, copied, of layers  ", *(f"{share:>7.2f}" for share in copied[n]))
    print(f"{n:>6,} images, ours, of parameters", *(f"{r.fraction:>7.2f}" for r in ours[n]))

# %% [markdown]
# Where our shares agree in a row, the strategies differ: for "low" a small network from scratch is
# trained beside the transfer run. Rules like these contradict each other. For many similar images
# you can read "fine-tune everything", "freeze the early layers" and "freeze 30 %"; for few
# different ones, "extract features", "unfreeze the late layers" and "freeze 85 %, whatever the
# similarity". So measure.

# %% [markdown]
# ## Experiment 2: what each stage knows
#
# If early features are general and late ones belong to the old task, it should show. Cut the frozen
# backbone after each stage, average the maps over their positions, fit one linear layer on them,
# and score it on test images: a **linear probe**. Two targets: silhouettes of animals, whose
# classes ImageNet knows, and digits, which it does not.
#
# `training.cached_prefix` computes what is in front of a cut once and returns the rest as a model.
# The rest can be cut again. So the whole backbone runs once over all images here, and the next
# experiment trains on the same activations.

# %%
N, TEST = run.choose(quick=(192, 400), full=(1000, 1000))  # labels; test images
DEPTHS = 2, 9  # how many of the last blocks will be trained
targets = {name: data.load(name) for name in ("animals", "mnist")}
labelled = {name: dataset.subset(N, SEED) for name, dataset in targets.items()}
images = [np.concatenate([labelled[t][0], targets[t].x_test[:TEST]]) for t in targets]
first_of = {name: i * (N + TEST) for i, name in enumerate(targets)}
imagenet = model.get_weights()


def rows(name, part, n=N):
    """Where the training or the test images of a target lie."""
    start = first_of[name] + (0 if part == "train" else N)
    return slice(start, start + (n if part == "train" else TEST))


# %%
part, inputs, suffixes, pooled = model, np.concatenate(images), {}, {}
for last in (16, 14, 12, 9, 6, 2, 1):  # blocks behind the ends of stages 1 to 7
    freezing.unfreeze(part, last=last)
    part, inputs = training.cached_prefix(part, inputs)
    pooled[last] = inputs.mean(axis=(1, 2))
    if last in DEPTHS:
        suffixes[last] = part, inputs
top = freezing.find_backbone(part)
pooled[0] = top.predict(inputs, verbose=0).mean(axis=(1, 2))


def named_right(model, x, y):
    """Accuracy; `predict` would compile the model first, which takes longer than this."""
    parts = np.array_split(x, -(-len(x) // 100))  # a call keeps the maps of all layers
    said = np.concatenate([keras.ops.convert_to_numpy(model(part)) for part in parts])
    return evaluation.accuracy(said, y)


def probe(features, name, n=N):
    """A head on these features, and its test accuracy."""
    head = training.fit_head(features[rows(name, "train", n)], labelled[name][1][:n], 10)
    return head, head.accuracy(features[rows(name, "test")], targets[name].y_test[:TEST])


# %%
probes = {name: [probe(found, name)[1] for found in pooled.values()] for name in targets}
best = {name: 1 + int(np.argmax(scores)) for name, scores in probes.items()}
claims.record("05-probes", **probes)
past = claims.reference("05-probes", profile=PROFILE)
bands = {name: [entry["measured"][name] for entry in past] for name in targets}
ax = viz.curves(
    range(1, 9), probes, percent=True, committed=bands if past else None,
    xlabel="stage of the backbone, 8 is the top", ylabel="test accuracy of a linear probe, %",
    title="What each stage knows",
)  # fmt: skip
compare(
    "stage", best["mnist"], f"is the best stage for digits; for animals it is {best['animals']}"
)

# %% [markdown]
# Follow each line from left to right and look where it peaks. A stage that is read clearly worse
# than the one before it has lost something that this target needs. The deeper features are not
# "better": they are further on the way to the thousand classes of ImageNet, and whether that is
# your way depends on your target and on your images: these are drawings of 28 pixels, the top was
# made for photographs. Mind what the probe does not say: it has more inputs at later stages, 1,280
# at the top against 16 after the first, and it cannot use what stands at which position.

# %% [markdown]
# ## Experiment 3: how deep to train
#
# Now train. Same start, a head fitted on the frozen features; same two epochs, rate and batches;
# different depths. The depth is given as the share of the backbone's parameters that train: 0 is
# the head alone, then the last 2 of 18 blocks, then the last 9. That 2 blocks hold almost a third
# of the parameters, and the first 9 together a tenth, is the reason for this axis.
# BatchNormalization is frozen throughout. The rate was picked of 3e-5 and 1e-4 beforehand, for all
# depths together, on validation images of another draw.

# %%
LABELS, EPOCHS, BATCH, RATE = (N // 4, N), 2, 16, 3e-5
heads = {(name, n): probe(pooled[0], name, n) for name in targets for n in LABELS}
share = {0: 0.0} | {last: freezing.unfreeze(model, last=last).share for last in DEPTHS}


def tuned(last, name, n):
    """Test accuracy after fine-tuning the last blocks from a fitted head."""
    part, inputs = suffixes[last]
    model.set_weights(imagenet)
    training.set_head(model, heads[name, n][0])
    freezing.unfreeze(model, last=last)
    config.set_seed(SEED)
    settings = {"epochs": EPOCHS, "batch_size": BATCH, "learning_rate": RATE}
    training.train(part, inputs[rows(name, "train", n)], labelled[name][1][:n], **settings)
    return named_right(part, inputs[rows(name, "test")], targets[name].y_test[:TEST])


# %%
depth = {f"{name}, {n}": [heads[name, n][1]] for name, n in heads}
for last in DEPTHS:  # one depth after the other: each training step is compiled once
    for name, n in heads:
        depth[f"{name}, {n}"].append(tuned(last, name, n))
claims.record("05-depth", **depth)

# %%
past = claims.reference("05-depth", profile=PROFILE)
bands = {name: [entry["measured"][name] for entry in past] for name in depth}
ax = viz.curves(
    [100 * value for value in share.values()], depth, percent=True,
    committed=bands if past else None, xlabel="trainable parameters of the backbone, %",
    ylabel="test accuracy, %", title="How deep to train, by target and labels",
)  # fmt: skip
for name, scores in depth.items():
    gains = [f"{100 * (score - scores[0]):+.1f}" for score in scores[1:]]
    print(f"{name}: head {100 * scores[0]:.1f} %, then {', '.join(gains)} points")
for name, scores in probes.items():
    print(f"{name}, {N}: linear probe after stage 5, nothing else trained: {100 * scores[4]:.1f} %")

# %% [markdown]
# The distance *between* lines is what labels and target decide; the slope *along* a line is what
# depth decides. Compare the two. With 400 test images an accuracy near 85 % is uncertain by about
# three and a half points either way, so a bend of one or two points in your run is no finding; a
# pale band is the interval for the *mean* of the committed runs, and your line may lie outside. A
# flat line is an answer, too: take its cheapest point. And a line that falls by more than that says
# that these labels cannot steer that many parameters, with this rate and these epochs.
#
# Then compare with the last two lines printed: the same labels, a head on an *earlier* stage, and
# no fine-tuning. Where to take the features is a question of depth, too, and the cheaper one.

# %% [markdown]
# All of this is top-1 accuracy. Tutorials like to add **top-5**, the share of images whose class is
# among the five likeliest. With 10 classes, chance reaches a half; with 5, everything. And in Keras
# 3 `metrics_names` no longer names what was measured: ask `evaluate` for `return_dict=True`.

# %%
chance = np.random.default_rng(SEED).random((10_000, 10), "float32")
for classes in (10, 5):
    top5 = keras.metrics.SparseTopKCategoricalAccuracy(5)
    top5.update_state(np.arange(len(chance)) % classes, chance[:, :classes])
    print(f"{classes} classes, top-5 of blind guesses: {float(top5.result()):.0%}")
print(suffixes[2][0].metrics_names)

# %% [markdown]
# ## Experiment 4: do gradients tell you what to train?
#
# A popular recipe: run one batch, take the mean absolute gradient of each layer, freeze where it is
# small. It sounds reasonable. But a convolution in front of a normalisation can be multiplied by
# any number: the normalisation divides it out. The network says the same, and the gradient is
# divided by that number. `freezing.rescale_block` does it, with the stored statistics multiplied to
# fit.

# %%
model.set_weights(imagenet)
training.set_head(model, heads["animals", N][0])
freezing.unfreeze(model)
x, y = (values[:32] for values in labelled["animals"])
scored = freezing.gradient_scores(model, x, y, batch_size=16)
said = keras.ops.convert_to_numpy(model(x))

freezing.rescale_block(model, "block4a", 10.0)
output_change = float(np.abs(keras.ops.convert_to_numpy(model(x)) - said).max())
now = freezing.gradient_scores(model, x, y, batch_size=16)["block4a"]
gradient_ratio = scored["block4a"].mean / now.mean
compare("kernel", 1 / gradient_ratio, "times the gradient")
print(f"largest change of a probability: {output_change:.1e}")

# %% [markdown]
# So you can have any ranking you like. Below every block is multiplied such that the ranking of the
# blocks is turned upside down. Look at the two lines: the block that "matters most" in one network
# matters least in the other, and both networks give the same probabilities.

# %%
model.set_weights(imagenet)
training.set_head(model, heads["animals", N][0])
blocks = [row.block for row in freezing.report(model).rows if row.in_backbone]
smallest = min(scored[block].mean for block in blocks)
for block in blocks:
    freezing.rescale_block(model, block, 10 * (scored[block].mean / smallest) ** 2)
turned = freezing.gradient_scores(model, x, y, batch_size=16)
ax = viz.curves(
    range(len(blocks)),
    {
        "as it came": [np.log10(scored[b].mean) for b in blocks],
        "rescaled": [np.log10(turned[b].mean) for b in blocks],
    },
    xlabel="block of the backbone, 0 is the stem", ylabel="mean |gradient|, as a power of 10",
    title="Two networks that say the same",
)  # fmt: skip
ax.set_xticks(range(0, len(blocks), 2))
change = float(np.abs(keras.ops.convert_to_numpy(model(x)) - said).max())
print(f"largest change of a probability: {change:.1e}")

# %% [markdown]
# What would survive? A score that does not change when the weights grow and the gradient shrinks.
# Below is the rank correlation of each score with itself, before and after: 1 means the same
# ranking, -1 the opposite one. The **relative** gradient, its length over that of the weights, is
# used in the literature; the scale enters it twice, as the weights grow and the gradient shrinks.
# That it ends above -1 is no merit: the factors were chosen to turn *mean* exactly upside down, and
# no other score. The **effect** multiplies the length of the gradient by that of the weights. The
# **agreement** asks whether the batches pull the same way; it is a bounded form of the
# signal-to-noise ratio.

# %%
for score in ("mean", "relative", "effect", "agreement"):
    ranks = [[getattr(found[b], score) for b in blocks] for found in (scored, turned)]
    print(f"{score:<10} {spearmanr(*ranks).statistic:+.2f}")
model.set_weights(imagenet)

# %% [markdown]
# Surviving is necessary, not sufficient. Whether a score also points to what is worth training can
# only be seen by training, which is the next experiment.

# %% [markdown]
# ## Experiment 5: train the first block, or the last?
#
# "Freeze early, tune late" has a hidden condition: that the classes change and the look of the
# images does not. Turn it around. A small network has learned animals from 3,000 clean images, the
# one that chapter [04](04_forgetting.ipynb) makes forget. Then comes a new target with 200 labels,
# of three kinds:
#
# - **noise**: the same animals with strong noise;
# - **invert**: the same animals, white on black made black on white;
# - **labels**: the same images, and every class has the name of another.
#
# The first two are shifts of the input, the third of the output. For each you tune one part of the
# network alone, with `freezing.train_only`, and freeze all else: Lee and others (2023) call it
# surgical fine-tuning. Every part gets the same images, epochs and batches; its rate for each
# shift was picked beforehand, of two or three, on validation images of another draw, with a network
# that had seen 4,000 animals.

# %%
KNOWN, NEW, NOISE = 3000, 200, 4
x, y = targets["animals"].subset(KNOWN + NEW, SEED)
net = training.train_from_scratch(x[:KNOWN], y[:KNOWN], 10, SEED, steps=200)
learned = net.get_weights()
test, truth = targets["animals"].x_test[:TEST], targets["animals"].y_test[:TEST]
renamed = np.roll(np.arange(10), 1)
shifts = {
    "noise": lambda x, y, seed: (evaluation.corrupt(x, "noise", NOISE, seed), y),
    "invert": lambda x, y, seed: (255 - x, y),
    "labels": lambda x, y, seed: (x, renamed[y]),
}
new = {name: shift(x[KNOWN:], y[KNOWN:], SEED) for name, shift in shifts.items()}
unseen = {name: shift(test, truth, SEED + 1) for name, shift in shifts.items()}
looks = x[KNOWN:], new["noise"][0], new["invert"][0]
examples = [images[i] for i in range(2) for images in looks]
figure = viz.image_grid(examples, ["learned from", "noise", "invert"] * 2, columns=6)

# %% [markdown]
# Above are two animals, each as the network learned them, with noise, and inverted. Below, each row
# is the part that was tuned, and each mark a shift; the row *nothing* is the network as it was.
# Before you look: where do you expect *first convolution*, with its 144 weights, for each shift?

# %%
PARTS = {  # what trains, and its rates for noise, invert and labels
    "first convolution": ("block1", (1e-2, 3e-2, 1e-2)),
    "hidden layer": ("hidden", (1e-3, 1e-2, 1e-2)),
    "last layer": ("head", (1e-2, 3e-2, 3e-2)),
    "everything": (["block1", "block2", "block3", "hidden", "head"], (1e-3, 1e-3, 3e-3)),
}

# %%
surgery = {"nothing": {shift: named_right(net, *unseen[shift]) for shift in shifts}}
for part, (names, rates) in PARTS.items():
    freezing.train_only(net, names)
    surgery[part] = {}
    for shift, rate in zip(shifts, rates, strict=True):
        net.set_weights(learned)
        config.set_seed(SEED)
        training.train(net, *new[shift], epochs=5, batch_size=20, learning_rate=rate)
        surgery[part][shift] = named_right(net, *unseen[shift])
claims.record("05-surgery", rows=surgery)

# %%
ax = viz.paired_dots(
    surgery, percent=True, committed=committed("05-surgery"), xlabel="test accuracy, %",
    title="Tune one part with 200 labels",
)  # fmt: skip
ahead = {s: surgery["first convolution"][s] - surgery["last layer"][s] for s in shifts}
compare("first", 100 * ahead["noise"], "points ahead on noise")
print({shift: f"{100 * value:+.1f} points" for shift, value in ahead.items()})

# %% [markdown]
# Compare the rows *first convolution* and *last layer*, mark by mark. When the images look
# different, the mistake is made at the entrance, and whatever comes behind is still right: undo it
# where it arises. Mind the *hidden layer*, though: with far more weights it can come out level
# there, or ahead, so the first block is a good place and not the only one. When the names change,
# nothing in front of the last layer is wrong. Look also at *everything*: it can do all that the
# parts can, and 200 labels have to steer all of it.
#
# Do the scores of experiment 4 know? For each shift they are computed on the 200 images, before any
# training. The table shows which part each score would train, and how many points that part ends
# below the best single one.

# %%
single = {names: part for part, (names, _) in PARTS.items() if isinstance(names, str)}
net.set_weights(learned)
freezing.unfreeze(net)
lost = {score: {} for score in ("mean", "relative", "effect", "agreement")}
for shift in shifts:
    found = freezing.gradient_scores(net, *new[shift], batch_size=20)
    gained = {names: surgery[part][shift] for names, part in single.items()}
    for score, losses in lost.items():
        choice = max(single, key=lambda names: getattr(found[names], score))
        losses[shift] = max(gained.values()) - gained[choice]
        print(
            f"{shift:<7} {score:<10} {choice:<7} {100 * losses[shift]:4.1f} points below the best"
        )
claims.record("05-scores", rows=lost)
for score, losses in lost.items():
    print(f"{score:<10} {100 * np.mean(list(losses.values())):.1f} points lost on average")

# %% [markdown]
# With three shifts and three parts this is a look, not a proof. But look at the lines of *labels*. A
# gradient says where the loss is steep, not where the mistake was made. A score that needs no
# training is worth having where it is right, and you find out whether it is right by training. The
# sweep over the parts took seconds. That is the method to remember: try the parts, on validation
# images.

# %% [markdown]
# ## What the books say, and what we measured
#
# Each line is a **claim**: an assertion with a rule that was fixed before the run. The table under
# it shows your numbers and those of the committed runs. *Unsettled* means that the committed runs
# disagree with each other.
#
# *"Freeze the first 90 % by index."*

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q05-wrapper-index", trainable=left_by_index, parameters=wrapper.count_params()
)

# %% [markdown]
# *"Freeze until the layer named `block4`."*

# %% tags=["nbval-check-output"]
verdict = claims.check("q05-by-name", first=first_match, left_by_a_typo=left_by_typo)

# %% [markdown]
# *"`isinstance(layer, Conv2D)` finds the convolutions."*

# %% tags=["nbval-check-output"]
verdict = claims.check("q05-by-type-depthwise", **left_depthwise)

# %% [markdown]
# *"`base.trainable = True` unfreezes it."*

# %% tags=["nbval-check-output"]
verdict = claims.check("q05-unfreeze-toggle", first=start_over, again=again[-1], toggled=toggled)

# %% [markdown]
# *"Adapt the share to size and similarity."*

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q05-adaptive-medium",
    distinct=[len(set(shares)) for shares in copied.values()],
    below_1000=[len(set(copied[n])) for n in COUNTS if n < 1000],
    medium_is_low=all(shares[1] == shares[2] for shares in copied.values()),
    ours=[len({(r.strategy, r.fraction) for r in advice}) for advice in ours.values()],
)

# %% [markdown]
# *"Early features are general, late ones specific."*

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q05-general-to-specific", digits_stage=best["mnist"], animals_stage=best["animals"]
)

# %% [markdown]
# *"The head belongs on the top."* Stage 5 was picked beforehand, on validation images of another
# draw.

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q05-top-not-best", **{f"{name}_gain": probes[name][4] - probes[name][7] for name in targets}
)

# %% [markdown]
# *"Freeze the early layers, tune the late ones."* The rule was written when the network had seen
# 4,000 animals and taken 300 steps; to save time it is chapter 04's now, and the rule is the same.

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q05-freeze-early", **{f"{shift}_difference": value for shift, value in ahead.items()}
)

# %% [markdown]
# *"Small gradient, little importance."*

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q05-gradient-importance", output_change=output_change, gradient_ratio=gradient_ratio
)

# %% [markdown]
# *"Here is a function that computes it."* The one that goes around asks one GradientTape for layer
# after layer. A tape answers once unless it is `persistent=True`. And it goes through
# `model.layers`, where a nested backbone is one layer without a kernel of its own.


# %%
def copied_analysis(model, x, y):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = keras.ops.mean(keras.losses.sparse_categorical_crossentropy(y, model(x)))
    kernels = [layer.kernel for layer in model.layers if hasattr(layer, "kernel")]
    return [tape.gradient(loss, kernel.value) for kernel in kernels]


dense = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4), keras.layers.Dense(2)])
try:
    raised = copied_analysis(dense, np.ones((2, 8), "float32"), np.array([0, 1])) and "nothing"
except RuntimeError as error:
    raised = type(error).__name__
backbone_kernels = sum(hasattr(layer, "kernel") for layer in model.layers if layer.name != "head")

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q05-analyze-runs", second_call=raised, backbone_kernels_seen=backbone_kernels
)

# %% [markdown]
# ## The trap: BatchNormalization, as the guide teaches it
#
# **BatchNormalization** divides by a mean and a deviation. In inference mode it takes the stored
# ones; in training mode it takes those of the batch, and moves the stored ones towards them. The
# stored ones belong to the pretrained weights. Batches of 16 silhouettes have others.
#
# The best-known guide, [that of Keras](https://keras.io/guides/transfer_learning/), knows that. It
# calls the backbone with `training=False`, so that, in its words, the layers stay in inference mode
# after unfreezing. Here is its form, line by line. In Keras 3 `fit` overrides the argument in a
# Functional model.

# %%
base = models.load_backbone("efficientnet-lite0", input_shape=(SIZE, SIZE, 3))
base.trainable = False
inputs = keras.Input((28, 28, 1))
maps = base(Preprocess("efficientnet-lite0", size=SIZE)(inputs), training=False)
features = keras.layers.GlobalAveragePooling2D()(maps)
guide = keras.Model(inputs, keras.layers.Dense(10, "softmax", name="head")(features))
training.set_head(guide, heads["animals", N][0])  # the head is trained first, as the guide says
base.trainable = True
before = freezing.snapshot(guide)
at_start = guide.get_weights()
scorer = keras.Model(guide.input, guide.output)  # never compiled anew: one graph for both scores


def finish():
    """Compile, fit, and score, the same for both."""
    config.set_seed(SEED)
    settings = {"epochs": EPOCHS, "batch_size": BATCH, "learning_rate": RATE}
    training.train(guide, *labelled["animals"], **settings)
    said = scorer.predict(targets["animals"].x_test[:TEST], batch_size=100, verbose=0)
    return evaluation.accuracy(said, targets["animals"].y_test[:TEST])


# %%
price = {"head only": heads["animals", N][1], "as the guide": finish()}
verdicts = freezing.audit(guide, before=before, expect="fine-tuning")

# %% [markdown]
# It ran, and nothing warned. `freezing.audit` finds it, with or without a snapshot.

# %% tags=["nbval-check-output"]
for finding in verdicts.findings:
    if "batch-norm" in finding.code or "training-false" in finding.code:
        print(finding)

# %% [markdown]
# Now the same model, the same head, data, rate and batches, with one line more.

# %%
guide.set_weights(at_start)
freezing.freeze_batch_norm(guide)
price["BatchNormalization frozen"] = finish()
claims.record("05-price", rows={f"animals, {N}": price})
ax = viz.paired_dots(
    {f"animals, {N}": price}, percent=True, committed=committed("05-price"),
    xlabel="test accuracy, %", title="What one line costs",
)  # fmt: skip
compare(
    "guide",
    100 * (price["BatchNormalization frozen"] - price["as the guide"]),
    "points of accuracy",
)

# %% [markdown]
# The marks to compare are *as the guide* and *BatchNormalization frozen*. The weights moved alike,
# by a small rate. The statistics did not ask for the rate: each step moves them one hundredth of
# the way to those of the batch, and the weights were trained for others. The loss that `fit`
# reports is no help either, since `fit` looks at the model in training mode and your users do not.

# %% tags=["nbval-check-output"]
verdict = claims.check(
    "q05-bn-drift-costs", frozen=price["BatchNormalization frozen"], guide=price["as the guide"]
)

# %% [markdown]
# ### Three cures
#
# First, after unfreezing, freeze each BatchNormalization. Second, never unfreeze it. Third, put the
# backbone into a layer of your own, `Inference` below, that passes `training=False` on.
#
# Here they are on a toy of one convolution and one BatchNormalization, at a rate of 1e-12, at which
# no weight moves. *guide* has no cure, *all_frozen* is a backbone that was never unfrozen. The
# number is how far the stored mean moved in one epoch.


# %%
class Inference(keras.layers.Layer):
    """Calls a model in inference mode, whatever mode fit is in."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, x):
        return self.inner(x, training=False)


def moved(cure=None, wrap=False):
    base = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)])
    base.add(keras.layers.BatchNormalization())
    inputs = keras.Input((8, 8, 3))
    maps = Inference(base)(inputs) if wrap else base(inputs, training=False)
    outputs = keras.layers.Dense(2, "softmax")(keras.layers.Flatten()(maps))
    network = keras.Model(inputs, outputs)
    base.trainable = True
    (cure or (lambda _: None))(base)
    x = np.random.default_rng(SEED).normal(3, 1, (128, 8, 8, 3)).astype("float32")
    training.train(network, x, np.arange(128) % 2, epochs=1, learning_rate=1e-12, batch_size=16)
    return float(np.abs(keras.ops.convert_to_numpy(base.layers[-1].moving_mean)).max())


# %%
def freeze_norms(base):
    """Cure 1: after unfreezing, freeze each BatchNormalization. `freeze_batch_norm` does it."""
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def unfreeze_others(base):
    """Cure 2: never unfreeze them. `freeze` and `unfreeze` of this course do it."""
    base.trainable = False
    base.trainable = True
    for layer in base.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)


drift = {
    "guide": moved(), "frozen_after": moved(freeze_norms), "others_only": moved(unfreeze_others),
    "wrapped": moved(wrap=True), "all_frozen": moved(lambda base: setattr(base, "trainable", False)),
}  # fmt: skip
print(drift)

# %% [markdown]
# In the third cure `fit` has no hand in the mode. A Lambda layer in its place would lose the
# weights. All three keep the statistics; the third still trains the scale and shift of each
# BatchNormalization.
#
# *"`training=False` keeps it in inference mode."*

# %% tags=["nbval-check-output"]
verdict = claims.check("q05-bn-training-false", **drift)

# %% [markdown]
# *"When you freeze the base, freeze BatchNormalization as well."* In Keras that is one and the
# same: a frozen one is in inference mode. A second loop over the layers adds nothing. It is needed
# after **un**freezing.

# %% tags=["nbval-check-output"]
verdict = claims.check("q05-bn-frozen-inference", change=drift["all_frozen"])

# %% [markdown]
# ## The 3-minute answer
#
# "I start from what the layers hold. Early layers are general, late layers belong to the source
# task. You can see it with linear probes: a target far from the source is read best no later than a
# near one, and often earlier. So the default is to freeze from the input, fit a head, and unfreeze
# from the output.
#
# How far is a hyperparameter. I count it in parameters, because the late blocks hold nearly all of
# them: half of the layers frozen can leave nine tenths trainable. I try the head alone, the top, a
# third, everything, from the same fitted head and at the same budget, on validation images. The
# frozen part is computed once, so that costs little. If the depths do not differ beyond the noise,
# I keep the cheapest.
#
# The default has an exception. If the classes stay and the look of the images changes, noise,
# another camera, inverted contrast, the first block is a good place to try: few weights, and
# everything behind it still right.
#
# I do not choose by gradient size, since that depends on the scale of the weights, and
# normalisation makes the scale arbitrary.
#
# And whatever I unfreeze, BatchNormalization stays in inference mode. In Keras 3 the argument
# `training=False` does not ensure that inside fit; I set `trainable = False` on those layers after
# unfreezing, compile, and check after training that no statistic moved."
#
# ### What they ask next
#
# **You have 300 images. How much do you freeze?** All of it first. Then the top, then the last
# third, on validation images. I would be surprised if everything won, and I would not forbid it.
#
# **Why not freeze the middle and train both ends?** You can. Yosinski and others (2014) found that
# cutting in the middle can cost accuracy, because neighbouring layers had adapted to each other.
# Training both sides of the cut lets them adapt again.
#
# **What about scores from the literature?** Lee and others (2023) rank by relative gradient and by
# signal-to-noise ratio. The first changes with the scale of the weights. I would use one to order
# my trials, not to replace them.
#
# **When may BatchNormalization train?** With large batches, many images, and a long training: then
# the statistics have time to become those of the target, and the weights time to follow.
#
# **How is that in PyTorch?** There `requires_grad = False` does not stop the statistics; `eval()`
# on the BatchNorm modules does, and has to be repeated after every `train()`.
#
# **And transformers?** LayerNorm keeps no statistics, so this trap is gone. Depth, count of
# parameters and layer-wise rates stay the same questions.
#
# ### Red flags
#
# - "I froze 70 % of the layers", without saying how many parameters that leaves.
# - A helper that matches pieces of names or indices, and no count printed after it.
# - "Early layers are always frozen."
# - "The gradient was small, so I froze it."
# - `training=False` in the model, and no look at the moving means after fit.
#
# ## Test yourself
#
# Run the next cell. A click on a choice says why it is right or wrong. Some questions go further
# than this chapter.

# %%
from tlcourse import interview

interview.show_quiz("05")

# %% [markdown]
# A click turns a card. They hold the question of this chapter, what is asked next, and questions
# that go further. `tlcourse interview` asks them again when you are about to forget.

# %%
interview.show_flashcards("05")

# %% [markdown]
# ## Go on
#
# - [Exercises](../exercises/05_what_to_freeze.ipynb): write the part that matters yourself,
#   and find the bugs.
# - Try it: add "shear" or "blur" to `shifts`, or put `["block1", "head"]` among the `PARTS`.
# - Chapters: [02](02_extract_or_finetune.ipynb) on what fine-tuning buys and costs,
#   [03](03_learning_rates.ipynb) on the rates for what you unfreeze, [09](09_two_stages.ipynb) on
#   unfreezing step by step.
# - Papers: Yosinski et al. 2014, [How transferable are features in deep neural
#   networks?](https://arxiv.org/abs/1411.1792) · Lee et al. 2023, [Surgical fine-tuning improves
#   adaptation to distribution shifts](https://arxiv.org/abs/2210.11466) · Raghu et al. 2019,
#   [Transfusion](https://arxiv.org/abs/1902.07208) · Ioffe and Szegedy 2015, [Batch
#   normalization](https://arxiv.org/abs/1502.03167).
