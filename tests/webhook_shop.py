"""A shop with webhooks, a clock that the test turns, and a receiver on this machine."""

import asyncio
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from change_runs import at, log_of, made_state, row, run
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from features.delivery_settings import ChangeSettings
from features.layout import Layout
from serving.outbound.courier import MASTER_FILE, Courier, Tally
from serving.outbound.webhook_sender import signing_secret
from serving.state.tables import DELIVERIES
from serving.state.webhooks import Endpoint, Webhooks
from serving.web.cursor import load_secret


class Clock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        # Receivers look at the age of a message by their own clock.
        self.at = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.at

    def turn(self, **by: float) -> None:
        self.at += timedelta(**by)


class Shop:
    """A state with a log and webhooks; private addresses are allowed unless told otherwise."""

    def __init__(self, root: Path) -> None:
        self.state = made_state(root)
        self.layout = Layout(root)
        self.clock = Clock()
        self.webhooks = Webhooks(self.state, now=self.clock)
        self._runs = 0
        self.report([row("c1")])

    def report(self, rows: Sequence[Any]) -> None:
        self._runs += 1
        log_of(self.state).report_run(rows, run(self._runs))

    def order(self, count: int = 5) -> None:
        """Let c1 make so many orders: 5 and 10 are events."""
        self.report([row("c1", historic_number_of_orders=count, last_order_at=at(0))])

    def deliver(self, *, resolve: Any = None, tls: ssl.SSLContext | None = None, **rules: Any) -> Tally:
        settings = ChangeSettings(
            **{"webhook_private_addresses": True, "webhook_timeout_seconds": 5.0, **rules}
        )
        courier = Courier(self.state, self.layout, settings, resolve=resolve, tls=tls, now=self.clock)
        try:
            return asyncio.run(courier.drain())
        finally:
            courier.close()

    def secret(self, endpoint: Endpoint) -> str:
        return signing_secret(load_secret(self.layout.private, name=MASTER_FILE), endpoint)

    def waiting(self) -> list[Any]:
        with self.state.reading() as connection:
            return list(connection.execute(sa.select(DELIVERIES).order_by(DELIVERIES.c.sequence)).all())


class Receiver:
    """A receiver that answers with the statuses given, the last one again and again."""

    def __init__(self, server: HTTPServer, *statuses: int, headers: dict[str, str] | None = None) -> None:
        self.received: list[Request] = []
        self._statuses = list(statuses or (204,))
        self._headers = headers or {}
        server.expect_request("/in").respond_with_handler(self._answer)
        self.url = server.url_for("/in")

    def _answer(self, request: Request) -> Response:
        request.get_data()
        self.received.append(request)
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        return Response(status=status, headers=self._headers)

    @property
    def ids(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self.received]
