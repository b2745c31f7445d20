"""The ASGI application of the data plane: find the route, run it, map errors, send, measure, log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog

from entrepot.distribution_api.error_mapping import error_response, render_error
from entrepot.distribution_api.requests import Request
from entrepot.distribution_api.responses import Response, send_response
from entrepot.distribution_api.routes import find_route
from entrepot.kernel.errors import EntrepotError
from entrepot.observability.request_ids import accept_request_id, bind_request_id, unbind_request_id
from entrepot.oci.error_codes import ErrorCode

if TYPE_CHECKING:
    from prometheus_client import Histogram

    from entrepot.auth.principals import Principal
    from entrepot.distribution_api.asgi import Receive, Scope, Send
    from entrepot.services import Services

__all__ = ["DistributionApplication"]

_log: Any = structlog.get_logger()

_UNROUTED = "unknown"
"""The operation of requests that match no route, in metrics and logs."""


class DistributionApplication:
    """Answers everything under `/v2/`."""

    def __init__(self, services: Services) -> None:
        self._services = services
        metrics = services.metrics
        self._durations: dict[str, Histogram] = {
            "manifest.pull": metrics.pull_manifest,
            "blob.pull": metrics.pull_blob,
            "manifest.push": metrics.push_manifest,
            "upload.begin": metrics.push_blob,
            "upload.append": metrics.push_blob,
            "upload.finish": metrics.push_blob,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI, HTTP connection scope)."""
        started = time.perf_counter()
        request = Request(scope, receive)
        request_id = accept_request_id(request.header(b"x-request-id"))
        token = bind_request_id(request_id)
        principal = request.principal()
        try:
            operation, response = await self._answer(request, principal)
            seconds = time.perf_counter() - started
            try:
                await send_response(response, request_id, scope, send)
            except BaseException:
                self._services.metrics.responses_aborted.inc()
                raise
            finally:
                self._record(request, principal, operation, response.status, seconds)
        finally:
            unbind_request_id(token)

    async def _answer(self, request: Request, principal: Principal) -> tuple[str, Response]:
        operation = _UNROUTED
        try:
            route, target = find_route(request.method, request.path)
            operation = route.operation
            return operation, await route.run(self._services, request, principal, target)
        except EntrepotError as error:
            response = error_response(error)
            if response.status >= 500:
                _log.error(
                    "request.failed", operation=operation, reason=str(error), error=type(error).__name__
                )
            return operation, response
        except Exception:  # noqa: BLE001  # the supervisor of one request: it must answer, and the log must tell
            _log.exception("request.crashed", operation=operation)
            return operation, render_error(500, ErrorCode.UNKNOWN, ErrorCode.UNKNOWN.message)

    def _record(
        self, request: Request, principal: Principal, operation: str, status: int, seconds: float
    ) -> None:
        self._services.metrics.requests.count(operation, status)
        duration = self._durations.get(operation)
        if duration is not None and request.method != "HEAD":
            duration.observe(seconds)
        _log.info(
            "request.completed",
            operation=operation,
            method=request.method,
            path=request.path,
            status=status,
            milliseconds=round(seconds * 1000, 3),
            address=principal.address,
        )
