"""The secrets of robots: made here, or chosen by whoever makes the robot, as Harbor's clients may."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from entrepot.auth.generated_secrets import hash_generated, is_reserved, is_unguessable, new_secret
from entrepot.auth.robots.errors import InvalidRobotError

if TYPE_CHECKING:
    from entrepot.auth.chosen_secrets import SecretHasher

__all__ = ["RobotSecrets"]

_FEWEST_CHARACTERS: Final = 8
_MOST_CHARACTERS: Final = 128
_CHOSEN_PREFIX: Final = "$"
"""How the hash of a chosen secret begins, and no SHA-256 does."""
_NO_HASH: Final = "0" * 64


class RobotSecrets:
    """Makes, hashes and checks them. How long a check takes depends on what is presented, not on what is stored."""

    def __init__(self, hasher: SecretHasher) -> None:
        self._hasher = hasher

    async def make(self, chosen: str) -> tuple[str, str]:
        """Return a secret and its hash: the chosen one, or a random one when `chosen` is empty.

        Raises:
            InvalidRobotError: the chosen one is too weak, or looks like one that is made here.
        """
        if not chosen:
            secret = new_secret("ers_")
            return secret, hash_generated(secret)
        _require_strong(chosen)
        return chosen, await self._hasher.hash(chosen)

    async def matches(self, stored: str | None, presented: str, place: str = "") -> bool:
        """Whether what was presented is the secret that is stored; `None` is nobody's, and takes as long (S19)."""
        is_chosen = stored is not None and stored.startswith(_CHOSEN_PREFIX)
        if is_unguessable(presented):
            # No chosen secret has this form, so one that is stored as chosen is compared with nothing.
            kept = _NO_HASH if stored is None or is_chosen else stored
            return hmac.compare_digest(kept, hash_generated(presented))
        if len(presented) > _MOST_CHARACTERS:
            return False
        return await self._hasher.verify(stored if is_chosen else None, presented, place=place)


def _require_strong(chosen: str) -> None:
    if is_reserved(chosen):
        raise InvalidRobotError(
            "secret", "one that begins with ept_, epr_ or ers_ is made by the registry only"
        )
    strong = (
        _FEWEST_CHARACTERS <= len(chosen) <= _MOST_CHARACTERS
        and any(character.isupper() for character in chosen)
        and any(character.islower() for character in chosen)
        and any(character.isdecimal() for character in chosen)
        and chosen.isprintable()
    )
    if not strong:
        raise InvalidRobotError(
            "secret",
            f"{_FEWEST_CHARACTERS} to {_MOST_CHARACTERS} characters with an upper case letter, "
            "a lower case letter and a digit",
        )
