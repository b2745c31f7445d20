"""How the parts of the registry are, remembered for a moment.

Anybody may ask, and an examination writes to the stores.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from entrepot.kernel.errors import EntrepotError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

__all__ = ["ComponentHealthStatus", "HealthBoard", "OverallHealthStatus"]

_log: Any = structlog.get_logger()

_REMEMBERED_SECONDS: Final = 5.0
_PATIENCE_SECONDS: Final = 5.0
_HEALTHY: Final = "healthy"
_UNHEALTHY: Final = "unhealthy"


class ComponentHealthStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """One part of the registry."""

    name: str
    status: str
    error: str = ""


class OverallHealthStatus(msgspec.Struct, frozen=True):
    """All parts; unhealthy when one of them is."""

    status: str
    components: tuple[ComponentHealthStatus, ...]


class HealthBoard:
    """Examines the parts at most once in five seconds, whoever asks.

    A check returns when its part works, and raises an `EntrepotError` when it does not.
    """

    def __init__(self, checks: Mapping[str, Callable[[], Awaitable[object]]]) -> None:
        self._checks = checks
        self._lock = asyncio.Lock()
        self._remembered: tuple[float, OverallHealthStatus] | None = None

    async def examine(self) -> OverallHealthStatus:
        """Return how the parts were within the last five seconds."""
        async with self._lock:
            if self._remembered is None or time.monotonic() - self._remembered[0] > _REMEMBERED_SECONDS:
                self._remembered = (time.monotonic(), await self._examine())
            return self._remembered[1]

    async def _examine(self) -> OverallHealthStatus:
        found = await asyncio.gather(*(_examine_one(name, check) for name, check in self._checks.items()))
        parts = (ComponentHealthStatus("core", _HEALTHY), *found)
        ill = any(part.status != _HEALTHY for part in parts)
        return OverallHealthStatus(_UNHEALTHY if ill else _HEALTHY, parts)


async def _examine_one(name: str, check: Callable[[], Awaitable[object]]) -> ComponentHealthStatus:
    """Say that it fails and not why: that names hosts and paths, and anybody may ask (CWE-209)."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await check()
    except (EntrepotError, TimeoutError) as error:
        _log.warning("health.check.failed", component=name, reason=str(error), error=type(error).__name__)
        return ComponentHealthStatus(name, _UNHEALTHY, "does not answer as it should; the log tells why")
    return ComponentHealthStatus(name, _HEALTHY)
