"""What the modes forbid, whoever asks and whatever authorizer is behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entrepot.auth.errors import AccessDeniedError, ActionDisabledError
from entrepot.auth.grants import Action, Delete, Pull, Push
from entrepot.auth.loopback import EveryoneAuthorizer, LoopbackAuthorizer
from entrepot.auth.modes import ModeAuthorizer, ModeGate, Modes
from entrepot.auth.principals import ANONYMOUS, Principal
from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.oci.names import RepositoryName
from tests.plumbing.identity_doubles import no_obstacle

if TYPE_CHECKING:
    from entrepot.auth.grants import Authorizer
    from entrepot.auth.modes import ReadOnlySwitch

_NAME = RepositoryName.parse("team/app")
_PRINCIPAL = Principal(ANONYMOUS, "203.0.113.7", forwarded=False)


class _PushOfANewKind(Push):
    """An action that is added later and is still a push."""


def _moded(inner: Authorizer, modes: Modes, switch: ReadOnlySwitch | None = None) -> ModeAuthorizer:
    return ModeAuthorizer(inner, ModeGate(modes, switch, no_obstacle))


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
        await _moded(EveryoneAuthorizer(), modes).authorize(_PRINCIPAL, action, _NAME)

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
    granted = await _moded(EveryoneAuthorizer(), modes).authorize(_PRINCIPAL, action, _NAME)
    assert (granted.action, granted.repository, granted.principal) == (action, _NAME, _PRINCIPAL)

    with pytest.raises(AccessDeniedError):
        await _moded(LoopbackAuthorizer(), modes).authorize(_PRINCIPAL, action, _NAME)


async def test_the_registry_itself_can_be_asked_in_every_mode() -> None:
    """`GET /v2/` and the catalog change nothing."""
    moded = _moded(EveryoneAuthorizer(), Modes(read_only=True, allow_delete=False))

    assert (await moded.authorize_registry(_PRINCIPAL)).principal == _PRINCIPAL
    assert (await moded.authorize_catalog(_PRINCIPAL)).principal == _PRINCIPAL


class _Switch:
    """Says what a test says, or that nobody can tell; counts how often it was asked."""

    def __init__(self, *, closed: bool | None) -> None:
        self.closed = closed
        self.asked = 0

    async def is_read_only(self) -> bool:
        """See `ReadOnlySwitch`."""
        self.asked += 1
        if self.closed is None:
            raise MetadataUnavailableError("no answer")
        return self.closed


@pytest.mark.parametrize("action", [Push, _PushOfANewKind, Delete])
async def test_s12_what_is_closed_while_it_runs_gets_no_grant(action: type[Action]) -> None:
    """The switch alone is enough, and an open one forbids nothing."""
    with pytest.raises(ActionDisabledError) as caught:
        await _moded(EveryoneAuthorizer(), Modes(), _Switch(closed=True)).authorize(_PRINCIPAL, action, _NAME)
    assert caught.value.setting == "configuration read_only"

    opened = _moded(EveryoneAuthorizer(), Modes(), _Switch(closed=False))
    assert (await opened.authorize(_PRINCIPAL, action, _NAME)).action is action


async def test_a_pull_never_asks_the_switch() -> None:
    """Pulls go on while the database is away, and cost no statement more."""
    switch = _Switch(closed=None)

    granted = await _moded(EveryoneAuthorizer(), Modes(), switch).authorize(_PRINCIPAL, Pull, _NAME)

    assert (granted.action, switch.asked) == (Pull, 0)


async def test_i6_where_nobody_can_tell_nothing_is_written() -> None:
    """A push is refused for the moment rather than let through."""
    with pytest.raises(MetadataUnavailableError):
        await _moded(EveryoneAuthorizer(), Modes(), _Switch(closed=None)).authorize(_PRINCIPAL, Push, _NAME)


async def test_s19_a_stranger_learns_nothing_of_the_switch() -> None:
    """The inner authorizer refuses first."""
    switch = _Switch(closed=True)

    with pytest.raises(AccessDeniedError):
        await _moded(LoopbackAuthorizer(), Modes(), switch).authorize(_PRINCIPAL, Push, _NAME)
    assert switch.asked == 0
