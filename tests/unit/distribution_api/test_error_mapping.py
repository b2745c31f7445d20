"""Each domain error has its place in the one table, so that none becomes a bare 500 by accident."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

import msgspec
import pytest

import entrepot
from entrepot.auth.errors import AccessDeniedError, ActionDisabledError
from entrepot.blobstore.errors import StorageFullError
from entrepot.distribution_api.error_mapping import ERROR_TABLE, error_response
from entrepot.distribution_api.errors import MethodNotAllowedError
from entrepot.kernel.errors import EntrepotError
from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.oci.digest import Digest
from entrepot.oci.names import RepositoryName
from entrepot.registry.errors import ContentInUseError, UploadOffsetError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BELOW_THE_EDGE = ("auth", "blobstore", "distribution_api", "metadata", "oci", "registry")
_NEVER_ARRIVE = {
    "RegistryError": "an abstract root that nobody raises",
    "ClientGoneError": "raised while the answer is being sent; there is nobody to answer",
    "DocumentError": "parse_manifest turns it into InvalidManifestError",
    "InvalidJsonError": "parse_manifest turns it into InvalidManifestError",
    "InvalidMetadataAddressError": "refuses the start, before the edge exists",
    "InvalidPoliciesError": "refuses the start, before the edge exists",
    "DatabaseNotEmptyError": "refuses a restore, which no request does",
    "RestoreUnfinishedError": "refuses the start, before the edge exists",
    "StoreHeldError": "raised by work on the host, which no request does",
    "NetworkFilesystemError": "refuses the start, before the edge exists",
    "MasterKeyError": "refuses the start, before the edge exists; later it is logged by what reads the keys",
    "MasterKeyFileMissingError": "as MasterKeyError",
    "SigningKeyUnavailableError": "the token service and what signs the audit log answer it",
    "MasterKeyMissingError": "as MasterKeyError",
    "UnsealingError": "as MasterKeyError",
    "AccountChangingError": "raised by units of the management API and of the token service only",
    "KeyUnknownError": "raised by work on the host, which no request does",
    "KeyRotationError": "raised by work on the host, which no request does",
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
        if kind.__name__.startswith("_"):
            continue  # private to its module, so it never leaves it
        if kind.__module__.split(".")[1] in _BELOW_THE_EDGE and kind.__module__.startswith(entrepot.__name__):
            yield kind


def _sorted_errors() -> list[type[EntrepotError]]:
    return sorted(set(_reachable_errors()), key=_name_of)


def _name_of(kind: type[EntrepotError]) -> str:
    return kind.__qualname__


@pytest.mark.parametrize("kind", _sorted_errors())
def test_every_reachable_error_is_mapped(kind: type[EntrepotError]) -> None:
    """An error class that the edge can meet has a row, its own or that of an ancestor below the root."""
    assert kind.__name__ in _NEVER_ARRIVE or any(ancestor in ERROR_TABLE for ancestor in kind.__mro__)


def test_an_error_body_has_the_form_of_the_specification() -> None:
    """distribution-spec, "Error Codes": an `errors` list of code, message and detail."""
    response = error_response(AccessDeniedError("not you"))

    assert response.status == 403
    assert isinstance(response.content, bytes)
    assert msgspec.json.decode(response.content) == {
        "errors": [{"code": "DENIED", "message": "not you", "detail": None}]
    }


def test_what_failed_inside_stays_inside() -> None:
    """A client does not learn host names or paths from an error of the database (CWE-209)."""
    response = error_response(MetadataUnavailableError("could not connect to db.internal:5432"))

    assert response.status == 503
    assert isinstance(response.content, bytes)
    assert b"db.internal" not in response.content
    assert (b"retry-after", b"1") in response.headers


def test_a_full_store_is_507() -> None:
    """Uploads are refused before the disk is full (F5)."""
    assert error_response(StorageFullError("1 GiB must stay free")).status == 507


def test_a_wrong_offset_tells_the_right_one() -> None:
    """416 carries the range received so far and where to send the rest, so that a client can go on."""
    headers = error_response(UploadOffsetError(RepositoryName.parse("team/app"), "s", 100)).headers

    assert (b"range", b"0-99") in headers
    assert (b"location", b"/v2/team/app/blobs/uploads/s") in headers


def test_a_wrong_method_tells_the_right_ones() -> None:
    """405 carries Allow (RFC 9110, section 15.5.6)."""
    assert (b"allow", b"GET, PUT") in error_response(MethodNotAllowedError(("GET", "PUT"))).headers


def test_content_in_use_is_a_conflict_that_waiting_does_not_solve() -> None:
    """409 names what refers to it, and does not ask to try again."""
    response = error_response(ContentInUseError(Digest.of_bytes(b"a"), [Digest.of_bytes(b"b")]))

    assert response.status == 409
    assert isinstance(response.content, bytes)
    (entry,) = msgspec.json.decode(response.content)["errors"]
    assert (entry["code"], entry["detail"]) == ("DENIED", [{"digest": str(Digest.of_bytes(b"b"))}])
    assert not any(name == b"retry-after" for name, _ in response.headers)


def test_what_a_setting_forbids_is_405_with_what_is_allowed() -> None:
    """RFC 9110, section 15.5.6, asks for an Allow header."""
    response = error_response(ActionDisabledError("no", "registry.read_only"))

    assert response.status == 405
    assert (b"allow", b"GET, HEAD") in response.headers
