"""What somebody may not know costs the same whether it is there or not, so that no time tells (S19).

Counted, not timed: statements by name, and permissions that Cedar is asked about.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import cedarpy
import httpx
import pytest

from tests.drivers.metadata.machine_accounts import on_sqlite
from tests.integration.control_api.cast import PASSWORD

if TYPE_CHECKING:
    from tests.drivers.metadata.counting import CountingObserver
    from tests.integration.control_api.cast import Cast
    from tests.integration.control_api.conftest import Registry

pytestmark = on_sqlite

_ASKERS: Final = ("anonymous", "outsider", "limited token")
_REQUESTS: Final = (
    ("GET", "/projects/{project}", None),
    ("GET", "/projects/{number}", None),
    ("DELETE", "/projects/{project}", None),
    ("GET", "/projects/{project}/members", None),
    ("PUT", "/projects/{project}/members/3", {"role_id": 1}),
    ("GET", "/projects/{project}/repositories/app", None),
    ("POST", "/projects/{project}/metadatas", {"public": "true"}),
    ("GET", "/labels?scope=p&project_id={number}", None),
    ("GET", "/labels/{label}", None),
    ("GET", "/robots/{robot}", None),
    ("DELETE", "/robots/{robot}", None),
)


class _Costs:
    """What requests cost, between two looks."""

    def __init__(self, registry: Registry, counts: CountingObserver, patch: pytest.MonkeyPatch) -> None:
        self._registry = registry
        self._counts = counts
        self._asked = 0
        cedar: Any = cedarpy  # its types leave out what its dictionaries hold
        batch = cedar.is_authorized_batch

        def counted(requests: list[Any], *rest: Any) -> Any:
            self._asked += len(requests)
            return batch(requests, *rest)

        patch.setattr(cedarpy, "is_authorized_batch", counted)

    async def of(self, secret: tuple[str, str] | None, method: str, path: str, body: Any) -> tuple[Any, ...]:
        """Return the status of a request, its statements, and how many permissions were asked about."""
        self._counts.reset()
        self._asked = 0
        async with self._registry.plain() as client:
            client.auth = httpx.Auth() if secret is None else httpx.BasicAuth(*secret)
            reply = await client.request(method, path, json=body)
        return reply.status_code, Counter(self._counts.statements), self._asked


async def _token(registry: Registry) -> str:
    """Return the secret of a token of the administrator that is good for one project only."""
    async with registry.plain() as admin:
        await admin.post("/projects", json={"project_name": "open"})
        made = await admin.post("/access-tokens", json={"name": "ci", "projects": ["open"]})
    return str(made.json()["secret"])


@pytest.mark.parametrize("asker", _ASKERS)
async def test_what_is_private_costs_as_much_as_what_is_missing_s19(
    cast: Cast, counts: CountingObserver, monkeypatch: pytest.MonkeyPatch, asker: str
) -> None:
    number = await cast.made("/projects", {"project_name": "hidden"})
    label = await cast.made("/labels", {"name": "l", "scope": "p", "project_id": number})
    access = [{"resource": "repository", "action": "pull"}]
    robot = await cast.made(
        "/robots",
        {
            "name": "ci",
            "level": "project",
            "duration": 1,
            "permissions": [{"kind": "project", "namespace": "hidden", "access": access}],
        },
    )
    await cast.person("bob")
    secrets = {
        "anonymous": None,
        "outsider": ("bob", PASSWORD),
        "limited token": ("admin", await _token(cast.registry)),
    }
    costs = _Costs(cast.registry, counts, monkeypatch)
    there = {"project": "hidden", "number": number, "label": label, "robot": robot}
    missing = {"project": "nowhere", "number": 990, "label": 990, "robot": 990}
    before = {"project": "neither", "number": 991, "label": 991, "robot": 991}

    for method, path, body in _REQUESTS:
        await costs.of(
            secrets[asker], method, path.format_map(before), body
        )  # what is remembered of who asks
        one = await costs.of(secrets[asker], method, path.format_map(there), body)
        other = await costs.of(secrets[asker], method, path.format_map(missing), body)
        assert one == other, (method, path)
        assert one[0] in {401, 403}, (method, path)


async def test_somebody_who_holds_nothing_is_refused_without_asking_cedar_s19_f41(
    cast: Cast, counts: CountingObserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither anybody without credentials, nor a person without roles: asking about all permissions takes long."""
    await cast.made("/projects", {"project_name": "hidden"})
    await cast.person("bob")
    costs = _Costs(cast.registry, counts, monkeypatch)

    for secret in (None, ("bob", PASSWORD)):
        assert (await costs.of(secret, "GET", "/projects/hidden", None))[2] == 0
    assert (await costs.of(("admin", "x" * 9), "GET", "/projects/hidden", None))[0] == 401
