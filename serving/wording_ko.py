"""Reasons in Korean: the same codes and values as `serving.wording.ENGLISH`."""

from typing import Final

SENTENCES: Final = {
    "gap_over_usual": (
        "마지막 주문 후 {days:#일|#일} 경과, 평소 간격은 {usual_days:#일|#일}",
        "단 한 번의 주문 후 {days:#일|#일} 경과",
    ),
    "order_count": (
        "지금까지 주문 {orders:#회|#회}, 최근 {window_days:#일|#일} 동안 {recent_orders:#회|#회}",
        "지금까지 주문 {orders:#회|#회}",
    ),
    "order_trend": (
        "최근 {window_days:#일|#일} 동안 주문 {recent_orders:#회|#회}, "
        "그 전 같은 기간에는 {earlier_orders:#회|#회}",
    ),
    "tenure": ("첫 주문은 {tenure_days:오늘|#일 전|#일 전}",),
    "spend_level": ("주문당 {mean_order_value} {currency}, 지금까지 {spend_total} {currency}",),
    "spend_trend": (
        "최근 {window_days:#일|#일} 동안 {recent_spend} {currency}, "
        "그 전 같은 기간에는 {earlier_spend} {currency}",
    ),
    "rhythm": (
        "약 {usual_days:#일|#일}마다 주문, 마지막 간격은 {last_gap_days:#일|#일}",
        "주문 {orders:#회|#회}, 아직 주기가 없음",
    ),
    "breadth": ("지금까지 서로 다른 상품 {products:#개|#개}",),
    "discounts": ("주문의 {discounted_order_share}에서 할인을 받음",),
    "returns": ("지출의 {returned_spend_share}를 반품함",),
    "engagement": ("최근 30일 동안 방문·메일·클릭 {acts:#회|#회}",),
    "season": ("1년 전 같은 90일 동안 주문 {year_ago_orders:#회|#회}",),
}
RECOMMENDATIONS: Final = {
    "popular": (
        "{window_ended_days_ago:#일|#일} 전까지 {window_days:#일|#일} 동안 고객 "
        "{recent_customer_count:#명|#명}이 구매",
        "최근 {window_days:#일|#일} 동안 고객 {recent_customer_count:#명|#명}이 구매",
        "최근 고객 {recent_customer_count:#명|#명}이 구매",
        "매장 인기 상품",
    ),
    "trending": (
        "{window_ended_days_ago:#일|#일} 전까지 {window_days:#일|#일} 동안 평소의 {times_usual}배",
        "최근 {window_days:#일|#일} 동안 평소의 {times_usual}배",
        "평소의 {times_usual}배",
        "평소보다 많이 팔림",
    ),
    "new": ("{launched_days_ago:오늘|#일 전|#일 전} 출시", "매장 신상품"),
    "similar_to": ("{evidence}와(과) 비슷함", "비슷한 상품"),
    "bought_together": (
        "{evidence}이(가) 담긴 장바구니의 {basket_share}에 함께 담김",
        "{evidence}와(과) 자주 함께 담김",
        "자주 함께 담김",
    ),
    "bought_before": ("이전에 {order_count:#회|#회} 구매", "이전에 구매"),
    "due_again": (
        "{overdue_days:오늘이|#일 전이|#일 전이} 구매 시기 (± {due_spread_days:#일|#일})",
        "{overdue_days:오늘이|#일 전이|#일 전이} 구매 시기",
        "{due_in_days:오늘이|#일 후가|#일 후가} 다시 살 시기 (± {due_spread_days:#일|#일})",
        "{due_in_days:오늘이|#일 후가|#일 후가} 다시 살 시기",
        "다시 살 시기",
    ),
    "like_what_you_buy": ("{evidence}와(과) 어울림", "이 고객이 사는 상품과 어울림"),
    "buyers_also_bought": (
        "{evidence} 구매자의 {buyer_share}가 함께 구매",
        "{evidence} 구매자가 많이 함께 구매",
        "이 고객과 같은 상품을 산 사람들이 많이 구매",
    ),
    "same_need_one_tier_up": (
        "{evidence}보다 한 단계 위, {price_rise_share} 더 비쌈",
        "{evidence}보다 한 단계 위",
        "이 고객이 가진 것보다 한 단계 위",
    ),
    "categories_bought_together": (
        "{evidence} 같은 상품을 사는 사람의 {buyer_share}가 이런 종류도 구매",
        "비슷한 고객들이 사는 새로운 종류",
    ),
}
PLAIN: Final = {
    "gap_over_usual": "마지막 주문 후 지난 시간",
    "order_count": "주문 횟수",
    "order_trend": "주문 횟수의 변화",
    "tenure": "첫 주문 후 지난 시간",
    "spend_level": "지출 수준",
    "spend_trend": "지출의 변화",
    "rhythm": "주문 주기",
    "breadth": "구매한 상품의 다양성",
    "discounts": "할인 이용",
    "returns": "반품",
    "engagement": "방문과 클릭",
    "season": "계절",
}
