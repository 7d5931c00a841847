"""A head on ten thousand images: as `head`, and apart from it, because it takes so long."""

from benchmarks.head import FULL, SMOKE
from benchmarks.head import large_rows as rows

__all__ = ["FULL", "SMOKE", "rows"]
