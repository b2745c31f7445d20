"""Why a bearer token that was signed here opens nothing any more. Whoever has one can present it for ever."""

from __future__ import annotations

from typing import Final

__all__ = [
    "DEAD",
    "EXPIRED",
    "KEY_GONE",
    "LIMITS_GONE",
    "PROJECT_CHANGED",
    "SPONSOR_CHANGED",
    "SUBJECT_CHANGED",
]

EXPIRED: Final = "it has expired"
KEY_GONE: Final = "the key that signed it is revoked or dropped"
SUBJECT_CHANGED: Final = "whom it speaks for has changed"
SPONSOR_CHANGED: Final = "what may be done by the person who answers for this robot has changed"
LIMITS_GONE: Final = "the access token that it was issued for is no longer good"
PROJECT_CHANGED: Final = "the rights in its project changed long before it says that it was issued"
DEAD: Final = frozenset({EXPIRED, KEY_GONE, SUBJECT_CHANGED, SPONSOR_CHANGED, LIMITS_GONE, PROJECT_CHANGED})
