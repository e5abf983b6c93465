"""`evaluate` on a sample of real purchases; skipped without CHURN_DATA."""

from pathlib import Path

from real_data import MAPPINGS, some_customers

from streams.evaluate import Options, evaluate
from streams.evaluate_summary import as_plain
from streams.import_file import import_file


def test_the_model_is_better_than_the_base_rate_and_than_days_of_silence(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    table = some_customers("cdnow/cdnow_transactions.csv.gz", tmp_path, column=0, every=60)
    import_file(table, MAPPINGS / "cdnow.yaml", out=path)
    found = as_plain(evaluate(path, Options(horizon="P90D")))
    assert (found["cut_offs"], found["customers"]) == (47, 392)
    for group, margin in (("all", -0.01), ("active", 0.03)):
        scores = found["groups"][group]["scores"]
        assert scores["model"]["log_loss"] < scores["recency_histogram"]["log_loss"] - 0.01
        assert scores["model"]["log_loss"] < scores["base_rate"]["log_loss"] - 0.05
        assert scores["model"]["auc"] > scores["days_silent"]["auc"] + margin
