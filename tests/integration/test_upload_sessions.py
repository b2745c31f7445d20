"""Upload sessions over the real embedded stores: continued, interrupted, repeated, contested, by one node or two."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from entrepot.auth.grants import Grant, Push
from entrepot.auth.principals import ANONYMOUS, Principal
from entrepot.kernel.node_id import read_or_create_node_id
from entrepot.kernel.process_identity import ProcessIdentity
from entrepot.metadata.records import UploadLease
from entrepot.oci.digest import Digest
from entrepot.oci.names import RepositoryName
from entrepot.settings import storage_root
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.metadata.store import Transaction
    from tests.asgi.client import AsgiClient, AsgiReply

_UPLOADS = "/v2/team/app/blobs/uploads/"
_BLOB = bytes(range(256)) * 2000
_DIGEST = Digest.of_bytes(_BLOB)


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """A node on an empty directory."""
    async with in_process_registry(scratch_settings(tmp_path / "data")) as registry:
        yield registry


@pytest.fixture
async def neighbour(registry: InProcessRegistry) -> AsyncIterator[InProcessRegistry]:
    """A second node on the same stores; it shares no memory with the first."""
    async with in_process_registry(registry.settings) as neighbour:
        yield neighbour


async def _begin(client: AsgiClient) -> str:
    reply = await client.request("POST", _UPLOADS)
    assert reply.status == 202
    return reply.headers["location"]


async def _finish(client: AsgiClient, session: str, digest: Digest = _DIGEST, body: bytes = b"") -> AsgiReply:
    return await client.request(
        "PUT", f"{session}?digest={digest}", {"Content-Length": str(len(body))}, [body]
    )


async def _pull(client: AsgiClient, digest: Digest = _DIGEST) -> AsgiReply:
    return await client.request("GET", f"/v2/team/app/blobs/{digest}")


async def test_i3_a_blob_in_many_chunks_is_what_was_sent(registry: InProcessRegistry) -> None:
    """Any split over PATCH requests and the final PUT yields the same blob (I3)."""
    client = registry.client
    for cuts in ([], [1], [100_000, 200_000], [511_999]):
        session = await _begin(client)
        edges = [0, *cuts, len(_BLOB)]
        pieces = [_BLOB[start:end] for start, end in itertools.pairwise(edges)]
        for piece in pieces[:-1]:
            assert (await client.request("PATCH", session, {}, [piece])).status == 202
        assert (await _finish(client, session, body=pieces[-1])).status == 201

    assert (await _pull(client)).body == _BLOB


async def test_a_session_goes_from_node_to_node(
    registry: InProcessRegistry, neighbour: InProcessRegistry
) -> None:
    """Each request of an upload may reach another node; nothing node-local is needed."""
    session = await _begin(registry.client)
    for number, start in enumerate(range(0, len(_BLOB), 100_000)):
        client = (registry, neighbour)[number % 2].client
        reply = await client.request("PATCH", session, {}, [_BLOB[start : start + 100_000]])
        assert reply.status == 202

    assert (await _finish(neighbour.client, session)).status == 201
    assert (await _pull(registry.client)).body == _BLOB


async def test_one_patch_and_an_empty_put_on_another_node_read_nothing_again(
    registry: InProcessRegistry, neighbour: InProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digest of the usual client's only chunk travels in the session row."""
    session = await _begin(registry.client)
    await registry.client.request("PATCH", session, {}, [_BLOB])

    def refuse(*_: object) -> object:
        message = "the staged bytes were read again"
        raise AssertionError(message)

    monkeypatch.setattr(type(neighbour.stores.blobs), "read", refuse)
    assert (await _finish(neighbour.client, session)).status == 201


async def test_f44_an_interrupted_chunk_is_kept(registry: InProcessRegistry) -> None:
    """A client that vanishes in the middle finds what arrived, and continues there (F44)."""
    client = registry.client
    session = await _begin(client)
    await client.request("PATCH", session, {}, [_BLOB[:70_000], _BLOB[70_000:90_000]], vanish=True)

    status = await client.request("GET", session)
    assert (status.status, status.headers["range"]) == (204, "0-89999")

    headers = {"Content-Range": f"90000-{len(_BLOB) - 1}"}
    assert (await client.request("PATCH", session, headers, [_BLOB[90_000:]])).status == 202
    assert (await _finish(client, session)).status == 201


async def test_a_chunk_out_of_order_changes_nothing(registry: InProcessRegistry) -> None:
    """A gap or a repeated chunk is 416 with the range received so far; going on from there works (F35)."""
    client = registry.client
    session = await _begin(client)
    await client.request("PATCH", session, {"Content-Range": "0-99999"}, [_BLOB[:100_000]])
    for start in (0, 99_999, 100_001, 200_000):
        headers = {"Content-Range": f"{start}-{start + 9}"}
        reply = await client.request("PATCH", session, headers, [_BLOB[start : start + 10]])
        assert (reply.status, reply.headers["range"]) == (416, "0-99999")

    assert (await _finish(client, session, body=_BLOB[100_000:])).status == 201


@pytest.mark.parametrize("length", [None, "announced"])
async def test_a_body_that_does_not_fill_its_range_changes_nothing(
    registry: InProcessRegistry, length: str | None
) -> None:
    """400 SIZE_INVALID, with a Content-Length or without; the session stays where it was."""
    client = registry.client
    session = await _begin(client)
    for body in (b"short", b"x" * 101):
        headers = {"Content-Range": "0-99"} | ({"Content-Length": str(len(body))} if length else {})
        reply = await client.request("PATCH", session, headers, [body])
        assert (reply.status, reply.error_code()) == (400, "SIZE_INVALID")

    assert (await _finish(client, session, body=_BLOB)).status == 201


async def test_a_wrong_digest_ends_the_session_and_leaves_nothing(registry: InProcessRegistry) -> None:
    """400 DIGEST_INVALID: no blob, no session, no staged bytes."""
    client = registry.client
    session = await _begin(client)
    await client.request("PATCH", session, {}, [_BLOB])
    reply = await _finish(client, session, Digest.of_bytes(b"something else"))

    assert (reply.status, reply.error_code()) == (400, "DIGEST_INVALID")
    assert (await client.request("GET", session)).status == 404
    assert (await _pull(client)).status == 404
    assert [path for path in storage_root(registry.settings).rglob("*") if path.is_file()] == []


async def test_f35_the_final_put_may_be_repeated(registry: InProcessRegistry) -> None:
    """A replay after a lost reply is 201 again (F35)."""
    session = await _begin(registry.client)
    assert (await _finish(registry.client, session, body=_BLOB)).status == 201
    assert (await _finish(registry.client, session)).status == 201


async def test_f35_two_final_puts_at_once_make_one_blob(
    registry: InProcessRegistry, neighbour: InProcessRegistry
) -> None:
    """On two nodes at the same moment: one wins, the other succeeds too or is told to ask again (F35)."""
    session = await _begin(registry.client)
    await registry.client.request("PATCH", session, {}, [_BLOB])
    replies = await asyncio.gather(_finish(registry.client, session), _finish(neighbour.client, session))

    assert {reply.status for reply in replies} <= {201, 409}
    assert 201 in {reply.status for reply in replies}
    assert (await _finish(registry.client, session)).status == 201
    files = [path for path in (storage_root(registry.settings) / "blobs").rglob("*") if path.is_file()]
    assert len(files) == 1


async def test_f36_many_pushers_of_one_digest_leave_one_copy(
    registry: InProcessRegistry, neighbour: InProcessRegistry
) -> None:
    """Fifty uploads of the same bytes over two nodes: all succeed, one file remains (F36)."""

    async def push(number: int) -> int:
        client = (registry, neighbour)[number % 2].client
        return (await _finish(client, await _begin(client), body=_BLOB)).status

    assert set(await asyncio.gather(*(push(number) for number in range(50)))) == {201}
    files = [path for path in (storage_root(registry.settings) / "blobs").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in files] == [_BLOB]


async def test_s5_a_session_belongs_to_its_repository(registry: InProcessRegistry) -> None:
    """Under another repository's name the session does not exist, and goes on unharmed (S5)."""
    client = registry.client
    session = await _begin(client)
    foreign = session.replace("team/app", "team/other")
    for method in ("GET", "PATCH"):
        assert (await client.request(method, foreign)).status == 404
    assert (await _finish(client, foreign)).status == 404

    assert (await _finish(client, session, body=_BLOB)).status == 201


async def test_a_busy_session_is_a_conflict(registry: InProcessRegistry) -> None:
    """While one request writes, another is told so and disturbs nothing."""
    client = registry.client
    session = await _begin(client)
    writing, finish = asyncio.Event(), asyncio.Event()

    async def slow_body() -> AsyncIterator[bytes]:
        yield _BLOB[:100]
        writing.set()
        await finish.wait()
        yield _BLOB[100:]

    grant = Grant(Push, RepositoryName.parse("team/app"), Principal(ANONYMOUS, "127.0.0.1", forwarded=False))
    first = asyncio.create_task(
        registry.services.uploads.append(grant, session.rsplit("/", 1)[1], None, slow_body())
    )
    await writing.wait()
    reply = await client.request("PATCH", session, {}, [b"intruder"])
    assert (reply.status, reply.error_code()) == (409, "BLOB_UPLOAD_INVALID")

    finish.set()
    assert await first == len(_BLOB)
    assert (await _finish(client, session)).status == 201


async def test_sha512_is_hashed_at_the_end(registry: InProcessRegistry) -> None:
    """A digest in another algorithm than the session's is verified by one pass over the staged bytes."""
    client = registry.client
    digest = Digest.of_bytes(_BLOB, "sha512")
    session = await _begin(client)
    await client.request("PATCH", session, {}, [_BLOB])
    assert (await _finish(client, session, digest)).status == 201

    pulled = await _pull(client, digest)
    assert (pulled.body, pulled.headers["docker-content-digest"]) == (_BLOB, str(digest))


async def test_a_whole_blob_in_one_post(registry: InProcessRegistry) -> None:
    """POST with the digest stores the blob without a session; a wrong digest stores nothing."""
    client = registry.client
    wrong = await client.request("POST", f"{_UPLOADS}?digest={Digest.of_bytes(b'x')}", {}, [_BLOB])
    assert (wrong.status, wrong.error_code()) == (400, "DIGEST_INVALID")
    assert [path for path in storage_root(registry.settings).rglob("*") if path.is_file()] == []

    assert (await client.request("POST", f"{_UPLOADS}?digest={_DIGEST}", {}, [_BLOB])).status == 201
    assert (await _pull(client)).body == _BLOB


async def test_f12_a_blob_whose_file_is_damaged_is_not_served(registry: InProcessRegistry) -> None:
    """Missing, shorter or longer than pushed: 500, never a full 200 with other bytes (F12, I3)."""
    client = registry.client
    assert (await _finish(client, await _begin(client), body=_BLOB)).status == 201
    (file,) = [path for path in (storage_root(registry.settings) / "blobs").rglob("*") if path.is_file()]
    for damage in (_BLOB[:-1], _BLOB + b"x", None):
        with contextlib.suppress(FileNotFoundError):
            file.unlink()
        if damage is not None:
            file.write_bytes(damage)
        assert (await _pull(client)).status == 500


async def test_f11_a_small_blob_with_a_flipped_bit_is_not_served(registry: InProcessRegistry) -> None:
    """Up to 64 KiB the bytes are hashed before they are sent (F11)."""
    client = registry.client
    small = b"configuration"
    digest = Digest.of_bytes(small)
    assert (await _finish(client, await _begin(client), digest, small)).status == 201
    (file,) = [path for path in (storage_root(registry.settings) / "blobs").rglob("*") if path.is_file()]
    file.write_bytes(b"configuratiom")

    assert (await _pull(client, digest)).status == 500


async def test_an_empty_blob_is_a_blob(registry: InProcessRegistry) -> None:
    """Zero bytes can be pushed and pulled."""
    client = registry.client
    digest = Digest.of_bytes(b"")
    assert (await _finish(client, await _begin(client), digest)).status == 201
    pulled = await _pull(client, digest)

    assert (pulled.status, pulled.body, pulled.headers["content-length"]) == (200, b"", "0")


async def test_s3_a_blob_of_another_repository_is_unknown(registry: InProcessRegistry) -> None:
    """De-duplication is no way to read what one has no link to (S3)."""
    client = registry.client
    assert (await _finish(client, await _begin(client), body=_BLOB)).status == 201
    await client.request("POST", "/v2/team/other/blobs/uploads/")

    for method in ("GET", "HEAD"):
        reply = await client.request(method, f"/v2/team/other/blobs/{_DIGEST}")
        assert reply.status == 404


async def test_f1_a_dead_process_does_not_keep_its_lease(registry: InProcessRegistry) -> None:
    """A process that starts gives back what its dead predecessor held; the client goes on at once (F1)."""
    client = registry.client
    session = await _begin(client)
    await _lease_as(registry, session, replace(ProcessIdentity.of_this_process(_node(registry)), started=1))
    assert (await client.request("PATCH", session, {}, [_BLOB])).status == 409

    async with in_process_registry(registry.settings) as successor:
        assert (await successor.client.request("PATCH", session, {}, [_BLOB])).status == 202


async def test_f40_a_living_process_keeps_its_lease(registry: InProcessRegistry) -> None:
    """A process that starts beside one that drains leaves that one's uploads alone (F40)."""
    client = registry.client
    session = await _begin(client)
    await _lease_as(registry, session, ProcessIdentity.of_this_process(_node(registry)))

    async with in_process_registry(registry.settings) as successor:
        assert (await successor.client.request("PATCH", session, {}, [_BLOB])).status == 409


def _node(registry: InProcessRegistry) -> str:
    return read_or_create_node_id(registry.settings.data.directory)


async def _lease_as(registry: InProcessRegistry, session: str, owner: ProcessIdentity) -> None:
    async def unit(tx: Transaction) -> object:
        return await tx.upload_sessions.lease(
            "team/app", session.rsplit("/", 1)[1], ANONYMOUS, str(owner), 3600
        )

    assert isinstance(await registry.stores.metadata.write(unit), UploadLease)
