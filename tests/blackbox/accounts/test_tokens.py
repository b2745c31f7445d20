"""Tokens as clients ask for them: for much at once, and for pushes that take longer than a token lives."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from tests.blackbox.clients.signed_in import SkopeoAs
from tests.blackbox.clients.tokens import bearer_client, read_challenge
from tests.blackbox.http_client import RegistryClient
from tests.blackbox.material.images import build_image, build_random_layer, digest_of
from tests.blackbox.material.layouts import write_layout
from tests.plumbing.patience import PATIENCE_SECONDS
from tests.processes.running import wait_for
from tests.running.control_client import Account
from tests.running.free_ports import find_free_port
from tests.running.proxies import running_haproxy
from tests.running.with_accounts import ADMINISTRATOR, EntrepotWithAccounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.blackbox.accounts.conftest import Team
    from tests.blackbox.clients.program import Program

_LIFETIME_SECONDS: Final = 60
_LAYER_BYTES: Final = 4 * 1024 * 1024
_BYTES_PER_SECOND: Final = _LAYER_BYTES // 64
# Only what goes to the registry is slowed down; the names that clients see are the proxy's own.
_SLOW_UPLOADS: Final = """\
defaults
    mode tcp
    timeout connect 5s
    timeout client 100s
    timeout server 100s
listen slow
    bind 127.0.0.1:{port}
    filter bwlim-in slow default-limit {limit} default-period 1s
    tcp-request content set-bandwidth-limit slow
    server registry {host}
"""


def _access(token: str) -> dict[str, set[str]]:
    """Return what a token is good for, by name of repository; only the actions that the specification knows."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return {
        entry["name"]: set(entry["actions"]) & {"pull", "push", "delete"}
        for entry in claims["access"]
        if entry["type"] == "repository"
    }


def _membership(team: Team, account: Account) -> int:
    members: list[dict[str, Any]] = team.control.get(f"/projects/{team.name}/members?page_size=100")
    (number,) = [member["id"] for member in members if member["entity_name"] == account.name]
    return int(number)


@pytest.mark.parametrize("form", ["repeated", "joined", "posted"])
def test_t5_t6_a_token_is_good_for_what_was_asked_and_may_be_done_of_many_scopes(
    make_team: Callable[..., Team], form: str
) -> None:
    """A member of one project, of another in which nothing is granted, and of a public one: all in one token."""
    mine, others, public = make_team(), make_team(roles=()), make_team(roles=(), public="true")
    developer = mine.people["developer"]
    scopes = [
        *(f"repository:{mine.name}/app-{number}:push,pull" for number in range(12)),
        f"repository:{mine.repository}:*",
        f"repository:{others.repository}:pull,push",
        f"repository:{public.repository}:delete,push,pull",
        f"repository:{mine.name}/missing:pull",
        "repository(plugin):ignored/class:pull",
        "unknown:thing:pull",
    ]
    with httpx.Client(base_url=mine.registry.url, timeout=30) as client:
        realm, service = read_challenge(client)
        if form == "posted":
            response = client.post(
                realm,
                data={
                    "grant_type": "password",
                    "service": service,
                    "client_id": "tests",
                    "username": developer.name,
                    "password": developer.secret,
                    "scope": " ".join(scopes),
                },
            )
        else:
            asked = scopes if form == "repeated" else [" ".join(scopes)]
            response = client.get(
                realm,
                params={"service": service, "account": developer.name, "scope": asked},
                auth=(developer.name, developer.secret),
            )
    assert response.status_code == 200, response.text
    granted = {name: actions for name, actions in _access(response.json()["access_token"]).items() if actions}

    expected = {f"{mine.name}/app-{number}": {"pull", "push"} for number in range(12)}
    expected |= {
        mine.repository: {"pull", "push"},
        public.repository: {"pull"},
        f"{mine.name}/missing": {"pull"},
    }
    assert granted == expected


def test_t1_the_realm_is_on_the_registrys_own_host_and_port(team: Team) -> None:
    """Newer clients send no password to another address."""
    with httpx.Client(base_url=team.registry.url, timeout=30) as client:
        realm, _ = read_challenge(client)

    assert realm == f"{team.registry.url}/service/token"


def test_t14_a_chunk_that_was_let_in_is_taken_though_its_token_dies_meanwhile(team: Team) -> None:
    """The next request needs a new token, and goes on where the chunk ended: nothing is sent twice."""
    developer, url = team.people["developer"], team.registry.url
    content = b"sent while the token died"

    def chunks() -> Iterator[bytes]:
        yield content[:5]
        wait_for(lambda: _is_under_way(team), PATIENCE_SECONDS, lambda: "the chunk was not let in")
        team.control.remove_member(team.name, _membership(team, developer))
        yield content[5:]

    with bearer_client(url, developer, team.repository, "pull,push") as old:
        location = RegistryClient(old, team.repository).begin()
        assert old.patch(location, content=chunks()).status_code == 202
        refused = RegistryClient(old, team.repository).finish(location, digest_of(content))
        ping = old.get("/v2/")
    team.control.add_member(team.name, developer.name, "developer")
    with bearer_client(url, developer, team.repository, "pull,push") as new:
        repository = RegistryClient(new, team.repository)
        finished = repository.finish(location, digest_of(content))

        assert (refused.status_code, ping.status_code, finished.status_code) == (401, 200, 201)
        assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
        assert repository.get_blob(digest_of(content)).content == content


def _is_under_way(team: Team) -> bool:
    """Whether somebody's chunk is being taken."""
    return b"\nregistry_uploads_in_progress 1.0\n" in team.registry.get_ops("/metrics")[1]


def test_t14_a_push_goes_on_with_its_token_when_somebody_else_becomes_a_member(team: Team) -> None:
    """Clients that fetch no second token for an upload would lose it."""
    developer, content = team.people["developer"], b"sent while somebody came"

    with bearer_client(team.registry.url, developer, team.repository, "pull,push") as client:
        repository = RegistryClient(client, team.repository)
        location = repository.begin()
        assert client.patch(location, content=content).status_code == 202
        team.control.add_member(team.name, team.people["outsider"].name, "guest")
        team.control.call("PUT", f"/projects/{team.name}", {"metadata": {"public": "true"}})
        finished = repository.finish(location, digest_of(content))

        assert finished.status_code == 201
        assert repository.get_blob(digest_of(content)).content == content


@pytest.fixture
def slow_registry(tmp_path: Path) -> Iterator[tuple[EntrepotWithAccounts, str]]:
    """Run a registry whose tokens live as short as they can, and an address under which uploads to it are slow."""
    settings = {"bearer_token": {"lifetime_seconds": _LIFETIME_SECONDS}}
    port = find_free_port()
    with EntrepotWithAccounts(tmp_path / "registry", settings=settings) as registry:
        configuration = _SLOW_UPLOADS.format(port=port, limit=_BYTES_PER_SECOND, host=registry.host)
        with running_haproxy(tmp_path / "haproxy", configuration, (port,)):
            yield registry, f"127.0.0.1:{port}"


@pytest.mark.long  # 70 s, of which a minute is waiting
@pytest.mark.real_client
def test_t14_a_push_that_takes_longer_than_its_token_lives_is_finished(
    skopeo: Program, slow_registry: tuple[EntrepotWithAccounts, str], tmp_path: Path
) -> None:
    """The layer alone takes 64 s; the rest is sent with a new token, and nothing is sent twice."""
    registry, slow_host = slow_registry
    registry.control().create_project("slow")
    image = build_image([build_random_layer("part", _LAYER_BYTES, 1)])
    write_layout(tmp_path / "layout", "1", image)
    account = Account(ADMINISTRATOR.name, ADMINISTRATOR.secret)
    client = SkopeoAs(skopeo, tmp_path, slow_host, account, image=f"oci:{tmp_path}/layout:1")
    client.log_in()
    started = time.monotonic()

    client.push("slow/app", "1")

    assert time.monotonic() - started > _LIFETIME_SECONDS
    answered = [line for line in registry.log_lines() if line["event"] == "request.completed"]
    patches = [line["status"] for line in answered if line["method"] == "PATCH"]
    manifests = [
        line["status"] for line in answered if line["method"] == "PUT" and "/manifests/" in line["path"]
    ]
    assert (patches.count(202), manifests[-1:]) == (2, [201])
