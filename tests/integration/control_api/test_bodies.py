"""What is no good body for any endpoint, and what a body may leave out or say by null."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from harborapi.models import Robot

from entrepot.control_api.endpoints.robot_bodies import PASSED_OVER
from entrepot.projects.metadata_values import NO_QUOTA
from tests.drivers.metadata.machine_accounts import on_sqlite

if TYPE_CHECKING:
    from tests.integration.control_api.conftest import Registry

pytestmark = on_sqlite


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/sessions"), ("POST", "/projects"), ("POST", "/access-tokens"), ("PUT", "/users/1/password")],
)
@pytest.mark.parametrize("depth", [32, 1000, 32_000])
async def test_a_body_of_many_brackets_is_a_fault_of_the_client_s36(
    registry: Registry, method: str, path: str, depth: int
) -> None:
    """Whether the decoder gives up, which depends on the interpreter, or a look at the levels does."""
    if path == "/sessions":
        depth = min(depth, 8000)  # more is too much of anybody, whatever it says
    async with registry.plain() as client:
        nested = b'{"username":' + b"[" * depth + b"]" * depth + b"}"
        reply = await client.request(method, path, content=nested)

    assert reply.status_code == 400
    assert reply.json() == {
        "errors": [
            {
                "code": "BAD_REQUEST",
                "message": "the body has objects and lists more than 32 levels deep",
            }
        ]
    }


@pytest.mark.parametrize(
    ("asked", "status", "message"),
    [
        ({"storage_limit": 1000}, 422, "storage_limit: can only be -1, since projects have no quota here"),
        ({"storage_limit": -5}, 422, "storage_limit: can only be -1, since projects have no quota here"),
        ({"storage_limit": "x"}, 422, "storage_limit: Expected `int | null`, got `str`"),
        ({"registry_id": 5}, 422, "registry_id: can't be set, since there are no proxy projects here"),
        (
            {"metadata": {"enable_content_trust": "true"}},
            400,
            "metadata 'enable_content_trust' can only be 'false': signatures are not demanded of pulls here",
        ),
        (
            {"metadata": {"auto_scan": "true"}},
            400,
            "metadata 'auto_scan' can only be 'false': images are not scanned here",
        ),
    ],
)
async def test_what_would_not_be_enforced_is_refused_and_changes_nothing(
    registry: Registry, asked: dict[str, object], status: int, message: str
) -> None:
    """Neither when a project is made nor when it is changed."""
    async with registry.plain() as client:
        await client.post("/projects", json={"project_name": "there", "public": False})
        made = await client.post("/projects", json={"project_name": "new", **asked})
        changed = await client.put("/projects/there", json={"public": True, **asked})
        names = [project["name"] for project in (await client.get("/projects")).json()]
        metadata = (await client.get("/projects/there")).json()["metadata"]

    for refused in (made, changed):
        assert refused.status_code == status
        assert refused.json()["errors"][0]["message"] == message
    assert names == ["there"]
    assert metadata == {"public": "false", "repository_creation": "operators"}


async def test_what_stays_as_it_is_may_be_said_as_harbors_clients_say_it(registry: Registry) -> None:
    off = dict.fromkeys(
        ("enable_content_trust", "enable_content_trust_cosign", "prevent_vul", "auto_scan"), "false"
    )
    body = {"project_name": "apps", "storage_limit": -1, "registry_id": None, "metadata": off}
    async with registry.plain() as client:
        made = await client.post("/projects", json=body)
        shown = (await client.get("/projects/apps")).json()["metadata"]

    assert made.status_code == 201
    assert shown == {"public": "false", "repository_creation": "operators", **off}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", "/projects/apps/metadatas", {"public": None}, 400, "metadata 'public' needs a value"),
        ("POST", "/projects/apps/metadatas", {"nosuch": None}, 400, "metadata 'nosuch' is unknown"),
        (
            "PUT",
            "/projects/apps",
            {"metadata": {"storage_limit": "5"}},
            400,
            f"metadata 'storage_limit' is unknown: storage_limit of a project {NO_QUOTA}",
        ),
        (
            "POST",
            "/roles",
            {
                "name": "helpdesk",
                "level": "project",
                "permissions": ["user:list", "member:list", "nosuch:read"],
            },
            400,
            "a role of the level project can't have user:list: these are permissions of the level system",
        ),
        (
            "POST",
            "/roles",
            {"name": "helpdesk", "level": "system", "permissions": ["member:list"]},
            400,
            "a role of the level system can't have member:list: these are permissions of the level project",
        ),
        (
            "PUT",
            "/projects/apps/metadatas/severity",
            {"severity": None},
            400,
            "metadata 'severity' needs a value",
        ),
        ("PUT", "/configurations", {"nosuch": None}, 400, "configuration 'nosuch' is unknown"),
        ("PUT", "/configurations", {"read_only": "true"}, 400, "configuration 'read_only' is true or false"),
        ("PUT", "/configurations", {"read_only": None, "auth_mode": None, "banner_message": "x"}, 200, ""),
        (
            "POST",
            "/projects/apps/members",
            {"role_id": "2", "member_user": {"username": "admin"}},
            422,
            "role_id: Expected `int`, got `str`",
        ),
        (
            "POST",
            "/projects",
            {"project_name": "b", "public": "true"},
            422,
            "public: Expected `bool | null`, got `str`",
        ),
    ],
)
async def test_null_does_nothing_only_where_the_name_is_known(
    registry: Registry, method: str, path: str, body: dict[str, object], status: int, message: str
) -> None:
    async with registry.plain() as client:
        await client.post("/projects", json={"project_name": "apps"})
        reply = await client.request(method, path, json=body)
        shown = (await client.get("/configurations")).json()
        roles = (await client.get("/roles", params={"page_size": 100})).json()

    said = reply.json()["errors"][0]["message"] if reply.content else ""
    assert (reply.status_code, said) == (status, message)
    assert "helpdesk" not in {role["name"] for role in roles}
    assert shown["read_only"]["value"] is False
    assert shown["banner_message"]["value"] == ("x" if status == 200 else "")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/audit-logs?q=username%3D%00", 422),
        ("GET", "/audit-logs?q=username%3D%2500", 400),
        ("GET", "/search?q=%00", 422),
        ("GET", "/projects?name=%00", 422),
        ("HEAD", "/projects?project_name=%00", 422),
        ("GET", "/projects/a%00", 400),
        ("GET", "/roles?project_name_or_id=%00", 422),
        ("POST", "/usergroups", 422),
    ],
)
async def test_a_text_that_postgresql_does_not_hold_is_a_fault_of_the_client(
    registry: Registry, method: str, path: str, status: int
) -> None:
    """On both engines alike: on one it would crash, on the other match what begins so, or everything."""
    async with registry.plain() as client:
        body = {"group_name": "a\0", "group_type": 2} if method == "POST" else None
        assert (await client.request(method, path, json=body)).status_code == status


@pytest.mark.parametrize(
    ("method", "path", "field"),
    [
        ("GET", "/users/search", "username"),
        ("GET", "/usergroups/search", "groupname"),
    ],
)
async def test_a_query_field_that_is_left_out_is_named(
    registry: Registry, method: str, path: str, field: str
) -> None:
    async with registry.plain() as client:
        reply = await client.request(method, path)

    assert reply.status_code == 422
    assert reply.json()["errors"] == [{"code": "UNPROCESSABLE_ENTITY", "message": f"{field}: is required"}]


@pytest.mark.parametrize("field", ["expires_at", "duration"])
async def test_an_end_in_the_words_of_other_apis_makes_no_endless_token_s15(
    registry: Registry, field: str
) -> None:
    async with registry.plain() as client:
        reply = await client.post("/access-tokens", json={"name": "ci", field: 30})
        tokens = await client.get("/access-tokens")

    assert reply.status_code == 422
    assert reply.json()["errors"][0]["message"] == f"{field}: say expires_in_days, a number of days"
    assert tokens.json() == []


async def test_a_misspelt_limit_makes_no_token_without_it_s15(registry: Registry) -> None:
    asked = {"name": "ro", "scopes": ["repository:pull"], "project": "apps", "comment": None}
    async with registry.plain() as client:
        reply = await client.post("/access-tokens", json=asked)
        tokens = await client.get("/access-tokens")

    assert reply.status_code == 422
    known = "name, permissions, projects, expires_in_days, expires_at, duration, password"
    assert reply.json()["errors"][0]["message"] == (
        f"project, scopes: unknown here; what may be set is {known}"
    )
    assert tokens.json() == []


_ENTRY = {"kind": "project", "namespace": "apps", "access": [{"resource": "repository", "action": "pull"}]}


@pytest.mark.parametrize(
    ("method", "more", "message"),
    [
        ("PUT", {"disabled": True}, "disabled: unknown here"),
        ("PUT", {"description": "other", "addresses": ["10.0.0.0/8"]}, "addresses: unknown here"),
        ("PATCH", {"new_secret": "Kt5!zzWq-canary-9"}, "new_secret: unknown here"),
        (
            "PUT",
            {"permissions": [{**_ENTRY, "repository": "app"}]},
            "permissions[0]: Object contains unknown",
        ),
        ("POST", {"addresses": ["10.0.0.0/8"]}, "addresses: unknown here"),
        ("POST", {"expires_in_days": 3}, "expires_in_days: unknown here"),
        (
            "POST",
            {"permissions": [{**_ENTRY, "access": [{**_ENTRY["access"][0], "tag": "v1"}]}]},  # type: ignore[dict-item]  # a list
            "permissions[0].access[0]: Object contains unknown field `tag`",
        ),
    ],
)
async def test_a_field_that_no_robot_has_is_refused_and_changes_nothing(
    registry: Registry, method: str, more: dict[str, object], message: str
) -> None:
    robot = {"name": "ci", "level": "project", "permissions": [_ENTRY]}
    async with registry.plain() as client:
        project = (await client.post("/projects", json={"project_name": "apps"})).headers["location"]
        number = (await client.post("/robots", json=robot)).json()["id"]
        listing = {"q": f"Level=project,ProjectID={project.rpartition('/')[2]}"}
        before = (await client.get("/robots", params=listing)).json()
        stored = await registry.database.fetch("SELECT * FROM robots")
        if method == "POST":
            reply = await client.post("/robots", json={**robot, "name": "other", **more})
        else:
            reply = await client.request(method, f"/robots/{number}", json=more)
        after = (await client.get("/robots", params=listing)).json()

    assert reply.status_code == 422
    assert reply.json()["errors"][0]["message"].startswith(message)
    assert after == before
    assert await registry.database.fetch("SELECT * FROM robots") == stored


async def test_a_robot_of_a_project_takes_one_entry_and_that_of_a_project(registry: Registry) -> None:
    """Else what stands there as a place would be looked for as a project."""
    entry = {**_ENTRY, "kind": "system", "namespace": "/"}
    async with registry.plain() as client:
        await client.post("/projects", json={"project_name": "apps"})
        for entries in ([entry], [], [_ENTRY, _ENTRY]):
            reply = await client.post(
                "/robots", json={"name": "ci", "level": "project", "permissions": entries}
            )
            assert (reply.status_code, reply.json()["errors"][0]["message"]) == (
                422,
                "level: is system, or project with exactly one entry of permissions, of the kind project",
            )


async def test_a_robot_is_sent_back_as_it_was_read_and_as_harbors_model_has_it(registry: Registry) -> None:
    robot = {"name": "ci", "level": "project", "permissions": [_ENTRY]}
    async with registry.plain() as client:
        await client.post("/projects", json={"project_name": "apps"})
        made = (await client.post("/robots", json=robot)).json()
        read = (await client.get(f"/robots/{made['id']}")).json()
        sent = {**read, "secret": "Kt5!zzWq-canary-9", "description": "builds", "creator_ref": 99}
        reply = await client.put(f"/robots/{made['id']}", json=sent)
        again = (await client.get(f"/robots/{made['id']}")).json()

    assert reply.status_code == 200
    assert {**again, "update_time": ""} == {**read, "description": "builds", "update_time": ""}
    model = {"id", "name", "description", "secret", "level", "duration", "editable", "disable", "expires_at"}
    model |= {"permissions", "creator_type", "creator_ref", "creation_time", "update_time"}
    assert {*Robot.model_fields} == model <= PASSED_OVER


async def test_a_token_for_no_project_and_for_a_hidden_one_are_refused_alike_s19(registry: Registry) -> None:
    password = "Bq7#mxLp-canary-1"
    async with registry.plain() as admin:
        await admin.post("/projects", json={"project_name": "hidden"})
        await admin.post("/projects", json={"project_name": "open", "public": True})
        await admin.post("/users", json={"username": "ann", "password": password})
        own = await admin.post("/access-tokens", json={"name": "ci", "projects": ["hidden"]})
    async with registry.plain("ann", password) as ann:
        refused = [
            await ann.post("/access-tokens", json={"name": "ci", "projects": [name]})
            for name in ("hidden", "missing")
        ]
        public = await ann.post("/access-tokens", json={"name": "ci", "projects": ["open"]})

    assert (own.status_code, public.status_code) == (201, 201)
    assert [reply.status_code for reply in refused] == [422, 422]
    texts = [reply.json()["errors"][0]["message"] for reply in refused]
    assert texts == [
        f"projects: there is no project {name}, or you may do nothing in it" for name in ("hidden", "missing")
    ]


@pytest.mark.parametrize("kind", [1, 3])
async def test_groups_of_what_is_not_there_are_refused(registry: Registry, kind: int) -> None:
    """Harbor has them of LDAP and of OIDC."""
    async with registry.plain() as client:
        reply = await client.post("/usergroups", json={"group_name": "staff", "group_type": kind})
        groups = await client.get("/usergroups")

    assert reply.status_code == 422
    assert "no LDAP (1) and no OIDC (3)" in reply.json()["errors"][0]["message"]
    assert groups.json() == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "project_name: is required"),
        ({"project_name": "", "public": True}, "project_name: is required"),
        (
            {"project_name": "team", "metadata": {"public": True}},
            "metadata['public']: Expected `str | null`, got `bool`",
        ),
    ],
)
async def test_what_is_wrong_with_a_new_project_is_called_by_its_name(
    registry: Registry, body: dict[str, Any], said: str
) -> None:
    async with registry.plain() as client:
        refused = await client.post("/projects", json=body)
        listed = await client.get("/projects")

    assert refused.status_code == 422
    assert refused.json()["errors"] == [{"code": "UNPROCESSABLE_ENTITY", "message": said}]
    assert listed.json() == []
