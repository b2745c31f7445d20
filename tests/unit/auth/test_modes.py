"""What the modes forbid, whoever asks and whatever authorizer is behind them."""

from __future__ import annotations

import pytest

from entrepot.auth.errors import AccessDeniedError, ActionDisabledError
from entrepot.auth.grants import Action, Delete, Pull, Push
from entrepot.auth.loopback import EveryoneAuthorizer, LoopbackAuthorizer
from entrepot.auth.modes import Modes, with_modes
from entrepot.auth.principals import ANONYMOUS, Principal
from entrepot.oci.names import RepositoryName

_NAME = RepositoryName.parse("team/app")
_PRINCIPAL = Principal(ANONYMOUS, "203.0.113.7", forwarded=False)


class _PushOfANewKind(Push):
    """An action that is added later and is still a push."""


@pytest.mark.parametrize(
    ("modes", "action", "setting"),
    [
        (Modes(read_only=True), Push, "registry.read_only"),
        (Modes(read_only=True), _PushOfANewKind, "registry.read_only"),
        (Modes(read_only=True), Delete, "registry.read_only"),
        (Modes(allow_delete=False), Delete, "registry.allow_delete"),
        (Modes(read_only=True, allow_delete=False), Delete, "registry.read_only"),
    ],
)
async def test_s12_a_forbidden_action_gets_no_grant(modes: Modes, action: type[Action], setting: str) -> None:
    """The refusal names the setting."""
    with pytest.raises(ActionDisabledError) as caught:
        await with_modes(EveryoneAuthorizer(), modes).authorize(_PRINCIPAL, action, _NAME)

    assert caught.value.setting == setting
    assert setting in str(caught.value)


@pytest.mark.parametrize(
    ("modes", "action"),
    [
        (Modes(read_only=True), Pull),
        (Modes(allow_delete=False), Pull),
        (Modes(allow_delete=False), Push),
    ],
)
async def test_what_a_mode_does_not_forbid_is_the_inner_authorizers(
    modes: Modes, action: type[Action]
) -> None:
    """Grants come through as they are, and so do refusals."""
    granted = await with_modes(EveryoneAuthorizer(), modes).authorize(_PRINCIPAL, action, _NAME)
    assert (granted.action, granted.repository, granted.principal) == (action, _NAME, _PRINCIPAL)

    with pytest.raises(AccessDeniedError):
        await with_modes(LoopbackAuthorizer(), modes).authorize(_PRINCIPAL, action, _NAME)


async def test_the_registry_itself_can_be_asked_in_every_mode() -> None:
    """`GET /v2/` and the catalog change nothing."""
    moded = with_modes(EveryoneAuthorizer(), Modes(read_only=True, allow_delete=False))

    assert (await moded.authorize_registry(_PRINCIPAL)).principal == _PRINCIPAL
    assert (await moded.authorize_catalog(_PRINCIPAL)).principal == _PRINCIPAL


def test_no_mode_costs_nothing() -> None:
    """Without a mode the inner authorizer is asked directly."""
    inner = EveryoneAuthorizer()

    assert with_modes(inner, Modes()) is inner
