"""Notices as texts: in both languages, harmless wherever they are read, and never lost to a template."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from alert_records import alert
from jinja2 import TemplateError

from schemas.decisions import AlertRecord
from sinks.base import Action, Item, Language, Notice, Storm
from sinks.media import HTML, MARKDOWN, PLAIN, SHORT_MARKDOWN, SLACK, Medium, cut
from sinks.messages import OURS, Messages, faults_in

LINKS: Mapping[Action, str] = {"ack": "https://churn.example.com/alerts/t1", "snooze_1d": "https://churn.example.com/alerts/t2"}
EVIL = "<!channel> [x](http://evil) <a href=x> *b* `c` @all\r\nBcc: everybody"


def record(**fields: object) -> AlertRecord:
    base = {"next_action": "Call; offer the discount.", "risk": 0.72, "value_at_risk": 1234.0, "ack_by_ms": 120_000, **fields}
    return msgspec.structs.replace(alert("opened"), **base)


def notice(*alerts: AlertRecord, language: Language = "en", kind: str = "alert", storm: Storm | None = None) -> Notice:
    items = tuple(
        Item(one, "silent for 90 days", ("silent for 90 days", "12 orders in all"), "an order", LINKS) for one in alerts
    )
    return Notice("k", kind, "ann", "ann@example.com", language, "Asia/Shanghai", items, storm)  # type: ignore[arg-type]


def test_an_alert_says_what_why_and_what_to_do() -> None:
    text = Messages().text(notice(record()), PLAIN)

    assert text.title == "[high] c: r, opened"
    assert text.body.split("\n") == [
        "silent for 90 days",
        "- silent for 90 days",
        "- 12 orders in all",
        "What to do: Call; offer the discount.",
        "At risk: 1,234 (probability 72%)",
        "Since: 1970-01-01 08:00, to be acknowledged by 1970-01-01 08:02",
        "Ends by: an order",
        "I take care of it: https://churn.example.com/alerts/t1 | Tomorrow: https://churn.example.com/alerts/t2",
    ]


def test_the_same_in_chinese() -> None:
    text = Messages().text(notice(record(), language="zh"), MARKDOWN)

    assert text.title == "【重要】c：r，已触发"
    assert "建议：Call; offer the discount." in text.body
    assert "[我来处理](https://churn.example.com/alerts/t1)" in text.body


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_digest_names_as_many_as_fit_and_how_many_more(language: Language) -> None:
    many = [record(customer_id=f"c{number}") for number in range(40)]
    text = Messages().text(notice(*many, language=language, kind="digest"), SHORT_MARKDOWN)

    assert "40" in text.title
    assert "32" in text.body
    assert len(f"{text.title}\n{text.body}".encode()) <= 4_096


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_storm_says_how_it_is_ended(language: Language) -> None:
    text = Messages().text(notice(language=language, kind="storm", storm=Storm("no-order-30d", 700, 0)), PLAIN)

    assert "700" in text.title
    assert "churnwatch storm release no-order-30d" in text.body
    assert "churnwatch storm drop no-order-30d" in text.body


@pytest.mark.parametrize("medium", [PLAIN, HTML, SLACK, MARKDOWN, SHORT_MARKDOWN], ids=lambda medium: medium.name)
def test_a_name_is_never_markup_nor_a_line_of_its_own(medium: Medium) -> None:
    text = Messages().text(notice(record(customer_id=EVIL, next_action=EVIL, ticket_id=EVIL)), medium)
    whole = f"{text.title}\n{text.body}"

    assert "\r" not in whole
    assert not any(line.startswith("Bcc") for line in whole.split("\n"))
    if medium is not PLAIN:
        assert "<!channel>" not in whole
        assert "<a href=x>" not in whole
    if medium in {MARKDOWN, SHORT_MARKDOWN}:
        assert "](http://evil)" not in whole
        assert "@all" not in whole


def test_a_template_that_fails_leaves_the_notice_in_plain_words_and_is_counted(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "alert.j2").write_text("{{ item.nothing_like_this }}")
    messages = Messages(tmp_path)
    text = messages.text(notice(record()), SLACK)

    assert text.title == "c: r@1: silent for 90 days"
    assert messages.errors == {"en/alert": 1}
    with pytest.raises(TemplateError):
        messages.check(notice(record()))
    assert messages.text(notice(record(), language="zh"), SLACK).title.startswith("【")


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ link.__globals__ }}",
        "{% for x in range(10**9) %}{% endfor %}",
        "{{ 1 / 0 }}",
        "{% if %}",
    ],
)
def test_a_template_cannot_reach_beyond_its_notice(tmp_path: Path, template: str) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "alert.j2").write_text(template)

    assert Messages(tmp_path).text(notice(record()), PLAIN).title == "c: r@1: silent for 90 days"


def test_templates_of_ones_own_are_tried_before_they_are_used(tmp_path: Path) -> None:
    (tmp_path / "zh").mkdir()
    (tmp_path / "zh" / "alert.j2").write_text("{{ item.said }}\n{{ item.risk.x }}")
    (tmp_path / "zh" / "digest.j2").write_text("{{ count }}\n{% for %}")
    (tmp_path / "zh" / "storm.j2").write_text("{{ storm.rule }}: {{ storm.customers }}")
    alert_fault, digest_fault = faults_in(tmp_path)

    assert alert_fault.startswith("zh/alert.j2: UndefinedError: ")
    assert digest_fault.startswith("zh/digest.j2, line 2: TemplateSyntaxError: ")
    assert faults_in(OURS) == []


def test_a_text_is_cut_at_a_line() -> None:
    assert cut("一二三\n四五六\n七八九", 20) == "一二三\n..."
    assert cut("short", 20) == "short"
