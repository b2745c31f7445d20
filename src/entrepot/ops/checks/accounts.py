"""Checks of what comes with accounts: master key, first password, people alike, roles, stopped robots, read-only."""

from __future__ import annotations

import asyncio
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from entrepot.auth.keys.sealed_rows import sealing_master_keys
from entrepot.auth.people.identities import people_of_one_address, people_of_one_name
from entrepot.auth.roles import FIRST_CUSTOM_ROLE_ID, is_taken_for_built_in
from entrepot.ops.checks.asked_database import asked_database
from entrepot.ops.checks.finding import Finding, failed, passed, warned
from entrepot.ops.keys.master_keys import master_key_file, present_master_keys
from entrepot.settings import first_password_file, metadata_path, uses_postgresql

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from entrepot.metadata.diagnosis import StoppedRobot
    from entrepot.metadata.role_store import StoredRole
    from entrepot.metadata.user_store import PersonIdentity
    from entrepot.settings import Settings

__all__ = [
    "check_master_key_file",
    "examine_accounts",
    "judge_first_password",
    "judge_master_key",
    "judge_people",
    "judge_read_only",
    "judge_robots",
    "judge_roles",
]

_PATIENCE_SECONDS: Final = 10.0
_FIRST_ADMINISTRATOR: Final = "admin"
_MOST_SHOWN: Final = 20


def check_master_key_file(settings: Settings) -> Finding:
    """Check that nobody else can read the key that seals the secrets in the database.

    Raises:
        PermissionError: this user may not look.
    """
    if settings.secrets.master_key:
        return passed("master-key-file", "the master key is in the settings (secrets.master_key)")
    path = master_key_file(settings)
    try:
        facts, above = path.stat(), path.parent.stat()
    except FileNotFoundError:
        return passed("master-key-file", f"{path} does not exist yet; the first start makes it")
    modes = {path: stat.S_IMODE(facts.st_mode), path.parent: stat.S_IMODE(above.st_mode)}
    readable = [f"{place} (mode {mode:04o})" for place, mode in modes.items() if mode & 0o077]
    if readable:
        remedy = (
            f"Run: chmod 700 {path.parent} && chmod 600 {path}; if others may have read it: entrepot keys rewrap, and "
            "entrepot keys revoke for each key of entrepot keys list."
        )
        return failed("master-key-file", f"others may read {' and '.join(readable)}", remedy)
    return passed("master-key-file", f"{path} is for user {facts.st_uid} alone; keep a copy of it elsewhere")


@dataclass(frozen=True, slots=True)
class _Answers:
    """What the database was asked: which master keys seal something, first password, people, roles, robots, mode."""

    sealed_with: frozenset[str]
    must_change: bool
    people: Sequence[PersonIdentity]
    roles: Sequence[StoredRole]
    robots: Sequence[StoppedRobot]
    read_only: bool


def examine_accounts(settings: Settings) -> Iterator[Finding]:
    """Yield findings on the master key and the first password; none without a database of this program's schema.

    Raises:
        EntrepotError, TimeoutError: the database can't be asked, or the master key is none.
    """
    if not uses_postgresql(settings) and not metadata_path(settings).exists():
        return
    answers = asyncio.run(_ask(settings))
    if answers is None:
        return
    yield judge_master_key(answers.sealed_with, present_master_keys(settings))
    file = first_password_file(settings)
    yield judge_first_password(file, present=os.path.lexists(file), must_change=answers.must_change)
    yield judge_people(answers.people)
    yield judge_roles(answers.roles)
    yield judge_robots(answers.robots)
    yield judge_read_only(in_settings=settings.registry.read_only, in_configuration=answers.read_only)


async def _ask(settings: Settings) -> _Answers | None:
    async with asked_database(settings, _PATIENCE_SECONDS) as metadata:
        if metadata is None:
            return None
        sealed_with = await sealing_master_keys(metadata)
        person = await metadata.users.find_named(_FIRST_ADMINISTRATOR)
        people = await metadata.users.identities()
        roles = await metadata.roles.list_all()
        robots = await metadata.diagnosis.stopped_robots(_MOST_SHOWN + 1)
        values = await metadata.configurations.values()
    must_change = person is not None and person.must_change_password
    return _Answers(sealed_with, must_change, people, roles, robots, values.get("read_only") == "true")


def judge_master_key(sealed_with: frozenset[str], present: frozenset[str]) -> Finding:
    """Judge whether this node can open what is sealed in the database."""
    missing = sorted(sealed_with - present)
    if missing:
        here = f"this node has {', '.join(sorted(present))}" if present else "this node has none"
        remedy = (
            "Give this node the key of the other nodes, or that of the machine whose backup was restored, as "
            "secrets/master.key or secrets.master_key. If it is lost: entrepot keys renew."
        )
        message = f"keys in the database are sealed with the master key {', '.join(missing)}; {here}"
        return failed("master-key", message, remedy)
    return passed("master-key", "this node can open what is sealed in the database")


def judge_read_only(*, in_settings: bool, in_configuration: bool) -> Finding:
    """Judge whether pushes and deletions are forbidden, by this node's settings or for all nodes over the API."""
    if in_configuration:
        message = "nothing can be pushed or deleted on any node: the configuration read_only of the database is true"
        return warned("read-only", message, "To end that: entrepot config set read_only=false.")
    if in_settings:
        message = "nothing can be pushed or deleted on this node: registry.read_only is true"
        return warned("read-only", message, "To end that: set registry.read_only to false and send SIGHUP.")
    return passed("read-only", "pushes are taken")


def judge_people(people: Sequence[PersonIdentity]) -> Finding:
    """Judge whether people can be told apart; by numbers, since findings go into support bundles."""
    names, addresses = people_of_one_name(people), people_of_one_address(people)
    if not names and not addresses:
        return passed("people", "no two people have one name or e-mail address")
    told = [f"names that differ by case only: users {_listed(names)}"] if names else []
    told += [f"one e-mail address: users {_listed(addresses)}"] if addresses else []
    remedy = (
        "They go on as they are; accounts made now can't be such. GET /api/v2.0/users/<number> tells who they are: "
        "give them addresses of their own, and delete what nobody needs."
    )
    return warned("people", f"accounts from before this was refused have {'; and '.join(told)}", remedy)


def judge_roles(roles: Sequence[StoredRole]) -> Finding:
    """Judge whether clients give members the custom role that is meant, and no built-in one in its place."""
    mistaken = [
        f"{role.name} (number {FIRST_CUSTOM_ROLE_ID + role.id})"
        for role in roles
        if role.level == "project" and is_taken_for_built_in(role.name)
    ]
    if not mistaken:
        return passed("roles", "no custom role has a name that clients take for another one")
    shown = ", ".join(mistaken[:_MOST_SHOWN])
    more = ", and more" if len(mistaken) > _MOST_SHOWN else ""
    message = f"custom roles from before this was refused have names that clients take for other roles: {shown}{more}"
    remedy = (
        "Give such a role to members by its number: by its name they get the other one. To be rid of it, as roles keep "
        "their names, make one that permits the same (entrepot role show NAME, entrepot role create), give that to the "
        "members who have it (entrepot member change), then run: entrepot role delete NAME."
    )
    return warned("roles", message, remedy)


def judge_robots(stopped: Sequence[StoppedRobot]) -> Finding:
    """Judge whether programs stand still since nobody answers for them; people's names stay out of support bundles."""
    if not stopped:
        return passed("robots", "whoever answers for a robot that is enabled has an account that is, too")
    shown = ", ".join(
        f"{robot.name} ({'gone' if robot.sponsor is None else 'disabled'})" for robot in stopped[:_MOST_SHOWN]
    )
    more = ", and more" if len(stopped) > _MOST_SHOWN else ""
    message = f"robots that may do nothing, as whoever answers for them is disabled or gone: {shown}{more}"
    remedy = (
        "Somebody who holds all that it may takes it over: entrepot robot rotate NAME --project PROJECT, which gives "
        "it another secret, or entrepot robot update NAME --project PROJECT --allow …. Else delete it."
    )
    return warned("robots", message, remedy)


def _listed(groups: Sequence[Sequence[int]]) -> str:
    """Return the first groups of numbers as a person reads them."""
    shown = ", ".join(" and ".join(map(str, numbers)) for numbers in groups[:_MOST_SHOWN])
    return shown if len(groups) <= _MOST_SHOWN else f"{shown}, and {len(groups) - _MOST_SHOWN} times more"


def judge_first_password(file: Path, *, present: bool, must_change: bool) -> Finding:
    """Judge whether the file of the first password is still there, and whether it should be."""
    if must_change:
        where = f"it is in {file}" if present else "another node has the file"
        message = f"the first password of admin was not changed yet; {where}"
        return warned("first-password", message, "Log in as admin and change it.")
    if present:
        message = f"{file} is still there although its password opens nothing any more"
        return warned("first-password", message, f"A running registry removes it; else run: rm {file}")
    return passed("first-password", "no first password lies about")
