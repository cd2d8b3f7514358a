"""The HTTP API and the page as one ASGI application over one recognizer.

Routes only hand over: bodies are received in ``bodies.py``, work waits and runs in
``work_queue.py``, what it answers is in ``answers.py``, images are decoded in processes of their
own by ``decoding.py``, and ``guard.py`` stands before everything. Nothing is written to disk.
"""

from __future__ import annotations

import asyncio
import importlib.resources
import logging
import re
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from pathlib import PurePath
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from numpy import uint8
from numpy.typing import NDArray
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from facial_expressions.colors import css_variables
from facial_expressions.errors import FacialExpressionsError
from facial_expressions.inference.recognizer import ExpressionRecognizer
from facial_expressions.results import SCHEMA
from facial_expressions.rows import as_row
from facial_expressions.server import answers
from facial_expressions.server.bodies import BodyReader
from facial_expressions.server.cameras import CameraSessions
from facial_expressions.server.connections import keep_log_short
from facial_expressions.server.decoding import DecoderPool
from facial_expressions.server.guard import Guard, HostNames
from facial_expressions.server.limits import CLIENT_GONE, RequestError, ServerLimits, from_status
from facial_expressions.server.metrics import ServerMetrics
from facial_expressions.server.work_queue import CheckWanted, WorkQueue

logger = logging.getLogger(__name__)
router = APIRouter()

Json = dict[str, Any]
Answering = Callable[[ExpressionRecognizer, NDArray[uint8]], Json]
_SAFE_NAME: Final = re.compile(r"\w{1,40}", re.ASCII)
_SESSION: Final = re.compile(r"[\w-]{16,64}", re.ASCII)
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_ADDRESSES: Final = {"index.html": "/", "docs.html": "/docs"}
"""Of files of the page that are not asked for by their names."""

_DESCRIPTION: Final = (
    "Finds faces in images and names the expression that people would most likely see in each. "
    "It does not know what a person feels. Nothing is stored."
)


def create_app(
    recognizer: ExpressionRecognizer,
    limits: ServerLimits | None = None,
    *,
    hosts: HostNames | None = None,
    root_path: str = "",
) -> FastAPI:
    """Build the application.

    Args:
        recognizer: Finds faces and names their expressions; shared by all requests.
        limits: Bounds of a request; None takes the defaults.
        hosts: Host names that the server answers to; None takes those of loopback.
        root_path: Path prefix under which a proxy serves it, as ``/faces``; the proxy may strip it
            or not.

    A request that arrives while the server starts waits for the model, as long as for an answer.
    Mounted in another application, whose lifespan does not reach it, it starts with its first
    request, which waits without a limit.

    Examples:
        >>> from facial_expressions.inference.recognizer import load_recognizer
        >>> "/v1/recognize" in create_app(load_recognizer()).openapi()["paths"]
        True
    """
    service = _Service(recognizer, limits or ServerLimits())
    app = FastAPI(
        title="Facial Expressions",
        description=_DESCRIPTION,
        version=version("facial-expressions"),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        exception_handlers={HTTPException: _raise_to_guard},
    )
    app.state.service = service
    app.include_router(router)
    pages = _page_routes()
    app.router.routes.extend(pages)
    routes = frozenset(app.openapi()["paths"]) | {page.path for page in pages}
    app.add_middleware(Guard, hosts=hosts or HostNames(), metrics=service.metrics, routes=routes,
                       root_path=root_path)  # fmt: skip
    return app


class _Service:
    """What the routes of one application share."""

    def __init__(self, recognizer: ExpressionRecognizer, limits: ServerLimits) -> None:
        self.recognizer, self.limits = recognizer, limits
        self.cameras = CameraSessions(recognizer)
        self.queue = WorkQueue(limits)
        self.bodies = BodyReader(limits)
        self.decoders = DecoderPool(limits)
        self.metrics = ServerMetrics()
        self.is_ready = False
        self.has_lifespan = False
        weakref.finalize(self, self.decoders.close)  # a mounted application is never told to stop
        self._starting: asyncio.Task[None] | None = None
        self.metrics.watch("work_admitted", "Images worked on or waiting.",
                           lambda: self.queue.admitted)  # fmt: skip
        self.metrics.watch("work_waiting", "Images waiting for a worker.",
                           lambda: max(0, self.queue.admitted - limits.workers))  # fmt: skip
        self.metrics.watch("decoder_deaths", "Decoding processes that died and were replaced.",
                           lambda: self.decoders.n_deaths)  # fmt: skip
        self.metrics.watch("ready", "Whether requests are taken.", lambda: self.is_ready)

    def start(self) -> asyncio.Task[None]:
        """Begin to warm up, unless that was done before; return what does it."""
        self._starting = self._starting or asyncio.create_task(self._warm_up())
        return self._starting

    async def _warm_up(self) -> None:
        """Run the networks once, then take requests."""
        try:
            await asyncio.to_thread(self.decoders.start)
            await asyncio.to_thread(answers.warm_up, self.recognizer)
            self.is_ready = True
        except FacialExpressionsError:
            logger.exception("the model does not run, so the server will not become ready")

    def check_ready(self) -> None:
        """Turn a request away before the server is ready."""
        if not self.is_ready:
            raise RequestError(503, "not_ready", "The server is starting. Try again in a moment.")

    async def answer(self, request: Request, answering: Answering) -> Json:
        """Receive an image, let it wait for a worker, and answer."""
        wait_s = self.limits.answer_s if self.has_lifespan else None
        await asyncio.wait({self.start()}, timeout=wait_s)
        self.check_ready()
        self.queue.check_room()
        async with self.bodies.read(request) as body:
            asked = time.perf_counter()

            def work(check_wanted: CheckWanted) -> Json:
                stage = self.metrics.stages.labels
                stage("queue").observe(time.perf_counter() - asked)
                check_wanted()
                with stage("decode").time():
                    image = self.decoders.decode(body)
                check_wanted()
                with stage("recognize").time():
                    return answering(self.recognizer, image)

            row = await _unless_client_leaves(request, self.queue.run(work))
        self.metrics.faces.inc(len(row["faces"]) if "faces" in row else 1)
        return row


@router.post(
    "/v1/recognize",
    response_model=answers.ImageAnswer,
    response_model_exclude_unset=True,
    responses=answers.ERRORS,
    openapi_extra=answers.IMAGE_BODY | answers.RECOGNIZE_PARAMETERS,
)
async def recognize(request: Request) -> Json:
    """Find the faces of an image and name their expressions.

    With ``explain=true`` each face has a heat map of the parts that support the answer. Frames of
    one camera are answered faster when they name their session.
    """
    service, explain = _service(request), _asked_to_explain(request)
    session = _camera_session(request)
    if explain and not service.recognizer.classifier.explains:
        raise RequestError(400, "no_explanation", "The model served cannot explain its answers.")
    if session and not explain:
        return await service.answer(
            request,
            lambda _, image: answers.image_row(image, service.cameras.recognize(session, image)),
        )
    return await service.answer(request, partial(answers.recognize_image, explain=explain))


@router.post(
    "/v1/classify",
    response_model=answers.CropAnswer,
    responses=answers.ERRORS,
    openapi_extra=answers.IMAGE_BODY,
)
async def classify(request: Request) -> Json:
    """Name the expression of one cropped face, a square image."""
    _check_query(request, allowed=())
    return await _service(request).answer(request, answers.classify_crop)


@router.get("/v1/models", response_model=answers.ModelsAnswer)
async def models(request: Request) -> Json:
    """Return the model that is served, and its metadata."""
    return {"schema": SCHEMA, "models": [as_row(answers.MODEL, _service(request).recognizer)]}


@router.get("/v1/labels", response_model=answers.LabelsAnswer)
async def labels(request: Request) -> Json:
    """List the expressions, in the order of the model's output."""
    known = _service(request).recognizer.classifier.labels
    return {"schema": SCHEMA, "name": known.name, "labels": list(known)}


@router.get("/healthz", response_model=answers.StateAnswer)
async def health() -> Json:
    """Report that the server is alive; does no work."""
    return {"status": "alive"}


@router.get(
    "/readyz", response_model=answers.StateAnswer, responses={503: {"model": answers.ErrorAnswer}}
)
async def ready(request: Request) -> Json:
    """Report whether images are accepted: the model has run once, and the decoders are alive."""
    service = _service(request)
    if not service.has_lifespan:
        service.start()
    if service.decoders.is_failing:
        raise RequestError(503, "decoders_dying", "The image decoders keep crashing.")
    service.check_ready()
    return {"status": "ready"}


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Return counts and times in Prometheus' text format."""
    text = _service(request).metrics.text()
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _page_routes() -> list[Route]:
    """Return one route for each file of the page, and one for the colors.

    They are read once and served from memory: no path of a request reaches the disk.
    """
    folder = importlib.resources.files("facial_expressions.server") / "static"
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    files["colors.css"] = css_variables().encode()
    routes = []
    for name, content in files.items():
        content_type = _TYPES[PurePath(name).suffix]
        headers = {"content-type": content_type, "cache-control": "no-cache"}
        answer = Response(content, headers=headers)
        routes.append(Route(_ADDRESSES.get(name, f"/{name}"), answer, methods=["GET"]))
    return routes


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: _Service = app.state.service
    keep_log_short(asyncio.get_running_loop())
    service.has_lifespan = True
    starting = service.start()
    yield
    service.is_ready = False
    starting.cancel()
    service.queue.close()
    await asyncio.to_thread(service.decoders.close)


def _service(request: Request) -> _Service:
    service: _Service = request.app.state.service
    return service


async def _unless_client_leaves(request: Request, answer_: Awaitable[Json]) -> Json:
    """Wait for an answer as long as there is someone to give it to."""
    answer = asyncio.ensure_future(answer_)
    leaving = asyncio.ensure_future(_client_leaves(request))
    try:
        await asyncio.wait({answer, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        raise RequestError(CLIENT_GONE, "client_gone", "The client disconnected.")
    finally:
        leaving.cancel()
        answer.cancel()
        await asyncio.gather(answer, leaving, return_exceptions=True)


async def _client_leaves(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _asked_to_explain(request: Request) -> bool:
    """Read the parameter ``explain``; anything but true and false is refused."""
    _check_query(request, allowed=("explain",))
    words = request.query_params.getlist("explain") or ["false"]
    if len(words) > 1 or words[0] not in ("true", "false"):
        raise RequestError(
            400, "bad_parameter", "The parameter explain must be true or false, given once."
        )
    return words[0] == "true"


def _camera_session(request: Request) -> str:
    """Read the header that names a camera's session; empty where there is none."""
    keys = request.headers.getlist(answers.SESSION_HEADER)
    if not keys:
        return ""
    if len(keys) > 1 or not _SESSION.fullmatch(keys[0]):
        raise RequestError(
            400, "bad_session", "X-Camera-Session must be 16 to 64 letters, digits, - and _, once."
        )
    return keys[0]


def _check_query(request: Request, *, allowed: tuple[str, ...]) -> None:
    for name in request.query_params:
        if name not in allowed:
            shown = f"parameter {name}" if _SAFE_NAME.fullmatch(name) else "query"
            raise RequestError(400, "unknown_parameter", f"This address does not take {shown}.")


async def _raise_to_guard(_: Request, error: Exception) -> Response:
    """Hand the router's own errors to the guard, which answers them as JSON."""
    assert isinstance(error, HTTPException)  # the kind that it is registered for
    raise from_status(error.status_code, error.headers) from error
