"""``entrepot admin ...``: the way back in when nobody can log in (break glass).

These commands need the database and nothing else, whether or not the registry runs. Whoever may open the database could
change it by hand; this way it is in the audit log, under the login name of whoever ran the command.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter

from entrepot.audit.direct_notes import DirectNotes
from entrepot.auth.host import HostAuthorizer, HostDecisions, host_operator, host_rights
from entrepot.auth.people.administrators import Administrators
from entrepot.auth.people.lockout import LockoutLimits
from entrepot.auth.people.password_changes import PasswordChanges
from entrepot.auth.people.passwords import PasswordHashing
from entrepot.auth.robots.robot_locks import unlock_robot
from entrepot.auth.robots.robot_logins import ROBOT_PREFIX
from entrepot.auth.system_actions import UpdateSystemRobot
from entrepot.client.one_time import OneTimeSecret
from entrepot.ops.admin.database import (
    open_for_changes,
    opened_people,
    policy_of,
    require_person,
    update_grant,
)
from entrepot.ops.admin.states import what_keeps_person_out, what_keeps_robot_out
from entrepot.ops.errors import EXIT_OK, EXIT_USAGE, CommandError
from entrepot.ops.options import ConfigOption, DataOption, load_command_settings, make_flags
from entrepot.ops.running import run_to_its_end

if TYPE_CHECKING:
    from entrepot.auth.people.password_policy import PasswordPolicy
    from entrepot.metadata.user_store import EndedCredentials
    from entrepot.settings import Settings

__all__ = ["enable", "grant_operations_admin", "reset_password", "unlock"]

_NameArgument: TypeAlias = Annotated[str, Parameter(name="NAME", help="Login name of the person.")]
_LockedArgument: TypeAlias = Annotated[
    str,
    Parameter(
        name="NAME", help="Login name of the person, or the full one of a robot: robot$ci, robot$team+ci."
    ),
]
_PasswordFileOption: TypeAlias = Annotated[
    Path | None,
    Parameter(
        name="--password-file",
        allow_leading_hyphen=True,  # a single one is standard input
        help="File whose first line is the new password, or - for standard input. Default: a random one, printed once.",
    ),
]


def reset_password(
    name: _NameArgument,
    /,
    *,
    password_file: _PasswordFileOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> int:
    """Give a person a new password, to be changed at the next login; delete their tokens and sessions and the locks."""
    settings = load_command_settings(config, make_flags(data)).settings
    policy = policy_of(settings)
    chosen = None if password_file is None else _first_line(password_file)
    once = OneTimeSecret(
        "the new password", f"the password of {name} was changed", "Run this again for another one."
    )
    with contextlib.nullcontext() if chosen is not None else once.until_shown():
        password, ended, obstacle = run_to_its_end(_reset(settings, policy, name, chosen))
        if chosen is None:
            with once.showing():
                print(password)
    print(f"The password of {name} was reset and must be changed at the next login.", file=sys.stderr)
    logins = f"{ended.sessions} sessions, {ended.refresh_tokens} refresh tokens"
    print(f"Deleted: {ended.access_tokens} access tokens, {logins}.", file=sys.stderr)
    if obstacle:
        print(obstacle, file=sys.stderr)
    return EXIT_OK


def unlock(name: _LockedArgument, /, *, config: ConfigOption = None, data: DataOption = None) -> int:
    """Remove the locks of a person or robot, from whichever addresses the wrong passwords came."""
    settings = load_command_settings(config, make_flags(data)).settings
    addresses, obstacle = run_to_its_end(_unlock(settings, name))
    places = "1 address" if addresses == 1 else f"{addresses} addresses"
    if addresses:
        print(f"{name} is not locked out any more; wrong passwords had come from {places}.")
    else:
        print(f"{name} was not locked out: no wrong passwords had come from anywhere.")
    if obstacle:
        print(obstacle)
    return EXIT_OK


def enable(name: _NameArgument, /, *, config: ConfigOption = None, data: DataOption = None) -> int:
    """Enable a person who was disabled."""
    settings = load_command_settings(config, make_flags(data)).settings
    run_to_its_end(_enable(settings, name))
    print(f"{name} is enabled.")
    return EXIT_OK


def grant_operations_admin(
    name: _NameArgument, /, *, config: ConfigOption = None, data: DataOption = None
) -> int:
    """Make a person, who must exist, an operations administrator."""
    settings = load_command_settings(config, make_flags(data)).settings
    run_to_its_end(_grant(settings, name))
    print(f"{name} is an operations administrator.")
    return EXIT_OK


async def _reset(
    settings: Settings, policy: PasswordPolicy, name: str, chosen: str | None
) -> tuple[str, EndedCredentials, str]:
    """Return the password that the person has then, what ended with the old one, and what keeps them out still."""
    async with open_for_changes(settings) as metadata:
        person = await require_person(metadata, name)
        password = policy.generate(person.names) if chosen is None else chosen
        with contextlib.closing(PasswordHashing()) as hashing:
            rights = host_rights(metadata.standings)
            changes = PasswordChanges(
                metadata, DirectNotes(metadata), hashing, policy, LockoutLimits(), rights
            )
            done = await changes.reset(await update_grant(), person.id, password)
    return password, done.ended, what_keeps_person_out(person, but_password=True)


async def _unlock(settings: Settings, name: str) -> tuple[int, str]:
    """Return from how many addresses wrong passwords had come, and what else keeps somebody out."""
    if name.startswith(ROBOT_PREFIX):
        return await _unlock_robot(settings, name)
    async with open_for_changes(settings) as metadata, opened_people(metadata, policy_of(settings)) as people:
        person = await require_person(metadata, name)
        return await people.unlock(await update_grant(), person.id), what_keeps_person_out(person)


async def _unlock_robot(settings: Settings, name: str) -> tuple[int, str]:
    async with open_for_changes(settings) as metadata:
        grant = await HostAuthorizer().authorize_system(host_operator(), UpdateSystemRobot)
        addresses = await unlock_robot(metadata, grant, name)
        robot = await metadata.credentials.find_robot(name)
    if addresses is None or robot is None:
        raise CommandError(EXIT_USAGE, f"entrepot: there is no robot {name}; see: entrepot robot list")
    return addresses, what_keeps_robot_out(robot)


async def _enable(settings: Settings, name: str) -> None:
    async with open_for_changes(settings) as metadata, opened_people(metadata, policy_of(settings)) as people:
        await people.enable(await update_grant(), (await require_person(metadata, name)).id)


async def _grant(settings: Settings, name: str) -> None:
    async with open_for_changes(settings) as metadata:
        person = await require_person(metadata, name)
        await Administrators(metadata, HostDecisions(metadata.standings)).make(
            await update_grant(), person.id
        )


def _first_line(path: Path) -> str:
    try:
        text = sys.stdin.readline() if str(path) == "-" else path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(EXIT_USAGE, f"entrepot: {path} can't be read: {error}") from error
    line = text.partition("\n")[0].rstrip("\r")
    if not line:
        raise CommandError(EXIT_USAGE, f"entrepot: the first line of {path} is empty; a password is expected")
    return line
