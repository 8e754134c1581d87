"""From a history and champions in MLflow to a published run and files, on a tiny shop."""

import asyncio
import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
import sqlalchemy as sa
from serving_runs import explained
from serving_shop import AS_OF, HEADLINE_DAYS, NASTY, fit_champions, make_orders, register, write_history
from starlette.testclient import TestClient

from features.basis import Basis
from features.build import build_features
from features.cohort import AsOfError
from features.errors import UserError
from features.layout import Layout
from features.settings import Settings, ShopSettings
from features.shop_rfm import read_rfm
from features.snapshot import Snapshot, days_since_epoch
from models.bundle import MANIFEST_FILE, BundleError, _canonical, _describe
from models.recommender.contract import LIST_COLUMNS
from serving.api import create_app
from serving.changes.lifecycle import EVENTS
from serving.databases import open_store
from serving.demo import example_calls
from serving.environment import Environment
from serving.explain import UnknownCustomerError, explain
from serving.exports.csv_lines import plain_lines
from serving.exports.member_csv import STORED_CELLS, MemberCells
from serving.present import RunView
from serving.registry import RegistryError
from serving.rows import NAMES
from serving.score import run_scoring, summary
from serving.scoring.request import ScoreError, open_request
from serving.state.database import State
from serving.state.list_exports import LeavingList, ListExports
from serving.state.tables import CHANGES
from serving.store.contract import ScoreRun, ScoreStore
from serving.store.errors import PublishError
from serving.store.records import LINE
from serving.store.sqlite_store import SqliteStore
from serving.wording import Wording

# MLflow's own database layer uses what SQLAlchemy has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
CHOICE: dict[Any, str] = {"churn": "recency", "clv": "formula", "recommender": "popular"}

OLD = date(2026, 5, 1)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a history, champions, one published run and its files."""
    var = tmp_path_factory.mktemp("shop")
    history = write_history(var, make_orders(), refused=("c1", "c2"))
    register(var, fit_champions(history, AS_OF, choice=CHOICE), as_of=AS_OF)
    score(var, out=var / "out")
    return var


@pytest.fixture
def _checked_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the canary's child process, which the first scoring run of this file has seen."""
    monkeypatch.setattr("serving.registry.check_bundle", lambda *_: None)


def score(var: Path, *, as_of: str | None = None, out: Path | None = None) -> Any:
    return run_scoring(open_request(Environment(var=var), as_of=as_of, out=out), lambda _: None)


def live(var: Path) -> ScoreRun:
    store = SqliteStore.of(Layout(var))
    return store.open_run(store.live_run_id())


def test_every_customer_has_a_complete_row_whose_nulls_are_explained(shop: Path) -> None:
    run = live(shop)
    view = RunView(run.meta, Wording())
    ids = {line["customer_id"] for line in make_orders()}
    assert run.meta.customer_count == len(ids)
    for customer in ids:
        row = asyncio.run(run.get_score(customer))
        assert row is not None
        flat = view.flat(row)
        assert tuple(flat) == NAMES
        assert explained(orjson.loads(orjson.dumps(flat)))
        assert flat["churn_probability"] == flat[f"churn_probability_{HEADLINE_DAYS}"]


def test_the_past_is_counted_exactly(shop: Path) -> None:
    lines = [line for line in make_orders() if line["customer_id"] == "김철수"]
    scores = pl.read_parquet(shop / "out/scores.parquet")
    row = scores.filter(pl.col("customer_id") == "김철수").row(0, named=True)
    orders = {line["order_id"]: line["ordered_at"] for line in lines}
    spend = round(sum(line["amount_minor"] for line in lines) / 10_000, 2)
    span_days = (max(orders.values()) - min(orders.values())).total_seconds() / 86_400
    assert row["historic_number_of_orders"] == len(orders)
    assert row["historic_clv"] == spend
    assert row["average_order_value"] == round(spend / len(orders), 2)
    assert row["average_days_between_orders"] == round(span_days / (len(orders) - 1), 2)
    assert row["last_order_at"] == max(orders.values())
    assert row["total_clv"] == round(row["historic_clv"] + row["predicted_clv"], 2)


def test_the_first_run_is_the_baseline_of_the_log_of_changes(shop: Path) -> None:
    ids = {line["customer_id"] for line in make_orders()}
    with State.of(Layout(shop)).reading() as connection:
        rows = connection.execute(sa.select(CHANGES).order_by(CHANGES.c.sequence)).all()
    first = [row for row in rows if row.score_run_id == rows[0].score_run_id]
    assert sorted(row.customer_id for row in first) == sorted(ids)
    assert {row.kind for row in first} == {"scores"}


@pytest.mark.usefixtures("_checked_before")
def test_a_second_run_tells_what_happened_since_the_first(tmp_path: Path) -> None:
    lines = [line for line in make_orders() if line["ordered_at"].date() < date(2026, 6, 28)]
    history = write_history(tmp_path, lines)
    register(tmp_path, fit_champions(history, OLD, choice=CHOICE), as_of=OLD)
    score(tmp_path)
    late = datetime(2026, 6, 28, 9, tzinfo=UTC)
    new = {**lines[0], "customer_id": "new", "ordered_at": late, "ordered_days": days_since_epoch(late)}
    write_history(tmp_path, [*lines, {**new, "order_id": "new-0", "line_id": "new-0-0"}])
    score(tmp_path)
    with State.of(Layout(tmp_path)).reading() as connection:
        rows = connection.execute(sa.select(CHANGES).where(CHANGES.c.score_run_id == "s_0002")).all()
    told = {(row.customer_id, row.event or row.kind) for row in rows}
    assert {("new", "scores"), ("new", "first_order")} <= told
    assert {event for customer, event in told if customer != "new"} <= {"scores", *EVENTS}
    assert ("new", "nth_order") not in told


@pytest.mark.usefixtures("_checked_before")
def test_a_run_that_is_published_keeps_who_was_on_lists_that_left(tmp_path: Path) -> None:
    history = write_history(tmp_path, make_orders())
    register(tmp_path, fit_champions(history, AS_OF, choice=CHOICE), as_of=AS_OF)
    first = score(tmp_path)
    lists = ListExports(State.of(Layout(tmp_path)))
    leaving = LeavingList(
        key_id="",
        job_id=None,
        audience="dormant",
        score_run_id=first.score_run_id,
        as_of=first.as_of.isoformat(),
        request={"control": "exclude"},
        control_group_share=0.1,
        control_group_count=None,
        with_identity=False,
    )
    export_id = lists.begin(leaving)
    score(tmp_path)
    (left,) = lists.page(before=None, limit=2)
    kept = pl.read_parquet(Layout(tmp_path).outcomes / f"{export_id}.parquet")
    assert (left.members, kept.height) == ("kept", first.audiences["dormant"].member_count)


def test_files_hold_the_flat_names_and_the_lists(shop: Path) -> None:
    scores = pl.read_parquet(shop / "out/scores.parquet")
    assert tuple(scores.columns) == NAMES
    assert set(NASTY) <= set(scores["customer_id"])
    assert scores["as_of"].unique().to_list() == [AS_OF]
    assert scores["customer_id"].n_unique() == scores.height
    lists = pl.read_parquet(shop / "out/recommendations.parquet")
    assert tuple(lists.columns) == LIST_COLUMNS
    sources = {reason: set(rows["source"]) for (reason,), rows in lists.group_by("reason")}
    assert sources == {"popular": {"popular"}, "due_again": {"personalised"}}
    assert lists["value"].null_count() == 0
    assert lists["evidence_product_id"].null_count() == lists.height
    firsts = lists.filter((pl.col("kind") == "for_you") & (pl.col("rank") == 1))
    assert set(firsts["customer_id"]) == set(scores["customer_id"])


def test_the_file_for_mails_is_what_the_run_answers(shop: Path) -> None:
    run = live(shop)
    with TestClient(create_app(Environment(var=shop)), base_url="http://127.0.0.1:8000") as client:
        answer = client.get("/v1/recommendations/export.csv")
    rows = answer.content.splitlines()
    assert sorted((shop / "out/recommendations.csv").read_bytes().splitlines()) == sorted(rows)
    assert rows[0].startswith(b"customer_id,item1_product_id,")
    assert len(rows) == 1 + run.meta.customer_count


def test_bands_follow_the_printed_cut_points(shop: Path) -> None:
    meta = live(shop).meta
    scores = pl.read_parquet(shop / "out/scores.parquet")
    usual = scores.filter(~pl.col("lapsed"))["churn_probability"].mean()
    assert meta.usual_churn_probability == pytest.approx(usual, abs=1e-6)
    high = scores.filter(pl.col("churn_probability") >= meta.high_from_probability)
    assert set(high["risk_band"]) <= {"high"}
    assert set(scores.filter(pl.col("churn_probability") < meta.medium_from_probability)["risk_band"]) == {
        "low"
    }


def test_the_list_is_everybody_at_risk_in_order(shop: Path) -> None:
    scores = pl.read_parquet(shop / "out/scores.parquet")
    wanted = scores.filter(
        (pl.col("risk_band") == "high") & ~pl.col("lapsed") & pl.col("email_consent").fill_null(value=True)
    ).sort("value_at_risk", "customer_id", descending=[True, False])
    members = asyncio.run(live(shop).list_members("at-risk", limit=1000))
    assert [member.row[0] for member in members] == wanted["customer_id"].to_list()
    assert live(shop).meta.audiences["at-risk"].member_count == wanted.height


def test_the_lines_kept_of_lists_are_those_that_would_be_made(shop: Path) -> None:
    run, lines = live(shop), []
    cells = MemberCells(RunView(run.meta, Wording()), run.meta)
    for slug in Settings().audiences:
        kept = asyncio.run(run.list_members(slug, limit=1000, names=("customer_id", LINE)))
        members = asyncio.run(run.list_members(slug, limit=1000, names=STORED_CELLS))
        tops = asyncio.run(run.list_top_products([member.row[0] for member in members]))
        made = plain_lines(cells.of(member.row, tops.get(member.row[0])) for member in members)
        assert [member.row[1] for member in kept] == list(made)
        lines += [member.row[1] for member in kept]
    assert len(lines) > 40
    assert all(line.count(b",") > len(STORED_CELLS) for line in lines)


def test_a_run_holds_every_list_of_the_settings(shop: Path) -> None:
    run = live(shop)
    assert list(run.meta.audiences) == list(Settings().audiences)
    scores = pl.read_parquet(shop / "out/scores.parquet")
    once = scores.filter(
        (pl.col("historic_number_of_orders") == 1) & pl.col("email_consent").fill_null(value=True)
    )
    members = asyncio.run(run.list_members("one-time-buyers", limit=1000))
    assert {member.row[0] for member in members} == set(once["customer_id"])
    assert len(members) == run.meta.audiences["one-time-buyers"].member_count > 0
    due = asyncio.run(run.list_members("replenishment-due", limit=1000))
    assert len(due) == run.meta.audiences["replenishment-due"].member_count
    assert sum(counts.control_group_count for counts in run.meta.audiences.values()) == 0


def test_a_rule_that_cannot_be_understood_stops_before_anything_is_scored(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "regulars.toml"
    settings.write_text("[audiences.vip]\ntitle = 'V'\nrule = 'clv > 5'\n")
    monkeypatch.setenv("REGULARS_CONFIG", str(settings))
    with pytest.raises(UserError, match=r"\[audiences.vip\] rule: there is no column 'clv'"):
        open_request(Environment(var=shop), as_of=None, out=None)


def test_scoring_again_gives_the_same_rows(shop: Path) -> None:
    before = pl.read_parquet(shop / "out/scores.parquet").drop("score_run_id", "scored_at")
    score(shop, out=shop / "again")
    after = pl.read_parquet(shop / "again/scores.parquet").drop("score_run_id", "scored_at")
    assert before.equals(after)


def test_a_champion_that_answers_otherwise_than_when_it_was_written_is_refused(
    shop: Path, tmp_path: Path
) -> None:
    """Its manifest was made to fit; only the golden answers tell."""
    shutil.copytree(shop, tmp_path, dirs_exist_ok=True)
    (folder,) = (path for path in (tmp_path / "bundles").glob("churn-*") if path.is_dir())
    state = json.loads((folder / "model" / "state.json").read_text())
    state["lines"] = [[intercept + 1.0, slope] for intercept, slope in state["lines"]]
    (folder / "model" / "state.json").write_text(json.dumps(state))
    (folder / MANIFEST_FILE).write_bytes(_canonical({"files": _describe(folder)}))
    before = SqliteStore.of(Layout(tmp_path)).live_run_id()
    with pytest.raises(BundleError, match=r"churn-.* failed its canary: .* changed; train again"):
        score(tmp_path)
    assert SqliteStore.of(Layout(tmp_path)).live_run_id() == before


@pytest.mark.usefixtures("_checked_before")
def test_a_past_date_writes_files_and_leaves_the_live_run(shop: Path, tmp_path: Path) -> None:
    shutil.copytree(shop, tmp_path, dirs_exist_ok=True)
    run_id = SqliteStore.of(Layout(tmp_path)).live_run_id()
    with pytest.raises(ScoreError, match="OUT=dir"):
        score(tmp_path, as_of="2026-05-01")
    with pytest.raises(RegistryError, match=r"2026-07-01.*make train evaluate promote AS_OF=2026-05-01"):
        score(tmp_path, as_of="2026-05-01", out=tmp_path / "past")
    promote_as_of(tmp_path, OLD)
    meta = score(tmp_path, as_of="2026-05-01", out=tmp_path / "past")
    assert (meta.score_run_id, meta.models["churn"].version) == ("", 2)
    assert SqliteStore.of(Layout(tmp_path)).live_run_id() == run_id
    assert "not published" in summary(meta, is_past=True)


@pytest.mark.usefixtures("_checked_before")
def test_a_past_date_reads_nothing_later(shop: Path, tmp_path: Path) -> None:
    shutil.copytree(shop, tmp_path, dirs_exist_ok=True)
    promote_as_of(tmp_path, OLD)
    score(tmp_path, as_of="2026-05-01", out=tmp_path / "whole")
    # The same shop as it was on that day: without any later line.
    write_history(
        tmp_path, [line for line in make_orders() if line["ordered_at"].date() < OLD], refused=("c1", "c2")
    )
    score(tmp_path, as_of="2026-05-01", out=tmp_path / "cut")
    whole, cut = (pl.read_parquet(tmp_path / name / "scores.parquet") for name in ("whole", "cut"))
    differing = [name for name in cut.columns if not cut[name].equals(whole[name])]
    assert set(differing) <= {"score_run_id", "scored_at"}
    lists = [pl.read_parquet(tmp_path / name / "recommendations.parquet") for name in ("whole", "cut")]
    assert lists[0].equals(lists[1])


def promote_as_of(var: Path, day: date) -> None:
    history = open_request(Environment(var=var), as_of=None, out=None).history
    register(var, fit_champions(history, day, choice=CHOICE), as_of=day)


def test_a_damaged_bundle_is_refused_and_the_live_run_stays(shop: Path) -> None:
    run_id = SqliteStore.of(Layout(shop)).live_run_id()
    states = [next((path / "model").iterdir()) for path in (shop / "bundles").glob("clv-*") if path.is_dir()]
    before = [state.read_bytes() for state in states]
    try:
        for state, content in zip(states, before, strict=True):
            state.write_bytes(content[:-3] + b"???")
        with pytest.raises(BundleError, match="damaged"):
            score(shop)
    finally:
        for state, content in zip(states, before, strict=True):
            state.write_bytes(content)
    assert SqliteStore.of(Layout(shop)).live_run_id() == run_id


def test_without_champions_or_orders_the_message_says_what_to_run(shop: Path, tmp_path: Path) -> None:
    shutil.copytree(shop / "history", tmp_path / "history")
    with pytest.raises(RegistryError, match="make train evaluate promote"):
        score(tmp_path)
    with pytest.raises(AsOfError, match="no date"):
        score(shop, as_of="tomorrow")
    with pytest.raises(ScoreError, match="nobody had ordered before 2020-01-01"):
        score(shop, as_of="2020-01-01", out=tmp_path / "out")


@pytest.mark.usefixtures("_checked_before")
def test_a_champion_of_another_money_basis_scores_nobody(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings.toml").write_text('[shop]\nclv_basis = "gross"\n')
    monkeypatch.setenv("REGULARS_CONFIG", str(tmp_path / "settings.toml"))
    with pytest.raises(RegistryError, match=r"churn champion was trained with clv_basis net.*gross"):
        score(shop)


MARGIN = Settings(shop=ShopSettings(clv_basis="margin"))


def on_margin(var: Path, monkeypatch: pytest.MonkeyPatch, *, margin_share: float = 0.0) -> None:
    """Have the settings ask for margin."""
    text = f'[shop]\nclv_basis = "margin"\nmargin_share = {margin_share}\n'
    (var / "margin.toml").write_text(text)
    monkeypatch.setenv("REGULARS_CONFIG", str(var / "margin.toml"))


@pytest.mark.usefixtures("_checked_before")
@pytest.mark.parametrize("clv", ["formula", "btyd"])
def test_margin_is_what_the_features_say_even_where_goods_are_sold_at_a_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clv: str
) -> None:
    """Lines bring 1 to 40 and a piece costs 20.50: half of the lines are sold at a loss."""
    history = write_history(tmp_path, make_orders(), unit_cost_minor=205_000)
    fitted = fit_champions(history, AS_OF, choice={"churn": "recency", "clv": clv}, settings=MARGIN)  # type: ignore[dict-item]
    register(tmp_path, fitted, as_of=AS_OF, basis=MARGIN.shop.basis)
    on_margin(tmp_path, monkeypatch)
    meta = score(tmp_path, out=tmp_path / "out")
    assert meta.clv_basis == "margin"
    assert "revenue_basis" not in {warning.code for warning in meta.warnings}
    scores = pl.read_parquet(tmp_path / "out/scores.parquet").sort("customer_id")
    features = build_features(history, Snapshot(AS_OF), settings=MARGIN)
    assert scores["historic_clv"].to_list() == features["spend_total"].round(2).to_list()
    assert scores["average_order_value"].to_list() == features["mean_order_value"].round(2).to_list()
    assert set(scores["clv_basis"]) == {"margin"}
    assert (scores["historic_clv"] < 0).any()
    assert (scores["historic_clv"] > 0).any()
    assert scores["predicted_clv"].is_between(0, 1e6).all()
    assert scores["predicted_clv_high"].is_between(0, 1e6).all()


@pytest.mark.usefixtures("_checked_before")
def test_margin_without_any_cost_is_net_everywhere_and_told(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(shop, tmp_path, dirs_exist_ok=True)
    on_margin(tmp_path, monkeypatch)
    meta = score(tmp_path, out=tmp_path / "asked")
    assert (meta.clv_basis, meta.warnings[-1].code) == ("net", "revenue_basis")
    assert "warning: revenue basis: no sold product has a unit_cost" in summary(meta, is_past=False)
    assert live(tmp_path).meta.warnings == meta.warnings
    names = ("historic_clv", "predicted_clv", "clv_basis")
    asked, net = (pl.read_parquet(tmp_path / name / "scores.parquet") for name in ("asked", "out"))
    assert asked.select(names).equals(net.select(names))


@pytest.mark.usefixtures("_checked_before")
@pytest.mark.parametrize(
    ("learnt", "share", "said"),
    [
        (Basis("net"), 0.0, "trained with clv_basis net, and now it is clv_basis margin"),
        (Basis("margin", 0.4), 0.3, "trained with margin_share 0.4, and now it is margin_share 0.3"),
    ],
)
def test_a_champion_of_another_margin_scores_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, learnt: Basis, share: float, said: str
) -> None:
    history = write_history(tmp_path, make_orders(), unit_cost_minor=5_000)
    fitted = fit_champions(history, AS_OF, choice={"churn": "base_rate", "clv": "past_spend"})
    register(tmp_path, fitted, as_of=AS_OF, basis=learnt)
    on_margin(tmp_path, monkeypatch, margin_share=share)
    with pytest.raises(RegistryError, match=said):
        score(tmp_path)


@pytest.mark.usefixtures("_checked_before")
def test_the_preset_of_the_settings_names_the_tiers(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(shop, tmp_path, dirs_exist_ok=True)
    (tmp_path / "settings.toml").write_text('[rfm]\npreset = "shopify_2021"\nwindow_days = 60\n')
    monkeypatch.setenv("REGULARS_CONFIG", str(tmp_path / "settings.toml"))
    score(tmp_path, out=tmp_path / "tiers")
    request = open_request(Environment(var=tmp_path), as_of=None, out=None)
    wanted = read_rfm(request.history, request.snapshot, settings=request.settings).customers
    names = ("customer_id", "rfm_recency", "rfm_frequency", "rfm_monetary", "rfm_segment")
    scores = pl.read_parquet(tmp_path / "tiers/scores.parquet").select(names)
    assert scores.rows() == wanted.select(names).rows()
    assert set(scores["rfm_segment"]) == {"top", "middle", "bottom"}


def test_a_second_scoring_run_stops_at_once(shop: Path) -> None:
    with SqliteStore.of(Layout(shop)).begin_run(), pytest.raises(PublishError, match="another scoring run"):
        score(shop)


@pytest.mark.usefixtures("_checked_before")
def test_a_shop_is_scored_into_postgresql_as_into_sqlite(
    shop: Path, pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(Environment(var=shop)).begin_run(), pytest.raises(PublishError, match="another scoring"):
        score(shop)
    meta = score(shop)
    on_pg = asyncio.run(everything(open_store(Environment(var=shop))))
    assert explain(Environment(var=shop), "김철수").startswith("김철수 · as of 2026-07-01")
    assert "/v1/customers/" in example_calls(Environment(var=shop), base="")[0]
    monkeypatch.delenv("REGULARS_DATABASE_URL")
    assert on_pg == asyncio.run(everything(open_store(Environment(var=shop))))
    assert len(on_pg["rows"]) == meta.customer_count


async def everything(store: ScoreStore) -> dict[str, Any]:
    """Return what a live run answers: rows, lists and purchases of everybody, products and their lists."""
    run = store.open_run(store.live_run_id())
    ids = [customer for _, customer in await run.list_customers(after=0, limit=10_000)]
    items = await run.get_items(range(100))
    found = {
        "rows": await run.get_scores(ids),
        "lists": {c: {k: list(s) for k, s in (await run.get_recommendations(c)).items()} for c in [*ids, ""]},
        "owned": {customer: await run.get_owned(customer) for customer in ids},
        "items": items,
        "item_lists": {
            product: {kind: list(slots) for kind, slots in lists.lists.items()}
            for product, lists in (await run.get_item_lists([i.product_id for i in items.values()])).items()
        },
        "members": await run.list_members("at-risk", limit=10_000),
        "tops": await run.list_top_products(ids),
    }
    run.close()
    await store.aclose()
    return found


def test_one_customer_is_explained_in_words(shop: Path) -> None:
    text = explain(Environment(var=shop), "김철수")
    assert text.startswith("김철수 · as of 2026-07-01")
    assert "Churn within 30 days" in text
    assert "for you:" in text
    with pytest.raises(UnknownCustomerError, match="byte for byte"):
        explain(Environment(var=shop), "nobody")


@pytest.mark.usefixtures("_checked_before")
def test_a_shop_without_products_is_scored_without_lists(tmp_path: Path) -> None:
    lines = [{**line, "product_id": None} for line in make_orders()]
    history = write_history(tmp_path, lines)
    choice: dict[Any, str] = {"churn": "base_rate", "clv": "past_spend"}
    register(tmp_path, fit_champions(history, AS_OF, choice=choice), as_of=AS_OF)
    meta = score(tmp_path, out=tmp_path / "out")
    assert set(meta.unavailable_kinds.values()) == {"no_product"}
    assert pl.read_parquet(tmp_path / "out/recommendations.parquet").is_empty()
    assert pl.read_parquet(tmp_path / "out/scores.parquet")["clv_method"].unique().to_list() == ["baseline"]


def test_a_run_holds_the_lists_of_products_and_of_the_shop(shop: Path) -> None:
    run = live(shop)
    fallback = asyncio.run(run.get_fallback())
    assert {"for_you", "popular"} <= set(fallback) <= {"for_you", "popular", "trending", "new"}
    assert run.meta.popularity_days == Settings().recommender.popularity_days
    found = asyncio.run(run.get_item_lists(["p00", "p01", "nothing"]))
    assert set(found) == {"p00", "p01"}
    for lists in found.values():
        assert set(lists.lists) | set(run.meta.unavailable_kinds) >= {"similar", "bundle"}
    lists = pl.read_parquet(shop / "out/recommendations.parquet")
    assert not set(lists["kind"]) & {"popular", "trending", "new"}


def test_the_pairs_behind_bundles_are_a_file(shop: Path) -> None:
    pairs = pl.read_parquet(shop / "out/bundles.parquet")
    assert pairs.columns == [
        "product_id",
        "partner_product_id",
        "joint_count",
        "support_share",
        "basket_share",
        "lift",
        "lift_low",
        "lift_high",
    ]
    assert (pairs["lift_low"] > 1).all()
    assert (pairs["lift_low"] < pairs["lift"]).all()
