"""``entrepot admin ...``: the way back in when nobody can log in (break glass).

These commands need the database and nothing else, whether or not the registry runs. Whoever may open the database could
change it by hand; this way it is in the audit log, under the login name of whoever ran the command.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import sys
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter

from entrepot.audit.direct_notes import DirectNotes
from entrepot.auth.host import HostAuthorizer, HostDecisions, host_operator, host_rights
from entrepot.auth.last_administrator import OPERATIONS_ADMIN
from entrepot.auth.people.administrators import Administrators
from entrepot.auth.people.lockout import LockoutLimits
from entrepot.auth.people.password_changes import PasswordChanges
from entrepot.auth.people.passwords import PasswordHashing
from entrepot.auth.people.people import People
from entrepot.auth.robots.robot_locks import unlock_robot
from entrepot.auth.robots.robot_logins import ROBOT_PREFIX
from entrepot.auth.system_actions import ListUser, UpdateSystemRobot, UpdateUser
from entrepot.bootstrap.passwords import load_password_policy
from entrepot.client.one_time import OneTimeSecret
from entrepot.metadata.errors import MetadataTimeoutError
from entrepot.metadata.unit_guard import in_order
from entrepot.metadata.user_store import PersonQuery
from entrepot.ops.backup_options import run_to_its_end
from entrepot.ops.command_stores import open_command_metadata
from entrepot.ops.errors import EXIT_CHECK_FAILED, EXIT_OK, EXIT_USAGE, CommandError
from entrepot.ops.options import ConfigOption, DataOption, load_command_settings, make_flags
from entrepot.ops.output import OutputOption, format_json, format_table

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.auth.grants import SystemGrant
    from entrepot.auth.people.password_policy import PasswordPolicy
    from entrepot.metadata.store import Metadata
    from entrepot.metadata.user_store import EndedCredentials, PersonRow
    from entrepot.settings import Settings

__all__ = ["enable", "grant_operations_admin", "list_administrators", "reset_password", "unlock"]

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
_PAGE = 500


def list_administrators(
    *, config: ConfigOption = None, data: DataOption = None, output: OutputOption = "text"
) -> int:
    """List the operations administrators, by name or by a group, and whether they can log in."""
    settings = load_command_settings(config, make_flags(data)).settings
    people = run_to_its_end(_list(settings))
    if output == "json":
        print(format_json([_facts(person) for person in people]))
        return EXIT_OK
    rows = [(person.name, _state(person), _moment(person.last_login_at) or "never") for person in people]
    print(format_table(("NAME", "STATE", "LAST LOGIN"), rows))
    return EXIT_OK


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
    policy = _policy(settings)
    chosen = None if password_file is None else _first_line(password_file)
    once = OneTimeSecret(
        "the new password", f"the password of {name} was changed", "Run this again for another one."
    )
    with contextlib.nullcontext() if chosen is not None else once.until_shown():
        password, ended = run_to_its_end(_reset(settings, policy, name, chosen))
        if chosen is None:
            with once.showing():
                print(password)
    print(f"The password of {name} was reset and must be changed at the next login.", file=sys.stderr)
    logins = f"{ended.sessions} sessions, {ended.refresh_tokens} refresh tokens"
    print(f"Deleted: {ended.access_tokens} access tokens, {logins}.", file=sys.stderr)
    return EXIT_OK


def unlock(name: _LockedArgument, /, *, config: ConfigOption = None, data: DataOption = None) -> int:
    """Remove the locks of a person or robot, from whichever addresses the wrong passwords came."""
    settings = load_command_settings(config, make_flags(data)).settings
    addresses = run_to_its_end(_unlock(settings, name))
    if not addresses:
        print(f"{name} was not locked out: no wrong passwords had come from anywhere.")
        return EXIT_OK
    places = "1 address" if addresses == 1 else f"{addresses} addresses"
    print(f"{name} can log in; wrong passwords had come from {places}.")
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


async def _list(settings: Settings) -> list[PersonRow]:
    async with open_command_metadata(settings) as metadata, _people(metadata, _policy(settings)) as people:
        grant = await HostAuthorizer().authorize_system(host_operator(), ListUser)
        by_group = await _members_of_administrators(metadata)
        found: list[PersonRow] = []
        while True:
            page = await people.list_page(grant, PersonQuery(order="user_id", skip=len(found), limit=_PAGE))
            found += page.people
            if len(found) >= page.total or not page.people:
                return [each for each in found if each.is_administrator or each.id in by_group]


async def _members_of_administrators(metadata: Metadata) -> frozenset[int]:
    """Return the numbers of everybody who is in a group that has the role."""
    assignments = await metadata.role_assignments.list_system(
        await metadata.role_assignments.count_system(), 0
    )
    groups = [each.assignee for each in assignments if each.role == OPERATIONS_ADMIN]
    members = [
        await metadata.user_groups.member_ids(each.subject_id) for each in groups if each.kind == "group"
    ]
    return frozenset(chain.from_iterable(members))


async def _reset(
    settings: Settings, policy: PasswordPolicy, name: str, chosen: str | None
) -> tuple[str, EndedCredentials]:
    """Return the password that the person has then, and what ended with the old one."""
    async with _open_for_changes(settings) as metadata:
        person = await _require(metadata, name)
        password = policy.generate(person.names) if chosen is None else chosen
        with contextlib.closing(PasswordHashing()) as hashing:
            rights = host_rights(metadata.standings)
            changes = PasswordChanges(
                metadata, DirectNotes(metadata), hashing, policy, LockoutLimits(), rights
            )
            done = await changes.reset(await _update_grant(), person.id, password)
    return password, done.ended


async def _unlock(settings: Settings, name: str) -> int:
    if name.startswith(ROBOT_PREFIX):
        return await _unlock_robot(settings, name)
    async with _open_for_changes(settings) as metadata, _people(metadata, _policy(settings)) as people:
        return await people.unlock(await _update_grant(), (await _require(metadata, name)).id)


async def _unlock_robot(settings: Settings, name: str) -> int:
    async with _open_for_changes(settings) as metadata:
        grant = await HostAuthorizer().authorize_system(host_operator(), UpdateSystemRobot)
        addresses = await unlock_robot(metadata, grant, name)
    if addresses is None:
        raise CommandError(EXIT_USAGE, f"entrepot: there is no robot {name}; see: entrepot robot list")
    return addresses


async def _enable(settings: Settings, name: str) -> None:
    async with _open_for_changes(settings) as metadata, _people(metadata, _policy(settings)) as people:
        await people.enable(await _update_grant(), (await _require(metadata, name)).id)


async def _grant(settings: Settings, name: str) -> None:
    async with _open_for_changes(settings) as metadata:
        person = await _require(metadata, name)
        await Administrators(metadata, HostDecisions(metadata.standings)).make(
            await _update_grant(), person.id
        )


@contextlib.asynccontextmanager
async def _open_for_changes(settings: Settings) -> AsyncIterator[Metadata]:
    """Open the database; what is changed comes before or after each change by a request, on whichever node."""
    async with open_command_metadata(settings) as metadata:
        try:
            with in_order():
                yield metadata
        except MetadataTimeoutError as error:
            raise CommandError(
                EXIT_CHECK_FAILED,
                "entrepot: other changes are ahead of this one, and it was not its turn in time; nothing was changed",
                "entrepot: run the command again; if that does not help, look for what holds the row of the table "
                "instance locked",
            ) from error


@contextlib.asynccontextmanager
async def _people(metadata: Metadata, policy: PasswordPolicy) -> AsyncIterator[People]:
    with contextlib.closing(PasswordHashing()) as hashing:
        yield People(metadata, hashing, policy, host_rights(metadata.standings))


async def _update_grant() -> SystemGrant[UpdateUser]:
    return await HostAuthorizer().authorize_system(host_operator(), UpdateUser)


async def _require(metadata: Metadata, name: str) -> PersonRow:
    person = await metadata.users.find_named(name)
    if person is None:
        raise CommandError(EXIT_USAGE, f"entrepot: there is no person {name}; see: entrepot admin list")
    return person


def _policy(settings: Settings) -> PasswordPolicy:
    try:
        return load_password_policy(settings.passwords)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(
            EXIT_USAGE, f"entrepot: passwords.dictionary_file can't be read: {error}"
        ) from error


def _first_line(path: Path) -> str:
    try:
        text = sys.stdin.readline() if str(path) == "-" else path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(EXIT_USAGE, f"entrepot: {path} can't be read: {error}") from error
    line = text.partition("\n")[0].rstrip("\r")
    if not line:
        raise CommandError(EXIT_USAGE, f"entrepot: the first line of {path} is empty; a password is expected")
    return line


def _state(person: PersonRow) -> str:
    if person.disabled_at is not None:
        return "disabled"
    return "must change password" if person.must_change_password else "active"


def _moment(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    return dt.datetime.fromtimestamp(milliseconds // 1000, dt.UTC).isoformat()


def _facts(person: PersonRow) -> dict[str, Any]:
    return {
        "id": person.id,
        "name": person.name,
        "state": _state(person),
        "last_login_at": _moment(person.last_login_at) or None,
    }
