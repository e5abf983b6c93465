"""Which alert an id, or the beginning of one, stands for."""

from pathlib import Path

import msgspec
import pytest
from alert_records import alert

from schemas.codec import encode
from schemas.decisions import AlertRecord, AlertState
from schemas.errors import ContractError
from streams.alert_lookup import AlertNotFound, chosen, in_file


def step(alert_id: str, sequence: int, state: AlertState = "opened") -> AlertRecord:
    return msgspec.structs.replace(alert(state), alert_id=alert_id, sequence=sequence)


ADA_1, ADA_2 = step("aaaaaaaa-1", 1), step("aaaaaaaa-1", 2, "resolved")
BOB = step("aaaaaaaa-2", 1)
EVE = step("eeeeeeee-3", 1)


def test_an_id_gives_all_its_transitions_in_order() -> None:
    assert chosen([ADA_2, BOB, ADA_1, EVE, ADA_2], "aaaaaaaa-1", "here") == [ADA_1, ADA_2]


def test_eight_characters_stand_for_the_only_alert_that_begins_so() -> None:
    assert chosen([ADA_1, EVE], "eeeeeeee", "here") == [EVE]


def test_a_whole_id_goes_before_a_longer_one() -> None:
    longer = step("aaaaaaaa-11", 1)
    assert chosen([longer, ADA_1], "aaaaaaaa-1", "here") == [ADA_1]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("aaaaaaaa", "2 alerts begin with aaaaaaaa: aaaaaaaa-1, aaaaaaaa-2"),
        ("ffffffff", "there is no alert ffffffff in here"),
        ("eeeeeee", "at least 8 characters"),
    ],
    ids=["several", "none", "short"],
)
def test_what_stands_for_no_single_alert_is_told(wanted: str, told: str) -> None:
    with pytest.raises(AlertNotFound, match=told):
        chosen([ADA_1, ADA_2, BOB, EVE], wanted, "here")


def test_a_file_may_hold_other_lines_unless_they_name_the_alert(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_bytes(b"not json\n\n" + b"".join(encode(record) + b"\n" for record in (ADA_1, BOB, ADA_2)))
    assert in_file(path, "aaaaaaaa-1") == [ADA_1, ADA_2]

    path.write_bytes(path.read_bytes() + b'{"alert_id": "aaaaaaaa-1"}\n')
    with pytest.raises(ContractError, match="line 6"):
        in_file(path, "aaaaaaaa-1")
