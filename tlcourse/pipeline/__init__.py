"""From a folder of pictures to one file that predicts: train, evaluate, explain, save, export."""

from tlcourse.pipeline.card import ModelCard
from tlcourse.pipeline.exporting import Export
from tlcourse.pipeline.planning import Plan, make_plan
from tlcourse.pipeline.results import Evaluation, Predictions
from tlcourse.pipeline.transfer import TransferLearningPipeline

__all__ = [
    "Evaluation",
    "Export",
    "ModelCard",
    "Plan",
    "Predictions",
    "TransferLearningPipeline",
    "make_plan",
]
