"""Where a risk band begins: at a number, where a contact pays, or at the n highest a day."""

from random import Random

import msgspec
import pytest
from engine_run import EngineRun, order, tick
from hypothesis import given
from hypothesis import strategies as st
from standing_run import model, risks

from detectors.bands import BandLimits
from detectors.measures import place_of_probability
from detectors.score_spread import Spread
from schemas.codec import encode
from schemas.control import RulesPublished
from schemas.events import CustomerUpdated
from schemas.instants import DAY_MS
from schemas.model_quality import ScoreSpread, SpreadState
from schemas.rules import BandAt, Bands
from streams.rules_file import parse_rules

EVEN = ScoreSpread(per_day=200.0, quantiles=[place / 100 for place in range(101)])
"""Two hundred reviews a day, whose scores are anything from 0 to 1."""


def begins(at: float | BandAt, *, spread: ScoreSpread | None = EVEN, value: float | None = None) -> float | None:
    """The least probability, in steps of a thousandth, that is critical; None: there is none."""
    limits = BandLimits(Bands(elevated=0.0001, high=0.0002, critical=at), spread)
    return next((p / 1000 for p in range(1001) if limits.band_of(p / 1000, value) == "critical"), None)


def test_a_number_is_the_limit() -> None:
    assert begins(0.85) == 0.85


@pytest.mark.parametrize(("top", "limit"), [(1, 0.995), (2, 0.99), (50, 0.75), (150, 0.25), (200, 0.0), (1_000, 0.0)])
def test_by_volume_a_band_begins_where_so_many_a_day_are_above(top: int, limit: float) -> None:
    assert begins(BandAt(top=top)) == pytest.approx(limit, abs=0.0011)


def test_by_volume_no_band_begins_while_nobody_knows_how_many_there_are() -> None:
    assert begins(BandAt(top=50), spread=None) is None


def test_by_cost_a_band_begins_where_a_contact_pays() -> None:
    #  5 for a contact that keeps three of ten who are worth 60 each: at .278 it brings what it costs
    assert begins(BandAt(contact=5, saves=0.3, value=60)) == 0.278
    assert begins(BandAt(contact=5, saves=0.3), value=60) == 0.278
    assert begins(BandAt(contact=5, saves=0.3, value=60), value=1e9) == 0.278


@pytest.mark.parametrize("value", [None, 0.0, -5.0, 10.0])
def test_by_cost_no_band_begins_for_whom_a_contact_never_pays(value: float | None) -> None:
    assert begins(BandAt(contact=5, saves=0.3), value=value) is None


def test_the_highest_band_that_is_reached_is_told_whatever_makes_the_limits() -> None:
    limits = BandLimits(Bands(elevated=0.4, high=BandAt(contact=5, saves=0.5), critical=BandAt(top=2)), EVEN)
    assert [limits.band_of(p, 20.0) for p in (0.3, 0.45, 0.55, 0.995)] == ["low", "elevated", "high", "critical"]
    assert limits.band_of(0.55, None) == "elevated"


def spread_of(probabilities: list[float], a_day: int, state: SpreadState | None = None, begin: int = 0) -> Spread:
    spread = Spread() if state is None else Spread.restored(state)
    for number, probability in enumerate(probabilities, start=begin):
        spread.take(place_of_probability(probability), (20_000 + number // a_day) * DAY_MS)
    return spread


def test_quantiles_are_those_of_the_scores_and_the_days_are_counted() -> None:
    random = Random(1)
    probabilities = [random.betavariate(2, 5) for _ in range(8_000)]
    found = spread_of(probabilities, 100).spread()
    assert found is not None
    assert found.per_day == pytest.approx(100)
    ordered = sorted(probabilities)
    for step in (5, 25, 50, 75, 95):
        assert found.quantiles[step] == pytest.approx(ordered[step * 80], abs=0.02)
    assert found.quantiles == sorted(found.quantiles)


def test_the_latest_ten_thousand_count() -> None:
    found = spread_of([0.1] * 20_000 + [0.9] * 40_000, 1_000).spread()
    assert found is not None
    assert found.quantiles[5] > 0.85
    assert found.quantiles[0] < 0.15


def test_nothing_is_said_of_a_handful_of_scores() -> None:
    assert spread_of([0.5] * 499, 100).spread() is None
    assert spread_of([0.5] * 501, 100).spread() is not None


@given(st.integers(0, 3_000), st.integers(1, 300))
def test_an_interruption_changes_no_byte(cut: int, a_day: int) -> None:
    random = Random(cut)
    probabilities = [random.random() for _ in range(3_000)]
    before = spread_of(probabilities[:cut], a_day).state()
    state = msgspec.json.decode(encode(before), type=SpreadState)
    assert spread_of(probabilities[cut:], a_day, state, cut).state() == spread_of(probabilities, a_day).state()


RULES = """\
version: "1"
tenant: shop
churn: {horizon: P30D}
bands: {elevated: {contact: 5, saves: 0.5}, high: 0.95, critical: {top: 2}}
rules: []
"""


def test_the_engine_tells_the_band_of_the_file_by_the_value_of_the_customer_and_the_spread_of_the_model() -> None:
    rules = parse_rules(RULES.encode(), "rules.yaml")
    published = model()
    document = msgspec.structs.replace(published.document, score_spread=EVEN)
    worth = CustomerUpdated(id="v", customer_id="ann", at_ms=0, value=20.0)  # a contact pays from .5 on
    run = EngineRun(rules).feed(msgspec.structs.replace(published, document=document), worth)
    run.feed(order(1, "ann"), order(1, "bob"), *(tick(day) for day in range(2, 60)))
    bands: dict[str, list[str]] = {"ann": [], "bob": []}
    for record in risks(run):
        if record.band not in bands[record.customer_id]:
            bands[record.customer_id].append(record.band)
    assert bands == {"ann": ["low", "elevated", "high", "critical"], "bob": ["low", "high", "critical"]}


def test_a_file_of_each_kind_of_limit_is_read_and_published() -> None:
    rules = parse_rules(RULES.encode(), "rules.yaml")
    assert rules.bands == Bands(elevated=BandAt(contact=5.0, saves=0.5), high=0.95, critical=BandAt(top=2))
    record = RulesPublished(at_ms=0, version="1", revision=1, document=rules)
    assert msgspec.json.decode(encode(record), type=RulesPublished) == record
