"""Turns a refusal of the registry into what happened, what to do about it, and an exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from entrepot.client.errors import (
    EXIT_CONFLICT,
    EXIT_NOT_FOUND,
    EXIT_NOT_LOGGED_IN,
    EXIT_REFUSED,
    EXIT_UNREACHABLE,
    ClientError,
)
from entrepot.client.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RefusedError", "refusal_of"]

_EXITS: Final = {
    401: EXIT_NOT_LOGGED_IN,
    404: EXIT_NOT_FOUND,
    409: EXIT_CONFLICT,
    412: EXIT_CONFLICT,
    429: EXIT_UNREACHABLE,
    502: EXIT_UNREACHABLE,
    503: EXIT_UNREACHABLE,
    504: EXIT_UNREACHABLE,
}
_REMEDIES: Final = {
    400: "What was asked for can't be done so; see the help of the command.",
    401: "Check name and password; log in with: entrepot login {url}",
    403: "Ask who administers the project or the registry.",
    404: "Check the name; what you may not see looks the same as what does not exist.",
    405: "This registry does not offer that; is it older than this program?",
    409: "Look at what is there, and choose another name or change that.",
    412: "Remove first what stands in the way.",
    422: "A value can't be so; see the help of the command.",
    429: "Send fewer requests at once.",
}
_LOCKED_OUT: Final = "LOCKED_OUT"
"""The code of the one 429 that comes of wrong passwords, and not of many requests."""
_UNLOCK: Final = "Too many wrong passwords: wait, or have an administrator unlock the account."
_TOLD_BY_THE_REGISTRY: Final = frozenset({400, 403, 503})
"""What the registry says of these tells what helps; a proxy in between says nothing."""


class RefusedError(ClientError):
    """The registry said no.

    Attributes:
        status: the HTTP status.
        messages: what the registry said.
        date: when it said so, by its own clock, as HTTP writes it; empty when that is not known.
    """

    def __init__(
        self, status: int, messages: tuple[str, ...], exit_code: int, *lines: str, date: str = ""
    ) -> None:
        super().__init__(exit_code, *lines)
        self.status = status
        self.messages = messages
        self.date = date


def refusal_of(status: int, headers: Mapping[str, str], body: bytes, url: str) -> RefusedError:
    """Return the error that an answer stands for, with the request's id, by which its log tells more."""
    errors = _errors(body)
    messages = tuple(text for error in errors if (text := one_line(str(error["message"]))))
    is_locked_out = any(error.get("code") == _LOCKED_OUT for error in errors)
    said = "; ".join(messages) or f"HTTP status {status}"
    lines = [f"entrepot: {said}"]
    if 300 <= status < 400:
        target = one_line(headers.get("location", ""))
        lines = [f"entrepot: {url} sends on to {target}", "If you trust that, log in there."]
    elif status >= 500 and not (messages and status in _TOLD_BY_THE_REGISTRY):
        lines.append("The registry failed; its log tells why.")
    elif is_locked_out:
        lines.append(_UNLOCK)
    elif status in _REMEDIES and not (messages and status in _TOLD_BY_THE_REGISTRY):
        lines.append(_REMEDIES[status].format(url=url))
    if status in {429, 503} and headers.get("retry-after", "").isdigit():
        seconds = headers["retry-after"]
        lines.append(f"Try again in {seconds} {'second' if seconds == '1' else 'seconds'}.")
    if request_id := one_line(headers.get("x-request-id", "")):
        lines.append(f"Request id: {request_id}")
    exit_code = EXIT_NOT_LOGGED_IN if is_locked_out else _EXITS.get(status, EXIT_REFUSED)
    return RefusedError(status, messages, exit_code, *lines, date=headers.get("date", ""))


def _errors(body: bytes) -> list[dict[str, Any]]:
    """Return what stands in Harbor's error body; nothing when it is none, as from a proxy in between."""
    try:
        errors: Any = json.loads(body)["errors"]
        return [error for error in errors if isinstance(error, dict) and "message" in error]
    except (ValueError, KeyError, TypeError):
        return []
