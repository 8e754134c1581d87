"""The snippets of docs/webhooks.md are run as they stand, against a message that this program signs."""

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from serving.changes.lifecycle import EVENTS
from serving.outbound.webhook_sender import signed_headers, signing_secret
from serving.state.deliveries import Delivery
from serving.state.webhooks import Endpoint
from serving.webhooks import KINDS

PAGE = (Path(__file__).parent.parent / "docs/webhooks.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
MASTER = b"k" * 32
ENDPOINT = Endpoint("wh_1", "https://hooks.example.com/", frozenset(), datetime.now(UTC), secret_number=2)
BODY = '{"type":"won_back","data":{"customer_id":"김철수"}}'


def reader(snippet: str) -> Any:
    found: dict[str, Any] = {}
    exec(snippet, found)  # noqa: S102 - our own manual
    return found["read_message"]


def message(*, at: datetime | None = None) -> dict[str, str]:
    delivery = Delivery(119, "msg_1_119", BODY, 0, None)
    return signed_headers(MASTER, ENDPOINT, delivery, at=at or datetime.now(UTC))


def test_there_are_two_snippets() -> None:
    assert len(SNIPPETS) == 2


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_takes_our_messages_and_no_others(snippet: str) -> None:
    read, body = reader(snippet), BODY.encode()
    for number in (1, 2):
        secret = signing_secret(MASTER, ENDPOINT, number=number)
        assert read(secret, message(), body)["data"] == {"customer_id": "김철수"}
    secret = signing_secret(MASTER, ENDPOINT)
    old = datetime.fromtimestamp(time.time() - 400, UTC)
    forged: list[tuple[str, dict[str, str], bytes]] = [
        (secret, message(), body + b" "),
        (secret, message(at=old), body),
        (secret, {**message(), "webhook-id": "msg_1_120"}, body),
        (signing_secret(b"x" * 32, ENDPOINT), message(), body),
        (signing_secret(MASTER, ENDPOINT, number=3), message(), body),
    ]
    for wrong in forged:
        with pytest.raises(Exception, match=r"signature|old|not from us"):
            read(*wrong)


def test_every_event_is_in_the_manual() -> None:
    api = (Path(__file__).parent.parent / "docs/api.md").read_text(encoding="utf-8")
    assert [name for name in EVENTS if f"| `{name}` |" not in api] == []
    assert [name for name in KINDS if f"`{name}`" not in PAGE] == []
