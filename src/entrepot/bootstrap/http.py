"""Hands requests to the application their path belongs to, on services that live as long as the process."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from entrepot.bootstrap.services import open_services
from entrepot.distribution_api.admission import Admission, AdmissionLimits
from entrepot.distribution_api.application import DistributionApplication
from entrepot.distribution_api.body_pace import PaceLimits
from entrepot.distribution_api.error_mapping import error_response
from entrepot.distribution_api.errors import RouteUnknownError
from entrepot.distribution_api.responses import send_response
from entrepot.kernel.errors import EntrepotError
from entrepot.kernel.ids import new_public_id
from entrepot.metadata.errors import RebuildUnfinishedError, SchemaMismatchError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from entrepot.distribution_api.asgi import ASGIApplication, Receive, Scope, Send
    from entrepot.services import Services
    from entrepot.settings import Settings

__all__ = ["Dispatcher", "build_distribution", "build_http_application"]


def build_http_application(settings: Settings) -> ASGIApplication:
    """Return the ASGI application of the HTTP process; it opens everything at lifespan start-up."""
    return Dispatcher(settings)


def build_distribution(settings: Settings, services: Services) -> DistributionApplication:
    """Return the data plane on built services; it belongs to one event loop."""
    limits = settings.limits
    admission = AdmissionLimits(
        requests_per_address=limits.requests_per_address,
        bodies=limits.bodies,
        bodies_per_address=limits.bodies_per_address,
        waiting_bodies=limits.waiting_bodies,
        wait_seconds=limits.wait_seconds,
    )
    pace = PaceLimits(limits.min_body_bytes_per_second, limits.pace_window_seconds, limits.silence_seconds)
    return DistributionApplication(services, Admission(admission), pace)


class Dispatcher:
    """Owns the lifespan and hands requests to the application their path belongs to."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = contextlib.AsyncExitStack()
        self._distribution: DistributionApplication | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Handle one ASGI connection. No coroutine of its own: every request would pass through it."""
        if self._distribution is None or scope["type"] != "http":
            return self._live(scope, receive, send)
        if scope["path"].startswith("/v2"):
            return self._distribution(scope, receive, send)
        return send_response(error_response(RouteUnknownError()), new_public_id(), scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            return
        await receive()
        try:
            services = await self._stack.enter_async_context(open_services(self._settings))
        except (SchemaMismatchError, RebuildUnfinishedError):
            raise  # starting again is of no use, which the process that runs this tells its parent
        except EntrepotError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        self._distribution = build_distribution(self._settings, services)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._stack.aclose()
        await send({"type": "lifespan.shutdown.complete"})
