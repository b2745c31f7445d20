"""Groups of people and who is in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from entrepot.metadata.group_store import GroupMember, GroupMemberPage, GroupPage, GroupQuery, GroupRow
from entrepot.metadata.sql.epochs import SqlEpochRows
from entrepot.metadata.sql.patterns import containing, starting_with
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from entrepot.metadata.sql.statements import Executor, ReadExecutor

__all__ = ["STATEMENTS", "SqlGroupReader", "SqlGroupWriterRows"]

_COLUMNS: Final = "s.id, s.public_id, s.name, g.group_type, g.ldap_group_dn, s.created_at, g.updated_at"
_FILTER: Final = "(:name = '' OR s.name = :name) AND lower(s.name) LIKE :name_pattern ESCAPE '!'"

FIND: Final = Statement(
    "user_groups.find",
    """
    SELECT [columns]
    FROM subjects s JOIN user_groups g ON g.subject_id = s.id
    WHERE s.id = :id AND s.kind = 'group'
    """.replace("[columns]", _COLUMNS),
)
FIND_NAMED: Final = Statement(
    "user_groups.find_named",
    """
    SELECT [columns]
    FROM subjects s JOIN user_groups g ON g.subject_id = s.id
    WHERE s.kind = 'group' AND s.name = :name
    """.replace("[columns]", _COLUMNS),
)
LIST: Final = Statement(
    "user_groups.list",
    """
    SELECT [columns]
    FROM subjects s CROSS JOIN user_groups g
    WHERE s.kind = 'group' AND g.subject_id = s.id
      AND [filter]
    ORDER BY CASE :sort WHEN 'group_name' THEN s.name END, s.name DESC LIMIT :rows OFFSET :skip
    """.replace("[columns]", _COLUMNS).replace("[filter]", _FILTER),
)
COUNT: Final = Statement(
    "user_groups.count",
    """
    SELECT count(*) FROM subjects s
    WHERE s.kind = 'group' AND [filter]
    """.replace("[filter]", _FILTER),
)
MEMBERS: Final = Statement(
    "user_groups.members", "SELECT user_id FROM group_members WHERE group_id = :id ORDER BY user_id"
)
LIST_MEMBERS: Final = Statement(
    "user_groups.list_members",
    """
    SELECT s.id, s.name FROM group_members m JOIN subjects s ON s.id = m.user_id
    WHERE m.group_id = :id ORDER BY m.user_id LIMIT :rows OFFSET :skip
    """,
)
COUNT_MEMBERS: Final = Statement(
    "user_groups.count_members", "SELECT count(*) FROM group_members WHERE group_id = :id"
)
HOLD: Final = Statement("user_groups.hold", "SELECT id FROM subjects WHERE id = :id {for_update}")
INSERT_SUBJECT: Final = Statement(
    "user_groups.insert_subject",
    """
    INSERT INTO subjects (public_id, kind, name, created_at) VALUES (:subject, 'group', :name, {now})
    ON CONFLICT (kind, name) DO NOTHING RETURNING id
    """,
)
INSERT: Final = Statement(
    "user_groups.insert",
    """
    INSERT INTO user_groups (subject_id, group_type, ldap_group_dn, updated_at)
    VALUES (:id, :group_type, :ldap_group_dn, {now})
    """,
)
RENAME: Final = Statement("user_groups.rename", "UPDATE subjects SET name = :name WHERE id = :id")
TOUCH: Final = Statement(
    "user_groups.touch", "UPDATE user_groups SET updated_at = {now} WHERE subject_id = :id"
)
HOLD_PEOPLE: Final = Statement(
    "user_groups.hold_people",
    "SELECT id, name FROM subjects WHERE id IN {integers:people} AND kind = 'user' ORDER BY id {for_update}",
)
ADD: Final = Statement(
    "user_groups.add_members",
    """
    INSERT INTO group_members (group_id, user_id)
    SELECT :id, s.id FROM subjects s WHERE s.id IN {integers:people} AND s.kind = 'user'
    ON CONFLICT DO NOTHING RETURNING user_id
    """,
)
REMOVE: Final = Statement(
    "user_groups.remove_members",
    "DELETE FROM group_members WHERE group_id = :id AND user_id IN {integers:people} RETURNING user_id",
)
MOVE_EPOCHS: Final = Statement(
    "user_groups.move_epochs",
    """
    UPDATE subjects SET epoch = epoch + 1, epoch_changed_at = {now}
    WHERE id IN (SELECT m.user_id FROM group_members m WHERE m.group_id = :id)
    """,
)
DELETE_MEMBERS: Final = Statement(
    "user_groups.delete_members", "DELETE FROM group_members WHERE group_id = :id"
)
DELETE_ROLES: Final = Statement(
    "user_groups.delete_roles", "DELETE FROM role_assignments WHERE subject_id = :id"
)
DELETE: Final = Statement("user_groups.delete", "DELETE FROM user_groups WHERE subject_id = :id")
# The row stays, as that of a person does: SQLite would give the greatest number again once it is gone, also after a
# restore, and whoever acts on a group by a number that they read before must not hit one that came later.
BURY: Final = Statement(
    "user_groups.bury",
    """
    UPDATE subjects SET kind = 'deleted', name = public_id, disabled_at = {now}, epoch = epoch + 1,
        epoch_changed_at = {now}
    WHERE id = :id
    """,
)

_DELETION: Final = (MOVE_EPOCHS, DELETE_MEMBERS, DELETE_ROLES, DELETE, BURY)
STATEMENTS: Final = (
    FIND,
    FIND_NAMED,
    LIST,
    COUNT,
    MEMBERS,
    LIST_MEMBERS,
    COUNT_MEMBERS,
    HOLD,
    INSERT_SUBJECT,
    INSERT,
    RENAME,
    TOUCH,
    HOLD_PEOPLE,
    ADD,
    REMOVE,
    *_DELETION,
)


class SqlGroupReader:
    """Implements :class:`entrepot.metadata.group_store.GroupReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def find(self, group_id: int) -> GroupRow | None:
        """See the protocol."""
        rows = await self._executor.fetch_rows(FIND, id=group_id)
        return GroupRow(*rows[0]) if rows else None

    async def find_named(self, name: str) -> GroupRow | None:
        """See the protocol."""
        rows = await self._executor.fetch_rows(FIND_NAMED, name=name)
        return GroupRow(*rows[0]) if rows else None

    async def list_page(self, query: GroupQuery) -> GroupPage:
        """See the protocol."""
        return await self._page(query, containing(query.name_part))

    async def search(self, prefix: str, limit: int, skip: int) -> GroupPage:
        """See the protocol."""
        query = GroupQuery(limit=limit, skip=skip)
        return await self._page(query, starting_with(prefix))

    async def _page(self, query: GroupQuery, pattern: str) -> GroupPage:
        filters = {"name": query.name, "name_pattern": pattern}
        rows = await self._executor.fetch_rows(
            LIST, **filters, sort=query.order, rows=query.limit, skip=query.skip
        )
        ((total,),) = await self._executor.fetch_rows(COUNT, **filters)
        return GroupPage([GroupRow(*row) for row in rows], total)

    async def member_ids(self, group_id: int) -> Sequence[int]:
        """See the protocol."""
        return [person_id for (person_id,) in await self._executor.fetch_rows(MEMBERS, id=group_id)]

    async def list_members(self, group_id: int, limit: int, skip: int) -> GroupMemberPage:
        """See the protocol."""
        rows = await self._executor.fetch_rows(LIST_MEMBERS, id=group_id, rows=limit, skip=skip)
        ((total,),) = await self._executor.fetch_rows(COUNT_MEMBERS, id=group_id)
        return GroupMemberPage([GroupMember(*row) for row in rows], total)


class SqlGroupWriterRows:
    """Implements :class:`entrepot.metadata.group_store.GroupWriterRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def find(self, group_id: int) -> GroupRow | None:
        """See the protocol."""
        await self._executor.fetch_row(HOLD, id=group_id)
        return await SqlGroupReader(self._executor).find(group_id)

    async def find_named(self, name: str) -> GroupRow | None:
        """Return a group by name."""
        return await SqlGroupReader(self._executor).find_named(name)

    async def insert(self, subject: str, name: str, group_type: int, ldap_group_dn: str) -> int | None:
        """See the protocol."""
        row = await self._executor.fetch_row(INSERT_SUBJECT, subject=subject, name=name)
        if row is None:
            return None
        group_id: int = row[0]
        await self._executor.execute(INSERT, id=group_id, group_type=group_type, ldap_group_dn=ldap_group_dn)
        return group_id

    async def rename(self, group_id: int, name: str) -> bool:
        """See the protocol."""
        holder = await self.find_named(name)
        if holder is not None:
            return holder.id == group_id
        await self._executor.execute(RENAME, id=group_id, name=name)
        await self._executor.execute(TOUCH, id=group_id)
        return True

    async def delete(self, group_id: int) -> None:
        """See the protocol."""
        for statement in _DELETION:
            await self._executor.execute(statement, id=group_id)

    async def member_ids(self, group_id: int) -> Sequence[int]:
        """See the protocol."""
        return await SqlGroupReader(self._executor).member_ids(group_id)

    async def hold_people(self, person_ids: Collection[int]) -> Mapping[int, str]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(HOLD_PEOPLE, people=_as_list(person_ids))
        return dict(rows)

    async def add_members(self, group_id: int, person_ids: Collection[int]) -> None:
        """See the protocol."""
        await self._change(ADD, group_id, person_ids)

    async def remove_members(self, group_id: int, person_ids: Collection[int]) -> None:
        """See the protocol."""
        await self._change(REMOVE, group_id, person_ids)

    async def _change(self, statement: Statement, group_id: int, person_ids: Collection[int]) -> None:
        rows = await self._executor.fetch_rows(statement, id=group_id, people=_as_list(person_ids))
        if rows:
            await SqlEpochRows(self._executor).move_subjects(sorted(row[0] for row in rows))
            await self._executor.execute(TOUCH, id=group_id)


def _as_list(numbers: Collection[int]) -> str:
    """Return numbers as statements take a set of them, in the order in which rows are locked."""
    return json.dumps(sorted(numbers))
