"""The AsyncAPI file: as the tables and schemas say, with examples that are true."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML
from typer.testing import CliRunner

from schemas.codec import decode_decision
from schemas.json_schema import DIRECTORY
from streams.asyncapi import FILE, document, rendered
from streams.asyncapi_messages import MESSAGES, MESSAGES_OF, TOMBSTONES_OF
from streams.cli import app
from streams.settings import load_settings
from streams.topics import topic_specs

MADE = document()


def payload_schema(message: Any) -> Any:
    reference = message["payload"].get("$ref")
    if reference is None:
        return message["payload"]
    name, _, inside = reference.removeprefix("./jsonschema/").partition("#")
    whole = orjson.loads((DIRECTORY / name).read_bytes())
    return {**whole, "$ref": f"#{inside}"} if inside else whole


def test_the_committed_file_is_what_the_tables_say() -> None:
    assert FILE.read_bytes() == rendered(), "make it anew: churnwatch schemas"
    assert YAML(typ="safe").load(FILE.read_bytes()) == MADE


def test_the_command_writes_the_files_of_the_package_anywhere(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["schemas", "--out", str(tmp_path)]).exit_code == 0
    written = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    committed = [FILE, *DIRECTORY.iterdir()]
    assert written == {path.relative_to(FILE.parent): path.read_bytes() for path in committed}


def test_every_topic_is_a_channel_with_the_form_that_it_is_made_with() -> None:
    for spec in topic_specs(load_settings()):
        kafka = next(each for each in MADE["channels"].values() if each["address"] == spec.name)["bindings"]["kafka"]
        assert kafka["partitions"] == spec.partitions
        assert kafka["topicConfiguration"]["cleanup.policy"] == [spec.configs["cleanup.policy"]]
        assert str(kafka["topicConfiguration"].get("retention.ms")) == spec.configs.get("retention.ms", "None")
    assert len(MADE["channels"]) == len(topic_specs(load_settings()))


def test_a_compacted_topic_out_of_which_something_is_taken_has_a_message_for_it() -> None:
    assert all(
        MADE["channels"][topic]["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"] == ["compact"]
        for topic in TOMBSTONES_OF
    )


def test_every_message_is_in_a_channel_and_no_operation_is_without_one() -> None:
    used = {name for channel in MADE["channels"].values() for name in channel["messages"]}
    assert used == set(MESSAGES)
    assert {name for names in MESSAGES_OF.values() for name in names} <= used
    channels = {one["channel"]["$ref"].removeprefix("#/channels/") for one in MADE["operations"].values()}
    assert channels == set(MADE["channels"])


@pytest.mark.parametrize("name", [name for name, message in MESSAGES.items() if "examples" in message])
def test_every_example_is_true(name: str) -> None:
    message = MESSAGES[name]
    assert message["examples"]
    for example in message["examples"]:
        assert [fault.message for fault in Draft202012Validator(payload_schema(message)).iter_errors(example["payload"])] == []
        if "headers" in example:
            assert [f.message for f in Draft202012Validator(message["headers"]).iter_errors(example["headers"])] == []
            assert set(example["headers"]) <= set(message["headers"]["properties"])


@pytest.mark.parametrize("name", ["alert", "risk", "lifecycle"])
def test_events_have_the_headers_that_are_required(name: str) -> None:
    message = MESSAGES[name]
    for example in message["examples"]:
        decode_decision(orjson.dumps(example["payload"]))
        for header in message["headers"]["required"]:
            broken = {key: value for key, value in example["headers"].items() if key != header}
            assert not Draft202012Validator(message["headers"]).is_valid(broken)
