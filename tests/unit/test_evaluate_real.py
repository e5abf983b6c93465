"""`evaluate` on a sample of real purchases; skipped without CHURN_DATA."""

from pathlib import Path

from real_data import MAPPINGS, real_file

from streams.evaluate import Options, evaluate
from streams.evaluate_summary import as_plain
from streams.import_file import import_file


def test_the_model_is_better_than_the_base_rate_and_than_days_of_silence(tmp_path: Path) -> None:
    path = tmp_path / "every_40th.jsonl"
    import_file(real_file("cdnow/cdnow_transactions.csv.gz"), MAPPINGS / "cdnow.yaml", out=tmp_path / "all.jsonl")
    customers: dict[bytes, int] = {}
    with (tmp_path / "all.jsonl").open("rb") as every, path.open("wb") as some:
        for line in every:
            customer = line.partition(b'"customer_id":"')[2].partition(b'"')[0]
            if customers.setdefault(customer, len(customers)) % 40 == 0:
                some.write(line)
    found = as_plain(evaluate(path, Options(horizon="P90D")))
    assert (found["cut_offs"], found["customers"]) == (47, 590)
    for group, margin in (("all", 0.0), ("active", 0.03)):
        scores = found["groups"][group]["scores"]
        assert scores["model"]["log_loss"] < scores["recency_histogram"]["log_loss"] - 0.01
        assert scores["model"]["log_loss"] < scores["base_rate"]["log_loss"] - 0.05
        assert scores["model"]["auc"] > scores["days_silent"]["auc"] + margin
