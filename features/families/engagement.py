"""Engagement: what customers do besides ordering, and what is sent to them.

Kinds are read from the event type's words (`features.orders.EVENT_WORDS`): `product_viewed` is a view,
`email_opened` an opening, `campaign_sent` a message. Acts are the customer's own events; messages are not. A
count is missing for everybody where the shop recorded no event of the kind before the snapshot.
"""

import narwhals as nw

from features.declare import Family, Feature, Moment
from features.expressions import ratio, recorded, sum_where, within

KIND_WINDOWS_DAYS = {
    "view": (7, 30),
    "cart": (7, 30),
    "message": (30, 90),
    "open": (30, 90),
    "click": (30, 90),
    "redemption": (90, 365),
    "ticket": (90,),
    "feedback": (180,),
}
_MEANINGS = {
    "view": "Views and visits",
    "cart": "Carts, wishes and checkouts",
    "message": "Messages sent to the customer",
    "open": "Messages opened",
    "click": "Clicks",
    "redemption": "Coupons redeemed",
    "ticket": "Support tickets and complaints",
    "feedback": "Reviews, ratings and survey answers",
}

FEATURES = (
    Feature(
        "act_recency_days",
        "days",
        "all",
        "24-hour days since the last act; missing without one",
        "engagement",
    ),
    Feature(
        "act_recency_over_order_recency", "ratio", "all", "act_recency_days / recency_days", "engagement"
    ),
    *(
        Feature(f"act_count_{days}", "events", f"{days} days", f"Acts in the last {days} days", "engagement")
        for days in (7, 30, 90)
    ),
    *(
        Feature(
            f"{kind}_count_{days}",
            "events",
            f"{days} days",
            f"{_MEANINGS[kind]} in the last {days} days",
            "engagement",
        )
        for kind, windows in KIND_WINDOWS_DAYS.items()
        for days in windows
    ),
    Feature("open_share_90", "share", "90 days", "Messages opened / messages sent", "engagement"),
    Feature("click_share_90", "share", "90 days", "Clicks / messages sent", "engagement"),
)


def events(_: Moment) -> list[nw.Expr]:
    """Count acts and kinds of events."""
    return [
        nw.when(nw.col("act_count") > 0).then(nw.col("days_ago")).min().alias("act_recency"),
        *(sum_where(within(days), "act_count").alias(f"acts_{days}") for days in (7, 30, 90)),
        *(
            sum_where(within(days), f"{kind}_count").alias(f"{kind}s_{days}")
            for kind, windows in KIND_WINDOWS_DAYS.items()
            for days in windows
        ),
    ]


def columns(at: Moment) -> list[nw.Expr]:
    """Name the features; a customer without events has none, not a missing count."""
    acts = at.shop.records("act_count")
    recency = recorded(nw.col("act_recency"), is_recorded=acts)
    return [
        recency.alias("act_recency_days"),
        ratio(recency, "newest_days").alias("act_recency_over_order_recency"),
        *(
            recorded(_count(f"acts_{days}"), is_recorded=acts).alias(f"act_count_{days}")
            for days in (7, 30, 90)
        ),
        *(
            recorded(_count(f"{kind}s_{days}"), is_recorded=at.shop.records(f"{kind}_count")).alias(
                f"{kind}_count_{days}"
            )
            for kind, windows in KIND_WINDOWS_DAYS.items()
            for days in windows
        ),
        *(
            recorded(ratio(f"{kind}s_90", "messages_90"), is_recorded=at.shop.records(f"{kind}_count")).alias(
                f"{kind}_share_90"
            )
            for kind in ("open", "click")
        ),
    ]


def _count(name: str) -> nw.Expr:
    return nw.col(name).fill_null(0.0)


FAMILY = Family("Engagement", FEATURES, columns, events=events)
