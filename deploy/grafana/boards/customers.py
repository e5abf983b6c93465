"""Customers at risk, and how good the model is that says so."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from boards.parts import HALF, QUARTER, THIRD, About, Query, chart, choice, listing, number, row
from boards.parts import board as new_board


def board() -> Dashboard:
    """For whoever looks after customers, and after the model."""
    made = new_board(
        "customers",
        "churnwatch: customers at risk and model quality",
        "How many customers stand where, and how far the model can be believed.",
        since="now-30d",
        refresh="5m",
    ).with_variable(choice("tier", "Tier", "churn_customers"))
    for part in (_customers, _model, _learning):
        made = part(made)
    return made


def _customers(made: Dashboard) -> Dashboard:
    return (
        made.with_row(row("Where do customers stand?"))
        .with_panel(
            number(
                About("At high risk", "Customers in the stage high_risk."),
                'sum(churn_customers{stage="high_risk", tier=~"$tier"}) or vector(0)',
                span=QUARTER,
            )
        )
        .with_panel(
            number(
                About("Silent", "Customers in the stage silent."),
                'sum(churn_customers{stage="silent", tier=~"$tier"}) or vector(0)',
                span=QUARTER,
            )
        )
        .with_panel(
            number(
                About("Active", "Customers in the stages new and active."),
                'sum(churn_customers{stage=~"new|active", tier=~"$tier"}) or vector(0)',
                span=QUARTER,
            )
        )
        .with_panel(
            number(
                About("Churned", "Customers in the stage churned."),
                'sum(churn_customers{stage="churned", tier=~"$tier"}) or vector(0)',
                span=QUARTER,
            )
        )
        .with_panel(
            chart(
                About("Customers by stage", "As they stand."),
                Query('sum by (stage) (churn_customers{tier=~"$tier"})', "{{stage}}"),
                stacked=True,
            )
        )
        .with_panel(
            listing(
                About("Customers by tier and stage", "As they stand now; an empty tier: none was set."),
                Query('sum by (tier, stage) (churn_customers{tier=~"$tier"})'),
                {"tier": "Tier", "stage": "Stage", "Value": "Customers"},
            )
        )
    )


def _model(made: Dashboard) -> Dashboard:
    return (
        made.with_row(row("Can the model be believed?"))
        .with_panel(
            number(
                About("The model decides", "1 if what was learned may decide, 0 if rules alone do."),
                "max(churn_model_usable)",
                span=QUARTER,
            )
        )
        .with_panel(
            number(
                About("AUC", "Area under the ROC curve on examples that it had not seen.", "none"),
                "max(churn_model_auc)",
                span=QUARTER,
                decimals=3,
            )
        )
        .with_panel(
            number(
                About("Calibration error", "Mean distance between what was said and what came.", "percentunit"),
                "max(churn_model_calibration_error_ratio)",
                span=QUARTER,
                decimals=1,
            )
        )
        .with_panel(
            number(
                About("Alarms", "Drift of the log loss, and missing labels."),
                "sum(churn_model_alarm)",
                [(1, "orange")],
                span=QUARTER,
            )
        )
        .with_panel(
            chart(
                About("Log loss", "Of the model, and of always saying the base rate: the model must be below it.", "none"),
                Query("max(churn_model_log_loss)", "model"),
                Query("max(churn_model_base_log_loss)", "base rate"),
                span=THIRD,
            )
        )
        .with_panel(
            chart(
                About(
                    "AUC beside plain silence",
                    "Whether the model ranks better than days of silence do.",
                    "none",
                ),
                Query("max(churn_model_auc)", "all customers"),
                Query("max(churn_model_active_auc)", "active customers"),
                Query("max(churn_model_silence_auc)", "days of silence, active customers"),
                span=THIRD,
            )
        )
        .with_panel(
            chart(
                About("Recipes", "1 for the recipe whose weights predict, 0 for those in the shadow."),
                Query("max by (recipe) (churn_model_recipe)", "{{recipe}}"),
                span=THIRD,
            )
        )
    )


def _learning(made: Dashboard) -> Dashboard:
    return (
        made.with_row(row("What does it learn?"))
        .with_panel(
            chart(
                About(
                    "Examples in an hour",
                    "Learned, of no use, or held back since labels were missing.",
                ),
                Query("sum(increase(churn_learn_examples_total[1h]))", "learned"),
                Query("sum(increase(churn_learn_refused_examples_total[1h]))", "not learned"),
                Query("sum(increase(churn_model_held_back_examples_total[1h]))", "held back"),
                span=HALF,
            )
        )
        .with_panel(
            chart(
                About("Brier score", "Mean squared error of the probabilities.", "none"),
                Query("max(churn_model_brier_ratio)", "Brier score"),
                span=HALF,
            )
        )
    )
