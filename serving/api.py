"""The application: routes, errors, the live run. Start it with `python -m serving`."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from zoneinfo import ZoneInfo

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from features.settings import load_settings
from serving import openapi
from serving.audiences.campaigns import Planner
from serving.audiences.control_group import ControlGroup
from serving.console import routes as console_routes
from serving.console import routes_campaigns, routes_lists, routes_moves, routes_offers, routes_setup
from serving.console import routes_segments as segment_pages
from serving.console.error_pages import answer_problem
from serving.databases import open_state, open_store
from serving.environment import Environment
from serving.exports.book import ExportBook
from serving.inbound.hook_sources import HookSources
from serving.inbound.people import People
from serving.inbound.receiver import Receiver
from serving.job_desk import JobDesk
from serving.people.desk import PrivacyDesk
from serving.people.suppressed import SuppressedPeople
from serving.routes import (
    audiences,
    batch,
    changes,
    customers,
    economics,
    events,
    exports,
    hooks,
    items,
    metrics,
    models,
    plans,
    privacy,
    recommendations,
    segment_members,
    segment_profiles,
    segments,
)
from serving.segments.desk import SegmentDesk
from serving.state.database import State
from serving.state.inbox import Inbox
from serving.state.jobs import Jobs
from serving.state.keys import Keys
from serving.state.leases import Leases
from serving.state.overlays import Overlays
from serving.state.segments import Segments
from serving.state.suppressions import Suppressions
from serving.web.calls import Calls
from serving.web.context import Context
from serving.web.cursor import CursorSigner, load_secret
from serving.web.edge import Edge
from serving.web.guard import Guard
from serving.web.limiter import Limiter
from serving.web.live import LiveRuns
from serving.web.logs import RequestLog, json_logging
from serving.web.metrics import Metrics
from serving.web.problems import install_problem_handlers
from serving.web.scopes import Guarded
from serving.web.turns import Turns

_ASSETS = Path(__file__).parent / "assets"


def create_app(environment: Environment | None = None) -> FastAPI:
    """Return an application for an environment (by default, the process's own)."""
    settings = environment or Environment()
    app = FastAPI(
        title="Regulars",
        version="1",
        summary="Who will come back, what they are worth and what to offer them next.",
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_lifespan,
    )
    app.state.environment = settings
    for module in (
        customers,
        batch,
        events,
        hooks,
        items,
        recommendations,
        audiences,
        plans,
        segment_profiles,
        segments,
        segment_members,
        changes,
        exports,
        privacy,
        models,
        economics,
        metrics,
        console_routes,
        routes_lists,
        routes_offers,
        routes_setup,
        segment_pages,
        routes_moves,
        routes_campaigns,
        openapi,
    ):
        app.include_router(module.router)
    app.mount("/assets", Guarded(StaticFiles(directory=_ASSETS), "audiences:read"))
    install_problem_handlers(app, answer_problem)
    app.add_middleware(
        Edge, host_names=[n.strip().lower() for n in settings.host_names.split(",") if n.strip()]
    )
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    with json_logging():
        async with _following(app):
            yield


@asynccontextmanager
async def _following(app: FastAPI) -> AsyncIterator[None]:
    settings: Environment = app.state.environment
    state = open_state(settings)
    thread, writer = ThreadPoolExecutor(1, "state"), ThreadPoolExecutor(1, "inbox")
    context = _make_context(settings, state, thread=thread, writer=writer)
    await context.runs.refresh()
    context.guard.refresh()
    context.suppressed.refresh()
    app.state.context = context
    followers = [
        asyncio.create_task(follow(poll_seconds=settings.poll_seconds))
        for follow in (context.runs.follow, context.guard.follow, context.suppressed.follow)
    ]
    try:
        yield
    finally:
        for follower in followers:
            follower.cancel()
            with suppress(asyncio.CancelledError):
                await follower
        thread.shutdown()
        writer.shutdown()
        context.guard.save_uses()
        await context.runs.aclose()
        state.close()


def _make_context(settings: Environment, state: State, *, thread: Executor, writer: Executor) -> Context:
    """Put together what handlers need; `thread` asks the state, `writer` keeps what is received."""
    root, private = settings.layout.root, settings.layout.private
    suppressions = Suppressions(state, root)
    suppressed = SuppressedPeople(suppressions, executor=thread)
    metrics, shop = Metrics(), load_settings()
    return Context(
        environment=settings,
        runs=LiveRuns(open_store(settings), Overlays(state)),
        cursors=CursorSigner(load_secret(private)),
        views={},
        guard=Guard(Keys(state), may_be_open=settings.is_loopback, executor=thread),
        limiter=Limiter(Leases(state), process_count=settings.workers, executor=thread),
        state=state,
        jobs=JobDesk(Jobs(state), thread),
        receiver=Receiver(
            Inbox(state, suppressions),
            People(private),
            suppressions=suppressions,
            zone=ZoneInfo(shop.shop.time_zone),
            executor=writer,
        ),
        control_group=ControlGroup.of(private),
        hooks=HookSources(private),
        metrics=metrics,
        calls=Calls(metrics, RequestLog(settings.log)),
        turns=Turns(),
        suppressed=suppressed,
        privacy=PrivacyDesk(state, suppressed, root=root, private=private, executor=thread),
        segments=SegmentDesk(Segments(state), thread),
        settings=shop,
        planner=Planner(),
        export_book=ExportBook(state, thread),
    )
