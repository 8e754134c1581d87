"""Cells of JSON messages, read strictly: money, quantities, instants, ids and texts.

A cell that cannot be read raises `CellError` with its place and a code; nothing of what was sent is repeated.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from zoneinfo import ZoneInfo

from serving.web.ids import CONTROL_CHARACTERS, ID_LENGTH_MAX

MONEY_SCALE: Final = 10_000
QUANTITY_SCALE: Final = 1_000
AMOUNT_MAX: Final = 100_000_000_000
_NUMBER_LENGTH_MAX: Final = 40
_TEXT_LENGTH_MAX: Final = 1_024
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)


class CellError(Exception):
    """A cell that cannot be read: where in the message (a pointer), and a code."""

    def __init__(self, pointer: str, code: str) -> None:
        super().__init__(f"{pointer}: {code}")
        self.pointer = pointer
        self.code = code


class Cells:
    """A JSON object and its place in a message; every read names the cell in its error."""

    def __init__(self, values: object, pointer: str = "", *, zone: ZoneInfo) -> None:
        if not isinstance(values, Mapping):
            raise CellError(pointer or "/", "no_object")
        self._values: Mapping[str, Any] = values
        self.pointer = pointer
        self._zone = zone

    def has(self, name: str) -> bool:
        """Say whether a cell is there and not null."""
        return self._values.get(name) is not None

    def raw(self, name: str) -> Any:  # noqa: ANN401 - any JSON
        """Return a cell as it is, None where it is absent."""
        return self._values.get(name)

    def inner(self, name: str) -> "Cells":
        """Return an object within; an absent one is empty."""
        return Cells(self._values.get(name) or {}, f"{self.pointer}/{name}", zone=self._zone)

    def items(self, name: str, *, count_max: int) -> list["Cells"]:
        """Return the objects of a list within; an absent one is empty."""
        found = self._values.get(name)
        pointer = f"{self.pointer}/{name}"
        if found is None:
            return []
        if not isinstance(found, Sequence) or isinstance(found, str):
            raise CellError(pointer, "no_list")
        if len(found) > count_max:
            raise CellError(pointer, "too_many")
        return [Cells(each, f"{pointer}/{number}", zone=self._zone) for number, each in enumerate(found)]

    def error(self, name: str, code: str) -> CellError:
        """Return an error about a cell."""
        return CellError(f"{self.pointer}/{name}", code)

    def id(self, *names: str) -> str | None:
        """Return the first id among some cells, byte for byte; whole numbers are ids, too."""
        for name in names:
            value = self._values.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                value = str(value)
            if value is None or value == "":
                continue
            if not isinstance(value, str):
                raise self.error(name, "no_id")
            if len(value) > ID_LENGTH_MAX or any(ord(each) in CONTROL_CHARACTERS for each in value):
                raise self.error(name, "unusable_id")
            return value
        return None

    def required_id(self, *names: str) -> str:
        """Return an id that must be there."""
        found = self.id(*names)
        if found is None:
            raise self.error(names[0], "missing")
        return found

    def text(self, *names: str) -> str | None:
        """Return the first text among some cells that is not blank, cut to a bearable length."""
        for name in names:
            value = self._values.get(name)
            if isinstance(value, str) and value.strip():
                return value[:_TEXT_LENGTH_MAX].replace("\x00", "")
        return None

    def flag(self, name: str) -> bool | None:
        """Return a truth value, None where the cell is none."""
        value = self._values.get(name)
        return value if isinstance(value, bool) else None

    def money(self, *names: str) -> int | None:
        """Return the first amount among some cells in ten-thousandths."""
        return self._scaled(names, MONEY_SCALE)

    def quantity(self, *names: str) -> int | None:
        """Return the first quantity among some cells in thousandths."""
        return self._scaled(names, QUANTITY_SCALE)

    def number(self, name: str) -> float | None:
        """Return a plain number."""
        found = self._decimal(name)
        return None if found is None else float(found)

    def instant(self, *names: str) -> datetime | None:
        """Return the first instant among some cells; without an offset it is the shop's local time."""
        for name in names:
            value = self._values.get(name)
            if value is None or value == "":
                continue
            return self._instant(name, value)
        return None

    def required_instant(self, *names: str) -> datetime:
        """Return an instant that must be there."""
        found = self.instant(*names)
        if found is None:
            raise self.error(names[0], "missing")
        return found

    def currency(self, name: str) -> str | None:
        """Return an ISO 4217 code in capitals."""
        value = self._values.get(name)
        if value is None or value == "":
            return None
        if not (isinstance(value, str) and len(value) == 3 and value.isascii() and value.isalpha()):
            raise self.error(name, "no_currency")
        return value.upper()

    def _instant(self, name: str, value: object) -> datetime:
        if not isinstance(value, str) or len(value) > _NUMBER_LENGTH_MAX:
            raise self.error(name, "no_instant")
        try:
            read = datetime.fromisoformat(value)
            aware = read.replace(tzinfo=self._zone) if read.tzinfo is None else read
            at = aware.astimezone(UTC)
        except (ValueError, OverflowError):
            raise self.error(name, "no_instant") from None
        if at < _EARLIEST:
            raise self.error(name, "before_1970")
        return at

    def _scaled(self, names: Sequence[str], scale: int) -> int | None:
        for name in names:
            found = self._decimal(name)
            if found is not None:
                return int((found * scale).to_integral_value())
        return None

    def _decimal(self, name: str) -> Decimal | None:
        value = self._values.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise self.error(name, "no_number")
        text = str(value)
        try:
            found = Decimal(text) if len(text) <= _NUMBER_LENGTH_MAX else None
        except InvalidOperation:
            found = None
        if found is None or not found.is_finite():
            raise self.error(name, "no_number")
        if abs(found) > AMOUNT_MAX:
            raise self.error(name, "out_of_range")
        return found
