"""Every language says every code, with the same values in it."""

from dataclasses import fields
from string import Formatter
from zoneinfo import ZoneInfo

import pytest
from alert_records import alert

from detectors.feature_table import FEATURES
from schemas.decisions import Because, ClearsIf, Evidence
from schemas.instants import DAY_MS
from streams.lexicon import Lexicon
from streams.words import words_of
from streams.words_en import ENGLISH
from streams.words_zh import CHINESE

SHANGHAI = ZoneInfo("Asia/Shanghai")
TABLES = ("clauses", "reasons", "states", "clears")
PHRASES = [field.name for field in fields(Lexicon) if field.type is str]


def filled_in(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}


@pytest.mark.parametrize("table", TABLES)
def test_both_languages_have_the_same_codes_with_the_same_values(table: str) -> None:
    english, chinese = getattr(ENGLISH, table), getattr(CHINESE, table)

    assert set(chinese) == set(english)
    for code, template in english.items():
        assert filled_in(chinese[code]) == filled_in(template), code


@pytest.mark.parametrize("phrase", PHRASES)
def test_both_languages_fill_in_the_same_values_between(phrase: str) -> None:
    assert filled_in(getattr(CHINESE, phrase)) == filled_in(getattr(ENGLISH, phrase))


def test_every_feature_is_said_in_chinese_with_the_values_that_english_has() -> None:
    assert set(CHINESE.features) == {feature.name for feature in FEATURES}
    for feature in FEATURES:
        full, alone = CHINESE.features[feature.name]
        assert filled_in(full) == filled_in(feature.words), feature.name
        assert filled_in(alone) == filled_in(feature.alone), feature.name


def test_an_alert_in_chinese_by_the_clock_of_who_reads_it() -> None:
    words = words_of("zh", SHANGHAI)
    silent = alert("opened", because=[Because(clause="silence_ms", value=90 * DAY_MS, threshold="P3M")])
    resolved = alert("resolved", evidence=[Evidence(type="order.placed", at_ms=DAY_MS, id="o1")])
    clears = ClearsIf(code="event", of=["order.placed"])

    assert words.said(silent) == "已沉默90天（上限3个月）"
    assert words.said(resolved) == "已结束：order.placed（1970-01-02 08:00）"
    assert words.clears_when(silent, clears) == "客户c发生order.placed"
    assert words.clauses_of(alert(because=[Because(clause="order_recency_days", value=12.0)])) == ["12天没有下单"]
    assert words.minute(0) == "1970-01-01 08:00"
