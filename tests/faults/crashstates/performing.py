"""Carries out the steps of a plan against a registry in this process, and tells somebody of every answer."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from entrepot.bootstrap import Dispatcher, open_stores
from entrepot.processes.data_directory import prepare_run_directory
from entrepot.registry.journal.writer import Journal
from entrepot.registry.store_match.watch import StoreWatch
from entrepot.registry.sweeps.steady_clock import SteadyClock
from entrepot.workers import upkeep
from tests.asgi.client import AsgiClient, AsgiReply
from tests.asgi.lifespan import running_lifespan
from tests.asgi.services import scratch_settings
from tests.faults.crashstates.plans import Checkpoint, Compact, Delete, PushBlob, PutManifest, Step
from tests.faults.pushing import Acknowledgement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

__all__ = ["STEP", "finish_upload", "perform", "registry_on"]

STEP = "step"
"""What an acknowledgement says when a whole step was answered."""


@asynccontextmanager
async def registry_on(data: Path) -> AsyncIterator[AsgiClient]:
    """Start the registry as `entrepot serve` does, but within this process, and yield a client."""
    prepare_run_directory(data)
    application = Dispatcher(scratch_settings(data))
    async with running_lifespan(application):
        yield AsgiClient(application)


async def perform(
    client: AsgiClient,
    data: Path,
    step: Step,
    tell: Callable[[Acknowledgement], None],
    *,
    again: bool = False,
) -> None:
    """Do one step; with `again` it may have been done before, so that what it deletes may be gone.

    Raises:
        AssertionError: the registry answered otherwise than with success.
    """
    match step:
        case PushBlob():
            await _push_blob(client, step, tell)
        case PutManifest(repository=repository, manifest=manifest):
            path = f"/v2/{repository}/manifests/{manifest.reference}"
            headers = {"Content-Type": manifest.media_type}
            _require(await client.request("PUT", path, headers, [manifest.content]), 201)
        case Delete(path=path):
            _require(await client.request("DELETE", path), 202, *((404,) if again else ()))
        case Checkpoint():
            async with open_stores(scratch_settings(data)) as stores:
                await stores.metadata.maintain()
        case Compact():
            await _compact(data)
    tell(Acknowledgement(STEP, ""))


async def _compact(data: Path) -> None:
    """Run the duty once, on facts that were recorded just now."""
    async with open_stores(scratch_settings(data)) as stores:
        journal = Journal(stores.blobs, await stores.metadata.instance.incarnation())
        watch = StoreWatch(stores.metadata, stores.blobs)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(upkeep, "_ENTRY_GRACE_MILLISECONDS", 0)
            await upkeep.journal_duty(stores.metadata, journal, SteadyClock(), watch).run()


async def _push_blob(client: AsgiClient, step: PushBlob, tell: Callable[[Acknowledgement], None]) -> None:
    reply = await client.request("POST", f"/v2/{step.repository}/blobs/uploads/")
    session = _require(reply, 202).headers["location"]
    tell(Acknowledgement("session", session))
    reply = await client.request("PATCH", session, {}, [step.content])
    session = _require(reply, 202).headers["location"]
    tell(Acknowledgement("chunk", session, len(step.content)))
    await finish_upload(client, session, step)


async def finish_upload(client: AsgiClient, session: str, step: PushBlob) -> None:
    """End an upload all of whose bytes have arrived."""
    reply = await client.request("PUT", f"{session}?digest={step.digest}", {"Content-Length": "0"})
    _require(reply, 201)


def _require(reply: AsgiReply, *statuses: int) -> AsgiReply:
    assert reply.status in statuses, f"expected {statuses}, got {reply.status}: {reply.body!r}"
    return reply
