"""Backbones, ImageNet classifiers, and models to train. Importing this builds nothing."""

from tlcourse.models.build import build_classifier, small_cnn
from tlcourse.models.imagenet import decode
from tlcourse.models.load import load_backbone, load_classifier
from tlcourse.models.scaling import Preprocess
from tlcourse.models.table import BACKBONES, Backbone

__all__ = [
    "BACKBONES",
    "Backbone",
    "Preprocess",
    "build_classifier",
    "decode",
    "load_backbone",
    "load_classifier",
    "small_cnn",
]
