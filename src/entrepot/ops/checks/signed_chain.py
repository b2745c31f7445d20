"""Whether rows of checkpoints that nobody signed stand in the way of those that count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.ops.checks.finding import Finding, failed, passed
from entrepot.settings import audit_directory

if TYPE_CHECKING:
    from entrepot.audit.checkpoints import SignedChain
    from entrepot.metadata.store import Metadata
    from entrepot.settings import Settings

__all__ = ["find_signed_chain", "judge_signed_chain"]


async def find_signed_chain(metadata: Metadata, settings: Settings) -> SignedChain:
    """Return up to where the audit log is signed, by the keys as this node opens them.

    Raises:
        EntrepotError: the database can't be asked.
    """
    from entrepot.audit.checkpoints import Checkpoints  # noqa: PLC0415 - loads much; only when asked
    from entrepot.bootstrap.keys import CheckpointKeys  # noqa: PLC0415 - as above

    keys = CheckpointKeys(settings, metadata)
    return await Checkpoints(metadata, keys, audit_directory(settings) / "checkpoints").look()


def judge_signed_chain(found: SignedChain) -> Finding:
    """Judge what of the checkpoints in the database was made up."""
    if not found.refused:
        return passed("checkpoints", "the last checkpoint of the audit log is one that the registry signed")
    last = found.refused[-1]
    message = (
        f"the database has {len(found.refused)} checkpoints that count for nothing, the last of record "
        f"{last.row.sequence}: {last.reason}"
    )
    remedy = (
        "The registry passes over them and signs on; but somebody else wrote to its database. Find out who may, and "
        "run: entrepot audit verify --database --checkpoints with the files that were shipped."
    )
    return failed("checkpoints", message, remedy)
