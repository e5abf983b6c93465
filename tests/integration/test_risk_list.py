"""`risk list` reads what the topic holds now."""

import asyncio
import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from decisions_written import CUSTOMERS, writing
from detect_log import new_installation, until
from redis_contents import differences
from structlog.testing import capture_logs
from typer.testing import CliRunner
from valkey_server import running_valkey

from streams.cli import app
from streams.risk_list import RisksNotFound, risk_list
from streams.settings import Settings, load_settings
from streams.worker import running_roles


async def written(settings: Settings, rounds: int = 2) -> None:
    async with writing(settings) as decisions:
        for _ in range(rounds):
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


@pytest.mark.kafka
async def test_redis_gives_the_same_list_and_one_that_is_away_or_far_behind_is_not_asked(
    bootstrap: str, unique: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = new_installation(bootstrap, unique("both"))
    await written(settings, rounds=4)

    async def lists(redis_url: str = "") -> list[list[dict[str, Any]]]:
        asked = settings.model_copy(update={"redis_url": redis_url})
        return [
            [line.as_json() for line in await asyncio.to_thread(risk_list, asked, top=top, owner=owner)]
            for top, owner in ((50, None), (7, None), (50, "owner-2"), (50, "nobody"))
        ]

    wanted = await lists()
    assert {line["stage"] for line in wanted[0]} == {"active"}
    assert {line["open_alerts"] for line in wanted[0]} == {0, 1}
    with running_valkey() as url:
        with capture_logs() as said:
            assert await lists(url) == wanted  # nobody has filled it
        assert {line["event"] for line in said} == {"risk.read_from_topics"}
        filled = settings.model_copy(update={"redis_url": url})
        async with running_roles(filled, ["deliver"]):
            await until(lambda: same(filled, url))
        with capture_logs() as said:
            assert await lists(url) == wanted
        assert not said
        monkeypatch.setattr("streams.risk_sources._MOST_BEHIND", 0)
        await written(settings)
        with capture_logs() as said:
            assert await lists(url) == await lists()
        assert "behind" in said[0]["reason"]
    with capture_logs() as said:
        assert await lists(url) == await lists()
    assert "does not answer" in said[0]["reason"]


async def same(settings: Settings, url: str) -> bool:
    return not await differences(settings, url)


def test_without_topics_it_says_what_creates_them(bootstrap: str, unique: Callable[[str], str]) -> None:
    with pytest.raises(RisksNotFound, match="`churnwatch topics` creates it"):
        risk_list(load_settings(bootstrap=bootstrap, prefix=unique("none")), top=1, owner=None)
