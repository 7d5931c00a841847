"""Renew what is measured and counted on the teacher's page.

`.venv/bin/python docs/make_teaching.py` after an exercise or a notebook changed. With the
`run.json` of runs that nothing else disturbed, it first takes the times of these chapters from
there:
`.venv/bin/python docs/make_teaching.py runs/*/run.json`.
"""

import json
import sys
from pathlib import Path

from tlcourse.classroom import timetable

DOCS = Path(__file__).parent
TIMES, PAGE = DOCS / "chapter_times.json", DOCS / "teaching.md"

if __name__ == "__main__":
    times = json.loads(TIMES.read_text(encoding="utf-8")) if TIMES.exists() else {}
    times |= timetable.measured([Path(name) for name in sys.argv[1:]])
    TIMES.write_text(json.dumps(times, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    made = timetable.chapters(times, DOCS.parent / "notebooks")
    page = timetable.filled(PAGE.read_text(encoding="utf-8"), timetable.pieces(made))
    PAGE.write_text(page, encoding="utf-8")
    print(f"Wrote {PAGE.name} and {TIMES.name}.")
