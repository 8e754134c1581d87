"""What the customers of a made-up shop did: orders, lines, returns, events; a block of customers at a time.

Orders follow a Poisson process at rate × season × (1 + lift while an offer runs), from birth to death. It is
drawn exactly: base orders by inverting the season's integral, further ones where an offer lifts the rate,
and some dropped where it lowers it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from features.synthetic.assortment import NO_PARTNER, Assortment, product_id
from features.synthetic.people import QUANTITY_EXTRA_MEAN, People
from features.synthetic.spec import Floats, Season, ShopSpec

Ints = npt.NDArray[np.int64]
OFFER_DISCOUNT_SHARE = 0.1
NO_OFFER = -1
_PRICE_NOISE = 0.1
_RETURN_AFTER_DAYS = (3.0, 20.0)


@dataclass(frozen=True, slots=True)
class Orders:
    """Orders by customer and time; `customers` are places among the people, `offers` campaigns or -1."""

    customers: Ints
    days: Floats
    offers: Ints


def draw_orders(spec: ShopSpec, season: Season, people: People, random: np.random.Generator) -> Orders:
    """Draw every order of some customers within the shop's days; the first is on the day of birth."""
    ends = np.minimum(people.died, spec.day_count)
    base = _draw_times(season, people.rates, people.born, ends, random)
    customers = [np.arange(len(people)), base[0]]
    days = [people.born, base[1]]
    for campaign, start in enumerate(spec.campaign_starts_days()):
        until = np.minimum(ends, start + spec.campaign_days)
        since = np.maximum(people.born, start)
        lifted = people.offered[:, campaign] & (people.lifts > 0) & (until > since)
        rates = np.where(lifted, people.rates * people.lifts, 0.0)
        more = _draw_times(season, rates, since, np.maximum(until, since), random)
        customers.append(more[0])
        days.append(more[1])
    return _finish(spec, people, np.concatenate(customers), np.concatenate(days), random)


def draw_lines(
    spec: ShopSpec, assortment: Assortment, people: People, orders: Orders, random: np.random.Generator
) -> pl.DataFrame:
    """Fill orders with lines and let some come back; canonical columns, sorted by time of day."""
    counts = 1 + random.poisson(people.lines_mean[orders.customers] - 1.0)
    order = np.repeat(np.arange(len(orders.days)), counts)
    items = _draw_items(spec, assortment, people, orders.customers[order], random)
    partners = assortment.partners[items]
    joined = (partners != NO_PARTNER) & (random.random(len(items)) < spec.complement_share)
    order, items = np.concatenate([order, order[joined]]), np.concatenate([items, partners[joined]])
    quantities = 1 + random.poisson(QUANTITY_EXTRA_MEAN, len(items))
    noise = np.exp(random.normal(-(_PRICE_NOISE**2) / 2, _PRICE_NOISE, len(items)))
    full = assortment.prices[items] * quantities * noise
    share = np.where(orders.offers[order] == NO_OFFER, 0.0, OFFER_DISCOUNT_SHARE)
    lines = pl.DataFrame(
        {
            "order": order,
            "item": items,
            "day": orders.days[order],
            "quantity": quantities,
            "amount": np.round(full * (1 - share), 2),
            "discount": np.round(full * share, 2),
        }
    )
    bought = lines.with_columns(pl.lit(value=False).alias("is_return"))
    return _named(spec, people, orders, pl.concat([bought, _returned(spec, people, orders, lines, random)]))


def draw_events(spec: ShopSpec, people: People) -> pl.DataFrame:
    """Return one event for every offer sent."""
    rows, campaigns = np.nonzero(people.offered)
    starts = spec.campaign_starts_days()
    return pl.DataFrame(
        {
            "customer_id": [people.ids[row] for row in rows],
            "event_type": pl.Series(["offer_sent"] * len(rows), dtype=pl.String),
            "occurred_at": instants(spec, starts[campaigns]),
            "campaign_id": [f"offer-{campaign}" for campaign in campaigns],
        },
        schema_overrides={"customer_id": pl.String, "campaign_id": pl.String},
    )


def instants(spec: ShopSpec, days: Floats) -> pl.Series:
    """Turn days since the shop's first day into UTC instants, whole seconds."""
    first = (spec.first_day.toordinal() - 719_163) * 86_400
    seconds = first + np.floor(days * 86_400).astype(np.int64)
    return pl.Series(seconds * 1_000_000).cast(pl.Datetime("us", "UTC"))


def _draw_times(
    season: Season, rates: Floats, since: Floats, until: Floats, random: np.random.Generator
) -> tuple[Ints, Floats]:
    """Draw a Poisson process of each customer over the season's clock: (customers, days)."""
    low, high = season.until(since), season.until(until)
    counts = random.poisson(rates * np.maximum(high - low, 0.0))
    customers = np.repeat(np.arange(len(rates)), counts)
    sums = low[customers] + random.random(len(customers)) * (high - low)[customers]
    return customers, season.when(sums)


def _finish(
    spec: ShopSpec, people: People, customers: Ints, days: Floats, random: np.random.Generator
) -> Orders:
    """Note which offer was running, drop orders that it spoilt, and sort."""
    starts = spec.campaign_starts_days()
    offers = np.full(len(days), NO_OFFER, dtype=np.int64)
    for campaign, start in enumerate(starts):
        running = (days >= start) & (days < start + spec.campaign_days) & people.offered[customers, campaign]
        offers[running] = campaign
    lifts = people.lifts[customers]
    is_first = np.arange(len(days)) < len(people)
    spoilt = (offers != NO_OFFER) & (lifts < 0) & (random.random(len(days)) < -lifts) & ~is_first
    order = np.lexsort((days, customers))
    order = order[~spoilt[order]]
    return Orders(customers[order], days[order], offers[order])


def _draw_items(
    spec: ShopSpec, assortment: Assortment, people: People, customers: Ints, random: np.random.Generator
) -> Ints:
    """Draw an item a line: a category by taste, then the usual item of it, or any by popularity."""
    bounds = np.cumsum(people.tastes, axis=1)
    drawn = random.random(len(customers))[:, None]
    categories = (drawn > bounds[customers, :-1]).sum(axis=1)
    popular = np.cumsum(assortment.shares, axis=1)
    ranks = (random.random(len(customers))[:, None] > popular[categories, :-1]).sum(axis=1)
    others = categories * spec.items_per_category + ranks
    is_loyal = random.random(len(customers)) < spec.loyalty_share
    return np.asarray(np.where(is_loyal, people.usual[customers, categories], others), dtype=np.int64)


def _returned(
    spec: ShopSpec, people: People, orders: Orders, lines: pl.DataFrame, random: np.random.Generator
) -> pl.DataFrame:
    chance = people.returns[orders.customers[lines["order"].to_numpy()]]
    back = lines.filter(pl.Series(random.random(len(lines)) < chance, dtype=pl.Boolean))
    later = back["day"].to_numpy() + random.uniform(*_RETURN_AFTER_DAYS, len(back))
    back = back.with_columns(
        pl.Series("day", later),
        -pl.col("quantity"),
        -pl.col("amount"),
        pl.lit(0.0).alias("discount"),
        pl.lit(value=True).alias("is_return"),
    )
    return back.filter(pl.col("day") < spec.day_count)


def _named(spec: ShopSpec, people: People, orders: Orders, lines: pl.DataFrame) -> pl.DataFrame:
    """Give ids and instants to lines."""
    order = lines["order"].to_numpy()
    customers = orders.customers[order]
    starts = np.searchsorted(orders.customers, np.arange(len(people)))
    numbers = order - starts[customers]
    offers = orders.offers[order]
    ids = np.array(people.ids, dtype=object)[customers]
    named = lines.select(
        pl.Series("customer_id", ids, dtype=pl.String),
        pl.Series("order_id", [f"{i}-{n}" for i, n in zip(ids, numbers, strict=True)], dtype=pl.String),
        instants(spec, lines["day"].to_numpy()).alias("ordered_at"),
        pl.Series("product_id", [product_id(item) for item in lines["item"]], dtype=pl.String),
        "quantity",
        "amount",
        "discount",
        pl.Series("coupon", [None if o == NO_OFFER else f"offer-{o}" for o in offers], dtype=pl.String),
        "is_return",
    )
    return named.sort("customer_id", "ordered_at", "order_id", maintain_order=True)
