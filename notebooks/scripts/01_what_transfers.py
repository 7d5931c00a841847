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
# minutes. The backbone is EfficientNet-Lite0 with its real ImageNet weights; it came with the
# installation, so nothing is downloaded.

# %% tags=["parameters"]
PROFILE: str = "quick"  # quick | full
SEED: int = 0  # every random choice follows from it

# %%

from tlcourse import claims, config, data, evaluation, features, training
from tlcourse import visualization as viz

run = config.begin("01", PROFILE, SEED)
viz.style()

# %% [markdown]
# ## The two targets
#
# **Animals** are silhouettes: the outline of a bear, a bird, a zebra. ImageNet, the source, is full
# of animals, but it holds photographs, in colour, with texture. **Digits** are handwritten numbers.
# ImageNet has none.
#
# Look at the pictures and ask yourself what a network that knows photographs could use here.

# %%
animals, mnist = data.load("animals"), data.load("mnist")
one_each = [dataset.x_train[dataset.y_train == c][0] for dataset in (animals, mnist) for c in range(10)]
names = [*animals.class_names, *mnist.class_names]
viz.image_grid(one_each, names)

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
    "animals": {"transfer": None, "scratch": None},
    "mnist": {"transfer": None, "scratch": None},
}

# %% [markdown]
# ## Experiment 1: one learning curve per way
#
# A **learning curve** shows accuracy against the number of labels. Both ways get the same labels,
# and both are scored on the same test images, which neither of them ever trains on.
#
# The head on frozen features is a logistic regression. It has one solution and takes seconds. The
# features of an image are computed once, whatever we then do with them.

# %%
SIZES = run.choose(quick=[50, 250, 1000], full=[50, 100, 250, 500, 1000, 3000])
SEEDS = run.seeds(run.choose(quick=1, full=5))
wanted = [animals, mnist]
wanted += [data.load(name) for name in ("fashion_mnist", "cifar10") if data.available(name)]


# %%
def transfer_curve(dataset, seed):
    """Test accuracy of a head on frozen features, at each size."""
    x, y = dataset.subset(SIZES[-1], seed)
    train_features, test_features = features.extract(x), features.extract(dataset.x_test)
    heads = [training.fit_head(train_features[:n], y[:n]) for n in SIZES]
    return [head.accuracy(test_features, dataset.y_test) for head in heads]


transfer = {d.name: [transfer_curve(d, seed) for seed in SEEDS] for d in wanted}

# %% [markdown]
# The opponent deserves a fair chance. It is a small network whose recipe was tuned beforehand, on
# validation images, at each size, and not on the test images used here.


# %%
def scratch_curve(dataset, seed):
    """Test accuracy of the small network from scratch, at each size."""
    x, y = dataset.subset(SIZES[-1], seed)
    scores = []
    for n in SIZES:
        network = training.train_from_scratch(x[:n], y[:n], len(dataset.class_names), seed)
        scores.append(evaluation.accuracy(network.predict(dataset.x_test, verbose=0), dataset.y_test))
    return scores


scratch = {d.name: [scratch_curve(d, seed) for seed in SEEDS] for d in wanted}
claims.record("01-learning-curves", sizes=SIZES, transfer=transfer, scratch=scratch)
