"""A made-up shop for the tests of slots: real lists of a real recommender, in a real store.

Sixty products with missing and odd attributes, ten of them bought once in a life; thirty customers, returns;
a deny list; and lists only twelve deep, so that a filter soon leaves fewer than were asked for.
"""

import random
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from recommender_shop import Line, Product, day, write_shop
from serving_runs import meta, stored_row

from features.history import MONEY_SCALE, bucket_of
from features.interactions import build_interactions
from features.items import build_items
from features.settings import RecommenderSettings, Settings
from features.slots import CUSTOMER_KINDS
from models.recommender.baselines import TopFrequent
from models.recommender.catalogue import REPURCHASE_RATE_MIN
from models.recommender.material import build_material
from serving.databases import open_store
from serving.environment import Environment
from serving.scoring.lists import ListMaker, MadeLists, make_lists
from serving.store.contract import ScoreRun, ScoreStore
from serving.store.records import AudienceCounts

DEPTH = 12
END_DAY = 200
CUSTOMERS = tuple(f"c{number}" for number in range(30))
CATEGORIES = ("Tea", "Wine", "Mugs", "O'Neil", "100%_fun", "a", "b", "c", "d", "e", "f", "g", None)
DURABLES = range(50, 60)
DENIED_BRAND = "Closed Ltd"
BRANDS = ("Acme", "acme", 'Qu"ote', "김", "🙂", DENIED_BRAND, None)
DENIED_CATEGORY = "Wine"
DENIED_IDS = ("p03", "p07")
SETTINGS = Settings(
    recommender=RecommenderSettings(
        stored_depth=DEPTH,
        deny_product_ids=DENIED_IDS,
        deny_categories=(DENIED_CATEGORY,),
        offer_only=f"brand != '{DENIED_BRAND}'",
    )
)


@dataclass(frozen=True)
class SlotShop:
    """A published run, and what the tests know of it apart from the program under test.

    `products`   product -> its attributes
    `popular`    offered products that are not denied, most popular first, with their recent buyers
    `ages_days`  (customer, product) -> whole days since the last purchase, rounded up
    `never`      customer -> what was sent back, or is a durable that they did not buy again
    `tables`     (customer, kind) -> products as the recommender ranks them, denied ones left out
    """

    var: Path
    run: ScoreRun
    numbers: dict[str, int]
    products: dict[str, dict[str, object]]
    popular: list[tuple[str, int]]
    ages_days: dict[tuple[str, str], int]
    never: dict[str, set[str]]
    tables: dict[tuple[str, str], list[str]]


def make_products(dice: random.Random) -> list[Product]:
    """Return sixty products; every attribute is missing now and then."""
    products: list[Product] = []
    for number in range(60):
        price = dice.choice([None, 100, 450, 999, 2000, 5000])
        more: dict[str, object] = {
            "name": dice.choice([None, f"Item {number}", 'Mug\'s "best" %', "=Tea"]),
            "brand": dice.choice(BRANDS),
            "list_price_minor": None if price is None else price * MONEY_SCALE // 100,
            "in_stock": dice.choice([True, True, True, None, False]),
            "launched_on": None if number % 4 else day(END_DAY - 1 - number % 20).date,
        }
        category = "Sofas" if number in DURABLES else dice.choice(CATEGORIES)
        sub = None if category is None else dice.choice([None, "a", "b"])
        products.append((f"p{number:02d}", category, sub, more))
    return products


def make_lines(dice: random.Random) -> list[Line]:
    """Return orders of 200 days: favourites again and again, durables once, some sent back."""
    lines: list[Line] = []
    for customer in CUSTOMERS:
        shelf = dice.sample(range(DURABLES.start), 20)
        favourites = shelf[:6]
        for durable in dice.sample(DURABLES, 7):
            lines.append((customer, f"p{durable}", dice.randrange(END_DAY * 4) / 4, 1.0, 500.0))
        for moment in sorted(dice.sample(range(END_DAY * 4), 25)):
            bought = {dice.choice(favourites), dice.choice(shelf), min(shelf)}
            lines += [(customer, f"p{n:02d}", moment / 4, 1.0, float(1 + n)) for n in sorted(bought)]
            if dice.random() < 0.3:
                back = min(bought)
                lines.append((customer, f"p{back:02d}", moment / 4 + 0.1, 2.0, -float(1 + back)))
    return lines


def make_slot_shop(root: Path, *, seed: int = 20261122) -> SlotShop:
    """Write the shop, fit a recommender, publish its lists."""
    dice = random.Random(seed)
    products, lines = make_products(dice), make_lines(dice)
    history, snapshot = write_shop(root / "history", lines, products), day(END_DAY)
    recommender = TopFrequent().fit(build_material(history, snapshot, settings=SETTINGS))
    lists = make_lists(history, snapshot, recommender, settings=SETTINGS)
    buckets = [[c for c in CUSTOMERS if bucket_of(c, 3) == bucket] for bucket in range(3)]
    made = [part for number, ids in enumerate(buckets) for part in lists.of_bucket(ids, bucket=number)]
    made += lists.of_nobody()
    store = _publish(root, lists, made)
    interactions = build_interactions(history, snapshot, settings=SETTINGS).to_pandas()
    items = build_items(history, snapshot, settings=SETTINGS).to_pandas()
    denied = {p[0] for p in products if p[1] == DENIED_CATEGORY} | set(DENIED_IDS)
    denied |= {p[0] for p in products if p[3]["brand"] == DENIED_BRAND}  # type: ignore[misc]
    everything = recommender.recommend(
        build_interactions(history, snapshot, settings=SETTINGS),
        customer_ids=[*CUSTOMERS, ""],
        snapshot=snapshot,
        kinds=CUSTOMER_KINDS,
        depth=60,
    )
    everything = pd.concat([everything, recommender.shop_lists(snapshot=snapshot, depth=60)])
    return SlotShop(
        var=root,
        run=store.open_run(store.live_run_id()),
        numbers={item.product_id: item.item_no for item in lists.items},
        products=_attributes(products, {item.product_id: item.price for item in lists.items}),
        popular=_popular(items, denied),
        ages_days=_ages(lines),
        never=_never(interactions, items),
        tables=_tables(everything, denied),
    )


def _publish(root: Path, lists: ListMaker, made: list[MadeLists]) -> ScoreStore:
    store = open_store(Environment(var=root))
    with store.begin_run() as writer:
        writer.write_scores(stored_row(customer) for customer in CUSTOMERS)
        for part in made:
            writer.write_recommendations(lists.pack(part.table))
            writer.write_owned(part.owned)
        writer.write_items(lists.items)
        writer.write_audience("at-risk", CUSTOMERS[:4])
        counts = AudienceCounts(member_count=4)
        writer.publish(meta(unavailable_kinds=lists.unavailable, audiences={"at-risk": counts}))
    return store


def _attributes(products: list[Product], prices: dict[str, float | None]) -> dict[str, dict[str, object]]:
    """Return what a filter may ask of every product that has a card."""
    return {
        p[0]: {
            "product_id": p[0],
            "category": p[1],
            "subcategory": p[2],
            "name": p[3]["name"],  # type: ignore[misc]
            "brand": p[3]["brand"],  # type: ignore[misc]
            "in_stock": p[3]["in_stock"],  # type: ignore[misc]
            "price": prices[p[0]],
        }
        for p in products
        if p[0] in prices
    }


def _popular(items: pd.DataFrame, denied: set[str]) -> list[tuple[str, int]]:
    offered = items[items["is_active"] & (items["in_stock"].ne(False) | items["in_stock"].isna())]
    order = ["recent_customer_count", "recent_order_count", "customer_count"]
    ranked = offered.sort_values([*order, "product_id"], ascending=[False, False, False, True])
    pairs = zip(ranked["product_id"], ranked["recent_customer_count"], strict=True)
    return [(product, int(buyers)) for product, buyers in pairs if product not in denied]


def _ages(lines: list[Line]) -> dict[tuple[str, str], int]:
    newest: dict[tuple[str, str], float] = {}
    for customer, product, moment, _, amount in lines:
        if amount > 0 and product is not None:
            newest[customer, product] = max(moment, newest.get((customer, product), 0.0))
    return {pair: -int(-(END_DAY - moment) // 1) for pair, moment in newest.items()}


def _never(interactions: pd.DataFrame, items: pd.DataFrame) -> dict[str, set[str]]:
    rates = dict(zip(items["product_id"], items["repurchase_rate"], strict=True))
    never: dict[str, set[str]] = {customer: set() for customer in CUSTOMERS}
    for row in interactions.itertuples():
        again = row.order_count > 1 and row.last_days - row.first_days >= 1
        is_durable = rates[row.product_id] < REPURCHASE_RATE_MIN and not again
        if row.returned_share >= 0.5 or is_durable:
            never[str(row.customer_id)].add(str(row.product_id))
    return never


def _tables(lists: pd.DataFrame, denied: set[str]) -> dict[tuple[str, str], list[str]]:
    tables: dict[tuple[str, str], list[str]] = {}
    for row in lists.itertuples():
        if row.product_id not in denied:
            tables.setdefault((str(row.customer_id), str(row.kind)), []).append(str(row.product_id))
    return {key: products[:DEPTH] for key, products in tables.items()}
