"""Renders one log entry to one line of bytes, and never fails: logging must not break what it reports on."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

__all__ = [
    "LogEntry",
    "RenderLine",
    "describe_exception",
    "format_timestamp",
    "render_console",
    "render_json",
]

LogEntry: TypeAlias = MutableMapping[str, Any]
RenderLine: TypeAlias = Callable[[Mapping[str, Any]], bytes]

_encoder = msgspec.json.Encoder(enc_hook=repr)
_FRACTIONS = tuple(f".{milliseconds:03d}Z" for milliseconds in range(1000))
_HEAD_KEYS = frozenset({"@timestamp", "log.level", "event", "process.role", "process.pid", "error.stack"})


def format_timestamp(seconds: float) -> str:
    """Return RFC 3339 in UTC with milliseconds, as 2026-11-23T22:50:01.042Z."""
    whole, milliseconds = divmod(round(seconds * 1e6) // 1000, 1000)
    return _format_second(whole) + _FRACTIONS[milliseconds]


@lru_cache(maxsize=2)
def _format_second(seconds: int) -> str:
    """Return date and time without the fraction; all lines of one second share this work (6 µs of each)."""
    return f"{datetime.fromtimestamp(seconds, tz=UTC):%Y-%m-%dT%H:%M:%S}"


def describe_exception(error: BaseException) -> dict[str, str]:
    """Return type, message and stack of an exception, without local variables: they may be secret (S27)."""
    return {
        "error.type": f"{type(error).__module__}.{type(error).__qualname__}",
        "error.message": str(error),
        "error.stack": "".join(traceback.format_exception(error)),
    }


def render_json(entry: Mapping[str, Any]) -> bytes:
    """Return the entry as one line of JSON; what JSON has no form for appears as its repr."""
    try:
        return _encoder.encode(entry)
    except (OverflowError, TypeError, ValueError, RecursionError):
        return json.dumps({str(key): _to_text(value) for key, value in entry.items()}).encode("ascii")


def render_console(entry: Mapping[str, Any]) -> bytes:
    """Return the entry as a person reads it: time, level, event, facts, the stack of an exception below."""
    clock = str(entry.get("@timestamp", ""))[11:23]
    facts = " ".join(f"{key}={_quote(value)}" for key, value in entry.items() if key not in _HEAD_KEYS)
    line = (
        f"{clock} {entry.get('log.level', ''):<8} {entry.get('process.role', ''):<6} {entry['event']} {facts}"
    )
    stack = entry.get("error.stack")
    text = f"{line.rstrip()}\n{stack.rstrip()}" if isinstance(stack, str) else line.rstrip()
    return text.encode("utf-8", "backslashreplace")


def _quote(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    plain = text.isprintable() and text != "" and " " not in text and '"' not in text
    return text if plain else json.dumps(text)


def _to_text(value: object) -> object:
    if isinstance(value, (str, bool, int)) or value is None:
        return value
    return repr(value)
