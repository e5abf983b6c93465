"""The AsyncAPI file as others see it: the parser of the AsyncAPI project takes it, with all the schemas it refers to."""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, get_args

import pytest

from schemas.json_schema import DIRECTORY
from streams.asyncapi import FILE
from streams.settings import Topic
from streams.topics import DEFAULT_SOURCES

PARTS = Path(__file__).parents[1] / "asyncapi"
NAMES = (".npmrc", "package.json", "package-lock.json", "parse.mjs")
INSTALL = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
ERROR = 0


@pytest.fixture(scope="module")
def parser() -> Path:
    """A folder with the script that parses and the packages of the lock file, installed when they are first wanted."""
    missing = [tool for tool in ("node", "npm") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} are missing: the parser is a package of Node 18 or later (apt-get install npm)")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "churnwatch"
    digest = hashlib.sha256(b"".join((PARTS / name).read_bytes() for name in NAMES)).hexdigest()
    installed = cache / f"asyncapi-{digest[:12]}"
    if installed.is_dir():
        return installed
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        partial = Path(folder) / "parser"
        partial.mkdir()
        for name in NAMES:
            shutil.copy(PARTS / name, partial)
        done = subprocess.run(INSTALL, cwd=partial, capture_output=True, text=True, check=False)
        if done.returncode:
            says = f"the parser cannot be installed: {done.stderr[-1_000:]}"
            pytest.fail(says) if os.environ.get("CI") == "true" else pytest.skip(says)
        with contextlib.suppress(OSError):  # another run was faster
            partial.rename(installed)
    return installed


def parsed(parser: Path, *files: Path) -> list[dict[str, Any]]:
    """What the parser says of each file."""
    command = ["node", "parse.mjs", *map(str, files)]
    done = subprocess.run(command, cwd=parser, capture_output=True, text=True, check=True, timeout=120)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def errors(found: dict[str, Any]) -> list[str]:
    return [f"{one['path']}: {one['message']}" for one in found["diagnostics"] if one["severity"] == ERROR]


def test_the_parser_takes_the_file(parser: Path) -> None:
    (found,) = parsed(parser, FILE)
    assert errors(found) == []
    assert found["channels"] == sorted([*get_args(Topic), *DEFAULT_SOURCES])
    assert {"detectSendsAlerts", "detectReceivesEvents", "ingestReceivesOrders"} <= set(found["operations"])


def test_the_parser_refuses_what_is_wrong(parser: Path, tmp_path: Path) -> None:
    text = FILE.read_text(encoding="utf-8")
    wrong = [
        ("action: send", "action: shout"),
        ("#/components/messages/alert'", "#/components/messages/alarm'"),
        ("./jsonschema/risk.json", "./jsonschema/risks.json"),
        ("- compact", "- forget"),
    ]
    shutil.copytree(DIRECTORY, tmp_path / DIRECTORY.name)
    files = [tmp_path / f"{number}.yaml" for number in range(len(wrong))]
    for file, (right, broken) in zip(files, wrong, strict=True):
        assert right in text
        file.write_text(text.replace(right, broken, 1), encoding="utf-8")
    assert [bool(errors(found)) for found in parsed(parser, *files)] == [True] * len(wrong)
