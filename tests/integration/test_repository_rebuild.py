"""A registry that is made again from its storage knows which repositories were made empty, and which were deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from entrepot.auth.grants import ProjectGrant
from entrepot.auth.host import host_operator
from entrepot.auth.modes import ModeGate, Modes
from entrepot.auth.project_actions import CreateRepository, DeleteRepository
from entrepot.registry.journal.writer import Journal
from entrepot.registry.repositories import ProjectRepositories
from tests.asgi.services import in_process_registry, scratch_settings
from tests.asgi.small_images import NAME, image, push_blobs, put
from tests.integration.rebuilding import compact, database_of, lose_database, rebuild
from tests.plumbing.identity_doubles import no_obstacle

if TYPE_CHECKING:
    from pathlib import Path

    from tests.asgi.services import InProcessRegistry

_STATE = "SELECT r.name, count(m.id) FROM repositories r LEFT JOIN manifests m ON m.repository_id = r.id "


async def _services(registry: InProcessRegistry) -> tuple[ProjectRepositories, int]:
    journal = Journal(registry.stores.blobs, await registry.stores.metadata.instance.incarnation())
    service = ProjectRepositories(registry.stores.metadata, journal, ModeGate(Modes(), None, no_obstacle))
    number = await database_of(registry.settings).value("SELECT id FROM projects WHERE name = 'team'")
    return service, int(number)


@pytest.mark.parametrize("compacted", [True, False])
@pytest.mark.parametrize("pushed_again", [True, False])
async def test_what_was_deleted_stays_deleted_i5(
    tmp_path: Path, *, compacted: bool, pushed_again: bool
) -> None:
    settings = scratch_settings(tmp_path / "data")
    async with in_process_registry(settings) as registry:
        await push_blobs(registry.client)
        await put(registry.client, "v1", image())
        repositories, project = await _services(registry)

        def grant(action: Any) -> Any:  # whatever the service asks for
            return ProjectGrant(action, project, "team", host_operator())

        await repositories.create(grant(CreateRepository), "waiting")
        await repositories.delete(grant(DeleteRepository), NAME.removeprefix("team/"))
        if pushed_again:
            await push_blobs(registry.client)
            await put(registry.client, "v2", image(annotations={"second": "life"}))
        if compacted:
            await compact(registry.stores)
    alive = _STATE + "AND m.state = 'live' WHERE r.deleted_at IS NULL GROUP BY r.name ORDER BY r.name"
    before = await database_of(settings).fetch(alive)
    lose_database(settings)

    code, report = await rebuild(settings)

    assert code == 0, report
    assert await database_of(settings).fetch(alive) == before
    assert before == ([(NAME, 1)] if pushed_again else []) + [("team/waiting", 0)]
    assert report["losses"] == report["lost_tags"] == report["spots"] == []


async def test_a_loss_in_a_repository_that_was_deleted_is_none(tmp_path: Path) -> None:
    settings = scratch_settings(tmp_path / "data")
    async with in_process_registry(settings) as registry:
        await push_blobs(registry.client)
        await put(registry.client, "v1", image())
        repositories, project = await _services(registry)
        await repositories.delete(
            ProjectGrant(DeleteRepository, project, "team", host_operator()), NAME.removeprefix("team/")
        )
        await compact(registry.stores)
        keys = await database_of(settings).fetch("SELECT storage_key FROM manifest_bodies")
        for (key,) in keys:
            await registry.stores.blobs.delete(key)
    lose_database(settings)

    code, report = await rebuild(settings)

    assert code == 0, report
    assert report["losses"] == report["lost_tags"] == []
