"""What the specification asks of every answer, whatever was asked: looked at on each answer of the suite."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    import httpx

__all__ = ["ERROR_CODES", "broken_obligations"]

ERROR_CODES: Final = frozenset(
    {
        *("BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID"),
        *("MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID", "NAME_UNKNOWN"),
        *("SIZE_INVALID", "UNAUTHORIZED", "DENIED", "UNSUPPORTED", "TOOMANYREQUESTS"),
    }
)
"""The codes of the specification."""

_DOCKER_CODES: Final = frozenset({"TAG_INVALID", "RANGE_INVALID", "PAGINATION_NUMBER_INVALID"})
"""Codes of the protocol's Docker ancestry for which the specification has none that says the same."""

_WARNING: Final = re.compile(r'299 - ".*"\Z')
_MAX_WARNING_BYTES: Final = 4096
_MANIFEST_OR_BLOB: Final = re.compile(r"/v2/.+/(?:manifests|blobs)/[^/]+\Z")


def broken_obligations(response: httpx.Response) -> list[str]:
    """Return what is wrong with an answer (read already) in one sentence each."""
    faults = [*_error_faults(response), *_warning_faults(response), *_digest_faults(response)]
    if response.status_code == 401 and len(response.headers.get_list("www-authenticate")) != 1:
        faults.append("a 401 without one challenge")
    if response.status_code >= 500:
        faults.append(f"status {response.status_code}")
    if response.request.method == "HEAD" and response.content:
        faults.append("a HEAD was answered with a body")
    return faults


def _error_faults(response: httpx.Response) -> list[str]:
    """Error Codes: a body in JSON lists errors, each with a code from the list."""
    if not 400 <= response.status_code < 500 or response.request.method == "HEAD":
        return []
    if not response.headers.get("content-type", "").startswith("application/json"):
        return []
    document: object = response.json()
    listed = cast("dict[str, object]", document).get("errors") if isinstance(document, dict) else None
    if not isinstance(listed, list) or not listed:
        return [f"the body of an error lists no errors: {response.text}"]
    faults: list[str] = []
    for error in cast("list[dict[str, object]]", listed):
        if error.get("code") not in ERROR_CODES | _DOCKER_CODES:
            faults.append(f"{error.get('code')!r} is no code of the specification")
        if not isinstance(error.get("message", ""), str):
            faults.append("the message of an error is no text")
    return faults


def _warning_faults(response: httpx.Response) -> list[str]:
    """Warnings: code 299, agent `-`, no date, 4096 bytes of all of them at most."""
    warnings = response.headers.get_list("warning")
    faults = [f"a warning of another form: {warning}" for warning in warnings if not _WARNING.match(warning)]
    if sum(len(warning.encode()) for warning in warnings) > _MAX_WARNING_BYTES:
        faults.append("more than 4096 bytes of warnings")
    return faults


def _digest_faults(response: httpx.Response) -> list[str]:
    """Pulling and HEAD (development level): `Docker-Content-Digest` on every success, and of the bytes sent."""
    request = response.request
    path = request.url.path
    if response.status_code != 200 or not _MANIFEST_OR_BLOB.match(path) or "/blobs/uploads/" in path:
        return []
    digest = response.headers.get("docker-content-digest")
    if digest is None:
        return ["no Docker-Content-Digest"]
    algorithm, _, encoded = digest.partition(":")
    if request.method == "GET" and hashlib.new(algorithm, response.content).hexdigest() != encoded:
        return [f"Docker-Content-Digest {digest} is not the digest of the body"]
    return []
