"""One customer: predictions and recommendations."""

from typing import Annotated, Any, Literal
from zlib import crc32

from fastapi import APIRouter, Query, Request, Response

from features.slots import SHOWN_KINDS
from serving.offers.rerank import DEPTH, STORED_ORDER, reorder_lists
from serving.offers.slot_choice import Choice, choose_lists
from serving.offers.slot_query import AskedOrder, AskedRules
from serving.openapi import PROBLEMS
from serving.present import item_numbers
from serving.schemas.customers import Prediction
from serving.schemas.offers import Recommendations
from serving.store.contract import ScoreRun
from serving.store.overlay_run import OverlaidRun
from serving.web.answers import is_unchanged, private_answer, tag_of, unchanged_answer
from serving.web.context import Context, context_of
from serving.web.ids import id_in_path, id_in_query
from serving.web.problems import FieldError, malformed, unknown_customer
from serving.web.scopes import ScopedRoute, needs

router = APIRouter(route_class=ScopedRoute, prefix="/v1", tags=["customers"])

Missing = Annotated[
    Literal["404", "fallback"],
    Query(description="for an unknown customer: 404, or 200 with status not_found and popular items"),
]
Include = Annotated[str, Query(description="comma-separated; what to add to the answer")]
ListKind = Literal["for_you", "buy_again", "cross_sell", "upsell", "popular", "trending", "new"]
Limit = Annotated[int, Query(ge=1, le=50, description="places a list")]
SUPPRESSED = "suppressed"
_PREFIX = b"/v1/customers/"
_IN_PREDICTIONS = ("recommendations", "reasons")
_IN_RECOMMENDATIONS = ("product",)
_PLACES_IN_PREDICTIONS = 10


@router.get(
    "/customers/{customer_id:customer_id}/predictions",
    responses={200: {"model": Prediction}, **PROBLEMS},
    openapi_extra=needs("predictions:read"),
)
async def get_predictions(
    request: Request, customer_id: str, include: Include = "", on_missing: Missing = "404"
) -> Response:
    """Return one customer's scores; `include=recommendations,reasons` (reasons come unasked)."""
    exact_id = id_in_path(request.scope["raw_path"], before=_PREFIX, after=b"/predictions")
    return await _answer_predictions(request, exact_id, include, on_missing=on_missing)


@router.get(
    "/predictions",
    responses={200: {"model": Prediction}, **PROBLEMS},
    openapi_extra=needs("predictions:read"),
)
async def get_predictions_by_query(
    request: Request,
    customer_id: Annotated[str, Query(min_length=1, max_length=256)],
    include: Include = "",
    on_missing: Missing = "404",
) -> Response:
    """Return one customer's scores; the id as a query parameter, for callers that cannot encode a path."""
    exact_id = id_in_query(request.scope["query_string"], "customer_id")
    return await _answer_predictions(request, exact_id, include, on_missing=on_missing)


@router.get(
    "/customers/{customer_id:customer_id}/recommendations",
    responses={200: {"model": Recommendations}, **PROBLEMS},
    openapi_extra=needs("predictions:read"),
)
async def get_recommendations(
    request: Request,
    customer_id: str,
    rules: AskedRules,
    order: AskedOrder,
    kind: Annotated[ListKind | None, Query(description="one kind; without it, all of them")] = None,
    limit: Limit = 10,
    include: Include = "",
    on_missing: Missing = "404",
) -> Response:
    """Return one customer's lists, best first, each place with its score and reason; `include=product`.

    What `filter`, `bought_within_days` and `exclude` leave out is left out before a list is cut to `limit`;
    `for_you` and `popular` are then filled with popular items, and `short_fill` names lists that stay short.
    `objective` and `diversity` order what is left before it is cut.
    """
    exact_id = id_in_path(request.scope["raw_path"], before=_PREFIX, after=b"/recommendations")
    wanted = _included(include, _IN_RECOMMENDATIONS)
    context = context_of(request)
    run = context.runs.current()
    view = context.view(run)
    is_suppressed = exact_id in context.suppressed.people
    bought = await _bought_since(context, run, exact_id)
    version = _version(run, exact_id, bought)
    tag = tag_of(version, is_stale=view.is_stale, is_suppressed=is_suppressed)
    if is_unchanged(request, tag):
        return unchanged_answer(tag)
    is_known = not is_suppressed and await run.get_score(exact_id) is not None
    if not (is_known or is_suppressed) and on_missing == "404":
        raise unknown_customer()
    choice = await choose_lists(
        run,
        exact_id,
        is_known=is_known,
        limit=limit if order == STORED_ORDER else DEPTH,
        kinds=SHOWN_KINDS if kind is None else (kind,),
        rules=rules,
        bought_since=bought,
    )
    objective = order.objective
    if order != STORED_ORDER:
        choice, objective = await reorder_lists(run, choice, order, limit=limit)
    lists = await _shown(context, run, choice, with_product="product" in wanted)
    status = ("stale" if view.is_stale else "ok") if is_known else "not_found"
    if is_suppressed:
        status = SUPPRESSED
    answer = _recommendations(run, exact_id, lists, kind=kind, status=status)
    answer["objective"] = objective
    answer["short_fill"] = {name: short._asdict() for name, short in choice.short.items()}
    return private_answer(answer, tag)


async def _answer_predictions(
    request: Request, customer_id: str, include: str, *, on_missing: str
) -> Response:
    wanted = _included(include, _IN_PREDICTIONS) if include else frozenset()
    context = context_of(request)
    run = context.runs.current()
    view = context.view(run)
    is_suppressed = customer_id in context.suppressed.people
    bought = await _bought_since(context, run, customer_id) if "recommendations" in wanted else []
    version = _version(run, customer_id, bought)
    tag = tag_of(version, is_stale=view.is_stale, is_suppressed=is_suppressed)
    if is_unchanged(request, tag):
        return unchanged_answer(tag)
    row = None if is_suppressed else await run.get_score(customer_id)
    if row is None and not is_suppressed and on_missing == "404":
        raise unknown_customer()
    if row is None:
        score = view.missing(customer_id, status=SUPPRESSED if is_suppressed else "not_found")
    else:
        score = view.flat(row)
    if "recommendations" in wanted or (row is None and on_missing == "fallback"):
        choice = await choose_lists(
            run,
            customer_id,
            is_known=row is not None,
            limit=_PLACES_IN_PREDICTIONS,
            bought_since=bought,
        )
        score["recommendations"] = await _shown(context, run, choice)
    return private_answer(score, tag)


async def _bought_since(context: Context, run: OverlaidRun, customer_id: str) -> list[str]:
    """Return what a customer bought, as far as their lists do not know of it yet."""
    return await context.receiver.bought_since(customer_id, run.heard_through(customer_id))


def _version(run: OverlaidRun, customer_id: str, bought: list[str]) -> str:
    """Return what an answer depends on: the customer's scores, and what was bought since."""
    version = run.version_of(customer_id)
    return f"{version}-{crc32(repr(bought).encode()):08x}" if bought else version


async def _shown(
    context: Context, run: ScoreRun, choice: Choice, *, with_product: bool = False
) -> dict[str, Any]:
    longest = max(map(len, choice.lists.values()), default=0)
    items = await run.get_items(item_numbers(choice.lists, limit=longest))
    return context.view(run).lists(choice.lists, items, limit=longest, with_product=with_product)


def _recommendations(
    run: ScoreRun, customer_id: str, lists: dict[str, Any], *, kind: str | None, status: str
) -> dict[str, Any]:
    meta = run.meta
    recommender = meta.models.get("recommender")
    unavailable = {
        name: why
        for name, why in meta.unavailable_kinds.items()
        if name in SHOWN_KINDS and kind in (None, name)
    }
    return {
        "customer_id": customer_id,
        "status": status,
        "as_of": meta.as_of,
        "scored_at": meta.scored_at,
        "score_run_id": meta.score_run_id,
        "recommender_model_version": recommender.version if recommender else None,
        "lists": lists,
        "unavailable": unavailable,
    }


def _included(include: str, allowed: tuple[str, ...]) -> frozenset[str]:
    names = frozenset(part.strip() for part in include.split(",") if part.strip())
    if not names <= set(allowed):
        raise malformed(FieldError("/query/include", "unknown", f"allowed: {', '.join(allowed)}"))
    return names
