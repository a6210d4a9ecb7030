"""HTTP routes and security headers of the monitor."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from skyclass.apps.monitor import views
from skyclass.apps.monitor.approval_view import make_approval_view, make_states_view
from skyclass.apps.monitor.lineage_view import make_lineage_view
from skyclass.apps.monitor.messages import make_notices
from skyclass.apps.monitor.metrics import render_metrics
from skyclass.apps.monitor.rendering import make_environment
from skyclass.apps.monitor.state import DEFAULT_WINDOWS, MAX_WINDOWS, ModeState, StateReader
from skyclass.apps.web_server import make_fastapi, make_sign_out_path
from skyclass.errors import ReleaseNotFoundError, SkyclassError
from skyclass.monitoring.documents import DRIFT_PREFIX, REPORT, load_documents
from skyclass.monitoring.verdict import DriftVerdict
from skyclass.registry import releases as release_files
from skyclass.registry.releases import Registry
from skyclass.storage.s3 import ObjectMissingError
from skyclass.survey.features import INPUTS, Mode
from skyclass.tables.log.recent import Cursor, read_recent_predictions

PAGE_ROWS = 50

_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_REPORT_POLICY = (  # Evidently's page has inline scripts and styles, and loads nothing
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; frame-ancestors 'self'"
)
_RELEASE_FILE_POLICY = (  # the training report has inline styles and pictures, and no scripts
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
)
_RELEASE_FILES = {
    release_files.REPORT: "text/html; charset=utf-8",
    release_files.MODEL_CARD: "text/plain; charset=utf-8",  # browsers download text/markdown
}
"""Files of a release that are shown, and the content types as which they are sent."""
_HEADERS = {
    "Content-Security-Policy": _PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_PAGES_OF_TEMPLATES = {"drift": "", "release": "releases"}
"""Keys of `PAGES` that differ from the name of the template."""
_WINDOW_NAME = re.compile(r"\d{8}T\d{6}Z")


def make_app(
    reader: StateReader,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    drift_period: timedelta = timedelta(days=1),
    has_login: bool = False,
) -> FastAPI:
    """Return the application.

    Args:
        reader: Reads the state of each mode.
        clock: Returns the current time.
        drift_period: Time between two runs of the drift job.
        has_login: Whether an oauth2-proxy passes on the user; otherwise its headers are ignored.
    """
    app = make_fastapi("skyclass monitor")
    app.mount("/static", StaticFiles(directory=Path(__file__).with_name("static")), "static")
    route = partial(app.api_route, methods=["GET", "HEAD"])  # uptime checks send HEAD
    environment = make_environment()

    def render(request: Request, template: str, status: int = 200, **variables: Any) -> Response:
        defaults: dict[str, Any] = {
            "mode": None,
            "page": "",
            "state": None,
            "error": "",
            "notices": [],
            "root": request.scope.get("root_path", ""),
            "user": _get_user(request) if has_login else "",
            "sign_out": make_sign_out_path(request.scope.get("root_path", "")),
        }
        html = environment.get_template(f"{template}.html.j2").render(**{**defaults, **variables})
        return HTMLResponse(html, status)

    def render_mode(
        request: Request,
        template: str,
        mode: Mode,
        view: Callable[[ModeState | None], dict[str, Any]] = lambda _: {},
        windows: int = DEFAULT_WINDOWS,
    ) -> Response:
        result = reader.read(mode, windows, clock)
        state = result.state
        notices = make_notices(state, clock(), drift_period) if state else []
        return render(
            request,
            template,
            status=200 if state else 503,
            mode=mode,
            page=_PAGES_OF_TEMPLATES.get(template, template),
            state=state,
            error=result.error,
            **{"notices": notices, **view(state)},
        )

    @app.middleware("http")
    async def add_headers(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    @app.exception_handler(HTTPException)
    def render_http_error(request: Request, error: HTTPException) -> Response:
        headline, text = "Invalid request", str(error.detail)
        if error.status_code == 404:
            headline, text = "Page not found", "start at the overview"
        return render(request, "problem", error.status_code, headline=headline, text=text)

    @app.exception_handler(RequestValidationError)
    def render_validation_error(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        if first["loc"][0] == "path":
            return render_http_error(request, HTTPException(404))
        return render_http_error(
            request, HTTPException(422, f"parameter {first['loc'][-1]}: {first['msg']}")
        )

    @app.exception_handler(ReleaseNotFoundError)
    def render_missing_release(request: Request, error: ReleaseNotFoundError) -> Response:
        return render(request, "problem", 404, headline="Release not found", text=str(error))

    @app.exception_handler(SkyclassError)
    def render_error(request: Request, error: SkyclassError) -> Response:
        return render(request, "problem", 503, headline="Temporarily unavailable", text=str(error))

    @route("/metrics")
    def metrics() -> Response:
        results = {mode: reader.read(mode, clock=clock) for mode in Mode}
        return Response(render_metrics(results, clock()), media_type=CONTENT_TYPE_LATEST)

    @route("/")
    def overview(request: Request) -> Response:
        cards = []
        for mode in Mode:
            result = reader.read(mode, clock=clock)
            state = result.state
            notices = make_notices(state, clock(), drift_period) if state else []
            cards.append({"mode": mode, "result": result, "notices": notices})
        return render(request, "overview", cards=cards)

    @route("/releases/{release_id}")
    def release(request: Request, release_id: str) -> Response:
        found = Registry(reader.store).find(release_id)

        def view(state: ModeState | None) -> dict[str, Any]:
            if state is None:
                return {"view": None, "approval": None}
            lineage = reader.read_lineage(found, state)
            inputs = reader.read_scored_inputs(found.id)
            return {
                "notices": [],  # they are about the newest window of the champion
                "view": make_lineage_view(
                    lineage, inputs, state.champion, reader.store.settings.kfp_url
                ),
                "approval": make_approval_view(state, found),
            }

        return render_mode(request, "release", found.mode, view)

    @route("/releases/{release_id}/{name}")
    def release_file(release_id: str, name: str) -> Response:
        registry = Registry(reader.store)
        found = registry.find(release_id)
        if name not in _RELEASE_FILES or name not in {each.path for each in found.manifest.files}:
            raise HTTPException(404)
        headers = {
            "Content-Security-Policy": _RELEASE_FILE_POLICY,
            "Content-Type": _RELEASE_FILES[name],
        }
        return Response(registry.read_file(found, name), headers=headers)

    @route("/{mode}/")
    def drift(
        request: Request, mode: Mode, windows: int = Query(DEFAULT_WINDOWS, ge=1, le=MAX_WINDOWS)
    ) -> Response:
        def view(state: ModeState | None) -> dict[str, Any]:
            return views.make_drift_view(state, windows)

        return render_mode(request, "drift", mode, view, windows)

    @route("/{mode}/accuracy")
    def accuracy(request: Request, mode: Mode) -> Response:
        return render_mode(request, "accuracy", mode, views.make_accuracy_view)

    @route("/{mode}/predictions")
    def predictions(request: Request, mode: Mode, after: str = "") -> Response:
        cursor = Cursor.parse(after) if after else None
        if after and cursor is None:
            raise HTTPException(422, f"parameter after: {after!r} is not a cursor")
        page = read_recent_predictions(reader.store, mode, PAGE_ROWS, clock(), cursor)
        variables = {
            "rows": views.make_prediction_rows(page.rows, mode),
            "inputs": INPUTS[mode],
            "is_first_page": cursor is None,
            "next": str(page.next) if page.next else None,
        }
        return render_mode(request, "predictions", mode, lambda _: variables)

    @route("/{mode}/scored")
    def scored(request: Request, mode: Mode) -> Response:
        def view(state: ModeState | None) -> dict[str, Any]:
            champion = state.champion if state else None
            days = reader.read_scored_days(champion.id) if champion else []
            return {"days": views.make_scored_rows(days)}

        return render_mode(request, "scored", mode, view)

    @route("/{mode}/releases")
    def releases(request: Request, mode: Mode) -> Response:
        return render_mode(request, "releases", mode, make_states_view)

    @route("/{mode}/decisions")
    def decisions(request: Request, mode: Mode) -> Response:
        return render_mode(request, "decisions", mode)

    @route("/{mode}/reports/{window}")
    def report(request: Request, mode: Mode, window: str) -> Response:
        end = _parse_window_name(window)
        verdicts = load_documents(reader.store, DriftVerdict, mode, since=end, until=end)
        return render(
            request,
            "report",
            mode=mode,
            page="reports",
            window=window,
            window_end=end,
            release=verdicts[0].release if verdicts else None,
        )

    @route("/{mode}/reports/{window}/report.html")
    def raw_report(mode: Mode, window: str) -> Response:
        _parse_window_name(window)
        bucket = reader.store.settings.reports_bucket
        try:
            html = reader.store.get(bucket, f"{DRIFT_PREFIX}/{mode}/{window}/{REPORT}")
        except ObjectMissingError:
            raise HTTPException(404) from None
        return HTMLResponse(html, headers={"Content-Security-Policy": _REPORT_POLICY})

    return app


def _get_user(request: Request) -> str:
    """Return the e-mail address, or else the name, of the user whom oauth2-proxy logged in."""
    headers = request.headers
    return headers.get("X-Forwarded-Email") or headers.get("X-Forwarded-User", "")


def _parse_window_name(window: str) -> datetime:
    """Return the end of the window of that name."""
    if not _WINDOW_NAME.fullmatch(window):
        raise HTTPException(404)
    try:
        return datetime.strptime(window, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise HTTPException(404) from None
