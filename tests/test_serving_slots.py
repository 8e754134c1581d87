"""The contract of a slot: 1,000 random filters here, 100,000 in `make test-all`; every answer is foretold."""

import asyncio
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from random_filters import Holds, random_filter
from serving_runs import meta, stored_row
from slot_shop import CUSTOMERS, DENIED_BRAND, DENIED_CATEGORY, DENIED_IDS, SlotShop, make_slot_shop

from features.item_filter import compile_filter
from features.owned import Purchase, pack_owned
from features.slots import CUSTOMER_KINDS, SHOWN_KINDS, Slot, pack_slots
from serving.databases import open_store
from serving.environment import Environment
from serving.offers.slot_choice import FILLED_KINDS, Choice, Rules, choose_lists
from serving.store.records import Item

NOBODY = "nobody"


SHORT_REASONS = {"filter_leaves_fewer", "not_enough_due", "unknown_customer", "no_more_items"}


@pytest.fixture(scope="module")
def shop(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> SlotShop:
    return make_slot_shop(tmp_path_factory.mktemp("shop"))


def test_the_shop_has_what_the_rules_are_about(shop: SlotShop) -> None:
    assert all(len(shop.never[customer]) >= 2 for customer in CUSTOMERS)
    assert {kind for _, kind in shop.tables} >= {*CUSTOMER_KINDS, "popular", "new"}
    assert 20 < len(shop.popular) < len(shop.products) - 5
    assert {product["in_stock"] for product in shop.products.values()} == {True, False, None}
    assert {product["price"] is None for product in shop.products.values()} == {False}


def test_a_thousand_random_filters(shop: SlotShop) -> None:
    assert asyncio.run(short_reasons_of(shop, count=1_000, seed=1)) >= SHORT_REASONS


@pytest.mark.slow
def test_a_hundred_thousand_random_filters(shop: SlotShop) -> None:
    assert asyncio.run(short_reasons_of(shop, count=100_000, seed=2)) >= SHORT_REASONS


async def short_reasons_of(shop: SlotShop, *, count: int, seed: int) -> set[str]:
    """Ask for lists under random rules, hold every answer to what it must be, return why lists were short."""
    dice = random.Random(seed)
    values = comparable(shop)
    short_reasons: set[str] = set()
    for number in range(count):
        text, holds = random_filter(dice, values)
        asked = Asked(dice, shop, holds)
        rules = Rules(compile_filter(text) if len(text) <= 1_000 else None, asked.within, asked.excluded)
        if rules.condition is None:
            asked.holds = lambda _: True
        options: dict[str, Any] = {
            "is_known": asked.customer != NOBODY,
            "limit": asked.limit,
            "rules": rules,
            "bought_since": asked.bought_since,
        }
        choice = await choose_lists(shop.run, asked.customer, **options)
        for kind in SHOWN_KINDS:
            found = [product_of(shop)[slot.item_no] for slot in choice.lists.get(kind, ())]
            short = choice.short.get(kind)
            told = (number, text, asked.__dict__, kind)
            assert found == asked.expected(kind), told
            assert len(set(found)) == len(found), told
            assert (short is None) == (len(found) == asked.limit), told
            assert short is None or tuple(short) == (asked.limit, len(found), asked.reason(kind)), told
            short_reasons |= set() if short is None else {short.reason}
            for product in found:
                asked.check_offered(product)
        if number % 20 == 0:
            assert await choose_lists(shop.run, asked.customer, **options) == choice
    return short_reasons


def test_a_kind_that_all_customers_share_leaves_out_what_each_has(tmp_path: Path) -> None:
    shared = [Slot(number, 9.0 - number, "popular", "popular", value=9 - number) for number in range(4)]
    items = [
        Item(item_no=n, product_id=f"p{n}", popular_rank=n + 1, recent_customer_count=9 - n) for n in range(6)
    ]
    store = open_store(Environment(var=tmp_path))
    with store.begin_run() as writer:
        writer.write_scores([stored_row("c1"), stored_row("c2")])
        writer.write_recommendations([("", "popular", pack_slots(shared))])
        writer.write_owned([("c1", pack_owned([Purchase(1, 40, False), Purchase(2, 3, True)]))])
        writer.write_items(items)
        writer.publish(meta())
    run = store.open_run(store.live_run_id())

    async def choose(customer: str, **options: Any) -> Choice:
        try:
            return await choose_lists(run, customer, kinds=("popular",), **options)
        finally:
            # Connections left open may keep the end of their event loop waiting.
            await store.aclose()

    def chosen(customer: str, **options: Any) -> list[tuple[int, str, float | None]]:
        found = asyncio.run(choose(customer, **options))
        return [(slot.item_no, slot.source, slot.value) for slot in found.lists["popular"]]

    known: dict[str, Any] = {"is_known": True, "limit": 4}
    assert chosen("c2", **known) == [(n, "popular", 9 - n) for n in (0, 1, 2, 3)]
    assert chosen("c1", **known) == [(n, "popular", 9 - n) for n in (0, 2, 3, 4)]
    lately = Rules(bought_within_days=3)
    assert chosen("c1", rules=lately, **known) == [(n, "popular", 9 - n) for n in (0, 3, 4, 5)]
    assert chosen("c1", bought_since=["p0", "p4"], **known) == [(n, "popular", 9 - n) for n in (2, 3, 5)]
    unknown = chosen("nobody", is_known=False, limit=5)
    assert unknown == [(n, "popular", 9 - n) for n in (0, 1, 2, 3, 4)]


class Asked:
    """One random request, and what its answer must be, from the shop's own tables."""

    def __init__(self, dice: random.Random, shop: SlotShop, holds: Holds) -> None:
        self.shop = shop
        self.holds = holds
        self.customer = dice.choice([*CUSTOMERS, NOBODY])
        self.limit = dice.choice([1, 3, 4, 10, 12, 20, 50])
        self.within = dice.choice([0, 0, 1, 7, 30, 365])
        known = list(shop.products)
        self.excluded = tuple(dice.sample([*known, "absent"], dice.choice([0, 0, 1, 5])))
        self.bought_since = dice.sample(known, dice.choice([0, 0, 0, 2])) if self.customer != NOBODY else []

    def may(self, product: str, *, by_request: bool = True) -> bool:
        if product in self.bought_since or product in self.shop.never.get(self.customer, ()):
            return False
        if not by_request:
            return True
        age = self.shop.ages_days.get((self.customer, product))
        bought = age is not None and age <= self.within
        return not bought and product not in self.excluded and self.holds(self.shop.products[product])

    def expected(self, kind: str, *, by_request: bool = True) -> list[str]:
        owner = "" if self.customer == NOBODY or kind not in CUSTOMER_KINDS else self.customer
        stored = self.shop.tables.get((owner, kind), [])
        if self.customer == NOBODY and kind in {*CUSTOMER_KINDS} - FILLED_KINDS:
            stored = []
        kept = [product for product in stored if self.may(product, by_request=by_request)]
        if kind in FILLED_KINDS:
            filling = [product for product, _ in self.shop.popular if product not in kept]
            kept += [product for product in filling if self.may(product, by_request=by_request)]
        return kept[: self.limit]

    def reason(self, kind: str) -> str:
        if len(self.expected(kind, by_request=False)) > len(self.expected(kind)):
            return "filter_leaves_fewer"
        if kind in FILLED_KINDS:
            return "no_more_items"
        if kind not in CUSTOMER_KINDS:
            return self.shop.run.meta.unavailable_kinds.get(kind, "no_more_items")
        if self.customer == NOBODY:
            return "unknown_customer"
        return {
            "buy_again": "not_enough_due",
            "cross_sell": "not_enough_new_categories",
            "upsell": "not_enough_dearer_items",
        }[kind]

    def check_offered(self, product: str) -> None:
        """Hold the standing rules once more, in their own words."""
        attributes = self.shop.products[product]
        assert attributes["in_stock"] is not False
        assert attributes["category"] != DENIED_CATEGORY
        assert attributes["brand"] != DENIED_BRAND
        assert product not in DENIED_IDS


def product_of(shop: SlotShop) -> Mapping[int, str]:
    return {number: product for product, number in shop.numbers.items()}


def comparable(shop: SlotShop) -> dict[str, list[Any]]:
    """Return the values to compare with: those of the shop, and some that it does not have."""
    names = ("product_id", "name", "category", "subcategory", "brand", "price", "in_stock")
    known = {name: {p[name] for p in shop.products.values()} - {None} for name in names}
    extra: dict[str, set[Any]] = {name: {"", "zz", "\u202e", "' OR 1=1--"} for name in names[:5]}
    extra |= {"price": {0.0, -1.0, 1e12, 4.49}, "in_stock": {True, False}}
    return {name: sorted(known[name] | extra[name]) for name in names}
