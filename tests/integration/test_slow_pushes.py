"""Pushes whose body comes slowly: what they may is asked for at their end as well (S14)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.distribution_api import manifests
from tests.asgi.client import AsgiClient, AsgiReply

# Fixtures are found by their names in the module of a test.
from tests.integration.test_bearer_at_the_edge import edge

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from entrepot.kernel.asgi import Message, Receive, Scope, Send
    from tests.integration.test_bearer_at_the_edge import Edge

__all__ = ["edge"]

_PUSH: Final = frozenset({"pull", "push", "create", "overwrite"})
_INDEX: Final = "application/vnd.oci.image.index.v1+json"
_BODY: Final = b'{"schemaVersion":2,"mediaType":"%b","manifests":[]}' % _INDEX.encode()


async def _pushed(edge: Edge, meanwhile: Callable[[], object]) -> AsgiReply:
    """Push a manifest; something happens when its head is judged, and before its body is there."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        async def receive_late() -> Message:
            meanwhile()
            return await receive()

        await edge.client.application(scope, receive_late, send)

    headers = {"Content-Type": _INDEX, "Content-Length": str(len(_BODY)), **edge.bearer(_PUSH)}
    return await AsgiClient(application).request("PUT", "/v2/team/app/manifests/v1", headers, [_BODY])


async def _is_there(edge: Edge) -> bool:
    reply = await edge.client.request("GET", "/v2/team/app/manifests/v1", edge.bearer(_PUSH))
    return reply.status == 200


async def test_who_is_gone_when_the_body_is_there_pushes_nothing_s14(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifests, "_LONG_SECONDS", -1.0)

    reply = await _pushed(edge, lambda: edge.epochs.subjects.update({"alice-id": 99}))

    assert (reply.status, reply.error_code()) == (401, "UNAUTHORIZED")
    edge.epochs.subjects.clear()
    assert not await _is_there(edge)


async def test_who_may_no_more_when_the_body_is_there_pushes_nothing_s14(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the project was deleted and another one was made by its name."""
    monkeypatch.setattr(manifests, "_LONG_SECONDS", -1.0)

    reply = await _pushed(edge, lambda: edge.epochs.projects.update({"team": 99}))

    assert reply.status == 401
    edge.epochs.projects.clear()
    assert not await _is_there(edge)


async def test_who_still_may_pushes_slowly(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "_LONG_SECONDS", -1.0)

    assert (await _pushed(edge, lambda: None)).status == 201
    assert await _is_there(edge)


async def test_what_comes_at_once_is_not_asked_about_twice(edge: Edge) -> None:
    reply = await _pushed(edge, lambda: edge.epochs.subjects.update({"alice-id": 99}))

    assert reply.status == 201
