"""The end of a robot over the API: days from now, beside Harbor's days since it was made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.drivers.metadata.machine_accounts import on_sqlite

if TYPE_CHECKING:
    from tests.integration.control_api.conftest import Registry

pytestmark = on_sqlite

_ENTRY: Final = {
    "kind": "project",
    "namespace": "apps",
    "access": [{"resource": "repository", "action": "pull"}],
}
_DAY: Final = 86_400


async def test_f27_an_expired_robot_is_prolonged_by_the_days_that_it_was_made_with(
    registry: Registry,
) -> None:
    """Sent back as it is shown, as Harbor's clients do, with `expires_in_days` beside; a wrong number is named so."""
    robot = {"name": "ci", "level": "project", "duration": 30, "permissions": [_ENTRY]}
    async with registry.plain() as client:
        await client.post("/projects", json={"project_name": "apps"})
        made = (await client.post("/robots", json=robot)).json()
        path = f"/robots/{made['id']}"
        await registry.database.fetch("UPDATE robots SET expires_at = 1000")
        shown = (await client.get(path)).json()

        as_shown = await client.put(path, json=shown)
        still = (await client.get(path)).json()["expires_at"]
        wrong = await client.put(path, json={"expires_in_days": 0})
        prolonged = await client.put(path, json={**shown, "expires_in_days": 30})
        after = (await client.get(path)).json()

    assert (as_shown.status_code, still) == (200, 1)
    assert (wrong.status_code, wrong.json()["errors"][0]["message"].partition(":")[0]) == (
        400,
        "expires_in_days",
    )
    assert prolonged.status_code == 200
    assert (after["duration"], abs(after["expires_at"] - made["expires_at"]) < _DAY) == (30, True)
