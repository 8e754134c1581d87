"""The preview of recommendations: for a customer, a product, or somebody unknown, under a filter."""

from functools import partial
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from features.item_filter import TEXT_LENGTH_MAX, FilterError, compile_filter
from serving.console.mistake_words import say_mistake
from serving.console.pages import PageRoute, page
from serving.console.tongues import tongue_of
from serving.offers.baskets import BUNDLE
from serving.offers.rerank import DEPTH, STORED_ORDER, Order, reorder_lists
from serving.offers.slot_choice import NO_RULES, Rules, choose_lists, filter_slots
from serving.present import item_numbers
from serving.store.overlay_run import OverlaidRun
from serving.web.context import Context, context_of
from serving.web.ids import is_id
from serving.web.scopes import needs

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_SIMILAR: Final = "similar"


def _unless_blank(value: object, *, default: object) -> object:
    """Return what was typed; a field that was emptied stands for its default."""
    return default if isinstance(value, str) and not value.strip() else value


class OffersAsked(BaseModel):
    """What was asked of the preview; an empty text stands for nothing."""

    model_config = ConfigDict(extra="ignore")

    id: Annotated[str, Field(max_length=256)] = ""
    product: Annotated[str, Field(max_length=256)] = ""
    filter: Annotated[str, Field(max_length=TEXT_LENGTH_MAX)] = ""
    limit: Annotated[int, Field(ge=1, le=50), BeforeValidator(partial(_unless_blank, default=10))] = 10
    objective: Annotated[
        Literal["purchase", "revenue", "margin"], BeforeValidator(partial(_unless_blank, default="purchase"))
    ] = "purchase"
    diversity: Annotated[
        float,
        Field(ge=0, le=1, allow_inf_nan=False),
        BeforeValidator(partial(_unless_blank, default=0.0)),
    ] = 0.0


@router.get("/recommendations", openapi_extra=needs("audiences:read"))
async def show_offers(request: Request, asked: Annotated[OffersAsked, Query()]) -> Response:
    """Show the lists of a customer or a product; without either, what somebody unknown gets."""
    context = context_of(request)
    run = context.runs.current()
    asked = await _trimmed(context, run, asked)
    try:
        rules = Rules(compile_filter(asked.filter)) if asked.filter.strip() else NO_RULES
        mistake = None
    except FilterError as error:
        rules, mistake = NO_RULES, say_mistake(tongue_of(request), error)
    lists: dict[str, list[dict[str, Any]]] = {}
    is_unknown = False
    if mistake is None and asked.product:
        found = await _product_lists(request, run, asked, rules)
        lists, is_unknown = found or {}, found is None
    elif mistake is None:
        is_known = await _is_known(context, run, asked.id)
        is_unknown = bool(asked.id) and not is_known
        lists = await _customer_lists(request, run, asked, rules=rules, is_known=is_known)
    return page(
        request,
        "offers.html",
        meta=run.meta,
        asked=asked,
        lists=lists,
        mistake=mistake,
        is_unknown=is_unknown,
    )


async def _trimmed(context: Context, run: OverlaidRun, asked: OffersAsked) -> OffersAsked:
    """Return ids without the blanks around them, but where an id has these itself."""
    trimmed = {}
    if not await _is_known(context, run, asked.id):
        trimmed["id"] = asked.id.strip()
    if asked.product not in await run.get_item_lists([asked.product]):
        trimmed["product"] = asked.product.strip()
    return asked.model_copy(update=trimmed)


async def _is_known(context: Context, run: OverlaidRun, customer_id: str) -> bool:
    if not is_id(customer_id) or customer_id in context.suppressed.people:
        return False
    return await run.get_score(customer_id) is not None


async def _customer_lists(
    request: Request, run: OverlaidRun, asked: OffersAsked, *, rules: Rules, is_known: bool
) -> dict[str, list[dict[str, Any]]]:
    context = context_of(request)
    order = Order(asked.objective, asked.diversity)
    heard = run.heard_through(asked.id)
    choice = await choose_lists(
        run,
        asked.id,
        is_known=is_known,
        limit=asked.limit if order == STORED_ORDER else DEPTH,
        rules=rules,
        bought_since=await context.receiver.bought_since(asked.id, heard) if is_known else (),
    )
    if order != STORED_ORDER:
        choice, _ = await reorder_lists(run, choice, order, limit=asked.limit)
    items = await run.get_items(item_numbers(choice.lists, limit=asked.limit))
    view = context.view(run, tongue_of(request).code)
    return view.lists(choice.lists, items, limit=asked.limit, with_product=True)


async def _product_lists(
    request: Request, run: OverlaidRun, asked: OffersAsked, rules: Rules
) -> dict[str, list[dict[str, Any]]] | None:
    """Return a product's lists, None where there is no such product."""
    held = (await run.get_item_lists([asked.product])).get(asked.product)
    if held is None:
        return None
    chosen = {}
    for kind in (_SIMILAR, BUNDLE):
        chosen[kind], _ = await filter_slots(run, held.lists.get(kind, ()), rules, limit=asked.limit)
    items = await run.get_items(item_numbers(chosen, limit=asked.limit))
    view = context_of(request).view(run, tongue_of(request).code)
    return view.lists(chosen, items, limit=asked.limit, with_product=True)
