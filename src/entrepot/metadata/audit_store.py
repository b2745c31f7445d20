"""The protocols of the audit log: records are added by the unit that does what they tell of, and sealed later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "END_OF_TIME",
    "MOST_COUNTED",
    "MOST_SEARCHES",
    "UNNUMBERED",
    "AuditChainRows",
    "AuditFilter",
    "AuditPageQuery",
    "AuditReader",
    "AuditRow",
    "AuditWriterRows",
    "ChainLink",
    "ChainState",
    "CheckpointRow",
    "NewAuditRecord",
    "RowOutside",
    "SealedNewRecord",
    "UnsealedRecord",
]

END_OF_TIME: Final = 2**62
"""In milliseconds: later than any record."""
MOST_COUNTED: Final = 100_000
"""Of records that are searched for: to count more would take longer than to find the page that is asked for."""
MOST_SEARCHES: Final = 2
"""How many searches run at once in one process; what else is asked of the database has what is left to itself."""
UNNUMBERED: Final = b'"project_id":null}'
"""How a body ends whose project nobody has looked up yet."""


class NewAuditRecord(msgspec.Struct, frozen=True, gc=False):
    """A record as it is added; everything but `body` and `disclosure` is for finding it again.

    Attributes:
        record_id: can't be guessed, and the reason why a record that is added twice is kept once.
        at_milliseconds: when it happened, for records that were noted in a file first; `None` for now, by the database.
        body: canonical JSON that is hashed into the chain; personal data in it are salted commitments. What names a
            project says at its end which number that has, as `project_id` does.
        disclosure: JSON of those data and their salts, by name.
        project_id: the number of the project that it names, 0 where there was none of that name, `None` where nobody
            looked. A unit that adds a record without a date looks itself, and puts into `body` what it found.
    """

    record_id: str
    action: str
    outcome: str
    subject: str
    user_name: str
    address: str
    project: str
    object_kind: str
    object_name: str
    request_id: str
    body: bytes
    disclosure: bytes
    at_milliseconds: int | None = None
    project_id: int | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A record as it is kept.

    Attributes:
        sequence: its place in the chain, `None` until it is sealed; so is `chain_hash`.
        project_id: as in :class:`NewAuditRecord`.
        disclosure: `None` after the personal data in it were erased.
    """

    id: int
    record_id: str
    at: int
    action: str
    outcome: str
    subject: str
    user_name: str
    address: str
    project: str
    object_kind: str
    object_name: str
    request_id: str
    body: bytes
    disclosure: bytes | None
    sequence: int | None
    chain_hash: str | None
    project_id: int | None


@dataclass(frozen=True, slots=True)
class RowOutside:
    """A row of the audit log that is in no chain, or in no list."""

    id: int
    record_id: str
    sequence: int | None


@dataclass(frozen=True, slots=True)
class UnsealedRecord:
    """What of a record goes into the chain."""

    id: int
    record_id: str
    at: int
    body: bytes


class SealedNewRecord(msgspec.Struct, frozen=True, gc=False):
    """A record that has its place in the chain when it is added."""

    record: NewAuditRecord
    sequence: int
    chain_hash: str


@dataclass(frozen=True, slots=True)
class ChainLink:
    """A sealed record, without what it says."""

    sequence: int
    at: int
    chain_hash: str


@dataclass(frozen=True, slots=True)
class ChainState:
    """Where the chain ends and where what is left of it begins.

    Attributes:
        chain_id: random, made with the chain.
        algorithm: how the next records are linked.
        purged_sequence: the last record that was purged, 0 without one; `purged_hash` is the hash of its link.
        now: milliseconds since 1970 by the database's clock.
    """

    chain_id: str
    algorithm: str
    sequence: int
    chain_hash: str
    purged_sequence: int
    purged_hash: str
    now: int = 0


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """A signed end of the chain.

    Attributes:
        signed: the bytes that were signed.
        public_key: of the pair that signed, as the algorithm's standard form.
    """

    sequence: int
    chain_hash: str
    algorithm: str
    key_id: str
    public_key: bytes
    signed: bytes
    signature: bytes
    at: int


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which records are wanted; an empty text sets no condition. Times are `since <= at < until`, milliseconds.

    What is any of several values, or has a text in it, costs a look at each record of that time.

    Attributes:
        subject: the public id of who did it, which stays when the name is erased.
        actions: any of these; none sets no condition. So with `users`, which may be of the host, `objects`, `projects`,
            `object_kinds` and `addresses`.
        user_part: what the name contains, whatever the case of its ASCII letters. So with `object_part`, `project_part`
            and `object_kind_part`.
        newest: no record with a greater id, so that what is added meanwhile moves nothing.
        project_id: records of this project, which exists, and not of a former one of its name; 0 sets no condition.
    """

    user: str = ""
    action: str = ""
    project: str = ""
    address: str = ""
    outcome: str = ""
    object_name: str = ""
    request_id: str = ""
    since: int = 0
    until: int = END_OF_TIME
    actions: Sequence[str] = ()
    newest: int = END_OF_TIME
    project_id: int = 0
    subject: str = ""
    object_kind: str = ""
    users: Sequence[str] = ()
    objects: Sequence[str] = ()
    projects: Sequence[str] = ()
    object_kinds: Sequence[str] = ()
    addresses: Sequence[str] = ()
    user_part: str = ""
    object_part: str = ""
    project_part: str = ""
    object_kind_part: str = ""


@dataclass(frozen=True, slots=True)
class AuditPageQuery:
    """A page of records: those next to `edge` (a record's id) that it does not include.

    Attributes:
        direction: `older` begins at the edge and goes back in time, newest first; `newer` the other way, oldest first.
        offset: how many to leave out, for callers that count pages.
    """

    wanted: AuditFilter
    limit: int
    edge: int = END_OF_TIME
    direction: Literal["older", "newer"] = "older"
    offset: int = 0


class AuditReader(Protocol):
    """The audit log as it is read. Each call is one statement, a search by time or in a project up to three."""

    async def page(self, query: AuditPageQuery) -> Sequence[AuditRow]:
        """Return a page.

        Raises:
            StatementTooLongError: too many records had to be looked at.
        """
        ...

    async def count(self, wanted: AuditFilter) -> int:
        """Return how many records there are: of all exactly, of those with a condition at most :data:`MOST_COUNTED`.

        Raises:
            StatementTooLongError: too many had to be looked at.
        """
        ...

    async def sealed(self, after: int, limit: int) -> Sequence[AuditRow]:
        """Return sealed records whose sequence is greater than `after`, in the order of the chain."""
        ...

    async def sealed_sizes(self, after: int, limit: int) -> Sequence[int]:
        """Return of the same records as :meth:`sealed` how many bytes body and disclosure have together."""
        ...

    async def links(self, after: int, limit: int) -> Sequence[ChainLink]:
        """Return the same records as :meth:`sealed`, without what they say."""
        ...

    async def sequences_between(self, since: int, until: int) -> tuple[int, int] | None:
        """Return the least and the greatest sequence of sealed records of these milliseconds, `None` without any.

        In several statements, where these are many records.
        """
        ...

    async def unsealed_count(self) -> int:
        """Return how many records wait to be sealed."""
        ...

    async def waiting(self, after: int, limit: int) -> Sequence[AuditRow]:
        """Return records that wait to be sealed, of ids greater than `after` and less than :data:`END_OF_TIME`."""
        ...

    async def rows_outside(self, purged: int, limit: int) -> Sequence[RowOutside]:
        """Return rows whose sequence is `purged` or less, or whose id no list shows; there are none."""
        ...

    async def disclosed_count(self, subject: str, after: int, upto: int) -> int:
        """Return how many records of a subject with ids in `(after, upto]` have personal data."""
        ...

    async def last_of_next(self, after: int, rows: int) -> int | None:
        """Return the id of the last of the next `rows` records (or fewer) beyond an id; `None` if there are none.

        Whoever goes through all of them steps by what there is: ids have gaps, and who owns the database may set any.
        """
        ...

    async def subjects_named(self, name: str) -> Sequence[str]:
        """Return the subjects of records under a name, sorted: a name may have been several people's in turn."""
        ...

    async def last_id(self) -> int:
        """Return the greatest id, 0 without records."""
        ...

    async def chain(self) -> ChainState | None:
        """Return the chain, `None` before the first record was sealed."""
        ...

    async def checkpoints(self, first: int, limit: int) -> Sequence[CheckpointRow]:
        """Return checkpoints of sequences from `first` on."""
        ...

    async def last_checkpoint(self, signed_before: int | None = None) -> CheckpointRow | None:
        """Return the checkpoint of the greatest sequence, of all or of those signed before a time in milliseconds.

        Of all whatever time its column has: one that is not looked at would keep its place from the one that is due.
        """
        ...

    async def spool_cursors(self, node: str) -> Mapping[str, int]:
        """Return how many bytes of a node's segments were taken over, by segment."""
        ...


class AuditWriterRows(Protocol):
    """Records within a unit."""

    async def append(self, record: NewAuditRecord) -> None:
        """Add a record, unless one with its id is there (I11)."""

    async def extend(self, records: Sequence[NewAuditRecord]) -> None:
        """Add several, as :meth:`append`."""


class AuditChainRows(Protocol):
    """The chain within a unit, and what is kept about local files."""

    async def hold(self, chain_id: str, algorithm: str, start: str) -> ChainState:
        """Return the chain and keep every other unit from it until this one ends; makes it when there is none."""
        ...

    async def unsealed(self, limit: int) -> Sequence[UnsealedRecord]:
        """Return records without a place in the chain, those added first first."""
        ...

    async def links(self, after: int, limit: int) -> Sequence[ChainLink]:
        """Return sealed records whose sequence is greater than `after`."""
        ...

    async def known(self, record_ids: Sequence[str]) -> frozenset[str]:
        """Return which of these records are there."""
        ...

    async def extend(self, records: Sequence[SealedNewRecord]) -> None:
        """Add records that are not there yet, with their places in the chain, whose end is then the last of them."""

    def others_wait(self) -> bool:
        """Whether somebody waits to write, so that this unit had better end; also where nobody can tell."""
        ...

    async def seal(self, places: Sequence[tuple[int, int, str]]) -> None:
        """Give records (id, sequence, hash) their places in the chain, whose end is then the last of them."""

    async def purge(self, first: int, last: ChainLink) -> None:
        """Delete records from the sequence `first` to `last`, whose link is what the chain begins with from then on."""

    async def erase_disclosures(self, subject: str, after: int, upto: int) -> int:
        """Erase the personal data of records of a subject with ids in `(after, upto]`; return how many."""
        ...

    async def add_checkpoint(self, checkpoint: CheckpointRow) -> bool:
        """Keep a checkpoint; `False` when there is one of that sequence."""
        ...

    async def remove_checkpoint(self, checkpoint: CheckpointRow) -> None:
        """Remove one that nobody signed, from the place of one that is signed, unless another is there by now."""

    async def move_spool_cursor(self, node: str, segment: str, offset: int) -> None:
        """Note how many bytes of a segment were taken over."""

    async def forget_spool(self, node: str, segment: str) -> None:
        """Remove what was noted of a segment that is gone."""
