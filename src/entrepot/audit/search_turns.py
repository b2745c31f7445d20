"""Whose search of the audit log runs: few at once, so that the database has most of its strength for everybody else.

Each account has one place in this line, however many searches it sends, and its robots have none beside it.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from entrepot.audit.errors import AuditSearchesBusyError
from entrepot.metadata.audit_store import MOST_SEARCHES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.auth.principals import Principal

__all__ = ["SearchTurns"]


class SearchTurns:
    """The line of one process. Belongs to one event loop."""

    def __init__(self, most: int = MOST_SEARCHES, patience_seconds: float = 10.0) -> None:
        self._patience_seconds = patience_seconds
        self._of_accounts: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._places = asyncio.Semaphore(most)

    @classmethod
    def beside_others(cls, connections: int) -> SearchTurns:
        """Return a line that leaves half of so many connections to others, if there is more than one."""
        return cls(min(MOST_SEARCHES, max(1, connections // 2)))

    @asynccontextmanager
    async def turn(self, principal: Principal) -> AsyncIterator[None]:
        """Have the turn, for one search.

        Raises:
            AuditSearchesBusyError: those before take too long.
        """
        own = self._of_accounts.setdefault(_account_of(principal), asyncio.Lock())
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(self._patience_seconds):
                    await held.enter_async_context(own)
                    await held.enter_async_context(self._places)
            except TimeoutError as error:
                raise AuditSearchesBusyError from error
            yield


def _account_of(principal: Principal) -> str:
    """Return whose search it is: of a robot, who answers for it."""
    sponsor = principal.sponsor
    return principal.subject if sponsor is None or sponsor.is_host else sponsor.person
