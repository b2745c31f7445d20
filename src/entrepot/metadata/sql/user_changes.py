"""Changes to people. Who logs in, who administers, and what goes with a person who is deleted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from entrepot.metadata.sql.statements import Statement
from entrepot.metadata.sql.taken_identities import address_is_taken, name_is_taken
from entrepot.metadata.sql.users import ANY, FIND, person_from_row
from entrepot.metadata.user_store import EndedCredentials

if TYPE_CHECKING:
    from entrepot.metadata.sql.statements import Executor
    from entrepot.metadata.user_store import PersonRow

__all__ = ["STATEMENTS", "SqlUserWriterRows"]

HOLD: Final = Statement("users.hold", "SELECT id FROM subjects WHERE id = :id {for_update}")
INSERT_SUBJECT: Final = Statement(
    "users.insert_subject",
    """
    INSERT INTO subjects (public_id, kind, name, created_at) VALUES (:subject, 'user', :name, {now})
    ON CONFLICT (kind, name) DO NOTHING RETURNING id
    """,
)
INSERT: Final = Statement(
    "users.insert",
    """
    INSERT INTO users (subject_id, email, realname, comment, updated_at)
    VALUES (:id, :email, :realname, :comment, {now})
    """,
)
UPDATE_PROFILE: Final = Statement(
    "users.update_profile",
    """
    UPDATE users SET email = :email, realname = :realname, comment = :comment, updated_at = {now}
    WHERE subject_id = :id
    """,
)
SET_PASSWORD: Final = Statement(
    "users.set_password",
    """
    UPDATE users SET password_hash = :password_hash, password_changed_at = {now},
        must_change_password = :must_change, updated_at = {now}
    WHERE subject_id = :id
    """,
)
REMEMBER_PASSWORD: Final = Statement(
    "users.remember_password",
    "INSERT INTO password_history (subject_id, password_hash, changed_at) VALUES (:id, :password_hash, {now})",
)
FORGET_PASSWORDS: Final = Statement(
    "users.forget_passwords",
    """
    DELETE FROM password_history WHERE subject_id = :id AND id NOT IN
        (SELECT h.id FROM password_history h WHERE h.subject_id = :id ORDER BY h.id DESC LIMIT :kept)
    """,
)
PASSWORD_IS: Final = Statement(
    "users.password_is",
    "SELECT subject_id FROM users WHERE subject_id = :id AND password_hash = :password_hash {for_update}",
)
RENEW_HASH: Final = Statement(
    "users.renew_hash",
    "UPDATE users SET password_hash = :new_hash WHERE subject_id = :id AND password_hash = :old_hash",
)
NOTE_LOGIN: Final = Statement(
    "users.note_login",
    """
    UPDATE users SET last_login_at = {now}
    WHERE subject_id = :id AND password_hash = :password_hash
      AND EXISTS (SELECT 1 FROM subjects s WHERE s.id = :id AND s.kind = 'user' AND s.disabled_at IS NULL)
    """,
)
DISABLE: Final = Statement(
    "users.disable",
    """
    UPDATE subjects SET disabled_at = {now}, epoch = epoch + 1, epoch_changed_at = {now}
    WHERE id = :id AND disabled_at IS NULL
    """,
)
ENABLE: Final = Statement(
    "users.enable",
    """
    UPDATE subjects SET disabled_at = NULL, epoch = epoch + 1, epoch_changed_at = {now}
    WHERE id = :id AND disabled_at IS NOT NULL
    """,
)
MOVE_EPOCH: Final = Statement(
    "users.move_epoch",
    "UPDATE subjects SET epoch = epoch + 1, epoch_changed_at = {now} WHERE id = :id",
)
DELETE_SESSIONS: Final = Statement("users.delete_sessions", "DELETE FROM web_sessions WHERE subject_id = :id")
DELETE_REFRESH_TOKENS: Final = Statement(
    "users.delete_refresh_tokens", "DELETE FROM refresh_tokens WHERE subject_id = :id"
)
DELETE_ACCESS_TOKENS: Final = Statement(
    "users.delete_access_tokens", "DELETE FROM access_tokens WHERE subject_id = :id"
)
DELETE_ROLES: Final = Statement("users.delete_roles", "DELETE FROM role_assignments WHERE subject_id = :id")
LEAVE_GROUPS: Final = Statement("users.leave_groups", "DELETE FROM group_members WHERE user_id = :id")
LEAVE_PROJECTS: Final = Statement(
    "users.leave_projects", "UPDATE projects SET owner_id = NULL WHERE owner_id = :id"
)
DELETE_HISTORY: Final = Statement(
    "users.delete_history", "DELETE FROM password_history WHERE subject_id = :id"
)
DELETE: Final = Statement("users.delete", "DELETE FROM users WHERE subject_id = :id")
# The row stays for the processes that watch epochs, for robots that name their maker, and so that no number comes back.
BURY: Final = Statement(
    "users.bury",
    """
    UPDATE subjects SET kind = 'deleted', name = public_id, disabled_at = {now}, epoch = epoch + 1,
        epoch_changed_at = {now}
    WHERE id = :id
    """,
)
MAKE_ADMINISTRATOR: Final = Statement(
    "users.make_administrator",
    """
    INSERT INTO role_assignments (subject_id, role, created_at, creator)
    VALUES (:id, 'operations-admin', {now}, :creator)
    ON CONFLICT (subject_id, role) WHERE project_id IS NULL DO NOTHING
    """,
)
UNMAKE_ADMINISTRATOR: Final = Statement(
    "users.unmake_administrator",
    """
    DELETE FROM role_assignments
    WHERE subject_id = :id AND role = 'operations-admin' AND project_id IS NULL
    """,
)
TAKE_OVER: Final = Statement(
    "users.take_over_projects",
    """
    UPDATE projects SET owner_id = :id, is_public = 0, updated_at = {now}, epoch = epoch + 1, epoch_changed_at = {now}
    WHERE owner_id IS NULL AND deleted_at IS NULL
    """,
)
JOIN_OWN_PROJECTS: Final = Statement(
    "users.join_own_projects",
    """
    INSERT INTO role_assignments (subject_id, project_id, role, created_at, creator)
    SELECT :id, p.id, 'project-admin', {now}, :creator FROM projects p WHERE p.owner_id = :id
    ON CONFLICT (project_id, subject_id) WHERE project_id IS NOT NULL DO NOTHING
    """,
)
ADOPT: Final = Statement(
    "users.adopt_project",
    """
    UPDATE projects SET owner_id = :id, updated_at = {now}, epoch = epoch + 1, epoch_changed_at = {now}
    WHERE id = :project_id AND owner_id IS NULL AND deleted_at IS NULL
    """,
)
JOIN_PROJECT: Final = Statement(
    "users.join_project",
    """
    INSERT INTO role_assignments (subject_id, project_id, role, created_at, creator)
    VALUES (:id, :project_id, 'project-admin', {now}, :creator)
    ON CONFLICT (project_id, subject_id) WHERE project_id IS NOT NULL DO NOTHING
    """,
)

_ERASURE: Final = (
    DELETE_SESSIONS,
    DELETE_REFRESH_TOKENS,
    DELETE_ACCESS_TOKENS,
    DELETE_ROLES,
    LEAVE_GROUPS,
    LEAVE_PROJECTS,
    DELETE_HISTORY,
    DELETE,
    BURY,
)
STATEMENTS: Final = (
    HOLD,
    INSERT_SUBJECT,
    INSERT,
    UPDATE_PROFILE,
    SET_PASSWORD,
    REMEMBER_PASSWORD,
    FORGET_PASSWORDS,
    PASSWORD_IS,
    RENEW_HASH,
    NOTE_LOGIN,
    DISABLE,
    ENABLE,
    MOVE_EPOCH,
    *_ERASURE,
    MAKE_ADMINISTRATOR,
    UNMAKE_ADMINISTRATOR,
    TAKE_OVER,
    JOIN_OWN_PROJECTS,
    ADOPT,
    JOIN_PROJECT,
)


class SqlUserWriterRows:
    """Implements :class:`entrepot.metadata.user_store.UserWriterRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def find(self, person_id: int) -> PersonRow | None:
        """See the protocol."""
        await self._executor.fetch_row(HOLD, id=person_id)
        row = await self._executor.fetch_row(FIND, id=person_id)
        return None if row is None else person_from_row(row)

    async def any_exist(self) -> bool:
        """See the protocol."""
        return await self._executor.fetch_row(ANY) is not None

    async def name_is_taken(self, name: str) -> bool:
        """See the protocol."""
        return await name_is_taken(self._executor, name)

    async def address_is_taken(self, address: str, *, but: int = 0) -> bool:
        """See the protocol."""
        return await address_is_taken(self._executor, address, but)

    async def insert(self, subject: str, name: str, *, email: str, realname: str, comment: str) -> int | None:
        """See the protocol."""
        row = await self._executor.fetch_row(INSERT_SUBJECT, subject=subject, name=name)
        if row is None:
            return None
        person_id: int = row[0]
        await self._executor.execute(INSERT, id=person_id, email=email, realname=realname, comment=comment)
        return person_id

    async def update_profile(self, person_id: int, *, email: str, realname: str, comment: str) -> None:
        """See the protocol."""
        await self._executor.execute(
            UPDATE_PROFILE, id=person_id, email=email, realname=realname, comment=comment
        )

    async def set_password(self, person_id: int, password_hash: str, *, must_change: bool, kept: int) -> None:
        """See the protocol."""
        await self._executor.execute(
            SET_PASSWORD, id=person_id, password_hash=password_hash, must_change=int(must_change)
        )
        await self._executor.execute(REMEMBER_PASSWORD, id=person_id, password_hash=password_hash)
        await self._executor.execute(FORGET_PASSWORDS, id=person_id, kept=kept)

    async def password_is(self, person_id: int, password_hash: str) -> bool:
        """See the protocol."""
        row = await self._executor.fetch_row(PASSWORD_IS, id=person_id, password_hash=password_hash)
        return row is not None

    async def renew_hash(self, person_id: int, old_hash: str, new_hash: str) -> None:
        """See the protocol."""
        await self._executor.execute(RENEW_HASH, id=person_id, old_hash=old_hash, new_hash=new_hash)

    async def note_login(self, person_id: int, password_hash: str) -> bool:
        """See the protocol."""
        return await self._executor.execute(NOTE_LOGIN, id=person_id, password_hash=password_hash) == 1

    async def disable(self, person_id: int) -> None:
        """See the protocol."""
        await self._executor.execute(DISABLE, id=person_id)
        await self.end_logins(person_id)

    async def enable(self, person_id: int) -> None:
        """See the protocol."""
        await self._executor.execute(ENABLE, id=person_id)

    async def move_epoch(self, person_id: int) -> None:
        """See the protocol."""
        await self._executor.execute(MOVE_EPOCH, id=person_id)

    async def end_logins(self, person_id: int) -> EndedCredentials:
        """See the protocol."""
        return EndedCredentials(
            sessions=await self._executor.execute(DELETE_SESSIONS, id=person_id),
            refresh_tokens=await self._executor.execute(DELETE_REFRESH_TOKENS, id=person_id),
        )

    async def end_credentials(self, person_id: int) -> EndedCredentials:
        """See the protocol."""
        logins = await self.end_logins(person_id)
        return replace(logins, access_tokens=await self._executor.execute(DELETE_ACCESS_TOKENS, id=person_id))

    async def erase(self, person_id: int) -> None:
        """See the protocol."""
        for statement in _ERASURE:
            await self._executor.execute(statement, id=person_id)

    async def make_administrator(self, person_id: int, creator: str) -> None:
        """See the protocol."""
        await self._executor.execute(MAKE_ADMINISTRATOR, id=person_id, creator=creator)
        await self.move_epoch(person_id)

    async def unmake_administrator(self, person_id: int) -> None:
        """See the protocol."""
        await self._executor.execute(UNMAKE_ADMINISTRATOR, id=person_id)
        await self.move_epoch(person_id)

    async def take_over_projects(self, person_id: int, creator: str) -> int:
        """See the protocol."""
        taken = await self._executor.execute(TAKE_OVER, id=person_id)
        await self._executor.execute(JOIN_OWN_PROJECTS, id=person_id, creator=creator)
        return taken

    async def adopt_project(self, person_id: int, project_id: int, creator: str) -> bool:
        """See the protocol."""
        if await self._executor.execute(ADOPT, id=person_id, project_id=project_id) == 0:
            return False
        await self._executor.execute(JOIN_PROJECT, id=person_id, project_id=project_id, creator=creator)
        return True
