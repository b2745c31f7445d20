"""Nobody brings about rights that they do not hold themselves, by whatever way (S9): the one judgement of all services.

Rights change hands when they are given, and as well when an account is taken over, when somebody joins a group that has
them, or when they are taken away. Whoever does one of these has to hold at that moment, after the limits of what they
presented, everything that is concerned: on the system, in every project, and in each project by itself. The same goes
for whatever else changes somebody's account: what they are called and where mail reaches them, what they are logged in
with, and the lock after wrong passwords, which gives nobody a right but lets guessing at theirs go on. And whoever
joins or leaves a group, and whose roles change, loses every session, login and token (S14): only who holds all that
they do may bring that about. Who acts with all of their own rights holds what they hold themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.decisions import NOTHING
from entrepot.auth.errors import AccessDeniedError
from entrepot.auth.roles import BUILT_IN_ROLES
from entrepot.auth.stored_permissions import known_permissions
from entrepot.metadata.unit_guard import watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Sequence

    from entrepot.auth.decisions import Decisions
    from entrepot.auth.principals import Principal
    from entrepot.metadata.standing_store import GivenRole, StandingReader
    from entrepot.metadata.store import Transaction

__all__ = ["HeldRights", "RightsOfOthers", "lacking", "require_holding", "rights_of"]

_MOST_NAMED: Final = 5


class HeldRights(msgspec.Struct, frozen=True):
    """What somebody holds, or is to be given.

    Attributes:
        system: names of system permissions.
        everywhere: names of project permissions that hold in every project.
        in_projects: names of project permissions by the number of the project.
    """

    system: frozenset[str] = NOTHING
    everywhere: frozenset[str] = NOTHING
    in_projects: Mapping[int, frozenset[str]] = {}


async def lacking(decisions: Decisions, principal: Principal, rights: HeldRights) -> Sequence[str]:
    """Return the names of what a principal does not hold of some rights, and of one project at most."""
    own_everywhere = await decisions.in_every_project(principal)
    missing = sorted(rights.system - await decisions.on_registry(principal)) if rights.system else []
    missing += sorted(rights.everywhere - own_everywhere)
    for project_id, permissions in rights.in_projects.items():
        if missing:
            break
        if permissions - own_everywhere:
            standing = await decisions.on_project(principal, project_id)
            missing = sorted(permissions - (NOTHING if standing is None else standing.permissions))
    return missing


async def require_holding(
    decisions: Decisions, principal: Principal, project: Iterable[str], system: Iterable[str]
) -> None:
    """Refuse to hand out what the one who hands it out does not hold, project permissions in every project (S9).

    Raises:
        AccessDeniedError: naming what is lacking.
    """
    rights = HeldRights(system=frozenset(system), everywhere=frozenset(project))
    missing = await lacking(decisions, principal, rights)
    if missing:
        raise AccessDeniedError(
            f"nobody gives or takes what they do not hold themselves everywhere: {', '.join(missing)}"
        )


class RightsOfOthers:
    """Compares what somebody holds with what another person, or a group, does.

    Asked before the unit that does it, which looks whether the other one still has the same roles: rights that are
    given meanwhile would be given to whose password somebody else has just set, or who is about to join.
    """

    def __init__(self, standings: StandingReader, decisions: Decisions) -> None:
        self._standings = standings
        self._decisions = decisions

    async def require_held(self, principal: Principal, subject_id: int) -> None:
        """Refuse to act on a person or group with a right that the principal lacks; one that is not there has none.

        What a person has counts also while they are disabled or have to choose another password.

        Raises:
            AccessDeniedError: the other one holds more, on the system or in any project.
        """
        await self._watch_epochs(frozenset({subject_id}))
        missing = await self._lacking(
            principal, ("roles of", subject_id), lambda rows: rows.roles_of(subject_id)
        )
        if missing:
            raise AccessDeniedError(
                "they hold rights, on the system or in a project, that you do not, and this would give, take or use "
                f"them: {_named(missing)}; ask an operations administrator"
            )

    async def require_held_of_all(self, principal: Principal, subject_ids: Collection[int]) -> None:
        """Refuse to log out people, or who is in groups, of whom one has a right that the principal lacks.

        Raises:
            AccessDeniedError: one of them holds more, on the system or in any project.
        """
        if subject_ids:
            ids = frozenset(subject_ids)
            await self._watch_epochs(ids)
            key = ("roles of all", ids)
            self._refuse(await self._lacking(principal, key, lambda rows: rows.roles_of_all(ids)))

    async def require_held_of_holders(self, principal: Principal, role: str) -> None:
        """The same for all who have a role, wherever they have it and by whichever group.

        Raises:
            AccessDeniedError: one of them holds more, on the system or in any project.
        """
        key = ("roles of holders", role)
        self._refuse(await self._lacking(principal, key, lambda rows: rows.roles_of_holders(role)))

    async def _watch_epochs(self, subject_ids: frozenset[int]) -> None:
        """Have units keep their rows as well: whoever gives them something at that moment comes before or after."""
        epochs = await self._standings.epochs_of(subject_ids)
        watch(("epochs of", subject_ids), lambda tx: tx.epochs.hold_numbered(subject_ids), epochs)

    async def _lacking(
        self,
        principal: Principal,
        key: Hashable,
        read: Callable[[StandingReader], Awaitable[Iterable[GivenRole]]],
    ) -> Sequence[str]:
        async def look(tx: Transaction) -> frozenset[GivenRole]:
            return frozenset(await read(tx.standings))

        roles = frozenset(await read(self._standings))
        watch(key, look, roles)
        return await lacking(self._decisions, principal, rights_of(roles))

    def _refuse(self, missing: Sequence[str]) -> None:
        if missing:
            raise AccessDeniedError(
                "this would end sessions, logins and tokens of somebody who holds rights, on the system or in a "
                f"project, that you do not: {_named(missing)}; ask an operations administrator"
            )


def _named(missing: Sequence[str]) -> str:
    others = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
    return f"{', '.join(missing[:_MOST_NAMED])}{others}"


def rights_of(roles: Iterable[GivenRole]) -> HeldRights:
    """Return what roles come to, as policies have it: a custom role counts where its level says."""
    system, everywhere = set[str](), set[str]()
    in_projects: dict[int, frozenset[str]] = {}
    for role in roles:
        of_projects, of_system = _permissions(role)
        if role.project_id is None:
            system |= of_system
            everywhere |= of_projects
        elif of_projects:
            in_projects[role.project_id] = in_projects.get(role.project_id, NOTHING) | of_projects
    return HeldRights(frozenset(system), frozenset(everywhere), in_projects)


def _permissions(role: GivenRole) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of project and of system permissions of a role, where it was given."""
    built_in = BUILT_IN_ROLES.get(role.name)
    if built_in is not None:
        return built_in.project, built_in.system
    if (
        role.level is None
        or role.permissions is None
        or (role.level == "system") != (role.project_id is None)
    ):
        return NOTHING, NOTHING
    names = known_permissions(role.level, role.permissions)
    return (NOTHING, names) if role.level == "system" else (names, NOTHING)
