"""Seals all private keys anew under another master key, all of them in one unit: old or new, never neither (F46)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.keys.signing_keys import SEALED_PURPOSE

if TYPE_CHECKING:
    from entrepot.auth.keys.sealing import Sealing
    from entrepot.auth.principals import Principal
    from entrepot.metadata.key_store import KeyPurpose
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["rewrap_signing_keys"]

_PURPOSES: Final[tuple[KeyPurpose, ...]] = ("token", "audit")


async def rewrap_signing_keys(metadata: Metadata, sealing: Sealing, principal: Principal) -> int:
    """Seal with the first key of `sealing` what another of its keys sealed; return how many private keys that were.

    Raises:
        MasterKeyMissingError: some of them are sealed with a key that is not here; nothing was changed.
        UnsealingError: one was altered; nothing was changed.
    """
    record = audit_record(principal, AuditAction.KEY_REWRAP, AuditObject("master-key", sealing.key_id))

    async def unit(tx: Transaction) -> int:
        changed = 0
        for purpose in _PURPOSES:
            for row in (await tx.signing_keys.hold(purpose)).rows:
                if row.master_key_id == sealing.key_id:
                    continue
                secret = sealing.unseal(row.private_key_sealed, row.master_key_id, SEALED_PURPOSE, row.key_id)
                sealed = sealing.seal(secret, SEALED_PURPOSE, row.key_id)
                await tx.signing_keys.rewrap(row.key_id, sealed, sealing.key_id)
                changed += 1
        await tx.audit.append(record)
        return changed

    return await metadata.write(unit)
