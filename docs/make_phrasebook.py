"""Write the phrasebook as a page.

Run it after a move changed: `.venv/bin/python docs/make_phrasebook.py`.
"""

from pathlib import Path

from tlcourse.interview import phrasebook

if __name__ == "__main__":
    page = Path(__file__).parent / "phrasebook.md"
    page.write_text(phrasebook.page(), encoding="utf-8")
