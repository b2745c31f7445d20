"""Pushes against the deletion of their repository or project, step by step on PostgreSQL (I1, I5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from entrepot.auth.errors import ProjectUnknownError
from entrepot.auth.grants import Grant, Push
from entrepot.auth.project_actions import CreateRepository, DeleteProject, DeleteRepository
from entrepot.oci.names import RepositoryName
from entrepot.projects.errors import ProjectNotEmptyError
from entrepot.registry.repository_access import granted_repository
from tests.drivers.metadata.half_units import half_a_unit, started_and_waiting
from tests.drivers.metadata.material import new_manifest
from tests.drivers.metadata.projects.world import ALICE

if TYPE_CHECKING:
    from tests.drivers.metadata.projects.world import World

_PUSH: Final = Grant(Push, RepositoryName.parse("team/app"), ALICE, may_create=True)


@pytest.fixture
def engine() -> str:
    """PostgreSQL only: on SQLite there is one writer at a time."""
    return "postgresql"


async def test_i5_the_deletion_of_a_repository_waits_for_a_push_and_takes_along_what_it_brought(
    world: World,
) -> None:
    project = await world.add_project("team")
    await world.repositories.create(world.on(project, CreateRepository), "app")
    async with half_a_unit(world.database) as push:
        repository = await granted_repository(push, _PUSH)
        deleting = await started_and_waiting(
            world.repositories.delete(world.on(project, DeleteRepository), "app")
        )
        manifest = new_manifest(repository.id)
        await push.manifests.put(manifest)
        await push.tags.put(repository.id, "v1", manifest.digest, "id-alice")
    await deleting

    assert await world.database.value("SELECT count(*) FROM manifests WHERE state = 'live'") == 0
    assert await world.database.value("SELECT count(*) FROM tags") == 0
    assert (await world.changes("repository.delete"))[0]["before"]["tags"] == 1


async def test_i1_a_push_that_comes_after_the_deletion_makes_the_repository_anew(world: World) -> None:
    project = await world.add_project("team")
    await world.repositories.create(world.on(project, CreateRepository), "app")
    async with half_a_unit(world.database) as deletion:
        held = await deletion.project_repositories.hold(project, "team/app")
        assert held is not None
        pushing = await started_and_waiting(world.metadata.write(lambda tx: granted_repository(tx, _PUSH)))
        await deletion.project_repositories.delete(held[0], "id-alice")

    row = await pushing
    assert (row.created, row.id == held[0]) == (True, False)


async def test_i5_the_deletion_of_a_project_waits_for_a_push_that_makes_a_repository_and_is_refused(
    world: World,
) -> None:
    project = await world.add_project("team")
    async with half_a_unit(world.database) as push:
        await granted_repository(push, _PUSH)
        deleting = await started_and_waiting(world.projects.delete(world.on(project, DeleteProject)))

    with pytest.raises(ProjectNotEmptyError):
        await deleting


async def test_i5_a_push_waits_for_the_deletion_of_its_project_and_is_refused(world: World) -> None:
    project = await world.add_project("team")
    async with half_a_unit(world.database) as deletion:
        assert await deletion.projects.hold(project) is not None
        pushing = await started_and_waiting(world.metadata.write(lambda tx: granted_repository(tx, _PUSH)))
        await deletion.projects.delete(project)

    with pytest.raises(ProjectUnknownError):
        await pushing
    assert await world.database.value("SELECT count(*) FROM repositories") == 0
