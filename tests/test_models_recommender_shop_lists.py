"""Popular, trending and new: one list for the whole shop, on shops made by hand."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from recommender_shop import Line, Product, day, settings, write_shop

from features.history import History
from models.recommender.baselines import Popular
from models.recommender.bounds import rate_ratio_low
from models.recommender.candidates import LOADERS
from models.recommender.contract import LIST_COLUMNS
from models.recommender.material import build_material

CHOSEN = settings(popularity_days=10)


def bought(product: str, days: Iterable[float], *, customers: int = 40) -> list[Line]:
    """Return orders of one product, each by the next of some customers."""
    return [(f"c{number % customers:02}", product, at, 1, 2.0) for number, at in enumerate(days)]


def shelf(shop: History, at: int, kind: str, *, depth: int = 10) -> pd.DataFrame:
    recommender = Popular().fit(build_material(shop, day(at), settings=CHOSEN))
    found = recommender.shop_lists(snapshot=day(at), depth=depth)
    assert tuple(found.columns) == LIST_COLUMNS
    assert set(found["customer_id"]) <= {""}
    return found[found["kind"] == kind].set_index("product_id")


def spread(count: int, begin: float, end: float) -> list[float]:
    return [begin + (end - begin) * number / count for number in range(count)]


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory) -> History:
    """The shop doubles in its last 10 days; the kite grows tenfold, the hat with the shop, tea not at all."""
    lines = bought("filler", spread(400, 1, 50)) + bought("filler", spread(160, 50, 60))
    lines += bought("hat", spread(40, 10, 50)) + bought("hat", spread(20, 50, 60))
    lines += bought("kite", spread(12, 10, 50)) + bought("kite", spread(30, 50, 60))
    lines += bought("tea", spread(40, 10, 50)) + bought("tea", spread(10, 50, 60))
    lines += bought("bulk", spread(4, 10, 50)) + bought("bulk", spread(20, 50, 60), customers=2)
    lines += [(customer, product, 5.0, 1, 2.0) for customer in "ab" for product in ("kite", "bulk", "hat")]
    return write_shop(tmp_path_factory.mktemp("season"), lines)


def test_what_rises_more_than_the_shop_trends_and_what_rises_with_it_does_not(season: History) -> None:
    found = shelf(season, 60, "trending")
    assert found.index.tolist() == ["kite"]
    recent_shop = 160 + 20 + 30 + 10 + 20
    earlier_shop = sum(10 <= at < 50 for at in spread(400, 1, 50)) + 40 + 12 + 40 + 4
    ratio = (30 / recent_shop) / (12 / earlier_shop)
    assert found.loc["kite", "value"] == pytest.approx(ratio)
    low = float(rate_ratio_low(30, recent_shop, 12, earlier_shop))
    assert found.loc["kite", "score"] == pytest.approx(low)
    assert 1 < low < ratio
    assert found.loc["kite", "reason"] == "trending"


def test_a_young_shop_has_no_trend_and_says_so(tmp_path: Path) -> None:
    shop = write_shop(tmp_path, bought("tea", spread(50, 1, 15)))
    recommender = Popular().fit(build_material(shop, day(15), settings=CHOSEN))
    assert recommender.unavailable("trending") == "nothing_rises"
    assert recommender.unavailable("popular") is None


def test_popular_is_what_most_bought_within_the_window(season: History) -> None:
    found = shelf(season, 60, "popular", depth=3)
    assert found.index.tolist() == ["filler", "kite", "hat"]
    assert found["value"].tolist() == [40.0, 30.0, 20.0]


LAUNCHES: dict[str, date] = {
    "unsold": date(2026, 2, 27),  # day 57
    "sold": date(2026, 2, 21),  # day 51
    "too old": date(2026, 2, 18),
    "to come": date(2026, 3, 5),
}


@pytest.fixture(scope="module")
def launches(tmp_path_factory: pytest.TempPathFactory) -> History:
    lines = bought("old", spread(40, 1, 60)) + bought("sold", [55.0, 56.0]) + bought("too old", [58.0, 59.0])
    lines += bought("first sale", [58.5, 59.0, 59.5])
    products: list[Product] = [(name, None, None, {"launched_on": on}) for name, on in LAUNCHES.items()]
    products.append(("sold out", None, None, {"launched_on": date(2026, 2, 25), "in_stock": False}))
    return write_shop(tmp_path_factory.mktemp("launches"), lines, products)


def test_new_is_what_was_launched_lately_sold_or_not(launches: History) -> None:
    found = shelf(launches, 60, "new")
    assert found["value"].to_dict() == {"first sale": 1.0, "sold": 9.0, "unsold": 3.0}
    assert found.index.tolist() == ["first sale", "sold", "unsold"]
    assert found["score"].astype(int).tolist() == [3, 2, 0]


def test_what_is_new_is_judged_on_the_day_of_serving(launches: History, tmp_path: Path) -> None:
    fitted = Popular().fit(build_material(launches, day(60), settings=CHOSEN))
    fitted.save(tmp_path)
    loaded = LOADERS["popular"](tmp_path)
    found = loaded.shop_lists(snapshot=day(62), depth=10)
    assert found.loc[found["kind"] == "new", "product_id"].tolist() == ["first sale", "unsold"]
    pd.testing.assert_frame_equal(found, fitted.shop_lists(snapshot=day(62), depth=10))


def test_in_its_first_days_a_history_cannot_tell_what_is_new(tmp_path: Path) -> None:
    shop = write_shop(tmp_path, bought("tea", [1.0, 5.0]) + bought("mug", [4.0]))
    recommender = Popular().fit(build_material(shop, day(9), settings=CHOSEN))
    assert recommender.unavailable("new") == "nothing_new"
    found = recommender.shop_lists(snapshot=day(9), depth=10)
    assert set(found["kind"]) == {"popular"}
