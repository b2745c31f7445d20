"""A client finds its own request id in the answer and in the audit log, whichever entrance it took."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entrepot.audit.ecs import ecs_fields
from entrepot.audit.frames import read_frames
from entrepot.audit.segments import segment_paths
from entrepot.bootstrap import build_http_application
from entrepot.settings import audit_directory
from tests.asgi.client import AsgiClient
from tests.asgi.lifespan import running_lifespan
from tests.stateful.node import basic, node_settings

if TYPE_CHECKING:
    from pathlib import Path

_ENTRANCES = ("/v2/", "/service/token?service=entrepot", "/api/v2.0/users/current")


@pytest.mark.parametrize("request_id", ["7", "abc-123", "A.b_c-" + "d" * 122])
async def test_an_id_of_1_to_128_characters_is_kept(tmp_path: Path, request_id: str) -> None:
    settings = node_settings(tmp_path)
    application = build_http_application(settings)
    async with running_lifespan(application):
        client = AsgiClient(application, "192.0.2.7")
        headers = {"X-Request-Id": request_id, **basic("bob", "ept_" + "x" * 43)}
        replies = [await client.request("GET", target, headers) for target in _ENTRANCES]

    assert [(reply.status, reply.headers["x-request-id"]) for reply in replies] == [(401, request_id)] * 3
    paths = segment_paths(audit_directory(settings) / "spool")
    records = [record for path in paths for record in read_frames(path.read_bytes()).records]
    fields = [ecs_fields(0, record.body, record.disclosure) for record in records]
    assert [record["http.request.id"] for record in fields] == [request_id] * 3
