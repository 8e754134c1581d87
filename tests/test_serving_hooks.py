"""Webhooks of shop systems: only what a known secret signed is taken, once; nothing of a person is kept."""

import random
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from inbound_words import raw, shopify_order, signature, woocommerce_order
from serving_runs import publish
from starlette.testclient import TestClient

from features.console import run_command
from serving import hooks as command
from serving.api import create_app
from serving.databases import open_state
from serving.environment import Environment
from serving.inbound.hook_sources import HookError, HookSources
from serving.state.inbox import Inbox
from serving.state.migrate import make

SECRET = "a secret of sixteen and more"
SHOPIFY, WOOCOMMERCE = "/v1/hooks/shopify/main", "/v1/hooks/woocommerce/second"


@pytest.fixture
def var(tmp_path: Path, database: str) -> Path:
    publish(tmp_path)
    make(open_state(Environment(var=tmp_path)))
    sources = HookSources(tmp_path / "private")
    sources.add("main", "shopify", SECRET)
    sources.add("second", "woocommerce", SECRET)
    return tmp_path


@pytest.fixture
def client(var: Path) -> Iterator[TestClient]:
    app = create_app(Environment(var=var))
    with TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as opened:
        yield opened


def from_shopify(client: TestClient, body: bytes, signed: str, topic: str = "orders/create") -> Any:
    headers = {"x-shopify-hmac-sha256": signed, "x-shopify-topic": topic}
    return client.post(SHOPIFY, content=body, headers={k: v for k, v in headers.items() if v})


def from_woocommerce(client: TestClient, body: bytes, signed: str, topic: str = "order.updated") -> Any:
    headers = {"x-wc-webhook-signature": signed, "x-wc-webhook-topic": topic}
    return client.post(WOOCOMMERCE, content=body, headers=headers)


def stored(var: Path) -> list[Any]:
    return [each.message for each in Inbox(open_state(Environment(var=var))).list_after(0, limit=10_000)]


def test_a_signed_order_is_kept_once(client: TestClient, var: Path) -> None:
    body = raw(shopify_order())
    signed = signature(body, SECRET)
    first = from_shopify(client, body, signed)
    assert (first.status_code, first.json()) == (200, {"accepted": 1, "duplicates": 0, "ignored": None})
    # sent again under another topic: the same bytes are the same word
    assert from_shopify(client, body, signed, "orders/updated").json()["duplicates"] == 1
    (order,) = stored(var)
    assert (order.order_id, order.country, order.email_consent, order.coupon) == ("#1", "DE", True, "WELCOME")
    assert [(line.product_id, line.amount_minor) for line in order.lines] == [
        ("P1", 180_000),
        ("Ink", 90_000),
    ]
    assert order.customer_id.startswith("h_")


def test_woocommerces_order_and_its_first_call(client: TestClient, var: Path) -> None:
    body = raw(woocommerce_order())
    assert from_woocommerce(client, body, signature(body, SECRET)).json()["accepted"] == 1
    ping = client.post(WOOCOMMERCE, content=b"webhook_id=5")
    assert (ping.status_code, ping.json()["ignored"]) == (200, "ping")
    assert len(stored(var)) == 1


def test_refunds_and_cancellations_of_shopify(client: TestClient, var: Path) -> None:
    refund = {
        "id": 9,
        "created_at": "2026-01-09T10:00:00+09:00",
        "refund_line_items": [{"line_item_id": 11, "quantity": 1, "subtotal": "9.00", "total_tax": "0.00"}],
        "transactions": [{"kind": "refund", "status": "success", "amount": "12.00"}],
        "order_adjustments": [{"kind": "shipping_refund", "amount": "-2.00", "tax_amount": "0.00"}],
    }
    for changes in (
        {"refunds": [refund], "updated_at": "2026-01-09T10:00:00+09:00"},
        {"cancelled_at": "2026-01-10T10:00:00+09:00"},
        {"financial_status": "voided"},
        {"test": True},
    ):
        body = raw(shopify_order(**changes))
        assert from_shopify(client, body, signature(body, SECRET), "orders/updated").json()["accepted"] == 1
    refunded, *gone = stored(var)
    # nine for a pen, and one more: twelve were paid back, nine have a line and two were postage
    back = [(line.product_id, line.amount_minor) for line in refunded.lines if line.returned_at]
    assert back == [("P1", -90_000), (None, -10_000)]
    assert [message.kind for message in gone] == ["cancellation"] * 3


def test_refunds_and_cancellations_of_woocommerce(client: TestClient, var: Path) -> None:
    for changes in ({"refunds": [{"total": "-5.00"}]}, {"status": "refunded"}, {"status": "cancelled"}):
        body = raw(woocommerce_order(**changes))
        assert from_woocommerce(client, body, signature(body, SECRET)).json()["accepted"] == 1
    part, whole, gone = stored(var)
    assert [line.amount_minor for line in part.lines] == [180_000, -50_000]
    assert [line.amount_minor for line in whole.lines] == [180_000, -180_000]
    assert gone.kind == "cancellation"


def test_what_tells_nothing_is_acknowledged(client: TestClient, var: Path) -> None:
    nobody = raw(shopify_order(email=None, billing_address=None, customer=None))
    answer = from_shopify(client, nobody, signature(nobody, SECRET))
    assert (answer.status_code, answer.json()["ignored"]) == (200, "/email missing")
    body = raw({"id": 1})
    assert from_shopify(client, body, signature(body, SECRET), "products/update").json()["ignored"] == "topic"
    broken = b"{"
    assert from_shopify(client, broken, signature(broken, SECRET)).status_code == 422
    assert stored(var) == []


def test_nothing_unsigned_is_taken(client: TestClient, var: Path) -> None:
    body = raw(shopify_order())
    good = signature(body, SECRET)
    reserialised = raw(shopify_order()).replace(b", ", b",")
    forged = [
        from_shopify(client, body, ""),
        from_shopify(client, body, signature(body, "another secret, long enough")),
        from_shopify(client, body, good.lower()),
        from_shopify(client, body, good + "="),
        from_shopify(client, reserialised, good),
        from_shopify(client, body + b" ", good),
        client.post("/v1/hooks/shopify/nobody", content=body, headers={"x-shopify-hmac-sha256": good}),
        client.post("/v1/hooks/shopify/second", content=body, headers={"x-shopify-hmac-sha256": good}),
        client.post(SHOPIFY, content=body, headers=[("x-shopify-hmac-sha256", good)] * 2),
        client.post(WOOCOMMERCE, content=b"webhook_id=5&order=1"),
        client.post(WOOCOMMERCE, content=body, headers=[(b"x-wc-webhook-signature", b"\xc3\xa9")]),
    ]
    assert {answer.status_code for answer in forged} == {401}
    assert {answer.json()["detail"] for answer in forged} == {"No known source signed this body."}
    assert stored(var) == []


@pytest.mark.slow
def test_none_of_ten_thousand_forgeries_is_taken(client: TestClient, var: Path) -> None:
    dice = random.Random(1)
    body = raw(shopify_order())
    good = signature(body, SECRET)
    for number in range(10_000):
        changed, signed = bytearray(body), good
        if number % 2:
            changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
        else:
            place = dice.randrange(len(good) - 1)
            other = dice.choice([c for c in "ABCDabcd0123+/" if c != good[place]])
            signed = good[:place] + other + good[place + 1 :]
        assert from_shopify(client, bytes(changed), signed).status_code == 401
    assert stored(var) == []


def test_two_secrets_count_while_one_is_replaced(client: TestClient, var: Path) -> None:
    sources, newer = HookSources(var / "private"), "the secret that comes next"
    sources.add("main", "shopify", newer)
    bodies = [raw(shopify_order(note=number)) for number in range(4)]
    assert from_shopify(client, bodies[0], signature(bodies[0], SECRET)).status_code == 200
    assert from_shopify(client, bodies[1], signature(bodies[1], newer)).status_code == 200
    with pytest.raises(HookError, match="2 secrets already"):
        sources.add("main", "shopify", "and a third one of them")
    sources.drop_older("main")
    assert from_shopify(client, bodies[2], signature(bodies[2], SECRET)).status_code == 401
    assert from_shopify(client, bodies[3], signature(bodies[3], newer)).status_code == 200
    sources.remove("main")
    assert from_shopify(client, bodies[3], signature(bodies[3], newer)).status_code == 401


def ask(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    var: Path,
    *words: str,
    typed: str = "",
) -> tuple[object, str, str]:
    monkeypatch.setattr(sys, "argv", ["hooks", *words, "--var", str(var)])
    monkeypatch.setattr(sys, "stdin", StringIO(typed))
    code: object = 0
    try:
        run_command(command._command)
    except SystemExit as stopped:
        code = stopped.code
    shown = capsys.readouterr()
    return code or 0, shown.out, shown.err


def test_the_command_names_sources_and_shows_a_secret_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = ask(monkeypatch, capsys, tmp_path, "--name", "main", "--platform", "woocommerce")
    assert (code, len(out.strip())) == (0, 43)
    assert HookSources(tmp_path / "private").all()["main"].secrets == (out.strip(),)
    assert (tmp_path / "private" / "hooks.json").stat().st_mode & 0o777 == 0o600
    code, given, _ = ask(
        monkeypatch, capsys, tmp_path, "--name", "x", "--platform", "shopify", typed=SECRET + "\n"
    )
    assert (code, given) == (0, "")
    code, listed, _ = ask(monkeypatch, capsys, tmp_path)
    assert "main  /v1/hooks/woocommerce/main  one secret\n" in listed
    assert out.strip() not in listed
    for words, told in (
        (("--name", "a b", "--platform", "shopify"), "no name of a source"),
        (("--name", "y"), "name a platform"),
        (("--name", "nobody", "--drop", "older"), "no source 'nobody'; known: main, x"),
    ):
        code, _, problem = ask(monkeypatch, capsys, tmp_path, *words)
        assert code == 2
        assert told in problem
