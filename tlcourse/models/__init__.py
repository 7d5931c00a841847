"""Backbones, ImageNet classifiers, and models to train. Importing this builds nothing."""

from tlcourse.models.build import build_classifier, small_cnn
from tlcourse.models.choosing import Choice, choose_backbone
from tlcourse.models.counting import Field, multiply_adds, receptive_field
from tlcourse.models.facts import Facts, backbone_facts
from tlcourse.models.imagenet import decode, source_probabilities
from tlcourse.models.load import load_backbone, load_classifier
from tlcourse.models.scaling import Preprocess
from tlcourse.models.table import BACKBONES, Backbone

__all__ = [
    "BACKBONES",
    "Backbone",
    "Choice",
    "Facts",
    "Field",
    "Preprocess",
    "backbone_facts",
    "build_classifier",
    "choose_backbone",
    "decode",
    "load_backbone",
    "load_classifier",
    "multiply_adds",
    "receptive_field",
    "small_cnn",
    "source_probabilities",
]
