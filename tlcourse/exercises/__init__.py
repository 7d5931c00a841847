"""Exercises that look at what your code does: check, hint, solution, and where you stand."""

from tlcourse.exercises.desk import check, hint, overview, require, solution

__all__ = ["check", "hint", "overview", "require", "solution"]
