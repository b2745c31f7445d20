"""The life of signing keys: made, published, used, retired, dropped (T13).

Of each purpose there are always two: the active one, and the next, which is published long before its first use, so
that every node knows it by then. A retired key is still good for verifying as long as anything that it signed may live.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.keys.errors import KeyRotationError, KeyUnknownError, MasterKeyError
from entrepot.auth.keys.key_pairs import ALGORITHM, SigningKey, VerificationKey
from entrepot.auth.keys.key_times import read_keys, require_published
from entrepot.metadata.key_store import NewSigningKey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from entrepot.auth.keys.key_ring import KeyRing
    from entrepot.auth.keys.sealing import Sealing
    from entrepot.auth.principals import Principal
    from entrepot.metadata.key_store import KeyPurpose, SigningKeyRow, SigningKeyTable
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["REFRESH_SECONDS", "SEALED_PURPOSE", "SigningKeys"]

REFRESH_SECONDS: Final = 5.0
"""How often each process reads the keys: within this time a revoked one is dead everywhere."""
SEALED_PURPOSE: Final = "signing-key"
_KEPT_MILLISECONDS: Final = 2 * 3600 * 1000
"""How long a retired key verifies: twice the longest life of a token that can be set."""


class SigningKeys:
    """Keeps the key pairs of one purpose. All methods may be called on several nodes at the same time."""

    def __init__(
        self,
        metadata: Metadata,
        sealing: Sealing,
        purpose: KeyPurpose,
        reopen: Callable[[], Awaitable[Sealing]] | None = None,
    ) -> None:
        """Take what seals; `reopen` reads the master key of this node again, for when it was replaced meanwhile."""
        self._metadata = metadata
        self._reopen = reopen
        self._sealing = sealing
        self._purpose: KeyPurpose = purpose
        self._known: Mapping[str, SigningKey] = {}

    async def ensure(self) -> None:
        """Make the first two keys, unless they are there; however many nodes start at once, they agree on them."""
        table = await self._metadata.signing_keys.read(self._purpose)
        if table.in_state("active") is not None and table.in_state("next") is not None:
            return
        active, following = self._new_key(), self._new_key()

        async def unit(tx: Transaction) -> None:
            await tx.signing_keys.add(active, "active")
            await tx.signing_keys.add(following, "next")

        await self._metadata.write(unit)

    async def table(self) -> SigningKeyTable:
        """Return all keys, for a list."""
        return await self._metadata.signing_keys.read(self._purpose)

    async def refresh(self, ring: KeyRing) -> MasterKeyError | None:
        """Read the keys into a ring; a private one that is known already is not unsealed again.

        The next one is opened with the active one, as long as this process can: it signs then whatever becomes of the
        master key meanwhile. A master key that is not here is looked for again.

        Returns:
            What this process signs in spite of, but would not after a restart or two rotations; `None` if all is well.

        Raises:
            MetadataError: they can't be read; the ring stays as it was.
            MasterKeyError: the active one can't be unsealed; the ring verifies by what was read, and signs nothing.
        """
        table = await read_keys(self._metadata, self._purpose)
        verifying = {
            row.key_id: VerificationKey(row.public_key)
            for row in table.rows
            if self._verifies(row, table.now)
        }
        # What was revoked dies now, whatever the file of the master key is like.
        active = table.in_state("active")
        signing = None if active is None else self._known.get(active.key_id)
        ring.install(signing, verifying, table.now / 1000)
        if active is None:
            return None
        following = table.in_state("next")
        rows = (active,) if following is None else (active, following)
        self._known, trouble = await self._open_all(rows)
        signing = self._known.get(active.key_id)
        ring.install(signing, verifying, table.now / 1000, str(trouble))
        if signing is None and trouble is not None:
            raise trouble
        return trouble

    async def of_id(self, key_id: str) -> SigningKey | None:
        """Return a key that signs or signed, to end what it began; `None` if it was revoked or can't be opened.

        Raises:
            MetadataError: the keys can't be read.
        """
        table = await self._metadata.signing_keys.read(self._purpose)
        rows = [row for row in table.rows if row.key_id == key_id and row.state in {"active", "retired"}]
        opened, _ = await self._open_all(rows)
        return opened.get(key_id)

    async def rotate(self, principal: Principal) -> str:
        """Retire the active key, activate the next, and publish another next one; return the id of the new active.

        Raises:
            KeyRotationError: the next key was published too recently, or other keys are sealed with another master key.
        """
        return await self._move_on(principal, None, "")

    async def rotate_when_due(self, principal: Principal, max_age_seconds: float) -> bool:
        """Rotate if the active key has been in use for longer; tell whether that was so.

        Keys that are retired for long enough are dropped.
        """
        table = await read_keys(self._metadata, self._purpose)
        if self._purpose == "token":
            await self._metadata.write(
                lambda tx: tx.signing_keys.delete_retired(self._purpose, _KEPT_MILLISECONDS)
            )
        active = table.in_state("active")
        if active is None or table.now - (active.activated_at or active.created_at) <= max_age_seconds * 1000:
            return False
        await self._move_on(principal, active.key_id, "by its age")
        return True

    async def revoke(self, principal: Principal, key_id: str) -> None:
        """Make everything that a key signed worthless, within seconds and on all nodes; the next one takes over.

        Raises:
            KeyUnknownError: there is no such key of this purpose.
            KeyRotationError: other keys are sealed with another master key.
        """
        spare = (self._new_key(), self._new_key())
        record = audit_record(principal, AuditAction.KEY_REVOKE, AuditObject("signing-key", key_id))

        async def unit(tx: Transaction) -> None:
            table = await tx.signing_keys.hold(self._purpose)
            if all(row.key_id != key_id for row in table.rows):
                raise KeyUnknownError(key_id)
            self._require_same_master_key(table)
            following = table.in_state("next")
            active = table.in_state("active")
            await tx.signing_keys.set_state(key_id, "revoked")
            if active is not None and active.key_id == key_id and following is not None:
                await tx.signing_keys.set_state(following.key_id, "active")
            await tx.signing_keys.add(spare[0], "active")
            await tx.signing_keys.add(spare[1], "next")
            await tx.audit.append(record)

        await self._metadata.write(unit)

    async def _move_on(self, principal: Principal, expected: str | None, reason: str) -> str:
        """Rotate; do nothing when another node was first, and the active key is not the `expected` one any more."""
        spare = self._new_key()
        table = await read_keys(self._metadata, self._purpose)
        following = table.in_state("next")
        name = following.key_id if following is not None else ""
        about = AuditObject("signing-key", name)
        record = audit_record(principal, AuditAction.KEY_ROTATE, about, reason=reason)

        async def unit(tx: Transaction) -> str:
            held = await tx.signing_keys.hold(self._purpose)
            active, next_key = held.in_state("active"), held.in_state("next")
            if expected is not None and active is not None and active.key_id != expected:
                return active.key_id
            if active is None or next_key is None or next_key.key_id != name:
                raise KeyRotationError("another node is moving the keys on just now; look at them again")
            self._require_same_master_key(held)
            require_published(next_key, held.now)
            await tx.signing_keys.set_state(active.key_id, "retired")
            await tx.signing_keys.set_state(next_key.key_id, "active")
            await tx.signing_keys.add(spare, "next")
            await tx.audit.append(record)
            return next_key.key_id

        return await self._metadata.write(unit)

    def _require_same_master_key(self, table: SigningKeyTable) -> None:
        """Add no key under a master key that is, or was, replaced: nobody could open it afterwards."""
        own = self._sealing.key_id
        others = sorted({row.master_key_id for row in table.rows} - {own})
        if not others:
            return
        facts = f"signing keys are sealed with the master key {', '.join(others)}, this process has {own}"
        if any(row.master_key_id == own for row in table.rows):
            raise KeyRotationError(f"{facts}: finish `entrepot keys rewrap`, then start the registry anew")
        raise KeyRotationError(
            f"{facts}: give this node the master key of the others (secrets/master.key, or secrets.master_key), "
            "then start it anew"
        )

    async def _open_all(
        self, rows: Sequence[SigningKeyRow]
    ) -> tuple[Mapping[str, SigningKey], MasterKeyError | None]:
        """Return the keys of these rows by id, as far as possible, and the first that stood in the way.

        This node's master key is read again if one of the rows is sealed with another: it may have been replaced.
        """
        trouble: MasterKeyError | None = None
        if self._reopen is not None and not all(self._sealing.opens(row.master_key_id) for row in rows):
            try:
                self._sealing = await self._reopen()
            except MasterKeyError as error:
                trouble = error
        opened: dict[str, SigningKey] = {}
        for row in rows:
            try:
                opened[row.key_id] = self._open(row)
                self._sealing.require(row.master_key_id)
            except MasterKeyError as error:
                trouble = trouble or error
        return opened, trouble

    def _verifies(self, row: SigningKeyRow, now: int) -> bool:
        if row.state == "retired":
            return self._purpose == "audit" or (row.retired_at or 0) > now - _KEPT_MILLISECONDS
        return row.state != "revoked"

    def _open(self, row: SigningKeyRow) -> SigningKey:
        known = self._known.get(row.key_id)
        if known is not None:
            return known
        secret = self._sealing.unseal(row.private_key_sealed, row.master_key_id, SEALED_PURPOSE, row.key_id)
        return SigningKey(secret)

    def _new_key(self) -> NewSigningKey:
        key = SigningKey.generate()
        sealed = self._sealing.seal(key.reveal(), SEALED_PURPOSE, key.key_id)
        return NewSigningKey(
            key.key_id, self._purpose, ALGORITHM, key.public.encoded, sealed, self._sealing.key_id
        )
