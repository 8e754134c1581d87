"""A product's lists, and what goes with a basket: nobody's, so they need no customer."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, NamedTuple

from fastapi import APIRouter, Query, Request, Response

from features.slots import Slot
from serving.offers.baskets import BUNDLE, merge_bundles
from serving.offers.slot_choice import Rules, filter_slots
from serving.offers.slot_query import AskedItemRules
from serving.openapi import PROBLEMS
from serving.present import item_numbers
from serving.schemas.offers import Bundle, ItemList
from serving.store.contract import ScoreRun
from serving.web.answers import is_unchanged, private_answer, tag_of, unchanged_answer
from serving.web.context import Context, context_of
from serving.web.ids import id_in_path, ids_in_query
from serving.web.problems import FieldError, malformed, unknown_product
from serving.web.scopes import ScopedRoute, needs

router = APIRouter(route_class=ScopedRoute, prefix="/v1", tags=["items"])

BASKET_SIZE_MAX: Final = 100
Limit = Annotated[int, Query(ge=1, le=20, description="places")]
Include = Annotated[str, Query(description="`product` adds name, category, price, url and image")]
_PREFIX = b"/v1/items/"
_SIMILAR = "similar"
_EMPTY: Final = {_SIMILAR: "nothing_alike", BUNDLE: "nothing_bought_together"}
_RUN_EXAMPLE: Final[dict[str, Any]] = {
    "as_of": "2026-11-22",
    "scored_at": "2026-11-22T00:10:00Z",
    "score_run_id": "s_0042",
    "recommender_model_version": 3,
    "unavailable": None,
    "short_fill": {"wanted": 10, "got": 1, "reason": "no_more_items"},
}


def _place_example(product_id: str, score: float, code: str, values: dict[str, float], text: str) -> Any:  # noqa: ANN401 - JSON
    reason = {"code": code, "values": values, "evidence_product_id": "filter-4", "text": text}
    return {"rank": 1, "product_id": product_id, "score": score, "source": "item", "reason": reason}


_SIMILAR_PLACE = _place_example("filter-2", 0.91, "similar_to", {}, "similar to Filter papers no. 4")
_BUNDLE_PLACE = _place_example(
    "beans-1kg",
    2.4,
    "bought_together",
    {"basket_share": 0.31},
    "31 % of the baskets with Filter papers no. 4 hold this too",
)
_LIST_EXAMPLE: Final = {"product_id": "filter-4", **_RUN_EXAMPLE}
_BASKET_EXAMPLE: Final = {
    "product_ids": ["filter-4", "cup-white"],
    "unknown_product_ids": [],
    **_RUN_EXAMPLE,
    "places": [_BUNDLE_PLACE],
}


def _answers(model: type, example: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {200: {"model": model, "content": {"application/json": {"example": example}}}, **PROBLEMS}


@router.get(
    "/items/{product_id:product_id}/similar",
    responses=_answers(ItemList, {**_LIST_EXAMPLE, "kind": _SIMILAR, "places": [_SIMILAR_PLACE]}),
    openapi_extra=needs("predictions:read"),
)
async def get_similar(
    request: Request, product_id: str, rules: AskedItemRules, limit: Limit = 10, include: Include = ""
) -> Response:
    """Return the substitutes of a product, best first; also of one that was never sold."""
    exact_id = id_in_path(request.scope["raw_path"], before=_PREFIX, after=b"/similar", name="product_id")
    return await _answer_list(request, exact_id, _SIMILAR, _Asked(rules, limit, _wants_product(include)))


@router.get(
    "/items/{product_id:product_id}/bundle",
    responses=_answers(ItemList, {**_LIST_EXAMPLE, "kind": BUNDLE, "places": [_BUNDLE_PLACE]}),
    openapi_extra=needs("predictions:read"),
)
async def get_item_bundle(
    request: Request, product_id: str, rules: AskedItemRules, limit: Limit = 10, include: Include = ""
) -> Response:
    """Return what is bought in one basket with a product above chance, best first."""
    exact_id = id_in_path(request.scope["raw_path"], before=_PREFIX, after=b"/bundle", name="product_id")
    return await _answer_list(request, exact_id, BUNDLE, _Asked(rules, limit, _wants_product(include)))


@router.get("/bundle", responses=_answers(Bundle, _BASKET_EXAMPLE), openapi_extra=needs("predictions:read"))
async def get_bundle(
    request: Request,
    product_id: Annotated[list[str], Query(description="a product of the basket; repeat it for each")],
    rules: AskedItemRules,
    limit: Limit = 10,
    include: Include = "",
) -> Response:
    """Return what goes with a basket or an order just placed, best first; no customer is needed."""
    query = request.scope["query_string"]
    basket = list(dict.fromkeys(ids_in_query(query, "product_id", count_max=BASKET_SIZE_MAX)))
    asked = _Asked(rules, limit, _wants_product(include))
    context = context_of(request)
    run = context.runs.current()
    tag = tag_of(run.meta.score_run_id)
    if is_unchanged(request, tag):
        return unchanged_answer(tag)
    held = await run.get_item_lists(basket)
    if not held:
        raise unknown_product()
    partners = await run.get_items(
        slot.item_no for found in held.values() for slot in found.lists.get(BUNDLE, ())
    )
    merged = merge_bundles(held.values(), partners)
    answer = {
        "product_ids": [product for product in basket if product in held],
        "unknown_product_ids": [product for product in basket if product not in held],
        **await _run_and_places(context, run, BUNDLE, merged, asked),
    }
    return private_answer(answer, tag)


class _Asked(NamedTuple):
    rules: Rules
    limit: int
    with_product: bool


async def _answer_list(request: Request, product_id: str, kind: str, asked: _Asked) -> Response:
    context = context_of(request)
    run = context.runs.current()
    tag = tag_of(run.meta.score_run_id)
    if is_unchanged(request, tag):
        return unchanged_answer(tag)
    held = (await run.get_item_lists([product_id])).get(product_id)
    if held is None:
        raise unknown_product()
    slots = held.lists.get(kind, ())
    rest = await _run_and_places(context, run, kind, slots, asked)
    return private_answer({"product_id": product_id, "kind": kind, **rest}, tag)


async def _run_and_places(
    context: Context, run: ScoreRun, kind: str, slots: Sequence[Slot], asked: _Asked
) -> dict[str, Any]:
    meta = run.meta
    recommender = meta.models.get("recommender")
    kept, short = await filter_slots(run, slots, asked.rules, limit=asked.limit)
    items = await run.get_items(item_numbers({kind: kept}, limit=asked.limit))
    lists = context.view(run).lists({kind: kept}, items, limit=asked.limit, with_product=asked.with_product)
    return {
        "as_of": meta.as_of,
        "scored_at": meta.scored_at,
        "score_run_id": meta.score_run_id,
        "recommender_model_version": recommender.version if recommender else None,
        "places": lists[kind],
        "unavailable": None if slots else meta.unavailable_kinds.get(kind, _EMPTY[kind]),
        "short_fill": None if short is None or not slots else short._asdict(),
    }


def _wants_product(include: str) -> bool:
    names = {part.strip() for part in include.split(",") if part.strip()}
    if not names <= {"product"}:
        raise malformed(FieldError("/query/include", "unknown", "allowed: product"))
    return bool(names)
