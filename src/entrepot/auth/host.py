"""The operator at the machine itself: whoever may open the stores may do everything with them.

Commands on the host act with these grants. They change nothing about who may do what over the network, and modes such
as `registry.read_only` do not bind them: an operator who closed the registry to writes does so to work on it.
"""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING, TypeVar

from entrepot.auth.grants import Action, CatalogGrant, Grant, RegistryGrant
from entrepot.auth.principals import Principal

if TYPE_CHECKING:
    from entrepot.oci.names import RepositoryName

__all__ = ["HostAuthorizer", "host_operator"]

A = TypeVar("A", bound=Action)


class HostAuthorizer:
    """Allows every action to the operator of this machine; never given to an edge."""

    async def authorize(self, principal: Principal, action: type[A], repository: RepositoryName) -> Grant[A]:
        """Return the grant."""
        return Grant(action, repository, principal, may_create=True, may_overwrite=True)

    async def authorize_registry(self, principal: Principal) -> RegistryGrant:
        """Return the grant."""
        return RegistryGrant(principal)

    async def authorize_catalog(self, principal: Principal) -> CatalogGrant:
        """Return the grant."""
        return CatalogGrant(principal)


def host_operator() -> Principal:
    """Return the principal of whoever runs this process: `host:` and the login name, or the number without one."""
    user = os.getuid()
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:
        name = str(user)
    return Principal(subject=f"host:{name}", address="", forwarded=False, name=name, kind="host")
