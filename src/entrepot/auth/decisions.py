"""What somebody may do with what: the protocol that authorizers and the token service ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import msgspec

if TYPE_CHECKING:
    from entrepot.auth.principals import Principal
    from entrepot.oci.names import RepositoryName

__all__ = ["NOTHING", "NO_STANDING", "Decisions", "ProjectStanding", "RepositoryStanding"]

NOTHING: frozenset[str] = frozenset()
"""The answer to everybody who may do nothing, whether or not the thing exists."""


class RepositoryStanding(msgspec.Struct, frozen=True):
    """What a principal may do with one repository, which need not exist.

    Attributes:
        project: the name of its project, empty where there is none.
        epoch: of the project's row, by which it was decided; see :class:`ProjectStanding`.
        actions: which of `pull`, `push`, `delete`, `create` and `overwrite`, after the limits of the credential.
    """

    project: str
    epoch: int
    actions: frozenset[str]


NO_STANDING: Final = RepositoryStanding("", 0, NOTHING)
"""The one to everybody in a project that does not exist, and to whoever may do nothing in one that does."""


class ProjectStanding(msgspec.Struct, frozen=True):
    """What a principal may do in one project.

    Attributes:
        project_id: the number of the row.
        epoch: of the project's row: moves whenever anything changes that decides (members, visibility, settings).
        permissions: names of project permissions, as `repository:pull`, after the limits of the credential.
        roles: names of the roles that the principal holds in the project or on the system.
    """

    project_id: int
    project: str
    epoch: int
    permissions: frozenset[str]
    roles: frozenset[str] = frozenset()


class Decisions(Protocol):
    """Decides by Cedar, and remembers for at most 30 s and as long as no epoch moved. Fails closed (I6)."""

    async def on_repository(self, principal: Principal, repository: RepositoryName) -> RepositoryStanding:
        """Return what the principal may do with a repository; `NO_STANDING` where that is nothing.

        `create` is whether a push may bring a new repository into being: the permission `repository:create`, or
        `repository:push` where the project's setting `repository_creation` reaches so far.
        """
        ...

    async def on_registry(self, principal: Principal) -> frozenset[str]:
        """Return the names of the system permissions that the principal holds."""
        ...

    async def in_every_project(self, principal: Principal) -> frozenset[str]:
        """Return the names of the project permissions that the principal holds in every project there is."""
        ...

    async def on_project(self, principal: Principal, project: str | int) -> ProjectStanding | None:
        """Return the principal's standing in a project by name or number; `None` when there is no such project."""
        ...
