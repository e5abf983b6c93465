"""A record of an alert, for tests that look at a few of its fields."""

from schemas.decisions import AlertRecord, Because, Evidence, Versions


def alert(state: str = "opened", because: list[Because] | None = None, evidence: list[Evidence] | None = None) -> AlertRecord:
    return AlertRecord(
        customer_id="c",
        alert_id="a",
        sequence=1,
        state=state,  # type: ignore[arg-type]
        at_ms=0,
        decided_ms=0,
        rule="r@1",
        kind="absence",
        episode_start_ms=0,
        due_ms=0,
        severity="high",
        mode="live",
        because=because or [],
        evidence=evidence or [],
        versions=Versions(engine=1, rules="1"),
    )
