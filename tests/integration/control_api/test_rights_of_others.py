"""Nobody brings about rights that they do not hold, by whatever way: passwords, groups, switches, settings (S9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.drivers.metadata.machine_accounts import on_sqlite
from tests.integration.control_api.cast import ADMIN, PASSWORD, reason

if TYPE_CHECKING:
    import httpx

    from tests.integration.control_api.cast import Cast

pytestmark = on_sqlite

_ANOTHER: Final = "Nv4#tundra-Bolt"
_LACKING: Final = "they hold rights, on the system or in a project, that you do not"


async def test_who_may_only_update_users_takes_no_administrator_over_s9(cast: Cast) -> None:
    """The report's own steps: reset the administrator's password, disable or delete them, become one."""
    own = await cast.person("hd", "user:update", "user:delete", "user:read")
    other = await cast.person("other")
    steps: list[tuple[str, str, Any]] = [
        ("PUT", f"/users/{ADMIN}/password", {"new_password": _ANOTHER}),
        ("PUT", f"/users/{ADMIN}/disabled", {"disabled": True}),
        ("PUT", f"/users/{ADMIN}/disabled", {"disabled": False}),
        ("DELETE", f"/users/{ADMIN}", None),
        ("PUT", f"/users/{own}/sysadmin", {"sysadmin_flag": True}),
        ("PUT", f"/users/{other}/sysadmin", {"sysadmin_flag": True}),
        ("PUT", f"/users/{ADMIN}/sysadmin", {"sysadmin_flag": False}),
    ]

    replies = [await cast.ask("hd", *step) for step in steps]

    assert [reply.status_code for reply in replies] == [403] * 7
    assert reason(replies[0]).startswith(
        f"{_LACKING}, and this would give, take or use them: audit-log:export,"
    )
    assert reason(replies[4]).startswith(
        "nobody gives or takes what they do not hold themselves everywhere: "
    )
    assert (await cast.ask("hd", "GET", "/roles")).status_code == 403
    async with cast.registry.plain() as admin:
        assert (await admin.get("/users/current")).json()["sysadmin_flag"] is True


async def test_who_may_update_users_helps_those_who_hold_no_more_s9(cast: Cast) -> None:
    """A helpdesk remains one."""
    await cast.person("hd", "user:update", "user:delete")
    plain, equal = await cast.person("plain"), await cast.person("equal", "user:update")
    steps: list[tuple[str, str, Any]] = [
        ("PUT", f"/users/{plain}/password", {"new_password": _ANOTHER}),
        ("PUT", f"/users/{plain}/disabled", {"disabled": True}),
        ("PUT", f"/users/{plain}/disabled", {"disabled": False}),
        ("PUT", f"/users/{equal}/password", {"new_password": _ANOTHER}),
        ("DELETE", f"/users/{equal}", None),
        ("PUT", "/users/99/password", {"new_password": _ANOTHER}),
    ]

    assert [(await cast.ask("hd", *step)).status_code for step in steps] == [200] * 5 + [404]


async def test_a_helpdesk_changes_nothing_of_an_account_that_holds_more_s9(cast: Cast) -> None:
    """Unlocking gives nobody a right, but lets whoever guesses at the password go on."""
    await cast.person("hd", "user:update", "user:read", "user-group:update", "session:delete")
    member, plain = await cast.person("member"), await cast.person("plain")
    group = await cast.made("/usergroups", {"group_name": "crew"})
    await cast.member("closed", 2, member_user={"username": "member"})
    await cast.member("other", 2, member_group={"id": group})
    others = await cast.made("/usergroups", {"group_name": "others"})

    async def steps(person: int, name: str, of: int) -> list[tuple[str, str, Any]]:
        login = {"username": name, "password": PASSWORD}
        session = (await cast.ask(name, "POST", "/sessions", login)).headers["location"].rpartition("/")[2]
        token = (await cast.ask(name, "POST", "/access-tokens", {"name": "mine"})).json()["id"]
        return [
            ("PUT", f"/users/{person}", {"email": "taken@example.org"}),
            ("POST", f"/users/{person}/unlock", None),
            ("DELETE", f"/sessions/{session}", None),
            ("DELETE", f"/users/{person}/access-tokens/{token}", None),
            ("PUT", f"/usergroups/{of}", {"group_name": f"renamed {of}"}),
        ]

    refused = [await cast.ask("hd", *step) for step in await steps(member, "member", group)]
    passed = [(await cast.ask("hd", *step)).status_code for step in await steps(plain, "plain", others)]

    assert [reply.status_code for reply in refused] == [403] * 5
    assert {reason(reply).startswith(_LACKING) for reply in refused} == {True}
    assert passed == [200] * 5
    assert (
        await cast.ask("member", "PUT", f"/users/{member}", {"email": "own@example.org"})
    ).status_code == 200
    database = cast.registry.database
    assert await database.value(f"SELECT email FROM users WHERE subject_id = {member}") == "own@example.org"
    assert [await database.count(table) for table in ("access_tokens", "web_sessions")] == [1, 1]


async def test_a_password_is_not_reset_by_who_lacks_what_it_opens_in_a_project_s9(cast: Cast) -> None:
    """By a role of their own there or by a group's, and while they are kept out or their password is due."""
    await cast.person("hd", "user:update")
    member, grouped = await cast.person("member"), await cast.person("grouped")
    group = await cast.made("/usergroups", {"group_name": "crew"})
    await cast.made(f"/usergroups/{group}/members", {"user_id": grouped})
    await cast.member("closed", 2, member_user={"username": "member"})
    await cast.member("other", 2, member_group={"id": group})
    async with cast.registry.plain() as admin:
        await admin.put(f"/users/{member}/disabled", json={"disabled": True})
        await admin.put(f"/users/{grouped}/password", json={"new_password": _ANOTHER})

    async def reset(person: int) -> httpx.Response:
        return await cast.ask("hd", "PUT", f"/users/{person}/password", {"new_password": PASSWORD + "x"})

    refused = [await reset(member), await reset(grouped)]
    let_in = await cast.ask("hd", "PUT", f"/users/{member}/disabled", {"disabled": False})
    await cast.member("closed", 1, member_user={"username": "hd"})
    among_equals = await reset(member)

    assert [reply.status_code for reply in (*refused, let_in)] == [403, 403, 403]
    assert "closed" not in refused[0].text
    assert reason(refused[0]) == (
        f"{_LACKING}, and this would give, take or use them: accessory:list, artifact-label:create, "
        "artifact-label:delete, artifact:create, artifact:list and 16 more; ask an operations administrator"
    )
    assert among_equals.status_code == 200


async def test_a_robot_that_updates_users_takes_nobody_over_s9(cast: Cast) -> None:
    """Though an administrator answers for it."""
    plain = await cast.person("plain")
    entry = {"kind": "system", "namespace": "/", "access": [{"resource": "user", "action": "update"}]}
    body = {"name": "bot", "level": "system", "duration": -1, "disable": False, "permissions": [entry]}
    async with cast.registry.plain() as admin:
        robot = (await admin.post("/robots", json=body)).json()

    async with cast.registry.plain(robot["name"], robot["secret"]) as bot:
        statuses = [
            (await bot.put(path, json=asked)).status_code
            for path, asked in (
                (f"/users/{plain}/sysadmin", {"sysadmin_flag": True}),
                (f"/users/{ADMIN}/password", {"new_password": _ANOTHER}),
                (f"/users/{ADMIN}/disabled", {"disabled": True}),
                (f"/users/{plain}/password", {"new_password": _ANOTHER}),
            )
        ]

    assert statuses == [403, 403, 403, 200]


async def test_an_administrators_token_for_users_alone_makes_no_administrators_s15(cast: Cast) -> None:
    plain, group = await cast.person("plain"), await cast.made("/usergroups", {"group_name": "ops"})
    await cast.made("/role-assignments", {"subject_id": group, "role": "operations-admin"})
    async with cast.registry.plain() as admin:
        asked = {"name": "hd", "permissions": ["user:update", "user-group:update", "role-assignment:delete"]}
        token = (await admin.post("/access-tokens", json=asked)).json()["secret"]

    async with cast.registry.plain("admin", token) as limited:
        statuses = [
            (await limited.request(method, path, json=body)).status_code
            for method, path, body in (
                ("PUT", f"/users/{plain}/sysadmin", {"sysadmin_flag": True}),
                ("PUT", f"/users/{ADMIN}/password", {"new_password": _ANOTHER}),
                ("POST", f"/usergroups/{group}/members", {"user_id": plain}),
                ("DELETE", "/role-assignments/1", None),
                ("PUT", f"/users/{plain}/password", {"new_password": _ANOTHER}),
            )
        ]

    assert statuses == [403, 403, 403, 403, 200]


async def test_nobody_joins_a_group_to_get_what_it_has_s9(cast: Cast) -> None:
    """On the system and in projects; nor does who lacks that take others out, or delete it."""
    own = await cast.person("gd", "user-group:update", "user-group:delete")
    groups = {name: await cast.made("/usergroups", {"group_name": name}) for name in ("ops", "crew", "empty")}
    await cast.made("/role-assignments", {"subject_id": groups["ops"], "role": "operations-admin"})
    await cast.member("closed", 1, member_group={"id": groups["crew"]})
    await cast.made(f"/usergroups/{groups['crew']}/members", {"user_id": ADMIN})

    def steps(group: int) -> list[tuple[str, str, Any]]:
        members = f"/usergroups/{group}/members"
        return [
            ("POST", members, {"user_id": own}),
            ("PUT", members, {"user_ids": [own]}),
            ("DELETE", f"{members}/{ADMIN}", None),
            ("DELETE", f"/usergroups/{group}", None),
        ]

    tried = [
        [(await cast.ask("gd", *step)).status_code for step in steps(groups[name])]
        for name in ("ops", "crew", "empty")
    ]

    assert tried == [[403, 403, 403, 403], [403, 403, 403, 403], [201, 200, 403, 200]]
    assert (await cast.ask("gd", "GET", "/users")).status_code == 403


async def test_roles_are_taken_and_cut_by_those_only_who_hold_them_s9(cast: Cast) -> None:
    """As in projects, where nobody takes a role beyond their own."""
    await cast.person("rd", "role-assignment:delete", "role-assignment:list", "role:update", "label:list")
    await cast.person("labels", "label:list", "label:create")
    async with cast.registry.plain() as admin:
        given = {one["role"]: one["id"] for one in (await admin.get("/role-assignments")).json()}
        roles = {one["name"]: one["id"] for one in (await admin.get("/roles")).json()}

    taken = [
        (await cast.ask("rd", "DELETE", f"/role-assignments/{given[role]}")).status_code
        for role in ("operations-admin", "labels")
    ]
    cut = await cast.ask("rd", "PUT", f"/roles/{roles['labels']}", {"permissions": ["label:list"]})
    await cast.made("/role-assignments", {"subject_id": await cast.person("eva"), "role": "rd"})
    async with cast.registry.plain() as admin:
        again = {one["id"] for one in (await admin.get("/role-assignments")).json()} - set(given.values())

    assert (taken, cut.status_code) == ([403, 403], 403)
    assert [(await cast.ask("rd", "DELETE", f"/role-assignments/{one}")).status_code for one in again] == [
        200
    ]


async def test_nobody_opens_a_project_for_what_they_may_not_do_in_it_s9(cast: Cast) -> None:
    """Neither by the project nor by its metadata, and not with a token that says less (S15)."""
    await cast.person("keeper")
    permissions = ["project:read", "project:update", "metadata:create", "metadata:update", "repository:push"]
    await cast.made("/roles", {"name": "keeper", "level": "project", "permissions": permissions})
    async with cast.registry.plain() as admin:
        numbers = {one["name"]: one["id"] for one in (await admin.get("/roles")).json()}
        await cast.member("closed", numbers["keeper"], member_user={"username": "keeper"})
        limited = {"name": "less", "permissions": ["project:update"]}
        token = (await admin.post("/access-tokens", json=limited)).json()["secret"]
    public, creation = {"public": "true"}, {"repository_creation": "developers"}

    refused = [
        await cast.ask("keeper", "PUT", "/projects/closed", {"metadata": public}),
        await cast.ask("keeper", "PUT", "/projects/closed", {"metadata": creation}),
        await cast.ask("keeper", "POST", "/projects/closed/metadatas/", public),
        await cast.ask("keeper", "PUT", "/projects/closed/metadatas/repository_creation", creation),
    ]
    passed = [
        await cast.ask("keeper", "PUT", "/projects/closed", {"metadata": {"public": "false"}}),
        await cast.ask("keeper", "POST", "/projects/closed/metadatas/", {"severity": "low"}),
    ]
    async with cast.registry.plain("admin", token) as less:
        refused.append(await less.put("/projects/closed", json={"metadata": public}))

    assert [reply.status_code for reply in refused] == [403] * 5
    assert [reply.status_code for reply in passed] == [200, 200]
    assert reason(refused[1]) == (
        "nobody opens a project to others for what they may not do in it themselves: repository:create"
    )
    async with cast.registry.plain() as admin:
        assert (await admin.put("/projects/closed", json={"metadata": public | creation})).status_code == 200


async def test_who_makes_no_projects_lets_not_everybody_make_them_s9(cast: Cast) -> None:
    await cast.person("conf", "configuration:update")
    everyone = {"project_creation_restriction": "everyone"}

    refused = await cast.ask("conf", "PUT", "/configurations", everyone)
    told = await cast.ask("conf", "PUT", "/configurations", {"banner_message": "Sunday"})

    assert (refused.status_code, told.status_code) == (403, 200)
    assert reason(refused) == "nobody gives everybody what they do not hold themselves: project:create"
