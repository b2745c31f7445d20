"""What ``entrepot doctor`` says of checkpoints that somebody else than the registry wrote."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

import msgspec

from entrepot.audit.sealer import Sealer
from entrepot.bootstrap.keys import build_signed_end
from entrepot.metadata.key_store import NewSigningKey
from entrepot.ops.checks.database import examine_database
from tests.asgi.services import in_process_registry, scratch_settings
from tests.running.audit_material import KeyInMemory, pull_record

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.settings import Settings


async def _signed_and_made_up(settings: Settings) -> None:
    """Sign the end of the log with a key of this registry, then one by somebody who wrote his own beside it."""
    stranger = KeyInMemory()
    async with in_process_registry(settings) as registry:
        metadata = registry.stores.metadata
        await metadata.write(lambda tx: tx.audit.append(pull_record(1)))
        assert await build_signed_end(settings, metadata).sign() == ""
        real = await metadata.audit.last_checkpoint()
        await metadata.write(lambda tx: tx.audit.append(pull_record(2)))
        await Sealer(metadata).run()
        chain = await metadata.audit.chain()
        assert real is not None
        assert chain is not None
        keys = await metadata.signing_keys.read("audit")
        active = keys.in_state("active")
        assert active is not None
        added = NewSigningKey(
            "f" * 32, "audit", "ES256", stranger.public_key, active.private_key_sealed, active.master_key_id
        )
        await metadata.write(lambda tx: tx.signing_keys.add(added, "retired"))
        here = {"sequence": chain.sequence, "hash": chain.chain_hash}
        signed = msgspec.json.encode(msgspec.json.decode(real.signed) | here)
        made = await stranger.sign(signed)
        made_up = dataclasses.replace(
            real,
            sequence=chain.sequence,
            chain_hash=chain.chain_hash,
            signed=signed,
            key_id="f" * 32,
            public_key=stranger.public_key,
            signature=made.signature,
        )
        await metadata.write(lambda tx: tx.audit_chain.add_checkpoint(made_up))


def test_a_checkpoint_by_a_key_that_somebody_wrote_into_the_database_is_told_of_i11(tmp_path: Path) -> None:
    settings = scratch_settings(tmp_path)
    asyncio.run(_signed_and_made_up(settings))

    told = {finding.check: finding for finding in examine_database(settings)}["checkpoints"]

    assert told.status == "fail"
    assert told.message.endswith("its key is none of this registry's")
    assert "has 1 checkpoints" in told.message
