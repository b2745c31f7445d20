"""Nobody is logged out by who holds less, and nobody by what changes nothing (S9, S14)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.drivers.metadata.machine_accounts import on_sqlite
from tests.integration.control_api.cast import ADMIN, PASSWORD, reason

if TYPE_CHECKING:
    import httpx

    from tests.integration.control_api.cast import Cast

pytestmark = on_sqlite

_LOGGED_OUT: Final = "this would end sessions, logins and tokens of somebody who holds rights, "
_UNMOVED: Final = frozenset({3, 8})
"""Which of the steps move nobody when those before them were refused."""


async def test_nobody_is_logged_out_by_who_holds_less_s9(cast: Cast) -> None:
    """By joining or leaving a group that has no right, or by the smallest of roles; with who holds no more it works.

    Whoever joins, leaves, or is given or loses a role loses every session, login and token.
    """
    own = await cast.person(
        "hd",
        *("user-group:create", "user-group:update", "user-group:delete", "role:list"),
        *("role-assignment:create", "role-assignment:delete", "role:update"),
    )
    plain, member = await cast.person("plain"), await cast.person("member")
    await cast.member("closed", 2, member_user={"username": "member"})
    await cast.made("/roles", {"name": "tiny", "level": "system", "permissions": ["role:list"]})
    wide = {"name": "wide", "level": "system", "permissions": ["role:list", "user-group:update"]}
    number = await cast.made("/roles", wide)

    async def steps(person: int) -> list[tuple[str, str, Any]]:
        """Return what is done, each of which is done to the person alone."""
        groups = [await cast.made("/usergroups", {"group_name": f"{person}-{turn}"}) for turn in range(3)]
        for group in groups[1:]:
            await cast.made(f"/usergroups/{group}/members", {"user_id": person})
        given = await cast.made("/role-assignments", {"subject_id": person, "role": "wide"})
        members = [f"/usergroups/{group}/members" for group in groups]
        return [
            ("POST", members[0], {"user_id": person}),
            ("DELETE", f"{members[1]}/{person}", None),
            ("PUT", members[2], {"user_ids": []}),
            ("PUT", members[2], {"user_ids": [own, person]}),
            ("POST", "/role-assignments", {"subject_id": groups[2], "role": "tiny"}),
            ("DELETE", f"/usergroups/{groups[2]}", None),
            ("POST", "/role-assignments", {"subject_id": person, "role": "tiny"}),
            ("PUT", f"/roles/{number}", {"permissions": ["role:list"]}),
            ("PUT", f"/roles/{number}", {"permissions": wide["permissions"]}),
            ("DELETE", f"/role-assignments/{given}", None),
        ]

    refused: list[httpx.Response] = []
    for person in (ADMIN, member):
        tried = await steps(person)
        database = cast.registry.database
        epoch = f"SELECT epoch FROM subjects WHERE id = {person}"
        before = await database.value(epoch)
        refused += [await cast.ask("hd", *step) for at, step in enumerate(tried) if at not in _UNMOVED]
        assert await database.value(epoch) == before
        async with cast.registry.plain() as admin:  # whoever has the role from here on holds no more
            await admin.delete(tried[-1][1])
    passed = [(await cast.ask("hd", *step)).status_code for step in await steps(plain)]

    assert [reply.status_code for reply in refused] == [403] * 16
    assert {reason(reply).startswith(_LOGGED_OUT) for reply in refused} == {True}
    assert passed == [201, 200, 200, 200, 201, 200, 201, 200, 200, 200]


async def test_what_changes_nothing_logs_nobody_out_s14(cast: Cast) -> None:
    """Who is in a group already, the same members, a role that is had, and a role that permits what it did."""
    person = await cast.person("eva", "label:list", "label:create")
    group = await cast.made("/usergroups", {"group_name": "crew"})
    await cast.made(f"/usergroups/{group}/members", {"user_id": person})
    database = cast.registry.database
    before = await database.value(f"SELECT epoch FROM subjects WHERE id = {person}")

    async with cast.registry.plain() as admin:
        number = next(one["id"] for one in (await admin.get("/roles")).json() if one["name"] == "eva")
        same = {"permissions": ["label:list", "label:create"], "description": "of labels"}
        statuses = [
            (await admin.request(method, path, json=body)).status_code
            for method, path, body in (
                ("POST", f"/usergroups/{group}/members", {"user_id": person}),
                ("PUT", f"/usergroups/{group}/members", {"user_ids": [person]}),
                ("POST", "/role-assignments", {"subject_id": person, "role": "eva"}),
                ("PUT", f"/roles/{number}", same),
                ("PUT", f"/users/{person}/sysadmin", {"sysadmin_flag": False}),
            )
        ]

    assert statuses == [201, 200, 409, 200, 200]
    assert await database.value(f"SELECT epoch FROM subjects WHERE id = {person}") == before
    assert await database.value("SELECT description FROM roles WHERE name = 'eva'") == "of labels"


async def test_people_leave_groups_themselves_as_they_could_s9(cast: Cast) -> None:
    """With all of their rights; a token of theirs that says less does not log them out."""
    own = await cast.person("gd", "user-group:update", "label:list")
    group = await cast.made("/usergroups", {"group_name": "crew"})
    members = f"/usergroups/{group}/members"
    async with cast.registry.plain("gd", PASSWORD) as client:
        asked = {"name": "less", "permissions": ["user-group:update"]}
        token = (await client.post("/access-tokens", json=asked)).json()["secret"]

    async with cast.registry.plain("gd", token) as less:
        limited = (await less.post(members, json={"user_id": own})).status_code
    joined = (await cast.ask("gd", "POST", members, {"user_id": own})).status_code
    left = (await cast.ask("gd", "DELETE", f"{members}/{own}")).status_code

    assert (limited, joined, left) == (403, 201, 200)
