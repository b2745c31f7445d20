"""Names under which nobody is known are kept as a digest: people type and paste passwords and tokens there (S27).

Counts, records, logs and exports know the digest only, under a key that derives from the master key: the same text has
the same digest everywhere, so attempts are counted and can be told to belong together, and nobody who has the database
or the audit log can try likely passwords against it. The name of a person stays what it is, and whatever can be that of
a robot: nobody chooses such a password, and which builds go on with a robot that was removed is worth knowing.
"""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING, Final

from entrepot.auth.machine_logins import is_storable_name
from entrepot.auth.robots.robot_logins import ROBOT_PREFIX

if TYPE_CHECKING:
    from entrepot.auth.authentication import BeginningSession, PasswordLogin
    from entrepot.auth.principals import Origin, Principal
    from entrepot.metadata.store import Metadata

__all__ = ["NamedLogins", "TypedNames"]

_SHOWN_DIGITS: Final = 12
_ROBOT: Final = re.compile(r"robot\$[a-z0-9._+-]+", re.ASCII)
"""No secret that is made here has only such letters, with any chance worth the name."""


class TypedNames:
    """Tells the names of accounts from what was typed instead."""

    def __init__(self, metadata: Metadata, key: bytes) -> None:
        self._metadata = metadata
        self._key = key

    async def kept(self, name: str) -> str:
        """Return a name that somebody has, also while they are kept out, and else `unknown name` and a digest.

        The digest can be nobody's name: names have no blanks.
        """
        return name if await self._is_known(name) else self._digest(name)

    async def _is_known(self, name: str) -> bool:
        if not is_storable_name(name):
            return False
        if name.startswith(ROBOT_PREFIX):
            return _ROBOT.fullmatch(name) is not None
        return await self._metadata.users.find_named(name) is not None

    def _digest(self, name: str) -> str:
        typed = name.encode(errors="surrogatepass")
        return f"unknown name {hmac.digest(self._key, typed, 'sha256').hex()[:_SHOWN_DIGITS]}"


class NamedLogins:
    """Implements :class:`entrepot.auth.authentication.PasswordLogin` over another one that counts and records."""

    def __init__(self, inner: PasswordLogin, names: TypedNames) -> None:
        self._inner = inner
        self._names = names

    async def by_password(
        self,
        name: str,
        password: str,
        address: str,
        origin: Origin,
        *,
        forwarded: bool,
        session: BeginningSession | None = None,
    ) -> Principal:
        """See the protocol.

        Raises:
            InvalidCredentialsError, LockedOutError: as the protocol says.
        """
        kept = await self._names.kept(name)
        return await self._inner.by_password(
            kept, password, address, origin, forwarded=forwarded, session=session
        )
