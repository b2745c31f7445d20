"""Imports from a running registry that pages, demands logins, breaks off, redirects and lies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from yarl import URL

from entrepot.oci.digest import Digest
from entrepot.transfer.errors import SourceUnavailableError, SourceUnusableError
from entrepot.transfer.remote.connection import ConnectionOptions
from entrepot.transfer.remote.credentials import Credentials
from entrepot.transfer.remote.registry import RemoteRegistry
from entrepot.transfer.selection import Selection
from tests.asgi.services import in_process_registry, scratch_settings
from tests.asgi.small_images import CONFIG, INDEX_TYPE, LAYER, MANIFEST_TYPE, descriptor, image, index
from tests.integration.importing import import_from
from tests.integration.scripted_registry import PASSWORD, USER, ScriptedRegistry, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.transfer.importing import ImportOptions
    from entrepot.transfer.report import ImportReport
    from tests.asgi.services import InProcessRegistry

LARGE = bytes(range(256)) * 4096  # 1 MiB
LOGIN = Credentials(USER, PASSWORD)


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """An empty registry."""
    async with in_process_registry(scratch_settings(tmp_path / "data")) as opened:
        yield opened


@pytest.fixture
async def remote() -> AsyncIterator[ScriptedRegistry]:
    """A registry with an image of a large layer."""
    made = ScriptedRegistry()
    body = image(layers=[descriptor(LARGE, "application/vnd.oci.image.layer.v1.tar")])
    made.add_image("team/app", body, MANIFEST_TYPE, "v1", blobs=(CONFIG, LARGE))
    async with running(made) as served:
        yield served


async def import_remote(
    remote: ScriptedRegistry,
    registry: InProcessRegistry,
    credentials: Credentials | None = None,
    selection: Selection | None = None,
    options: ImportOptions | None = None,
    token_hosts: frozenset[str] = frozenset(),
) -> ImportReport:
    """Import without patience."""
    connection = ConnectionOptions(credentials, token_hosts=token_hosts, first_pause_seconds=0.001)
    return await import_from(RemoteRegistry(URL(remote.url), connection), registry, selection, options)


async def stored_layer(registry: InProcessRegistry) -> bytes | None:
    """Return the large layer as it can be pulled."""
    path = await registry.client.request("GET", f"/v2/team/app/blobs/{Digest.of_bytes(LARGE)}")
    return path.body if path.status == 200 else None


async def test_catalog_and_tags_are_read_page_by_page(registry: InProcessRegistry) -> None:
    """Every repository and tag beyond the first page arrives; an index with its child and its referrer too."""
    made = ScriptedRegistry()
    for name in ("a", "b", "c", "team/d", "team/e"):
        tags = [f"v{number}" for number in range(5)]
        made.add_image(name, image(), MANIFEST_TYPE, *tags, blobs=(CONFIG, LAYER))
    made.add_image("a", index(image()), INDEX_TYPE, "multi")
    signature = image(subject=descriptor(image(), MANIFEST_TYPE), artifactType="test/signature")
    made.add_image("a", signature, MANIFEST_TYPE)
    made.referrers[f"a@{Digest.of_bytes(image())}"] = json.dumps(
        {"manifests": [descriptor(signature, MANIFEST_TYPE)]}
    ).encode()
    async with running(made) as remote:
        report = await import_remote(remote, registry)

    assert report.problems == []
    assert report.differences == []
    assert (report.repositories, report.tags_set) == (5, 26)
    for path in ("a/manifests/multi", "team/e/manifests/v4", f"a/manifests/{Digest.of_bytes(signature)}"):
        assert (await registry.client.request("GET", f"/v2/{path}")).status == 200


async def test_a_second_import_asks_for_heads_and_reads_no_content(
    remote: ScriptedRegistry, registry: InProcessRegistry
) -> None:
    """What is here is known by its digest."""
    await import_remote(remote, registry)
    remote.seen.clear()

    report = await import_remote(remote, registry)

    assert (report.stored_bytes, report.tags_present) == (0, 1)
    asked = {(one.method, one.path.split("?")[0].rsplit("/", 2)[-2]) for one in remote.seen}
    assert asked == {("GET", "v2"), ("GET", "tags"), ("HEAD", "manifests"), ("GET", "referrers")}


@pytest.mark.parametrize("ignores_ranges", [False, True])
async def test_a_broken_blob_goes_on_where_it_broke(
    remote: ScriptedRegistry, registry: InProcessRegistry, ignores_ranges: bool
) -> None:
    """Each interruption asks for the rest only; a server that sends it all again is read past what is there."""
    remote.break_after, remote.ignores_ranges = 300_000, ignores_ranges
    remote.breaks = 1 if ignores_ranges else 1000

    report = await import_remote(remote, registry)

    assert report.is_complete
    assert await stored_layer(registry) == LARGE
    ranges = [one.range for one in remote.seen if one.range is not None]
    assert ranges
    assert all(int(one.removeprefix("bytes=").removesuffix("-")) > 0 for one in ranges)


async def test_overload_is_waited_out(remote: ScriptedRegistry, registry: InProcessRegistry) -> None:
    """429 with Retry-After is no failure; without end it is one that says to run the import again."""
    remote.overloaded = 3
    assert (await import_remote(remote, registry)).is_complete
    remote.overloaded = 1000

    with pytest.raises(SourceUnavailableError, match="429"):
        await import_remote(remote, registry)


async def test_s30_other_bytes_under_a_digest_are_not_kept(
    remote: ScriptedRegistry, registry: InProcessRegistry
) -> None:
    """The image is reported, nothing of the blob stays, and the next honest import works (S30)."""
    remote.lies = True
    report = await import_remote(remote, registry)

    assert "hashes to" in report.problems[0].reason
    assert [found async for found in registry.stores.blobs.list_objects("uploads/")] == []
    remote.lies = False
    assert (await import_remote(remote, registry)).is_complete
    assert await stored_layer(registry) == LARGE


@pytest.mark.parametrize("login", ["basic", "bearer"])
async def test_logins(remote: ScriptedRegistry, registry: InProcessRegistry, login: str) -> None:
    """Basic is repeated without being asked again; a token is had once for each scope."""
    remote.login = login  # type: ignore[assignment]  # a parameter

    report = await import_remote(remote, registry, LOGIN)

    assert report.is_complete
    tokens = [one for one in remote.seen if one.path.startswith("/token")]
    assert len(tokens) == (0 if login == "basic" else 2)
    assert await stored_layer(registry) == LARGE


async def test_without_a_login_it_is_said_how_to_give_one(
    remote: ScriptedRegistry, registry: InProcessRegistry
) -> None:
    """The catalog can't be read, which ends the import; a named repository is reported."""
    remote.login = "basic"
    with pytest.raises(SourceUnusableError, match="--repository"):
        await import_remote(remote, registry)

    report = await import_remote(remote, registry, selection=Selection(repositories=("team/app",)))

    assert "--password-file" in report.problems[0].reason


async def test_s29_a_login_is_not_sent_to_a_realm_of_another_domain(
    remote: ScriptedRegistry, registry: InProcessRegistry
) -> None:
    """Nothing at all reaches the other server, unless its host was allowed (S29)."""
    async with running(ScriptedRegistry(), host="127.0.0.2") as other:
        remote.login, remote.realm = "bearer", f"{other.url}/token"
        with pytest.raises(SourceUnusableError, match=r"--token-host 127\.0\.0\.2"):
            await import_remote(remote, registry, LOGIN, selection=Selection(repositories=("team/app",)))
        assert other.seen == []

        report = await import_remote(remote, registry, LOGIN, token_hosts=frozenset({"127.0.0.2"}))

        assert report.is_complete
        assert {one.path.split("?")[0] for one in other.seen} == {"/token"}


@pytest.mark.parametrize("login", ["basic", "bearer"])
async def test_s29_a_redirect_to_another_server_carries_no_login(
    remote: ScriptedRegistry, registry: InProcessRegistry, login: str
) -> None:
    """Blobs come from where they lie; what proves who we are stays with the registry (S29, T18)."""
    async with running(ScriptedRegistry(blobs=dict(remote.blobs)), host="127.0.0.2") as other:
        remote.login = login  # type: ignore[assignment]  # a parameter
        remote.redirect_blobs_to = other.url

        report = await import_remote(remote, registry, LOGIN)

        assert report.is_complete
        assert {one.authorization for one in other.seen} == {None}
        assert len(other.seen) == 2
    assert await stored_layer(registry) == LARGE


async def test_a_next_page_on_another_server_is_not_read(registry: InProcessRegistry) -> None:
    """A list of tags can't lead elsewhere; the repository is reported."""
    made = ScriptedRegistry()
    made.add_image("a", image(), MANIFEST_TYPE, "v1", "v2", "v3", blobs=(CONFIG, LAYER))
    async with running(made) as remote, running(ScriptedRegistry(), host="127.0.0.2") as other:
        made.pages_at = other.url

        report = await import_remote(remote, registry, selection=Selection(repositories=("a",)))

        assert "another server" in report.problems[0].reason
        assert other.seen == []


async def test_one_image_that_a_server_fails_at_costs_only_itself(
    remote: ScriptedRegistry, registry: InProcessRegistry
) -> None:
    """Status 500 for a damaged image is reported after a few attempts; the others arrive."""
    remote.add_image("team/app", image(), MANIFEST_TYPE, "bad", blobs=(LAYER,))
    remote.broken = str(Digest.of_bytes(LAYER))

    report = await import_remote(remote, registry)

    assert [one.reference for one in report.problems] == ["bad"]
    assert "500" in report.problems[0].reason
    assert await stored_layer(registry) == LARGE


async def test_a_proxy_that_the_environment_names_is_used(
    remote: ScriptedRegistry, registry: InProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry that can't be reached otherwise is; hosts of NO_PROXY are asked directly."""
    monkeypatch.setenv("http_proxy", remote.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    connection = ConnectionOptions(first_pause_seconds=0.001)

    report = await import_from(RemoteRegistry(URL("http://registry.invalid/"), connection), registry)

    assert report.is_complete
    assert await stored_layer(registry) == LARGE
    assert (await import_remote(remote, registry)).is_complete
