"""A body that two readers may understand differently is none: a misread `permissions` makes a token without limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.drivers.metadata.machine_accounts import on_sqlite

if TYPE_CHECKING:
    from tests.integration.control_api.conftest import Registry

pytestmark = on_sqlite


@pytest.mark.parametrize(
    ("path", "body", "key"),
    [
        (
            "/access-tokens",
            b'{"name":"t","permissions":["repository:pull"],"permissions":null}',
            "permissions",
        ),
        ("/access-tokens", rb'{"name":"t","permissions":["a:b"],"\u0070ermissions":null}', "permissions"),
        ("/access-tokens", b'{"name":"a:b\\\\","name" : "a\\":","projects":[]}', "name"),
        ("/projects", b'{"project_name":"apps","metadata":{"public":"false", "public":"true"}}', "public"),
        ("/projects/there/metadatas", b'{"severity":"high","severity":null}', "severity"),
        (
            "/robots",
            b'{"name":"r","level":"project","duration":1,"permissions":[{"access":[{"action":"a","action":"b"}]}]}',
            "action",
        ),
        ("/access-tokens", b'{"name":"t","odd":{"deep":[[{"x":1,"x":1}]]}}', "x"),
    ],
)
async def test_a_name_that_is_given_twice_is_refused_at_every_depth_and_nothing_is_made(
    registry: Registry, path: str, body: bytes, key: str
) -> None:
    async with registry.plain() as client:
        await client.post("/projects", json={"project_name": "there"})
        before = await registry.records()
        refused = await client.post(path, content=body, headers={"Content-Type": "application/json"})
        tokens = (await client.get("/access-tokens")).json()
        robots = (await client.get("/robots")).json()
        names = [project["name"] for project in (await client.get("/projects")).json()]
        metadata = (await client.get("/projects/there/metadatas")).json()

    assert refused.status_code == 400
    assert refused.json()["errors"][0] == {
        "code": "BAD_REQUEST",
        "message": f"the key '{key}' occurs twice in one object of the body",
    }
    assert (tokens, robots, names) == ([], [], ["there"])
    assert "severity" not in metadata
    assert await registry.records() == before
