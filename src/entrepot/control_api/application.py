"""The ASGI application of the management API: read, hand to the framework, complete the answer, measure, log.

The framework takes a third of a second and some 30 MiB to import, so that is done at the first request.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from typing import TYPE_CHECKING, Any, Final

import structlog

from entrepot.auth.errors import AuditUnavailableError
from entrepot.control_api.error_mapping import HarborCode, error_reply, render_error
from entrepot.control_api.errors import InputTooLargeError
from entrepot.control_api.forgery import CSRF_HEADER
from entrepot.control_api.request_bodies import BodyBudget, replayed
from entrepot.control_api.request_context import RequestContext, carry_context
from entrepot.control_api.request_head import UNSAFE_METHODS, read_head, require_clarity
from entrepot.kernel.errors import EntrepotError
from entrepot.observability.logging import get_request_logger
from entrepot.observability.request_ids import RequestIds, bind_request_id, unbind_request_id

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from entrepot.control_api.admission import Admitter
    from entrepot.control_api.declarations import AnyEndpoint
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.services import ControlServices
    from entrepot.kernel.address_budget import AddressBudget
    from entrepot.kernel.asgi import Application, Message, Receive, Scope, Send

__all__ = ["ControlApplication", "LazyControlApplication", "build_control_api"]

_log: Any = structlog.get_logger()

_NEVER_REFUSED: Final = frozenset({"api.ping", "api.health.read"})
"""Operations that are answered however much their address has under way: whoever watches over us asks them."""
_METRICS_FLUSH_SECONDS: Final = 0.5
_ALWAYS: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)


def build_control_api(
    services: ControlServices, external_url: str, version: str, addresses: AddressBudget
) -> Application:
    """Return the management API on built services; imports the framework.

    Args:
        external_url: the address under which people reach the registry; empty when it is that of their requests.
        version: of this program, for the schema.
        addresses: what counts the requests of each address.

    Raises:
        DeclarationError: an endpoint is declared in a way that can't be right.
    """
    from entrepot.control_api.admission import Admitter  # noqa: PLC0415  # as the framework

    endpoints, framework = _declared(version)
    heads = frozenset(endpoint.path for endpoint in endpoints if endpoint.method == "HEAD")
    never_refused = frozenset(endpoint.path for endpoint in endpoints if endpoint.operation in _NEVER_REFUSED)
    return ControlApplication(framework, Admitter(services, external_url), heads, addresses, never_refused)


@functools.cache
def _declared(version: str) -> tuple[tuple[AnyEndpoint, ...], Application]:
    """Return the endpoints and the framework's application of them: one for all registries in a process."""
    from entrepot.control_api.framework import build_framework, build_schema  # noqa: PLC0415  # dear to import
    from entrepot.control_api.routes import all_endpoints  # noqa: PLC0415  # as the framework

    endpoints = all_endpoints(functools.cache(lambda: build_schema(endpoints, version)))
    framework: Any = build_framework(endpoints)
    return endpoints, framework


class ControlApplication:
    """Answers everything under `/api/` and `/c/`."""

    def __init__(
        self,
        framework: Application,
        admitter: Admitter,
        heads: frozenset[str],
        addresses: AddressBudget,
        never_refused: frozenset[str] = frozenset(),
        bodies: BodyBudget | None = None,
    ) -> None:
        """Take the framework's application and what lets requests to its endpoints.

        Args:
            heads: which paths have HEAD of their own.
            never_refused: which ones no limit refuses.
        """
        self._framework = framework
        self._admitter = admitter
        self._heads = heads
        self._metrics = admitter.services.metrics
        self._addresses = addresses
        self._never_refused = never_refused
        self._bodies = bodies or BodyBudget()
        self._request_log = get_request_logger()
        self._request_ids = RequestIds()
        self._flush_is_planned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI, HTTP connection scope)."""
        started = time.perf_counter()
        accepted = next((value for name, value in scope["headers"] if name == b"x-request-id"), None)
        request_id = self._request_ids.accept(accepted)
        token = bind_request_id(request_id)
        context = RequestContext(read_head(scope, request_id))
        answer = _Answer(context, send)
        try:
            with self._addresses.counting(context.head.address):
                await self._answer(scope, receive, context, answer)
        finally:
            self._record(context, answer.status, time.perf_counter() - started)
            unbind_request_id(token)

    async def _answer(self, scope: Scope, receive: Receive, context: RequestContext, answer: _Answer) -> None:
        try:
            if scope["path"] not in self._never_refused:
                self._addresses.require_room(context.head.address)
            require_clarity(scope, context.head)
            async with self._reading(receive, context) as body:
                context.body_bytes = len(body)
                if context.head.method in UNSAFE_METHODS:
                    await self._hand_on(scope, replayed(body, receive), context, answer)
                    return
            # No other method has a body that anybody reads, and what answers it may take hours to be sent.
            await self._hand_on(scope, replayed(b"", receive), context, answer)
        except EntrepotError as error:
            reply = error_reply(error)
            if reply.status >= 500:
                _log.error(
                    "request.failed",
                    operation=context.operation,
                    reason=str(error),
                    error=type(error).__name__,
                )
            await answer.send_reply(reply)
        except Exception:  # noqa: BLE001  # the supervisor of one request: it must answer, and the log must tell
            _log.exception("request.crashed", operation=context.operation)
            await answer.send_reply(render_error(500, HarborCode.UNKNOWN, ""))

    @contextlib.asynccontextmanager
    async def _reading(self, receive: Receive, context: RequestContext) -> AsyncGenerator[bytes]:
        """Read the body; whether one that is too large was sent by anybody known is found out before it is refused."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                body = await stack.enter_async_context(self._bodies.reading(receive, context.head.address))
            except InputTooLargeError as error:
                context.body_failure, body = error, b""
            yield body

    async def _hand_on(
        self, scope: Scope, receive: Receive, context: RequestContext, answer: _Answer
    ) -> None:
        carry_context(scope, context)
        self._admitter.accompany(scope)
        scope["method"] = self._method(scope)
        await self._framework(scope, receive, answer.send)

    def _method(self, scope: Scope) -> str:
        """HEAD is GET without a body, but where it is an endpoint of its own."""
        method: str = scope["method"]
        is_own = scope["path"].rstrip("/") in self._heads
        return "GET" if method == "HEAD" and not is_own else method

    def _record(self, context: RequestContext, status: int, seconds: float) -> None:
        self._metrics.requests.count(context.operation, status)
        if not self._flush_is_planned:
            self._flush_is_planned = True
            asyncio.get_running_loop().call_later(_METRICS_FLUSH_SECONDS, self._flush_metrics)
        self._request_log.info(
            "request.completed",
            operation=context.operation,
            method=context.head.method,
            path=context.head.path,
            status=status,
            milliseconds=round(seconds * 1000, 3),
            address=context.head.address,
        )

    def _flush_metrics(self) -> None:
        self._flush_is_planned = False
        self._metrics.flush_requests()


class _Answer:
    """The answer to one request: adds what every answer has, and leaves the body out for HEAD."""

    def __init__(self, context: RequestContext, send: Send) -> None:
        self._context = context
        self._send = send
        self.status = 0
        self._is_replaced = False

    async def send(self, message: Message) -> None:
        """Send a message of the framework, unless what it tells of had to be noted and could not be (I11)."""
        if message["type"] == "http.response.start" and self._context.note_failure is not None:
            try:
                await self._context.note_failure(message["status"])
            except AuditUnavailableError as error:
                self._context.note_failure = None
                await self.send_reply(error_reply(error))
                self._is_replaced = True
        if not self._is_replaced:
            await self._pass_on(message)

    async def _pass_on(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*self._headers(), *_meaningful(message)]}
        elif self._context.head.method == "HEAD":
            message = {**message, "body": b""}
        await self._send(message)

    async def send_reply(self, reply: Reply) -> None:
        """Send an answer, unless one has begun: nothing is ever added to that as an error."""
        if self.status:
            return
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
        headers += [
            (b"content-type", reply.media_type.encode("latin-1")),
            (b"content-length", b"%d" % len(reply.body)),
        ]
        await self._pass_on({"type": "http.response.start", "status": reply.status, "headers": headers})
        await self._pass_on({"type": "http.response.body", "body": reply.body})

    def _headers(self) -> list[tuple[bytes, bytes]]:
        headers = [*_ALWAYS, (b"x-request-id", self._context.head.request_id.encode("ascii"))]
        caller = self._context.caller
        if caller is not None and caller.session is not None:
            headers.append((CSRF_HEADER.encode("ascii"), caller.session.csrf_token.encode("ascii")))
        return headers


def _meaningful(message: Message) -> list[tuple[bytes, bytes]]:
    """Return the headers without the type of a body that is not there."""
    headers: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
    if (b"content-length", b"0") in headers:
        return [(name, value) for name, value in headers if name != b"content-type"]
    return headers


class LazyControlApplication:
    """The management API, built at its first request, on a thread, so that pulls go on meanwhile."""

    def __init__(self, build: Callable[[], Application]) -> None:
        self._build = build
        self._lock = asyncio.Lock()
        self._built: Application | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI, HTTP connection scope)."""
        if self._built is None:
            await self.warm_up()
        application = self._built
        if application is not None:
            await application(scope, receive, send)

    async def warm_up(self) -> None:
        """Build it now; once, whoever asks at the same time."""
        async with self._lock:
            if self._built is None:
                self._built = await asyncio.to_thread(self._build)
