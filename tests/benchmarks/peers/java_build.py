"""The job on Kafka Streams, built by Maven once for each state of its sources, outside the tree."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

_PROJECT: Final = Path(__file__).parent / "java"


class JavaUnavailable(Exception):  # noqa: N818 - a state of the machine
    """The job cannot be built or run on this machine; the message says what is missing."""


def java() -> str:
    """The command.

    Raises:
        JavaUnavailable: there is none.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if found is None:
        raise JavaUnavailable("Kafka Streams needs Java 17 or later: no `java` was found")
    return found


@cache
def java_classes() -> str:
    """The class path of the job.

    Raises:
        JavaUnavailable: it has to be built, and there is no Maven.
    """
    cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "churnwatch"
    built = cached / f"peers-{_digest()}"
    if not built.is_dir():
        maven = shutil.which("mvn")
        if maven is None:
            raise JavaUnavailable("building the job on Kafka Streams needs Maven: no `mvn` was found")
        cached.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cached) as name:
            partial = Path(name) / "peers"
            command = [maven, "-q", "-B", "-f", str(_PROJECT / "pom.xml"), f"-Dpeers.directory={partial}", "package"]
            subprocess.run(command, check=True)
            with contextlib.suppress(OSError):  # another run was faster
                partial.rename(built)
    return f"{built}/*"


def _digest() -> str:
    digest = hashlib.sha256()
    for file in sorted(path for path in _PROJECT.rglob("*") if path.suffix in {".java", ".xml"}):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
