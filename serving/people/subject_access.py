"""Everything that is held on somebody, as one JSON file: for whoever asks what is known of them."""

import asyncio
import json
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import orjson
import polars as pl
import sqlalchemy as sa

from features import ledger
from features.history import History
from features.identity import read_identities
from features.layout import Layout
from serving.inbound.people import JOURNAL, TAKEN
from serving.people.erasure import Places, Touched, other_tables
from serving.present import RunView
from serving.state.database import State
from serving.store.contract import ScoreRun
from serving.store.errors import NoRunError, OldRunError, RunGoneError
from serving.wording import Wording

FILE: Final = "access.json"
_HELD: Final = ("order_lines", "events", "customers")


def write_access(
    places: Places, folder: Path, customer_ids: Collection[str], *, with_identity: bool
) -> list[Touched]:
    """Write what every store holds of people into a folder; addresses only `with_identity`."""
    ids = list(customer_ids)
    held: dict[str, list[dict[str, Any]]] = {
        **_history(places.layout, ids),
        **_state(places.state, ids),
        **asyncio.run(_scores(places, ids)),
        "ledger": list(_ledger(places.layout.ledger, ids)),
        **_tables(places.layout, ids),
    }
    if with_identity:
        held["identities"] = _identities(places.layout.private, ids)
    for path in (folder.parent, folder):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    document = {"customer_ids": ids, "stores": held}
    partial = folder / f".{FILE}.partial"
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as stream:
        json.dump(document, stream, ensure_ascii=False, indent=1, default=str)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(folder / FILE)
    return [Touched(name, len(rows)) for name, rows in held.items()]


def _history(layout: Layout, ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    if not (layout.history / "manifest.json").exists():
        return {}
    history = History.open(layout.history)
    return {
        f"history.{table}": history.read(table).filter(pl.col("customer_id").is_in(ids)).to_dicts()
        for table in _HELD
    }


def _state(state: State, ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    found = {}
    with state.reading() as connection:
        metadata = sa.MetaData()
        inspector = sa.inspect(connection)
        for name in sorted(inspector.get_table_names()):
            table = sa.Table(name, metadata, autoload_with=connection)
            if "customer_id" in table.c:
                rows = connection.execute(sa.select(table).where(table.c.customer_id.in_(ids))).mappings()
                found[f"state.{name}"] = [dict(row) for row in rows]
    return found


async def _scores(places: Places, ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every run that is kept, with their reasons in words, and the lists."""
    found: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("scores", "traits", "timelines", "recommendations")
    }
    with suppress(NoRunError):
        for info in places.store.list_runs():
            with suppress(RunGoneError), _named_if_old(found, info.score_run_id):
                run = places.store.open_run(info.score_run_id)
                view = RunView(run.meta, Wording())
                for customer_id, traits in (await run.get_traits(ids)).items():
                    named = {"customer_id": customer_id, "score_run_id": info.score_run_id, **traits}
                    found["traits"].append(named)
                found["timelines"] += await _timelines(run, ids)
                for row in (await run.get_scores(ids)).values():
                    # Through JSON: parts of a row are kept as the bytes of it.
                    found["scores"].append(
                        orjson.loads(orjson.dumps(view.flat(row), option=orjson.OPT_UTC_Z))
                    )
                    lists = await run.get_recommendations(row[0])
                    items = await run.get_items({slot.item_no for slots in lists.values() for slot in slots})
                    places_ = view.lists(lists, items, limit=50, with_product=False)
                    found["recommendations"].append(
                        {"customer_id": row[0], "score_run_id": info.score_run_id, "lists": places_}
                    )
                run.close()
    await places.store.aclose()
    return found


async def _timelines(run: ScoreRun, ids: list[str]) -> list[dict[str, Any]]:
    """Return what a run keeps for the pages of customers: last orders, earlier scores, stages so far."""
    texts = {customer_id: await run.get_timeline(customer_id) for customer_id in ids}
    return [
        {"customer_id": customer_id, "score_run_id": run.meta.score_run_id, **orjson.loads(text)}
        for customer_id, text in texts.items()
        if text is not None
    ]


@contextmanager
def _named_if_old(found: dict[str, list[dict[str, Any]]], score_run_id: str) -> Iterator[None]:
    """Say of a run that another release made that it is there: what it holds, nobody can read any more."""
    try:
        yield
    except OldRunError:
        note = "made by another release, in a layout that this one cannot read; the next runs replace it"
        found["scores"].append({"score_run_id": score_run_id, "note": note})


def _ledger(folder: Path, ids: list[str]) -> Iterator[dict[str, Any]]:
    for path in ledger.list_files(folder):
        run = ledger.read_run(path)
        rows = ledger.read_rows(path, run).filter(pl.col("customer_id").is_in(ids))
        for row in rows.to_dicts():
            yield {"score_run_id": run.score_run_id, "as_of": run.as_of, **row}


def _tables(layout: Layout, ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for path in other_tables(layout):
        rows = pl.scan_parquet(path, glob=False)
        if "customer_id" in rows.collect_schema().names():
            mine = rows.filter(pl.col("customer_id").cast(pl.String).is_in(ids)).collect()
            found[f"tables.{path.relative_to(layout.root).as_posix()}"] = mine.to_dicts()
    return found


def _identities(private: Path, ids: list[str]) -> list[dict[str, Any]]:
    known = read_identities(private).filter(pl.col("customer_id").is_in(ids)).to_dicts()
    for name in (JOURNAL, TAKEN):
        if (private / name).exists():
            people = map(json.loads, (private / name).read_text(encoding="utf-8").splitlines())
            known += [person for person in people if person["customer_id"] in ids]
    return known
