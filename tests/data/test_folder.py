import io
import os
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from tlcourse import data
from tlcourse.data import folder

RED, GREEN, WHITE = (255, 0, 0), (0, 255, 0), (255, 255, 255)


def noise(seed, size=(20, 20)):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype="uint8")
    return Image.fromarray(pixels)


def make(root, per_class=10, classes=("cat", "dog")):
    for c, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(per_class):
            noise(1000 * c + i).save(root / name / f"{i:03}.png")
    return root


@pytest.fixture
def root(tmp_path):
    return make(tmp_path / "pictures")


def what(pictures, file):
    """The findings on one file."""
    return [(f.outcome, f.what) for f in pictures.report.findings if f.file == file]


def pixels_of(pictures, name):
    """The picture of that name as it reaches a model."""
    for split in folder.SPLITS:
        x, _ = pictures.arrays(split)
        for image, path in zip(x, pictures.files(split), strict=True):
            if path.name == name:
                return image
    raise AssertionError(f"{name} was not used")


def test_plain_pictures_are_used_as_they_are(root):
    pictures = data.image_folder(root, image_size=(20, 20))
    assert pictures.class_names == ("cat", "dog")
    assert pictures.report.findings == ()
    assert len(pictures.files("train")) == 16
    assert len(pictures.files("validation")) == 4
    x, y = pictures.arrays("validation")
    assert x.shape == (4, 20, 20, 3)
    assert x.dtype == np.uint8
    assert y.dtype == np.int64
    assert y.tolist() == [0, 0, 1, 1]
    for image, path in zip(x, pictures.files("validation"), strict=True):
        np.testing.assert_array_equal(image, np.asarray(Image.open(path)))


def test_labels_follow_the_folder(root):
    pictures = data.image_folder(root)
    for split in folder.SPLITS:
        names = [pictures.class_names[label] for label in pictures.labels(split)]
        assert names == [path.parent.name for path in pictures.files(split)]


def test_the_split_is_seeded_stratified_and_without_overlap(root):
    splits = [data.image_folder(root, seed=seed) for seed in (0, 0, 1)]
    held_out = [tuple(pictures.files("validation")) for pictures in splits]
    assert held_out[0] == held_out[1] != held_out[2]
    assert not set(held_out[0]) & set(splits[0].files("train"))
    assert np.bincount(splits[0].labels("validation")).tolist() == [2, 2]


@pytest.mark.parametrize(("fraction", "held_out"), [(0, 0), (0.01, 2), (0.5, 10), (0.99, 18)])
def test_each_class_keeps_something_to_train_on(root, fraction, held_out):
    pictures = data.image_folder(root, validation_fraction=fraction)
    assert len(pictures.files("validation")) == held_out
    assert set(pictures.labels("train")) == {0, 1}


def test_pictures_deeper_in_a_class_folder_count(root):
    (root / "cat" / "indoors").mkdir()
    noise(5000).save(root / "cat" / "indoors" / "a.png")
    assert data.image_folder(root).report.used == 21


def test_proportions_are_kept_by_cutting_the_middle_out(root):
    wide = Image.new("RGB", (60, 20), RED)
    wide.paste(GREEN, (20, 0, 40, 20))
    wide.save(root / "cat" / "wide.png")
    image = pixels_of(data.image_folder(root, image_size=(20, 20)), "wide.png")
    assert (image == GREEN).all()


# What is repaired, and how the picture looks afterwards.


def test_transparency_is_composited_on_white(root):
    image = Image.new("RGBA", (10, 10), (*RED, 255))
    image.paste((0, 0, 0, 0), (0, 0, 5, 10))
    image.save(root / "cat" / "rgba.png")
    pictures = data.image_folder(root, image_size=(10, 10))
    assert what(pictures, "cat/rgba.png") == [("repaired", "transparency composited on white")]
    pixels = pixels_of(pictures, "rgba.png")
    assert pixels[5, 0].tolist() == list(WHITE)
    assert pixels[5, 9].tolist() == list(RED)


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_a_transparent_colour_is_composited_on_white(root, mode):
    # Without an alpha channel: one colour is declared transparent.
    image = Image.new(mode, (10, 10), 0)
    image.save(root / "cat" / "key.png", transparency=(0, 0, 0) if mode == "RGB" else 0)
    pictures = data.image_folder(root, image_size=(10, 10))
    assert ("repaired", "transparency composited on white") in what(pictures, "cat/key.png")
    assert (pixels_of(pictures, "key.png") == 255).all()


def test_a_palette_is_converted(root):
    image = Image.new("P", (10, 10), 1)
    image.putpalette([0, 0, 0, *GREEN])
    image.save(root / "cat" / "palette.png")
    pictures = data.image_folder(root, image_size=(10, 10))
    assert what(pictures, "cat/palette.png") == [("repaired", "palette converted to RGB")]
    assert (pixels_of(pictures, "palette.png") == GREEN).all()


def test_cmyk_is_converted(root):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(root / "cat" / "print.jpg", quality=95)
    pictures = data.image_folder(root, image_size=(16, 16))
    assert what(pictures, "cat/print.jpg") == [("repaired", "CMYK converted to RGB")]
    assert np.abs(pixels_of(pictures, "print.jpg").astype(int) - RED).max() < 12


def test_grey_is_copied_into_three_channels(root):
    Image.new("L", (10, 10), 77).save(root / "cat" / "grey.png")
    pictures = data.image_folder(root, image_size=(10, 10))
    assert what(pictures, "cat/grey.png") == [("repaired", "grey converted to RGB")]
    assert (pixels_of(pictures, "grey.png") == 77).all()


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_rescaled_not_clipped(root, suffix):
    values = np.array([0, 257, 12850, 65535], "uint16").repeat(25).reshape(10, 10)
    Image.fromarray(values).save(root / "cat" / f"deep.{suffix}")
    pictures = data.image_folder(root, image_size=(10, 10))
    found = dict(reversed(item) for item in what(pictures, f"cat/deep.{suffix}"))
    assert found["16 bits a channel rescaled from 0–65535 to 0–255"] == "repaired"
    levels = np.unique(pixels_of(pictures, f"deep.{suffix}"))
    assert levels.tolist() == [0, 1, 50, 255]


def png_of_16_bits(pixels) -> bytes:
    """An RGB PNG with 16 bits a channel, which Pillow reads and cannot write."""
    height, width, _ = pixels.shape

    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_sixteen_bits_in_colour_are_rescaled(root):
    pixels = np.full((10, 10, 3), 65535, "uint16")
    pixels[..., 1] = 0x8000
    (root / "cat" / "deep.png").write_bytes(png_of_16_bits(pixels))
    pictures = data.image_folder(root, image_size=(10, 10))
    assert what(pictures, "cat/deep.png") == [
        ("repaired", "16 bits a channel rescaled from 0–65535 to 0–255")
    ]
    assert pixels_of(pictures, "deep.png")[0, 0].tolist() == [255, 128, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(root, orientation):
    upright = Image.new("RGB", (64, 64), WHITE)
    upright.paste((0, 0, 0), (0, 0, 32, 32))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(root / "cat" / "phone.jpg", exif=exif, quality=95)
    pictures = data.image_folder(root, image_size=(64, 64))
    expected = [("repaired", "EXIF rotation applied")] if orientation > 1 else []
    assert what(pictures, "cat/phone.jpg") == expected
    pixels = pixels_of(pictures, "phone.jpg").astype(int)
    assert pixels[4:28, 4:28].max() < 20
    assert pixels[36:, 36:].min() > 235
    assert pixels[4:28, 36:].min() > 235


@pytest.mark.parametrize("suffix", ["gif", "webp", "tif", "png"])
def test_of_an_animation_the_first_frame_is_used(root, suffix):
    frames = [Image.new("RGB", (10, 10), colour) for colour in (RED, GREEN)]
    file = root / "cat" / f"moving.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(file, save_all=True, append_images=frames[1:], **options)
    pictures = data.image_folder(root, image_size=(10, 10))
    assert ("repaired", "several frames or pages, first one used") in what(
        pictures, f"cat/{file.name}"
    )
    assert (pixels_of(pictures, file.name) == RED).all()


def test_a_large_jpeg_decoded_at_a_fraction_looks_the_same(root):
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (8, 8, 3), dtype="uint8").repeat(100, 0).repeat(100, 1)
    Image.fromarray(blocks).save(root / "cat" / "large.jpg", quality=95)
    pictures = data.image_folder(root, image_size=(32, 32))
    full = Image.open(root / "cat" / "large.jpg").resize((32, 32), Image.BICUBIC)
    difference = pixels_of(pictures, "large.jpg").astype(int) - np.asarray(full)
    assert np.abs(difference).mean() < 1.5


# What is refused, and why.


def jpeg() -> bytes:
    buffer = io.BytesIO()
    noise(99, (200, 200)).save(buffer, "JPEG")
    return buffer.getvalue()


def png() -> bytes:
    buffer = io.BytesIO()
    noise(98, (200, 200)).save(buffer, "PNG")
    return buffer.getvalue()


def tiff_of_floats() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), "float32")).save(buffer, "TIFF")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.jpg", b"", "empty, zero bytes"),
        ("letter.jpg", b"Dear all, this is no picture.", "not an image that Pillow reads"),
        ("notes.txt", b"cat 1, cat 2", "not an image that Pillow reads"),
        ("cut.jpg", jpeg()[:-3000], "truncated, the file ends early"),
        ("cut.png", png()[:-3000], "truncated, the file ends early"),
        ("float.tif", tiff_of_floats(), "32-bit pixels"),
        (".DS_Store", b"\0", "hidden"),
        ("._photo.jpg", jpeg(), "hidden"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(root, name, content, reason):
    (root / "cat" / name).write_bytes(content)
    pictures = data.image_folder(root)
    [(outcome, found)] = what(pictures, f"cat/{name}")
    assert outcome == "refused"
    assert reason in found
    assert pictures.report.used == 20


def test_a_damaged_picture_never_stops_the_scan(root):
    rng = np.random.default_rng(0)
    for i in range(40):
        content = bytearray(jpeg() if i % 2 else png())
        for place in rng.integers(0, len(content), 30):
            content[place] = rng.integers(256)
        (root / "cat" / f"damaged{i}").write_bytes(bytes(content))
    pictures = data.image_folder(root)
    refused = [f for f in pictures.report.of("refused") if "damaged" in f.file]
    assert pictures.report.used + len(refused) == 60
    pictures.arrays("train")


def test_a_picture_of_too_many_pixels_is_refused(root, monkeypatch, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    noise(5, (32, 40)).save(root / "cat" / "large.png")
    noise(6, (64, 64)).save(root / "cat" / "huge.png")
    pictures = data.image_folder(root)
    for name in ("large", "huge"):
        assert what(pictures, f"cat/{name}.png")[0][1].startswith("more than 1,000 pixels")
    assert not recwarn.list


@pytest.mark.skipif(sys.platform != "linux", reason="such names and files exist on Linux only")
def test_links_pipes_and_hidden_folders_are_refused_without_hanging(root):
    (root / "cat" / "broken.png").symlink_to(root / "nowhere.png")
    (root / "cat" / "loop").symlink_to(root)
    os.mkfifo(root / "cat" / "pipe.png")
    (root / ".git").mkdir()
    (root / "cat" / ".thumbnails").mkdir()
    noise(3).save(root / "cat" / ".thumbnails" / "a.png")
    pictures = data.image_folder(root)
    refused = {finding.file: finding.what for finding in pictures.report.of("refused")}
    assert refused == {
        "cat/broken.png": "no regular file: a broken link, a device or a pipe",
        "cat/loop": "link to a folder, not followed",
        "cat/pipe.png": "no regular file: a broken link, a device or a pipe",
        ".git": "hidden",
        "cat/.thumbnails": "hidden",
    }


def test_pictures_outside_a_class_folder_are_refused(root):
    noise(3).save(root / "loose.png")
    assert what(data.image_folder(root), "loose.png") == [
        ("refused", "lies outside a class folder")
    ]


def test_copies_stay_on_one_side_for_every_seed(root):
    for i in range(5):
        content = (root / "cat" / f"{i:03}.png").read_bytes()
        (root / "cat" / f"copy{i}.png").write_bytes(content)
    sides = set()
    for seed in range(10):
        pictures = data.image_folder(root, validation_fraction=0.4, seed=seed)
        train, held_out = (
            {path.read_bytes() for path in pictures.files(split)} for split in folder.SPLITS
        )
        assert not train & held_out
        noted = pictures.report.of("noted")
        assert len(noted) == 5
        assert all("exact copy, kept on one side" in finding.what for finding in noted)
        sides |= {finding.what.split(" in ")[-1] for finding in noted}
        assert pictures.report.used == 25
    assert sides == {"train", "validation"}


def test_a_picture_in_two_classes_is_refused_in_both(root):
    (root / "dog" / "same.png").write_bytes((root / "cat" / "000.png").read_bytes())
    pictures = data.image_folder(root)
    assert what(pictures, "cat/000.png") == [
        ("refused", "the same picture lies in another class: dog")
    ]
    assert what(pictures, "dog/same.png") == [
        ("refused", "the same picture lies in another class: cat")
    ]
    assert pictures.report.used == 19


def test_a_class_without_a_usable_picture_is_left_out_and_noted(root):
    (root / "bird").mkdir()
    (root / "cow").mkdir()
    (root / "cow" / "a.png").write_bytes(b"")
    pictures = data.image_folder(root)
    assert pictures.class_names == ("cat", "dog")
    for name in ("bird", "cow"):
        assert what(pictures, name) == [("noted", "class left out, no usable picture in it")]


def test_a_class_of_one_picture_trains_and_is_noted(root):
    (root / "bird").mkdir()
    noise(5000).save(root / "bird" / "a.png")
    pictures = data.image_folder(root)
    assert 0 in pictures.labels("train") and 0 not in pictures.labels("validation")
    assert what(pictures, "bird") == [("noted", "too few pictures in the class to validate on")]


# The report.


def test_the_report_counts_by_kind_and_gives_examples(root):
    for i in range(5):
        (root / "cat" / f"empty{i}.png").write_bytes(b"")
    Image.new("L", (8, 8)).save(root / "dog" / "grey.png")
    report = data.image_folder(root).report
    text = str(report)
    assert "21 pictures used; findings: 5 refused, 1 repaired, 0 noted" in text
    assert "empty, zero bytes: cat/empty0.png, cat/empty1.png, cat/empty2.png, …" in text
    assert "grey converted to RGB: dog/grey.png" in text
    assert repr(report) == text


@pytest.mark.skipif(sys.platform != "linux", reason="such names and files exist on Linux only")
def test_the_page_escapes_file_names(root):
    (root / "cat" / "<img src=x onerror=alert(1)>.png").write_bytes(b"")
    page = data.image_folder(root)._repr_html_()
    assert "<img" not in page
    assert "&lt;img" in page


@pytest.mark.skipif(sys.platform != "linux", reason="such names and files exist on Linux only")
def test_a_name_that_is_no_text_can_be_printed(root):
    with open(os.fsencode(root / "cat") + b"/\xff\xfe.png", "wb"):
        pass
    str(data.image_folder(root).report).encode("utf-8")


# Bad arguments and folders.


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        data.image_folder(tmp_path / "nowhere")


def test_a_file_is_no_folder(root):
    with pytest.raises(ValueError, match="is a file; give the folder"):
        data.image_folder(root / "cat" / "000.png")


def test_an_empty_folder_says_what_it_wants(tmp_path):
    with pytest.raises(ValueError, match="no class with usable pictures; give at least two"):
        data.image_folder(tmp_path)


def test_one_class_says_what_it_wants(tmp_path):
    make(tmp_path / "one", classes=("cat",))
    with pytest.raises(ValueError, match="one class, 'cat', with usable pictures"):
        data.image_folder(tmp_path / "one")


def test_pictures_directly_inside_say_what_it_wants(root):
    with pytest.raises(ValueError, match="10 files and no sub-folder; move the pictures"):
        data.image_folder(root / "cat")


def test_a_folder_of_nothing_usable_gives_the_main_reason(root):
    for path in root.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(ValueError, match="20 files were refused, most often: empty, zero bytes"):
        data.image_folder(root)


@pytest.mark.parametrize("fraction", [-0.1, 1, 20])
def test_a_share_is_below_one(root, fraction):
    with pytest.raises(ValueError, match="less than 1"):
        data.image_folder(root, validation_fraction=fraction)


@pytest.mark.parametrize("size", [96, (96,), (0, 96), (96, 96, 3)])
def test_a_size_is_height_and_width(root, size):
    with pytest.raises(ValueError, match=r"give \(height, width\)"):
        data.image_folder(root, image_size=size)


def test_an_unknown_split_names_the_two(root):
    pictures = data.image_folder(root)
    for call in (pictures.arrays, pictures.stream, pictures.labels, pictures.files):
        with pytest.raises(ValueError, match="'train' or 'validation'"):
            call("test")


def test_arrays_that_do_not_fit_say_how_much_they_need(root, monkeypatch):
    pictures = data.image_folder(root, image_size=(4096, 4096))
    monkeypatch.setattr(folder, "_free_memory", lambda: 2**29)
    with pytest.raises(ValueError, match=r"need 0\.8 GiB and 0\.5 GiB .* \.stream\('train'\)"):
        pictures.arrays("train")


def test_a_file_that_vanished_is_named(root):
    pictures = data.image_folder(root)
    gone = pictures.files("train")[0]
    gone.unlink()
    with pytest.raises(ValueError, match=f"{gone.name} could be read .* image_folder again"):
        pictures.arrays("train")


# Streaming.


def batches(stream):
    return [stream[i] for i in range(len(stream))]


def test_a_stream_gives_what_arrays_gives(root):
    pictures = data.image_folder(root)
    stream = pictures.stream("train", batch_size=6, shuffle=False)
    assert len(stream) == 3
    x = np.concatenate([x for x, _ in batches(stream)])
    y = np.concatenate([y for _, y in batches(stream)])
    known_x, known_y = pictures.arrays("train")
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, known_x)
    np.testing.assert_array_equal(y, known_y)
    assert [len(y) for _, y in batches(stream)] == [6, 6, 4]


def test_a_stream_is_shuffled_anew_each_epoch_and_seeded(root):
    pictures = data.image_folder(root)

    def epochs(seed):
        stream = pictures.stream("train", batch_size=16, seed=seed)
        for _ in range(2):
            yield stream[0][0].sum(axis=(1, 2, 3)).tolist()
            stream.on_epoch_end()

    first, second = epochs(0)
    assert first != second
    assert sorted(first) == sorted(second)
    assert [first, second] == list(epochs(0))
    assert first != next(epochs(1))


def test_the_validation_stream_keeps_the_order_of_its_labels(root):
    pictures = data.image_folder(root)
    [(_, y)] = batches(pictures.stream("validation"))
    np.testing.assert_array_equal(y, pictures.labels("validation"))


def test_an_empty_split_has_no_stream(root):
    with pytest.raises(ValueError, match="is empty"):
        data.image_folder(root, validation_fraction=0).stream("validation")
    with pytest.raises(ValueError, match="batch_size is 0"):
        data.image_folder(root).stream("train", batch_size=0)


def test_keras_trains_and_predicts_on_streams(tmp_path):
    import keras

    for name, colour in {"red": RED, "green": GREEN}.items():
        (tmp_path / name).mkdir()
        for i in range(20):
            Image.new("RGB", (8, 8), tuple(max(0, c - i) for c in colour)).save(
                tmp_path / name / f"{i}.png"
            )
    pictures = data.image_folder(tmp_path, image_size=(8, 8))
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, activation="softmax", kernel_initializer="zeros"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.3), "sparse_categorical_crossentropy")
    validation = pictures.stream("validation")
    model.fit(pictures.stream("train"), validation_data=validation, epochs=5, verbose=0)
    predicted = model.predict(validation, verbose=0).argmax(1)
    np.testing.assert_array_equal(predicted, pictures.labels("validation"))


def test_reading_decodes_a_few_pictures_at_a_time(root, monkeypatch):
    pictures = data.image_folder(make(root.parent / "many", per_class=60), (8, 8))
    monkeypatch.setattr(folder, "_CHUNK", 16)
    decoded = []
    load = folder._load
    monkeypatch.setattr(folder, "_load", lambda *args: decoded.append(1) or load(*args))
    reader = pictures._read(pictures._part("train"))
    next(reader)
    assert len(decoded) <= 16
    assert len(list(reader)) == 95


def test_pictures_are_read_one_by_one_as_the_folder_reads_them(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        pixels = rng.integers(0, 256, (20, 30, 3), "uint8")
        Image.fromarray(pixels).save(tmp_path / name / "1.png")
    scanned = data.image_folder(tmp_path, (12, 12), 0)
    read = list(folder.read_pictures(scanned.files(), (12, 12)))
    assert (np.stack(read) == scanned.arrays()[0]).all()


def test_a_picture_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file .*none.png"):
        list(folder.read_pictures([tmp_path / "none.png"]))
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ValueError, match="text.png cannot be read: not an image that Pillow reads"):
        list(folder.read_pictures([tmp_path / "text.png"]))
