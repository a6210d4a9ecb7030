"""The monitor page's addresses, and the rules that a browser is told to keep."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from skyclass.apps.monitor import pages
from skyclass.apps.monitor.metrics import exposition
from skyclass.apps.monitor.reading import MOST_WINDOWS, WINDOWS, Reader
from skyclass.apps.monitor.rendering import templates
from skyclass.apps.monitor.words import notices
from skyclass.errors import SkyclassError
from skyclass.monitoring.drift import DRIFT_PREFIX, REPORT
from skyclass.storage.s3 import ObjectMissingError
from skyclass.survey.features import INPUTS, Mode
from skyclass.tables.recent import Cursor, recent_answers

PAGE_ROWS = 50

_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_REPORT_POLICY = (  # Evidently's page carries its scripts and styles, and loads nothing
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; frame-ancestors 'self'"
)
_HEADERS = {
    "Content-Security-Policy": _PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_WINDOW = re.compile(r"\d{8}T\d{6}Z")


def make_app(reader: Reader, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> FastAPI:
    """Make the application.

    Args:
        reader: Reads what is shown.
        clock: Tells the present time.
    """
    app = FastAPI(title="skyclass monitor", docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/static", StaticFiles(directory=Path(__file__).with_name("static")), "static")
    environment = templates()

    def render(request: Request, template: str, status: int = 200, **shown: Any) -> HTMLResponse:
        usual: dict[str, Any] = {
            "mode": None,
            "page": "",
            "found": None,
            "trouble": "",
            "notices": [],
        }
        root = request.scope.get("root_path", "")
        html = environment.get_template(f"{template}.html.j2").render(
            **{**usual, **shown}, root=root
        )
        return HTMLResponse(html, status)

    def render_mode(
        request: Request, template: str, mode: Mode, windows: int = WINDOWS, **shown: Any
    ) -> HTMLResponse:
        found = reader.read(mode, windows, clock)
        reading = found.reading
        more = {
            "drift": lambda: pages.drift(reading, windows),
            "accuracy": lambda: pages.accuracy(reading),
            "scored": lambda: pages.scored(reading, reader.scored),
        }
        return render(
            request,
            template,
            status=200 if reading else 503,
            mode=mode,
            page="" if template == "drift" else template,
            found=reading,
            trouble=found.trouble,
            notices=notices(reading, clock()) if reading else [],
            **(more[template]() if template in more else {}),
            **shown,
        )

    @app.middleware("http")
    async def guard(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    @app.exception_handler(HTTPException)
    def refuse(request: Request, error: HTTPException) -> Response:
        known = {404: ("There is no such page", "the address leads nowhere: begin at the overview")}
        headline, text = known.get(error.status_code, ("That cannot be done", str(error.detail)))
        return render(request, "problem", error.status_code, headline=headline, text=text)

    @app.exception_handler(RequestValidationError)
    def mistaken(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        if first["loc"][0] == "path":
            return refuse(request, HTTPException(404))
        return refuse(request, HTTPException(422, f"{first['loc'][-1]}: {first['msg']}"))

    @app.exception_handler(SkyclassError)
    def fail(request: Request, error: SkyclassError) -> Response:
        return render(request, "problem", 503, headline="Not at the moment", text=str(error))

    @app.get("/healthz")
    def healthz() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @app.get("/metrics")
    def metrics() -> Response:
        found = {mode: reader.read(mode, WINDOWS, clock) for mode in Mode}
        return Response(exposition(found, clock()), media_type=CONTENT_TYPE_LATEST)

    @app.get("/")
    def overview(request: Request) -> HTMLResponse:
        cards = []
        for mode in Mode:
            found = reader.read(mode, WINDOWS, clock)
            said = notices(found.reading, clock()) if found.reading else []
            cards.append({"mode": mode, "found": found, "notices": said})
        return render(request, "overview", cards=cards)

    @app.get("/{mode}/")
    def drift(
        request: Request, mode: Mode, windows: int = Query(WINDOWS, ge=1, le=MOST_WINDOWS)
    ) -> HTMLResponse:
        return render_mode(request, "drift", mode, windows)

    @app.get("/{mode}/accuracy")
    def accuracy(request: Request, mode: Mode) -> HTMLResponse:
        return render_mode(request, "accuracy", mode)

    @app.get("/{mode}/predictions")
    def predictions(request: Request, mode: Mode, after: str = "") -> HTMLResponse:
        cursor = Cursor.parse(after) if after else None
        if after and cursor is None:
            raise HTTPException(422, "after: not the beginning of a page; go back to the newest")
        page = recent_answers(reader.store, mode, PAGE_ROWS, clock(), cursor)
        return render_mode(
            request,
            "predictions",
            mode,
            rows=pages.predictions(page.rows, mode),
            inputs=INPUTS[mode],
            is_later=cursor is not None,
            next=str(page.next) if page.next else None,
        )

    @app.get("/{mode}/scored")
    def scored(request: Request, mode: Mode) -> HTMLResponse:
        return render_mode(request, "scored", mode)

    @app.get("/{mode}/releases")
    def releases(request: Request, mode: Mode) -> HTMLResponse:
        return render_mode(request, "releases", mode)

    @app.get("/{mode}/decisions")
    def decisions(request: Request, mode: Mode) -> HTMLResponse:
        return render_mode(request, "decisions", mode)

    @app.get("/{mode}/reports/{window}")
    def report(request: Request, mode: Mode, window: str) -> HTMLResponse:
        return render(
            request,
            "report",
            mode=mode,
            page="reports",
            window=window,
            window_end=_window_end(window),
        )

    @app.get("/{mode}/reports/{window}/report.html")
    def raw_report(mode: Mode, window: str) -> Response:
        _window_end(window)
        bucket = reader.store.settings.reports_bucket
        try:
            html = reader.store.get(bucket, f"{DRIFT_PREFIX}/{mode}/{window}/{REPORT}")
        except ObjectMissingError:
            raise HTTPException(404) from None
        return HTMLResponse(html, headers={"Content-Security-Policy": _REPORT_POLICY})

    return app


def _window_end(window: str) -> datetime:
    """The end of the window of that name."""
    if not _WINDOW.fullmatch(window):
        raise HTTPException(404)
    try:
        return datetime.strptime(window, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise HTTPException(404) from None
