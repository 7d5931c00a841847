"""How fast the course is, side by side with what people do today: `python -m benchmarks`.

Each side-by-side alternates its sides, so that a machine that slows down slows both, and writes a
row only if the results of both sides are equal.
"""
