"""Reads what a registry asks for when it refuses a request (RFC 9110, section 11.6.1; distribution token spec)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Challenge", "parse_challenges"]

_LONGEST_HEADER: Final = 8192
_PARAMETER: Final = re.compile(r'\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|\Z)')
_SCHEME: Final = re.compile(r"\s*([A-Za-z][A-Za-z0-9_-]*)(?:\s+|\s*\Z)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One scheme in lower case, with its parameters."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """Return the challenges of all `WWW-Authenticate` headers of a reply; what can't be read is left out."""
    return [challenge for header in headers for challenge in _parse(header[:_LONGEST_HEADER])]


def _parse(header: str) -> list[Challenge]:
    found: list[Challenge] = []
    position = 0
    while (scheme := _SCHEME.match(header, position)) is not None and scheme.end() > position:
        position = scheme.end()
        parameters: dict[str, str] = {}
        while (parameter := _PARAMETER.match(header, position)) is not None:
            name, quoted, plain = parameter.groups()
            parameters.setdefault(
                name.lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
            )
            position = parameter.end()
        found.append(Challenge(scheme.group(1).lower(), parameters))
    return found
