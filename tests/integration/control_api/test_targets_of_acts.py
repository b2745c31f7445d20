"""Refused and failed acts against somebody or something are found under its name, as those that succeed (I11)."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.projects.audit_targets import AuditTargets
from tests.drivers.metadata.machine_accounts import on_sqlite
from tests.integration.control_api.building import ADMIN_PASSWORD
from tests.integration.control_api.cast import ADMIN, PASSWORD

if TYPE_CHECKING:
    import pytest

    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.metadata.store import Metadata
    from tests.integration.control_api.cast import Cast

pytestmark = on_sqlite

_NEW: Final = "Nv4#tundra-Bolt"
_BOT: Final = {
    "name": "ops",
    "duration": 1,
    "permissions": [{"kind": "system", "namespace": "/", "access": [{"resource": "user", "action": "list"}]}],
}


def _about(record: NewAuditRecord) -> tuple[str, str, str]:
    return record.action, record.object_kind, record.object_name


async def test_refused_acts_name_the_person_group_role_or_robot_i11(cast: Cast) -> None:
    """A helpdesk account goes for the administrator; who holds nothing goes for everything."""
    await cast.person("hd", "user:update", "user:delete", "user-group:update", "role-assignment:delete")
    await cast.person("bob")
    leads = await cast.made("/usergroups", {"group_name": "leads"})
    await cast.made("/role-assignments", {"subject_id": leads, "role": "operations-admin"})
    viewer = await cast.made("/roles", {"name": "viewer", "level": "system", "permissions": ["user:list"]})
    async with cast.registry.plain() as admin:
        assignments = (await admin.get("/role-assignments")).json()
        robot = (await admin.post("/robots", json=_BOT)).json()["id"]
    given = next(one["id"] for one in assignments if one["role"] == "operations-admin")
    steps: list[tuple[str, str, str, Any, tuple[str, str]]] = [
        ("hd", "PUT", f"/users/{ADMIN}/sysadmin", {"sysadmin_flag": False}, ("user", "admin")),
        ("hd", "PUT", f"/users/{ADMIN}/password", {"new_password": _NEW}, ("user", "admin")),
        ("hd", "PUT", f"/users/{ADMIN}/disabled", {"disabled": True}, ("user", "admin")),
        ("hd", "DELETE", f"/users/{ADMIN}", None, ("user", "admin")),
        ("hd", "PUT", f"/usergroups/{leads}/members", {"user_ids": [1]}, ("group", "leads")),
        ("hd", "DELETE", f"/usergroups/{leads}/members/1", None, ("group", "leads")),
        ("hd", "DELETE", f"/role-assignments/{given}", None, ("role", "operations-admin")),
        ("bob", "DELETE", f"/roles/{viewer}", None, ("role", "viewer")),
        ("bob", "DELETE", "/roles/7", None, ("role", "operations-admin")),
        ("bob", "DELETE", f"/robots/{robot}", None, ("robot", "robot$ops")),
        ("bob", "GET", f"/users/{ADMIN}/access-tokens", None, ("user", "admin")),
        ("bob", "PUT", "/users/999/password", {"new_password": _NEW}, ("endpoint", "api.user.set-password")),
        ("bob", "DELETE", "/roles/99999", None, ("endpoint", "api.role.delete")),
        ("bob", "DELETE", "/usergroups/999", None, ("endpoint", "api.group.delete")),
    ]

    for name, method, path, body, about in steps:
        begun = len(cast.registry.notes.records)
        reply = await cast.ask(name, method, path, body)
        assert reply.status_code == 403, (path, reply.text)
        (record,) = cast.registry.notes.records[begun:]
        assert _about(record) == ("access.denied", *about), path
        assert json.loads(record.body)["object"]["name"] == about[1]
    async with cast.registry.plain() as admin:
        for path in (f"/robots/{robot}.0", f"/robots/{robot}e0", f"/users/{ADMIN}.0"):
            refused = await admin.delete(path)
            assert (refused.status_code, "digits only" in refused.text) == (422, True), path


async def test_failed_acts_name_whom_they_were_meant_for_i11(cast: Cast) -> None:
    """With the act as it would have been called: what is taken is no gift, and a reset no change of one's own."""
    bob = await cast.person("bob")
    await cast.made("/usergroups", {"group_name": "leads"})
    leads = await cast.made("/usergroups", {"group_name": "others"})
    begun = len(cast.registry.notes.records)
    steps: list[tuple[str, str, Any]] = [
        ("PUT", f"/users/{bob}/password", {"new_password": "weak"}),
        ("PUT", "/users/999/password", {"new_password": _NEW}),
        ("PUT", f"/users/{ADMIN}/password", {"old_password": ADMIN_PASSWORD, "new_password": "weak"}),
        ("PUT", f"/users/{ADMIN}/sysadmin", {"sysadmin_flag": False}),
        ("PUT", "/users/999/sysadmin", {"sysadmin_flag": True}),
        ("PUT", "/users/999/sysadmin", {"sysadmin_flag": False}),
        ("PUT", f"/usergroups/{leads}", {"group_name": "leads"}),
        ("POST", f"/usergroups/{leads}/members", {"user_id": 999}),
    ]
    async with cast.registry.plain() as admin:
        statuses = [
            (await admin.request(method, path, json=body)).status_code for method, path, body in steps
        ]

    assert statuses == [400, 404, 400, 412, 404, 404, 409, 404]
    noted = cast.registry.notes.records[begun:]
    assert [_about(record) for record in noted] == [
        ("user.password.reset", "user", "bob"),
        ("user.password.reset", "endpoint", "api.user.set-password"),
        ("user.password.change", "user", ""),
        ("role.revoke", "user", ""),
        ("role.assign", "endpoint", "api.user.set-administrator"),
        ("role.revoke", "endpoint", "api.user.set-administrator"),
        ("group.update", "group", "others"),
        ("group.update", "group", "others"),
    ]
    assert not any('"weak' in record.body.decode() for record in noted)


async def test_what_somebody_was_refused_to_do_to_themselves_names_them_once(cast: Cast) -> None:
    """As who acted, which can be erased, and not as the object, which can't."""
    bob = await cast.person("bob")
    await cast.member("team", 2, member_user={"username": "bob"})
    async with cast.registry.plain() as admin:
        members = (await admin.get("/projects/team/members")).json()
    member = next(one["id"] for one in members if one["entity_name"] == "bob")
    begun = len(cast.registry.notes.records)
    await cast.ask("bob", "DELETE", f"/users/{bob}")
    await cast.ask("bob", "DELETE", f"/projects/team/members/{member}")

    noted = cast.registry.notes.records[begun:]
    assert [_about(record) for record in noted] == [
        ("access.denied", "user", ""),
        ("access.denied", "member", ""),
    ]
    assert not any("bob" in record.body.decode() for record in noted)


async def test_an_act_is_on_record_where_nobody_can_tell_its_target_i11(
    cast: Cast, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database fails, or does not answer in time."""

    async def fails(_: object, number: int) -> Any:
        raise MetadataUnavailableError("gone")

    async def hangs(_: object, number: int) -> Any:
        await asyncio.sleep(60)

    targets = AuditTargets(metadata)
    assert await targets.numbered("user", ADMIN) is not None
    for reader in (fails, hangs):
        monkeypatch.setattr(type(metadata.users), "find", reader)
        assert await targets.numbered("user", ADMIN) is None
    await cast.person("bob")
    async with cast.registry.plain("bob", PASSWORD) as bob:
        refused = await bob.delete(f"/users/{ADMIN}")

    assert refused.status_code == 403
    assert _about(cast.registry.notes.records[-1]) == ("access.denied", "endpoint", "api.user.delete")
