"""Filters of products, in requests and in the settings: conditions over the attributes of a product.

in_stock and price < 20 and category not in ["Wine", "Tobacco"] and brand is not null
"""

from functools import lru_cache
from typing import Final

from features.condition_text import FilterError
from features.conditions import TEXT_LENGTH_MAX, Condition, Vocabulary, compile_condition

__all__ = ["ATTRIBUTES", "TEXT_LENGTH_MAX", "Condition", "FilterError", "compile_filter"]

ATTRIBUTES: Final = {
    "product_id": "text",
    "name": "text",
    "category": "text",
    "subcategory": "text",
    "brand": "text",
    "price": "number",
    "in_stock": "boolean",
}
_PRODUCTS: Final = Vocabulary(ATTRIBUTES, 'in_stock and price < 20 and category in ["Tea", "Mugs"]')


@lru_cache(maxsize=256)
def compile_filter(text: str) -> Condition:
    """Compile a filter of products; raises `FilterError`.

    >>> compile_filter("in_stock and price < 20")
    Condition(sql='(coalesce(in_stock = 1, FALSE) AND coalesce(price < ?, FALSE))', values=(20.0,))
    """
    return compile_condition(text, _PRODUCTS)
