"""The tag list over the embedded stores: order, pages, and tags that are gone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.oci.digest import Digest
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_INDEX: Final = "application/vnd.oci.image.index.v1+json"
_TAGS: Final = [
    "0",
    "1.0",
    "1.0-rc",
    "1.0.0",
    "10",
    "2",
    "A",
    "Z",
    "_",
    "_.-",
    "a",
    "a-b",
    "a.b",
    "a_b",
    "z" * 128,
]
"""In the order of their bytes: upper case comes before '_', and that before lower case."""
_FIRST: Final = json.dumps({"schemaVersion": 2, "mediaType": _INDEX, "manifests": []}).encode()
_SECOND: Final = json.dumps(
    {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [], "annotations": {"n": "2"}}
).encode()


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """A node with a repository of these tags, pushed in another order."""
    async with in_process_registry(scratch_settings(tmp_path / "data")) as registry:
        for tag in reversed(_TAGS):
            await _put(registry, tag, _FIRST)
        registry.counts.reset()
        yield registry


async def _put(registry: InProcessRegistry, reference: str, body: bytes) -> None:
    target = f"/v2/team/app/manifests/{reference}"
    assert (await registry.client.request("PUT", target, {"Content-Type": _INDEX}, [body])).status == 201


async def _list(registry: InProcessRegistry, query: str = "") -> tuple[list[str], str | None]:
    reply = await registry.client.request("GET", f"/v2/team/app/tags/list{query}")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    document = json.loads(reply.body)
    assert document["name"] == "team/app"
    return document["tags"], reply.headers.get("link")


async def test_tags_come_in_the_order_of_their_bytes(registry: InProcessRegistry) -> None:
    """One statement, no Link."""
    assert sorted(_TAGS, key=str.encode) == _TAGS
    assert await _list(registry) == (_TAGS, None)
    assert registry.counts.statements == ["tags.list_names"]


@pytest.mark.parametrize("size", range(1, len(_TAGS) + 2))
async def test_link_leads_through_pages_of_any_size(registry: InProcessRegistry, size: int) -> None:
    """Each tag once; full pages, and no Link on the last one, be it full."""
    found: list[str] = []
    following: str | None = f"?n={size}"
    while following is not None:
        names, link = await _list(registry, following)
        found += names
        following = None if link is None else link.removeprefix("</v2/team/app/tags/list").partition(">")[0]
        assert following is None or len(names) == size

    assert found == _TAGS


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("", _TAGS),
        ("%00", _TAGS),
        ("1.0%00", _TAGS[2:]),
        ("1.0%00z", _TAGS[2:]),
        ("1.0!", _TAGS[2:]),
        ("%20", _TAGS),
        ("@", _TAGS[6:]),
        ("Zz", _TAGS[8:]),
        ("%7F", []),
        ("%C3%BC", []),
        ("%FF", []),
        ("z" * 200, []),
        ("z" * 127, _TAGS[-1:]),
    ],
)
async def test_last_may_be_any_text(registry: InProcessRegistry, last: str, expected: list[str]) -> None:
    """The list goes on behind where it would stand."""
    assert await _list(registry, f"?last={last}") == (expected, None)


async def test_n_of_zero_is_an_empty_list_without_link(registry: InProcessRegistry) -> None:
    """As the specification says; of an unknown repository it is unknown still."""
    assert await _list(registry, "?n=0") == ([], None)
    assert await _list(registry, "?n=0&last=a") == ([], None)
    assert (
        await registry.client.request("GET", "/v2/team/none/tags/list?n=0")
    ).error_code() == "NAME_UNKNOWN"


async def test_s36_n_is_clamped_or_refused(registry: InProcessRegistry) -> None:
    """Too much is shortened, nonsense is refused, given twice is nonsense too."""
    assert await _list(registry, "?n=1000000000") == (_TAGS, None)
    assert await _list(registry, f"?n={'9' * 400}") == (_TAGS, None)
    for size in ("-1", "-0", "x", "1.5", "", "%2B1", "0x1"):
        reply = await registry.client.request("GET", f"/v2/team/app/tags/list?n={size}")
        assert (reply.status, reply.error_code()) == (400, "PAGINATION_NUMBER_INVALID")
    assert (await registry.client.request("GET", "/v2/team/app/tags/list?n=1&n=2")).status == 400


async def test_s36_no_page_is_longer_than_a_thousand(tmp_path: Path) -> None:
    """Whatever `n` says, and also when it says nothing; Link leads on with the size that was used."""
    async with in_process_registry(scratch_settings(tmp_path / "data")) as registry:
        digest = Digest.of_bytes(_FIRST)
        for start in range(0, 1100, 100):
            tags = "&".join(f"tag=t{number:04d}" for number in range(start, start + 100))
            await _put(registry, f"{digest}?{tags}", _FIRST)
        for query in ("", "?n=5000"):
            names, link = await _list(registry, query)
            assert len(names) == 1000
            assert link == '</v2/team/app/tags/list?n=1000&last=t0999>; rel="next"'


async def test_an_unknown_repository_has_no_tag_list(registry: InProcessRegistry) -> None:
    """404 NAME_UNKNOWN; one without tags has an empty one."""
    reply = await registry.client.request("GET", "/v2/team/none/tags/list")
    assert (reply.status, reply.error_code()) == (404, "NAME_UNKNOWN")

    await registry.client.request("POST", "/v2/team/none/blobs/uploads/")
    reply = await registry.client.request("GET", "/v2/team/none/tags/list")
    assert json.loads(reply.body) == {"name": "team/none", "tags": []}


async def test_i5_a_deleted_tag_is_not_listed(registry: InProcessRegistry) -> None:
    """The manifest and its other tags stay."""
    assert (await registry.client.request("DELETE", "/v2/team/app/manifests/1.0")).status == 202

    assert await _list(registry) == ([tag for tag in _TAGS if tag != "1.0"], None)


async def test_i5_tags_of_a_deleted_manifest_are_not_listed(registry: InProcessRegistry) -> None:
    """Those that were moved away before stay, and pushing the manifest again brings none back."""
    await _put(registry, "A", _SECOND)
    first = Digest.of_bytes(_FIRST)
    assert (await registry.client.request("DELETE", f"/v2/team/app/manifests/{first}")).status == 202
    assert await _list(registry) == (["A"], None)

    await _put(registry, str(first), _FIRST)
    assert await _list(registry) == (["A"], None)
