"""The ASGI application of the token service: two paths, written by hand as the data plane is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import structlog

from entrepot.kernel.errors import EntrepotError
from entrepot.observability.logging import get_request_logger
from entrepot.observability.request_ids import RequestIds, bind_request_id, unbind_request_id
from entrepot.oci.error_codes import ErrorCode
from entrepot.token_service.replies import Reply, error_reply, keys_reply, plain_error, token_reply
from entrepot.token_service.requests import Peer, read_form, read_query

if TYPE_CHECKING:
    from entrepot.auth.keys.key_ring import KeyRing
    from entrepot.kernel.address_budget import AddressBudget
    from entrepot.kernel.asgi import Receive, Scope, Send
    from entrepot.token_service.issuing import TokenService

__all__ = ["KEYS_PATH", "TOKEN_PATH", "TokenApplication"]

TOKEN_PATH: Final = "/service/token"  # noqa: S105  # a path
KEYS_PATH: Final = "/service/token/jwks.json"

_log: Any = structlog.get_logger()

_METHODS: Final = {TOKEN_PATH: ("GET", "POST"), KEYS_PATH: ("GET", "HEAD")}
_OPERATIONS: Final = {TOKEN_PATH: "token.issue", KEYS_PATH: "keys.list"}
_UNROUTED: Final = "unknown"


class TokenApplication:
    """Answers `/service/token` and the key set below it. Cookies are not looked at."""

    def __init__(self, service: TokenService, ring: KeyRing, addresses: AddressBudget) -> None:
        self._service = service
        self._ring = ring
        self._addresses = addresses
        self._request_log = get_request_logger()
        self._request_ids = RequestIds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI, HTTP connection scope)."""
        started = time.perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        request_id = self._request_ids.accept(headers.get(b"x-request-id"))
        token = bind_request_id(request_id)
        peer = Peer.of(scope, request_id)
        operation = _OPERATIONS.get(scope["path"], _UNROUTED)
        try:
            with self._addresses.counting(peer.address):
                reply = await self._answer(scope, receive, peer, operation)
                await _send(reply, request_id, scope, send)
            self._request_log.info(
                "request.completed",
                operation=operation,
                method=scope["method"],
                path=scope["path"],
                status=reply.status,
                milliseconds=round((time.perf_counter() - started) * 1000, 3),
                address=peer.address,
            )
        finally:
            unbind_request_id(token)

    async def _answer(self, scope: Scope, receive: Receive, peer: Peer, operation: str) -> Reply:
        method: str = scope["method"]
        allowed = _METHODS.get(scope["path"])
        if allowed is None:
            message = "the token service has no such endpoint"
            return plain_error(method, 404, ErrorCode.UNSUPPORTED, "invalid_request", message)
        if method not in allowed:
            listed = ", ".join(allowed)
            message = f"this endpoint takes {listed}"
            allow = ((b"allow", listed.encode("ascii")),)
            return plain_error(method, 405, ErrorCode.UNSUPPORTED, "invalid_request", message, allow)
        try:
            self._addresses.require_room(peer.address)
            if scope["path"] == KEYS_PATH:
                return keys_reply([key.as_jwk() for key in self._ring.verification_keys().values()])
            request = read_query(scope) if method == "GET" else await read_form(scope, receive)
            return token_reply(request, await self._service.grant(request, peer))
        except EntrepotError as error:
            reply = error_reply(method, error)
            if reply.status >= 500:
                _log.error(
                    "request.failed", operation=operation, reason=str(error), error=type(error).__name__
                )
            return reply
        except Exception:  # noqa: BLE001  # the supervisor of one request: it must answer, and the log must tell
            _log.exception("request.crashed", operation=operation)
            return plain_error(method, 500, ErrorCode.UNKNOWN, "server_error", ErrorCode.UNKNOWN.message)


async def _send(reply: Reply, request_id: str, scope: Scope, send: Send) -> None:
    headers = [
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", request_id.encode("ascii")),
        *reply.headers,
        (b"content-length", b"%d" % len(reply.body)),
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    body = b"" if scope["method"] == "HEAD" else reply.body
    await send({"type": "http.response.body", "body": body})
