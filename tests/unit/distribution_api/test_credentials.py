"""Who asks is read from the Authorization header, and from nothing else."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.auth.bearer.bearer_tokens import BearerTokens
from entrepot.auth.errors import (
    InvalidCredentialsError,
    InvalidTokenError,
    LockedOutError,
    PasswordChangeRequiredError,
)
from entrepot.auth.principals import Origin
from entrepot.distribution_api.body_pace import PaceLimits
from entrepot.distribution_api.challenges import Challenges
from entrepot.distribution_api.credentials import Identification
from entrepot.distribution_api.errors import RequestError
from entrepot.distribution_api.requests import Request
from entrepot.metadata.errors import MetadataUnavailableError
from tests.asgi.identity import (
    ALICE,
    ISSUER,
    SERVICE,
    Clock,
    KnownPeople,
    KnownRights,
    SettableEpochs,
    ring_of,
)

if TYPE_CHECKING:
    from entrepot.auth.principals import Principal
    from entrepot.kernel.asgi import Message

_PACE = PaceLimits(min_bytes_per_second=0, window_seconds=10, silence_seconds=60)
_ACCESS = {"team/app": frozenset({"pull"})}


async def _receive() -> Message:
    raise AssertionError("no body is read here")


def _request(*headers: tuple[str, str]) -> Request:
    fields = [(b"host", b"registry.example"), (b"user-agent", b"docker/28")]
    scope = {
        "method": "GET",
        "path": "/v2/",
        "http_version": "1.1",
        "client": ("192.0.2.7", 1),
        "headers": [*fields, *((name.encode(), value.encode("latin-1")) for name, value in headers)],
    }
    return Request(scope, _receive, _PACE)


def _basic(text: str) -> tuple[str, str]:
    return ("authorization", f"Basic {base64.b64encode(text.encode()).decode()}")


@dataclass(frozen=True, slots=True)
class Edge:
    """An identification, and everything it asks."""

    people: KnownPeople
    tokens: BearerTokens
    epochs: SettableEpochs
    rights: KnownRights
    identification: Identification

    async def identify(self, *headers: tuple[str, str]) -> Principal:
        """Return who sends a request with these headers."""
        request = _request(*headers)
        peer = msgspec.structs.replace(request.principal(), origin=_ORIGIN)
        return await self.identification.identify(request, peer)

    def token(self) -> str:
        """Return a token of alice's."""
        return self.tokens.issue(ALICE, _ACCESS, {"team": 5}).token


@pytest.fixture
def edge() -> Edge:
    """Return an edge that knows alice."""
    people, epochs, rights = KnownPeople(), SettableEpochs(), KnownRights()
    tokens = BearerTokens(ring_of(Clock()), ISSUER, SERVICE, 300)
    challenges = Challenges("", "http://127.0.0.1:5000", "/service/token", SERVICE)
    identification = Identification(people, tokens, epochs, rights, challenges)
    return Edge(people, tokens, epochs, rights, identification)


_ORIGIN = Origin("request-1", "docker/28", "GET", "/v2/")


async def test_without_credentials_one_is_anonymous(edge: Edge) -> None:
    principal = await edge.identify()

    assert (principal.subject, principal.kind, principal.address) == ("anonymous", "anonymous", "192.0.2.7")
    assert (principal.access, principal.origin) == (None, _ORIGIN)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_a_token_speaks_for_its_subject_from_this_address(edge: Edge, scheme: str) -> None:
    principal = await edge.identify(("authorization", f"{scheme} {edge.token()}"))

    assert (principal.subject, principal.name, principal.access) == ("alice-id", "alice", _ACCESS)
    assert (principal.address, principal.forwarded, principal.origin) == ("192.0.2.7", False, _ORIGIN)


async def test_name_and_password_do_as_well_t15(edge: Edge) -> None:
    principal = await edge.identify(_basic("alice:s3cret"))

    assert (principal.subject, principal.access, principal.origin) == ("alice-id", None, _ORIGIN)


async def test_wrong_credentials_are_not_taken_for_none_t15(edge: Edge) -> None:
    for header in (
        _basic("alice:wrong"),
        ("authorization", "Basic !"),
        ("authorization", "Digest x"),
        ("authorization", ""),
    ):
        with pytest.raises(InvalidCredentialsError):
            await edge.identify(header)


async def test_a_lock_out_holds_on_this_entrance_too_t15_s14_s21(edge: Edge) -> None:
    edge.people.locked.add("alice")

    with pytest.raises(LockedOutError):
        await edge.identify(_basic("alice:s3cret"))


async def test_a_password_that_must_be_changed_opens_nothing_else_s17(edge: Edge) -> None:
    edge.people.by_secret["alice", "s3cret"] = msgspec.structs.replace(ALICE, must_change_password=True)

    with pytest.raises(PasswordChangeRequiredError):
        await edge.identify(_basic("alice:s3cret"))


@pytest.mark.parametrize("secret", ["epr_" + "x" * 43, "ept_" + "x" * 43, "ers_" + "x" * 43, "nonsense", ""])
async def test_no_other_secret_is_a_bearer_token_t10(edge: Edge, secret: str) -> None:
    with pytest.raises(InvalidTokenError):
        await edge.identify(("authorization", f"Bearer {secret}"))


async def test_a_token_dies_when_its_subject_changes_s14(edge: Edge) -> None:
    header = ("authorization", f"Bearer {edge.token()}")
    await edge.identify(header)

    edge.epochs.subjects["alice-id"] = 4

    with pytest.raises(InvalidTokenError):
        await edge.identify(header)


async def test_a_token_keeps_what_its_subject_may_still_do_when_a_project_changes_s14(edge: Edge) -> None:
    header = ("authorization", f"Bearer {edge.token()}")
    edge.rights.actions["alice-id", "team/app"] = frozenset({"pull", "push"})

    edge.epochs.projects["team"] = 6

    principal = await edge.identify(header)
    assert (principal.access, principal.address, principal.origin) == (_ACCESS, "192.0.2.7", _ORIGIN)


async def test_a_token_loses_what_its_subject_may_no_longer_do_when_a_project_changes_s14(edge: Edge) -> None:
    header = ("authorization", f"Bearer {edge.token()}")
    edge.epochs.projects["other"] = 100
    assert (await edge.identify(header)).access == _ACCESS

    edge.epochs.projects["team"] = 6

    assert (await edge.identify(header)).access == {"team/app": frozenset()}


async def test_no_token_is_vouched_for_when_the_database_is_silent_i6(edge: Edge) -> None:
    header = ("authorization", f"Bearer {edge.token()}")
    await edge.identify(header)

    edge.epochs.is_fresh = False

    with pytest.raises(MetadataUnavailableError):
        await edge.identify(header)


async def test_cookies_are_ignored_s22(edge: Edge) -> None:
    principal = await edge.identify(("cookie", f"sid=x; token={edge.token()}"))

    assert principal.subject == "anonymous"


async def test_one_does_not_say_twice_who_one_is_s39(edge: Edge) -> None:
    with pytest.raises(RequestError):
        await edge.identify(_basic("alice:s3cret"), _basic("alice:wrong"))
