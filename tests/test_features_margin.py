"""Margin by hand, margin against exact arithmetic, and what a history without costs is told.

The example of `docs/data.md`. A pot costs the shop 6.00 and a cup 4.00; nobody knows what a book costs.

    when        line                       amount   cost    margin
    2026-01-05  two pots                    20.00   12.00     8.00
    2026-01-05  a cup                       10.00    4.00     6.00
    2026-01-05  a book                       8.00       ?     0.00   (with margin_share 0.25: 2.00)
    2026-01-20  a pot given back           -10.00   -6.00    -4.00
    2026-01-25  3.00 refunded, no goods     -3.00    0.00    -3.00
                                  together  25.00             7.00   (9.00)
    2026-02-10  three cups, sold off         9.00   12.00    -3.00
"""

import tempfile
from datetime import date, datetime, timedelta
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from features_shop import line, write_shop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingest_runs import Ingest
from polars.testing import assert_frame_equal

from features.basis import Basis
from features.build import build_features, read_parts
from features.customer_totals import read_customer_totals
from features.history import MONEY_SCALE, History
from features.labels import build_labels
from features.settings import FeatureSettings, Settings, ShopSettings
from features.settle import read_cost_coverage, settle_basis
from features.snapshot import Snapshot

D = Snapshot(date(2026, 2, 1))
COSTS = {"pot": 6.0, "cup": 4.0}
LINES = [
    line("ann", "o1", "2026-01-05", 20.0, product="pot", quantity=2),
    line("ann", "o1", "2026-01-05", 10.0, product="cup"),
    line("ann", "o1", "2026-01-05", 8.0, product="book"),
    line("ann", "o1", "2026-01-20", -10.0, product="pot", quantity=-1),
    line("ann", "o1", "2026-01-25", -3.0, quantity=None),
    line("ann", "o2", "2026-02-10", 9.0, product="cup", quantity=3),
]


def asked(basis: Any = "margin", share: float = 0.0, engine: Any = "polars") -> Settings:
    return Settings(
        shop=ShopSettings(clv_basis=basis, margin_share=share), features=FeatureSettings(engine=engine)
    )


def labels_of(history: History, wanted: Settings, days: int = 30) -> pl.DataFrame:
    until = D.shifted(days)
    return build_labels(history, D, horizons_days=[days], known_until=until, settings=wanted)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return write_shop(tmp_path, LINES, costs=COSTS)


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
@pytest.mark.parametrize(
    ("basis", "share", "spend", "outcome"),
    [
        ("gross", 0.0, 38.0, 9.0),
        ("net", 0.0, 25.0, 9.0),
        ("margin", 0.0, 7.0, -3.0),
        ("margin", 0.25, 9.0, -3.0),
        ("margin", 1.0, 15.0, -3.0),
    ],
)
def test_the_example_of_the_documentation(
    history: History, basis: str, share: float, spend: float, outcome: float, engine: str
) -> None:
    wanted = asked(basis, share, engine)
    row = build_features(history, D, settings=wanted).row(0, named=True)
    assert (row["spend_total"], row["spend_30"], row["mean_order_value"]) == (spend, spend, spend)
    assert row["max_order_value"] == 38.0  # what is called gross stays gross
    assert read_customer_totals(history, D, settings=wanted).customers["spend_total"].to_list() == [spend]
    assert labels_of(history, wanted)["spend_30"].to_list() == [outcome]


@pytest.mark.parametrize(
    ("quantity", "amount", "margin"),
    [
        (None, 10.0, 0.0),  # how many pots is not known, so neither is their cost
        (1, -10.0, -4.0),  # by its sign a return, whatever the sign of its quantity
        (0.001, 10.0, 9.994),
        (1.5, 0.0, -9.0),  # a gift costs the shop its goods
        (10**15, 10.0, 0.0),  # beyond what can be computed exactly: not known
    ],
)
def test_odd_lines(tmp_path: Path, quantity: float | None, amount: float, margin: float) -> None:
    rows = [line("ann", "o0", "2026-01-01", 0.0, product="cup", quantity=0)]
    rows.append(line("ann", "o1", "2026-01-05", amount, product="pot", quantity=quantity))
    for engine in ("polars", "duckdb"):
        history = write_shop(tmp_path / engine, rows, costs=COSTS)
        row = build_features(history, D, settings=asked(engine=engine)).row(0, named=True)
        assert row["spend_total"] == margin


def test_a_cost_is_rounded_half_away_from_zero_so_that_a_return_undoes_its_sale(tmp_path: Path) -> None:
    rows = [
        line("ann", "o1", "2026-01-05", 1.0, product="pin", quantity=0.5),
        line("bob", "o2", "2026-01-05", 1.0, product="pin", quantity=0.5),
        line("bob", "o2", "2026-01-09", -1.0, product="pin", quantity=-0.5),
    ]
    table = build_features(write_shop(tmp_path, rows, costs={"pin": 0.0003}), D, settings=asked())
    assert table["spend_total"].to_list() == [0.9998, 0.0]


def test_a_shop_without_any_cost_makes_its_share_of_net_money(tmp_path: Path) -> None:
    rows = [line("ann", "o1", "2026-01-05", 100.0), line("ann", "o1", "2026-01-09", -20.0, quantity=None)]
    for costs in (None, {"pot": -1.0}):  # a cost below zero is none
        history = write_shop(tmp_path / str(costs), rows, costs=costs)
        table = build_features(history, D, settings=asked(share=0.3))
        assert table["spend_total"].to_list() == [24.0]


PRODUCTS = {"pot": 6.0, "cup": 0.3333, "car": 123_456.7891, "free": 0.0}
START = datetime(2025, 12, 1)
ROWS = st.lists(
    st.builds(
        lambda customer, order, hour, cents, product, pieces: line(
            customer,
            order,
            (START + timedelta(hours=hour)).isoformat(),
            cents / 100,
            product=product,
            quantity=None if pieces is None else pieces / 1000,
        ),
        st.sampled_from(["ann", "bob"]),
        st.sampled_from(["1", "2", "3"]),
        st.integers(0, 24 * 100),
        st.integers(-5_000, 9_999),
        st.sampled_from([None, "book", *PRODUCTS]),
        st.sampled_from([None, 1, 333, 1_000, -1_000, 2_500, 40_000]),
    ),
    min_size=1,
    max_size=12,
)


SHARES = st.sampled_from([0.0, 0.35, 1.0])


def exact_margin(rows: list[dict[str, Any]], share: float, *, has_costs: bool) -> int:
    """Compute the margin of one customer's lines of one instant as the documentation says, in fractions."""
    total, unknown = 0, 0
    for row in rows:
        money, pieces, cost = (
            round(row["amount"] * MONEY_SCALE),
            row["quantity"],
            PRODUCTS.get(row["product_id"]) if has_costs else None,
        )
        total += money
        is_plain = cost is not None or (has_costs and row["product_id"] is None)
        if pieces is None and row["is_return"] and is_plain:
            continue
        if pieces is None or cost is None:
            total, unknown = total - money, unknown + money
            continue
        exact = Fraction(round(cost * MONEY_SCALE)) * Fraction(round(abs(pieces) * 1000), 1000)
        rounded = floor(exact + Fraction(1, 2))
        total -= -rounded if row["is_return"] or pieces < 0 else rounded
    kept = floor(abs(unknown) * share + 0.5)
    return total + (kept if unknown > 0 else -kept)


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=ROWS, share=SHARES)
def test_any_shop_by_exact_arithmetic_on_both_engines(rows: list[dict[str, Any]], share: float) -> None:
    agree_with_fractions(rows, share)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=ROWS, share=SHARES)
def test_many_shops_by_exact_arithmetic_on_both_engines(rows: list[dict[str, Any]], share: float) -> None:
    agree_with_fractions(rows, share)


def agree_with_fractions(rows: list[dict[str, Any]], share: float) -> None:
    """Features, totals, labels and the ledger agree with each other, and with fractions."""
    instants: dict[tuple[str, datetime], list[dict[str, Any]]] = {}
    for row in rows:
        instants.setdefault((row["customer_id"], row["ordered_at"]), []).append(row)
    told = all(any(row[name] is not None for row in rows) for name in ("product_id", "quantity"))
    money = {key: exact_margin(together, share, has_costs=told) for key, together in instants.items()}
    with tempfile.TemporaryDirectory() as folder:
        history = write_shop(Path(folder), rows, costs=PRODUCTS)
        both = [asked(share=share, engine=engine) for engine in ("polars", "duckdb")]
        tables = [build_features(history, D, settings=wanted) for wanted in both]
        outcomes = [labels_of(history, wanted) for wanted in both]
        totals = read_customer_totals(history, D, settings=both[0]).customers
        ledgers = [read_parts(history, engine=engine)[0].ledger for engine in ("polars", "duckdb")]
    assert_frame_equal(*tables, check_exact=True)
    assert_frame_equal(*outcomes, check_exact=True)
    assert_frame_equal(*(rows.sort("customer_id", "ordered_days") for rows in ledgers), check_exact=True)
    assert totals["spend_total"].to_list() == tables[0]["spend_total"].to_list()
    for table, name, since, until in (
        (tables[0], "spend_total", date.min, D.date),
        (outcomes[0], "spend_30", D.date, D.shifted(30).date),
    ):
        for customer, found in table.select("customer_id", name).rows():
            wanted = sum(m for (c, at), m in money.items() if c == customer and since <= at.date() < until)
            assert found == pytest.approx(wanted / MONEY_SCALE, abs=1e-9)


def test_other_bases_are_settled_as_they_are(history: History) -> None:
    for wanted in (asked("gross"), asked("net"), asked("margin", 0.2)):
        settled = settle_basis(wanted, history, D)
        assert (settled.settings, settled.note, settled.warning) == (wanted, None, "")


def test_goods_without_a_cost_are_told_with_a_share_to_set(history: History) -> None:
    settled = settle_basis(asked(), history, D)
    assert settled.settings.shop.basis == Basis("margin")
    # 8 of 38 sold; of the other 30, 12 + 4 were spent on goods.
    assert settled.warning.startswith("warning: 21.1% of the money is of goods without a unit_cost")
    assert "those with one make 46.7% of theirs" in settled.warning
    found = read_cost_coverage(history, D)
    assert (found.costed_line_count, found.money, found.cost) == (2, 380_000, 160_000)


def test_where_every_cost_is_known_there_is_nothing_to_tell(tmp_path: Path) -> None:
    history = write_shop(tmp_path, LINES, costs=COSTS | {"book": 0.0})
    assert settle_basis(asked(), history, D).note is None


def test_goods_that_cost_more_than_they_bring_are_asked_about(tmp_path: Path) -> None:
    """What two pots of 20.00 cost was given as 30.00 a piece; a share for other goods does not hide it."""
    history = write_shop(tmp_path, LINES, costs={"pot": 30.0})
    for share in (0.0, 0.4):
        warning = settle_basis(asked(share=share), history, D).warning
        assert "make -200.0% of their money: they cost more than they bring" in warning


@pytest.mark.parametrize(("share", "margin"), [(0.0, 0.0), (0.25, 0.0)])
def test_a_refund_undoes_the_sale_of_goods_whose_cost_nobody_knows(
    tmp_path: Path, share: float, margin: float
) -> None:
    rows = [
        line("ann", "o1", "2026-01-05", 8.0, product="book"),
        line("ann", "o1", "2026-01-09", -8.0, product="book", quantity=None),
    ]
    for engine in ("polars", "duckdb"):
        history = write_shop(tmp_path / engine, rows, costs=COSTS)
        table = build_features(history, D, settings=asked(share=share, engine=engine))
        assert table["spend_total"].to_list() == [margin]
        found = read_cost_coverage(history, D)
        assert (found.uncosted_share, found.costed_margin_share) == (1.0, None)


@pytest.mark.parametrize("product", ["pot", None])
def test_where_no_line_has_a_quantity_margin_is_a_share_of_all_money(
    tmp_path: Path, product: str | None
) -> None:
    rows = [
        line("ann", "o1", "2026-01-05", amount, product=product, quantity=None)
        for amount in (100.0, -100.0, 50.0)
    ]
    history = write_shop(tmp_path, rows, costs=COSTS)
    assert build_features(history, D, settings=asked(share=0.4))["spend_total"].to_list() == [20.0]
    assert settle_basis(asked(), history, D).settings.shop.clv_basis == "net"


@pytest.mark.parametrize("costs", [None, {"lamp": 3.0}])
def test_without_the_cost_of_anything_sold_money_is_net_and_says_so(
    tmp_path: Path, costs: dict[str, float] | None
) -> None:
    history = write_shop(tmp_path, LINES, costs=costs)
    settled = settle_basis(asked(), history, D)
    assert settled.settings.shop.basis.tags == {"clv_basis": "net"}
    assert settled.settings.recipe_hash == asked("net").recipe_hash
    assert settled.warning.startswith("warning: revenue basis: no sold product has a unit_cost")
    assert build_features(history, D, settings=settled.settings)["spend_total"].to_list() == [25.0]


def test_what_is_sold_later_settles_nothing(tmp_path: Path) -> None:
    history = write_shop(tmp_path, LINES, costs={"vase": 1.0, "cup": 4.0})
    early = Snapshot(date(2026, 1, 1))
    rows = [*LINES, line("ann", "o0", "2025-12-05", 5.0, product="pot")]
    later = write_shop(tmp_path / "more", rows, costs={"cup": 4.0})
    assert settle_basis(asked(), later, early).settings.shop.clv_basis == "net"
    assert settle_basis(asked(), history, D).settings.shop.clv_basis == "margin"


@pytest.mark.parametrize("share", [-0.1, 1.1, "half"])
def test_a_share_is_between_0_and_1(share: Any) -> None:
    with pytest.raises(ValueError, match="margin_share"):
        ShopSettings(margin_share=share)


def test_costs_are_loaded_with_the_products(run: Ingest, saved: Any) -> None:
    orders = saved(
        "customer_id,ordered_at,product_id,quantity,amount\n"
        "c1,2026-01-05,pot,2,20\nc1,2026-01-09,pot,-1,-10\nc2,2026-01-06,cup,1,10\n"
    )
    products = saved("product_id,unit_cost\npot,6.00\ncup,4.5\n", "products.csv")
    loaded = run("--file", orders, "--products", products).history
    table = build_features(loaded, D, settings=asked())
    assert table.select("customer_id", "spend_total").rows() == [("c1", 4.0), ("c2", 5.5)]
