"""Completes the schema that the framework makes: headers, error bodies, credentials, and the permission it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from entrepot.control_api.paging import PageInputs
from entrepot.control_api.request_head import UNSAFE_METHODS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from entrepot.control_api.declarations import AnyEndpoint

__all__ = ["complete_schema"]

_ERROR_CONTENT: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}
_REQUEST_ID: Final = "X-Request-Id"
_CSRF: Final = "X-Harbor-CSRF-Token"
_BY_NAME: Final = "X-Is-Resource-Name"
_PROJECT: Final = "project_name_or_id"
_HEEDED: Final = {
    _REQUEST_ID: "By which logs and the audit log tell of this request; one is made up without it.",
    _CSRF: "What an answer to a session gave under this name; takes it who comes with the cookie `sid`.",
    _BY_NAME: "`true`: the project is named, also where its name is a number.",
    "X-Resource-Name-In-Location": "`true`: the address of what is made is to have its name in place of its number.",
}
"""Headers of requests, each of which may be left out."""
_SENT: Final[dict[str, tuple[str, str, bool]]] = {
    _REQUEST_ID: ("string", "By which logs and the audit log tell of this request.", True),
    _CSRF: ("string", "For changes with the cookie `sid`: to be sent back in a header of this name.", False),
    "X-Total-Count": ("integer", "How many items there are on all pages.", True),
    "Link": ("string", 'Where the pages before and after this one are: `rel="prev"`, `rel="next"`.', False),
    "Location": ("string", "The address of what was made.", True),
    "Set-Cookie": ("string", "The cookie `sid`: the session of a browser, or its end.", True),
    "Content-Disposition": ("string", "Under which name to keep what is sent.", True),
    "WWW-Authenticate": ("string", "How to say who asks.", True),
    "Retry-After": ("integer", "After how many seconds to try again.", True),
}
"""Headers of answers: type, meaning, and whether they are always there."""
_SENT_WITH: Final = {"401": "WWW-Authenticate", "429": "Retry-After", "503": "Retry-After"}
"""By status."""
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
    parts["headers"] = {
        name: {"description": meaning, "required": always, "schema": {"type": kind}}
        for name, (kind, meaning, always) in _SENT.items()
    }
    parts["parameters"] = {
        name: {"name": name, "in": "header", "description": meaning, "schema": {"type": "string"}}
        for name, meaning in _HEEDED.items()
    }
    for endpoint in endpoints:
        operation = schema["paths"][endpoint.path][endpoint.method.lower()]
        operation["summary"] = endpoint.summary
        operation["security"] = _security(endpoint)
        operation["x-demand"] = endpoint.demand.kind
        operation["x-permissions"] = [action.permission.name for action in endpoint.demand.actions]
        operation["x-permissions-to-be-told-more"] = [one.permission.name for one in endpoint.told_more]
        heeded = [{"$ref": f"#/components/parameters/{name}"} for name in _heeded(endpoint)]
        operation["parameters"] = [*operation.get("parameters", ()), *heeded]
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
    success["headers"] = _references(_sent(endpoint))
    statuses = ["400", "422", "500", "503"]
    if endpoint.demand.kind != "public" or endpoint.method in UNSAFE_METHODS:
        statuses += ["401", "403", "404", "429"]
    if endpoint.method in UNSAFE_METHODS:
        statuses += ["408", "409", "412", "413"]
    return {str(endpoint.status): success} | {status: _error(status) for status in sorted(statuses)}


def _heeded(endpoint: AnyEndpoint) -> list[str]:
    """Return which headers of a request to an endpoint mean something."""
    names = [_REQUEST_ID, *endpoint.heeded]
    if endpoint.demand.kind != "public" and endpoint.method in UNSAFE_METHODS:
        names.append(_CSRF)
    if _PROJECT in {field.name for field in msgspec.structs.fields(endpoint.inputs)}:
        names.append(_BY_NAME)
    return names


def _sent(endpoint: AnyEndpoint) -> list[str]:
    """Return which headers the answer of an endpoint has when all is well."""
    names = [_REQUEST_ID, *endpoint.sent]
    if endpoint.demand.kind != "public":
        names.append(_CSRF)
    if issubclass(endpoint.inputs, PageInputs):
        names += ["X-Total-Count", "Link"]
    if endpoint.status == 201:
        names.append("Location")
    return names


def _error(status: str) -> dict[str, Any]:
    names = [_REQUEST_ID, *([_SENT_WITH[status]] if status in _SENT_WITH else [])]
    return {"description": "What went wrong.", "headers": _references(names), "content": _ERROR_CONTENT}


def _references(names: list[str]) -> dict[str, dict[str, str]]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
