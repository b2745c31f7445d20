"""Behind an nginx that is told to cache `/v2/` for seven days nobody gets what is not for him, and nothing is stale.

nginx has two doors here that share one cache and one upstream. Without accounts the registry serves connections from
its own machine and refuses what a proxy passed on: requests through the inner door look local, those through the outer
one do not. With accounts somebody comes by the inner door who may do everything, and nobody by the outer one.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from tests.blackbox.http_client import RegistryClient
from tests.blackbox.material.images import (
    IMAGE_MANIFEST,
    Image,
    build_image,
    build_layer,
    build_random_layer,
    digest_of,
)
from tests.running.free_ports import find_free_port
from tests.running.proxies import running_nginx
from tests.running.visitors import Access

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.running.entrepot import RunningEntrepot
    from tests.running.visitors import Visitor

_CACHE: Final = "proxy_cache_path {directory} levels=1:2 keys_zone=docker_cache:100m inactive=7d;"
_LOCATION: Final = "location /v2/ {proxy_cache docker_cache;proxy_cache_valid 200 302 7d;proxy_pass http://registry-backend;}"
"""Both from the article that this registry is measured by, word for word but for the directory."""

_INNER: Final = 'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host localhost;'
_OUTER: Final = _INNER + "proxy_set_header X-Forwarded-For $remote_addr;"


@dataclass(frozen=True, slots=True)
class Doors:
    """Ways to one registry that share one cache."""

    inner: httpx.Client
    """Somebody who may pull."""
    outer: httpx.Client
    """Somebody who may not."""
    cache: Path

    def kept(self) -> list[Path]:
        """What lies in the cache."""
        return [path for path in self.cache.rglob("*") if path.is_file()]


@contextlib.contextmanager
def _open_doors(registry: RunningEntrepot, visitor: Visitor, directory: Path, more: str) -> Iterator[Doors]:
    inner, outer, cache = find_free_port(), find_free_port(), directory / "cache"
    servers = "\n".join(
        f"server {{ listen 127.0.0.1:{port}; add_header X-Cache-Status $upstream_cache_status always; {more}{headers}\n"
        f"{_LOCATION} }}"
        for port, headers in ((inner, _INNER), (outer, _OUTER))
    )
    http = (
        f"{_CACHE.format(directory=cache)}\nupstream registry-backend {{ server {registry.host}; }}\n"
        f"client_max_body_size 0;\n{servers}"
    )
    with (
        running_nginx(directory, http, (inner, outer)),
        httpx.Client(base_url=f"http://127.0.0.1:{inner}", auth=visitor.basic) as inner_client,
        httpx.Client(base_url=f"http://127.0.0.1:{outer}") as outer_client,
    ):
        yield Doors(inner_client, outer_client, cache)


@pytest.fixture(scope="module")
def doors(
    registry: RunningEntrepot, visitor: Visitor, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Doors]:
    """Run nginx before the registry."""
    with _open_doors(registry, visitor, tmp_path_factory.mktemp("nginx"), "") as opened:
        yield opened


@pytest.fixture(scope="module")
def careless_doors(
    registry: RunningEntrepot, visitor: Visitor, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Doors]:
    """The same, but nginx does not care what the registry says about keeping."""
    more = "proxy_ignore_headers Cache-Control; "
    with _open_doors(registry, visitor, tmp_path_factory.mktemp("nginx"), more) as opened:
        yield opened


@pytest.fixture(scope="module")
def image() -> Image:
    """A large layer and a small one."""
    return build_image([build_random_layer("large", 1024 * 1024, 5), build_layer({"small": b"secret"})])


def _push(http: RegistryClient, image: Image, tag: str) -> list[str]:
    """Push and return the paths of everything that can be read of it."""
    http.push_blobs(image)
    assert http.put_manifest(tag, image.manifest).status_code == 201
    name, digest = f"/v2/{http.repository}", digest_of(image.manifest)
    blobs = [f"{name}/blobs/{digest_of(blob)}" for blob in image.blobs]
    manifests = [f"{name}/manifests/{tag}", f"{name}/manifests/{digest}"]
    return [*blobs, *manifests, f"{name}/tags/list", f"{name}/referrers/{digest}", http.begin()]


def test_nginx_keeps_no_answer(doors: Doors, http: RegistryClient, image: Image) -> None:
    """Every path that can be read, by GET and HEAD, again and again, in parts and under conditions."""
    paths = ["/v2/", "/v2/_catalog", *_push(http, image, "latest"), f"/v2/{http.repository}/tags/absent"]
    statuses: set[int] = set()
    for path in paths:
        for headers in ({}, {"Range": "bytes=0-9"}, {"If-None-Match": "*"}):
            for method in ("GET", "HEAD", "GET"):
                reply = doors.inner.request(method, path, headers=headers)
                statuses.add(reply.status_code)
                assert reply.headers["x-cache-status"] == "MISS", (method, path)

    assert {200, 404} <= statuses
    assert doors.kept() == []


def test_an_upload_through_nginx_keeps_nothing_either(doors: Doors, repository: str, image: Image) -> None:
    """The answers to pushes, errors among them."""
    through = RegistryClient(doors.inner, repository)
    _push(through, image, "latest")
    assert through.request("PUT", "manifests/latest", content=b"{}").status_code == 400

    assert doors.kept() == []


def test_who_may_not_pull_gets_no_byte_of_what_another_pulled(
    doors: Doors, http: RegistryClient, access: Access, image: Image
) -> None:
    """The same path, just pulled by somebody who may: refused, in GET and HEAD, for every path there is."""
    refusal = 403 if access is Access.ANONYMOUS else 401
    for path in _push(http, image, "latest"):
        allowed = doors.inner.get(path)
        assert allowed.is_success, path
        for method in ("GET", "HEAD"):
            refused = doors.outer.request(method, path)

            assert refused.status_code == refusal, (method, path)
            assert not allowed.content or allowed.content not in refused.content


def test_a_moved_tag_is_seen_at_once(doors: Doors, http: RegistryClient, image: Image) -> None:
    """Between two pulls of the same tag."""
    other = build_image([build_layer({"other": b"other"})])
    for pushed in (image, other, image):
        http.push_blobs(pushed)
        assert http.put_manifest("moving", pushed.manifest).status_code == 201
        through = doors.inner.get(
            f"/v2/{http.repository}/manifests/moving", headers={"Accept": IMAGE_MANIFEST}
        )

        assert (through.status_code, through.content) == (200, pushed.manifest)


def test_what_is_deleted_is_gone_at_once(doors: Doors, http: RegistryClient, image: Image) -> None:
    """Tag, manifest and blob, each pulled just before."""
    _push(http, image, "doomed")
    digest, layer = digest_of(image.manifest), digest_of(image.blobs[0])
    for path in ("manifests/doomed", f"manifests/{digest}", f"blobs/{layer}"):
        assert doors.inner.get(f"/v2/{http.repository}/{path}").status_code == 200

    for path in ("manifests/doomed", f"manifests/{digest}", f"blobs/{layer}"):
        assert http.request("DELETE", path).status_code == 202
        assert doors.inner.get(f"/v2/{http.repository}/{path}").status_code == 404


def test_a_proxy_that_ignores_the_headers_leaks(
    careless_doors: Doors, http: RegistryClient, image: Image
) -> None:
    """What the tests above would see if the headers were missing: somebody who may not pull is served."""
    for path in _push(http, image, "latest"):
        allowed = careless_doors.inner.get(path)
        leaked = careless_doors.outer.get(path)

        if allowed.status_code == 200:
            assert (leaked.status_code, leaked.headers["x-cache-status"]) == (200, "HIT")
            assert leaked.content == allowed.content
    assert careless_doors.kept() != []
