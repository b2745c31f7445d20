"""What everybody may, and what belongs to somebody, read by SQL from the tables, not by what decides in the product."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from entrepot.auth.roles import BUILT_IN_ROLES, FIRST_CUSTOM_ROLE_ID, PUBLIC_PERMISSIONS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.integration.control_api.matrix.targets import Target

__all__ = ["EVERYBODY", "Wielded", "gained", "logged_out", "rows_of", "wielded"]

EVERYBODY: Final = 0
"""Stands for whoever there is: what is public, and what settings let everybody do."""
_SYSTEM: Final = "/"
_EVERYWHERE: Final = "*"
_SECRETS: Final = """
    SELECT subject_id, password_hash FROM users
    UNION ALL SELECT subject_id, secret_hash FROM robots
    UNION ALL SELECT subject_id, secret_hash FROM access_tokens
    UNION ALL SELECT subject_id, secret_hash FROM web_sessions
"""
_ROWS: Final = {
    "subjects": "SELECT id, kind, name, disabled_at, epoch FROM subjects WHERE id IN [these]",
    "users": "SELECT email, realname, comment, password_hash, must_change_password FROM users "
    "WHERE subject_id IN [these]",
    "group_members": "SELECT * FROM group_members WHERE group_id IN [these] OR user_id IN [these]",
    "role_assignments": "SELECT id, subject_id, project_id, role FROM role_assignments WHERE subject_id IN [these]",
    "roles": "SELECT name, permissions FROM roles WHERE id = [role]",
    "access_tokens": "SELECT id, secret_hash, scopes FROM access_tokens WHERE subject_id IN [these]",
    "web_sessions": "SELECT id, secret_hash FROM web_sessions WHERE subject_id IN [these]",
    "robots": "SELECT secret_hash, description, permissions, allowed_addresses, expires_at, creator FROM robots "
    "WHERE subject_id IN [these]",
    "login_failures": "SELECT * FROM login_failures WHERE account = '[name]'",
    "projects": "SELECT name, owner_id, is_public, repository_creation, deleted_at FROM projects WHERE id = [project]",
}
"""By table, what is stored of a target, without when it was last used."""

_Right = tuple[str, str]
"""A place, which is `/`, `*` or a project's number, and a permission."""


@dataclass(frozen=True, slots=True)
class Wielded:
    """Rights by subject, and hashes of what each can present: whose change, somebody else can be.

    Attributes:
        epochs: of people, each of which ends all sessions, logins and tokens of its person when it moves.
    """

    rights: Mapping[int, frozenset[_Right]]
    secrets: Mapping[int, frozenset[str]]
    projects: frozenset[str]
    epochs: Mapping[int, int]


def wielded(path: Path) -> Wielded:
    """Return what everybody may; who is kept out may nothing."""
    with closing(sqlite3.connect(path)) as database:
        people = "SELECT id, epoch FROM subjects WHERE kind IN ('user', 'deleted')"
        epochs: dict[int, int] = dict(database.execute(people).fetchall())
        active = {row[0] for row in database.execute("SELECT id FROM subjects WHERE disabled_at IS NULL")}
        projects = {name: str(number) for name, number in database.execute("SELECT name, id FROM projects")}
        rights: dict[int, set[_Right]] = {EVERYBODY: _of_everybody(database)}
        for holder, found in (*_by_roles(database, active), *_of_robots(database, projects)):
            if holder in active:
                rights.setdefault(holder, set()).update(found)
        secrets: dict[int, set[str]] = {}
        for subject, secret in database.execute(_SECRETS):
            secrets.setdefault(subject, set()).add(secret)
    return Wielded(
        {subject: frozenset(held) for subject, held in rights.items()},
        {subject: frozenset(held) for subject, held in secrets.items()},
        frozenset(projects.values()),
        epochs,
    )


def _by_roles(database: sqlite3.Connection, active: set[int]) -> list[tuple[int, set[_Right]]]:
    custom = {
        name: (level, frozenset[str](json.loads(names)))
        for name, level, names in database.execute("SELECT name, level, permissions FROM roles")
    }
    members: dict[int, list[int]] = {}
    for group, user in database.execute("SELECT group_id, user_id FROM group_members"):
        members.setdefault(group, []).append(user)
    found: list[tuple[int, set[_Right]]] = []
    for subject, project, role in database.execute(
        "SELECT subject_id, project_id, role FROM role_assignments"
    ):
        if subject in active:
            held = _of_role(custom, project, role)
            found += [(holder, held) for holder in (subject, *members.get(subject, ()))]
    return found


def _of_role(custom: Mapping[str, tuple[str, frozenset[str]]], project: int | None, role: str) -> set[_Right]:
    place = _EVERYWHERE if project is None else str(project)
    built_in = BUILT_IN_ROLES.get(role)
    if built_in is None:
        level, names = custom[role]
        return {(_SYSTEM if level == "system" else place, name) for name in names}
    of_system = built_in.system if project is None else ()
    return {(place, name) for name in built_in.project} | {(_SYSTEM, name) for name in of_system}


def _of_robots(database: sqlite3.Connection, projects: Mapping[str, str]) -> list[tuple[int, set[_Right]]]:
    found: list[tuple[int, set[_Right]]] = []
    for robot, permissions in database.execute("SELECT subject_id, permissions FROM robots"):
        for entry in json.loads(permissions):
            space = entry["namespace"]
            place = space if space in {_SYSTEM, _EVERYWHERE} else projects.get(space, "")
            found.append((robot, {(place, name) for name in entry["access"]}))
    return found


def _of_everybody(database: sqlite3.Connection) -> set[_Right]:
    found: set[_Right] = set()
    for project, public, creation in database.execute(
        "SELECT id, is_public, repository_creation FROM projects WHERE deleted_at IS NULL"
    ):
        found |= {(str(project), name) for name in PUBLIC_PERMISSIONS} if public else set()
        found |= {(str(project), "repository:create")} if creation != "operators" else set()
    settings = dict(database.execute("SELECT name, value FROM configurations").fetchall())
    if "everyone" in settings.get("project_creation_restriction", ""):
        found.add((_SYSTEM, "project:create"))
    return found


def gained(before: Wielded, after: Wielded, actor: int) -> set[tuple[int, _Right]]:
    """Return what anybody gained that the actor had not, and what those may whose secret the actor may know now.

    The rights in a project that the actor made are theirs.
    """
    own = before.rights.get(actor, frozenset()) | before.rights[EVERYBODY]
    found: set[tuple[int, _Right]] = set()
    for subject, held in after.rights.items():
        fresh = after.secrets.get(subject, frozenset()) - before.secrets.get(subject, frozenset())
        is_another = subject != actor and bool(fresh)
        had = frozenset[_Right]() if is_another else before.rights.get(subject, frozenset())
        for place, name in held - had:
            is_held = (place, name) in own or (place != _SYSTEM and (_EVERYWHERE, name) in own)
            is_in_new_project = place.isdigit() and place not in before.projects
            if not is_held and not is_in_new_project:
                found.add((subject, (place, name)))
    return found


def logged_out(before: Wielded, after: Wielded, actor: int) -> set[int]:
    """Return those whose sessions, logins and tokens ended though they may what the actor may not."""
    own = before.rights.get(actor, frozenset()) | before.rights[EVERYBODY]
    return {
        person
        for person, epoch in before.epochs.items()
        if after.epochs.get(person) != epoch and before.rights.get(person, frozenset()) - own
    }


def rows_of(path: Path, target: Target) -> dict[str, list[tuple[Any, ...]]]:
    """Return what is stored of a target, by table."""
    values = {
        "[these]": f"({', '.join(str(one) for one in target.subjects)})",
        "[role]": str(target.values.get("role_id", 0) - FIRST_CUSTOM_ROLE_ID),
        "[name]": target.name,
        "[project]": str(target.values.get("project_number", 0)),
    }
    found: dict[str, list[tuple[Any, ...]]] = {}
    with closing(sqlite3.connect(path)) as database:
        for table, statement in _ROWS.items():
            rows = database.execute(re.sub(r"\[[a-z]+\]", lambda match: values[match.group(0)], statement))
            found[table] = sorted(rows.fetchall(), key=repr)
    return found
