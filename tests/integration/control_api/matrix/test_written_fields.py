"""Bodies change what their models name and nothing else (S8): everything is written twice, and once with more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from entrepot.control_api.declarations import NoBody
from entrepot.control_api.routes import all_endpoints
from tests.integration.control_api.matrix.asking import Asked, bodies, path_of
from tests.integration.control_api.matrix.expectations import rows
from tests.integration.control_api.matrix.stage import CLOSED, set_stage
from tests.integration.control_api.matrix.state import TABLES, stored

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.control_api.declarations import AnyEndpoint

_PRIVILEGED: Final[dict[str, Any]] = {
    "id": 1,
    "subject": "host:root",
    "subject_id": 1,
    "public_id": "chosen",
    "kind": "robot",
    "epoch": 99,
    "user_id": 1,
    "sysadmin_flag": True,
    "admin_role_in_auth": True,
    "is_administrator": True,
    "role": "operations-admin",
    "role_id": 7,
    "roles": ["operations-admin"],
    "role_name": "operations-admin",
    "system": ["user:create"],
    "builtin": True,
    "must_change_password": False,
    "password": "chosen",
    "password_hash": "chosen",
    "secret": "Kt5!zzWq-canary-9",
    "secret_hash": "chosen",
    "disabled": True,
    "disabled_at": 1,
    "deleted_at": 1,
    "owner_id": 1,
    "owner_name": "walker",
    "project_id": 1,
    "group_id": 1,
    "creator": "walker",
    "creator_ref": 1,
    "creation_time": "2001-01-01T00:00:00Z",
    "created_at": 1,
    "expires_at": 99_999_999_999_999,
    "editable": False,
    "is_public": True,
    "public": True,
    "repository_creation": "developers",
    "quota": {"storage": -1},
    "storage_limit": -1,
    "pull_count": 5,
    "permissions": [],
    "level": "system",
    "members": [1],
}
"""What somebody might try to write: names of columns, of fields that are shown, of what other systems have."""
_OFFERED: Final = {
    "api.session.create": {"password"},
    "api.user.create": {"password"},
    "api.user.set-administrator": {"sysadmin_flag"},
    "api.user.set-disabled": {"disabled"},
    "api.group-member.add": {"user_id"},
    "api.access-token.create": {"permissions", "expires_at", "password"},
    "api.role.create": {"permissions", "level"},
    "api.role.update": {"permissions"},
    "api.role-assignment.create": {"subject_id", "role", "role_id"},
    "api.project.create": {"public", "storage_limit"},
    "api.project.update": {"public", "storage_limit"},
    "api.member.create": {"role_id"},
    "api.member.update": {"role_id"},
    "api.robot.create": {"secret", "permissions", "level"},
    "api.robot.update": {"permissions"},
    "api.robot.replace-secret": {"secret"},
    "api.label.create": {"project_id"},
}
"""Which of these an endpoint is there to write."""
_READ_AND_IGNORED: Final = {"api.label.update": {"project_id"}}
"""What clients of Harbor send along; a label never changes its place."""
_FREE: Final = frozenset({"api.configuration.update", "api.metadata.create", "api.metadata.update"})
"""Their bodies are names and values; a name that can't be set is refused, see below."""


def _writing() -> list[AnyEndpoint]:
    return [
        endpoint
        for endpoint in all_endpoints()
        if endpoint.body is not NoBody and endpoint.encoding == "json" and endpoint.operation not in _FREE
    ]


async def _written(directory: Path, *, with_more: bool) -> tuple[list[int], dict[str, list[dict[str, Any]]]]:
    """Send every body, with or without fields that nobody may write, and return the answers and what is stored."""
    statuses: list[int] = []
    async with set_stage(directory) as stage:
        for endpoint in _writing():
            every = [row for row in rows() if row.operation == endpoint.operation]
            row = next((one for one in every if one.aspect in {"of others", "in the project"}), every[0])
            body = bodies(stage, CLOSED, in_project=row.aspect == "in the project")[endpoint.operation]
            offered = _OFFERED.get(endpoint.operation, set[str]())
            more = {
                name: value
                for name, value in _PRIVILEGED.items()
                if name not in offered and (endpoint.passed_over is None or name in endpoint.passed_over)
            }
            async with stage.administrator() as client:
                path = path_of(row, Asked(stage, "operations-admin", CLOSED))
                sent = {**more, **body} if with_more else body
                statuses.append((await client.request(endpoint.method, path, json=sent)).status_code)
        return statuses, await stored(stage)


def test_the_privileged_fields_that_models_name_are_known_s8() -> None:
    """A field that a model gains can be written, so somebody has to want that."""
    named = {
        endpoint.operation: {field.name for field in msgspec.structs.fields(endpoint.body)} & set(_PRIVILEGED)
        for endpoint in _writing()
    }
    assert {operation: names for operation, names in named.items() if names} == _OFFERED | _READ_AND_IGNORED


async def test_fields_that_a_model_does_not_name_are_never_written_s8(tmp_path: Path) -> None:
    """Each body is taken, and leaves what the same body leaves without them."""
    plain, more = tmp_path / "plain", tmp_path / "more"
    expected = await _written(plain, with_more=False)
    found = await _written(more, with_more=True)

    assert [status for status in expected[0] if status not in {200, 201}] == []
    assert found[0] == expected[0]
    for table in TABLES:
        assert found[1][table] == expected[1][table]
        assert expected[1][table] or table == "configurations"


async def test_names_that_are_no_settings_and_no_metadata_are_not_stored_s8(tmp_path: Path) -> None:
    """Where a body is names and values, those that nobody offers are refused or left out."""
    async with set_stage(tmp_path) as stage:
        async with stage.administrator() as client:
            before = await stored(stage)
            for name in (
                "owner_id",
                "epoch",
                "name",
                "deleted_at",
                "auth_mode",
                "access.accounts",
                "password",
            ):
                await client.put("/api/v2.0/configurations", json={name: "7"})
                await client.post(f"/api/v2.0/projects/{CLOSED}/metadatas", json={name: "7"})
                await client.put(f"/api/v2.0/projects/{CLOSED}/metadatas/{name}", json={name: "7"})
                await client.put(f"/api/v2.0/projects/{CLOSED}", json={"metadata": {name: "7"}})

        assert await stored(stage) == before
