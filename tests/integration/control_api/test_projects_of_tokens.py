"""Who looks at the tokens of others sees no names of projects by that, and yet that there are limits (S15, S19)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.drivers.metadata.machine_accounts import on_sqlite
from tests.integration.control_api.building import ADMIN_PASSWORD
from tests.integration.control_api.cast import PASSWORD

if TYPE_CHECKING:
    from tests.integration.control_api.cast import Cast

pytestmark = on_sqlite

_PROJECTS: Final = ("gone", "hidden", "open", "shared")


async def _bobs(cast: Cast) -> int:
    """Make bob with three tokens, of which the last has no limits; return his number."""
    bob = await cast.person("bob")
    for name in _PROJECTS:
        await cast.member(name, 2, member_user={"username": "bob"})
    for name, limits in (("1", {"projects": _PROJECTS}), ("2", {"projects": ("hidden",)}), ("3", {})):
        made = await cast.ask("bob", "POST", "/access-tokens", {"name": name, **limits})
        assert made.status_code == 201, made.text
    async with cast.registry.plain() as admin:
        await admin.put("/projects/open", json={"metadata": {"public": "true"}})
        assert (await admin.delete("/projects/gone")).status_code == 200
    return bob


async def _seen(cast: Cast, name: str, secret: str, person: int) -> list[tuple[Any, int]]:
    """Return projects and how many are hidden, of each token of a person, as somebody sees them."""
    async with cast.registry.plain(name, secret) as client:
        reply = await client.get(f"/users/{person}/access-tokens")
    assert reply.status_code == 200, reply.text
    return [(one["projects"], one["hidden_project_count"]) for one in reply.json()]


async def test_names_of_projects_that_one_may_not_see_are_counted_only_s19(cast: Cast) -> None:
    """One that is not there looks like one that is hidden."""
    bob = await _bobs(cast)
    await cast.person("hd", "user:read")
    await cast.member("shared", 3, member_user={"username": "hd"})

    assert await _seen(cast, "hd", PASSWORD, bob) == [(["open", "shared"], 2), ([], 1), (None, 0)]


async def test_who_sees_all_projects_and_the_owner_see_all_names(cast: Cast) -> None:
    """The owner also where they lost what they had in a project, which the password shows them anyway."""
    bob = await _bobs(cast)
    await cast.made("/role-assignments", {"subject_id": await cast.person("eva"), "role": "auditor"})
    await cast.made("/roles", {"name": "reader", "level": "system", "permissions": ["user:read"]})
    await cast.made("/role-assignments", {"subject_id": bob, "role": "reader"})
    everything = [(list(_PROJECTS), 0), (["hidden"], 0), (None, 0)]

    assert await _seen(cast, "admin", ADMIN_PASSWORD, bob) == everything
    assert await _seen(cast, "eva", PASSWORD, bob) == everything
    assert await _seen(cast, "bob", PASSWORD, bob) == everything
    own = (await cast.ask("bob", "GET", "/access-tokens")).json()
    assert [(one["projects"], one["hidden_project_count"]) for one in own] == everything


async def test_a_limited_token_shows_no_more_names_than_it_may_see_s15(cast: Cast) -> None:
    """Not even its owner's, nor an administrator's."""
    bob = await _bobs(cast)
    async with cast.registry.plain() as admin:
        narrow = await admin.post("/access-tokens", json={"name": "n", "permissions": ["user:read"]})
        wider = await admin.post(
            "/access-tokens", json={"name": "w", "permissions": ["user:read", "project:read"]}
        )

    await cast.made("/role-assignments", {"subject_id": bob, "role": "auditor"})
    own = await cast.ask("bob", "POST", "/access-tokens", {"name": "4", "permissions": ["user:read"]})

    by_narrow, by_own, by_wider = [
        await _seen(cast, name, made.json()["secret"], bob)
        for name, made in (("admin", narrow), ("bob", own), ("admin", wider))
    ]

    assert by_narrow == by_own == [([], 4), ([], 1), (None, 0), (None, 0)]
    assert by_wider == [(list(_PROJECTS), 0), (["hidden"], 0), (None, 0), (None, 0)]
