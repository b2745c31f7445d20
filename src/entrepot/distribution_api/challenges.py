"""What a 401 says about how to do better: where to get a token, for which service, good for what (T1, T2, T16)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from entrepot.auth.errors import AuthenticationRequiredError, InsufficientScopeError, InvalidTokenError
from entrepot.auth.grants import Delete, Pull, Push
from entrepot.auth.scopes import CATALOG_SCOPE, repository_scope
from entrepot.distribution_api.errors import RequestError
from entrepot.distribution_api.routes import Endpoint, RepositoryRoute
from entrepot.oci.names import InvalidRepositoryNameError, RepositoryName

if TYPE_CHECKING:
    from entrepot.auth.grants import Action
    from entrepot.distribution_api.requests import Request
    from entrepot.distribution_api.responses import Header
    from entrepot.distribution_api.routes import Route, Target
    from entrepot.kernel.errors import EntrepotError

__all__ = ["Challenges", "needed_scope"]

_ACTIONS: Final[dict[type[Action], tuple[str, ...]]] = {
    Pull: ("pull",),
    Push: ("pull", "push"),
    Delete: ("delete",),
}
_HOST: Final = re.compile(
    rb"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?\Z", re.IGNORECASE
)
_MOST_HOST_BYTES: Final = 261


class Challenges:
    """Writes the header. The realm is on the registry's own host and port, as clients ask of it (clients.md, 5)."""

    def __init__(self, external_url: str, fallback_url: str, realm_path: str, service: str) -> None:
        """Take what a challenge names.

        Args:
            external_url: scheme and host that clients are to use; empty for those of the request.
            fallback_url: what holds instead when the request names no proper host.
            realm_path: of the token service.
            service: whom tokens are for.
        """
        self._external_url = external_url.rstrip("/")
        self._fallback_url = fallback_url.rstrip("/")
        self._realm_path = realm_path
        self._service = service

    def header(self, request: Request, error: EntrepotError, scope: str) -> Header:
        """Return `WWW-Authenticate` for an error that is answered with 401.

        Args:
            request: tells the host when no setting does; what a proxy adds to it is not looked at (S18).
            error: decides whether the challenge tells of a fault.
            scope: what the request would have needed; empty when that is only to be known.
        """
        fields = [("realm", self._base_url(request) + self._realm_path), ("service", self._service)]
        needed = scope or _scope_of(error)
        if needed:
            fields.append(("scope", needed))
        if isinstance(error, InvalidTokenError):
            fields.append(("error", "invalid_token"))
        elif isinstance(error, InsufficientScopeError):
            fields.append(("error", "insufficient_scope"))
        quoted = ",".join(f'{name}="{value}"' for name, value in fields)
        return (b"www-authenticate", f"Bearer {quoted}".encode("ascii"))

    def _base_url(self, request: Request) -> str:
        if self._external_url:
            return self._external_url
        host = request.header(b"host") or b""
        if len(host) > _MOST_HOST_BYTES or _HOST.match(host) is None:
            return self._fallback_url
        return f"{request.scheme}://{host.decode('ascii')}"


def needed_scope(route: Route, target: Target, request: Request) -> str:
    """Return the scope that a request needs (T3); for a mount also that of the source (T12); empty for a ping."""
    if not isinstance(route, RepositoryRoute):
        return CATALOG_SCOPE if route.endpoint is Endpoint.CATALOG else ""
    name = _repository(target.name)
    if name is None:
        return ""
    scope = repository_scope(name, _ACTIONS[route.action])
    source = _source_of_mount(request) if route.endpoint is Endpoint.UPLOADS else None
    if source is None or source == name:
        return scope
    return f"{scope} {repository_scope(source, ('pull',))}"


def _source_of_mount(request: Request) -> RepositoryName | None:
    try:
        sources = request.query_values("from") if request.query_values("mount") else []
    except RequestError:
        return None  # the handler will say so to somebody who may push
    return _repository(sources[0]) if len(sources) == 1 else None


def _repository(text: str) -> RepositoryName | None:
    try:
        return RepositoryName.parse(text)
    except InvalidRepositoryNameError:
        return None


def _scope_of(error: EntrepotError) -> str:
    return error.scope if isinstance(error, AuthenticationRequiredError | InsufficientScopeError) else ""
