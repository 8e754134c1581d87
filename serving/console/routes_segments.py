"""The text box for segments: count, members, presets and saved ones."""

from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import quote, urlencode

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from features.condition_completion import complete, values_wanted
from features.condition_text import FilterError
from features.item_filter import TEXT_LENGTH_MAX
from serving.console.completion_words import meanings_in
from serving.console.mistake_words import say_mistake
from serving.console.pages import PageRoute, page
from serving.console.plain_words import Speaker
from serving.console.same_origin import check_same_origin, read_form
from serving.console.tongues import tongue_of
from serving.console.words import UNSAVED
from serving.schemas.segments import BegunText, NewSegment, read_body
from serving.segments.desk import Segment, compiled
from serving.segments.profile import read_cards, read_profile, read_size
from serving.segments.words import SEGMENTS, compile_segment
from serving.store.overlay_run import OverlaidRun
from serving.store.records import SegmentOrder
from serving.web.answers import json_answer
from serving.web.bodies import read_json
from serving.web.context import Context, context_of
from serving.web.problems import ProblemError
from serving.web.scopes import caller_of, needs

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_ROWS: Final = 25
_BODY_BYTES_MAX: Final = 10_000
_TEXT_READ_MAX: Final = 2 * TEXT_LENGTH_MAX
_NAME_READ_MAX: Final = 200
"""More than may be saved: whoever typed too much sees it again, and why."""


class _Mistake(NamedTuple):
    """What is wrong with a text: the words, and the text in three parts, the wrong one in the middle."""

    message: str
    before: str
    wrong: str
    after: str


@router.get("/segments", openapi_extra=needs("audiences:read"))
async def show_segments(
    request: Request,
    text: Annotated[str, Query(alias="q", max_length=_TEXT_READ_MAX)] = "",
    title: Annotated[str, Query(max_length=_NAME_READ_MAX)] = "",
    slug: Annotated[str, Query(max_length=_NAME_READ_MAX)] = "",
    unsaved: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """Show what a condition holds, or what is wrong with it, beside the presets and what was saved.

    Where it was to be saved and could not be, `unsaved` says why, and what was typed stays.
    """
    context = context_of(request)
    run = context.runs.current()
    count, customers, mistake = None, list[dict[str, Any]](), None
    if text.strip():
        try:
            condition = compile_segment(text, run.meta)
        except FilterError as error:
            offset, length = error.span
            end = offset + length
            parts = (text[:offset], text[offset:end], text[end:])
            mistake = _Mistake(say_mistake(tongue_of(request), error), *parts)
        else:
            count = await run.count_segment(condition)
            order = SegmentOrder("predicted_clv")
            places = await run.list_segment(condition, after=None, limit=_ROWS, order=order)
            customers = await _shown(request, run, [place.customer_id for place in places])
    return page(
        request,
        "segments.html",
        meta=run.meta,
        text=text,
        count=count,
        customers=customers,
        mistake=mistake,
        speaker=Speaker(tongue_of(request), run.meta),
        cards=await read_cards(run),
        example=SEGMENTS.example,
        segments=await context.segments.list_all(run),
        typed={"title": title, "slug": slug},
        unsaved=unsaved if unsaved in UNSAVED else "",
    )


@router.get("/micro-segments", openapi_extra=needs("audiences:read"))
async def show_tree(request: Request) -> Response:
    """Show the tree of micro-segments."""
    run = context_of(request).runs.current()
    found = await run.get_document("micro_segments")
    tree = None if found is None else orjson.loads(found)
    return page(request, "micro_segments.html", meta=run.meta, tree=tree)


@router.post("/segments/look", openapi_extra=needs("audiences:read"))
async def look(request: Request) -> Response:
    """Return what may be written next in a text that is begun, and how many it holds if it is a condition."""
    wanted = read_body(BegunText, await read_json(request, bytes_max=_BODY_BYTES_MAX))
    run = context_of(request).runs.current()
    name = values_wanted(wanted.text, wanted.cursor, SEGMENTS)
    values = {} if name is None else {name: await run.list_values(name)}
    meanings = meanings_in(tongue_of(request))
    found = complete(wanted.text, wanted.cursor, SEGMENTS, values=values, meanings=meanings)
    try:
        count = await run.count_segment(compile_segment(wanted.text, run.meta))
    except FilterError:
        count = None  # It is not finished: that is no mistake yet.
    completions = [each._asdict() for each in found]
    return json_answer({"completions": completions, "count": count, "total": run.meta.customer_count})


@router.get("/segments/{slug}", openapi_extra=needs("audiences:read"))
async def show_segment(request: Request, slug: str) -> Response:
    """Show a segment: what it means, what sets its members apart, its versions, who came and went."""
    context = context_of(request)
    run = context.runs.current()
    segment = await context.segments.find(slug, run)
    history = await context.segments.history(segment)
    versions = sorted(history["versions"], key=lambda each: -each["version"])
    sizes = sorted(history["sizes"], key=lambda each: (each["as_of"], each["score_run_id"]), reverse=True)
    return page(
        request,
        "segment.html",
        meta=run.meta,
        segment=segment,
        control=context.settings.control,
        versions=versions,
        sizes=sizes,
        **await _portrait(request, run, segment),
    )


@router.post("/segments", openapi_extra=needs("segments:write"))
async def save_segment(request: Request) -> Response:
    """Save the text under a name, or as the next version of one."""
    check_same_origin(request)
    form = await read_form(request)
    words = {name: str(form.get(name, "")).strip() for name in ("slug", "title", "text")}
    context, key = context_of(request), caller_of(request)
    try:
        wanted = read_body(NewSegment, words)
        compiled(wanted.text, context.runs.current().meta)
        await context.segments.save(wanted.slug, wanted.title, wanted.text, key_id=key.key_id if key else "")
    except ProblemError as problem:
        if problem.status not in (409, 422):
            raise
        kept = {
            "q": words["text"][:_TEXT_READ_MAX],
            "title": words["title"][:_NAME_READ_MAX],
            "slug": words["slug"][:_NAME_READ_MAX],
            "unsaved": _unsaved(problem),
        }
        return RedirectResponse(f"/segments?{urlencode(kept)}#save", status_code=303)
    return RedirectResponse(f"/segments/{quote(wanted.slug)}", status_code=303)


def _unsaved(problem: ProblemError) -> str:
    """Return why a segment was not saved, as `UNSAVED` has it."""
    if problem.status == 409:
        return "full"
    error = problem.errors[0]
    return "taken" if error.code == "preset" else error.pointer.rpartition("/")[2]


async def _portrait(request: Request, run: OverlaidRun, segment: Segment) -> dict[str, Any]:
    """Return what a page says of a segment; a text that today's words do not know has no portrait."""
    try:
        size = await read_size(run, compile_segment(segment.text, run.meta))
    except FilterError:
        return {"speaker": None, "size": None, "profile": None}
    profile = await read_profile(run, segment.text, member_count=size.member_count)
    return {"speaker": Speaker(tongue_of(request), run.meta), "size": size, "profile": profile}


async def _shown(request: Request, run: OverlaidRun, customer_ids: list[str]) -> list[dict[str, Any]]:
    context: Context = context_of(request)
    rows = await run.get_scores(customer_ids)
    view, gone = context.view(run, tongue_of(request).code), context.suppressed.people
    return [view.flat(rows[each]) for each in customer_ids if each in rows and each not in gone]
