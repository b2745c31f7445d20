"""What is no good body for any endpoint, and what a body may leave out or say by null."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.drivers.metadata.machine_accounts import on_sqlite

if TYPE_CHECKING:
    from tests.integration.control_api.conftest import Registry

pytestmark = on_sqlite


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/sessions"), ("POST", "/projects"), ("POST", "/access-tokens"), ("PUT", "/users/1/password")],
)
@pytest.mark.parametrize("depth", [32, 1000, 100_000])
async def test_a_body_of_many_brackets_is_a_fault_of_the_client_s36(
    registry: Registry, method: str, path: str, depth: int
) -> None:
    """Whether the decoder gives up, which depends on the interpreter, or a look at the levels does."""
    async with registry.plain() as client:
        nested = b'{"username":' + b"[" * depth + b"]" * depth + b"}"
        reply = await client.request(method, path, content=nested)

    assert reply.status_code == 400
    assert reply.json() == {
        "errors": [
            {
                "code": "BAD_REQUEST",
                "message": "the body has objects and lists more than 32 levels deep",
            }
        ]
    }
