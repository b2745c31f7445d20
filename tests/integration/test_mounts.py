"""Cross-repository mounts: two grants, a live blob, and otherwise an upload that tells nothing (S3, S6)."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from entrepot.auth.errors import AccessDeniedError
from entrepot.auth.grants import Action, Grant, Pull
from entrepot.bootstrap import build_distribution
from entrepot.oci.digest import Digest
from entrepot.settings import metadata_path
from tests.asgi.client import AsgiClient, AsgiReply
from tests.asgi.identity import KeptNotes
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.auth.grants import Authorizer, RegistryGrant
    from entrepot.auth.principals import Principal
    from entrepot.oci.names import RepositoryName

_BLOB = b"layer" * 20_000
_DIGEST = Digest.of_bytes(_BLOB)
_ABSENT = Digest.of_bytes(b"nobody has this")
_TARGET = "/v2/team/target/blobs"

A = TypeVar("A", bound=Action)


class NoPullFrom:
    """The registry's own authorizer, but nobody may pull from these repositories."""

    def __init__(self, inner: Authorizer, closed: set[str]) -> None:
        self._inner = inner
        self._closed = closed

    async def authorize(self, principal: Principal, action: type[A], repository: RepositoryName) -> Grant[A]:
        """Refuse pulls from closed repositories."""
        if action is Pull and repository.text in self._closed:
            raise AccessDeniedError(f"nobody may pull from {repository}")
        return await self._inner.authorize(principal, action, repository)

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    async def authorize_registry(self, principal: Principal) -> RegistryGrant:
        """Ask the inner one."""
        return await self._inner.authorize_registry(principal)


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """A registry whose repository `team/source` has the blob."""
    async with in_process_registry(scratch_settings(tmp_path / "data")) as registry:
        await _push(registry.client, "team/source")
        yield registry


async def _push(client: AsgiClient, repository: str) -> None:
    reply = await client.request("POST", f"/v2/{repository}/blobs/uploads/?digest={_DIGEST}", {}, [_BLOB])
    assert reply.status == 201


async def _mount(client: AsgiClient, query: str) -> AsgiReply:
    return await client.request("POST", f"{_TARGET}/uploads/?{query}", {"Content-Length": "0"})


def _closed_to(registry: InProcessRegistry, *closed: str) -> AsgiClient:
    """Return a client of a registry that lets nobody pull from `closed`."""
    guarded = NoPullFrom(registry.services.authorizer, set(closed))
    services = replace(registry.services, authorizer=guarded)  # type: ignore[arg-type]  # delegates what it lacks
    return AsgiClient(build_distribution(registry.settings, services))


@pytest.mark.parametrize("query", ["from=team/source", "from=team/source&origin=registry.example", ""])
async def test_a_blob_is_mounted_and_pulled(registry: InProcessRegistry, query: str) -> None:
    """201 with Location and digest, with `from` or without; the target then serves the blob."""
    reply = await _mount(registry.client, f"mount={_DIGEST}&{query}")

    assert (reply.status, reply.headers["docker-content-digest"]) == (201, str(_DIGEST))
    pulled = await registry.client.request("GET", reply.headers["location"])
    assert (pulled.status, pulled.body) == (200, _BLOB)


async def test_a_mount_copies_no_bytes_and_costs_one_commit(registry: InProcessRegistry) -> None:
    """One read, one unit; no file is written."""
    registry.counts.reset()

    assert (await _mount(registry.client, f"mount={_DIGEST}&from=team/source")).status == 201

    counts = registry.counts
    assert (counts.commits, counts.data_syncs, counts.directory_syncs) == (1, 0, 0)
    assert len(counts.statements) <= 10  # two of them records: of the mount and of the repository it makes


@pytest.mark.parametrize("query", ["&from=base/source", ""])
async def test_a_mount_tells_the_source_s_project_what_left_it(
    registry: InProcessRegistry, query: str
) -> None:
    """Layers that go into another project are pulled from this one: its log says by whom, not where they went (S19).

    Nothing of its records names the target, neither what lists show nor what is sealed; the request's id leads to both.
    """
    blob = b"another layer"
    digest = Digest.of_bytes(blob)
    begun = await registry.client.request(
        "POST", f"/v2/base/source/blobs/uploads/?digest={digest}", {}, [blob]
    )
    assert begun.status == 201
    last = _rows(registry, "SELECT max(id) FROM audit_records")[0][0]
    registry.counts.reset()

    for _ in range(2):
        assert (await _mount(registry.client, f"mount={digest}{query}")).status == 201

    found = _rows(registry, f"SELECT action, project, body FROM audit_records WHERE id > {last} ORDER BY id")
    told = [(action, project, json.loads(body)) for action, project, body in found]
    pulled = [body for action, project, body in told if (action, project) == ("blob.pull", "base")]
    assert [action for action, *_ in told if action != "repository.create"] == ["blob.mount", "blob.pull"] * 2
    assert [(one["object"]["name"], one["object"]["digest"]) for one in pulled] == [
        ("base/source", str(digest))
    ] * 2
    departures = _rows(registry, f"SELECT * FROM audit_records WHERE id > {last} AND action = 'blob.pull'")
    assert len(departures) == 2
    assert not [row for row in departures if "target" in repr(row)]
    assert {(one["url.path"], one["http.request.method"]) for one in pulled} == {("", "POST")}
    mounted = [body for action, _, body in told if action == "blob.mount"]
    assert {one["url.path"] for one in mounted} == {f"{_TARGET}/uploads/"}
    assert [one["change"]["after"] for one in mounted] == [{"from": "base/source"}] * 2
    assert [one["http.request.id"] for one in pulled] == [one["http.request.id"] for one in mounted]
    assert len({one["http.request.id"] for one in pulled}) == 2
    assert {one["user.id"] for one in pulled} == {body["user.id"] for _, _, body in told}
    assert registry.counts.commits == 2


async def test_a_mount_within_a_project_is_one_record(registry: InProcessRegistry) -> None:
    assert (await _mount(registry.client, f"mount={_DIGEST}&from=team/source")).status == 201

    assert _rows(registry, "SELECT count(*) FROM audit_records WHERE action = 'blob.pull'") == [(0,)]


async def test_a_mount_may_be_repeated(registry: InProcessRegistry) -> None:
    """What the target has already is 201 again, from anywhere, and is recorded once."""
    for query in ("from=team/source", "from=team/source", "from=no/such", ""):
        assert (await _mount(registry.client, f"mount={_DIGEST}&{query}")).status == 201

    facts = _rows(
        registry, "SELECT count(*) FROM outbox WHERE kind = 'blob.linked' AND repository = 'team/target'"
    )
    assert facts == [(1,)]


async def test_s6_what_may_not_be_pulled_is_not_mounted(registry: InProcessRegistry) -> None:
    """Without the right to pull from the source: 202, the same whether or not blob or source exist (S6, S3)."""
    client = _closed_to(registry, "team/source", "team/empty")
    await registry.client.request("POST", "/v2/team/empty/blobs/uploads/")

    replies = [
        await _mount(client, f"mount={digest}&from={source}")
        for digest in (_DIGEST, _ABSENT)
        for source in ("team/source", "team/empty", "no/such")
    ]
    replies += [await _mount(client, f"mount={digest}") for digest in (_DIGEST, _ABSENT)]

    assert {reply.status for reply in replies} == {202}
    assert {(tuple(sorted(reply.headers)), reply.headers["range"], reply.body) for reply in replies} == {
        (tuple(sorted(replies[0].headers)), "0-0", b"")
    }
    assert (await registry.client.request("HEAD", f"{_TARGET}/{_DIGEST}")).status == 404


async def test_a_mount_from_where_one_may_not_pull_is_on_record_as_a_refused_pull_i11_s19(
    registry: InProcessRegistry,
) -> None:
    """In the log of the source's project, which is not told of the target; answered with 202 as before."""
    notes, guarded = KeptNotes(), NoPullFrom(registry.services.authorizer, {"base/closed"})
    services = replace(registry.services, authorizer=guarded, notes=notes)  # type: ignore[arg-type]  # delegates
    client = AsgiClient(build_distribution(registry.settings, services))

    asked = (f"mount={_DIGEST}&from=base/closed", f"mount={_DIGEST}&from=team/source", f"mount={_ABSENT}")
    statuses = [
        (await _mount(client, query)).status for query in (*asked, f"mount={_ABSENT}&from=base/closed")
    ]

    assert statuses == [202, 201, 202, 202]
    bodies = [json.loads(note.body) for note in notes.records]
    assert [(note.action, note.outcome, note.project, note.object_name) for note in notes.records] == [
        ("access.denied", "failure", "base", "base/closed")
    ] * 2
    assert [body["object"]["digest"] for body in bodies] == [str(_DIGEST), str(_ABSENT)]
    assert {
        (body["http.response.status_code"], body["url.path"], body["event.reason"]) for body in bodies
    } == {(202, "", "nobody may pull from base/closed")}
    assert all(body["http.request.id"] for body in bodies)
    assert "target" not in repr(notes.records)


async def test_s6_a_mount_without_a_source_uses_one_that_may_be_pulled(registry: InProcessRegistry) -> None:
    """Of several repositories with the blob the caller's own right decides (S6)."""
    await _push(registry.client, "team/open")

    client = _closed_to(registry, "team/source")

    assert (await _mount(client, f"mount={_DIGEST}")).status == 201
    (linked,) = _rows(registry, "SELECT count(*) FROM repository_blobs")
    assert linked == (3,)


async def test_a_mount_that_is_not_possible_becomes_an_upload(registry: InProcessRegistry) -> None:
    """202 and a session that takes the blob; a source whose name is no name counts as one that does not exist."""
    for source in ("team/other", "No/Name", "..", ""):
        assert (await _mount(registry.client, f"mount={_ABSENT}&from={source}")).status == 202

    reply = await _mount(registry.client, f"mount={_ABSENT}&from=team/source")
    body = b"nobody has this"
    put = f"{reply.headers['location']}?digest={_ABSENT}"
    assert (await registry.client.request("PUT", put, {}, [body])).status == 201


@pytest.mark.parametrize(
    "digest", ["", "sha256:abc", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:../../etc"]
)
async def test_s33_a_malformed_digest_is_refused(registry: InProcessRegistry, digest: str) -> None:
    """400 DIGEST_INVALID before anything is looked up (S33); the upload would be refused as well."""
    reply = await _mount(registry.client, f"mount={digest}&from=team/source")

    assert (reply.status, reply.error_code()) == (400, "DIGEST_INVALID")


async def test_a_condemned_blob_is_not_mounted(registry: InProcessRegistry) -> None:
    """What is on its way out is not revived by a mount: the client uploads, and that revives it (architecture 6)."""
    _rows(registry, "UPDATE blobs SET state = 'condemned', condemned_at = 1")

    for query in (f"mount={_DIGEST}&from=team/source", f"mount={_DIGEST}"):
        assert (await _mount(registry.client, query)).status == 202
    assert _rows(registry, "SELECT state FROM blobs") == [("condemned",)]


async def test_a_mount_that_fails_may_bring_its_bytes(registry: InProcessRegistry) -> None:
    """POST with mount, digest and body: what can't be mounted is stored."""
    body = b"nobody has this"
    target = f"{_TARGET}/uploads/?mount={_ABSENT}&from=team/source&digest={_ABSENT}"

    assert (
        await registry.client.request("POST", target, {"Content-Length": str(len(body))}, [body])
    ).status == 201


def _rows(registry: InProcessRegistry, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(metadata_path(registry.settings), isolation_level=None)) as database:
        return database.execute(sql).fetchall()
