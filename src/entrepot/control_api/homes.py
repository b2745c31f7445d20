"""Grants for what has a number of its own and is either of the system or of a project, as robots and labels.

Nobody learns from a refusal whether a number is taken (S19): whoever may not is told the same of a number in somebody
else's project, of one on the system and of none at all; whoever may on the system gets the same answer for what is in
a project where they may not as for what is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from entrepot.auth.errors import AccessDeniedError, ProjectUnknownError
from entrepot.auth.project_actions import ProjectAction
from entrepot.auth.system_actions import SystemAction
from entrepot.projects.names import NO_PROJECT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from entrepot.auth.grants import ProjectGrant, SystemGrant
    from entrepot.control_api.demands import Gate
    from entrepot.kernel.errors import EntrepotError

__all__ = ["grant_at_home"]


P = TypeVar("P", bound=ProjectAction)
S = TypeVar("S", bound=SystemAction)


async def grant_at_home(
    gate: Gate,
    home: Callable[[int], Awaitable[int | None]],
    number: int,
    actions: tuple[type[S], type[P]],
    unknown: Callable[[int], EntrepotError],
) -> SystemGrant[S] | ProjectGrant[P]:
    """Return the grant for a thing of the system, or in the project that it is of.

    Args:
        home: what tells the number of the project of a thing, `None` for the system; it raises what `unknown` makes.
        actions: what it takes on the system and in a project.
        unknown: makes the error that there is no such thing.

    Raises:
        EntrepotError: what `unknown` makes, to whoever may on the system.
        AccessDeniedError: the one who asks may not, be it there or not.
    """
    on_system, in_project = actions
    missing = unknown(number)
    is_there, project = True, None
    try:
        project = await home(number)
    except type(missing):
        is_there = False
    try:
        # Asked of a project in any case: no time tells what has a number, and whether it is of one.
        return await gate.project(in_project, NO_PROJECT if project is None else project)
    except (AccessDeniedError, ProjectUnknownError):
        granted = await _on_system(gate, on_system)
    if is_there and project is None:
        return granted
    raise missing


async def _on_system(gate: Gate, action: type[S]) -> SystemGrant[S]:
    try:
        return await gate.system(action)
    except AccessDeniedError:
        resource, _, verb = action.permission.name.partition(":")
        raise AccessDeniedError(
            f"there is no such {resource}, or you may not {verb} it: ask who administers its project for a role, or "
            "an operations administrator"
        ) from None
