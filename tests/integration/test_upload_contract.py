"""What a client may count on when it repeats, reorders, cancels and resumes uploads (F1, F35, F44, S5)."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from entrepot.auth.grants import Grant, Push
from entrepot.auth.principals import ANONYMOUS, Principal
from entrepot.blobstore.driver import UploadReference
from entrepot.blobstore.errors import UploadBusyError
from entrepot.oci.digest import Digest
from entrepot.oci.names import RepositoryName
from entrepot.settings import metadata_path, storage_root
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.metadata.store import Transaction
    from tests.asgi.client import AsgiReply

_UPLOADS = "/v2/team/app/blobs/uploads/"
_BLOB = bytes(range(256)) * 2000
_DIGEST = Digest.of_bytes(_BLOB)
_NOTHING = {"Content-Length": "0"}
_GRANT = Grant(Push, RepositoryName.parse("team/app"), Principal(ANONYMOUS, "127.0.0.1", forwarded=False))


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """A node on an empty directory."""
    async with in_process_registry(scratch_settings(tmp_path / "data")) as registry:
        yield registry


async def _begin(registry: InProcessRegistry, query: str = "") -> str:
    reply = await registry.client.request("POST", _UPLOADS + query, _NOTHING)
    assert reply.status == 202
    return reply.headers["location"]


async def _patch(
    registry: InProcessRegistry, session: str, body: bytes, start: int | None = None
) -> AsgiReply:
    headers = {} if start is None else {"Content-Range": f"{start}-{start + len(body) - 1}"}
    return await registry.client.request("PATCH", session, headers, [body])


async def _put(
    registry: InProcessRegistry, session: str, digest: Digest = _DIGEST, body: bytes = b""
) -> AsgiReply:
    return await registry.client.request(
        "PUT", f"{session}?digest={digest}", {"Content-Length": str(len(body))}, [body]
    )


def _files(registry: InProcessRegistry, area: str = "") -> list[Path]:
    return [path for path in (storage_root(registry.settings) / area).rglob("*") if path.is_file()]


def _query(registry: InProcessRegistry, sql: str) -> list[Any]:
    with closing(sqlite3.connect(metadata_path(registry.settings), isolation_level=None)) as database:
        return database.execute(sql).fetchall()


async def test_a_cancelled_upload_is_gone(registry: InProcessRegistry) -> None:
    """DELETE: 204, the bytes go, and whatever comes after it is 404."""
    session = await _begin(registry)
    await _patch(registry, session, _BLOB)

    reply = await registry.client.request("DELETE", session)

    assert (reply.status, reply.body) == (204, b"")
    assert _files(registry) == []
    assert _query(registry, "SELECT count(*) FROM upload_sessions") == [(0,)]
    for method in ("DELETE", "GET", "PATCH"):
        reply = await registry.client.request(method, session)
        assert (reply.status, reply.error_code()) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert (await _put(registry, session)).status == 404


async def test_an_upload_that_is_being_written_is_not_cancelled(registry: InProcessRegistry) -> None:
    """409 while another request holds it; the writer is not disturbed, and cancelling works afterwards (F35)."""
    session = await _begin(registry)
    writing, go_on = asyncio.Event(), asyncio.Event()

    async def slow_body() -> AsyncIterator[bytes]:
        yield b"first"
        writing.set()
        await go_on.wait()
        yield b"second"

    name = session.rpartition("/")[2]
    first = asyncio.create_task(registry.services.uploads.append(_GRANT, name, None, slow_body()))
    await writing.wait()
    assert (await registry.client.request("DELETE", session)).status == 409
    go_on.set()

    assert await first == len(b"firstsecond")
    assert (await registry.client.request("DELETE", session)).status == 204


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
async def test_s5_nobody_else_reaches_an_upload(registry: InProcessRegistry, method: str) -> None:
    """Under another repository or for another person it does not exist, and it is finished unharmed (S5)."""
    session = await _begin(registry)
    await _patch(registry, session, _BLOB[:1000])
    await registry.client.request("POST", "/v2/team/other/blobs/uploads/")

    foreign = session.replace("team/app", "team/other")
    assert (await registry.client.request(method, f"{foreign}?digest={_DIGEST}", {}, [b"x"])).status == 404
    _query(registry, "UPDATE upload_sessions SET creator = 'somebody'")
    assert (await registry.client.request(method, f"{session}?digest={_DIGEST}", {}, [b"x"])).status == 404
    _query(registry, f"UPDATE upload_sessions SET creator = '{ANONYMOUS}'")

    assert (await _put(registry, session, body=_BLOB[1000:])).status == 201


async def test_a_lost_reply_is_made_up_for(registry: InProcessRegistry) -> None:
    """PATCH again: 416 with where the upload stands and where to go on; GET says the same; then it continues (4.4)."""
    session = await _begin(registry)
    assert (await _patch(registry, session, _BLOB[:1000], 0)).status == 202

    again = await _patch(registry, session, _BLOB[:1000], 0)

    assert (again.status, again.error_code()) == (416, "RANGE_INVALID")
    assert (again.headers["range"], again.headers["location"]) == ("0-999", session)
    status = await registry.client.request("GET", again.headers["location"])
    assert (status.status, status.headers["range"], status.headers["location"]) == (204, "0-999", session)
    assert (await _patch(registry, session, _BLOB[1000:], 1000)).status == 202
    assert [(await _put(registry, session)).status for _ in range(2)] == [201, 201]


async def test_an_empty_chunk_changes_nothing(registry: InProcessRegistry) -> None:
    """PATCH without a byte: 202 and the same range, at the beginning and in the middle."""
    session = await _begin(registry)
    assert (await _patch(registry, session, b"")).headers["range"] == "0-0"
    await _patch(registry, session, _BLOB[:10])
    assert (await _patch(registry, session, b"")).headers["range"] == "0-9"

    assert (await _put(registry, session, body=_BLOB[10:])).status == 201


async def test_an_algorithm_that_is_announced_is_hashed_from_the_start(
    registry: InProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`digest-algorithm=sha512`, chunks, PUT with a sha512 digest: no byte is read again."""
    digest = Digest.of_bytes(_BLOB, "sha512")
    session = await _begin(registry, "?digest-algorithm=sha512")
    for start in range(0, len(_BLOB), 200_000):
        await _patch(registry, session, _BLOB[start : start + 200_000])

    def refuse(*_: object) -> object:
        message = "the staged bytes were read again"
        raise AssertionError(message)

    with monkeypatch.context() as without_reading:
        without_reading.setattr(type(registry.stores.blobs), "read", refuse)
        assert (await _put(registry, session, digest)).status == 201
    pulled = await registry.client.request("GET", f"/v2/team/app/blobs/{digest}")
    assert (pulled.body, pulled.headers["docker-content-digest"]) == (_BLOB, str(digest))


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "SHA512", "sha384", "", "sha256,sha512"])
async def test_an_unknown_algorithm_is_refused(registry: InProcessRegistry, algorithm: str) -> None:
    """400, and nothing is begun."""
    reply = await registry.client.request("POST", f"{_UPLOADS}?digest-algorithm={algorithm}", _NOTHING)

    assert (reply.status, reply.error_code()) == (400, "UNSUPPORTED")
    assert _query(registry, "SELECT count(*) FROM upload_sessions") == [(0,)]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_a_post_with_a_digest_and_no_body_begins_an_upload(
    registry: InProcessRegistry, algorithm: Any
) -> None:
    """A client that only wants to announce its digest gets a session; the empty blob is stored at once."""
    digest, empty = Digest.of_bytes(_BLOB, algorithm), Digest.of_bytes(b"", algorithm)
    session = await _begin(registry, f"?digest={digest}")
    assert (await _put(registry, session, digest, _BLOB)).status == 201

    reply = await registry.client.request("POST", f"{_UPLOADS}?digest={empty}", _NOTHING)
    assert (reply.status, reply.headers["docker-content-digest"]) == (201, str(empty))


async def test_the_advised_length_of_chunks_is_advice(registry: InProcessRegistry) -> None:
    """POST names a length; shorter chunks are taken all the same."""
    reply = await registry.client.request("POST", _UPLOADS, _NOTHING)
    assert int(reply.headers["oci-chunk-min-length"]) == registry.settings.uploads.write_step_bytes

    for start in range(0, 30, 10):
        assert (
            await _patch(registry, reply.headers["location"], _BLOB[start : start + 10], start)
        ).status == 202


async def test_i7_a_whole_blob_that_breaks_off_leaves_nothing(registry: InProcessRegistry) -> None:
    """POST with digest: neither a wrong digest nor a client that vanishes leaves a session or a byte (I7)."""
    target = f"{_UPLOADS}?digest={_DIGEST}"
    assert (await registry.client.request("POST", target, {}, [b"other bytes"])).status == 400
    await registry.client.request("POST", target, {}, [_BLOB[:1000]], vanish=True)

    assert _files(registry) == []
    assert _query(registry, "SELECT count(*) FROM upload_sessions") == [(0,)]


async def test_f1_a_blob_that_was_renamed_but_not_committed_is_finished_by_the_next_put(
    registry: InProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies between rename and commit: the PUT repeated is 201, and no byte is read or sent again (F1)."""
    session = await _begin(registry)
    await _patch(registry, session, _BLOB)
    await _publish_and_die(registry, session)
    assert [path.parent.name for path in _files(registry)] == [_DIGEST.hex]

    def refuse(*_: object) -> object:
        message = "the published bytes were read again"
        raise AssertionError(message)

    with monkeypatch.context() as without_reading:
        without_reading.setattr(type(registry.stores.blobs), "read", refuse)
        assert (await _put(registry, session)).status == 201
    assert (await registry.client.request("GET", f"/v2/team/app/blobs/{_DIGEST}")).body == _BLOB
    assert len(_files(registry, "blobs")) == 1


async def test_f1_the_last_chunk_sent_again_to_a_renamed_blob_is_not_needed(
    registry: InProcessRegistry,
) -> None:
    """The same when the PUT brought the last chunk: it comes once more, and the blob is what was verified."""
    session = await _begin(registry)
    await _patch(registry, session, _BLOB[:1000])
    await _publish_and_die(registry, session, _BLOB[1000:])

    assert (await _put(registry, session, body=_BLOB[1000:])).status == 201
    assert (await registry.client.request("GET", f"/v2/team/app/blobs/{_DIGEST}")).body == _BLOB


async def test_f1_another_digest_does_not_find_the_renamed_blob(registry: InProcessRegistry) -> None:
    """What was verified under one digest proves nothing of another: 404, and the client begins anew."""
    session = await _begin(registry)
    await _patch(registry, session, _BLOB)
    await _publish_and_die(registry, session)

    reply = await _put(registry, session, Digest.of_bytes(b"another"))

    assert (reply.status, reply.error_code()) == (404, "BLOB_UPLOAD_UNKNOWN")
    assert (await registry.client.request("GET", session)).status == 404


async def test_f30_a_publisher_that_still_lives_is_not_taken_over(registry: InProcessRegistry) -> None:
    """A process that was paused between rename and commit holds the file's lock: 409 until it is gone (F30)."""
    session = await _begin(registry)
    await _patch(registry, session, _BLOB)
    writer = await _publish_and_die(registry, session, close=False)

    assert (await _put(registry, session)).status == 409
    with pytest.raises(UploadBusyError):
        await registry.stores.blobs.find_published(session.rpartition("/")[2], _DIGEST)
    await writer.close()

    assert (await _put(registry, session)).status == 201


async def _publish_and_die(
    registry: InProcessRegistry, session: str, last: bytes = b"", *, close: bool = True
) -> Any:
    """Do what a final PUT does up to the rename, as a process that then disappears with its lease."""
    name = session.rpartition("/")[2]

    async def unit(tx: Transaction) -> Any:
        return await tx.upload_sessions.lease("team/app", name, ANONYMOUS, "dead", 3600)

    lease = await registry.stores.metadata.write(unit)
    writer = await registry.stores.blobs.open_writer(
        UploadReference(name, lease.fence, lease.state, lease.offset)
    )
    await writer.write([last])
    await writer.publish(_DIGEST)
    if close:
        await writer.close()
    await registry.stores.metadata.write(lambda tx: tx.upload_sessions.release_owner("dead"))
    return writer


async def test_f35_requests_in_any_order_end_in_one_blob(registry: InProcessRegistry) -> None:
    """PATCH, PUT and DELETE of one session at once, many times: statuses of the contract, never two copies (F35)."""
    for _ in range(10):
        session = await _begin(registry)
        await _patch(registry, session, _BLOB[:1000], 0)
        replies = await asyncio.gather(
            _patch(registry, session, _BLOB[1000:], 1000),
            _patch(registry, session, _BLOB[1000:], 1000),
            _put(registry, session, body=_BLOB[1000:]),
            _put(registry, session, body=_BLOB[1000:]),
            registry.client.request("DELETE", session),
        )

        # 400: the PUT came after a PATCH had stored the same bytes already, so that it says too much.
        assert {reply.status for reply in replies} <= {201, 202, 204, 400, 404, 409, 416}
        assert len(_files(registry, "blobs")) <= 1
        await registry.client.request("DELETE", session)
        assert _files(registry, "uploads") == []


async def test_f5_deletes_and_metadata_work_while_uploads_are_refused(tmp_path: Path) -> None:
    """Below the floor of free space: uploads 507, but cancelling, mounting, manifests, tags and deletes go on (F5)."""
    directory = tmp_path / "data"
    async with in_process_registry(scratch_settings(directory)) as registry:
        assert (
            await registry.client.request("POST", f"{_UPLOADS}?digest={_DIGEST}", {}, [_BLOB])
        ).status == 201
        session = await _begin(registry)
        await _patch(registry, session, b"begun")
    config = '{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":%d}'
    manifest = (
        '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[]}'
    )
    body = (manifest % (config % (_DIGEST, len(_BLOB)))).encode()

    async with in_process_registry(_full(directory)) as registry:
        client = registry.client
        reply = await client.request("POST", f"{_UPLOADS}?digest={Digest.of_bytes(b'new')}", {}, [b"new"])
        assert (reply.status, reply.error_code()) == (507, "STORAGE_FULL")
        assert (await _patch(registry, session, b"more")).status == 507
        assert (await client.request("GET", session)).headers["range"] == "0-4"

        assert (await client.request("DELETE", session)).status == 204
        mount = f"/v2/team/next/blobs/uploads/?mount={_DIGEST}&from=team/app"
        assert (await client.request("POST", mount, _NOTHING)).status == 201
        headers = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
        target = "/v2/team/next/manifests/v1"
        assert (await client.request("PUT", target, headers, [body])).status == 201
        assert (await client.request("GET", target)).body == body
        assert (await client.request("DELETE", target)).status == 202
        assert (await client.request("DELETE", f"/v2/team/app/blobs/{_DIGEST}")).status == 202


def _full(directory: Path) -> Any:
    """Return settings under which no disk has room enough."""
    return scratch_settings(directory, storage__min_free_bytes="1000000TiB")
