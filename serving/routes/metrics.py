"""What Prometheus reads: what all processes counted, and how the live run is at this moment."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.openapi import PROBLEMS
from serving.state.backlog import read_backlog
from serving.state.database import StateError
from serving.web.context import Context, context_of
from serving.web.freshness import age_seconds
from serving.web.problems import ProblemError
from serving.web.readiness import is_ready
from serving.web.scopes import ScopedRoute, needs

router = APIRouter(route_class=ScopedRoute)
_EXAMPLE: Final = "# TYPE regulars_ready gauge\nregulars_ready 1.0\n"


@router.get(
    "/metrics",
    tags=["health"],
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}, "example": _EXAMPLE}}},
        **PROBLEMS,
    },
    openapi_extra=needs("admin"),
)
async def get_metrics(request: Request) -> Response:
    """Return the service's metrics in the text format of Prometheus; docs/operations.md names them."""
    context = context_of(request)
    now = _Now(context, is_ready=await is_ready(context))
    text = await asyncio.to_thread(_written, context, now)
    return Response(text, 200, {"cache-control": "no-store", "content-type": CONTENT_TYPE_LATEST})


class _Now(Collector):
    """What is true at the moment of the look, whichever process is asked."""

    def __init__(self, context: Context, *, is_ready: bool) -> None:
        self._context = context
        self._is_ready = is_ready

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        yield _gauge("regulars_ready", "1 if the service can answer, else 0", self._is_ready)
        yield from self._run()
        memory = GaugeMetricFamily(
            "regulars_process_resident_bytes", "memory of each process that answers", labels=["pid"]
        )
        for pid, size in self._context.metrics.resident_bytes():
            memory.add_metric([str(pid)], size)
        yield memory
        yield from self._backlog()

    def _backlog(self) -> Iterator[Metric]:
        runs = self._context.runs
        try:
            backlog = read_backlog(self._context.state, runs.current().meta if runs.problem is None else None)
        except StateError:
            return
        count = GaugeMetricFamily("regulars_waiting", "how much of each kind of work waits", labels=["work"])
        age = GaugeMetricFamily(
            "regulars_waiting_age_seconds",
            "since when the oldest of it waits, else 0",
            labels=["work"],
        )
        now = datetime.now(UTC)
        for waiting in backlog.waiting:
            count.add_metric([waiting.work], waiting.how_many)
            seconds = (now - waiting.since).total_seconds() if waiting.since else 0.0
            age.add_metric([waiting.work], max(0.0, seconds))
        yield count
        yield age
        yield _gauge(
            "regulars_disabled_webhooks", "webhooks that are sent nothing any more", backlog.disabled_webhooks
        )

    def _run(self) -> Iterator[Metric]:
        try:
            run = self._context.runs.current()
        except ProblemError:
            return
        meta, now = run.meta, datetime.now(UTC)
        scored = max(0.0, (now - meta.scored_at).total_seconds())
        known = age_seconds(meta.as_of, meta.time_zone, now)
        is_stale = self._context.view(run).is_stale
        yield _gauge("regulars_run_scored_age_seconds", "since the live run was made", scored)
        yield _gauge("regulars_run_as_of_age_seconds", "since the day as of which it knows", known)
        yield _gauge("regulars_run_customers", "customers in the live run", meta.customer_count)
        yield _gauge("regulars_run_stale", "1 if the live run is older than it may be, else 0", is_stale)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    gauge = GaugeMetricFamily(name, meaning)
    gauge.add_metric([], value)
    return gauge


def _written(context: Context, now: _Now) -> bytes:
    moment = CollectorRegistry()
    moment.register(now)
    counted = context.metrics.registry()
    return bytes(generate_latest(counted)) + bytes(generate_latest(moment))
