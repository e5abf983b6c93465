"""Debian's Redis with TLS and users, alone on a free port of loopback: the Valkey of the wheel is built without TLS."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from certificates import Certificate
from kafka_server import free_ports

_STARTS_WITHIN_S = 20


@contextlib.contextmanager
def running_redis_with_tls(folder: Path, certificate: Certificate, users: Sequence[str]) -> Iterator[str]:
    """Run one for as long as the block lasts, and yield its URL. Skips the test where there is none.

    Args:
        folder: of its files.
        certificate: that it shows.
        users: lines of a file of users; the default user is off.
    """
    command = shutil.which("redis-server")
    if command is None:
        pytest.skip("there is no Redis with TLS here: on Debian apt-get install redis-server")
    (folder / "users.acl").write_text("\n".join(["user default off", *users, ""]))
    (port,) = free_ports(1)
    arguments = {
        "port": 0,
        "tls-port": port,
        "tls-cert-file": certificate.certificate,
        "tls-key-file": certificate.key,
        "tls-auth-clients": "no",
        "aclfile": folder / "users.acl",
        "dir": folder,
        "save": "",
    }
    process = subprocess.Popen(
        [command, *(word for name, value in arguments.items() for word in (f"--{name}", str(value)))],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        _wait_until_ready(process)
        yield f"rediss://localhost:{port}/0"
    finally:
        process.kill()
        process.communicate()


def _wait_until_ready(process: "subprocess.Popen[str]") -> None:
    deadline_s, said = time.monotonic() + _STARTS_WITHIN_S, []
    for line in process.stdout or ():
        said.append(line)
        if "Ready to accept connections" in line:
            return
        if time.monotonic() > deadline_s:
            break
    pytest.fail(f"Redis did not start: {''.join(said)}")
