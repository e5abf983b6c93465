"""Secrets are named and read, and never shown."""

import pickle
from pathlib import Path

import pytest

from schemas.secret import Secret
from streams.secret_values import SecretError, SecretName, read_secret, read_secrets, secret_name


def test_a_secret_shows_where_it_stands_and_not_what_it_is() -> None:
    secret = Secret("hunter2", "env:MAIL")
    assert (secret.reveal(), str(secret), repr(secret)) == ("hunter2", "env:MAIL", "Secret(env:MAIL)")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]} {Secret('hunter2')}"
    with pytest.raises(TypeError, match="not written anywhere"):
        pickle.dumps(secret)


def test_a_secret_that_was_only_named_has_nothing_to_reveal() -> None:
    with pytest.raises(ValueError, match="env:MAIL was not read"):
        Secret(None, "env:MAIL").reveal()
    assert not Secret(None).is_read


def test_secrets_are_read_from_a_variable_or_a_file_beside_the_one_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("new one\n\n  old one\n", encoding="utf-8")
    assert read_secret(secret_name("env:A"), {"A": "x\n"}) == Secret("x", "env:A")
    found = read_secrets(secret_name("file:keys", tmp_path))
    assert [secret.reveal() for secret in found] == ["new one", "old one"]
    assert secret_name("file:/run/secrets/a", tmp_path) == SecretName("file", "/run/secrets/a")


@pytest.mark.parametrize("text", ["hunter2", "env:", "file:", "ENV:hunter2", "vault:hunter2", ""])
def test_what_is_no_reference_may_be_the_secret_and_is_not_repeated(text: str) -> None:
    with pytest.raises(SecretError) as refused:
        secret_name(text)
    assert "env:NAME" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_secret_that_is_not_there_is_told_by_its_place(tmp_path: Path) -> None:
    (tmp_path / "two").write_text("hunter2\nhunter3", encoding="utf-8")
    (tmp_path / "latin").write_bytes(b"hunter\xff")
    faults = {
        "env:A": "the variable A has no secret",
        "file:none": f"the file {tmp_path}/none cannot be read: No such file",
        "file:two": f"the file {tmp_path}/two has 2 lines: one secret is wanted",
        "file:latin": f"the file {tmp_path}/latin is not UTF-8",
    }
    for text, message in faults.items():
        with pytest.raises(SecretError) as refused:
            read_secret(secret_name(text, tmp_path), {})
        assert str(refused.value).startswith(message)
        assert "hunter" not in str(refused.value)
