"""The command: what it tells about the input, and what it warns of."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from ingest_runs import HEAD, THREE, Ingest, names

from features.layout import Layout


def test_dirty_rows_are_left_out_counted_and_never_shown_with_addresses(
    run: Ingest, saved: Callable[..., Path]
) -> None:
    rows = "".join(f"c{n},2026-01-{1 + n % 28:02d},{n}\n" for n in range(1, 100))
    dirty = """c1,ann@example.com,1
c1,2026-01-01,+49-301-2345678
,2026-01-01,9
c1,2026-01-02,0
c1,2026-01-03,-5
c1,2999-01-01,3
"""
    done = run("--file", saved(HEAD + rows + dirty))
    assert done.code == 0
    left = {item["reason"]: (item["line_count"], item["amount"]) for item in done.report["left_out"]}  # type: ignore[attr-defined]
    assert left == {
        "future_date": (1, 3.0),
        "missing_customer_id": (1, 9.0),
        "unreadable_amount": (1, 0.0),
        "unreadable_date": (1, 1.0),
    }
    assert done.report["returns"] == {"line_count": 1, "amount": -5.0}
    everything = done.out + done.err + json.dumps(done.report)
    assert "ann@" not in everything
    assert "2345678" not in everything
    assert "'<e-mail>'" in everything


def test_every_problem_of_every_file_is_listed_at_once(run: Ingest, saved: Callable[..., Path]) -> None:
    one, two = saved(HEAD + "c,soon,one\n", "one.csv"), saved("a,b\n1,2\n", "two.csv")
    done = run("--file", one, "--file", two, "--products", saved("name\nPen\n", "products.csv"))
    assert done.code == 2
    assert "has 5 problems" in done.err
    assert names(done, "error") == ["unreadable_amount", "unreadable_date", *["missing_column"] * 3]


def test_another_currency_than_the_historys_is_refused(run: Ingest, saved: Callable[..., Path]) -> None:
    euros = saved("customer_id,ordered_at,amount,currency\nc,2026-01-01,1,EUR\n", "eur.csv")
    pounds = saved("customer_id,ordered_at,amount,currency\nc,2026-01-02,1,GBP\n", "gbp.csv")
    run("--file", euros)
    assert "the input is in GBP, the history in EUR" in run("--file", pounds).err
    assert run("--file", pounds, "--mode", "replace").history.manifest.currency == "GBP"


@pytest.mark.parametrize("first_names_it", [True, False])
def test_a_currency_that_only_one_of_two_files_names_is_warned_of(
    run: Ingest, saved: Callable[..., Path], first_names_it: bool
) -> None:
    named = saved("customer_id,ordered_at,amount,currency\nc,2026-01-01,1,EUR\n", "eur.csv")
    silent = saved("customer_id,ordered_at,amount\nd,2026-01-02,1\n", "none.csv")
    first, second = (named, silent) if first_names_it else (silent, named)
    run("--file", first)
    done = run("--file", second)
    assert names(done, "warning") == ["currency_assumed"]
    assert "taken to be EUR" in done.out
    assert done.history.manifest.currency == "EUR"


def test_a_replaced_history_forgets_the_headline_of_the_shop_before(
    run: Ingest, saved: Callable[..., Path]
) -> None:
    headline = Layout(run("--file", saved(THREE)).var).headline
    headline.write_text('{"churn_horizon_days": 45}')
    run("--file", saved(THREE))
    assert headline.exists()
    run("--file", saved(THREE), "--mode", "replace")
    assert not headline.exists()


@pytest.mark.parametrize(("left_out_days", "is_warned"), [(0, False), (6, False), (30, True), (180, True)])
def test_a_hole_in_the_orders_is_told(
    run: Ingest, saved: Callable[..., Path], left_out_days: int, is_warned: bool
) -> None:
    """A shop that sells daily, but for one stretch; what is missing would pass for churn."""
    first = datetime(2025, 1, 1, tzinfo=UTC)
    days = [day for day in range(400) if not 100 <= day < 100 + left_out_days]
    rows = "".join(f"c{day % 50},{first + timedelta(days=day):%Y-%m-%d},5\n" for day in days)
    done = run("--file", saved(HEAD + rows))
    assert ("no_orders_for_long" in names(done, "warning")) == is_warned
    if is_warned:
        assert "no order between 2025-04-10 and" in done.out


def test_a_shop_that_seldom_sells_has_no_holes(run: Ingest, saved: Callable[..., Path]) -> None:
    days = np.cumsum(np.random.default_rng(2).exponential(9.0, 60))
    first = datetime(2024, 1, 1, tzinfo=UTC)
    rows = "".join(
        f"c{n % 7},{first + timedelta(days=float(day)):%Y-%m-%d},5\n" for n, day in enumerate(days)
    )
    assert "no_orders_for_long" not in names(run("--file", saved(HEAD + rows)), "warning")


def test_one_customer_and_one_order_each_are_advice(run: Ingest, saved: Callable[..., Path]) -> None:
    one = run("--file", saved(HEAD + "c,2026-01-01,1\nc,2026-01-02,1\n"), var="one")
    each = run("--file", saved(HEAD + "c,2026-01-01,1\nd,2026-01-02,1\n"), var="each")
    assert "one_customer" in names(one, "advice")
    assert "one_order_each" in names(each, "advice")
    added = run("--file", saved(HEAD + "c,2026-01-03,1\nd,2026-01-03,1\n"), var="each")
    assert "one_order_each" not in names(added, "advice")


def test_of_returns_alone_only_what_they_lack_is_missed(run: Ingest, saved: Callable[..., Path]) -> None:
    head = "customer_id,order_id,ordered_at,product_id,quantity,amount,is_return\n"
    done = run("--file", saved(head + "c,1,2026-01-01,p,1,-3,true\nd,2,2026-01-02,q,1,-4,true\n"))
    assert done.code == 0
    assert "every line is a return: there is no order" in done.out
    assert "0 orders of 0 customers, 2 lines, no order yet, " in done.out
    missed = {f["column"] for f in done.report["findings"] if f["name"] == "absent_column"}  # type: ignore[index]
    assert missed == {"discount"}
