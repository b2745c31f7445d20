"""No page of another site has a browser change anything: all endpoints that write, an administrator's cookie (S22)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpx

from tests.integration.control_api.building import ADMIN_PASSWORD
from tests.integration.control_api.matrix.asking import Asked, bodies, path_of
from tests.integration.control_api.matrix.expectations import rows
from tests.integration.control_api.matrix.stage import API, CLOSED, Stage, set_stage

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.control_api.matrix.expectations import Row

_READING: Final = frozenset({"GET", "HEAD"})
_WITHOUT_A_SESSION: Final = frozenset({"api.login", "api.session.create"})
"""They ask for a name and a password, which a page of another site has not; its origin is refused all the same."""
_ADDRESS: Final = "http://registry.example"


async def _session(stage: Stage) -> tuple[str, str]:
    """Return the cookie of the first administrator, and its token."""
    async with stage.administrator() as admin:
        asked = {"username": "admin", "password": ADMIN_PASSWORD}
        begun = await admin.post(f"{API}/sessions", json=asked)
    assert begun.status_code == 201
    return begun.headers["set-cookie"].partition(";")[0], begun.headers["x-harbor-csrf-token"]


async def _status(stage: Stage, row: Row, headers: dict[str, str]) -> int:
    asked = Asked(stage, "outsider", CLOSED)
    body = bodies(stage, CLOSED, in_project=row.aspect == "in the project").get(row.operation)
    sent: dict[str, Any] = {"data" if row.operation == "api.login" else "json": body}
    transport: Any = httpx.ASGITransport(stage.application)
    async with httpx.AsyncClient(transport=transport, base_url=_ADDRESS, headers=headers) as client:
        return (await client.request(row.method, path_of(row, asked), **sent)).status_code


async def test_every_change_by_a_page_of_another_site_is_refused_and_changes_nothing_s22(
    tmp_path: Path,
) -> None:
    """Whether it lacks the session's token, shows another one, or comes from elsewhere with the right one."""
    wrong: list[str] = []
    async with set_stage(tmp_path) as stage:
        cookie, token = await _session(stage)
        header = {"Cookie": cookie}
        right = header | {"X-Harbor-CSRF-Token": token}
        attempts = {
            "no token": header,
            "another token": header | {"X-Harbor-CSRF-Token": "0" * len(token)},
            "another origin": right | {"Origin": "https://evil.example"},
            "no origin at all": right | {"Origin": "null"},
            "another site by its own word": right | {"Sec-Fetch-Site": "cross-site"},
        }
        changing = [row for row in rows() if row.operation.startswith("api.") and row.method not in _READING]
        acts = await stage.database.count("audit_records")
        for row in changing:
            for attempt, headers in attempts.items():
                if row.operation in _WITHOUT_A_SESSION and "token" in attempt:
                    continue
                status = await _status(stage, row, headers)
                if status != 403:
                    wrong.append(f"{row.operation} {row.aspect!r}, {attempt}: {status}")
        done = await stage.database.fetch(
            f"SELECT action FROM audit_records WHERE outcome = 'success' AND id > {acts}"
        )

    assert not wrong, "\n".join(wrong)
    assert len(changing) > 40
    assert done == []


async def test_the_data_plane_knows_no_cookie_s22(tmp_path: Path) -> None:
    async with set_stage(tmp_path) as stage:
        cookie, token = await _session(stage)
        headers = {"Cookie": cookie, "X-Harbor-CSRF-Token": token}
        plane = [row for row in rows() if not row.operation.startswith("api.")]
        statuses = {await _status(stage, row, headers) for row in plane}

    assert statuses == {401}
