"""Hands requests to the application their path belongs to, on services that live as long as the process."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from entrepot.auth.trusted_proxies import BehindProxies, TrustedProxies
from entrepot.bootstrap.edges import open_edges
from entrepot.distribution_api.error_mapping import error_response
from entrepot.distribution_api.errors import RouteUnknownError
from entrepot.distribution_api.responses import send_response
from entrepot.kernel.errors import EntrepotError
from entrepot.kernel.ids import new_public_id
from entrepot.metadata.errors import RebuildUnfinishedError, SchemaMismatchError
from entrepot.settings import SettingsError, trusted_proxies

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from entrepot.bootstrap.edges import Edges
    from entrepot.kernel.asgi import Application, Receive, Scope, Send
    from entrepot.settings import Settings

__all__ = ["Dispatcher", "build_http_application", "build_http_successor"]


def build_http_application(settings: Settings) -> Application:
    """Return the ASGI application of an HTTP process; it opens everything at lifespan start-up.

    That is what a start runs: where there is no registry yet, it makes database and first administrator.
    """
    return _behind_proxies(Dispatcher(settings), settings)


def build_http_successor(settings: Settings) -> Application:
    """Return the application of a process that takes the place of one that served: it makes no registry."""
    return _behind_proxies(Dispatcher(settings, makes_new=False), settings)


def _behind_proxies(dispatcher: Dispatcher, settings: Settings) -> Application:
    networks = trusted_proxies(settings)
    return BehindProxies(dispatcher, TrustedProxies(networks)) if networks else dispatcher


class Dispatcher:
    """Owns the lifespan and hands requests to the application their path belongs to."""

    def __init__(self, settings: Settings, *, makes_new: bool = True) -> None:
        self._settings = settings
        self._makes_new = makes_new
        self._stack = contextlib.AsyncExitStack()
        self._edges: Edges | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Handle one ASGI connection. No coroutine of its own: every request would pass through it."""
        edges = self._edges
        if edges is None or scope["type"] != "http":
            return self._live(scope, receive, send)
        path: str = scope["path"]
        if path.startswith("/v2"):
            return edges.distribution(scope, receive, send)
        if edges.tokens is not None and path.startswith("/service/token"):
            return edges.tokens(scope, receive, send)
        if edges.control is not None and path.startswith(("/api/", "/c/")):
            return edges.control(scope, receive, send)
        return send_response(error_response(RouteUnknownError()), new_public_id(), scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            return
        await receive()
        try:
            opening = open_edges(self._settings, makes_new=self._makes_new)
            edges = await self._stack.enter_async_context(opening)
        except (SchemaMismatchError, RebuildUnfinishedError, SettingsError):
            raise  # starting again is of no use, which the process that runs this tells its parent
        except EntrepotError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        self._edges = edges
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._stack.aclose()
        await send({"type": "lifespan.shutdown.complete"})
