"""Answers whether pulls and pushes would work, for the ops listener."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final

from entrepot.blobstore.driver import PreparedPlace
from entrepot.blobstore.errors import ObjectNotFoundError
from entrepot.blobstore.keys import UPLOADS
from entrepot.bootstrap.lasting_answers import LastingAnswer
from entrepot.bootstrap.lasting_look import LastingLook
from entrepot.bootstrap.services import is_mismatch_on_this_node
from entrepot.bootstrap.stores import Stores, open_served_stores
from entrepot.kernel.errors import EntrepotError
from entrepot.kernel.first_in_order import first_in_order
from entrepot.observability.metrics import greatest_gauge
from entrepot.registry.store_match.ownership import require_finished_rebuild
from entrepot.registry.store_match.recognition import ANOTHER_STORE_REMEDY, find_strangeness

if TYPE_CHECKING:
    from collections.abc import Callable

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


_REFUSING: Final = (
    "a process of this node has found that storage and database don't belong together, and looks again every few "
    "seconds: its log says why and what to do (database.mismatch)"
)


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Whether something works, and what was found."""

    ok: bool
    detail: str


class StoreProbes:
    """Asks both stores whether pulls and pushes would work; opens them at the first question and after failures."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = monotonic) -> None:
        """Take the settings; `clock` tells seconds and is never put back."""
        self._settings = settings
        self._stack = contextlib.AsyncExitStack()
        self._stores: Stores | None = None
        self._opening = asyncio.Lock()
        self._clock = clock
        self._another = LastingAnswer(_find_strangeness, clock)
        self._look: LastingLook | None = None
        self._keys: SigningKeys | None = None

    async def read_ready(self) -> ProbeResult:
        """Whether a row can be read, the blob store is the database's, and pulls can be put on record (F28, F45, F47).

        An older copy of the blob store will do.
        """
        try:
            stores = await self._opened()
            await stores.metadata.instance.ping()
            await _ask(stores.blobs)
            another = await self._another.find(stores)
        except EntrepotError as error:
            self._another.forget()
            return ProbeResult(ok=False, detail=str(error))
        if another:
            return _unfit(another, ANOTHER_STORE_REMEDY)
        room = self._settings.audit_log.buffer_records
        if room and await asyncio.to_thread(greatest_gauge, "registry_audit_buffer_records") >= room:
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
        """Whether the stores fit together, a write unit commits, and an object can be written, read and deleted.

        In a bucket this is tried at the same time as it is asked whether they fit, so that few requests come after one
        another; but not in a store that may be a wrong one, nor on a disk, whose volume may be gone.
        """
        try:
            stores = await self._opened()
            look = self._look = self._look or LastingLook(stores, self._clock)
            tries_at_once = look.fits and not isinstance(stores.blobs, PreparedPlace)
            questions = [_ask(stores.blobs), require_finished_rebuild(stores.metadata), look.find()]
            if tries_at_once:
                questions.append(_try_writing(stores))
            mismatch = await first_in_order(*questions)
            if mismatch is not None:
                return _unfit(mismatch.reason, mismatch.remedy)
            if await is_mismatch_on_this_node():
                return ProbeResult(ok=False, detail=_REFUSING)
            if not tries_at_once:
                await _try_writing(stores)
        except EntrepotError as error:
            if self._look is not None:
                self._look.doubt()
            return ProbeResult(ok=False, detail=str(error))
        return ProbeResult(ok=True, detail="metadata and blob store can be written")

    async def aclose(self) -> None:
        """Close the stores."""
        if self._look is not None:
            await self._look.aclose()
        await self._stack.aclose()

    async def _opened(self) -> Stores:
        async with self._opening:
            if self._stores is None:
                self._stores = await self._stack.enter_async_context(open_served_stores(self._settings))
            return self._stores


async def _ask(blobs: BlobStore) -> None:
    """Ask for what must be there, or else for an object that is not: it takes neither room nor a right to write.

    That nothing is there is an answer of a server's only: so says a mount point without its volume, too.
    """
    if isinstance(blobs, PreparedPlace):
        await blobs.require_prepared()
        return
    with contextlib.suppress(ObjectNotFoundError):
        async for _ in blobs.read(_NOTHING):
            pass


async def _try_writing(stores: Stores) -> None:
    async def unit(tx: Transaction) -> int:
        return await tx.upload_sessions.release_owner("readiness probe")

    await first_in_order(stores.metadata.write(unit), stores.blobs.check())


async def _find_strangeness(stores: Stores) -> str:
    return await find_strangeness(stores.metadata, stores.blobs)


def _unfit(reason: str, remedy: str) -> ProbeResult:
    """Return that a store is not the database's, and what its operator can do about it."""
    return ProbeResult(ok=False, detail=f"{reason}: {remedy}")


def build_health_probes(settings: Settings) -> StoreProbes:
    """Return the probes of the ops listener."""
    return StoreProbes(settings)
