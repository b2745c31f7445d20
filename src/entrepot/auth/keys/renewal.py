"""Makes new signing keys where the master key is lost that seals the old ones: without it no node would start again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.keys.key_pairs import ALGORITHM, SigningKey
from entrepot.auth.keys.signing_keys import SEALED_PURPOSE
from entrepot.metadata.key_store import NewSigningKey

if TYPE_CHECKING:
    from entrepot.auth.keys.sealing import Sealing
    from entrepot.auth.principals import Principal
    from entrepot.metadata.key_store import KeyPurpose
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["renew_signing_keys"]

_PURPOSES: Final[tuple[KeyPurpose, ...]] = ("token", "audit")
_NOTHING: Final = b""
"""What is sealed in place of a private key that nobody can open, so that a later rewrap opens every row."""


async def renew_signing_keys(metadata: Metadata, sealing: Sealing, principal: Principal) -> int:
    """Retire every key that can't be opened, and put new ones in their places; return how many were given up.

    Their public halves stay: what they signed can still be verified, as far as retired keys are believed.
    """
    spare = {purpose: (_new_key(sealing, purpose), _new_key(sealing, purpose)) for purpose in _PURPOSES}
    record = audit_record(
        principal,
        AuditAction.KEY_ROTATE,
        AuditObject("master-key", sealing.key_id),
        reason="the master key is lost",
    )

    async def unit(tx: Transaction) -> int:
        lost = 0
        for purpose in _PURPOSES:
            for row in (await tx.signing_keys.hold(purpose)).rows:
                if sealing.opens(row.master_key_id):
                    continue
                if row.state in {"active", "next"}:
                    await tx.signing_keys.set_state(row.key_id, "retired")
                sealed = sealing.seal(_NOTHING, SEALED_PURPOSE, row.key_id)
                await tx.signing_keys.rewrap(row.key_id, sealed, sealing.key_id)
                lost += 1
        if lost:
            for active, following in spare.values():
                await tx.signing_keys.add(active, "active")
                await tx.signing_keys.add(following, "next")
            await tx.audit.append(record)
        return lost

    return await metadata.write(unit)


def _new_key(sealing: Sealing, purpose: KeyPurpose) -> NewSigningKey:
    key = SigningKey.generate()
    sealed = sealing.seal(key.reveal(), SEALED_PURPOSE, key.key_id)
    return NewSigningKey(key.key_id, purpose, ALGORITHM, key.public.encoded, sealed, sealing.key_id)
