"""Who may keep which answer: every route, with and without success, so that none can be forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from entrepot.distribution_api.caching import IMMUTABLE, NOT_STORED, REVALIDATED, Header
from entrepot.distribution_api.routes import ROUTES, Route
from entrepot.oci.digest import Digest
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
from tests.faults.image import REPOSITORY, TAG, one_layer_image
from tests.faults.pushing import AcknowledgementLog, push_image

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

KEPT: Final[dict[tuple[str, str], Header]] = {
    ("blob.pull", "by digest"): IMMUTABLE,
    ("manifest.pull", "by digest"): IMMUTABLE,
    ("manifest.pull", "by tag"): REVALIDATED,
}
"""What a client may keep when it succeeds. Everything else, and every failure, is `no-store`."""

_IMAGE: Final = one_layer_image(1)
_BLOBS: Final = {
    "by digest": str(Digest.of_bytes(_IMAGE.layer)),
    "of a small blob": str(Digest.of_bytes(_IMAGE.config)),
}
_REFERENCES: Final = {"by tag": TAG, "by digest": str(Digest.of_bytes(_IMAGE.manifest))}


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """A registry that has an image."""
    async with in_process_registry(scratch_settings(tmp_path / "data")) as registry:
        await push_image(registry.client, _IMAGE, AcknowledgementLog.open(tmp_path / "acknowledged"))
        yield registry


def _targets(route: Route, repository: str) -> dict[str, str]:
    """Return paths of the route by what they name it with."""
    path = route.endpoint.replace("<name>", repository).replace("<session>", "0" * 32)
    if "<digest>" in path:
        return {how: path.replace("<digest>", digest) for how, digest in _BLOBS.items()}
    return {how: path.replace("<reference>", reference) for how, reference in _REFERENCES.items()}


def _expected(route: Route, how: str) -> str:
    named = "by digest" if route.operation == "blob.pull" else how
    return KEPT.get((route.operation, named), NOT_STORED)[1].decode()


@pytest.mark.parametrize("route", ROUTES, ids=[route.operation for route in ROUTES])
async def test_each_route_says_who_may_keep_its_answer(registry: InProcessRegistry, route: Route) -> None:
    """Exactly as the table has it, on success; `no-store` for what does not exist, or not so."""
    for method in route.methods:
        for how, target in _targets(route, REPOSITORY).items():
            reply = await registry.client.request(method, target)
            successful = reply.status < 300
            assert successful or (route.operation, how) not in KEPT
            expected = _expected(route, how) if successful else "no-store"
            assert reply.headers["cache-control"] == expected, (method, target, reply.status)
        for target in _targets(route, "absent/repository").values():
            reply = await registry.client.request(method, target)
            if route.operation not in {"ping", "catalog.list"}:
                assert reply.headers["cache-control"] == "no-store", (method, target, reply.status)


async def test_no_failure_is_kept(registry: InProcessRegistry) -> None:
    """Paths and methods that don't exist, names that can't."""
    for method, target in (
        ("GET", "/v2/a"),
        ("POST", f"/v2/{REPOSITORY}/tags/list"),
        ("GET", "/v2/UPPER/manifests/latest"),
        ("GET", f"/v2/{REPOSITORY}/manifests/.bad"),
        ("GET", f"/v2/{REPOSITORY}/blobs/sha256:0"),
    ):
        reply = await registry.client.request(method, target)

        assert reply.status >= 400
        assert reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("header", [IMMUTABLE, REVALIDATED, NOT_STORED])
def test_no_answer_may_be_kept_by_a_shared_cache(header: Header) -> None:
    """`private` or `no-store` keeps out proxies (RFC 9111, section 3); nginx looks for these words."""
    name, value = header
    directives = set(value.split(b", "))

    assert name == b"cache-control"
    assert directives & {b"private", b"no-store"}
    assert not directives & {b"public", b"must-revalidate"}
    assert not any(directive.startswith(b"s-maxage") for directive in directives)
