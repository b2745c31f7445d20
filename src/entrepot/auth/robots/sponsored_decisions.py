"""A robot never may more than the person who answers for it may now: asked at each decision, not once (S9).

When that person is demoted, what they lost is lost to their robots; when they are disabled or leave, their robots stop
until somebody takes them over by giving them a new secret or their permissions anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from entrepot.auth.decisions import NO_STANDING, NOTHING
from entrepot.auth.principals import Principal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from entrepot.auth.decisions import Decisions, ProjectStanding, RepositoryStanding
    from entrepot.auth.principals import Sponsor
    from entrepot.oci.names import RepositoryName

__all__ = ["SponsoredDecisions", "person_asking"]

T = TypeVar("T")


class SponsoredDecisions:
    """Implements :class:`entrepot.auth.decisions.Decisions` over another one, which decides and remembers.

    Costs people nothing, and a robot a second decision. Who answers for it came with its credentials, which are good
    for no longer than that person's epoch stays where it was. Of the two decisions either may be remembered from before
    a change that this process did not hear of yet: the older epoch of the project is what both were decided by.
    """

    def __init__(self, inner: Decisions) -> None:
        self._inner = inner

    async def on_repository(self, principal: Principal, repository: RepositoryName) -> RepositoryStanding:
        """Return the standing, and for a robot only with the actions that its sponsor may do too."""
        own = await self._inner.on_repository(principal, repository)
        if principal.kind != "robot" or not own.actions:
            return own
        theirs = await _of_sponsor(
            principal, lambda asker: self._inner.on_repository(asker, repository), NO_STANDING
        )
        if theirs is None:
            return own
        left = own.actions & theirs.actions
        if not left:
            return NO_STANDING
        return msgspec.structs.replace(own, actions=left, epoch=min(own.epoch, theirs.epoch))

    async def on_registry(self, principal: Principal) -> frozenset[str]:
        """Return the system permissions, and for a robot only those that its sponsor holds too."""
        return await self._shared(principal, self._inner.on_registry)

    async def in_every_project(self, principal: Principal) -> frozenset[str]:
        """Return the permissions that hold in every project, and for a robot only those that its sponsor holds so."""
        return await self._shared(principal, self._inner.in_every_project)

    async def on_project(self, principal: Principal, project: str | int) -> ProjectStanding | None:
        """Return the standing, and for a robot only with the permissions that its sponsor holds too."""
        own = await self._inner.on_project(principal, project)
        if principal.kind != "robot" or own is None or not own.permissions:
            return own
        nothing = msgspec.structs.replace(own, permissions=NOTHING)

        async def ask(asker: Principal) -> ProjectStanding:
            return await self._inner.on_project(asker, project) or nothing

        theirs = await _of_sponsor(principal, ask, nothing)
        if theirs is None:
            return own
        left, epoch = own.permissions & theirs.permissions, min(own.epoch, theirs.epoch)
        return msgspec.structs.replace(own, permissions=left, epoch=epoch)

    async def _shared(
        self, principal: Principal, ask: Callable[[Principal], Awaitable[frozenset[str]]]
    ) -> frozenset[str]:
        """Return what a question permits the principal, and of a robot its sponsor as well."""
        own = await ask(principal)
        if principal.kind != "robot" or not own:
            return own
        theirs = await _of_sponsor(principal, ask, NOTHING)
        return own if theirs is None else own & theirs


async def _of_sponsor(robot: Principal, ask: Callable[[Principal], Awaitable[T]], nothing: T) -> T | None:
    """Return what whoever answers for a robot may: `nothing` where nobody does, `None` where the host does."""
    sponsor = robot.sponsor
    if sponsor is None:
        return nothing
    return None if sponsor.is_host else await ask(person_asking(sponsor, robot))


def person_asking(sponsor: Sponsor, robot: Principal) -> Principal:
    """Return the person who answers for a robot, asking from where the robot asks."""
    return Principal(
        sponsor.person,
        robot.address,
        robot.forwarded,
        sponsor.person,
        "user",
        origin=robot.origin,
        epoch=sponsor.epoch,
    )
