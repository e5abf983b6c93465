"""Golden stories: records in, alerts out, one folder a story, named for what happens in it.

A story holds `rules.yaml`, `events.jsonl` and `alerts.jsonl`; without the first, rules are published among the events.
`make golden` writes the last of them anew; a person reads the difference before it is committed. Where a customer is
erased, the proof stands among the alerts.
"""

from pathlib import Path

import pytest

from schemas.codec import encode
from streams.replay import replay_file
from streams.rules_file import load_rules

STORIES = sorted(path.parent for path in Path(__file__).parent.glob("stories/*/events.jsonl"))


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_a_story_ends_as_it_was_written_down(story: Path, request: pytest.FixtureRequest) -> None:
    rules = story / "rules.yaml"
    decided = replay_file(story / "events.jsonl", load_rules(rules) if rules.exists() else None)
    records = (record for found in decided for record in (*found.alerts, *found.shadow, *found.erasures))
    alerts = b"".join(encode(record) + b"\n" for record in records)
    written = story / "alerts.jsonl"
    if request.config.getoption("--rewrite-golden"):
        written.write_bytes(alerts)
    assert alerts.decode().splitlines() == written.read_text(encoding="utf-8").splitlines()


def test_there_are_stories() -> None:
    assert len(STORIES) >= 3
