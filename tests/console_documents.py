"""Hand-made documents about a shop as a whole, as a scoring run keeps them for the console."""

from typing import Any

HOSTILE = "<script>alert(1)</script>"
GROUP: dict[str, Any] = {
    "customer_count": 27,
    "customer_share": 0.9,
    "historic_clv": 10_827.0,
    "money_share": 0.95,
    "predicted_clv": 3_294.0,
    "mean_silent_days": 143.0,
    "consent_share": 1.0,
}
DOCUMENTS: dict[str, Any] = {
    "week": {
        "days": 7,
        "new_count": 1,
        "returned_count": 6,
        "slipped_count": 41,
        "slipped_value": 3_100_000.0,
    },
    "base": [
        {
            "lifecycle_stage": "slipping",
            "customer_count": 27,
            "customer_share": 1.0,
            "predicted_clv_90": 1_500.0,
            "historic_clv": 10_827.0,
        }
    ],
    "groups": {
        "groups": [{"rfm_segment": "PREVIOUSLY_LOYAL", **GROUP}],
        "cells": [{"rfm_recency": 2, "rfm_frequency": 3, **GROUP}],
    },
    "scales": {
        "window_days": None,
        "customer_count": 30,
        "silent_count": 2,
        "tier_cuts": None,
        "scales": [
            {
                "score": "rfm_recency",
                "value": "recency_days",
                "low_is_best": True,
                "method": {"kind": "quantile", "bin_count": 5},
                "bins": [
                    {
                        "score": 2,
                        "edge": 145.5,
                        "lowest": 94.0,
                        "highest": 145.0,
                        "customer_count": 12,
                        "customer_share": 0.4,
                    },
                    {
                        "score": 1,
                        "edge": None,
                        "lowest": None,
                        "highest": None,
                        "customer_count": 18,
                        "customer_share": 0.6,
                    },
                ],
            }
        ],
    },
    "event_groups": [
        {
            "event_type": HOSTILE,
            "has_value": False,
            "groups": [{"name": "PROSPECTS", "customer_count": 9, "customer_share": 0.3}],
            "cells": [
                {
                    "rfm_recency": 5,
                    "rfm_frequency": 1,
                    "customer_count": 21,
                    "mean_silent_days": 4.0,
                    "customer_share": 0.7,
                }
            ],
            "scales": {
                "window_days": None,
                "customer_count": 30,
                "silent_count": 9,
                "tier_cuts": None,
                "scales": [],
            },
        }
    ],
    "formula": {
        "window_days": 365,
        "lifespan_years": 3.0,
        "lifespan_source": "default",
        "rows": [
            {
                "segment": "all customers",
                "customer_count": 2,
                "buyer_count": 2,
                "order_count": 12,
                "revenue": 480.0,
                "average_order_value": 40.0,
                "purchase_frequency": 6.0,
                "customer_value": 240.0,
                "clv": 720.0,
            }
        ],
    },
    "retention": {
        "churn": [
            {
                "days": 90,
                "churned": {"count": 22, "total": 100, "share": 0.22, "low": 0.15, "high": 0.311},
                "start_count": 100,
                "end_count": 80,
                "new_count": 2,
                "won_back_count": 0,
                "retention_rate": 0.78,
                "reason": None,
            }
        ],
        "repurchases": [
            {
                "start_date": "2026-01-01",
                "end_date": "2026-03-01",
                "repurchased": {"count": 900, "total": 2000, "share": 0.45, "low": 0.43, "high": 0.47},
                "new_count": 7,
            }
        ],
        "cohorts": {
            "cohorts": [
                {
                    "month": "2026-08",
                    "customer_count": 31,
                    "is_whole": True,
                    "may_be_older": False,
                    "cells": [
                        {
                            "months_since": 1,
                            "customer_count": 31,
                            "ordered_count": 20,
                            "share": 0.65,
                            "status": "ok",
                        },
                        {
                            "months_since": 2,
                            "customer_count": 31,
                            "ordered_count": 2,
                            "share": 0.06,
                            "status": "unfinished",
                        },
                    ],
                }
            ],
            "together": None,
            "customer_count_min": 30,
        },
    },
    "concentration": {
        "customer_count": 100,
        "tops": [{"customer_share": 0.2, "customer_count": 20, "revenue_share": 0.57}],
        "lorenz": [[0.0, 0.0], [0.8, 0.43], [1.0, 1.0]],
        "gini": 0.41,
    },
    "churned": {"span": {"months": 9, "days": 0}, "source": "default", "grounds": "history_too_short"},
    "clocks": [
        {
            "name": "socks",
            "title": HOSTILE,
            "gap_count": 1203,
            "median_days": 94,
            "quarter_days": 60,
            "three_quarter_days": 140,
            "is_replenishable": True,
        }
    ],
    "channels": [
        {
            "acquisition_channel": HOSTILE,
            "customer_count": 27,
            "historic_clv": 401.0,
            "predicted_clv": 122.0,
            "acquisition_cost": 150.0,
            "costed_count": 20,
        }
    ],
}
DOCUMENTS |= {
    "moves": {
        "before_date": "2026-08-24",
        "customer_count": 27,
        "groups": [
            {"from": "CHAMPIONS", "to": "AT_RISK", "customer_count": 41, "spend_365": 3_100_000.0},
            {"from": HOSTILE, "to": "=1+1", "customer_count": 2, "spend_365": 12.5},
            {"from": None, "to": "NEW", "customer_count": 1, "spend_365": 5.0},
            {"from": "LOYAL", "to": "LOYAL", "customer_count": 3, "spend_365": 1.0},
        ],
        "stages": [{"from": "active", "to": "active", "customer_count": 27, "spend_365": 9.0}],
    },
    "stages": [
        {"date": "2026-11-01", "customer_count": 26, "stages": {"active": 20, "slipping": 6}},
        {"date": "2026-11-22", "customer_count": 27, "stages": {"active": 19, HOSTILE: 8}},
    ],
}
