"""Repositories as a whole on both engines: made empty, listed, described and deleted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from entrepot.auth.errors import ProjectUnknownError
from entrepot.auth.grants import Grant, Push
from entrepot.auth.project_actions import (
    CreateRepository,
    DeleteProject,
    DeleteRepository,
    ListRepository,
    ReadRepository,
    UpdateRepository,
)
from entrepot.metadata.project_repository_store import RepositoryQuery
from entrepot.oci.names import InvalidRepositoryNameError, RepositoryName
from entrepot.registry.errors import (
    RepositoryDescriptionError,
    RepositoryExistsError,
    RepositoryUnknownError,
)
from entrepot.registry.repository_access import RepositoryCreationDeniedError, granted_repository
from tests.drivers.metadata.material import digest_of, push_blob, push_manifest
from tests.drivers.metadata.projects.world import ALICE, BOB

if TYPE_CHECKING:
    from tests.drivers.metadata.projects.world import World


async def test_who_may_push_only_to_what_is_there_pushes_to_a_repository_that_was_made_for_him(
    world: World,
) -> None:
    project = await world.add_project("team")
    push = Grant(Push, RepositoryName.parse("team/app"), BOB)
    with pytest.raises(RepositoryCreationDeniedError):
        await world.metadata.write(lambda tx: granted_repository(tx, push))

    full = await world.repositories.create(world.on(project, CreateRepository), "app")

    assert full.text == "team/app"
    assert (await world.metadata.write(lambda tx: granted_repository(tx, push))).created is False
    with pytest.raises(RepositoryExistsError):
        await world.repositories.create(world.on(project, CreateRepository), "app")
    assert [record["object"]["name"] for record in await world.records("repository.create")] == ["team/app"]


async def test_what_is_no_name_makes_no_repository(world: World) -> None:
    project = await world.add_project("team")

    for name in ("", "App", "a//b", "../x", "a" * 251):
        with pytest.raises(InvalidRepositoryNameError):
            await world.repositories.create(world.on(project, CreateRepository), name)


async def test_a_deleted_project_gets_no_repository(world: World) -> None:
    project = await world.add_project("team")
    await world.projects.delete(world.on(project, DeleteProject))

    with pytest.raises(ProjectUnknownError):
        await world.repositories.create(world.on(project, CreateRepository), "app")


async def test_repositories_are_listed_with_what_they_hold(world: World) -> None:
    project = await world.add_project("team")
    await world.add_project("other", BOB)
    await push_manifest(world.metadata, '{"a":1}', repository="team/app", tag="v1")
    await push_manifest(world.metadata, '{"a":2}', repository="team/app", tag=None)
    await world.repositories.create(world.on(project, CreateRepository), "z/empty")
    await push_manifest(world.metadata, repository="other/app")
    app = await world.database.value("SELECT id FROM repositories WHERE name = 'team/app'")
    await world.database.fetch(
        f"INSERT INTO pull_days (repository_id, digest, day, count) VALUES ({app}, 'd', 1, 3), ({app}, 'd', 2, 4)"
    )

    page = await world.repositories.list_of_project(
        world.on(project, ListRepository), RepositoryQuery(limit=10, project_id=99)
    )
    assert [(one.name, one.artifact_count, one.pull_count) for one in page.repositories] == [
        ("team/app", 2, 7),
        ("team/z/empty", 0, 0),
    ]
    second = await world.repositories.list_of_project(
        world.on(project, ListRepository), RepositoryQuery(limit=1, offset=1, sort="-name")
    )
    assert ([one.name for one in second.repositories], second.total) == (["team/app"], 2)
    part = await world.repositories.list_of_project(
        world.on(project, ListRepository), RepositoryQuery(limit=10, name_part="emp")
    )
    assert [one.name for one in part.repositories] == ["team/z/empty"]


async def test_everybody_lists_the_repositories_of_the_projects_they_see_s19(world: World) -> None:
    for project, owner in (("team", ALICE), ("other", BOB)):
        await world.add_project(project, owner)
        await push_manifest(world.metadata, repository=f"{project}/app")

    assert await world.repositories_seen(BOB) == ["other/app"]


async def test_a_description_is_set_and_told_of(world: World) -> None:
    project = await world.add_project("team")
    await world.repositories.create(world.on(project, CreateRepository), "app")

    await world.repositories.describe(world.on(project, UpdateRepository), "app", "<b>ours</b>")

    found = await world.repositories.get(world.on(project, ReadRepository), "app")
    assert found.description == "<b>ours</b>"
    assert await world.changes("repository.update") == [
        {"before": {"description": ""}, "after": {"description": "<b>ours</b>"}}
    ]
    for text in ("x" * 4097, "a\0b"):
        with pytest.raises(RepositoryDescriptionError):
            await world.repositories.describe(world.on(project, UpdateRepository), "app", text)


async def test_a_repository_of_another_project_is_unknown_here_s7(world: World) -> None:
    """The number of the project decides, not what its name may have meant once."""
    project, other = await world.add_project("team"), await world.add_project("other")
    await push_manifest(world.metadata, repository="other/app")

    for name in ("app", "../other/app"):
        with pytest.raises((RepositoryUnknownError, InvalidRepositoryNameError)):
            await world.repositories.get(world.on(project, ReadRepository), name)
        with pytest.raises((RepositoryUnknownError, InvalidRepositoryNameError)):
            await world.repositories.delete(world.on(project, DeleteRepository), name)
    with pytest.raises(RepositoryUnknownError):
        await world.repositories.delete(world.on(project, DeleteRepository, "other"), "app")
    with pytest.raises(RepositoryUnknownError):
        await world.repositories.describe(world.on(project, UpdateRepository, "other"), "app", "x")

    assert (await world.repositories.get(world.on(other, ReadRepository, "other"), "app")).artifact_count == 1


async def test_a_deleted_repository_is_gone_whole_and_its_name_is_free(world: World) -> None:
    project = await world.add_project("team")
    await push_blob(world.metadata, "layer", "team/app")
    digest = await push_manifest(world.metadata, repository="team/app", tag="v1")
    await push_manifest(world.metadata, repository="team/web", tag="v1")

    await world.repositories.delete(world.on(project, DeleteRepository), "app")

    with pytest.raises(RepositoryUnknownError):
        await world.repositories.get(world.on(project, ReadRepository), "app")
    assert await world.database.value("SELECT count(*) FROM tags") == 1
    assert await world.database.fetch(
        "SELECT h.name, h.digest, h.previous_digest, h.actor FROM tag_history h WHERE h.digest IS NULL"
    ) == [("v1", None, str(digest), "id-alice")]
    states = await world.database.fetch(
        "SELECT r.name, m.state FROM manifests m JOIN repositories r ON r.id = m.repository_id ORDER BY 1"
    )
    assert states == [("team/app", "condemned"), ("team/web", "live")]
    assert await world.changes("repository.delete") == [
        {"before": {"description": "", "manifests": 1, "tags": 1}, "after": None}
    ]

    await push_manifest(world.metadata, '{"new":1}', repository="team/app", tag="v1")
    again = await world.repositories.get(world.on(project, ReadRepository), "app")
    assert again.artifact_count == 1
    found = await world.metadata.manifests.find_by_tag("team/app", "v1")
    assert getattr(found, "digest", found) == digest_of('{"new":1}')
    assert str(await world.metadata.blobs.find("team/app", digest_of("layer"))) == "content"


async def test_the_journal_tells_before_the_call_returns_i5(world: World) -> None:
    project = await world.add_project("team")
    await world.repositories.create(world.on(project, CreateRepository), "app")
    await world.repositories.delete(world.on(project, DeleteRepository), "app")

    entries = [json.loads(bytes(entry)) for _, entry in sorted(world.blobs.objects.items())]
    assert [(entry["kind"], entry["repository"], entry["actor"]) for entry in entries] == [
        ("repository.create", "team/app", "id-alice"),
        ("repository.delete", "team/app", "id-alice"),
    ]


async def test_a_name_in_the_default_project_means_one_repository_whatever_else_is_there(
    world: World,
) -> None:
    project = await world.add_project("library")
    await push_manifest(world.metadata, repository="library/nginx", tag="v1")
    await world.metadata.write(lambda tx: tx.repositories.ensure("nginx", "library", "x"))
    await push_manifest(world.metadata, repository="nginx", tag="v1")
    grant = world.on(project, ReadRepository, "library")
    assert (await world.repositories.get(grant, "nginx")).name == "library/nginx"
    assert (await world.repositories.get(grant, "_/nginx")).name == "nginx"

    deletion = world.on(project, DeleteRepository, "library")
    await world.repositories.delete(deletion, "nginx")
    with pytest.raises(RepositoryUnknownError) as caught:
        await world.repositories.delete(deletion, "nginx")

    assert (caught.value.repository.text, caught.value.namesake) == (
        "library/nginx",
        RepositoryName("nginx"),
    )
    assert (await world.repositories.get(grant, "_/nginx")).artifact_count == 1
    entries = [json.loads(bytes(entry)) for _, entry in sorted(world.blobs.objects.items())]
    assert [(entry["kind"], entry["repository"]) for entry in entries] == [
        ("repository.delete", "library/nginx")
    ]
