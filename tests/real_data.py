"""Real event data, which is not part of the project: `CHURN_DATA` names the folder that it lies in."""

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
