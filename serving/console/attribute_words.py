"""What the attributes of the segment language are called in a sentence, marked for translation."""

from typing import Final, NamedTuple

from serving.console.words import marked

ATTRIBUTES: Final = {
    "status": marked("status of the score"),
    "method": marked("what made the churn score"),
    "as_of": marked("date of the score"),
    "churn_probability": marked("chance of no order (headline window)"),
    "extrapolated": marked("the prediction reaches beyond what the data could teach"),
    "churn_percentile": marked("share of customers with a lower risk (0 to 99)"),
    "risk_band": marked("risk band"),
    "lapsed": marked("silent for longer than nearly all gaps between orders in this shop"),
    "reactivation_probability": marked("chance that somebody lapsed comes back"),
    "second_order_probability_60": marked("chance of a second order within 60 days"),
    "next_order_p25_date": marked("early date of the next order"),
    "next_order_p50_date": marked("expected date of the next order"),
    "next_order_p75_date": marked("late date of the next order"),
    "expected_date_of_next_order": marked("expected date of the next order"),
    "predicted_number_of_orders": marked("expected number of orders"),
    "historic_number_of_orders": marked("orders so far"),
    "average_days_between_orders": marked("usual days between orders"),
    "average_order_value": marked("average order value"),
    "predicted_clv": marked("expected spend"),
    "predicted_clv_low": marked("low end of the expected spend"),
    "predicted_clv_median": marked("median of the expected spend"),
    "predicted_clv_high": marked("high end of the expected spend"),
    "spend_if_order_low": marked("low end of the spend, given an order"),
    "spend_if_order_high": marked("high end of the spend, given an order"),
    "clv_method": marked("what made the value score"),
    "historic_clv": marked("money so far"),
    "total_clv": marked("money so far and expected"),
    "is_in_top_share": marked("among the fifth with the highest expected spend"),
    "makes_most_revenue": marked("among the fewest who are expected to bring four fifths of the money"),
    "value_at_risk": marked("value at risk"),
    "rfm_recency": marked("recency score"),
    "rfm_frequency": marked("frequency score"),
    "rfm_monetary": marked("money score"),
    "rfm_segment": marked("RFM group"),
    "lifecycle_stage": marked("stage"),
    "email_consent": marked("may be e-mailed"),
    "last_order_at": marked("last order"),
    "churn_reference": marked("reference risk of the reasons"),
    "first_order_at": marked("first order"),
    "recency_days": marked("days since the last order"),
    "tenure_days": marked("days since the first order"),
    "largest_order_value": marked("largest order"),
    "item_count": marked("units bought"),
    "distinct_product_count": marked("different products bought"),
    "distinct_category_count": marked("different categories bought from"),
    "coupon_order_count": marked("orders with a coupon"),
    "discounted_order_count": marked("orders with a discount"),
    "return_count": marked("returns"),
    "return_share": marked("share of the money given back"),
    "country": marked("country"),
    "acquisition_channel": marked("acquisition channel"),
    "favourite_category": marked("category ordered most often"),
    "view_count": marked("views and visits"),
    "cart_count": marked("carts and wishes"),
    "message_count": marked("messages received"),
    "open_count": marked("messages opened"),
    "click_count": marked("clicks"),
    "view_count_90": marked("views and visits within 90 days"),
    "cart_count_90": marked("carts and wishes within 90 days"),
    "message_count_90": marked("messages received within 90 days"),
    "open_count_90": marked("messages opened within 90 days"),
    "click_count_90": marked("clicks within 90 days"),
    "visit_count": marked("days with a visit"),
    "viewed_again_product_count": marked("products viewed more than once"),
    "last_act_at": marked("last activity"),
    "last_view_at": marked("last view or visit"),
    "last_open_at": marked("last message opened"),
    "last_click_at": marked("last click"),
    "loyalty_tier": marked("loyalty tier"),
    "rfm_segment_before": marked("RFM group at the earlier date"),
    "clock_stage": marked("stage by clocks alone"),
    "clock_stage_before": marked("stage by clocks alone at the earlier date"),
    "due_in_days": marked("days until something bought again and again falls due"),
}
"""Of an attribute that is true or false, what is so where it is true."""

_OF_DAYS: Final = {
    "churn_probability_": marked("chance of no order within %(days)s days"),
    "predicted_clv_": marked("expected spend within %(days)s days"),
    "order_count_": marked("orders within %(days)s days"),
    "spend_": marked("money within %(days)s days"),
}
"""What the attributes of a number of days are called, by the beginning of their names."""


class Named(NamedTuple):
    """An attribute's sentence and what stands in its gaps."""

    sentence: str
    values: dict[str, object]


def named(name: str) -> Named:
    """Return what an attribute is called.

    >>> named("order_count_30")
    Named(sentence='orders within %(days)s days', values={'days': 30})
    """
    if name in ATTRIBUTES:
        return Named(ATTRIBUTES[name], {})
    begun, _, days = name.rpartition("_")
    return Named(_OF_DAYS[f"{begun}_"], {"days": int(days)})
