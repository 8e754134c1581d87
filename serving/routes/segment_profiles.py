"""What segments are: the suggested ones, and the profile of any."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from serving.console.plain_words import Speaker
from serving.console.tongues import tongue_of
from serving.openapi import PROBLEMS
from serving.schemas.segments import SegmentProfile, SuggestionList
from serving.segments.desk import compiled
from serving.segments.profile import HORIZON_DAYS, Card, Profile, read_cards, read_profile, read_size
from serving.store.records import RunMeta
from serving.web.answers import json_answer
from serving.web.context import context_of
from serving.web.scopes import ScopedRoute, needs

router = APIRouter(route_class=ScopedRoute, prefix="/v1/segments", tags=["segments"])

_TRAIT: Final = {
    "name": "coupon_order_count",
    "value": "yes",
    "words": "orders with a coupon: yes",
    "above": None,
    "up_to": None,
    "member_share": 0.3,
    "other_share": 0.1,
    "lift": 3.0,
    "low": 1.55,
    "high": 5.8,
}
_RUN: Final = {"score_run_id": "s_0042", "as_of": "2026-11-22", "currency": "EUR", "horizon_days": 90}
_SIZE: Final = {
    "member_count": 812,
    "expected_revenue": 41_200.0,
    "expected_revenue_low": 38_100.0,
    "expected_revenue_high": 44_300.0,
    "order_share": 0.41,
    "level_error": 0.05,
}
_PROFILE: Final = {"traits": [_TRAIT], "compared_count": 96, "member_seen": 812, "other_seen": 10_000}
_TOLD: Final = {
    "text": "is_in_top_share",
    "explanation": "Customers: among the fifth with the highest expected spend.",
}


def _answers(model: type, example: object) -> dict[int | str, dict[str, Any]]:
    return {200: {"model": model, "content": {"application/json": {"example": example}}}, **PROBLEMS}


@router.get(
    "/suggested",
    responses=_answers(
        SuggestionList,
        {
            **_RUN,
            "suggestions": [
                {
                    "slug": "high-value",
                    "title": "High value",
                    **_TOLD,
                    "reason": None,
                    "size": _SIZE,
                    "profile": _PROFILE,
                }
            ],
        },
    ),
    openapi_extra=needs("audiences:read"),
)
async def list_suggested(request: Request) -> Response:
    """Return the segments that are suggested to this shop: size, expected revenue, what sets them apart."""
    run = context_of(request).runs.current()
    speaker = Speaker(tongue_of(request), run.meta)
    cards = await read_cards(run)
    return json_answer({**_of_run(run.meta), "suggestions": [_card(card, speaker) for card in cards]})


@router.get(
    "/{slug}/profile",
    responses=_answers(
        SegmentProfile,
        {"segment": "high-value", "version": 0, **_TOLD, **_RUN, "size": _SIZE, "profile": _PROFILE},
    ),
    openapi_extra=needs("audiences:read"),
)
async def get_profile(request: Request, slug: str) -> Response:
    """Return what a segment means in plain words, what is expected of it, and what sets its members apart."""
    context = context_of(request)
    run = context.runs.current()
    segment = await context.segments.find(slug, run)
    size = await read_size(run, compiled(segment.text, run.meta))
    profile = await read_profile(run, segment.text, member_count=size.member_count)
    speaker = Speaker(tongue_of(request), run.meta)
    return json_answer(
        {
            "segment": slug,
            "version": segment.version,
            "text": segment.text,
            "explanation": speaker.sentence(segment.text),
            **_of_run(run.meta),
            "size": size._asdict(),
            "profile": _profile(profile, speaker),
        }
    )


def _of_run(meta: RunMeta) -> dict[str, Any]:
    return {
        "score_run_id": meta.score_run_id,
        "as_of": meta.as_of,
        "currency": meta.currency,
        "horizon_days": HORIZON_DAYS,
    }


def _card(card: Card, speaker: Speaker) -> dict[str, Any]:
    suggestion = card.suggestion
    return {
        "slug": suggestion.slug,
        "title": suggestion.title,
        "text": suggestion.text,
        "explanation": speaker.sentence(suggestion.text),
        "reason": card.reason,
        "size": card.size and card.size._asdict(),
        "profile": card.profile and _profile(card.profile, speaker),
    }


def _profile(profile: Profile, speaker: Speaker) -> dict[str, Any]:
    traits = [{**each._asdict(), "words": speaker.trait(each)} for each in profile.traits]
    return {**profile._asdict(), "traits": traits}
