"""What customers may cost: a calculator over figures that are sent; nothing is stored."""

from dataclasses import asdict
from typing import Final

from fastapi import APIRouter, Request, Response

from serving.openapi import BODY_PROBLEMS, PROBLEMS, body_of
from serving.schemas.economics import EconomicsAnswer
from serving.schemas.economics_request import EconomicsAsked, read_economics_request
from serving.web.answers import json_answer
from serving.web.bodies import read_json
from serving.web.scopes import ScopedRoute, needs

router = APIRouter(route_class=ScopedRoute, prefix="/v1", tags=["economics"])

BODY_BYTES_MAX: Final = 200_000
_EXAMPLE: Final = {
    "channels": [
        {
            "name": "search",
            "clv": 100.0,
            "spend": 15000.0,
            "new_customer_count": 500,
            "conversion_rate": 0.1,
        }
    ]
}


@router.post(
    "/economics",
    responses={200: {"model": EconomicsAnswer}, **PROBLEMS, **BODY_PROBLEMS},
    openapi_extra=needs("predictions:read") | body_of(EconomicsAsked, _EXAMPLE),
)
async def post_economics(request: Request) -> Response:
    """Return LTV:CAC, ROI, pay-back, break-even and target bid of each channel, from what is sent.

    ROI and bids mean profit where `clv` is on the margin basis; on another basis they mean money taken.
    """
    asked = read_economics_request(await read_json(request, bytes_max=BODY_BYTES_MAX))
    channels = [
        {"name": channel.name}
        | asdict(channel.economics(target_ratio=asked.target_ratio, clv_horizon_days=asked.clv_horizon_days))
        for channel in asked.channels
    ]
    return json_answer(
        {
            "target_ratio": asked.target_ratio,
            "clv_horizon_days": asked.clv_horizon_days,
            "channels": channels,
        }
    )
