"""Marks of secret settings, by which a record tells that one was replaced, and nobody learns anything else of it.

A secret may be short, and the log is read and exported: so a mark is a digest under a key that only nodes have, derived
from the master key, and salted anew in every record. Equal secrets, or one that comes back, have unequal marks.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NOT_COMPARED", "REPLACED", "MarkingKey", "SecretMarks", "differences_of_secrets", "mark_secrets"]

REPLACED: Final = "replaced"
NOT_COMPARED: Final = "not compared: the last mark was made with another master key, or there is none"
_PURPOSE: Final = "marks of settings"
_SALT_BYTES: Final = 16


class MarkingKey(Protocol):
    """What marks are made with: :class:`entrepot.auth.keys.sealing.Sealing`, without the cryptography it loads."""

    @property
    def key_id(self) -> str:
        """The id of the master key."""
        ...

    def derive(self, purpose: str) -> bytes:
        """Return a key for a purpose of its own, the same on every node that has this master key."""
        ...


class SecretMarks(msgspec.Struct, frozen=True):
    """The marks of one record.

    Attributes:
        master_key: the id of the master key.
        salt: of all of them, hex.
        marks: HMAC-SHA256 (hex) of the salt, the setting's key and its value, by the setting's key.
    """

    master_key: str
    salt: str
    marks: dict[str, str]


def mark_secrets(key: MarkingKey | None, values: Mapping[str, str]) -> SecretMarks | None:
    """Return the marks of secrets by their settings' keys; `None` without a key to mark them with."""
    if key is None:
        return None
    salt = secrets.token_hex(_SALT_BYTES)
    marking = key.derive(_PURPOSE)
    return SecretMarks(
        key.key_id, salt, {name: _mark(marking, salt, name, text) for name, text in values.items()}
    )


def differences_of_secrets(
    former: SecretMarks | None, key: MarkingKey | None, values: Mapping[str, str]
) -> dict[str, str]:
    """Return what is to be told of secrets that were set before and are now: nothing of those that stayed the same.

    `values` are those of now. Where marks can't be compared, that is told once: the next ones are made with `key`.
    """
    if former is None and key is None:
        return {}
    if former is None or key is None or former.master_key != key.key_id:
        return dict.fromkeys(values, NOT_COMPARED)
    marking = key.derive(_PURPOSE)
    return {
        name: REPLACED if name in former.marks else NOT_COMPARED
        for name, value in values.items()
        if not hmac.compare_digest(former.marks.get(name, ""), _mark(marking, former.salt, name, value))
    }


def _mark(marking: bytes, salt: str, name: str, value: str) -> str:
    # Salt and names of settings have no NUL, so that no two triples read alike (S42).
    return hmac.digest(marking, f"{salt}\0{name}\0{value}".encode(), "sha256").hex()
