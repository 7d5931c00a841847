"""The tasks of each chapter: what is asked, what is said to an answer, and how it is judged."""
