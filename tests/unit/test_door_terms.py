"""Section `door` of the file of sources: what it may say, where secrets come from, and what is said about faults."""

from pathlib import Path

import pytest

from streams.door import make_door, secrets_of
from streams.door_terms import DoorTerms, door_faults
from streams.settings import SettingsError, load_settings
from streams.sources import SourcesError, read_sources


def sources(folder: Path, section: str) -> Path:
    path = folder / "sources.yaml"
    path.write_text(f"sources:\n- topic: shop\n  feed: orders\n  door: {section}\n- {{topic: web, feed: logins}}\n")
    return path


def test_a_door_says_how_it_is_signed_and_how_much_it_takes(tmp_path: Path) -> None:
    section = (
        "{signature: shopify, secret_file: keys/shop, limit_bytes: 1000, rate_per_s: 2.5, tolerance_s: 60, headers: [X-A]}"
    )
    shop, web = read_sources(sources(tmp_path, section))
    assert shop.door == DoorTerms(
        "shopify", tmp_path / "keys/shop", limit_bytes=1000, rate_per_s=2.5, tolerance_s=60, headers=("X-A",)
    )
    assert web.door is None


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("shopify", "signature: ..."),
        ("{secret_env: A}", "`door: signature` is None: one of shopify, zendesk"),
        ("{signature: md5, secret_env: A}", "`door: signature` is 'md5'"),
        ("{signature: github}", "one of secret_file and secret_env is wanted"),
        ("{signature: github, secret_env: A, secret_file: b}", "one of secret_file and secret_env is wanted"),
        ("{signature: none, secret_env: A}", "leave secret_file and secret_env out"),
        ("{signature: github, secret_env: 7}", "`door: secret_env` is no name"),
        ("{signature: github, secret_env: A, secrets: B}", "`door: secrets` is not known here"),
        ("{signature: github, secret_env: A, header: X-B}", "`door: header` is for the signature hmac-sha256"),
        ("{signature: hmac-sha256, secret_env: A, header: 'a b'}", "'a b' is no name of a header"),
        ("{signature: none, headers: X-B}", "a list of names is wanted"),
        ("{signature: none, headers: ['']}", "'' is no name of a header"),
        ("{signature: none, limit_bytes: 900001}", "`door: limit_bytes` is 900001: a number from 1 to 900,000"),
        ("{signature: none, limit_bytes: 1.5}", "`door: limit_bytes` is 1.5"),
        ("{signature: none, rate_per_s: 0}", "`door: rate_per_s` is 0: a number from 0.001"),
        ("{signature: none, rate_per_s: yes}", "`door: rate_per_s` is 'yes'"),
        ("{signature: none, tolerance_s: true}", "`door: tolerance_s` is True"),
    ],
)
def test_a_fault_is_told_with_its_line_and_what_is_allowed(tmp_path: Path, section: str, words: str) -> None:
    with pytest.raises(SourcesError) as told:
        read_sources(sources(tmp_path, section))
    (line,) = str(told.value).splitlines()
    assert f"{tmp_path}/sources.yaml:2: " in line
    assert words in line


def test_a_secret_that_stands_in_the_file_by_mistake_is_not_repeated() -> None:
    faults = [
        *door_faults({"signature": "github", "secret": "hunter2"}),
        *door_faults({"signature": "github", "secret_env": ["hunter2"]}),
    ]
    assert faults
    assert "hunter2" not in " ".join(faults)


def test_secrets_stand_one_a_line_in_a_file_or_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keys").write_text("It's the new one\n\n  and the old one  \n")
    monkeypatch.setenv("SHOP_SECRET", "from here")
    assert secrets_of(DoorTerms("github", tmp_path / "keys")) == ["It's the new one", "and the old one"]
    assert secrets_of(DoorTerms("github", None, "SHOP_SECRET")) == ["from here"]
    assert secrets_of(DoorTerms("none")) == []


def test_a_role_without_a_port_says_which_variable_gives_it_one() -> None:
    with pytest.raises(SettingsError, match="CHURN_DOOR_PORT=0: the role door needs a port"):
        make_door(load_settings(door_port=0))


def test_a_role_without_a_source_says_what_a_source_needs() -> None:
    with pytest.raises(SourcesError, match="no source has a door: give one a section `door`"):
        make_door(load_settings(door_port=1))


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("{signature: github, secret_env: NOT_SET}", "the door of shop: the variable NOT_SET has no secret"),
        ("{signature: github, secret_file: nowhere}", "the door of shop: .*nowhere"),
        (
            "{signature: standard-webhooks, secret_file: sources.yaml}",
            "the door of shop: a secret of Standard Webhooks is base64",
        ),
    ],
)
def test_a_door_whose_secrets_are_not_there_does_not_open(tmp_path: Path, section: str, words: str) -> None:
    with pytest.raises(SourcesError, match=words):
        make_door(load_settings(door_port=1, sources=sources(tmp_path, section)))


def test_nobody_writes_to_the_log_from_outside_but_actions_may_come_in(tmp_path: Path) -> None:
    path = tmp_path / "sources.yaml"
    path.write_text("sources: [{topic: churn.events, feed: orders, door: {signature: none}}]")
    with pytest.raises(SourcesError, match=r"churn\.events: what churnwatch writes itself"):
        make_door(load_settings(door_port=1, sources=path))
    path.write_text("sources: [{topic: churn.actions, feed: actions, door: {signature: none}}]")
    make_door(load_settings(door_port=1, sources=path))


def test_the_door_is_among_the_usual_roles_where_it_has_a_port() -> None:
    assert load_settings(door_port=0).usual_roles() == ("ingest", "detect", "learn", "clock", "deliver")
    assert load_settings(door_port=8000).usual_roles() == ("ingest", "detect", "learn", "clock", "deliver", "door")
