"""From stored rows to what the reader gets: the flat row in its one order, reasons and lists in words."""

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import orjson

from features.slots import REASON_NUMBERS, REASONS, SHOP_KINDS, Slot
from serving.rows import BY_NAME, COLUMNS, NAMES, NULLABLE_NAMES, RUN_NAMES, STORED_NAMES
from serving.store.records import Item, RunMeta, StoredRow
from serving.web.freshness import NEVER, Freshness
from serving.wording import Wording

_ORDER = itemgetter(*((*STORED_NAMES, *RUN_NAMES).index(name) for name in NAMES))
_BOOLEANS = tuple(name for name in STORED_NAMES if BY_NAME[name].kind == "boolean")
_AT = {name: index for index, name in enumerate(STORED_NAMES)}
_COUNTED_AT_TRAINING = frozenset({"popular", "trending"})
_TEXTS_KEPT = 20_000
PRODUCT_NAMES = ("name", "category", "subcategory", "brand", "price", "url", "image_url")


class RunView:
    """Shows the rows of one run; made once a run.

    What is older than `stale_after_days` has the status `stale` instead of `ok` (0: never).
    """

    def __init__(self, meta: RunMeta, wording: Wording, *, stale_after_days: int = NEVER) -> None:
        self._meta = meta
        self._wording = wording
        self._constants = run_constants(meta)
        self._freshness = Freshness(meta.time_zone, after_days=stale_after_days)
        self._as_of = meta.as_of.isoformat()
        self._texts: dict[tuple[Any, ...], str] = {}
        self._money = f"{meta.currency} margin" if meta.clv_basis == "margin" else meta.currency

    @property
    def language(self) -> str:
        """The language of the sentences."""
        return self._wording.language

    @property
    def is_stale(self) -> bool:
        """Whether the run is older than it may be."""
        return self._freshness.is_stale(self._as_of)

    def flat(self, row: StoredRow) -> dict[str, Any]:
        """Return the flat score row, ready for orjson; reasons carry their text."""
        score: dict[str, Any] = dict(zip(NAMES, _ORDER((*row, *self._constants)), strict=True))
        for name in _BOOLEANS:
            if score[name] is not None:
                score[name] = bool(score[name])
        if score["status"] == "ok" and self._freshness.is_stale(score["as_of"]):
            score["status"] = "stale"
        score["reasons"] = self.reasons(row)
        score["null_reasons"] = orjson.Fragment(score["null_reasons"])
        score["quality"] = orjson.Fragment(score["quality"])
        return score

    def reasons(self, row: StoredRow) -> list[dict[str, Any]] | None:
        """Return a row's reasons with their text, or None where the method has none."""
        stored = row[_AT["reasons"]]
        if stored is None:
            return None
        reasons: list[dict[str, Any]] = orjson.loads(stored)
        for reason in reasons:
            reason["text"] = self._text(reason)
        return reasons

    def reason_texts(self, stored: str | None, *, count: int) -> list[str]:
        """Return the sentences of the strongest reasons, from the reasons as they are stored."""
        reasons = orjson.loads(stored)[:count] if stored else ()
        return [self._known_text(reason["code"], reason["values"]) for reason in reasons]

    def _known_text(self, code: str, values: dict[str, Any]) -> str:
        """Return a sentence, kept from the last time: a long list says the same again and again."""
        key = (code, *values, *values.values())
        text = self._texts.get(key)
        if text is None:
            if len(self._texts) >= _TEXTS_KEPT:
                self._texts.clear()
            text = self._texts[key] = self._text({"code": code, "values": values})
        return text

    def _text(self, reason: dict[str, Any]) -> str:
        return self._wording.reason(reason["code"], {**reason["values"], "currency": self._money})

    def missing(self, customer_id: str, *, status: str = "not_found") -> dict[str, Any]:
        """Return the flat row of somebody unknown or suppressed.

        It has the run's values; every other is null, and the status is the reason.
        """
        score: dict[str, Any] = dict.fromkeys(NAMES)
        score.update(zip(RUN_NAMES, self._constants, strict=True))
        score.update(customer_id=customer_id, status=status, as_of=self._as_of, quality={})
        score["null_reasons"] = {name: status for name in NULLABLE_NAMES if score[name] is None}
        return score

    def lists(
        self,
        slots: Mapping[str, Sequence[Slot]],
        items: Mapping[int, Item],
        *,
        limit: int,
        with_product: bool,
    ) -> dict[str, list[dict[str, Any]]]:
        """Return lists by kind, best first, each place with its score and reason."""
        return {
            kind: [
                self._place(rank, slot, items, with_product=with_product)
                for rank, slot in enumerate(chosen[:limit], start=1)
                if slot.item_no in items
            ]
            for kind, chosen in slots.items()
        }

    def place_reason(self, slot: Slot, items: Mapping[int, Item]) -> str:
        """Return the sentence that says why an item is in a list."""
        words: dict[str, float | str] = {**_values_of(slot, self._meta)}
        evidence = None if slot.evidence_no is None else items.get(slot.evidence_no)
        if evidence is not None:
            words["evidence"] = evidence.name or evidence.product_id
        return self._wording.recommendation(slot.reason, words)

    def _place(
        self, rank: int, slot: Slot, items: Mapping[int, Item], *, with_product: bool
    ) -> dict[str, Any]:
        item = items[slot.item_no]
        evidence = None if slot.evidence_no is None else items.get(slot.evidence_no)
        place: dict[str, Any] = {
            "rank": rank,
            "product_id": item.product_id,
            "score": round(slot.score, 6),
            "source": slot.source,
            "reason": {
                "code": slot.reason,
                "values": _values_of(slot, self._meta),
                "evidence_product_id": evidence.product_id if evidence else None,
                "text": self.place_reason(slot, items),
            },
        }
        if with_product:
            place["product"] = {name: getattr(item, name) for name in PRODUCT_NAMES}
            place["product"]["currency"] = self._meta.currency
        return place


def _values_of(slot: Slot, meta: RunMeta) -> dict[str, float]:
    reason = REASONS[REASON_NUMBERS[slot.reason]]
    named = {reason.value_name: slot.value, reason.spread_name: slot.spread}
    if slot.reason in SHOP_KINDS:
        named["window_days"] = meta.popularity_days
    if slot.reason in _COUNTED_AT_TRAINING:
        # What the recommender counted ends with its training; today's run may be days younger.
        named["window_ended_days_ago"] = _training_age_days(meta) or None
    return {name: value for name, value in named.items() if name is not None and value is not None}


def _training_age_days(meta: RunMeta) -> int:
    card = meta.models.get("recommender")
    return 0 if card is None or card.data_until is None else (meta.as_of - card.data_until).days


def item_numbers(slots: Mapping[str, Sequence[Slot]], *, limit: int) -> Iterable[int]:
    """Return the numbers of every item that lists show, evidence included."""
    for chosen in slots.values():
        for slot in chosen[:limit]:
            yield slot.item_no
            if slot.evidence_no is not None:
                yield slot.evidence_no


def run_constants(meta: RunMeta) -> tuple[Any, ...]:
    """Return the values that are the same in every row of a run, in the order of `rows.RUN_NAMES`."""
    versions = {task: card.version for task, card in meta.models.items()}
    values = {
        "scored_at": meta.scored_at.isoformat().replace("+00:00", "Z"),
        "score_run_id": meta.score_run_id,
        "churn_model_version": versions.get("churn"),
        "clv_model_version": versions.get("clv"),
        "recommender_model_version": versions.get("recommender"),
        "churn_horizon_days": meta.churn_horizon_days,
        "usual_churn_probability": meta.usual_churn_probability,
        "clv_horizon_days": meta.clv_horizon_days,
        "first_season": meta.first_season,
        "currency": meta.currency,
        "clv_basis": meta.clv_basis,
        "clv_discount_rate": meta.clv_discount_rate,
    }
    return tuple(values[column.name] for column in COLUMNS if column.of_run)
