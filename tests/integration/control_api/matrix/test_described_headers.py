"""The headers that the schema tells of are those that the running application looks at and sends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from entrepot.control_api.framework import build_schema
from entrepot.control_api.routes import all_endpoints
from tests.integration.control_api.matrix.asking import Asked, ask
from tests.integration.control_api.matrix.expectations import rows
from tests.integration.control_api.matrix.stage import CLOSED, set_stage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import httpx

    from tests.integration.control_api.matrix.expectations import Row

_OF_EVERY_ANSWER: Final = frozenset(
    {"content-type", "content-length", "cache-control", "x-content-type-options"}
    | {"content-security-policy", "referrer-policy", "connection"}
)
"""What answers have without saying anything by it that a client would act on."""


def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(build_schema(all_endpoints(), "1.2.3"))
    return schema


def _followed(schema: Mapping[str, Any], item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a reference refers to."""
    found: Any = schema
    for step in str(item["$ref"]).removeprefix("#/").split("/") if "$ref" in item else ():
        found = found[step]
    return item if found is schema else found


def _described(schema: Mapping[str, Any], operation: Mapping[str, Any], status: int) -> dict[str, bool]:
    """Return the headers of an answer, in lower case, with whether they are always there."""
    headers = operation["responses"][str(status)].get("headers", {})
    return {name.lower(): _followed(schema, header)["required"] for name, header in headers.items()}


def _differences(described: Mapping[str, bool], reply: httpx.Response) -> list[str]:
    sent = set(reply.headers.keys()) - _OF_EVERY_ANSWER
    missing = {name for name, always in described.items() if always} - sent
    return [f"lacks {name}" for name in sorted(missing)] + [
        f"also {name}" for name in sorted(sent - set(described))
    ]


def _pages(schema: Mapping[str, Any], row: Row) -> bool:
    operation = schema["paths"].get(row.path, {}).get(row.method.lower(), {"responses": {}})
    return any("X-Total-Count" in answer.get("headers", {}) for answer in operation["responses"].values())


async def test_answers_have_the_headers_that_the_schema_tells_of(tmp_path: Path) -> None:
    """Of all endpoints, asked by who may everything and by nobody: so generated clients can page."""
    schema, wrong, made, paged = _schema(), list[str](), set[str](), set[str]()
    async with set_stage(tmp_path) as stage:
        for caller in ("operations-admin", "anonymous"):
            asked = Asked(stage, caller, CLOSED)
            async with stage.client(caller, CLOSED) as client:
                for row in rows():
                    if not row.operation.startswith("api."):
                        continue
                    reply = await ask(row, asked, client)
                    operation = schema["paths"][row.path][row.method.lower()]
                    found = _differences(_described(schema, operation, reply.status_code), reply)
                    wrong += [f"{row.operation} {row.aspect!r} {reply.status_code} {one}" for one in found]
                    made |= {row.operation} if "location" in reply.headers else set()
                    paged |= {row.operation} if "x-total-count" in reply.headers else set()

    assert wrong == []
    # Here, the group is deleted before its members are asked for.
    made.add("api.group-member.add")
    paged.add("api.group-member.list")
    assert made == {endpoint.operation for endpoint in all_endpoints() if endpoint.status == 201}
    assert paged == {row.operation for row in rows() if _pages(schema, row)}


def test_headers_of_requests_are_told_where_they_mean_something() -> None:
    schema = _schema()
    heeding: dict[str, set[str]] = {}
    for methods in schema["paths"].values():
        for operation in methods.values():
            for parameter in (_followed(schema, one) for one in operation["parameters"]):
                if parameter["in"] == "header":
                    heeding.setdefault(parameter["name"], set()).add(operation["operationId"])

    every = {endpoint.operation_id for endpoint in all_endpoints()}
    assert heeding["X-Request-Id"] == every
    assert heeding["X-Resource-Name-In-Location"] == {"createProject"}
    assert {"getProject", "createProjectMember", "getPermissions"} <= heeding["X-Is-Resource-Name"]
    assert "listProjects" not in heeding["X-Is-Resource-Name"]
    assert {"createProject", "deleteProject", "logOut"} <= heeding["X-Harbor-CSRF-Token"]
    assert heeding["X-Harbor-CSRF-Token"].isdisjoint({"login", "createSession", "getProject"})
