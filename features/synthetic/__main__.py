"""Write a made-up shop of any size, with the truth behind it.

    python -m features.synthetic [--customers 3000] [--days 730] [--seed 1] [--folder var/synthetic]

`order_lines`, `products`, `customers` and `events` (Parquet, canonical columns) are loaded like any
shop's; `truth.parquet` and `truth.json` hold what no real shop knows.
"""

import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from features.console import progress, run_command
from features.errors import UserError
from features.synthetic.shop import SyntheticShop, write_shop
from features.synthetic.spec import ShopSpec


class SyntheticError(UserError):
    """The shop asked for cannot be made."""


def _command(
    *,
    customers: Annotated[int, typer.Option(help="how many, over the whole time", min=1)] = 3_000,
    days: Annotated[int, typer.Option(help="days of history", min=30, max=3_650)] = 730,
    first_day: Annotated[str, typer.Option(help="first day of the history (ISO)")] = "2024-11-22",
    seed: Annotated[int, typer.Option(help="another seed, another shop", min=0)] = 1,
    folder: Annotated[Path, typer.Option(help="where the files go")] = Path("var/synthetic"),
) -> None:
    """Write a made-up shop whose truth is known."""
    spec = ShopSpec(customer_count=customers, day_count=days, first_day=_date(first_day), seed=seed)
    shop = SyntheticShop(spec)
    with progress("synthetic", total=shop.block_count) as announce:
        try:
            write_shop(shop, folder, announce=announce)
        except OSError as error:
            raise SyntheticError(f"cannot write under {folder}: {error.strerror or error}") from None
    sys.stdout.write(f"{customers:,} customers over {days:,} days from {spec.first_day}: {folder}\n")


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SyntheticError(f"first day {text!r} is no date; write it as 2024-11-22") from None


if __name__ == "__main__":
    run_command(_command)
