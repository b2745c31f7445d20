"""The catalog over the embedded stores: pages of the names of all repositories."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from entrepot.settings import metadata_path
from tests.asgi.client import AsgiClient
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_NAMES: Final = ["0", "a", "a-b", "a.b", "a/b", "a/b/c", "a0", "a_b", "zz/z"]
"""In the order of their bytes: '-' < '.' < '/' < digits < '_'."""


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """A node with these repositories, made in another order."""
    async with in_process_registry(scratch_settings(tmp_path / "data")) as registry:
        for name in reversed(_NAMES):
            assert (await registry.client.request("POST", f"/v2/{name}/blobs/uploads/")).status == 202
        registry.counts.reset()
        yield registry


async def _list(registry: InProcessRegistry, query: str = "") -> tuple[list[str], str | None]:
    reply = await registry.client.request("GET", f"/v2/_catalog{query}")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    document = json.loads(reply.body)
    assert set(document) == {"repositories"}
    return document["repositories"], reply.headers.get("link")


async def test_an_empty_registry_has_an_empty_catalog(tmp_path: Path) -> None:
    """An empty list, not null."""
    async with in_process_registry(scratch_settings(tmp_path / "empty")) as registry:
        assert await _list(registry) == ([], None)


async def test_all_repositories_are_listed_in_byte_order(registry: InProcessRegistry) -> None:
    """One statement, and no Link."""
    assert await _list(registry) == (_NAMES, None)
    assert registry.counts.statements == ["catalog.list_names"]


async def test_n_limits_last_continues_and_link_names_the_next_page(registry: InProcessRegistry) -> None:
    """The name in the Link is encoded; `last` need not exist."""
    assert await _list(registry, "?n=5") == (_NAMES[:5], '</v2/_catalog?n=5&last=a%2Fb>; rel="next"')
    assert await _list(registry, "?n=5&last=a%2Fb") == (_NAMES[5:], None)
    assert await _list(registry, "?last=a%2Fa") == (_NAMES[4:], None)
    assert await _list(registry, "?last=~") == ([], None)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("", _NAMES),
        ("%00", _NAMES),
        ("a%00", _NAMES[2:]),
        ("A", _NAMES[1:]),
        ("%20", _NAMES),
        ("-", _NAMES),
        ("..%2F", _NAMES),
        ("%FF%FE", []),
        ("zz%2Fz", []),
    ],
)
async def test_last_may_be_any_text(registry: InProcessRegistry, last: str, expected: list[str]) -> None:
    """Also one that no repository can be called: the list goes on behind where it would stand."""
    assert await _list(registry, f"?last={last}") == (expected, None)


async def test_n_of_zero_is_an_empty_list_without_link(registry: InProcessRegistry) -> None:
    """As for tags."""
    assert await _list(registry, "?n=0") == ([], None)


async def test_s36_n_is_clamped_or_refused(registry: InProcessRegistry) -> None:
    """A great number is no error; what is no number is (CVE-2023-2253)."""
    assert await _list(registry, "?n=1000000000") == (_NAMES, None)
    for size in ("-1", "x", "", "1e3"):
        reply = await registry.client.request("GET", f"/v2/_catalog?n={size}")
        assert (reply.status, reply.error_code()) == (400, "PAGINATION_NUMBER_INVALID")


async def test_s36_no_page_is_longer_than_a_thousand(registry: InProcessRegistry) -> None:
    """Whatever `n` says, and also when it says nothing; Link leads on."""
    with closing(sqlite3.connect(metadata_path(registry.settings))) as database, database:
        database.executemany(
            "INSERT INTO repositories (public_id, project_id, name, created_at, creator) VALUES (?, 1, ?, 1, 'a')",
            [(f"many{number}", f"many/{number:04d}") for number in range(1500)],
        )
    for query in ("", "?n=5000"):
        names, link = await _list(registry, query)
        assert len(names) == 1000
        assert link == f'</v2/_catalog?n=1000&last=many%2F{1000 - len(_NAMES):04d}>; rel="next"'


async def test_a_deleted_repository_is_not_listed(registry: InProcessRegistry) -> None:
    """Its name is free again."""
    with closing(sqlite3.connect(metadata_path(registry.settings))) as database, database:
        database.execute("UPDATE repositories SET deleted_at = 1 WHERE name = 'a/b'")

    names, _ = await _list(registry)
    assert names == [name for name in _NAMES if name != "a/b"]


@pytest.mark.parametrize(
    "path", ["/v2/_catalog/", "/v2/_catalog/x", "/v2/_Catalog", "/v2//_catalog", "/v2/_catalog;x"]
)
async def test_s1_no_other_spelling_reaches_the_catalog(registry: InProcessRegistry, path: str) -> None:
    """Neither somebody who may see it nor somebody who may not."""
    for address in ("127.0.0.1", "203.0.113.7"):
        reply = await AsgiClient(registry.client.application, address).request("GET", path)
        assert reply.status == 404
        assert b"zz/z" not in reply.body


async def test_the_catalog_is_only_read(registry: InProcessRegistry) -> None:
    """405 with Allow for any other method."""
    for method in ("PUT", "POST", "DELETE", "HEAD"):
        reply = await registry.client.request(method, "/v2/_catalog")
        assert (reply.status, reply.headers["allow"]) == (405, "GET")
