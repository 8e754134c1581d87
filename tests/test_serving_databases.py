"""The same answers from SQLite and PostgreSQL: the main routes, and filters drawn at random."""

import asyncio
import csv
import io
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pg_server import PgServer
from random_filters import TEXTS, random_filter
from serving_runs import NASTY_IDS, meta, publish, stored_row
from starlette.testclient import TestClient
from test_serving_api import open_client

import serving
from features.item_filter import compile_filter
from features.layout import Layout
from serving.databases import open_store
from serving.environment import Environment
from serving.store.contract import ScoreStore
from serving.store.pg_address import PgAddress
from serving.store.pg_store import PgStore
from serving.store.records import Item
from serving.store.sqlite_store import SqliteStore


@dataclass(frozen=True, slots=True)
class Served:
    """A service on one of the databases."""

    client: TestClient
    var: Path


@pytest.fixture
def served(database: str, tmp_path: Path) -> Iterator[Served]:
    publish(tmp_path)
    with open_client(tmp_path) as client:
        yield Served(client, tmp_path)


def test_predictions(served: Served) -> None:
    for customer in NASTY_IDS:
        found = served.client.get(f"/v1/customers/{quote(customer, safe='')}/predictions?include=reasons")
        assert found.status_code == 200
        assert found.json()["customer_id"] == customer
        assert found.json()["churn_probability"] == 0.49
    again = served.client.get(
        "/v1/customers/c1/predictions",
        headers={"if-none-match": served.client.get("/v1/customers/c1/predictions").headers["etag"]},
    )
    assert again.status_code == 304
    assert served.client.get("/v1/customers/nobody/predictions").status_code == 404
    missing = served.client.get("/v1/customers/nobody/predictions?on_missing=fallback").json()
    assert missing["status"] == "not_found"


def test_a_batch_keeps_its_order(served: Served) -> None:
    asked = ["c2", "nobody", *NASTY_IDS, "c1", "c2"]
    answer = served.client.post("/v1/predictions/batch", json={"customer_ids": asked}).json()
    assert [result["customer_id"] for result in answer["results"]] == asked
    assert [result["status"] for result in answer["results"]] == [
        "ok",
        "not_found",
        *["ok"] * (len(NASTY_IDS) + 2),
    ]


@pytest.mark.parametrize(
    ("asked", "products"),
    [
        ("", ["00007", "p/0"]),
        ("price < 5", ["p/0"]),
        ("price is null", ["00007"]),
        ('category != "Drinks"', ["00007"]),
        ('name > "=" and name < "N"', ["00007", "p/0"]),
        ('product_id in ["00007", "é"]', ["00007"]),
        ("not in_stock", ["00007", "p/0"]),
        ("brand in []", []),
    ],
)
def test_recommendations_with_a_filter(served: Served, asked: str, products: list[str]) -> None:
    query = f"&filter={quote(asked)}" if asked else ""
    answer = served.client.get(f"/v1/customers/c1/recommendations?kind=for_you&limit=2{query}").json()
    assert [place["product_id"] for place in answer["lists"].get("for_you", [])] == products


def test_audiences_keep_their_run_across_a_publish(served: Served) -> None:
    url = "/v1/audiences/at-risk/members"
    page = served.client.get(f"{url}?limit=2").json()
    assert [member["customer_id"] for member in page["members"]] == ["c1", "c2"]
    publish(served.var, ["x"])
    assert served.client.get("/readyz").json()["score_run_id"] == "s_0002"
    seen = []
    while page["next_cursor"]:
        page = served.client.get(f"{url}?limit=7&cursor={page['next_cursor']}").json()
        assert page["score_run_id"] == "s_0001"
        seen += [member["customer_id"] for member in page["members"]]
    assert seen == list(NASTY_IDS)
    assert [m["customer_id"] for m in served.client.get(url).json()["members"]] == ["x"]
    assert served.client.get(f"{url}?min_clv=122.01").json()["members"] == []


def test_an_export_holds_everybody(served: Served) -> None:
    text = served.client.get("/v1/audiences/at-risk/export.csv").text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["customer_id"] for row in rows] == ["c1", "c2", *NASTY_IDS]


def test_the_page_and_the_checks(served: Served) -> None:
    page = served.client.get("/lists/at-risk").text
    assert "김철수" in page
    assert "Mug" in page
    assert served.client.get("/readyz").json()["score_run_id"] == "s_0001"
    assert served.client.get("/v1/models/current").json()["score_run_id"] == "s_0001"


WORDS = (
    "Tea",
    "tea",
    "Té",
    "Te\u0301",
    "",
    " ",
    "a",
    "B",
    "é",
    "z",
    "ÿ",
    "\uffee",
    "🙂",
    "100% _x",
    "O'Neil",
    "\\",
)
PRICES = (None, 0.0, 0.1 + 0.2, 4.5, 19.99, 20.0, -1.0, 1e300)


def make_items(dice: random.Random) -> list[Item]:
    return [
        Item(
            item_no=number,
            product_id=f"{dice.choice(WORDS)}{number}",
            **{name: dice.choice((None, *WORDS)) for name in TEXTS if name != "product_id"},
            price=dice.choice(PRICES),
            in_stock=dice.choice((None, True, False)),
            popular_rank=dice.choice((None, number + 1)),
        )
        for number in range(120)
    ]


def compared_values(items: list[Item]) -> dict[str, list[Any]]:
    """Return what filters compare with: what some items have, and what none has."""
    values: dict[str, list[Any]] = {name: [*WORDS, "none"] for name in TEXTS}
    values["product_id"] = [item.product_id for item in items[:8]] + ["none"]
    return values | {"price": [price for price in PRICES if price is not None], "in_stock": [True, False]}


def fill(store: ScoreStore, items: list[Item]) -> None:
    with store.begin_run() as writer:
        writer.write_scores([stored_row("c1")])
        writer.write_items(items)
        writer.publish(meta())


def test_random_filters_mean_the_same_on_both(pg_server: PgServer, tmp_path: Path) -> None:
    """300 filters over 120 made-up products: SQLite, PostgreSQL and plain Python agree on every product."""
    dice = random.Random(20261123)
    items = make_items(dice)
    stores: list[ScoreStore] = [
        SqliteStore.of(Layout(tmp_path)),
        PgStore(PgAddress.of(pg_server.new_database())),
    ]
    for store in stores:
        fill(store, items)

    async def compare() -> None:
        runs = [store.open_run("s_0001") for store in stores]
        texts = [random_filter(dice, compared_values(items)) for _ in range(300)]
        counts = set()
        for text, holds in texts:
            condition = compile_filter(text)
            on_sqlite, on_pg = [await run.match_items(condition) for run in runs]
            expected = [item.item_no for item in items if holds(item._asdict())]
            assert [item.item_no for item in items if item.item_no in on_pg] == expected, text
            assert (on_pg.passes, on_pg.popular) == (on_sqlite.passes, on_sqlite.popular), text
            counts.add(len(expected))
        assert len(counts) > 40
        for run in runs:
            run.close()
        for store in stores:
            await store.aclose()

    asyncio.run(compare())


def test_without_an_address_everything_is_sqlite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REGULARS_DATABASE_URL", "")
    assert isinstance(open_store(Environment(var=tmp_path)), SqliteStore)
    monkeypatch.setenv("REGULARS_DATABASE_URL", "postgresql://h/d")
    assert isinstance(open_store(Environment(var=tmp_path)), PgStore)


def test_one_module_picks_the_database() -> None:
    """Whoever opened a database past it would stay on SQLite when an address is given."""
    package = Path(serving.__file__).parent
    picked = re.compile(r"\b(SqliteStore|PgStore|State)(\.of)?\(")
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any(
            picked.search(line) and not line.startswith("class ") for line in path.read_text().splitlines()
        )
    }
    assert found == {"databases.py"}
