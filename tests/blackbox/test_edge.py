"""The edge of the registry as somebody finds it who sends what no client sends: paths, hosts, versions and sizes."""

from __future__ import annotations

import contextlib
import http.client
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from entrepot.distribution_api.routes import ROUTES, Route
from tests.blackbox.http_client import RegistryClient
from tests.blackbox.material.images import build_image, build_layer, digest_of
from tests.running.visitors import Access, access_of, visited_registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.running.entrepot import RunningEntrepot
    from tests.running.visitors import Visitor

_IMAGE: Final = build_image([build_layer({"file": b"edge"})])
_NAME: Final = "edge/image"


@dataclass(frozen=True, slots=True)
class Guarded:
    """A registry with an image, and what makes a request one of somebody who may read it, or may nothing."""

    registry: RunningEntrepot
    allowed: dict[str, str]
    refused: dict[str, str]
    refusal: int


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEntrepot]:
    """A registry with an image, which has no accounts and serves only its own machine."""
    with visited_registry(Access.ANONYMOUS, tmp_path_factory.mktemp("edge"), {}) as (running, visitor):
        _push(running, visitor)
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, rotating_seed: int) -> Iterator[Guarded]:
    """The same, but for most commits with accounts."""
    access = access_of(0, rotating_seed)
    with visited_registry(access, tmp_path_factory.mktemp("guarded"), {}) as (running, visitor):
        _push(running, visitor)
        if visitor.account is None:
            yield Guarded(running, {}, {"X-Forwarded-For": "203.0.113.7"}, 403)
        else:
            yield Guarded(running, {"Authorization": visitor.account.basic}, {}, 401)


def _push(registry: RunningEntrepot, visitor: Visitor) -> None:
    with httpx.Client(base_url=registry.url, auth=visitor.auth) as client:
        pushing = RegistryClient(client, visitor.make_room(_NAME))
        pushing.push_blobs(_IMAGE)
        assert pushing.put_manifest("latest", _IMAGE.manifest).status_code == 201


def _ask(
    edge: RunningEntrepot, method: str, target: str, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """Send the target as it is written."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", edge.port, timeout=60)) as connection:
        connection.request(method, target, headers=dict(headers or {}))
        reply = connection.getresponse()
        return reply.status, reply.read()


def _send(edge: RunningEntrepot, raw: bytes) -> bytes:
    """Send bytes and return the first line that comes back; the server may refuse the rest while it is sent."""
    with socket.create_connection(("127.0.0.1", edge.port), 10) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(raw)
        return connection.makefile("rb").readline().rstrip()


def _path(route: Route) -> str:
    return (
        route.endpoint.replace("<name>", _NAME)
        .replace("<reference>", "latest")
        .replace("<digest>", digest_of(_IMAGE.manifest if "referrers" in route.endpoint else _IMAGE.blobs[0]))
        .replace("<session>", "0" * 32)
    )


def _variants(path: str) -> set[str]:
    """Return other spellings of a path, such as a router or a proxy might take for the same or for something else."""
    segments = path.split("/")
    found = {
        path + "/",
        path + "//",
        path + "%2F",
        path + "/.",
        path + "/%2e",
        path + ";x",
        path + "%00",
        path + "%20",
    }
    found |= {
        path.upper(),
        path.replace("/v2", "/V2"),
        "/" + path,
        "/." + path,
        "/x/.." + path,
        "/%2e%2e" + path,
    }
    for number in range(1, len(segments)):
        head, tail = "/".join(segments[:number]), "/".join(segments[number:])
        found |= {
            f"{head}{between}{tail}"
            for between in (
                "//",
                "%2F",
                "%2f",
                "%252F",
                "/./",
                "/%2e/",
                "/x/../",
                "/x/%2e%2e/",
                ";x/",
                "\\",
                "%5C",
                "/%00/",
            )
        }
        if tail:
            found.add(f"{head}/%{ord(tail[0]):02x}{tail[1:]}")
    return found - {path}


@pytest.mark.parametrize("route", ROUTES, ids=[route.operation for route in ROUTES])
def test_s1_another_spelling_is_never_let_through(guarded: Guarded, route: Route) -> None:
    """Who may not use a path may use no spelling of it: the same refusal, or that there is no such path (S1)."""
    path = _path(route)
    for method in route.methods:
        assert _ask(guarded.registry, method, path, guarded.refused)[0] == guarded.refusal
        for variant in sorted(_variants(path)):
            status, _ = _ask(guarded.registry, method, variant, guarded.refused)

            assert status in {400, guarded.refusal, 404, 405}, (method, variant, status)


@pytest.mark.parametrize("route", ROUTES, ids=[route.operation for route in ROUTES])
def test_s1_another_spelling_names_nothing_else(guarded: Guarded, route: Route) -> None:
    """Who may read a path gets the same by another spelling, or an error: never another thing (S1, S6)."""
    path = _path(route)
    for method in set(route.methods) & {"GET", "HEAD"}:
        expected = _ask(guarded.registry, method, path, guarded.allowed)
        for variant in sorted(_variants(path)):
            found = _ask(guarded.registry, method, variant, guarded.allowed)

            assert found == expected or found[0] in {400, 404, 405}, (method, variant, found[0])


@pytest.mark.parametrize(
    "name", ["edge%2Fimage", "%65dge/image", "edge/ima%67e", "edge%2fimage", "x/%2e%2e/edge/image"]
)
def test_s6_an_encoded_name_is_no_name(edge: RunningEntrepot, name: str) -> None:
    """No path is read otherwise than a proxy's rule for `/v2/edge/` reads it (S1, S6)."""
    for path in (f"/v2/{name}/manifests/latest", f"/v2/{name}/tags/list"):
        assert _ask(edge, "GET", path)[0] == 400


def test_the_colon_of_a_digest_may_be_encoded(edge: RunningEntrepot) -> None:
    """Some libraries encode it."""
    digest = digest_of(_IMAGE.blobs[0])
    for colon in ("%3A", "%3a", ":"):
        path = f"/v2/{_NAME}/blobs/{digest.replace(':', colon)}"
        assert _ask(edge, "GET", path) == (200, _IMAGE.blobs[0])


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /v2/ HTTP/1.1\r\nHost: localhost", b"HTTP/1.1 200 OK"),
        (b"GET /v2/ HTTP/1.1", b"HTTP/1.1 400 Bad Request"),
        (b"GET /v2/ HTTP/1.1\r\nHost:", b"HTTP/1.1 400 Bad Request"),
        (b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nHost: localhost", b"HTTP/1.1 400 Bad Request"),
        (b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nhost: other.example", b"HTTP/1.1 400 Bad Request"),
        (b"GET /v2/ HTTP/1.1\r\nHost: other.example", b"HTTP/1.1 403 Forbidden"),
        (b"GET /v2/ HTTP/1.1\r\nHost: " + b"x" * 20_000, b"HTTP/1.1 403 Forbidden"),
    ],
)
def test_a_request_names_one_host(edge: RunningEntrepot, head: bytes, status: bytes) -> None:
    """None, or several of which a proxy might have taken another, is refused (RFC 9112, section 3.2)."""
    assert _send(edge, head + b"\r\nConnection: close\r\n\r\n") == status


def test_s18_http_1_0_is_a_proxy(edge: RunningEntrepot) -> None:
    """What nginx speaks with its defaults is not trusted, though it names a local host (S18)."""
    for head in (b"Host: localhost", b"Host: 127.0.0.1:5000", b"Host: localhost\r\nConnection: keep-alive"):
        assert _send(edge, b"GET /v2/ HTTP/1.0\r\n" + head + b"\r\n\r\n") == b"HTTP/1.1 403 Forbidden"


@pytest.mark.parametrize(
    ("head", "statuses"),
    [
        (b"GET /v2/" + b"a" * 70_000 + b"/tags/list HTTP/1.1\r\nHost: localhost", {414}),
        (b"GET /v2/?n=" + b"9" * 70_000 + b" HTTP/1.1\r\nHost: localhost", {414}),
        (b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 1_000_000, {400, 431}),
        (b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n" + b"a" * 1_000_000 + b": x", {400, 431}),
        (b"GET /v2/ HTTP/1.1\r\nHost: localhost" + b"\r\nX: a" * 101, {431}),
    ],
    ids=["path", "query", "value", "name", "count"],
)
def test_s36_a_head_has_a_largest_size(edge: RunningEntrepot, head: bytes, statuses: set[int]) -> None:
    """64 KiB of target, 32 KiB of headers, 100 of them: more is refused, and the registry goes on (S36, I12)."""
    line = _send(edge, head + b"\r\nConnection: close\r\n\r\n")

    assert int(line.split()[1]) in statuses
    assert _ask(edge, "GET", "/v2/")[0] == 200


@pytest.mark.parametrize(
    "name", ["Range", "If-None-Match", "If-Range", "X-Request-Id", "Accept", "Content-Length", "Cookie"]
)
def test_s36_a_header_of_64_kb_is_harmless(edge: RunningEntrepot, name: str) -> None:
    """It is refused (S36); what fits the limit is taken, refused or ignored, and not sent back."""
    path = f"/v2/{_NAME}/blobs/{digest_of(_IMAGE.blobs[0])}"
    assert _ask(edge, "GET", path, {name: "9" * 65_536})[0] in {400, 431}

    status, body = _ask(edge, "GET", path, {name: "9" * 30_000})
    assert status in {200, 400}
    assert b"9" * 1000 not in body
