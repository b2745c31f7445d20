"""Sizes as people write them ("8MiB"), so that a file of settings needs no comment beside 8388608."""

from __future__ import annotations

import re

__all__ = ["format_size", "parse_size"]

_UNITS = {
    "": 1,
    "B": 1,
    "kB": 1000,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
    "TiB": 1024**4,
}
_SIZE = re.compile(r"(?P<count>[0-9]{1,18})[ ]?(?P<unit>[A-Za-z]*)", re.ASCII)
_BINARY_UNITS = ("TiB", "GiB", "MiB", "KiB")


def parse_size(text: str) -> int:
    """Return bytes for a whole number with an optional unit: ``8MiB``, ``8 MiB``, ``500MB``, ``8388608``.

    Units are case-sensitive, because ``m`` and ``M`` differ. Raises ValueError saying what is accepted.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or match["unit"] not in _UNITS:
        message = (
            f"{text!r} is not a size; write bytes or a whole number with KiB, MiB, GiB, TiB, kB, MB, GB or TB"
        )
        raise ValueError(message)
    return int(match["count"]) * _UNITS[match["unit"]]


def format_size(size_bytes: int) -> str:
    """Return the shortest exact spelling that ``parse_size`` reads back to the same number."""
    for unit in _BINARY_UNITS:
        if size_bytes > 0 and size_bytes % _UNITS[unit] == 0:
            return f"{size_bytes // _UNITS[unit]}{unit}"
    return str(size_bytes)
