"""How much a project takes and how many work in it is told to those who may read quotas and list members (S19)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.drivers.metadata.machine_accounts import on_sqlite

if TYPE_CHECKING:
    from tests.integration.control_api.cast import Cast
    from tests.integration.control_api.conftest import Registry

pytestmark = on_sqlite

_COUNTS: Final = {
    "project_admin_count": 1,
    "maintainer_count": 0,
    "developer_count": 0,
    "guest_count": 1,
    "limited_guest_count": 1,
}
_OF_ALL: Final = {"repo_count": 0}
_QUOTA: Final = {"quota": {"hard": {"storage": -1}, "used": {"storage": 0}}}


@pytest.fixture
async def open_project(cast: Cast, registry: Registry) -> str:
    """A public project with a guest and a limited guest, and somebody who is no member."""
    async with registry.plain() as admin:
        made = await admin.post("/projects", json={"project_name": "open", "metadata": {"public": "true"}})
    assert made.status_code == 201
    for name, role_id in (("guest", 3), ("limited", 5)):
        await cast.person(name)
        await cast.member("open", role_id, member_user={"username": name})
    await cast.person("stranger")
    return "open"


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("stranger", _OF_ALL),
        ("limited", _OF_ALL | _QUOTA),
        ("guest", _OF_ALL | _QUOTA | _COUNTS),
    ],
)
async def test_s19_people_are_told_what_their_role_lets_them_see(
    cast: Cast, open_project: str, name: str, seen: dict[str, object]
) -> None:
    reply = await cast.ask(name, "GET", f"/projects/{open_project}/summary")
    assert (reply.status_code, reply.json()) == (200, seen)


async def test_s19_nobody_in_particular_is_told_what_is_public(registry: Registry, open_project: str) -> None:
    async with registry.plain() as nobody:
        reply = await nobody.get(f"/projects/{open_project}/summary", auth=None)
    assert (reply.status_code, reply.json()) == (200, _OF_ALL)


async def test_s19_a_token_for_reading_projects_is_told_no_more_than_that(
    registry: Registry, open_project: str
) -> None:
    """Whoever made it would be told all."""
    wanted = {"name": "reader", "permissions": ["project:read"]}
    async with registry.plain() as admin:
        made = await admin.post("/access-tokens", json=wanted)
        whole = await admin.get(f"/projects/{open_project}/summary")
    async with registry.plain("admin", made.json()["secret"]) as limited:
        reply = await limited.get(f"/projects/{open_project}/summary")
    assert whole.json() == _OF_ALL | _QUOTA | _COUNTS
    assert (reply.status_code, reply.json()) == (200, _OF_ALL)
