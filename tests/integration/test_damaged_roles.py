"""A row whose permissions can't be read takes nothing away but what it permitted itself (I6)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest
import structlog.testing

from entrepot.auth.access_tokens.scopes import decode_scopes, limits_of
from entrepot.auth.custom_roles import Roles
from entrepot.auth.decisions import NO_STANDING
from entrepot.auth.grants import SystemGrant
from entrepot.auth.robots.permissions import decode_permissions
from entrepot.auth.system_actions import DeleteRole, ListRole, ReadRole, UpdateRole
from entrepot.oci.names import RepositoryName
from entrepot.projects.robot_namespaces import without_project
from tests.integration.identity import Identity, open_identity, principal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_APP: Final = RepositoryName.parse("team/app")
_DAMAGE: Final = (
    b"",
    b"[",
    b"not JSON",
    b'{"repository:pull": 1}',
    b"[7]",
    b'["repository:pull\xff"]',
    b"\x00\xff",
)
_ROOT: Final = principal("root")


@pytest.fixture
async def identity(tmp_path: Path) -> AsyncIterator[Identity]:
    """Return a store with an administrator, a project, and a project."""
    async with open_identity(tmp_path) as opened:
        await opened.rows.give(await opened.rows.user("root"), "operations-admin")
        await opened.rows.project("team")
        yield opened


async def _damage(identity: Identity, table: str, damage: bytes) -> None:
    await identity.database.fetch(f"UPDATE {table} SET permissions = X'{damage.hex()}' WHERE name = 'broken'")


@pytest.mark.parametrize("damage", _DAMAGE)
async def test_a_damaged_role_permits_nothing_and_the_others_of_its_holder_hold_i6(
    identity: Identity, damage: bytes
) -> None:
    ann, team = await identity.rows.user("ann"), await _project(identity)
    for name, level, permission in (
        ("broken", "project", "repository:push"),
        ("sound", "project", "repository:pull"),
        ("wide", "system", "catalog:read"),
    ):
        await identity.rows.custom_role(name, level, [permission])
        holder = await identity.rows.group("friends", ann) if name == "sound" else ann
        await identity.rows.give(holder, name, team if level == "project" else None)
    await _damage(identity, "roles", damage)

    with structlog.testing.capture_logs() as lines:
        assert (await identity.decisions.on_repository(principal("ann"), _APP)).actions == {"pull"}
        assert await identity.decisions.on_registry(principal("ann")) == {"catalog:read"}

    assert {"role": "broken", "event": "permissions.unreadable", "log_level": "error"} in lines


@pytest.mark.parametrize("damage", _DAMAGE)
async def test_a_holder_of_nothing_but_a_damaged_role_may_nothing_i6(
    identity: Identity, damage: bytes
) -> None:
    ann, team = await identity.rows.user("ann"), await _project(identity)
    await identity.rows.custom_role("broken", "project", ["repository:pull", "repository:push"])
    await identity.rows.give(ann, "broken", team)
    await _damage(identity, "roles", damage)

    assert await identity.decisions.on_repository(principal("ann"), _APP) == NO_STANDING
    standing = await identity.decisions.on_project(principal("ann"), "team")
    assert standing is not None
    assert standing.permissions == frozenset()


@pytest.mark.parametrize("damage", _DAMAGE)
async def test_a_damaged_role_is_listed_and_can_be_put_right_or_deleted(
    identity: Identity, damage: bytes
) -> None:
    """As the log line asks for; the record tells that what was there could not be read."""
    roles = Roles(identity.metadata, identity.decisions)
    number = 1000 + await identity.rows.custom_role("broken", "project", ["repository:pull"])
    await _damage(identity, "roles", damage)

    listed = {role.name: role.project for role in await roles.list_all(SystemGrant(ListRole, _ROOT))}
    await roles.update(SystemGrant(UpdateRole, _ROOT), number, ["repository:list"], "")
    mended = await roles.find(SystemGrant(ReadRole, _ROOT), number)
    await _damage(identity, "roles", damage)
    await roles.delete(SystemGrant(DeleteRole, _ROOT), number)

    assert listed["broken"] == frozenset()
    assert mended.project == {"repository:list"}
    rows = await identity.database.fetch("SELECT action, body FROM audit_records ORDER BY id")
    told = [(action, json.loads(body)["change"]["before"]["permissions"]) for action, body in rows]
    assert told == [("role.update", "unreadable"), ("role.delete", "unreadable")]


@pytest.mark.parametrize("damage", _DAMAGE)
async def test_a_damaged_robot_permits_nothing_i6(identity: Identity, damage: bytes) -> None:
    await identity.rows.robot(
        "broken", [{"kind": "project", "namespace": "*", "access": ["repository:pull"]}]
    )
    await identity.database.fetch(f"UPDATE robots SET permissions = X'{damage.hex()}'")

    with structlog.testing.capture_logs() as lines:
        assert await identity.decisions.on_repository(principal("broken", "robot"), _APP) == NO_STANDING

    assert [line["event"] for line in lines] == ["permissions.unreadable"]
    assert decode_permissions(damage) == ()


async def _project(identity: Identity) -> int:
    number: int = await identity.database.value("SELECT id FROM projects WHERE name = 'team'")
    return number


@pytest.mark.parametrize("damage", _DAMAGE)
def test_a_damaged_robot_keeps_no_project_from_being_deleted(damage: bytes) -> None:
    """What it may nowhere it may not in the project either."""
    assert without_project(damage, "team") is None


@pytest.mark.parametrize("damage", _DAMAGE)
def test_a_damaged_access_token_is_good_for_nothing_and_can_be_listed_i6(damage: bytes) -> None:
    with structlog.testing.capture_logs() as lines:
        limits = limits_of("token", damage)
        shown = decode_scopes("token", damage)

    assert not limits.allow("repository:pull", "team")
    assert not limits.allow("project:list", "")
    assert (shown.permissions, shown.projects) == ((), ())
    assert {(line["event"], line["access_token"]) for line in lines} == {("permissions.unreadable", "token")}
