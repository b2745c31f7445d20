"""Who may call what: every route for every kind of caller, from the route table, so none can be forgotten (S2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from entrepot.auth.loopback import EveryoneAuthorizer
from entrepot.auth.modes import ModeAuthorizer
from entrepot.distribution_api.routes import ROUTES, Route
from tests.asgi.client import AsgiClient
from tests.asgi.services import in_process_registry, scratch_settings

if TYPE_CHECKING:
    from pathlib import Path

_CALLERS: Final = ("local", "local behind a proxy", "remote", "remote, --insecure-anonymous")

EXPECTED: Final[dict[str, tuple[bool, bool, bool, bool]]] = {
    "ping": (True, False, False, True),
    "manifest.pull": (True, False, False, True),
    "manifest.push": (True, False, False, True),
    "manifest.delete": (True, False, False, True),
    "blob.pull": (True, False, False, True),
    "blob.delete": (True, False, False, True),
    "upload.begin": (True, False, False, True),
    "upload.status": (True, False, False, True),
    "upload.append": (True, False, False, True),
    "upload.finish": (True, False, False, True),
    "upload.cancel": (True, False, False, True),
    "tags.list": (True, False, False, True),
    "referrers.list": (True, False, False, True),
    "catalog.list": (True, False, False, True),
}
"""Whether each of the callers may use the operation. A route without a row fails."""


def _cells() -> list[tuple[Route, str, int]]:
    return [
        (route, method, caller)
        for route in ROUTES
        for method in route.methods
        for caller in range(len(_CALLERS))
    ]


def test_s2_the_matrix_has_a_row_for_every_route() -> None:
    """Nothing can be served that nobody decided about (S2)."""
    assert {route.operation for route in ROUTES} == set(EXPECTED)


@pytest.mark.parametrize(
    ("route", "method", "caller"),
    _cells(),
    ids=[f"{route.operation}-{method}-{_CALLERS[caller]}" for route, method, caller in _cells()],
)
async def test_s2_each_cell_is_decided_as_written(
    tmp_path: Path, route: Route, method: str, caller: int
) -> None:
    """Allowed callers get an answer of the endpoint; the others 403 DENIED, and nothing is stored (S2, I6)."""
    insecure = "insecure" in _CALLERS[caller]
    settings = scratch_settings(tmp_path, access__insecure_anonymous=str(insecure).lower())
    address = "203.0.113.7" if "remote" in _CALLERS[caller] else "127.0.0.1"
    headers = {"X-Forwarded-For": "127.0.0.1"} if "proxy" in _CALLERS[caller] else {}
    target = (
        route.endpoint.replace("<name>", "team/app")
        .replace("<digest>", "sha256:" + "0" * 64)
        .replace("<reference>", "v1")
        .replace("<session>", "0" * 32)
    )
    async with in_process_registry(settings) as registry:
        gated = registry.services.authorizer
        assert isinstance(gated, ModeAuthorizer)
        assert isinstance(gated._inner, EveryoneAuthorizer) == insecure
        reply = await AsgiClient(registry.client.application, address).request(method, target, headers)

        allowed = EXPECTED[route.operation][caller]
        assert (reply.status != 403) == allowed
        if not allowed:
            assert registry.counts.statements == []
            assert method == "HEAD" or reply.error_code() == "DENIED"


_PING = "/v2/"


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:5000", "127.0.0.1", "127.1.2.3:1", "[::1]:5000", "[::1]"]
)
async def test_a_local_name_is_local(tmp_path: Path, host: str) -> None:
    """Whatever loopback address or port a client on this machine uses, it is served."""
    async with in_process_registry(scratch_settings(tmp_path)) as registry:
        assert (await registry.client.request("GET", _PING, {"Host": host})).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example:5000", "localhost.evil.example", "10.0.0.1", "[::2]", "registry", "[", "::1"]
)
async def test_s18_a_rebound_name_is_not_local(tmp_path: Path, host: str) -> None:
    """A web page whose name was made to mean this machine can't push to it (S18)."""
    async with in_process_registry(scratch_settings(tmp_path)) as registry:
        assert (await registry.client.request("GET", _PING, {"Host": host})).status == 403


@pytest.mark.parametrize("version", ["1.0", "1"])
async def test_s18_a_proxy_that_says_nothing_is_not_local(tmp_path: Path, version: str) -> None:
    """What speaks HTTP/1.0, as ASGI or as our server spells it, is a proxy with its defaults, not a client (S18)."""
    async with in_process_registry(scratch_settings(tmp_path)) as registry:
        client = AsgiClient(registry.client.application, http_version=version)
        assert (await client.request("GET", _PING)).status == 403
