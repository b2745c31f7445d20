"""What becomes of acts that fail: each leaves one record, which tells the status that was answered (I11, S27)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from tests.drivers.metadata.machine_accounts import on_sqlite
from tests.integration.control_api.building import ADMIN_PASSWORD

if TYPE_CHECKING:
    from tests.integration.control_api.conftest import Registry

pytestmark = on_sqlite

_NEW: Final = "Nv4#tundra-Bolt"


async def _failures(registry: Registry, action: str) -> list[tuple[str, int]]:
    rows = await registry.database.fetch(
        f"SELECT body FROM audit_records WHERE action = '{action}' AND outcome = 'failure' ORDER BY id"
    )
    bodies = [json.loads(body) for (body,) in rows]
    return [(body["event.reason"], body["http.response.status_code"]) for body in bodies]


async def test_own_passwords_that_do_not_change_are_recorded_with_their_status_i11(
    registry: Registry,
) -> None:
    """Wrong old ones, those that came too late for an answer, and whoever is locked out already."""
    async with registry.plain("admin", ADMIN_PASSWORD) as admin:
        statuses = [
            (
                await admin.put(
                    "/users/1/password", json={"old_password": f"no{number}", "new_password": _NEW}
                )
            ).status_code
            for number in range(7)
        ]

    assert statuses == [401, 401, 401, 401, 401, 429, 429]
    assert await _failures(registry, "user.password.change") == [
        *[("wrong password", 401)] * 5,
        *[("locked out", 429)] * 2,
    ]
