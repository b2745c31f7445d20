"""One address means one repository: below `library`, `hello` is `library/hello`, and `_/hello` is `hello`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from harborapi.exceptions import NotFound
from harborapi.models import Repository

from tests.drivers.metadata.machine_accounts import on_sqlite
from tests.integration.control_api.cast import reason

if TYPE_CHECKING:
    from harborapi import HarborAsyncClient

    from tests.integration.control_api.cast import Cast
    from tests.integration.control_api.conftest import Registry

pytestmark = pytest.mark.filterwarnings("ignore:Accessing the .model_fields.:DeprecationWarning")

_ALL: Final = "/projects/library/repositories"
_ADDRESSES: Final = {"library/hello": f"{_ALL}/hello", "hello": f"{_ALL}/_%252Fhello"}
"""By full name. In the body of a creation the name is the end of it, not encoded."""
_BODIES: Final = {"library/hello": "hello", "hello": "_/hello"}
_OTHER: Final = {"library/hello": "hello", "hello": "library/hello"}
_HINTS: Final = {
    "library/hello": (
        "repository library/hello does not exist, but hello does: below project library its address is _/hello"
    ),
    "hello": (
        "repository hello does not exist, but library/hello does: below project library its address is hello"
    ),
}
_CALLS: Final = (("GET", None), ("PUT", {"description": "changed"}), ("DELETE", None))
_UNKNOWN: Final = {"a%252Fhello": "library/a/hello", "none": "library/none", "_%252Fnone": "none"}
_LIVE: Final = "SELECT name, description FROM repositories WHERE deleted_at IS NULL ORDER BY name"


async def _make(registry: Registry, *names: str) -> None:
    async with registry.plain() as admin:
        await admin.post("/projects", json={"project_name": "library"})
        for name in names:
            made = await admin.post(_ALL, json={"name": _BODIES[name]})
            assert made.status_code == 201, made.text


async def _ask(registry: Registry, method: str, path: str, body: Any = None) -> tuple[int, str]:
    async with registry.plain() as admin:
        reply = await admin.request(method, path, json=body)
    return reply.status_code, reason(reply) if reply.status_code >= 400 else ""


async def _live(registry: Registry) -> list[tuple[str, str]]:
    return [(name, described) for name, described in await registry.database.fetch(_LIVE)]


@pytest.mark.parametrize("name", _ADDRESSES)
async def test_a_deletion_that_is_sent_again_leaves_the_namesake(registry: Registry, name: str) -> None:
    await _make(registry, "hello", "library/hello")

    first = await _ask(registry, "DELETE", _ADDRESSES[name])
    second = await _ask(registry, "DELETE", _ADDRESSES[name])

    assert (first, second) == ((200, ""), (404, _HINTS[name]))
    assert await _live(registry) == [(_OTHER[name], "")]
    assert (await registry.records()).count("repository.delete") == 1


async def test_each_call_is_about_one_repository_while_both_are_there(registry: Registry) -> None:
    await _make(registry, "hello", "library/hello")
    wanted = dict.fromkeys(_ADDRESSES, "")

    for name, address in _ADDRESSES.items():
        async with registry.plain() as admin:
            shown = (await admin.get(address)).json()
            await admin.put(address, json={"description": f"of {name}"})
        number = await registry.database.value(f"SELECT id FROM repositories WHERE name = '{name}'")
        assert (shown["name"], shown["id"]) == (name, number)
        wanted[name] = f"of {name}"
        assert dict(await _live(registry)) == wanted


async def test_no_call_takes_one_for_the_other_but_says_what_to_ask_for(registry: Registry) -> None:
    for name, address in _ADDRESSES.items():
        await _make(registry, _OTHER[name])
        for method, body in _CALLS:
            assert await _ask(registry, method, address, body) == (404, _HINTS[name])
        assert await _live(registry) == [(_OTHER[name], "")]
        await _ask(registry, "DELETE", _ADDRESSES[_OTHER[name]])


@on_sqlite
async def test_what_nobody_has_is_just_unknown(registry: Registry) -> None:
    """A name of two segments has no namesake: `library/a/hello` is not `a/hello`, which lies in another project."""
    await _make(registry, "hello")
    async with registry.plain() as admin:
        await admin.post("/projects", json={"project_name": "a"})
        await admin.post("/projects/a/repositories", json={"name": "hello"})

    for method, body in _CALLS:
        for end, full in _UNKNOWN.items():
            unknown = (404, f"repository {full} does not exist")
            assert await _ask(registry, method, f"{_ALL}/{end}", body) == unknown
        for path in ("/projects/a/repositories/_%252Fhello", f"{_ALL}/_%252Fa%252Fhello", f"{_ALL}/_%252F"):
            assert (await _ask(registry, method, path, body))[0] == 400
    assert [name for name, _ in await _live(registry)] == ["a/hello", "hello"]


@on_sqlite
@pytest.mark.parametrize(("name", "address"), _ADDRESSES.items())
async def test_what_is_made_is_where_the_answer_says(registry: Registry, name: str, address: str) -> None:
    await _make(registry, _OTHER[name])

    async with registry.plain() as admin:
        made = await admin.post(_ALL, json={"name": _BODIES[name]})
        again = await admin.post(_ALL, json={"name": _BODIES[name]})
        shown = await admin.get(made.headers["location"].removeprefix("/api/v2.0"))

    assert (made.status_code, made.headers["location"]) == (201, f"/api/v2.0{address}")
    assert (again.status_code, reason(again)) == (409, f"repository {name} exists already")
    assert shown.json()["name"] == name
    assert [one for one, _ in await _live(registry)] == ["hello", "library/hello"]


@on_sqlite
async def test_the_longest_name_has_an_address_and_can_be_made_there(registry: Registry) -> None:
    await _make(registry)
    for length, status in ((255, 201), (256, 422)):
        made = await _ask(registry, "POST", _ALL, {"name": "_/" + "a" * length})
        assert made[0] == status, made
    assert await _ask(registry, "GET", f"{_ALL}/{'a' * 240}") == (
        404,
        f"repository library/{'a' * 240} does not exist",
    )

    assert await _ask(registry, "DELETE", f"{_ALL}/_%252F{'a' * 255}") == (200, "")
    assert await _live(registry) == []


@on_sqlite
async def test_lists_filters_search_summary_and_records_have_the_whole_name(registry: Registry) -> None:
    await _make(registry, "hello", "library/hello")

    async with registry.plain() as admin:
        listed = {
            q: [one["name"] for one in (await admin.get(path, params={"q": q})).json()]
            for path in (_ALL, "/repositories")
            for q in ("", "name=hello", "name=library/hello", "name=_/hello", "name=~hello")
        }
        found = (await admin.get("/search", params={"q": "hello"})).json()["repository"]
        summary = (await admin.get("/projects/library/summary")).json()
        for address in _ADDRESSES.values():
            await admin.put(address, json={"description": "ours"})
            await admin.delete(address)

    assert listed == {
        "": ["hello", "library/hello"],
        "name=hello": ["hello"],
        "name=library/hello": ["library/hello"],
        "name=_/hello": [],
        "name=~hello": ["hello", "library/hello"],
    }
    names = [(one["project_name"], one["repository_name"]) for one in found]
    assert names == [("library", "hello"), ("library", "library/hello")]
    assert summary["repo_count"] == 2
    bodies = await registry.database.fetch(
        "SELECT body FROM audit_records WHERE action LIKE 'repository.%' ORDER BY id"
    )
    told = [json.loads(bytes(body)) for (body,) in bodies]
    assert [(one["event.action"], one["object"]["name"], one["object"]["project"]) for one in told] == [
        ("repository.create", "hello", "library"),
        ("repository.create", "library/hello", "library"),
        ("repository.update", "library/hello", "library"),
        ("repository.delete", "library/hello", "library"),
        ("repository.update", "hello", "library"),
        ("repository.delete", "hello", "library"),
    ]


@on_sqlite
async def test_whoever_may_not_reads_the_same_of_the_namesake_as_of_nothing_s19(cast: Cast) -> None:
    await cast.person("alice")
    await _make(cast.registry, "hello")

    for method, body in _CALLS:
        told: set[tuple[int, str]] = set()
        for end in ("hello", "_%252Fhello", "none", "_%252Fnone"):
            reply = await cast.ask("alice", method, f"{_ALL}/{end}", body)
            told.add((reply.status_code, reply.text))
        ((status, text),) = told
        assert status == 403
        assert "hello" not in text

    assert await _live(cast.registry) == [("hello", "")]


@on_sqlite
async def test_who_may_delete_and_not_read_is_told_what_a_deletion_would_have_told(cast: Cast) -> None:
    """The hint is for the permission that is asked with: it reaches the namesake as well."""
    await cast.person("alice")
    await _make(cast.registry, "hello")
    role = {"name": "sweeper", "level": "project", "permissions": ["repository:delete"]}
    number = await cast.made("/roles", role)
    await cast.member("library", number, member_user={"username": "alice"})

    reads = [await cast.ask("alice", "GET", f"{_ALL}/{end}") for end in ("hello", "none")]
    deletion = await cast.ask("alice", "DELETE", _ADDRESSES["library/hello"])

    assert {one.status_code for one in reads} == {403}
    assert (deletion.status_code, reason(deletion)) == (404, _HINTS["library/hello"])
    assert (await cast.ask("alice", "DELETE", _ADDRESSES["hello"])).status_code == 200


@on_sqlite
async def test_harbors_client_does_what_the_pages_say(registry: Registry) -> None:
    """It finds no project in a name of one segment, and what it asks for then is nothing."""
    await _make(registry, "hello", "library/hello")
    admin: HarborAsyncClient = registry.client()
    alone, inside = await admin.get_repositories("library")

    assert (alone.name, alone.project_name, alone.base_name) == ("hello", "", "")
    for call in (admin.get_repository, admin.delete_repository):
        with pytest.raises(NotFound):
            await call(alone.project_name, alone.base_name)
    assert len(await _live(registry)) == 2

    for one in (inside, alone):
        assert one.name is not None
        # As docs/how-to/accounts.md has it.
        project, name = (one.project_name, one.base_name) if "/" in one.name else ("library", f"_/{one.name}")
        assert (await admin.get_repository(project, name)).name == one.name
        await admin.update_repository(project, name, Repository(description=one.name))
        await admin.delete_repository(project, name)
        with pytest.raises(NotFound):
            await admin.delete_repository(project, name)
    gone = await registry.database.fetch("SELECT name, description FROM repositories ORDER BY id")
    assert gone == [("hello", "hello"), ("library/hello", "library/hello")]
    assert await _live(registry) == []
