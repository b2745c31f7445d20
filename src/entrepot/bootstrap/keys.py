"""Opens the keys that sign: those of tokens, kept at hand by every HTTP process, and those of the audit log."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING

from entrepot.audit.checkpoints import Checkpoints
from entrepot.audit.sealer import Sealer
from entrepot.audit.signed_end import SignedEnd
from entrepot.audit.signing import CheckpointSignature
from entrepot.auth.keys.errors import MasterKeyError
from entrepot.auth.keys.key_pairs import ALGORITHM
from entrepot.auth.keys.key_ring import KeyRing
from entrepot.auth.keys.key_watch import KeyWatch
from entrepot.auth.keys.opening import open_node_sealing
from entrepot.auth.keys.signing_keys import SigningKeys
from entrepot.settings import SettingsError, audit_directory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from entrepot.auth.keys.key_pairs import SigningKey
    from entrepot.auth.keys.sealing import Sealing
    from entrepot.metadata.key_store import KeyPurpose
    from entrepot.metadata.store import Metadata
    from entrepot.observability.metrics import Metrics
    from entrepot.settings import Settings

__all__ = ["CheckpointKeys", "build_signed_end", "open_sealing", "open_signing_keys", "open_token_ring"]


async def open_sealing(settings: Settings, metadata: Metadata) -> Sealing:
    """Open the master key, or make it at the first start.

    Raises:
        MasterKeyError: it can't be read, or is none, or is gone while something is sealed with it.
        MetadataError: there is none, and the database does not say whether something is sealed.
    """
    setting = settings.secrets.master_key.reveal()
    return await open_node_sealing(metadata, setting, settings.data.directory)


async def open_signing_keys(settings: Settings, metadata: Metadata, purpose: KeyPurpose) -> SigningKeys:
    """Return the keys of a purpose as this node can open them, also after its master key was replaced.

    Raises:
        MasterKeyError, MetadataError: as `open_sealing`.
    """
    reopen = partial(open_sealing, settings, metadata)
    return SigningKeys(metadata, await reopen(), purpose, reopen)


@contextlib.asynccontextmanager
async def open_token_ring(
    settings: Settings, metadata: Metadata, note_locked: Callable[[int], object] | None = None
) -> AsyncIterator[KeyRing]:
    """Read the keys of tokens, keep them current, and stop doing so at the end.

    Raises:
        SettingsError: the master key is none, or not the one that they were sealed with.
        MetadataError: they can't be read.
    """
    ring = KeyRing()
    try:
        watch = KeyWatch(await open_signing_keys(settings, metadata, "token"), ring, note_locked)
        await watch.start()
    except MasterKeyError as error:
        raise SettingsError((f"secrets.master_key: {error}",)) from error
    task = asyncio.create_task(watch.run(), name="token keys")
    try:
        yield ring
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class CheckpointKeys:
    """Implements :class:`entrepot.audit.signing.CheckpointSigner`; opens the keys when the first signature is due.

    A registry whose volume turned read-only must start, and the master key is made at the first start.
    """

    def __init__(self, settings: Settings, metadata: Metadata) -> None:
        self._settings = settings
        self._metadata = metadata
        self._keys: SigningKeys | None = None

    async def sign(self, content: bytes, key_id: str = "") -> CheckpointSignature:
        """See the protocol. The keys are read each time: that is once in minutes, and a revoked one signs no more."""
        if self._keys is None:
            self._keys = await open_signing_keys(self._settings, self._metadata, "audit")
        key = (await self._keys.of_id(key_id) if key_id else None) or await self._active(self._keys)
        return CheckpointSignature(key.key_id, ALGORITHM, key.public.encoded, key.sign_plainly(content))

    async def owns(self, key_id: str, public_key: bytes) -> bool:
        """See the protocol. A node without the master key can't tell, and signs nothing: it takes each for one."""
        try:
            if self._keys is None:
                self._keys = await open_signing_keys(self._settings, self._metadata, "audit")
        except (MasterKeyError, OSError):
            return True
        key = await self._keys.of_id(key_id)
        return key is not None and key.public.encoded == public_key

    async def _active(self, keys: SigningKeys) -> SigningKey:
        ring = KeyRing()
        await keys.ensure()
        await keys.refresh(ring)
        return ring.signing_key()


def build_signed_end(settings: Settings, metadata: Metadata, metrics: Metrics | None = None) -> SignedEnd:
    """Return what signs the end of the audit log, and exports of it, with the keys of this node."""
    keys = CheckpointKeys(settings, metadata)
    checkpoints = Checkpoints(metadata, keys, audit_directory(settings) / "checkpoints")
    count = None if metrics is None else metrics.audit_checkpoint_failures.inc
    return SignedEnd(Sealer(metadata), checkpoints, keys, count)
