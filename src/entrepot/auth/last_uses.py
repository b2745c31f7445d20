"""Puts down when robots and access tokens were last used: at most once a minute, and never while a request waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog

from entrepot.kernel.periodic import Periodic
from entrepot.metadata.errors import MetadataError

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["LastUses"]

_log: Any = structlog.get_logger()

_PERIOD_SECONDS: Final = 60.0
_CAPACITY: Final = 10_000


class LastUses:
    """Gathers uses and writes them in one unit per minute. Belongs to one event loop.

    More than `capacity` robots or tokens within one period are not all noted; the next period notes those that go on.
    """

    def __init__(
        self, metadata: Metadata, *, period_seconds: float = _PERIOD_SECONDS, capacity: int = _CAPACITY
    ) -> None:
        self._metadata = metadata
        self._capacity = capacity
        self._robots: set[str] = set()
        self._tokens: set[str] = set()
        self._periodic = Periodic("last-uses", period_seconds, self.flush)

    def start(self) -> None:
        """Begin to write every period."""
        self._periodic.start()

    def robot_used(self, public_id: str) -> None:
        """Note that a robot was used."""
        if len(self._robots) < self._capacity:
            self._robots.add(public_id)

    def token_used(self, public_id: str) -> None:
        """Note that an access token was used."""
        if len(self._tokens) < self._capacity:
            self._tokens.add(public_id)

    async def flush(self) -> None:
        """Write what was noted. What can't be written is let go: the time of a last use is worth no waiting."""
        robots, tokens = sorted(self._robots), sorted(self._tokens)
        self._robots.clear()
        self._tokens.clear()
        if not robots and not tokens:
            return

        async def unit(tx: Transaction) -> None:
            if robots:
                await tx.robots.note_uses(robots)
            if tokens:
                await tx.access_tokens.note_uses(tokens)

        try:
            await self._metadata.write(unit)
        except MetadataError as error:
            _log.warning("credential.uses.lost", robots=len(robots), tokens=len(tokens), reason=str(error))

    async def aclose(self) -> None:
        """Stop, and write what is left. May be called again."""
        await self._periodic.aclose()
