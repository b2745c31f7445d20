"""Robots and their subjects: the subject of a removed robot stays without its name, for its epoch to be seen moving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.metadata.robot_store import StoredRobot
from entrepot.metadata.sql.patterns import containing, literal, starting_with
from entrepot.metadata.sql.statements import Statement
from entrepot.metadata.sql.wanted_rows import wanted_condition, wanted_values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from entrepot.metadata.robot_store import NewRobotRow, RobotFields, RobotNameMatch, RobotQuery
    from entrepot.metadata.sql.statements import Executor, ReadExecutor, Row, Value

__all__ = ["STATEMENTS", "SqlRobotReader", "SqlRobotWriterRows"]

_COLUMNS: Final = """s.id, s.public_id, s.name, r.short_name, r.project_id, r.description, r.permissions,
           r.allowed_addresses, r.duration_days, r.expires_at, r.creator,
           (SELECT c.id FROM subjects c WHERE c.public_id = r.creator AND c.kind = 'user'),
           (SELECT c.name FROM subjects c WHERE c.public_id = r.creator AND c.kind = 'user'),
           (SELECT c.disabled_at FROM subjects c WHERE c.public_id = r.creator AND c.kind = 'user'),
           s.disabled_at, s.created_at, r.updated_at, r.last_used_at, {now},
           EXISTS (SELECT 1 FROM projects p WHERE p.id = r.project_id AND p.deleted_at IS NOT NULL)"""
_NAMED: Final = (
    f"lower(r.short_name) LIKE :pattern ESCAPE '!' AND {wanted_condition('r.short_name', 's.created_at')}"
)
_OF_SYSTEM: Final = f"r.project_id IS NULL AND {_NAMED}"
_OF_PROJECT: Final = f"r.project_id = :project_id AND {_NAMED}"
_FIND: Final = """
    SELECT [columns]
    FROM robots r
    JOIN subjects s ON s.id = r.subject_id
    WHERE r.subject_id = :robot_id
    """.replace("[columns]", _COLUMNS)
_LIST: Final = """
    SELECT [columns]
    FROM robots r
    JOIN subjects s ON s.id = r.subject_id
    WHERE [place]
    ORDER BY
        CASE :sort WHEN 'name' THEN r.short_name END, CASE :sort WHEN '-name' THEN r.short_name END DESC,
        CASE :sort WHEN 'creation_time' THEN s.created_at END,
        CASE :sort WHEN '-creation_time' THEN s.created_at END DESC,
        r.subject_id
    LIMIT :rows OFFSET :skipped
    """.replace("[columns]", _COLUMNS)
_COUNT: Final = "SELECT count(*) FROM robots r JOIN subjects s ON s.id = r.subject_id WHERE [place]"

FIND: Final = Statement("robots.find", _FIND)
FIND_BY_PUBLIC_ID: Final = Statement(
    "robots.find_by_public_id",
    """
    SELECT [columns]
    FROM subjects s
    JOIN robots r ON r.subject_id = s.id
    WHERE s.public_id = :public_id
    """.replace("[columns]", _COLUMNS),
)
HOLD: Final = Statement("robots.hold", _FIND + "{for_update}")
LIST_OF_SYSTEM: Final = Statement("robots.list_of_system", _LIST.replace("[place]", _OF_SYSTEM))
LIST_OF_PROJECT: Final = Statement("robots.list_of_project", _LIST.replace("[place]", _OF_PROJECT))
COUNT_OF_SYSTEM: Final = Statement("robots.count_of_system", _COUNT.replace("[place]", _OF_SYSTEM))
COUNT_OF_PROJECT: Final = Statement("robots.count_of_project", _COUNT.replace("[place]", _OF_PROJECT))
COUNT_OF_CREATOR: Final = Statement(
    "robots.count_of_creator",
    """
    SELECT count(*) FROM robots r JOIN subjects s ON s.id = r.subject_id
    WHERE r.creator = :creator AND s.disabled_at IS NULL AND (r.expires_at IS NULL OR r.expires_at > {now})
    """,
)
IS_IN_TIME: Final = Statement(
    "robots.is_in_time",
    """
    SELECT r.subject_id FROM subjects s JOIN robots r ON r.subject_id = s.id
    WHERE s.public_id = :subject AND (r.expires_at IS NULL OR r.expires_at > {now})
    """,
)
INSERT_SUBJECT: Final = Statement(
    "robots.insert_subject",
    """
    INSERT INTO subjects (public_id, kind, name, created_at, disabled_at)
    VALUES (:public_id, 'robot', :name, {now}, CASE WHEN :disabled = 1 THEN {now} END)
    ON CONFLICT (kind, name) DO NOTHING
    RETURNING id
    """,
)
INSERT: Final = Statement(
    "robots.insert",
    """
    INSERT INTO robots
        (subject_id, project_id, short_name, description, secret_hash, permissions, allowed_addresses, duration_days,
         expires_at, creator, updated_at)
    VALUES
        (:subject_id, :project_id, :short_name, :description, :secret_hash, :permissions, :allowed_addresses,
         :duration_days, {now} + :lifetime, :creator, {now})
    """,
)
UPDATE: Final = Statement(
    "robots.update",
    """
    UPDATE robots
    SET description = :description, permissions = :permissions, allowed_addresses = :allowed_addresses,
        duration_days = :duration_days, expires_at = :expires_at, creator = :creator, updated_at = {now}
    WHERE subject_id = :robot_id
    """,
)
SET_DISABLED: Final = Statement(
    "robots.set_disabled",
    """
    UPDATE subjects SET disabled_at = CASE WHEN :disabled = 1 THEN coalesce(disabled_at, {now}) END
    WHERE id = :robot_id AND kind = 'robot'
    """,
)
REPLACE_SECRET: Final = Statement(
    "robots.replace_secret",
    """
    UPDATE robots SET secret_hash = :secret_hash, creator = :creator, updated_at = {now}
    WHERE subject_id = :robot_id
    """,
)
MOVE_EPOCH: Final = Statement(
    "robots.move_epoch",
    """
    UPDATE subjects SET epoch = epoch + 1, epoch_changed_at = {now}
    WHERE id = :robot_id AND kind = 'robot'
    """,
)
RETIRE: Final = Statement(
    "robots.retire",
    """
    UPDATE subjects
    SET name = name || '#' || public_id, disabled_at = coalesce(disabled_at, {now}), epoch = epoch + 1,
        epoch_changed_at = {now}
    WHERE id = :robot_id AND kind = 'robot'
    """,
)
DELETE: Final = Statement("robots.delete", "DELETE FROM robots WHERE subject_id = :robot_id")
NOTE_USES: Final = Statement(
    "robots.note_uses",
    """
    UPDATE robots SET last_used_at = {now}
    WHERE subject_id IN (SELECT s.id FROM subjects s WHERE s.public_id IN {texts:public_ids})
    """,
)

_PATTERNS: Final[dict[RobotNameMatch, Callable[[str], str]]] = {
    "whole": literal,
    "part": containing,
    "beginning": starting_with,
}
STATEMENTS: Final = (
    FIND,
    FIND_BY_PUBLIC_ID,
    HOLD,
    LIST_OF_SYSTEM,
    LIST_OF_PROJECT,
    COUNT_OF_SYSTEM,
    COUNT_OF_PROJECT,
    COUNT_OF_CREATOR,
    IS_IN_TIME,
    INSERT_SUBJECT,
    INSERT,
    UPDATE,
    SET_DISABLED,
    REPLACE_SECRET,
    MOVE_EPOCH,
    RETIRE,
    DELETE,
    NOTE_USES,
)


class SqlRobotReader:
    """Implements :class:`entrepot.metadata.robot_store.RobotReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def find(self, robot_id: int) -> StoredRobot | None:
        """See the protocol."""
        row = await self._executor.fetch_row(FIND, robot_id=robot_id)
        return None if row is None else _robot(row)

    async def list_page(self, query: RobotQuery) -> list[StoredRobot]:
        """See the protocol."""
        page = {**_filters(query), "sort": query.order, "rows": query.limit, "skipped": query.offset}
        statement = LIST_OF_SYSTEM if query.project_id is None else LIST_OF_PROJECT
        rows = await self._executor.fetch_rows(statement, **page)
        return [_robot(row) for row in rows]

    async def count(self, query: RobotQuery) -> int:
        """See the protocol."""
        statement = COUNT_OF_SYSTEM if query.project_id is None else COUNT_OF_PROJECT
        row = await self._executor.fetch_row(statement, **_filters(query))
        return 0 if row is None else int(row[0])

    async def count_of_creator(self, creator: str) -> int:
        """See the protocol."""
        ((count,),) = await self._executor.fetch_rows(COUNT_OF_CREATOR, creator=creator)
        return int(count)


class SqlRobotWriterRows:
    """Implements :class:`entrepot.metadata.robot_store.RobotWriterRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def create(self, robot: NewRobotRow) -> StoredRobot | None:
        """See the protocol."""
        made = await self._executor.fetch_row(
            INSERT_SUBJECT, public_id=robot.public_id, name=robot.name, disabled=int(robot.disabled)
        )
        if made is not None:
            await self._executor.execute(
                INSERT,
                subject_id=made[0],
                project_id=robot.project_id,
                short_name=robot.short_name,
                description=robot.description,
                secret_hash=robot.secret_hash,
                permissions=robot.permissions,
                allowed_addresses=robot.allowed_addresses,
                duration_days=robot.duration_days,
                lifetime=robot.lifetime_milliseconds,
                creator=robot.creator,
            )
        row = await self._executor.fetch_row(FIND_BY_PUBLIC_ID, public_id=robot.public_id)
        return None if row is None else _robot(row)

    async def hold(self, robot_id: int) -> StoredRobot | None:
        """See the protocol."""
        row = await self._executor.fetch_row(HOLD, robot_id=robot_id)
        return None if row is None else _robot(row)

    async def is_in_time(self, subject: str) -> bool:
        """See the protocol."""
        return await self._executor.fetch_row(IS_IN_TIME, subject=subject) is not None

    async def change(self, robot_id: int, fields: RobotFields) -> None:
        """See the protocol."""
        await self._executor.execute(
            UPDATE,
            robot_id=robot_id,
            description=fields.description,
            permissions=fields.permissions,
            allowed_addresses=fields.allowed_addresses,
            duration_days=fields.duration_days,
            expires_at=fields.expires_at,
            creator=fields.creator,
        )
        await self._executor.execute(SET_DISABLED, robot_id=robot_id, disabled=int(fields.disabled))

    async def replace_secret(self, robot_id: int, secret_hash: str, creator: str) -> None:
        """See the protocol."""
        await self._executor.execute(
            REPLACE_SECRET, robot_id=robot_id, secret_hash=secret_hash, creator=creator
        )

    async def move_epoch(self, robot_id: int) -> None:
        """See the protocol."""
        await self._executor.execute(MOVE_EPOCH, robot_id=robot_id)

    async def remove(self, robot_id: int) -> None:
        """See the protocol."""
        await self._executor.execute(DELETE, robot_id=robot_id)
        await self._executor.execute(RETIRE, robot_id=robot_id)

    async def note_uses(self, public_ids: Sequence[str]) -> None:
        """See the protocol."""
        await self._executor.execute(NOTE_USES, public_ids=msgspec.json.encode(public_ids).decode())


def _filters(query: RobotQuery) -> dict[str, Value]:
    """Return the parameters of the condition of a query."""
    place: dict[str, Value] = {} if query.project_id is None else {"project_id": query.project_id}
    return {**place, "pattern": _pattern(query), **wanted_values(query.wanted)}


def _pattern(query: RobotQuery) -> str:
    if query.name is None:
        return containing("")
    return _PATTERNS[query.match](query.name)


def _robot(row: Row) -> StoredRobot:
    (
        robot_id,
        public_id,
        name,
        short_name,
        project_id,
        description,
        permissions,
        addresses,
        duration_days,
        expires_at,
        creator,
        creator_id,
        creator_name,
        creator_disabled_at,
        disabled_at,
        created_at,
        updated_at,
        last_used_at,
        read_at,
        is_stranded,
    ) = row
    return StoredRobot(
        robot_id,
        public_id,
        name,
        short_name,
        project_id,
        description,
        bytes(permissions),
        bytes(addresses),
        duration_days,
        expires_at,
        creator,
        creator_id,
        creator_name,
        creator_disabled_at is not None,
        disabled_at is not None,
        created_at,
        updated_at,
        last_used_at,
        read_at,
        bool(is_stranded),
    )
