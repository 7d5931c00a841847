"""The data of the course: `load(name)` for the catalogue, `image_folder(path)` for your own."""

from tlcourse.data.catalogue import DATASETS, available, fetch, load
from tlcourse.data.dataset import DataCard, Dataset
from tlcourse.data.folder import ImageFolder, image_folder, read_pictures
from tlcourse.data.photos import Photos

__all__ = [
    "DATASETS",
    "DataCard",
    "Dataset",
    "ImageFolder",
    "Photos",
    "available",
    "fetch",
    "image_folder",
    "load",
    "read_pictures",
]
