"""Each domain error has its place in the one table, so that none becomes a bare 500 by accident."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.auth.errors import AuditUnavailableError, InvalidCredentialsError, LockedOutError
from entrepot.auth.people.errors import PasswordsBusyError
from entrepot.blobstore.errors import BlobStoreError
from entrepot.control_api.error_mapping import CONTROL_ERROR_TABLE, HarborCode, error_reply
from entrepot.control_api.errors import InvalidInputError, MethodNotOfferedError
from entrepot.kernel.errors import EntrepotError
from entrepot.metadata.errors import MetadataUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BELOW_THE_EDGE = ("audit", "auth", "control_api", "metadata", "projects")
_ROOT = "an abstract root that nobody raises"
_NEVER_ARRIVE = {
    "AccessTokenError": _ROOT,
    "PeopleError": _ROOT,
    "ProjectsError": _ROOT,
    "RobotError": _ROOT,
    "RoleError": _ROOT,
    "KeyRotationError": "ends a command on the host",
    "KeyUnknownError": "ends a command on the host",
    "MasterKeyError": "refuses the start, before the edge exists",
    "MasterKeyFileMissingError": "refuses the start, before the edge exists",
    "SigningKeyUnavailableError": "the token service and what signs the audit log answer it",
    "MasterKeyMissingError": "refuses the start, before the edge exists",
    "UnsealingError": "refuses the start, before the edge exists",
    "ScopeLimitError": "raised by the token service, which has no part in this API",
    "InvalidPoliciesError": "refuses the start, before the edge exists",
    "PublicKeyUnreadableError": "ends a command that verifies an export",
    "AuditPlacesTakenError": "fails a duty of the worker, or is told by an export",
    "NoLinkError": "fails a duty of the worker, is told by an export, or ends a command",
    "UnknownChainAlgorithmError": "ends a command that verifies an export",
    "InvalidMetadataAddressError": "refuses the start, before the edge exists",
    "NetworkFilesystemError": "refuses the start, before the edge exists",
    "StoreHeldError": "raised by work on the host, which no request does",
}


def _reachable_errors() -> Iterator[type[EntrepotError]]:
    for package in _BELOW_THE_EDGE:
        module = importlib.import_module(f"entrepot.{package}")
        for info in pkgutil.walk_packages(module.__path__, f"entrepot.{package}."):
            importlib.import_module(info.name)
    waiting: list[type[EntrepotError]] = [EntrepotError]
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        parts = kind.__module__.split(".")
        if parts[0] == "entrepot" and parts[1] in _BELOW_THE_EDGE and not kind.__name__.startswith("_"):
            yield kind


def _sorted_errors() -> list[type[EntrepotError]]:
    return sorted(set(_reachable_errors()), key=lambda kind: kind.__qualname__)


@pytest.mark.parametrize("kind", _sorted_errors(), ids=lambda kind: kind.__qualname__)
def test_every_reachable_error_is_mapped(kind: type[EntrepotError]) -> None:
    """An error class that the edge can meet has a row, its own or that of an ancestor below the root."""
    assert kind.__name__ in _NEVER_ARRIVE or any(ancestor in CONTROL_ERROR_TABLE for ancestor in kind.__mro__)


def test_an_error_body_has_harbors_form() -> None:
    reply = error_reply(InvalidInputError(("page: Expected `int` >= 1", "name: too long")))

    assert (reply.status, reply.media_type) == (422, "application/json")
    assert msgspec.json.decode(reply.body) == {
        "errors": [{"code": "UNPROCESSABLE_ENTITY", "message": "page: Expected `int` >= 1; name: too long"}]
    }


def test_an_error_tells_no_more_than_a_thousand_characters_whatever_was_sent() -> None:
    """What it is about stands at the beginning, and what helps at the end."""
    echoed = "\u5b57" * 400_000
    long = error_reply(InvalidInputError((f"there is no such permission: {echoed}; name another",)))
    fitting = error_reply(InvalidInputError(("x" * 1_000,)))

    message = msgspec.json.decode(long.body)["errors"][0]["message"]
    assert len(message) == 1_000
    assert message.startswith("there is no such permission: \u5b57")
    assert " [...] " in message
    assert message.endswith("\u5b57; name another")
    assert msgspec.json.decode(fitting.body)["errors"][0]["message"] == "x" * 1_000


def test_what_failed_inside_stays_inside() -> None:
    """From 500 on, the message is always the same (harbor-api.md, section 1; CWE-209)."""
    reply = error_reply(BlobStoreError("could not read /srv/blobs/ab"))

    assert reply.status == 500
    assert msgspec.json.decode(reply.body) == {
        "errors": [{"code": "UNKNOWN", "message": "internal server error"}]
    }


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            MetadataUnavailableError("could not connect to db.internal:5432"),
            (
                "the registry's database does not answer; try again, and if that does not help, look at what the "
                "registry's /readyz reports"
            ),
        ),
        (
            AuditUnavailableError("/srv/spool is full"),
            (
                "what was asked for can't be recorded in the audit log at present, so it is not done; try again, and "
                "if that does not help, look at what the registry's /readyz reports"
            ),
        ),
        (PasswordsBusyError(), "too many passwords are being checked at the moment; try again in a second"),
    ],
)
def test_what_may_work_again_says_so_and_not_why(error: EntrepotError, message: str) -> None:
    """CWE-209."""
    reply = error_reply(error)

    assert reply.status == 503
    assert msgspec.json.decode(reply.body) == {"errors": [{"code": "UNAVAILABLE", "message": message}]}
    assert ("retry-after", "1") in reply.headers


def test_every_503_says_what_helps() -> None:
    """One that is added falls back to words that name no part."""
    unavailable = [kind for kind, (status, _) in CONTROL_ERROR_TABLE.items() if status == 503]

    assert len(unavailable) == 8
    assert {CONTROL_ERROR_TABLE[kind][1] for kind in unavailable} == {HarborCode.UNAVAILABLE}


def test_an_unknown_error_is_a_bare_500() -> None:
    class UnheardOfError(EntrepotError):
        pass

    assert error_reply(UnheardOfError("secret")).status == 500


def test_why_credentials_are_wrong_is_not_told_s19() -> None:
    reply = error_reply(InvalidCredentialsError("account is disabled"))

    assert reply.status == 401
    assert b"disabled" not in reply.body
    assert ("www-authenticate", 'Basic realm="harbor", charset="UTF-8"') in reply.headers


def test_who_is_locked_out_learns_for_how_long_s14() -> None:
    reply = error_reply(LockedOutError(90))

    assert (reply.status, msgspec.json.decode(reply.body)["errors"][0]["code"]) == (429, "LOCKED_OUT")
    assert ("retry-after", "90") in reply.headers


def test_a_wrong_method_tells_the_right_ones() -> None:
    """405 carries Allow (RFC 9110, section 15.5.6)."""
    assert ("allow", "GET, HEAD") in error_reply(MethodNotOfferedError("GET, HEAD")).headers
