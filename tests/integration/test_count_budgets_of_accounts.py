"""What knowing who asks may add to a request, in counts: nothing at all, once their credentials were seen."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlencode

import pytest

from entrepot.oci.digest import Digest
from tests.asgi.services import InProcessRegistry, in_process_registry
from tests.faults.image import REPOSITORY, TAG, one_layer_image
from tests.faults.pushing import AcknowledgementLog, push_image
from tests.stateful.node import ADMINISTRATOR, basic, bearer, node_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.asgi.client import AsgiClient, AsgiReply

pytestmark = pytest.mark.usefixtures("calm_disk")

_IMAGE = one_layer_image(1)
_PROJECT = REPOSITORY.partition("/")[0]
_MANIFEST = f"/v2/{REPOSITORY}/manifests/{TAG}"
_BLOB = f"/v2/{REPOSITORY}/blobs/{Digest.of_bytes(_IMAGE.config)}"
_TOKEN = "/service/token?" + urlencode({"service": "entrepot", "scope": f"repository:{REPOSITORY}:pull,push"})


_ATTEMPTS: Final = 3
"""What a registry does by itself now and then, as a look for new epochs, may fall into one request, not into all."""


class Cost(NamedTuple):
    """What a request cost."""

    commits: int
    flushes: int
    thread_hops: int
    statements: tuple[str, ...]


@dataclass
class Flushes:
    """Every call that makes something durable, whoever makes it: the registry's own counts leave the audit log out."""

    count: int = 0


@dataclass(frozen=True)
class Guarded:
    """A registry with accounts that has the image, and who may pull it: `headers` by who and how they prove it."""

    registry: InProcessRegistry
    flushes: Flushes
    headers: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    @property
    def client(self) -> AsgiClient:
        """Sends requests."""
        return self.registry.client

    async def cost_of(self, send: Callable[[], Awaitable[AsgiReply]]) -> Cost:
        """Return what a request costs that is answered with 200: the least of a few times."""
        costs: list[Cost] = []
        counts = self.registry.counts
        for _ in range(_ATTEMPTS):
            counts.reset()
            self.flushes.count = 0
            assert (await send()).status == 200
            await asyncio.sleep(0)  # in a server, other work of the event loop comes between any two requests
            costs.append(
                Cost(counts.commits, self.flushes.count, counts.thread_hops, tuple(counts.statements))
            )
        return min(costs, key=lambda cost: (cost[:3], len(cost.statements)))


@pytest.fixture
def flushes(monkeypatch: pytest.MonkeyPatch) -> Flushes:
    """Count what this process flushes by itself."""
    counted = Flushes()

    def counting(call: Callable[[int], None]) -> Callable[[int], None]:
        def run(descriptor: int) -> None:
            counted.count += 1
            call(descriptor)

        return run

    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, counting(getattr(os, name)))
    return counted


@pytest.fixture
async def guarded(tmp_path: Path, flushes: Flushes) -> AsyncIterator[Guarded]:
    """Return the registry, the image pushed by the robot."""
    async with in_process_registry(node_settings(tmp_path / "data")) as registry:
        guarded = Guarded(registry, flushes)
        guarded.headers["person by Basic"] = basic(*ADMINISTRATOR)
        guarded.headers["robot by Basic"] = await _robot(registry.client)
        reply = await registry.client.request("GET", _TOKEN, guarded.headers["robot by Basic"])
        guarded.headers["robot by Bearer"] = bearer(json.loads(reply.body)["token"])
        pusher = dataclasses.replace(registry.client, headers=guarded.headers["robot by Bearer"])
        await push_image(pusher, _IMAGE, AcknowledgementLog.open(tmp_path / "acknowledged"))
        yield guarded


async def _robot(client: AsgiClient) -> dict[str, str]:
    await _post(client, "projects", {"project_name": _PROJECT})
    access = [{"resource": "repository", "action": action} for action in ("pull", "push", "create")]
    permissions = [{"kind": "project", "namespace": _PROJECT, "access": access}]
    robot = {"name": "ci", "level": "project", "duration": 1, "permissions": permissions}
    made = json.loads((await _post(client, "robots", robot)).body)
    return basic(made["name"], made["secret"])


def _access(reply: AsgiReply) -> list[Any]:
    """Return what a token is good for, as it says itself."""
    payload = json.loads(reply.body)["token"].split(".")[1]
    access: list[Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["access"]
    return access


async def _post(client: AsgiClient, path: str, document: object) -> AsgiReply:
    headers = basic(*ADMINISTRATOR) | {"Content-Type": "application/json"}
    reply = await client.request("POST", f"/api/v2.0/{path}", headers, [json.dumps(document).encode()])
    assert reply.status == 201, reply.body
    return reply


@pytest.mark.parametrize("who", ["robot by Bearer", "robot by Basic", "person by Basic"])
@pytest.mark.parametrize("target", [_MANIFEST, _BLOB])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_pull_by_somebody_remembered_costs_what_one_by_nobody_costs(
    guarded: Guarded, who: str, target: str, method: str
) -> None:
    """No SQL statement where no row changed, 0 commits, 0 flushes, 0 thread hops, the record of the pull included."""
    headers = guarded.headers[who]
    for _ in range(2):
        assert (await guarded.client.request(method, target, headers)).status == 200

    cost = await guarded.cost_of(lambda: guarded.client.request(method, target, headers))

    assert (len(cost.statements), *cost[:3]) == (0, 0, 0, 0)


async def test_a_robot_that_logs_in_is_found_with_who_answers_for_it_by_one_statement_s9(
    guarded: Guarded,
) -> None:
    """The secret was made here and is right, so nothing asks for the lock; the rest is the record of the login."""
    identity = guarded.registry.identity
    assert identity is not None
    robot = await guarded.registry.stores.metadata.credentials.find_robot(f"robot${_PROJECT}+ci")
    assert robot is not None
    await guarded.client.request("GET", _MANIFEST, guarded.headers["robot by Basic"])

    def log_in() -> Awaitable[AsgiReply]:
        identity.memory.forget(robot.subject)
        return guarded.client.request("GET", _MANIFEST, guarded.headers["robot by Basic"])

    assert (await guarded.cost_of(log_in)).statements == (
        "credentials.find_robot",
        "login_failures.forget",
        "audit_records.append",
        "manifests.find_by_tag",
    )


async def test_the_pull_that_is_counted_is_recorded_i11(guarded: Guarded, tmp_path: Path) -> None:
    """A budget without the record would be of another registry."""
    spool = tmp_path / "data" / "audit" / "spool"
    await guarded.client.request("GET", _MANIFEST, guarded.headers["robot by Bearer"])
    before = sum(path.stat().st_size for path in spool.iterdir())

    await guarded.client.request("GET", _MANIFEST, guarded.headers["robot by Bearer"])

    assert sum(path.stat().st_size for path in spool.iterdir()) > before


async def test_a_token_seen_for_the_first_time_costs_one_statement_more_f27(guarded: Guarded) -> None:
    """What it says was decided when it was issued, and whether that was before a change is asked once."""
    replies = [
        await guarded.client.request("GET", _TOKEN, guarded.headers["robot by Basic"])
        for _ in range(_ATTEMPTS)
    ]
    fresh = iter([bearer(json.loads(reply.body)["token"]) for reply in replies])
    await guarded.client.request("GET", _MANIFEST, guarded.headers["robot by Bearer"])

    cost = await guarded.cost_of(lambda: guarded.client.request("GET", _MANIFEST, next(fresh)))

    assert (cost.statements, *cost[:3]) == (("epochs.named",), 0, 0, 0)


@pytest.mark.parametrize("repositories", [1, 5])
async def test_a_token_for_a_robot_that_is_remembered_costs_one_commit_s9(
    guarded: Guarded, repositories: int
) -> None:
    """Who answers for the robot came with its credentials; the record of the issue is all, whatever is asked for."""
    scopes = "".join(f"&scope=repository:{_PROJECT}/more{number}:pull" for number in range(1, repositories))

    def ask() -> Awaitable[AsgiReply]:
        return guarded.client.request("GET", _TOKEN + scopes, guarded.headers["robot by Basic"])

    assert len(_access(await ask())) == repositories
    cost = await guarded.cost_of(ask)

    assert cost.statements == ("epochs.of_subjects", "audit_records.append")
    assert (cost.commits, cost.flushes) == (1, 0)
