"""Whatever was pushed and deleted, and whatever of the journal was away: a catch-up comes to what a rebuild does.

Some files of the journal are away while a database is made again, a registry goes on with it, and the files come back
(F1, I3, I5). What one side deleted and the other one needs makes the two differ: it is named.
"""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING, Any, Final

import pytest

from entrepot.oci.digest import Digest
from entrepot.rebuild import replay
from tests.asgi.services import in_process_registry, scratch_settings
from tests.asgi.small_images import INDEX_TYPE, MANIFEST_TYPE, image, index, push_blobs, put
from tests.integration.rebuilding import compact, database_of, lose_database, rebuild, segments_of

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.settings import Settings
    from tests.asgi.services import InProcessRegistry

_REPOSITORIES: Final = ("team/app", "team/other")
_TAGS: Final = ("a", "b", "c")
_IMAGES: Final = tuple(image(annotations={"n": str(number)}) for number in range(3))
_INDEXES: Final = (index(_IMAGES[0], _IMAGES[1]), index(_IMAGES[2]))
_STATE: Final = {
    "tags": """
        SELECT r.name, t.name, m.digest FROM tags t
        JOIN repositories r ON r.id = t.repository_id JOIN manifests m ON m.id = t.manifest_id
    """,
    "manifests": """
        SELECT r.name, m.digest FROM manifests m JOIN repositories r ON r.id = m.repository_id
        WHERE m.state = 'live'
    """,
}


async def _live(registry: InProcessRegistry, chance: random.Random, turns: int) -> None:
    """Push and delete at random, and end a file of the journal now and then; what is refused is no matter."""
    for _ in range(turns):
        name, tag, turn = chance.choice(_REPOSITORIES), chance.choice(_TAGS), chance.random()
        body = chance.choice(_IMAGES if turn < 0.45 else _INDEXES if turn < 0.6 else _IMAGES + _INDEXES)
        if turn < 0.6:
            media_type = MANIFEST_TYPE if body in _IMAGES else INDEX_TYPE
            await put(registry.client, tag, body, media_type, name)
        else:
            reference = tag if turn < 0.75 else str(Digest.of_bytes(body))
            await registry.client.request("DELETE", f"/v2/{name}/manifests/{reference}")
        if chance.random() < 0.4:
            await compact(registry.stores)
    await compact(registry.stores)


async def _state(settings: Settings) -> set[tuple[Any, ...]]:
    return {
        (what, *row) for what, query in _STATE.items() for row in await database_of(settings).fetch(query)
    }


async def _rebuilt_elsewhere(settings: Settings, directory: Path) -> tuple[set[tuple[Any, ...]], set[str]]:
    """Make another database from all of the journal; return what is in it, and digests of what is left out or stays."""
    other = scratch_settings(directory / "data", cache__small_blob_bytes="0")
    shutil.copytree(settings.data.directory / "storage", other.data.directory / "storage")
    _, report = await rebuild(other)
    return await _state(other), {loss["digest"] for loss in report["losses"]}


@pytest.mark.parametrize("seed", [6, 34, 43, 55, 89])
async def test_f1_a_catch_up_comes_to_what_a_rebuild_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """In units of a few facts, so that there are several of them."""
    monkeypatch.setattr(replay, "_UNIT_FACTS", 4)
    monkeypatch.setattr(replay, "_READ_AT_ONCE", 2)
    chance = random.Random(seed)
    settings = scratch_settings(tmp_path / "data", cache__small_blob_bytes="0")
    async with in_process_registry(settings) as registry:
        for name in _REPOSITORIES:
            await push_blobs(registry.client, name)
        await _live(registry, chance, 16)
    parts = segments_of(settings)[1:-1]
    away = {part: part.rename(tmp_path / part.name) for part in chance.sample(parts, min(len(parts), 3))}
    lose_database(settings)
    await rebuild(settings)
    async with in_process_registry(settings) as registry:
        await _live(registry, chance, 8)
    for part, there in away.items():
        there.rename(part)

    _, report = await rebuild(settings, "--catch-up")

    expected, kept = await _rebuilt_elsewhere(settings, tmp_path / "elsewhere")
    named = kept | {loss["digest"] for loss in report["losses"]}
    caught_up = await _state(settings)
    assert {row for row in caught_up ^ expected if row[-1] not in named} == set()
    assert (await rebuild(settings, "--catch-up"))[1]["applied"] == 0
