"""How good the model is on three sets of real events: the table of the README.

`make evaluate CHURN_DATA=DIR`: makes canonical lines of the files there by the mappings of deploy/mappings, runs `churnwatch
evaluate` over them, two at once, and prints the table with the aims beside it. All numbers are appended to evaluate.jsonl.
Needs the extras `parquet` and `evaluate`.
"""

import argparse
import heapq
import json
import os
import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
from benchmarks import machine
from benchmarks.figures import say

from schemas.instants import parse_instant
from streams.evaluate import Options, evaluate
from streams.evaluate_summary import as_plain, in_words
from streams.import_file import import_file
from streams.rules_file import load_rules

HERE: Final = Path(__file__).parent
MAPPINGS: Final = HERE.parents[1] / "deploy" / "mappings"
OULAD_RULES: Final = HERE / "oulad_rules.yaml"
RESULTS: Final = HERE / "evaluate.jsonl"
_AT_MS: Final = re.compile(rb'"at_ms":(\d+)')


@dataclass(frozen=True)
class Case:
    """A set, and what is aimed at: AUC at least, log loss at most, of all and of the active."""

    title: str
    auc: tuple[float, ...]
    log_loss: tuple[float, ...]
    horizon: str | None = None
    rules: Path | None = None
    until: str | None = None


CASES: Final = {
    "cdnow": Case("CDNOW, H = 90 days", (0.783, 0.708), (0.369, 0.612), horizon="P90D"),
    "online_retail": Case("Online Retail, invoices, H = 30 days", (0.730, 0.782), (0.523, 0.532), horizon="P30D"),
    "oulad": Case(
        "OULAD 2013J, withdrawals, H = 14 days",
        (0.755,),
        (0.0575,),
        rules=OULAD_RULES,
        # The courses end on 18 June or later, and nobody withdraws from one that is over.
        until="2014-06-05T00:00:00Z",
    ),
}


def prepared(name: str, data: Path, folder: Path) -> Path:
    """Canonical lines of a set."""
    out = folder / f"{name}.jsonl"
    match name:
        case "cdnow":
            import_file(data / "cdnow" / "cdnow_transactions.csv.gz", MAPPINGS / "cdnow.yaml", out=out)
        case "online_retail":
            import_file(data / "online_retail" / "invoices.csv.gz", MAPPINGS / "online_retail_invoices.yaml", out=out)
        case _:
            with out.open("wb") as file:
                file.writelines(oulad_lines(data / "oulad", folder))
    return out


def oulad_lines(data: Path, folder: Path, which: str = "TRUE") -> Iterator[bytes]:
    """Clicks, submissions and withdrawals of one presentation, by time, of students for whom a condition holds."""
    courses = f"SELECT id_assessment, code_module, code_presentation FROM read_parquet('{data}/assessments_2013.parquet')"  # noqa: S608
    tables = {
        "clicks": f"read_parquet('{data}/vle_daily_2013.parquet')",
        "registrations": f"read_parquet('{data}/studentRegistration_2013.parquet')",
        "submissions": f"read_parquet('{data}/studentAssessment_2013.parquet') JOIN ({courses}) USING (id_assessment)",
    }
    files = []
    for name, table in tables.items():
        rows, out = folder / f"oulad_{name}.parquet", folder / f"oulad_{name}.jsonl"
        query = f"SELECT * FROM {table} WHERE code_presentation = '2013J' AND {which} ORDER BY ALL"  # noqa: S608
        duckdb.sql(f"COPY ({query}) TO '{rows}' (FORMAT parquet)")
        import_file(rows, MAPPINGS / f"oulad_{name}.yaml", out=out)
        files.append(out.open("rb"))
    yield from heapq.merge(*files, key=_at_ms)


def _at_ms(line: bytes) -> int:
    found = _AT_MS.search(line)
    assert found is not None, line
    return int(found[1])


def run(name: str, data: Path) -> tuple[str, dict[str, Any], str]:
    """Evaluate one set: its name, the numbers, and the report."""
    case = CASES[name]
    options = Options(
        rules=load_rules(case.rules) if case.rules is not None else None,
        horizon=case.horizon,
        until_ms=parse_instant(case.until) if case.until is not None else None,
    )
    with tempfile.TemporaryDirectory() as folder:
        found = evaluate(prepared(name, data, Path(folder)), options)
    return name, as_plain(found), in_words(found)


def table(found: dict[str, dict[str, Any]]) -> str:
    """As the README has it: all / active."""
    apart_of = "model less batch: AUC, log loss (standard error)"
    heading = ("set", "AUC (aim)", "log loss (aim)", "batch, refitted weekly: AUC, log loss", apart_of, "time an event")
    lines = [f"| {' | '.join(heading)} |", "|---" * len(heading) + "|"]
    for name, plain in found.items():
        case = CASES[name]
        groups = ("all", "active")[: len(case.auc)]
        model, batch = ({g: plain["groups"][g]["scores"][score] for g in groups} for score in ("model", "batch"))
        auc, loss = (_pair(model, groups, key) for key in ("auc", "log_loss"))
        aims = [" / ".join(_short(aim) for aim in wanted) for wanted in (case.auc, case.log_loss)]
        apart = [_apart(plain["model_less_batch"], groups, key) for key in ("auc", "log_loss")]
        cells = [
            case.title,
            f"{auc} (≥ {aims[0]})",
            f"{loss} (≤ {aims[1]})",
            f"{_pair(batch, groups, 'auc')}, {_pair(batch, groups, 'log_loss')}",
            ", ".join(apart),
            _time(plain["cost"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _time(cost: dict[str, float]) -> str:
    every = cost["engine_us_per_event"] + cost["learn_us_per_event"]
    return f"{cost['event_median_us']:.0f} us, {every:.0f} us with reviews, looks and learning"


def _pair(scores: dict[str, Any], groups: tuple[str, ...], key: str) -> str:
    return " / ".join(_short(scores[group][key]) for group in groups)


def _apart(compared: dict[str, Any], groups: tuple[str, ...], key: str) -> str:
    return " / ".join(f"{compared[group][key]['mean']:+.4f} ({compared[group][key]['error']:.4f})" for group in groups)


def _short(value: float) -> str:
    return f"{value:.4f}".removeprefix("0")


def main() -> None:
    """Evaluate the sets that are asked for."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("sets", nargs="*", help=f"some of {', '.join(CASES)}; all if none")
    made.add_argument("--results", type=Path, default=RESULTS, help=f"file that lines are appended to ({RESULTS.name})")
    options = made.parse_args()
    unknown = set(options.sets) - set(CASES)
    if unknown:
        made.error(f"{min(unknown)!r} is no set: {', '.join(CASES)}")
    if "CHURN_DATA" not in os.environ:
        made.error("CHURN_DATA must name the folder of the data")
    data, names = Path(os.environ["CHURN_DATA"]), [name for name in CASES if name in options.sets] or list(CASES)
    found = {}
    with ProcessPoolExecutor(2) as pool:
        for name, plain, report in pool.map(run, names, [data] * len(names)):
            say(f"{report}\n")
            found[name] = plain
            with options.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(machine.here_and_now() | {"set": name, "found": plain}, sort_keys=True) + "\n")
    say(table(found))


if __name__ == "__main__":
    main()
