"""Which money basis a history can be computed on, and what to know of it: decided here and nowhere else.

Every command that opens a history settles the basis once and goes on with the settings returned. Asked for
`margin` where no sold product has a cost and no `margin_share` stands for it, money is `net`, and says so.
"""

from dataclasses import dataclass

import narwhals as nw
import polars as pl

from features.history import History
from features.margin import known_costs, line_cost
from features.settings import Settings
from features.snapshot import Snapshot

_SENTENCES = {
    "revenue_basis": "revenue basis: no sold product has a unit_cost and shop.margin_share is 0, so money is "
    "net and not margin; load costs with PRODUCTS=, or set margin_share",
    "unit_cost_missing": "{uncosted_share} of the money is of goods without a unit_cost, which count as no "
    "margin; those with one make {costed_margin_share} of theirs; shop.margin_share says what to "
    "count for the others",
    "goods_at_a_loss": "goods whose unit_cost is known make {costed_margin_share} of their money: they cost "
    "more than they bring; is unit_cost that of one piece, in the shop's currency?",
}


@dataclass(frozen=True, slots=True)
class BasisNote:
    """What to know of a run's money: a code and its values."""

    code: str
    values: dict[str, str]

    @property
    def text(self) -> str:
        """The note as a sentence."""
        return _SENTENCES[self.code].format(**self.values)


@dataclass(frozen=True, slots=True)
class SettledBasis:
    """Settings whose `shop.clv_basis` is the one that figures are on, and a note where it needs one."""

    settings: Settings
    note: BasisNote | None = None

    @property
    def warning(self) -> str:
        """The note as a line of a command's output; empty without one."""
        return f"warning: {self.note.text}\n" if self.note else ""


@dataclass(frozen=True, slots=True)
class CostCoverage:
    """How far costs are known of what was sold before a date: money and costs in minor units."""

    costed_line_count: int
    money: int
    uncosted_money: int
    cost: int

    @property
    def uncosted_share(self) -> float:
        """The part of the money that goods without a cost brought; 0 without money."""
        return self.uncosted_money / self.money if self.money > 0 else 0.0

    @property
    def costed_margin_share(self) -> float | None:
        """What goods with a cost make of their money; None without such money."""
        money = self.money - self.uncosted_money
        return (money - self.cost) / money if money > 0 else None


def settle_basis(settings: Settings, history: History, snapshot: Snapshot) -> SettledBasis:
    """Return the settings with the basis that the history allows, as far as it is known at a snapshot."""
    shop = settings.shop
    if shop.clv_basis != "margin":
        return SettledBasis(settings)
    found = read_cost_coverage(history, snapshot)
    if not found.costed_line_count:
        if shop.margin_share > 0:
            return SettledBasis(settings)
        net = shop.model_copy(update={"clv_basis": "net"})
        return SettledBasis(settings.model_copy(update={"shop": net}), BasisNote("revenue_basis", {}))
    return SettledBasis(settings, _note_on(found, shop.margin_share))


def _note_on(found: CostCoverage, margin_share: float) -> BasisNote | None:
    made = found.costed_margin_share
    words = "an unknown part" if made is None else f"{made:.1%}"
    if made is not None and made <= 0:
        return BasisNote("goods_at_a_loss", {"costed_margin_share": words})
    if margin_share > 0 or not found.uncosted_money:
        return None
    shares = {"uncosted_share": f"{found.uncosted_share:.1%}", "costed_margin_share": words}
    return BasisNote("unit_cost_missing", shares)


def read_cost_coverage(history: History, snapshot: Snapshot) -> CostCoverage:
    """Count lines and money with and without a known cost, in one pass over what was known at a snapshot."""
    products = history.read("products").select("product_id", known_costs())
    lines = history.scan("order_lines").filter(nw.col("ordered_days") < snapshot.end_days)
    joined = lines.to_native().join(products.lazy(), on="product_id", how="left")
    money, cost, sold = pl.col("amount_minor"), pl.col("cost_minor"), ~pl.col("is_return")
    counts = (
        nw.from_native(joined)
        .with_columns(line_cost().alias("cost_minor"))
        .to_native()
        .select(
            (sold & cost.is_not_null()).sum().alias("lines"),
            money.filter(sold).sum().alias("money"),
            money.filter(sold & cost.is_null()).sum().alias("uncosted"),
            cost.filter(sold).sum().alias("cost"),
        )
    )
    return CostCoverage(*(int(count) for count in counts.collect(engine="streaming").row(0)))
