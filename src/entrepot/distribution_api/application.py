"""The ASGI application of the data plane: find the route, run it, map errors, send, measure, log."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from entrepot.auth.errors import AuditUnavailableError
from entrepot.distribution_api.challenges import needed_scope
from entrepot.distribution_api.error_mapping import error_response, render_error
from entrepot.distribution_api.errors import (
    BodyTooSlowError,
    ClientGoneError,
    OverloadedError,
)
from entrepot.distribution_api.origins import with_origin
from entrepot.distribution_api.requests import Request
from entrepot.distribution_api.responses import Response, send_response
from entrepot.distribution_api.routes import find_route
from entrepot.distribution_api.store_failures import store_failure
from entrepot.distribution_api.unread_bodies import end_after_body
from entrepot.kernel.errors import EntrepotError
from entrepot.observability.logging import get_request_logger
from entrepot.observability.request_ids import RequestIds, bind_request_id, unbind_request_id
from entrepot.oci.error_codes import ErrorCode
from entrepot.registry.errors import BlobLostError, ContentDamagedError

if TYPE_CHECKING:
    from prometheus_client import Counter

    from entrepot.auth.principals import Principal
    from entrepot.distribution_api.admission import Admission
    from entrepot.distribution_api.audit import EdgeAudit
    from entrepot.distribution_api.body_pace import PaceLimits
    from entrepot.distribution_api.credentials import Identification
    from entrepot.distribution_api.routes import Route, Target
    from entrepot.kernel.asgi import Receive, Scope, Send
    from entrepot.observability.buffered_metrics import BufferedDurations
    from entrepot.services import Services

__all__ = ["DistributionApplication"]

_log: Any = structlog.get_logger()

_UNROUTED: Final = "unknown"
"""The operation of requests that match no route, in metrics and logs."""

_METRICS_FLUSH_SECONDS: Final = 0.5
"""How far a scrape may be behind."""


class DistributionApplication:
    """Answers everything under `/v2/`."""

    def __init__(
        self,
        services: Services,
        admission: Admission,
        pace: PaceLimits,
        *,
        audit: EdgeAudit,
        identification: Identification | None = None,
    ) -> None:
        """Take what requests pass; without `identification` nobody has an account, and everybody is just a peer."""
        self._services = services
        self._audit = audit
        self._identification = identification
        self._admission = admission
        self._addresses = admission.addresses
        self._pace = pace
        self._request_log = get_request_logger()
        self._request_ids = RequestIds()
        self._flush_is_planned = False
        metrics = services.metrics
        self._count = metrics.requests.count
        self._durations: dict[str, BufferedDurations] = {
            "manifest.pull": metrics.pull_manifest,
            "blob.pull": metrics.pull_blob,
            "manifest.push": metrics.push_manifest,
            "upload.begin": metrics.push_blob,
            "upload.append": metrics.push_blob,
            "upload.finish": metrics.push_blob,
        }
        self._refusals: dict[type[EntrepotError], Counter] = {
            BodyTooSlowError: metrics.refused_slow_bodies,
            OverloadedError: metrics.refused_overload,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI, HTTP connection scope)."""
        started = time.perf_counter()
        request = Request(scope, receive, self._pace)
        request_id = self._request_ids.accept(request.header(b"x-request-id"))
        token = bind_request_id(request_id)
        principal = request.principal()
        self._addresses.enter(principal.address)
        try:
            operation, response = await self._answer(request, principal)
            seconds = time.perf_counter() - started
            try:
                if request.has_unread_body():
                    send = end_after_body(send, receive)
                await send_response(response, request_id, scope, receive, send)
            except ClientGoneError:
                self._services.metrics.responses_aborted.inc()
            except BaseException as error:
                self._services.metrics.responses_aborted.inc()
                self._report_broken(operation, error)
                raise
            finally:
                self._record(request, principal, operation, response.status, seconds)
        finally:
            self._addresses.leave(principal.address)
            request.release()
            unbind_request_id(token)

    async def _answer(self, request: Request, peer: Principal) -> tuple[str, Response]:
        operation = _UNROUTED
        principal, found = peer, None
        try:
            self._addresses.require_room(peer.address)
            request.require_small_head()
            request.require_clarity()
            found = route, target = find_route(request.method, request.path)
            operation = route.operation
            principal = peer = with_origin(peer, request, operation)
            if self._identification is not None:
                principal = await self._identification.identify(request, peer)
            if not route.reads_body(request):
                response = await route.run(self._services, request, principal, target)
                await self._audit.note_reply(operation, request, principal, target, response)
            else:
                request.identified_at = time.monotonic()
                if self._identification is not None:
                    request.identify_anew = partial(self._identification.identify, request, peer)
                async with self._admission.reading_body(peer.address):
                    with self._services.metrics.bodies_in_progress.track_inprogress():
                        response = await route.run(self._services, request, principal, target)
        except EntrepotError as error:
            return operation, await self._refuse(request, principal, found, error)
        except Exception:  # noqa: BLE001  # the supervisor of one request: it must answer, and the log must tell
            _log.exception("request.crashed", operation=operation)
            return operation, render_error(500, ErrorCode.UNKNOWN, ErrorCode.UNKNOWN.message)
        else:
            return operation, response

    async def _refuse(
        self, request: Request, principal: Principal, found: tuple[Route, Target] | None, error: EntrepotError
    ) -> Response:
        response = error_response(error)
        if found is not None:
            try:
                await self._audit.note_refusal(request, principal, found, error, response.status)
            except AuditUnavailableError as unavailable:
                error, response = unavailable, error_response(unavailable)
        self._note(found[0].operation if found is not None else _UNROUTED, error, response.status)
        if response.status != 401 or self._identification is None:
            return response
        scope = needed_scope(*found, request) if found is not None else ""
        challenge = self._identification.challenges.header(request, error, scope)
        return msgspec.structs.replace(response, headers=(*response.headers, challenge))

    def _note(self, operation: str, error: EntrepotError, status: int) -> None:
        """Count what was refused for the sake of others; log and count what went wrong here."""
        refusals = self._refusals.get(type(error))
        if refusals is not None:
            refusals.inc()
        elif status >= 500 or isinstance(error, BlobLostError):
            self._count_fault(error)
            _log.error("request.failed", operation=operation, reason=str(error), error=type(error).__name__)

    def _report_broken(self, operation: str, error: BaseException) -> None:
        if isinstance(error, EntrepotError):
            self._count_fault(error)
            _log.error("response.broken", operation=operation, reason=str(error), error=type(error).__name__)

    def _count_fault(self, error: EntrepotError) -> None:
        if isinstance(error, ContentDamagedError | BlobLostError):
            self._services.metrics.damaged_content.inc()
        elif (failure := store_failure(error)) is not None:
            self._services.metrics.store_failures.labels(*failure).inc()

    def _record(
        self, request: Request, principal: Principal, operation: str, status: int, seconds: float
    ) -> None:
        self._count(operation, status)
        duration = self._durations.get(operation)
        if duration is not None and request.method != "HEAD":
            duration.observe(seconds)
        if not self._flush_is_planned:
            self._flush_is_planned = True
            asyncio.get_running_loop().call_later(_METRICS_FLUSH_SECONDS, self._flush_metrics)
        self._request_log.info(
            "request.completed",
            operation=operation,
            method=request.method,
            path=request.path,
            status=status,
            milliseconds=round(seconds * 1000, 3),
            address=principal.address,
        )

    def _flush_metrics(self) -> None:
        self._flush_is_planned = False
        self._services.metrics.flush_requests()
