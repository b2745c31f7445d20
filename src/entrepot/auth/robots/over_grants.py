"""Nobody gives a robot what they do not hold themselves (S9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.auth.decisions import NOTHING
from entrepot.auth.errors import AccessDeniedError
from entrepot.auth.robots.permissions import ALL_PROJECTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.auth.decisions import Decisions
    from entrepot.auth.principals import Principal
    from entrepot.auth.robots.permissions import RobotPermissions

__all__ = ["missing_of", "require_giver", "require_held"]


def require_giver(principal: Principal) -> None:
    """Let people and operators of the host deal with robots, and no robot, whatever it may be permitted.

    Raises:
        AccessDeniedError: it is a robot, or nobody.
    """
    if principal.kind not in {"user", "host"}:
        raise AccessDeniedError("only people can make, change or remove robots")


async def require_held(
    decisions: Decisions, principal: Principal, entries: Sequence[RobotPermissions]
) -> None:
    """Let somebody give what they hold at this moment, after the limits of what they presented.

    What holds in all projects is given by those who hold it in all of them. The text is the same for a
    project that the principal may not see and for one that does not exist (S19).

    Raises:
        AccessDeniedError: they lack something.
    """
    if principal.kind == "host":
        return
    for entry in entries:
        missing = await missing_of(decisions, principal, entry)
        if missing:
            raise AccessDeniedError(
                f"nobody can give a robot what they do not hold: {', '.join(missing)} in {entry.namespace}"
            )


async def missing_of(decisions: Decisions, principal: Principal, entry: RobotPermissions) -> list[str]:
    """Return which permissions of an entry somebody does not hold."""
    held = await _held(decisions, principal, entry)
    return [name for name in entry.access if name not in held]


async def _held(decisions: Decisions, principal: Principal, entry: RobotPermissions) -> frozenset[str]:
    if entry.kind == "system":
        return await decisions.on_registry(principal)
    if entry.namespace == ALL_PROJECTS:
        return await decisions.in_every_project(principal)
    standing = await decisions.on_project(principal, entry.namespace)
    return NOTHING if standing is None else standing.permissions
