"""What somebody may not know costs the same whether it is there or not, so that no time tells (S19).

Counted, not timed: statements by name, what policies are asked about whom, and permissions that Cedar is asked about.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import cedarpy
import httpx
import pytest

from entrepot.auth.cedar.engine import PolicyEngine
from tests.drivers.metadata.machine_accounts import on_sqlite
from tests.integration.control_api.building import ADMIN_PASSWORD
from tests.integration.control_api.cast import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Collection

    from entrepot.auth.cedar.questions import Subject
    from tests.drivers.metadata.counting import CountingObserver
    from tests.integration.control_api.cast import Cast
    from tests.integration.control_api.conftest import Registry

pytestmark = on_sqlite

_ASKERS: Final = (
    "anonymous",
    "outsider",
    "limited token",
    "custom system role",
    "custom system role by a group",
    "auditor's token",
)
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
    ("GET", "/robots?q=Level=project,ProjectID={number}", None),
    ("GET", "/permissions?project_name_or_id={project}", None),
)


class _Costs:
    """What requests cost, between two looks."""

    def __init__(self, registry: Registry, counts: CountingObserver, patch: pytest.MonkeyPatch) -> None:
        self._registry = registry
        self._counts = counts
        self._asked = 0
        self._decided: list[tuple[str, list[str], bool]] = []
        cedar: Any = cedarpy  # its types leave out what its dictionaries hold
        batch = cedar.is_authorized_batch

        def counted(requests: list[Any], *rest: Any) -> Any:
            self._asked += len(requests)
            return batch(requests, *rest)

        decide = PolicyEngine.in_project

        def decided(
            engine: PolicyEngine,
            subject: Subject,
            permissions: Collection[str],
            project: str,
            *,
            is_public: bool,
        ) -> frozenset[str]:
            self._decided.append((subject.name, sorted(permissions), is_public))
            return decide(engine, subject, permissions, project, is_public=is_public)

        patch.setattr(cedarpy, "is_authorized_batch", counted)
        patch.setattr(PolicyEngine, "in_project", decided)

    async def of(self, secret: tuple[str, str] | None, method: str, path: str, body: Any) -> tuple[Any, ...]:
        """Return the status of a request, its statements, how many permissions were asked about, and of whom."""
        self._counts.reset()
        self._asked = 0
        self._decided.clear()
        async with self._registry.plain() as client:
            client.auth = httpx.Auth() if secret is None else httpx.BasicAuth(*secret)
            reply = await client.request(method, path, json=body)
        return reply.status_code, Counter(self._counts.statements), self._asked, [*self._decided]


async def _token(registry: Registry, name: str, secret: str, **limits: list[str]) -> str:
    """Return the secret of a person's token with limits."""
    async with registry.plain(name, secret) as person:
        made = await person.post("/access-tokens", json={"name": "ci", **limits})
    return str(made.json()["secret"])


async def _secrets(cast: Cast) -> dict[str, tuple[str, str] | None]:
    """Return what each asker comes with: nobody of them may do anything in a project that is private."""
    await cast.made("/projects", {"project_name": "open"})
    await cast.person("bob")
    await cast.person("labels", "label:list", "label:create")
    group = await cast.made("/usergroups", {"group_name": "crew"})
    await cast.made(f"/usergroups/{group}/members", {"user_id": await cast.person("ted")})
    await cast.made("/role-assignments", {"subject_id": group, "role": "labels"})
    await cast.made("/role-assignments", {"subject_id": await cast.person("eva"), "role": "auditor"})
    of_admin = await _token(cast.registry, "admin", ADMIN_PASSWORD, projects=["open"])
    of_eva = await _token(cast.registry, "eva", PASSWORD, permissions=["repository:push", "user:list"])
    return {
        "anonymous": None,
        "outsider": ("bob", PASSWORD),
        "limited token": ("admin", of_admin),
        "custom system role": ("labels", PASSWORD),
        "custom system role by a group": ("ted", PASSWORD),
        "auditor's token": ("eva", of_eva),
    }


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
    secrets = await _secrets(cast)
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
