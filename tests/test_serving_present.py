"""Reasons of a run: a list that is older than the run says so."""

from datetime import date

import pytest
from serving_runs import meta

from features.slots import Slot
from serving.present import RunView
from serving.store.records import Item, RunMeta
from serving.wording import Wording

ITEMS = {0: Item(item_no=0, product_id="beans")}


def trained_on(day: date) -> RunMeta:
    """Return a run of 2026-11-22 by a recommender that has seen data until a day."""
    run = meta(popularity_days=14)
    card = run.models["recommender"].model_copy(update={"data_until": day})
    return run.model_copy(update={"models": {"recommender": card}})


@pytest.mark.parametrize(
    ("slot", "fresh", "older"),
    [
        (
            Slot(0, 3.0, "popular", "popular", value=3.0),
            "bought by 3 customers in the last 14 days",
            "bought by 3 customers in 14 days, until 5 days ago",
        ),
        (
            Slot(0, 1.2, "trending", "popular", value=3.1),
            "3.1 x its usual in the last 14 days",
            "3.1 x its usual in 14 days, until 5 days ago",
        ),
        (Slot(0, 4.5, "new", "popular", value=4.0), "launched 4 days ago", "launched 4 days ago"),
    ],
)
def test_counts_of_an_older_training_say_when_they_ended(slot: Slot, fresh: str, older: str) -> None:
    for day, text, ended in ((date(2026, 11, 22), fresh, None), (date(2026, 11, 17), older, 5)):
        view = RunView(trained_on(day), Wording())
        assert view.place_reason(slot, ITEMS) == text
        places = view.lists({"popular": [slot]}, ITEMS, limit=1, with_product=False)["popular"]
        expected = None if slot.reason == "new" else ended
        assert places[0]["reason"]["values"].get("window_ended_days_ago") == expected
        assert places[0]["reason"]["values"]["window_days"] == 14
