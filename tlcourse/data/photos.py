"""The colour photographs that come with scikit-image and scikit-learn, for looking at."""

import hashlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tlcourse.data.dataset import DataCard, gallery
from tlcourse.data.embedded import package_file


@dataclass(frozen=True)
class _Photo:
    """One photograph: where it lies, what it shows, who may use it.

    `centre` is the middle of the subject, as fractions of width and height. `label` is the
    position of the one ImageNet class that the picture shows, decided by looking at it.
    """

    package: str
    file: str
    centre: tuple[float, float]
    shows: str
    licence: str
    label: int | None = None


# Left out: the second view of the motorcycle (the same scene), the Hubble field (many exposures
# laid over each other), the stained tissue (a microscope image), and every drawing or grey image.
PHOTOS = {
    "astronaut": _Photo(
        "skimage", "data/astronaut.png", (0.45, 0.35),
        "Eileen Collins in a space suit; ImageNet has no class for an astronaut",
        "public domain, NASA",
    ),
    "chelsea": _Photo(
        "skimage", "data/chelsea.png", (0.5, 0.45),
        "a striped house cat; ImageNet's tabby (281) and tiger cat (282) both fit it",
        "CC0, Stéfan van der Walt",
    ),
    "china": _Photo(
        "sklearn", "datasets/images/china.jpg", (0.33, 0.5),
        "a tower of the Summer Palace; palace, monastery or bell tower, none of them plainly",
        "CC BY 2.0, danielbuechele on Flickr",
    ),
    "coffee": _Photo(
        "skimage", "data/coffee.png", (0.5, 0.45),
        "an espresso in its cup; ImageNet's espresso (967)",
        "CC0, Rachel Michetti",
        label=967,
    ),
    "flower": _Photo(
        "sklearn", "datasets/images/flower.jpg", (0.5, 0.5),
        "a dahlia; ImageNet has no class for it, its nearest is the daisy",
        "CC BY 2.0, vultilion on Flickr",
    ),
    "motorcycle": _Photo(
        "skimage", "data/motorcycle_left.png", (0.5, 0.5),
        "a motorcycle; ImageNet has the moped and the motor scooter only",
        "none stated in scikit-image; Middlebury 2014 stereo benchmark, cite Scharstein et al., "
        "GCPR 2014",
    ),
    "retina": _Photo(
        "skimage", "data/retina.jpg", (0.5, 0.5),
        "the back of a human eye through a fundus camera; far from anything in ImageNet",
        "CC0, Mikael Häggström",
    ),
    "rocket": _Photo(
        "skimage", "data/rocket.jpg", (0.5, 0.45),
        "a Falcon 9 on its pad; ImageNet has missile and projectile, no space rocket",
        "public domain, SpaceX",
    ),
}  # fmt: skip

CARD = DataCard(
    name="photos",
    source="scikit-image and scikit-learn sample images",
    licence="\n".join(f"{name}: {photo.licence}" for name, photo in PHOTOS.items()),
    shape=(None, None, 3),
    classes=1000,
    train=0,
    test=len(PHOTOS),
    sha256="91ff4aa705ca0d993bac241d1f3bb03035ae88859aa62b970e5a3a53fd0b2ee4",
    offline=True,
    notes="A label is given where one ImageNet class, and no other, fits the subject.\n"
    + "\n".join(f"{name}: {photo.shows}." for name, photo in PHOTOS.items()),
)


@dataclass(frozen=True, eq=False, repr=False)
class Photos:
    """Photographs of different sizes, with an ImageNet label where one is beyond doubt.

    Attributes:
        names: one word for each.
        images: uint8 `(H, W, 3)` each, RGB, 0–255.
        labels: the position among ImageNet's 1,000 classes, or None where no class or more than
            one class fits. The label says what the picture shows, not what a network answers.
        card: licences, and what each picture shows.
    """

    names: tuple[str, ...]
    images: list[np.ndarray]
    labels: list[int | None]
    card: DataCard

    def crops(self, size: int, per_photo: int = 1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Square views of every photograph: its centre first, then random ones of its subject.

        A random crop is 0.6 to 1 times as wide as the photograph's shorter side, holds the middle
        of the subject in its inner half (as far as the picture reaches), and is mirrored half of
        the time. With one seed, more crops per photograph only add to fewer.

        Args:
            size: height and width of a crop, in pixels.
            per_photo: how many crops of each photograph.
            seed: a whole number, 0 or more.

        Returns:
            `(x, photo_index)`: uint8 `(N, size, size, 3)` and int64 `(N,)`, the crops of the first
            photograph first, where N = photographs × `per_photo`.

        Raises:
            ValueError: `size` or `per_photo` is smaller than 1.

        Example:
            >>> from tlcourse import data
            >>> x, photo_index = data.load("photos").crops(64, per_photo=2)
            >>> x.shape, photo_index[:4].tolist()
            ((16, 64, 64, 3), [0, 0, 1, 1])
        """
        if size < 1 or per_photo < 1:
            raise ValueError(
                f"crops(size={size}, per_photo={per_photo}) would be empty; give 1 or more of each."
            )
        views = [
            _resize(image, box, size)[:, ::flip]
            for index, (name, image) in enumerate(zip(self.names, self.images, strict=True))
            for box, flip in _boxes(
                image.shape, PHOTOS[name].centre, per_photo, np.random.default_rng([seed, index])
            )
        ]
        return np.stack(views), np.repeat(np.arange(len(self.images)), per_photo)

    def __repr__(self) -> str:
        return f"Photos({', '.join(self.names)})"

    def _repr_html_(self) -> str:
        return gallery(self.crops(96)[0], self.names, width=96)


def _boxes(shape, centre, count: int, rng):
    """`count` boxes `(left, top, right, bottom)`, each with 1, or -1 to mirror it."""
    height, width, _ = shape
    short = min(height, width)
    left, top = (width - short) // 2, (height - short) // 2
    yield (left, top, left + short, top + short), 1
    for _ in range(count - 1):
        side = round(short * rng.uniform(0.6, 1.0))
        corner = [
            _start(rng, round(fraction * length), side, length)
            for fraction, length in zip(centre, (width, height), strict=True)
        ]
        flip = 1 if rng.random() < 0.5 else -1
        yield (corner[0], corner[1], corner[0] + side, corner[1] + side), flip


def _start(rng, middle: int, side: int, length: int) -> int:
    """Where a crop begins, so that `middle` lies in its inner half if the picture allows it."""
    wanted = middle - side * rng.uniform(0.25, 0.75)
    return int(np.clip(round(wanted), 0, length - side))


def _resize(image: np.ndarray, box, size: int) -> np.ndarray:
    # Cropped first: resize(box=...) would let pixels from outside the box blend in.
    crop = Image.fromarray(image).crop(box)
    return np.asarray(crop.resize((size, size), Image.Resampling.BICUBIC))


def load() -> Photos:
    """Read the photographs from the two packages, and check that they are the ones described.

    Raises:
        FileNotFoundError: a package or a file of it is missing.
        ValueError: a file is not the one that the card describes.
    """
    paths = [package_file(photo.package, photo.file) for photo in PHOTOS.values()]
    # JPEG decoders differ in the last bit, so it is the files that are hashed.
    found = hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
    if found != CARD.sha256:
        raise ValueError(
            "The photographs are not the ones that their data card describes "
            f"(sha256 {found[:12]}… instead of {CARD.sha256[:12]}…); run "
            "`pip install --force-reinstall scikit-image scikit-learn`."
        )
    images = []
    for path in paths:
        with Image.open(path) as image:
            images.append(np.array(image.convert("RGB")))
    return Photos(tuple(PHOTOS), images, [photo.label for photo in PHOTOS.values()], CARD)
