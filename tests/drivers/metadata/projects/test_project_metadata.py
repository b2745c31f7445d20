"""Single metadata of a project on both engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entrepot.auth.errors import ProjectUnknownError
from entrepot.auth.project_actions import (
    CreateMetadata,
    DeleteMetadata,
    DeleteProject,
    ListMetadata,
    ReadMetadata,
    UpdateMetadata,
)
from entrepot.projects.errors import MetadataInvalidError, MetadataMissingError

if TYPE_CHECKING:
    from tests.drivers.metadata.projects.world import World


async def test_metadata_are_added_read_changed_and_removed(world: World) -> None:
    project = await world.add_project("team")

    await world.project_metadata.add(
        world.on(project, CreateMetadata), {"severity": "high", "public": "true"}
    )
    await world.project_metadata.update(world.on(project, UpdateMetadata), "severity", "low")
    assert await world.project_metadata.list_all(world.on(project, ListMetadata)) == {
        "public": "true",
        "repository_creation": "operators",
        "severity": "low",
    }
    await world.project_metadata.remove(world.on(project, DeleteMetadata), "severity")

    with pytest.raises(MetadataMissingError):
        await world.project_metadata.get(world.on(project, ReadMetadata), "severity")
    with pytest.raises(MetadataMissingError):
        await world.project_metadata.remove(world.on(project, DeleteMetadata), "severity")
    assert await world.project_metadata.get(world.on(project, ReadMetadata), "public") == "true"
    assert await world.changes("project.metadata.update") == [
        {"before": {"severity": None, "public": "false"}, "after": {"severity": "high", "public": "true"}},
        {"before": {"severity": "high"}, "after": {"severity": "low"}},
        {"before": {"severity": "low"}, "after": {"severity": None}},
    ]


async def test_visibility_set_as_metadata_moves_the_epoch(world: World) -> None:
    project = await world.add_project("team")
    begun = await world.epoch(project)

    await world.project_metadata.update(world.on(project, UpdateMetadata), "severity", "low")
    await world.project_metadata.update(world.on(project, UpdateMetadata), "public", "true")

    assert await world.epoch(project) == begun + 1


async def test_what_decides_about_access_is_never_removed(world: World) -> None:
    project = await world.add_project("team")

    for name in ("public", "repository_creation"):
        with pytest.raises(MetadataInvalidError):
            await world.project_metadata.remove(world.on(project, DeleteMetadata), name)


async def test_a_deleted_project_has_no_metadata(world: World) -> None:
    project = await world.add_project("team")
    await world.projects.delete(world.on(project, DeleteProject))

    with pytest.raises(ProjectUnknownError):
        await world.project_metadata.list_all(world.on(project, ListMetadata))
    with pytest.raises(ProjectUnknownError):
        await world.project_metadata.update(world.on(project, UpdateMetadata), "severity", "low")
