"""The protocols of custom roles; the built-in ones are no rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NewRole", "RoleLevel", "RoleReader", "RoleRows", "StoredRole"]

RoleLevel = Literal["project", "system"]


@dataclass(frozen=True, slots=True)
class NewRole:
    """A custom role as it is added. `permissions` is a JSON array of names, as `["repository:pull"]`."""

    name: str
    level: RoleLevel
    description: str
    permissions: bytes


@dataclass(frozen=True, slots=True)
class StoredRole:
    """A custom role. Times are milliseconds since 1970."""

    id: int
    name: str
    level: RoleLevel
    description: str
    permissions: bytes
    created_at: int
    updated_at: int


class RoleReader(Protocol):
    """Custom roles. Each call is one statement."""

    async def list_all(self) -> Sequence[StoredRole]:
        """Return all of them, by number."""
        ...

    async def find(self, role_id: int) -> StoredRole | None:
        """Return one by its row's number."""
        ...

    async def find_by_name(self, name: str) -> StoredRole | None:
        """Return one by its name."""
        ...


class RoleRows(Protocol):
    """Custom roles within a unit."""

    async def add(self, role: NewRole) -> StoredRole | None:
        """Add a role; `None` when its name is taken."""
        ...

    async def hold(self, role_id: int) -> StoredRole | None:
        """Return a role that nobody else changes or removes until the unit ends."""
        ...

    async def hold_by_name(self, name: str) -> StoredRole | None:
        """The same by name; others may hold it like this at the same time."""
        ...

    async def change(self, role_id: int, description: str, permissions: bytes) -> None:
        """Replace what a held role says and permits."""

    async def is_assigned(self, name: str) -> bool:
        """Tell whether anybody has a role of this name, in a project or on the system."""
        ...

    async def remove(self, role_id: int) -> None:
        """Remove a held role."""
