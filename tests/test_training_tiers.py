"""Formula and model by tier, worked by hand, and the labels of a real history."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from features_shop import line, write_shop

from features.formula_clv import TOTAL
from features.rfm import TIERS
from features.settings import RfmSettings, Settings
from features.snapshot import Snapshot
from training.tiers import compare_by_tier, group_errors, table_of, tier_rows, tiers_at

MAY, JUNE = date(2026, 5, 1), date(2026, 6, 1)
# candidate, origin, customer, horizon, prediction, outcome
ROWS = [
    ("formula", MAY, "a", 30, 90.0, 100.0),
    ("formula", MAY, "b", 30, 30.0, 0.0),
    ("formula", JUNE, "a", 30, 80.0, 60.0),
    ("formula", JUNE, "b", 30, 10.0, 0.0),
    ("hurdle", MAY, "a", 30, 110.0, 100.0),
    ("hurdle", MAY, "b", 30, 6.0, 0.0),
    ("hurdle", JUNE, "a", 30, 50.0, 60.0),
    ("hurdle", JUNE, "b", 30, 2.0, 0.0),
    ("past_spend", MAY, "a", 30, 999.0, 100.0),
    ("formula", MAY, "a", 90, 999.0, 300.0),
]
TIER_LABELS = {MAY: {"a": "top", "b": "bottom"}, JUNE: {"b": "bottom", "a": "middle"}}


def predictions() -> pd.DataFrame:
    names = ["candidate", "origin", "customer_id", "horizon_days", "prediction", "outcome"]
    # Customer a had ordered five times, b once.
    rows = pd.DataFrame(ROWS, columns=names)
    return rows.assign(ordered=rows["outcome"] > 0, order_count=rows["customer_id"].map({"a": 5.0, "b": 1.0}))


def tiers() -> dict[date, "pd.Series[str]"]:
    return {
        origin: pd.Series(pd.Categorical(list(of.values()), categories=TIERS, ordered=True), index=list(of))
        for origin, of in TIER_LABELS.items()
    }


def test_both_errors_stand_side_by_side() -> None:
    table = compare_by_tier(predictions(), tiers(), horizon_days=30, winner="hurdle")
    assert table.index.tolist() == ["top", "middle", "bottom", TOTAL]
    assert table["customer_count"].tolist() == [1, 1, 2, 4]
    assert table["actual_mean"].tolist() == [100.0, 60.0, 0.0, 40.0]
    assert table["formula_mean"].tolist() == [90.0, 80.0, 20.0, 52.5]
    assert table["winner_mean"].tolist() == [110.0, 50.0, 4.0, 42.0]
    assert table["formula_mae"].tolist() == [10.0, 20.0, 20.0, 17.5]
    assert table["winner_mae"].tolist() == [10.0, 10.0, 4.0, 7.0]
    # 90/100, 80/60, nothing was spent, 210/160.
    assert table["formula_bias"].tolist() == pytest.approx([-0.1, 1 / 3, np.nan, 0.3125], nan_ok=True)
    assert table["winner_bias"].tolist() == pytest.approx([0.1, -1 / 6, np.nan, 0.05], nan_ok=True)


def test_errors_of_groups_are_data_and_a_table_again() -> None:
    table = compare_by_tier(predictions(), tiers(), horizon_days=30, winner="hurdle")
    groups = group_errors(table)
    top = groups[0].model_dump()
    assert (top.pop("name"), top.pop("formula_bias"), top.pop("winner_bias")) == (
        "top",
        pytest.approx(-0.1),
        pytest.approx(0.1),
    )
    assert list(top.values()) == [1, 100.0, 90.0, 10.0, 110.0, 10.0, 1.0, 0.0]
    # Nobody at the bottom spent anything; both had ordered once. Of all four, a ordered at both origins.
    assert (groups[2].formula_bias, groups[2].ordered_share, groups[2].once_share) == (None, 0.0, 1.0)
    assert (groups[3].name, groups[3].ordered_share, groups[3].once_share) == (TOTAL, 0.5, 0.5)
    assert tier_rows(table_of(groups)) == tier_rows(table)
    assert tier_rows(table_of([])) == []


def test_a_formula_that_won_stands_beside_itself() -> None:
    table = compare_by_tier(predictions(), tiers(), horizon_days=30, winner="formula")
    assert table["formula_mae"].tolist() == table["winner_mae"].tolist()


def test_a_recipe_that_was_left_out_has_no_numbers() -> None:
    rows = predictions().query("candidate != 'formula'")
    table = compare_by_tier(rows, tiers(), horizon_days=30, winner="hurdle")
    assert table["formula_mae"].isna().all()
    assert table.loc[TOTAL, "winner_mae"] == 7.0
    assert all(cells[3:6] == ("–", "–", "–") for cells in tier_rows(table))


def test_without_predictions_the_table_is_empty() -> None:
    assert compare_by_tier(predictions(), tiers(), horizon_days=7, winner="hurdle").empty
    assert compare_by_tier(predictions().iloc[:0], {}, horizon_days=30, winner="hurdle").empty


def test_a_customer_without_a_tier_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="2 customers have no tier"):
        compare_by_tier(predictions(), {MAY: tiers()[MAY]}, horizon_days=30, winner="hurdle")


def test_a_tier_has_a_row_of_finished_cells() -> None:
    rows = tier_rows(compare_by_tier(predictions(), tiers(), horizon_days=30, winner="hurdle"))
    assert ("top", "1", "100.00", "90.00", "-10.0%", "10.00", "110.00", "+10.0%", "10.00") in rows
    assert ("bottom", "2", "0.00", "20.00", "–", "20.00", "4.00", "–", "4.00") in rows


def test_labels_of_a_history_know_nothing_after_the_origin(tmp_path: Path) -> None:
    lines = [line(name, name, f"2026-04-{day}T12:00", 10.0) for name, day in (("a", 10), ("b", 20))]
    lines += [line("a", f"later {number}", f"2026-05-{10 + number}T12:00", 500.0) for number in range(9)]
    lines.append(line("c", "new", "2026-05-09T12:00", 5.0))
    history = write_shop(tmp_path, lines)
    settings = Settings(rfm=RfmSettings(preset="shopify_2021"))
    labels = tiers_at(history, Snapshot(MAY), settings=settings)
    # Both ordered once, for as much, and lately: 3 + 1 + 1.
    assert labels.to_dict() == {"a": "middle", "b": "middle"}
    assert labels.cat.categories.tolist() == list(TIERS)
    assert tiers_at(history, Snapshot(JUNE), settings=settings).to_dict()["a"] == "top"
