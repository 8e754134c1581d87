"""What a key may be allowed to do."""

from typing import Final

SCOPES: Final = {
    "predictions:read": "scores and recommendations of customers and products, one call each",
    "audiences:read": "whole lists: the page, audiences, exports",
    "segments:write": "save segments",
    "events:write": "send orders and events",
    "privacy:write": "erase, show and suppress a person",
    "identity:read": "e-mail addresses beside customer ids",
    "admin": "all of these but identity:read, and the metrics",
}
GRANTED_BY_ADMIN: Final = frozenset(SCOPES) - {"identity:read"}
