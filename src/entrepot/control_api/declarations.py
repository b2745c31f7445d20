"""The declaration of an endpoint: everything that routing, validation, permission and documents need, as plain data.

An endpoint without a demand can't be written down, and what is not declared is not routed. Nothing here knows the web
framework, so that tests, the role matrix and the documents enumerate endpoints without it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeAlias, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from entrepot.auth.project_actions import ProjectAction
    from entrepot.control_api.demands import Demand, PublicDemand
    from entrepot.control_api.reply import Reply
    from entrepot.control_api.request_head import RequestHead
    from entrepot.control_api.services import ControlServices

__all__ = [
    "API_PREFIX",
    "USUAL_BODY_BYTES",
    "AnyEndpoint",
    "Call",
    "DeclarationError",
    "Endpoint",
    "Method",
    "NoBody",
    "NoInputs",
    "path_parameters",
    "require_sound",
]

API_PREFIX: Final = "/api/v2.0"

USUAL_BODY_BYTES: Final = 64 * 1024
"""No fields of a person, a project or a role together come near; only lists of a thousand entries do."""

Method: TypeAlias = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

G = TypeVar("G")
I = TypeVar("I", bound=msgspec.Struct)  # noqa: E741  # the letter stands for inputs
B = TypeVar("B")

_PARAMETER: Final = re.compile(r"\{([a-z_]+)\}")
_OPERATION: Final = re.compile(r"api(?:\.[a-z]+(?:-[a-z]+)*)+")


class DeclarationError(Exception):
    """An endpoint is declared in a way that can't be right; found at the start, and by the tests."""


class NoInputs(msgspec.Struct, frozen=True):
    """An endpoint that takes nothing from path or query."""


class NoBody(msgspec.Struct, frozen=True):
    """An endpoint that takes no body; one that is sent is not looked at."""


@dataclass(frozen=True, slots=True)
class Call(Generic[G, I, B]):
    """One request, as its handler gets it: read, validated, and with the proof that it is allowed.

    Attributes:
        grant: what the demand gave; a handler has no other way to learn who asks.
    """

    grant: G
    inputs: I
    body: B
    head: RequestHead


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Generic[G, I, B]):
    """One method on one path.

    Attributes:
        path: from the root, with `{names}`; each of them is a field of `inputs`.
        operation: its name in metrics and in the access log.
        operation_id: as Harbor's schema calls it, by which generated clients know it.
        inputs: the fields that path and query may have. Those of the path have no default.
        body: the fields that may be written. Others are never assigned (S8).
        passed_over: those of the others that may be sent, and are ignored; `None` for any. What is neither is refused,
            where a misspelt field would give more than was meant, or change nothing.
        encoding: how the body is written.
        most_body_bytes: a longer one is refused before it is parsed, which the event loop does: 0.2 s per MiB.
        told_more: permissions in the project, with each of which the answer has something more to tell.
        result: what the body of the answer is; `None` for an empty one.
        status: of the answer when all is well.
        heeded: headers of requests that it looks at, besides those that its demand and inputs do.
        sent: headers of its answer besides those that its status and inputs bring, and that all answers have.
    """

    method: Method
    path: str
    operation: str
    operation_id: str
    tag: str
    summary: str
    demand: Demand[G] | PublicDemand
    handler: Callable[[ControlServices, Call[G, I, B]], Awaitable[Reply]]
    inputs: type[I]
    body: type[B]
    passed_over: frozenset[str] | None = None
    encoding: Literal["json", "form"] = "json"
    most_body_bytes: int = USUAL_BODY_BYTES
    told_more: tuple[type[ProjectAction], ...] = ()
    result: object = None
    result_media: str = "application/json"
    status: int = 200
    heeded: tuple[str, ...] = ()
    sent: tuple[str, ...] = ()


AnyEndpoint: TypeAlias = Endpoint[Any, Any, Any]


def path_parameters(path: str) -> tuple[str, ...]:
    """Return the names in a path, in order."""
    return tuple(_PARAMETER.findall(path))


def require_sound(endpoints: Iterable[AnyEndpoint]) -> None:
    """Check what types can't: that no two endpoints are one, and that paths and inputs agree.

    Raises:
        DeclarationError: they don't.
    """
    places: set[tuple[str, str]] = set()
    names: set[str] = set()
    for endpoint in endpoints:
        place = (endpoint.method, _PARAMETER.sub("{}", endpoint.path))
        if place in places or endpoint.operation in names or endpoint.operation_id in names:
            raise DeclarationError(f"{endpoint.method} {endpoint.path} is declared twice")
        places.add(place)
        names |= {endpoint.operation, endpoint.operation_id}
        _require_sound_one(endpoint)


def _require_sound_one(endpoint: AnyEndpoint) -> None:
    where = f"{endpoint.method} {endpoint.path}"
    required = {field.name for field in msgspec.structs.fields(endpoint.inputs) if field.required}
    in_path = path_parameters(endpoint.path)
    every = {field.name for field in msgspec.structs.fields(endpoint.inputs)}
    if not set(in_path) <= required:
        raise DeclarationError(f"{where}: each name in the path is an input without a default")
    if len(set(in_path)) != len(in_path) or "{" in _PARAMETER.sub("", endpoint.path):
        raise DeclarationError(f"{where}: the path is malformed")
    if not _OPERATION.fullmatch(endpoint.operation):
        raise DeclarationError(f"{where}: an operation is called api.noun.verb")
    parameter = getattr(endpoint.demand, "parameter", None)
    if parameter is not None and parameter not in in_path:
        raise DeclarationError(f"{where}: the project that is demanded is not in the path")
    if (
        endpoint.demand.kind
        in ("system", "project", "one of", "own or one of", "person or", "person or one of")
        and not endpoint.demand.actions
    ):
        raise DeclarationError(f"{where}: no permission is named")
    if endpoint.method == "HEAD" and in_path:
        raise DeclarationError(
            f"{where}: HEAD of its own is for fixed paths; others answer it as GET without a body"
        )
    if endpoint.method in ("GET", "HEAD") and endpoint.body is not NoBody:
        raise DeclarationError(f"{where}: {endpoint.method} takes no body")
    if "page" in every and not {"page_size"} <= every:
        raise DeclarationError(f"{where}: pages have a size")
