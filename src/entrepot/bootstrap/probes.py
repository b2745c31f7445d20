"""Answers whether pulls and pushes would work, for the ops listener."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from entrepot.blobstore.errors import ObjectNotFoundError
from entrepot.blobstore.keys import UPLOADS
from entrepot.bootstrap.services import find_mismatch
from entrepot.bootstrap.stores import Stores, open_stores
from entrepot.kernel.errors import EntrepotError
from entrepot.observability.metrics import gathered_gauge

if TYPE_CHECKING:
    from entrepot.auth.keys.signing_keys import SigningKeys
    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.store import Transaction
    from entrepot.settings import Settings

__all__ = ["ProbeResult", "StoreProbes", "build_health_probes"]


_NOTHING: Final = f"{UPLOADS}readiness"
_UNRECORDED: Final = (
    "pulls are refused, since they can't be put on record: the audit log's files can't be written, and no more records "
    "fit into memory; make room in the data directory, or look at what the log says of audit.spool"
)


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Whether something works, and what was found."""

    ok: bool
    detail: str


class StoreProbes:
    """Asks both stores whether pulls and pushes would work; opens them at the first question and after failures."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = contextlib.AsyncExitStack()
        self._stores: Stores | None = None
        self._looks_right = False
        self._keys: SigningKeys | None = None

    async def read_ready(self) -> ProbeResult:
        """Whether a row can be read, the blob store answers, and pulls can be put on record (F28, F45)."""
        try:
            stores = await self._opened()
            await stores.metadata.instance.ping()
            await _ask(stores.blobs)
        except EntrepotError as error:
            return ProbeResult(ok=False, detail=str(error))
        room = self._settings.audit_log.buffer_records
        if room and await asyncio.to_thread(gathered_gauge, "registry_audit_buffer_records") >= room:
            return ProbeResult(ok=False, detail=_UNRECORDED)
        return ProbeResult(ok=True, detail="metadata and blob store can be read")

    async def tokens_ready(self) -> ProbeResult:
        """Whether the active signing key can be opened; one that was opened once is remembered."""
        if not self._settings.access.accounts:
            return ProbeResult(ok=True, detail="accounts are off: there are no tokens")
        from entrepot.auth.keys.key_ring import KeyRing  # noqa: PLC0415  # loads cryptography; only with accounts
        from entrepot.bootstrap.keys import open_signing_keys  # noqa: PLC0415  # as above

        ring = KeyRing()
        try:
            if self._keys is None:
                metadata = (await self._opened()).metadata
                self._keys = await open_signing_keys(self._settings, metadata, "token")
            trouble = await self._keys.refresh(ring)
            ring.signing_key()
        except EntrepotError as error:
            return ProbeResult(ok=False, detail=str(error))
        return ProbeResult(
            ok=True, detail="tokens can be issued" if trouble is None else f"for now: {trouble}"
        )

    async def write_ready(self) -> ProbeResult:
        """Whether a write unit commits and an object can be written, read and deleted."""

        async def unit(tx: Transaction) -> int:
            return await tx.upload_sessions.release_owner("readiness probe")

        try:
            stores = await self._opened()
            # Once they fitted together, only a restart gives this process another database or another store.
            if not self._looks_right and (mismatch := await find_mismatch(stores)) is not None:
                return ProbeResult(ok=False, detail=f"{mismatch.reason}: {mismatch.remedy}")
            self._looks_right = True
            await stores.metadata.write(unit)
            await stores.blobs.check()
        except EntrepotError as error:
            return ProbeResult(ok=False, detail=str(error))
        return ProbeResult(ok=True, detail="metadata and blob store can be written")

    async def aclose(self) -> None:
        """Close the stores."""
        await self._stack.aclose()

    async def _opened(self) -> Stores:
        if self._stores is None:
            self._stores = await self._stack.enter_async_context(open_stores(self._settings))
        return self._stores


async def _ask(blobs: BlobStore) -> None:
    """Ask for an object that is not there, which takes an answer, and neither room nor a right to write."""
    with contextlib.suppress(ObjectNotFoundError):
        async for _ in blobs.read(_NOTHING):
            pass


def build_health_probes(settings: Settings) -> StoreProbes:
    """Return the probes of the ops listener."""
    return StoreProbes(settings)
