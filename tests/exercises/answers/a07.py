"""Answers to the exercises of chapter 07."""

import numpy as np

from tlcourse.exercises.trials import right, wrong

# 07.1


@right("07.1", guess=255)
def _(images, right, wrong):
    return np.std(right(images)) / np.std(wrong(images))


@right("07.1", guess=2)
def _(images, right, wrong):
    def spread(x):
        return np.sqrt(np.mean((x - x.mean()) ** 2))

    return float(spread(right(images)) / spread(wrong(images)))


@wrong("07.1", "upside down", guess=2)
def _(images, right, wrong):
    return wrong(images).std() / right(images).std()


@wrong("07.1", "variance", guess=2)
def _(images, right, wrong):
    return right(images).var() / wrong(images).var()


@wrong("07.1", "means", guess=2)
def _(images, right, wrong):
    return right(images).mean() / wrong(images).mean()


@wrong("07.1", "means", guess=2)
def _(images, right, wrong):
    return wrong(images).mean() / right(images).mean()


@wrong("07.1", "difference", guess=2)
def _(images, right, wrong):
    return right(images).std() - wrong(images).std()


@wrong("07.1", "other", guess=255)
def _(images, right, wrong):
    return 255.0


# 07.2

MEANS = np.array([103.939, 116.779, 123.68])


@right("07.2")
def _(images):
    r, g, b = np.moveaxis(np.asarray(images, dtype=np.float32), -1, 0)
    return np.stack([b - 103.939, g - 116.779, r - 123.68], axis=-1)


@right("07.2")
def _(images):
    turned = (images - MEANS[::-1])[..., [2, 1, 0]]
    return turned.astype(np.float32)


@wrong("07.2", "not turned")
def _(images):
    return (images - MEANS).astype("float32")


@wrong("07.2", "not turned")
def _(images):
    return (images - MEANS[::-1]).astype("float32")


@wrong("07.2", "means turned")
def _(images):
    return images.astype("float32")[..., ::-1] - np.float32([123.68, 116.779, 103.939])


@wrong("07.2", "other axis")
def _(images):
    return (images[:, :, ::-1] - MEANS).astype("float32")


@wrong("07.2", "other axis")
def _(images):
    return (images[::-1] - MEANS).astype("float32")


@wrong("07.2", "wraps")
def _(images):
    return images[..., ::-1] - MEANS.astype(images.dtype)


@wrong("07.2", "scaled")
def _(images):
    return ((images[..., ::-1] - MEANS) / 255).astype("float32")


@wrong("07.2", "means left out")
def _(images):
    return images[..., ::-1].astype("float32")


@wrong("07.2", "type")
def _(images):
    return images[..., ::-1] - MEANS


@wrong("07.2", "changes its input")
def _(images):
    images = np.asarray(images, "float32")
    images[..., :] = images[..., ::-1].copy()
    images -= MEANS.astype("float32")
    return images


# 07.3


@right("07.3")
def _(images):
    return (images - 127.0) / 128


@right("07.3")
def _(images):
    return images / np.float64(128) - 127 / 128


@wrong("07.3", "wraps")
def _(images):
    return (images - np.array(127, images.dtype)) / 128


@wrong("07.3", "too late")
def _(images):
    return (images - np.array(127, images.dtype)).astype("float32") / 128


@wrong("07.3", "small")
def _(images):
    return (images.astype("int8" if images.dtype == np.uint8 else "float32") - 127.0) / 128


@wrong("07.3", "clipped")
def _(images):
    return np.maximum((images.astype("float32") - 127) / 128, 0)


@wrong("07.3", "whole")
def _(images):
    return (images.astype("int64") - 127) // 128


@wrong("07.3", "range")
def _(images):
    return images / 255


@wrong("07.3", "range")
def _(images):
    return images / 127.5 - 1


@wrong("07.3", "other")
def _(images):
    return images.astype("float32") - 127 / 128


# 07.4


@right("07.4")
def _(images, rng):
    shift = 255 * 0.1 * (2 * rng.random(len(images)) - 1)
    return np.minimum(255, np.maximum(0, images + shift[:, None, None, None]))


@right("07.4")
def _(images, rng):
    def one(image):
        return np.clip(image + rng.uniform(-0.1, 0.1) * 255, 0, 255)

    return np.array([one(image) for image in images])


@wrong("07.4", "nothing")
def _(images, rng):
    return images + rng.uniform(-0.1, 0.1)


@wrong("07.4", "nothing")
def _(images, rng):
    return np.clip(images + rng.uniform(-0.1, 0.1, (len(images), 1, 1, 1)), 0, 255)


@wrong("07.4", "one for all")
def _(images, rng):
    return np.clip(images + max(10, abs(rng.uniform(-25.5, 25.5))), 0, 255)


@wrong("07.4", "noise")
def _(images, rng):
    return np.clip(images + rng.uniform(-25.5, 25.5, images.shape), 0, 255)


@wrong("07.4", "colour")
def _(images, rng):
    return np.clip(images + rng.uniform(-25.5, 25.5, (len(images), 1, 1, 3)), 0, 255)


@wrong("07.4", "range")
def _(images, rng):
    return images + rng.uniform(-25.5, 25.5, (len(images), 1, 1, 1))


@wrong("07.4", "one way")
def _(images, rng):
    return np.clip(images + rng.uniform(0, 25.5, (len(images), 1, 1, 1)), 0, 255)


@wrong("07.4", "too strong")
def _(images, rng):
    return np.clip(images * (1 + rng.uniform(-0.5, 0.5, (len(images), 1, 1, 1))), 0, 255)


@wrong("07.4", "scale")
def _(images, rng):
    return np.clip(images / 255 + rng.uniform(-0.1, 0.1, (len(images), 1, 1, 1)), 0, 1)


@wrong("07.4", "wraps")
def _(images, rng):
    shift = rng.integers(-25, 26, (len(images), 1, 1, 1))
    return (images.astype(int) + shift).astype("uint8")


# 07.5


@right("07.5")
def _(images, train_resize, serve_resize, predict):
    named = [np.argmax(predict(resize(images)), axis=-1) for resize in (train_resize, serve_resize)]
    return 100 * sum(a != b for a, b in zip(*named, strict=True)) / len(images)


@right("07.5")
def _(images, train_resize, serve_resize, predict):
    changed = 0
    for i in range(len(images)):
        one = images[i : i + 1]
        changed += predict(train_resize(one)).argmax() != predict(serve_resize(one)).argmax()
    return changed / len(images) * 100


@wrong("07.5", "agree")
def _(images, train_resize, serve_resize, predict):
    one, other = predict(train_resize(images)), predict(serve_resize(images))
    return 100 * (one.argmax(1) == other.argmax(1)).mean()


@wrong("07.5", "fraction")
def _(images, train_resize, serve_resize, predict):
    one, other = predict(train_resize(images)), predict(serve_resize(images))
    return (one.argmax(1) != other.argmax(1)).mean()


@wrong("07.5", "number")
def _(images, train_resize, serve_resize, predict):
    one, other = predict(train_resize(images)), predict(serve_resize(images))
    return (one.argmax(1) != other.argmax(1)).sum()


@wrong("07.5", "probabilities")
def _(images, train_resize, serve_resize, predict):
    return 100 * np.abs(predict(train_resize(images)) - predict(serve_resize(images))).mean()


@wrong("07.5", "probabilities")
def _(images, train_resize, serve_resize, predict):
    one, other = predict(train_resize(images)), predict(serve_resize(images))
    return 100 * np.mean([not np.allclose(a, b) for a, b in zip(one, other, strict=True)])


@wrong("07.5", "counts")
def _(images, train_resize, serve_resize, predict):
    one, other = predict(train_resize(images)), predict(serve_resize(images))
    classes = range(one.shape[1])
    gone = [max(0, (one.argmax(1) == c).sum() - (other.argmax(1) == c).sum()) for c in classes]
    return 100 * sum(gone) / len(images)


@wrong("07.5", "one program")
def _(images, train_resize, serve_resize, predict):
    one, other = predict(train_resize(images)), predict(train_resize(images))
    return 100 * np.mean(one.argmax(1) != other.argmax(1))


@wrong("07.5", "pixels")
def _(images, train_resize, serve_resize, predict):
    return 100 * np.mean(train_resize(images) != serve_resize(images))


@wrong("07.5", "ValueError")
def _(images, train_resize, serve_resize, predict):
    return 100 * np.mean(predict(images).argmax(1) != predict(serve_resize(images)).argmax(1))
