"""Whatever is done to a rules file, it is read or refused with lines; what is read can be published."""

from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from detectors.rules_compiled import CompiledRules
from schemas.codec import decode_record, encode
from schemas.control import RulesPublished
from streams.rules_file import RulesFileError, parse_rules

EXAMPLE = (Path(__file__).parents[2] / "deploy" / "rules" / "example.yaml").read_text(encoding="utf-8")
LINES = [line.split("  #")[0] for line in EXAMPLE.splitlines() if line.strip() and not line.lstrip().startswith("#")]
VALUES = (
    "P90D",
    "PT8H",
    "P3M",
    "-1",
    "0",
    "0.5",
    "1e999",
    ".nan",
    "true",
    "~",
    "''",
    "[]",
    "[a]",
    "{}",
    "{a: b}",
    "*x",
    "&x y",
)
NUMBERS = st.integers(0, len(LINES) - 1)


def outcome(lines: list[str]) -> str:
    content = "\n".join(lines).encode()
    try:
        rule_set = parse_rules(content, "rules.yaml")
    except RulesFileError as refused:
        faults = refused.faults
    else:
        record = RulesPublished(at_ms=0, version=rule_set.version, revision=0, document=rule_set)
        back = decode_record(encode(record))
        assert back == record
        assert len(CompiledRules(rule_set).kinds) == len(rule_set.rules)
        return "read"
    assert faults
    assert all(1 <= fault.line <= len(lines) + 1 and fault.message for fault in faults)
    return "refused"


def test_the_lines_of_the_example_are_a_rules_file() -> None:
    assert outcome(LINES) == "read"


@given(NUMBERS, st.sampled_from(VALUES))
@example(0, "~")
@settings(max_examples=60, deadline=None)
def test_another_value_in_any_line(number: int, value: str) -> None:
    key, colon, _ = LINES[number].partition(": ")
    outcome([*LINES[:number], f"{key}{colon}{value}", *LINES[number + 1 :]])


@given(NUMBERS, st.integers(0, 12))
@settings(max_examples=40, deadline=None)
def test_any_lines_left_out(number: int, count: int) -> None:
    outcome(LINES[:number] + LINES[number + count :])


@given(NUMBERS, NUMBERS)
@settings(max_examples=40, deadline=None)
def test_any_line_at_another_place(number: int, elsewhere: int) -> None:
    moved = LINES[:number] + LINES[number + 1 :]
    outcome([*moved[:elsewhere], LINES[number], *moved[elsewhere:]])


@given(st.text(max_size=30), NUMBERS)
@settings(max_examples=60, deadline=None)
def test_any_text_between_the_lines(text: str, number: int) -> None:
    outcome("\n".join([*LINES[:number], text, *LINES[number:]]).split("\n"))
