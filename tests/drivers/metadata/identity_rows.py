"""Subjects, projects and roles as rows, made past the store: the services that make them are not what is tested."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.drivers.metadata.raw_database import RawDatabase

__all__ = ["IdentityRows"]


class IdentityRows:
    """Adds rows and returns their numbers; names are public ids with `id-` before them."""

    def __init__(self, database: RawDatabase) -> None:
        self._database = database

    async def user(self, name: str, *, must_change_password: bool = False) -> int:
        """Add a person."""
        number = await self._subject("user", name)
        await self._database.fetch(
            "INSERT INTO users (subject_id, must_change_password, updated_at) "
            f"VALUES ({number}, {int(must_change_password)}, 1)"
        )
        return number

    async def group(self, name: str, *members: int) -> int:
        """Add a group with its members."""
        number = await self._subject("group", name)
        await self._database.fetch(
            f"INSERT INTO user_groups (subject_id, group_type, updated_at) VALUES ({number}, 2, 1)"
        )
        for member in members:
            await self._database.fetch(
                f"INSERT INTO group_members (group_id, user_id) VALUES ({number}, {member})"
            )
        return number

    async def robot(
        self,
        name: str,
        permissions: object,
        *,
        project: int | None = None,
        expires_at: int | None = None,
    ) -> int:
        """Add a robot."""
        number = await self._subject("robot", name)
        owner = "NULL" if project is None else project
        expiry = "NULL" if expires_at is None else expires_at
        await self._database.fetch(
            "INSERT INTO robots (subject_id, project_id, short_name, secret_hash, permissions, allowed_addresses, "
            "duration_days, expires_at, creator, updated_at) VALUES "
            f"({number}, {owner}, '{name}', 'x', {self._bytes(permissions)}, {self._bytes([])}, 1, {expiry}, "
            "'host:root', 1)"
        )
        return number

    async def project(self, name: str, *, public: bool = False, creation: str = "operators") -> int:
        """Add a project."""
        return await self._number(
            "INSERT INTO projects (public_id, name, created_at, creator, is_public, repository_creation) "
            f"VALUES ('id-{name}', '{name}', 1, 'x', {int(public)}, '{creation}') RETURNING id"
        )

    async def give(self, subject: int, role: str, project: int | None = None) -> int:
        """Give a role, on the system when no project is named."""
        place = "NULL" if project is None else project
        return await self._number(
            "INSERT INTO role_assignments (subject_id, project_id, role, created_at, creator) "
            f"VALUES ({subject}, {place}, '{role}', 1, 'x') RETURNING id"
        )

    async def custom_role(self, name: str, level: str, permissions: object) -> int:
        """Add a custom role."""
        return await self._number(
            "INSERT INTO roles (name, level, permissions, created_at, updated_at) "
            f"VALUES ('{name}', '{level}', {self._bytes(permissions)}, 1, 1) RETURNING id"
        )

    async def disable(self, subject: int) -> None:
        """Disable a subject."""
        await self._database.fetch(f"UPDATE subjects SET disabled_at = 1 WHERE id = {subject}")

    async def epochs(self) -> dict[str, int]:
        """Return the epoch of each subject and project by name."""
        rows = await self._database.fetch(
            "SELECT name, epoch FROM subjects UNION ALL SELECT name, epoch FROM projects"
        )
        return dict(rows)

    async def _subject(self, kind: str, name: str) -> int:
        return await self._number(
            "INSERT INTO subjects (public_id, kind, name, created_at) "
            f"VALUES ('id-{name}', '{kind}', '{name}', 1) RETURNING id"
        )

    async def _number(self, statement: str) -> int:
        number: int = await self._database.value(statement)
        return number

    def _bytes(self, document: object) -> str:
        text = json.dumps(document)
        return f"x'{text.encode().hex()}'" if self._database.is_sqlite else f"'{text}'::bytea"
