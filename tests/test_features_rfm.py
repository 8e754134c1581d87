"""RFM on tables whose answers are worked by hand, on two engines."""

from math import exp
from statistics import NormalDist
from typing import Any, get_args

import duckdb
import narwhals as nw
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from features.rfm import (
    GROUPS,
    PRESETS,
    TIERS,
    RfmScheme,
    build_rfm,
    find_cuts,
    quintile_11,
    scheme_of,
    scheme_of_event,
    shopify_2021,
)
from features.rfm_table import describe_rfm, rfm_text
from features.scales import Axis, Cuts, EqualWidth, Quantile, RfmError, read_method, tier_cuts
from features.settings import OwnRfmSettings, RfmSettings

ENGINES = ("polars", "duckdb")
# id, recency_days, order_count, spend_total -> R, F, M, segment
HAND = [
    ("a", 1.0, 10.0, 500.0, 5, 5, 5, "CHAMPIONS"),
    ("b", 2.0, 1.0, 10.0, 5, 1, 1, "NEW"),
    ("c", 5.0, 6.0, 300.0, 4, 4, 4, "LOYAL"),
    ("d", 6.0, 1.0, 20.0, 4, 1, 1, "PROMISING"),
    ("e", 9.0, 2.0, 90.0, 3, 3, 3, "NEEDS_ATTENTION"),
    ("f", 9.0, 2.0, 95.0, 3, 3, 3, "NEEDS_ATTENTION"),
    ("g", 90.0, 1.0, 30.0, 2, 1, 2, "DORMANT"),
    ("h", 95.0, 4.0, 200.0, 2, 4, 4, "AT_RISK"),
    ("i", 200.0, 8.0, 600.0, 1, 5, 5, "PREVIOUSLY_LOYAL"),
    ("j", 300.0, 1.0, 40.0, 1, 1, 2, "DORMANT"),
]
NAMES = ("customer_id", "recency_days", "order_count", "spend_total")
ANSWERS = ("rfm_recency", "rfm_frequency", "rfm_monetary", "rfm_segment")
# A year's window: 4 months end at 121.67 days, 8 months at 243.33. Nine customers ordered within it.
# id, recency_days, order_count_in_window, spend_in_window -> R, F, M, sum, cell, tier
SHOPIFY = [
    ("a", 10.0, 9.0, 900.0, 3, 3, 3, 9, "333", "top"),
    ("b", 30.0, 6.0, 600.0, 3, 3, 3, 9, "333", "top"),
    ("c", 100.0, 3.0, 300.0, 3, 2, 2, 7, "322", "middle"),
    ("d", 121.66, 1.0, 50.0, 3, 1, 1, 5, "311", "middle"),
    ("e", 121.67, 2.0, 250.0, 2, 2, 2, 6, "222", "middle"),
    ("f", 243.33, 4.0, 400.0, 2, 2, 2, 6, "222", "middle"),
    ("g", 243.34, 1.0, 100.0, 1, 1, 1, 3, "111", "bottom"),
    ("h", 300.0, 5.0, 500.0, 1, 3, 3, 7, "133", "middle"),
    ("i", 365.0, 1.0, 20.0, 1, 1, 1, 3, "111", "bottom"),
    ("s", 400.0, 0.0, 0.0, 1, 1, 1, 3, "111", "bottom"),
]
SHOPIFY_NAMES = ("customer_id", "recency_days", "order_count_in_window", "spend_in_window")
SHOPIFY_ANSWERS = (*ANSWERS[:3], "rfm_score", "rfm_cell", "rfm_segment")


def frame(customers: pl.DataFrame, engine: str = "polars") -> Any:
    native: Any = customers.lazy() if engine == "polars" else duckdb.from_arrow(customers.to_arrow())
    return nw.from_native(native)


def collected(rows: Any) -> pl.DataFrame:
    return pl.DataFrame(rows.collect("polars").to_native()).sort("customer_id")


def scored(
    customers: pl.DataFrame, engine: str = "polars", *, scheme: RfmScheme | None = None
) -> pl.DataFrame:
    return collected(build_rfm(frame(customers, engine), scheme))


def shopify_customers() -> pl.DataFrame:
    return pl.DataFrame([row[:4] for row in SHOPIFY], schema=SHOPIFY_NAMES, orient="row")


def one_axis(method: Any, *, low_is_best: bool = False) -> RfmScheme:
    """Score a column `value` by a method, beside two columns of no interest."""
    plain = Quantile(2)
    axes = (
        Axis("value", "rfm_recency", method, low_is_best=low_is_best),
        Axis("one", "rfm_frequency", plain),
        Axis("one", "rfm_monetary", plain),
    )
    return RfmScheme("made up", axes, tier_cuts=(4, 5))


def scores_of(
    values: list[float], method: Any, *, low_is_best: bool = False, engine: str = "polars"
) -> list[int]:
    names = [f"{number:04d}" for number in range(len(values))]
    customers = pl.DataFrame({"customer_id": names, "value": values, "one": [1.0] * len(values)})
    scheme = one_axis(method, low_is_best=low_is_best)
    return scored(customers, engine, scheme=scheme)["rfm_recency"].to_list()


@pytest.mark.parametrize("engine", ENGINES)
def test_scores_and_groups_worked_by_hand(engine: str) -> None:
    customers = pl.DataFrame([row[:4] for row in HAND], schema=NAMES, orient="row")
    assert scored(customers, engine).select(ANSWERS).rows() == [row[4:] for row in HAND]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_preset_of_2021_worked_by_hand(engine: str) -> None:
    result = scored(shopify_customers(), engine, scheme=shopify_2021())
    assert result.select(SHOPIFY_ANSWERS).rows() == [row[4:] for row in SHOPIFY]


@pytest.mark.parametrize("engine", ENGINES)
def test_edges_bins_and_true_shares_are_told(engine: str) -> None:
    rows = frame(shopify_customers(), engine)
    cuts = find_cuts(rows, shopify_2021())
    assert cuts.edges == ((365 * 2 / 3, 365 / 3), (2.0, 5.0), (250.0, 500.0))
    table = describe_rfm(cuts.score(rows), cuts)
    assert (table.customer_count, table.silent_count) == (10, 1)
    recency, frequency, monetary = (
        [(each.score, each.lowest, each.highest, each.customer_count, each.customer_share) for each in s.bins]
        for s in table.scales
    )
    assert recency == [(3, 10.0, 121.66, 4, 0.4), (2, 121.67, 243.33, 2, 0.2), (1, 243.34, 365.0, 4, 0.4)]
    # The silent customer has score 1 and a share, and is not the 0 that would be the lowest frequency.
    assert frequency == [(3, 5.0, 9.0, 3, 0.3), (2, 2.0, 4.0, 3, 0.3), (1, 1.0, 1.0, 4, 0.4)]
    assert monetary == [(3, 500.0, 900.0, 3, 0.3), (2, 250.0, 400.0, 3, 0.3), (1, 20.0, 100.0, 4, 0.4)]
    sizes = [(segment.name, segment.customer_count) for segment in table.segments]
    assert sizes == [("top", 2), ("middle", 5), ("bottom", 3)]


def test_the_table_is_printed_with_edges_shares_ties_and_cuts() -> None:
    rows = frame(shopify_customers())
    cuts = find_cuts(rows, shopify_2021())
    text = rfm_text(describe_rfm(cuts.score(rows), cuts))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "RFM shopify_2021 over the 365 days before · 10 customers" in lines
    assert lines[2].endswith("low is best: the range from 0 to 365 in 3 parts of equal width")
    assert "3 ≤ 121.67 10.00 121.66 4 40.0%" in lines
    assert "2 ≥ 2.00 2.00 4.00 3 30.0%" in lines
    assert "ties: equal values get equal scores; a value on an edge gets the better one" in lines
    assert "without 'order' within the window, hence lowest of all: 1" in lines
    assert "segment customers share R + F + M: top from 8, middle from 5, bottom below" in lines


def test_a_scheme_of_ones_own_mixes_methods_and_names_tiers_by_its_cuts() -> None:
    """The hand table once more: recency cut at 5 and 90 days, halves of orders, and money in tens of 100."""
    axes = (
        Axis("recency_days", "rfm_recency", Cuts((5.0, 90.0)), low_is_best=True),
        Axis("order_count", "rfm_frequency", Quantile(2)),
        Axis("spend_total", "rfm_monetary", EqualWidth(10, low=0.0, high=1000.0)),
    )
    customers = pl.DataFrame([row[:4] for row in HAND], schema=NAMES, orient="row")
    result = scored(customers, scheme=RfmScheme("mine", axes, tier_cuts=(6, 9)))
    # Four ordered once and two twice: whoever ordered oftener has at least half of the ten below.
    assert result["rfm_cell"].to_list()[:4] == ["3-2-6", "3-1-1", "3-2-4", "2-1-1"]
    assert result["rfm_score"].to_list()[:4] == [11, 5, 9, 4]
    assert result["rfm_segment"].to_list()[:4] == ["top", "bottom", "top", "bottom"]


def test_sleepers_do_not_lift_the_others() -> None:
    """Three ordered and are told apart; ten thousand others did not order within the window."""
    awake = [("a", 5.0, 3.0, 30.0), ("b", 5.0, 2.0, 20.0), ("c", 5.0, 1.0, 10.0)]
    asleep = [(f"z{number}", 500.0, 0.0, 0.0) for number in range(10_000)]
    customers = pl.DataFrame(awake + asleep, schema=SHOPIFY_NAMES, orient="row")
    result = scored(customers, scheme=shopify_2021())
    assert result.head(3)["rfm_frequency"].to_list() == [3, 2, 1]
    assert set(result.tail(10_000)["rfm_cell"]) == {"111"}


def test_somebody_without_an_order_is_a_prospect_with_the_lowest_scores() -> None:
    customers = pl.DataFrame([("a", None, 0.0, 0.0), ("b", 1.0, 2.0, 3.0)], schema=NAMES, orient="row")
    result = scored(customers)
    assert result["rfm_segment"][0] == "PROSPECTS"
    assert result["rfm_cell"][0] == "111"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("preset", PRESETS)
def test_a_shop_without_customers_has_no_scores_and_an_empty_table(preset: str, engine: str) -> None:
    scheme = PRESETS[preset](RfmSettings())
    schema = dict.fromkeys(scheme.columns, pl.Float64)
    rows = frame(pl.DataFrame(schema={"customer_id": pl.String, **schema}), engine)
    cuts = find_cuts(rows, scheme)
    table = describe_rfm(cuts.score(rows), cuts)
    assert table.customer_count == 0
    assert [segment.customer_share for segment in table.segments] == [0.0] * len(scheme.segments)
    assert "–" in rfm_text(table)


@pytest.mark.parametrize("engine", ENGINES)
def test_ties_share_a_bin_though_no_third_is_a_third_then(engine: str) -> None:
    """Seven ordered once, two twice, one thrice: nobody can be in the middle third."""
    values = [1.0] * 7 + [2.0, 2.0, 3.0]
    assert scores_of(values, Quantile(3), engine=engine) == [1] * 7 + [3, 3, 3]
    assert scores_of([4.0] * 5, Quantile(3), engine=engine) == [1] * 5


@pytest.mark.parametrize("engine", ENGINES)
def test_equal_width_and_cuts_put_a_value_on_an_edge_into_the_better_bin(engine: str) -> None:
    values = [-5.0, 0.0, 2.9, 3.0, 6.0, 8.0, 9.0, 50.0]
    width = EqualWidth(3, low=0.0, high=9.0)
    assert scores_of(values, width, engine=engine) == [1, 1, 1, 2, 3, 3, 3, 3]
    assert scores_of(values, width, low_is_best=True, engine=engine) == [3, 3, 3, 3, 2, 1, 1, 1]
    assert scores_of(values, Cuts((3.0, 6.0)), engine=engine) == [1, 1, 1, 2, 3, 3, 3, 3]
    assert scores_of(values, Cuts((3.0, 6.0)), low_is_best=True, engine=engine) == [3, 3, 3, 3, 2, 1, 1, 1]
    assert scores_of(values, Cuts((6.0,)), engine=engine) == [1, 1, 1, 1, 2, 2, 2, 2]


def test_equal_width_of_what_was_seen_is_moved_by_one_large_value() -> None:
    assert scores_of([0.0, 1.0, 2.0, 99.0], EqualWidth(3)) == [1, 1, 1, 3]
    assert scores_of([7.0, 7.0], EqualWidth(3)) == [1, 1]


def test_equal_width_of_spend_puts_nearly_everybody_into_the_lowest_third() -> None:
    """Why spend is scored by quantiles: on a log-normal spend the other thirds are next to empty."""
    spends = [exp(NormalDist().inv_cdf(part / 3000)) for part in range(1, 3000)]
    scores = scores_of(spends, EqualWidth(3))
    assert scores.count(1) / len(scores) > 0.98
    assert scores_of(spends, Quantile(3)).count(1) / len(spends) == pytest.approx(1 / 3, abs=1e-3)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Quantile(1), "ask for 2 to 20"),
        (lambda: Quantile(21), "ask for 2 to 20"),
        (lambda: read_method("quantile"), "write quantile 5"),
        (lambda: read_method("quantile 2.5"), "write quantile 5"),
        (lambda: read_method("equal_width 3 0"), "write quantile 5"),
        (lambda: read_method("cuts 30 30"), "each above the last"),
        (lambda: read_method("cuts " + " ".join(map(str, range(20)))), "21 bins: ask for 2 to 20"),
        (lambda: read_method("cuts " + " ".join(map(str, range(30)))), "31 bins: ask for 2 to 20"),
        (lambda: read_method("thirds"), "write quantile 5"),
        (lambda: read_method(""), "write quantile 5"),
        (lambda: EqualWidth(3, low=5.0, high=5.0), "low must lie below high"),
        (lambda: EqualWidth(3, low=float("nan")), "no width"),
        (lambda: Cuts(()), "one or more"),
        (lambda: Cuts((3.0, 3.0)), "each above the last"),
        (lambda: Cuts((1.0, float("inf"))), "each above the last"),
        (lambda: RfmScheme("x", shopify_2021().axes), "eleven groups need five scores"),
        (lambda: scheme_of(RfmSettings(), "terciles"), "choose one of quintile_11, shopify_2021"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_one_line(make: Any, said: str) -> None:
    with pytest.raises(RfmError, match=said):
        make()


def test_the_settings_name_the_presets_and_the_window() -> None:
    assert set(get_args(RfmSettings.model_fields["preset"].annotation)) == set(PRESETS)
    assert {name: scheme_of(RfmSettings(), name).name for name in PRESETS} == {n: n for n in PRESETS}
    assert scheme_of(RfmSettings()) == quintile_11()
    assert scheme_of(RfmSettings(preset="shopify_2021", window_days=90)) == shopify_2021(90)
    assert scheme_of(RfmSettings()).window_days is None
    assert shopify_2021(90).axes[0].method == EqualWidth(3, low=0.0, high=90.0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 9)] * 3), min_size=1, max_size=60))
def test_equal_values_score_alike_and_better_ones_never_lower(rows: list[tuple[int, int, int]]) -> None:
    table = [(str(n), float(r), float(f + 1), float(m)) for n, (r, f, m) in enumerate(rows)]
    result = scored(pl.DataFrame(table, schema=NAMES, orient="row"))
    for value, score, sign in (("recency_days", "rfm_recency", -1), ("order_count", "rfm_frequency", 1)):
        pairs = sorted({(sign * v, s) for v, s in result.select(value, score).rows()})
        assert len({v for v, _ in pairs}) == len(pairs)
        assert [s for _, s in pairs] == sorted(s for _, s in pairs)
        assert {s for _, s in pairs} <= {1, 2, 3, 4, 5}
    assert set(result["rfm_segment"]) <= set(GROUPS)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=50), st.integers(2, 7), st.booleans())
def test_a_quantile_score_is_its_formula(numbers: list[int], bin_count: int, low_is_best: bool) -> None:
    values = [float(number) for number in numbers]
    found = scores_of(values, Quantile(bin_count), low_is_best=low_is_best)
    worse = [sum(b > a if low_is_best else b < a for b in values) for a in values]
    assert found == [1 + count * bin_count // len(values) for count in worse]


def test_groups_and_tiers_are_in_the_order_in_which_they_are_shown() -> None:
    assert quintile_11().segments == GROUPS
    assert shopify_2021().segments == TIERS == ("top", "middle", "bottom")


def test_a_method_is_read_from_its_text() -> None:
    assert read_method("quantile 5") == Quantile(5)
    assert read_method(" equal_width  3 ") == EqualWidth(3)
    assert read_method("equal_width 3 0 365") == EqualWidth(3, low=0.0, high=365.0)
    assert read_method("cuts 30 90.5 180") == Cuts((30.0, 90.5, 180.0))


def test_tiers_are_cut_at_a_quarter_and_three_quarters_of_the_way() -> None:
    """Scores of 1 to 3 make sums of 3 to 9, whose quarters are 4.5 and 7.5; 1 to 5 make 3 to 15: 6 and 12."""
    assert tier_cuts([Quantile(3)] * 3) == (5, 8)
    assert tier_cuts([Quantile(5)] * 3) == (6, 12)
    assert tier_cuts([Cuts((1.0,)), Quantile(2), Quantile(2)]) == (4, 6)


def test_a_shop_sets_scales_of_its_own() -> None:
    """The hand table: recency cut at 5 and 90 days, halves of orders, money in tenths of 1,000."""
    own = OwnRfmSettings(recency="cuts 5 90", frequency="quantile 2", monetary="equal_width 10 0 1000")
    scheme = scheme_of(RfmSettings(preset="own", own=own))
    customers = pl.DataFrame([row[:4] for row in HAND], schema=NAMES, orient="row")
    result = scored(customers, scheme=scheme)
    assert result["rfm_cell"].to_list()[:4] == ["3-2-6", "3-1-1", "3-2-4", "2-1-1"]
    # Sums go from 3 to 15: middle from 6, top from 12.
    assert result["rfm_segment"].to_list()[:4] == ["middle", "bottom", "middle", "bottom"]
    assert scheme_of(RfmSettings(preset="own")).segments == GROUPS
    inside = scheme_of(RfmSettings(preset="own", window_days=90, own=OwnRfmSettings(all_history=False)))
    assert inside.columns == ("recency_days", "order_count_in_window", "spend_in_window")
    assert inside.window_days == 90


def test_scales_that_cannot_be_read_are_refused_by_their_key() -> None:
    with pytest.raises(ValidationError, match=r"own.recency\n  .*write quantile 5"):
        RfmSettings.model_validate({"own": {"recency": "often"}})


def test_a_scheme_can_score_an_event() -> None:
    valued = scheme_of_event(quintile_11(), "rated", has_value=True)
    assert valued.columns == ("recency_days", "event_count", "value_total")
    assert valued.subject == "rated"
    counted = scheme_of_event(shopify_2021(), "viewed", has_value=False)
    assert counted.columns == ("recency_days", "event_count_in_window", "event_count_in_window")
    assert counted.axes[2].score == "rfm_monetary"
    assert counted.tier_cuts == (5, 8)
