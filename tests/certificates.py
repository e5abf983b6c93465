"""Certificates for servers of the tests, made by openssl: each is its own authority."""

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest


class Certificate(NamedTuple):
    """Both in PEM. Who trusts `certificate` trusts a server that has both."""

    certificate: Path
    key: Path

    def for_server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def make_certificate(folder: Path, *, days: int = 2, names: str = "DNS:localhost,IP:127.0.0.1,IP:::1") -> Certificate:
    """Of these names, good from now on for so many days; below 0: it has expired. Skips the test where openssl is missing."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificates of this test: on Debian apt-get install openssl")
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    request = folder / "request.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    _openssl("req", "-new", *curve, "-nodes", "-subj", "/CN=test", "-addext", f"subjectAltName={names}",
             "-keyout", made.key, "-out", request)  # fmt: skip
    _openssl("x509", "-req", "-in", request, "-signkey", made.key, "-days", str(days), "-copy_extensions", "copy",
             "-out", made.certificate)  # fmt: skip
    return made


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
