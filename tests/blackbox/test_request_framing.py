"""Nobody hides a request in another one, neither directly nor behind nginx or HAProxy (S39)."""

from __future__ import annotations

import contextlib
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import httpx
import pytest

from tests.blackbox.hostile_requests import HostileRequest, Verdict, hostile_requests
from tests.running.entrepot import RunningEntrepot
from tests.running.free_ports import find_free_port
from tests.running.proxies import running_haproxy, running_nginx

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE_SECONDS: Final = 4.0
_NGINX: Final = """
upstream registry {{ server {registry}; keepalive 8; }}
server {{
    listen 127.0.0.1:{port};
    client_max_body_size 0; proxy_request_buffering off; proxy_buffering off;
    proxy_http_version 1.1; proxy_set_header Connection "";
    location / {{ proxy_pass http://registry; }}
}}
"""
_HAPROXY: Final = """
defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 20s
    http-reuse always
frontend edge
    bind 127.0.0.1:{port}
    default_backend registry
backend registry
    server first {registry}
"""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A hostile request, and what came back over its connection."""

    request: HostileRequest
    received: bytes
    is_closed: bool

    @property
    def statuses(self) -> list[int]:
        """The final statuses of all answers."""
        found = re.findall(rb"HTTP/1\.[01] (\d{3}) ", self.received)
        return [int(status) for status in found if status != b"100"]


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEntrepot]:
    """A registry that also serves what proxies pass on."""
    settings = {"access": {"insecure_anonymous": True}}
    with RunningEntrepot(tmp_path_factory.mktemp("edge"), settings=settings) as running:
        yield running
        running.stop()


@pytest.fixture(scope="module")
def nginx_port(edge: RunningEntrepot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run nginx, which uses its connections to the registry for many clients."""
    port = find_free_port()
    configuration = _NGINX.format(port=port, registry=edge.host)
    with running_nginx(tmp_path_factory.mktemp("nginx"), configuration, (port,)):
        yield port


@pytest.fixture(scope="module")
def haproxy_port(edge: RunningEntrepot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run HAProxy, which uses its connections to the registry for many clients."""
    port = find_free_port()
    configuration = _HAPROXY.format(port=port, registry=edge.host)
    with running_haproxy(tmp_path_factory.mktemp("haproxy"), configuration, (port,)):
        yield port


def _exchange(port: int, request: HostileRequest) -> Exchange:
    received, is_closed = b"", True
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(_PATIENCE_SECONDS)
        try:
            connection.sendall(request.raw)
            while data := connection.recv(65536):
                received += data
        except TimeoutError:
            is_closed = False
        except ConnectionError:
            pass
    return Exchange(request, received, is_closed)


def _exchange_all(edge: RunningEntrepot, port: int) -> tuple[list[Exchange], set[str]]:
    """Return what came back for each hostile request, and the paths of all requests that the registry has run."""
    before = len(edge.events("request.completed"))
    with ThreadPoolExecutor(16) as pool:
        exchanges = list(pool.map(_exchange, [port] * 1000, hostile_requests()))
    last = f"/v2/last/n{uuid4().hex}/tags/list"
    edge.get(last)
    edge.wait_for_event("request.completed", path=last)
    return exchanges, {event["path"] for event in edge.events("request.completed")[before:]}


def test_s39_each_request_ends_at_one_place(edge: RunningEntrepot) -> None:
    """Directly: refused and closed, or exactly as many answers as there are requests, none of them hidden (S39)."""
    exchanges, paths = _exchange_all(edge, edge.port)

    for exchange in exchanges:
        request, verdict, statuses = exchange.request, exchange.request.verdict, exchange.statuses
        facts = (request.name, statuses, exchange.is_closed, exchange.received[:300])
        assert (request.canary in paths) == (verdict is Verdict.TWO), facts
        assert len(statuses) == (2 if verdict is Verdict.TWO else 1), facts
        if verdict is Verdict.REFUSED:
            assert (statuses, exchange.is_closed) == ([400], True), facts
        elif verdict is Verdict.CLOSED:
            assert exchange.is_closed, facts


@pytest.mark.parametrize("proxy", ["nginx_port", "haproxy_port"])
def test_s39_a_proxy_and_the_registry_see_the_same_requests(
    edge: RunningEntrepot, request: pytest.FixtureRequest, proxy: str
) -> None:
    """Through a proxy that shares its connections: what the registry ran, the proxy has seen too, and answered (S39).

    HAProxy passes a Content-Length of 2^64 on, which the registry refuses, and sees the canary as a request of its own.
    """
    port: int = request.getfixturevalue(proxy)
    exchanges, paths = _exchange_all(edge, port)

    for exchange in exchanges:
        facts = (exchange.request.name, exchange.statuses, exchange.received[:300])
        assert (exchange.request.canary in paths) <= (len(exchange.statuses) == 2), facts
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as victim:
        for _ in range(40):
            asked = uuid4().hex
            answer = victim.get(f"/v2/victim/n{asked}/tags/list", headers={"X-Request-Id": asked})
            assert (answer.status_code, answer.headers["x-request-id"]) == (404, asked)
            assert asked in answer.json()["errors"][0]["message"]


def test_a_desync_would_be_seen(edge: RunningEntrepot) -> None:
    """A canary that is not hidden stands in the log: what the tests above look for is there to be found."""
    (plain,) = (found for found in hostile_requests() if found.name == "two requests")
    with contextlib.closing(socket.create_connection(("127.0.0.1", edge.port))) as connection:
        connection.sendall(plain.raw)
        edge.wait_for_event("request.completed", path=plain.canary)
