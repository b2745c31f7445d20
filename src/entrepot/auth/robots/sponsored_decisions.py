"""A robot never may more than the person who answers for it may now: asked at each decision, not once (S9).

When that person is demoted, what they lost is lost to their robots; when they are disabled or leave, their robots stop
until somebody takes them over by giving them a new secret or their permissions anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.decisions import NOTHING
from entrepot.auth.principals import Principal

if TYPE_CHECKING:
    from entrepot.auth.decisions import Decisions, ProjectStanding
    from entrepot.metadata.credential_store import CredentialReader
    from entrepot.oci.names import RepositoryName

__all__ = ["HOST_PREFIX", "SponsoredDecisions"]

HOST_PREFIX: Final = "host:"
"""How the subject of an operator of the host begins; a robot that one made is bound by its own permissions only."""


class SponsoredDecisions:
    """Implements :class:`entrepot.auth.decisions.Decisions` over another one, which decides and remembers.

    Costs people nothing, and a robot one point read per decision.
    """

    def __init__(self, inner: Decisions, credentials: CredentialReader) -> None:
        self._inner = inner
        self._credentials = credentials

    async def on_repository(self, principal: Principal, repository: RepositoryName) -> frozenset[str]:
        """Return what the principal may, and for a robot only what its sponsor may too."""
        own = await self._inner.on_repository(principal, repository)
        if principal.kind != "robot" or not own:
            return own
        sponsor = await self._sponsor(principal)
        if sponsor is None:
            return NOTHING
        return own if sponsor.kind == "host" else own & await self._inner.on_repository(sponsor, repository)

    async def on_registry(self, principal: Principal) -> frozenset[str]:
        """Return the system permissions, and for a robot only those that its sponsor holds too."""
        own = await self._inner.on_registry(principal)
        if principal.kind != "robot" or not own:
            return own
        sponsor = await self._sponsor(principal)
        if sponsor is None:
            return NOTHING
        return own if sponsor.kind == "host" else own & await self._inner.on_registry(sponsor)

    async def on_project(self, principal: Principal, project: str | int) -> ProjectStanding | None:
        """Return the standing, and for a robot only with the permissions that its sponsor holds too."""
        own = await self._inner.on_project(principal, project)
        if principal.kind != "robot" or own is None or not own.permissions:
            return own
        sponsor = await self._sponsor(principal)
        if sponsor is None:
            return msgspec.structs.replace(own, permissions=NOTHING)
        if sponsor.kind == "host":
            return own
        theirs = await self._inner.on_project(sponsor, project)
        left = NOTHING if theirs is None else own.permissions & theirs.permissions
        return msgspec.structs.replace(own, permissions=left)

    async def _sponsor(self, robot: Principal) -> Principal | None:
        """Return who answers for the robot, asking from where the robot asks; `None` when nobody does any more."""
        found = await self._credentials.find_sponsor(robot.subject)
        if found is None:
            return None
        if found.subject.startswith(HOST_PREFIX):
            return Principal(found.subject, robot.address, robot.forwarded, found.subject, "host")
        if not found.active:
            return None
        return Principal(
            found.subject, robot.address, robot.forwarded, found.name, "user", origin=robot.origin
        )
