"""Modes of the whole registry by setting: each route of the table refuses what the mode forbids, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entrepot.auth.grants import Delete, Push
from entrepot.distribution_api.routes import ROUTES, RepositoryRoute
from entrepot.oci.digest import Digest
from entrepot.settings import metadata_url
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
from tests.asgi.small_images import CONFIG, LAYER, NAME, image, push_blobs, put
from tests.drivers.metadata.raw_database import RawDatabase

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.settings import Settings

_READ_ONLY = {"registry__read_only": "true"}
_NO_DELETE = {"registry__allow_delete": "false"}


async def _fill(settings: Settings) -> None:
    async with in_process_registry(settings) as registry:
        await push_blobs(registry.client)
        assert (await put(registry.client, "v1", image())).status == 201


def _targets(route: object) -> list[tuple[str, str]]:
    """Return method and path of each request of a route, with what :func:`_fill` left."""
    assert isinstance(route, RepositoryRoute)
    path = route.endpoint.replace("<name>", NAME).replace("<reference>", "v1").replace("<session>", "0" * 32)
    digest = str(Digest.of_bytes(LAYER))
    return [(method, path.replace("<digest>", digest)) for method in route.methods]


async def _rows(registry: InProcessRegistry) -> list[int]:
    database = RawDatabase(metadata_url(registry.settings))
    tables = ("repository_blobs", "manifests", "tags", "tag_history", "upload_sessions", "outbox")
    return [await database.count(table) for table in tables]


@pytest.mark.parametrize(
    ("mode", "setting", "forbidden"),
    [(_READ_ONLY, "registry.read_only", (Push, Delete)), (_NO_DELETE, "registry.allow_delete", (Delete,))],
    ids=["read-only", "no delete"],
)
async def test_s12_a_mode_holds_on_every_route(
    tmp_path: Path, mode: dict[str, str], setting: str, forbidden: tuple[type, ...]
) -> None:
    """405 UNSUPPORTED naming the setting and what is allowed; no row changes; other routes do not notice (S12)."""
    await _fill(scratch_settings(tmp_path / "data"))
    refused: set[str] = set()
    async with in_process_registry(scratch_settings(tmp_path / "data", **mode)) as registry:
        before = await _rows(registry)
        for route in ROUTES:
            if not isinstance(route, RepositoryRoute) or not issubclass(route.action, forbidden):
                continue
            for method, target in _targets(route):
                reply = await registry.client.request(method, target)
                assert (reply.status, reply.error_code()) == (405, "UNSUPPORTED"), (method, target)
                assert setting in reply.body.decode()
                assert reply.headers["allow"] == "GET, HEAD"
                refused.add(route.operation)
        assert await _rows(registry) == before
        for path in ("manifests/v1", f"blobs/{Digest.of_bytes(CONFIG)}", "tags/list"):
            assert (await registry.client.request("GET", f"/v2/{NAME}/{path}")).status == 200
    expected = {
        route.operation
        for route in ROUTES
        if isinstance(route, RepositoryRoute) and issubclass(route.action, forbidden)
    }
    assert refused == expected >= {"manifest.delete", "blob.delete"}


async def test_without_deletes_pushes_and_tag_moves_go_on(tmp_path: Path) -> None:
    """`registry.allow_delete = false` forbids nothing but deletes."""
    async with in_process_registry(scratch_settings(tmp_path / "data", **_NO_DELETE)) as registry:
        await push_blobs(registry.client)
        for body in (image(), image(annotations={"n": "2"})):
            assert (await put(registry.client, "v1", body)).status == 201


async def test_an_upload_under_way_waits_for_the_end_of_read_only_mode(tmp_path: Path) -> None:
    """A session that was begun before is neither lost nor continued meanwhile."""
    async with in_process_registry(scratch_settings(tmp_path / "data")) as registry:
        begun = await registry.client.request("POST", f"/v2/{NAME}/blobs/uploads/")
    location = begun.headers["location"]
    async with in_process_registry(scratch_settings(tmp_path / "data", **_READ_ONLY)) as registry:
        assert (await registry.client.request("PATCH", location, {}, [LAYER])).status == 405
    async with in_process_registry(scratch_settings(tmp_path / "data")) as registry:
        appended = await registry.client.request("PATCH", location, {}, [LAYER])
        target = f"{appended.headers['location']}?digest={Digest.of_bytes(LAYER)}"
        assert (await registry.client.request("PUT", target, {"Content-Length": "0"})).status == 201


async def test_s12_a_stranger_is_refused_before_the_mode_is_told(tmp_path: Path) -> None:
    """Who may not write anyway learns nothing of the mode: 403, not 405."""
    async with in_process_registry(scratch_settings(tmp_path / "data", **_READ_ONLY)) as registry:
        reply = await registry.client.request(
            "DELETE", f"/v2/{NAME}/manifests/v1", {"X-Forwarded-For": "203.0.113.7"}
        )

    assert (reply.status, reply.error_code()) == (403, "DENIED")
