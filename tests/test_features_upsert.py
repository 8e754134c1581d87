"""Loading again: what is new, changed, unchanged or gone; equal data is equal however it came."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import buckets
from features.accept import Accepted
from features.generation import GenerationWriter
from features.history import STORED_SCHEMAS, History, bucket_of
from features.report import OrderChanges
from features.snapshot import days_since_epoch
from features.upsert import Load, Mode, Outcome, upsert

DAY = datetime(2026, 11, 1, tzinfo=UTC)
FIRST, SECOND = datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC)


def lines(*orders: tuple[str, str, int, int]) -> pl.DataFrame:
    """Lay out one line an order: (customer, order, day, amount in minor units)."""
    schema = {name: kind for name, kind in STORED_SCHEMAS["order_lines"].items() if name != "loaded_at"}
    rows: list[dict[str, Any]] = []
    for customer, order, day, amount in orders:
        at = DAY + timedelta(days=day)
        count = sum(row["order_id"] == order and row["customer_id"] == customer for row in rows)
        rows.append(
            {
                "customer_id": customer,
                "order_id": order,
                "line_id": str(count + 1),
                "ordered_at": at,
                "ordered_days": days_since_epoch(at),
                "amount_minor": amount,
                "is_return": amount < 0,
            }
        )
    return pl.DataFrame(rows, schema=schema)


def put(
    root: Path, rows: pl.DataFrame, *, mode: Mode = "upsert", at: datetime = FIRST, **companions: pl.DataFrame
) -> Outcome:
    return upsert(root, Load(Accepted(rows, None), companions, "EUR"), mode=mode, loaded_at=at)


def content(history: History, table: str = "order_lines") -> pl.DataFrame:
    return history.read(table).drop("loaded_at")


BASE = lines(("a", "1", 0, 10), ("a", "1", 0, 10), ("a", "2", 1, 20), ("b", "3", 2, 30))


def test_the_first_load_is_all_new(tmp_path: Path) -> None:
    outcome = put(tmp_path, BASE)
    assert outcome.orders == OrderChanges(new=3)
    assert outcome.history.manifest.row_counts["order_lines"] == 4
    assert outcome.history.read("order_lines")["loaded_at"].unique().to_list() == [FIRST]


def test_the_same_again_writes_nothing(tmp_path: Path) -> None:
    first = put(tmp_path, BASE)
    files = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    again = put(tmp_path, BASE.reverse(), at=SECOND)
    assert (again.orders, again.is_changed) == (OrderChanges(unchanged=3), False)
    assert again.history.manifest == first.history.manifest
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == files


def test_a_newer_file_replaces_whole_orders_and_leaves_the_rest(tmp_path: Path) -> None:
    put(tmp_path, BASE)
    newer = lines(("a", "1", 0, 10), ("b", "3", 2, 30), ("c", "4", 3, 40))
    outcome = put(tmp_path, newer, at=SECOND)
    assert outcome.orders == OrderChanges(new=1, changed=1, unchanged=1)
    stored = outcome.history.read("order_lines").select("order_id", "loaded_at").rows()
    assert stored == [("1", SECOND), ("2", FIRST), ("3", FIRST), ("4", SECOND)]


def test_replace_drops_what_was_there(tmp_path: Path) -> None:
    put(tmp_path, BASE)
    outcome = put(tmp_path, lines(("z", "9", 0, 1)), mode="replace")
    assert outcome.orders == OrderChanges(new=1)
    assert outcome.history.read("order_lines")["customer_id"].to_list() == ["z"]


def test_without_order_ids_a_file_stands_for_its_days(tmp_path: Path) -> None:
    def unnamed(*rows: tuple[str, int, int]) -> pl.DataFrame:
        return lines(*[(customer, f"{customer}@day{day}", day, amount) for customer, day, amount in rows])

    put(
        tmp_path,
        pl.concat([unnamed(("a", 0, 1), ("a", 1, 2), ("b", 2, 3), ("b", 5, 4)), lines(("c", "named", 1, 5))]),
    )
    days = (days_since_epoch(DAY + timedelta(days=1)), days_since_epoch(DAY + timedelta(days=3)))
    load = Load(Accepted(unnamed(("a", 1, 7), ("d", 1, 8)), days), {}, "EUR")
    outcome = upsert(tmp_path, load, mode="upsert", loaded_at=SECOND)
    assert outcome.orders == OrderChanges(new=1, changed=1, removed=1)
    assert outcome.history.read("order_lines")["order_id"].to_list() == [
        "a@day0",
        "a@day1",
        "b@day5",
        "named",
        "d@day1",
    ]


def test_an_order_moves_with_its_customer_where_ids_are_the_shops(tmp_path: Path) -> None:
    put(tmp_path, lines(*[(f"c{n % 7}", f"o{n}", n % 9, 10) for n in range(100)]))
    outcome = put(tmp_path, lines(("new", "o5", 5, 10)))
    assert (outcome.orders, outcome.moved_count) == (OrderChanges(new=1, removed=1), 1)
    stored = outcome.history.read("order_lines").filter(pl.col("order_id") == "o5")
    assert stored["customer_id"].to_list() == ["new"]


def test_few_orders_do_not_prove_that_ids_are_the_shops(tmp_path: Path) -> None:
    put(tmp_path, BASE)
    outcome = put(tmp_path, lines(("c", "3", 2, 30)))
    assert (outcome.orders, outcome.moved_count) == (OrderChanges(new=1), 0)


def test_numbers_that_each_customer_starts_anew_do_not_move(tmp_path: Path) -> None:
    put(tmp_path, lines(*[(f"c{n % 10}", str(n // 10), n % 9, 10) for n in range(200)]))
    outcome = put(tmp_path, lines(("new", "1", 0, 10)))
    assert (outcome.orders, outcome.moved_count) == (OrderChanges(new=1), 0)
    assert outcome.history.manifest.row_counts["order_lines"] == 201


def products(*rows: tuple[str, str | None, str | None]) -> pl.DataFrame:
    schema = {name: kind for name, kind in STORED_SCHEMAS["products"].items() if name != "loaded_at"}
    return pl.DataFrame(
        [dict(zip(("product_id", "name", "brand"), row, strict=True)) for row in rows], schema=schema
    )


def test_products_merge_by_key_and_keep_the_day_they_were_known(tmp_path: Path) -> None:
    put(tmp_path, BASE, products=products(("p", "Pen", "X"), ("q", "Quill", None)))
    outcome = put(
        tmp_path,
        BASE,
        at=SECOND,
        products=products(("p", None, "Y"), ("q", "Quill", None), ("r", "Ruler", None)),
    )
    stored = outcome.history.read("products").select("product_id", "name", "brand", "loaded_at").rows()
    assert stored == [("p", "Pen", "Y", SECOND), ("q", "Quill", None, None), ("r", "Ruler", None, SECOND)]
    assert not put(tmp_path, BASE, products=products(("p", "Pen", None))).is_changed


def events(*rows: tuple[str, str, int]) -> pl.DataFrame:
    schema = {name: kind for name, kind in STORED_SCHEMAS["events"].items() if name != "loaded_at"}
    full = [(c, e, DAY + timedelta(days=d), days_since_epoch(DAY + timedelta(days=d))) for c, e, d in rows]
    names = ("customer_id", "event_type", "occurred_at", "occurred_days")
    return pl.DataFrame([dict(zip(names, row, strict=True)) for row in full], schema=schema)


def test_equal_events_are_one(tmp_path: Path) -> None:
    put(tmp_path, BASE, events=events(("a", "view", 0), ("a", "view", 0), ("b", "view", 1)))
    outcome = put(tmp_path, BASE, events=events(("b", "view", 1), ("b", "click", 1)))
    assert outcome.is_changed
    assert outcome.history.read("events").select("customer_id", "event_type").rows() == [
        ("a", "view"),
        ("b", "click"),
        ("b", "view"),
    ]


def test_companions_alone_leave_the_orders(tmp_path: Path) -> None:
    put(tmp_path, BASE)
    outcome = upsert(
        tmp_path,
        Load(None, {"products": products(("p", "Pen", None))}, "EUR"),
        mode="upsert",
        loaded_at=SECOND,
    )
    assert outcome.orders == OrderChanges()
    assert content(outcome.history).height == 4


ORDERS = st.tuples(
    st.sampled_from("abcdefgh"), st.sampled_from("123"), st.integers(0, 9), st.integers(-5, 5).filter(bool)
)


@settings(max_examples=25, deadline=None)
@given(st.lists(ORDERS, min_size=1, max_size=12, unique_by=lambda order: order[:2]), st.integers(0, 12))
def test_equal_data_is_equal_whatever_the_order_of_loading(
    tmp_path_factory: pytest.TempPathFactory, orders: list[tuple[str, str, int, int]], cut: int
) -> None:
    root = tmp_path_factory.mktemp("history")
    parts = [lines(*part) for part in (orders[:cut], orders[cut:]) if part]
    for part in parts:
        forward = put(root / "forward", part)
    for part in reversed(parts):
        backward = put(root / "backward", part, at=SECOND)
    once = put(root / "once", lines(*orders))
    assert content(forward.history).equals(content(once.history))
    assert (
        forward.history.manifest.data_hash
        == backward.history.manifest.data_hash
        == once.history.manifest.data_hash
    )


@pytest.mark.slow
def test_the_hash_does_not_depend_on_the_number_of_buckets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = lines(*[(f"customer {n}", str(n), n % 9, n + 1) for n in range(300)])
    one = put(tmp_path / "one", rows).history
    monkeypatch.setattr(buckets, "LINES_PER_BUCKET", 50)
    many = put(tmp_path / "many", rows).history
    assert (one.manifest.bucket_count, many.manifest.bucket_count) == (1, 8)
    assert one.manifest.data_hash == many.manifest.data_hash
    changed = rows.with_columns(pl.col("amount_minor") + (pl.col("order_id") == "7").cast(pl.Int64))
    assert put(tmp_path / "other", changed).history.manifest.data_hash != one.manifest.data_hash


def test_buckets_are_chosen_once_and_untouched_ones_keep_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "LINES_PER_BUCKET", 50)
    rows = lines(*[(f"customer {n}", str(n), n % 9, n + 1) for n in range(300)])
    before = put(tmp_path, rows).history.manifest
    after = put(tmp_path, lines(("customer 5", "5", 1, 99))).history.manifest
    touched = bucket_of("customer 5", 8)
    assert after.bucket_count == before.bucket_count == 8
    for bucket in range(8):
        same = before.files["order_lines"][bucket] == after.files["order_lines"][bucket]
        assert same == (bucket != touched)


def test_a_history_that_grows_is_divided_into_more_buckets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "LINES_PER_BUCKET", 50)
    rows = lines(*[(f"customer {n}", str(n), n % 9, n + 1) for n in range(300)])
    seen = events(*[(f"customer {n}", "view", n % 9) for n in range(300)])
    small = put(tmp_path / "grown", rows.head(60), events=seen.head(60)).history
    kept = put(tmp_path / "grown", rows[60:180]).history
    assert (small.manifest.bucket_count, kept.manifest.bucket_count) == (2, 2)  # 180 lines: not yet twice
    outcome = put(tmp_path / "grown", rows[180:], at=SECOND, events=seen)
    grown = outcome.history
    assert (outcome.orders, grown.manifest.bucket_count) == (OrderChanges(new=120), 8)
    whole = put(tmp_path / "whole", rows, events=seen).history
    assert grown.manifest.data_hash == whole.manifest.data_hash
    for bucket in range(8):
        for table in ("order_lines", "events"):
            ids = grown.read(table, buckets=[bucket])["customer_id"]
            assert {bucket_of(each, 8) for each in ids} == {bucket}
    stamps = grown.read("order_lines").group_by("loaded_at").len().sort("loaded_at")["len"].to_list()
    assert stamps == [180, 120]
    again = put(tmp_path / "grown", rows, at=SECOND)
    assert (again.is_changed, again.history.manifest) == (False, grown.manifest)


def test_growth_divides_until_no_bucket_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = put(tmp_path, BASE).history
    monkeypatch.setattr(buckets, "LINES_PER_BUCKET", 50)
    counts = [buckets.bucket_count_after(history, fresh) for fresh in (0, 96, 97, 1_000)]
    assert counts == [1, 1, 4, 32]
    assert buckets.bucket_count_after(None, 97) == 2


def test_a_load_that_dies_leaves_the_previous_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = put(tmp_path, BASE).history

    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(GenerationWriter, "commit", fail)
    with pytest.raises(OSError, match="no space"):
        put(tmp_path, lines(("c", "4", 3, 40)))
    after = History.open(tmp_path)
    assert after.manifest == before.manifest
    assert content(after).equals(content(before))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["g000001", "manifest.json"]


def test_a_damaged_history_can_be_replaced(tmp_path: Path) -> None:
    put(tmp_path, BASE)
    (tmp_path / "manifest.json").write_text("{")
    assert put(tmp_path, BASE, mode="replace").history.manifest.row_counts["order_lines"] == 4
