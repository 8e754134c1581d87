"""The made-up shop of the cost curve: 18 lines a customer, two years, 5,000 products of 100 categories."""

from pathlib import Path

import polars as pl

from features.console import progress
from features.synthetic.shop import SyntheticShop, write_shop
from features.synthetic.spec import ShopSpec

LINES_PER_CUSTOMER = 18
TABLES = ("products", "customers", "events")


def shop_spec(line_count: int) -> ShopSpec:
    """Return the shop of about so many order lines."""
    return ShopSpec(
        customer_count=max(1, line_count // LINES_PER_CUSTOMER),
        category_count=100,
        items_per_category=50,
        complement_pair_count=500,
    )


def write_shop_of(folder: Path, line_count: int) -> int:
    """Write the shop's files into a folder, unless they are there; return how many order lines it has.

    It is drawn a block of customers at a time: memory does not grow with it.
    """
    if not (folder / "truth.json").exists():  # it is written last
        shop = SyntheticShop(shop_spec(line_count))
        with progress(f"shop of {line_count:,} lines", total=shop.block_count) as announce:
            write_shop(shop, folder, announce=announce)
    return int(pl.scan_parquet(folder / "order_lines.parquet").select(pl.len()).collect().item())


def ingest_arguments(folder: Path) -> list[str]:
    """Return what `features.ingest` is told to load the shop with."""
    companions = [word for name in TABLES for word in (f"--{name}", str(folder / f"{name}.parquet"))]
    return ["--file", str(folder / "order_lines.parquet"), *companions, "--mode", "replace"]
