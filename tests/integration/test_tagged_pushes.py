"""Pushing one manifest under many tags: all of them or none (S43), and only from where the pusher says (S11)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.oci.digest import Digest
from entrepot.settings import metadata_url
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
from tests.asgi.small_images import NAME, image, push_blobs, put
from tests.drivers.metadata.raw_database import RawDatabase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_FIRST, _SECOND = image(), image(annotations={"n": "2"})
_DIGEST = str(Digest.of_bytes(_FIRST))


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """A node with the blobs of an image."""
    async with in_process_registry(scratch_settings(tmp_path / "data")) as registry:
        await push_blobs(registry.client)
        yield registry


async def _tags(registry: InProcessRegistry) -> dict[str, str]:
    rows = await RawDatabase(metadata_url(registry.settings)).fetch(
        "SELECT t.name, m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id"
    )
    return dict(rows)


def _oci_tags(headers: dict[str, str]) -> list[str]:
    return headers.get("oci-tag", "").split(", ")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_s43_a_digest_is_pushed_under_all_tags_at_once(
    registry: InProcessRegistry, algorithm: str
) -> None:
    """`PUT …/<digest>?tag=a&tag=b`: one commit, an `OCI-Tag` header and one fact with all of them."""
    digest = str(Digest.of_bytes(_FIRST, "sha512" if algorithm == "sha512" else "sha256"))
    registry.counts.reset()

    reply = await put(registry.client, f"{digest}?tag=v1.2&tag=v1&tag=latest&tag=v1", _FIRST)

    assert (reply.status, reply.headers["docker-content-digest"]) == (201, digest)
    assert registry.counts.commits == 1
    assert _oci_tags(reply.headers) == ["v1.2", "v1", "latest"]
    assert await _tags(registry) == dict.fromkeys(["v1.2", "v1", "latest"], digest)
    for reference in ("v1.2", "v1", "latest", digest):
        pulled = await registry.client.request("GET", f"/v2/{NAME}/manifests/{reference}")
        assert (pulled.status, pulled.body) == (200, _FIRST)
        assert pulled.headers["docker-content-digest"] == digest
    facts = await RawDatabase(metadata_url(registry.settings)).fetch(
        "SELECT payload FROM outbox WHERE kind = 'manifest.put'"
    )
    assert [msgspec.json.decode(payload)["tags"] for (payload,) in facts] == [["v1.2", "v1", "latest"]]


async def test_a_tag_in_the_path_takes_more_tags_from_the_query(registry: InProcessRegistry) -> None:
    """The tag of the path is one of them, and is acknowledged with them."""
    reply = await put(registry.client, "v1?tag=v2", _FIRST)

    assert (reply.status, _oci_tags(reply.headers)) == (201, ["v1", "v2"])
    assert await _tags(registry) == {"v1": _DIGEST, "v2": _DIGEST}


async def test_a_push_without_the_parameter_has_no_oci_tag(registry: InProcessRegistry) -> None:
    """The header answers the parameter."""
    for reference in ("v1", _DIGEST):
        assert "oci-tag" not in (await put(registry.client, reference, _FIRST)).headers


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("tag=good&tag=-bad", "TAG_INVALID"),
        ("tag=good&tag=", "TAG_INVALID"),
        ("tag=good&tag=a%2Fb", "TAG_INVALID"),
        (f"tag=good&tag={'x' * 129}", "TAG_INVALID"),
        ("&".join(f"tag=t{number}" for number in range(101)), "UNSUPPORTED"),
        ("&".join(f"tag=t{number}" for number in range(1000)), "UNSUPPORTED"),
    ],
    ids=["malformed", "empty", "slash", "too long", "101", "1000"],
)
async def test_s43_one_bad_tag_refuses_all_of_them(
    registry: InProcessRegistry, query: str, code: str
) -> None:
    """400, and neither manifest nor any tag is there (S43)."""
    reply = await put(registry.client, f"{_DIGEST}?{query}", _FIRST)

    assert (reply.status, reply.error_code()) == (400, code)
    assert await _tags(registry) == {}
    assert (await registry.client.request("GET", f"/v2/{NAME}/manifests/{_DIGEST}")).status == 404


async def test_a_hundred_tags_are_accepted(registry: InProcessRegistry) -> None:
    """More than the ten that the distribution-spec asks for."""
    names = [f"t{number}" for number in range(100)]

    reply = await put(registry.client, f"{_DIGEST}?{'&'.join(f'tag={name}' for name in names)}", _FIRST)

    assert (reply.status, _oci_tags(reply.headers)) == (201, names)
    assert set(await _tags(registry)) == set(names)


async def test_s11_a_creation_never_moves_a_tag_by_path_or_parameter(registry: InProcessRegistry) -> None:
    """With `If-None-Match: *` an existing tag of any name is 412, all is undone, and its digest is unchanged (S11)."""
    for name in ("latest", "v1"):
        await put(registry.client, name, _FIRST)
    digest = Digest.of_bytes(_SECOND)

    for reference in ("latest", "v1", f"{digest}?tag=latest", f"{digest}?tag=new&tag=v1", "new?tag=latest"):
        reply = await put(registry.client, reference, _SECOND, If_None_Match="*")
        assert (reply.status, reply.error_code()) == (412, "DENIED"), reference
        assert await _tags(registry) == {"latest": _DIGEST, "v1": _DIGEST}
        assert (await registry.client.request("GET", f"/v2/{NAME}/manifests/{digest}")).status == 404
    assert (await put(registry.client, f"{digest}?tag=new", _SECOND, If_None_Match="*")).status == 201


async def test_s11_of_two_racing_creators_one_wins(registry: InProcessRegistry) -> None:
    """Ten creators of one tag: one 201, nine 412, and the tag is the winner's (S11, I4)."""
    bodies = [image(annotations={"n": str(number)}) for number in range(10)]

    replies = await asyncio.gather(
        *(put(registry.client, "latest", body, If_None_Match="*") for body in bodies)
    )

    assert sorted(reply.status for reply in replies) == [201] + [412] * 9
    (winner,) = [body for body, reply in zip(bodies, replies, strict=True) if reply.status == 201]
    assert await _tags(registry) == {"latest": str(Digest.of_bytes(winner))}


async def test_i4_a_tag_is_compared_and_swapped(registry: InProcessRegistry) -> None:
    """`If-Match` with the ETag of a pull moves the tag only from there, so that no update is lost (I4)."""
    await put(registry.client, "list", _FIRST)
    etag = (await registry.client.request("GET", f"/v2/{NAME}/manifests/list")).headers["etag"]
    bodies = [image(annotations={"n": str(number)}) for number in range(5)]

    replies = await asyncio.gather(*(put(registry.client, "list", body, If_Match=etag) for body in bodies))

    assert sorted(reply.status for reply in replies) == [201] + [412] * 4
    assert "retry-after" not in replies[0].headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If_Match": "*"}, 412),
        ({"If_Match": '"nonsense"'}, 412),
        ({"If_Match": ""}, 412),
        ({"If_None_Match": f'"{_DIGEST}"'}, 201),
        ({"If_None_Match": '"a", W/"b"'}, 201),
    ],
)
async def test_a_condition_on_a_tag_that_does_not_exist(
    registry: InProcessRegistry, headers: dict[str, str], status: int
) -> None:
    """RFC 9110, section 13.1: what is not there matches nothing."""
    assert (await put(registry.client, "v1", _SECOND, **headers)).status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If_Match": "*"}, 201),
        ({"If_Match": f'"x", "{_DIGEST}"'}, 201),
        ({"If_Match": f'W/"{_DIGEST}"'}, 412),
        ({"If_None_Match": f'W/"{_DIGEST}"'}, 412),
        ({"If_None_Match": '"x"'}, 201),
    ],
)
async def test_a_condition_on_a_tag_that_exists(
    registry: InProcessRegistry, headers: dict[str, str], status: int
) -> None:
    """RFC 9110, section 13.1: `If-Match` compares strongly, `If-None-Match` weakly."""
    await put(registry.client, "v1", _FIRST)

    assert (await put(registry.client, "v1", _SECOND, **headers)).status == status
