"""Pulling parts, and pulling what is known already (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from entrepot.oci.digest import Digest
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
from tests.faults.image import REPOSITORY, TAG, one_layer_image
from tests.faults.pushing import AcknowledgementLog, push_image

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.asgi.client import AsgiReply

pytestmark = pytest.mark.usefixtures("calm_disk")

_IMAGE: Final = one_layer_image(1)
_SMALL: Final = _IMAGE.config
_LARGE: Final = bytes(range(256)) * 10_000
"""2.5 MB: several chunks of a store, dozens of pieces to the server."""
_BOTH: Final = pytest.mark.parametrize("blob", [_SMALL, _LARGE], ids=["small", "large"])
_IMMUTABLE: Final = "private, max-age=31536000, immutable"


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """A registry with an image, and a large blob beside it."""
    async with in_process_registry(scratch_settings(tmp_path / "data")) as registry:
        await push_image(registry.client, _IMAGE, AcknowledgementLog.open(tmp_path / "acknowledged"))
        target = f"/v2/{REPOSITORY}/blobs/uploads/?digest={Digest.of_bytes(_LARGE)}"
        length = {"Content-Length": str(len(_LARGE))}
        assert (await registry.client.request("POST", target, length, [_LARGE])).status == 201
        registry.counts.reset()
        yield registry


def _target(blob: bytes) -> str:
    return f"/v2/{REPOSITORY}/blobs/{Digest.of_bytes(blob)}"


async def _get(registry: InProcessRegistry, blob: bytes, **headers: str) -> AsgiReply:
    return await registry.client.request(
        "GET", _target(blob), {name.replace("_", "-"): value for name, value in headers.items()}
    )


@_BOTH
async def test_one_range_gets_that_part(registry: InProcessRegistry, blob: bytes) -> None:
    """206 with exactly those bytes and their place, for one SQL statement at most."""
    ranges = {"0-0": blob[:1], "7-19": blob[7:20], "3-": blob[3:], "-5": blob[-5:], "0-": blob}
    for text, expected in ranges.items():
        registry.counts.reset()
        reply = await _get(registry, blob, range=f"bytes={text}")

        first = blob.index(expected) if text != "-5" else len(blob) - 5
        assert (reply.status, reply.body) == (206, expected)
        assert reply.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{len(blob)}"
        assert reply.headers["content-length"] == str(len(expected))
        assert reply.headers["etag"] == f'"{Digest.of_bytes(blob)}"'
        assert reply.headers["cache-control"] == _IMMUTABLE
        assert len(registry.counts.statements) <= 1


@_BOTH
async def test_a_range_that_crosses_chunks_of_the_store_is_whole(
    registry: InProcessRegistry, blob: bytes
) -> None:
    """Everything but the first and the last byte."""
    reply = await _get(registry, blob, range=f"bytes=1-{len(blob) - 2}")

    assert (reply.status, reply.body) == (206, blob[1:-1])


@_BOTH
async def test_a_range_outside_is_refused_with_the_size(registry: InProcessRegistry, blob: bytes) -> None:
    """416 with `bytes */size`, which nobody keeps; so is one that ends before it starts."""
    for text in (f"bytes={len(blob)}-", "bytes=-0", "bytes=5-4"):
        reply = await _get(registry, blob, range=text)

        assert (reply.status, reply.error_code()) == (416, "RANGE_INVALID")
        assert reply.headers["content-range"] == f"bytes */{len(blob)}"
        assert reply.headers["cache-control"] == "no-store"


@_BOTH
async def test_what_is_not_one_range_gets_everything(registry: InProcessRegistry, blob: bytes) -> None:
    """Several ranges, malformed ones and other units (RFC 9110, section 14.2)."""
    for text in ("bytes=0-1,4-5", "lines=0-1", "bytes=x-", ""):
        reply = await _get(registry, blob, range=text)

        assert (reply.status, reply.body) == (200, blob)
        assert "content-range" not in reply.headers
        assert reply.headers["accept-ranges"] == "bytes"


@_BOTH
async def test_s40_ten_thousand_ranges_cost_no_more_than_none(
    registry: InProcessRegistry, blob: bytes
) -> None:
    """The whole blob, for no statement more and as many calls on threads as without the header (S40)."""
    await _get(registry, blob)
    registry.counts.reset()
    await _get(registry, blob)
    hops = registry.counts.thread_hops
    registry.counts.reset()

    reply = await _get(registry, blob, range="bytes=" + ",".join(["0-"] * 10_000))

    assert (reply.status, reply.body) == (200, blob)
    assert (len(registry.counts.statements), registry.counts.thread_hops) == (0, hops)


@_BOTH
async def test_if_range_gives_a_part_only_of_the_same_content(
    registry: InProcessRegistry, blob: bytes
) -> None:
    """A strong comparison (RFC 9110, section 13.1.5); everything to whoever has the start of something else."""
    tag = f'"{Digest.of_bytes(blob)}"'
    same = await _get(registry, blob, range="bytes=2-4", if_range=tag)
    assert (same.status, same.body) == (206, blob[2:5])

    for condition in (f"W/{tag}", '"something else"', "Tue, 24 Nov 2026 00:00:00 GMT", "*"):
        other = await _get(registry, blob, range="bytes=2-4", if_range=condition)
        assert (other.status, other.body) == (200, blob)


@_BOTH
async def test_a_head_knows_no_range(registry: InProcessRegistry, blob: bytes) -> None:
    """Ranges are defined for GET only: the whole length, and that ranges can be had (RFC 9110, section 14.2)."""
    for text in ("bytes=0-1", f"bytes={len(blob)}-"):
        reply = await registry.client.request("HEAD", _target(blob), {"Range": text})

        assert (reply.status, reply.headers["content-length"], reply.body) == (200, str(len(blob)), b"")
        assert reply.headers["accept-ranges"] == "bytes"


_KNOWN: Final = [
    '"{digest}"',
    'W/"{digest}"',
    '"a", W/"b" , "{digest}"',
    "*",
    " * ",
    "{digest}",
    '"x",{digest}',
]
_UNKNOWN: Final = ['"a"', '"{digest}x"', '"x{digest}"', '"*"', "", '"', "W/{digest}x", 'w/"{digest}"']


_CONTENTS: Final = {
    f"blobs/{Digest.of_bytes(_SMALL)}": _SMALL,
    f"blobs/{Digest.of_bytes(_LARGE)}": _LARGE,
    f"manifests/{TAG}": _IMAGE.manifest,
    f"manifests/{Digest.of_bytes(_IMAGE.manifest)}": _IMAGE.manifest,
}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", _CONTENTS)
async def test_what_the_client_has_is_not_sent_again(
    registry: InProcessRegistry, path: str, method: str
) -> None:
    """304 without a body when `If-None-Match` names it, weakly compared, in a list or by a star."""
    digest = str(Digest.of_bytes(_CONTENTS[path]))
    for condition in _KNOWN:
        headers = {"If-None-Match": condition.format(digest=digest), "Range": "bytes=1-"}
        registry.counts.reset()
        reply = await registry.client.request(method, f"/v2/{REPOSITORY}/{path}", headers)

        assert (reply.status, reply.body) == (304, b""), condition
        assert "content-length" not in reply.headers
        assert reply.headers["etag"] == f'"{digest}"'
        assert reply.headers["docker-content-digest"] == digest
        assert reply.headers["cache-control"] == ("private, no-cache" if path.endswith(TAG) else _IMMUTABLE)
        assert len(registry.counts.statements) <= 1


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", _CONTENTS)
async def test_what_the_client_does_not_have_is_sent(
    registry: InProcessRegistry, path: str, method: str
) -> None:
    """Other tags, longer and shorter ones, and what is no tag at all."""
    content = _CONTENTS[path]
    for condition in _UNKNOWN:
        headers = {"If-None-Match": condition.format(digest=Digest.of_bytes(content))}
        reply = await registry.client.request(method, f"/v2/{REPOSITORY}/{path}", headers)

        assert (reply.status, reply.body) == (200, content if method == "GET" else b""), condition


async def test_a_known_blob_is_not_looked_for_in_the_store(registry: InProcessRegistry) -> None:
    """304 costs the statement that asks for permission and existence, and nothing else."""
    await _get(registry, _LARGE, if_none_match=f'"{Digest.of_bytes(_LARGE)}"')

    assert (len(registry.counts.statements), registry.counts.thread_hops) == (1, 0)


async def test_an_unknown_blob_is_404_whatever_the_client_has(registry: InProcessRegistry) -> None:
    """A condition never tells that something exists elsewhere (S3)."""
    reply = await _get(registry, b"absent", if_none_match="*")

    assert (reply.status, reply.headers["cache-control"]) == (404, "no-store")


async def test_a_moved_tag_is_not_known_any_more(registry: InProcessRegistry) -> None:
    """The ETag of what a tag named gets the new manifest (I4)."""
    target = f"/v2/{REPOSITORY}/manifests/{TAG}"
    before = await registry.client.request("GET", target)
    moved = _IMAGE.manifest + b" "
    content_type = {"Content-Type": before.headers["content-type"]}
    assert (await registry.client.request("PUT", target, content_type, [moved])).status == 201

    reply = await registry.client.request("GET", target, {"If-None-Match": before.headers["etag"]})

    assert (reply.status, reply.body) == (200, moved)


@_BOTH
async def test_a_browser_saves_a_blob_and_never_shows_it(registry: InProcessRegistry, blob: bytes) -> None:
    """Whole or in part: an attachment of no particular type, which is not to be guessed."""
    for headers in ({}, {"range": "bytes=0-1"}):
        reply = await _get(registry, blob, **headers)

        assert reply.headers["content-disposition"] == "attachment"
        assert reply.headers["content-type"] == "application/octet-stream"
        assert reply.headers["x-content-type-options"] == "nosniff"
