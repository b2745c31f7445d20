"""A robot as the guide's pipeline has it: what it needs to push `latest` a second time, and what it is told without."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from tests.asgi.client import AsgiClient
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
from tests.asgi.small_images import image, push_blobs, put

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

_PASSWORD: Final = "Brisk-Lantern-77"
_PUSHES: Final = ("pull", "push")
_REFUSED: Final = (
    "tag latest exists and points at something else, and you may create tags but not move them, which takes "
    "tag:overwrite: push under another tag, or ask an administrator of project team for a role, or for a robot, that "
    "has this permission"
)


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[InProcessRegistry]:
    """A registry with accounts and the repository `team/app`."""
    settings = scratch_settings(tmp_path / "data", access__accounts=True, admin__password=_PASSWORD)
    async with in_process_registry(settings) as registry:
        await _administer(registry, "POST", "/projects", {"project_name": "team"})
        await _administer(registry, "POST", "/projects/team/repositories", {"name": "app"})
        yield registry


def _basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{secret}'.encode()).decode()}"}


async def _administer(registry: InProcessRegistry, method: str, path: str, body: object) -> bytes:
    headers = {"Content-Type": "application/json", **_basic("admin", _PASSWORD)}
    content = json.dumps(body).encode()
    reply = await registry.client.request(method, f"/api/v2.0{path}", headers, (content,))
    assert reply.status < 300, reply.body
    return reply.body


def _permissions(*more: tuple[str, str]) -> list[dict[str, object]]:
    pairs: Sequence[tuple[str, str]] = (*(("repository", action) for action in _PUSHES), *more)
    access = [{"resource": resource, "action": action} for resource, action in pairs]
    return [{"kind": "project", "namespace": "team", "access": access}]


async def _headers(registry: InProcessRegistry, secret: str, *, with_token: bool) -> dict[str, str]:
    """Return what the robot presents: name and secret, or a token that it gets for them as docker does."""
    basic = _basic("robot$team+ci", secret)
    if not with_token:
        return basic
    query = httpx.QueryParams(service="entrepot", scope="repository:team/app:pull,push")
    reply = await registry.client.request("GET", f"/service/token?{query}", basic)
    return {"Authorization": f"Bearer {json.loads(reply.body)['token']}"}


@pytest.mark.parametrize("with_token", [False, True], ids=["basic", "token"])
async def test_s11_who_creates_tags_is_told_what_moving_one_takes_and_moves_it_with_that(
    registry: InProcessRegistry, with_token: bool
) -> None:
    """To create a tag is not to move one; a new tag, and the same image again, are no move."""
    robot = {"name": "ci", "level": "project", "duration": 30, "permissions": _permissions()}
    made = json.loads(await _administer(registry, "POST", "/robots", robot))

    async def client() -> AsgiClient:
        headers = await _headers(registry, made["secret"], with_token=with_token)
        return AsgiClient(registry.client.application, headers=headers)

    pipeline = await client()
    await push_blobs(pipeline)
    first, second = image(), image(annotations={"build": "2"})
    pushed = [
        (await put(pipeline, tag, body)).status
        for tag, body in (("latest", first), ("latest", first), ("v2", second))
    ]
    refused = await put(pipeline, "latest", second)
    more = _permissions(("tag", "overwrite"))
    await _administer(registry, "PUT", f"/robots/{made['id']}", {"permissions": more})
    assert registry.identity is not None
    await registry.identity.epochs.refresh()
    moved = await put(await client(), "latest", second)

    assert pushed == [201, 201, 201]
    assert (refused.status, refused.error_code()) == (403, "DENIED")
    assert json.loads(refused.body)["errors"][0]["message"] == _REFUSED
    assert moved.status == 201
