"""Upload-session leases held for the length of a request (F30)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.kernel.process_identity import ProcessIdentity
from entrepot.metadata.errors import MetadataError
from entrepot.metadata.records import Missing, NewUploadSession, UploadLease
from entrepot.registry.errors import UploadConflictError, UploadUnknownError
from entrepot.registry.pushes.lease_releases import LeaseReleases
from entrepot.registry.repository_access import granted_repository

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.auth.grants import Grant, Push
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.oci.digest import Algorithm

__all__ = ["LONGEST_LEASE_SECONDS", "SessionLeases"]

LONGEST_LEASE_SECONDS: Final = 3600
"""No upload is held for longer without a renewal, whatever `uploads.lease_seconds` is on a node."""

_RENEWALS_PER_LEASE = 3


class SessionLeases:
    """Takes, renews and gives back the leases of this process."""

    def __init__(self, metadata: Metadata, owner: ProcessIdentity, lease_seconds: int) -> None:
        self._metadata = metadata
        self._process = owner
        self._owner = str(owner)
        self._lease_seconds = lease_seconds
        self._releases = LeaseReleases(metadata, lease_seconds)

    async def take(self, grant: Grant[Push], session: str, taken: Failpoint) -> UploadLease:
        """Take the lease of a session of the granted repository and principal.

        One of this process that is over, but could not be given back yet, is given back first.

        Raises:
            UploadUnknownError: there is no such session for them.
            UploadConflictError: another request holds it.
        """
        owed = self._releases.owed_fence(session)

        async def unit(tx: Transaction) -> UploadLease | Missing | None:
            if owed is not None:
                await tx.upload_sessions.release(session, owed)
            return await tx.upload_sessions.lease(
                grant.repository.text, session, grant.principal.subject, self._owner, self._lease_seconds
            )

        outcome = await self._metadata.write(unit)
        if owed is not None:
            self._releases.settle(session, owed)
        if outcome is None:
            raise UploadConflictError(session)
        if isinstance(outcome, Missing):
            raise UploadUnknownError(session)
        reach(taken)
        return outcome

    async def open(
        self, grant: Grant[Push], session: str, algorithm: Algorithm, time_to_live_seconds: int
    ) -> UploadLease:
        """Create a session that no client knows of, and take its lease in the same unit.

        Raises:
            UploadConflictError: the unit's outcome was lost on the way; the session expires.
        """
        name, subject = grant.repository, grant.principal.subject

        async def unit(tx: Transaction) -> UploadLease | Missing | None:
            repository = await granted_repository(tx, grant)
            await tx.upload_sessions.create(
                NewUploadSession(session, repository.id, subject, algorithm, time_to_live_seconds)
            )
            return await tx.upload_sessions.lease(
                name.text, session, subject, self._owner, self._lease_seconds
            )

        outcome = await self._metadata.write(unit)
        if not isinstance(outcome, UploadLease):
            raise UploadConflictError(session)
        return outcome

    @contextlib.asynccontextmanager
    async def kept(self, lease: UploadLease) -> AsyncIterator[None]:
        """Renew the lease in the background while the body runs, and cancel the body when it was lost.

        Raises:
            UploadConflictError: somebody else took the lease over.
        """
        holder = asyncio.current_task()
        lost = False

        async def renew() -> None:
            nonlocal lost
            while True:
                await asyncio.sleep(self._lease_seconds / _RENEWALS_PER_LEASE)
                if await self._renewed(lease):
                    continue
                lost = True
                if holder is not None:
                    holder.cancel()
                return

        keeper = asyncio.create_task(renew())
        try:
            yield
        except asyncio.CancelledError:
            if not lost:
                raise
            if holder is not None:
                holder.uncancel()
            raise UploadConflictError(lease.public_id) from None
        finally:
            keeper.cancel()
            await asyncio.wait((keeper,))

    async def release(self, lease: UploadLease) -> None:
        """Give the lease back without a change to the session, later when the database can't take it now."""
        await self._releases.release(lease)

    def release_soon(self, lease: UploadLease, reason: MetadataError) -> None:
        """Give the lease back once the database, which failed a moment ago, takes it."""
        self._releases.owe(lease, str(reason))

    async def aclose(self) -> None:
        """Try a last time to give back what is owed. May be called again."""
        await self._releases.aclose()

    async def release_dead(self) -> int:
        """Give back what dead processes of this node still hold; return how many leases that were.

        A living one, such as a predecessor that ends its last uploads, keeps its own.
        """
        owners = await self._metadata.upload_sessions.lease_owners(f"{self._process.node}/")
        identities = [identity for identity in map(ProcessIdentity.parse, owners) if identity is not None]
        dead = [str(identity) for identity in identities if not identity.is_alive()]

        async def unit(tx: Transaction) -> int:
            return sum([await tx.upload_sessions.release_owner(owner) for owner in dead])

        return await self._metadata.write(unit) if dead else 0

    async def _renewed(self, lease: UploadLease) -> bool:
        async def unit(tx: Transaction) -> bool:
            return await tx.upload_sessions.renew(lease.public_id, lease.fence, self._lease_seconds)

        try:
            return await self._metadata.write(unit)
        except MetadataError:
            # An unreachable database is no proof that the lease is lost; the fence decides when progress is recorded.
            return True
