"""A process of its own that writes to a store: `python -m tests.drivers.metadata.child <action> <url> …`.

Each action says `ready` when the store is open, waits for a line on its standard input, works, and prints its result
as one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrepot.kernel.failpoints import arm_failpoints
from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.metadata.records import UploadLease
from entrepot.metadata.sql.migrate import initialise_if_empty
from entrepot.metadata.sql.opening import open_metadata
from entrepot.oci.digest import Digest
from tests.drivers.metadata.material import (
    ALICE,
    REPOSITORY,
    TAG,
    fact,
    layer,
    new_blob,
    new_manifest,
    new_session,
    tag_manifest,
)
from tests.drivers.metadata.raw_database import unheard

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from entrepot.metadata.records import AdoptedBlob, NewBlob
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["Child", "push_unit"]


class Child:
    """Such a process, seen from a test."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, *arguments: str) -> Child:
        """Start it and wait until its store is open."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.drivers.metadata.child",
            *arguments,
            cwd=Path(__file__).parents[3],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        child = cls(process)
        assert await child._line() == "ready"
        return child

    def go(self) -> None:
        """Let it work."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")

    async def result(self) -> Any:
        """Wait for its result and its end."""
        result = json.loads(await self._line())
        assert await self._process.wait() == 0
        return result

    async def says(self) -> str:
        """Wait for the next line of one that speaks while it works."""
        return await self._line()

    async def exit_code(self) -> int:
        """Wait for its end, whatever it is."""
        await self._process.communicate()
        code = self._process.returncode
        assert code is not None
        return code

    async def _line(self) -> str:
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()


async def push_unit(tx: Transaction, death: Callable[[], None] = lambda: None) -> None:
    """Do all that a push does, with `death` in the middle."""
    row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
    adopted = await tx.blobs.adopt(new_blob("blob", "blobs/pushed"))
    await tx.blobs.link(row.id, adopted.id, ALICE)
    death()
    manifest = new_manifest(row.id, "{}", (layer("blob"),))
    await tx.manifests.put(manifest)
    if await tx.tags.put(row.id, "v1", manifest.digest, ALICE) != manifest.digest:
        await tx.outbox.append(fact())


async def _append(metadata: Metadata, count: str) -> list[float]:
    """Write one fact per unit, one after the other; return when each was durable."""
    moments: list[float] = []
    for _ in range(int(count)):
        await metadata.write(lambda tx: tx.outbox.append(fact()))
        moments.append(time.monotonic())
    return moments


async def _adopt_unit(blob: NewBlob, tx: Transaction) -> AdoptedBlob:
    return await tx.blobs.adopt(blob)


async def _adopt(metadata: Metadata, name: str, count: str) -> list[str]:
    """Adopt the same blobs as another process, under keys of its own; return the keys that won."""
    winners: list[str] = []
    for number in range(int(count)):
        blob = new_blob(f"blob {number}", f"blobs/{number}/{name}")
        adopted = await metadata.write(partial(_adopt_unit, blob))
        winners.append(adopted.storage_key)
    return winners


async def _lease(metadata: Metadata, name: str, count: str) -> list[int]:
    """Try to lease the same sessions as another process; return the numbers of those that were got."""
    got: list[int] = []
    for number in range(int(count)):

        async def unit(tx: Transaction, number: int = number) -> object:
            row = await tx.repositories.ensure(REPOSITORY, "team", ALICE)
            await tx.upload_sessions.create(new_session(row.id, f"s{number}"))
            return await tx.upload_sessions.lease(REPOSITORY, f"s{number}", ALICE, name, 60)

        if isinstance(await metadata.write(unit), UploadLease):
            got.append(number)
    return got


async def _push(metadata: Metadata, failpoint: str) -> None:
    """Push, and die at a failpoint, or in the middle of the unit."""
    if failpoint == "unit":
        await metadata.write(lambda tx: push_unit(tx, lambda: os.kill(os.getpid(), signal.SIGKILL)))
    arm_failpoints(failpoint)
    await metadata.write(push_unit)


async def _move(metadata: Metadata, first: str, second: str, count: str) -> int:
    """Point a tag at one manifest and at the other by turns; say where it points once that is durable, and wait."""
    for number in range(int(count)):
        digest = Digest.parse((first, second)[number % 2])
        await tag_manifest(metadata, TAG, digest)
        print(digest, flush=True)  # noqa: T201 - how a child speaks to its test
        await asyncio.to_thread(sys.stdin.readline)
    return int(count)


async def _outgrow(metadata: Metadata, log: str) -> list[str]:
    """Write while no file may grow, then again when it may; return what became of it."""
    outcomes: list[str] = []
    size = Path(log).stat().st_size  # noqa: ASYNC240 - nothing else runs here
    for limit in (size, resource.RLIM_INFINITY):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            await metadata.write(push_unit)
            outcomes.append("written")
        except MetadataUnavailableError as error:
            outcomes.append(str(error))
    return outcomes


_ACTIONS: dict[str, Callable[..., Awaitable[Any]]] = {
    "append": _append,
    "adopt": _adopt,
    "lease": _lease,
    "push": _push,
    "move": _move,
    "outgrow": _outgrow,
}


async def _initialise(url: str) -> None:
    print("ready", flush=True)  # noqa: T201 - how a child speaks to its test
    await asyncio.to_thread(sys.stdin.readline)
    print(json.dumps(await initialise_if_empty(url, unheard)), flush=True)  # noqa: T201 - as above


async def _main(action: str, url: str, *arguments: str) -> None:
    if action == "initialise":
        await _initialise(url)
        return
    metadata = await open_metadata(url, 4, 30.0)
    await metadata.instance.ping()
    print("ready", flush=True)  # noqa: T201 - how a child speaks to its test
    await asyncio.to_thread(sys.stdin.readline)
    result = await _ACTIONS[action](metadata, *arguments)
    print(json.dumps(result), flush=True)  # noqa: T201 - as above
    await metadata.aclose()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
