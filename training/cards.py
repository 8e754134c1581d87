"""The model card of a fitted candidate, in Markdown: its purpose, its data, its limits."""

from features.basis import basis_words
from features.examples import Examples
from models.contract import Model
from models.registry_names import Task
from training.tracking import Training

PURPOSES: dict[Task, str] = {
    "churn": "Ranks customers by the probability that they will not order within a horizon, and states it.",
    "clv": "States the expected spend of a customer over a horizon, with an interval.",
    "recommender": "Proposes items to a customer, each with its reason.",
}
LIMITS: dict[Task, str] = {
    "churn": "It says who is likely to stay away, not whom a message would bring back: that needs a "
    "randomised control group. Horizons longer than the history supports are extrapolated and flagged.",
    "clv": "Totals move with seasons that the history has not seen. It is no credit score, and no reason to "
    "treat a person worse.",
    "recommender": "It repeats what customers like these bought; an item without sales is not proposed.",
}


def model_card(task: Task, model: Model, *, examples: Examples, training: Training) -> str:
    """Return the card of a fitted candidate; the back-test's figures stand in the scorecard beside it."""
    info = training.info
    snapshots = sorted(examples.features.index.unique("as_of"))
    feature_names = getattr(model, "feature_names_", ())
    lines = [
        f"# {task}: {model.name} ({model.method})",
        "",
        PURPOSES[task],
        "",
        "## Data",
        f"- Known before: {training.as_of} ({info['time_zone']}); data `{training.data_hash[:12]}`",
        f"- Customers: {_customers_text(examples)}; money: {info['currency']}, {info['clv_basis']}: "
        f"{basis_words(str(info['clv_basis']))}",
        *_purchases_lines(model),
        f"- Past snapshots: {len(snapshots)}" + (f", {snapshots[0]} to {snapshots[-1]}" if snapshots else ""),
        f"- Headline horizon: {training.headline_days} days without an order count as churned",
        "- Personal data: none; customers are opaque ids, and no row of theirs is in the bundle",
        "",
        "## Parameters",
        *[f"- {name}: {value}" for name, value in sorted(model.params().items())],
        "",
        f"## Features ({len(feature_names)})",
        ", ".join(f"`{name}`" for name in feature_names) or "none",
        "",
        "## Limits",
        LIMITS[task],
        "",
        "How good it is: `backtest/scorecard.txt` of the same run, once `make evaluate` has judged it; the "
        "winner's run also holds the page with pictures, `backtest/scorecard.html`.",
    ]
    return "\n".join(lines) + "\n"


def _customers_text(examples: Examples) -> str:
    """Say how many customers there are, and how many of them were learnt from where that is a sample."""
    if examples.sample is None:
        return f"{len(examples.current):,}"
    taken, all_of_them = len(examples.sample), examples.sample.shop_count
    return f"{taken:,} of {all_of_them:,}, a sample by strata (training.customers_max), weighted"


def _purchases_lines(model: Model) -> list[str]:
    """Say of a recommender whose purchases it learnt from, and of whom ALS learnt where it is part of it."""
    share = getattr(model, "customer_share_", None)
    if share is None:
        return []
    factors = getattr(model, "factors_", None)
    als = "" if factors is None else f"; ALS: of {_share_text(share * factors.customer_share)}"
    return [f"- Purchases learnt from: of {_share_text(share)}{als}"]


def _share_text(share: float) -> str:
    return "all customers" if share >= 1 else f"a sample of {share:.1%} of the customers"
