"""Which release this is."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import orjson

from detectors.partition_state import ENGINE_VERSION


def _installed() -> str:
    try:
        return version("churnwatch")
    except PackageNotFoundError:  # a checkout that nobody installed
        return "unknown"


VERSION: Final = _installed()
REVISION: Final = os.environ.get("CHURNWATCH_REVISION", "unknown")
"""The commit, where whoever built the image has said it."""


def version_json() -> bytes:
    """The release, the engine, the commit and Python, as `/version` has them."""
    return orjson.dumps(
        {"version": VERSION, "engine": ENGINE_VERSION, "revision": REVISION, "python": platform.python_version()}
    )
