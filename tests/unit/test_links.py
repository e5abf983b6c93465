"""Links in messages: who has one may do what it says until it expires, and nobody can make one."""

import msgspec
import pytest
from alert_records import alert
from hypothesis import given
from hypothesis import strategies as st

from schemas.instants import DAY_MS
from schemas.secret import Secret
from sinks.routes import LinkTerms
from streams.links import Grant, LinkExpired, LinkForged, grant_in, links_for, signed

TERMS = LinkTerms("https://churn.example.com", (Secret("new-secret-of-ours"), Secret("old-secret-of-ours")), 7 * DAY_MS)
GRANT = Grant("995c7abb-4a65", "snooze_7d", "lena", 1_000)


def test_a_link_says_what_was_signed_until_it_expires() -> None:
    token = signed(TERMS, GRANT)

    assert grant_in(TERMS, token, 999) == GRANT
    with pytest.raises(LinkExpired):
        grant_in(TERMS, token, 1_000)


def test_a_link_by_an_older_secret_is_good_while_that_is_named() -> None:
    before = LinkTerms(TERMS.url, TERMS.secrets[1:], TERMS.valid_ms)
    after = LinkTerms(TERMS.url, TERMS.secrets[:1], TERMS.valid_ms)
    token = signed(before, GRANT)

    assert grant_in(TERMS, token, 0) == GRANT
    with pytest.raises(LinkForged):
        grant_in(after, token, 0)


@given(st.integers(0, 400), st.sampled_from("AZaz09-_.=%/+ "))
def test_whatever_is_changed_in_a_link_it_is_none_any_more(place: int, letter: str) -> None:
    token = signed(TERMS, GRANT)
    place %= len(token)
    changed = token[:place] + letter + token[place + 1 :]

    if changed != token:
        with pytest.raises(LinkForged):
            grant_in(TERMS, changed, 0)


@given(st.text(max_size=300))
def test_a_text_is_no_link(text: str) -> None:
    with pytest.raises(LinkForged):
        grant_in(TERMS, text, 0)


def test_an_open_alert_can_be_acted_on_a_closed_one_only_judged_one_about_a_feed_not_at_all() -> None:
    about_feed = msgspec.structs.replace(alert("opened"), customer_id=None, feed="orders")

    assert set(links_for(TERMS, alert("opened"), "lena", 0)) == {"ack", "snooze_1d", "snooze_7d", "false_alarm", "saved"}
    assert set(links_for(TERMS, alert("resolved"), "lena", 0)) == {"false_alarm", "saved"}
    assert links_for(TERMS, alert("warned"), "lena", 0) == links_for(TERMS, about_feed, "lena", 0) == {}


def test_an_address_names_the_alert_the_action_and_who_has_it() -> None:
    address = links_for(TERMS, alert("opened"), "lena", 5)["ack"]

    assert address.startswith("https://churn.example.com/alerts/")
    assert grant_in(TERMS, address.rpartition("/")[2], 5) == Grant("a", "ack", "lena", 5 + 7 * DAY_MS)
