"""Lift: intervals by hand, sides without the trait, and many traits at once."""

import random

import pytest

from features.lift import Counted, lift_of, over_represented


@pytest.mark.parametrize(
    ("counts", "lift", "low", "high"),
    [
        # ln 3 ± 1.96 · √(1/30 − 1/100 + 1/10 − 1/100) = 1.0986 ± 0.6598
        ((30, 100, 10, 100), 3.0, 1.551, 5.803),
        # the same shares of ten times as many: ± 0.2087
        ((300, 1000, 100, 1000), 3.0, 2.435, 3.696),
        # nobody else has it: (20.5/100.5) ÷ (0.5/100.5) = 41, ± 1.96 · √(1/20.5 − 1/100.5 + 2 − 1/100.5)
        ((20, 100, 0, 100), 41.0, 2.514, 668.7),
        # no member has it
        ((0, 100, 20, 100), 0.0244, 0.0015, 0.398),
    ],
)
def test_a_lift_has_its_interval(
    counts: tuple[int, int, int, int], lift: float, low: float, high: float
) -> None:
    found = lift_of(Counted("coupon", "yes", *counts))
    assert found is not None
    assert (found.lift, found.low, found.high) == pytest.approx((lift, low, high), rel=2e-2)
    assert (found.member_share, found.other_share) == (counts[0] / counts[1], counts[2] / counts[3])


@pytest.mark.parametrize("counts", [(0, 0, 5, 10), (5, 10, 0, 0), (0, 10, 0, 10)])
def test_nothing_is_said_where_a_side_or_the_trait_has_nobody(counts: tuple[int, int, int, int]) -> None:
    assert lift_of(Counted("coupon", "yes", *counts)) is None


def test_what_everybody_has_sets_nobody_apart() -> None:
    found = lift_of(Counted("consent", "yes", 10, 10, 20, 20))
    assert found is not None
    assert (found.lift, found.low, found.high) == (1.0, 1.0, 1.0)


def test_intervals_widen_with_the_traits_that_are_compared() -> None:
    counted = Counted("coupon", "yes", 30, 100, 10, 100)
    one, hundred = lift_of(counted), lift_of(counted, compared_count=100)
    assert one is not None
    assert hundred is not None
    # z of 1 − 0.05 ÷ 200 is 3.4808 instead of 1.9600.
    assert (hundred.low, hundred.high) == pytest.approx((0.929, 9.686), rel=1e-3)
    assert hundred.lift == one.lift


def test_chance_alone_shows_nothing_and_what_is_planted_stands_first() -> None:
    dice = random.Random(6)
    noise = [
        Counted("noise", str(each), _some_of_200(dice), 200, _some_of_200(dice), 200) for each in range(100)
    ]
    assert over_represented(noise, limit=10) == ([], 100)
    planted = Counted("coupon", "yes", 120, 200, 40, 200)
    (found,), compared = over_represented([*noise, planted], limit=10)
    assert (found.name, found.lift, compared) == ("coupon", pytest.approx(3.0), 101)


def test_the_rare_is_not_looked_at_and_the_list_is_short() -> None:
    rare = Counted("rare", "yes", 9, 100, 0, 100)
    common = [Counted("common", str(each), 60 + each, 100, 10, 100) for each in range(5)]
    found, compared = over_represented([rare, *common], limit=2)
    assert ([each.value for each in found], compared) == (["4", "3"], 5)


def _some_of_200(dice: random.Random) -> int:
    return sum(dice.random() < 0.2 for _ in range(200))
