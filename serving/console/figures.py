"""Numbers as people write them in some locale: shares, money, dates, counts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from math import floor
from typing import Any, Final
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_skeleton
from babel.numbers import format_currency, format_decimal

NOTHING: Final = "–"
_WHOLE_FROM: Final = 100


@dataclass(frozen=True, slots=True)
class Figures:
    """Writes numbers in a locale; what is unknown is a dash."""

    locale: str

    def percent(self, share: float | None) -> str:
        """Write a share as a percentage.

        >>> Figures("en_GB").percent(0.184), Figures("en_GB").percent(0.004), Figures("en_GB").percent(None)
        ('18 %', '0.4 %', '–')
        """
        if share is None:
            return NOTHING
        value = share * 100
        digits = "0" if abs(value) >= 1 or value == 0 else "0.0"
        between = "" if self.locale.startswith("ko") else " "
        return f"{format_decimal(value, digits, locale=self.locale)}{between}%"

    def signed(self, share: float | None) -> str:
        """Write a share as a percentage with its sign.

        >>> Figures("en_GB").signed(0.184), Figures("en_GB").signed(-0.02)
        ('+18 %', '−2 %')
        """
        sign = "" if not share else "+" if share > 0 else "−"
        return f"{sign}{self.percent(None if share is None else abs(share))}"

    def ratio(self, value: float | None, usual: float | None) -> str:
        """Write how many times the usual a value is; nothing where either is unknown or 0.

        >>> Figures("en_GB").ratio(0.48, 0.16), Figures("en_GB").ratio(0.2, 0.16)
        ('3', '1.2')
        """
        if value is None or not usual:
            return ""
        found = value / usual
        is_whole = found >= 10 or abs(found - round(found)) < 0.05
        return format_decimal(round(found) if is_whole else round(found, 1), locale=self.locale)

    def money(self, value: float | None, currency: str) -> str:
        """Write an amount in a currency; zero and amounts from 100 on without cents."""
        if value is None:
            return NOTHING
        if value == 0 or abs(value) >= _WHOLE_FROM:
            whole = round(value)
            return format_currency(whole, currency, "¤#,##0", locale=self.locale, currency_digits=False)
        return format_currency(value, currency, locale=self.locale)

    def day(self, value: date | datetime | str | None) -> str:
        """Write a date in words: 2 Jul 2026."""
        if value is None:
            return NOTHING
        known = datetime.fromisoformat(value) if isinstance(value, str) else value
        return format_date(known, "d MMM y" if self.locale.startswith("en") else "medium", locale=self.locale)

    def moment(self, value: str, zone: str) -> str:
        """Write an instant as the clocks of a time zone show it.

        >>> Figures("en_GB").moment("2026-11-22T15:30:00Z", "Asia/Seoul")
        '23 Nov 2026, 00:30'
        """
        local = datetime.fromisoformat(value).astimezone(ZoneInfo(zone))
        return f"{self.day(local)}{', ' if self.locale.startswith('en') else ' '}{local:%H:%M}"

    def month(self, value: date | str) -> str:
        """Write a month: Jul 2026."""
        known = date.fromisoformat(value) if isinstance(value, str) else value
        return format_skeleton("yMMM", known, locale=self.locale)

    def count(self, value: float | None) -> str:
        """Write a count with its thousands set apart."""
        return NOTHING if value is None else format_decimal(round(value), locale=self.locale)

    def number(self, value: float | None, digits: int = 1) -> str:
        """Write a number with at most so many digits after the point."""
        if value is None:
            return NOTHING
        pattern = "#,##0." + "#" * digits if digits else "#,##0"
        return format_decimal(value, pattern, locale=self.locale)

    def floor(self, value: float | None, digits: int = 1) -> str:
        """Write a number with at most so many digits, rounded down: under a mark it never looks to be at it.

        >>> Figures("en_GB").floor(2.9994, 2), Figures("en_GB").floor(3.0, 2), Figures("en_GB").floor(-0.25)
        ('2.99', '3', '-0.3')
        """
        if value is None:
            return NOTHING
        scale = 10**digits
        return self.number(floor(round(value * scale, 6)) / scale, digits)

    def told(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Write the numbers and dates among the values of a sentence; names end in `_date` where dates are.

        >>> Figures("en_GB").told({"day_count": 3247, "first_date": "2026-07-02", "first_name": "1e5"})
        {'day_count': '3,247', 'first_date': '2 Jul 2026', 'first_name': '1e5'}
        """
        return {name: self._told(name, value) for name, value in values.items()}

    def _told(self, name: str, value: Any) -> Any:  # noqa: ANN401 - whatever was stored
        if name.endswith("_date"):
            return self.day(value)
        return self.count(value) if isinstance(value, int | float) else value

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters of templates."""
        names = (
            "percent",
            "signed",
            "ratio",
            "money",
            "day",
            "moment",
            "month",
            "count",
            "number",
            "floor",
            "told",
        )
        return {name: getattr(self, name) for name in names}


ENGLISH: Final = Figures("en_GB")
