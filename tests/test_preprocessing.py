"""Preprocessing refuses, explains, errs on purpose, and notices."""

import keras
import numpy as np
import pytest

from tlcourse.models import build_classifier, load_backbone, small_cnn
from tlcourse.preprocessing import (
    AUGMENTATIONS,
    MISTAKES,
    MODES,
    augmentation,
    check,
    explain,
    preprocess,
    resize,
    to_rgb,
)

RNG = np.random.default_rng(0)
# Noise with black and white in every channel, as a batch of photographs has it.
RAW = RNG.integers(0, 256, (4, 40, 40, 3), dtype=np.uint8)
ONE_PER_MODE = {
    "lite": "efficientnet-lite0",
    "tf": "mobilenet-v2",
    "torch": "densenet121",
    "caffe": "resnet50",
    "identity": "efficientnet-b0",
}


@pytest.mark.parametrize("backbone", ONE_PER_MODE.values())
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float32", "float64"])
def test_input_is_never_changed_and_the_result_is_a_new_float32_array(backbone, dtype):
    images = RAW.astype(dtype)
    before = images.copy()
    ready = preprocess(images, backbone)
    np.testing.assert_array_equal(images, before)
    assert ready.dtype == np.float32
    assert ready.flags.c_contiguous and not np.shares_memory(ready, images)
    np.testing.assert_allclose(ready, preprocess(RAW, backbone), atol=1e-4)


def test_keras_own_function_changes_its_input():
    images = RAW.astype(np.float32)
    keras.applications.resnet50.preprocess_input(images)
    assert not np.array_equal(images, RAW)


def test_lists_and_tensors_are_read():
    expected = preprocess(RAW, "lite")
    np.testing.assert_array_equal(preprocess(RAW.tolist(), "lite"), expected)
    np.testing.assert_array_equal(preprocess(keras.ops.convert_to_tensor(RAW), "lite"), expected)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (RAW[0], r"give images\[None\]"),
        (RAW[..., 0], r"give images\[\.\.\., None\]"),
        (RAW[0, :, 0], "give a batch"),
        (RAW[:0], "nothing in it"),
        (RAW[..., :1], "to_rgb"),
        (RAW[..., :2], r"images\[\.\.\., :1\]"),
        (np.concatenate([RAW, RAW[..., :1]], -1), r"images\[\.\.\., :3\]"),
        (np.moveaxis(RAW, -1, 1), "moveaxis"),
        (RAW[:, :31], "at least 32 by 32"),
        (RAW / 255, "divided by 255"),
        (RAW / 127.5 - 1, r"already prepared \(scaled to \[-1, 1\]\)"),
        (RAW.astype(int) * 257, "16-bit"),
        (RAW.astype(int) - 1, "smallest value is -1"),
        (np.where(RAW == 7, np.nan, RAW), "not finite"),
        (np.where(RAW == 7, np.inf, RAW), "not finite"),
    ],
)
def test_refusals_are_one_sentence(images, message):
    with pytest.raises(ValueError, match=message) as error:
        preprocess(images, "resnet50")
    text = str(error.value)
    assert "\n" not in text and text.endswith(".")


@pytest.mark.parametrize("images", [RAW > 7, RAW.astype(str), RAW.astype(complex)])
def test_things_that_are_no_numbers(images):
    with pytest.raises(TypeError, match="dtype"):
        preprocess(images, "resnet50")


def test_black_images_are_not_mistaken_for_divided_ones():
    black = np.zeros((1, 32, 32, 3), np.float32)
    assert preprocess(black, "tf").max() == -1


def test_to_rgb():
    grey = RAW[..., :1]
    colour = to_rgb(grey)
    assert colour.dtype == np.uint8
    assert all(np.array_equal(colour[..., [channel]], grey) for channel in range(3))
    copy = to_rgb(RAW)
    assert np.array_equal(copy, RAW) and not np.shares_memory(copy, RAW)
    with pytest.raises(ValueError, match=r"images\[\.\.\., None\]"):
        to_rgb(RAW[..., 0])


def test_area_averages_every_pixel_by_its_share():
    row = np.array([0.0, 3.0, 6.0]).reshape(1, 1, 3, 1)
    # Two new pixels of 1.5 old ones each: (0 + 3/2) / 1.5 and (3/2 + 6) / 1.5.
    np.testing.assert_allclose(resize(row, (1, 2), "area").ravel(), [1, 5])
    blocks = RAW.reshape(4, 20, 2, 20, 2, 3).mean((2, 4))
    np.testing.assert_allclose(resize(RAW, 20, "area"), blocks, atol=1e-3)
    np.testing.assert_allclose(resize(RAW, 40, "area"), RAW, atol=1e-3)


def test_other_methods_skip_pixels_when_they_shrink():
    stripes = np.zeros((1, 64, 64, 1), np.uint8)
    stripes[:, :, ::8] = 255
    assert np.ptp(resize(stripes, 8, "area")) < 1e-3
    assert resize(stripes, 8, "area").mean() == pytest.approx(255 / 8)
    assert np.ptp(resize(stripes, (8, 12), "nearest")) == 255
    assert resize(stripes, 8, "bilinear").mean() != pytest.approx(255 / 8, abs=5)


def test_resize_refuses():
    with pytest.raises(ValueError, match="bilinear, nearest"):
        resize(RAW, 8, "lanczos")
    with pytest.raises(ValueError, match=r"\(N, H, W, C\)"):
        resize(RAW[0], 8)
    with pytest.raises(ValueError, match="whole number"):
        resize(RAW, 0)


def test_explain_gives_the_numbers_that_preprocess_gives():
    for mode, backbone in ONE_PER_MODE.items():
        pixel = preprocess(np.tile(np.uint8([200, 120, 40]), (1, 32, 32, 1)), backbone)[0, 0, 0]
        text = explain(backbone)
        assert ", ".join(f"{value:.3f}" for value in pixel) in text
        assert MODES[mode].formula in text and f'"{mode}"' in text
        assert MODES[mode].formula in explain(mode)


@pytest.mark.parametrize("backbone", ONE_PER_MODE.values())
@pytest.mark.parametrize("name", MISTAKES)
def test_every_mistake_is_one_exactly_where_it_says(name, backbone):
    mistake = MISTAKES[name]
    before = RAW.copy()
    wrong = mistake(RAW, backbone)
    np.testing.assert_array_equal(RAW, before)
    assert wrong.shape == RAW.shape and wrong.dtype == np.float32
    right = preprocess(RAW, backbone)
    mode = next(mode for mode, example in ONE_PER_MODE.items() if example == backbone)
    harmless = np.allclose(wrong, right, atol=1e-3)
    assert harmless == (mode in mistake.right_for)
    assert mistake.name == name and mistake.description.endswith(".") and mistake.how


def test_mistakes_by_hand():
    pixels = np.zeros((1, 32, 32, 3), np.uint8)
    pixels[...] = 100, 127, 255
    lite = {name: mistake(pixels)[0, 0, 0] for name, mistake in MISTAKES.items()}
    np.testing.assert_allclose(lite["divide_by_255"], [100 / 255, 127 / 255, 1])
    np.testing.assert_allclose(lite["bgr"], [1, 0, -27 / 128])
    np.testing.assert_allclose(lite["uint8_wrap_around"], [229 / 128, 0, 1])
    np.testing.assert_allclose(
        lite["double_preprocessing"], [(-27 / 128 - 127) / 128, -127 / 128, -126 / 128]
    )
    numpy_does_the_same = (pixels - np.uint8(127)) / 128
    np.testing.assert_allclose(lite["uint8_wrap_around"], numpy_does_the_same[0, 0, 0])


def test_exchanged_channels_change_nothing_in_grey_images():
    grey = to_rgb(RAW[..., :1])
    np.testing.assert_array_equal(MISTAKES["bgr"](grey), preprocess(grey, "efficientnet-lite0"))


@pytest.mark.parametrize("backbone", ONE_PER_MODE.values())
def test_check_is_silent_when_all_is_well(backbone):
    assert check(RAW, backbone) == []
    assert check(RAW.astype(np.float32), backbone) == []
    assert check(preprocess(RAW, backbone), backbone, prepared=True) == []


# What no look at the range can show; the docstring of `check` says so.
INVISIBLE = {"bgr", "reshaped_channels_first", ("standardized_each", "torch")}


@pytest.mark.parametrize("backbone", ONE_PER_MODE.values())
@pytest.mark.parametrize("name", MISTAKES)
def test_check_catches_every_mistake_that_shows(name, backbone):
    mistake = MISTAKES[name]
    mode = next(mode for mode, example in ONE_PER_MODE.items() if example == backbone)
    findings = check(mistake(RAW, backbone), backbone, prepared=True)
    if mode in mistake.right_for or name in INVISIBLE or (name, mode) in INVISIBLE:
        assert findings == []
    else:
        assert len(findings) == 1


@pytest.mark.parametrize("mode", ["torch", "caffe"])
def test_check_sees_channels_exchanged_after_scaling(mode):
    (finding,) = check(preprocess(RAW, mode)[..., ::-1], mode, prepared=True)
    assert "exchanged" in finding


def test_check_tells_divided_from_standardised():
    for values, word in [
        (RAW / 255, "divided by 255"),
        (RAW / 127.5 - 1, r"[-1, 1]"),
        (preprocess(RAW, "torch"), "ImageNet's mean and deviation"),
        (preprocess(RAW, "caffe"), "ImageNet's mean subtracted"),
    ]:
        (finding,) = check(values, "efficientnet-lite0")
        assert word in finding


def test_check_reports_shape_and_range_together():
    findings = check(RAW[0] / 255, "resnet50")
    assert len(findings) == 2
    assert "images[None]" in findings[0] and "divided" in findings[1]


def test_check_finds_masks_and_blank_images():
    (finding,) = check((RAW > 127).astype(np.uint8), "resnet50")
    assert "mask" in finding
    (finding,) = check(np.full_like(RAW, 9), "resnet50")
    assert "nothing to see" in finding
    assert check(RAW[:0], "resnet50")[0].endswith("at least one image.")


@pytest.mark.parametrize(
    "build", [lambda: build_classifier(3, weights=None, size=32), lambda: small_cnn(3)]
)
def test_check_knows_that_a_model_with_preprocessing_inside_wants_raw_pixels(build):
    model = build()
    images = RAW[:, :28, :28, :1]
    assert check(images, model) == check(images, model, prepared=True) == []
    (finding,) = check(images / 255, model)
    assert "divided by 255" in finding
    (finding,) = check(images / 127.5 - 1, model)
    assert "already prepared" in finding
    (finding,) = check(RAW[:, :28, :28], model)
    assert "(N, H, W, 1) is wanted" in finding
    (finding,) = check(RAW[..., :1], model)
    assert "28 by 28" in finding


def test_check_does_not_guess_what_a_bare_backbone_wants():
    model = load_backbone("efficientnet-lite0", weights=None, input_shape=(32, 32, 3))
    with pytest.raises(ValueError, match="no preprocessing inside"):
        check(RAW, model)


@pytest.mark.parametrize("kind", AUGMENTATIONS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_augmentation_keeps_shape_and_range_and_acts_in_training_only(kind, channels, dtype):
    layer = augmentation(kind, seed=0)
    images = RAW[..., :channels].astype(dtype)
    changed = keras.ops.convert_to_numpy(layer(images, training=True))
    assert changed.shape == images.shape and changed.dtype == np.float32
    assert 0 <= changed.min() and changed.max() <= 255
    assert np.abs(changed - images).mean() > 1
    np.testing.assert_array_equal(layer(images, training=False), images)


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_only_photographs_and_silhouettes_are_mirrored(kind):
    # The left edge is bright: seen right means mirrored, for the other changes are small.
    image = np.zeros((1, 32, 32, 1), np.float32)
    image[:, :, :10] = 255
    images = np.repeat(image, 200, axis=0)
    changed = keras.ops.convert_to_numpy(augmentation(kind, seed=1)(images, training=True))
    mirrored = changed[:, :, 16:].mean((1, 2, 3)) > changed[:, :, :16].mean((1, 2, 3))
    if kind in ("photos", "silhouettes"):
        assert 60 < mirrored.sum() < 140
    else:
        assert not mirrored.any()


def test_photos_vary_in_brightness_on_the_0_255_scale():
    grey = np.full((200, 16, 16, 3), 128, np.uint8)
    means = keras.ops.convert_to_numpy(augmentation("photos", seed=0)(grey, training=True)).mean(
        (1, 2, 3)
    )
    # 15 % of 255 is 38 grey levels; a layer that took pixels for 0 to 1 would clip or do nothing.
    assert 15 < means.std() < 40
    assert np.abs(means - 128).max() < 45


def test_augmentation_repeats_with_its_seed():
    first, second = (augmentation("photos", seed=3)(RAW, training=True) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_unknown_kind():
    with pytest.raises(ValueError, match="photos, silhouettes, digits, text"):
        augmentation("cats")
