"""Keeps what nobody can do from filling the audit log: of refusals that cost the asker nothing, most are only counted.

Whoever presents nothing that is right can be refused some thousand times a second. The first refusals of an address
are noted one by one; of those that follow within the same ten seconds the last one is noted, at their end, with the
number of those that it stands for. Refusals of anybody who is known are noted each, also where they are known only by
a right secret that opens nothing, but for those of asking too often and of dead tokens: these are condensed by account
and address, since a loop would fill the log as well. Metrics count all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import structlog

from entrepot.auth.audit_records import reason_of, repeated
from entrepot.auth.dead_tokens import DEAD
from entrepot.auth.errors import AuditUnavailableError
from entrepot.auth.principals import ANONYMOUS
from entrepot.kernel.clock import machine_milliseconds
from entrepot.kernel.periodic import Periodic
from entrepot.kernel.plain_addresses import subscriber

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from entrepot.auth.audit_notes import AuditNotes
    from entrepot.metadata.audit_store import NewAuditRecord

__all__ = ["TOO_FAST", "CondensedRefusals"]

_log: Any = structlog.get_logger()

TOO_FAST: Final = "too many tokens within a minute"
"""The reason of a refusal of somebody known that costs them nothing, as they may ask at any rate."""
_BY_ACCOUNT: Final = frozenset({TOO_FAST, *DEAD})
"""Reasons of refusals of somebody known that are condensed. Who presents a dead token may have no account any more."""
_PERIOD_SECONDS: Final = 10.0
_EACH: Final = 3
"""Of one place within a period, noted as they come."""
_MOST_ADDRESSES: Final = 100
"""Told apart within one period; all others are one, of each known account."""
_OTHERS: Final = "others"
_MOST_KINDS: Final = 300
"""Within one period, so that nobody fills it with names of projects; what is of further kinds counts by its act. So
there are some 70 records a second at most, however many flood."""


class _Place(NamedTuple):
    """Where refusals come from, and whose they are: empty for nobody's."""

    subject: str
    address: str


class _Kind(NamedTuple):
    """What refusals have in common that one record stands for; without reason and project it is the rest of an act."""

    place: _Place
    action: str
    reason: str = ""
    project: str = ""


class _Repeats(NamedTuple):
    times: int
    last: NewAuditRecord


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
        self._each = each
        self._most_addresses = most_addresses
        self._noted: dict[_Place, int] = {}
        self._repeats: dict[_Kind, _Repeats] = {}
        self._periodic = Periodic("condensed-refusals", period_seconds, self.flush)

    def start(self) -> None:
        """Begin to note what was counted, every period."""
        self._periodic.start()

    def note(self, record: NewAuditRecord) -> Coroutine[Any, Any, None]:
        """See the protocol. What is only counted is not noted before the reply.

        Raises:
            AuditUnavailableError: as the protocol says.
        """
        if record.outcome == "failure" and _costs_nothing(record):
            return self._note_or_count(record)
        return self._notes.note(record)  # not awaited here: each pull passes by

    async def flush(self) -> None:
        """Note what was counted, and begin anew. What can't be noted stays counted."""
        self._noted.clear()
        while self._repeats:
            kind, (times, last) = self._repeats.popitem()
            try:
                await self._notes.note(_summary(kind, times, last))
            except AuditUnavailableError as error:
                self._keep(kind, last, times)
                _log.warning("audit.refusals.waiting", kinds=len(self._repeats), reason=str(error))
                return

    async def aclose(self) -> None:
        """Stop, and note what is left. May be called again."""
        await self._periodic.aclose()

    async def _note_or_count(self, record: NewAuditRecord) -> None:
        if self._is_among_first(record):
            await self._notes.note(record)
        else:
            self._keep(self._kind(record), record, 1)
            self._count()

    def _is_among_first(self, record: NewAuditRecord) -> bool:
        """Whether a record is to be noted by itself."""
        place = self._place(record)
        noted = self._noted.get(place, 0)
        if noted >= self._each:
            return False
        self._noted[place] = noted + 1
        return True

    def _place(self, record: NewAuditRecord) -> _Place:
        subject = "" if record.subject == ANONYMOUS else record.subject
        place = _Place(subject, subscriber(record.address))
        is_one_more = place not in self._noted and len(self._noted) >= self._most_addresses
        return _Place(subject, _OTHERS) if is_one_more else place

    def _kind(self, record: NewAuditRecord) -> _Kind:
        """Return what to count a refusal as; of asking too often there is one kind for each place."""
        kind = _Kind(self._place(record), record.action, reason_of(record), record.project)
        is_one_more = kind not in self._repeats and len(self._repeats) >= _MOST_KINDS
        return _Kind(kind.place, kind.action) if is_one_more and kind.reason != TOO_FAST else kind

    def _keep(self, kind: _Kind, last: NewAuditRecord, times: int) -> None:
        """Add to what was counted; the record has the time of its request, not that of the end of the period."""
        before = self._repeats.get(kind)
        timed = (
            last
            if last.at_milliseconds
            else msgspec.structs.replace(last, at_milliseconds=machine_milliseconds())
        )
        self._repeats[kind] = _Repeats(times + (before.times if before else 0), timed)


def _costs_nothing(record: NewAuditRecord) -> bool:
    """Whether whoever asks can be refused like this as often as they like."""
    return record.subject == ANONYMOUS or reason_of(record) in _BY_ACCOUNT


def _summary(kind: _Kind, times: int, last: NewAuditRecord) -> NewAuditRecord:
    if times == 1:
        return last
    is_rest = kind == _Kind(kind.place, kind.action)
    return repeated(last, times, of_several=kind.place.address == _OTHERS, without_object=is_rest)
