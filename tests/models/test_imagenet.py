"""Class names, offline."""

import numpy as np
import pytest
from skimage import data as photographs

from tlcourse.models import decode, load_classifier
from tlcourse.models.imagenet import classes


def test_the_table_is_in_the_usual_order():
    wnids = [wnid for wnid, _ in classes()]
    assert wnids == sorted(set(wnids))
    assert len(wnids) == 1000
    names = {0: "tench", 285: "Egyptian cat", 504: "coffee mug", 999: "toilet tissue"}
    assert {index: classes()[index][1] for index in names} == names


def test_no_two_classes_share_a_name():
    assert len({name for _, name in classes()}) == 1000
    assert [classes()[index][1] for index in (134, 517)] == ["crane (bird)", "crane (machine)"]


def test_decode_orders_by_probability():
    probabilities = np.zeros((2, 1000))
    probabilities[0, [3, 7]] = 0.25, 0.75
    probabilities[1, 1] = 1.0
    first, second = decode(probabilities, top=2)
    assert [(wnid, value) for wnid, _, value in first] == [
        (classes()[7][0], 0.75),
        (classes()[3][0], 0.25),
    ]
    assert second[0] == (*classes()[1], 1.0)
    assert isinstance(first[0][2], float)


@pytest.mark.parametrize(
    ("values", "top", "message"),
    [
        (np.zeros(1000), 5, r"give probabilities\[None\]"),
        (np.zeros((1, 999)), 5, r"wants \(N, 1000\)"),
        (np.full((1, 1000), 3.0), 5, "softmax"),
        (np.full((1, 1000), np.nan), 5, "softmax"),
        (np.zeros((1, 1000)), 0, "1 to 1000"),
        (np.zeros((1, 1000)), 1001, "1 to 1000"),
        (np.zeros((1, 1000)), 2.0, "1 to 1000"),
    ],
)
def test_decode_refuses(values, top, message):
    with pytest.raises(ValueError, match=message):
        decode(values, top)


def crop(photo, size):
    """The central square, resized with Pillow, as an ImageNet evaluation does."""
    from PIL import Image

    height, width = photo.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = photo[top : top + side, left : left + side, :3]
    return np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(
    ("name", "size"),
    [("efficientnet-lite0", 224), ("efficientnet-lite1", 240), ("efficientnet-lite2", 260)],
)
def test_real_photographs_are_recognised(name, size):
    batch = np.stack([crop(photo, size) for photo in (photographs.chelsea(), photographs.coffee())])
    probabilities = load_classifier(name).predict(batch, verbose=0)
    cat, coffee = (best[0][1] for best in decode(probabilities, top=1))
    assert cat in {"tabby", "tiger cat", "Persian cat", "Siamese cat", "Egyptian cat"}
    assert coffee in {"espresso", "coffee mug", "cup"}
