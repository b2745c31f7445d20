"""What Harbor does not have: repositories made empty, roles, access tokens, members of groups, switches of accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from harborapi.exceptions import NotFound
from harborapi.models import ProjectMember, ProjectReq, Repository, UserCreationReq, UserEntity, UserGroup

from tests.drivers.metadata.machine_accounts import on_sqlite

if TYPE_CHECKING:
    from tests.integration.control_api.conftest import Registry

pytestmark = [
    on_sqlite,
    pytest.mark.filterwarnings("ignore:Accessing the .model_fields.:DeprecationWarning"),
]

_PASSWORD = "Bq7#mxLp-canary-1"


async def _person(registry: Registry, name: str) -> int:
    address = await registry.client().create_user(UserCreationReq(username=name, password=_PASSWORD))
    return int(address.rpartition("/")[2])


async def _status(registry: Registry, name: str, method: str, path: str, body: Any = None) -> int:
    async with registry.plain(name, _PASSWORD) as client:
        return (await client.request(method, path, json=body)).status_code


async def test_a_repository_with_slashes_is_made_shown_described_and_deleted(registry: Registry) -> None:
    admin = registry.client()
    await admin.create_project(ProjectReq(project_name="apps"))
    async with registry.plain() as client:
        made = await client.post("/projects/apps/repositories", json={"name": "team/api"})
        again = await client.post("/projects/apps/repositories", json={"name": "team/api"})

    assert (made.status_code, again.status_code) == (201, 409)
    assert made.headers["location"] == "/api/v2.0/projects/apps/repositories/team%252Fapi"
    await admin.update_repository("apps", "team/api", Repository(description="The API."))
    shown = await admin.get_repository("apps", "team/api")
    assert (shown.name, shown.description, shown.artifact_count) == ("apps/team/api", "The API.", 0)
    assert [one.name for one in await admin.get_repositories("apps", "name=~api")] == ["apps/team/api"]
    assert [one.name for one in await admin.get_repositories()] == ["apps/team/api"]
    await admin.delete_repository("apps", "team/api")
    with pytest.raises(NotFound):
        await admin.get_repository("apps", "team/api")
    assert {"repository.create", "repository.update", "repository.delete"} <= set(await registry.records())


async def test_the_repositories_of_all_projects_are_those_one_sees_s19(registry: Registry) -> None:
    admin = registry.client()
    for name, public in (("open", True), ("closed", False)):
        await admin.create_project(ProjectReq(project_name=name, public=public))
        async with registry.plain() as client:
            await client.post(f"/projects/{name}/repositories", json={"name": "app"})
    await _person(registry, "alice")

    alice = registry.client("alice", _PASSWORD)
    assert [one.name for one in await alice.get_repositories()] == ["open/app"]
    await admin.add_project_member(
        "closed", ProjectMember(role_id=3, member_user=UserEntity(username="alice"))
    )
    assert [one.name for one in await alice.get_repositories(sort="-name")] == ["open/app", "closed/app"]


async def test_what_there_is_is_counted_and_found_as_far_as_one_sees_it_s19(registry: Registry) -> None:
    admin = registry.client()
    for name, public in (("open", True), ("closed", False)):
        await admin.create_project(ProjectReq(project_name=name, public=public))
        async with registry.plain() as client:
            await client.post(f"/projects/{name}/repositories", json={"name": "app"})
    await _person(registry, "alice")

    counted: dict[str, tuple[int | None, ...]] = {}
    for name, person in (("admin", admin), ("alice", registry.client("alice", _PASSWORD))):
        all_of_it = await person.get_statistics()
        counted[name] = (
            *(all_of_it.private_project_count, all_of_it.public_project_count, all_of_it.total_project_count),
            *(all_of_it.private_repo_count, all_of_it.public_repo_count, all_of_it.total_repo_count),
        )
    assert counted["admin"] == (1, 1, 2, 1, 1, 2)
    assert counted["alice"] == (0, 1, 1, 0, 1, 1)

    body = {"name": "narrow", "projects": ["closed"]}
    async with registry.plain() as client:
        token = (await client.post("/access-tokens", json=body)).json()["secret"]
    narrow = await registry.client("admin", token).get_statistics()
    assert (narrow.private_repo_count, narrow.public_repo_count, narrow.total_repo_count) == (1, 0, 1)

    found = await registry.client("alice", _PASSWORD).search("o")
    assert [project.name for project in found.project or ()] == ["open"]
    assert [one.repository_name for one in found.repository or ()] == ["open/app"]
    assert [one.repository_name for one in (await admin.search("app")).repository or ()] == [
        "closed/app",
        "open/app",
    ]


async def test_acts_are_listed_in_the_newer_form_of_harbor(registry: Registry) -> None:
    await registry.client().create_project(ProjectReq(project_name="apps"))
    await _person(registry, "alice")
    async with registry.plain() as client:
        (act,) = (await client.get("/auditlog-exts", params={"q": "operation=project.create"})).json()
        (same,) = (await client.get("/projects/apps/auditlog-exts")).json()
    assert act == same
    assert (act["username"], act["resource"], act["operation_description"], act["operation_result"]) == (
        "admin",
        "apps",
        "project.create apps",
        True,
    )
    assert await _status(registry, "alice", "GET", "/auditlog-exts") == 403


async def test_whoever_has_an_account_sees_what_an_act_can_be(registry: Registry) -> None:
    """Each name is one that the listing can be asked for, and that an entry has."""
    await _person(registry, "alice")
    async with registry.plain("alice", _PASSWORD) as client:
        events = (await client.get("/auditlog-exts/events")).json()
    names = [event["event_type"] for event in events]
    assert {"manifest.push", "session.login", "user.create", "member.delete"} <= set(names)
    assert len(set(names)) == len(names) == 65
    async with registry.plain() as client:
        for name in ("user.create", "access.denied"):
            listed = await client.get("/auditlog-exts", params={"q": f"operation={name}"})
            assert {entry["operation"] for entry in listed.json()} <= {name}
    assert set(await registry.records()) <= set(names)


async def test_an_administrator_sees_and_ends_the_sessions_of_everybody_s14(registry: Registry) -> None:
    address = ""
    for name in ("alice", "bob"):
        await _person(registry, name)
        body = {"username": name, "password": _PASSWORD}
        async with registry.plain(name, _PASSWORD) as client:
            address = (await client.post("/sessions", json=body)).headers["location"]
    of_bob = f"/sessions/{address.rpartition('/')[2]}"

    assert await _status(registry, "alice", "GET", "/sessions?all=true") == 403
    assert await _status(registry, "alice", "DELETE", of_bob) == 404
    async with registry.plain() as client:
        shown = await client.get("/sessions", params={"all": "true", "page_size": 1, "page": 2})
        assert ([one["username"] for one in shown.json()], shown.headers["x-total-count"]) == (["bob"], "2")
        assert (await client.get("/sessions")).json() == []
        assert (await client.delete(of_bob)).status_code == 200
        assert (await client.delete(of_bob)).status_code == 404
        left = (await client.get("/sessions", params={"all": "true"})).json()
    assert [one["username"] for one in left] == ["alice"]
    assert "session.revoke" in await registry.records()


async def test_a_session_that_an_auditor_sees_is_forbidden_and_no_other_exists_s7(registry: Registry) -> None:
    await _person(registry, "bob")
    carol = await _person(registry, "carol")
    async with registry.plain("bob", _PASSWORD) as client:
        begun = await client.post("/sessions", json={"username": "bob", "password": _PASSWORD})
    of_bob = f"/sessions/{begun.headers['location'].rpartition('/')[2]}"
    before = await _status(registry, "carol", "DELETE", of_bob)
    async with registry.plain() as client:
        await client.post("/role-assignments", json={"subject_id": carol, "role": "auditor"})

    assert await _status(registry, "carol", "GET", "/sessions?all=true") == 200
    assert (before, await _status(registry, "carol", "DELETE", of_bob)) == (404, 403)
    assert await _status(registry, "carol", "DELETE", "/sessions/none") == 404


async def test_a_role_is_made_given_on_the_system_used_and_taken(registry: Registry) -> None:
    alice = await _person(registry, "alice")
    async with registry.plain() as client:
        asked = {"name": "registrar", "level": "system", "permissions": ["user:list"]}
        made = await client.post("/roles", json=asked)
        role = made.headers["location"].rpartition("/")[2]
        given = await client.post("/role-assignments", json={"subject_id": alice, "role": "registrar"})
        listed = (await client.get("/role-assignments")).json()
        in_use = await client.delete(f"/roles/{role}")

        assert (made.status_code, given.status_code, in_use.status_code) == (201, 201, 412)
        assert [(one["subject_name"], one["role"]) for one in listed] == [
            ("admin", "operations-admin"),
            ("alice", "registrar"),
        ]
        assert await _status(registry, "alice", "GET", "/users") == 200
        assert await _status(registry, "alice", "GET", "/roles") == 403

        changed = await client.put(f"/roles/{role}", json={"permissions": ["role:list"]})
        assert changed.status_code == 200
        assert await _status(registry, "alice", "GET", "/users") == 403
        assert await _status(registry, "alice", "GET", "/roles") == 200

        number = given.headers["location"].rpartition("/")[2]
        assert (await client.delete(f"/role-assignments/{number}")).status_code == 200
        assert (await client.delete(f"/roles/{role}")).status_code == 200
    assert await _status(registry, "alice", "GET", "/roles") == 403


async def test_roles_are_listed_with_what_they_permit(registry: Registry) -> None:
    async with registry.plain() as client:
        roles = (await client.get("/roles")).json()
        auditor = (await client.get("/roles/6")).json()

        assert [(role["id"], role["name"], role["role_name"]) for role in roles] == [
            (1, "project-admin", "projectAdmin"),
            (2, "developer", "developer"),
            (3, "guest", "guest"),
            (4, "team-lead", "maintainer"),
            (5, "limited-guest", "limitedGuest"),
            (6, "auditor", "auditor"),
            (7, "operations-admin", "operationsAdmin"),
        ]
        assert all(role["builtin"] for role in roles)
        assert "repository:pull" not in auditor["permissions"]["project"]
        assert "audit-log:list" in auditor["permissions"]["system"]
        assert (await client.delete("/roles/6")).status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"role": "auditor", "role_id": 6}, 422),
        ({}, 422),
        ({"role_id": 999}, 404),
        ({"role": "nobody"}, 404),
        ({"role_id": 6}, 201),
    ],
)
async def test_a_role_is_named_by_name_or_by_number(
    registry: Registry, body: dict[str, Any], status: int
) -> None:
    alice = await _person(registry, "alice")
    async with registry.plain() as client:
        reply = await client.post("/role-assignments", json={"subject_id": alice, **body})

    assert reply.status_code == status


async def test_an_access_token_is_made_used_within_its_limits_and_removed_s15(registry: Registry) -> None:
    await registry.client().create_project(ProjectReq(project_name="apps"))
    async with registry.plain() as client:
        asked = {"name": "ci", "permissions": ["project:read"], "projects": ["apps"], "expires_in_days": 7}
        made = await client.post("/access-tokens", json=asked)
        token = made.json()
        again = await client.post("/access-tokens", json=asked)
        (listed,) = (await client.get("/access-tokens")).json()

    assert (made.status_code, again.status_code) == (201, 409)
    assert token["secret"].startswith("ept_")
    assert (token["permissions"], token["projects"]) == (["project:read"], ["apps"])
    assert made.headers["location"] == f"/api/v2.0/access-tokens/{token['id']}"
    assert (listed["id"], listed["permissions"], listed["projects"]) == (
        token["id"],
        ["project:read"],
        ["apps"],
    )
    assert "secret" not in listed
    assert listed["expires_at"] == token["expires_at"]

    async with registry.plain("admin", token["secret"]) as limited:
        assert (await limited.get("/projects/apps")).status_code == 200
        assert (await limited.get("/projects/apps/members")).status_code == 403
        assert (await limited.get("/users")).status_code == 403
        assert (await limited.post("/access-tokens", json={"name": "wider"})).status_code == 403
        async with registry.plain() as client:
            assert (await client.delete(f"/access-tokens/{token['id']}")).status_code == 200
        assert (await limited.get("/projects/apps")).status_code == 401


async def test_an_administrator_sees_and_removes_the_tokens_of_others(registry: Registry) -> None:
    alice, bob = await _person(registry, "alice"), await _person(registry, "bob")
    async with registry.plain("alice", _PASSWORD) as client:
        token = (await client.post("/access-tokens", json={"name": "ci"})).json()
    async with registry.plain() as client:
        (listed,) = (await client.get(f"/users/{alice}/access-tokens")).json()
        assert (listed["id"], listed["name"]) == (token["id"], "ci")
        assert (await client.delete(f"/users/{bob}/access-tokens/{token['id']}")).status_code == 404
        assert (await client.delete(f"/users/{alice}/access-tokens/{token['id']}")).status_code == 200

    async with registry.plain("alice", token["secret"]) as client:
        assert (await client.get("/users/current")).status_code == 401


async def test_people_join_and_leave_groups(registry: Registry) -> None:
    alice, bob = await _person(registry, "alice"), await _person(registry, "bob")
    admin = registry.client()
    address = await admin.create_usergroup(UserGroup(group_name="staff", group_type=2))
    members = f"/usergroups/{address.rpartition('/')[2]}/members"
    async with registry.plain() as client:
        added = await client.post(members, json={"user_id": alice})
        assert (added.status_code, added.headers["location"]) == (201, f"/api/v2.0{members}/{alice}")
        assert (await client.get(members)).json() == [{"user_id": alice, "username": "alice"}]

        assert (await client.put(members, json={"user_ids": [bob]})).status_code == 200
        shown = await client.get(members)
        assert (shown.json(), shown.headers["x-total-count"]) == ([{"user_id": bob, "username": "bob"}], "1")

        assert (await client.delete(f"{members}/{alice}")).status_code == 404
        assert (await client.delete(f"{members}/{bob}")).status_code == 200
        assert (await client.get(members)).json() == []
        assert (await client.get("/usergroups/999/members")).status_code == 404


async def test_a_disabled_person_is_out_at_once_and_in_again_s14(registry: Registry) -> None:
    alice = await _person(registry, "alice")
    assert await _status(registry, "alice", "GET", "/users/current") == 200
    async with registry.plain() as client:
        assert (await client.put(f"/users/{alice}/disabled", json={"disabled": True})).status_code == 200
        assert (await client.get(f"/users/{alice}")).json()["disabled"] is True
        assert await _status(registry, "alice", "GET", "/users/current") == 401

        assert (await client.put(f"/users/{alice}/disabled", json={"disabled": False})).status_code == 200
    assert await _status(registry, "alice", "GET", "/users/current") == 200


async def test_an_administrator_unlocks_an_account_s14(registry: Registry) -> None:
    alice = await _person(registry, "alice")
    async with registry.plain("alice", "wrong-Secret-17") as client:
        tries = [(await client.get("/users/current")).status_code for _ in range(8)]
    assert tries[-1] == 429
    async with registry.plain() as client:
        for addresses in (1, 0):
            reply = await client.post(f"/users/{alice}/unlock")
            assert (reply.status_code, reply.json()) == (200, {"addresses": addresses})
    assert await _status(registry, "alice", "GET", "/users/current") == 200


async def test_a_taken_name_of_a_role_is_a_conflict(registry: Registry) -> None:
    asked = {"name": "puller", "permissions": ["repository:pull"]}
    async with registry.plain() as client:
        statuses = [(await client.post("/roles", json=asked)).status_code for _ in range(2)]
        unknown = await client.post("/roles", json={"name": "odd", "permissions": ["repository:fly"]})

    assert statuses == [201, 409]
    assert unknown.status_code == 400


async def test_a_due_password_opens_its_own_change_and_nothing_else_s17(registry: Registry) -> None:
    """Every refusal says what to do; a browser gets through its form with the token of its session (S22)."""
    number, chosen = await _person(registry, "alice"), "Wd9!ttRk-canary-2"
    own = f"/users/{number}"
    async with registry.plain() as admin:
        assert (
            await admin.put(f"{own}/password", json={"new_password": "Given+4-once-7"})
        ).status_code == 200

    closed = (
        ("GET", "/users/current/permissions", None),
        ("GET", own, None),
        ("PUT", own, {"comment": "seen"}),
        ("GET", "/users/search?username=a", None),
        ("GET", "/usergroups/search?groupname=a", None),
        ("GET", "/sessions", None),
        ("DELETE", "/sessions/none", None),
        ("GET", "/access-tokens", None),
        ("POST", "/access-tokens", {"name": "new"}),
        ("GET", "/projects", None),
        ("POST", "/projects", {"project_name": "new"}),
        ("HEAD", "/projects?project_name=new", None),
        ("GET", "/repositories", None),
        ("GET", "/search?q=a", None),
        ("GET", "/statistics", None),
    )
    async with registry.plain("alice", "Given+4-once-7") as alice:
        for method, path, body in closed:
            refused = await alice.request(method, path, json=body)
            assert (refused.status_code, path) == (403, path)
            if method != "HEAD":
                (error,) = refused.json()["errors"]
                assert error["message"].startswith(
                    "the password has to be changed first: `entrepot user password`"
                )
        assert (await alice.get("/users/current")).json()["user_id"] == number
        assert (await alice.get("/systeminfo")).status_code == 200
        begun = await alice.post("/sessions", json={"username": "alice", "password": "Given+4-once-7"})
    async with registry.plain() as browser:
        browser.auth = httpx.Auth()
        cookie = {"Cookie": begun.headers["set-cookie"].partition(";")[0]}
        shown = await browser.get("/users/current", headers=cookie)
        token = {"X-Harbor-CSRF-Token": shown.headers["x-harbor-csrf-token"]}
        body = {"old_password": "Given+4-once-7", "new_password": chosen}
        done = await browser.put(f"{own}/password", json=body, headers=cookie | token)
        assert (shown.status_code, done.status_code) == (200, 200)
    async with registry.plain("alice", chosen) as alice:
        assert (await alice.get("/sessions")).status_code == 200
