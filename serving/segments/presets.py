"""The segments that every shop has from the start: seven by buying, ten by attribute.

A text is written for any shop: where one would name an amount of money, it takes the top fifth; where it must
name a product or a country, it takes the one that most of the shop's customers have.
"""

import json
from typing import Final, NamedTuple

from serving.store.contract import ScoreRun


class Preset(NamedTuple):
    """A segment with a name; `text` may leave a `{product}` or a `{country}` open."""

    slug: str
    title: str
    text: str


PRESETS: Final = (
    Preset("bought-lately", "Bought in the last three months", "last_order_at >= days_ago(90)"),
    Preset("not-bought-lately", "Not bought in the last six months", "last_order_at < days_ago(180)"),
    Preset("bought-a-product", "Bought a given product", "bought({product})"),
    Preset(
        "won-by-email",
        "Won by e-mail",
        'acquisition_channel in ["email", "e-mail", "Email", "E-mail", "newsletter", "Newsletter"]',
    ),
    Preset("lives-in", "Lives in a given country", "country == {country}"),
    Preset("large-order", "One or more large orders", "top(largest_order_value, 20)"),
    Preset("used-a-coupon", "Used a coupon", "coupon_order_count >= 1"),
    Preset("high-order-value", "High average order value", "top(average_order_value, 20)"),
    Preset("new-customers", "First bought in the last 30 days", "first_order_at >= days_ago(30)"),
    Preset("high-total-value", "High total value", "top(historic_clv, 20)"),
    Preset("ordered-again", "Two orders or more", "historic_number_of_orders >= 2"),
    Preset("many-items", "Many items bought", "top(item_count, 20)"),
    Preset("two-to-four-months", "Last order two to four months ago", "60 < recency_days <= 120"),
    Preset("viewed-again", "Viewed a product more than once", "viewed_again_product_count >= 1"),
    Preset("frequent-visits", "Visited on three days or more", "visit_count >= 3"),
    Preset("loyalty-members", "In the loyalty programme", "loyalty_tier >= 1"),
    Preset(
        "email-lately",
        "Opened or clicked an e-mail in the last three months",
        "last_click_at >= days_ago(90) or last_open_at >= days_ago(90)",
    ),
)
"""In the order in which they are shown."""

BY_SLUG: Final = {preset.slug: preset for preset in PRESETS}
_NOBODYS: Final = {"{product}": "SKU1", "{country}": "GB"}


async def preset_text(preset: Preset, run: ScoreRun) -> str:
    """Return a preset's text for a run: open places are filled from the shop's own data."""
    text = preset.text
    if "{product}" in text:
        text = text.replace("{product}", _quoted(await _best_seller(run) or _NOBODYS["{product}"]))
    if "{country}" in text:
        countries = await run.list_values("country")
        text = text.replace("{country}", _quoted(countries[0] if countries else _NOBODYS["{country}"]))
    return text


async def _best_seller(run: ScoreRun) -> str | None:
    popular = (await run.match_items(None)).popular
    if not popular:
        return None
    return (await run.get_items(popular[:1]))[popular[0]].product_id


def _quoted(text: str) -> str:
    """Write a text as conditions do: JSON's escapes are theirs too."""
    return json.dumps(text, ensure_ascii=False)
