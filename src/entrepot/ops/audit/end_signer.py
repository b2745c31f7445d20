"""Finds what signs the end of the audit log's chain for a command on the host."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from entrepot.audit.signed_end import NoEndSigner
from entrepot.auth.keys.errors import MasterKeyError
from entrepot.bootstrap.keys import build_signed_end
from entrepot.ops.database_file import name_of_user
from entrepot.ops.keys.master_keys import present_master_keys

if TYPE_CHECKING:
    from entrepot.audit.signed_end import EndSigner
    from entrepot.metadata.store import Metadata
    from entrepot.settings import Settings

__all__ = ["end_signer"]


def end_signer(settings: Settings, metadata: Metadata) -> EndSigner:
    """Return what signs the end of the chain, where this user on this node can; nothing is made for it. Blocks."""
    directory = settings.data.directory
    try:
        owner = directory.stat().st_uid
    except OSError as error:
        return NoEndSigner(f"{directory}, where checkpoints are kept, can't be used: {error.strerror}")
    if owner != os.geteuid():
        return NoEndSigner(f"the data directory belongs to {name_of_user(owner)}, who has to run this")
    try:
        if not present_master_keys(settings):
            return NoEndSigner("this node has no master key to open the signing keys with")
    except MasterKeyError as error:
        return NoEndSigner(str(error))
    return build_signed_end(settings, metadata)
