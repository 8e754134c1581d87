"""The campaign of a CSV's plan, from its address: the figures that the plan call takes in its body."""

from typing import Annotated, Final

from fastapi import Depends, Query

from serving.schemas.plan_request import CampaignRequest, Money, Share
from serving.web.problems import FieldError, malformed

_FIELDS: Final = CampaignRequest.model_fields


def _described(name: str) -> str | None:
    return _FIELDS[name].description


async def read_costs(
    margin_share: Annotated[Share | None, Query(description=_described("margin_share"))] = None,
    offer_cost: Annotated[Money | None, Query(description=_described("offer_cost"))] = None,
    contact_cost: Annotated[Money | None, Query(description=_described("contact_cost"))] = None,
    loyal_redeem_share: Annotated[Share | None, Query(description=_described("loyal_redeem_share"))] = None,
    budget: Annotated[Money | None, Query(description=_described("budget"))] = None,
) -> dict[str, float]:
    """Return the figures of money that an address has."""
    given = {
        "margin_share": margin_share,
        "offer_cost": offer_cost,
        "contact_cost": contact_cost,
        "loyal_redeem_share": loyal_redeem_share,
        "budget": budget,
    }
    return {name: value for name, value in given.items() if value is not None}


async def read_responses(
    response_share: Annotated[Share | None, Query(description=_described("response_share"))] = None,
    response_low: Annotated[Share | None, Query(description=_described("response_low"))] = None,
    response_high: Annotated[Share | None, Query(description=_described("response_high"))] = None,
) -> dict[str, float]:
    """Return the response that an address has."""
    given = {
        "response_share": response_share,
        "response_low": response_low,
        "response_high": response_high,
    }
    return {name: value for name, value in given.items() if value is not None}


async def read_plan(
    costs: Annotated[dict[str, float], Depends(read_costs)],
    responses: Annotated[dict[str, float], Depends(read_responses)],
    plan: Annotated[
        bool, Query(description="only whom a plan of this campaign says to contact, in its order")
    ] = False,
) -> CampaignRequest | None:
    """Return the campaign of a request, None where it is of a whole list; raises a 422 problem."""
    if plan:
        return CampaignRequest(**costs, **responses)
    wrong = [
        FieldError(f"/query/{name}", "contradiction", "this is for a plan: add plan=true")
        for name in (*costs, *responses)
    ]
    if wrong:
        raise malformed(*wrong)
    return None


PlanWanted = Annotated[CampaignRequest | None, Depends(read_plan)]
