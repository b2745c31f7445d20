"""The route table: what paths mean, which methods they take, and what one must be allowed to do.

Paths are read from their end, since repository names contain slashes. The table is plain data, so that tests, the role
matrix and the documentation can enumerate it: an endpoint that isn't in it does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec

from entrepot.auth.grants import Action, CatalogGrant, Delete, Pull, Push, RegistryGrant
from entrepot.distribution_api import blobs, catalog, deletions, manifests, ping, referrers, tags, uploads
from entrepot.distribution_api.errors import MethodNotAllowedError, RouteUnknownError
from entrepot.oci.names import RepositoryName

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from entrepot.auth.grants import Authorizer, Grant
    from entrepot.auth.principals import Principal
    from entrepot.distribution_api.requests import Request
    from entrepot.distribution_api.responses import Response
    from entrepot.services import Services

__all__ = ["ROUTES", "Endpoint", "RegistryRoute", "RepositoryRoute", "Route", "Target", "find_route"]

A = TypeVar("A", bound=Action)
G = TypeVar("G")


def _reads_none(_request: Request) -> bool:
    return False


class Endpoint(StrEnum):
    """The shapes of paths."""

    PING = "/v2/"
    CATALOG = "/v2/_catalog"
    MANIFEST = "/v2/<name>/manifests/<reference>"
    BLOB = "/v2/<name>/blobs/<digest>"
    UPLOADS = "/v2/<name>/blobs/uploads/"
    UPLOAD = "/v2/<name>/blobs/uploads/<session>"
    TAGS = "/v2/<name>/tags/list"
    REFERRERS = "/v2/<name>/referrers/<digest>"


def _reads_any(request: Request) -> bool:
    return request.has_unread_body()


@dataclass(frozen=True, slots=True)
class RegistryRoute(Generic[G]):
    """An endpoint of the registry itself: its handler gets the grant that `authorize` obtains, or is not called."""

    operation: str
    endpoint: Endpoint
    methods: tuple[str, ...]
    authorize: Callable[[Authorizer, Principal], Awaitable[G]]
    handler: Callable[[Services, Request, G], Awaitable[Response]]
    reads_body: Callable[[Request], bool] = _reads_none

    async def run(
        self, services: Services, request: Request, principal: Principal, _target: Target
    ) -> Response:
        """Ask for the grant, and answer."""
        grant = await self.authorize(services.authorizer, principal)
        return await self.handler(services, request, grant)


@dataclass(frozen=True, slots=True)
class RepositoryRoute(Generic[A]):
    """An endpoint of a repository: its handler gets a grant for `action`, or is not called."""

    operation: str
    endpoint: Endpoint
    methods: tuple[str, ...]
    action: type[A]
    handler: Callable[[Services, Request, Grant[A], str], Awaitable[Response]]
    reads_body: Callable[[Request], bool] = _reads_none

    async def run(
        self, services: Services, request: Request, principal: Principal, target: Target
    ) -> Response:
        """Parse the name, ask for the grant, and answer."""
        name = RepositoryName.parse(target.name)
        grant = await services.authorizer.authorize(principal, self.action, name)
        return await self.handler(services, request, grant, target.reference)


def _registry_grant(authorizer: Authorizer, principal: Principal) -> Awaitable[RegistryGrant]:
    return authorizer.authorize_registry(principal)


def _catalog_grant(authorizer: Authorizer, principal: Principal) -> Awaitable[CatalogGrant]:
    return authorizer.authorize_catalog(principal)


Route = (
    RegistryRoute[RegistryGrant]
    | RegistryRoute[CatalogGrant]
    | RepositoryRoute[Pull]
    | RepositoryRoute[Push]
    | RepositoryRoute[Delete]
)

ROUTES: Final[tuple[Route, ...]] = (
    RegistryRoute("ping", Endpoint.PING, ("GET", "HEAD"), _registry_grant, ping.answer_ping),
    RegistryRoute("catalog.list", Endpoint.CATALOG, ("GET",), _catalog_grant, catalog.list_repositories),
    RepositoryRoute("manifest.pull", Endpoint.MANIFEST, ("GET", "HEAD"), Pull, manifests.pull_manifest),
    RepositoryRoute("manifest.push", Endpoint.MANIFEST, ("PUT",), Push, manifests.push_manifest, _reads_any),
    RepositoryRoute("manifest.delete", Endpoint.MANIFEST, ("DELETE",), Delete, deletions.delete_manifest),
    RepositoryRoute("blob.pull", Endpoint.BLOB, ("GET", "HEAD"), Pull, blobs.pull_blob),
    RepositoryRoute("blob.delete", Endpoint.BLOB, ("DELETE",), Delete, deletions.delete_blob),
    RepositoryRoute(
        "upload.begin", Endpoint.UPLOADS, ("POST",), Push, uploads.begin_upload, uploads.brings_blob
    ),
    RepositoryRoute("upload.status", Endpoint.UPLOAD, ("GET",), Push, uploads.upload_status),
    RepositoryRoute("upload.append", Endpoint.UPLOAD, ("PATCH",), Push, uploads.append_chunk, _reads_any),
    RepositoryRoute("upload.finish", Endpoint.UPLOAD, ("PUT",), Push, uploads.finish_upload, _reads_any),
    RepositoryRoute("upload.cancel", Endpoint.UPLOAD, ("DELETE",), Push, uploads.cancel_upload),
    RepositoryRoute("tags.list", Endpoint.TAGS, ("GET",), Pull, tags.list_tags),
    RepositoryRoute("referrers.list", Endpoint.REFERRERS, ("GET",), Pull, referrers.list_referrers),
)


class Target(msgspec.Struct, frozen=True, gc=False):
    """What a path names: a repository and something in it, both still unparsed."""

    endpoint: Endpoint
    name: str
    reference: str


_REGISTRY_PATHS: Final = {"/v2": Endpoint.PING, "/v2/": Endpoint.PING, "/v2/_catalog": Endpoint.CATALOG}
_KINDS: Final = {"manifests": Endpoint.MANIFEST, "blobs": Endpoint.BLOB, "referrers": Endpoint.REFERRERS}
_BY_METHOD: Final = {(route.endpoint, method): route for route in ROUTES for method in route.methods}
_MOST_KEPT_CHARACTERS: Final = 512
"""Of a path: more would only fill the memory of paths (I12). The longest that names something has some 460."""
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
    return _find_kept(method, path) if len(path) <= _MOST_KEPT_CHARACTERS else _find(method, path)


def _find(method: str, path: str) -> tuple[Route, Target]:
    target = _read_path(path)
    route = _BY_METHOD.get((target.endpoint, method))
    if route is None:
        raise MethodNotAllowedError(_ALLOWED[target.endpoint])
    return route, target


_find_kept: Final = lru_cache(maxsize=4096)(_find)
"""For the paths that are asked for all the time; what is refused is not kept."""


def _read_path(path: str) -> Target:
    """Read a path from its end: the last part, what kind of thing that is, and the repository before both."""
    endpoint = _REGISTRY_PATHS.get(path)
    if endpoint is not None:
        return Target(endpoint, "", "")
    rest, _, reference = path.rpartition("/")
    rest, _, kind = rest.rpartition("/")
    if kind == "uploads" and rest.endswith("/blobs"):
        rest = rest.removesuffix("/blobs")
        endpoint = Endpoint.UPLOAD if reference else Endpoint.UPLOADS
    elif kind == "tags":
        endpoint, reference = (Endpoint.TAGS if reference == "list" else None), ""
    elif reference:
        endpoint = _KINDS.get(kind)
    if endpoint is None or not rest.startswith("/v2/"):
        raise RouteUnknownError
    return Target(endpoint, rest[4:], reference)
