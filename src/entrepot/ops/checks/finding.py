"""What a check found, in a form for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Finding", "Status", "failed", "passed", "warned"]

Status: TypeAlias = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One result; ``remedy`` says what to do and is empty only when all is well."""

    check: str
    status: Status
    message: str
    remedy: str = ""


def passed(check: str, message: str) -> Finding:
    """Return the result of a check that found nothing wrong."""
    return Finding(check, "ok", message)


def warned(check: str, message: str, remedy: str) -> Finding:
    """Return a result that does not keep the registry from running."""
    return Finding(check, "warn", message, remedy)


def failed(check: str, message: str, remedy: str) -> Finding:
    """Return a result that keeps the registry from running, or from keeping its promises."""
    return Finding(check, "fail", message, remedy)
