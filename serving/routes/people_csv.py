"""People who leave in an answer: written down, then streamed as CSV."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import Depends, Query, Request, Response

from serving.audiences.leaving import LeavingPeople
from serving.exports.book import leaving_people
from serving.exports.member_csv import stream_csv
from serving.offers.slot_columns import ITEMS_MAX
from serving.offers.slot_export import ItemColumns
from serving.routes.customers import ListKind
from serving.web.answers import csv_answer
from serving.web.calls import Taken
from serving.web.context import context_of
from serving.web.scopes import caller_of
from serving.wording import LanguageCode


class CsvForm(NamedTuple):
    """How a CSV is written: for whom, with columns for so many items of one kind, in which language."""

    format: Literal["plain", "excel"]
    items: int
    kind: ListKind
    language: LanguageCode

    @property
    def told(self) -> dict[str, Any]:
        """What is written down of it."""
        return {"format": self.format, "items": self.items, "language": self.language}


def read_form(
    form: Annotated[Literal["plain", "excel"], Query(alias="format")] = "plain",
    items: Annotated[
        int, Query(ge=0, le=ITEMS_MAX, description="columns for so many items behind the others")
    ] = 0,
    kind: Annotated[
        ListKind, Query(description="the list that the columns of items are taken from")
    ] = "for_you",
    language: Annotated[
        LanguageCode, Query(description="the language of reasons and suggested actions")
    ] = "en",
) -> CsvForm:
    """Return the form that a call asks for."""
    return CsvForm(form, items, kind, language)


FormWanted = Annotated[CsvForm, Depends(read_form)]


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
