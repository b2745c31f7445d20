"""Without accounts only this machine is served."""

from __future__ import annotations

import pytest

from entrepot.auth.errors import AccessDeniedError
from entrepot.auth.grants import Pull, Push
from entrepot.auth.loopback import EveryoneAuthorizer, LoopbackAuthorizer
from entrepot.auth.principals import ANONYMOUS, Principal
from entrepot.oci.names import RepositoryName

_NAME = RepositoryName.parse("team/app")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
async def test_a_loopback_peer_may_pull_and_push(address: str) -> None:
    """Every spelling of this machine counts."""
    principal = Principal(ANONYMOUS, address, forwarded=False)

    grant = await LoopbackAuthorizer().authorize(principal, Push, _NAME)

    assert (grant.action, grant.repository, grant.principal) == (Push, _NAME, principal)
    assert (await LoopbackAuthorizer().authorize_registry(principal)).principal == principal


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "::2", "::ffff:10.0.0.1", "", "localhost", "127.0.0.1.example.com"]
)
async def test_i6_any_other_peer_is_refused(address: str) -> None:
    """An address that is not certainly loopback fails closed (I6)."""
    principal = Principal(ANONYMOUS, address, forwarded=False)

    with pytest.raises(AccessDeniedError, match="insecure-anonymous"):
        await LoopbackAuthorizer().authorize(principal, Pull, _NAME)
    with pytest.raises(AccessDeniedError):
        await LoopbackAuthorizer().authorize_registry(principal)


async def test_s18_a_proxied_request_is_not_local() -> None:
    """A proxy on this machine does not lend its address to the world (S18)."""
    principal = Principal(ANONYMOUS, "127.0.0.1", forwarded=True)

    with pytest.raises(AccessDeniedError):
        await LoopbackAuthorizer().authorize(principal, Pull, _NAME)


async def test_insecure_anonymous_lets_everybody_in() -> None:
    """The flag does what it says."""
    principal = Principal(ANONYMOUS, "203.0.113.9", forwarded=True)

    assert (await EveryoneAuthorizer().authorize(principal, Push, _NAME)).repository == _NAME
    assert (await EveryoneAuthorizer().authorize_registry(principal)).principal == principal
