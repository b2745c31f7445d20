"""Pages of the audit log, to which records are added all the while, also by whoever reads it.

Whoever follows `Link` meets each record once: `upto` is the newest record of the walk, and `mark` says where a page
ended, by the id of its last record, so that a page far down is found as quickly as the first. A client that counts
pages by itself stays right with `upto` alone, and as it was without either.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias

import msgspec

from entrepot.control_api.errors import MalformedRequestError
from entrepot.control_api.paging import Neighbours, PageInputs
from entrepot.metadata.audit_store import END_OF_TIME, AuditPageQuery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.audit.queries import AuditEntry
    from entrepot.metadata.audit_store import AuditFilter

__all__ = ["AuditPageInputs", "AuditWalk", "Direction", "read_walk"]

Direction: TypeAlias = Literal["older", "newer"]

_MARK: Final = re.compile(r"([0-9]{1,18})-([0-9]{1,19})-([0-9]{1,18})(?:-([0-9]{19}))?", re.ASCII)
_MOST_ID: Final = 2**63 - 1
"""That a record can have, if somebody who owns the database gives it one."""
_MOST_UPTO: Final = 10**18 - 1
"""As any number of a request; of a greater one the mark tells."""
_OPPOSITE: Final[dict[Direction, Direction]] = {"older": "newer", "newer": "older"}
_START: Final[dict[Direction, int]] = {"older": END_OF_TIME, "newer": 0}


class AuditPageInputs(PageInputs, kw_only=True, frozen=True):
    """What listings of the audit log take."""

    upto: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            description="No record with a greater id, so that pages stay what they are while records are added. "
            "`Link` says it; 0 is the newest record there is. On PostgreSQL a walk may miss a record that was being "
            "committed when its first page was read; an export misses none.",
        ),
    ] = 0
    mark: Annotated[
        str,
        msgspec.Meta(
            max_length=96,
            description="Where the page before ended, as `Link` says it; of no use in other requests.",
        ),
    ] = ""


@dataclass(frozen=True, slots=True)
class _Mark:
    """A record by its place in the walk, from 0, and its id; how many records the walk has; its newest, 0 as `upto`."""

    place: int
    record: int
    total: int
    newest: int


@dataclass(frozen=True, slots=True)
class AuditWalk:
    """The page that a request asks for, of all that a walk meets."""

    inputs: AuditPageInputs
    wanted: AuditFilter
    direction: Direction
    mark: _Mark | None

    @property
    def known_total(self) -> int | None:
        """How many records the walk has, if the page before said it."""
        return None if self.mark is None else self.mark.total

    @property
    def is_backward(self) -> bool:
        """Whether the page is searched from its end, so that its records come in reverse."""
        return self.mark is not None and self.inputs.offset + self.inputs.page_size <= self.mark.place

    def query(self) -> AuditPageQuery:
        """Return how to find the page: beside the mark where it is good for that, else from the start."""
        skipped, size, mark = self.inputs.offset, self.inputs.page_size, self.mark
        if mark is None or (mark.place >= skipped and not self.is_backward):
            return AuditPageQuery(self.wanted, size, _START[self.direction], self.direction, skipped)
        if self.is_backward:
            between = mark.place - skipped - size
            return AuditPageQuery(self.wanted, size, mark.record, _OPPOSITE[self.direction], between)
        return AuditPageQuery(self.wanted, size, mark.record, self.direction, skipped - mark.place - 1)

    def in_order(self, found: Sequence[AuditEntry]) -> tuple[AuditEntry, ...]:
        """Return the entries of the page as the walk meets them."""
        return tuple(reversed(found)) if self.is_backward else tuple(found)

    def neighbours(self, shown: Sequence[AuditEntry], total: int) -> Neighbours:
        """Return what leads from this page to those beside it."""
        newest = self.wanted.newest
        upto = {"upto": str(min(newest, _MOST_UPTO))}
        whole = f"{total}-{newest}" if newest > _MOST_UPTO else str(total)
        if not shown:
            return Neighbours(upto, upto)
        first, last = self.inputs.offset, self.inputs.offset + len(shown) - 1
        return Neighbours(
            {**upto, "mark": f"{first}-{shown[0].id}-{whole}"},
            {**upto, "mark": f"{last}-{shown[-1].id}-{whole}"},
        )


def read_walk(inputs: AuditPageInputs, wanted: AuditFilter, newest: int, direction: Direction) -> AuditWalk:
    """Return what a request asks for.

    Args:
        newest: the id of the newest record, which a walk that begins holds on to.

    Raises:
        MalformedRequestError: the mark is none, or stands without the walk that it belongs to.
    """
    mark = None
    if inputs.mark:
        found = _MARK.fullmatch(inputs.mark)
        if found is None or not inputs.upto:
            raise MalformedRequestError("mark is what Link says, together with upto; leave it out otherwise")
        place, record, total, last = map(int, found.groups(default="0"))
        mark = _Mark(place, min(record, _MOST_ID), total, min(last, _MOST_ID))
    upto = (mark.newest if mark is not None else 0) or inputs.upto or newest
    return AuditWalk(inputs, replace(wanted, newest=upto), direction, mark)
