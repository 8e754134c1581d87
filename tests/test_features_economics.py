"""What customers may cost: the worked examples of the trade, and what has no answer."""

import pytest

from features.economics import acquisition_cost, economics, payback_months


def test_a_customer_of_600_justifies_100_six_to_one() -> None:
    found = economics(600.0, cac=100.0)
    assert (found.ltv_to_cac, found.is_good, found.roi, found.roi_ratio) == (6.0, True, 500.0, 5.0)


def test_a_cost_of_150_asks_for_450_at_three_to_one() -> None:
    assert economics(450.0, cac=150.0).is_good is True
    assert economics(449.99, cac=150.0).is_good is False
    assert economics(450.0, cac=150.0).target_cac == 150.0


def test_a_bid_at_break_even_and_one_at_the_target() -> None:
    found = economics(100.0, conversion_rate=0.1)
    assert found.break_even_bid == 10.0
    assert found.target_bid == pytest.approx(3.3333, abs=1e-4)
    assert (found.cac, found.ltv_to_cac, found.roi, found.payback_months) == (None, None, None, None)


def test_costs_are_spend_over_those_who_were_won() -> None:
    assert acquisition_cost(15_000.0, 100) == 150.0
    assert acquisition_cost(15_000.0, 0) is None


def test_pay_back_comes_in_even_months_or_never() -> None:
    assert payback_months(120.0, cac=30.0, clv_horizon_days=365) == pytest.approx(3.0)
    assert payback_months(120.0, cac=0.0, clv_horizon_days=365) == 0.0
    assert payback_months(20.0, cac=30.0, clv_horizon_days=365) is None
    assert payback_months(-5.0, cac=30.0, clv_horizon_days=365) is None


def test_a_free_customer_has_no_ratio_and_a_losing_one_a_loss() -> None:
    assert economics(50.0, cac=0.0).ltv_to_cac is None
    losing = economics(-10.0, cac=20.0)
    assert (losing.ltv_to_cac, losing.is_good, losing.roi) == (-0.5, False, -30.0)
