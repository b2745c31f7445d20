"""The route table: what paths mean, which methods they take, and what one must be allowed to do.

Paths are read from their end, since repository names contain slashes. The table is plain data, so that tests, the role
matrix and the documentation can enumerate it: an endpoint that isn't in it does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from entrepot.auth.grants import Action, Pull, Push
from entrepot.distribution_api import blobs, manifests, tags, uploads
from entrepot.distribution_api.errors import MethodNotAllowedError, RouteUnknownError
from entrepot.distribution_api.responses import Response
from entrepot.oci.names import RepositoryName

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from entrepot.auth.grants import Grant
    from entrepot.auth.principals import Principal
    from entrepot.distribution_api.requests import Request
    from entrepot.services import Services

__all__ = ["ROUTES", "Endpoint", "PingRoute", "RepositoryRoute", "Route", "find_route"]

A = TypeVar("A", bound=Action)


class Endpoint(StrEnum):
    """The shapes of paths."""

    PING = "/v2/"
    MANIFEST = "/v2/<name>/manifests/<reference>"
    BLOB = "/v2/<name>/blobs/<digest>"
    UPLOADS = "/v2/<name>/blobs/uploads/"
    UPLOAD = "/v2/<name>/blobs/uploads/<session>"
    TAGS = "/v2/<name>/tags/list"


@dataclass(frozen=True, slots=True)
class PingRoute:
    """`GET /v2/`: whether this is a registry, and one that the client may use."""

    operation: str
    endpoint: Endpoint
    methods: tuple[str, ...]

    async def run(
        self, services: Services, _request: Request, principal: Principal, _target: Target
    ) -> Response:
        """Answer with an empty JSON object."""
        await services.authorizer.authorize_registry(principal)
        return Response(200, ((b"content-type", b"application/json"),), b"{}")


@dataclass(frozen=True, slots=True)
class RepositoryRoute(Generic[A]):
    """An endpoint of a repository: its handler gets a grant for `action`, or is not called."""

    operation: str
    endpoint: Endpoint
    methods: tuple[str, ...]
    action: type[A]
    handler: Callable[[Services, Request, Grant[A], str], Awaitable[Response]]

    async def run(
        self, services: Services, request: Request, principal: Principal, target: Target
    ) -> Response:
        """Parse the name, ask for the grant, and answer."""
        name = RepositoryName.parse(target.name)
        grant = await services.authorizer.authorize(principal, self.action, name)
        return await self.handler(services, request, grant, target.reference)


Route = PingRoute | RepositoryRoute[Pull] | RepositoryRoute[Push]

ROUTES: Final[tuple[Route, ...]] = (
    PingRoute("ping", Endpoint.PING, ("GET", "HEAD")),
    RepositoryRoute("manifest.pull", Endpoint.MANIFEST, ("GET", "HEAD"), Pull, manifests.pull_manifest),
    RepositoryRoute("manifest.push", Endpoint.MANIFEST, ("PUT",), Push, manifests.push_manifest),
    RepositoryRoute("blob.pull", Endpoint.BLOB, ("GET", "HEAD"), Pull, blobs.pull_blob),
    RepositoryRoute("upload.begin", Endpoint.UPLOADS, ("POST",), Push, uploads.begin_upload),
    RepositoryRoute("upload.status", Endpoint.UPLOAD, ("GET",), Push, uploads.upload_status),
    RepositoryRoute("upload.append", Endpoint.UPLOAD, ("PATCH",), Push, uploads.append_chunk),
    RepositoryRoute("upload.finish", Endpoint.UPLOAD, ("PUT",), Push, uploads.finish_upload),
    RepositoryRoute("tags.list", Endpoint.TAGS, ("GET",), Pull, tags.list_tags),
)


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names: a repository and something in it, both still unparsed."""

    endpoint: Endpoint
    name: str
    reference: str


_BY_METHOD: Final = {(route.endpoint, method): route for route in ROUTES for method in route.methods}
_ALLOWED: Final = {
    endpoint: tuple(method for route in ROUTES if route.endpoint is endpoint for method in route.methods)
    for endpoint in Endpoint
}


def find_route(method: str, path: str) -> tuple[Route, Target]:
    """Return the route of a request and what its path names.

    Raises:
        RouteUnknownError: no endpoint has this shape.
        MethodNotAllowedError: the endpoint does not take `method`.
    """
    target = _read_path(path)
    route = _BY_METHOD.get((target.endpoint, method))
    if route is None:
        raise MethodNotAllowedError(_ALLOWED[target.endpoint])
    return route, target


def _read_path(path: str) -> Target:
    if path in ("/v2/", "/v2"):
        return Target(Endpoint.PING, "", "")
    if not path.startswith("/v2/"):
        raise RouteUnknownError
    parts = path[4:].rsplit("/", 3)
    match parts:
        case [*name, "blobs", "uploads", ""] if name:
            return Target(Endpoint.UPLOADS, name[0], "")
        case [*name, "blobs", "uploads", session] if name:
            return Target(Endpoint.UPLOAD, name[0], session)
        case [*name, "tags", "list"] if name:
            return Target(Endpoint.TAGS, "/".join(name), "")
        case [*name, "manifests", reference] if name and reference:
            return Target(Endpoint.MANIFEST, "/".join(name), reference)
        case [*name, "blobs", digest] if name and digest:
            return Target(Endpoint.BLOB, "/".join(name), digest)
        case _:
            raise RouteUnknownError
