"""People who leave in an answer: written down, then streamed as CSV."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response

from serving.audiences.leaving import LeavingPeople
from serving.exports.book import leaving_people
from serving.exports.member_csv import stream_csv
from serving.offers.slot_export import ItemColumns
from serving.web.answers import csv_answer
from serving.web.calls import Taken
from serving.web.context import context_of
from serving.web.scopes import caller_of


async def csv_of_people(
    request: Request, people: LeavingPeople, items: ItemColumns, *, asked: Mapping[str, Any], name: str
) -> Response:
    """Return people as a CSV file of a name, once it is written down that they leave.

    `asked` is the filter and the form as they are written down; raises a 503 problem where they cannot be.
    """
    context, key = context_of(request), caller_of(request)
    leaving = leaving_people(people, key_id=key.key_id if key else "", request=asked)
    export_id = await context.export_book.begin(leaving)
    parts = stream_csv(people, items.view, excel=asked["format"] == "excel", items=items)
    chunks = context.export_book.followed(parts, export_id, people)
    return csv_answer(request, chunks, Taken(people.name, asked["format"]), name, turns=context.turns)
