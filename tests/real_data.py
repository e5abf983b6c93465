"""Real event data, which is not part of the project: `CHURN_DATA` names the folder that it lies in."""

import csv
import gzip
import os
from pathlib import Path

import pytest

MAPPINGS = Path(__file__).parents[1] / "deploy" / "mappings"


def real_file(name: str) -> Path:
    """A file of the real data; without it the test is skipped."""
    folder = os.environ.get("CHURN_DATA")
    if not folder:
        pytest.skip("CHURN_DATA does not name a folder with the real data")
    path = Path(folder) / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return path


def some_customers(name: str, folder: Path, *, column: int, every: int) -> Path:
    """A table of the real data with only the customers whose number, in that column, can be divided; none is number 1."""
    found = folder / "some_customers.csv"
    with gzip.open(real_file(name), "rt", newline="") as rows, found.open("w", newline="") as kept:
        writer = csv.writer(kept)
        for place, row in enumerate(csv.reader(rows)):
            if place == 0 or int(row[column] or 1) % every == 0:
                writer.writerow(row)
    return found
