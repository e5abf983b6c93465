"""Settings: one environment variable each, described, with its unit in its name; all faults told at once."""

import pytest
from pydantic import ValidationError

from streams.settings import ROLES, Settings, SettingsError, load_settings, variable, variables

UNITS = ("_ms", "_s", "_bytes", "_records", "_examples", "_port", "_share")
COUNTS_OF_WHAT_THEY_ARE_CALLED = {"busy_customers", "partitions", "replication", "metrics_port"}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in variables():
        monkeypatch.delenv(name, raising=False)


def test_the_defaults_are_settings() -> None:
    assert load_settings().prefix == "churn."


def test_a_variable_sets_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURN_TICK_MS", "250")
    assert load_settings().tick_ms == 250


def test_an_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURN_TICK_MS", "250")
    assert load_settings(tick_ms=500).tick_ms == 500


def test_all_faults_are_told_at_once_each_with_its_variable_and_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURN_PARTITIONS", "0")
    monkeypatch.setenv("CHURN_CLOCK", "sundial")
    monkeypatch.setenv("CHURN_BOOTSTRAP", "no port")
    with pytest.raises(SettingsError) as told:
        load_settings()
    lines = str(told.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["CHURN_BOOTSTRAP=no port", "CHURN_CLOCK=sundial", "CHURN_PARTITIONS=0"]
    assert "'broker' or 'event'" in lines[1]


@pytest.mark.parametrize("bootstrap", ["kafka", "kafka:9092,", "kafka:port", "kafka: 9092", ""])
def test_brokers_without_host_and_port_are_refused(bootstrap: str) -> None:
    with pytest.raises(SettingsError, match="CHURN_BOOTSTRAP"):
        load_settings(bootstrap=bootstrap)


def test_an_empty_prefix_is_refused_because_topics_would_be_anybody_s() -> None:
    with pytest.raises(SettingsError, match="CHURN_PREFIX"):
        load_settings(prefix="")


def test_an_empty_variable_is_as_if_it_were_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    not_set = load_settings()
    for name in ("CHURN_ROUTES", "CHURN_ARCHIVE", "CHURN_TICK_MS", "CHURN_PREFIX"):
        monkeypatch.setenv(name, "")
    assert load_settings() == not_set
    assert not_set.routes is not_set.archive is None


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        load_settings().tick_ms = 1


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_says_what_it_is_for_and_in_which_unit(name: str) -> None:
    field = Settings.model_fields[name]
    assert field.description is not None
    assert field.description.endswith(".")
    if field.annotation in (int, float):
        assert name.endswith(UNITS) or name in COUNTS_OF_WHAT_THEY_ARE_CALLED


def test_every_name_in_the_cluster_begins_with_the_prefix() -> None:
    settings = load_settings(prefix="shop.")
    names = [settings.topic("events"), settings.transactional_id(3), *(settings.group_id(role) for role in ROLES)]
    assert all(name.startswith("shop.") for name in names)
    assert len(set(names)) == len(names)


def test_the_list_of_variables_names_every_field() -> None:
    assert list(variables()) == [variable(name) for name in Settings.model_fields]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"kafka_security": "sasl_ssl"}, "CHURN_KAFKA_MECHANISM is missing"),
        ({"kafka_mechanism": "PLAIN"}, "goes with CHURN_KAFKA_SECURITY=sasl_ssl"),
        ({"kafka_ca": "ca.pem"}, "go with CHURN_KAFKA_SECURITY=ssl"),
        ({"kafka_security": "sasl_ssl", "kafka_mechanism": "PLAIN"}, "PLAIN wants CHURN_KAFKA_USER and CHURN_KAFKA_PASSWORD"),
        ({"kafka_security": "sasl_ssl", "kafka_mechanism": "OAUTHBEARER"}, "OAUTHBEARER wants CHURN_KAFKA_TOKEN_URL"),
    ],
)
def test_how_kafka_is_reached_must_fit_together(given: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(**given)
    assert says in str(refused.value)


def test_a_password_that_stands_in_the_settings_is_refused_and_not_shown() -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(kafka_security="sasl_ssl", kafka_mechanism="PLAIN", kafka_user="churn", kafka_password="pass-phrase")  # noqa: S106
    assert "env:NAME or file:PATH" in str(refused.value)
    assert "pass-phrase" not in str(refused.value)


@pytest.mark.parametrize("name", ["redis_url", "schema_registry_url", "kafka_token_url"])
def test_an_address_that_is_none_is_not_shown_since_a_password_may_be_in_it(name: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(**{name: "user:pass-phrase@host"})
    assert f"{variable(name)}=(not shown): " in str(refused.value)
    assert "pass-phrase" not in str(refused.value)
