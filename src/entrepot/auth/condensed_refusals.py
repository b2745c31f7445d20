"""Keeps what nobody can do from filling the audit log: of refusals that cost the asker nothing, most are only counted.

Whoever presents nothing that is right can be refused some thousand times a second. The first refusals of an address
are noted one by one; of those that follow within the same ten seconds the last one is noted, at their end, with the
number of those that it stands for. Refusals of anybody who is known are noted each. Metrics count all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import structlog

from entrepot.auth.audit_records import repeated
from entrepot.auth.errors import AuditUnavailableError
from entrepot.auth.forwarding import subscriber
from entrepot.auth.principals import ANONYMOUS

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.auth.audit_notes import AuditNotes
    from entrepot.metadata.audit_store import NewAuditRecord

__all__ = ["CondensedRefusals"]

_log: Any = structlog.get_logger()

_PERIOD_SECONDS: Final = 10.0
_EACH: Final = 3
"""Of one address within a period, noted as they come."""
_MOST_ADDRESSES: Final = 100
"""Told apart within one period; all others are one. So there are 40 records a second at most, however many flood."""
_OTHERS: Final = "others"


class _Kind(NamedTuple):
    """What refusals have in common that one record stands for."""

    address: str
    action: str


class CondensedRefusals:
    """Implements :class:`entrepot.auth.audit_notes.AuditNotes` on notes. Belongs to one event loop."""

    def __init__(
        self,
        notes: AuditNotes,
        count: Callable[[], object] = object,
        *,
        period_seconds: float = _PERIOD_SECONDS,
        each: int = _EACH,
        most_addresses: int = _MOST_ADDRESSES,
    ) -> None:
        """Take where records go, and who is told of each that is only counted."""
        self._notes = notes
        self._count = count
        self._period_seconds = period_seconds
        self._each = each
        self._most_addresses = most_addresses
        self._noted: dict[str, int] = {}
        self._repeats: dict[_Kind, tuple[int, NewAuditRecord]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to note what was counted, every period."""
        if self._task is None:
            self._task = asyncio.create_task(self._repeat(), name="condensed-refusals")

    async def note(self, record: NewAuditRecord) -> None:
        """See the protocol. What is only counted is not noted before the reply.

        Raises:
            AuditUnavailableError: as the protocol says.
        """
        if record.outcome != "failure" or record.subject != ANONYMOUS or self._is_among_first(record):
            await self._notes.note(record)

    async def flush(self) -> None:
        """Note what was counted, and begin anew. What can't be noted stays counted."""
        self._noted.clear()
        while self._repeats:
            kind, (times, last) = self._repeats.popitem()
            try:
                of_several = kind.address == _OTHERS
                await self._notes.note(last if times == 1 else repeated(last, times, of_several=of_several))
            except AuditUnavailableError as error:
                self._keep(kind, last, times)
                _log.warning("audit.refusals.waiting", kinds=len(self._repeats), reason=str(error))
                return

    async def aclose(self) -> None:
        """Stop, and note what is left. May be called again."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.flush()

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(self._period_seconds)
            await self.flush()

    def _is_among_first(self, record: NewAuditRecord) -> bool:
        """Whether a record is to be noted; otherwise it was counted."""
        address = subscriber(record.address)
        if address not in self._noted and len(self._noted) >= self._most_addresses:
            address = _OTHERS
        noted = self._noted.get(address, 0)
        if noted < self._each:
            self._noted[address] = noted + 1
            return True
        self._keep(_Kind(address, record.action), record, 1)
        self._count()
        return False

    def _keep(self, kind: _Kind, last: NewAuditRecord, times: int) -> None:
        """Add to what was counted."""
        before = self._repeats.get(kind)
        self._repeats[kind] = (times, last) if before is None else (times + before[0], last)
