"""Writes the dashboards as JSON, into the folder that is named, or beside this package."""

import sys
from pathlib import Path

from boards.all import BOARDS, as_json

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "dashboards"
folder.mkdir(parents=True, exist_ok=True)
for name in BOARDS:
    path = folder / f"{name}.json"
    path.write_text(as_json(name), encoding="utf-8")
    sys.stdout.write(f"{path}\n")
