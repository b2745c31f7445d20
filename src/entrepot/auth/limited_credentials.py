"""Tells whoever came with an access token that its limits are all that is in the way, where they are.

Who presents it is its owner, or has it from them, and they may know what they may do: so it is told only where they
hold the right themselves, and in a project only where the token is good for something. In all other cases the refusal
is the one that everybody gets, after the same time (S19): a token tells nobody of projects that its limits leave out.
It is asked only once something was refused, and costs nothing before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.errors import AccessDeniedError

if TYPE_CHECKING:
    from entrepot.auth.decisions import Decisions
    from entrepot.auth.principals import Principal
    from entrepot.oci.names import RepositoryName

__all__ = [
    "limits_in_the_way",
    "owner_of",
    "tell_limits_in_project",
    "tell_limits_on_repository",
    "tell_limits_on_system",
]

_TOLD: Final = (
    "this access token is not good for {permission} {where}, though you have that right: its limits leave it "
    "out; present one that is, or the password"
)


def owner_of(principal: Principal) -> Principal | None:
    """Return who came with an access token as they are without its limits; `None` where there are none."""
    return msgspec.structs.replace(principal, limits=None) if principal.is_limited else None


def limits_in_the_way(permission: str, where: str = "on the system") -> AccessDeniedError:
    """Return the refusal where the owner holds the permission: on the system, or in a project that is told."""
    return AccessDeniedError(_TOLD.format(permission=permission, where=where))


async def tell_limits_on_repository(
    decisions: Decisions, principal: Principal, action: str, repository: RepositoryName
) -> None:
    """Pass over whoever may not do something with a repository for want of a right.

    Args:
        action: as decisions call it: `pull`, `push` or `delete`.

    Raises:
        AccessDeniedError: they would have it, and only the limits of their access token leave it out.
    """
    owner = owner_of(principal)
    if owner is not None and action in (await decisions.on_repository(owner, repository)).actions:
        raise limits_in_the_way(f"repository:{action}", f"in project {repository.project}")


async def tell_limits_on_system(decisions: Decisions, principal: Principal, permission: str) -> None:
    """Pass over whoever may not do something on the system for want of a right.

    Raises:
        AccessDeniedError: they would have it, and only the limits of their access token leave it out.
    """
    owner = owner_of(principal)
    if owner is not None and permission in await decisions.on_registry(owner):
        raise limits_in_the_way(permission)


async def tell_limits_in_project(
    decisions: Decisions, principal: Principal, permission: str, project: str | int
) -> None:
    """Pass over whoever may not do something in a project for want of a right.

    Raises:
        AccessDeniedError: they would have it, and only the limits of their access token leave it out.
    """
    owner = owner_of(principal)
    standing = None if owner is None else await decisions.on_project(owner, project)
    if standing is not None and permission in standing.permissions:
        raise limits_in_the_way(permission, f"in project {standing.project}")
