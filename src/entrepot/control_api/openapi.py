"""Completes the schema that the framework makes: error bodies, credentials, and the permission an endpoint takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from entrepot.control_api.request_head import UNSAFE_METHODS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from entrepot.control_api.declarations import AnyEndpoint

__all__ = ["complete_schema"]

_ERROR: Final = {
    "description": "What went wrong.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}},
}
_ERROR_SCHEMAS: Final = {
    "Errors": {
        "type": "object",
        "title": "Errors",
        "required": ["errors"],
        "properties": {"errors": {"type": "array", "items": {"$ref": "#/components/schemas/Error"}}},
    },
    "Error": {
        "type": "object",
        "title": "Error",
        "required": ["code", "message"],
        "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
    },
}
_SCHEMES: Final = {
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "Name and password of a person, robot and secret, or a name and an access token.",
    },
    "token": {"type": "http", "scheme": "bearer", "description": "An access token (`ept_…`)."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "sid",
        "description": "The session of a browser; changes also take the header X-Harbor-CSRF-Token.",
    },
}


def complete_schema(schema: dict[str, Any], endpoints: Iterable[AnyEndpoint]) -> dict[str, Any]:
    """Return the schema with what the framework does not know."""
    parts = schema.setdefault("components", {})
    parts["schemas"] = parts.get("schemas", {}) | _ERROR_SCHEMAS
    parts["securitySchemes"] = _SCHEMES
    for endpoint in endpoints:
        operation = schema["paths"][endpoint.path][endpoint.method.lower()]
        operation["summary"] = endpoint.summary
        operation["security"] = _security(endpoint)
        operation["x-demand"] = endpoint.demand.kind
        operation["x-permissions"] = [action.permission.name for action in endpoint.demand.actions]
        operation["responses"] = _responses(endpoint, operation["responses"])
        if endpoint.passed_over == frozenset():
            parts["schemas"][endpoint.body.__name__]["additionalProperties"] = False
    return schema


def _security(endpoint: AnyEndpoint) -> list[dict[str, list[str]]]:
    if endpoint.demand.kind == "public":
        return []
    alternatives: list[dict[str, list[str]]] = [{name: []} for name in _SCHEMES]
    return [*alternatives, {}] if endpoint.demand.kind in {"anyone", "anyone at all"} else alternatives


def _responses(endpoint: AnyEndpoint, made: dict[str, Any]) -> dict[str, Any]:
    success = made[str(endpoint.status)]
    if endpoint.result is None:
        success.pop("content", None)
    elif endpoint.result_media != "application/json":
        success["content"] = {endpoint.result_media: {"schema": {"type": "string"}}}
    success["description"] = "As asked."
    statuses = ["400", "422", "500", "503"]
    if endpoint.demand.kind != "public" or endpoint.method in UNSAFE_METHODS:
        statuses += ["401", "403", "404", "429"]
    if endpoint.method in UNSAFE_METHODS:
        statuses += ["408", "409", "412", "413"]
    return {str(endpoint.status): success} | dict.fromkeys(sorted(statuses), _ERROR)
