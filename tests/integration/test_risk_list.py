"""`risk list` reads what the topic holds now."""

import asyncio
import csv
import io
import json
from collections.abc import Callable

import pytest
from decisions_written import CUSTOMERS, writing
from detect_log import new_installation
from typer.testing import CliRunner

from streams.cli import app
from streams.risk_list import RisksNotFound, risk_list
from streams.settings import Settings, load_settings


async def written(settings: Settings) -> None:
    async with writing(settings) as decisions:
        for _ in range(2):
            await decisions.a_round()
        await decisions.erase_some()


@pytest.mark.kafka
def test_the_last_risk_of_each_customer_counts_and_who_was_erased_is_not_there(
    bootstrap: str, unique: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = new_installation(bootstrap, unique("today"))
    asyncio.run(written(settings))
    monkeypatch.setenv("CHURN_BOOTSTRAP", bootstrap)
    monkeypatch.setenv("CHURN_PREFIX", settings.prefix)
    monkeypatch.setenv("CHURN_PARTITIONS", str(settings.partitions))

    def said(*options: str) -> str:
        result = CliRunner().invoke(app, ["risk", "list", *options])
        assert result.exit_code == 0, result.output
        return result.stdout

    here = [number for number in range(CUSTOMERS) if number % 8]
    valued = sorted((number for number in here if number % 3), reverse=True)
    rows = list(csv.DictReader(io.StringIO(said("--csv"))))
    assert {row["customer_id"] for row in rows} == {f"c{number}" for number in here}
    assert [row["customer_id"] for row in rows[: len(valued)]] == [f"c{number}" for number in valued]
    of_one = json.loads(said("--json", "--top", "3", "--owner", "owner-1"))["customers"]
    assert [one["customer_id"] for one in of_one] == [f"c{number}" for number in valued if number % 4 == 1][:3]
    assert of_one[0]["at_stake"] == 0.5 * of_one[0]["value"]


def test_without_topics_it_says_what_creates_them(bootstrap: str, unique: Callable[[str], str]) -> None:
    with pytest.raises(RisksNotFound, match="`churnwatch topics` creates it"):
        risk_list(load_settings(bootstrap=bootstrap, prefix=unique("none")), top=1, owner=None)
