"""Reads the audit log: pages by whatever narrows them most, the chain in its order, checkpoints and cursors."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from entrepot.metadata.audit_store import (
    END_OF_TIME,
    MOST_COUNTED,
    AuditFilter,
    AuditRow,
    ChainLink,
    ChainState,
    CheckpointRow,
    RowOutside,
)
from entrepot.metadata.sql.audit_chain import LINKS
from entrepot.metadata.sql.patterns import filter_containing, lowered
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from entrepot.metadata.audit_store import AuditPageQuery
    from entrepot.metadata.sql.statements import ReadExecutor, Row, Value

__all__ = ["STATEMENTS", "SqlAuditReader"]

_OLDER: Final = """
    SELECT id, record_id, at, action, outcome, subject, user_name, address, project, object_kind, object_name,
        request_id, body, disclosure, sequence, chain_hash, project_id
    FROM audit_records
    WHERE <leading> AND <wanted>
    ORDER BY <order> LIMIT :rows OFFSET :skipped
    """
_COUNT: Final = """
    SELECT count(*) FROM (SELECT 1 AS one FROM audit_records WHERE <leading> AND <wanted> LIMIT :most) AS page
    """
# A record without a project's number comes from a program of the version before, or from a node that did not look.
# What the project's row says is read before: asked for at each record, it would cost more than the record.
_WITHIN: Final = """(CAST(:project_id AS bigint) = 0 OR project_id = CAST(:project_id AS bigint)
            OR (project_id IS NULL AND id > CAST(:mark AS bigint) AND at >= CAST(:made_at AS bigint)))"""
_WANTED: Final = f"""id > :after AND id <= :upto AND at >= :since AND at < :until AND {_WITHIN}
        AND (:user = '' OR user_name<apart> = :user) AND (:subject = '' OR subject = :subject)
        AND (:host = '' OR subject = :host)
        AND (:action = '' OR action<apart> = :action)
        AND <project> AND (:address = '' OR address<apart> = :address)
        AND (:outcome = '' OR outcome<apart> = :outcome) AND (:object_name = '' OR object_name<apart> = :object_name)
        AND (:request_id = '' OR request_id = :request_id) AND (:object_kind = '' OR object_kind = :object_kind)
        AND (:any_actions = 1 OR action IN {{texts:actions}})
        AND (:any_users = 1 OR user_name IN {{texts:users}} OR subject IN {{texts:hosts}})
        AND (:any_objects = 1 OR object_name IN {{texts:objects}})
        AND (:any_projects = 1 OR project IN {{texts:projects}})
        AND (:any_object_kinds = 1 OR object_kind IN {{texts:object_kinds}})
        AND (:any_addresses = 1 OR address IN {{texts:addresses}})
        AND (:user_part = '' OR lower(user_name) LIKE :user_part ESCAPE '!')
        AND (:object_part = '' OR lower(object_name) LIKE :object_part ESCAPE '!')
        AND (:project_part = '' OR lower(project) LIKE :project_part ESCAPE '!')
        AND (:object_kind_part = '' OR lower(object_kind) LIKE :object_kind_part ESCAPE '!')"""
BEGINNING: Final = Statement(
    "audit_records.beginning",
    "SELECT coalesce(audit_mark, 0), created_at FROM projects WHERE id = :project_id AND deleted_at IS NULL",
)
_LEADING: Final = {
    "user": "user_name = :user",
    "address": "address = :address",
    "object": "object_name = :object_name",
    "project": "project {is_text:project}",
    "action": "action = :action",
    "failure": "outcome = 'failure'",
    "none": "1 = 1",
}
"""Conditions by the indexes that serve them, the most selective first; an OR would find none of these indexes."""

_APART: Final = " || ''"
"""Keeps the planner from the index of a column. A project's log is searched in its own records only: the time of a
search would else tell of others', as how many somebody has elsewhere. It is ordered by the project, too, which is one
and the same, since only that index serves this order: by the numbers alone PostgreSQL would walk through all records
that came since, where it takes those of the project to be spread among them."""
_MOST_NEAR: Final = 2_000_000
"""Of how many records of a time the numbers are looked at, up to 100 ms: of more they would not narrow much."""
_LATEST: Final = 2**63 - 1
"""That a column can have: who owns the database may set it."""
_PLACES_AT_ONCE: Final = 50_000
"""Of how many records the places are looked at by one statement: some tenths of a second on a cold disk."""
_HOST: Final = "host:"
"""How users of the host begin, and no name: it has a colon."""


def _by_leading(name: str, template: str, direction: str = "") -> dict[str, Statement]:
    return {
        leading: Statement(f"{name}_by_{leading}", _led(template, leading, direction)) for leading in _LEADING
    }


def _led(template: str, leading: str, direction: str) -> str:
    is_project = leading == "project"
    return (
        template.replace("<leading>", _LEADING[leading])
        .replace("<wanted>", _WANTED)
        .replace("<project>", "1 = 1" if is_project else "(:project = '' OR project = :project)")
        .replace("<apart>", _APART if is_project else "")
        .replace("<order>", f"project{direction}, id{direction}" if is_project else f"id{direction}")
    )


OLDER: Final = _by_leading("audit_records.older", _OLDER, " DESC")
NEWER: Final = _by_leading("audit_records.newer", _OLDER, "")
COUNT: Final = _by_leading("audit_records.count", _COUNT)
# Records are numbered as they arrive, nearly in the order of their times, by which they are indexed.
NUMBERS_BETWEEN: Final = Statement(
    "audit_records.numbers_between",
    """
    SELECT min(id), max(id), count(*)
    FROM (SELECT id FROM audit_records WHERE at >= :since AND at < :until LIMIT :most) AS page
    """,
)
# What is sealed is numbered without gaps, so that nothing has to be counted but what is not.
TOTAL: Final = Statement(
    "audit_records.total",
    """
    SELECT coalesce((SELECT c.sequence - c.purged_sequence FROM audit_chain c WHERE c.id = 1), 0)
        + (SELECT count(*) FROM audit_records w WHERE w.sequence IS NULL AND w.id <= :newest)
        - (SELECT count(*) FROM audit_records s WHERE s.id > :newest AND s.chain_hash IS NOT NULL)
    """,
)
SEALED: Final = Statement(
    "audit_records.sealed",
    """
    SELECT id, record_id, at, action, outcome, subject, user_name, address, project, object_kind, object_name,
        request_id, body, disclosure, sequence, chain_hash, project_id
    FROM audit_records WHERE sequence > :after ORDER BY sequence LIMIT :rows
    """,
)
SEALED_SIZES: Final = Statement(
    "audit_records.sealed_sizes",
    """
    SELECT length(body) + coalesce(length(disclosure), 0)
    FROM audit_records WHERE sequence > :after ORDER BY sequence LIMIT :rows
    """,
)
# A part of the time at once: each record is looked at, which of some millions takes longer than a statement may. The
# bound also has PostgreSQL go by the time: for the least place alone it would walk from the first one of all.
SEQUENCES_BETWEEN: Final = Statement(
    "audit_records.sequences_between",
    """
    SELECT min(sequence), max(sequence), max(at), count(*)
    FROM (SELECT sequence, at FROM audit_records WHERE at >= :since AND at < :until ORDER BY at LIMIT :rows) AS page
    """,
)
UNSEALED_COUNT: Final = Statement(
    "audit_records.unsealed_count", "SELECT count(*) FROM audit_records WHERE sequence IS NULL"
)
WAITING: Final = Statement(
    "audit_records.waiting",
    """
    SELECT id, record_id, at, action, outcome, subject, user_name, address, project, object_kind, object_name,
        request_id, body, disclosure, sequence, chain_hash, project_id
    FROM audit_records WHERE sequence IS NULL AND id > :after AND id < :end ORDER BY id LIMIT :rows
    """,
)
# A union, since each part has an index.
OUTSIDE: Final = Statement(
    "audit_records.outside",
    """
    SELECT id, record_id, sequence FROM audit_records WHERE sequence <= :purged
    UNION SELECT id, record_id, sequence FROM audit_records WHERE id <= 0
    UNION SELECT id, record_id, sequence FROM audit_records WHERE id >= :end
    LIMIT :rows
    """,
)
DISCLOSED_COUNT: Final = Statement(
    "audit_records.disclosed_count",
    """
    SELECT count(*) FROM audit_records
    WHERE id > :after AND id <= :upto AND subject = :subject AND disclosure IS NOT NULL
    """,
)
LAST_OF_NEXT: Final = Statement(
    "audit_records.last_of_next",
    "SELECT max(id) FROM (SELECT id FROM audit_records WHERE id > :after ORDER BY id LIMIT :rows) AS next",
)
SUBJECTS_NAMED: Final = Statement(
    "audit_records.subjects_named", "SELECT DISTINCT subject FROM audit_records WHERE user_name = :user"
)
LAST_ID: Final = Statement("audit_records.last_id", "SELECT coalesce(max(id), 0) FROM audit_records")
CHAIN: Final = Statement(
    "audit_chain.read",
    """
    SELECT chain_id, algorithm, sequence, chain_hash, purged_sequence, purged_hash, {now}
    FROM audit_chain WHERE id = 1
    """,
)
CHECKPOINTS: Final = Statement(
    "audit_checkpoints.page",
    """
    SELECT sequence, chain_hash, algorithm, key_id, public_key, signed, signature, at
    FROM audit_checkpoints WHERE sequence >= :first ORDER BY sequence LIMIT :rows
    """,
)
LAST_CHECKPOINT: Final = Statement(
    "audit_checkpoints.last",
    """
    SELECT sequence, chain_hash, algorithm, key_id, public_key, signed, signature, at
    FROM audit_checkpoints WHERE sequence > 0 AND at <= :latest ORDER BY sequence DESC LIMIT 1
    """,
)
CURSORS: Final = Statement(
    "audit_spools.cursors", "SELECT segment, byte_offset FROM audit_spools WHERE node = :node"
)

STATEMENTS: Final = (
    BEGINNING,
    *OLDER.values(),
    *NEWER.values(),
    *COUNT.values(),
    NUMBERS_BETWEEN,
    TOTAL,
    SEALED,
    SEALED_SIZES,
    SEQUENCES_BETWEEN,
    UNSEALED_COUNT,
    WAITING,
    OUTSIDE,
    DISCLOSED_COUNT,
    LAST_OF_NEXT,
    SUBJECTS_NAMED,
    LAST_ID,
    CHAIN,
    CHECKPOINTS,
    LAST_CHECKPOINT,
    CURSORS,
)


class SqlAuditReader:
    """Implements :class:`entrepot.metadata.audit_store.AuditReader`."""

    def __init__(self, executor: ReadExecutor, searches: ReadExecutor) -> None:
        """Take what runs statements, and what runs those that may look at every record."""
        self._executor = executor
        self._searches = searches

    async def page(self, query: AuditPageQuery) -> Sequence[AuditRow]:
        """See the protocol."""
        statements = OLDER if query.direction == "older" else NEWER
        values = await self._bounded(query.wanted)
        if values is None:
            return ()
        after, upto = values["after"], values["upto"]
        if query.direction == "older":
            upto = min(upto, query.edge - 1)
        else:
            after = max(after, query.edge)
        rows = await self._searches.fetch_rows(
            statements[_leading(query.wanted)],
            **{**_values(query.wanted), **values, "after": after, "upto": upto},
            rows=query.limit,
            skipped=query.offset,
        )
        return [_record(row) for row in rows]

    async def count(self, wanted: AuditFilter) -> int:
        """See the protocol."""
        if replace(wanted, newest=END_OF_TIME) == AuditFilter():
            ((number,),) = await self._searches.fetch_rows(TOTAL, newest=wanted.newest)
            return int(number)
        values = await self._bounded(wanted)
        if values is None:
            return 0
        ((number,),) = await self._searches.fetch_rows(
            COUNT[_leading(wanted)], **_values(wanted), **values, most=MOST_COUNTED
        )
        return int(number)

    async def _bounded(self, wanted: AuditFilter) -> dict[str, int] | None:
        """Return between which numbers a search walks, and where a project's log begins; `None` if nothing is there.

        By time alone it would go on to the first record of all. There is one bound at either end: of two SQLite takes
        one, and looks at all records for the other.
        """
        began = await self._beginning(wanted)
        if began is None:
            return None
        values = {**began, "after": 0, "upto": wanted.newest}
        if wanted.since <= 0 and wanted.until >= END_OF_TIME:
            return values
        ((least, greatest, near),) = await self._searches.fetch_rows(
            NUMBERS_BETWEEN, since=wanted.since, until=wanted.until, most=_MOST_NEAR
        )
        if not near:
            return None
        if near == _MOST_NEAR:
            return values
        return {**values, "after": max(least - 1, 0), "upto": min(greatest, wanted.newest)}

    async def _beginning(self, wanted: AuditFilter) -> Mapping[str, int] | None:
        """Return where the log of a project begins, for records without its number; `None` if there is no project."""
        if not wanted.project_id:
            return {"mark": 0, "made_at": 0}
        row = await self._executor.fetch_row(BEGINNING, project_id=wanted.project_id)
        return None if row is None else {"mark": int(row[0]), "made_at": int(row[1])}

    async def sealed(self, after: int, limit: int) -> Sequence[AuditRow]:
        """See the protocol."""
        return [_record(row) for row in await self._executor.fetch_rows(SEALED, after=after, rows=limit)]

    async def sealed_sizes(self, after: int, limit: int) -> Sequence[int]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(SEALED_SIZES, after=after, rows=limit)
        return [int(size) for (size,) in rows]

    async def links(self, after: int, limit: int) -> Sequence[ChainLink]:
        """See the protocol."""
        return [ChainLink(*row) for row in await self._executor.fetch_rows(LINKS, after=after, rows=limit)]

    async def sequences_between(self, since: int, until: int) -> tuple[int, int] | None:
        """See the protocol."""
        places: list[int] = []
        rows = _PLACES_AT_ONCE
        while True:
            ((least, greatest, last, count),) = await self._executor.fetch_rows(
                SEQUENCES_BETWEEN, since=since, until=until, rows=rows
            )
            if greatest is not None:
                places = [min([*places, int(least)]), max([*places, int(greatest)])]
            if count < rows:
                return (places[0], places[-1]) if places else None
            # Of the last millisecond there may be more; where that was the first one, too, it takes a greater part.
            since, rows = int(last), _PLACES_AT_ONCE if last > since else rows * 2

    async def unsealed_count(self) -> int:
        """See the protocol."""
        ((number,),) = await self._executor.fetch_rows(UNSEALED_COUNT)
        return int(number)

    async def waiting(self, after: int, limit: int) -> Sequence[AuditRow]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(WAITING, after=after, end=END_OF_TIME, rows=limit)
        return [_record(row) for row in rows]

    async def rows_outside(self, purged: int, limit: int) -> Sequence[RowOutside]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(OUTSIDE, purged=purged, end=END_OF_TIME, rows=limit)
        return [RowOutside(*row) for row in rows]

    async def disclosed_count(self, subject: str, after: int, upto: int) -> int:
        """See the protocol."""
        ((number,),) = await self._executor.fetch_rows(
            DISCLOSED_COUNT, subject=subject, after=after, upto=upto
        )
        return int(number)

    async def last_of_next(self, after: int, rows: int) -> int | None:
        """See the protocol."""
        ((last,),) = await self._executor.fetch_rows(LAST_OF_NEXT, after=after, rows=rows)
        return None if last is None else int(last)

    async def subjects_named(self, name: str) -> Sequence[str]:
        """See the protocol."""
        return sorted(subject for (subject,) in await self._executor.fetch_rows(SUBJECTS_NAMED, user=name))

    async def last_id(self) -> int:
        """See the protocol."""
        ((number,),) = await self._executor.fetch_rows(LAST_ID)
        return int(number)

    async def chain(self) -> ChainState | None:
        """See the protocol."""
        rows = await self._executor.fetch_rows(CHAIN)
        return ChainState(*rows[0]) if rows else None

    async def checkpoints(self, first: int, limit: int) -> Sequence[CheckpointRow]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(CHECKPOINTS, first=first, rows=limit)
        return [_checkpoint(row) for row in rows]

    async def last_checkpoint(self, signed_before: int | None = None) -> CheckpointRow | None:
        """See the protocol."""
        latest = _LATEST if signed_before is None else signed_before - 1
        rows = await self._executor.fetch_rows(LAST_CHECKPOINT, latest=latest)
        return _checkpoint(rows[0]) if rows else None

    async def spool_cursors(self, node: str) -> Mapping[str, int]:
        """See the protocol."""
        return {
            segment: int(offset) for segment, offset in await self._executor.fetch_rows(CURSORS, node=node)
        }


def _leading(wanted: AuditFilter) -> str:
    """Return which condition to search by; in a project's log nothing but the project, whatever else is wanted."""
    if wanted.project_id:
        return "project"
    for name, value in (
        ("user", wanted.user),
        ("address", wanted.address),
        ("object", wanted.object_name),
        ("project", wanted.project),
        ("action", wanted.action),
        ("failure", wanted.outcome == "failure"),
    ):
        if value:
            return name
    return "none"


def _values(wanted: AuditFilter) -> dict[str, Value]:
    return {
        "user": wanted.user.removeprefix(_HOST),
        # A user of the host is called as a person may be, and has this in the place of a public id.
        "host": wanted.user if wanted.user.startswith(_HOST) else "",
        "subject": wanted.subject,
        "action": wanted.action,
        "project": wanted.project,
        "address": wanted.address,
        "outcome": wanted.outcome,
        "object_name": wanted.object_name,
        "request_id": wanted.request_id,
        "since": wanted.since,
        "until": wanted.until,
        "object_kind": wanted.object_kind,
        "project_id": wanted.project_id,
        **_listed_and_partial_values(wanted),
    }


def _listed_and_partial_values(wanted: AuditFilter) -> dict[str, Value]:
    lists = {
        "actions": wanted.actions,
        "users": wanted.users,
        "objects": wanted.objects,
        "projects": wanted.projects,
        "object_kinds": wanted.object_kinds,
        "addresses": wanted.addresses,
    }
    parts = {
        "user_part": wanted.user_part,
        "object_part": wanted.object_part,
        "project_part": wanted.project_part,
        "object_kind_part": wanted.object_kind_part,
    }
    return {
        **{name: json.dumps(list(values)) for name, values in lists.items()},
        **{f"any_{name}": int(not values) for name, values in lists.items()},
        "hosts": json.dumps([user for user in wanted.users if user.startswith(_HOST)]),
        **{name: filter_containing(lowered(part)) for name, part in parts.items()},
    }


def _record(row: Row) -> AuditRow:
    record = AuditRow(*row)
    disclosure = None if record.disclosure is None else bytes(record.disclosure)
    return replace(record, body=bytes(record.body), disclosure=disclosure)


def _checkpoint(row: Row) -> CheckpointRow:
    sequence, chain_hash, algorithm, key_id, public_key, signed, signature, at = row
    return CheckpointRow(
        sequence, chain_hash, algorithm, key_id, bytes(public_key), bytes(signed), bytes(signature), at
    )
