"""People as they are found: by number, by name, by public id, and in lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from entrepot.metadata.sql.patterns import containing, starting_with
from entrepot.metadata.sql.statements import Statement
from entrepot.metadata.sql.taken_identities import read_identities
from entrepot.metadata.sql.wanted_rows import wanted_condition, wanted_values
from entrepot.metadata.user_store import CredentialsRow, OwnerlessProject, PersonPage, PersonRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.sql.statements import ReadExecutor, Row
    from entrepot.metadata.user_store import PersonIdentity, PersonQuery

__all__ = ["ANY", "FIND", "STATEMENTS", "SqlUserReader", "person_from_row"]

_KNOWN: Final = """s.id, s.public_id, s.name, s.epoch, s.created_at, s.disabled_at, u.email, u.realname, u.comment,
           u.must_change_password, u.last_login_at, u.updated_at"""
# Whether the role is the person's own, and whether a group of theirs has it.
_COLUMNS: Final = """[known],
           (SELECT count(*) FROM role_assignments a
            WHERE a.subject_id = s.id AND a.role = 'operations-admin' AND a.project_id IS NULL),
           (SELECT count(*) FROM group_members m CROSS JOIN subjects g CROSS JOIN role_assignments a
            WHERE m.user_id = s.id AND g.id = m.group_id AND g.disabled_at IS NULL
              AND a.subject_id = g.id AND a.role = 'operations-admin' AND a.project_id IS NULL)""".replace(
    "[known]", _KNOWN
)
_FILTER: Final = """s.kind = 'user' AND u.subject_id = s.id
      AND (:name = '' OR s.name = :name) AND lower(s.name) LIKE :name_pattern ESCAPE '!'
      AND (:email = '' OR u.email = :email) AND lower(u.email) LIKE :email_pattern ESCAPE '!'
      AND [wanted]""".replace("[wanted]", wanted_condition("s.name", "s.created_at"))

FIND: Final = Statement(
    "users.find",
    """
    SELECT [columns]
    FROM subjects s JOIN users u ON u.subject_id = s.id
    WHERE s.id = :id AND s.kind = 'user'
    """.replace("[columns]", _COLUMNS),
)
FIND_NAMED: Final = Statement(
    "users.find_named",
    """
    SELECT [columns]
    FROM subjects s JOIN users u ON u.subject_id = s.id
    WHERE s.kind = 'user' AND s.name = :name
    """.replace("[columns]", _COLUMNS),
)
FIND_SUBJECT: Final = Statement(
    "users.find_subject",
    """
    SELECT [columns]
    FROM subjects s JOIN users u ON u.subject_id = s.id
    WHERE s.public_id = :subject AND s.kind = 'user'
    """.replace("[columns]", _COLUMNS),
)
PASSWORD: Final = Statement(
    "users.password",
    "SELECT password_hash, {now} - password_changed_at FROM users WHERE subject_id = :id",
)
HISTORY: Final = Statement(
    "users.password_history",
    "SELECT password_hash FROM password_history WHERE subject_id = :id ORDER BY id DESC LIMIT :rows",
)
ANY: Final = Statement("users.any", "SELECT s.id FROM subjects s WHERE s.kind = 'user' LIMIT 1")
FIRST_ADMINISTRATOR: Final = Statement(
    "users.first_administrator",
    """
    SELECT [columns]
    FROM subjects s CROSS JOIN users u
    WHERE s.id IN (
        SELECT r.subject_id FROM role_assignments r
        WHERE r.role = 'operations-admin' AND r.project_id IS NULL
        UNION
        SELECT m.user_id FROM role_assignments r CROSS JOIN subjects g CROSS JOIN group_members m
        WHERE r.role = 'operations-admin' AND r.project_id IS NULL
          AND g.id = r.subject_id AND g.disabled_at IS NULL AND m.group_id = g.id
    ) AND s.kind = 'user' AND s.disabled_at IS NULL AND u.subject_id = s.id
    ORDER BY CASE s.name WHEN 'admin' THEN 0 ELSE 1 END, s.id LIMIT 1
    """.replace("[columns]", _COLUMNS),
)
OWNERLESS: Final = Statement(
    "users.ownerless_projects",
    """
    SELECT p.id, p.name FROM projects p WHERE p.owner_id IS NULL AND p.deleted_at IS NULL ORDER BY p.id LIMIT :rows
    """,
)
# Few thousand people at most: a page sorts what its filters leave. CROSS JOIN keeps SQLite from walking all of `users`.
LIST: Final = Statement(
    "users.list",
    """
    SELECT [columns]
    FROM subjects s CROSS JOIN users u
    WHERE [filter]
    ORDER BY
        CASE :sort WHEN 'username' THEN s.name WHEN 'email' THEN u.email WHEN 'realname' THEN u.realname END,
        CASE :sort WHEN '-username' THEN s.name WHEN '-email' THEN u.email WHEN '-realname' THEN u.realname END DESC,
        CASE :sort WHEN 'creation_time' THEN s.created_at WHEN 'update_time' THEN u.updated_at END,
        CASE :sort WHEN '-creation_time' THEN s.created_at WHEN '-update_time' THEN u.updated_at
                   WHEN '-user_id' THEN s.id END DESC,
        s.id
    LIMIT :rows OFFSET :skip
    """.replace("[columns]", _COLUMNS).replace("[filter]", _FILTER),
)
COUNT: Final = Statement(
    "users.count",
    """
    SELECT count(*) FROM subjects s CROSS JOIN users u
    WHERE [filter]
    """.replace("[filter]", _FILTER),
)
SEARCH: Final = Statement(
    "users.search",
    """
    SELECT [columns]
    FROM subjects s CROSS JOIN users u
    WHERE s.kind = 'user' AND u.subject_id = s.id AND lower(s.name) LIKE :name_pattern ESCAPE '!'
    ORDER BY s.name LIMIT :rows OFFSET :skip
    """.replace("[columns]", _COLUMNS),
)
COUNT_FOUND: Final = Statement(
    "users.count_found",
    """
    SELECT count(*) FROM subjects s CROSS JOIN users u
    WHERE s.kind = 'user' AND u.subject_id = s.id AND lower(s.name) LIKE :name_pattern ESCAPE '!'
    """,
)

STATEMENTS: Final = (
    FIND,
    FIND_NAMED,
    FIND_SUBJECT,
    PASSWORD,
    HISTORY,
    ANY,
    FIRST_ADMINISTRATOR,
    OWNERLESS,
    LIST,
    COUNT,
    SEARCH,
    COUNT_FOUND,
)


def person_from_row(row: Row) -> PersonRow:
    """Return the person that a row of any of the statements above tells of."""
    *known, must_change, last_login_at, updated_at, own, of_groups = row
    values: list[Any] = [*known, bool(must_change), last_login_at, updated_at, own > 0, of_groups > 0]
    return PersonRow(*values)


class SqlUserReader:
    """Implements :class:`entrepot.metadata.user_store.UserReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def find(self, person_id: int) -> PersonRow | None:
        """See the protocol."""
        return _first(await self._executor.fetch_rows(FIND, id=person_id))

    async def find_named(self, name: str) -> PersonRow | None:
        """See the protocol."""
        return _first(await self._executor.fetch_rows(FIND_NAMED, name=name))

    async def find_subject(self, subject: str) -> PersonRow | None:
        """See the protocol."""
        return _first(await self._executor.fetch_rows(FIND_SUBJECT, subject=subject))

    async def credentials_named(self, name: str) -> CredentialsRow | None:
        """See the protocol."""
        return await self._with_password(await self.find_named(name))

    async def credentials(self, person_id: int) -> CredentialsRow | None:
        """See the protocol."""
        return await self._with_password(await self.find(person_id))

    async def _with_password(self, person: PersonRow | None) -> CredentialsRow | None:
        if person is None:
            # As many statements as for a person that exists: the time must not tell (S19).
            await self._executor.fetch_rows(PASSWORD, id=0)
            return None
        rows = await self._executor.fetch_rows(PASSWORD, id=person.id)
        return CredentialsRow(person, *rows[0]) if rows else None

    async def password_history(self, person_id: int, limit: int) -> Sequence[str]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(HISTORY, id=person_id, rows=limit)
        return [password_hash for (password_hash,) in rows]

    async def list_page(self, query: PersonQuery) -> PersonPage:
        """See the protocol."""
        filters = {
            "name": query.name,
            "name_pattern": containing(query.name_part),
            "email": query.email,
            "email_pattern": containing(query.email_part),
            **wanted_values(query.wanted),
        }
        rows = await self._executor.fetch_rows(
            LIST, **filters, sort=query.order, rows=query.limit, skip=query.skip
        )
        ((total,),) = await self._executor.fetch_rows(COUNT, **filters)
        return PersonPage([person_from_row(row) for row in rows], total)

    async def search(self, prefix: str, limit: int, skip: int) -> PersonPage:
        """See the protocol."""
        pattern = starting_with(prefix)
        rows = await self._executor.fetch_rows(SEARCH, name_pattern=pattern, rows=limit, skip=skip)
        ((total,),) = await self._executor.fetch_rows(COUNT_FOUND, name_pattern=pattern)
        return PersonPage([person_from_row(row) for row in rows], total)

    async def first_administrator(self) -> PersonRow | None:
        """See the protocol."""
        return _first(await self._executor.fetch_rows(FIRST_ADMINISTRATOR))

    async def ownerless_projects(self, limit: int) -> Sequence[OwnerlessProject]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(OWNERLESS, rows=limit)
        return [OwnerlessProject(*row) for row in rows]

    async def identities(self) -> Sequence[PersonIdentity]:
        """See the protocol."""
        return await read_identities(self._executor)

    async def any_exist(self) -> bool:
        """See the protocol."""
        return bool(await self._executor.fetch_rows(ANY))


def _first(rows: list[Row]) -> PersonRow | None:
    return person_from_row(rows[0]) if rows else None
