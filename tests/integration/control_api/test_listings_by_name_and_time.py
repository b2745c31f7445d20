"""Listings by any of several names and by when something was made, in Harbor's little language (S25, S26)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.control_api.cast import Cast

_TIMES: Final = {"p1": 1_000, "p2": 2_999, "p3": 3_000}
"""When they were made, in milliseconds since 1970."""


def _robot(name: str) -> dict[str, Any]:
    access = [{"resource": "label", "action": "list"}]
    entry = {"kind": "system", "namespace": "/", "access": access}
    return {"name": name, "level": "system", "duration": 7, "permissions": [entry]}


_LISTINGS: Final[dict[str, tuple[Callable[[str], dict[str, Any]], str, str, str]]] = {
    "/projects": (lambda name: {"project_name": name}, "name", "name", "projects"),
    "/users": (
        lambda name: {"username": name, "password": "Bq7#mxLp-canary-1"},
        "username",
        "username",
        "subjects",
    ),
    "/robots": (_robot, "name", "name", "subjects"),
}
"""By path: what makes one, how `q` calls its name and how the answer does, and the table with its time."""


@pytest.mark.parametrize("path", _LISTINGS)
async def test_a_listing_takes_several_names_and_a_span_of_times(cast: Cast, path: str) -> None:
    body, name, shown, table = _LISTINGS[path]
    for one, made in _TIMES.items():
        await cast.made(path, body(one))
        whole = f"robot${one}" if path == "/robots" else one
        await cast.registry.database.fetch(f"UPDATE {table} SET created_at = {made} WHERE name = '{whole}'")

    async def listed(q: str) -> tuple[list[str], int]:
        async with cast.registry.plain() as admin:
            reply = await admin.get(path, params={"q": q, "page_size": 2})
        assert reply.status_code == 200, reply.text
        names = sorted(str(item[shown]).rpartition("$")[2] for item in reply.json())
        return names, int(reply.headers["x-total-count"])

    assert await listed(f"{name}={{p1 p3 nobody}}") == (["p1", "p3"], 2)
    assert await listed(f"{name}={{p1 p2 p3}}") == (["p1", "p2"], 3)
    assert await listed("creation_time=[~1970-01-01 00:00:02]") == (["p1", "p2"], 2)
    assert await listed("creation_time=[1970-01-01 00:00:02~1970-01-01 00:00:02]") == (["p2"], 1)
    assert await listed(f"{name}={{p1 p3}},creation_time=[1970-01-01 00:00:02~1980-01-01 00:00:00]") == (
        ["p3"],
        1,
    )
    assert await listed(f"{name}=p2") == (["p2"], 1)
    async with cast.registry.plain() as admin:
        for refused in (f"{name}=(p1 p2)", f"{name}=[p1~p2]", "creation_time=soon", "creation_time={1 2}"):
            assert (await admin.get(path, params={"q": refused})).status_code == 400


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("name=robot$team+ci", ["ci"]),
        ("name=team+ci", ["ci"]),
        ("name=ci", ["ci"]),
        ("name={robot$team+ci team+cd nobody}", ["cd", "ci"]),
        ("name=~team", ["cd", "ci", "tester"]),
        ("name=~robot$team+c", ["cd", "ci"]),
        ("name=~am+c", ["cd", "ci"]),
        ("name=~ot$te", ["cd", "ci", "tester"]),
        ("name=~est", ["tester"]),
        ("name=~+", ["cd", "ci", "tester"]),
        ("name=~bot", []),
        ("name=robot$ci", []),
        ("name=robot$other+ci", []),
        ("name=other+ci", []),
        ("name=~other", []),
        ("name=~robot$other", []),
        ("name=~x+c", []),
        ("name=~c_", []),
    ],
)
async def test_robots_are_found_by_the_name_that_is_shown(cast: Cast, q: str, found: list[str]) -> None:
    """In whole, in part, and with or without what stands before a robot's own name."""
    entry = {"kind": "project", "namespace": "team", "access": [{"resource": "label", "action": "list"}]}
    numbers = {name: await cast.made("/projects", {"project_name": name}) for name in ("team", "other")}
    for project, names in (("team", ("ci", "cd", "tester")), ("other", ("ci",))):
        for name in names:
            body = _robot(name) | {"level": "project", "permissions": [entry | {"namespace": project}]}
            await cast.made("/robots", body)

    async with cast.registry.plain() as admin:
        place = f"Level=project,ProjectID={numbers['team']}"
        reply = await admin.get("/robots", params={"q": f"{place},{q}"})

    assert reply.status_code == 200, reply.text
    assert sorted(item["name"] for item in reply.json()) == [f"robot$team+{name}" for name in found]
    assert reply.headers["x-total-count"] == str(len(found))


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("name=robot$ci", ["robot$ci"]),
        ("name=~robot$c", ["robot$ci"]),
        ("name=~robot$", ["robot$ci", "robot$own"]),
        ("name=~c", ["robot$ci"]),
        ("name=robot$team+ci", []),
    ],
)
async def test_robots_of_the_system_are_found_so_as_well(cast: Cast, q: str, found: list[str]) -> None:
    for name in ("ci", "own"):
        await cast.made("/robots", _robot(name))

    async with cast.registry.plain() as admin:
        reply = await admin.get("/robots", params={"q": q})

    assert sorted(item["name"] for item in reply.json()) == found


async def test_projects_are_asked_for_by_whether_they_are_public_s26(cast: Cast) -> None:
    """A value that is neither true nor false would show all if it were ignored, as would one of two that differ."""
    for name, public in (("hidden", "false"), ("shown", "true")):
        await cast.made("/projects", {"project_name": name, "metadata": {"public": public}})

    async with cast.registry.plain() as admin:
        for q, names in (("public=false", {"hidden"}), ("public=TRUE", {"shown"}), ("public=1", {"shown"})):
            reply = await admin.get("/projects", params={"q": q})
            assert {item["name"] for item in reply.json()} & {"hidden", "shown"} == names
        for value in ("no", "yes", "bogus"):
            refused = await admin.get("/projects", params={"q": f"public={value}"})
            assert (refused.status_code, refused.json()["errors"][0]["message"]) == (
                400,
                "q: public is true or false",
            )
        for doubled in ({"q": "public=true", "public": "false"}, {"q": "owner=admin", "owner": "walker"}):
            assert (await admin.get("/projects", params=doubled)).status_code == 400
