"""Turns declared endpoints into an application of Litestar: the only module that knows the framework.

Litestar routes, reads and validates what types say, and makes the OpenAPI schema from the same types. A guard of the
application obtains the proof that an endpoint demands before its inputs are looked at, so that nobody learns from a
validation message what they may not even ask.

The application depends on the declarations only; what it works on comes with each request.
"""

from __future__ import annotations

import contextlib
import inspect
import re
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, get_type_hints

import msgspec
import structlog
from litestar import Litestar, Request, Response
from litestar.enums import RequestEncodingType
from litestar.exceptions import (
    ClientException,
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    SerializationException,
    ValidationException,
)
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.params import Body, PathParameter, QueryParameter
from litestar.response import Stream

from entrepot.control_api.admission import admitter_of
from entrepot.control_api.declarations import (
    Call,
    NoBody,
    path_parameters,
    require_sound,
)
from entrepot.control_api.demands import Gate
from entrepot.control_api.error_mapping import HarborCode, error_reply, render_error
from entrepot.control_api.errors import (
    InvalidInputError,
    MalformedRequestError,
    MethodNotOfferedError,
    PathUnknownError,
)
from entrepot.control_api.json_bodies import (
    drop_nulls,
    in_words,
    missing_field,
    names_its_fields,
    require_known_fields,
    require_shallow,
    require_types,
    require_unique_names,
    too_deep,
    unreadable,
)
from entrepot.control_api.openapi import complete_schema
from entrepot.control_api.request_context import context_of
from entrepot.control_api.request_head import UNSAFE_METHODS
from entrepot.control_api.storable_values import require_plain_numbers, require_storable
from entrepot.kernel.errors import EntrepotError
from entrepot.metadata.errors import MetadataError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler

    from entrepot.control_api.declarations import AnyEndpoint
    from entrepot.control_api.reply import Reply

__all__ = ["build_framework", "build_schema"]

_log: Any = structlog.get_logger()

_ENDPOINT: Final = "entrepot_endpoint"
_NO_BODY: Final = NoBody()
_MISSING_FIELD: Final = re.compile(r"Missing required (?:query|path|header|cookie) parameter '([^']+)'")
"""How the framework says, outside of its list of problems, that a query field was left out."""
_BODY: Final = "data"
"""How the framework calls the body."""
_QUERY_PREFIX: Final = "query_"
"""Keeps names of query fields apart from those that mean something to the framework (`scope`, `state` …)."""
_ENCODINGS: Final = {"json": RequestEncodingType.JSON, "form": RequestEncodingType.URL_ENCODED}
_BOUNDS: Final = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern", "description")


class _ReadRequest(Request[Any, Any, Any]):
    """A request whose body is looked at as a whole before the framework looks at its types."""

    async def json(self) -> Any:  # noqa: ANN401  # whatever the client sent
        """Return the body, without what is null in it.

        Raises:
            InvalidInputError: it is of another type than the endpoint's.
            MalformedRequestError: it is no JSON, nested more deeply than any endpoint needs (S36), or has a name twice.
        """
        try:
            document = await super().json()
        except RecursionError as error:
            raise too_deep() from error
        except (SerializationException, UnicodeDecodeError) as error:
            raise unreadable(await self.body(), str(error)) from error
        body = await self.body()
        require_unique_names(body, require_shallow(document))
        endpoint: AnyEndpoint = self.route_handler.opt[_ENDPOINT]
        if names_its_fields(endpoint.body):
            drop_nulls(document, body)
        if document is not None:
            require_types(document, endpoint.body)
        if endpoint.passed_over is not None:
            require_known_fields(document, endpoint.body, endpoint.passed_over)
        return document


def build_framework(endpoints: tuple[AnyEndpoint, ...]) -> Litestar:
    """Return the application, which takes requests that carry an admitter.

    Raises:
        DeclarationError: an endpoint is declared in a way that can't be right.
    """
    require_sound(endpoints)
    return Litestar(
        [*_offers(endpoints), *map(_route, endpoints)],
        guards=[_admit],
        request_class=_ReadRequest,
        exception_handlers={Exception: _answer_error},
        openapi_config=None,  # it would bring endpoints that nobody declared
        logging_config=None,
        request_max_body_size=None,  # bodies are read, and bounded, before the framework sees the request
        debug=False,
    )


def build_schema(endpoints: tuple[AnyEndpoint, ...], version: str) -> bytes:
    """Return the OpenAPI 3.1 document of the endpoints, as JSON; made of an application that serves nothing else."""
    described = Litestar(
        [_route(endpoint) for endpoint in endpoints],
        openapi_config=OpenAPIConfig(title="Entrepot", version=version),
        logging_config=None,
    )
    return msgspec.json.encode(complete_schema(described.openapi_schema.to_schema(), endpoints))


async def _admit(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let nothing through that is not declared, and nobody who lacks what is demanded."""
    endpoint: AnyEndpoint | None = handler.opt.get(_ENDPOINT)
    context = context_of(connection.scope)
    if endpoint is None and context.head.method == "OPTIONS":
        return  # it only lists methods: no endpoint can declare this one
    if endpoint is None:
        raise PathUnknownError
    await admitter_of(connection.scope).admit(endpoint, context, dict(connection.path_params))


def _offers(endpoints: tuple[AnyEndpoint, ...]) -> Iterator[HTTPRouteHandler]:
    """Yield what answers OPTIONS on each path: the framework's own answer knows only the method declared first."""
    methods: dict[str, set[str]] = {}
    for endpoint in endpoints:
        methods.setdefault(endpoint.path, {"OPTIONS"}).add(endpoint.method)
    for path, offered in methods.items():
        route = HTTPRouteHandler(
            _path(path), http_method="OPTIONS", status_code=204, include_in_schema=False, sync_to_thread=False
        )
        yield route(_telling(_allowed(", ".join(offered))))


def _telling(allowed: str) -> Callable[[], Response[None]]:
    def tell() -> Response[None]:
        return Response(None, status_code=204, headers={"allow": allowed}, media_type="text/plain")

    return tell


def _path(path: str) -> str:
    """Return a path as the framework writes it."""
    for name in path_parameters(path):
        path = path.replace(f"{{{name}}}", f"{{{name}:str}}")
    return path


def _route(endpoint: AnyEndpoint) -> HTTPRouteHandler:
    route = HTTPRouteHandler(
        _path(endpoint.path),
        http_method=endpoint.method,
        status_code=endpoint.status,
        opt={_ENDPOINT: endpoint},
        operation_id=endpoint.operation_id,
        tags=[endpoint.tag],
        name=endpoint.operation,
    )
    return route(_adapted(endpoint))


def _adapted(endpoint: AnyEndpoint) -> Callable[..., Awaitable[Response[bytes] | Stream]]:
    """Return a function of the shape that Litestar reads types from, which calls the handler."""

    async def run(request: Request[Any, Any, Any], **values: Any) -> Response[bytes] | Stream:  # noqa: ANN401  # any input
        context, admitter = context_of(request.scope), admitter_of(request.scope)
        require_plain_numbers(values, context.path_values)
        body = values.pop(_BODY, _NO_BODY)
        inputs = endpoint.inputs(
            **{name.removeprefix(_QUERY_PREFIX): value for name, value in values.items()}
        )
        context.body = body
        require_storable(inputs, body)

        async def handle() -> Reply:
            return await endpoint.handler(admitter.services, Call(context.grant, inputs, body, context.head))

        again = partial(admitter.admit_again, endpoint, context, dict(request.path_params))
        reply = await admitter.noting_refusals(context, admitter.as_decided.handle(context, handle, again))
        if isinstance(context.grant, Gate):
            context.grant.require_used()
        if context.head.method in UNSAFE_METHODS and context.caller is not None:
            with contextlib.suppress(
                MetadataError
            ):  # it is done; deciding by it a moment later is no failure of it
                await admitter.services.epochs.refresh()
        return _response(reply)

    parameters = list(_parameters(endpoint))
    answer: Any = Response
    result = answer[endpoint.result]
    signed: Any = run
    signed.__signature__ = inspect.Signature(parameters, return_annotation=result)
    signed.__annotations__ = {item.name: item.annotation for item in parameters} | {"return": result}
    return run


def _parameters(endpoint: AnyEndpoint) -> Iterator[inspect.Parameter]:
    yield _parameter("request", Request)
    if endpoint.body is not NoBody:
        yield _parameter(_BODY, _annotated(endpoint.body, Body(media_type=_ENCODINGS[endpoint.encoding])))
    hints = get_type_hints(endpoint.inputs, include_extras=True)
    in_path = path_parameters(endpoint.path)
    for field in msgspec.structs.fields(endpoint.inputs):
        hint, bounds = _split_hint(hints[field.name])
        if field.name in in_path:
            yield _parameter(field.name, _annotated(hint, PathParameter(**bounds)))
        else:
            annotation = _annotated(hint, QueryParameter(name=field.name, **bounds))
            default = inspect.Parameter.empty if field.required else field.default
            yield _parameter(_QUERY_PREFIX + field.name, annotation, default)


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:  # noqa: ANN401  # types as values
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _annotated(kind: Any, extra: object) -> Any:  # noqa: ANN401  # types as values
    maker: Any = Annotated
    return maker[kind, extra]


def _split_hint(hint: Any) -> tuple[Any, dict[str, Any]]:  # noqa: ANN401  # types as values
    """Return a type and what `msgspec.Meta` says of it, in the framework's words."""
    bounds: dict[str, Any] = {}
    for extra in getattr(hint, "__metadata__", ()):
        if isinstance(extra, msgspec.Meta):
            said = {name: getattr(extra, name) for name in _BOUNDS}
            bounds |= {name: value for name, value in said.items() if value is not None}
    return getattr(hint, "__origin__", hint) if bounds else hint, bounds


def _answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes] | Stream:
    context = context_of(request.scope)
    known = _translated(error)
    if known is None:
        _log.error("request.crashed", operation=context.operation, exc_info=error)
        return _response(render_error(500, HarborCode.UNKNOWN, ""))
    context.failure = known
    reply = error_reply(known)
    if reply.status >= 500:
        _log.error(
            "request.failed", operation=context.operation, reason=str(known), error=type(known).__name__
        )
    return _response(reply)


def _translated(error: Exception) -> EntrepotError | None:
    """Return what went wrong in our own words; `None` when it is nobody's fault but ours."""
    if isinstance(error, EntrepotError):
        return error
    if isinstance(error, ValidationException):
        return InvalidInputError(tuple(_problems(error)))
    if isinstance(error, NotFoundException):
        return PathUnknownError()
    if isinstance(error, MethodNotAllowedException):
        return MethodNotOfferedError(_allowed((error.headers or {}).get("allow", "")))
    if isinstance(error, ClientException) or (isinstance(error, HTTPException) and error.status_code < 500):
        return MalformedRequestError(error.detail)
    return None


def _problems(error: ValidationException) -> Iterator[str]:
    for problem in error.extra if isinstance(error.extra, list) else ():
        key = str(problem.get("key", "")).removeprefix(_QUERY_PREFIX)
        message = str(problem.get("message", ""))
        if key == _BODY:
            yield "a body is required" if message == repr(_BODY) else in_words(message)
        else:
            yield f"{key}: {message}" if key else message
    if not error.extra and (missing := _MISSING_FIELD.match(error.detail)):
        yield missing_field(missing.group(1))


def _allowed(methods: str) -> str:
    offered = {method.strip() for method in methods.split(",") if method.strip()}
    return ", ".join(sorted(offered | ({"HEAD"} if "GET" in offered else set())))


def _response(reply: Reply) -> Response[bytes] | Stream:
    media_type, headers = reply.media_type or "text/plain", dict(reply.headers)
    if reply.pieces is not None:
        return Stream(reply.pieces, status_code=reply.status, headers=headers, media_type=media_type)
    return Response(content=reply.body, status_code=reply.status, headers=headers, media_type=media_type)
