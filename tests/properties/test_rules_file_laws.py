"""Whatever is done to a rules file, it is read or refused with lines; what is read can be published."""

from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from detectors.rules_compiled import CompiledRules
from schemas.codec import decode_record, encode
from schemas.control import RulesPublished
from streams.rules_diff import changes_between, told
from streams.rules_file import RulesFileError, parse_rules

SHIPPED = (Path(__file__).parents[2] / "deploy" / "rules" / "example.yaml").read_text(encoding="utf-8")
EXAMPLE = SHIPPED.replace("holidays: CN ", 'holidays: ["2026-05-01"] ')  # fifty years of a country take most of the time
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
    "a#b",
    "a/b@c",
    "-P1D",
    "P2W",
    "P1M10D",
    "PT36H",
    "order.placed",
    "[order.placed, ticket.opened]",
    "[ticket.*]",
    "[low-csat, high-risk]",
    "[silent-and-unhappy, any-bad-service]",
    "support",
    "event.amount > 1.0",
    "event.score",
    "features.logins_30d < 3.0",
    "0001-01-01/9999-12-31",
    "[2026-02-15/2026-02-24]",
)
KEYS = tuple(dict.fromkeys(line.strip().split(":")[0] for line in LINES if line.startswith("    ")))
READ = parse_rules("\n".join(LINES).encode())
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


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_other_values_in_two_lines_of_a_rule(data: st.DataObject) -> None:
    start = data.draw(st.sampled_from([i for i, line in enumerate(LINES) if line.startswith("  - id:")]))
    lines = list(LINES)
    for _ in range(2):
        number = min(start + data.draw(st.integers(1, 8)), len(lines) - 1)
        key, colon, _ = lines[number].partition(": ")
        lines[number] = f"{key}{colon}{data.draw(st.sampled_from(VALUES))}"
    outcome(lines)


@given(NUMBERS, st.sampled_from(KEYS), st.sampled_from(VALUES))
@settings(max_examples=30, deadline=None)
def test_a_field_of_one_kind_in_a_rule_of_another(number: int, key: str, value: str) -> None:
    outcome([*LINES[:number], f"    {key}: {value}", *LINES[number:]])


@given(NUMBERS, st.sampled_from(VALUES))
@settings(max_examples=30, deadline=None)
def test_no_difference_is_told_exactly_where_there_is_none(number: int, value: str) -> None:
    key, colon, _ = LINES[number].partition(": ")
    try:
        other = parse_rules("\n".join([*LINES[:number], f"{key}{colon}{value}", *LINES[number + 1 :]]).encode())
    except RulesFileError:
        return
    there, back = changes_between(READ, other), changes_between(other, READ)
    assert (there == []) == (other == READ) == (told(there) == "")
    assert sorted(change.place for change in there) == sorted(change.place for change in back)
    assert all(change.old != change.new for change in there)


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
